// SPDX-License-Identifier: Apache-2.0
/// @file
/// VHDL projects as Verilog, by GHDL's synthesis, for tools that read Verilog only.
#pragma once

#include <filesystem>
#include <string>

#include "weft/support/context.h"

namespace weft::driver {

/// Writes the sources that filelist.f of the project names as one Verilog file, log in logs/ghdl_synth.log; returns the
/// name that the top module has there (GHDL writes names in small letters). Fails with ToolMissing, ToolFailed,
/// FileUnreadable, LimitExceeded or Cancelled.
Result<std::string> vhdl_to_verilog(const std::filesystem::path& project, const std::string& top,
                                    const std::filesystem::path& verilog, double timeout_seconds, Context& ctx);

}  // namespace weft::driver
