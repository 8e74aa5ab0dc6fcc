// SPDX-License-Identifier: Apache-2.0
/// @file
/// How late the sums of each layer may be, and the adder graphs solved so far. Internal to hw.
#pragma once

#include <compare>
#include <map>
#include <unordered_map>
#include <vector>

#include "weft/hw/design.h"
#include "weft/shiftadd/solver.h"

namespace weft::hw {

/// Levels of two-input adders above the minimum that sharing may add: of each sum, or of the latest sum of the row,
/// which the others may then reach.
struct Slack {
  int levels = 1;
  bool common = false;
  int restarts = 0;  ///< of the solver
  auto operator<=>(const Slack&) const = default;
};

/// The slack of every layer with sums; the same everywhere but for those named.
struct SlackPlan {
  Slack all;
  std::map<std::uint32_t, Slack> of{};  ///< by value of the exact graph
  [[nodiscard]] Slack at(exact::ValueId value) const {
    const auto it = of.find(value.index);
    return it == of.end() ? all : it->second;
  }
};

/// Solved problems, so that trying another slack of one layer solves only what it changes.
class SolutionCache {
 public:
  /// Null when it is not known.
  [[nodiscard]] const shiftadd::Solution* find(const shiftadd::Problem& problem, const Slack& slack) const;
  void add(const shiftadd::Problem& problem, const Slack& slack, shiftadd::Solution solution);

 private:
  struct Entry {
    shiftadd::Problem problem;
    Slack slack;
    shiftadd::Solution solution;
  };
  std::unordered_map<std::size_t, std::vector<Entry>> entries_;  ///< by hash of the problem
};

std::size_t hash_of(const shiftadd::Problem& problem);

/// Solves with that slack.
Result<shiftadd::Solution> solve(const shiftadd::Problem& problem, const Slack& slack, double seconds,
                                 const shiftadd::CostModel& cost, Context& ctx);

}  // namespace weft::hw
