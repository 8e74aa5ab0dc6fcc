// SPDX-License-Identifier: Apache-2.0
// hgq_fixed against integers computed in another way: exact rationals of the doubles, one element at a time.
#include <gtest/gtest.h>

#include <cmath>

#include "weft/fixed/quantize.h"
#include "weft/quantizers/test_support.h"

namespace weft::quantizers {
namespace {

Spec hgq(std::vector<double> k, std::vector<double> i, std::vector<double> f, const char* rounding,
         const char* overflow) {
  return {"hgq_fixed",
          {{"k", std::move(k)},
           {"i", std::move(i)},
           {"f", std::move(f)},
           {"rounding", text(rounding)},
           {"overflow", text(overflow)}}};
}

/// The number of steps of 2^-f in x, in double: exact for these tests' float32 numbers.
double steps(double v, const std::string& rounding) {
  const double low = std::floor(v);
  const double rest = v - low;
  if (rounding == "TRN") return low;
  if (rounding == "RND") return rest >= 0.5 ? low + 1 : low;
  if (rounding == "RND_CONV") return rest > 0.5 || (rest == 0.5 && std::fmod(low, 2.0) != 0.0) ? low + 1 : low;
  if (rounding == "TRN_ZERO") return v < 0 ? -std::floor(-v) : low;
  if (rounding == "RND_ZERO") return v < 0 ? -std::ceil(-v - 0.5) : std::ceil(v - 0.5);
  if (rounding == "RND_MIN_INF") return std::ceil(v - 0.5);
  return v < 0 ? -std::floor(-v + 0.5) : std::floor(v + 0.5);  // RND_INF
}

double expected(double x, int k, int i, int f, const std::string& rounding, const std::string& overflow) {
  if (k + i + f <= 0 && overflow != "NONE") return 0.0;
  const double unit = std::ldexp(1.0, -f);
  double n = steps(x / unit, rounding);
  const double top = std::ldexp(1.0, std::max(i + f, 0));
  const double lo = k == 0 ? 0.0 : overflow == "SAT_SYM" ? 1.0 - top : -top;
  if (overflow == "SAT" || overflow == "SAT_SYM") n = std::min(std::max(n, lo), top - 1.0);
  if (overflow == "WRAP") {
    const double span = k == 0 ? top : 2.0 * top;
    n -= span * std::floor((n - lo) / span);
  }
  return n * unit;
}

/// Multiples of 1/64 and their tenths in [-40, 40]: ties of every grid below, none of them near float32's ends.
std::vector<float> points() {
  std::vector<float> out;
  for (int n = -40 * 64; n <= 40 * 64; ++n) out.push_back(static_cast<float>(n) / 64.0F);
  for (int n = -400; n <= 400; ++n) out.push_back(static_cast<float>(n) / 10.0F);
  return out;
}

TEST(HgqFixed, EqualsTheFormula) {
  for (const char* rounding : {"TRN", "RND", "RND_CONV", "TRN_ZERO", "RND_ZERO", "RND_MIN_INF", "RND_INF"}) {
    for (const char* overflow : {"SAT", "SAT_SYM", "WRAP", "NONE"}) {
      for (const int k : {0, 1}) {
        for (const int i : {-3, -1, 0, 2, 4}) {
          for (const int f : {-2, 0, 1, 3, 5}) {
            const auto function = make_ok(hgq({double(k)}, {double(i)}, {double(f)}, rounding, overflow));
            ASSERT_NE(function, nullptr);
            const auto set = function->outputs();
            EXPECT_EQ(set.has_value(), std::string(overflow) != "NONE");
            for (const float x : points()) {
              const double want = expected(x, k, i, f, rounding, overflow);
              ASSERT_EQ(function->apply(x, 0), want)
                  << x << " k" << k << " i" << i << " f" << f << " " << rounding << " " << overflow;
              if (!set) continue;
              const Int code = function->code(x, 0);
              ASSERT_EQ(fixed::to_double(set->scale.at(0)) * static_cast<double>(code), want);
              ASSERT_LE(set->range.lo, code);
              ASSERT_GE(set->range.hi, code);
              if (set->type) {
                ASSERT_EQ(code, fixed::from_double(x, *set->type)) << x << " " << rounding;
              }
            }
          }
        }
      }
    }
  }
}

TEST(HgqFixed, ElementsHaveGridsOfTheirOwn) {
  const auto function = make_ok(hgq({1, 0, 1, 1}, {2, 1, 0, -6}, {1, 4, -1, 5}, "RND", "WRAP"));
  ASSERT_NE(function, nullptr);
  EXPECT_EQ(function->channels(), 4U);
  const auto set = function->outputs();
  ASSERT_TRUE(set.has_value());
  EXPECT_EQ(set->scale, Scale(fixed::pow2(-4)));
  EXPECT_FALSE(set->type.has_value());
  EXPECT_EQ(function->type(0), (fixed::FixedType{4, 3, true, fixed::Rounding::Rnd, fixed::Overflow::Wrap}));
  EXPECT_EQ(function->type(1), (fixed::FixedType{5, 1, false, fixed::Rounding::Rnd, fixed::Overflow::Wrap}));
  EXPECT_FALSE(function->type(2).has_value());  // k + i + f = 0
  EXPECT_FALSE(function->type(3).has_value());
  for (const float x : points()) {
    EXPECT_EQ(function->apply(x, 0), expected(x, 1, 2, 1, "RND", "WRAP"));
    EXPECT_EQ(function->apply(x, 1), expected(x, 0, 1, 4, "RND", "WRAP"));
    EXPECT_EQ(function->apply(x, 2), 0.0F);
    EXPECT_EQ(function->apply(x, 3), 0.0F);
    EXPECT_EQ(function->code(x, 0), static_cast<Int>(expected(x, 1, 2, 1, "RND", "WRAP") * 16.0));
    // Wrapping what does not wrap gives the same.
    const auto wide = function->unwrapped();
    ASSERT_NE(wide, nullptr);
    EXPECT_EQ(function->apply(wide->apply(x, 1), 1), function->apply(x, 1));
  }
}

TEST(HgqFixed, TrainedWidthsBeyondTheMantissa) {
  // 2^i - 2^-f is no float32 number: the framework clips to 2^i.
  const auto function = make_ok(hgq({1}, {7}, {20}, "RND", "SAT"));
  ASSERT_NE(function, nullptr);
  EXPECT_EQ(function->apply(1000.0F, 0), 128.0F);
  EXPECT_FALSE(function->type(0).has_value());
  EXPECT_EQ(function->outputs()->range.hi, Int{1} << 27);
}

TEST(HgqFixed, SaysWhereFloat32SumsRound) {
  const auto round = make_ok(hgq({1}, {4}, {2}, "RND", "SAT"));
  EXPECT_TRUE(round->cast_is_exact(8388607.0 / 4, -2, 0));
  EXPECT_FALSE(round->cast_is_exact(8388609.0 / 4, -2, 0));
  EXPECT_TRUE(round->cast_is_exact(0.0, -40, 0));
  EXPECT_EQ(round->apply(0.49999997F / 4, 0), 0.25F);  // x + 0.5 is rounded to 1
  EXPECT_FALSE(round->cast_is_exact(0.125, -27, 0));
  const auto floor = make_ok(hgq({1}, {4}, {2}, "TRN", "WRAP"));
  EXPECT_TRUE(floor->cast_is_exact(1000.0, -8, 0));
  EXPECT_FALSE(floor->cast_is_exact(16777216.0 / 4, -2, 0));
}

TEST(HgqFixed, QuantizesEveryElementOfAParameter) {
  const FloatTensor kernel({2, 2}, {0.3F, -1.7F, 5.0F, 0.7F});
  const auto q = quantize_ok(hgq({1}, {0, 1, 2, -1}, {2, 3, 0, 0}, "RND", "SAT_SYM"), kernel);
  EXPECT_EQ(q.values.data, (std::vector<float>{0.25F, -1.75F, 3.0F, 0.0F}));
  EXPECT_EQ(q.scale, Scale(fixed::pow2(-2)));
  EXPECT_EQ(q.codes.data, (std::vector<std::int64_t>{1, -7, 12, 0}));
  // Weights under WRAP are rounded only, also where no bits are left.
  const auto n = quantize_ok(hgq({1}, {0, 1, 2, -5}, {2, 3, 0, 0}, "RND", "NONE"), kernel);
  EXPECT_EQ(n.values.data, (std::vector<float>{0.25F, -1.75F, 5.0F, 1.0F}));
}

TEST(HgqFixed, RefusesWhatItCannotBe) {
  expect_refused(hgq({1}, {0, 1}, {2, 3, 4}, "RND", "SAT"), "lengths");
  expect_refused(hgq({2}, {0}, {2}, "RND", "SAT"), "`k`");
  expect_refused(hgq({1}, {0.5}, {2}, "RND", "SAT"), "whole");
  expect_refused(hgq({1}, {100}, {2}, "RND", "SAT"), "64");
  expect_refused(hgq({1}, {1}, {2}, "RND", "WRAP_SM"), "overflow");
}

}  // namespace
}  // namespace weft::quantizers
