// SPDX-License-Identifier: Apache-2.0
/// @file
/// The graph of layers under construction and what the handler of an operator gets.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "weft/formats/tensorflow/graph_def.h"
#include "weft/nn/graph.h"

namespace weft::formats::tensorflow {

/// The batch's extent in the arithmetic of shapes: passed on, never computed with.
inline constexpr std::int64_t kBatch = -(std::int64_t{1} << 40);

using ConstantPtr = std::shared_ptr<const TensorValue>;

/// A tensor of the source: computed from the inputs (the batch is its first axis, which the layer graph leaves out),
/// constant, or a variable before it is read.
struct Value {
  std::optional<nn::TensorId> tensor;
  ConstantPtr constant;
  std::string variable;
  bool shared = false;  ///< several operators read it
};

/// Looks up the value of a variable by its name.
class Variables {
 public:
  virtual ~Variables() = default;
  virtual Result<ConstantPtr> read(const std::string& name, const Origin& origin, Context& ctx) const = 0;
};

struct Builder {
  nn::Graph graph;
  std::set<std::string> names;
  std::uint64_t constant_elements = 0;
  std::uint64_t nodes_run = 0;

  std::string unique_name(const std::string& wanted);
};

struct LayerDraft {
  std::string op;
  AttributeMap attributes{};
  std::vector<nn::TensorId> inputs{};
  std::map<std::string, nn::Parameter> parameters{};
  std::map<std::string, quantizers::Spec> functions{};
};

/// One operator being read.
struct Call {
  Context& ctx;
  Builder& builder;
  const NodeDef& node;
  std::string layer_name;
  Origin origin;
  std::vector<Value> inputs;
  std::vector<Value>& outputs;

  diag::Failure fail(Kind kind, std::string message) const { return ctx.fail(kind, origin, std::move(message)); }
  [[nodiscard]] bool is_constant(std::size_t i) const { return i < inputs.size() && inputs[i].constant != nullptr; }
  Result<ConstantPtr> constant(std::size_t i, const std::string& what) const;
  Result<std::vector<std::int64_t>> integers(std::size_t i, const std::string& what) const;
  Result<FloatTensor> reals(std::size_t i, const std::string& what) const;
  Result<nn::TensorId> data(std::size_t i) const;
  [[nodiscard]] const Shape& shape_of(nn::TensorId id) const { return builder.graph.at(id).shape; }
  /// An axis of the tensor with its batch as one of its sample; fails for the batch.
  Result<std::int64_t> sample_axis(std::int64_t axis, std::size_t sample_rank) const;
  /// Fails unless the attribute `data_format` is absent or channels last.
  Result<void> require_channels_last() const;

  void set(nn::TensorId tensor, std::size_t i = 0) const;
  void set(TensorValue constant, std::size_t i = 0) const;
  /// Adds a layer as the result.
  Result<void> add(LayerDraft draft) const;
};

struct Operator {
  std::string_view name;
  Result<void> (*read)(const Call& call);
};
std::vector<Operator> layer_operators();
std::vector<Operator> movement_operators();
std::vector<Operator> arithmetic_operators();
const std::map<std::string, Operator, std::less<>>& operators();

/// Inlines everything that the outputs need.
Result<nn::Graph> import_graph(const GraphDef& source, const Signature& signature, const Variables& variables,
                               const std::string& file, Context& ctx);

}  // namespace weft::formats::tensorflow
