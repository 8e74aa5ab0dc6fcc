// SPDX-License-Identifier: Apache-2.0
/// @file
/// Step functions moved in front of the pools that feed them, for the fast executor's plan only.
#pragma once

#include <vector>

#include "weft/exact/graph.h"

namespace weft::emulate {

/// A rising step function behind a maximum pool without padding gives the same codes in front of it, where a product
/// keeps its sums in registers and the pool moves packed codes. Values keep their ids; those between pool and function
/// change, so they must have no other reader. `outputs` are read as well. Functions that count saturation stay: in
/// front they would count more.
exact::Graph hoist_step_functions(exact::Graph graph, const std::vector<exact::ValueId>& outputs);

}  // namespace weft::emulate
