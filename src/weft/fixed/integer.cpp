// SPDX-License-Identifier: Apache-2.0
#include "weft/fixed/integer.h"

#include <algorithm>
#include <bit>
#include <limits>

#include "weft/diag/diag.h"

namespace weft::fixed {
namespace {

constexpr Int kIntMin = std::numeric_limits<Int>::min();

/// Index of the highest set bit plus one; 0 for 0.
int bit_length(UInt value) {
  const auto high = static_cast<std::uint64_t>(value >> 64);
  const auto low = static_cast<std::uint64_t>(value);
  return high != 0 ? 64 + std::bit_width(high) : std::bit_width(low);
}

}  // namespace

std::string to_string(Int value) {
  if (value == 0) return "0";
  const bool negative = value < 0;
  UInt rest = negative ? UInt{0} - static_cast<UInt>(value) : static_cast<UInt>(value);
  std::string out;
  while (rest != 0) {
    out.push_back(static_cast<char>('0' + static_cast<int>(rest % 10)));
    rest /= 10;
  }
  if (negative) out.push_back('-');
  std::reverse(out.begin(), out.end());
  return out;
}

std::optional<Int> parse_int(std::string_view text) {
  const bool negative = !text.empty() && text.front() == '-';
  if (!text.empty() && (text.front() == '-' || text.front() == '+')) text.remove_prefix(1);
  if (text.empty()) return std::nullopt;
  // Accumulated on the negative side, which reaches one further.
  Int value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    if (__builtin_mul_overflow(value, Int{10}, &value) || __builtin_sub_overflow(value, Int{c - '0'}, &value)) {
      return std::nullopt;
    }
  }
  if (negative) return value;
  if (value == kIntMin) return std::nullopt;
  return -value;
}

std::optional<Int> checked_add(Int a, Int b) {
  Int out = 0;
  if (__builtin_add_overflow(a, b, &out)) return std::nullopt;
  return out;
}

std::optional<Int> checked_sub(Int a, Int b) {
  Int out = 0;
  if (__builtin_sub_overflow(a, b, &out)) return std::nullopt;
  return out;
}

std::optional<Int> checked_mul(Int a, Int b) {
  Int out = 0;
  if (__builtin_mul_overflow(a, b, &out)) return std::nullopt;
  return out;
}

std::optional<Int> checked_shift_left(Int a, int shift) {
  WEFT_CHECK(shift >= 0, "checked_shift_left needs shift >= 0");
  if (a == 0) return Int{0};
  if (shift >= 128) return std::nullopt;
  const auto out = static_cast<Int>(static_cast<UInt>(a) << shift);
  if ((out >> shift) != a) return std::nullopt;
  return out;
}

int width_bits(Int lo, Int hi, bool is_signed) {
  WEFT_CHECK(lo <= hi, "width_bits needs lo <= hi");
  WEFT_CHECK(is_signed || lo >= 0, "an unsigned field cannot hold a negative value");
  if (!is_signed) return std::max(1, bit_length(static_cast<UInt>(hi)));
  // ~x for negative x: -2^(w-1) needs w bits.
  const int for_lo = bit_length(static_cast<UInt>(lo < 0 ? ~lo : lo)) + 1;
  const int for_hi = bit_length(static_cast<UInt>(hi < 0 ? ~hi : hi)) + 1;
  return std::max(for_lo, for_hi);
}

int trailing_zeros(Int value) {
  if (value == 0) return 127;
  const auto bits = static_cast<UInt>(value);
  const auto low = static_cast<std::uint64_t>(bits);
  return low != 0 ? std::countr_zero(low) : 64 + std::countr_zero(static_cast<std::uint64_t>(bits >> 64));
}

Int floor_div(Int a, Int b) {
  WEFT_CHECK(b != 0, "division by zero");
  WEFT_CHECK(a != kIntMin || b != -1, "floor_div overflows 128 bits");
  const Int quotient = a / b;
  return (a % b != 0 && ((a < 0) != (b < 0))) ? quotient - 1 : quotient;
}

Int floor_shift(Int a, int shift) {
  if (shift <= 0) {
    const auto out = checked_shift_left(a, -shift);
    WEFT_CHECK(out.has_value(), "floor_shift overflows 128 bits");
    return *out;
  }
  return a >> std::min(shift, 127);
}

}  // namespace weft::fixed
