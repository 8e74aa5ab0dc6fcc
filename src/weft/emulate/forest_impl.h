// SPDX-License-Identifier: Apache-2.0
/// @file
/// Decision trees on lanes: every node of a small tree is selected for all lanes at once, large trees are walked.
#pragma once

#include "weft/emulate/kernels.h"

namespace weft::emulate {
namespace {

template <class Y>
WEFT_INLINE void load_child(Y* out, std::int32_t child, const Y* scratch, const std::int64_t* leaves) {
  if (child >= 0) {
    const Y* from = scratch + static_cast<std::int64_t>(child) * kMinLanes;
    for (int l = 0; l < kMinLanes; ++l) out[l] = from[l];
  } else {
    const Y leaf = static_cast<Y>(leaves[-1 - child]);
    for (int l = 0; l < kMinLanes; ++l) out[l] = leaf;
  }
}

/// Adds the tree's leaves to y; `x` and `y` stand at the first of 16 lanes of the row.
template <class X, class Y>
WEFT_INLINE void select_tree(const ForestArgs& a, const ForestTree& tree, const X* x, Y* y) {
  const ForestNode* nodes = a.nodes + tree.begin;
  Y* scratch = static_cast<Y*>(a.scratch);
  for (std::int32_t j = 0; j < tree.width; ++j) {
    const std::int64_t* leaves = a.leaves + j;
    for (std::int32_t i = tree.count - 1; i >= 0; --i) {
      const ForestNode& node = nodes[i];
      const X* code = x + static_cast<std::int64_t>(node.feature) * a.lanes;
      const X threshold = static_cast<X>(node.threshold);
      Y low[kMinLanes];
      Y high[kMinLanes];
      load_child(low, node.low, scratch, leaves);
      load_child(high, node.high, scratch, leaves);
      Y* out = scratch + static_cast<std::int64_t>(i) * kMinLanes;
      for (int l = 0; l < kMinLanes; ++l) out[l] = code[l] >= threshold ? high[l] : low[l];
    }
    Y reached[kMinLanes];
    load_child(reached, tree.root, scratch, leaves);
    Y* sum = y + static_cast<std::int64_t>(tree.first + j) * a.lanes;
    for (int l = 0; l < kMinLanes; ++l)
      sum[l] = static_cast<Y>(static_cast<std::uint64_t>(sum[l]) + static_cast<std::uint64_t>(reached[l]));
  }
}

template <class X, class Y>
WEFT_INLINE void walk_tree(const ForestArgs& a, const ForestTree& tree, const X* x, Y* y) {
  const ForestNode* nodes = a.nodes + tree.begin;
  for (int l = 0; l < kMinLanes; ++l) {
    std::int32_t at = tree.root;
    while (at >= 0) {
      const ForestNode& node = nodes[at];
      at = x[static_cast<std::int64_t>(node.feature) * a.lanes + l] >= node.threshold ? node.high : node.low;
    }
    for (std::int32_t j = 0; j < tree.width; ++j) {
      Y& sum = y[static_cast<std::int64_t>(tree.first + j) * a.lanes + l];
      sum = static_cast<Y>(static_cast<std::uint64_t>(sum) + static_cast<std::uint64_t>(a.leaves[-1 - at + j]));
    }
  }
}

template <class X, class Y>
void forest_of(const ForestArgs& a) {
  for (std::int64_t row = 0; row < a.rows; ++row) {
    for (int lane = 0; lane < a.lanes; lane += kMinLanes) {
      const X* x = static_cast<const X*>(a.x) + row * a.n_in * a.lanes + lane;
      Y* y = static_cast<Y*>(a.y) + row * a.n_out * a.lanes + lane;
      for (std::int64_t o = 0; o < a.n_out; ++o)
        for (int l = 0; l < kMinLanes; ++l) y[o * a.lanes + l] = static_cast<Y>(a.bias[o]);
      for (std::int64_t t = 0; t < a.n_trees; ++t) {
        if (a.trees[t].walks) {
          walk_tree(a, a.trees[t], x, y);
        } else {
          select_tree(a, a.trees[t], x, y);
        }
      }
    }
  }
}

void forest(const ForestArgs& a) {
  if (a.x_wide) {
    a.y_wide ? forest_of<std::int64_t, std::int64_t>(a) : forest_of<std::int64_t, std::int32_t>(a);
  } else {
    a.y_wide ? forest_of<std::int32_t, std::int64_t>(a) : forest_of<std::int32_t, std::int32_t>(a);
  }
}

}  // namespace
}  // namespace weft::emulate
