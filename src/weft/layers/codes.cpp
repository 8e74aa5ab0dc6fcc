// SPDX-License-Identifier: Apache-2.0
// From symbols to plain codes: what a layer that adds or multiplies needs.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/fixed/quantize.h"
#include "weft/layers/recipe.h"
#include "weft/layers/scaled_float.h"

namespace weft::layers {
namespace {

/// Sums and products stay exact in the framework's float32 below this many units of their last place.
const Rational kFloatMantissa = fixed::pow2(24);

}  // namespace

/// Pending steps that are real multiplications and additions with one constant each, and that float32 performs without
/// any rounding for every reachable code, are an exact affine function: real = factor * scale * code + offset.
std::optional<Recipe::Codes> Recipe::fold_affine(const nn::Node& node, const Symbol& symbol) {
  const exact::Value& x = value(symbol.value);
  if (!x.scale.per_tensor() || !symbol.order_bound.empty()) return std::nullopt;
  const Rational scale = x.scale.at(0);
  const fixed::Range range = channel_range(x, 0, 1);
  Rational factor(1);
  Rational offset(0);
  // Every intermediate result must lie on a dyadic grid with fewer than 2^24 steps to its magnitude.
  const auto exact_here = [&]() {
    const Rational per_code = factor * scale * fixed::pow2(range.step_log2);
    boost::multiprecision::cpp_int common = boost::multiprecision::lcm(boost::multiprecision::denominator(per_code),
                                                                       boost::multiprecision::denominator(offset));
    const boost::multiprecision::cpp_int a =
        boost::multiprecision::numerator(per_code) * (common / boost::multiprecision::denominator(per_code));
    const boost::multiprecision::cpp_int b =
        boost::multiprecision::numerator(offset) * (common / boost::multiprecision::denominator(offset));
    const boost::multiprecision::cpp_int gcd(boost::multiprecision::gcd(a, b));
    if (gcd == 0 || !fixed::log2_exact(Rational(common))) return false;
    const Rational grid = Rational(gcd) / Rational(common);
    for (const Int code : {range.lo, range.hi}) {
      const Rational at = factor * scale * fixed::rational_from_int(code) + offset;
      if (boost::multiprecision::abs(at) / grid >= kFloatMantissa) return false;
    }
    return true;
  };
  if (!exact_here()) return std::nullopt;
  for (const auto& step : symbol.pending) {
    const auto* s = std::get_if<exact::ReadoutStep>(&step);
    if (s == nullptr || s->operands.size() != 1) return std::nullopt;
    const Rational c = fixed::rational_from_double(s->operands[0]);
    switch (s->op) {
      case exact::ReadoutStep::Op::Add:
        offset += c;
        break;
      case exact::ReadoutStep::Op::Sub:
        offset -= c;
        break;
      case exact::ReadoutStep::Op::Mul:
        factor *= c;
        offset *= c;
        break;
      case exact::ReadoutStep::Op::Div:
        if (c == 0) return std::nullopt;
        factor /= c;
        offset /= c;
        break;
      default:
        return std::nullopt;
    }
    if (factor <= 0 || !exact_here()) return std::nullopt;
  }
  // The same codes under another scale: a view.
  exact::ValueId view = symbol.value;
  if (factor != 1) {
    auto added =
        add(symbol.layer + "_scaled", exact::Reshape{symbol.value}, Scale(factor * scale), node.origin, x.shape);
    if (!added) return std::nullopt;
    view = *added;
  }
  return Codes{view, offset};
}

Result<Recipe::Codes> Recipe::codes(const nn::Node& node, const Symbol& symbol, bool allow_offset) {
  const exact::Value& x = value(symbol.value);
  int widest = 0;
  for (const auto& r : x.ranges) widest = std::max(widest, fixed::width_bits(r));
  if (symbol.pending.empty() && symbol.typed && symbol.order_bound.empty() && widest <= 64)
    return Codes{symbol.value, Rational(0)};
  if (symbol.pending.empty() && symbol.typed && widest <= 64) {
    // Raw sums of the model itself: the source's own rounding of the sum is lost here, so the bound stays with its
    // layer.
    auto& c = certificate(symbol.sum_layer, "");
    c.word = std::max(c.word, Word::FloatOrder);
    c.bound = std::max(c.bound, *std::max_element(symbol.order_bound.begin(), symbol.order_bound.end()));
    return Codes{symbol.value, Rational(0)};
  }
  if (symbol.typed && !symbol.pending.empty() && widest <= 64) {
    if (auto folded = fold_affine(node, symbol)) {
      note_moved(symbol);
      if (allow_offset || folded->offset == 0) {
        fold(symbol.layer, node.name);
        return *folded;
      }
      const Rational in_codes = folded->offset / value(folded->value).scale.at(0);
      if (boost::multiprecision::denominator(in_codes) == 1) {
        const auto code = fixed::to_int(boost::multiprecision::numerator(in_codes));
        if (code) {
          const Scale scale = value(folded->value).scale;
          WEFT_TRY(const auto constant,
                   add(symbol.layer + "_offset", exact::Constant{{*code}}, scale, node.origin, Shape{1}));
          WEFT_TRY(const auto sum,
                   add(symbol.layer + "_shifted", exact::Add{folded->value, constant, 0, 0}, scale, node.origin));
          return Codes{sum, Rational(0)};
        }
      }
    }
  }
  // Nothing in the model says what these numbers are as integers.
  const nn::Node& producer = node_of(symbol, node);
  double lo = 0.0;
  double hi = 0.0;
  const std::size_t channels = channels_of(x, symbol.pending);
  for (std::size_t c = 0; c < channels; ++c) {
    const ScaledFloat real(x.scale.of(c));
    const fixed::Range range = channel_range(x, c, channels);
    for (const Int code : {range.lo, range.hi}) {
      const double v = run_steps(symbol.pending, real(code), c);
      if (std::isnan(v)) continue;
      lo = std::min(lo, v);
      hi = std::max(hi, v);
    }
  }
  const auto type = policy_.default_result(producer, lo, hi);
  WEFT_TRY(const Symbol typed, cast(producer, symbol, type));
  for (auto& probe : graph_.probes)
    if (probe.layer == producer.name) {
      probe.value = typed.value;
      probe.steps.clear();
      probe.folded_into.clear();
    }
  return Codes{typed.value, Rational(0)};
}

}  // namespace weft::layers
