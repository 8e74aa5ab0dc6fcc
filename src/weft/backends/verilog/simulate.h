// SPDX-License-Identifier: Apache-2.0
/// @file
/// For tests: simulates many emitted designs in one build and collects what their test benches say.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "weft/exact/graph.h"
#include "weft/hw/design.h"

namespace weft::backends::verilog {

enum class Simulator { Iverilog, Verilator };

/// Whether the simulator can be started here.
bool is_installed(Simulator simulator);

/// What one bench printed.
struct BenchResult {
  int samples = -1;
  int mismatches = -1;
  int latency = -1;
  int interval = -1;
};

/// Designs with vectors from the plain executor, each in a folder of its own.
class SimulationRun {
 public:
  SimulationRun();
  ~SimulationRun();
  SimulationRun(const SimulationRun&) = delete;
  SimulationRun& operator=(const SimulationRun&) = delete;

  /// Plans and emits `graph`; the prefix is made up here. Failures of the library are test failures.
  /// `wrong_samples` of the expected outputs are falsified.
  void add(const exact::Graph& graph, hw::PlanOptions options, std::uint64_t seed, int samples, int wrong_samples = 0);
  /// One result per design, in the order of add(); empty when the tools failed (`log` says why).
  std::vector<BenchResult> run(Simulator simulator);

  [[nodiscard]] const std::vector<hw::Design>& designs() const { return designs_; }
  [[nodiscard]] const std::string& log() const { return log_; }

 private:
  std::string folder_;
  std::vector<hw::Design> designs_;
  std::string log_;
  int samples_ = 0;
};

}  // namespace weft::backends::verilog
