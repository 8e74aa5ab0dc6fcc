// SPDX-License-Identifier: Apache-2.0
#include "weft/emulate/forest_plan.h"

#include <algorithm>
#include <limits>
#include <unordered_map>

#include "weft/exact/forest.h"
#include "weft/fixed/integer.h"

namespace weft::emulate {
namespace {

/// Trees beyond this are walked: selecting all nodes costs a few instructions per node and sixteen lanes.
constexpr std::size_t kMaxSelected = 400;
constexpr std::size_t kMaxNodes = std::size_t{1} << 22;

}  // namespace

std::optional<ForestStep> make_forest(const exact::Forest& forest, const std::vector<fixed::Range>& x, bool narrow_y) {
  ForestStep out;
  if (forest.leaves.size() > kMaxNodes || forest.n_in > std::numeric_limits<std::int32_t>::max() ||
      forest.n_out > std::numeric_limits<std::int32_t>::max())
    return std::nullopt;
  const auto push = [&](std::vector<std::int64_t>& to, Int code) {
    // Sums wrap; only results must fit, but no code may be lost on the way into 64 bits.
    to.push_back(static_cast<std::int64_t>(code));
    return narrow_y ||
           (code >= std::numeric_limits<std::int64_t>::min() && code <= std::numeric_limits<std::int64_t>::max());
  };
  for (const Int leaf : forest.leaves)
    if (!push(out.leaves, leaf)) return std::nullopt;
  for (const Int bias : forest.bias)
    if (!push(out.bias, bias)) return std::nullopt;
  // A comparison that every reachable code answers alike is no node.
  const auto resolve = [&](std::int64_t child) {
    while (child >= 0) {
      const auto& node = forest.nodes[static_cast<std::size_t>(child)];
      const auto& range = x[static_cast<std::size_t>(node.feature)];
      if (range.hi < node.threshold) {
        child = node.low;
      } else if (range.lo >= node.threshold) {
        child = node.high;
      } else {
        break;
      }
    }
    return child;
  };
  for (const auto& tree : forest.trees) {
    ForestTree t;
    t.begin = static_cast<std::int64_t>(out.nodes.size());
    t.first = static_cast<std::int32_t>(tree.first);
    t.width = static_cast<std::int32_t>(tree.width);
    const std::int64_t root = resolve(tree.root);
    std::vector<std::int64_t> list;
    if (root >= 0) list = exact::reachable_nodes(forest, root);
    if (out.nodes.size() + list.size() > kMaxNodes) return std::nullopt;
    std::unordered_map<std::int64_t, std::int32_t> at;
    for (const auto i : list) at.emplace(i, static_cast<std::int32_t>(at.size()));
    const auto child = [&](std::int64_t c) {
      c = resolve(c);
      return c < 0 ? static_cast<std::int32_t>(c) : at.at(c);
    };
    for (const auto i : list) {
      const auto& node = forest.nodes[static_cast<std::size_t>(i)];
      const auto& range = x[static_cast<std::size_t>(node.feature)];
      // Nodes that `resolve` passes over stay in the list unread; their threshold need not fit.
      const Int threshold = std::clamp(node.threshold, range.lo, range.hi);
      out.nodes.push_back({static_cast<std::int64_t>(threshold), static_cast<std::int32_t>(node.feature),
                           child(node.low), child(node.high)});
    }
    t.count = static_cast<std::int32_t>(list.size());
    t.root = child(root);
    t.walks = list.size() > kMaxSelected;
    out.trees.push_back(t);
  }
  out.args.n_in = forest.n_in;
  out.args.n_out = forest.n_out;
  out.args.n_trees = static_cast<std::int64_t>(out.trees.size());
  return out;
}

std::int64_t longest_tree(const ForestStep& step) {
  std::int64_t out = 1;
  for (const auto& tree : step.trees)
    if (!tree.walks) out = std::max<std::int64_t>(out, tree.count);
  return out;
}

double forest_ns(const ForestStep& step) {
  double ns = 1;
  for (const auto& tree : step.trees) ns += tree.walks ? 60 : 0.15 * tree.count * tree.width;
  return ns;
}

}  // namespace weft::emulate
