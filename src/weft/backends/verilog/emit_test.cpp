// SPDX-License-Identifier: Apache-2.0
#include "weft/backends/verilog/emit.h"

#include <gtest/gtest.h>

#include "weft/backends/verilog/simulate.h"
#include "weft/exact/random_graph.h"

namespace weft::backends::verilog {
namespace {

const char* const kMissing = "the simulator is not installed";

/// Random graphs, all clocks and all options in turn.
void add_random(SimulationRun& run, std::uint64_t begin, std::uint64_t end) {
  const double clocks[] = {1.0, 2.5, 5.0, 100.0};
  for (std::uint64_t seed = begin; seed < end; ++seed) {
    hw::PlanOptions options;
    options.clock_ns = clocks[seed % 4];
    options.register_inputs = seed % 3 == 1;
    options.register_outputs = seed % 5 != 2;
    options.clock_enable = seed % 7 == 3;
    options.valid = seed % 4 != 1;
    if (seed % 6 == 5) options.max_latency_cycles = 3;
    run.add(exact::random_graph(seed, {.dense_layers = static_cast<int>(seed % 3)}), options, seed, 30);
  }
}

void expect_clean(SimulationRun& run, Simulator simulator, int samples) {
  const auto results = run.run(simulator);
  ASSERT_EQ(results.size(), run.designs().size()) << run.log().substr(0, 4000);
  for (std::size_t d = 0; d < results.size(); ++d) {
    SCOPED_TRACE(run.designs()[d].top);
    EXPECT_EQ(results[d].samples, samples);
    EXPECT_EQ(results[d].mismatches, 0);
    EXPECT_EQ(results[d].latency, run.designs()[d].latency_cycles);
    EXPECT_EQ(results[d].interval, run.designs()[d].interval_cycles);
  }
}

TEST(Emit, RandomGraphsInIverilog) {
  if (!is_installed(Simulator::Iverilog)) GTEST_SKIP() << kMissing;
  SimulationRun run;
  add_random(run, 0, 60);
  expect_clean(run, Simulator::Iverilog, 30);
}

TEST(Emit, RandomGraphsInVerilator) {
  if (!is_installed(Simulator::Verilator)) GTEST_SKIP() << kMissing;
  SimulationRun run;
  add_random(run, 60, 72);
  expect_clean(run, Simulator::Verilator, 30);
}

}  // namespace
}  // namespace weft::backends::verilog
