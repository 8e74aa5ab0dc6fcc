// SPDX-License-Identifier: Apache-2.0
/// @file
/// Step functions as the constants that lane kernels take.
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "weft/emulate/kernels.h"
#include "weft/fixed/step_function.h"

namespace weft::emulate {

/// A rounding mode on integers: floor((x + addend + (x < 0 ? sign_addend : 0)) / 2^shift), then bit 0 cleared at ties
/// when `even`. Derived from fixed::round_shift, so the modes are defined there alone.
struct RoundTerms {
  Int addend = 0;
  Int sign_addend = 0;
  bool even = false;
};
RoundTerms round_terms(fixed::Rounding rounding, int shift);

/// A rounding mode on reals y = floor + rest: up when rest exceeds the threshold of the sign of y.
struct RestTerms {
  double threshold_positive = 0;
  double threshold_negative = 0;
  bool even = false;
};
RestTerms rest_terms(fixed::Rounding rounding);

/// An Epilogue with its arrays. `addend` holds what a bias must take over.
struct EpilogueData {
  Epilogue plain;
  std::vector<std::int32_t> addend, shift, sign_at, sign_addend, tie_mask, magic, magic_bits, slope, start, base,
      thresholds, deltas, lo, hi, wrap_shift, lo_bytes, hi_bytes;
  /// Points into this object.
  [[nodiscard]] Epilogue view() const;
};

/// Functions on 32-bit codes in [x[i].lo, x[i].hi] whose results are wanted plus `offset` (even) in 32 bits; nullopt
/// when they are not of one form, need more bits on the way, or have more than `max_thresholds` thresholds.
std::optional<EpilogueData> make_epilogue(const std::vector<fixed::StepFunction>& functions,
                                          const std::vector<fixed::Range>& x, bool count, std::int32_t offset,
                                          std::int32_t max_thresholds);
/// Arrays for whole tiles of four outputs, and the byte bounds of packing.
void pad_to_tiles(EpilogueData& epilogue, std::int64_t n_out);

/// Functions on 64-bit lanes with their pieces.
struct WideFunctions {
  std::vector<WideFunction> plain;
  std::vector<std::vector<std::int64_t>> breakpoints, values;
  bool count = false;
  /// Copies that point into this object.
  [[nodiscard]] std::vector<WideFunction> view() const;
};
/// nullopt when 64 bits do not suffice on the way or a fold is not one of the kernels'.
std::optional<WideFunction> make_wide(const fixed::ShiftRound& function, const fixed::Range& x);
std::optional<WideFunctions> make_wide(const std::vector<fixed::StepFunction>& functions,
                                       const std::vector<fixed::Range>& x, bool count);

/// One table per function over [lo, lo + size); results fit 32 bits. nullopt when all of them have more than
/// `max_entries`.
struct Tables {
  std::int32_t lo = 0;
  std::int32_t size = 0;
  std::vector<std::int32_t> entries;
};
std::optional<Tables> make_tables(const std::vector<fixed::StepFunction>& functions, const std::vector<fixed::Range>& x,
                                  std::int64_t max_entries);

bool fits_int32(Int value);
bool fits_int64(Int value);

}  // namespace weft::emulate
