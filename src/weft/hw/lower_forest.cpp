// SPDX-License-Identifier: Apache-2.0
// Decision trees. Every comparison of a feature with a threshold is made once; up to six levels of a tree become the
// bits of a path (the comparison met on each level) and one table from path to leaf; deeper trees select between such
// tables. Trees are added as a product with ones is, with the smallest leaves in the constant.
#include <fmt/format.h>

#include <algorithm>
#include <unordered_map>

#include "weft/exact/forest.h"
#include "weft/hw/lowering.h"

namespace weft::hw {

using exact::Forest;
using exact::Value;
using netlist::NetId;
using netlist::Term;
using Signals = std::vector<Signal>;

namespace {

constexpr int kMaxLevels = 6;

/// One tree for one output as nets.
class Tree {
 public:
  Tree(netlist::Builder& builder, const Forest& forest, const std::vector<Signal>& x, std::int64_t root, std::int64_t j)
      : builder_(builder), forest_(forest), x_(x), j_(j) {
    const auto nodes = exact::reachable_nodes(forest, root);
    const auto note = [&](std::int64_t child) {
      if (child >= 0) return;
      const Int v = leaf(child);
      lowest_ = lowest_ ? std::min(*lowest_, v) : v;
    };
    note(root);
    for (const auto i : nodes) {
      note(forest.nodes[static_cast<std::size_t>(i)].low);
      note(forest.nodes[static_cast<std::size_t>(i)].high);
    }
    for (auto it = nodes.rbegin(); it != nodes.rend(); ++it) {
      const auto& node = forest.nodes[static_cast<std::size_t>(*it)];
      int height = 0;
      for (const auto child : {node.low, node.high}) {
        height = std::max(height, child < 0 ? 0 : heights_.at(child));
        if (child < 0 && leaf(child) != *lowest_)
          grid_ = std::min(grid_, fixed::trailing_zeros(leaf(child) - *lowest_));
      }
      heights_[*it] = height + 1;
    }
    if (grid_ == kNoGrid) {
      result_ = constant_signal(*lowest_);
      return;
    }
    // From the leaves up, so that depth is no recursion.
    for (auto it = nodes.rbegin(); it != nodes.rend(); ++it)
      if (heights_.at(*it) >= kMaxLevels || *it == root) nets_[*it] = select(*it);
    result_ = signal_of(builder, nets_.at(root));
    if (result_.is_constant()) {
      result_.offset = (result_.offset << grid_) + *lowest_;
    } else {
      result_.shift = grid_;
      result_.offset = *lowest_;
    }
  }

  [[nodiscard]] Signal result() const { return result_; }

 private:
  static constexpr int kNoGrid = 127;

  [[nodiscard]] Int leaf(std::int64_t child) const { return forest_.leaves[static_cast<std::size_t>(-1 - child + j_)]; }
  [[nodiscard]] NetId compare(std::int64_t i) {
    const auto& node = forest_.nodes[static_cast<std::size_t>(i)];
    return at_least(builder_, x_[static_cast<std::size_t>(node.feature)], node.threshold);
  }
  NetId number(std::int64_t child) { return builder_.constant((leaf(child) - *lowest_) >> grid_); }

  NetId select(std::int64_t i) {
    const auto& node = forest_.nodes[static_cast<std::size_t>(i)];
    if (heights_.at(i) <= kMaxLevels) return by_path(i);
    const auto of = [&](std::int64_t child) {
      if (child < 0) return number(child);
      const auto known = nets_.find(child);
      if (known != nets_.end()) return known->second;
      return nets_[child] = by_path(child);
    };
    const NetId high = of(node.high);
    const NetId low = of(node.low);
    return builder_.mux(compare(i), high, low);
  }

  /// Levels 0 ... height - 1 of the tree below `root` as bits, highest first, and the table behind them.
  NetId by_path(std::int64_t root) {
    const int height = heights_.at(root);
    std::vector<std::int64_t> level{root};  // what the path so far, as a number, leads to
    std::vector<NetId> bits;                // highest first
    for (int k = 0; k < height; ++k) {
      bits.push_back(*selected(level, bits));
      std::vector<std::int64_t> next;
      for (const auto at : level) {
        // A leaf reached early stays, whatever the bits behind it say.
        next.push_back(at < 0 ? at : forest_.nodes[static_cast<std::size_t>(at)].low);
        next.push_back(at < 0 ? at : forest_.nodes[static_cast<std::size_t>(at)].high);
      }
      level = std::move(next);
    }
    std::vector<Int> entries;
    entries.reserve(level.size());
    for (const auto at : level) entries.push_back((leaf(at) - *lowest_) >> grid_);
    std::vector<Term> fields;
    for (int k = height - 1; k >= 0; --k) fields.push_back({bits[static_cast<std::size_t>(k)], height - 1 - k, false});
    if (height == 1) return builder_.mux(bits[0], builder_.constant(entries[1]), builder_.constant(entries[0]));
    const NetId path = builder_.concat(fields);
    if (builder_.is_constant(path))
      return builder_.constant(entries[static_cast<std::size_t>(builder_.at(path).constant)]);
    return builder_.table(path, 0, std::move(entries));
  }

  /// The comparison of the node that the bits select; none where all are leaves.
  std::optional<NetId> selected(const std::vector<std::int64_t>& level, const std::vector<NetId>& bits) {
    std::vector<std::optional<NetId>> candidates;
    for (const auto at : level) candidates.push_back(at < 0 ? std::nullopt : std::optional(compare(at)));
    for (std::size_t b = bits.size(); b-- > 0;) {
      std::vector<std::optional<NetId>> next;
      for (std::size_t i = 0; i < candidates.size(); i += 2) {
        const auto& low = candidates[i];
        const auto& high = candidates[i + 1];
        next.push_back(low && high ? builder_.mux(bits[b], *high, *low) : low ? low : high);
      }
      candidates = std::move(next);
    }
    return candidates[0];
  }

  netlist::Builder& builder_;
  const Forest& forest_;
  const std::vector<Signal>& x_;
  std::int64_t j_;
  std::optional<Int> lowest_;
  int grid_ = kNoGrid;
  std::unordered_map<std::int64_t, int> heights_;
  std::unordered_map<std::int64_t, NetId> nets_;
  Signal result_;
};

}  // namespace

Result<Signals> Lowering::lower(const Value& value, const Forest& p) {
  const Signals& all = signals(p.x);
  const auto n_in = static_cast<std::size_t>(p.n_in);
  const std::size_t rows = all.size() / n_in;
  const auto sinks = find_sinks(current_);
  Signals out;
  for (std::size_t row = 0; row < rows; ++row) {
    const Signals x(all.begin() + static_cast<std::ptrdiff_t>(row * n_in),
                    all.begin() + static_cast<std::ptrdiff_t>((row + 1) * n_in));
    std::vector<Signals> terms(static_cast<std::size_t>(p.n_out));
    for (const auto& tree : p.trees) {
      if (ctx_.cancelled()) return ctx_.fail(Kind::Cancelled, {}, "planning was cancelled");
      for (std::int64_t j = 0; j < tree.width; ++j)
        terms[static_cast<std::size_t>(tree.first + j)].push_back(Tree(builder_, p, x, tree.root, j).result());
    }
    for (std::size_t o = 0; o < terms.size(); ++o) {
      const std::size_t e = row * terms.size() + o;
      if (terms[o].empty()) {
        out.push_back(constant_signal(p.bias[o]));
        continue;
      }
      WEFT_TRY(RowSums sum,
               row_sums(value, static_cast<std::int64_t>(e), terms[o], std::vector<std::int64_t>(terms[o].size(), 1),
                        {p.bias[o]}, {sinks[e]}, {value.ranges[e]}));
      WEFT_TRY(const Signals y, solve_rows(value, {std::move(sum)}, "t"));
      out.push_back(y[0]);
    }
  }
  return out;
}

}  // namespace weft::hw
