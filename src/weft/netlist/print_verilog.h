// SPDX-License-Identifier: Apache-2.0
/// @file
/// A module of the tree as Verilog-2001.
#pragma once

#include <string>

#include "weft/netlist/hdl_tree.h"

namespace weft::netlist {

/// With parentheses where the precedence of the parts asks for them.
std::string verilog_text(const Expr& expression);

/// One source file. Items stand in the order in which they were added, registers behind them in one always block.
std::string print_verilog(const HdlModule& module);

}  // namespace weft::netlist
