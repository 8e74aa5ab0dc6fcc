// SPDX-License-Identifier: Apache-2.0
/// @file
/// Writes a planned design as Verilog-2001 with a self-checking test bench.
#pragma once

#include <string>
#include <vector>

#include "weft/hw/design.h"
#include "weft/support/context.h"
#include "weft/support/files.h"

namespace weft::backends::verilog {

struct EmitOptions {
  bool testbench = true;
};

/// rtl/<top>.v, rtl/<top>_<layer>.v ..., tb/<top>_tb.v and interface.json; with cells of Xilinx also
/// rtl/weft_ternary_adder.v and models of them for simulation in tb/weft_cells.v.
///
/// The test bench reads tb/in_<name>.hex and tb/out_<name>.hex relative to the working directory (another folder with
/// +dir=PATH), as many vectors as +samples=N says (at most the parameter SAMPLES), and ends with one line
/// `WEFT_TB samples=<n> mismatches=<m> latency=<cycles> interval=<cycles>`.
Result<support::FileSet> emit(const hw::Design& design, const EmitOptions& options, Context& ctx);

/// Codes of one port: `samples` rows of element_count codes, row-major.
using Codes = std::vector<Int>;

/// tb/in_<name>.hex and tb/out_<name>.hex: one packed vector per line. inputs and outputs in the order of the graph;
/// every code must lie in its element's field.
Result<support::FileSet> test_vectors(const hw::Design& design, const std::vector<Codes>& inputs,
                                      const std::vector<Codes>& outputs, Context& ctx);

}  // namespace weft::backends::verilog
