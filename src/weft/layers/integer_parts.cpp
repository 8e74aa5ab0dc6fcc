// SPDX-License-Identifier: Apache-2.0
#include "weft/layers/integer_parts.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "weft/layers/scaled_float.h"

namespace weft::layers {
namespace {

constexpr Int kMinInt32 = std::numeric_limits<std::int32_t>::min();
constexpr Int kMaxInt32 = std::numeric_limits<std::int32_t>::max();
/// Up to this many codes on one side, a factor is written as a step function.
constexpr Int kFewCodes = 1024;
/// Largest table.
constexpr Int kTableCodes = Int{1} << 17;

Scale scale_of(double scale) { return Scale(fixed::rational_from_double(scale)); }

}  // namespace

Result<IntegerSpec> integer_spec(const nn::Node& node, std::size_t multipliers, std::size_t channels, Context& ctx) {
  const auto malformed = [&](const std::string& what) {
    return ctx.fail(Kind::ModelMalformed, node.origin, what + "; import the model again");
  };
  IntegerSpec out;
  out.scales = get_doubles(node.attributes, std::string(kScales));
  out.scale = get_double(node.attributes, std::string(kScale), 1.0);
  out.lo = get_int(node.attributes, std::string(kLo), 0);
  out.hi = get_int(node.attributes, std::string(kHi), 0);
  out.wide = get_bool(node.attributes, std::string(kWide), false);
  const auto usable = [](double s) { return s > 0.0 && std::isfinite(s); };
  if (!usable(out.scale) || !std::all_of(out.scales.begin(), out.scales.end(), usable))
    return malformed("a scale is not positive");
  if (out.scales.size() < node.inputs.size()) return malformed("`scales` has too few numbers");
  if (out.lo > out.hi || out.lo < kMinInt32 * 2 || out.hi > kMaxInt32 * 2)
    return malformed("`lo` and `hi` are no range");
  const auto mantissas = get_ints(node.attributes, std::string(kMultipliers));
  const auto shifts = get_ints(node.attributes, std::string(kShifts));
  const auto fits = [&](std::size_t n) { return multipliers != 0 ? n == multipliers : n == 1 || n == channels; };
  out.factors = get_doubles(node.attributes, std::string(kFactors));
  if (!out.factors.empty()) {
    const auto in_bounds = [](double f) { return f >= 0x1p-62 && f <= 0x1p30; };
    if (!fits(out.factors.size()) || !mantissas.empty() ||
        !std::all_of(out.factors.begin(), out.factors.end(), in_bounds))
      return malformed(fmt::format("{} `factors` do not fit the layer or are out of range", out.factors.size()));
    return out;
  }
  if (!fits(mantissas.size()) || shifts.size() != mantissas.size())
    return malformed(fmt::format("{} multipliers and {} shifts do not fit the layer", mantissas.size(), shifts.size()));
  for (std::size_t i = 0; i < mantissas.size(); ++i) {
    if (mantissas[i] < 0 || mantissas[i] > kMaxInt32 || shifts[i] < -31 || shifts[i] > (out.wide ? 14 : 30))
      return ctx.fail(
          Kind::ModelMalformed, node.origin,
          fmt::format("a multiplier {} * 2^{} is out of range: the scales of this layer's tensors lie too far "
                      "apart for its kernel; quantize again with data that reach it",
                      mantissas[i], shifts[i]));
    out.multipliers.push_back({static_cast<std::int32_t>(mantissas[i]), static_cast<int>(shifts[i])});
  }
  return out;
}

Result<IntegerSpec> integer_spec(const nn::Node& node, Context& ctx) {
  nn::Node plain;
  plain.origin = node.origin;
  plain.inputs = node.inputs;
  for (const auto& key : {kScales, kScale, kLo, kHi})
    if (const auto it = node.attributes.find(std::string(key)); it != node.attributes.end())
      plain.attributes.insert(*it);
  plain.attributes[std::string(kMultipliers)] = std::vector<std::int64_t>{0};
  plain.attributes[std::string(kShifts)] = std::vector<std::int64_t>{0};
  return integer_spec(plain, 1, 0, ctx);
}

std::vector<std::int64_t> integer_codes(const std::vector<float>& values, double scale) {
  std::vector<std::int64_t> out(values.size());
  // A quotient beyond this is no code of any source; NaN becomes 0.
  constexpr double kLimit = 0x1p52;
  for (std::size_t i = 0; i < values.size(); ++i) {
    const double q = static_cast<double>(values[i]) / scale;
    out[i] = std::isnan(q) ? 0 : std::llrint(std::clamp(q, -kLimit, kLimit));
  }
  return out;
}

void set_codes(std::vector<float>& values, const std::vector<std::int64_t>& codes, double scale) {
  const ScaledFloat real(fixed::rational_from_double(scale));
  for (std::size_t i = 0; i < codes.size(); ++i) values[i] = real(codes[i]);
}

Result<exact::ValueId> integer_input(const nn::Node& node, Recipe& recipe, std::size_t i, double scale, Context& ctx) {
  const Symbol symbol = recipe.input(node, i);
  WEFT_TRY(const auto codes, recipe.codes(node, symbol, false));
  const Scale& own = recipe.value(codes.value).scale;
  if (!own.per_tensor() || own.at(0) != fixed::rational_from_double(scale))
    return ctx.fail(Kind::LoweringUnsupported, node.origin,
                    fmt::format("input {} of an integer layer has another type than the model gives it; remove the "
                                "result type that was set for `{}`",
                                i, symbol.layer));
  return codes.value;
}

Result<const IntTensor*> integer_codes_of(const nn::Node& node, const std::string& role, Context& ctx) {
  const auto& parameter = node.parameters.at(role);
  if (!parameter.quantized || parameter.quantized->codes.shape != parameter.values.shape)
    return ctx.fail(Kind::ModelMalformed, node.origin,
                    fmt::format("`{}` of an integer layer has no codes; import the model again", role));
  return &parameter.quantized->codes;
}

Int rescale(Int x, const Rescale& r, std::size_t channel) {
  if (!r.factors.empty())
    return std::clamp<Int>(fixed::tflite::multiply_real(r.wide ? x : fixed::tflite::wrap_int32(x),
                                                        r.factors[r.factors.size() == 1 ? 0 : channel]),
                           r.lo, r.hi);
  const auto& m = r.multipliers[r.multipliers.size() == 1 ? 0 : channel];
  return std::clamp<Int>(fixed::tflite::multiply(x << r.pre_shift, m, r.wide), r.lo, r.hi);
}

Result<exact::ValueId> shifted(Recipe& recipe, const nn::Node& node, const std::string& hint, exact::ValueId x,
                               int shift, fixed::Rounding rounding, Int lo, Int hi, const Scale& scale) {
  const fixed::ShiftRound f{shift, rounding, fixed::Overflow::Sat, lo, hi, fixed::width_bits({lo, hi, 0}), lo < 0, 0};
  const fixed::Range range = channel_range(recipe.value(x), 0, 1);
  return recipe.add(hint, exact::Requant{x, {fixed::restrict(f, range)}, false}, scale, node.origin);
}

Result<exact::ValueId> constant(Recipe& recipe, const nn::Node& node, const std::string& hint, std::vector<Int> codes,
                                Shape shape) {
  return recipe.add(hint, exact::Constant{std::move(codes)}, Scale(), node.origin, std::move(shape));
}

namespace {

/// What an int32 accumulator keeps of x; x itself where it cannot leave one `left` shifted bits up.
Result<exact::ValueId> accumulated(Recipe& recipe, const nn::Node& node, const std::string& hint, exact::ValueId x,
                                   int left) {
  const fixed::Range all = channel_range(recipe.value(x), 0, 1);
  if (all.lo >= (kMinInt32 >> left) && all.hi <= (kMaxInt32 >> left)) return x;
  if (left != 0)
    return recipe.context().fail(Kind::LoweringUnsupported, node.origin,
                                 "the int32 accumulator can overflow in front of a multiplier above 1; the model's "
                                 "scales are unusable");
  recipe.certificate(node.name, node.op)
      .notes.emplace_back("some inputs overflow the int32 accumulator, which wraps as the interpreter's does");
  const fixed::ShiftRound wrap{0, fixed::Rounding::Trn, fixed::Overflow::Wrap, kMinInt32, kMaxInt32, 32, true, 0};
  return recipe.add(hint + "_int32", exact::Requant{x, {wrap}, false}, Scale(), node.origin);
}

/// A step function per channel.
Result<exact::ValueId> stepwise(Recipe& recipe, const nn::Node& node, const std::string& hint, exact::ValueId x,
                                const Rescale& r, std::size_t channels, const Scale& scale) {
  exact::Requant requant{x, {}, false};
  for (std::size_t c = 0; c < channels; ++c) {
    const auto range = channel_range(recipe.value(x), c, channels);
    requant.functions.emplace_back(
        fixed::pieces_of([&](Int code) { return rescale(code, r, c); }, range.lo, range.hi, {}));
  }
  return recipe.add(hint, std::move(requant), scale, node.origin);
}

/// By `factors`: the sum times an integer, rounded once, where that was found to agree on every reachable sum.
Result<exact::ValueId> rescaled_by_factors(Recipe& recipe, const nn::Node& node, const std::string& hint,
                                           exact::ValueId x, const Rescale& r, const Scale& scale) {
  const std::size_t channels = r.factors.size();
  const auto fail = [&](const char* what) {
    return recipe.context().fail(Kind::LoweringUnsupported, node.origin,
                                 fmt::format("{}; the model's scales are unusable", what));
  };
  std::vector<fixed::tflite::RealFactor> factors;
  for (std::size_t c = 0; c < channels; ++c) {
    const auto range = channel_range(recipe.value(x), c, channels);
    if (static_cast<double>(std::max(range.hi, -range.lo)) * r.factors[c] >= 0x1p31)
      return fail("a rescaled sum can leave int32");
    if (r.hi - r.lo <= kFewCodes) continue;
    if (r.hi - r.lo > kTableCodes) return fail("a rescaled sum has more than 17 bits");
    const auto factor = fixed::tflite::integer_factor(r.factors[c], range.lo, range.hi, r.lo, r.hi);
    if (factor) factors.push_back(*factor);
  }
  if (factors.size() < channels) return stepwise(recipe, node, hint, x, r, channels, scale);
  std::vector<Int> mantissas;
  for (const auto& f : factors) mantissas.push_back(f.mantissa);
  WEFT_TRY(const auto factor, constant(recipe, node, hint + "_multiplier", std::move(mantissas),
                                       Shape{static_cast<std::int64_t>(channels)}));
  exact::Requant rounded;
  WEFT_TRY(rounded.x, recipe.add(hint + "_product", exact::Mul{x, factor}, Scale(), node.origin));
  for (const auto& f : factors)
    rounded.functions.emplace_back(fixed::ShiftRound{f.shift, fixed::Rounding::RndInf, fixed::Overflow::Sat, r.lo, r.hi,
                                                     fixed::width_bits({r.lo, r.hi, 0}), r.lo < 0, 0});
  return recipe.add(hint, std::move(rounded), scale, node.origin);
}

}  // namespace

Result<exact::ValueId> rescaled(Recipe& recipe, const nn::Node& node, const std::string& hint, exact::ValueId x,
                                const Rescale& r, const Scale& scale) {
  int left = r.pre_shift;
  for (const auto& m : r.multipliers) left = std::max(left, r.pre_shift + (r.wide ? 0 : std::max(m.shift, 0)));
  if (!r.wide) {
    WEFT_TRY(x, accumulated(recipe, node, hint, x, left));
  }
  if (!r.factors.empty()) return rescaled_by_factors(recipe, node, hint, x, r, scale);
  const auto channels = r.multipliers.size();
  const fixed::Range all = channel_range(recipe.value(x), 0, 1);
  for (std::size_t c = 0; r.wide && c < channels; ++c) {
    const auto range = channel_range(recipe.value(x), c, channels);
    const int shift = 15 - r.multipliers[c].shift;
    for (const Int end : {range.lo, range.hi}) {
      const Int result = ((end << r.pre_shift) * fixed::tflite::reduced_mantissa(r.multipliers[c])) >> shift;
      if (result <= kMinInt32 || result >= kMaxInt32)
        return recipe.context().fail(Kind::LoweringUnsupported, node.origin,
                                     "a rescaled sum can leave int32; the model's scales are unusable");
    }
  }
  if (all.hi - all.lo <= kFewCodes || r.hi - r.lo <= kFewCodes)
    return stepwise(recipe, node, hint, x, r, channels, scale);
  std::vector<Int> factors;
  for (const auto& m : r.multipliers)
    factors.push_back(r.wide ? Int{fixed::tflite::reduced_mantissa(m)} << r.pre_shift
                             : Int{m.mantissa} << (r.pre_shift + std::max(m.shift, 0)));
  WEFT_TRY(const auto factor, constant(recipe, node, hint + "_multiplier", std::move(factors),
                                       Shape{static_cast<std::int64_t>(channels)}));
  WEFT_TRY(x, recipe.add(hint + "_product", exact::Mul{x, factor}, Scale(), node.origin));
  const auto requant = [&](const std::string& name, auto shift_of, fixed::Rounding rounding, Int lo, Int hi,
                           const Scale& to) {
    exact::Requant out{x, {}, false};
    for (const auto& m : r.multipliers)
      out.functions.emplace_back(fixed::ShiftRound{shift_of(m), rounding, fixed::Overflow::Sat, lo, hi,
                                                   fixed::width_bits({lo, hi, 0}), lo < 0, 0});
    if (std::all_of(out.functions.begin(), out.functions.end(), [&](const auto& f) { return f == out.functions[0]; }))
      out.functions.resize(1);
    return recipe.add(name, std::move(out), to, node.origin);
  };
  if (r.wide) return requant(hint, [](const auto& m) { return 15 - m.shift; }, fixed::Rounding::Rnd, r.lo, r.hi, scale);
  WEFT_TRY(
      x, requant(hint + "_high", [](const auto&) { return 31; }, fixed::Rounding::Rnd, kMinInt32, kMaxInt32, Scale()));
  return requant(hint, [](const auto& m) { return std::max(-m.shift, 0); }, fixed::Rounding::RndInf, r.lo, r.hi, scale);
}

Result<exact::ValueId> tabulated(Recipe& recipe, const nn::Node& node, const std::string& hint, exact::ValueId x,
                                 const std::function<Int(Int)>& f, const Scale& scale, Context& ctx) {
  const fixed::Range range = channel_range(recipe.value(x), 0, 1);
  if (range.hi - range.lo > kTableCodes)
    return ctx.fail(Kind::LoweringUnsupported, node.origin, "a function of more than 17 bits has no table");
  fixed::Pieces pieces;
  for (Int code = range.lo; code <= range.hi; ++code) {
    const Int y = f(code);
    if (!pieces.values.empty() && pieces.values.back() == y) continue;
    if (!pieces.values.empty()) pieces.breakpoints.push_back(code);
    pieces.values.push_back(y);
  }
  return recipe.add(hint, exact::Requant{x, {std::move(pieces)}, false}, scale, node.origin);
}

Result<void> set_integer_output(const nn::Node& node, Recipe& recipe, exact::ValueId value) {
  recipe.graph().values[value.index].scale = scale_of(get_double(node.attributes, std::string(kScale), 1.0));
  Symbol out;
  out.layer = node.name;
  out.value = value;
  return recipe.set_output(node, std::move(out));
}

}  // namespace weft::layers
