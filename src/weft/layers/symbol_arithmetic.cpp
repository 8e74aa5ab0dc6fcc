// SPDX-License-Identifier: Apache-2.0
#include "weft/layers/symbol_arithmetic.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::layers {
namespace {

using boost::multiprecision::cpp_int;
using boost::multiprecision::denominator;
using boost::multiprecision::numerator;

constexpr int kMaxCodeBits = 62;

std::size_t last_extent(const exact::Value& value) {
  return value.shape.empty() ? 1 : static_cast<std::size_t>(value.shape.back());
}

Rational common_grid(const Rational& a, const Rational& b) {
  const cpp_int common = boost::multiprecision::lcm(cpp_int(denominator(a)), cpp_int(denominator(b)));
  const cpp_int x = numerator(a) * (common / denominator(a));
  const cpp_int y = numerator(b) * (common / denominator(b));
  return Rational(cpp_int(boost::multiprecision::gcd(x, y))) / Rational(common);
}

/// What multiples of the grid `scale` is made of; 0 when that leaves 62 bits.
std::int64_t multiple_of(const Rational& scale, const Rational& grid) {
  const Rational factor = scale / grid;
  const cpp_int n = numerator(factor);
  if (denominator(factor) != 1 || n <= 0 || boost::multiprecision::msb(n) >= kMaxCodeBits) return 0;
  return static_cast<std::int64_t>(n);
}

double largest(const fixed::Range& r) { return static_cast<double>(std::max(r.hi, -r.lo)); }

/// Adds the bound on one float32 rounding of each element of `out` where the element does not fit 24 bits.
void add_rounding(const Recipe& recipe, const nn::Node& node, Symbol& out, std::vector<double> bound) {
  const exact::Value& v = recipe.value(out.value);
  const std::size_t channels = last_extent(v);
  bound.resize(channels, 0.0);
  for (std::size_t e = 0; e < v.ranges.size(); ++e) {
    const std::size_t c = e % channels;
    const fixed::Range& r = v.ranges[e];
    const bool dyadic = fixed::log2_exact(v.scale.at(c)).has_value();
    if (dyadic && fixed::floor_shift(std::max(r.hi, -r.lo), r.step_log2) < (Int{1} << 24)) continue;
    // Off the dyadic grid both operands were rounded too.
    bound[c] = std::max(bound[c], 0.0) + fixed::to_double(v.scale.at(c)) * largest(r) * (dyadic ? 0x1p-24 : 0x1p-22);
  }
  if (std::all_of(bound.begin(), bound.end(), [](double b) { return b == 0.0; })) return;
  out.order_bound = std::move(bound);
  out.sum_layer = node.name;
}

double bound_at(const Symbol& s, std::size_t c) {
  return s.order_bound.empty() ? 0.0 : s.order_bound[s.order_bound.size() == 1 ? 0 : c];
}

Symbol made(const nn::Node& node, exact::ValueId value, bool typed) {
  Symbol out{.value = value, .pending = {}, .order_bound = {}, .sum_layer = {}, .layer = node.name};
  out.typed = typed;
  return out;
}

/// The codes of `a` in units of `grid` (per channel); `shift` is what an addition may shift them by instead.
Result<exact::ValueId> on_grid(const nn::Node& node, const std::string& name, Recipe& recipe, exact::ValueId a,
                               const Scale& grid, int& shift) {
  const Scale scale = recipe.value(a).scale;
  const std::size_t channels = std::max(grid.factors.size(), scale.factors.size());
  std::vector<Int> factors;
  bool same = true;
  for (std::size_t c = 0; c < channels; ++c) {
    const std::int64_t f = multiple_of(scale.at(c), grid.at(c));
    if (f == 0)
      return recipe.context().fail(Kind::LoweringUnsupported, node.origin,
                                   "two scales inside of the layer have no common grid within 62 bits; set types of "
                                   "its intermediates (gate, state, cell)");
    factors.push_back(f);
    same = same && f == factors[0];
  }
  shift = 0;
  if (same && (factors[0] & (factors[0] - 1)) == 0) {
    shift = fixed::trailing_zeros(factors[0]);
    return a;
  }
  const Shape shape{static_cast<std::int64_t>(channels)};
  WEFT_TRY(const auto f, recipe.add(name + "_factors", exact::Constant{std::move(factors)}, Scale(), node.origin,
                                    channels == 1 ? Shape{1} : shape));
  return recipe.add(name + "_grid", exact::Mul{a, f}, Scale(grid), node.origin);
}

}  // namespace

Result<Symbol> sum(const nn::Node& node, const std::string& name, Recipe& recipe, const Symbol& a, const Symbol& b) {
  const Scale sa = recipe.value(a.value).scale;
  const Scale sb = recipe.value(b.value).scale;
  Scale grid;
  grid.factors.resize(std::max(sa.factors.size(), sb.factors.size()));
  for (std::size_t c = 0; c < grid.factors.size(); ++c) grid.factors[c] = common_grid(sa.at(c), sb.at(c));
  int shift_a = 0;
  int shift_b = 0;
  WEFT_TRY(const auto x, on_grid(node, name, recipe, a.value, grid, shift_a));
  WEFT_TRY(const auto y, on_grid(node, name, recipe, b.value, grid, shift_b));
  WEFT_TRY(const auto value, recipe.add(name, exact::Add{x, y, shift_a, shift_b}, std::move(grid), node.origin));
  Symbol out = made(node, value, a.typed && b.typed);
  std::vector<double> bound(last_extent(recipe.value(value)), 0.0);
  for (std::size_t c = 0; c < bound.size(); ++c) bound[c] = bound_at(a, c) + bound_at(b, c);
  add_rounding(recipe, node, out, std::move(bound));
  return out;
}

Result<Symbol> times(const nn::Node& node, const std::string& name, Recipe& recipe, const Symbol& a, const Symbol& b) {
  const Scale sa = recipe.value(a.value).scale;
  const Scale sb = recipe.value(b.value).scale;
  Scale scale;
  scale.factors.resize(std::max(sa.factors.size(), sb.factors.size()));
  for (std::size_t c = 0; c < scale.factors.size(); ++c) scale.factors[c] = sa.at(c) * sb.at(c);
  WEFT_TRY(const auto value, recipe.add(name, exact::Mul{a.value, b.value}, std::move(scale), node.origin));
  Symbol out = made(node, value, a.typed && b.typed);
  const exact::Value& va = recipe.value(a.value);
  const exact::Value& vb = recipe.value(b.value);
  std::vector<double> bound(last_extent(recipe.value(value)), 0.0);
  for (std::size_t e = 0; e < va.ranges.size(); ++e) {
    const std::size_t c = e % bound.size();
    const double x = fixed::to_double(sa.at(c)) * largest(va.ranges[e]);
    const double y = fixed::to_double(sb.at(c)) * largest(vb.ranges[e]);
    bound[c] = std::max(bound[c], bound_at(a, c) * (y + bound_at(b, c)) + bound_at(b, c) * x);
  }
  add_rounding(recipe, node, out, std::move(bound));
  return out;
}

Result<Symbol> one_minus(const nn::Node& node, const std::string& name, Recipe& recipe, const Symbol& a) {
  const Scale scale = recipe.value(a.value).scale;
  const Shape shape = recipe.value(a.value).shape;
  std::vector<Int> codes;
  for (std::int64_t e = 0; e < element_count(shape); ++e) {
    const auto c = static_cast<std::size_t>(e) % last_extent(recipe.value(a.value));
    const std::int64_t one = multiple_of(Rational(1), scale.at(c));
    if (one == 0)
      return recipe.context().fail(Kind::LoweringUnsupported, node.origin,
                                   "1 is no multiple of the gate's grid; set the layer's `gate` type");
    codes.push_back(one);
  }
  WEFT_TRY(const auto ones, recipe.add(name + "_one", exact::Constant{std::move(codes)}, scale, node.origin, shape));
  WEFT_TRY(const auto value, recipe.add(name, exact::Sub{ones, a.value, 0, 0}, scale, node.origin));
  Symbol out = made(node, value, a.typed);
  add_rounding(recipe, node, out, a.order_bound);
  return out;
}

Result<Symbol> pick(const nn::Node& node, const std::string& name, Recipe& recipe, const Symbol& a, std::int64_t from,
                    std::int64_t count) {
  Scale scale = recipe.value(a.value).scale;
  if (!scale.per_tensor()) scale.factors = {scale.factors.begin() + from, scale.factors.begin() + from + count};
  exact::Gather gather{a.value, {}, 0};
  for (std::int64_t i = 0; i < count; ++i) gather.indices.push_back(from + i);
  Symbol out = a;
  WEFT_TRY(out.value, recipe.add(name, std::move(gather), std::move(scale), node.origin, Shape{count}));
  if (a.order_bound.size() > 1) out.order_bound = {a.order_bound.begin() + from, a.order_bound.begin() + from + count};
  return out;
}

Result<Symbol> joined(const nn::Node& node, const std::string& name, Recipe& recipe, const std::vector<Symbol>& parts) {
  std::vector<exact::ValueId> xs;
  std::vector<Rational> factors;
  std::vector<double> bound;
  bool typed = true;
  bool bounded = false;
  for (const auto& part : parts) {
    const exact::Value& v = recipe.value(part.value);
    xs.push_back(part.value);
    typed = typed && part.typed;
    bounded = bounded || !part.order_bound.empty();
    for (std::size_t c = 0; c < last_extent(v); ++c) {
      factors.push_back(v.scale.at(c));
      bound.push_back(bound_at(part, c));
    }
  }
  const bool same = std::all_of(factors.begin(), factors.end(), [&](const auto& f) { return f == factors[0]; });
  if (same) factors.resize(1);
  WEFT_TRY(const auto value, recipe.add(name, exact::Concat{std::move(xs), 0}, Scale(factors), node.origin));
  Symbol out = made(node, value, typed);
  if (bounded) {
    out.order_bound = std::move(bound);
    out.sum_layer = node.name;
  }
  return out;
}

Result<Symbol> stacked(const nn::Node& node, const std::string& name, Recipe& recipe, std::vector<Symbol> parts,
                       const Shape& shape) {
  Scale grid = recipe.value(parts[0].value).scale;
  for (const auto& part : parts) {
    const Scale scale = recipe.value(part.value).scale;
    Scale finer;
    finer.factors.resize(std::max(grid.factors.size(), scale.factors.size()));
    for (std::size_t c = 0; c < finer.factors.size(); ++c) finer.factors[c] = common_grid(grid.at(c), scale.at(c));
    grid = std::move(finer);
  }
  std::vector<exact::ValueId> xs;
  Symbol out = made(node, {}, true);
  std::vector<double> bound(static_cast<std::size_t>(shape.empty() ? 1 : shape.back()), 0.0);
  bool bounded = false;
  for (const auto& part : parts) {
    int shift = 0;
    WEFT_TRY(auto x, on_grid(node, name, recipe, part.value, grid, shift));
    if (shift != 0) {
      WEFT_TRY(const auto zero,
               recipe.add(name + "_zero", exact::Constant{{0}}, Scale(grid.at(0)), node.origin, Shape{1}));
      WEFT_TRY(x, recipe.add(name + "_aligned", exact::Add{x, zero, shift, 0}, Scale(grid), node.origin));
    }
    Shape row = recipe.value(x).shape;
    row.insert(row.begin(), 1);
    WEFT_TRY(x, recipe.add(name + "_row", exact::Reshape{x}, Scale(grid), node.origin, row));
    xs.push_back(x);
    out.typed = out.typed && part.typed;
    bounded = bounded || !part.order_bound.empty();
    for (std::size_t c = 0; c < bound.size(); ++c) bound[c] = std::max(bound[c], bound_at(part, c));
  }
  WEFT_TRY(out.value, recipe.add(name, exact::Concat{std::move(xs), 0}, std::move(grid), node.origin));
  if (bounded) {
    out.order_bound = std::move(bound);
    out.sum_layer = node.name;
  }
  return out;
}

Result<Symbol> constant(const nn::Node& node, const std::string& name, Recipe& recipe, std::vector<Int> codes,
                        const Shape& shape, const Scale& scale) {
  WEFT_TRY(const auto value, recipe.add(name, exact::Constant{std::move(codes)}, scale, node.origin, shape));
  return made(node, value, true);
}

IntegerParameter columns(const IntegerParameter& parameter, std::int64_t from, std::int64_t count) {
  const std::int64_t all = parameter.codes.shape.back();
  Shape shape = parameter.codes.shape;
  shape.back() = count;
  IntegerParameter out{FloatTensor(shape), IntTensor(shape), parameter.scale, parameter.chosen, {}};
  if (!out.scale.per_tensor())
    out.scale.factors = {parameter.scale.factors.begin() + from, parameter.scale.factors.begin() + from + count};
  if (!parameter.uncertainty.empty()) out.uncertainty.resize(out.codes.data.size());
  for (std::size_t e = 0; e < out.codes.data.size(); ++e) {
    const auto i = static_cast<std::int64_t>(e);
    const auto source = static_cast<std::size_t>(i / count * all + from + i % count);
    out.values.data[e] = parameter.values.data[source];
    out.codes.data[e] = parameter.codes.data[source];
    if (!out.uncertainty.empty()) out.uncertainty[e] = parameter.uncertainty[source];
  }
  return out;
}

Result<IntegerParameter> rows_joined(const nn::Node& node, const IntegerParameter& a, const IntegerParameter& b,
                                     Context& ctx) {
  const std::int64_t n = a.codes.shape.at(1);
  WEFT_CHECK(b.codes.shape.at(1) == n, "joined parameters with different columns");
  const Shape shape{a.codes.shape[0] + b.codes.shape[0], n};
  IntegerParameter out{FloatTensor(shape), IntTensor(shape), Scale(), a.chosen || b.chosen, {}};
  const bool per_tensor = a.scale.per_tensor() && b.scale.per_tensor();
  out.scale.factors.resize(per_tensor ? 1 : static_cast<std::size_t>(n));
  for (std::size_t c = 0; c < out.scale.factors.size(); ++c)
    out.scale.factors[c] =
        a.scale.at(c) == 0 && b.scale.at(c) == 0 ? Rational(1) : common_grid(a.scale.at(c), b.scale.at(c));
  if (!a.uncertainty.empty() || !b.uncertainty.empty()) out.uncertainty.assign(out.codes.data.size(), 0.0F);
  std::size_t at = 0;
  for (const auto* part : {&a, &b}) {
    std::vector<std::int64_t> factors;
    for (std::size_t c = 0; c < out.scale.factors.size(); ++c)
      factors.push_back(part->scale.at(c) == 0 ? 0 : multiple_of(part->scale.at(c), out.scale.factors[c]));
    for (std::size_t e = 0; e < part->codes.data.size(); ++e, ++at) {
      const std::size_t c = per_tensor ? 0 : e % static_cast<std::size_t>(n);
      const std::int64_t factor = factors[c];
      const auto code = fixed::checked_mul(part->codes.data[e], factor);
      if ((factor == 0 && part->scale.at(c) != 0) || !code || *code > (Int{1} << kMaxCodeBits) ||
          *code < -(Int{1} << kMaxCodeBits))
        return ctx.fail(Kind::TypeTooWide, node.origin,
                        "the scales of the kernel and the recurrent kernel differ too much to meet in one integer sum; "
                        "quantize both with powers of two");
      out.codes.data[at] = static_cast<std::int64_t>(*code);
      out.values.data[at] = part->values.data[e];
      if (!part->uncertainty.empty()) out.uncertainty[at] = part->uncertainty[e];
    }
  }
  return out;
}

}  // namespace weft::layers
