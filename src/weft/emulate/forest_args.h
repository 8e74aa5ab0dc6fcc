// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the kernel of decision trees takes. Plain data only, as in kernels.h.
#pragma once

#include <cstdint>

namespace weft::emulate {

/// On to `high` when the code of `feature` is >= threshold. A child >= 0 is a later node of the same tree's list, a
/// child < 0 the leaf -1 - child.
struct ForestNode {
  std::int64_t threshold = 0;
  std::int32_t feature = 0;
  std::int32_t low = -1;
  std::int32_t high = -1;
};

struct ForestTree {
  std::int64_t begin = 0;  ///< first node of the list
  std::int32_t count = 0;
  std::int32_t root = -1;  ///< within the list, or a leaf
  std::int32_t first = 0;  ///< output
  std::int32_t width = 1;  ///< outputs
  bool walks = false;      ///< lane by lane; else all nodes are selected from the last to the first, lanes side by side
};

/// y[row, o] = bias[o] + the leaves reached; sums wrap in the lanes of y, right when the result fits.
struct ForestArgs {
  const void* x = nullptr;
  void* y = nullptr;
  void* scratch = nullptr;  ///< as many rows of 16 lanes of y's kind as the longest list has nodes
  bool x_wide = false;
  bool y_wide = false;
  int lanes = 0;
  std::int64_t rows = 0;
  std::int64_t n_in = 0;
  std::int64_t n_out = 0;
  std::int64_t n_trees = 0;
  const ForestNode* nodes = nullptr;
  const ForestTree* trees = nullptr;
  const std::int64_t* leaves = nullptr;
  const std::int64_t* bias = nullptr;
};

}  // namespace weft::emulate
