// SPDX-License-Identifier: Apache-2.0
/// @file
/// Compiles and runs the C++ of an HLS project against expected codes.
#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "weft/exact/graph.h"
#include "weft/support/context.h"

namespace weft::driver {

struct CsimRequest {
  std::filesystem::path project{};
  std::string top{};
  /// Folder with ap_int.h and ap_fixed.h (the open ap_types headers). Empty: ToolMissing says how to get them.
  std::filesystem::path ap_types{};
  double timeout_seconds = 3600;
};

struct CsimResult {
  std::int64_t samples = 0;
  std::int64_t mismatches = 0;
};

/// inputs and outputs: per graph input or output, rows of codes of all samples.
Result<CsimResult> run_csim(const CsimRequest& request, const exact::Graph& graph,
                            const std::vector<std::vector<Int>>& inputs, const std::vector<std::vector<Int>>& outputs,
                            Context& ctx);

}  // namespace weft::driver
