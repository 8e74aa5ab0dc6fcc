// SPDX-License-Identifier: Apache-2.0
#include "weft/hw/cost.h"

#include <algorithm>
#include <cmath>

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

int high_bits(const Netlist& netlist, const Cell& cell) {
  return std::max(0, netlist.at(cell.terms[0].net).width_bits - cell.width_bits);
}

double sum_lut(const Netlist& netlist, const Cell& cell) {
  // A carry chain bit costs a LUT where two operands meet; where one of them is constant the other drives the chain.
  // Above both operands all bits see the same two signs and share one LUT.
  if (cell.terms.size() == 1) return 0.0;
  int top = 0;
  for (const Term& term : cell.terms) {
    const Cell& x = netlist.at(term.net);
    if (x.op != Op::Constant) top = std::max(top, term.shift + x.width_bits);
  }
  int both = 0;
  for (int bit = sum_free_bits(netlist, cell); bit < std::min(cell.width_bits, top); ++bit) {
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

double delay_ps(const Netlist& netlist, const Cell& cell, const Family& family) {
  const double lut = family.lut_ps;
  const auto width = [&](std::size_t i) { return netlist.at(cell.terms[i].net).width_bits; };
  double delay = 0.0;
  switch (cell.op) {
    case Op::Input:
    case Op::Constant:
    case Op::Concat:
    case Op::Slice:
      return 0.0;
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
      if (is_power_range(cell, x)) {
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

Resources cell_cost(const Netlist& netlist, const Cell& cell, const Family& family) {
  Resources cost;
  const auto width = [&](std::size_t i) { return netlist.at(cell.terms[i].net).width_bits; };
  switch (cell.op) {
    case Op::Input:
    case Op::Constant:
    case Op::Concat:
    case Op::Slice:
    case Op::Not:
      break;
    case Op::Sum:
      cost.lut = sum_lut(netlist, cell);
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

shiftadd::CostModel adder_cost(const Family& family) {
  shiftadd::CostModel model;
  model.adder_lut = [](const shiftadd::AdderShape& shape) {
    return static_cast<double>(std::max(0, shape.width_bits - shape.free_bits));
  };
  model.adder_delay_ps = [family](const shiftadd::AdderShape& shape) {
    return family.adder_base_ps + family.adder_per_bit_ps * shape.width_bits;
  };
  return model;
}

shiftadd::CostModel ternary_adder_cost(const Family& family, double lut_per_bit) {
  shiftadd::CostModel model = adder_cost(family);
  if (family.ternary_delay <= 0) return model;
  model.ternary_lut = [two = model.adder_lut, lut_per_bit](const shiftadd::AdderShape& shape) {
    return std::ceil(lut_per_bit * two(shape));
  };
  model.ternary_delay_ps = [two = model.adder_delay_ps, family](const shiftadd::AdderShape& shape) {
    return family.ternary_delay * two(shape);
  };
  return model;
}

}  // namespace weft::hw
