// SPDX-License-Identifier: Apache-2.0
#include "weft/hw/cost.h"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

#include "weft/netlist/lut_form.h"
#include "weft/netlist/register_count.h"
#include "weft/netlist/ternary_chain.h"

namespace weft::hw {

namespace {

using netlist::Cell;
using netlist::Netlist;
using netlist::Op;
using netlist::Term;

/// LUTs of an AND or OR of `inputs` bits, and its levels.
double gate_lut(int inputs, const Family& family) {
  if (inputs <= 1) return 0.0;
  return std::ceil((inputs - 1.0) / (family.lut_inputs - 1.0));
}
int gate_levels(int inputs, const Family& family) {
  int levels = 0;
  for (double n = inputs; n > 1.0; n = std::ceil(n / family.lut_inputs)) ++levels;
  return levels;
}

/// Bits of x that a comparison with `threshold` has to look at.
int compare_bits(int width_bits, Int threshold) {
  return std::max(1, width_bits - (threshold == 0 ? width_bits - 1 : fixed::trailing_zeros(threshold)));
}

bool is_power_range(const Cell& cell, const Cell& x) {
  // Bounds that are ends of a two's complement or plain binary field need no comparators.
  const auto is_end = [](Int value) { return value >= 0 && ((value + 1) & value) == 0; };
  const bool hi = cell.constant_hi >= x.range.hi || is_end(cell.constant_hi);
  const bool lo = cell.constant <= x.range.lo || cell.constant == 0 || is_end(-(cell.constant + 1));
  return hi && lo;
}

/// Whether the cell is 0 or its operand, as one bit says.
bool clears(const Netlist& netlist, const Cell& cell) {
  if (cell.op == Op::Clamp) return cell.constant == 0 && cell.constant_hi >= netlist.at(cell.terms[0].net).range.hi;
  const auto is_zero = [&](const Term& term) {
    return netlist.at(term.net).op == Op::Constant && netlist.at(term.net).constant == 0;
  };
  return cell.op == Op::Mux && (is_zero(cell.terms[1]) || is_zero(cell.terms[2]));
}

int high_bits(const Netlist& netlist, const Cell& cell) {
  return std::max(0, netlist.at(cell.terms[0].net).width_bits - cell.width_bits);
}

double sum_lut(const Netlist& netlist, const Cell& cell, UInt used) {
  // A carry chain bit costs a LUT where two operands meet; where one of them is constant the other drives the chain.
  // Above both operands all bits see the same two signs and share one LUT.
  if (cell.terms.size() == 1) return 0.0;
  if (cell.terms.size() == 3) return netlist::ternary_chain(netlist, cell, used).luts;
  int top = 0;
  for (const Term& term : cell.terms) {
    const Cell& x = netlist.at(term.net);
    if (x.op != Op::Constant) top = std::max(top, term.shift + x.width_bits);
  }
  int both = 0;
  top = std::min(cell.width_bits, top);
  while (top > 0 && (used >> (top - 1)) == 0) --top;
  for (int bit = sum_free_bits(netlist, cell); bit < top; ++bit) {
    int varying = 0;
    for (const Term& term : cell.terms) {
      const Cell& x = netlist.at(term.net);
      if (x.op == Op::Constant) continue;
      if (bit >= term.shift && (x.is_signed || bit < term.shift + x.width_bits)) ++varying;
    }
    if (varying >= 2) ++both;
  }
  return both;
}

/// Where the family's tables hold two functions: of a cell written so, with the comparisons of a clamp in front.
std::optional<double> paired_lut(const Netlist& netlist, const Cell& cell, const Family& family, UInt used) {
  if (!family.lut_pairs) return std::nullopt;
  const auto form = netlist::lut_form(netlist, cell, used);
  if (!form) return std::nullopt;
  double luts = static_cast<double>(form->luts.size());
  bool below = false;
  bool above = false;
  for (const netlist::LutForm::Lut& lut : form->luts) {
    for (const netlist::LutInput& input : lut.inputs) {
      below = below || input.term == netlist::LutInput::kBelow;
      above = above || input.term == netlist::LutInput::kAbove;
    }
  }
  const int width = netlist.at(cell.terms[0].net).width_bits;
  if (below) luts += std::max(1.0, compare_lut(width, cell.constant, family));
  if (above) luts += std::max(1.0, compare_lut(width, cell.constant_hi + 1, family));
  return luts;
}

}  // namespace

int chain_bits(const Netlist& netlist, const Cell& cell) { return cell.width_bits - sum_free_bits(netlist, cell); }

double compare_lut(int width_bits, Int threshold, const Family& family) {
  const int bits = compare_bits(width_bits, threshold);
  return bits <= 1 ? 0.0 : std::ceil((bits - 1.0) / (family.lut_inputs - 1.0));
}

double table_lut(int index_bits, const Family& family) {
  if (index_bits <= family.lut_inputs) return index_bits <= 1 ? 0.0 : 1.0;
  return std::ldexp(1.0, index_bits - family.lut_inputs);
}

double select_lut(std::size_t inputs, const Family& family) {
  // Four and more bits with their select fill a table of six inputs, two one of four; multiplexers behind tables join
  // them.
  const double per_lut = family.lut_inputs >= 6 ? 4.0 : 2.0;
  return inputs < 2 ? 0.0 : std::ceil(static_cast<double>(inputs) / per_lut);
}

double delay_ps(const Netlist& netlist, const Cell& cell, const Family& family) {
  const double lut = family.lut_ps;
  const auto width = [&](std::size_t i) { return netlist.at(cell.terms[i].net).width_bits; };
  double delay = 0.0;
  switch (cell.op) {
    case Op::Input:
    case Op::Constant:
    case Op::Concat:
    case Op::Slice:
    case Op::Slot:
    case Op::Pick:
      return 0.0;
    case Op::Select:
      delay = lut * std::max(1.0, std::ceil(std::log2(static_cast<double>(cell.slots)) / 2.0));
      break;
    case Op::Accumulate:
      delay = family.adder_base_ps + family.adder_per_bit_ps * netlist::accumulator_of(netlist, cell).sum_bits;
      break;
    case Op::Sum:
      delay = family.adder_base_ps + family.adder_per_bit_ps * chain_bits(netlist, cell);
      if (chain_bits(netlist, cell) <= 2) delay = std::min(delay, lut);
      if (cell.terms.size() == 3) delay += lut;
      break;
    case Op::AtLeast: {
      const int bits = compare_bits(width(0), cell.constant);
      delay = bits <= 1 ? lut / 8 : lut * std::max(1.0, 1 + std::ceil((bits - 6.0) / 5.0));
      break;
    }
    case Op::Equal:
      delay = lut * std::max(1, gate_levels(width(0), family));
      break;
    case Op::AtLeastNet:
      delay = family.adder_base_ps + family.adder_per_bit_ps * std::max(width(0), width(1));
      break;
    case Op::Clamp: {
      const Cell& x = netlist.at(cell.terms[0].net);
      if (cell.constant_hi >= x.range.hi && cell.constant == 0) {
        delay = lut;  // the sign clears all bits
      } else if (is_power_range(cell, x)) {
        delay =
            lut *
            (high_bits(netlist, cell) + 1 < family.lut_inputs ? 1 : 1 + gate_levels(high_bits(netlist, cell), family));
      } else {
        delay = lut * (2 + std::max(0.0, std::ceil((width(0) - 6.0) / 5.0)));
      }
      break;
    }
    case Op::Table:
      delay = lut * (1.0 + std::max(0.0, std::ceil((width(0) - family.lut_inputs) / 2.0)));
      break;
    case Op::Not:
      delay = lut / 8;
      break;
    case Op::Mux:
    case Op::And:
    case Op::Or:
    case Op::Xor:
      delay = lut;
      break;
    case Op::Multiply:
      delay = family.multiplier_ps > 0 && std::min(width(0), width(1)) > 4
                  ? family.multiplier_ps
                  : std::max(1.0, std::ceil(std::log2(std::min(width(0), width(1))))) *
                        (family.adder_base_ps + family.adder_per_bit_ps * cell.width_bits);
      break;
  }
  return std::ceil(delay);
}

Resources cell_cost(const Netlist& netlist, const Cell& cell, const Family& family, UInt used) {
  Resources cost;
  const auto width = [&](std::size_t i) { return netlist.at(cell.terms[i].net).width_bits; };
  if (const auto luts = paired_lut(netlist, cell, family, used)) {
    cost.lut = *luts;
    return cost;
  }
  switch (cell.op) {
    case Op::Input:
    case Op::Constant:
    case Op::Concat:
    case Op::Slice:
    case Op::Not:
    case Op::Pick:
      break;
    case Op::Slot:
      cost.lut = cell.width_bits;
      break;
    case Op::Select: {
      std::set<netlist::NetId> distinct;
      for (std::size_t i = 1; i < cell.terms.size(); ++i) distinct.insert(cell.terms[i].net);
      cost.lut = select_lut(distinct.size(), family) * cell.width_bits;
      break;
    }
    case Op::Accumulate: {
      const Cell& x = netlist.at(cell.terms[0].net);
      const int sum_bits = netlist::accumulator_of(netlist, cell).sum_bits;
      cost.lut = x.is_signed ? sum_bits : std::min(sum_bits, x.width_bits);
      break;
    }
    case Op::Sum:
      cost.lut = sum_lut(netlist, cell, used);
      break;
    case Op::AtLeast:
      cost.lut = compare_lut(width(0), cell.constant, family);
      break;
    case Op::Equal:
      cost.lut = std::max(1.0, gate_lut(width(0), family));
      break;
    case Op::AtLeastNet:
      cost.lut = std::max(width(0), width(1));
      break;
    case Op::Mux: {
      const bool constant =
          netlist.at(cell.terms[1].net).op == Op::Constant && netlist.at(cell.terms[2].net).op == Op::Constant;
      cost.lut = constant ? 0.0 : cell.width_bits;
      break;
    }
    case Op::Clamp:
      cost.lut = cell.width_bits;
      if (cell.constant_hi >= netlist.at(cell.terms[0].net).range.hi && cell.constant == 0) break;
      if (is_power_range(cell, netlist.at(cell.terms[0].net))) {
        if (high_bits(netlist, cell) + 1 >= family.lut_inputs) cost.lut += gate_lut(high_bits(netlist, cell), family);
      } else {
        cost.lut += compare_lut(width(0), cell.constant, family) + compare_lut(width(0), cell.constant_hi + 1, family);
      }
      break;
    case Op::Table:
      cost.lut = table_lut(width(0), family) * cell.width_bits;
      break;
    case Op::And:
    case Op::Or:
    case Op::Xor:
      cost.lut = 1.0;
      break;
    case Op::Multiply: {
      const int a = width(0);
      const int b = width(1);
      if (family.has_dsp && std::min(a, b) > 9) {
        cost.dsp = std::ceil(std::min(a, b) / 17.0) * std::ceil(std::max(a, b) / 24.0);
      } else {
        cost.lut = std::min(a, b) == 1 ? std::max(a, b) : 1.1 * a * b;
      }
      break;
    }
  }
  return cost;
}

double synthesis_factor(const Netlist& netlist, const Cell& cell, const Family& family) {
  const auto operand = [&](std::size_t i) -> const Cell& { return netlist.at(cell.terms[i].net); };
  if (cell.op == Op::Table && operand(0).width_bits >= 9) return family.wide_table_lut;
  if (cell.op == Op::Multiply && (operand(0).is_signed || operand(1).is_signed) &&
      std::min(operand(0).width_bits, operand(1).width_bits) >= 5) {
    return family.signed_product_lut;
  }
  return 1.0;
}

Delays delays_of(const Netlist& netlist, const Family& family) {
  // Whether the AND of a clear with this bit is done in the LUTs of the two-input adders that alone read it, and
  // whether only sums read the net with its low bits.
  std::vector<bool> absorbed(netlist.cells.size(), true);
  std::vector<bool> summed(netlist.cells.size(), true);
  for (const netlist::Port& port : netlist.outputs) {
    for (const netlist::NetId net : port.elements) absorbed[net.index] = summed[net.index] = false;
  }
  Delays delays;
  delays.cells.resize(netlist.cells.size());
  for (std::size_t i = netlist.cells.size(); i-- > 0;) {
    const Cell& cell = netlist.cells[i];
    const bool wiring = cell.op == Op::Slice || cell.op == Op::Concat;
    const bool takes = wiring ? absorbed[i] : cell.op == Op::Sum && cell.terms.size() == 2;
    const bool sums = cell.op == Op::Sum || (cell.op == Op::Slice && cell.shift == 0 && summed[i]);
    for (const Term& term : cell.terms) {
      absorbed[term.net.index] = absorbed[term.net.index] && takes;
      summed[term.net.index] = summed[term.net.index] && sums;
    }
    delays.cells[i] = clears(netlist, cell) && absorbed[i] ? 0.0 : delay_ps(netlist, cell, family);
    if (cell.op != Op::Sum || !summed[i]) continue;
    const double alone = family.adder_base_ps + (cell.terms.size() == 3 ? family.lut_ps : 0.0);
    delays.tail_ps = std::max(delays.tail_ps, delays.cells[i] - alone);
    delays.cells[i] = std::min(delays.cells[i], alone);
  }
  return delays;
}

std::vector<double> luts_of(const Netlist& netlist, const netlist::Pipeline& pipeline, const Family& family) {
  const std::vector<UInt> used = netlist::used_bits(netlist);
  // Whether somebody reads the net in its own stage, through wiring or not.
  std::vector<bool> read_at_once(netlist.cells.size(), false);
  for (const netlist::Port& port : netlist.outputs) {
    for (const netlist::NetId net : port.elements)
      read_at_once[net.index] = pipeline.stage[net.index] == pipeline.output_stage;
  }
  std::vector<double> luts(netlist.cells.size(), 0.0);
  for (std::size_t i = netlist.cells.size(); i-- > 0;) {
    const Cell& cell = netlist.cells[i];
    const bool wiring = cell.op == Op::Slice || cell.op == Op::Concat || cell.op == Op::Pick;
    for (std::size_t t = 0; t < cell.terms.size(); ++t) {
      const std::uint32_t x = cell.terms[t].net.index;
      const bool at_once = pipeline.stage[x] == netlist::read_stage(netlist, pipeline, i, t);
      if (at_once && (!wiring || read_at_once[i])) read_at_once[x] = true;
    }
    if (read_at_once[i] || !clears(netlist, cell)) luts[i] = cell_cost(netlist, cell, family, used[i]).lut;
  }
  return luts;
}

std::vector<std::int64_t> register_prices(const Netlist& netlist) {
  std::vector<std::int64_t> prices;
  prices.reserve(netlist.cells.size());
  for (const Cell& cell : netlist.cells)
    prices.push_back(std::int64_t{cell.width_bits} * (clears(netlist, cell) ? 1 : 2));
  return prices;
}

shiftadd::CostModel adder_cost(const Family& family) {
  shiftadd::CostModel model;
  // Above both operands all bits see the same two signs and share one LUT with the bit below.
  model.adder_lut = [](const shiftadd::AdderShape& shape) {
    return static_cast<double>(std::max(0, shape.width_bits - shape.free_bits - shape.growth_bits));
  };
  // Carry chains behind each other ripple at the same time, see delays_of.
  model.adder_delay_ps = [family](const shiftadd::AdderShape&) { return family.adder_base_ps; };
  return model;
}

shiftadd::CostModel adder_cost(const Family& family, const PlanOptions& options) {
  if (options.primitives == Primitives::Portable) return adder_cost(family);
  return ternary_adder_cost(family, options.ternary_lut.value_or(family.ternary_lut_per_bit));
}

shiftadd::CostModel ternary_adder_cost(const Family& family, double lut_per_bit) {
  shiftadd::CostModel model = adder_cost(family);
  if (!family.has_ternary() || lut_per_bit <= 0) return model;
  // The two bits above all operands share one.
  model.ternary_lut = [two = model.adder_lut, lut_per_bit](const shiftadd::AdderShape& shape) {
    return std::ceil(lut_per_bit * (two(shape) + std::min(1, shape.growth_bits)));
  };
  model.ternary_delay_ps = [two = model.adder_delay_ps, family](const shiftadd::AdderShape& shape) {
    return two(shape) + family.lut_ps;  // the compressor, then the chain
  };
  return model;
}

}  // namespace weft::hw
