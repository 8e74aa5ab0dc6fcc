// SPDX-License-Identifier: Apache-2.0
#include "weft/backends/verilog/simulate.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "weft/backends/verilog/emit.h"
#include "weft/emulate/emulator.h"
#include "weft/exact/random_graph.h"

namespace weft::backends::verilog {

namespace fs = std::filesystem;

namespace {

std::string read(const fs::path& path) {
  std::ifstream in(path);
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

void write(const fs::path& path, const std::string& content) {
  fs::create_directories(path.parent_path());
  std::ofstream(path) << content;
}

}  // namespace

bool is_installed(Simulator simulator) {
  // NOLINTNEXTLINE(concurrency-mt-unsafe)
  return std::system(simulator == Simulator::Iverilog ? "iverilog -V >/dev/null 2>&1"
                                                      : "verilator --version >/dev/null 2>&1") == 0;
}

SimulationRun::SimulationRun() {
  std::string pattern = (fs::temp_directory_path() / "weft_sim_XXXXXX").string();
  folder_ = mkdtemp(pattern.data());
}

SimulationRun::~SimulationRun() {
  if (::testing::Test::HasFailure()) return;  // left for people to look at
  std::error_code ignored;
  fs::remove_all(folder_, ignored);
}

void SimulationRun::add(const exact::Graph& graph, hw::PlanOptions options, std::uint64_t seed, int samples,
                        int wrong_samples) {
  diag::Engine engine;
  Context ctx{.diag = engine};
  options.prefix = fmt::format("d{}_", designs_.size());
  options.top = "net";
  auto design = hw::plan(graph, options, ctx);
  ASSERT_TRUE(design.ok()) << (engine.all().empty() ? "" : to_text(engine.all().back()));
  const auto files = emit(*design, {}, ctx);
  ASSERT_TRUE(files.ok());
  exact::Random random(seed);
  std::vector<Codes> inputs(graph.inputs.size());
  std::vector<Codes> outputs(graph.outputs.size());
  for (int s = 0; s < samples; ++s) {
    const auto codes = exact::random_codes(graph, random);
    const auto expected = emulate::run_plain(graph, codes);
    for (std::size_t i = 0; i < codes.size(); ++i) inputs[i].insert(inputs[i].end(), codes[i].begin(), codes[i].end());
    for (std::size_t o = 0; o < outputs.size(); ++o) {
      const auto& values = expected.values[graph.outputs[o].value.index];
      outputs[o].insert(outputs[o].end(), values.begin(), values.end());
    }
  }
  for (int s = 0; s < wrong_samples; ++s) {
    Int& code = outputs[0][static_cast<std::size_t>(s) * static_cast<std::size_t>(design->outputs[0].elements)];
    code += code > 0 ? -1 : 1;
  }
  const auto vectors = test_vectors(*design, inputs, outputs, ctx);
  ASSERT_TRUE(vectors.ok()) << to_text(engine.all().back());
  for (const auto* set : {&*files, &*vectors}) {
    for (const auto& [name, content] : *set) write(fs::path(folder_) / design->top / name, content);
  }
  samples_ = std::max(samples_, samples);
  designs_.push_back(std::move(*design));
}

std::vector<BenchResult> SimulationRun::run(Simulator simulator) {
  std::string runner = "`timescale 1ns / 1ps\nmodule runner;\n";
  std::string sources;
  int longest = 0;
  for (const hw::Design& design : designs_) {
    runner += fmt::format("  {0}_tb #(.SAMPLES({1}), .DIR(\"{2}/{0}\"), .FINISH(0)) b_{0} ();\n", design.top, samples_,
                          folder_);
    sources += fmt::format("{0}/rtl/*.v {0}/tb/*.v ", design.top);
    longest = std::max(longest, design.latency_cycles + samples_ * (design.interval_cycles + 1));
  }
  runner += fmt::format("  initial #{} $finish;\nendmodule\n", 20 * (longest + 40));
  write(fs::path(folder_) / "runner.v", runner);
  const std::string command =
      simulator == Simulator::Iverilog
          ? fmt::format("cd {} && iverilog -g2001 -s runner -o sim runner.v {} > log 2>&1 && vvp -n sim >> log 2>&1",
                        folder_, sources)
          : fmt::format(
                "cd {} && verilator --binary --timing -fno-const-bit-op-tree -MAKEFLAGS \"OPT_FAST=-O0 OPT_SLOW=-O0 "
                "OPT_GLOBAL=-O0\" "
                "-Wno-fatal -Wno-lint -Wno-style -j 2 "
                "--top-module "
                "runner -Mdir obj runner.v {} > log 2>&1 && obj/Vrunner >> log 2>&1",
                folder_, sources);
  // NOLINTNEXTLINE(concurrency-mt-unsafe)
  const int status = std::system(command.c_str());
  log_ = read(fs::path(folder_) / "log");
  if (status != 0) return {};
  // Every bench names itself in front of its line by the order of its end; results are matched by counting per bench.
  std::vector<BenchResult> results(designs_.size());
  for (std::size_t d = 0; d < designs_.size(); ++d) {
    const std::string mark = fmt::format("b_{}: ", designs_[d].top);
    const auto at = log_.find(mark);
    if (at == std::string::npos) continue;
    BenchResult& r = results[d];
    std::sscanf(log_.c_str() + at + mark.size(), "WEFT_TB samples=%d mismatches=%d latency=%d interval=%d", &r.samples,
                &r.mismatches, &r.latency, &r.interval);
  }
  return results;
}

}  // namespace weft::backends::verilog
