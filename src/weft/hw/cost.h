// SPDX-License-Identifier: Apache-2.0
/// @file
/// What a cell of the netlist costs and takes on a family.
#pragma once

#include <vector>

#include "weft/hw/design.h"
#include "weft/hw/targets.h"
#include "weft/netlist/netlist.h"
#include "weft/netlist/pipeline.h"
#include "weft/shiftadd/solver.h"

namespace weft::hw {

/// Bits of the carry chain of a two-term sum: those above the low bits that are copies of one operand.
int chain_bits(const netlist::Netlist& netlist, const netlist::Cell& cell);

/// Delay in picoseconds, routing included; 0 for wiring. Whole numbers.
double delay_ps(const netlist::Netlist& netlist, const netlist::Cell& cell, const Family& family);
/// The delays of all cells; less than the above where LUTs take over the work of cells in front of them, and where sums
/// are only added to others: carry chains behind each other ripple at the same time. `tail_ps` is what the last of such
/// chains still takes in front of a register.
struct Delays {
  std::vector<double> cells;
  double tail_ps = 0.0;
};
Delays delays_of(const netlist::Netlist& netlist, const Family& family);
/// What a register behind each net is worth, for the pipeline: where a net is its operand or 0, the register's reset
/// clears it and saves a LUT per bit.
std::vector<std::int64_t> register_prices(const netlist::Netlist& netlist);
/// LUTs and DSPs of the cell alone, of whose result the bits `used` are read; flip-flops belong to the pipeline.
Resources cell_cost(const netlist::Netlist& netlist, const netlist::Cell& cell, const Family& family,
                    UInt used = ~UInt{0});

/// LUTs of synthesis per LUT of our own cover.
double synthesis_factor(const netlist::Netlist& netlist, const netlist::Cell& cell, const Family& family);

/// LUTs of all cells in a pipeline: none where the reset of the register behind a net clears it.
std::vector<double> luts_of(const netlist::Netlist& netlist, const netlist::Pipeline& pipeline, const Family& family);

/// What a hard multiplier is worth: parts have about that many LUTs for each.
inline constexpr double kLutPerDsp = 170.0;

/// LUTs of x >= threshold on a `width_bits` wide x.
double compare_lut(int width_bits, Int threshold, const Family& family);
/// LUTs of a choice of one bit of so many.
double select_lut(std::size_t inputs, const Family& family);
/// LUTs of any function of `index_bits` bits to one bit.
double table_lut(int index_bits, const Family& family);

/// The cost model that the adder graph solver works with; two-input adders only.
shiftadd::CostModel adder_cost(const Family& family);
/// The one of a plan: with three-input adders where its cells make them.
shiftadd::CostModel adder_cost(const Family& family, const PlanOptions& options);
/// The same with the family's three-input adders, where it has some, at `lut_per_bit` LUTs per bit.
shiftadd::CostModel ternary_adder_cost(const Family& family, double lut_per_bit);

}  // namespace weft::hw
