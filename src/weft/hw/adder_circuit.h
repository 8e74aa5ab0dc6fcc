// SPDX-License-Identifier: Apache-2.0
/// @file
/// Solved adder graphs as cells.
#pragma once

#include <string>
#include <vector>

#include "weft/hw/design.h"
#include "weft/hw/signal.h"

namespace weft::hw {

/// The outputs of a solution over `inputs`, one signal per input of the problem. New sums are named `prefix` and the
/// number of their node.
std::vector<Signal> build_adder_graph(netlist::Builder& builder, const shiftadd::Problem& problem,
                                      const shiftadd::Solution& solution, const std::vector<Signal>& inputs,
                                      const std::string& prefix);

/// A circuit without registers that computes y = x M and nothing else: ports in_x and out_y, element 0 in the low bits.
/// Fails with TypeTooWide, DoesNotFit (primitives that the family does not have) or Cancelled.
Result<Design> matrix_design(const shiftadd::Problem& problem, const shiftadd::Solution& solution,
                             const std::string& name, const Family& family, Primitives primitives, Context& ctx);

}  // namespace weft::hw
