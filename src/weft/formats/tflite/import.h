// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the handler of an operator gets: its tensors and options, and the graph of layers under construction.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "weft/fixed/tflite.h"
#include "weft/formats/tflite/model.h"
#include "weft/nn/graph.h"

namespace weft::formats::tflite {

/// Numbers of a constant tensor: of float tensors `reals`, of integer ones `integers` as the file has them.
struct Constant {
  Shape shape;
  std::vector<float> reals;
  std::vector<std::int64_t> integers;
};
using ConstantPtr = std::shared_ptr<const Constant>;

/// Fused activations of the schema.
enum class Fused { None = 0, Relu = 1, ReluN1To1 = 2, Relu6 = 3, Tanh = 4, SignBit = 5 };

/// A shape without the batch: the first axis left out when its extent is 1. The elements keep their order either way.
Shape sample_shape(const Shape& shape);

/// The graph under construction.
struct Builder {
  nn::Graph graph;
  std::vector<std::optional<nn::TensorId>> values;  ///< per tensor of the file
  std::vector<ConstantPtr> folded;                  ///< constants made by operators
  std::set<std::string> names;
  std::uint64_t constant_elements = 0;

  std::string unique_name(const std::string& wanted);
};

/// A layer to be added.
struct LayerDraft {
  std::string op;
  AttributeMap attributes{};
  std::vector<nn::TensorId> inputs{};
  std::map<std::string, nn::Parameter> parameters{};
  std::map<std::string, quantizers::Spec> functions{};
  Shape shape{};
  std::string suffix{};
};

/// One operator being read.
struct Call {
  Context& ctx;
  const ModelDef& model;
  Builder& builder;
  const OperatorDef& op;
  Origin origin;

  diag::Failure fail(Kind kind, std::string message) const { return ctx.fail(kind, origin, std::move(message)); }

  [[nodiscard]] bool has_input(std::size_t i) const { return i < op.inputs.size() && op.inputs[i] >= 0; }
  /// The tensor at input i; fails when there is none.
  Result<const TensorDef*> input(std::size_t i) const;
  [[nodiscard]] const TensorDef& output(std::size_t i = 0) const {
    return model.tensors[static_cast<std::size_t>(op.outputs[i])];
  }
  [[nodiscard]] bool is_constant(std::size_t i) const;
  /// The numbers at input i, which must be constant.
  Result<ConstantPtr> constant(std::size_t i, const std::string& what) const;
  Result<std::vector<std::int64_t>> integers(std::size_t i, const std::string& what) const;
  /// The layer graph's tensor at input i, which must depend on the model's input.
  Result<nn::TensorId> data(std::size_t i) const;
  /// The tensor of input i under this shape of equal elements.
  Result<nn::TensorId> data_as(std::size_t i, const Shape& shape) const;
  Result<Fused> fused(int field) const;
  /// An axis of the file's tensor as one of its sample; fails for the batch.
  Result<std::int64_t> sample_axis(std::int64_t axis, const Shape& shape) const;

  /// Adds a layer and gives its output.
  nn::TensorId add(LayerDraft draft) const;
  /// Sets output i of the operator, reshaped when the layer's shape is another.
  Result<void> set(nn::TensorId tensor, std::size_t i = 0) const;
  void set_constant(Constant constant, std::size_t i = 0) const;
  [[nodiscard]] const Shape& shape_of(nn::TensorId id) const { return builder.graph.at(id).shape; }

  /// Integer kernels: attributes with scales of these tensors and the clamp of the output's type and activation.
  Result<AttributeMap> integer_attributes(const std::vector<const TensorDef*>& inputs, const TensorDef& out,
                                          Fused activation = Fused::None) const;
  /// A float activation as function of a layer.
  Result<std::map<std::string, quantizers::Spec>> activation(Fused fused) const;
  /// `real_table` and the like: a table over all codes of `in`. `f` maps q - zero point to q - zero point.
  Result<void> add_table(const TensorDef& in, const TensorDef& out,
                         const std::function<std::int64_t(std::int64_t)>& f) const;
};

/// The numbers of a tensor with data. Counts against the limits.
Result<ConstantPtr> decode(const TensorDef& tensor, Builder& builder, const Origin& origin, Context& ctx);

/// Puts a multiplier per factor into the attributes.
void set_multipliers(AttributeMap& attributes, const std::vector<double>& factors);

/// Integers with their scale as a parameter of an integer layer.
nn::Parameter integer_parameter(Shape shape, std::vector<std::int64_t> codes, double scale);

/// A row of the table of operators.
struct Operator {
  std::string_view name;
  Result<void> (*read)(const Call& call);
};
std::vector<Operator> elementwise_operators();
std::vector<Operator> linear_operators();
std::vector<Operator> movement_operators();
std::vector<Operator> reduction_operators();
std::vector<Operator> recurrent_operators();
/// All of them by name.
const std::map<std::string, Operator>& operators();

}  // namespace weft::formats::tflite
