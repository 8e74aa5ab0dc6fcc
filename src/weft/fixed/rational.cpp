// SPDX-License-Identifier: Apache-2.0
#include "weft/fixed/rational.h"

#include <bit>
#include <cmath>
#include <limits>

#include "weft/diag/diag.h"
#include "weft/fixed/binary_rounding.h"
#include "weft/fixed/quantize.h"

namespace weft::fixed {
namespace {

using boost::multiprecision::cpp_int;
constexpr std::size_t kMaxDigits = 20000;

cpp_int from_uint(UInt value) {
  return (cpp_int(static_cast<std::uint64_t>(value >> 64)) << 64) | cpp_int(static_cast<std::uint64_t>(value));
}

/// The quotient to at least 66 significant bits, the rest as a sticky flag.
template <class Float>
Float to_binary(const Rational& value) {
  const cpp_int num = numerator(value);
  if (num == 0) return Float{0};
  const bool negative = num < 0;
  cpp_int n = negative ? cpp_int(-num) : num;
  cpp_int d = denominator(value);
  const auto n_bits = static_cast<std::int64_t>(msb(n));
  const auto d_bits = static_cast<std::int64_t>(msb(d));
  // Quotient between 2^66 and 2^68.
  const std::int64_t shift = 67 - (n_bits - d_bits);
  if (shift > 0) {
    n <<= static_cast<unsigned>(shift);
  } else {
    d <<= static_cast<unsigned>(-shift);
  }
  cpp_int q;
  cpp_int r;
  divide_qr(n, d, q, r);
  const auto low = static_cast<std::uint64_t>(q & cpp_int(std::numeric_limits<std::uint64_t>::max()));
  const auto high = static_cast<std::uint64_t>(q >> 64);
  return round_to_binary<Float>(negative, (static_cast<UInt>(high) << 64) | low, r != 0, -shift);
}

bool all_digits(std::string_view text) {
  if (text.empty() || text.size() > kMaxDigits) return false;
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
  }
  return true;
}

/// boost reads a leading zero as octal.
cpp_int parse_digits(std::string_view text) {
  while (text.size() > 1 && text.front() == '0') text.remove_prefix(1);
  return cpp_int(std::string(text));
}

}  // namespace

Rational rational_from_double(double value) {
  WEFT_CHECK(std::isfinite(value), "only finite numbers are rationals");
  int exponent = 0;
  const double mantissa = std::frexp(value, &exponent);
  const auto integer = static_cast<std::int64_t>(std::ldexp(mantissa, 53));
  if (integer == 0) return Rational(0);
  return Rational(cpp_int(integer)) * pow2(exponent - 53);
}

Rational pow2(int exponent) {
  const cpp_int one = 1;
  if (exponent >= 0) return Rational(cpp_int(one << static_cast<unsigned>(exponent)));
  return Rational(one, cpp_int(one << (0U - static_cast<unsigned>(exponent))));
}

std::optional<int> log2_exact(const Rational& value) {
  if (value <= 0) return std::nullopt;
  const cpp_int n = numerator(value);
  const cpp_int d = denominator(value);
  const auto n_bits = msb(n);
  const auto d_bits = msb(d);
  if (lsb(n) != n_bits || lsb(d) != d_bits) return std::nullopt;
  return static_cast<int>(n_bits) - static_cast<int>(d_bits);
}

double to_double(const Rational& value) { return to_binary<double>(value); }
float to_float(const Rational& value) { return to_binary<float>(value); }

cpp_int round(const Rational& value, Rounding rounding) {
  const cpp_int n = numerator(value);
  const cpp_int d = denominator(value);
  cpp_int q;
  cpp_int r;
  divide_qr(n, d, q, r);
  if (r < 0) {
    q -= 1;
    r += d;
  }
  const cpp_int twice = r * 2;
  const Remainder rest = r == 0      ? Remainder::Zero
                         : twice < d ? Remainder::BelowHalf
                         : twice > d ? Remainder::AboveHalf
                                     : Remainder::Half;
  if (round_up(rest, n < 0, (q & 1) != 0, rounding)) q += 1;
  return q;
}

std::string to_string(const Rational& value) {
  const cpp_int d = denominator(value);
  const std::string n = numerator(value).str();
  return d == 1 ? n : n + "/" + d.str();
}

std::optional<Rational> parse_rational(std::string_view text) {
  const bool negative = !text.empty() && text.front() == '-';
  if (negative) text.remove_prefix(1);
  const auto slash = text.find('/');
  const std::string_view n = text.substr(0, slash);
  if (!all_digits(n)) return std::nullopt;
  cpp_int numerator_digits = parse_digits(n);
  if (negative) numerator_digits = -numerator_digits;
  if (slash == std::string_view::npos) return Rational(numerator_digits);
  const std::string_view d = text.substr(slash + 1);
  if (!all_digits(d)) return std::nullopt;
  const cpp_int denominator_digits = parse_digits(d);
  if (denominator_digits == 0) return std::nullopt;
  return Rational(numerator_digits, denominator_digits);
}

Rational rational_from_int(Int value) {
  const bool negative = value < 0;
  const cpp_int magnitude = from_uint(negative ? UInt{0} - static_cast<UInt>(value) : static_cast<UInt>(value));
  return Rational(negative ? cpp_int(-magnitude) : magnitude);
}

std::optional<Int> to_int(const cpp_int& value) {
  if (value == 0) return Int{0};
  const cpp_int magnitude = abs(value);
  if (msb(magnitude) > 127) return std::nullopt;
  const auto low = static_cast<std::uint64_t>(magnitude & cpp_int(std::numeric_limits<std::uint64_t>::max()));
  const auto high = static_cast<std::uint64_t>(magnitude >> 64);
  const UInt bits = (static_cast<UInt>(high) << 64) | low;
  const UInt limit = UInt{1} << 127;
  if (value < 0) {
    if (bits > limit) return std::nullopt;
    return static_cast<Int>(UInt{0} - bits);
  }
  if (bits >= limit) return std::nullopt;
  return static_cast<Int>(bits);
}

}  // namespace weft::fixed
