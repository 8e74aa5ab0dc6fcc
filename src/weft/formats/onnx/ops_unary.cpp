// SPDX-License-Identifier: Apache-2.0
// Functions of single numbers whose row of quantizers/ is the meaning on data and on constants alike.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/formats/onnx/operators.h"
#include "weft/tensor/tensor.h"

namespace weft::formats::onnx::ops {
namespace {

Result<Values> on_constant(const Call& call, const Constant& in, const quantizers::Spec& spec) {
  if (in.element != Element::Float32 && in.element != Element::Float64) {
    return call.fail(Kind::AttributeUnsupported, fmt::format("{} of {} is not supported", call.node.op_type,
                                                             element_name(static_cast<std::int32_t>(in.element))));
  }
  WEFT_TRY(const auto function, quantizers::make(spec, call.origin, call.ctx));
  WEFT_TRY_VOID(call.spend_elements(in.shape));
  Constant out;
  out.shape = in.shape;
  out.element = in.element;
  out.floats.reserve(in.floats.size());
  for (std::size_t i = 0; i < in.floats.size(); ++i)
    out.floats.push_back(function->apply(in.floats[i], i % function->channels()));
  return Values{std::move(out)};
}

Result<Values> on_data(const Call& call, const Dynamic& x, quantizers::Spec spec) {
  WEFT_TRY(const nn::TensorId out, call.add({.op = "Activation",
                                             .inputs = {x.tensor},
                                             .functions = {{"activation", std::move(spec)}},
                                             .shape = call.builder.graph.at(x.tensor).shape}));
  return Values{Call::retarget(x, out)};
}

Result<Values> function(Call& call, quantizers::Spec spec) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the input is missing");
  if (call.inputs[0].constant) return on_constant(call, *call.inputs[0].constant, spec);
  WEFT_TRY(const Dynamic x, call.dynamic_float(0));
  return on_data(call, x, std::move(spec));
}

}  // namespace

Result<Values> unary_function(Call& call) {
  static const std::map<std::string, std::string> kFamilies = {
      {"Acos", "acos"},   {"Acosh", "acosh"}, {"Asin", "asin"}, {"Asinh", "asinh"}, {"Atan", "atan"},
      {"Atanh", "atanh"}, {"Ceil", "ceil"},   {"Cos", "cos"},   {"Cosh", "cosh"},   {"Erf", "erf"},
      {"Floor", "floor"}, {"Log", "log"},     {"Mish", "mish"}, {"Round", "round"}, {"Sin", "sin"},
      {"Sinh", "sinh"},   {"Sqrt", "sqrt"},   {"Tan", "tan"},
  };
  const auto family = kFamilies.find(call.node.op_type);
  WEFT_CHECK(family != kFamilies.end(), "operator without function");
  return function(call, {family->second, {}});
}

Result<Values> celu(Call& call) {
  WEFT_TRY(const float alpha, call.get_float("alpha", 1.0F));
  return function(call, {"celu", {{"alpha", static_cast<double>(alpha)}}});
}

Result<Values> hard_swish(Call& call) { return function(call, {"hard_swish", {{"form", std::string("onnx")}}}); }

Result<Values> shrink(Call& call) {
  WEFT_TRY(const float lambd, call.get_float("lambd", 0.5F));
  WEFT_TRY(const float bias, call.get_float("bias", 0.0F));
  return function(call, {"hard_shrink", {{"lambd", static_cast<double>(lambd)}, {"bias", static_cast<double>(bias)}}});
}

Result<Values> swish(Call& call) {
  WEFT_TRY(const float alpha, call.get_float("alpha", 1.0F));
  return function(call, {"swish", {{"beta", static_cast<double>(alpha)}}});
}

Result<Values> prelu(Call& call) {
  WEFT_TRY(const ConstantPtr slope, call.constant(1, "the slope"));
  if (!slope->floating() || slope->size() == 0) return call.fail(Kind::ShapeMismatch, "the slopes are no numbers");
  WEFT_TRY_VOID(call.require_finite(slope->floats, "the slope"));
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the input is missing");
  if (call.inputs[0].constant) {
    const Constant& x = *call.inputs[0].constant;
    const auto to = tensor::broadcast(x.shape, slope->shape);
    if (!to.ok || to.shape != x.shape)
      return call.fail(Kind::ShapeMismatch, fmt::format("slopes of shape {} do not broadcast to data of shape {}",
                                                        to_string(slope->shape), to_string(x.shape)));
    WEFT_TRY_VOID(call.spend_elements(x.shape));
    const Constant spread = broadcast_to(*slope, x.shape);
    return on_constant(call, x,
                       {"prelu", {{"alpha", std::vector<double>(spread.floats.begin(), spread.floats.end())}}});
  }
  WEFT_TRY(Dynamic x, call.dynamic_float(0));
  if (is_uniform(*slope)) return on_data(call, x, {"prelu", {{"alpha", std::vector<double>{slope->floats[0]}}}});
  WEFT_TRY(x, call.laid_out_for(*slope, x));
  WEFT_TRY(const nn::Parameter parameter, call.operand(*slope, x));
  const Shape& shape = call.builder.graph.at(x.tensor).shape;
  const FloatTensor& values = parameter.values;
  // Along the last axis one slope per channel; else one per element.
  if (!shape.empty() && values.size() == shape.back() && !values.shape.empty() && values.shape.back() == shape.back())
    return on_data(call, x, {"prelu", {{"alpha", std::vector<double>(values.data.begin(), values.data.end())}}});
  WEFT_TRY_VOID(call.spend_elements(shape));
  std::vector<double> all(static_cast<std::size_t>(element_count(shape)));
  for (std::size_t i = 0; i < all.size(); ++i) all[i] = values.data[tensor::broadcast_index(values.shape, shape, i)];
  return on_data(call, x, {"prelu", {{"alpha", std::move(all)}}});
}

}  // namespace weft::formats::onnx::ops
