// SPDX-License-Identifier: Apache-2.0
/// @file
/// The sum of one row's terms as a tree of two-input adders under the row's depth budget.
#pragma once

#include "weft/shiftadd/sharing.h"

namespace weft::shiftadd {

struct TreeOptions {
  /// What the next addition should have least of: the magnitude of its result (as in a Huffman tree), or its cost.
  enum class Order { Magnitude, Cost } order = Order::Magnitude;
  double noise = 0.0;
  std::uint64_t seed = 0;
};

/// A term equal to the sum of row.terms (at least one); never deeper than row.depth when the terms' weights fit it. The
/// result is negated only when no order of the additions avoids it.
Term sum_terms(AdderGraph& graph, const Row& row, const TreeOptions& options);

}  // namespace weft::shiftadd
