// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the cells of a planned design take, and which of them are written as pairs of functions.
#pragma once

#include <vector>

#include "weft/hw/design.h"
#include "weft/netlist/narrow_tables.h"

namespace weft::hw {

/// A pipelined circuit before it is a design.
struct PipelinedCircuit {
  const netlist::Netlist& netlist;
  const netlist::Pipeline& pipeline;
  const Family& family;
  const PlanOptions& options;
};

/// The multiplexers, clamps and tables that take fewer LUTs as LUT6_2 than synthesis makes of them, which it does not
/// pair (Design::paired). Empty where the family has no pairs.
std::vector<bool> choose_pairs(const PipelinedCircuit& circuit);

/// What every cell takes, its registers included.
std::vector<Resources> cell_resources(const PipelinedCircuit& circuit, const std::vector<bool>& paired);
Resources total(const std::vector<Resources>& cells);

/// What tables are held against before the pipeline is known.
netlist::LutPrice lut_price(const Family& family);

}  // namespace weft::hw
