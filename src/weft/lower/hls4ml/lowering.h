// SPDX-License-Identifier: Apache-2.0
/// @file
/// `--compat hls4ml`: layers as hls4ml 1.3 computes them, bit for bit, in primitives of the exact graph.
///
/// In hls4ml every tensor is a variable of a declared fixed-point type, and every layer computes codes of its result
/// type from the codes of its inputs: nothing is folded over layers. All rules of that mode stand in this folder:
/// types.h (which type), one file per kind of layer (what is computed), layers.h (which layers hls4ml makes of a
/// model).
#pragma once

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "weft/layers/recipe.h"
#include "weft/lower/hls4ml/types.h"
#include "weft/lower/lower.h"

namespace weft::lower::hls4ml {

/// A tensor as hls4ml's variable: the value's scale is 2^-type.frac_bits(). Bipolar ones (one bit in hls4ml) have codes
/// -1 and +1.
struct Variable {
  exact::ValueId value;
  fixed::FixedType type;
  bool bipolar = false;
};

/// A parameter as hls4ml's firmware holds it.
struct Weights {
  std::vector<Int> codes;
  int frac_bits = 0;
  fixed::FixedType type;
  bool bipolar = false;
};

class Lowering {
 public:
  Lowering(const nn::Graph& graph, const Config& config, layers::Recipe& into, Context& context)
      : types(config), recipe(into), ctx(context), graph_(graph) {}

  Types types;
  layers::Recipe& recipe;
  Context& ctx;

  /// Lowers one node by its row of the table in lowering.cpp.
  Result<void> node(const nn::Node& node);

  void set(nn::TensorId id, Variable variable) { variables_[id.index] = variable; }
  [[nodiscard]] const Variable& in(const nn::Node& node, std::size_t i = 0) const {
    return variables_.at(node.inputs[i].index);
  }
  [[nodiscard]] const Shape& shape(nn::TensorId id) const { return graph_.at(id).shape; }
  [[nodiscard]] const exact::Value& value(exact::ValueId id) const { return recipe.value(id); }
  /// Fraction bits of a value's scale.
  [[nodiscard]] int frac_bits(exact::ValueId id) const;

  Result<exact::ValueId> add(const nn::Node& node, const std::string& suffix, exact::Primitive primitive, int frac_bits,
                             std::optional<Shape> shape = std::nullopt);
  /// Codes of exactly this type, as an ap_fixed assignment makes them.
  Result<exact::ValueId> cast(const nn::Node& node, const std::string& suffix, exact::ValueId x,
                              const fixed::FixedType& type, bool count = false);
  /// The same real numbers as cast() makes; the value itself when the cast changes none.
  Result<exact::ValueId> fit(const nn::Node& node, const std::string& suffix, exact::ValueId x,
                             const fixed::FixedType& type);
  /// y = f(code), `starts` being every code of x's range where f may change.
  Result<exact::ValueId> lookup(const nn::Node& node, const std::string& suffix, exact::ValueId x,
                                const std::vector<Int>& starts, const std::function<Int(Int)>& f, int frac_bits);
  Result<exact::ValueId> constant(const nn::Node& node, const std::string& suffix, std::vector<Int> codes,
                                  int frac_bits, Shape shape);
  /// a + b or a - b on the finer grid of both.
  Result<exact::ValueId> sum(const nn::Node& node, const std::string& suffix, exact::ValueId a, exact::ValueId b,
                             bool minus = false);
  Result<exact::ValueId> product(const nn::Node& node, const std::string& suffix, exact::ValueId a, exact::ValueId b);
  /// Clips codes to [lo, hi], in steps of the value.
  Result<exact::ValueId> clip(const nn::Node& node, const std::string& suffix, exact::ValueId x, Int lo, Int hi);

  /// The parameter's codes; a float one goes through decimal text as hls4ml prints it.
  Result<Weights> weights(const nn::Node& node, const std::string& parameter, const std::string& role);
  /// Values that the layer holds as float32, through text into `type`.
  [[nodiscard]] std::vector<Int> through_text(const std::vector<float>& values, const fixed::FixedType& type) const;

  /// Type of a role; `inferred` where the configuration leaves it to hls4ml.
  [[nodiscard]] fixed::FixedType type(const nn::Node& node, const std::string& role,
                                      const fixed::FixedType& inferred) const;
  /// Type of a table or of a function's parameter, which has a default of its own.
  [[nodiscard]] fixed::FixedType own_type(const nn::Node& node, const std::string& role,
                                          const fixed::FixedType& fallback) const;

  /// The node's result: cast to `type`, visible under the node's name, noted in the certificate.
  Result<void> finish(const nn::Node& node, exact::ValueId x, const fixed::FixedType& type,
                      const std::string& note = {});
  /// Codes that already are the node's variable.
  Result<void> finish(const nn::Node& node, const Variable& variable, const std::string& note = {});

  /// Errors: what hls4ml cannot do or does wrongly, with the way out.
  diag::Failure unlike(const nn::Node& node, const std::string& what);

 private:
  const nn::Graph& graph_;
  std::map<std::uint32_t, Variable> variables_;
};

/// Product sums: y = (accumulator) bias, then each product cast to `accum` and added in `order` (empty: index order).
struct ProductSum {
  exact::ValueId x;
  std::int64_t n_in = 0;
  std::int64_t n_out = 0;
  std::vector<Int> weights;  ///< [n_in, n_out]
  int weight_frac = 0;
  std::vector<Int> bias;  ///< may be empty
  int bias_frac = 0;
  fixed::FixedType accum;
  std::vector<std::int64_t> order;
};
/// The accumulator's value: an exact sum where that is provably the same.
Result<exact::ValueId> accumulate(Lowering& l, const nn::Node& node, const ProductSum& sum);

/// First codes of the runs of equal `index` over a range; `index` rises or falls.
std::vector<Int> index_starts(const fixed::Range& range, const std::function<Int(Int)>& index);
/// Code of a table's entry: infinite numbers saturate, or wrap to 0.
Int table_entry(double value, const fixed::FixedType& type);
/// trunc(a / b) toward zero, b > 0.
inline Int divide_toward_zero(Int a, Int b) { return a / b; }

// One function per kind of layer.
Result<void> lower_activation(Lowering& l, const nn::Node& node);
Result<void> lower_concat(Lowering& l, const nn::Node& node);
Result<void> lower_conv(Lowering& l, const nn::Node& node);
Result<void> lower_dense(Lowering& l, const nn::Node& node);
Result<void> lower_dot(Lowering& l, const nn::Node& node);
Result<void> lower_embedding(Lowering& l, const nn::Node& node);
Result<void> lower_layer_norm(Lowering& l, const nn::Node& node);
Result<void> lower_merge(Lowering& l, const nn::Node& node);
Result<void> lower_moved(Lowering& l, const nn::Node& node);
Result<void> lower_pool(Lowering& l, const nn::Node& node);
Result<void> lower_recurrent(Lowering& l, const nn::Node& node);
Result<void> lower_scale_bias(Lowering& l, const nn::Node& node);
Result<void> lower_softmax(Lowering& l, const nn::Node& node);

/// A function by name ("sigmoid", "relu" ...) of a variable, as codes of `result`: what recurrent cells use too.
Result<exact::ValueId> function_of(Lowering& l, const nn::Node& node, const std::string& suffix, const Variable& x,
                                   const std::string& function, const fixed::FixedType& result);

}  // namespace weft::lower::hls4ml
