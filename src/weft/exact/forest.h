// SPDX-License-Identifier: Apache-2.0
/// @file
/// What all executors and emitters of Forest share.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "weft/exact/graph.h"

namespace weft::exact {

/// What is wrong with the trees themselves; empty when every node, leaf and output they name exists.
std::string check_forest(const Forest& forest);

/// Nodes that walks from `root` can meet, ascending: parents stand before their children.
std::vector<std::int64_t> reachable_nodes(const Forest& forest, std::int64_t root);

/// The leaf (index into Forest::leaves) that a walk from `root` ends in; at(f) is the code of feature f.
template <class At>
std::int64_t walk(const Forest& forest, std::int64_t root, const At& at) {
  while (root >= 0) {
    const auto& node = forest.nodes[static_cast<std::size_t>(root)];
    root = at(node.feature) >= node.threshold ? node.high : node.low;
  }
  return -1 - root;
}

/// Ranges of the outputs for one row of ranges `x`; nullopt when 128 bits do not suffice. Walks that no code of the row
/// can take do not count.
std::optional<std::vector<fixed::Range>> forest_ranges(const Forest& forest, const fixed::Range* x);

/// Steps that forest_ranges takes for a row, saturated.
std::uint64_t forest_work(const Forest& forest);

}  // namespace weft::exact
