// SPDX-License-Identifier: Apache-2.0
/// @file
/// The Verilog of the cells of Xilinx. Internal to the Verilog backend.
#pragma once

#include <string>

#include "weft/hw/design.h"

namespace weft::backends::verilog {

/// The three-input adder that all modules share, of the family's cells.
std::string print_ternary_adder(const hw::Design& design);
/// Models of the vendor's cells for simulation.
std::string print_cell_models();

}  // namespace weft::backends::verilog
