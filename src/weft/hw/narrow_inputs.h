// SPDX-License-Identifier: Apache-2.0
/// @file
/// Groups of the narrow inputs of a constant matrix, of which tables give the sums that its columns need. Internal to
/// hw.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "weft/shiftadd/solver.h"

namespace weft::hw {

/// The same product with fewer additions: new inputs, each a weighted sum of a few of the old ones.
struct GroupedInputs {
  /// Old input and its weight; the weights have no common power of two and the first is positive. An old input by
  /// itself has weight 1.
  using Combination = std::vector<std::pair<std::size_t, std::int64_t>>;
  std::vector<Combination> inputs;
  std::vector<std::int64_t> matrix;  ///< row-major [new inputs, columns]; zeros and powers of two with a sign
};

/// Puts inputs of together at most `most_bits` bits in groups where the additions saved are worth more than the tables,
/// of half a LUT per bit.
GroupedInputs group_inputs(const shiftadd::Problem& problem, int most_bits);

}  // namespace weft::hw
