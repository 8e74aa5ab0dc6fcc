// SPDX-License-Identifier: Apache-2.0
// The conformance table in hardware: every case as Verilog in Icarus, a dense network in Verilator, every case as HLS
// C++ where the open ap_types headers are installed (WEFT_AP_TYPES), and the shipped example from file to verified
// Verilog.
#include <gtest/gtest.h>

#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "cases.h"
#include "tests/paths/paths.h"
#include "weft/backends/hls/emit.h"
#include "weft/backends/verilog/emit.h"
#include "weft/driver/convert.h"
#include "weft/driver/csim.h"
#include "weft/driver/simulate.h"
#include "weft/driver/verify.h"
#include "weft/emulate/emulator.h"
#include "weft/exact/random_graph.h"
#include "weft/layers/layer.h"

namespace weft::conformance {
namespace {

namespace fs = std::filesystem;

std::string ap_types() {
  const char* folder = std::getenv("WEFT_AP_TYPES");
  return folder == nullptr ? "" : folder;
}

class Hardware : public ::testing::TestWithParam<std::size_t> {
 protected:
  void SetUp() override {
    folder_ = fs::temp_directory_path() / ("weft_sim_" + std::to_string(::getpid()) + "_" + std::to_string(GetParam()));
  }
  void TearDown() override { fs::remove_all(folder_); }

  /// Lowers the case and makes vectors: random codes and corners, expected codes by the plain executor.
  void prepare() {
    const Case c = all_cases()[GetParam()];
    nn::Graph graph = c.graph;
    ASSERT_TRUE(layers::check(graph, ctx_).ok());
    auto lowered = lower::lower(graph, c.options, ctx_);
    ASSERT_TRUE(lowered.ok()) << c.name;
    exact_ = std::move(lowered->graph);
    exact::Random random(GetParam() + 7);
    inputs_.resize(exact_.inputs.size());
    outputs_.resize(exact_.outputs.size());
    for (int s = 0; s < kSamples; ++s) {
      const auto codes = exact::random_codes(exact_, random);
      const auto plain = emulate::run_plain(exact_, codes);
      for (std::size_t i = 0; i < codes.size(); ++i)
        inputs_[i].insert(inputs_[i].end(), codes[i].begin(), codes[i].end());
      for (std::size_t o = 0; o < outputs_.size(); ++o) {
        const auto& row = plain.values[exact_.outputs[o].value.index];
        outputs_[o].insert(outputs_[o].end(), row.begin(), row.end());
      }
    }
  }
  void write(const Result<support::FileSet>& files) {
    ASSERT_TRUE(files.ok());
    support::FileSet set = *files;
    set["weft.json"] = "{}\n";
    ASSERT_TRUE(support::write_directory(folder_, set, ctx_).ok());
  }
  std::string problems() {
    std::string out;
    for (const auto& d : engine_.all()) out += diag::to_text(d) + "\n";
    return out;
  }

  static constexpr int kSamples = 100;
  fs::path folder_;
  diag::Engine engine_;
  Context ctx_{engine_};
  exact::Graph exact_;
  std::vector<std::vector<Int>> inputs_;
  std::vector<std::vector<Int>> outputs_;
};

TEST_P(Hardware, VerilogEqualsTheEmulator) {
  if (!driver::program_exists("iverilog")) GTEST_SKIP() << "iverilog is not installed";
  prepare();
  // Short periods make many stages, long ones a single one.
  const double periods[] = {1.5, 5.0, 40.0};
  const auto design =
      hw::plan(exact_, {.clock_ns = periods[GetParam() % 3], .register_inputs = GetParam() % 2 == 0}, ctx_);
  ASSERT_TRUE(design.ok()) << problems();
  write(backends::verilog::emit(*design, {}, ctx_));
  const auto result = driver::simulate({.project = folder_, .top = design->top, .simulator = "iverilog"}, exact_,
                                       inputs_, outputs_, ctx_);
  ASSERT_TRUE(result.ok()) << problems();
  EXPECT_EQ(result->samples, kSamples);
  EXPECT_EQ(result->mismatches, 0);
  EXPECT_EQ(result->latency_cycles, design->latency_cycles);
  EXPECT_EQ(result->interval_cycles, design->interval_cycles);
}

TEST_P(Hardware, HlsEqualsTheEmulator) {
  if (ap_types().empty()) GTEST_SKIP() << "WEFT_AP_TYPES is not set: the open ap_types headers are not there";
  prepare();
  const auto design = hw::plan(exact_, {}, ctx_);
  ASSERT_TRUE(design.ok()) << problems();
  write(backends::hls::emit(*design, {}, ctx_));
  const auto result = driver::run_csim({.project = folder_, .top = design->top, .ap_types = ap_types()}, exact_,
                                       inputs_, outputs_, ctx_);
  ASSERT_TRUE(result.ok()) << problems();
  EXPECT_EQ(result->samples, kSamples);
  EXPECT_EQ(result->mismatches, 0);
}

INSTANTIATE_TEST_SUITE_P(Cases, Hardware, ::testing::Range(std::size_t{0}, all_cases().size()),
                         [](const auto& row) { return all_cases()[row.param].name; });

TEST(Example, FromFileToVerifiedVerilog) {
  if (!driver::program_exists("verilator")) GTEST_SKIP() << "verilator is not installed";
  const fs::path examples = test::source_dir() / "examples" / "digits";
  const fs::path folder =
      fs::temp_directory_path() / ("weft example " + std::to_string(::getpid()));  // a blank in the path
  for (const char* model : {"digits.h5", "digits.onnx"}) {
    diag::Engine engine;
    Context ctx{engine};
    ASSERT_TRUE(driver::convert(examples / model, folder, {}, ctx).ok()) << model;
    const auto result = driver::verify(folder, {.data = examples / "x_test.npy", .samples = 200}, ctx);
    ASSERT_TRUE(result.ok()) << model;
    EXPECT_EQ(result->mismatches, 0) << model;
    EXPECT_EQ(result->samples, 700) << model;
    EXPECT_EQ(result->latency_cycles, result->predicted_latency_cycles) << model;
    EXPECT_FALSE(engine.has_errors()) << model;
  }
  fs::remove_all(folder);
}

}  // namespace
}  // namespace weft::conformance
