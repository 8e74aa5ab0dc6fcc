// SPDX-License-Identifier: Apache-2.0
/// @file
/// How late the sums of each layer may be, and the adder graphs solved so far. Internal to hw.
#pragma once

#include <compare>
#include <deque>
#include <map>
#include <optional>
#include <unordered_map>
#include <vector>

#include "weft/fixed/step_function.h"
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

/// Solved problems and forms of functions, so that trying another slack of one layer searches only what it changes.
class SolutionCache {
 public:
  /// Null when it is not known.
  [[nodiscard]] const shiftadd::Solution* find(const shiftadd::Problem& problem, const Slack& slack) const;
  void add(const shiftadd::Problem& problem, const Slack& slack, shiftadd::Solution solution);
  /// fixed::find_multiply_shift, which takes long for functions of many pieces, once for each of them.
  const std::optional<fixed::MultiplyShift>& multiply_shift(const fixed::Pieces& function, const fixed::Range& range);

 private:
  struct Entry {
    shiftadd::Problem problem;
    Slack slack;
    shiftadd::Solution solution;
  };
  struct Form {
    fixed::Pieces function;
    fixed::Range range;
    std::optional<fixed::MultiplyShift> form;
  };
  std::unordered_map<std::size_t, std::vector<Entry>> entries_;  ///< by hash of the problem
  std::unordered_map<std::size_t, std::deque<Form>> forms_;      ///< by hash of the function
};

std::size_t hash_of(const shiftadd::Problem& problem);

/// Solves with that slack.
Result<shiftadd::Solution> solve(const shiftadd::Problem& problem, const Slack& slack, const shiftadd::CostModel& cost,
                                 Context& ctx);

}  // namespace weft::hw
