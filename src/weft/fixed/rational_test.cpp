// SPDX-License-Identifier: Apache-2.0
#include "weft/fixed/rational.h"

#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <cstring>
#include <limits>
#include <random>

#include "weft/diag/diag.h"
#include "weft/fixed/scale.h"

namespace weft::fixed {
namespace {

template <class Float>
Float from_bits(std::uint64_t bits) {
  Float out = 0;
  std::memcpy(&out, &bits, sizeof out);
  return out;
}

TEST(FromDouble, IsExactAndComesBack) {
  EXPECT_EQ(rational_from_double(0.75), Rational(3, 4));
  EXPECT_EQ(rational_from_double(-0.1), Rational(-3602879701896397) / Rational(36028797018963968));
  EXPECT_EQ(rational_from_double(DBL_TRUE_MIN), pow2(-1074));
  std::mt19937_64 random(1);
  for (int i = 0; i < 3000; ++i) {
    const auto d = from_bits<double>(random());
    if (std::isfinite(d)) {
      ASSERT_EQ(to_double(rational_from_double(d)), d);
    }
    const auto f = from_bits<float>(static_cast<std::uint32_t>(random()));
    if (std::isfinite(f)) {
      ASSERT_EQ(to_float(rational_from_double(f)), f);
    }
  }
  EXPECT_THROW(rational_from_double(INFINITY), diag::InternalError);
}

/// A correctly rounded quotient is what the machine's division gives.
TEST(ToFloat, EqualsTheMachinesDivision) {
  std::mt19937_64 random(2);
  for (int i = 0; i < 5000; ++i) {
    const auto n = static_cast<double>(static_cast<std::int64_t>(random()) >> (12 + random() % 50));
    const auto d = static_cast<double>(1 + (random() >> (12 + random() % 50)));
    ASSERT_EQ(to_double(rational_from_double(n) / rational_from_double(d)), n / d) << n << "/" << d;
    const auto fn = static_cast<float>(static_cast<std::int32_t>(random()) >> 8);
    const auto fd = static_cast<float>(1 + (random() & 0xffffff));
    ASSERT_EQ(to_float(rational_from_double(fn) / rational_from_double(fd)), fn / fd);
    // A dividend that is exact and tiny: the one rounding of the division happens on the subnormal grid.
    const int down = 100 + static_cast<int>(random() % 27);
    ASSERT_EQ(to_float(rational_from_double(fn) * pow2(-down) / rational_from_double(fd)), std::ldexp(fn, -down) / fd);
  }
}

/// Neighbouring floats and their middle: below goes down, above up, the middle to the even one.
template <class Float>
void check_ties(const std::vector<Float>& starts, Float (*convert)(const Rational&)) {
  for (const Float low : starts) {
    const Float high = std::nextafter(low, std::numeric_limits<Float>::infinity());
    const Rational middle = (rational_from_double(low) + rational_from_double(high)) / 2;
    const Rational nudge = pow2(-2000);
    EXPECT_EQ(convert(middle - nudge), low);
    EXPECT_EQ(convert(middle + nudge), high);
    std::uint64_t bits = 0;
    std::memcpy(&bits, &low, sizeof low);
    EXPECT_EQ(convert(middle), bits % 2 == 0 ? low : high);
    EXPECT_EQ(convert(-middle), bits % 2 == 0 ? -low : -high);
  }
}

TEST(ToFloat, BreaksTiesToEven) {
  check_ties<float>({0.0F, FLT_TRUE_MIN, 3 * FLT_TRUE_MIN, FLT_MIN, std::nextafter(FLT_MIN, 0.0F), 1.0F, 0.1F, 1e30F},
                    to_float);
  check_ties<double>({0.0, DBL_TRUE_MIN, 3 * DBL_TRUE_MIN, DBL_MIN, std::nextafter(DBL_MIN, 0.0), 1.0, 0.1, 1e300},
                     to_double);
}

TEST(ToFloat, OverflowsToInfinity) {
  const Rational edge = (pow2(24) - Rational(1, 2)) * pow2(104);
  EXPECT_EQ(to_float(edge), INFINITY);
  EXPECT_EQ(to_float(edge - 1), FLT_MAX);
  EXPECT_EQ(to_float(-edge), -INFINITY);
  EXPECT_EQ(to_double(pow2(5000)), INFINITY);
  EXPECT_EQ(to_double(pow2(-5000)), 0.0);
  EXPECT_EQ(to_double(Rational(0)), 0.0);
}

TEST(Log2, KnowsPowersOfTwoOnly) {
  for (const int e : {-1000, -3, -1, 0, 1, 62, 200}) EXPECT_EQ(log2_exact(pow2(e)), e);
  EXPECT_FALSE(log2_exact(Rational(3)).has_value());
  EXPECT_FALSE(log2_exact(Rational(1, 3)).has_value());
  EXPECT_FALSE(log2_exact(Rational(2, 3)).has_value());
  EXPECT_FALSE(log2_exact(Rational(0)).has_value());
  EXPECT_FALSE(log2_exact(Rational(-2)).has_value());
}

TEST(Text, RoundTrips) {
  EXPECT_EQ(to_string(Rational(3, 1024)), "3/1024");
  EXPECT_EQ(to_string(Rational(-10, 2)), "-5");
  EXPECT_EQ(parse_rational("6/8"), Rational(3, 4));
  EXPECT_EQ(parse_rational("010/2"), Rational(5));
  const Rational big = pow2(300) / Rational(boost::multiprecision::pow(boost::multiprecision::cpp_int(3), 100));
  EXPECT_EQ(parse_rational(to_string(big)), big);
  EXPECT_EQ(parse_rational(to_string(-big)), -big);
  for (const char* text : {"", "-", "/", "1/", "/2", "1/0", "1/-2", "0x10", "1.5", " 1", "--1", "1/2/3"}) {
    EXPECT_FALSE(parse_rational(text).has_value()) << text;
  }
  EXPECT_FALSE(parse_rational(std::string(1000000, '9')).has_value());
}

TEST(Int128, GoesThroughRationals) {
  const Int top = std::numeric_limits<Int>::max();
  const Int bottom = std::numeric_limits<Int>::min();
  for (const Int v : {top, bottom, Int{0}, Int{-1}, (Int{1} << 64) - 1, -(Int{1} << 64)}) {
    EXPECT_EQ(to_string(rational_from_int(v)), to_string(v));
    EXPECT_TRUE(to_int(numerator(rational_from_int(v))) == v);
  }
  EXPECT_FALSE(to_int(numerator(rational_from_int(top)) + 1).has_value());
  EXPECT_FALSE(to_int(numerator(rational_from_int(bottom)) - 1).has_value());
  EXPECT_FALSE(to_int(numerator(pow2(1000))).has_value());
}

TEST(Scale, IsPerTensorOrPerChannel) {
  EXPECT_TRUE(Scale().per_tensor());
  EXPECT_EQ(Scale(Rational(1, 8)).at(5), Rational(1, 8));
  EXPECT_EQ(Scale(std::vector<Rational>{1, 2, 3}).at(2), Rational(3));
}

}  // namespace
}  // namespace weft::fixed
