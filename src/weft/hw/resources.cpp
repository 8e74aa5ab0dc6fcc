// SPDX-License-Identifier: Apache-2.0
#include "weft/hw/resources.h"

#include <algorithm>
#include <cmath>

#include "weft/hw/cost.h"
#include "weft/netlist/bit_circuit.h"
#include "weft/netlist/lut_form.h"
#include "weft/netlist/register_count.h"

namespace weft::hw {

namespace {

using netlist::Cell;
using netlist::Netlist;
using netlist::Op;

double memory_bits(const Netlist& netlist, const Cell& cell) {
  return std::ldexp(1.0, netlist.at(cell.terms[0].net).width_bits) * cell.width_bits;
}

/// Large tables that every reader sees behind a register become block memories, the register being theirs.
bool is_block_memory(const Netlist& netlist, const netlist::Pipeline& pipeline, const std::vector<int>& depth,
                     std::size_t index) {
  constexpr double kSmallest = 8192.0;  // where Yosys begins to prefer a block
  if (depth[index] == 0 || memory_bits(netlist, netlist.cells[index]) <= kSmallest) return false;
  for (std::size_t i = index + 1; i < netlist.cells.size(); ++i) {
    for (std::size_t t = 0; t < netlist.cells[i].terms.size(); ++t) {
      if (netlist.cells[i].terms[t].net.index == index &&
          netlist::read_stage(netlist, pipeline, i, t) == pipeline.stage[index])
        return false;
    }
  }
  return true;
}

/// The cells that are no logic to be mapped. `costs` gets what each cell takes alone.
std::vector<netlist::Hard> hard_cells(const PipelinedCircuit& design, const std::vector<bool>& paired,
                                      std::vector<Resources>& costs) {
  const Netlist& netlist = design.netlist;
  const std::vector<int> depth = netlist::register_depths(netlist, design.pipeline);
  const std::vector<UInt> used = netlist::used_bits(netlist);
  std::vector<netlist::Hard> hard(netlist.cells.size(), netlist::Hard::No);
  for (std::size_t i = 0; i < netlist.cells.size(); ++i) {
    const Cell& cell = netlist.cells[i];
    costs[i] = cell_cost(netlist, cell, design.family, used[i]);
    if (costs[i].dsp > 0) hard[i] = netlist::Hard::Multiplier;
    if (design.options.primitives == Primitives::Xilinx && cell.op == Op::Sum && cell.terms.size() == 3)
      hard[i] = netlist::Hard::Adder;
    if (cell.op == Op::Table && is_block_memory(netlist, design.pipeline, depth, i)) {
      hard[i] = netlist::Hard::Memory;
      costs[i].bram18 = std::ceil(memory_bits(netlist, cell) / 18432.0);
      costs[i].lut = 0.0;
    }
    if (!paired.empty() && paired[i]) {
      hard[i] = netlist::Hard::Pairs;
      costs[i].lut = static_cast<double>(netlist::lut_form(netlist, cell, used[i])->luts.size());
    }
  }
  return hard;
}

}  // namespace

/// What every cell takes, its registers included.
std::vector<Resources> cell_resources(const PipelinedCircuit& design, const std::vector<bool>& paired) {
  const Netlist& netlist = design.netlist;
  std::vector<Resources> costs(netlist.cells.size());
  const std::vector<netlist::Hard> hard = hard_cells(design, paired, costs);
  if (design.family.lut_inputs == 6) {
    const auto usage = netlist::count_bits(netlist::bit_circuit(netlist, design.pipeline, hard), netlist.cells.size(),
                                           design.family.has_shift_luts, design.options.clock_enable);
    for (std::size_t i = 0; i < netlist.cells.size(); ++i) {
      const double around =
          std::round(static_cast<double>(usage.lut[i]) * synthesis_factor(netlist, netlist.cells[i], design.family));
      if (hard[i] == netlist::Hard::Pairs)
        costs[i].lut += around;
      else if (hard[i] != netlist::Hard::Adder)
        costs[i].lut = around;
      costs[i].lut += static_cast<double>(usage.shift_lut[i]);
      costs[i].ff = static_cast<double>(usage.flip_flop[i]);
    }
    return costs;
  }
  const auto registers = netlist::count_registers(netlist, design.pipeline, design.family.has_shift_luts);
  const std::vector<double> luts = luts_of(netlist, design.pipeline, design.family);
  for (std::size_t i = 0; i < netlist.cells.size(); ++i) {
    if (hard[i] != netlist::Hard::Memory) costs[i].lut = luts[i];
    costs[i].lut += static_cast<double>(registers.shift_luts[i]);
    costs[i].ff = static_cast<double>(registers.flip_flops[i]);
    if (hard[i] == netlist::Hard::Memory) costs[i].ff = std::max(0.0, costs[i].ff - netlist.cells[i].width_bits);
  }
  return costs;
}

Resources total(const std::vector<Resources>& cells) {
  Resources sum;
  for (const Resources& cell : cells) {
    sum.lut += cell.lut;
    sum.ff += cell.ff;
    sum.dsp += cell.dsp;
    sum.bram18 += cell.bram18;
  }
  return sum;
}

std::vector<bool> choose_pairs(const PipelinedCircuit& circuit) {
  if (!circuit.family.lut_pairs) return {};
  const Netlist& netlist = circuit.netlist;
  const std::vector<Resources> alone = cell_resources(circuit, {});
  const std::vector<UInt> used = netlist::used_bits(netlist);
  // What adders take up in their own LUTs would stand in the way of the clock as a LUT.
  const Delays delays = delays_of(netlist, circuit.family);
  std::vector<bool> paired(netlist.cells.size(), false);
  bool any = false;
  for (std::size_t i = 0; i < netlist.cells.size(); ++i) {
    if (delays.cells[i] <= 0.0 || alone[i].bram18 > 0.0) continue;
    const auto form = netlist::lut_form(netlist, netlist.cells[i], used[i]);
    if (!form || form->luts.empty()) continue;
    // Tables also where they take as many: as a ROM, synthesis would move a register in front of them behind them.
    const auto luts = static_cast<double>(form->luts.size());
    if (luts > alone[i].lut || (luts == alone[i].lut && netlist.cells[i].op != Op::Table)) continue;
    paired[i] = any = true;
  }
  if (!any || total(cell_resources(circuit, paired)).lut > total(alone).lut) return {};
  return paired;
}

netlist::LutPrice lut_price(const Family& family) {
  return [family](const Netlist& netlist, const Cell& cell, UInt used) {
    const Resources cost = cell_cost(netlist, cell, family, used);
    return cost.lut + kLutPerDsp * cost.dsp;
  };
}

}  // namespace weft::hw
