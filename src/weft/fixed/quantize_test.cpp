// SPDX-License-Identifier: Apache-2.0
// Independent formulas: rounding written as the real-valued definition with doubles (exact at these sizes), overflow
// written on strings of bits. Vectors of ap_fixed itself are in golden_test.cpp.
#include "weft/fixed/quantize.h"

#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <random>

#include "weft/diag/diag.h"
#include "weft/fixed/rational.h"

namespace weft::fixed {
namespace {

constexpr Rounding kRoundings[] = {Rounding::Trn,     Rounding::TrnZero, Rounding::Rnd,
                                   Rounding::RndZero, Rounding::RndInf,  Rounding::RndMinInf,
                                   Rounding::RndConv, Rounding::Ceil,    Rounding::Up};

/// The real-valued definitions.
double rounded(double x, Rounding rounding) {
  switch (rounding) {
    case Rounding::Trn:
      return std::floor(x);
    case Rounding::TrnZero:
      return std::trunc(x);
    case Rounding::Rnd:
      return std::floor(x + 0.5);
    case Rounding::RndZero:
      return std::copysign(std::ceil(std::fabs(x) - 0.5), x);
    case Rounding::RndInf:
      return std::copysign(std::floor(std::fabs(x) + 0.5), x);
    case Rounding::RndMinInf:
      return std::ceil(x - 0.5);
    case Rounding::RndConv:
      return std::nearbyint(x);
    case Rounding::Ceil:
      return std::ceil(x);
    case Rounding::Up:
      return std::copysign(std::ceil(std::fabs(x)), x);
  }
  return NAN;
}

/// Two's complement bits, the sign bit first.
std::string bits_of(long long value, int width) {
  std::string out;
  for (int i = width; i-- > 0;) out += ((value >> i) & 1) != 0 ? '1' : '0';
  return out;
}

long long value_of(const std::string& bits, bool is_signed) {
  long long value = is_signed && bits[0] == '1' ? -1 : 0;
  for (const char c : bits) value = value * 2 + (c == '1');
  return value;
}

std::string flipped(std::string bits) {
  for (auto& c : bits) c = c == '1' ? '0' : '1';
  return bits;
}

/// The overflow modes on bit strings, as the SystemC manual draws them. `before` is the floor of the value.
long long overflowed(long long code, long long before, const FixedType& t) {
  const int w = t.width_bits;
  const long long hi = t.is_signed ? (1LL << (w - 1)) - 1 : (1LL << w) - 1;
  const long long lo = !t.is_signed ? 0 : t.overflow == Overflow::SatSym && w > 1 ? -hi : -hi - 1;
  if (code >= lo && code <= hi) return code;
  if (t.overflow == Overflow::SatZero) return 0;
  if (t.overflow == Overflow::Sat || t.overflow == Overflow::SatSym) return code < 0 ? lo : hi;
  const char sign = code < 0 ? '1' : '0';
  const char other = code < 0 ? '0' : '1';
  const auto n = static_cast<std::size_t>(t.saturation_bits);
  std::string bits = bits_of(code, w);
  if (!t.is_signed) {
    for (std::size_t i = 0; i < n; ++i) bits[i] = '1';
    return value_of(bits, false);
  }
  if (t.overflow == Overflow::WrapSm) {
    if (n == 0) {
      // The first deleted bit becomes the sign; when it differs from the sign that is there, all bits turn.
      const char deleted = bits_of(before, w + 1)[0];
      if (deleted != bits[0]) bits = flipped(bits);
      bits[0] = deleted;
      return value_of(bits, true);
    }
    if (n == 1 ? bits[0] != sign : bits[n - 1] == sign) bits = flipped(bits);
  }
  for (std::size_t i = 0; i < n; ++i) bits[i] = i == 0 ? sign : other;
  return value_of(bits, true);
}

TEST(RoundShift, EqualsTheRealDefinitionsExhaustively) {
  for (const auto rounding : kRoundings) {
    for (int shift = -3; shift <= 7; ++shift) {
      for (int x = -300; x <= 300; ++x) {
        ASSERT_EQ(static_cast<double>(round_shift(x, shift, rounding)), rounded(std::ldexp(x, -shift), rounding) + 0.0)
            << x << " >> " << shift << " " << to_string(rounding);
      }
    }
  }
}

TEST(RoundShift, HoldsAtTheEdgesOf128Bits) {
  const Int top = std::numeric_limits<Int>::max();
  const Int bottom = std::numeric_limits<Int>::min();
  for (const auto rounding : kRoundings) {
    for (const int shift : {1, 2, 63, 64, 65, 126, 127, 128, 129, 1000}) {
      for (const Int x : {top, bottom, bottom + 1, Int{1} << 126, -(Int{1} << 126), Int{1}, Int{-1}, Int{0}}) {
        const auto exact = round(rational_from_int(x) * pow2(-shift), rounding);
        ASSERT_TRUE(to_int(exact) == round_shift(x, shift, rounding))
            << to_string(x) << " >> " << shift << " " << to_string(rounding);
      }
    }
  }
  EXPECT_THROW(round_shift(top, -1, Rounding::Trn), diag::InternalError);
  EXPECT_EQ(round_shift(0, -100000, Rounding::Trn), 0);
}

TEST(RoundDiv, EqualsTheRealDefinitions) {
  for (const auto rounding : kRoundings) {
    for (int d = 1; d <= 12; ++d) {
      for (int n = -60; n <= 60; ++n) {
        // Quotients of small integers that are ties are exact in double; the others are far from any tie.
        ASSERT_EQ(static_cast<double>(round_div(n, d, rounding)), rounded(static_cast<double>(n) / d, rounding) + 0.0)
            << n << "/" << d << " " << to_string(rounding);
        ASSERT_TRUE(round(Rational(n, d), rounding) == static_cast<int>(round_div(n, d, rounding)));
      }
    }
  }
  EXPECT_THROW(round_div(1, 0, Rounding::Trn), diag::InternalError);
}

/// Every type of up to four bits with every mode, every source of seven bits on several grids.
TEST(Cast, EqualsTheDefinitionsExhaustively) {
  long long checked = 0;
  FixedType t;
  for (t.width_bits = 1; t.width_bits <= 4; ++t.width_bits) {
    for (const bool is_signed : {false, true}) {
      t.is_signed = is_signed;
      for (t.integer_bits = -1; t.integer_bits <= 4; t.integer_bits += 1) {
        for (const auto rounding : kRoundings) {
          t.rounding = rounding;
          for (int mode = 0; mode < 5; ++mode) {
            t.overflow = static_cast<Overflow>(mode);
            const bool wraps = t.overflow == Overflow::Wrap || t.overflow == Overflow::WrapSm;
            if (!is_signed && t.overflow == Overflow::WrapSm) continue;
            for (t.saturation_bits = 0; t.saturation_bits <= (wraps ? t.width_bits : 0); ++t.saturation_bits) {
              for (int code = -64; code < 64; ++code) {
                const double scaled = std::ldexp(code, t.frac_bits() - 2);
                const auto expected = overflowed(static_cast<long long>(rounded(scaled, rounding)),
                                                 static_cast<long long>(std::floor(scaled)), t);
                ASSERT_EQ(static_cast<long long>(cast(code, 2, t)), expected) << code << " to " << to_string(t);
                ASSERT_EQ(static_cast<long long>(cast_wide(code, 2, t)), expected) << code << " to " << to_string(t);
                ASSERT_EQ(static_cast<long long>(from_double(code / 4.0, t)), expected);
                const auto whole = overflowed(code, code, t);
                ASSERT_EQ(static_cast<long long>(apply_overflow(code, t)), whole) << code << " in " << to_string(t);
                ASSERT_EQ(static_cast<long long>(apply_overflow_wide(code, t)), whole);
                ++checked;
              }
            }
          }
        }
      }
    }
  }
  EXPECT_GT(checked, 400000);
}

Wide wide_of(const std::string& bits, bool is_signed) {
  Wide value = is_signed && bits[0] == '1' ? -1 : 0;
  for (const char c : bits) value = value * 2 + (c == '1' ? 1 : 0);
  return value;
}

/// Wrap keeps the low bits and Sat clips, at widths around the limits of the fast path.
TEST(Cast, HandlesUpTo128Bits) {
  std::mt19937_64 random(3);
  for (const int width : {63, 64, 65, 100, 125, 126, 127, 128}) {
    for (const bool is_signed : {false, true}) {
      for (int i = 0; i < 300; ++i) {
        FixedType t{
            .width_bits = width, .integer_bits = width - 10, .is_signed = is_signed, .overflow = Overflow::Wrap};
        std::string bits;
        for (int b = 0; b < 160; ++b) bits += random() % 2 == 0 ? '0' : '1';
        const Wide code = wide_of(bits, true) >> static_cast<unsigned>(random() % 100);
        const unsigned shift = static_cast<unsigned>(random() % 40);
        const Wide expected = [&] {
          const Wide modulus = Wide(1) << static_cast<unsigned>(width);
          Wide rest = (code << shift) % modulus;
          if (rest < 0) rest += modulus;
          return is_signed && rest * 2 >= modulus ? Wide(rest - modulus) : rest;
        }();
        ASSERT_TRUE(cast_wide(code, 10 - static_cast<int>(shift), t) == expected) << width;
        t.overflow = Overflow::Sat;
        const Wide hi = (Wide(1) << static_cast<unsigned>(is_signed ? width - 1 : width)) - 1;
        const Wide lo = is_signed ? Wide(-hi - 1) : Wide(0);
        const Wide exact = code << shift;
        ASSERT_TRUE(cast_wide(code, 10 - static_cast<int>(shift), t) == (exact < lo ? lo : exact > hi ? hi : exact));
        // Right shifts: half to even, by the rational definition.
        const auto half_even = round(Rational(code) / Rational(Wide(1) << shift), Rounding::RndConv);
        const Wide quotient(half_even);
        ASSERT_TRUE(cast_wide(code, 10 + static_cast<int>(shift), t) == (quotient < lo   ? lo
                                                                         : quotient > hi ? hi
                                                                                         : quotient));
      }
    }
  }
}

/// The 128-bit and the wide functions agree wherever both apply, with any shift.
TEST(Cast, NarrowAndWideAgree) {
  std::mt19937_64 random(4);
  for (int i = 0; i < 20000; ++i) {
    FixedType t;
    t.width_bits = 1 + static_cast<int>(random() % 128);
    t.is_signed = random() % 2 == 0 || t.width_bits == 128;
    t.integer_bits = static_cast<int>(random() % 300) - 150;
    t.rounding = static_cast<Rounding>(random() % 9);
    t.overflow = static_cast<Overflow>(random() % (t.is_signed ? 5 : 4));
    t.saturation_bits = static_cast<int>(random() % 4) % (t.width_bits + 1);
    const auto code = static_cast<Int>((static_cast<UInt>(random()) << 64) | random()) >> (random() % 128);
    const int frac = static_cast<int>(random() % 300) - 150;
    const Wide expected = cast_wide(Wide(to_string(code)), frac, t);
    ASSERT_EQ(to_string(cast(code, frac, t)), expected.str()) << to_string(code) << " " << frac << " " << to_string(t);
  }
}

TEST(Cast, ShiftsOfAnySize) {
  const FixedType tiny{.width_bits = 8, .integer_bits = -2000};
  const FixedType huge{.width_bits = 8, .integer_bits = 2000};
  EXPECT_EQ(cast(1, 0, tiny), 127);
  EXPECT_EQ(cast(-1, 0, tiny), -128);
  EXPECT_EQ(cast(0, 0, tiny), 0);
  EXPECT_EQ(cast(100, 0, huge), 0);
  EXPECT_EQ(from_double(DBL_MAX, tiny), 127);
  EXPECT_EQ(from_double(-DBL_TRUE_MIN, tiny), -128);
  EXPECT_EQ(from_double(-DBL_TRUE_MIN, huge), 0);
  EXPECT_EQ(from_double(DBL_TRUE_MIN, {.width_bits = 8, .integer_bits = -1070}), 16);
  FixedType floor = huge;
  floor.rounding = Rounding::Trn;
  EXPECT_EQ(cast(-1, 0, floor), -1);
  FixedType wrap = tiny;
  wrap.overflow = Overflow::Wrap;
  EXPECT_EQ(cast(77, 0, wrap), 0);
  EXPECT_THROW(from_double(INFINITY, tiny), diag::InternalError);
  EXPECT_THROW(from_double(NAN, tiny), diag::InternalError);
}

TEST(ToFloat, RoundsCorrectly) {
  std::mt19937_64 random(5);
  for (int i = 0; i < 20000; ++i) {
    const auto code = static_cast<Int>((static_cast<UInt>(random()) << 64) | random()) >> (random() % 127);
    const int frac = static_cast<int>(random() % 400) - 200;
    // The machine's own conversion of a 128-bit integer rounds half to even; scaling is exact away from the subnormals.
    ASSERT_EQ(to_double(code, frac), std::ldexp(static_cast<double>(code), -frac));
    if (std::abs(frac) < 20 || code == 0) {
      ASSERT_EQ(to_float(code, frac), std::ldexp(static_cast<float>(code), -frac));
    }
  }
  EXPECT_EQ(to_float((Int{1} << 24) + 1, 0), 0x1p24F);
  EXPECT_EQ(to_float((Int{1} << 24) + 3, 0), 0x1.000004p24F);
  EXPECT_EQ(to_float(1, -128), INFINITY);
  EXPECT_EQ(to_float(-1, -100000), -INFINITY);
  EXPECT_EQ(to_float((Int{1} << 25) - 1, -103), INFINITY);
  EXPECT_EQ(to_float((Int{1} << 25) - 2, -103), FLT_MAX);
}

TEST(ToFloat, RoundsIntoSubnormals) {
  EXPECT_EQ(to_float(1, 149), FLT_TRUE_MIN);
  EXPECT_EQ(to_float(1, 150), 0.0F);
  EXPECT_EQ(to_float(3, 151), FLT_TRUE_MIN);
  EXPECT_EQ(to_float(3, 150), 2 * FLT_TRUE_MIN);
  EXPECT_EQ(to_float(5, 150), 2 * FLT_TRUE_MIN);
  EXPECT_EQ(to_float(-7, 150), -4 * FLT_TRUE_MIN);
  EXPECT_EQ(to_double(1, 1074), DBL_TRUE_MIN);
  EXPECT_EQ(to_double(1, 1075), 0.0);
  EXPECT_EQ(to_double((Int{1} << 60) + 1, 1135), DBL_TRUE_MIN);
  // A double holds these exactly, so the machine's conversion to float is the reference.
  std::mt19937_64 random(6);
  for (int i = 0; i < 20000; ++i) {
    const auto code = static_cast<std::int64_t>(random()) >> (11 + random() % 40);
    const int frac = 130 + static_cast<int>(random() % 60);
    ASSERT_EQ(to_float(code, frac), static_cast<float>(std::ldexp(static_cast<double>(code), -frac)))
        << code << " " << frac;
  }
}

}  // namespace
}  // namespace weft::fixed
