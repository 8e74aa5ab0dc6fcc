// SPDX-License-Identifier: Apache-2.0
// The integers of layer_norm.cpp. All values stay below 63 bits: what a row does not need is shifted out of it.
#include "weft/layers/normalizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/layers/wide_function.h"

namespace weft::layers {
namespace {

using exact::ValueId;

constexpr int kMostSumBits = 56;
constexpr int kMostShiftBits = 60;
/// Codes wider than this are brought down in two steps.
constexpr int kCoarseBits = 30;
constexpr int kMostInverseBits = 24;

int log2_ceil(std::int64_t n) { return n <= 1 ? 0 : fixed::width_bits(0, n - 1, false); }
int width(Int x) { return x <= 0 ? 0 : fixed::width_bits(0, x, false); }

class Normalizer {
 public:
  Normalizer(const nn::Node& node, Recipe& recipe, const RowMap& map, const NormalizerSettings& settings, Context& ctx)
      : node_(node), recipe_(recipe), ctx_(ctx), settings_(settings), n_(map.n) {
    squares_ = settings.statistic != Statistic::SumAbs;
    at_least_ = settings.statistic == Statistic::SumSquare || settings.statistic == Statistic::SumAbs;
    m_ = settings.statistic == Statistic::Variance || settings.statistic == Statistic::MeanSquare
             ? static_cast<double>(map.n)
             : 1.0;
    reach_ = std::sqrt(m_);
    inverse_bits_ = settings.inverse_bits > 0
                        ? settings.inverse_bits
                        : std::min(settings.frac_bits + 2 + log2_ceil(static_cast<std::int64_t>(std::ceil(reach_))),
                                   kMostInverseBits);
  }

  Result<Normalized> run(ValueId rows) {
    const Rational unit = recipe_.value(rows).scale.at(0);
    const Rational epsilon = fixed::rational_from_double(settings_.epsilon);
    Rational in_sums = epsilon / unit;  // epsilon in units of the sum
    if (squares_) in_sums /= unit;
    if (settings_.statistic == Statistic::MeanSquare) in_sums *= n_;
    if (settings_.statistic == Statistic::Variance) in_sums *= Rational(n_) * n_ * n_;
    epsilon_ = fixed::to_double(in_sums);
    WEFT_TRY(ValueId d, centered(rows));
    const fixed::Range range = channel_range(recipe_.value(d), 0, 1);
    const Int largest = std::max(range.hi, -range.lo);
    const int bits = std::max(width(largest), 1);
    if (bits > 62)
      return ctx_.fail(Kind::TypeTooWide, node_.origin,
                       "the rows of the normalization need more than 62 bits; give the layer in front a narrower "
                       "result type");
    const int sum_bits = (squares_ ? 2 * bits : bits) + log2_ceil(n_) + 1;
    const int up_bits = squares_ ? (sum_bits + 1) / 2 + 1 : sum_bits;
    ValueId sum;
    if (sum_bits <= kMostSumBits && bits + up_bits <= kMostShiftBits && epsilon_ < std::ldexp(1.0, sum_bits)) {
      WEFT_TRY(sum, exact_sum(d, bits, sum_bits));
    } else {
      WEFT_TRY(sum, block_sum(d, bits));
    }
    return divide(d_, sum);
  }

 private:
  Result<ValueId> add(const char* suffix, exact::Primitive p, std::optional<Shape> shape = std::nullopt) {
    return recipe_.add(node_.name + suffix, std::move(p), Scale(), node_.origin, std::move(shape));
  }
  Result<ValueId> constant(const char* suffix, Int code) { return add(suffix, exact::Constant{{code}}, Shape{1}); }
  Result<ValueId> shifted(const char* suffix, ValueId x, int shift, Int bound) {
    const fixed::Range range = channel_range(recipe_.value(x), 0, 1);
    const fixed::ShiftRound f{
        shift, fixed::Rounding::RndConv, fixed::Overflow::Sat, range.lo < 0 ? -bound : 0, bound, 0, true, 0};
    return add(suffix, exact::Requant{x, {f}, false});
  }

  /// n X - sum(X), or X.
  Result<ValueId> centered(ValueId rows) {
    const Shape shape = recipe_.value(rows).shape;
    WEFT_TRY(const auto x, add("_codes", exact::Reshape{rows}, shape));
    if (settings_.statistic != Statistic::Variance) return x;
    const fixed::Range in = channel_range(recipe_.value(x), 0, 1);
    WEFT_TRY(const auto total, add("_total", exact::Reduce{exact::Reduce::Kind::Sum, x}));
    WEFT_TRY(const auto count, constant("_count", n_));
    WEFT_TRY(const auto scaled, add("_times", exact::Mul{x, count}));
    WEFT_TRY(const auto d, add("_centered", exact::Sub{scaled, total, 0, 0}));
    const Int reach = (in.hi - in.lo) * std::max<Int>(n_ - 1, 0);
    return add_clip(recipe_, node_, node_.name + "_d", d, -reach, reach);
  }

  /// Sum of squares or magnitudes of [rows, n].
  Result<ValueId> summed(ValueId d) {
    ValueId terms;
    if (squares_) {
      WEFT_TRY(terms, add("_squares", exact::Mul{d, d}));
    } else {
      WEFT_TRY(terms, magnitude(d));
    }
    return add("_sum", exact::Reduce{exact::Reduce::Kind::Sum, terms});
  }
  /// |d| element by element: its positive part minus its negative one.
  Result<ValueId> magnitude(ValueId d) {
    const fixed::Range range = channel_range(recipe_.value(d), 0, 1);
    const auto part = [&](const char* suffix, Int lo, Int hi) {
      const fixed::ShiftRound f{0, fixed::Rounding::Trn, fixed::Overflow::Sat, lo, hi, 0, true, 0};
      return add(suffix, exact::Requant{d, {f}, false});
    };
    WEFT_TRY(const auto above, part("_above", 0, std::max<Int>(range.hi, 0)));
    WEFT_TRY(const auto below, part("_below", std::min<Int>(range.lo, 0), 0));
    WEFT_TRY(const auto both, add("_magnitude", exact::Sub{above, below, 0, 0}));
    return add_clip(recipe_, node_, node_.name + "_abs", both, 0, std::max(range.hi, -range.lo));
  }

  /// Every code as it is; the sum in units of 4^-a where epsilon needs it.
  Result<ValueId> exact_sum(ValueId d, int bits, int sum_bits) {
    d_ = d;
    WEFT_TRY(auto sum, summed(d));
    const double least = settings_.statistic == Statistic::Variance ? static_cast<double>(n_) * (n_ - 1.0) : 1.0;
    // A sum of 0 has nothing but zeros to divide.
    if (epsilon_ < std::ldexp(std::max(least, 1.0), -inverse_bits_ - 3) || (at_least_ && epsilon_ <= 1.0)) {
      notes_ = "sums exact";
      return sum;
    }
    const int step = squares_ ? 2 : 1;
    const int wanted = static_cast<int>(std::ceil((inverse_bits_ + 3 - std::log2(std::max(least, 1.0))) / step));
    finer_ = std::clamp(wanted, 0, (kMostSumBits + 1 - sum_bits) / step);
    // d grows along with the root of the sum, and is then brought to the sum's top.
    finer_ = std::max(0, std::min(finer_, (kMostShiftBits - bits - (sum_bits + 1) / step - 1) / 2));
    const Int code = static_cast<Int>(std::nearbyint(std::ldexp(epsilon_, step * finer_)));
    WEFT_TRY(const auto zero, constant("_zero", 0));
    if (finer_ > 0) {
      WEFT_TRY(sum, add("_fine", exact::Add{sum, zero, step * finer_, 0}));
      WEFT_TRY(d_, add("_fine_d", exact::Add{d, zero, finer_, 0}));
    }
    notes_ = fmt::format("sums exact, epsilon as {} of their last place", fixed::to_string(code));
    relative_ += 0.25 / std::ldexp(std::max(least, 1.0), step * finer_);
    if (at_least_)
      return add_clip(recipe_, node_, node_.name + "_at_least", sum, code,
                      std::max(code, channel_range(recipe_.value(sum), 0, 1).hi));
    WEFT_TRY(const auto epsilon, constant("_epsilon", code));
    return add("_plus_epsilon", exact::Add{sum, epsilon, 0, 0});
  }

  /// Rows shifted so that the largest magnitude fills `b` bits.
  Result<ValueId> block_sum(ValueId d, int bits) {
    const int logn = log2_ceil(n_);
    const int room = squares_ ? (kMostSumBits - 2 - logn) / 2 : kMostSumBits / 2 - logn;
    const int b = std::max(4, std::min({inverse_bits_ + 3 + (squares_ ? 0 : logn), room, bits}));
    WEFT_TRY(const auto magnitudes, magnitude(d));
    WEFT_TRY(const auto most, add("_most", exact::Reduce{exact::Reduce::Kind::Max, magnitudes}));
    const Int end = channel_range(recipe_.value(most), 0, 1).hi;
    // From `bits` to at most kCoarseBits, where a row needs it.
    const int coarse = std::max(0, bits - kCoarseBits);
    const Int border = Int{1} << kCoarseBits;
    const auto after_coarse = [&](Int x) { return coarse > 0 && x >= border ? x >> coarse : x; };
    ValueId fine = d;
    if (coarse > 0) {
      const auto choose = [&](const char* suffix, Int small, Int large) {
        return add(suffix, exact::Requant{most, {fixed::Pieces{{border}, {small, large}}}, false});
      };
      WEFT_TRY(const auto is_large, choose("_is_large", 0, 1));
      WEFT_TRY(const auto is_small, choose("_is_small", 1, 0));
      const auto either = [&](ValueId x, fixed::Rounding rounding) -> Result<ValueId> {
        const bool is_signed = channel_range(recipe_.value(x), 0, 1).lo < 0;
        const fixed::ShiftRound down{coarse, rounding, fixed::Overflow::Sat, is_signed ? -border : 0, border, 0,
                                     true,   0};
        WEFT_TRY(const auto large, add("_coarse", exact::Requant{x, {down}, false}));
        WEFT_TRY(const auto small, shifted("_small", x, 0, border));
        WEFT_TRY(const auto a, add("_large_part", exact::Mul{large, is_large}));
        WEFT_TRY(const auto c, add("_small_part", exact::Mul{small, is_small}));
        WEFT_TRY(const auto sum, add("_either", exact::Add{a, c, 0, 0}));
        return add_clip(recipe_, node_, node_.name + "_within", sum, is_signed ? -border : 0, border);
      };
      WEFT_TRY(fine, either(d, fixed::Rounding::RndConv));
    }
    const int top = std::min(bits, kCoarseBits + 1);
    // Epsilon shall not outgrow the sums.
    const int down_for_epsilon =
        epsilon_ > 0.0 ? static_cast<int>(std::ceil((std::log2(epsilon_) - sum_limit(b)) / (squares_ ? 2 : 1))) : -1000;
    const int down = std::max(top - b, down_for_epsilon);  // after the shift up
    const auto up = [&](Int x) {
      const int room_for_epsilon = down - down_for_epsilon + (coarse > 0 && x >= border ? coarse : 0);
      const int most_up = epsilon_ > 0.0 ? std::clamp(room_for_epsilon, 0, top) : top;
      return std::clamp(top - width(std::max<Int>(after_coarse(x), 1)), 0, most_up);
    };
    const std::vector<Int> turns = coarse > 0 ? std::vector<Int>{border} : std::vector<Int>{};
    const auto power = fixed::pieces_of([&](Int x) { return Int{1} << up(x); }, 0, end, turns);
    WEFT_TRY(const auto factor, add("_block", exact::Requant{most, {power}, false}));
    WEFT_TRY(const auto raised, add("_raised", exact::Mul{fine, factor}));
    WEFT_TRY(d_, shifted("_block_d", raised, down, Int{1} << b));
    WEFT_TRY(auto sum, summed(d_));
    absolute_ +=
        reach_ * std::ldexp(1.0 + (squares_ ? std::sqrt(static_cast<double>(n_)) : static_cast<double>(n_)), -b);
    notes_ = fmt::format("rows shifted so that the largest element has {} bits", b);
    if (epsilon_ == 0.0) return sum;
    const auto epsilon_code = [&](Int x) {
      const int exponent = up(x) - down - (coarse > 0 && x >= border ? coarse : 0);
      return static_cast<Int>(std::nearbyint(std::ldexp(epsilon_, (squares_ ? 2 : 1) * exponent)));
    };
    const auto pieces = fixed::pieces_of(epsilon_code, 0, end, turns);
    WEFT_TRY(const auto epsilon, add("_epsilon", exact::Requant{most, {pieces}, false}));
    if (!at_least_) return add("_plus_epsilon", exact::Add{sum, epsilon, 0, 0});
    WEFT_TRY(const auto both, add("_pair", exact::Concat{{sum, epsilon}, 1}));
    return add("_at_least", exact::Reduce{exact::Reduce::Kind::Max, both});
  }
  /// log2 of what the sum of a full row may reach.
  [[nodiscard]] double sum_limit(int b) const { return (squares_ ? 2.0 * b : b) + log2_ceil(n_); }

  /// d sqrt(m / sum), or d / sum.
  Result<Normalized> divide(ValueId d, ValueId sum) {
    const int step = squares_ ? 2 : 1;
    const fixed::Range range = channel_range(recipe_.value(sum), 0, 1);
    int bits = std::max(width(range.hi), 2);
    bits += squares_ ? bits % 2 : 0;
    const auto shift = [&](Int x) { return (bits - width(std::max<Int>(x, 1))) / step * step; };
    const auto powers = [&](int part) {
      return fixed::pieces_of([&, part](Int x) { return Int{1} << (shift(x) / part); }, range.lo, range.hi, {});
    };
    WEFT_TRY(const auto to_top, add("_to_top", exact::Requant{sum, {powers(1)}, false}));
    WEFT_TRY(const auto mantissa, add("_mantissa", exact::Mul{sum, to_top}));
    const int kept = std::min(bits, inverse_bits_ + 3);
    const int dropped = bits - kept;
    const fixed::ShiftRound top{
        dropped, fixed::Rounding::Trn, fixed::Overflow::Sat, Int{1} << (kept - step), (Int{1} << kept) - 1, 0, true, 0};
    WEFT_TRY(const auto index, add("_top", exact::Requant{mantissa, {top}, false}));
    // r in [reach, 2 reach]: the middle of what was dropped stands for all of it.
    const double middle = dropped > 0 ? 0.5 : 0.0;
    const int frac = inverse_bits_ - static_cast<int>(std::floor(std::log2(reach_)));
    const int integer = static_cast<int>(std::ceil(std::log2(2.0 * reach_))) + 1;
    const fixed::FixedType type{frac + integer, integer, false};
    const CodeFunction inverse{[this, kept, middle, frac](Int x) {
                                 const double part = std::ldexp(static_cast<double>(x) + middle, -kept);
                                 return std::ldexp(squares_ ? reach_ / std::sqrt(part) : 1.0 / part, frac);
                               },
                               channel_range(recipe_.value(index), 0, 1),
                               {}};
    WEFT_TRY(const auto r, add_function(recipe_, node_.origin, node_.name + "_inverse", index, {inverse}, type));
    if (dropped > 0) relative_ += std::ldexp(1.0, -kept);
    relative_ += std::ldexp(r.report.worst_ulps, -frac) / reach_;

    WEFT_TRY(const auto along, add("_along", exact::Requant{sum, {powers(step)}, false}));
    WEFT_TRY(const auto scaled, add("_scaled_d", exact::Mul{d, along}));
    const int d_bits = bits / step;
    const int down = std::max(0, d_bits - inverse_bits_ - 3);
    WEFT_TRY(const auto near, shifted("_near", scaled, down, Int{1} << (d_bits - down)));
    if (down > 0) absolute_ += 2.0 * reach_ * std::ldexp(0.5, down - d_bits);
    const int product_frac = frac + d_bits - down;
    WEFT_TRY(const auto product, recipe_.add(node_.name + "_quotient", exact::Mul{near, r.value},
                                             Scale(fixed::pow2(-product_frac)), node_.origin));
    const int result_integer = static_cast<int>(std::ceil(std::log2(reach_))) + 2;
    const fixed::FixedType result{settings_.frac_bits + result_integer, result_integer, true};
    Normalized out;
    WEFT_TRY(out.value, add_cast(recipe_, node_, node_.name + "_rounded", product, result));
    const double ulps = 0.5 + std::ldexp(absolute_ + relative_ * reach_, settings_.frac_bits);
    out.note =
        fmt::format("{} of {} elements: {}, inverse as {} ({}), normalized values as {} within {:.2f} last places",
                    squares_ ? "square sums" : "sums", n_, notes_, fixed::to_string(type), r.report.text(),
                    fixed::to_string(result), std::ceil(ulps * 100.0) / 100.0);
    return out;
  }

  const nn::Node& node_;
  Recipe& recipe_;
  Context& ctx_;
  const NormalizerSettings& settings_;
  std::int64_t n_;
  bool squares_ = true;
  bool at_least_ = false;
  double m_ = 1.0;
  double reach_ = 1.0;
  int inverse_bits_ = 0;
  double epsilon_ = 0.0;
  int finer_ = 0;
  ValueId d_;
  std::string notes_;
  double relative_ = 0.0;  ///< largest relative error of the divisor's inverse
  double absolute_ = 0.0;  ///< largest error besides
};

}  // namespace

Result<Normalized> add_normalized(const nn::Node& node, Recipe& recipe, exact::ValueId rows, const RowMap& map,
                                  const NormalizerSettings& settings, Context& ctx) {
  return Normalizer(node, recipe, map, settings, ctx).run(rows);
}

}  // namespace weft::layers
