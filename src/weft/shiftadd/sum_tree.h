// SPDX-License-Identifier: Apache-2.0
/// @file
/// The sum of one row's terms as a tree of two-input adders under the row's depth budget.
#pragma once

#include "weft/shiftadd/sharing.h"

namespace weft::shiftadd {

struct TreeOptions {
  double noise = 0.0;
  std::uint64_t seed = 0;
  double level_price = 0.0;  ///< cost of a level of difference between the two operands, in LUTs
};

/// A term equal to the sum of row.terms (at least one); never deeper than row.depth when the terms' weights fit it. The result
/// is negated only when no order of the additions avoids it.
Term sum_terms(AdderGraph& graph, const Row& row, const TreeOptions& options);

}  // namespace weft::shiftadd
