// SPDX-License-Identifier: Apache-2.0
#include "weft/exact/forest.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

namespace weft::exact {
namespace {

/// Nodes times outputs per tree: what one inference may hold.
constexpr std::int64_t kMaxCells = std::int64_t{1} << 26;

std::int64_t widest(const Forest& forest) {
  std::int64_t out = 1;
  for (const auto& tree : forest.trees) out = std::max(out, tree.width);
  return out;
}

bool exists(const Forest& forest, std::int64_t child, std::int64_t after, std::int64_t width) {
  if (child >= 0) return child > after && child < static_cast<std::int64_t>(forest.nodes.size());
  return -1 - child <= static_cast<std::int64_t>(forest.leaves.size()) - width;
}

}  // namespace

std::string check_forest(const Forest& forest) {
  const auto n_nodes = static_cast<std::int64_t>(forest.nodes.size());
  if (forest.n_in < 1 || forest.n_out < 1) return "a forest without inputs or outputs";
  if (static_cast<std::int64_t>(forest.bias.size()) != forest.n_out)
    return fmt::format("{} biases for {} outputs", forest.bias.size(), forest.n_out);
  for (const auto& tree : forest.trees) {
    if (tree.width < 1 || tree.first < 0 || tree.width > forest.n_out || tree.first > forest.n_out - tree.width)
      return fmt::format("a tree adds to outputs {} to {} of {}", tree.first, tree.first + tree.width - 1,
                         forest.n_out);
    if (tree.root < std::numeric_limits<std::int64_t>::min() + 2 || !exists(forest, tree.root, -1, tree.width))
      return fmt::format("root {} does not exist", tree.root);
  }
  const std::int64_t width = widest(forest);
  if (n_nodes > 0 && width > kMaxCells / n_nodes) return "the trees are out of bounds";
  // Leaves must hold for every tree that can reach them; the widest bounds them all.
  std::vector<std::int64_t> needs(forest.nodes.size(), 1);
  for (const auto& tree : forest.trees)
    if (tree.root >= 0) {
      auto& need = needs[static_cast<std::size_t>(tree.root)];
      need = std::max(need, tree.width);
    }
  for (std::int64_t i = 0; i < n_nodes; ++i) {
    const auto& node = forest.nodes[static_cast<std::size_t>(i)];
    if (node.feature < 0 || node.feature >= forest.n_in)
      return fmt::format("node {}: feature {} is not in the {} inputs", i, node.feature, forest.n_in);
    for (const auto child : {node.low, node.high}) {
      if (child < std::numeric_limits<std::int64_t>::min() + 2 ||
          !exists(forest, child, i, needs[static_cast<std::size_t>(i)]))
        return fmt::format("node {}: child {} does not exist", i, child);
      if (child >= 0) {
        auto& need = needs[static_cast<std::size_t>(child)];
        need = std::max(need, needs[static_cast<std::size_t>(i)]);
      }
    }
  }
  return {};
}

std::vector<std::int64_t> reachable_nodes(const Forest& forest, std::int64_t root) {
  std::vector<std::int64_t> out;
  if (root < 0) return out;
  std::vector<std::int64_t> open{root};
  std::vector<bool> seen(forest.nodes.size() - static_cast<std::size_t>(root), false);
  seen[0] = true;
  while (!open.empty()) {
    const std::int64_t at = open.back();
    open.pop_back();
    out.push_back(at);
    const auto& node = forest.nodes[static_cast<std::size_t>(at)];
    for (const auto child : {node.low, node.high}) {
      if (child < 0 || seen[static_cast<std::size_t>(child - root)]) continue;
      seen[static_cast<std::size_t>(child - root)] = true;
      open.push_back(child);
    }
  }
  std::sort(out.begin(), out.end());
  return out;
}

std::optional<std::vector<fixed::Range>> forest_ranges(const Forest& forest, const fixed::Range* x) {
  using fixed::Range;
  const auto constant = [](Int c) { return Range{c, c, c == 0 ? 0 : fixed::trailing_zeros(c)}; };
  const std::int64_t width = widest(forest);
  const auto leaf = [&](std::int64_t child, std::int64_t j) {
    return constant(forest.leaves[static_cast<std::size_t>(-1 - child + j)]);
  };
  // What can be added from each node on, for every entry of a leaf that exists for it.
  std::vector<std::vector<std::optional<Range>>> below(static_cast<std::size_t>(width));
  for (std::int64_t j = 0; j < width; ++j) {
    auto& column = below[static_cast<std::size_t>(j)];
    column.resize(forest.nodes.size());
    const auto of = [&](std::int64_t child) -> std::optional<Range> {
      if (child >= 0) return column[static_cast<std::size_t>(child)];
      if (-1 - child + j >= static_cast<std::int64_t>(forest.leaves.size())) return std::nullopt;
      return leaf(child, j);
    };
    for (std::size_t i = forest.nodes.size(); i-- > 0;) {
      const auto& node = forest.nodes[i];
      const Range& code = x[node.feature];
      const auto low = code.lo < node.threshold ? of(node.low) : std::nullopt;
      const auto high = code.hi >= node.threshold ? of(node.high) : std::nullopt;
      column[i] = low && high ? fixed::unite(*low, *high) : low ? low : high;
    }
  }
  std::vector<Range> out;
  for (const Int b : forest.bias) out.push_back(constant(b));
  for (const auto& tree : forest.trees)
    for (std::int64_t j = 0; j < tree.width; ++j) {
      auto& sum = out[static_cast<std::size_t>(tree.first + j)];
      const auto term = tree.root < 0 ? std::optional(leaf(tree.root, j))
                                      : below[static_cast<std::size_t>(j)][static_cast<std::size_t>(tree.root)];
      const auto next = term ? fixed::add(sum, *term) : std::nullopt;
      if (!next) return std::nullopt;
      sum = *next;
    }
  return out;
}

std::uint64_t forest_work(const Forest& forest) {
  std::uint64_t work = forest.nodes.size() * static_cast<std::uint64_t>(widest(forest));
  for (const auto& tree : forest.trees) work += static_cast<std::uint64_t>(tree.width);
  return work;
}

}  // namespace weft::exact
