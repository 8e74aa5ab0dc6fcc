// SPDX-License-Identifier: Apache-2.0
#include "weft/shiftadd/level_plan.h"

namespace weft::shiftadd {
namespace {

/// Capacities stay far enough below 2^63 for the weights of 2^24 terms.
constexpr int kMaxBinaryLevels = 36;
constexpr int kMaxTernaryLevels = 22;

}  // namespace

LevelPlan::LevelPlan(int deadline, const std::vector<Level>& levels) {
  latest_.push_back(deadline);
  for (const Level& level : levels) latest_.push_back(latest_.back() - level.slots);
  weights_.assign(levels.size() + 1, 1);
  for (std::size_t k = levels.size(); k-- > 0;) weights_[k] = weights_[k + 1] * levels[k].inputs;
}

LevelPlans plan_levels(const Clock& clock, int deadline, int width_bits, int first_slot, double narrowing) {
  // Levels from the result down until no term can be ready; `kind(k)` is the number of inputs on level k.
  const auto fill = [&](int limit, const auto& kind) {
    std::vector<LevelPlan::Level> levels;
    int at = deadline;
    double shrunk = 0.0;
    while (static_cast<int>(levels.size()) < limit) {
      const int inputs = kind(static_cast<int>(levels.size()));
      const int width = std::max(2, width_bits - static_cast<int>(narrowing * shrunk));
      const int slots = clock.adder(inputs, width);
      if (at - slots < first_slot) break;
      at -= slots;
      levels.push_back({inputs, slots});
      shrunk += inputs == 3 ? 1.585 : 1.0;
    }
    return levels;
  };
  LevelPlans plans;
  const auto binary = fill(kMaxBinaryLevels, [](int) { return 2; });
  if (!clock.has_ternary()) {
    plans.emplace_back(deadline, binary);
    return plans;
  }
  const auto ternary = fill(kMaxTernaryLevels, [](int) { return 3; });
  if (static_cast<int>(ternary.size()) == kMaxTernaryLevels) {
    plans.emplace_back(deadline, ternary);  // more time than any sum needs
    return plans;
  }
  constexpr int kMaxMixed = 7;
  const int most = std::min(kMaxMixed, static_cast<int>(ternary.size()));
  plans.emplace_back(deadline, ternary);
  for (int count = most; count >= 0; --count) {
    // Two-input adders among the early narrow sums, or next to the result where they hold up the widest ones least.
    plans.emplace_back(deadline, fill(kMaxTernaryLevels, [&](int k) { return k < count ? 3 : 2; }));
    if (count == 0) continue;
    const int rest = static_cast<int>(fill(kMaxTernaryLevels, [&](int k) { return k < count ? 3 : 2; }).size()) - count;
    if (rest > 0) plans.emplace_back(deadline, fill(rest + count, [&](int k) { return k < rest ? 2 : 3; }));
  }
  return plans;
}

TimeBudget::TimeBudget(const LevelPlans& plans) : plans_(&plans) {
  for (const LevelPlan& plan : plans) slack_.push_back(plan.capacity());
}

}  // namespace weft::shiftadd
