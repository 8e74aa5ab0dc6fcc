// SPDX-License-Identifier: Apache-2.0
/// @file
/// Parts of a netlist that depend on few bits become tables where that takes less.
#pragma once

#include <cstddef>
#include <functional>

#include "weft/netlist/netlist.h"

namespace weft::netlist {

struct TablePrices {
  int lut_inputs = 6;  ///< tables have at most so many index bits, and at most 6
  bool pairs = false;  ///< two functions of the same five bits share a LUT
  /// LUTs of a cell as it is, of whose result the bits `used` are read.
  std::function<double(const Netlist& netlist, const Cell& cell, UInt used)> lut_of;
};

/// Replaces cells by tables of bits that they depend on, where a table takes less than the cell and what then nobody
/// reads. From the outputs backward, each cell once, the largest saving first. Nets that stay keep their values; what
/// nobody reads any more is left to remove_dead. Returns how many cells became tables.
std::size_t tabulate(Netlist& netlist, const TablePrices& prices);

}  // namespace weft::netlist
