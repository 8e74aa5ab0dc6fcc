// SPDX-License-Identifier: Apache-2.0
/// @file
/// Covers gates with look-up tables, as technology mapping does: shortest first, then as few as that allows.
#pragma once

#include <cstdint>
#include <vector>

#include "weft/netlist/gates.h"

namespace weft::netlist {

/// The look-up tables of a device.
struct LutShape {
  /// By number of inputs: what the mapper takes a table to cost.
  std::vector<double> cost;
  [[nodiscard]] int inputs() const { return static_cast<int>(cost.size()) - 1; }
};

/// Six inputs, and seven and eight through the multiplexers behind two and four tables, with the costs of `abc -luts
/// 2:2,3,6:5,10,20`.
LutShape six_input_luts();

/// The tables chosen: of every node that is the output of one, the nodes that it reads.
struct LutCover {
  std::vector<std::vector<std::uint32_t>> leaves;  ///< by node; empty: no table ends here
  std::vector<int> tables;                         ///< by node: of six inputs each
  int depth = 0;
};

/// `wanted`: nodes that a port, register or chain reads. Constants and sources among them need nothing.
LutCover cover(const Gates& gates, const std::vector<std::uint32_t>& wanted, const LutShape& shape);

}  // namespace weft::netlist
