// SPDX-License-Identifier: Apache-2.0
/// @file
/// From shared two-term sums to sums of many terms that three-input adders can add directly.
#pragma once

#include "weft/shiftadd/sharing.h"
#include "weft/shiftadd/sum_tree.h"

namespace weft::shiftadd {

struct RegroupOptions {
  TreeOptions tree;
  double narrowing = 1.0;  ///< see plan_levels
  bool dissolve = true;    ///< dissolve what is used more than once, too, where that takes fewer adders
};

/// Builds the shared sums of `shared` again in the empty graph `out`, which has the same inputs: what is used once is
/// dissolved into the sum that uses it, the rest is added natively by the time it had in `shared`. The rows then refer
/// to `out` and may have more terms.
void regroup(const AdderGraph& shared, std::vector<Row>& rows, AdderGraph& out, const RegroupOptions& options);

/// The cheapest of several trees that is in time; of trees that are all late, the earliest.
Term best_sum(AdderGraph& graph, const std::vector<Term>& terms, const LevelPlans& plans, const TreeOptions& options);

}  // namespace weft::shiftadd
