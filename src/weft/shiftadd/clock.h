// SPDX-License-Identifier: Apache-2.0
/// @file
/// Time inside the solver: whole numbers that count adder levels, or fine ticks of the cost model's unit.
#pragma once

#include <algorithm>
#include <cmath>

#include "weft/shiftadd/solver.h"

namespace weft::shiftadd {

/// Converts times of the cost model to slots. In ticks every delay is rounded up and a deadline down, so that what fits
/// in slots fits in time.
class Clock {
 public:
  /// Slots are levels of two-input adders, whatever their width.
  static Clock levels(const CostModel& cost) { return Clock(cost, 0.0); }
  /// Slots are fractions of a two-input adder of typical width; three-input adders have their own delay.
  static Clock ticks(const CostModel& cost) {
    return Clock(cost, kTicksPerAdder / std::max(1e-9, cost.adder_delay_ps(kTypical)));
  }

  [[nodiscard]] bool counts_levels() const { return scale_ == 0.0; }
  /// Whether sums may have three terms.
  [[nodiscard]] bool has_ternary() const { return !counts_levels() && cost_->has_ternary(); }
  /// Slots of an adder of two or three terms.
  [[nodiscard]] int adder(int terms, const AdderShape& shape) const {
    return counts_levels() ? 1 : round_up(cost_->delay_ps(terms, shape) * scale_);
  }
  /// The same for an adder of which only the width is known.
  [[nodiscard]] int adder(int terms, int width_bits) const {
    return adder(terms, AdderShape{.width_bits = width_bits});
  }
  /// The slot in which a signal that comes `time` after the first one is there.
  [[nodiscard]] int arrival(double time) const {
    return round_up(time * (counts_levels() ? 1.0 / std::max(1e-9, cost_->adder_delay_ps(kTypical)) : scale_));
  }
  /// The last slot that ends no later than `time` after the first signal; only in ticks.
  [[nodiscard]] int deadline(double time) const {
    return static_cast<int>(std::clamp(std::floor(time * scale_ + 1e-9), -kLatest, kLatest));
  }
  /// Slots of `levels` two-input adders of typical width.
  [[nodiscard]] int of_levels(int levels) const {
    return static_cast<int>(std::clamp(static_cast<double>(levels) * adder(2, kTypical), -kLatest, kLatest));
  }

 private:
  /// The adder that stands for one level when times are turned into levels.
  static constexpr AdderShape kTypical{.width_bits = 12};
  static constexpr double kTicksPerAdder = 256.0;
  static constexpr double kLatest = 1 << 28;

  Clock(const CostModel& cost, double scale) : cost_(&cost), scale_(scale) {}
  static int round_up(double slots) { return static_cast<int>(std::min(1e6, std::ceil(slots - 1e-9))); }

  const CostModel* cost_;
  double scale_;  ///< slots per unit of the cost model; 0 when slots are levels
};

}  // namespace weft::shiftadd
