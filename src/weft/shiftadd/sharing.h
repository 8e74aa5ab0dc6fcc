// SPDX-License-Identifier: Apache-2.0
/// @file
/// Greedy sharing of common two-term subexpressions under a depth budget.
#pragma once

#include <cstdint>
#include <vector>

#include "weft/shiftadd/adder_graph.h"

namespace weft::shiftadd {

/// The weight of an operand that arrives at a slot, in Kraft's inequality: a sum of terms fits into `depth` levels of
/// two-input adders exactly when the weights of its terms add up to at most capacity(depth) = weight(depth).
/// Slots more than 40 levels before the deadline count as 40 (a safe rounding), so that sums stay in 64 bits.
class KraftBudget {
 public:
  explicit KraftBudget(int depth) : depth_(depth) {}
  [[nodiscard]] std::uint64_t weight(int slot) const {
    const int above = slot - (depth_ - kResolution);
    return std::uint64_t{1} << (above < 0 ? 0 : above > kResolution + 1 ? kResolution + 1 : above);
  }
  [[nodiscard]] std::uint64_t capacity() const { return std::uint64_t{1} << kResolution; }
  /// What replacing two terms by their sum adds to a row's weight.
  [[nodiscard]] std::int64_t growth(int slot_a, int slot_b) const {
    const auto after = static_cast<std::int64_t>(weight((slot_a > slot_b ? slot_a : slot_b) + 1));
    const auto before = static_cast<std::int64_t>(weight(slot_a) + weight(slot_b));
    return after > before ? after - before : 0;
  }
  [[nodiscard]] int depth() const { return depth_; }

 private:
  static constexpr int kResolution = 40;
  int depth_;
};

/// The sum of a row's terms, none of which is negated twice: terms plus weights of things added later.
struct Row {
  std::vector<Term> terms;
  std::uint64_t reserved = 0;  ///< Kraft weight of terms that are not shared (a constant)
  int depth = 0;               ///< deadline of the row in slots
};

struct SharingOptions {
  enum class Score { Overlap, Saved, Count, Mixed } score = Score::Overlap;
  double noise = 0.0;        ///< relative, 0 to 1
  double slack_price = 0.0;  ///< score lost per level difference of the two operands
  std::uint64_t seed = 0;
  std::int64_t max_patterns = std::int64_t{1} << 22;  ///< above it, pairs are only sought within blocks of inputs
};

/// Replaces shared two-term patterns in `rows` by new nodes of `graph`. False when cancelled.
bool share_subexpressions(AdderGraph& graph, std::vector<Row>& rows, const SharingOptions& options, const Context& ctx);

}  // namespace weft::shiftadd
