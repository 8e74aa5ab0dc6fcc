// SPDX-License-Identifier: Apache-2.0
/// @file
/// The trees of a Forest node, read from its attributes: what the readers of tree formats write and the layer runs.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

#include "weft/nn/graph.h"

namespace weft::layers {

/// What a node asks of its feature x; the answer yes leads to `yes`. Written as its number in the attribute `modes`.
enum class TreeTest : std::int64_t {
  Less = 0,
  LessEqual = 1,
  GreaterEqual = 2,
  Greater = 3,
  Equal = 4,
  NotEqual = 5,
  Member = 6,           ///< x is one of the set
  TruncatedMember = 7,  ///< x without its fraction is one of the set (LightGBM)
  Category = 8          ///< x >= 0 and x without its fraction is one of the set (XGBoost)
};

/// Where a node sends NaN. Written as its number in the attribute `missing_to`.
enum class TreeMissing : std::int64_t {
  No = 0,
  Yes = 1,
  IsZero = 2,   ///< NaN is read as 0 (LightGBM without missing values)
  ZeroNo = 3,   ///< NaN and numbers within 1e-35 of zero go to `no` (LightGBM zero_as_missing)
  ZeroYes = 4,  ///< they go to `yes`
};

struct TreeNode {
  TreeTest test = TreeTest::Less;
  TreeMissing missing = TreeMissing::No;
  std::int64_t feature = 0;
  double threshold = 0.0;
  std::int64_t set = -1;  ///< index into Trees::sets for the tests of membership
  std::int64_t yes = -1;  ///< a later node, or the leaf -1 - yes
  std::int64_t no = -1;
  bool operator==(const TreeNode&) const = default;
};

struct Tree {
  std::int64_t root = -1;
  std::int64_t first = 0;  ///< the tree adds `width` numbers from its leaf on to the outputs from here on
  std::int64_t width = 1;
  bool operator==(const Tree&) const = default;
};

enum class TreeAggregate { Sum, Average, Min, Max };

struct Trees {
  std::int64_t n_in = 0;
  std::int64_t n_out = 0;
  std::vector<TreeNode> nodes;
  std::vector<std::vector<double>> sets;  ///< ascending
  std::vector<Tree> trees;
  std::vector<double> leaves;
  std::vector<double> base;  ///< one per output
  TreeAggregate aggregate = TreeAggregate::Sum;
  /// Average: what sums are divided by; 0 for the number of trees.
  std::int64_t divisor = 0;
  /// The source adds in double precision; else in float32.
  bool in_double = false;
  /// The sums begin with `base`; else it is added to the aggregate.
  bool base_first = true;
  /// A number that means "missing" beside NaN; NaN for none.
  double missing = std::numeric_limits<double>::quiet_NaN();
};

/// Whether x leads to `yes`; `missing` is Trees::missing.
bool answers_yes(const TreeNode& node, const Trees& trees, double x);

/// One tree with any numbering of its nodes; node 0 is the root.
struct LooseTree {
  struct Node {
    TreeNode test;  ///< yes and no are node numbers here
    bool is_leaf = false;
    std::vector<double> leaf;
  };
  std::vector<Node> nodes;
  std::int64_t first = 0;  ///< output
};
/// Appends the tree to Trees, parents first. Answers what is wrong (a child that does not exist, or is met twice);
/// nothing when all is well.
std::string append_tree(Trees& trees, const LooseTree& tree);

/// What an average divides by.
std::int64_t divisor_of(const Trees& trees);

/// One sample in the source's own arithmetic and order: x[n_in], y[n_out]; float32 sums come as doubles.
void evaluate_trees(const Trees& trees, const float* x, double* y);

/// The attributes of a Forest node, and back. Fails with ModelMalformed when they do not fit together.
AttributeMap tree_attributes(const Trees& trees);
Result<Trees> trees_of(const nn::Node& node, std::int64_t n_in, Context& ctx);

}  // namespace weft::layers
