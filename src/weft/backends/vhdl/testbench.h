// SPDX-License-Identifier: Apache-2.0
/// @file
/// The self-checking test bench of a design in VHDL-2008. Internal to the VHDL backend.
#pragma once

#include <string>

#include "weft/hw/design.h"

namespace weft::backends::vhdl {

/// tb/<top>_tb.vhd.
std::string print_testbench(const hw::Design& design);

}  // namespace weft::backends::vhdl
