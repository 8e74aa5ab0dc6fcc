// SPDX-License-Identifier: Apache-2.0
/// @file
/// The files of a project, tool by tool. Internal to this backend.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "weft/backends/project/emit.h"

namespace weft::backends::project {

/// What every script is made from.
struct Project {
  const hw::Design& design;
  Language language = Language::Verilog;
  const std::vector<std::string>& sources;
  const std::vector<std::string>& benches;

  [[nodiscard]] bool is_vhdl() const { return language == Language::Vhdl; }
  /// Made of cells that no tool of another vendor knows.
  [[nodiscard]] bool is_xilinx_only() const { return design.options.primitives == hw::Primitives::Xilinx; }
  /// The top entity as VHDL writes it, or the top module.
  [[nodiscard]] std::string top() const;
  [[nodiscard]] double frequency_mhz() const { return 1000.0 / design.options.clock_ns; }
  /// The header of a script, in a language with "#" comments: what it does, and a warning about a part of another tool.
  [[nodiscard]] std::string header(std::string_view what, std::string_view start, bool is_planned) const;
};

/// A word of Tcl that means exactly this text.
std::string tcl_word(std::string_view text);
/// The same for a POSIX shell.
std::string shell_word(std::string_view text);

std::string fusesoc_core(const Project& project);
std::string vivado_build(const Project& project);
std::string quartus_build(const Project& project);
std::string radiant_build(const Project& project);
/// create_clock for clk.
std::string sdc_clock(const Project& project);
std::string nextpnr_synthesis(const Project& project);
std::string nextpnr_build(const Project& project);
std::string nextpnr_clock(const Project& project);

}  // namespace weft::backends::project
