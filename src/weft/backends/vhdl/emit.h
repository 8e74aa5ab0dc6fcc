// SPDX-License-Identifier: Apache-2.0
/// @file
/// Writes a planned design as VHDL-2008 with a package of port types and a self-checking test bench.
#pragma once

#include <string>
#include <vector>

#include "weft/hw/design.h"
#include "weft/support/context.h"
#include "weft/support/files.h"

namespace weft::backends::vhdl {

struct Emission {
  support::FileSet files;
  /// Paths of the files of rtl/ in an order in which they can be analyzed.
  std::vector<std::string> order;
};

/// rtl/<top>_types.vhd (the package), rtl/<top>_<layer>.vhd ..., rtl/<top>.vhd, tb/<top>_tb.vhd and interface.json.
///
/// The test bench takes the generics DIR (folder that holds tb/) and SAMPLES, reads tb/in_<name>.hex and
/// tb/out_<name>.hex, and ends with the line `WEFT_TB samples=<n> mismatches=<m> latency=<cycles> interval=<cycles>`.
Result<Emission> emit(const hw::Design& design, Context& ctx);

}  // namespace weft::backends::vhdl
