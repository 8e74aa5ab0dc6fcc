// SPDX-License-Identifier: Apache-2.0
// FloatQuant and Trunc of QONNX; FINN's operators on integers: Im2Col, QuantAvgPool2d, XnorPopcountMatMul.
#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "weft/formats/onnx/operators.h"
#include "weft/formats/onnx/tensors.h"

namespace weft::formats::onnx::ops {
namespace {

std::optional<std::string> rounding_word(std::string mode) {
  std::transform(mode.begin(), mode.end(), mode.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (mode == "HALF_EVEN") return "ROUND";
  if (mode == "ROUND_TO_ZERO") return "DOWN";
  for (const auto* known : {"ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN"})
    if (mode == known) return mode;
  return std::nullopt;
}

Result<double> one_number(const Call& call, std::size_t i, const std::string& what) {
  WEFT_TRY(const ConstantPtr c, call.constant(i, what));
  if (!is_uniform(*c))
    return call.fail(Kind::QuantizerUnsupported,
                     fmt::format("{} differs between elements; one number is supported", what));
  return static_cast<double>(as_floats(*c).front());
}

Result<std::string> rounding_of(const Call& call, const std::string& fallback) {
  WEFT_TRY(const std::string given, call.get_string("rounding_mode", fallback));
  const auto word = rounding_word(given);
  if (!word)
    return call.fail(Kind::QuantizerUnsupported, fmt::format("rounding mode `{}` has no defined meaning", given));
  return *word;
}

/// An Activation whose parameters vary along `axis` of x, if given; `suffix` empty: the operator's result.
Result<Dynamic> quantizer(const Call& call, const Dynamic& x, std::optional<std::int64_t> axis, quantizers::Spec spec,
                          const std::string& suffix) {
  Call::LastAxis view{x, x.tensor, call.builder.graph.at(x.tensor).shape};
  if (axis) {
    WEFT_TRY(view, call.with_last_axis(x, *axis, "the quantizer"));
  }
  WEFT_TRY(const nn::TensorId out, function_layer(call, view.tensor, view.shape, std::move(spec), suffix));
  return Call::retarget(view.x, out);
}

quantizers::Spec quant_spec(const std::vector<double>& scale, double bits, bool is_signed, bool narrow,
                            const std::string& rounding) {
  return {"qonnx_quant",
          {{"scale", scale},
           {"zero_point", std::vector<double>{0.0}},
           {"bits", bits},
           {"signed", is_signed},
           {"narrow", narrow},
           {"rounding", rounding}}};
}

/// Wide enough for every number that a network holds on the way; the source does not clip here.
constexpr double kWideBits = 40.0;

/// x times or over constants along an axis of x; `suffix` empty: the operator's result.
Result<Dynamic> scaled(const Call& call, const std::string& op, const Dynamic& x, const Call::PerChannel& factors,
                       const std::string& suffix) {
  Call::LastAxis view{x, x.tensor, call.builder.graph.at(x.tensor).shape};
  Constant constant;
  constant.floats.assign(factors.values.begin(), factors.values.end());
  if (factors.axis) {
    WEFT_TRY(view, call.with_last_axis(x, *factors.axis, "the scale"));
    constant.shape = {static_cast<std::int64_t>(factors.values.size())};
  }
  WEFT_TRY(const nn::TensorId out, call.add({.op = op,
                                             .attributes = {{"constant_first", false}},
                                             .inputs = {view.tensor},
                                             .parameters = {{"constant", to_parameter(constant)}},
                                             .shape = view.shape,
                                             .suffix = suffix},
                                            suffix.empty()));
  return Call::retarget(view.x, out);
}

}  // namespace

Result<Values> float_quant(Call& call) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the input is missing");
  WEFT_TRY(const ConstantPtr scale, call.constant(1, "the scale"));
  WEFT_TRY(const double exponent_bits, one_number(call, 2, "the exponent's width"));
  WEFT_TRY(const double mantissa_bits, one_number(call, 3, "the mantissa's width"));
  double bias = std::exp2(exponent_bits - 1.0) - 1.0;
  if (call.has_input(4)) {
    WEFT_TRY(bias, one_number(call, 4, "the exponent's bias"));
  }
  if (!(exponent_bits >= 1 && exponent_bits <= 6 && mantissa_bits >= 0 && mantissa_bits <= 23) ||
      std::fabs(bias) > 64 || bias != std::floor(bias) || mantissa_bits != std::floor(mantissa_bits) ||
      exponent_bits != std::floor(exponent_bits))
    return call.fail(Kind::QuantizerUnsupported,
                     fmt::format("a format of {} exponent and {} mantissa bits with bias {}; whole numbers up to 6, 23 "
                                 "and 64 are supported",
                                 exponent_bits, mantissa_bits, bias));
  double largest = (2.0 - std::exp2(-mantissa_bits)) * std::exp2(std::exp2(exponent_bits) - 1.0 - bias);
  if (call.has_input(5)) {
    WEFT_TRY(const double given, one_number(call, 5, "the largest value"));
    largest = std::min(largest, given);
  }
  WEFT_TRY(const std::int64_t saturation, call.get_int("saturation", 1));
  if (saturation == 0)
    return call.fail(Kind::QuantizerUnsupported,
                     "`saturation` is 0: numbers out of range become infinite or NaN, which integers cannot say");
  WEFT_TRY(const std::string rounding, rounding_of(call, "ROUND"));
  quantizers::Spec spec{"float_quant",
                        {{"scale", std::vector<double>{1.0}},
                         {"mantissa_bits", static_cast<std::int64_t>(mantissa_bits)},
                         {"exponent_bias", static_cast<std::int64_t>(bias)},
                         {"max_value", largest},
                         {"rounding", rounding}}};
  for (const float s : as_floats(*scale))
    if (!(s > 0) || !std::isfinite(s))
      return call.fail(Kind::QuantizerUnsupported, fmt::format("a scale is {}; scales must be finite and positive", s));
  if (call.inputs[0].constant) {
    const Constant& x = *call.inputs[0].constant;
    WEFT_TRY(const auto function, quantizers::make(spec, call.origin, call.ctx));
    const auto to = tensor::broadcast(scale->shape, x.shape);
    if (!to.ok || to.shape != x.shape || !x.floating())
      return call.fail(Kind::ShapeMismatch, "the scale does not broadcast to the quantized constant");
    WEFT_TRY_VOID(call.require_finite(x.floats, "the quantized tensor"));
    WEFT_TRY_VOID(call.spend_elements(x.shape));
    const auto from = broadcast_indices(scale->shape, x.shape);
    const float unit = std::ldexp(1.0F, static_cast<int>(1 - bias - mantissa_bits));
    Constant out;
    out.shape = x.shape;
    for (std::size_t i = 0; i < x.floats.size(); ++i) {
      const float s = as_floats(*scale)[from[i]];
      const float ratio = x.floats[i] / s;
      const Int code = function->code(ratio, 0);
      out.floats.push_back(function->apply(ratio, 0) * s);
      out.codes.push_back(static_cast<std::int64_t>(code));
      out.scales.push_back(s * unit);
    }
    return Values{std::move(out)};
  }
  WEFT_TRY(const Dynamic x, call.dynamic_float(0));
  WEFT_TRY(const Call::PerChannel scales, call.per_channel(*scale, x, "the scale"));
  spec.parameters["scale"] = scales.values;
  WEFT_TRY(Dynamic y, quantizer(call, x, scales.axis, std::move(spec), ""));
  return Values{std::move(y)};
}

Result<Values> trunc(Call& call) {
  // Version 1: (x, scale, zero point, input bits, output bits); version 2 has the output's scale before its bits.
  const bool second = call.has_input(5);
  WEFT_TRY(const ConstantPtr scale, call.constant(1, "the scale"));
  WEFT_TRY(const double zero, one_number(call, 2, "the zero point"));
  WEFT_TRY(const double in_bits, one_number(call, 3, "the input's width"));
  WEFT_TRY(const double out_bits, one_number(call, second ? 5 : 4, "the output's width"));
  WEFT_TRY(const std::string rounding, rounding_of(call, "FLOOR"));
  WEFT_TRY(const std::int64_t is_signed, call.get_int("signed", 1));
  WEFT_TRY(const std::int64_t narrow, call.get_int("narrow", 0));
  if (zero != 0)
    return call.fail(Kind::QuantizerUnsupported, fmt::format("the zero point is {}; 0 is supported", zero));
  if (!(in_bits >= 1 && in_bits <= 32 && out_bits >= 1 && out_bits <= 32))
    return call.fail(Kind::QuantizerUnsupported, fmt::format("widths of {} and {} bits", in_bits, out_bits));
  WEFT_TRY(const Dynamic x, call.dynamic_float(0));
  for (const float s : as_floats(*scale))
    if (!(s > 0) || !std::isfinite(s))
      return call.fail(Kind::QuantizerUnsupported, fmt::format("a scale is {}; scales must be finite and positive", s));
  WEFT_TRY(const Call::PerChannel scales, call.per_channel(*scale, x, "the scale"));
  // On integers, as Brevitas and QONNX do: x / scale is rounded to one before anything is cut off.
  const std::vector<double> one{1.0};
  WEFT_TRY(Dynamic y, scaled(call, "Div", x, scales, "_over_scale"));
  WEFT_TRY(y, quantizer(call, y, std::nullopt, quant_spec(one, kWideBits, true, false, "ROUND"), "_rounded"));
  if (!second) {
    const std::vector<double> step{std::exp2(in_bits - out_bits)};
    WEFT_TRY(y, quantizer(call, y, std::nullopt, quant_spec(step, kWideBits, true, false, rounding), "_truncated"));
    Call::PerChannel factors = scales;
    for (auto& f : factors.values) f /= step.front();
    WEFT_TRY(y, scaled(call, "Mul", y, factors, ""));
    return Values{std::move(y)};
  }
  WEFT_TRY(const double out_scale, one_number(call, 4, "the output's scale"));
  if (scales.values.size() != 1 || !(out_scale > 0))
    return call.fail(Kind::QuantizerUnsupported, "scales per channel, or an output scale that is not positive");
  const std::vector<double> step{std::exp2(std::nearbyint(std::log2(out_scale / scales.values.front())))};
  WEFT_TRY(y, quantizer(call, y, std::nullopt, quant_spec(step, out_bits, is_signed != 0, narrow != 0, rounding),
                        "_truncated"));
  WEFT_TRY(y, scaled(call, "Mul", y, {{out_scale / step.front()}, std::nullopt}, ""));
  return Values{std::move(y)};
}

Result<Values> quant_average_pool(Call& call) {
  WEFT_TRY(Dynamic x, call.dynamic_float(0));
  WEFT_TRY(const std::int64_t kernel, call.get_int("kernel", 0));
  WEFT_TRY(const std::int64_t stride, call.get_int("stride", 1));
  WEFT_TRY(const std::int64_t in_bits, call.get_int("ibits", 0));
  WEFT_TRY(const std::int64_t out_bits, call.get_int("obits", 0));
  WEFT_TRY(const std::string layout, call.get_string("data_layout", "NCHW"));
  if (x.rank() != 4 || x.batch_axis != 0 || (layout != "NCHW" && layout != "NHWC"))
    return call.fail(Kind::ShapeMismatch, fmt::format("data of shape {} in layout `{}`", to_string(x.shape), layout));
  const bool last = layout == "NHWC";
  if (last) {
    WEFT_TRY(x, call.in_onnx_order(x));
  } else {
    WEFT_TRY(x, call.in_channels_last(x));
  }
  WEFT_TRY(x.tensor, call.with_all_axes(x));
  const Shape from = x.layer_shape();
  if (kernel < 1 || stride < 1 || in_bits < 1 || in_bits > 24 || out_bits < 1 || out_bits > 32 || kernel > from[0] ||
      kernel > from[1] || kernel > 64)
    return call.fail(Kind::AttributeUnsupported, "a window or widths that do not fit the data");
  // The bit length of the largest sum, as for unsigned numbers even where they are signed.
  std::int64_t largest = ((std::int64_t{1} << in_bits) - 1) * kernel * kernel;
  int width = 0;
  for (; largest > 0; largest /= 2) ++width;
  const int shift = std::max(0, width - static_cast<int>(out_bits));
  Shape to{(from[0] - kernel) / stride + 1, (from[1] - kernel) / stride + 1, from[2]};
  Constant ones;
  ones.shape = {kernel, kernel, from[2], 1};
  const auto count = static_cast<std::size_t>(element_count(ones.shape));
  ones.floats.assign(count, 1.0F);
  ones.codes.assign(count, 1);
  ones.scales.assign(count, 1.0F);
  WEFT_TRY(x.tensor, call.add({.op = "DepthwiseConv",
                               .attributes = {{"strides", Shape{stride, stride}}},
                               .inputs = {x.tensor},
                               .parameters = {{"kernel", to_parameter(ones)}},
                               .shape = to,
                               .suffix = "_sums"},
                              false));
  x.shape = last ? Shape{x.shape[0], to[0], to[1], to[2]} : Shape{x.shape[0], to[2], to[0], to[1]};
  const double step = std::exp2(shift);
  WEFT_TRY(x, quantizer(call, x, std::nullopt, quant_spec({step}, kWideBits, true, false, "FLOOR"), "_shifted"));
  WEFT_TRY(x, scaled(call, "Mul", x, {{1.0 / step}, std::nullopt}, ""));
  return Values{std::move(x)};
}

Result<Values> xnor_matmul(Call& call) {
  WEFT_TRY(const ConstantPtr w, call.constant(1, "the right operand"));
  if (w->shape.size() != 2 || w->size() == 0)
    return call.fail(Kind::ShapeMismatch, fmt::format("a right operand of shape {}", to_string(w->shape)));
  // With w' = 2 w - 1 the count of equal bits is sum(a w') + (K - sum w') / 2.
  const auto bits = as_floats(*w);
  Constant kernel;
  kernel.shape = w->shape;
  const auto columns = static_cast<std::size_t>(w->shape[1]);
  std::vector<std::int64_t> sums(columns, 0);
  for (std::size_t i = 0; i < bits.size(); ++i) {
    if (bits[i] != 0.0F && bits[i] != 1.0F)
      return call.fail(Kind::ModelMalformed, "the right operand holds other numbers than 0 and 1");
    kernel.codes.push_back(bits[i] == 1.0F ? 1 : -1);
    kernel.floats.push_back(static_cast<float>(kernel.codes.back()));
    kernel.scales.push_back(1.0F);
    sums[i % columns] += kernel.codes.back();
  }
  Call inner = call;
  inner.inputs = {call.inputs[0], Value(std::move(kernel))};
  inner.layer_name = call.builder.unique_name(call.layer_name + "_product");
  WEFT_TRY(Values y, matmul(inner));
  Constant offset;
  offset.shape = {w->shape[1]};
  for (const auto s : sums) offset.floats.push_back(static_cast<float>(w->shape[0] - s) / 2.0F);
  Call outer = call;
  outer.inputs = {y.front(), Value(std::move(offset))};
  return add(outer);
}

Result<Values> im2col(Call& call) {
  WEFT_TRY(Dynamic x, call.data(0));
  WEFT_TRY(const Shape kernel, call.get_ints("kernel_size"));
  WEFT_TRY(const Shape stride, call.get_ints("stride"));
  WEFT_TRY(Shape pads, call.get_ints("pad_amount"));
  WEFT_TRY(Shape dilations, call.get_ints("dilations"));
  WEFT_TRY(const std::int64_t value, call.get_int("pad_value", 0));
  if (dilations.empty()) dilations = {1, 1};
  if (pads.empty()) pads = {0, 0, 0, 0};
  if (x.rank() != 4 || x.batch_axis != 0 || kernel.size() != 2 || stride.size() != 2 || pads.size() != 4 ||
      dilations.size() != 2)
    return call.fail(Kind::ShapeMismatch, fmt::format("windows over data of shape {}", to_string(x.shape)));
  WEFT_TRY(x, call.in_onnx_order(x));
  WEFT_TRY(x.tensor, call.as_sample_shape(x, x.sample_shape()));
  const Shape from = x.sample_shape();
  Shape to(2);
  for (std::size_t d = 0; d < 2; ++d) {
    if (kernel[d] < 1 || stride[d] < 1 || dilations[d] < 1 || pads[d] < 0 || pads[d + 2] < 0 || kernel[d] > 4096 ||
        dilations[d] > 4096 || pads[d] > 4096 || pads[d + 2] > 4096)
      return call.fail(Kind::AttributeUnsupported, "windows of impossible size");
    const std::int64_t room = from[d] + pads[d] + pads[d + 2] - dilations[d] * (kernel[d] - 1) - 1;
    if (room < 0) return call.fail(Kind::ShapeMismatch, "a window does not fit the data");
    to[d] = room / stride[d] + 1;
  }
  const Shape shape{to[0], to[1], kernel[0] * kernel[1] * from[2]};
  if (!checked_count(shape, std::uint64_t{1} << 24))
    return call.fail(Kind::LimitExceeded, fmt::format("windows of shape {}", to_string(shape)));
  std::vector<std::int64_t> indices;
  for (std::int64_t e = 0; e < element_count(shape); ++e) {
    const std::int64_t c = e % from[2];
    const std::int64_t kw = e / from[2] % kernel[1];
    const std::int64_t kh = e / from[2] / kernel[1] % kernel[0];
    const std::int64_t place = e / shape[2];
    const std::int64_t h = place / to[1] * stride[0] + kh * dilations[0] - pads[0];
    const std::int64_t w = place % to[1] * stride[1] + kw * dilations[1] - pads[1];
    const bool inside = h >= 0 && h < from[0] && w >= 0 && w < from[1];
    indices.push_back(inside ? (h * from[1] + w) * from[2] + c : -1);
  }
  WEFT_TRY(x.tensor, layer(call, "Pick", {x.tensor}, shape,
                           {{"shape", shape}, {"indices", indices}, {"value", static_cast<double>(value)}}, ""));
  x.shape = {x.shape[0], to[0], to[1], shape[2]};
  return Values{std::move(x)};
}

}  // namespace weft::formats::onnx::ops

namespace weft::formats::onnx {

std::vector<Operator> qonnx_operators() {
  return {
      {.name = "DebugMarker", .domains = kQuantSets, .attributes = {"export_debug_name"}, .handler = ops::identity},
      {.name = "FloatQuant",
       .domains = kStandard | kQuantSets,
       .attributes = {"rounding_mode", "has_inf", "has_infinity", "has_nan", "has_subnormal", "saturation", "signed",
                      "max_val"},
       .min_inputs = 4,
       .max_inputs = 6,
       .handler = ops::float_quant,
       .note = "saturating"},
      {.name = "Im2Col",
       .domains = kQuantSets,
       .attributes = {"dilations", "depthwise", "input_shape", "kernel_size", "pad_amount", "pad_value", "stride"},
       .handler = ops::im2col},
      {.name = "QuantAvgPool2d",
       .domains = kQuantSets,
       .attributes = {"data_layout", "ibits", "kernel", "obits", "signed", "stride"},
       .handler = ops::quant_average_pool},
      {.name = "Trunc",
       .domains = kStandard | kQuantSets,
       .attributes = {"narrow", "rounding_mode", "signed"},
       .min_inputs = 5,
       .max_inputs = 6,
       .handler = ops::trunc,
       .note = "versions 1 and 2, zero point 0"},
      {.name = "TruncQuant",
       .domains = kStandard | kQuantSets,
       .attributes = {"narrow", "rounding_mode", "signed"},
       .min_inputs = 5,
       .max_inputs = 6,
       .handler = ops::trunc,
       .note = "as Trunc"},
      {.name = "XnorPopcountMatMul",
       .domains = kQuantSets,
       .min_inputs = 2,
       .max_inputs = 2,
       .handler = ops::xnor_matmul,
       .note = "bits of data x constant bits"},
  };
}

}  // namespace weft::formats::onnx
