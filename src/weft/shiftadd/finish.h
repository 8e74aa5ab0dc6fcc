// SPDX-License-Identifier: Apache-2.0
/// @file
/// From a finished adder graph to a solution: final negations removed where that is free, unused nodes dropped, totals.
#pragma once

#include "weft/shiftadd/adder_graph.h"

namespace weft::shiftadd {

/// `outputs` are terms over graph nodes; operand -1 is the constant 0.
Solution finish(const AdderGraph& graph, std::vector<Term> outputs);

}  // namespace weft::shiftadd
