// SPDX-License-Identifier: Apache-2.0
/// @file
/// The meaning of every primitive on the codes of one sample.
#pragma once

#include <cstdint>
#include <vector>

#include "weft/exact/graph.h"

namespace weft::emulate {

/// Codes of `value` (neither Input nor Constant need operands; an Input has no codes of its own and is an
/// InternalError) from the codes of its operands, in the order of exact::operands(). Adds to `saturations` how many
/// elements a Requant with count_saturation clipped.
std::vector<Int> evaluate_primitive(const exact::Graph& graph, const exact::Value& value,
                                    const std::vector<const std::vector<Int>*>& operands, std::uint64_t& saturations);

/// True when overflow handling changed the rounded code; Pieces never clip.
bool clips(const fixed::StepFunction& function, Int x);

}  // namespace weft::emulate
