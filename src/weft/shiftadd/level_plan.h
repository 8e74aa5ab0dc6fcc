// SPDX-License-Identifier: Apache-2.0
/// @file
/// Whether terms that arrive at different times can still be summed by a deadline, answered by adding weights.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

#include "weft/shiftadd/clock.h"

namespace weft::shiftadd {

/// Kraft's inequality with two- and three-input adders: a fixed kind of adder on each level, counted from the result.
/// A term that is ready for level k (behind which k adders remain) takes 1 / (product of the inputs of the adders of
/// levels 1..k) of the result. Terms fit exactly when their shares add up to at most 1, because the shares of one plan
/// divide each other.
class LevelPlan {
 public:
  struct Level {
    int inputs = 2;
    int slots = 1;
  };
  LevelPlan(int deadline, const std::vector<Level>& levels);

  /// The share of a term that arrives at `slot`, in units of 1 / capacity(); more than the capacity when it is too
  /// late.
  [[nodiscard]] std::int64_t weight(int slot) const {
    for (std::size_t k = latest_.size(); k-- > 0;) {
      if (slot <= latest_[k]) return weights_[k];
    }
    return 2 * capacity();
  }
  [[nodiscard]] std::int64_t capacity() const { return weights_.front(); }
  [[nodiscard]] int deadline() const { return latest_.front(); }

 private:
  std::vector<int> latest_;  ///< by level: the last slot in which a term may arrive
  std::vector<std::int64_t> weights_;
};

using LevelPlans = std::vector<LevelPlan>;

/// The plans worth looking at for a sum that is due at `deadline` and `width_bits` wide, of terms from `first_slot` on.
/// `narrowing` is the share of log2(number of inputs) by which adders are taken to be narrower a level further down: 0
/// is safe, 1 is what sums of equal terms have.
LevelPlans plan_levels(const Clock& clock, int deadline, int width_bits, int first_slot, double narrowing);

/// What one sum may still grow by, under each of its plans; at least one plan has to hold.
class TimeBudget {
 public:
  TimeBudget() = default;
  /// `plans` must live as long as the budget.
  explicit TimeBudget(const LevelPlans& plans);

  /// Puts another term into the sum.
  void add(int slot) {
    for (std::size_t p = 0; p < slack_.size(); ++p) slack_[p] -= (*plans_)[p].weight(slot);
  }
  /// Whether the terms of `parts` may be replaced by their sum that is there at `whole`.
  [[nodiscard]] bool allows(std::initializer_list<int> parts, int whole) const {
    for (std::size_t p = 0; p < slack_.size(); ++p) {
      if (growth(p, parts, whole) <= slack_[p] && slack_[p] >= 0) return true;
    }
    return false;
  }
  void replace(std::initializer_list<int> parts, int whole) {
    for (std::size_t p = 0; p < slack_.size(); ++p) slack_[p] -= growth(p, parts, whole);
  }
  /// Whether the terms fit under any plan.
  [[nodiscard]] bool holds() const {
    for (const std::int64_t slack : slack_) {
      if (slack >= 0) return true;
    }
    return false;
  }

 private:
  [[nodiscard]] std::int64_t growth(std::size_t plan, std::initializer_list<int> parts, int whole) const {
    std::int64_t growth = (*plans_)[plan].weight(whole);
    for (const int part : parts) growth -= (*plans_)[plan].weight(part);
    return growth;
  }

  const LevelPlans* plans_ = nullptr;
  std::vector<std::int64_t> slack_;
};

}  // namespace weft::shiftadd
