// SPDX-License-Identifier: Apache-2.0
/// @file
/// Places and routes an emitted project with an FPGA tool that is installed, and reads back what it takes.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "weft/driver/build_reports.h"

namespace weft::driver {

struct BuildRequest {
  /// What convert wrote for verilog or vhdl.
  std::filesystem::path project{};
  /// "vivado", "quartus", "radiant", "nextpnr" or "yosys" (synthesis alone); empty: the first that is installed and
  /// made for the part.
  std::string tool{};
  /// 0 means none.
  double timeout_seconds = 0.0;
  int threads = 1;
};

struct BuildReport {
  std::string tool;
  Utilization usage;
  std::optional<double> wns_ns{};  ///< worst setup slack at the planned period
  std::optional<double> fmax_mhz{};
  std::optional<double> critical_path_ps{};
  double clock_ns = 0.0;
  double seconds = 0.0;
  std::filesystem::path folder{};  ///< the tool's own reports
};

/// Runs in build/<tool> of the project, log in logs/build_<tool>.log. A clock that is not met is a result, not a
/// failure. Fails with UsageInvalid (no such project), ToolMissing (says what was looked for and how to get it),
/// ToolFailed (also for a report that is not whole), LimitExceeded or Cancelled.
Result<BuildReport> build(const BuildRequest& request, Context& ctx);

/// The names of all tools.
const std::vector<std::string>& build_tools();

}  // namespace weft::driver
