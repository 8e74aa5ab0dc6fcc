// SPDX-License-Identifier: Apache-2.0
/// @file
/// What is known of one integer code: [lo, hi] on the grid of multiples of 2^step_log2.
#pragma once

#include <optional>

#include "weft/fixed/integer.h"

namespace weft::fixed {

/// Every reachable code is in [lo, hi] and a multiple of 2^step_log2. The constant 0 has step_log2 = 0.
struct Range {
  Int lo = 0;
  Int hi = 0;
  int step_log2 = 0;
  bool operator==(const Range&) const = default;
};

/// Range of a + b, a - b, a * 2^shift, a * k, a * b, union, max. nullopt when 128 bits do not suffice.
std::optional<Range> add(const Range& a, const Range& b);
std::optional<Range> sub(const Range& a, const Range& b);
std::optional<Range> shift_left(const Range& a, int shift);
std::optional<Range> scale(const Range& a, Int k);
std::optional<Range> mul(const Range& a, const Range& b);
Range unite(const Range& a, const Range& b);
Range max(const Range& a, const Range& b);
/// Bits of a two's complement (lo < 0) or unsigned field for the range, with the low step_log2 zero bits included.
int width_bits(const Range& range);
inline bool is_signed(const Range& range) { return range.lo < 0; }

}  // namespace weft::fixed
