// SPDX-License-Identifier: Apache-2.0
/// @file
/// The sum of one row's terms as a tree of adders that is ready in time.
#pragma once

#include "weft/shiftadd/sharing.h"

namespace weft::shiftadd {

struct TreeOptions {
  /// What the next addition should have least of: the magnitude of its result (as in a Huffman tree), or its cost.
  enum class Order { Magnitude, Cost } order = Order::Magnitude;
  /// Where three-input adders are to be had, one addition of an even number of terms is of two: the first or the last.
  bool pair_first = true;
  double noise = 0.0;
  std::uint64_t seed = 0;
};

/// A term equal to the sum of `terms` (at least one), in time under one of the plans whenever that is possible. The
/// result is negated only when all terms are.
Term sum_terms(AdderGraph& graph, const std::vector<Term>& terms, const LevelPlans& plans, const TreeOptions& options);

}  // namespace weft::shiftadd
