// SPDX-License-Identifier: Apache-2.0
// The fixed-point arithmetic against real arithmetic: where a result is a rounding, it is that rounding; functions stay
// within the error that their iterations and tables have.
#include "weft/fixed/tflite.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <utility>

namespace weft::fixed::tflite {
namespace {

constexpr std::int32_t kMin = std::numeric_limits<std::int32_t>::min();
constexpr std::int32_t kMax = std::numeric_limits<std::int32_t>::max();

TEST(TfliteArithmetic, MultipliersAreTheNearest31Bits) {
  for (const double real : {1.0, 0.5, 0.75, 0.1, 3.7e-5, 12.25, 1.0 - 0x1p-40, 0x1p-31}) {
    const auto m = quantize_multiplier(real);
    EXPECT_GE(m.mantissa, 1 << 30) << real;
    EXPECT_LE(std::abs(std::ldexp(static_cast<double>(m.mantissa), m.shift - 31) - real), std::ldexp(0.5, m.shift - 31))
        << real;
  }
  EXPECT_EQ(quantize_multiplier(0.0), Multiplier{});
  EXPECT_EQ(quantize_multiplier(0x1p-40), Multiplier{});
}

TEST(TfliteArithmetic, RoundingsAtHalves) {
  // Half up in the product, half away from zero in the shift.
  EXPECT_EQ(doubling_high_mul(1, 1 << 30), 1);
  EXPECT_EQ(doubling_high_mul(-1, 1 << 30), 0);
  EXPECT_EQ(doubling_high_mul(-3, 1 << 30), -1);
  EXPECT_EQ(doubling_high_mul(kMin, kMin), kMax);
  EXPECT_EQ(divide_by_power(3, 1), 2);
  EXPECT_EQ(divide_by_power(-3, 1), -2);
  EXPECT_EQ(divide_by_power(-1, 1), -1);
  EXPECT_EQ(divide_by_power(kMax, 31), 1);
  EXPECT_EQ(divide_by_power(kMin, 31), -1);
  EXPECT_EQ(divide_by_power(5, 0), 5);
  EXPECT_EQ(wrap_int32(Int{kMax} + 1), kMin);
}

TEST(TfliteArithmetic, ProductsAreRoundedTwice) {
  std::mt19937_64 random(7);
  for (int i = 0; i < 100000; ++i) {
    const auto x = static_cast<std::int32_t>(random() >> 40) - (1 << 23);
    const Multiplier m{static_cast<std::int32_t>((1 << 30) + random() % (1 << 30)),
                       static_cast<int>(random() % 20) - 15};
    const double left = std::ldexp(static_cast<double>(x), std::max(m.shift, 0));
    const double high = std::floor(left * m.mantissa / 0x1p31 + 0.5);
    const double rounded = std::round(std::ldexp(high, std::min(m.shift, 0)));
    EXPECT_EQ(multiply(x, m), static_cast<std::int32_t>(rounded)) << x << " " << m.mantissa << " " << m.shift;
    const double wide = std::floor(std::ldexp(static_cast<double>(x) * reduced_mantissa(m), m.shift - 15) + 0.5);
    if (std::fabs(wide) < 0x1p31) {
      EXPECT_EQ(multiply_wide(x, m), static_cast<std::int32_t>(wide));
    }
  }
}

TEST(TfliteArithmetic, RealFactorsRoundTheDoubleProduct) {
  // 5 * 0.3 is 1.5 in double though 0.3 lies below 3/10.
  EXPECT_EQ(multiply_real(5, 0.3), 2);
  EXPECT_EQ(multiply_real(-5, 0.3), -2);
  EXPECT_EQ(multiply_real(Int{1} << 40, 1.0), kMax);
  std::mt19937_64 random(11);
  for (int i = 0; i < 40; ++i) {
    const double factor = i == 0 ? 0.3 : std::ldexp(0.5 + static_cast<double>(random() >> 12) * 0x1p-53, -(i % 12));
    const auto m = integer_factor(factor, -200000, 200000, -32768, 30000);
    ASSERT_TRUE(m.has_value()) << factor;
    for (std::int64_t x = -200000; x <= 200000; ++x) {
      const Int product = Int{x} * m->mantissa;
      const Int half = m->shift > 0 ? Int{1} << (m->shift - 1) : 0;
      const Int rounded = product >= 0 ? (product + half) >> m->shift : -((half - product) >> m->shift);
      ASSERT_TRUE(std::clamp<Int>(rounded, -32768, 30000) == std::clamp<Int>(multiply_real(x, factor), -32768, 30000))
          << x << " " << factor;
    }
  }
}

TEST(TfliteArithmetic, ExponentialAndReciprocal) {
  for (std::int32_t x = -(31 << 26); x <= 0; x += 4321) {
    const double real = std::exp(static_cast<double>(x) / 0x1p26) * 0x1p31;
    EXPECT_NEAR(exp_on_negative(x), real, 1500.0) << x;
  }
  for (std::int64_t half = 1 << 30; half <= kMax; half += 98765)
    EXPECT_NEAR(reciprocal_of_double(static_cast<std::int32_t>(half)), 0x1p61 / static_cast<double>(half), 64.0)
        << half;
}

TEST(TfliteArithmetic, EntriesOfTheLogisticTable) {
  // 512 units of the axis are one entry in units of 2^-16; results halve it, rounded up. Published entries.
  const Int16Input axis{512, 0};
  for (const auto& [i, entry] : {std::pair{0, 32768},
                                 {1, 33451},
                                 {4, 35493},
                                 {8, 38180},
                                 {15, 42688},
                                 {33, 52311},
                                 {34, 52745},
                                 {48, 57724},
                                 {64, 61279},
                                 {71, 62302},
                                 {93, 64204},
                                 {135, 65301}}) {
    EXPECT_EQ(logistic_int16(static_cast<std::int16_t>(i), axis), (entry + 1) / 2) << i;
    EXPECT_EQ(logistic_int16(static_cast<std::int16_t>(-i), axis), (65536 - entry) / 2) << i;
  }
  EXPECT_EQ(logistic_int16(255, axis), 32767);
}

TEST(TfliteArithmetic, FunctionsOfInt16) {
  for (const double scale : {0x1p-12, 0.0003, 0x1p-11, 0.001}) {
    const auto input = int16_input(scale);
    for (int q = -32768; q <= 32767; q += 3) {
      const double x = scale * q;
      EXPECT_NEAR(logistic_int16(static_cast<std::int16_t>(q), input), 32768.0 / (1.0 + std::exp(-x)), 12.0) << q;
      EXPECT_NEAR(tanh_int16(static_cast<std::int16_t>(q), input), 32768.0 * std::tanh(x), 24.0) << q;
    }
  }
  for (int q = -32768; q <= 32767; ++q) {
    const double x = q / 4096.0;
    EXPECT_NEAR(lstm_logistic(static_cast<std::int16_t>(q), 3), 32768.0 / (1.0 + std::exp(-x)), 16.0) << q;
    EXPECT_NEAR(lstm_tanh(static_cast<std::int16_t>(q), 3), 32768.0 * std::tanh(x), 40.0) << q;
  }
}

TEST(TfliteArithmetic, TablesInterpolate) {
  const auto table = make_table([](double v) { return std::exp(v); }, -10.0, 0.0);
  for (int x = -32768; x <= 32767; ++x) {
    const double real = std::exp(-10.0 + (x + 32768) * 10.0 / 65536.0) * 32768.0;
    EXPECT_NEAR(look_up(table, static_cast<std::int16_t>(x)), std::min(real, 32767.0), 2.5) << x;
  }
}

TEST(TfliteArithmetic, HardSwish) {
  const double in = 0.05;
  const double out = 0.04;
  const auto output = quantize_multiplier(in / 128.0 / out);
  const auto relu = quantize_multiplier(in / 128.0 / (3.0 / 32768.0));
  for (int q = -128; q <= 127; ++q) {
    const double x = in * q;
    const double real = x * std::min(std::max(x + 3.0, 0.0), 6.0) / 6.0 / out;
    EXPECT_NEAR(hard_swish(static_cast<std::int16_t>(q), output, relu), real, 1.0) << q;
  }
}

}  // namespace
}  // namespace weft::fixed::tflite
