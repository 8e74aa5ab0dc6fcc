// SPDX-License-Identifier: Apache-2.0
/// @file
/// Signed-digit forms of integers: v = sum of sign * 2^shift with as few digits as possible.
#pragma once

#include <cstdint>
#include <vector>

#include "weft/fixed/integer.h"

namespace weft::shiftadd {

/// One signed power of two.
struct SignedDigit {
  int shift = 0;
  bool negative = false;
  bool operator==(const SignedDigit&) const = default;
};

/// Canonical signed digits of `value`, lowest first: no two neighbouring positions are used and the count is minimal.
std::vector<SignedDigit> canonical_digits(Int value);

/// A form with the same minimal number of digits, in which every run `2^(k+1) - 2^(k-1)` (binary 101 with a negative
/// low digit) is written as `2^k + 2^(k-1)` when the matching bit of `choice` is set (bit n for the n-th such place).
std::vector<SignedDigit> minimal_digits(Int value, std::uint64_t choice);

}  // namespace weft::shiftadd
