// SPDX-License-Identifier: Apache-2.0
/// @file
/// Greedy sharing of common two-term subexpressions under a depth budget.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "weft/shiftadd/adder_graph.h"
#include "weft/shiftadd/level_plan.h"

namespace weft::shiftadd {

/// The sum of a row's terms, and a constant that is not shared.
struct Row {
  std::vector<Term> terms;
  Int constant = 0;
  std::optional<int> late;                  ///< slot of another term that is not shared
  std::shared_ptr<const LevelPlans> plans;  ///< by when the sum is due
};

/// A pattern that was shared: first + sign * second * 2^shift. An operand is a node of the rows, or ~k for the sum of
/// the k-th pattern; a sum may stand negated, which `flip` tells.
struct SharedPattern {
  std::int32_t first = 0;
  std::int32_t second = 0;
  int shift = 0;
  bool negative = false;
  bool flip = false;
  bool skip = false;  ///< not to be shared again, nor what is built on it
};

struct SharingOptions {
  enum class Score { Overlap, Saved, Count, Mixed } score = Score::Overlap;
  double noise = 0.0;        ///< relative, 0 to 1
  double slack_price = 0.0;  ///< score lost per level difference of the two operands
  /// Adders that one more use of a pattern saves: 1 where sums have two terms, less where a third one costs little.
  double worth = 1.0;
  std::uint64_t seed = 0;
  /// Shared before all others as far as the rows still have them twice.
  std::vector<SharedPattern> replay{};
  std::int64_t max_patterns = std::int64_t{1} << 22;  ///< above it, pairs are only sought within blocks of inputs
};

/// Replaces shared two-term patterns in `rows` by new nodes of `graph` and lists them. Nothing when cancelled.
std::optional<std::vector<SharedPattern>> share_subexpressions(AdderGraph& graph, std::vector<Row>& rows,
                                                               const SharingOptions& options, const Context& ctx);

}  // namespace weft::shiftadd
