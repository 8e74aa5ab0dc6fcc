// SPDX-License-Identifier: Apache-2.0
// Functions of single numbers: computed on constants in double and rounded once, Activations on data.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "weft/formats/onnx/operators.h"

namespace weft::formats::onnx::ops {
namespace {

template <class F>
Result<Values> map_constant(const Call& call, const Constant& in, F function) {
  if (!in.floating()) {
    return call.fail(Kind::AttributeUnsupported, fmt::format("{} of {} is not supported", call.node.op_type,
                                                             element_name(static_cast<std::int32_t>(in.element))));
  }
  WEFT_TRY_VOID(call.spend_elements(in.shape));
  Constant out;
  out.shape = in.shape;
  out.element = in.element;
  out.floats.reserve(in.floats.size());
  for (const float value : in.floats) out.floats.push_back(function(value));
  return Values{std::move(out)};
}

/// A function of single numbers: computed on constants, an Activation on data.
template <class F>
Result<Values> function(Call& call, quantizers::Spec spec, F reference) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the input is missing");
  if (call.inputs[0].constant) return map_constant(call, *call.inputs[0].constant, reference);
  WEFT_TRY(const Dynamic x, call.dynamic_float(0));
  WEFT_TRY(const nn::TensorId out, call.add({.op = "Activation",
                                             .inputs = {x.tensor},
                                             .functions = {{"activation", std::move(spec)}},
                                             .shape = call.builder.graph.at(x.tensor).shape}));
  return Values{Call::retarget(x, out)};
}

/// A bound of Clip: an attribute before opset 11, an input since.
Result<float> clip_bound(const Call& call, const std::string& name, std::size_t index, float fallback) {
  if (call.has_attribute(name)) return call.get_float(name, fallback);
  if (!call.has_input(index)) return fallback;
  WEFT_TRY(const ConstantPtr bound, call.constant(index, fmt::format("the bound `{}`", name)));
  if (bound->size() != 1)
    return call.fail(Kind::ShapeMismatch, fmt::format("the bound `{}` is no single number", name));
  return as_floats(*bound).front();
}

}  // namespace

Result<Values> unary_constant(Call& call) {
  WEFT_TRY(const ConstantPtr in, call.constant(0, "the input"));
  const std::string& op = call.node.op_type;
  if (!in->floating() && (op == "Neg" || op == "Abs")) {
    Constant out = with_shape(*in, in->shape);
    for (auto& value : out.ints) {
      const bool flip = op == "Neg" || value < 0;
      if (flip && (value == std::numeric_limits<std::int64_t>::min() || -value > integer_limits(in->element).hi ||
                   -value < integer_limits(in->element).lo)) {
        return call.fail(Kind::ModelMalformed, fmt::format("{} of {} overflows", op, value));
      }
      if (flip) value = -value;
    }
    return Values{std::move(out)};
  }
  const auto rounded = [&](double (*function)(double)) {
    return map_constant(call, *in, [&](float x) { return static_cast<float>(function(static_cast<double>(x))); });
  };
  if (op == "Abs") return rounded([](double x) { return std::fabs(x); });
  if (op == "Exp") return rounded([](double x) { return std::exp(x); });
  if (op == "Neg") return rounded([](double x) { return -x; });
  WEFT_CHECK(op == "Reciprocal", "operator without function");
  return rounded([](double x) { return 1.0 / x; });
}

namespace {

/// x op constant, or constant op x. `tensor` stands in for the data of input 0 when it is given.
Result<Values> with_number(Call& call, const std::string& op, float number, bool number_first,
                           std::optional<nn::TensorId> tensor = std::nullopt) {
  WEFT_TRY(const Dynamic x, call.dynamic_float(0));
  Constant c;
  c.floats = {number};
  WEFT_TRY(const nn::TensorId out, call.add({.op = op,
                                             .attributes = {{"constant_first", number_first}},
                                             .inputs = {tensor.value_or(x.tensor)},
                                             .parameters = {{"constant", to_parameter(c)}},
                                             .shape = call.builder.graph.at(x.tensor).shape}));
  return Values{Call::retarget(x, out)};
}

float as_float(double x) { return static_cast<float>(x); }

}  // namespace

Result<Values> abs(Call& call) {
  if (call.has_input(0) && call.inputs[0].constant) return unary_constant(call);
  return function(call, {"leaky_relu", {{"alpha", -1.0}}}, [](float x) { return std::fabs(x); });
}

Result<Values> neg(Call& call) {
  if (call.has_input(0) && call.inputs[0].constant) return unary_constant(call);
  return with_number(call, "Mul", -1.0F, false);
}

Result<Values> reciprocal(Call& call) {
  if (call.has_input(0) && call.inputs[0].constant) return unary_constant(call);
  return with_number(call, "Div", 1.0F, true);
}

Result<Values> exp(Call& call) {
  if (call.has_input(0) && call.inputs[0].constant) return unary_constant(call);
  return function(call, {"exponential", {}}, [](float x) { return as_float(std::exp(static_cast<double>(x))); });
}

Result<Values> elu(Call& call) {
  WEFT_TRY(const float alpha, call.get_float("alpha", 1.0F));
  return function(call, {"elu", {{"alpha", static_cast<double>(alpha)}}}, [alpha](float x) {
    return x > 0 ? x : as_float(static_cast<double>(alpha) * std::expm1(static_cast<double>(x)));
  });
}

Result<Values> selu(Call& call) {
  constexpr float kAlpha = 1.67326319217681884765625F;
  constexpr float kGamma = 1.05070102214813232421875F;
  WEFT_TRY(const float alpha, call.get_float("alpha", kAlpha));
  WEFT_TRY(const float gamma, call.get_float("gamma", kGamma));
  // Old writers cut the numbers off; the function is the same.
  const bool usual = std::fabs(alpha - kAlpha) < 1e-3F && std::fabs(gamma - kGamma) < 1e-3F;
  if (usual) {
    return function(call, {"selu", {}}, [](float x) {
      const auto wide = static_cast<double>(x);
      return as_float(1.0507009873554805 * (x > 0 ? wide : 1.6732632423543772 * std::expm1(wide)));
    });
  }
  if (call.has_input(0) && call.inputs[0].constant) {
    return call.fail(Kind::AttributeUnsupported,
                     fmt::format("`alpha` is {} and `gamma` {}; on constants {} and {} are supported", alpha, gamma,
                                 kAlpha, kGamma));
  }
  // gamma elu(x).
  WEFT_TRY(const Dynamic x, call.dynamic_float(0));
  const Shape shape = call.builder.graph.at(x.tensor).shape;
  WEFT_TRY(const nn::TensorId elu,
           call.add({.op = "Activation",
                     .inputs = {x.tensor},
                     .functions = {{"activation", {"elu", {{"alpha", static_cast<double>(alpha)}}}}},
                     .shape = shape,
                     .suffix = "_elu"},
                    false));
  return with_number(call, "Mul", gamma, false, elu);
}

Result<Values> softplus(Call& call) {
  return function(call, {"softplus", {}}, [](float x) {
    const auto wide = static_cast<double>(x);
    return as_float(std::max(wide, 0.0) + std::log1p(std::exp(-std::fabs(wide))));
  });
}

Result<Values> softsign(Call& call) {
  return function(call, {"softsign", {}}, [](float x) { return x / (1.0F + std::fabs(x)); });
}

Result<Values> hard_sigmoid(Call& call) {
  WEFT_TRY(const float alpha, call.get_float("alpha", 0.2F));
  WEFT_TRY(const float beta, call.get_float("beta", 0.5F));
  quantizers::Spec spec{"keras_hard_sigmoid",
                        {{"slope", static_cast<double>(alpha)}, {"offset", static_cast<double>(beta)}}};
  return function(call, std::move(spec),
                  [alpha, beta](float x) { return std::max(0.0F, std::min(1.0F, alpha * x + beta)); });
}

Result<Values> gelu(Call& call) {
  bool by_tanh = false;
  if (call.has_attribute("approximate")) {
    const SourceAttribute& given = call.attributes.at("approximate");
    by_tanh = given.type == AttributeType::String && given.s == "tanh";
    if (!by_tanh && (given.type != AttributeType::String || given.s != "none"))
      return call.fail(Kind::AttributeUnsupported, "`approximate` is neither `none` nor `tanh`");
  }
  return function(call, {"gelu", {{"approximate", by_tanh}}}, [by_tanh](float x) {
    const auto wide = static_cast<double>(x);
    if (!by_tanh) return as_float(0.5 * wide * (1.0 + std::erf(wide * 0.70710678118654752)));
    return as_float(0.5 * wide * (1.0 + std::tanh(0.79788456080286536 * (wide + 0.044715 * wide * wide * wide))));
  });
}

Result<Values> thresholded_relu(Call& call) {
  WEFT_TRY(const float alpha, call.get_float("alpha", 1.0F));
  quantizers::Spec spec{
      "relu", {{"max_value", std::string("none")}, {"negative_slope", 0.0}, {"threshold", static_cast<double>(alpha)}}};
  return function(call, std::move(spec), [alpha](float x) { return x > alpha ? x : 0.0F; });
}

Result<Values> relu(Call& call) {
  quantizers::Spec spec{"relu", {{"max_value", std::string("none")}, {"negative_slope", 0.0}, {"threshold", 0.0}}};
  return function(call, std::move(spec), [](float x) { return x > 0 ? x : 0.0F; });
}

Result<Values> leaky_relu(Call& call) {
  WEFT_TRY(const float alpha, call.get_float("alpha", 0.01F));
  quantizers::Spec spec{"leaky_relu", {{"alpha", static_cast<double>(alpha)}}};
  return function(call, std::move(spec), [alpha](float x) { return x >= 0 ? x : alpha * x; });
}

Result<Values> sigmoid(Call& call) {
  return function(call, {"sigmoid", {}},
                  [](float x) { return static_cast<float>(1.0 / (1.0 + std::exp(-static_cast<double>(x)))); });
}

Result<Values> tanh(Call& call) {
  return function(call, {"tanh", {}}, [](float x) { return static_cast<float>(std::tanh(static_cast<double>(x))); });
}

Result<Values> sign(Call& call) {
  return function(call, {"sign", {}}, [](float x) { return x > 0 ? 1.0F : (x < 0 ? -1.0F : 0.0F); });
}

Result<Values> clip(Call& call) {
  if (call.has_input(0)) {
    const Value& x = call.inputs[0];
    if (x.constant ? !x.constant->floating() : x.dynamic->pending != nullptr) return clip_integers(call);
  }
  WEFT_TRY(const float lo, clip_bound(call, "min", 1, std::numeric_limits<float>::lowest()));
  WEFT_TRY(const float hi, clip_bound(call, "max", 2, std::numeric_limits<float>::max()));
  if (std::isnan(lo) || std::isnan(hi)) return call.fail(Kind::ModelMalformed, "a bound is NaN");
  quantizers::Spec spec{"clip", {{"min", static_cast<double>(lo)}, {"max", static_cast<double>(hi)}}};
  return function(call, std::move(spec), [lo, hi](float x) { return std::min(hi, std::max(lo, x)); });
}

namespace {

/// Max or Min of data and one number is a Clip.
Result<Values> bounded(Call& call, bool at_least) {
  if (call.inputs.size() == 2 && call.has_input(0) && call.has_input(1) && !call.all_constant()) {
    if (call.inputs[0].constant) std::swap(call.inputs[0], call.inputs[1]);
    if (call.inputs[1].constant && call.inputs[1].constant->floating() && call.inputs[1].constant->size() == 1 &&
        call.inputs[1].constant->shape.size() <= call.inputs[0].dynamic->shape.size()) {
      const float bound = call.inputs[1].constant->floats.front();
      if (std::isnan(bound)) return call.fail(Kind::ModelMalformed, "a bound is NaN");
      const float lo = at_least ? bound : std::numeric_limits<float>::lowest();
      const float hi = at_least ? std::numeric_limits<float>::max() : bound;
      quantizers::Spec spec{"clip", {{"min", static_cast<double>(lo)}, {"max", static_cast<double>(hi)}}};
      return function(call, std::move(spec), [lo, hi](float x) { return std::min(hi, std::max(lo, x)); });
    }
  }
  return at_least ? max_tensors(call) : min_tensors(call);
}

}  // namespace

Result<Values> max(Call& call) { return bounded(call, true); }
Result<Values> min(Call& call) { return bounded(call, false); }

}  // namespace weft::formats::onnx::ops
