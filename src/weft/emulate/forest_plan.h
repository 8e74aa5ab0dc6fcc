// SPDX-License-Identifier: Apache-2.0
/// @file
/// The trees of a forest as lists of nodes for the lane kernel.
#pragma once

#include <optional>

#include "weft/emulate/plan.h"

namespace weft::emulate {

/// Nodes, trees, leaves and biases; buffers and rows are the planner's. `x` has one range per feature. nullopt when
/// shared subtrees would grow beyond what is worth it, or a number does not fit.
std::optional<ForestStep> make_forest(const exact::Forest& forest, const std::vector<fixed::Range>& x, bool narrow_y);

/// Nodes of the longest list, and a rough cost of one sample.
std::int64_t longest_tree(const ForestStep& step);
double forest_ns(const ForestStep& step);

}  // namespace weft::emulate
