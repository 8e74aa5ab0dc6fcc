// SPDX-License-Identifier: Apache-2.0
/// @file
/// 128-bit integers: text, bit lengths, checked arithmetic.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace weft {

/// Codes and ranges of the exact graph. Anything that does not fit is a TypeTooWide diagnostic, never a wrap.
using Int = __int128;
using UInt = unsigned __int128;

namespace fixed {

std::string to_string(Int value);
std::optional<Int> parse_int(std::string_view text);

/// Overflow-checked operations; nullopt on overflow of 128 bits.
std::optional<Int> checked_add(Int a, Int b);
std::optional<Int> checked_sub(Int a, Int b);
std::optional<Int> checked_mul(Int a, Int b);
/// a * 2^shift for shift >= 0.
std::optional<Int> checked_shift_left(Int a, int shift);

/// Bits of the shortest two's complement (`is_signed`) or plain binary field that holds every value of [lo, hi];
/// at least 1. lo < 0 needs is_signed.
int width_bits(Int lo, Int hi, bool is_signed);
/// Number of trailing zero bits; 127 for 0.
int trailing_zeros(Int value);
/// floor(a / b) and floor(a * 2^-shift).
Int floor_div(Int a, Int b);
Int floor_shift(Int a, int shift);

}  // namespace fixed
}  // namespace weft
