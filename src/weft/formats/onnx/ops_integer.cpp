// SPDX-License-Identifier: Apache-2.0
// Operators on integers with their scales as operands: read as the float operator between a DequantizeLinear and a
// QuantizeLinear. Where the data is integers themselves, their scale goes into the constant operand, so that sums stay
// integers.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/formats/onnx/operators.h"
#include "weft/formats/onnx/tensors.h"

namespace weft::formats::onnx::ops {
namespace {

/// Data in real numbers divided by `factor`.
struct Real {
  Dynamic x;
  float factor = 1.0F;
};

Result<float> scale_at(const Call& call, std::size_t i) {
  WEFT_TRY(const ConstantPtr c, call.constant(i, "a scale"));
  if (!c->floating() || c->size() != 1 || !(c->floats[0] > 0) || !std::isfinite(c->floats[0]))
    return call.fail(Kind::QuantizerUnsupported, "a scale of data is no single positive number");
  return c->floats[0];
}

/// The zero point at input i, 0 when it is absent; and the integer type it names.
struct Zero {
  std::int64_t value = 0;
  Element element = Element::Uint8;
};
Result<Zero> zero_at(const Call& call, std::size_t i) {
  if (!call.has_input(i)) return Zero{};
  WEFT_TRY(const ConstantPtr c, call.constant(i, "a zero point"));
  if (c->floating() || c->size() != 1)
    return call.fail(Kind::QuantizerUnsupported, "a zero point of data is no single integer");
  return Zero{c->ints[0], c->element};
}

Result<Dynamic> minus(const Call& call, Dynamic x, std::int64_t zero, const std::string& suffix) {
  if (zero == 0) return x;
  WEFT_TRY(x.tensor, number_layer(call, "Sub", x.tensor, Shape(call.builder.graph.at(x.tensor).shape),
                                  static_cast<float>(zero), false, suffix));
  return x;
}

/// Data at input i with its scale and zero point behind it.
Result<Real> real(const Call& call, std::size_t i, float scale, std::int64_t zero) {
  WEFT_TRY(Dynamic x, call.data(i));
  if (is_floating(x.element)) return call.fail(Kind::ModelMalformed, fmt::format("input {} holds no integers", i));
  Real out;
  if (x.pending && x.pending->scale->size() == 1 && x.pending->scale->floats[0] == scale &&
      x.pending->zero->ints[0] == zero) {
    WEFT_TRY(out.x, settled(call, x));
    out.x.pending.reset();
  } else {
    WEFT_TRY(x, as_integers(call, x));
    WEFT_TRY(out.x, minus(call, x, zero, fmt::format("_shifted{}", i)));
    out.factor = scale;
  }
  out.x.element = Element::Float32;
  return out;
}

/// Data in real numbers.
Result<Dynamic> dequantized(const Call& call, std::size_t i) {
  WEFT_TRY(const float scale, scale_at(call, i + 1));
  WEFT_TRY(const Zero zero, zero_at(call, i + 2));
  if (call.has_input(i) && call.inputs[i].constant)
    return call.fail(Kind::LayerUnsupported, fmt::format("input {} is a constant of integers", i));
  WEFT_TRY(Real r, real(call, i, scale, zero.value));
  if (r.factor != 1.0F) {
    WEFT_TRY(r.x.tensor, number_layer(call, "Mul", r.x.tensor, Shape(call.builder.graph.at(r.x.tensor).shape), r.factor,
                                      false, fmt::format("_scaled{}", i)));
  }
  return r.x;
}

Result<Values> quantized(const Call& call, Values values, std::size_t scale_input) {
  WEFT_TRY(const float scale, scale_at(call, scale_input));
  WEFT_TRY(const Zero zero, zero_at(call, scale_input + 1));
  Constant s;
  s.floats = {scale};
  Constant z;
  z.element = zero.element;
  z.ints = {zero.value};
  const auto limits = integer_limits(zero.element);
  Dynamic& y = *values.front().dynamic;
  y.element = zero.element;
  y.pending = std::make_shared<const PendingQuantizer>(PendingQuantizer{.scale = std::make_shared<const Constant>(s),
                                                                        .zero = std::make_shared<const Constant>(z),
                                                                        .axis = 1,
                                                                        .lo = limits.lo,
                                                                        .hi = limits.hi});
  return values;
}

/// A constant of integers minus its zero points times scales, both one number or along `axis`.
Result<Constant> weights(const Call& call, std::size_t i, const ConstantPtr& scales, const ConstantPtr& zeros,
                         std::int64_t axis, float factor) {
  WEFT_TRY(const ConstantPtr w, call.constant(i, "the constant operand"));
  if (w->floating()) return call.fail(Kind::ModelMalformed, fmt::format("input {} holds no integers", i));
  WEFT_TRY_VOID(call.spend_elements(w->shape));
  const std::int64_t extent = w->shape.empty() ? 1 : w->shape[static_cast<std::size_t>(axis)];
  for (const auto& c : {scales, zeros})
    if (c && c->size() != 1 && static_cast<std::int64_t>(c->size()) != extent)
      return call.fail(Kind::ShapeMismatch, fmt::format("{} scales or zero points for {} channels", c->size(), extent));
  const auto inner = w->shape.empty() ? 1 : element_count(Shape(w->shape.begin() + axis + 1, w->shape.end()));
  Constant out;
  out.shape = w->shape;
  for (std::size_t e = 0; e < w->ints.size(); ++e) {
    const auto channel = static_cast<std::size_t>(static_cast<std::int64_t>(e) / inner % extent);
    const std::int64_t zero = zeros ? zeros->ints[zeros->size() == 1 ? 0 : channel] : 0;
    const float scale = (scales ? scales->floats[scales->size() == 1 ? 0 : channel] : 1.0F) * factor;
    const std::int64_t code = w->ints[e] - zero;
    if (!(scale > 0) || !std::isfinite(scale))
      return call.fail(Kind::QuantizerUnsupported, fmt::format("a scale is {}", scale));
    out.codes.push_back(code);
    out.scales.push_back(scale);
    out.floats.push_back(static_cast<float>(code) * scale);
  }
  return out;
}

/// The call with other inputs, for the float operator in the middle.
Call inner_call(const Call& call, Values inputs) {
  Call out = call;
  out.inputs = std::move(inputs);
  return out;
}

Result<ConstantPtr> optional_constant(const Call& call, std::size_t i, const std::string& what) {
  if (!call.has_input(i)) return ConstantPtr{};
  return call.constant(i, what);
}

Result<void> require_small(const Call& call, const ConstantPtr& zeros) {
  if (zeros && (zeros->floating() || zeros->size() == 0 ||
                std::any_of(zeros->ints.begin(), zeros->ints.end(), [](auto z) { return z < -256 || z > 65536; })))
    return call.fail(Kind::QuantizerUnsupported, "a zero point is no small integer");
  return {};
}

}  // namespace

Result<Values> qlinear_conv(Call& call) {
  WEFT_TRY(const float x_scale, scale_at(call, 1));
  WEFT_TRY(const Zero x_zero, zero_at(call, 2));
  WEFT_TRY(const ConstantPtr scales, call.constant(4, "the kernel's scale"));
  WEFT_TRY(const ConstantPtr zeros, optional_constant(call, 5, "the kernel's zero point"));
  WEFT_TRY_VOID(require_small(call, zeros));
  if (!scales->floating() || scales->size() == 0)
    return call.fail(Kind::QuantizerUnsupported, "the kernel's scale is no number");
  WEFT_TRY(const Real x, real(call, 0, x_scale, x_zero.value));
  WEFT_TRY(Constant kernel, weights(call, 3, scales, zeros, 0, x.factor));
  Values inputs{Value(x.x), Value(std::move(kernel))};
  if (call.has_input(8)) {
    WEFT_TRY(const ConstantPtr b, call.constant(8, "the bias"));
    Constant bias;
    bias.shape = b->shape;
    if (b->floating()) return call.fail(Kind::ModelMalformed, "the bias holds no integers");
    for (std::size_t o = 0; o < b->ints.size(); ++o) {
      // One unit of the bias is one unit of the sum.
      const float scale = scales->floats[scales->size() == 1 ? 0 : std::min(o, scales->size() - 1)] * x_scale;
      bias.codes.push_back(b->ints[o]);
      bias.scales.push_back(scale);
      bias.floats.push_back(static_cast<float>(b->ints[o]) * scale);
    }
    inputs.emplace_back(std::move(bias));
  }
  Call inner = inner_call(call, std::move(inputs));
  WEFT_TRY(Values y, conv(inner));
  return quantized(call, std::move(y), 6);
}

Result<Values> qlinear_matmul(Call& call) {
  WEFT_TRY(const float a_scale, scale_at(call, 1));
  WEFT_TRY(const Zero a_zero, zero_at(call, 2));
  WEFT_TRY(const ConstantPtr b_scale, call.constant(4, "the scale"));
  WEFT_TRY(const ConstantPtr b_zero, optional_constant(call, 5, "the zero point"));
  WEFT_TRY_VOID(require_small(call, b_zero));
  if (!b_scale->floating() || b_scale->size() == 0)
    return call.fail(Kind::QuantizerUnsupported, "the scale is no number");
  WEFT_TRY(const Real a, real(call, 0, a_scale, a_zero.value));
  Values inputs{Value(a.x)};
  float factor = 1.0F;
  if (call.has_input(3) && call.inputs[3].dynamic) {
    if (b_scale->size() != 1 || (b_zero && b_zero->size() != 1))
      return call.fail(Kind::QuantizerUnsupported, "two data operands with one scale per column");
    WEFT_TRY(const Real b, real(call, 3, b_scale->floats[0], b_zero ? b_zero->ints[0] : 0));
    inputs.emplace_back(b.x);
    factor = a.factor * b.factor;
  } else {
    WEFT_TRY(const ConstantPtr b, call.constant(3, "the right operand"));
    WEFT_TRY(Constant kernel,
             weights(call, 3, b_scale, b_zero,
                     std::max<std::int64_t>(static_cast<std::int64_t>(b->shape.size()) - 1, 0), a.factor));
    inputs.emplace_back(std::move(kernel));
  }
  Call inner = inner_call(call, std::move(inputs));
  WEFT_TRY(Values y, matmul(inner));
  if (factor != 1.0F) {
    Dynamic& d = *y.front().dynamic;
    WEFT_TRY(d.tensor, number_layer(call, "Mul", d.tensor, Shape(call.builder.graph.at(d.tensor).shape), factor, false,
                                    "_scaled"));
  }
  return quantized(call, std::move(y), 6);
}

Result<Values> qlinear_binary(Call& call) {
  WEFT_TRY(Dynamic a, dequantized(call, 0));
  WEFT_TRY(Dynamic b, dequantized(call, 3));
  Call inner = inner_call(call, {Value(std::move(a)), Value(std::move(b))});
  WEFT_TRY(Values y, call.node.op_type == "QLinearAdd" ? add(inner) : mul(inner));
  return quantized(call, std::move(y), 6);
}

Result<Values> qlinear_unary(Call& call) {
  WEFT_TRY(Dynamic x, dequantized(call, 0));
  WEFT_TRY(const std::int64_t last, call.get_int("channels_last", 0));
  if (last != 0) return call.fail(Kind::AttributeUnsupported, "`channels_last` is set");
  Call inner = inner_call(call, {Value(std::move(x))});
  const std::string& op = call.node.op_type;
  inner.attributes.erase("channels_last");
  WEFT_TRY(Values y, op == "QLinearLeakyRelu"     ? leaky_relu(inner)
                     : op == "QLinearSigmoid"     ? sigmoid(inner)
                     : op == "QLinearAveragePool" ? average_pool(inner)
                                                  : global_average_pool(inner));
  return quantized(call, std::move(y), 3);
}

Result<Values> qlinear_concat(Call& call) {
  Values parts;
  if (call.inputs.size() < 5 || (call.inputs.size() - 2) % 3 != 0)
    return call.fail(Kind::ModelMalformed, "inputs come in threes behind scale and zero point");
  for (std::size_t i = 2; i < call.inputs.size(); i += 3) {
    WEFT_TRY(Dynamic x, dequantized(call, i));
    parts.emplace_back(std::move(x));
  }
  Call inner = inner_call(call, std::move(parts));
  WEFT_TRY(Values y, concat(inner));
  return quantized(call, std::move(y), 0);
}

Result<Values> conv_integer(Call& call) {
  WEFT_TRY(const Zero x_zero, zero_at(call, 2));
  WEFT_TRY(const ConstantPtr zeros, optional_constant(call, 3, "the kernel's zero point"));
  WEFT_TRY_VOID(require_small(call, zeros));
  WEFT_TRY(const Real x, real(call, 0, 1.0F, x_zero.value));
  WEFT_TRY(Constant kernel, weights(call, 1, nullptr, zeros, 0, 1.0F));
  Call inner = inner_call(call, {Value(x.x), Value(std::move(kernel))});
  WEFT_TRY(Values y, conv(inner));
  y.front().dynamic->element = Element::Int32;
  return y;
}

Result<Values> matmul_integer(Call& call) {
  WEFT_TRY(const Zero a_zero, zero_at(call, 2));
  WEFT_TRY(const ConstantPtr zeros, optional_constant(call, 3, "the zero point"));
  WEFT_TRY_VOID(require_small(call, zeros));
  WEFT_TRY(const Real a, real(call, 0, 1.0F, a_zero.value));
  WEFT_TRY(const ConstantPtr b, call.constant(1, "the right operand"));
  WEFT_TRY(Constant kernel, weights(call, 1, nullptr, zeros,
                                    std::max<std::int64_t>(static_cast<std::int64_t>(b->shape.size()) - 1, 0), 1.0F));
  Call inner = inner_call(call, {Value(a.x), Value(std::move(kernel))});
  WEFT_TRY(Values y, matmul(inner));
  y.front().dynamic->element = Element::Int32;
  return y;
}

}  // namespace weft::formats::onnx::ops

namespace weft::formats::onnx {

std::vector<Operator> integer_operators() {
  const std::vector<std::string_view> conv{"auto_pad", "dilations", "group", "kernel_shape", "pads", "strides"};
  const auto unary = [](std::string_view name, std::vector<std::string_view> attributes) {
    return Operator{.name = name,
                    .domains = kMicrosoft,
                    .attributes = std::move(attributes),
                    .min_inputs = 4,
                    .max_inputs = 5,
                    .handler = ops::qlinear_unary};
  };
  const auto binary = [](std::string_view name) {
    return Operator{.name = name,
                    .domains = kMicrosoft,
                    .min_inputs = 7,
                    .max_inputs = 8,
                    .handler = ops::qlinear_binary,
                    .note = "two data operands"};
  };
  return {
      {.name = "ConvInteger",
       .attributes = conv,
       .min_inputs = 2,
       .max_inputs = 4,
       .handler = ops::conv_integer,
       .note = "constant kernel"},
      {.name = "MatMulInteger",
       .min_inputs = 2,
       .max_inputs = 4,
       .handler = ops::matmul_integer,
       .note = "data x constant, one zero point for the data"},
      binary("QLinearAdd"),
      unary("QLinearAveragePool",
            {"auto_pad", "ceil_mode", "channels_last", "count_include_pad", "kernel_shape", "pads", "strides"}),
      {.name = "QLinearConcat",
       .domains = kMicrosoft,
       .attributes = {"axis"},
       .min_inputs = 5,
       .max_inputs = 1U << 12,
       .handler = ops::qlinear_concat},
      {.name = "QLinearConv",
       .attributes = conv,
       .min_inputs = 8,
       .max_inputs = 9,
       .handler = ops::qlinear_conv,
       .note = "constant kernel and bias; one scale for the data"},
      unary("QLinearGlobalAveragePool", {"channels_last"}),
      unary("QLinearLeakyRelu", {"alpha"}),
      {.name = "QLinearMatMul",
       .min_inputs = 8,
       .max_inputs = 8,
       .handler = ops::qlinear_matmul,
       .note = "one scale for the data; per column for a constant"},
      binary("QLinearMul"),
      unary("QLinearSigmoid", {}),
  };
}

}  // namespace weft::formats::onnx
