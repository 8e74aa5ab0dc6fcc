// SPDX-License-Identifier: Apache-2.0
// Quantizers. On constants their float32 result is computed with its integer codes and scales; on data they are
// Activations. Formulas: QONNX operator definitions (Quant: clamp, then round; float32 throughout).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/formats/onnx/operators.h"

namespace weft::formats::onnx::ops {
namespace {

/// Largest code that a float32 computation gives without doubt about its integer.
constexpr float kMaxCode = 4611686018427387904.0F;  // 2^62

struct QuantForm {
  float bits = 8;
  bool is_signed = true;
  bool narrow = false;
  std::string rounding;
};

/// One spelling per rounding: ROUND, CEIL, FLOOR, UP, DOWN, HALF_UP, HALF_DOWN.
std::optional<std::string> canonical_rounding(std::string mode) {
  std::transform(mode.begin(), mode.end(), mode.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (mode == "HALF_EVEN") return "ROUND";
  if (mode == "ROUND_TO_ZERO") return "DOWN";
  for (const auto* known : {"ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN"}) {
    if (mode == known) return mode;
  }
  return std::nullopt;
}

float round_by(const std::string& mode, float y) {
  if (mode == "ROUND") return std::nearbyintf(y);
  if (mode == "CEIL") return std::ceil(y);
  if (mode == "FLOOR") return std::floor(y);
  if (mode == "UP") return std::copysign(std::ceil(std::fabs(y)), y);
  if (mode == "DOWN") return std::trunc(y);
  // y +- 1/2 in double: the sum is exact there.
  const double magnitude = std::fabs(static_cast<double>(y));
  const double rounded = mode == "HALF_UP" ? std::floor(magnitude + 0.5) : std::ceil(magnitude - 0.5);
  return static_cast<float>(std::copysign(rounded, y));
}

/// q of the definition, before the zero point is taken off.
float quantize_to_code(const QuantForm& form, float y) {
  if (form.bits == 1.0F && form.is_signed) return y >= 0 ? 1.0F : -1.0F;
  const float narrow = form.narrow ? 1.0F : 0.0F;
  const float lo = form.is_signed ? -std::exp2(form.bits - 1) + narrow : 0.0F;
  const float hi = form.is_signed ? std::exp2(form.bits - 1) - 1.0F : std::exp2(form.bits) - 1.0F - narrow;
  return round_by(form.rounding, std::min(hi, std::max(lo, y)));
}

Result<void> check_scales(const Call& call, const std::vector<float>& scales) {
  for (const float s : scales) {
    if (std::isfinite(s) && s > 0) continue;
    return call.fail(Kind::QuantizerUnsupported, fmt::format("a scale is {}; scales must be finite and positive", s));
  }
  return {};
}

/// `parameter` for every element of `x`; the result must keep the shape of x.
Result<std::vector<float>> stretch(const Call& call, const Constant& parameter, const Constant& x,
                                   const std::string& what) {
  const auto to = tensor::broadcast(parameter.shape, x.shape);
  if (!to.ok || to.shape != x.shape) {
    return call.fail(Kind::ShapeMismatch, fmt::format("{} of shape {} does not broadcast to {}", what,
                                                      to_string(parameter.shape), to_string(x.shape)));
  }
  WEFT_TRY_VOID(call.spend_elements(x.shape));
  return as_floats(broadcast_to(parameter, x.shape));
}

Result<Values> quantize_constant(const Call& call, const Constant& x, const Constant& scale, const Constant& zero,
                                 const QuantForm& form) {
  if (!x.floating()) return call.fail(Kind::AttributeUnsupported, "quantizing integers is not supported");
  WEFT_TRY(const auto scales, stretch(call, scale, x, "the scale"));
  WEFT_TRY(const auto zeros, stretch(call, zero, x, "the zero point"));
  WEFT_TRY_VOID(check_scales(call, scales));
  WEFT_TRY_VOID(call.require_finite(x.floats, "the quantized tensor"));
  WEFT_TRY_VOID(call.require_finite(zeros, "the zero point"));
  Constant out;
  out.shape = x.shape;
  out.element = Element::Float32;
  out.scales = scales;
  bool integers = true;
  for (std::size_t i = 0; i < x.floats.size(); ++i) {
    const float y = x.floats[i] / scales[i] + zeros[i];
    const float code = quantize_to_code(form, y) - zeros[i];
    out.floats.push_back(code * scales[i]);
    // With a fractional zero point there are no integer codes at this scale; the values stand alone then.
    integers = integers && std::fabs(code) < kMaxCode && code == std::trunc(code);
    out.codes.push_back(integers ? static_cast<std::int64_t>(code) : 0);
  }
  if (!integers) {
    out.codes.clear();
    out.scales.clear();
  }
  return Values{std::move(out)};
}

/// An Activation whose parameters vary along `axis` of x, if given.
Result<Values> activation(const Call& call, const Dynamic& x, std::optional<std::int64_t> axis, quantizers::Spec spec) {
  Call::LastAxis view{x, x.tensor, call.builder.graph.at(x.tensor).shape};
  if (axis) {
    WEFT_TRY(view, call.with_last_axis(x, *axis, "the quantizer"));
  }
  WEFT_TRY(const nn::TensorId out, call.add({.op = "Activation",
                                             .inputs = {view.tensor},
                                             .functions = {{"activation", std::move(spec)}},
                                             .shape = view.shape}));
  return Values{Call::retarget(view.x, out)};
}

Result<QuantForm> read_form(const Call& call) {
  QuantForm form;
  WEFT_TRY(const ConstantPtr bits, call.constant(3, "the bit width"));
  if (!is_uniform(*bits))
    return call.fail(Kind::QuantizerUnsupported, "the bit width differs between elements; one number is supported");
  form.bits = as_floats(*bits).front();
  if (!(form.bits > 0) || form.bits > 64) {
    return call.fail(Kind::QuantizerUnsupported,
                     fmt::format("the bit width is {}; above 0 and up to 64 are supported", form.bits));
  }
  for (const auto* name : {"signed", "narrow"}) {
    if (!call.has_attribute(name))
      return call.fail(Kind::ModelMalformed, fmt::format("attribute `{}` is missing", name));
  }
  WEFT_TRY(const std::int64_t is_signed, call.get_int("signed", 1));
  WEFT_TRY(const std::int64_t narrow, call.get_int("narrow", 0));
  WEFT_TRY(const std::string mode, call.get_string("rounding_mode", "ROUND"));
  const auto rounding = canonical_rounding(mode);
  if (!rounding) {
    return call.fail(Kind::QuantizerUnsupported,
                     fmt::format("rounding mode `{}` has no defined meaning; ROUND, CEIL, FLOOR, UP, "
                                 "DOWN, HALF_UP and HALF_DOWN are supported",
                                 mode));
  }
  form.is_signed = is_signed != 0;
  form.narrow = narrow != 0;
  form.rounding = *rounding;
  return form;
}

}  // namespace

Result<Values> quant(Call& call) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the input is missing");
  WEFT_TRY(const ConstantPtr scale, call.constant(1, "the scale"));
  WEFT_TRY(const ConstantPtr zero, call.constant(2, "the zero point"));
  WEFT_TRY(const QuantForm form, read_form(call));
  if (call.inputs[0].constant) return quantize_constant(call, *call.inputs[0].constant, *scale, *zero, form);
  WEFT_TRY(const Dynamic x, call.dynamic_float(0));
  WEFT_TRY_VOID(check_scales(call, as_floats(*scale)));
  WEFT_TRY(const Call::PerChannel scales, call.per_channel(*scale, x, "the scale"));
  WEFT_TRY(const Call::PerChannel zeros, call.per_channel(*zero, x, "the zero point"));
  if (scales.axis && zeros.axis && scales.axis != zeros.axis) {
    return call.fail(Kind::QuantizerUnsupported, "scale and zero point vary along different axes");
  }
  return activation(call, x, scales.axis ? scales.axis : zeros.axis,
                    {"qonnx_quant",
                     {{"scale", scales.values},
                      {"zero_point", zeros.values},
                      {"bits", static_cast<double>(form.bits)},
                      {"signed", form.is_signed},
                      {"narrow", form.narrow},
                      {"rounding", form.rounding}}});
}

Result<Values> bipolar_quant(Call& call) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the input is missing");
  WEFT_TRY(const ConstantPtr scale, call.constant(1, "the scale"));
  WEFT_TRY_VOID(check_scales(call, as_floats(*scale)));
  if (call.inputs[0].constant) {
    const Constant& x = *call.inputs[0].constant;
    if (!x.floating()) return call.fail(Kind::AttributeUnsupported, "quantizing integers is not supported");
    WEFT_TRY_VOID(call.require_finite(x.floats, "the quantized tensor"));
    WEFT_TRY(auto scales, stretch(call, *scale, x, "the scale"));
    Constant out;
    out.shape = x.shape;
    for (std::size_t i = 0; i < x.floats.size(); ++i) {
      out.codes.push_back(x.floats[i] >= 0 ? 1 : -1);
      out.floats.push_back(static_cast<float>(out.codes.back()) * scales[i]);
    }
    out.scales = std::move(scales);
    return Values{std::move(out)};
  }
  WEFT_TRY(const Dynamic x, call.dynamic_float(0));
  WEFT_TRY(const Call::PerChannel scales, call.per_channel(*scale, x, "the scale"));
  return activation(call, x, scales.axis, {"bipolar_quant", {{"scale", scales.values}}});
}

Result<Values> multi_threshold(Call& call) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the input is missing");
  WEFT_TRY(const ConstantPtr thresholds, call.constant(1, "the thresholds"));
  WEFT_TRY(const float out_scale, call.get_float("out_scale", 1.0F));
  WEFT_TRY(const float out_bias, call.get_float("out_bias", 0.0F));
  WEFT_TRY(const std::string layout, call.get_string("data_layout", "NCHW"));
  if (!std::isfinite(out_scale) || !std::isfinite(out_bias))
    return call.fail(Kind::ModelMalformed, "`out_scale` or `out_bias` is not finite");
  if (thresholds->shape.size() != 2 || thresholds->size() == 0) {
    return call.fail(Kind::ShapeMismatch,
                     fmt::format("thresholds of shape {}; [channels, steps] is needed", to_string(thresholds->shape)));
  }
  const auto numbers = as_floats(*thresholds);
  WEFT_TRY_VOID(call.require_finite(numbers, "the threshold matrix"));
  const auto channels = thresholds->shape[0];
  const auto steps = static_cast<std::size_t>(thresholds->shape[1]);
  const Shape& full = call.inputs[0].constant ? call.inputs[0].constant->shape : call.inputs[0].dynamic->shape;
  // The layout names the axes; channels are last where it ends in C, else axis 1.
  const bool last = !layout.empty() && layout.back() == 'C' && layout.size() > 1;
  const auto axis = last ? static_cast<std::int64_t>(full.size()) - 1 : std::int64_t{1};
  if (channels != 1 && (axis < 0 || axis >= static_cast<std::int64_t>(full.size()) ||
                        full[static_cast<std::size_t>(axis)] != channels)) {
    return call.fail(Kind::ShapeMismatch, fmt::format("thresholds for {} channels meet data of shape {} in layout `{}`",
                                                      channels, to_string(full), layout));
  }
  if (call.inputs[0].constant) {
    const Constant& x = *call.inputs[0].constant;
    if (!x.floating()) return call.fail(Kind::AttributeUnsupported, "thresholds on integers are not supported");
    WEFT_TRY_VOID(call.spend_elements(x.shape));
    WEFT_TRY_VOID(call.spend_products(static_cast<std::uint64_t>(x.size()) * steps));
    std::size_t inner = 1;
    for (std::size_t d = static_cast<std::size_t>(axis) + 1; d < full.size(); ++d)
      inner *= static_cast<std::size_t>(full[d]);
    Constant out;
    out.shape = x.shape;
    for (std::size_t i = 0; i < x.floats.size(); ++i) {
      const std::size_t c = channels == 1 ? 0 : i / inner % static_cast<std::size_t>(channels);
      const auto row = numbers.begin() + static_cast<std::ptrdiff_t>(c * steps);
      const auto passed =
          std::count_if(row, row + static_cast<std::ptrdiff_t>(steps), [&](float t) { return x.floats[i] >= t; });
      out.floats.push_back(out_scale * static_cast<float>(passed) + out_bias);
    }
    return Values{std::move(out)};
  }
  WEFT_TRY(const Dynamic x, call.dynamic_float(0));
  return activation(call, x, channels == 1 ? std::nullopt : std::optional(axis),
                    {"multithreshold",
                     {{"thresholds", std::vector<double>(numbers.begin(), numbers.end())},
                      {"channels", channels},
                      {"out_scale", static_cast<double>(out_scale)},
                      {"out_bias", static_cast<double>(out_bias)}}});
}

}  // namespace weft::formats::onnx::ops
