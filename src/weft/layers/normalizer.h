// SPDX-License-Identifier: Apache-2.0
/// @file
/// Rows divided by their deviation or norm, for any variance. Private to this room.
#pragma once

#include <string>

#include "weft/layers/rows.h"

namespace weft::layers {

enum class Statistic { Variance, MeanSquare, SumSquare, SumAbs };

struct NormalizerSettings {
  Statistic statistic = Statistic::Variance;
  /// In real units: added to the variance or mean square, or the least sum.
  double epsilon = 0.0;
  int frac_bits = 12;    ///< of the result
  int inverse_bits = 0;  ///< precision of the reciprocal; 0: from the result
};

struct Normalized {
  exact::ValueId value;  ///< [rows, n], scale 2^-frac_bits
  std::string note;      ///< intermediate types and the largest error
};

/// `rows` is [rows, n] with one scale.
Result<Normalized> add_normalized(const nn::Node& node, Recipe& recipe, exact::ValueId rows, const RowMap& map,
                                  const NormalizerSettings& settings, Context& ctx);

}  // namespace weft::layers
