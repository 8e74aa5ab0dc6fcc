// SPDX-License-Identifier: Apache-2.0
/// @file
/// How a sum of three terms stands in one carry chain, a compressor in front of each of its bits.
#pragma once

#include "weft/netlist/netlist.h"

namespace weft::netlist {

/// Bit i of the chain adds x ^ y ^ z ^ m[i], x, y and z being the bits of the terms (inverted where negated), with the
/// carry from below to m[i], where m[i + 1] is the majority of x, y and z. Each negated term also adds 1 at the lowest
/// bit of the chain: the first as the carry into it, the second as m[0].
struct TernaryChain {
  int low_bits = 0;    ///< bits of the result below the chain: copies of the term that alone reaches there
  int width_bits = 1;  ///< of the chain
  /// From this position on all terms repeat their last bit (or are zero), so that all positions are the same.
  int top = 0;
  UInt cells = 0;  ///< positions below `top` at which two or three terms vary: they take a LUT with two outputs
  bool carry_in = false;
  bool save_in = false;  ///< m[0]
  int luts = 0;          ///< of the cells and of what remains besides them
};

/// `cell` is a sum of three terms of which the bits `used` are read; the chain ends at the highest of them.
TernaryChain ternary_chain(const Netlist& netlist, const Cell& cell, UInt used = ~UInt{0});

}  // namespace weft::netlist
