// SPDX-License-Identifier: Apache-2.0
/// @file
/// From a problem to rows: constants folded, columns that are equal up to sign and power of two merged, the deadline
/// found.
#pragma once

#include "weft/shiftadd/clock.h"
#include "weft/shiftadd/linear_form.h"

namespace weft::shiftadd {

/// outputs[output] = (negate ? -1 : 1) * row * 2^shift + constant. The constant is 0 unless it is added behind a shared
/// row.
struct RowUse {
  std::int64_t output = 0;
  int shift = 0;
  bool negate = false;
  Int constant = 0;
};

/// An earlier row that a row builds on.
struct RowBase {
  std::int64_t row = 0;
  bool negate = false;
  int slot = 0;  ///< when it is due
};

/// One sum to build: sum of coefficient * input, plus a constant, plus perhaps another row.
struct RowPlan {
  std::vector<std::pair<std::int32_t, Int>> coefficients;
  Int constant = 0;
  std::optional<RowBase> base;
  std::vector<RowUse> uses;
  int width_bits = 1;  ///< of the sum, above its common zeros
  int depth = 0;       ///< deadline in slots
};

struct Plan {
  Clock clock;
  std::vector<RowPlan> rows{};
  std::vector<std::pair<std::int64_t, Int>> constant_outputs{};  ///< outputs that depend on no input
  std::vector<int> slots{};                                      ///< arrival of each input
  std::int64_t digits = 0;                                       ///< canonical signed digits of all rows
};

/// Checks the problem and plans the rows. Reports ShapeMismatch, TypeInvalid, TypeTooWide or LimitExceeded.
Result<Plan> prepare(const Problem& problem, const Options& options, const CostModel& cost, Context& ctx);

}  // namespace weft::shiftadd
