// SPDX-License-Identifier: Apache-2.0
// a / b: the magnitude of b is brought into one octave, m = 2^k |b|; r = 1 / m is a function of its top bits, as
// precise at the small end of b as at the large one; then a * (sign(b) 2^k) * r. a^b: exp(b ln a).
#include "weft/layers/quotient.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/layers/rows.h"
#include "weft/layers/wide_function.h"

namespace weft::layers {
namespace {

constexpr int kMostBits = 62;

int width(Int x) { return x <= 0 ? 0 : fixed::width_bits(0, x, false); }
Int largest(const fixed::Range& r) { return std::max(r.hi, -r.lo); }

diag::Failure too_wide(const nn::Node& node, Context& ctx) {
  return ctx.fail(Kind::TypeTooWide, node.origin,
                  fmt::format("{} of these tensors needs more than 62 bits inside; give the layers in front, or this "
                              "one, narrower result types",
                              node.op));
}

double last_places(double ulps) { return std::ceil(ulps * 100.0) / 100.0; }

}  // namespace

Result<Composed> add_quotient(const nn::Node& node, Recipe& recipe, exact::ValueId a, exact::ValueId b,
                              const fixed::FixedType& type, Context& ctx) {
  const auto add = [&](const char* suffix, exact::Primitive p) {
    return recipe.add(node.name + suffix, std::move(p), Scale(), node.origin);
  };
  const Rational ratio = recipe.value(a).scale.at(0) / recipe.value(b).scale.at(0);
  const fixed::Range divisor = channel_range(recipe.value(b), 0, 1);
  const int bits = std::max(width(largest(divisor)), 1);
  const int precision = std::min(type.width_bits + 3, 28);
  // |b|: its positive part minus its negative one.
  const auto part = [&](const char* suffix, Int lo, Int hi) {
    return add(suffix,
               exact::Requant{
                   b, {fixed::ShiftRound{0, fixed::Rounding::Trn, fixed::Overflow::Sat, lo, hi, 0, true, 0}}, false});
  };
  WEFT_TRY(const auto above, part("_above", 0, std::max<Int>(divisor.hi, 0)));
  WEFT_TRY(const auto below, part("_below", std::min<Int>(divisor.lo, 0), 0));
  WEFT_TRY(const auto both, add("_both", exact::Sub{above, below, 0, 0}));
  WEFT_TRY(const auto magnitude, add_clip(recipe, node, node.name + "_magnitude", both, 0, largest(divisor)));
  const auto up = [&](Int x) { return Int{1} << (bits - width(std::max<Int>(x, 1))); };
  const fixed::Range range = channel_range(recipe.value(magnitude), 0, 1);
  WEFT_TRY(const auto to_top,
           add("_to_top", exact::Requant{magnitude, {fixed::pieces_of(up, range.lo, range.hi, {})}, false}));
  WEFT_TRY(const auto mantissa, add("_mantissa", exact::Mul{magnitude, to_top}));
  const int kept = std::min(bits, precision + 3);
  const int dropped = bits - kept;
  const fixed::ShiftRound top{
      dropped, fixed::Rounding::Trn, fixed::Overflow::Sat, Int{1} << (kept - 1), (Int{1} << kept) - 1, 0, true, 0};
  WEFT_TRY(const auto index, add("_top", exact::Requant{mantissa, {top}, false}));
  // What is no power of two in the ratio of the scales goes into the table.
  const double factor = fixed::to_double(ratio);
  const int exponent = std::ilogb(factor);
  const double rest = std::ldexp(factor, -exponent);
  const fixed::FixedType inverse_type{precision + 3, 3, false};
  const double middle = dropped > 0 ? 0.5 : 0.0;
  const CodeFunction inverse{[=](Int x) {
                               const double value = rest / std::ldexp(static_cast<double>(x) + middle, -kept);
                               return std::ldexp(value, precision);
                             },
                             channel_range(recipe.value(index), 0, 1),
                             {}};
  WEFT_TRY(const auto r, add_function(recipe, node.origin, node.name + "_inverse", index, {inverse}, inverse_type));
  // a with the sign and the octave of b.
  const auto signed_up = [&](Int x) { return x < 0 ? -up(-x) : up(x); };
  WEFT_TRY(const auto octave,
           add("_octave", exact::Requant{b, {fixed::pieces_of(signed_up, divisor.lo, divisor.hi, {0, 1})}, false}));
  if (fixed::width_bits(channel_range(recipe.value(a), 0, 1)) + bits > kMostBits) return too_wide(node, ctx);
  WEFT_TRY(const auto raised, add("_raised", exact::Mul{a, octave}));
  // y = raised r 2^(exponent - bits - precision): what lies below a few parts of the last place is dropped, what
  // saturates anyway is clipped.
  const int frac = type.frac_bits();
  const int drop = std::clamp(bits - exponent - frac - 4, 0, bits);
  const double reach = std::ldexp(static_cast<double>(largest({fixed::min_code(type), fixed::max_code(type), 0})) + 1.0,
                                  bits - exponent - frac - drop);
  const Int bound = reach < 0x1p60 ? static_cast<Int>(std::ceil(reach)) : Int{1} << 60;
  const fixed::Range have = channel_range(recipe.value(raised), 0, 1);
  const fixed::ShiftRound near{
      drop, fixed::Rounding::RndConv, fixed::Overflow::Sat, have.lo < 0 ? -bound : 0, bound, 0, true, 0};
  WEFT_TRY(const auto clipped, add("_near", exact::Requant{raised, {fixed::restrict(near, have)}, false}));
  if (fixed::width_bits(channel_range(recipe.value(clipped), 0, 1)) + inverse_type.width_bits > kMostBits)
    return too_wide(node, ctx);
  WEFT_TRY(const auto product, recipe.add(node.name + "_product", exact::Mul{clipped, r.value},
                                          Scale(fixed::pow2(exponent - bits - precision + drop)), node.origin));
  Composed out;
  WEFT_TRY(out.value, add_cast(recipe, node, node.name + "_result", product, type, true));
  // rest r is at least 1 and at most 4: relative and absolute errors in last places of the result.
  const double relative = std::ldexp(r.report.worst_ulps, -precision) + (dropped > 0 ? std::ldexp(1.0, -kept) : 0.0);
  const double ulps = 0.5 + std::ldexp(relative, type.width_bits - (type.is_signed ? 1 : 0)) +
                      (drop > 0 ? std::ldexp(2.0, drop + exponent - bits + frac) : 0.0);
  out.note = fmt::format(
      "quotient by the inverse of the divisor's octave as {} ({}), result as {} within {:.2f} last places{}",
      fixed::to_string(inverse_type), r.report.text(), fixed::to_string(type), last_places(ulps),
      divisor.lo <= 0 && divisor.hi >= 0 ? "; a divisor of 0 counts as its smallest positive code" : "");
  return out;
}

Result<Composed> add_power(const nn::Node& node, Recipe& recipe, exact::ValueId a, exact::ValueId b,
                           const fixed::FixedType& type, Context& ctx) {
  const double base_unit = fixed::to_double(recipe.value(a).scale.at(0));
  const double power_unit = fixed::to_double(recipe.value(b).scale.at(0));
  const fixed::Range base = channel_range(recipe.value(a), 0, 1);
  const fixed::Range power = channel_range(recipe.value(b), 0, 1);
  const double most_power = std::max(power_unit * static_cast<double>(largest(power)), 1.0);
  const int frac = std::min(type.width_bits + 3 + std::ilogb(most_power) + 1, 30);
  const double most_log = std::max(std::fabs(std::log(base_unit)),
                                   std::fabs(std::log(base_unit * static_cast<double>(std::max<Int>(base.hi, 1)))));
  const int integer = std::ilogb(std::max(most_log, 1.0)) + 2;
  const fixed::FixedType log_type{frac + integer, integer, true};
  const CodeFunction log{
      [=](Int x) { return std::ldexp(std::log(base_unit * static_cast<double>(std::max<Int>(x, 1))), frac); },
      base,
      {}};
  WEFT_TRY(const auto l, add_function(recipe, node.origin, node.name + "_log", a, {log}, log_type));
  const int bits = fixed::width_bits(channel_range(recipe.value(l.value), 0, 1)) + fixed::width_bits(power);
  if (bits > kMostBits - 8) return too_wide(node, ctx);
  const Rational unit = fixed::pow2(-frac) * recipe.value(b).scale.at(0);
  WEFT_TRY(const auto product, recipe.add(node.name + "_product", exact::Mul{l.value, b}, Scale(unit), node.origin));
  const double product_unit = fixed::to_double(unit);
  const CodeFunction exponential{
      [=, up = type.frac_bits()](Int x) { return std::ldexp(std::exp(product_unit * static_cast<double>(x)), up); },
      channel_range(recipe.value(product), 0, 1),
      {}};
  Composed out;
  WEFT_TRY(const auto e,
           add_function(recipe, node.origin, node.name + "_exp", product, {exponential}, type, kInnerSteps, true));
  out.value = e.value;
  const double relative = most_power * std::ldexp(l.report.worst_ulps, -frac);
  const double ulps = e.report.worst_ulps + std::ldexp(relative, type.width_bits - (type.is_signed ? 1 : 0));
  out.note = fmt::format("power by logarithm as {} ({}) and exponential ({}), result as {} within {:.2f} last places{}",
                         fixed::to_string(log_type), l.report.text(), e.report.text(), fixed::to_string(type),
                         last_places(ulps),
                         base.lo <= 0 ? "; a base that is not positive counts as its smallest positive code" : "");
  return out;
}

}  // namespace weft::layers
