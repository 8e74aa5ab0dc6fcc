// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the tools of FPGA vendors and the open ones need beside the sources of a design: scripts, constraints, lists.
#pragma once

#include <string>
#include <vector>

#include "weft/hw/design.h"
#include "weft/support/files.h"

namespace weft::backends::project {

enum class Language { Verilog, Vhdl };

/// filelist.f (the sources in order), <top>.core (FuseSoC), and for each tool a folder with a script and constraints:
/// vivado/, quartus/, radiant/, nextpnr/; circuits of Xilinx cells have vivado/ alone. Scripts write into the folder
/// they are started in. Paths are below the project: `sources` (in VHDL every unit behind those it uses) and `benches`,
/// what a simulation needs besides.
support::FileSet emit(const hw::Design& design, Language language, const std::vector<std::string>& sources,
                      const std::vector<std::string>& benches);

}  // namespace weft::backends::project
