// SPDX-License-Identifier: Apache-2.0
/// @file
/// A search for steps that can be stopped: functions of whole layers may take it minutes.
#pragma once

#include <functional>
#include <optional>
#include <vector>

#include "weft/fixed/step_function.h"

namespace weft::fixed {

/// As pieces_of of step_function.h with a limit; nullopt, too, soon after `stop` (asked once per piece, may be empty)
/// says so.
std::optional<Pieces> pieces_of(const std::function<Int(Int)>& f, Int lo, Int hi,
                                const std::vector<Int>& turning_points, std::size_t limit,
                                const std::function<bool()>& stop);

}  // namespace weft::fixed
