// SPDX-License-Identifier: Apache-2.0
/// @file
/// Running what convert emitted against the emulator.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>

#include "weft/driver/model.h"

namespace weft::driver {

struct VerifyOptions {
  /// Real data; its codes become vectors beside the random ones and the extremes.
  std::optional<std::filesystem::path> data{};
  std::int64_t samples = 1000;
  /// "verilator" or "iverilog" for a Verilog project, "ghdl" for VHDL, "csim" for Vitis; empty: the first of its
  /// target.
  std::string simulator{};
  double timeout_seconds = 3600;
  /// Folder of the open ap_types headers, for csim.
  std::filesystem::path ap_types{};
};

struct VerifyResult {
  std::int64_t samples = 0;
  std::int64_t mismatches = 0;
  int latency_cycles = 0;
  int interval_cycles = 0;
  int predicted_latency_cycles = 0;
  int predicted_interval_cycles = 0;
  std::string simulator;
  double seconds = 0.0;
};

/// Vectors: rows of the data (when given), all codes at their lowest, at their highest, alternating, one hot at each
/// extreme (as many as `samples` allows), inputs that drive each output's first-layer sums to their ends, and uniformly
/// random codes from ctx.seed. A mismatch or a wrong latency is reported as VerifyMismatch and is not a failure of the
/// call.
Result<VerifyResult> verify(const std::filesystem::path& project, const VerifyOptions& options, Context& ctx);

/// The vectors verify uses, one row of codes per sample and graph input: for tests.
Result<std::vector<std::vector<Int>>> verification_inputs(const Session& session, const VerifyOptions& options,
                                                          std::int64_t& samples, Context& ctx);

}  // namespace weft::driver
