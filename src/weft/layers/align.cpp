// SPDX-License-Identifier: Apache-2.0
#include "weft/layers/align.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::layers {
namespace {

constexpr int kMostBits = 62;

Rational gcd(const Rational& a, const Rational& b) {
  namespace mp = boost::multiprecision;
  const mp::cpp_int denominator = mp::lcm(mp::denominator(a), mp::denominator(b));
  const mp::cpp_int x = mp::numerator(a) * (denominator / mp::denominator(a));
  const mp::cpp_int y = mp::numerator(b) * (denominator / mp::denominator(b));
  return Rational(mp::gcd(x, y), denominator);
}

int widest(const exact::Value& value) {
  int bits = 0;
  for (const auto& r : value.ranges) bits = std::max(bits, fixed::width_bits(r));
  return bits;
}

/// Whole factors per channel that bring the scales to `common`; nullopt where the products would be too wide.
std::optional<std::vector<Int>> factors_to(const exact::Value& value, const Scale& common) {
  std::vector<Int> out;
  const std::size_t count = std::max(value.scale.factors.size(), common.factors.size());
  const int bits = widest(value);
  for (std::size_t c = 0; c < count; ++c) {
    const Rational ratio = value.scale.at(c) / common.at(c);
    const auto whole = boost::multiprecision::numerator(ratio);
    if (boost::multiprecision::denominator(ratio) != 1 ||
        static_cast<int>(boost::multiprecision::msb(whole)) + 1 + bits > kMostBits)
      return std::nullopt;
    out.push_back(*fixed::to_int(whole));
  }
  return out;
}

/// Where the channels of several values need not meet in one sum, they may keep a grid each.
enum class Grids { One, PerChannel };

/// The common grid: one for all channels where that fits, else one for each where that is allowed.
std::optional<Scale> common_scale(const Recipe& recipe, const std::vector<exact::ValueId>& values, Grids grids) {
  std::size_t channels = 1;
  for (const auto id : values) channels = std::max(channels, recipe.value(id).scale.factors.size());
  std::vector<Rational> each;
  for (std::size_t c = 0; c < channels; ++c) {
    Rational g = recipe.value(values[0]).scale.at(c);
    for (const auto id : values) g = gcd(g, recipe.value(id).scale.at(c));
    each.push_back(g);
  }
  Rational all = each[0];
  for (const auto& g : each) all = gcd(all, g);
  const auto fits = [&](const Scale& scale) {
    return std::all_of(values.begin(), values.end(),
                       [&](auto id) { return factors_to(recipe.value(id), scale).has_value(); });
  };
  if (fits(Scale(all))) return Scale(all);
  if (grids == Grids::PerChannel && channels > 1 && fits(Scale(each))) return Scale(each);
  return std::nullopt;
}

Result<Aligned> align_to(const nn::Node& node, Recipe& recipe, std::vector<exact::ValueId> values, Grids grids) {
  Aligned out;
  auto scale = common_scale(recipe, values, grids);
  if (!scale) {
    double lo = 0.0;
    double hi = 0.0;
    for (const auto id : values) {
      const auto& v = recipe.value(id);
      for (std::size_t i = 0; i < v.ranges.size(); ++i) {
        const double unit = fixed::to_double(v.scale.of(i));
        lo = std::min(lo, unit * static_cast<double>(v.ranges[i].lo));
        hi = std::max(hi, unit * static_cast<double>(v.ranges[i].hi));
      }
    }
    const auto type = recipe.policy().default_result(node, lo, hi);
    for (auto& id : values) {
      Symbol symbol;
      symbol.value = id;
      symbol.layer = node.name;
      WEFT_TRY(const Symbol typed, recipe.cast(node, symbol, type));
      id = typed.value;
    }
    recipe.weaken(
        node, Word::Quantized,
        fmt::format("inputs whose scales have no small common divisor are rounded to {}", fixed::to_string(type)));
    scale = common_scale(recipe, values, grids);
    WEFT_CHECK(scale.has_value(), "casts to one type have one grid");
  }
  out.scale = *scale;
  for (const auto id : values) {
    const auto factors = factors_to(recipe.value(id), out.scale);
    const Shape shape = recipe.value(id).shape;
    exact::ValueId same = id;
    const bool none = std::all_of(factors->begin(), factors->end(), [](Int f) { return f == 1; });
    const auto power = fixed::log2_exact(fixed::rational_from_int((*factors)[0]));
    if (!none && factors->size() == 1 && power) {
      WEFT_TRY(const auto zero,
               recipe.add(node.name + "_zero", exact::Constant{{0}}, out.scale, node.origin, Shape{1}));
      WEFT_TRY(same, recipe.add(node.name + "_aligned", exact::Add{id, zero, *power, 0}, out.scale, node.origin));
    } else if (!none) {
      // Each factor is worth 1: the numbers stay what they are.
      Scale ones;
      ones.factors.clear();
      for (const Int f : *factors) ones.factors.push_back(Rational(1) / fixed::rational_from_int(f));
      const auto count = static_cast<std::int64_t>(factors->size());
      const bool per_element = !shape.empty() && count != 1 && count != shape.back();
      WEFT_TRY(const auto constant, recipe.add(node.name + "_factor", exact::Constant{*factors}, std::move(ones),
                                               node.origin, per_element ? shape : Shape{count}));
      WEFT_TRY(same, recipe.add(node.name + "_aligned", exact::Mul{id, constant}, out.scale, node.origin));
    } else if (recipe.value(id).scale.factors.size() != out.scale.factors.size()) {
      WEFT_TRY(same, recipe.add(node.name + "_aligned", exact::Reshape{id}, out.scale, node.origin, shape));
    }
    out.values.push_back(same);
  }
  return out;
}

/// One number per element somewhere, of scales, steps or bounds.
bool is_per_element(const Recipe& recipe, const Symbol& symbol) {
  const exact::Value& value = recipe.value(symbol.value);
  const std::size_t last = value.shape.empty() ? 1 : static_cast<std::size_t>(value.shape.back());
  return std::max(channels_of(value, symbol.pending), symbol.order_bound.size()) > last;
}

}  // namespace

Result<Aligned> align(const nn::Node& node, Recipe& recipe, std::vector<exact::ValueId> values, Context&) {
  return align_to(node, recipe, std::move(values), Grids::PerChannel);
}

Result<exact::ValueId> on_one_scale(const nn::Node& node, Recipe& recipe, exact::ValueId x) {
  if (recipe.value(x).scale.per_tensor()) return x;
  WEFT_TRY(const Aligned aligned, align_to(node, recipe, {x}, Grids::One));
  return aligned.values[0];
}

Result<exact::ValueId> comparable(const nn::Node& node, Recipe& recipe, exact::ValueId x) {
  const Scale& scale = recipe.value(x).scale;
  const bool rounded = std::any_of(scale.factors.begin(), scale.factors.end(),
                                   [](const Rational& f) { return !fixed::log2_exact(f).has_value(); });
  if (!scale.per_tensor() && rounded)
    recipe.weaken(node, Word::FloatOrder, "numbers of several scales are compared before float32 rounds them");
  return on_one_scale(node, recipe, x);
}

Result<void> settle_inputs(const nn::Node& node, Recipe& recipe) {
  for (const auto id : node.inputs) {
    Symbol symbol = recipe.symbol(id);
    if (!is_per_element(recipe, symbol)) continue;
    WEFT_TRY(const auto codes, recipe.codes(node, symbol, false));
    WEFT_TRY(symbol.value, on_one_scale(node, recipe, codes.value));
    symbol.pending.clear();
    symbol.moved.reset();
    symbol.order_bound.clear();
    symbol.typed = true;
    recipe.set(id, std::move(symbol));
  }
  return {};
}

Result<Aligned> aligned_inputs(const nn::Node& node, Recipe& recipe, std::size_t first) {
  std::vector<exact::ValueId> values;
  for (std::size_t i = first; i < node.inputs.size(); ++i) {
    WEFT_TRY(const auto codes, recipe.codes(node, Symbol(recipe.input(node, i)), false));
    values.push_back(codes.value);
  }
  return align_to(node, recipe, std::move(values), Grids::One);
}

Result<exact::ValueId> negated(const nn::Node& node, Recipe& recipe, exact::ValueId x, const Scale& scale) {
  WEFT_TRY(const auto zero, recipe.add(node.name + "_zero", exact::Constant{{0}}, scale, node.origin, Shape{1}));
  return recipe.add(node.name + "_negated", exact::Sub{zero, x, 0, 0}, scale, node.origin);
}

}  // namespace weft::layers
