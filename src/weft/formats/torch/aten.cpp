// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/torch/aten.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace weft::formats::torch {

using onnx::AttributeType;

AttributeValue::AttributeValue(std::int64_t value) {
  attribute.type = AttributeType::Int;
  attribute.i = value;
}
AttributeValue::AttributeValue(int value) : AttributeValue(static_cast<std::int64_t>(value)) {}
AttributeValue::AttributeValue(float value) {
  attribute.type = AttributeType::Float;
  attribute.f = value;
}
AttributeValue::AttributeValue(std::string value) {
  attribute.type = AttributeType::String;
  attribute.s = std::move(value);
}
AttributeValue::AttributeValue(const char* value) : AttributeValue(std::string(value)) {}
AttributeValue::AttributeValue(std::vector<std::int64_t> value) {
  attribute.type = AttributeType::Ints;
  attribute.ints = std::move(value);
}
AttributeValue::AttributeValue(std::vector<float> value) {
  attribute.type = AttributeType::Floats;
  attribute.floats = std::move(value);
}

AttributeValue::AttributeValue(std::vector<std::string> value) {
  attribute.type = AttributeType::Strings;
  attribute.strings = std::move(value);
}

const Shape& shape_of(const Value& value) { return value.constant ? value.constant->shape : value.dynamic->shape; }
Element element_of(const Value& value) { return value.constant ? value.constant->element : value.dynamic->element; }

Constant float_constant(std::vector<float> values, Shape shape) {
  Constant out;
  out.floats = std::move(values);
  out.shape = std::move(shape);
  return out;
}

Constant int_constant(std::vector<std::int64_t> values) {
  Constant out;
  out.element = Element::Int64;
  out.shape = {static_cast<std::int64_t>(values.size())};
  out.ints = std::move(values);
  return out;
}

std::string AtenCall::target() const {
  constexpr std::string_view kPrefix = "torch.ops.";
  return node.target.rfind(kPrefix, 0) == 0 ? node.target.substr(kPrefix.size()) : node.target;
}

const Argument* AtenCall::find(const std::string& name) const {
  asked_.insert(name);
  for (const auto& input : node.inputs) {
    if (input.name == name) return input.value.type == Argument::Type::None ? nullptr : &input.value;
  }
  return nullptr;
}

diag::Failure AtenCall::wrong(const std::string& name, const char* what) const {
  const Argument* given = find(name);
  if (given == nullptr) return fail(Kind::ModelMalformed, fmt::format("argument `{}` is missing", name));
  if (given->type == Argument::Type::Other)
    return fail(Kind::AttributeUnsupported, fmt::format("argument `{}` is a `{}`; {}", name, given->text, what));
  return fail(Kind::ModelMalformed, fmt::format("argument `{}` is no {}", name, what));
}

Result<std::int64_t> AtenCall::resolve(const Extent& extent, const std::string& name) const {
  if (extent.name.empty()) return extent.value;
  const auto value = find_integer(extent.name);
  if (value) return *value;
  return fail(Kind::LayerUnsupported,
              fmt::format("argument `{}` is the symbolic number `{}`, which is not known when the file is read; only "
                          "the batch may be open",
                          name, extent.name));
}

bool AtenCall::has(const std::string& name) const { return find(name) != nullptr; }

Result<Value> AtenCall::tensor(const std::string& name) const {
  const Argument* given = find(name);
  if (given == nullptr) return wrong(name, "tensor");
  if (given->type == Argument::Type::Tensor) return find_value(given->names.front());
  // Operators of two tensors are also called with a number.
  if (given->type == Argument::Type::Float || given->type == Argument::Type::Int ||
      given->type == Argument::Type::Bool) {
    WEFT_TRY(const double value, real(name));
    return Value(number(static_cast<float>(value)));
  }
  return wrong(name, "tensor");
}

Result<Value> AtenCall::optional_tensor(const std::string& name) const {
  if (!has(name)) return Value();
  return tensor(name);
}

Result<Values> AtenCall::tensors(const std::string& name) const {
  const Argument* given = find(name);
  if (given == nullptr || given->type != Argument::Type::Tensors) return wrong(name, "list of tensors");
  Values out;
  for (const auto& value : given->names) {
    if (value.empty()) {
      out.emplace_back();
      continue;
    }
    WEFT_TRY(Value found, find_value(value));
    out.push_back(std::move(found));
  }
  return out;
}

Result<ConstantPtr> AtenCall::constant(const std::string& name) const {
  WEFT_TRY(const Value value, tensor(name));
  if (value.constant) return value.constant;
  return fail(Kind::LayerUnsupported,
              fmt::format("argument `{}` depends on the network's input; only constants are supported here", name));
}

Result<std::int64_t> AtenCall::integer(const std::string& name, std::optional<std::int64_t> fallback) const {
  const Argument* given = find(name);
  if (given == nullptr && fallback) return *fallback;
  if (given == nullptr || (given->type != Argument::Type::Int && given->type != Argument::Type::Bool))
    return wrong(name, "integer");
  return resolve(given->integers.front(), name);
}

Result<std::vector<std::int64_t>> AtenCall::integers(const std::string& name) const {
  std::vector<std::int64_t> out;
  const Argument* given = find(name);
  if (given == nullptr) return out;
  // An empty list has no element type in the file.
  if (given->type == Argument::Type::Floats && given->floats.empty()) return out;
  if (given->type == Argument::Type::Tensors && given->names.empty()) return out;
  if (given->type != Argument::Type::Ints && given->type != Argument::Type::Int) return wrong(name, "list of integers");
  for (const auto& extent : given->integers) {
    WEFT_TRY(const std::int64_t value, resolve(extent, name));
    out.push_back(value);
  }
  return out;
}

Result<std::vector<std::int64_t>> AtenCall::integers(const std::string& name, std::size_t count,
                                                     std::int64_t fallback) const {
  WEFT_TRY(auto out, integers(name));
  if (out.empty()) out = {fallback};
  if (out.size() == 1) out.resize(count, out.front());
  if (out.size() != count)
    return fail(Kind::ShapeMismatch, fmt::format("argument `{}` has {} numbers for {} axes", name, out.size(), count));
  return out;
}

Result<double> AtenCall::real(const std::string& name, std::optional<double> fallback) const {
  const Argument* given = find(name);
  if (given == nullptr && fallback) return *fallback;
  if (given == nullptr) return wrong(name, "number");
  if (given->type == Argument::Type::Float) return given->floats.front();
  if (given->type != Argument::Type::Int && given->type != Argument::Type::Bool) return wrong(name, "number");
  const Extent& extent = given->integers.front();
  if (!extent.name.empty())
    return fail(Kind::LayerUnsupported,
                fmt::format("argument `{}` is computed from the size of the batch (`{}`)", name, extent.name));
  return static_cast<double>(extent.value);
}

Result<std::vector<double>> AtenCall::reals(const std::string& name) const {
  const Argument* given = find(name);
  if (given == nullptr) return std::vector<double>{};
  if (given->type == Argument::Type::Floats) return given->floats;
  if (given->type == Argument::Type::Float) return std::vector<double>{given->floats.front()};
  WEFT_TRY(const auto list, integers(name));
  return std::vector<double>(list.begin(), list.end());
}

Result<bool> AtenCall::flag(const std::string& name, bool fallback) const {
  WEFT_TRY(const std::int64_t value, integer(name, fallback ? 1 : 0));
  return value != 0;
}

Result<std::string> AtenCall::text(const std::string& name, const std::string& fallback) const {
  const Argument* given = find(name);
  if (given == nullptr) return fallback;
  if (given->type != Argument::Type::Text) return wrong(name, "text");
  return given->text;
}

void AtenCall::ignore(std::initializer_list<const char*> names) const { asked_.insert(names.begin(), names.end()); }

Result<std::int64_t> AtenCall::axis(std::int64_t given, std::int64_t rank) const {
  if (given < -rank || given >= rank)
    return fail(Kind::ShapeMismatch, fmt::format("axis {} does not exist in a tensor of {} axes", given, rank));
  return given < 0 ? given + rank : given;
}

Result<void> AtenCall::check_arguments() const {
  for (const auto& input : node.inputs) {
    if (input.value.type == Argument::Type::None || asked_.count(input.name) != 0) continue;
    return fail(Kind::AttributeUnknown,
                fmt::format("argument `{}` of operator `{}` is not known", input.name, target()));
  }
  return {};
}

Result<Values> AtenCall::onnx(const std::string& op, Values inputs, const Attributes& attributes, bool main,
                              std::size_t outputs) const {
  const bool quantizer = op == "Quant" || op == "BipolarQuant";
  const std::string domain = quantizer ? "qonnx.custom_op.general" : "";
  const onnx::Operator* row = onnx::find_operator(op, domain);
  if (row == nullptr) {
    return fail(Kind::LayerUnsupported,
                fmt::format("operator `{}` needs the layer `{}`, which weft does not have", target(), op));
  }
  while (!inputs.empty() && !inputs.back().present()) inputs.pop_back();
  onnx::NodeHead head{.name = layer_name, .op_type = op, .domain = domain};
  for (const auto& input : inputs)
    head.inputs.push_back(input.dynamic    ? builder.graph.at(input.dynamic->tensor).name
                          : input.constant ? "a constant"
                                           : "");
  for (std::size_t i = 0; i < outputs; ++i)
    head.outputs.push_back(i == 0 ? origin.tensor : fmt::format("{}:{}", origin.tensor, i));
  for (const auto& input : inputs) {
    if (input.dynamic && input.dynamic->pending && op != "DequantizeLinear")
      return fail(Kind::LayerUnsupported,
                  "the integers of a quantization are used; only a dequantization may follow it");
  }
  if (row->min_inputs > inputs.size() || row->max_inputs < inputs.size())
    return fail(Kind::LayerUnsupported, fmt::format("operator `{}` with {} operands", target(), inputs.size()));
  onnx::Call call{.ctx = ctx,
                  .builder = builder,
                  .node = head,
                  .layer_name = main ? layer_name : builder.unique_name(fmt::format("{}_{}", layer_name, op)),
                  .origin = origin,
                  .opset = kOpset,
                  .attributes = {},
                  .inputs = std::move(inputs)};
  if (!main) call.origin.tensor = call.layer_name;
  for (std::size_t i = 0; i < outputs; ++i) call.used.push_back(!main || outputs == 1 || uses_output(i));
  for (const auto& [name, value] : attributes) {
    if (std::find(row->attributes.begin(), row->attributes.end(), name) == row->attributes.end())
      return fail(
          Kind::LayerUnsupported,
          fmt::format("operator `{}` needs `{}` of the layer `{}`, which weft does not have", target(), name, op));
    call.attributes.emplace(name, value.attribute);
  }
  WEFT_TRY(Values out, row->handler(call));
  out.resize(std::max(out.size(), outputs));
  for (const auto& value : out) {
    if (!value.present()) continue;
    const Shape& shape = shape_of(value);
    if (shape.size() > onnx::kMaxRank || !onnx::checked_count(shape, onnx::kMaxExtentProduct))
      return fail(Kind::LimitExceeded, fmt::format("a result has {} axes or too many elements", shape.size()));
  }
  return out;
}

Result<Value> AtenCall::one(const std::string& op, Values inputs, const Attributes& attributes, bool main) const {
  WEFT_TRY(Values out, onnx(op, std::move(inputs), attributes, main));
  return std::move(out.front());
}

onnx::Call AtenCall::layers(const Value& input, bool main) const {
  static const onnx::NodeHead kHead{.name = "", .op_type = "", .domain = "", .inputs = {"the data", "the operand"}};
  return onnx::Call{.ctx = ctx,
                    .builder = builder,
                    .node = kHead,
                    .layer_name = main ? layer_name : builder.unique_name(layer_name + "_part"),
                    .origin = origin,
                    .opset = kOpset,
                    .attributes = {},
                    .inputs = {input}};
}

Result<Value> AtenCall::as_float(const Value& value, bool main) const {
  if (value.constant) {
    if (value.constant->floating()) return value;
    return Value(float_constant(onnx::as_floats(*value.constant), value.constant->shape));
  }
  if (value.dynamic->element == Element::Float32) return value;
  return one("Cast", {value}, {{"to", 1}}, main);
}

Result<Values> filled_bool(const AtenCall& call, const Value& x, bool value) {
  WEFT_TRY_VOID(call.layers(x).spend_elements(shape_of(x)));
  Constant out;
  out.element = Element::Bool;
  out.shape = shape_of(x);
  out.ints.assign(static_cast<std::size_t>(element_count(out.shape)), value ? 1 : 0);
  return Values{std::move(out)};
}

Result<Values> activation_layer(const AtenCall& call, const Dynamic& x, const quantizers::Spec& spec) {
  WEFT_TRY(const nn::TensorId out, call.layers(x).add({.op = "Activation",
                                                       .inputs = {x.tensor},
                                                       .functions = {{"activation", spec}},
                                                       .shape = call.builder.graph.at(x.tensor).shape}));
  return Values{onnx::Call::retarget(x, out)};
}

}  // namespace weft::formats::torch
