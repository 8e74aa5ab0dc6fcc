// SPDX-License-Identifier: Apache-2.0
/// @file
/// Problems, cost models and solutions of the solver in files.
#pragma once

#include <filesystem>

#include "weft/shiftadd/solver.h"
#include "weft/support/json.h"

namespace weft::shiftadd {

/// A table of whole numbers.
struct IntegerTable {
  std::int64_t rows = 0;
  std::int64_t columns = 0;
  std::vector<std::int64_t> values;  ///< row-major
};

/// Reads a matrix of whole numbers from .npy, .csv or .json (a list of rows); a .npy vector is one row. Reports
/// ArrayMalformed with the place of the first number that is no integer of 64 bits.
Result<IntegerTable> read_integer_table(const std::filesystem::path& path, Context& ctx);

/// Reads a cost model, {"two": {...}, "three": {...}}, from JSON; "three" may be absent. Each has `lut_per_adder` (0),
/// `lut_per_bit` (1), `lut_per_eight_bits` (0; of begun groups), `delay` (1), `delay_per_bit` (0; from the second bit
/// on) and `growth_is_free` (false; bits above all operands count nothing).
Result<CostModel> read_cost_model(const std::filesystem::path& path, Context& ctx);

/// The graph with exact ranges, the outputs as terms, and the totals.
support::Json to_json(const Solution& solution);

}  // namespace weft::shiftadd
