// SPDX-License-Identifier: Apache-2.0
/// @file
/// Exact affine forms over the inputs and the exact ranges that follow from them.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "weft/fixed/range.h"

namespace weft::shiftadd {

/// constant + sum of coefficient * input; terms sorted by input, no zero coefficients.
struct LinearForm {
  std::vector<std::pair<std::int32_t, Int>> terms;
  Int constant = 0;
  bool operator==(const LinearForm&) const = default;
};

/// a * 2^shift_a (negated if negate_a) + b * 2^shift_b (negated if negate_b); nullopt when 128 bits do not suffice.
std::optional<LinearForm> combine(const LinearForm& a, int shift_a, bool negate_a, const LinearForm& b, int shift_b,
                                  bool negate_b);

/// The exact range when every input runs over its own range independently; nullopt when 128 bits do not suffice.
std::optional<fixed::Range> exact_range(const LinearForm& form, const std::vector<fixed::Range>& inputs);

/// Writes form = (negate ? -1 : 1) * result * 2^shift with an odd content and a positive leading coefficient.
struct Normalized {
  LinearForm form;
  int shift = 0;
  bool negate = false;
};
Normalized normalize(LinearForm form);

/// A hash that is equal for equal forms.
std::uint64_t hash_form(const LinearForm& form);

}  // namespace weft::shiftadd
