// SPDX-License-Identifier: Apache-2.0
// Multiply-shifts and shift-rounds found for pieces, against brute force over small parameters.
#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "weft/fixed/quantize.h"
#include "weft/fixed/step_function.h"

namespace weft::fixed {
namespace {

using Rng = std::mt19937;

int between(Rng& random, int lo, int hi) {
  return lo + static_cast<int>(random() % static_cast<unsigned>(hi - lo + 1));
}

Int apply(const MultiplyShift& f, Int x) {
  return std::clamp(floor_shift(f.multiplier * x + f.addend, f.shift), f.lo, f.hi);
}

/// Non-zero digits of the non-adjacent form.
int digits(Int value) {
  int n = 0;
  for (Int v = value < 0 ? -value : value; v != 0; v /= 2) {
    if (v % 2 == 0) continue;
    ++n;
    v -= v % 4 == 3 ? -1 : 1;
  }
  return n;
}

/// Equal on every reachable code, no call to the code under test.
bool equal_everywhere(const MultiplyShift& f, const Pieces& pieces, const Range& x) {
  for (Int v = x.lo; v <= x.hi; v += Int{1} << x.step_log2) {
    if (apply(f, v) != evaluate(pieces, v)) return false;
  }
  return true;
}

/// The fewest digits of any multiplier that works, by trying all multipliers and addends at the largest shift; 99 when
/// none does.
int fewest_digits(const Pieces& pieces, const Range& x, int max_shift, Int lo, Int hi) {
  int best = 99;
  const int limit = 24 << max_shift;
  for (int m = -limit; m <= limit; ++m) {
    if (digits(m) >= best) continue;
    // The addends that work for one code are an interval; intersect them.
    Int from = -(Int{1} << 60);
    Int to = Int{1} << 60;
    for (Int v = x.lo; v <= x.hi && from <= to; v += Int{1} << x.step_log2) {
      const Int y = evaluate(pieces, v);
      if (y > lo) from = std::max(from, (y << max_shift) - m * v);
      if (y < hi) to = std::min(to, ((y + 1) << max_shift) - 1 - m * v);
    }
    if (from <= to) best = digits(m);
  }
  return best;
}

/// Pieces over the reachable codes of any function.
template <class F>
Pieces tabulated(const F& f, const Range& x) {
  Pieces out{{}, {f(x.lo)}};
  for (Int v = x.lo; v <= x.hi; v += Int{1} << x.step_log2) {
    if (f(v) == out.values.back()) continue;
    out.breakpoints.push_back(v);
    out.values.push_back(f(v));
  }
  return out;
}

Range random_range(Rng& random) {
  const int step = between(random, 0, 2);
  const int lo = between(random, -30, 5);
  const int hi = between(random, lo, 30);
  return {lo * (1 << step), hi * (1 << step), step};
}

TEST(FindMultiplyShift, FindsWhatThereIsWithTheFewestDigits) {
  Rng random(1);
  int found = 0;
  int several = 0;
  for (int i = 0; i < 400; ++i) {
    const auto x = random_range(random);
    const int shift = between(random, 0, 5);
    const int m = between(random, -40, 40);
    const int a = between(random, -100, 100);
    const int lo = between(random, -6, 3);
    const int hi = lo + between(random, 0, 12);
    const auto pieces =
        tabulated([&](Int v) { return std::clamp(floor_shift(m * v + a, shift), Int{lo}, Int{hi}); }, x);
    const auto [least, most] = std::minmax_element(pieces.values.begin(), pieces.values.end());
    const auto result = find_multiply_shift(pieces, x, 6);
    ASSERT_TRUE(result.has_value()) << "case " << i;
    ASSERT_TRUE(equal_everywhere(*result, pieces, x)) << "case " << i;
    EXPECT_LE(result->shift, 6);
    EXPECT_EQ(digits(result->multiplier), fewest_digits(pieces, x, 6, *least, *most)) << "case " << i;
    ++found;
    several += digits(result->multiplier) > 1 ? 1 : 0;
  }
  EXPECT_EQ(found, 400);
  EXPECT_GT(several, 10);
}

TEST(FindMultiplyShift, SaysNoExactlyWhenThereIsNone) {
  Rng random(2);
  int none = 0;
  int some = 0;
  for (int i = 0; i < 400; ++i) {
    const auto x = random_range(random);
    Int value = between(random, -3, 3);
    const int sign = random() % 2 == 0 ? 1 : -1;
    const int rare = between(random, 1, 8);
    Pieces pieces{{}, {value}};
    for (Int v = x.lo + (Int{1} << x.step_log2); v <= x.hi; v += Int{1} << x.step_log2) {
      if (between(random, 1, rare) != 1) continue;
      value += sign;
      pieces.breakpoints.push_back(v);
      pieces.values.push_back(value);
    }
    const auto [least, most] = std::minmax_element(pieces.values.begin(), pieces.values.end());
    const auto result = find_multiply_shift(pieces, x, 5);
    const int best = fewest_digits(pieces, x, 5, *least, *most);
    EXPECT_EQ(result.has_value(), best != 99) << "case " << i;
    if (result) {
      ASSERT_TRUE(equal_everywhere(*result, pieces, x)) << "case " << i;
      EXPECT_EQ(digits(result->multiplier), best) << "case " << i;
    }
    (result ? some : none) += 1;
  }
  EXPECT_GT(none, 30);
  EXPECT_GT(some, 30);
}

TEST(FindMultiplyShift, HandlesALargeRealisticQuantizer) {
  // round(x * 0.0123 + 3.3) to 8 bits over a 20-bit sum, the scale kept exactly as 123/10000.
  const auto f = [](Int x) { return std::clamp(floor_div(2 * (123 * x + 33000) + 10000, 20000), Int{-128}, Int{127}); };
  const Range x{-(Int{1} << 19), Int{1} << 19, 0};
  const auto pieces = pieces_of(f, x.lo, x.hi, {});
  const auto result = find_multiply_shift(pieces, x, 30);
  ASSERT_TRUE(result.has_value());
  for (Int v = x.lo; v <= x.hi; ++v) ASSERT_EQ(apply(*result, v), f(v));
}

TEST(FindMultiplyShift, KnowsConstantsAndUnmonotoneFunctions) {
  const auto constant = find_multiply_shift({{}, {5}}, {-9, 9, 0}, 8);
  ASSERT_TRUE(constant.has_value());
  EXPECT_EQ(apply(*constant, 7), 5);
  EXPECT_EQ(constant->multiplier, 0);
  EXPECT_FALSE(find_multiply_shift({{0, 5}, {0, 1, 0}}, {-9, 9, 0}, 8).has_value());
  // The bump lies outside of the range.
  EXPECT_TRUE(find_multiply_shift({{0, 5}, {0, 1, 0}}, {-9, 4, 0}, 8).has_value());
  // Too wide to be proven in 128 bits.
  EXPECT_FALSE(find_multiply_shift({{0}, {0, Int{1} << 100}}, {-(Int{1} << 100), Int{1} << 100, 0}, 8).has_value());
}

TEST(FindShiftRound, FindsEveryShiftRound) {
  Rng random(3);
  for (int i = 0; i < 3000; ++i) {
    ShiftRound f;
    f.shift = between(random, -2, 6);
    f.rounding = static_cast<Rounding>(random() % 9);
    f.lo = between(random, -10, 2);
    f.hi = f.lo + between(random, 0, 20);
    const auto x = random_range(random);
    const auto pieces = tabulated([&](Int v) { return evaluate(f, v); }, x);
    const auto result = find_shift_round(pieces, x);
    ASSERT_TRUE(result.has_value()) << to_string(StepFunction(f));
    for (Int v = x.lo; v <= x.hi; v += Int{1} << x.step_log2) {
      ASSERT_EQ(evaluate(*result, v), evaluate(pieces, v)) << to_string(StepFunction(f)) << " at " << to_string(v);
    }
  }
}

TEST(FindShiftRound, SaysNoToTheOthers) {
  EXPECT_FALSE(find_shift_round({{0, 5}, {0, 1, 0}}, {-9, 9, 0}).has_value());
  EXPECT_FALSE(find_shift_round({{0}, {1, 0}}, {-9, 9, 0}).has_value());
  EXPECT_FALSE(find_shift_round({{1, 4, 8}, {0, 1, 2, 3}}, {-20, 20, 0}).has_value());
  // Sevenths are no power of two.
  const auto f = [](Int v) { return floor_div(v, 7); };
  const Range x{-50, 50, 0};
  EXPECT_FALSE(find_shift_round(pieces_of(f, x.lo, x.hi, {}), x).has_value());
}

}  // namespace
}  // namespace weft::fixed
