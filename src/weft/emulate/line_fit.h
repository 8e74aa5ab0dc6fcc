// SPDX-License-Identifier: Apache-2.0
/// @file
/// Step functions that rise or fall by one code at a time as one float32 line: two roundings instead of a search.
#pragma once

#include <cstdint>
#include <optional>

#include "weft/fixed/step_function.h"

namespace weft::emulate {

/// y = clamp(floor(float(x) * slope + start), lo, hi), product and sum each rounded to float32 (to nearest even).
struct Line {
  float slope = 0;
  float start = 0;
  std::int32_t lo = 0;
  std::int32_t hi = 0;
};

/// The value of the line at a code that float32 holds.
std::int32_t line_value(const Line& line, std::int32_t x);

/// A line equal to `pieces` on every code of `x`; nullopt when there is none or the search misses it. Both roundings
/// are monotone in x, so equality on both sides of every breakpoint is equality everywhere.
std::optional<Line> fit_line(const fixed::Pieces& pieces, const fixed::Range& x);

}  // namespace weft::emulate
