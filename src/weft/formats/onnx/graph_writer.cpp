// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/onnx/graph_writer.h"

namespace weft::formats::onnx {

diag::Failure GraphWriter::unsupported(const exact::Value& value, const std::string& what) const {
  return ctx_.fail(Kind::LoweringUnsupported, value.origin,
                   fmt::format("`{}` ({}): {}", value.name, exact::name_of(value.primitive), what));
}
/// Codes must survive in float32.
Result<void> GraphWriter::check_codes(const exact::Value& value) const {
  const fixed::Range r = hull(value.ranges);
  const Int largest = std::max(r.hi, -r.lo) >> std::max(r.step_log2, 0);
  if (largest > kFloatCodes)
    return unsupported(value, fmt::format("codes from {} to {} are more than a float32 holds exactly; use narrower "
                                          "types",
                                          fixed::to_string(r.lo), fixed::to_string(r.hi)));
  return {};
}
Result<std::vector<float>> GraphWriter::float_scale(const exact::Value& value) const {
  std::vector<float> out;
  for (const auto& factor : value.scale.factors) {
    const auto f = exact_float(factor);
    if (!f) return unsupported(value, fmt::format("its scale {} is no float32", fixed::to_string(factor)));
    out.push_back(*f);
  }
  return out;
}

Result<std::string> GraphWriter::quantizer(const exact::Value& value, const std::string& x,
                                           const std::vector<float>& scale, float zero_point, const Bits& bits,
                                           const std::string& rounding) {
  if (options_.qcdq) return qcdq(value, x, scale, zero_point, bits, rounding);
  onnx_proto::NodeProto* node = nullptr;
  const std::string y = out_.apply(
      "Quant",
      {x, out_.floats(value.name + "_scale", shape_of(scale.size(), value), scale),
       out_.scalar(value.name + "_zero", zero_point), out_.scalar(value.name + "_bits", static_cast<float>(bits.bits))},
      value.name, &node, kQonnx);
  ModelWriter::set(node, "signed", std::int64_t{bits.is_signed ? 1 : 0});
  ModelWriter::set(node, "narrow", std::int64_t{bits.narrow ? 1 : 0});
  ModelWriter::set(node, "rounding_mode", rounding);
  return y;
}
Result<std::string> GraphWriter::qcdq(const exact::Value& value, const std::string& x, const std::vector<float>& scale,
                                      float zero_point, const Bits& bits, const std::string& rounding) {
  if (rounding != "ROUND")
    return unsupported(value, fmt::format("QuantizeLinear rounds half to even, not {}; export QONNX", rounding));
  if (bits.bits > 16 || zero_point != std::floor(zero_point))
    return unsupported(value, fmt::format("QuantizeLinear has no type of {} bits; export QONNX", bits.bits));
  const bool wide = bits.bits > 8;
  const std::int32_t element = wide ? (bits.is_signed ? 5 : 4) : (bits.is_signed ? 3 : 2);
  const Shape shape = scale.size() == 1 ? Shape{} : Shape{static_cast<std::int64_t>(scale.size())};
  const std::string s = out_.floats(value.name + "_scale", shape, scale);
  const std::string z =
      out_.narrow(value.name + "_zero", shape,
                  std::vector<std::int64_t>(scale.size(), static_cast<std::int64_t>(zero_point)), element);
  const auto axis = [&](onnx_proto::NodeProto* node) {
    if (scale.size() != 1) ModelWriter::set(node, "axis", static_cast<std::int64_t>(value.shape.size()));
  };
  onnx_proto::NodeProto* node = nullptr;
  std::string q = out_.apply("QuantizeLinear", {x, s, z}, value.name + "_q", &node);
  axis(node);
  const Bits full{wide ? 16 : 8, bits.is_signed, false};
  if (bits.lo() != full.lo() || bits.hi() != full.hi())
    q = out_.apply("Clip",
                   {q, out_.narrow(value.name + "_lo", {}, {static_cast<std::int64_t>(bits.lo())}, element),
                    out_.narrow(value.name + "_hi", {}, {static_cast<std::int64_t>(bits.hi())}, element)},
                   value.name + "_c");
  const std::string y = out_.apply("DequantizeLinear", {q, s, z}, value.name, &node);
  axis(node);
  return y;
}

/// Integer weights with a scale per output, [n_in, n_out] or of any layout that `order` gives.
Result<std::string> GraphWriter::weights(const exact::Value& value, const exact::MatVec& m, const Rational& x_scale,
                                         const Shape& shape, const std::vector<std::size_t>& order,
                                         std::int64_t channel_axis) {
  std::vector<float> scale;
  for (const auto& factor : value.scale.factors) {
    const auto f = exact_float(Rational(factor / x_scale));
    if (!f) return unsupported(value, "the scale of its weights is no float32");
    scale.push_back(*f);
  }
  fixed::Range r{0, 0, 0};
  for (const auto w : m.weights) r = fixed::unite(r, {w, w, 0});
  const bool is_signed = r.lo < 0;
  const int bits = std::max(fixed::width_bits(r.lo, r.hi, is_signed), is_signed ? 2 : 1);
  const auto outputs = static_cast<std::size_t>(m.n_out);
  const auto scale_at = [&](std::size_t w) { return scale[scale.size() == 1 ? 0 : w % outputs]; };
  Shape per_channel(shape.size(), 1);
  per_channel[static_cast<std::size_t>(channel_axis)] = m.n_out;
  if (options_.qcdq) {
    if (bits > 16) return unsupported(value, "weights of more than 16 bits; export QONNX");
    const std::int32_t element = bits > 8 ? (is_signed ? 5 : 4) : (is_signed ? 3 : 2);
    std::vector<std::int64_t> codes;
    for (const auto w : order) codes.push_back(m.weights[w]);
    const Shape vector = scale.size() == 1 ? Shape{} : Shape{m.n_out};
    onnx_proto::NodeProto* node = nullptr;
    const std::string y =
        out_.apply("DequantizeLinear",
                   {out_.narrow(value.name + "_weights", shape, codes, element),
                    out_.floats(value.name + "_wscale", vector, scale),
                    out_.narrow(value.name + "_wzero", vector, std::vector<std::int64_t>(scale.size(), 0), element)},
                   value.name + "_w", &node);
    if (scale.size() != 1) ModelWriter::set(node, "axis", channel_axis);
    return y;
  }
  std::vector<float> values;
  for (const auto w : order) values.push_back(scale_at(w) * static_cast<float>(m.weights[w]));
  onnx_proto::NodeProto* node = nullptr;
  const std::string y = out_.apply(
      "Quant",
      {out_.floats(value.name + "_weights", shape, values),
       out_.floats(value.name + "_wscale", scale.size() == 1 ? Shape{} : per_channel, scale),
       out_.scalar(value.name + "_wzero", 0.0F), out_.scalar(value.name + "_wbits", static_cast<float>(bits))},
      value.name + "_w", &node, kQonnx);
  ModelWriter::set(node, "signed", std::int64_t{is_signed ? 1 : 0});
  ModelWriter::set(node, "narrow", std::int64_t{0});
  ModelWriter::set(node, "rounding_mode", std::string("ROUND"));
  return y;
}
/// The bias as real numbers; empty when there is none.
Result<std::vector<float>> GraphWriter::bias(const exact::Value& value, const exact::MatVec& m) const {
  std::vector<float> out;
  bool any = false;
  for (std::size_t o = 0; o < m.bias.size(); ++o) {
    const auto v = exact_float(value.scale.at(o) * fixed::rational_from_int(m.bias[o]));
    if (!v) return unsupported(value, "a bias is no float32");
    out.push_back(*v);
    any = any || m.bias[o] != 0;
  }
  if (!any) out.clear();
  return out;
}

std::string GraphWriter::reshape(const std::string& base, const std::string& x, const Shape& shape) {
  Shape target{-1};
  target.insert(target.end(), shape.begin(), shape.end());
  return out_.apply("Reshape", {x, out_.ints(base + "_shape", {static_cast<std::int64_t>(target.size())}, target)},
                    base);
}

/// A movement keeps real numbers only where the scales move along.
Result<void> GraphWriter::check_movement(const exact::Value& value, const exact::Movement& m) const {
  const auto& x = at(m.x);
  if (x.scale.per_tensor() && value.scale.per_tensor() && x.scale.at(0) == value.scale.at(0)) return {};
  for (std::size_t e = 0; e < m.from.size(); ++e) {
    if (m.from[e] < 0) continue;
    if (x.scale.of(static_cast<std::size_t>(m.from[e])) != value.scale.of(e))
      return unsupported(value, "codes are read under another scale than they were made with");
  }
  return {};
}
}  // namespace weft::formats::onnx
