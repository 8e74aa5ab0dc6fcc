// SPDX-License-Identifier: Apache-2.0
/// @file
/// The self-checking test bench of a design in Verilog. Internal to the Verilog backend.
#pragma once

#include <string>

#include "weft/hw/design.h"

namespace weft::backends::verilog {

/// tb/<top>_tb.v.
std::string print_testbench(const hw::Design& design);

}  // namespace weft::backends::verilog
