// SPDX-License-Identifier: Apache-2.0
#include "weft/hw/narrow_inputs.h"

#include <algorithm>
#include <map>
#include <tuple>

#include "weft/fixed/integer.h"
#include "weft/netlist/netlist.h"
#include "weft/shiftadd/digits.h"

namespace weft::hw {

namespace {

using Combination = GroupedInputs::Combination;

/// What a column takes of a group: a combination times `factor`, a power of two with a sign.
struct Part {
  Combination combination;
  std::int64_t factor = 0;
};

class Grouper {
 public:
  Grouper(const shiftadd::Problem& problem, int most_bits)
      : problem_(problem), columns_(static_cast<std::size_t>(problem.n_out)), most_bits_(most_bits) {}

  GroupedInputs run() {
    for (std::size_t i = 0; i < problem_.inputs.size(); ++i) {
      Group group{{i}, netlist::width_of(problem_.inputs[i]), 0.0};
      group.cost = cost_of(group.members);
      groups_.push_back(std::move(group));
    }
    merge();
    GroupedInputs out;
    std::vector<std::vector<std::int64_t>> rows;
    for (const Group& group : groups_) {
      if (group.members.empty()) continue;
      std::map<Combination, std::size_t> known;
      for (std::size_t c = 0; c < columns_; ++c) {
        Part part = part_of(group.members, c);
        if (part.factor == 0) continue;
        if (group.bits > most_bits_) {  // a wide input by itself keeps its weights
          part.factor *= part.combination[0].second;
          part.combination[0].second = 1;
        }
        const auto [it, is_new] = known.try_emplace(part.combination, rows.size());
        if (is_new) {
          out.inputs.push_back(part.combination);
          rows.emplace_back(columns_, 0);
        }
        rows[it->second][c] = part.factor;
      }
    }
    for (const auto& row : rows) out.matrix.insert(out.matrix.end(), row.begin(), row.end());
    return out;
  }

 private:
  struct Group {
    std::vector<std::size_t> members;
    int bits = 0;
    double cost = 0.0;
  };

  [[nodiscard]] std::int64_t weight(std::size_t input, std::size_t column) const {
    return problem_.matrix[input * columns_ + column];
  }

  [[nodiscard]] Part part_of(const std::vector<std::size_t>& members, std::size_t column) const {
    Part part;
    int shift = 63;
    for (const std::size_t i : members) {
      const std::int64_t w = weight(i, column);
      if (w == 0) continue;
      shift = std::min(shift, fixed::trailing_zeros(w));
      part.combination.emplace_back(i, w);
    }
    if (part.combination.empty()) return part;
    const bool negate = part.combination[0].second < 0;
    part.factor = (negate ? -1 : 1) * (std::int64_t{1} << shift);
    for (auto& [i, w] : part.combination) w = (negate ? -w : w) >> shift;
    return part;
  }

  [[nodiscard]] double bits_of(const Combination& combination) const {
    Int low = 0;
    Int high = 0;
    for (const auto& [i, w] : combination) {
      const fixed::Range& x = problem_.inputs[i];
      low += std::min(w * x.lo, w * x.hi);
      high += std::max(w * x.lo, w * x.hi);
    }
    return netlist::width_of({low, high, 0});
  }

  /// LUTs of the tables of a group and of adding their results, one per column, to the sums.
  [[nodiscard]] double cost_of(const std::vector<std::size_t>& members) const {
    // Half a LUT per bit, as adders have three operands or are shared, of a term and of what the sums grow by.
    constexpr double kAddition = 0.5;
    constexpr double kGrowth = 3.0;
    constexpr double kTable = 0.5;
    double cost = 0.0;
    std::map<Combination, bool> known;
    for (std::size_t c = 0; c < columns_; ++c) {
      const Part part = part_of(members, c);
      if (part.factor == 0) continue;
      const double bits = bits_of(part.combination);
      cost += kAddition * (bits + kGrowth);
      const bool is_plain = part.combination.size() == 1 && part.combination[0].second == 1;
      if (known.try_emplace(part.combination, true).second && !is_plain) cost += kTable * bits;
    }
    return cost;
  }

  void merge() {
    // Beyond that many narrow inputs only neighbours are looked at.
    constexpr std::size_t kAllPairs = 128;
    constexpr std::size_t kNeighbours = 8;
    const std::size_t n = groups_.size();
    const std::size_t reach = n <= kAllPairs ? n : kNeighbours;
    struct Merge {
      double saved;
      std::size_t a;
      std::size_t b;
    };
    const auto gain = [&](std::size_t a, std::size_t b) {
      if (groups_[a].members.empty() || groups_[b].members.empty()) return 0.0;
      if (groups_[a].bits + groups_[b].bits > most_bits_) return 0.0;
      return groups_[a].cost + groups_[b].cost - cost_of(joined(a, b));
    };
    std::vector<Merge> merges;
    const auto look = [&](std::size_t a, std::size_t b) {
      if (const double saved = gain(a, b); saved > 0.0) merges.push_back({saved, a, b});
    };
    for (std::size_t a = 0; a < n; ++a) {
      for (std::size_t b = a + 1; b < n && b - a <= reach; ++b) look(a, b);
    }
    while (!merges.empty()) {
      const auto best = std::max_element(merges.begin(), merges.end(), [](const Merge& x, const Merge& y) {
        return std::tuple(x.saved, y.a, y.b) < std::tuple(y.saved, x.a, x.b);
      });
      const std::size_t a = best->a;
      const std::size_t b = best->b;
      groups_[a] = {joined(a, b), groups_[a].bits + groups_[b].bits, 0.0};
      groups_[a].cost = cost_of(groups_[a].members);
      groups_[b] = {};
      std::erase_if(merges, [&](const Merge& m) { return m.a == a || m.a == b || m.b == a || m.b == b; });
      for (std::size_t other = 0; other < n; ++other) {
        if (other != a && (n <= kAllPairs || (other > a ? other - a : a - other) <= reach))
          look(std::min(a, other), std::max(a, other));
      }
    }
  }

  [[nodiscard]] std::vector<std::size_t> joined(std::size_t a, std::size_t b) const {
    std::vector<std::size_t> both = groups_[a].members;
    both.insert(both.end(), groups_[b].members.begin(), groups_[b].members.end());
    std::sort(both.begin(), both.end());
    return both;
  }

  const shiftadd::Problem& problem_;
  std::size_t columns_;
  int most_bits_;
  std::vector<Group> groups_;
};

}  // namespace

GroupedInputs group_inputs(const shiftadd::Problem& problem, int most_bits) {
  return Grouper(problem, most_bits).run();
}

}  // namespace weft::hw
