// SPDX-License-Identifier: Apache-2.0
/// @file
/// A module of the tree as VHDL-2008.
#pragma once

#include <map>
#include <string>
#include <string_view>

#include "weft/netlist/hdl_tree.h"

namespace weft::netlist {

/// The name in VHDL: as it is where it is a basic identifier, else between backslashes (reserved words, names the
/// printed text itself uses, underscores where basic identifiers have none).
std::string vhdl_identifier(std::string_view name);

/// The name of a unit behind GHDL's synthesis to Verilog: basic identifiers in small letters, the others without their
/// backslashes.
std::string ghdl_verilog_name(std::string_view name);

/// A bit-string literal; one bit is a character literal.
std::string vhdl_constant(int width_bits, UInt value);

/// `text` as the rest of a comment line: VHDL comments hold Latin-1, so other bytes than ASCII are left out.
std::string vhdl_comment(std::string_view text);

struct VhdlOptions {
  /// Types of ports by the port's name; other ports are std_logic or std_logic_vector.
  std::map<std::string, std::string> port_types{};
};

/// One source file with an entity and its architecture `rtl`. One bit is std_logic, more are std_logic_vector.
/// A choice or comparison must be the whole value of a wire or register, or the last operand of another choice: VHDL
/// has no such operators inside of expressions.
std::string print_vhdl(const HdlModule& module, const VhdlOptions& options = {});

}  // namespace weft::netlist
