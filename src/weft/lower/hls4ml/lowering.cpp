// SPDX-License-Identifier: Apache-2.0
#include "weft/lower/hls4ml/lowering.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

#include "weft/fixed/quantize.h"
#include "weft/layers/float_run.h"

namespace weft::lower::hls4ml {
namespace {

struct Row {
  std::string_view op;
  Result<void> (*lower)(Lowering&, const nn::Node&);
};

/// Which layers hls4ml knows and how it computes them, in alphabetic order.
constexpr std::array kRows = {
    Row{"Activation", lower_activation},
    Row{"Add", lower_merge},
    Row{"Average", lower_merge},
    Row{"AveragePool", lower_pool},
    Row{"BatchNorm", lower_scale_bias},
    Row{"Concat", lower_concat},
    Row{"Conv", lower_conv},
    Row{"Dense", lower_dense},
    Row{"DepthwiseConv", lower_conv},
    Row{"Einsum", lower_dot},
    Row{"Embedding", lower_embedding},
    Row{"GRU", lower_recurrent},
    Row{"GlobalAveragePool", lower_pool},
    Row{"GlobalMaxPool", lower_pool},
    Row{"Identity", lower_moved},
    Row{"LSTM", lower_recurrent},
    Row{"LayerNorm", lower_layer_norm},
    Row{"MaxPool", lower_pool},
    Row{"Maximum", lower_merge},
    Row{"Minimum", lower_merge},
    Row{"Mul", lower_merge},
    Row{"Pad", lower_moved},
    Row{"Permute", lower_moved},
    Row{"Rescaling", lower_scale_bias},
    Row{"Reshape", lower_moved},
    Row{"Slice", lower_moved},
    Row{"Softmax", lower_softmax},
    Row{"Sub", lower_merge},
    Row{"Upsample", lower_moved},
};

bool wraps(const fixed::FixedType& type) {
  return type.overflow != fixed::Overflow::Sat && type.overflow != fixed::Overflow::SatSym;
}

}  // namespace

Result<void> Lowering::node(const nn::Node& node) {
  for (const auto& row : kRows)
    if (row.op == node.op) return row.lower(*this, node);
  return unlike(node, fmt::format("hls4ml 1.3 has no layer `{}`", node.op));
}

diag::Failure Lowering::unlike(const nn::Node& node, const std::string& what) {
  return ctx.fail(Kind::LoweringUnsupported, node.origin, what + "; leave out --compat hls4ml");
}

int Lowering::frac_bits(exact::ValueId id) const {
  const Scale& scale = value(id).scale;
  const auto log2 = fixed::log2_exact(scale.at(0));
  WEFT_CHECK(scale.per_tensor() && log2.has_value(), "hls4ml's variables have one power-of-two scale");
  return -*log2;
}

Result<exact::ValueId> Lowering::add(const nn::Node& node, const std::string& suffix, exact::Primitive primitive,
                                     int frac_bits, std::optional<Shape> shape) {
  return recipe.add(node.name + suffix, std::move(primitive), Scale(fixed::pow2(-frac_bits)), node.origin,
                    std::move(shape));
}

namespace {

/// Whether codes in steps of 2^-frac are numbers of the type as they are; with `rounded`, but for their last places.
bool holds(const exact::Value& v, int frac, const fixed::FixedType& type, bool rounded = false) {
  const int up = type.frac_bits() - frac;
  for (const auto& r : v.ranges) {
    if (!rounded && up < 0 && r.step_log2 < -up && !(r.lo == 0 && r.hi == 0)) return false;
    const auto lo = up >= 0 ? fixed::checked_shift_left(r.lo, up) : std::optional(fixed::floor_shift(r.lo, -up));
    const auto hi = up >= 0 ? fixed::checked_shift_left(r.hi, up) : std::optional(fixed::floor_shift(r.hi, -up));
    if (!lo || !hi || *lo < fixed::min_code(type) || *hi > fixed::max_code(type)) return false;
  }
  return true;
}

}  // namespace

Result<exact::ValueId> Lowering::fit(const nn::Node& node, const std::string& suffix, exact::ValueId x,
                                     const fixed::FixedType& type) {
  if (holds(value(x), frac_bits(x), type)) return x;
  return cast(node, suffix, x, type);
}

Result<exact::ValueId> Lowering::cast(const nn::Node& node, const std::string& suffix, exact::ValueId x,
                                      const fixed::FixedType& type, bool count) {
  if (type.width_bits > (type.is_signed ? 128 : 127))
    return ctx.fail(Kind::TypeTooWide, node.origin, fmt::format("{} has more than 128 bits", fixed::to_string(type)));
  const int from = frac_bits(x);
  const bool same = holds(value(x), from, type);
  if (same && from == type.frac_bits()) return x;
  fixed::ShiftRound f;
  f.shift = from - type.frac_bits();
  f.rounding = type.rounding;
  f.overflow = type.overflow == fixed::Overflow::SatSym ? fixed::Overflow::Sat : type.overflow;
  f.lo = fixed::min_code(type);
  f.hi = fixed::max_code(type);
  f.width_bits = type.width_bits;
  f.is_signed = type.is_signed;
  f.saturation_bits = type.saturation_bits;
  const fixed::Range all = layers::channel_range(value(x), 0, 1);
  return add(node, suffix, exact::Requant{x, {fixed::restrict(f, all)}, count && !same}, type.frac_bits());
}

Result<exact::ValueId> Lowering::lookup(const nn::Node& node, const std::string& suffix, exact::ValueId x,
                                        const std::vector<Int>& starts, const std::function<Int(Int)>& f,
                                        int frac_bits) {
  const fixed::Range all = layers::channel_range(value(x), 0, 1);
  fixed::Pieces pieces{{}, {f(all.lo)}};
  for (const Int start : starts) {
    if (start <= all.lo || start > all.hi) continue;
    const Int y = f(start);
    if (y == pieces.values.back()) continue;
    pieces.breakpoints.push_back(start);
    pieces.values.push_back(y);
  }
  return add(node, suffix, exact::Requant{x, {std::move(pieces)}, false}, frac_bits);
}

Result<exact::ValueId> Lowering::constant(const nn::Node& node, const std::string& suffix, std::vector<Int> codes,
                                          int frac_bits, Shape shape) {
  return add(node, suffix, exact::Constant{std::move(codes)}, frac_bits, std::move(shape));
}

Result<exact::ValueId> Lowering::sum(const nn::Node& node, const std::string& suffix, exact::ValueId a,
                                     exact::ValueId b, bool minus) {
  const int fa = frac_bits(a);
  const int fb = frac_bits(b);
  const int frac = std::max(fa, fb);
  if (minus) return add(node, suffix, exact::Sub{a, b, frac - fa, frac - fb}, frac);
  return add(node, suffix, exact::Add{a, b, frac - fa, frac - fb}, frac);
}

Result<exact::ValueId> Lowering::product(const nn::Node& node, const std::string& suffix, exact::ValueId a,
                                         exact::ValueId b) {
  return add(node, suffix, exact::Mul{a, b}, frac_bits(a) + frac_bits(b));
}

Result<exact::ValueId> Lowering::clip(const nn::Node& node, const std::string& suffix, exact::ValueId x, Int lo,
                                      Int hi) {
  const fixed::Range all = layers::channel_range(value(x), 0, 1);
  if (all.lo >= lo && all.hi <= hi) return x;
  fixed::ShiftRound f;
  f.overflow = fixed::Overflow::Sat;
  f.lo = lo;
  f.hi = hi;
  f.width_bits = fixed::width_bits(lo, hi, true);
  return add(node, suffix, exact::Requant{x, {fixed::restrict(f, all)}, false}, frac_bits(x));
}

std::vector<Int> Lowering::through_text(const std::vector<float>& values, const fixed::FixedType& type) const {
  // hls4ml writes as many decimals as the type has fraction bits; the compiler reads a double.
  const int digits = std::max(type.frac_bits(), 0);
  std::vector<Int> out;
  out.reserve(values.size());
  for (const float v : values) {
    const std::string text = fmt::format("{:.{}f}", static_cast<double>(v), digits);
    double number = 0.0;
    std::from_chars(text.data(), text.data() + text.size(), number);
    out.push_back(fixed::from_double(number, type));
  }
  return out;
}

Result<Weights> Lowering::weights(const nn::Node& node, const std::string& parameter, const std::string& role) {
  const auto& p = node.parameters.at(parameter);
  Weights out;
  fixed::TypeSpec said = types.said(node, role);
  if (p.quantizer) {
    if (const auto own = parameter_type(*p.quantizer)) {
      said = *own;
    } else if (p.quantizer->family != "quantized_po2") {
      recipe.weaken(
          node, layers::Word::Quantized,
          fmt::format("hls4ml does not know `{}` on `{}` and takes its own type", p.quantizer->family, parameter));
    }
    const auto alpha = p.quantizer->parameters.find("alpha");
    const auto* word = alpha == p.quantizer->parameters.end() ? nullptr : std::get_if<std::string>(&alpha->second);
    const auto* number = alpha == p.quantizer->parameters.end() ? nullptr : std::get_if<double>(&alpha->second);
    if ((word != nullptr && *word != "none") || (number != nullptr && *number != 1.0))
      return unlike(node,
                    fmt::format("`{}` has a scale (alpha), which hls4ml moves into a layer of its own", parameter));
  }
  WEFT_TRY(const FloatTensor values, layers::parameter_values(node, parameter, ctx));
  for (const float v : values.data)
    if (!std::isfinite(v))
      return ctx.fail(Kind::ModelMalformed, node.origin,
                      fmt::format("parameter `{}` holds {}; train or save the model again", parameter, v));
  // Exponents of two and the integers of a QONNX file are exact in hls4ml.
  if (p.quantized || (p.quantizer && p.quantizer->family == "quantized_po2")) {
    for (const float v : values.data) {
      int exponent = 0;
      const float mantissa = std::frexp(v, &exponent);
      // 24 bits hold every mantissa; trailing zeros do not need fraction bits.
      int bits = 0;
      for (float m = mantissa; m != std::floor(m); m *= 2.0F) ++bits;
      out.frac_bits = std::max(out.frac_bits, v == 0.0F ? 0 : bits - exponent);
    }
    Int largest = 0;
    for (const float v : values.data) {
      const auto code = fixed::to_int(
          fixed::round(fixed::rational_from_double(v) * fixed::pow2(out.frac_bits), fixed::Rounding::Trn));
      if (!code)
        return ctx.fail(Kind::TypeTooWide, node.origin, fmt::format("parameter `{}` needs too many bits", parameter));
      out.codes.push_back(*code);
      largest = std::max(largest, *code < 0 ? -*code : *code);
    }
    const int width = fixed::width_bits(-largest, largest, true);
    out.type = plain(width, width - out.frac_bits);
    return out;
  }
  // A one-bit bias is added as the bit that it is.
  if (said.form == fixed::TypeSpec::Form::Bipolar && role == "bias") {
    out.type = plain(1, 1, false);
    out.codes = through_text(values.data, out.type);
    return out;
  }
  if (said.form == fixed::TypeSpec::Form::Bipolar) {
    out.bipolar = true;
    out.type = plain(2, 2);
    for (const float v : values.data) out.codes.push_back(v > 0.0F ? 1 : -1);
    return out;
  }
  out.type = said.form == fixed::TypeSpec::Form::Auto ? types.model_default() : said.fixed;
  if (out.type.width_bits > 62)
    return ctx.fail(Kind::TypeTooWide, node.origin,
                    fmt::format("parameter `{}` as {} is wider than 62 bits", parameter, fixed::to_string(out.type)));
  out.frac_bits = out.type.frac_bits();
  out.codes = through_text(values.data, out.type);
  return out;
}

fixed::FixedType Lowering::type(const nn::Node& node, const std::string& role, const fixed::FixedType& inferred) const {
  const auto said = types.said(node, role);
  return said.form == fixed::TypeSpec::Form::Auto ? inferred : said.fixed;
}

fixed::FixedType Lowering::own_type(const nn::Node& node, const std::string& role,
                                    const fixed::FixedType& fallback) const {
  const auto said = types.own(node, role);
  return said ? said->fixed : fallback;
}

Result<void> Lowering::finish(const nn::Node& node, exact::ValueId x, const fixed::FixedType& type,
                              const std::string& note) {
  if (wraps(type) && !holds(value(x), frac_bits(x), type, true))
    ctx.report(Kind::TypeMayWrap, node.origin,
               fmt::format("values may leave {} and are not clipped; use SAT or a wider type", fixed::to_string(type)));
  WEFT_TRY(const auto result, cast(node, "", x, type, true));
  return finish(node, Variable{result, type, false}, note);
}

Result<void> Lowering::finish(const nn::Node& node, const Variable& variable, const std::string& note) {
  set(node.outputs[0], variable);
  layers::Symbol symbol;
  symbol.value = variable.value;
  symbol.layer = node.name;
  recipe.graph().probes.push_back({node.name, variable.value, {}, {}});
  recipe.set(node.outputs[0], std::move(symbol));
  recipe.weaken(
      node, layers::Word::Quantized,
      fmt::format("as hls4ml: result {}{}{}", variable.bipolar ? "one bit, -1 or +1" : fixed::to_string(variable.type),
                  note.empty() ? "" : ", ", note));
  return {};
}

std::vector<Int> index_starts(const fixed::Range& range, const std::function<Int(Int)>& index) {
  std::vector<Int> out;
  for (Int at = range.lo; at <= range.hi;) {
    const Int now = index(at);
    // Gallop, then halve: runs are short in tables and long at their ends.
    Int step = 1;
    Int last = at;
    while (last < range.hi && index(std::min(last + step, range.hi)) == now) {
      last = std::min(last + step, range.hi);
      step *= 2;
    }
    Int beyond = std::min(last + step, range.hi + 1);
    while (beyond - last > 1) {
      const Int middle = last + (beyond - last) / 2;
      (index(middle) == now ? last : beyond) = middle;
    }
    at = last + 1;
    if (at <= range.hi) out.push_back(at);
  }
  return out;
}

Int table_entry(double value, const fixed::FixedType& type) {
  if (std::isfinite(value)) return fixed::from_double(value, type);
  if (type.overflow != fixed::Overflow::Sat && type.overflow != fixed::Overflow::SatSym) return 0;
  return value > 0 ? fixed::max_code(type) : fixed::min_code(type);
}

/// Data movement: the layer's own recipe, whose codes then take the result type.
Result<void> lower_moved(Lowering& l, const nn::Node& node) {
  const Variable x = l.in(node);
  const std::size_t probes = l.recipe.graph().probes.size();
  WEFT_TRY_VOID(layers::find_layer(node.op)->lower(node, l.recipe, l.ctx));
  l.recipe.graph().probes.resize(probes);
  const layers::Symbol& symbol = l.recipe.symbol(node.outputs[0]);
  WEFT_CHECK(symbol.pending.empty(), "data movement leaves codes");
  if (x.bipolar) return l.finish(node, Variable{symbol.value, x.type, true});
  // hls4ml's passes give these layers their input's type when it is inferred, and the model's otherwise.
  return l.finish(node, symbol.value, l.type(node, "result", x.type));
}

}  // namespace weft::lower::hls4ml
