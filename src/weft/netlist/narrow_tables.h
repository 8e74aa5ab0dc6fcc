// SPDX-License-Identifier: Apache-2.0
/// @file
/// Parts of a netlist that depend on few bits become tables where that takes less.
#pragma once

#include <cstddef>
#include <functional>

#include "weft/netlist/netlist.h"

namespace weft::netlist {

/// LUTs of a cell as it is, of whose result the bits `used` are read.
using LutPrice = std::function<double(const Netlist& netlist, const Cell& cell, UInt used)>;

/// Replaces cells by tables of at most six bits that they depend on, where the LUTs of a table (lut_form) are fewer
/// than those of the cell and of what then nobody reads. From the outputs backward, each cell once, the largest saving
/// first. Nets that stay keep their values; what nobody reads any more is left to remove_dead. Returns how many cells
/// became tables.
std::size_t tabulate(Netlist& netlist, const LutPrice& lut_of);

}  // namespace weft::netlist
