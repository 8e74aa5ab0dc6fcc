// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/ternary_chain.h"

#include <algorithm>

#include "weft/diag/diag.h"

namespace weft::netlist {

namespace {

/// A term's bit at some position: a constant, or one that varies.
struct Bit {
  bool varies = false;
  bool one = false;
};

Bit bit_of(const Netlist& netlist, const Term& term, int position) {
  const Cell& x = netlist.at(term.net);
  const int i = position - term.shift;
  if (x.op == Op::Constant) return {false, i >= 0 && ((x.constant >> std::min(i, 127)) & 1) != 0};
  return {i >= 0 && (x.is_signed || i < x.width_bits), false};
}

/// First position from which on the term repeats the bit before.
int end_of(const Netlist& netlist, const Term& term) {
  const Cell& x = netlist.at(term.net);
  return term.shift + x.width_bits + (x.is_signed ? 0 : 1);
}

}  // namespace

TernaryChain ternary_chain(const Netlist& netlist, const Cell& cell, UInt used) {
  WEFT_CHECK(cell.op == Op::Sum && cell.terms.size() == 3, "a chain of three terms");
  TernaryChain chain;
  chain.low_bits = sum_free_bits(netlist, cell);
  int end = cell.width_bits;
  while (end > chain.low_bits + 1 && (used >> (end - 1) & 1) == 0) --end;
  chain.width_bits = end - chain.low_bits;
  int negated = 0;
  for (const Term& term : cell.terms) {
    negated += term.negate ? 1 : 0;
    chain.top = std::max(chain.top, end_of(netlist, term) - chain.low_bits);
  }
  chain.top = std::clamp(chain.top, 0, chain.width_bits);
  chain.carry_in = negated > 0;
  chain.save_in = negated > 1;
  bool save_varies = false;
  // The positions from `top` on share what the first of them takes.
  for (int i = 0; i < std::min(chain.width_bits, chain.top + 1); ++i) {
    int varying = 0;
    bool ones[2] = {false, false};  // whether all constant bits are, whether any is
    ones[0] = true;
    for (const Term& term : cell.terms) {
      const Bit bit = bit_of(netlist, term, chain.low_bits + i);
      varying += bit.varies ? 1 : 0;
      if (bit.varies) continue;
      const bool one = bit.one != term.negate;
      ones[0] = ones[0] && one;
      ones[1] = ones[1] || one;
    }
    if (varying >= 2 && i < chain.top) chain.cells |= UInt{1} << i;
    if (varying >= 2 || (varying == 1 && save_varies)) ++chain.luts;
    // Of one varying bit and two constants the majority varies where these differ.
    save_varies = varying >= 2 || (varying == 1 && ones[0] != ones[1]);
  }
  return chain;
}

}  // namespace weft::netlist
