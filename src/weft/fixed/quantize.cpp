// SPDX-License-Identifier: Apache-2.0
#include "weft/fixed/quantize.h"

#include <algorithm>
#include <cmath>

#include "weft/diag/diag.h"
#include "weft/fixed/binary_rounding.h"

namespace weft::fixed {
namespace {

using boost::multiprecision::cpp_int;

/// Types up to this width are handled in 128-bit integers, wider ones in Wide.
constexpr int kNarrowBits = 126;
/// Shifts beyond these change nothing for codes below 2^255 and types up to 128 bits: everything is shifted out, or the
/// low 128 bits are zero and the value is out of range.
constexpr int kWideLeft = 250;
constexpr int kWideRight = 400;

UInt magnitude_of(Int value) { return value < 0 ? UInt{0} - static_cast<UInt>(value) : static_cast<UInt>(value); }

Int power_of_two(int n, Int /*tag*/) { return static_cast<Int>(UInt{1} << n); }
Wide power_of_two(int n, const Wide& /*tag*/) { return Wide(1) << static_cast<unsigned>(n); }

/// value mod 2^n, not negative.
Int residue(Int value, int n) { return static_cast<Int>(static_cast<UInt>(value) & ((UInt{1} << n) - 1)); }
Wide residue(const Wide& value, int n) {
  const Wide modulus = Wide(1) << static_cast<unsigned>(n);
  Wide rest = value % modulus;
  if (rest < 0) rest += modulus;
  return rest;
}

/// Bit n of the two's complement of unlimited width.
template <class T>
bool bit(const T& value, int n) {
  return residue(value, n + 1) >= power_of_two(n, T{});
}

/// The n low bits of `bits` read as two's complement.
template <class T>
T sign_extend(const T& bits, int n) {
  const T half = power_of_two(n - 1, T{});
  return bits >= half ? T(bits - half - half) : bits;
}

/// ~x within n bits.
template <class T>
T complement(const T& bits, int n) {
  return power_of_two(n, T{}) - 1 - bits;
}

/// Sets the bits [n - saturation_bits, n - 2] to !sign and bit n - 1 to sign.
template <class T>
T with_saturated_top(const T& bits, int n, int saturation_bits, bool sign) {
  const int kept = n - std::max(saturation_bits, 1);
  T out = residue(bits, kept);
  const T below_sign = power_of_two(n - 1, T{});
  return sign ? T(out + below_sign) : T(out + below_sign - power_of_two(kept, T{}));
}

/// Overflow of `rounded`, as ap_fixed's assignment does it. Sign-magnitude wrap looks at bit W of the value before
/// rounding
/// (`floored`), which differs from bit W of the rounded value only when the rounding carries into it.
template <class T>
T fold(const T& floored, const T& rounded, const FixedType& type) {
  const int w = type.width_bits;
  const T hi = type.is_signed ? T(power_of_two(w - 1, T{}) - 1) : T(power_of_two(w, T{}) - 1);
  T lo = 0;
  if (type.is_signed) lo = type.overflow == Overflow::SatSym && w > 1 ? T(-hi) : T(-hi - 1);
  if (rounded >= lo && rounded <= hi) return rounded;
  const bool negative = rounded < 0;
  const int n = std::min(type.saturation_bits, w);
  switch (type.overflow) {
    case Overflow::Sat:
    case Overflow::SatSym:
      return negative ? lo : hi;
    case Overflow::SatZero:
      return T(0);
    case Overflow::Wrap:
    case Overflow::WrapSm:
      break;
  }
  const T bits = residue(rounded, w);
  if (!type.is_signed) {
    // ap_fixed sets the top n bits, whatever the sign.
    return n == 0 ? bits : T(residue(bits, w - n) + power_of_two(w, T{}) - power_of_two(w - n, T{}));
  }
  if (type.overflow == Overflow::Wrap) {
    return sign_extend(n == 0 ? bits : with_saturated_top(bits, w, n, negative), w);
  }
  const bool top = bit(rounded, w - 1);
  if (n == 0) {
    const bool deleted = bit(floored, w);
    return sign_extend(deleted == top ? bits : with_saturated_top(complement(bits, w), w, 1, deleted), w);
  }
  const bool flip = n == 1 ? negative != top : negative == bit(rounded, w - n);
  return sign_extend(with_saturated_top(flip ? complement(bits, w) : bits, w, n, negative), w);
}

template <class T>
struct Rounded {
  T floored;
  T value;
};

/// floor and round of value * 2^-shift for shift > 0.
Rounded<Int> divide_pow2(Int value, int shift, Rounding rounding) {
  Int floored = value >> std::min(shift, 127);
  Remainder rest = Remainder::Zero;
  if (shift <= 128) {
    const UInt low = shift == 128 ? static_cast<UInt>(value) : static_cast<UInt>(value) & ((UInt{1} << shift) - 1);
    const UInt half = UInt{1} << (shift - 1);
    rest = low == 0     ? Remainder::Zero
           : low < half ? Remainder::BelowHalf
           : low > half ? Remainder::AboveHalf
                        : Remainder::Half;
  } else if (value != 0) {
    rest = value < 0 ? Remainder::AboveHalf : Remainder::BelowHalf;
  }
  if (shift >= 128) floored = value < 0 ? -1 : 0;
  return {floored, floored + (round_up(rest, value < 0, (floored & 1) != 0, rounding) ? 1 : 0)};
}

/// floor and round of numerator / denominator.
Rounded<Wide> divide(const Wide& numerator, const Wide& denominator, Rounding rounding) {
  WEFT_CHECK(denominator > 0, "round_div needs a positive denominator");
  Wide floored;
  Wide rest_value;
  divide_qr(numerator, denominator, floored, rest_value);
  if (rest_value < 0) {
    floored -= 1;
    rest_value += denominator;
  }
  const Wide other = denominator - rest_value;
  const Remainder rest = rest_value == 0      ? Remainder::Zero
                         : rest_value < other ? Remainder::BelowHalf
                         : rest_value > other ? Remainder::AboveHalf
                                              : Remainder::Half;
  Wide value = floored;
  if (round_up(rest, numerator < 0, floored % 2 != 0, rounding)) value += 1;
  return {floored, value};
}

Wide to_wide(Int value) {
  const UInt magnitude = magnitude_of(value);
  Wide out = static_cast<std::uint64_t>(magnitude >> 64);
  out <<= 64;
  out += static_cast<std::uint64_t>(magnitude);
  return value < 0 ? Wide(-out) : out;
}

Int from_wide(const Wide& value) {
  const Wide magnitude = abs(value);
  WEFT_CHECK(magnitude < (Wide(1) << 127) || value == -(Wide(1) << 127), "a code does not fit 128 signed bits");
  const auto low = static_cast<std::uint64_t>(magnitude & Wide(~std::uint64_t{0}));
  const auto high = static_cast<std::uint64_t>(magnitude >> 64);
  const UInt bits = (static_cast<UInt>(high) << 64) | low;
  return static_cast<Int>(value < 0 ? UInt{0} - bits : bits);
}

void check_width(const FixedType& type) {
  WEFT_CHECK(type.width_bits >= 1 && type.width_bits <= 128, "a fixed-point type has 1 to 128 bits");
}

}  // namespace

Int round_shift(Int value, int shift, Rounding rounding) {
  if (shift > 0) return divide_pow2(value, shift, rounding).value;
  const auto out = value == 0 ? std::optional<Int>(0) : shift < -128 ? std::nullopt : checked_shift_left(value, -shift);
  WEFT_CHECK(out.has_value(), "round_shift overflows 128 bits");
  return *out;
}

Wide round_div(const Wide& numerator, const Wide& denominator, Rounding rounding) {
  return divide(numerator, denominator, rounding).value;
}

Int apply_overflow(Int code, const FixedType& type) {
  check_width(type);
  if (type.width_bits <= kNarrowBits) return fold(code, code, type);
  return from_wide(apply_overflow_wide(to_wide(code), type));
}

Wide apply_overflow_wide(const Wide& code, const FixedType& type) {
  check_width(type);
  return fold(code, code, type);
}

Int cast(Int code, int source_frac_bits, const FixedType& type) {
  check_width(type);
  const int shift = source_frac_bits - type.frac_bits();
  if (type.width_bits <= kNarrowBits) {
    if (shift > 0) {
      const auto rounded = divide_pow2(code, shift, type.rounding);
      return fold(rounded.floored, rounded.value, type);
    }
    if (const auto exact = checked_shift_left(code, std::min(-shift, 128))) return fold(*exact, *exact, type);
  }
  return from_wide(cast_wide(to_wide(code), source_frac_bits, type));
}

Wide cast_wide(const Wide& code, int source_frac_bits, const FixedType& type) {
  check_width(type);
  WEFT_CHECK(abs(code) < (Wide(1) << 255), "cast_wide takes codes below 2^255");
  const int shift = source_frac_bits - type.frac_bits();
  if (shift > 0) {
    const auto divisor = Wide(1) << static_cast<unsigned>(std::min(shift, kWideRight));
    const auto rounded = divide(code, divisor, type.rounding);
    return fold(rounded.floored, rounded.value, type);
  }
  const Wide exact = code << static_cast<unsigned>(std::min(-shift, kWideLeft));
  return fold(exact, exact, type);
}

Int from_double(double value, const FixedType& type) {
  WEFT_CHECK(std::isfinite(value), "only finite numbers have a code");
  int exponent = 0;
  const double mantissa = std::frexp(value, &exponent);
  return cast(static_cast<Int>(std::ldexp(mantissa, 53)), 53 - exponent, type);
}

double to_double(Int code, int frac_bits) {
  return round_to_binary<double>(code < 0, magnitude_of(code), false, -static_cast<std::int64_t>(frac_bits));
}

float to_float(Int code, int frac_bits) {
  return round_to_binary<float>(code < 0, magnitude_of(code), false, -static_cast<std::int64_t>(frac_bits));
}

}  // namespace weft::fixed
