// SPDX-License-Identifier: Apache-2.0
/// @file
/// Runs an emitted project's self-checking test bench in Verilator, Icarus Verilog or GHDL.
#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "weft/driver/process.h"
#include "weft/exact/graph.h"
#include "weft/support/files.h"

namespace weft::driver {

struct SimulationRequest {
  /// Holds rtl/*.v and tb/<top>_tb.v (.vhd for GHDL); logs go to logs/ in it.
  std::filesystem::path project{};
  /// Top module without "_tb"; empty means the only tb/*_tb.v (.vhd) there is.
  std::string top{};
  /// "verilator", "iverilog" or "ghdl".
  std::string simulator = "verilator";
  /// Vector files to write below the project first (tb/in_<name>.hex, tb/out_<name>.hex); empty means they lie there.
  support::FileSet vectors{};
  /// Vectors to run, the first ones of the files; 0 means all.
  std::int64_t samples = 0;
  /// For each of building and running; 0 means none.
  double timeout_seconds = 0.0;
  /// Parallel compiler runs.
  int threads = 2;
  /// Seed of the random bits that registers hold before their first value.
  std::uint64_t seed = 1;
  /// Keep the built simulator below build/ instead of removing it.
  bool keep_build = false;
};

struct SimulationResult {
  std::int64_t samples = 0;
  std::int64_t mismatches = 0;
  std::int64_t latency_cycles = 0;
  std::int64_t interval_cycles = 0;
  double seconds = 0.0;  ///< building and running
  double build_seconds = 0.0;
  double peak_mb = 0.0;
  std::filesystem::path log{};  ///< of the run
};

/// The numbers of the last line `WEFT_TB samples=<n> mismatches=<m> latency=<cycles> interval=<cycles>`; nothing when
/// there is none or it is incomplete.
std::optional<SimulationResult> parse_test_bench_line(const std::string& log);

/// Builds and runs. Mismatches are a result, not a failure. Fails with FileUnreadable (no test bench), TargetUnknown
/// (simulator), ToolMissing, ToolFailed, LimitExceeded or Cancelled.
Result<SimulationResult> simulate(const SimulationRequest& request, Context& ctx);

/// Packs codes as interface.json of the project says: one line per sample, element 0 in the low bits, one file per
/// port. inputs and outputs: per port, rows of codes of all samples. Fails with ModelMalformed when the file does not
/// fit the codes.
Result<support::FileSet> pack_vectors(const std::filesystem::path& project, const std::vector<std::vector<Int>>& inputs,
                                      const std::vector<std::vector<Int>>& outputs, Context& ctx);

/// As simulate(request), with the vectors packed from the codes of the graph's inputs and outputs.
Result<SimulationResult> simulate(SimulationRequest request, const exact::Graph& graph,
                                  const std::vector<std::vector<Int>>& inputs,
                                  const std::vector<std::vector<Int>>& outputs, Context& ctx);

}  // namespace weft::driver
