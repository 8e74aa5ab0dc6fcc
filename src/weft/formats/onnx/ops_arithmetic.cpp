// SPDX-License-Identifier: Apache-2.0
// Elementwise operators. On constants they are computed here, in float32 or checked int64, one operator at a time as
// the runtime would; functions are evaluated in double and rounded once.
#include <fmt/format.h>

#include <cmath>
#include <limits>

#include "weft/formats/onnx/operators.h"

namespace weft::formats::onnx::ops {
namespace {

enum class Binary { Add, Sub, Mul, Div, Pow };

float apply(Binary op, float a, float b) {
  switch (op) {
    case Binary::Add:
      return a + b;
    case Binary::Sub:
      return a - b;
    case Binary::Mul:
      return a * b;
    case Binary::Div:
      return a / b;
    case Binary::Pow:
      return static_cast<float>(std::pow(static_cast<double>(a), static_cast<double>(b)));
  }
  return 0;
}

/// nullopt on overflow of int64 and on division by zero.
std::optional<std::int64_t> apply(Binary op, std::int64_t a, std::int64_t b) {
  std::int64_t out = 0;
  switch (op) {
    case Binary::Add:
      return __builtin_add_overflow(a, b, &out) ? std::nullopt : std::optional(out);
    case Binary::Sub:
      return __builtin_sub_overflow(a, b, &out) ? std::nullopt : std::optional(out);
    case Binary::Mul:
      return __builtin_mul_overflow(a, b, &out) ? std::nullopt : std::optional(out);
    case Binary::Div:
      if (b == 0 || (b == -1 && a == std::numeric_limits<std::int64_t>::min())) return std::nullopt;
      return a / b;
    case Binary::Pow: {
      if (b < 0 || b > 64) return std::nullopt;
      out = 1;
      for (std::int64_t n = 0; n < b; ++n) {
        if (__builtin_mul_overflow(out, a, &out)) return std::nullopt;
      }
      return out;
    }
  }
  return std::nullopt;
}

Result<Constant> fold_binary(const Call& call, Binary op, const Constant& a, const Constant& b) {
  const auto to = tensor::broadcast(a.shape, b.shape);
  if (!to.ok) {
    return call.fail(Kind::ShapeMismatch,
                     fmt::format("shapes {} and {} do not broadcast", to_string(a.shape), to_string(b.shape)));
  }
  if (a.floating() != b.floating() || (a.element != b.element && op != Binary::Pow)) {
    return call.fail(Kind::ModelMalformed,
                     fmt::format("operands are of {} and {}", element_name(static_cast<std::int32_t>(a.element)),
                                 element_name(static_cast<std::int32_t>(b.element))));
  }
  WEFT_TRY_VOID(call.spend_elements(to.shape));
  Constant out;
  out.shape = to.shape;
  out.element = a.element;
  const auto left = broadcast_indices(a.shape, out.shape);
  const auto right = broadcast_indices(b.shape, out.shape);
  const auto limits = integer_limits(a.element);
  for (std::size_t i = 0; i < left.size(); ++i) {
    const auto ia = left[i];
    const auto ib = right[i];
    if (a.floating()) {
      out.floats.push_back(apply(op, a.floats[ia], b.floats[ib]));
      continue;
    }
    const auto value = apply(op, a.ints[ia], b.ints[ib]);
    if (!value || *value < limits.lo || *value > limits.hi) {
      return call.fail(Kind::ModelMalformed,
                       fmt::format("{} and {} overflow {} or divide by zero", a.ints[ia], b.ints[ib],
                                   element_name(static_cast<std::int32_t>(a.element))));
    }
    out.ints.push_back(*value);
  }
  return out;
}

/// Before opset 7 the second operand stretches only when `broadcast` is set, and `axis` says where its first axis lies.
Result<Value> legacy_operand(const Call& call, std::size_t rank, const Shape& first) {
  const Value& second = call.inputs[1];
  WEFT_TRY(const std::int64_t broadcast, call.get_int("broadcast", 0));
  if (call.opset >= 7 || !second.constant) return second;
  const auto& c = *second.constant;
  if (broadcast == 0) {
    if (c.shape != first) {
      return call.fail(Kind::ShapeMismatch, fmt::format("shapes {} and {} differ and `broadcast` is not set",
                                                        to_string(first), to_string(c.shape)));
    }
    return second;
  }
  if (!call.has_attribute("axis")) return second;
  WEFT_TRY(const std::int64_t given, call.get_int("axis", 0));
  WEFT_TRY(const std::int64_t axis, call.axis(given, static_cast<std::int64_t>(rank)));
  Shape shape = c.shape;
  if (shape.size() + static_cast<std::size_t>(axis) > rank) {
    return call.fail(Kind::ShapeMismatch, fmt::format("shape {} does not fit at axis {}", to_string(c.shape), axis));
  }
  shape.resize(rank - static_cast<std::size_t>(axis), 1);
  return Value(with_shape(c, shape));
}

const Shape& shape_of(const Value& value) { return value.constant ? value.constant->shape : value.dynamic->shape; }

Result<Values> binary(Call& call, Binary op, const std::string& layer) {
  if (!call.has_input(0) || !call.has_input(1)) return call.fail(Kind::ModelMalformed, "an operand is missing");
  WEFT_TRY(Value second, legacy_operand(call, shape_of(call.inputs[0]).size(), shape_of(call.inputs[0])));
  call.inputs[1] = std::move(second);
  // Pow is the one operator whose operands may differ in type.
  if (op == Binary::Pow && call.inputs[1].constant && !call.inputs[1].constant->floating() &&
      (call.inputs[0].dynamic || call.inputs[0].constant->floating())) {
    Constant exponent;
    exponent.shape = call.inputs[1].constant->shape;
    exponent.floats = as_floats(*call.inputs[1].constant);
    call.inputs[1] = Value(std::move(exponent));
  }
  if (call.all_constant()) {
    WEFT_TRY(Constant folded, fold_binary(call, op, *call.inputs[0].constant, *call.inputs[1].constant));
    return Values{std::move(folded)};
  }
  if (call.inputs[0].dynamic && call.inputs[1].dynamic) {
    WEFT_TRY(const Dynamic a, call.dynamic_float(0));
    WEFT_TRY(const Dynamic b, call.dynamic_float(1));
    if (op == Binary::Pow) return call.fail(Kind::LayerUnsupported, "the exponent depends on the network's input");
    if (a.shape != b.shape || a.batch_axis != b.batch_axis) {
      return call.fail(Kind::LayerUnsupported,
                       fmt::format("data tensors of shapes {} and {}; equal shapes are supported", to_string(a.shape),
                                   to_string(b.shape)));
    }
    WEFT_TRY(const nn::TensorId left, call.as_sample_shape(a, a.sample_shape()));
    WEFT_TRY(const nn::TensorId right, call.as_sample_shape(b, b.sample_shape()));
    WEFT_TRY(const nn::TensorId out, call.add({.op = layer, .inputs = {left, right}, .shape = a.sample_shape()}));
    return Values{Call::retarget(a, out)};
  }
  const bool constant_first = call.inputs[1].dynamic.has_value();
  const std::size_t at = constant_first ? 1 : 0;
  if (constant_first && op == Binary::Pow)
    return call.fail(Kind::LayerUnsupported, "the exponent depends on the network's input");
  WEFT_TRY(Dynamic x, call.dynamic_float(at));
  const Constant& c = *call.inputs[1 - at].constant;
  // More axes than the data: ones in front of it.
  while (x.shape.size() < c.shape.size() && c.shape[c.shape.size() - x.shape.size() - 1] == 1) {
    x.shape.insert(x.shape.begin(), 1);
    ++x.batch_axis;
  }
  WEFT_TRY(nn::Parameter parameter, call.operand(c, x));
  const Shape shape = call.builder.graph.at(x.tensor).shape;
  WEFT_TRY(const nn::TensorId out, call.add({.op = layer,
                                             .attributes = {{"constant_first", constant_first}},
                                             .inputs = {x.tensor},
                                             .parameters = {{"constant", std::move(parameter)}},
                                             .shape = shape}));
  return Values{Call::retarget(x, out)};
}

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

Result<Values> add(Call& call) { return binary(call, Binary::Add, "Add"); }
Result<Values> sub(Call& call) { return binary(call, Binary::Sub, "Sub"); }
Result<Values> mul(Call& call) { return binary(call, Binary::Mul, "Mul"); }
Result<Values> div(Call& call) { return binary(call, Binary::Div, "Div"); }
Result<Values> pow(Call& call) { return binary(call, Binary::Pow, "Pow"); }

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
  if (op == "Ceil") return rounded([](double x) { return std::ceil(x); });
  if (op == "Exp") return rounded([](double x) { return std::exp(x); });
  if (op == "Floor") return rounded([](double x) { return std::floor(x); });
  if (op == "Log") return rounded([](double x) { return std::log(x); });
  if (op == "Neg") return rounded([](double x) { return -x; });
  if (op == "Reciprocal") return rounded([](double x) { return 1.0 / x; });
  if (op == "Round") return rounded([](double x) { return std::nearbyint(x); });
  WEFT_CHECK(op == "Sqrt", "operator without function");
  return rounded([](double x) { return std::sqrt(x); });
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
  WEFT_TRY(const float lo, clip_bound(call, "min", 1, std::numeric_limits<float>::lowest()));
  WEFT_TRY(const float hi, clip_bound(call, "max", 2, std::numeric_limits<float>::max()));
  if (std::isnan(lo) || std::isnan(hi)) return call.fail(Kind::ModelMalformed, "a bound is NaN");
  quantizers::Spec spec{"clip", {{"min", static_cast<double>(lo)}, {"max", static_cast<double>(hi)}}};
  return function(call, std::move(spec), [lo, hi](float x) { return std::min(hi, std::max(lo, x)); });
}

}  // namespace weft::formats::onnx::ops
