// SPDX-License-Identifier: Apache-2.0
// Fake quantization and quantize-dequantize pairs. PyTorch multiplies with the inverse of the scale, rounded to
// float32, then rounds, adds the zero point, clips, and multiplies the difference to the zero point with the scale.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/formats/torch/aten.h"

namespace weft::formats::torch {
namespace {

struct Affine {
  std::vector<float> scale;    ///< one number, or one per index of `axis`
  std::vector<float> inverse;  ///< as PyTorch computes it
  std::vector<std::int64_t> zero;
  std::int64_t axis = 0;
  std::int64_t lo = 0;
  std::int64_t hi = 0;

  [[nodiscard]] bool per_tensor() const { return scale.size() == 1; }
  /// Multiplying with the inverse is dividing then.
  [[nodiscard]] bool powers_of_two() const {
    int exponent = 0;
    return std::all_of(scale.begin(), scale.end(), [&](float s) { return std::frexp(s, &exponent) == 0.5F; });
  }
};

/// Number or tensor.
Result<std::vector<double>> numbers(AtenCall& call, const std::string& name) {
  for (const auto& input : call.node.inputs) {
    if (input.name != name || input.value.type == Argument::Type::Tensor) continue;
    WEFT_TRY(const double value, call.real(name));
    return std::vector<double>{value};
  }
  WEFT_TRY(const ConstantPtr c, call.constant(name));
  const auto floats = onnx::as_floats(*c);
  return std::vector<double>(floats.begin(), floats.end());
}

struct Names {
  const char* scale;
  const char* zero;
  const char* axis = nullptr;
};

Result<Affine> read_affine(AtenCall& call, const Names& names) {
  Affine out;
  WEFT_TRY(const auto scale, numbers(call, names.scale));
  WEFT_TRY(const auto zero, numbers(call, names.zero));
  WEFT_TRY(out.lo, call.integer("quant_min"));
  WEFT_TRY(out.hi, call.integer("quant_max"));
  call.ignore({"dtype", "out_dtype", "eps"});
  if (names.axis != nullptr) {
    WEFT_TRY(out.axis, call.integer(names.axis));
  }
  if (scale.empty() || scale.size() != zero.size())
    return call.fail(Kind::ShapeMismatch, "scale and zero point differ in size");
  if (names.axis == nullptr && scale.size() != 1)
    return call.fail(Kind::ShapeMismatch, "several scales for a quantizer of the whole tensor");
  constexpr std::int64_t kBound = std::int64_t{1} << 31;
  if (out.lo >= out.hi || out.lo < -kBound || out.hi > kBound)
    return call.fail(Kind::QuantizerUnsupported, fmt::format("integers from {} to {}", out.lo, out.hi));
  for (std::size_t i = 0; i < scale.size(); ++i) {
    const float s = static_cast<float>(scale[i]);
    if (!std::isfinite(s) || !(s > 0) || !std::isfinite(1.0F / s))
      return call.fail(Kind::QuantizerUnsupported, fmt::format("a scale is {}", scale[i]));
    if (zero[i] != std::floor(zero[i]) || std::fabs(zero[i]) > 0x1p31)
      return call.fail(Kind::QuantizerUnsupported, fmt::format("a zero point is {}", zero[i]));
    out.scale.push_back(s);
    out.inverse.push_back(1.0F / s);
    out.zero.push_back(static_cast<std::int64_t>(zero[i]));
  }
  return out;
}

ConstantPtr integers_like(const std::vector<std::int64_t>& values) {
  Constant out = int_constant(values);
  out.element = Element::Int32;
  if (values.size() == 1) out.shape = {};
  return std::make_shared<const Constant>(std::move(out));
}

ConstantPtr scales_like(const std::vector<float>& values) {
  const Shape shape = values.size() == 1 ? Shape{} : Shape{static_cast<std::int64_t>(values.size())};
  return std::make_shared<const Constant>(float_constant(values, shape));
}

/// Index into scale and zero point of every element.
Result<std::vector<std::size_t>> spread(const AtenCall& call, const Affine& q, const Value& x) {
  const Shape& shape = shape_of(x);
  WEFT_TRY_VOID(call.layers(x).spend_elements(shape));
  std::vector<std::size_t> out(static_cast<std::size_t>(element_count(shape)), 0);
  if (q.per_tensor()) return out;
  WEFT_TRY(const std::int64_t axis, call.axis(q.axis, rank_of(x)));
  const auto channels = static_cast<std::size_t>(shape[static_cast<std::size_t>(axis)]);
  if (channels != q.scale.size())
    return call.fail(Kind::ShapeMismatch,
                     fmt::format("{} scales along axis {} of {}", q.scale.size(), axis, to_string(shape)));
  const auto inner = static_cast<std::size_t>(element_count(Shape(shape.begin() + axis + 1, shape.end())));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = i / std::max<std::size_t>(inner, 1) % channels;
  return out;
}

/// One factor per channel, shaped to broadcast.
Result<Value> factors(const AtenCall& call, const Affine& q, const std::vector<float>& values, const Value& x) {
  if (q.per_tensor()) return Value(number(values.front()));
  WEFT_TRY(const std::int64_t axis, call.axis(q.axis, rank_of(x)));
  Shape shape(static_cast<std::size_t>(rank_of(x) - axis), 1);
  shape.front() = static_cast<std::int64_t>(values.size());
  return Value(float_constant(values, shape));
}

/// The integers: a constant, or data that waits for its dequantization.
Result<Value> quantize(const AtenCall& call, const Value& given, const Affine& q) {
  WEFT_TRY(const Value x, call.as_float(given));
  if (x.constant) {
    WEFT_TRY_VOID(call.layers(x).require_finite(x.constant->floats, "the quantized tensor"));
    WEFT_TRY(const auto at, spread(call, q, x));
    Constant out;
    out.element = Element::Int32;
    out.shape = x.constant->shape;
    for (std::size_t i = 0; i < at.size(); ++i) {
      const float rounded = std::nearbyintf(x.constant->floats[i] * q.inverse[at[i]]);
      const auto code = static_cast<std::int64_t>(std::clamp(static_cast<double>(rounded), -0x1p40, 0x1p40));
      out.ints.push_back(std::clamp(code + q.zero[at[i]], q.lo, q.hi));
    }
    return Value(std::move(out));
  }
  Value scaled = x;
  Affine waiting = q;
  if (!q.powers_of_two()) {
    WEFT_TRY(const Value inverse, factors(call, q, q.inverse, x));
    WEFT_TRY(scaled, call.one("Mul", {x, inverse}, {}, false));
    waiting.scale.assign(q.scale.size(), 1.0F);
  }
  Dynamic out = *scaled.dynamic;
  out.pending = std::make_shared<const onnx::PendingQuantizer>(onnx::PendingQuantizer{
      .scale = scales_like(waiting.scale), .zero = integers_like(q.zero), .axis = q.axis, .lo = q.lo, .hi = q.hi});
  out.element = Element::Int32;
  return Value(std::move(out));
}

Result<Value> dequantize(const AtenCall& call, const Value& x, const Affine& q) {
  if (x.constant) {
    WEFT_TRY(const auto at, spread(call, q, x));
    Constant out;
    out.shape = x.constant->shape;
    bool exact = true;
    for (std::size_t i = 0; i < at.size(); ++i) {
      const std::int64_t code = x.constant->ints[i] - q.zero[at[i]];
      out.floats.push_back(static_cast<float>(code) * q.scale[at[i]]);
      out.codes.push_back(code);
      out.scales.push_back(q.scale[at[i]]);
      exact = exact && std::abs(code) <= (std::int64_t{1} << 24);
    }
    if (!exact) {
      out.codes.clear();
      out.scales.clear();
    }
    return Value(std::move(out));
  }
  const bool direct = !x.dynamic->pending || q.powers_of_two();
  const std::vector<float> scale = direct ? q.scale : std::vector<float>(q.scale.size(), 1.0F);
  WEFT_TRY(Value out, call.one("DequantizeLinear", {x, Value(scales_like(scale)), Value(integers_like(q.zero))},
                               {{"axis", q.axis}}, direct));
  if (direct) return out;
  WEFT_TRY(const Value factor, factors(call, q, q.scale, x));
  return call.one("Mul", {out, factor});
}

Result<Values> fake(AtenCall& call, const Names& names) {
  WEFT_TRY(const Value x, call.tensor("self"));
  WEFT_TRY(const Affine q, read_affine(call, names));
  if (call.has("fake_quant_enabled")) {
    WEFT_TRY(const auto enabled, numbers(call, "fake_quant_enabled"));
    if (enabled.size() == 1 && enabled.front() == 0) return Values{x};
  }
  WEFT_TRY(const Value integers, quantize(call, x, q));
  WEFT_TRY(Value out, dequantize(call, integers, q));
  return Values{std::move(out)};
}
Result<Values> fake_per_tensor(AtenCall& call) { return fake(call, {"scale", "zero_point"}); }
Result<Values> fake_per_channel(AtenCall& call) { return fake(call, {"scale", "zero_point", "axis"}); }

Result<Values> observed(AtenCall& call) {
  WEFT_TRY(const auto observer, numbers(call, "observer_on"));
  WEFT_TRY(const auto enabled, numbers(call, "fake_quant_on"));
  if (observer.empty() || observer.front() != 0)
    return call.fail(Kind::AttributeUnsupported,
                     "the observer is on, so that the scale would follow the data; apply "
                     "`torch.ao.quantization.disable_observer` before the export");
  WEFT_TRY(const Value x, call.tensor("self"));
  WEFT_TRY(const bool per_channel, call.flag("per_row_fake_quant", false));
  WEFT_TRY(const std::int64_t lo, call.integer("quant_min"));
  call.ignore({"running_min", "running_max", "averaging_const", "symmetric_quant", "ch_axis"});
  static_cast<void>(lo);
  if (enabled.empty() || enabled.front() == 0) return Values{x};
  WEFT_TRY(const Affine q, read_affine(call, {"scale", "zero_point", per_channel ? "ch_axis" : nullptr}));
  WEFT_TRY(const Value integers, quantize(call, x, q));
  WEFT_TRY(Value out, dequantize(call, integers, q));
  return Values{std::move(out)};
}

Result<Values> quantize_as(AtenCall& call, const Names& names) {
  WEFT_TRY(const Value x, call.tensor("input"));
  WEFT_TRY(const Affine q, read_affine(call, names));
  WEFT_TRY(Value out, quantize(call, x, q));
  return Values{std::move(out)};
}
Result<Values> quantize_per_tensor(AtenCall& call) { return quantize_as(call, {"scale", "zero_point"}); }
Result<Values> quantize_per_channel(AtenCall& call) { return quantize_as(call, {"scales", "zero_points", "axis"}); }

Result<Values> dequantize_as(AtenCall& call, const Names& names) {
  WEFT_TRY(const Value x, call.tensor("input"));
  WEFT_TRY(const Affine q, read_affine(call, names));
  if (onnx::is_floating(element_of(x))) return call.fail(Kind::ModelMalformed, "the data holds no integers");
  if (x.dynamic && x.dynamic->pending) {
    const auto& made = *x.dynamic->pending;
    const bool same_scale = made.scale->floats == q.scale || !q.powers_of_two();
    if (!same_scale || made.zero->ints != q.zero || made.lo != q.lo || made.hi != q.hi)
      return call.fail(Kind::QuantizerUnsupported, "scale, zero point or bounds differ from those of the quantization");
  }
  WEFT_TRY(Value out, dequantize(call, x, q));
  return Values{std::move(out)};
}
Result<Values> dequantize_per_tensor(AtenCall& call) { return dequantize_as(call, {"scale", "zero_point"}); }
Result<Values> dequantize_per_channel(AtenCall& call) { return dequantize_as(call, {"scales", "zero_points", "axis"}); }

}  // namespace

AtenRows quantize_rows() {
  return {{"aten._fake_quantize_per_tensor_affine_cachemask_tensor_qparams", fake_per_tensor},
          {"aten.fake_quantize_per_channel_affine", fake_per_channel},
          {"aten.fake_quantize_per_channel_affine_cachemask", fake_per_channel},
          {"aten.fake_quantize_per_tensor_affine", fake_per_tensor},
          {"aten.fake_quantize_per_tensor_affine_cachemask", fake_per_tensor},
          {"aten.fused_moving_avg_obs_fake_quant", observed, "with its observer off"},
          {"quantized_decomposed.dequantize_per_channel", dequantize_per_channel},
          {"quantized_decomposed.dequantize_per_tensor", dequantize_per_tensor},
          {"quantized_decomposed.quantize_per_channel", quantize_per_channel},
          {"quantized_decomposed.quantize_per_tensor", quantize_per_tensor}};
}

}  // namespace weft::formats::torch
