// SPDX-License-Identifier: Apache-2.0
/// @file
/// Functions of codes whose step function would have too many steps: exact steps where they fit a bound, else straight
/// lines over segments, made of primitives, with the largest error known.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "weft/layers/recipe.h"

namespace weft::layers {

/// One function of the integer codes of a tensor, or of one of its channels.
struct CodeFunction {
  /// The exact result in units of the result type's last place, before rounding. NaN counts as 0, infinities clip.
  std::function<double(Int)> units;
  /// Reachable codes.
  fixed::Range range;
  /// Codes that begin parts on which `units` is monotone, ascending.
  std::vector<Int> turns{};
  /// Leading bits of `units` that are right: a line need not follow what lies behind them.
  int significant_bits = 53;
};

/// How a function became integer.
struct FunctionReport {
  bool exact = true;         ///< rounded once from `units` at every code
  std::size_t segments = 0;  ///< straight lines of the channel that needs most
  double worst_ulps = 0.5;   ///< no result lies farther from `units` (clipped to the type), in last places of the type
  bool exhaustive = false;   ///< seen at every code, not bounded by monotony
  /// "exact steps", or "33 straight lines, within 0.61 last places at every code".
  [[nodiscard]] std::string text() const;
};

struct WideResult {
  exact::ValueId value;
  FunctionReport report;
};

/// Steps above which straight lines are taken for functions inside of layers (softmax, normalizations).
inline constexpr std::size_t kInnerSteps = std::size_t{1} << 12;

/// y = round(units(x)) as codes of `type` (which saturates) with scale 2^-frac_bits, or within a few last places of
/// that: one function for all elements, one per index of the last axis, or one per element. `most_steps` bounds the
/// exact form. `count_saturation` as in exact::Requant.
Result<WideResult> add_function(Recipe& recipe, const Origin& origin, const std::string& name, exact::ValueId x,
                                const std::vector<CodeFunction>& functions, const fixed::FixedType& type,
                                std::size_t most_steps = kInnerSteps, bool count_saturation = false);

/// The straight lines only.
Result<WideResult> add_segments(Recipe& recipe, const Origin& origin, const std::string& name, exact::ValueId x,
                                const std::vector<CodeFunction>& functions, const fixed::FixedType& type,
                                bool count_saturation = false);

}  // namespace weft::layers
