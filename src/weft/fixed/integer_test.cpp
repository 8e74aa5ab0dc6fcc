// SPDX-License-Identifier: Apache-2.0
#include "weft/fixed/integer.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

#include "weft/diag/diag.h"

namespace weft::fixed {
namespace {

constexpr Int kMin = std::numeric_limits<Int>::min();
constexpr Int kMax = std::numeric_limits<Int>::max();

TEST(Text, RoundTripsAndHoldsTheBounds) {
  EXPECT_EQ(to_string(Int{0}), "0");
  EXPECT_EQ(to_string(kMin), "-170141183460469231731687303715884105728");
  EXPECT_EQ(to_string(kMax), "170141183460469231731687303715884105727");
  std::mt19937_64 random(1);
  for (int i = 0; i < 1000; ++i) {
    const auto value = static_cast<Int>((static_cast<UInt>(random()) << 64) | random()) >> (i % 127);
    EXPECT_TRUE(parse_int(to_string(value)) == value);
  }
  EXPECT_TRUE(parse_int("+12") == Int{12});
  EXPECT_TRUE(parse_int("-0") == Int{0});
}

TEST(Text, RefusesWhatIsNoNumber) {
  for (const char* text :
       {"", "-", "+", "1 ", " 1", "0x1", "1.0", "--1", "170141183460469231731687303715884105728",
        "-170141183460469231731687303715884105729", "99999999999999999999999999999999999999999999"}) {
    EXPECT_FALSE(parse_int(text).has_value()) << text;
  }
}

TEST(Checked, OverflowsAtTheEdgesOnly) {
  EXPECT_TRUE(checked_add(kMax, 0) == kMax);
  EXPECT_FALSE(checked_add(kMax, 1).has_value());
  EXPECT_FALSE(checked_sub(kMin, 1).has_value());
  EXPECT_TRUE(checked_sub(-1, kMin) == kMax);
  EXPECT_FALSE(checked_mul(kMin, -1).has_value());
  EXPECT_TRUE(checked_mul(Int{1} << 63, Int{1} << 63) == Int{1} << 126);
  EXPECT_FALSE(checked_mul(Int{1} << 64, Int{1} << 63).has_value());
  EXPECT_TRUE(checked_shift_left(-1, 127) == kMin);
  EXPECT_FALSE(checked_shift_left(1, 127).has_value());
  EXPECT_TRUE(checked_shift_left(0, 100000) == Int{0});
  EXPECT_FALSE(checked_shift_left(-1, 128).has_value());
  EXPECT_THROW(static_cast<void>(checked_shift_left(1, -1)), diag::InternalError);
}

TEST(WidthBits, EqualsTheSmallestFieldThatHoldsBothEnds) {
  for (int lo = -70; lo <= 70; ++lo) {
    for (int hi = lo; hi <= 70; ++hi) {
      int w = 1;
      while (lo < -(1 << (w - 1)) || hi > (1 << (w - 1)) - 1) ++w;
      ASSERT_EQ(width_bits(lo, hi, true), w) << lo << " " << hi;
      if (lo < 0) continue;
      w = 1;
      while (hi > (1 << w) - 1) ++w;
      ASSERT_EQ(width_bits(lo, hi, false), w) << lo << " " << hi;
    }
  }
  EXPECT_EQ(width_bits(kMin, kMax, true), 128);
  EXPECT_EQ(width_bits(0, kMax, false), 127);
  EXPECT_THROW(width_bits(-1, 0, false), diag::InternalError);
}

TEST(Floor, DividesTowardMinusInfinity) {
  for (int a = -40; a <= 40; ++a) {
    for (int b = -7; b <= 7; ++b) {
      if (b == 0) continue;
      ASSERT_EQ(static_cast<double>(floor_div(a, b)), std::floor(static_cast<double>(a) / b)) << a << "/" << b;
    }
    for (int s = 0; s < 8; ++s) ASSERT_EQ(static_cast<double>(floor_shift(a, s)), std::floor(std::ldexp(a, -s)));
    ASSERT_TRUE(floor_shift(a, 500) == (a < 0 ? -1 : 0));
    ASSERT_TRUE(floor_shift(a, -3) == a * 8);
  }
  EXPECT_THROW(floor_div(kMin, -1), diag::InternalError);
  EXPECT_THROW(floor_div(1, 0), diag::InternalError);
}

TEST(TrailingZeros, CountsOverAllBits) {
  for (int i = 0; i < 127; ++i) {
    EXPECT_EQ(trailing_zeros(Int{1} << i), i);
    EXPECT_EQ(trailing_zeros(-(Int{1} << i)), i);
    EXPECT_EQ(trailing_zeros(Int{3} << (i / 2)), i / 2);
  }
  EXPECT_EQ(trailing_zeros(kMin), 127);
  EXPECT_EQ(trailing_zeros(0), 127);
}

}  // namespace
}  // namespace weft::fixed
