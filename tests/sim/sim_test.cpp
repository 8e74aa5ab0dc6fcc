// SPDX-License-Identifier: Apache-2.0
// The conformance table in hardware: every case as Verilog in Icarus, portable and in Xilinx cells, and as VHDL in
// GHDL, an event in every cycle and with reused multipliers, every case as HLS C++ where the open ap_types headers are
// installed (WEFT_AP_TYPES), and the shipped example from file to verified Verilog in Verilator.
#include <gtest/gtest.h>

#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>

#include "cases.h"
#include "tests/paths/paths.h"
#include "weft/backends/hls/emit.h"
#include "weft/backends/verilog/emit.h"
#include "weft/backends/vhdl/emit.h"
#include "weft/driver/convert.h"
#include "weft/driver/csim.h"
#include "weft/driver/simulate.h"
#include "weft/driver/synthesize.h"
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
    const Case& c = all_cases()[GetParam()];
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

  /// Plans, emits and simulates the case in Icarus.
  void expect_verilog(const hw::PlanOptions& options);
  /// The same as VHDL in GHDL.
  void expect_vhdl(const hw::PlanOptions& options);

  static constexpr int kSamples = 100;
  fs::path folder_;
  diag::Engine engine_;
  Context ctx_{engine_};
  exact::Graph exact_;
  std::vector<std::vector<Int>> inputs_;
  std::vector<std::vector<Int>> outputs_;
};

void Hardware::expect_verilog(const hw::PlanOptions& options) {
  prepare();
  const auto design = hw::plan(exact_, options, ctx_);
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

// Short periods make many stages, long ones a single one.
constexpr double kPeriods[] = {1.5, 5.0, 40.0};

TEST_P(Hardware, VerilogEqualsTheEmulator) {
  if (!driver::program_exists("iverilog")) GTEST_SKIP() << "iverilog is not installed";
  expect_verilog({.clock_ns = kPeriods[GetParam() % 3], .register_inputs = GetParam() % 2 == 0});
}

TEST_P(Hardware, VerilogOfXilinxCellsEqualsTheEmulator) {
  if (!driver::program_exists("iverilog")) GTEST_SKIP() << "iverilog is not installed";
  const char* const parts[] = {"xcvu9p", "xc7k325t"};
  expect_verilog({.clock_ns = kPeriods[(GetParam() + 1) % 3],
                  .part = parts[GetParam() / 3 % 2],
                  .primitives = hw::Primitives::Xilinx,
                  .effort = hw::Effort::Fast});
}

// Some divide the numbers of rows, inputs and bits, some do not, and some are larger.
constexpr int kReuseFactors[] = {2, 3, 4, 7, 20};

TEST_P(Hardware, VerilogOfReusedMultipliersEqualsTheEmulator) {
  if (!driver::program_exists("iverilog")) GTEST_SKIP() << "iverilog is not installed";
  const std::size_t i = GetParam();
  expect_verilog({.clock_ns = kPeriods[(i + 2) % 3],
                  .register_inputs = i % 4 == 1,
                  .register_outputs = i % 7 != 2,
                  .clock_enable = i % 6 == 0,
                  .primitives = i % 3 == 1 ? hw::Primitives::Xilinx : hw::Primitives::Portable,
                  .effort = hw::Effort::Fast,
                  .reuse_factor = kReuseFactors[i % std::size(kReuseFactors)]});
}

TEST_P(Hardware, VhdlOfReusedMultipliersEqualsTheEmulator) {
  const std::size_t i = GetParam();
  expect_vhdl({.clock_ns = kPeriods[i % 3],
               .clock_enable = i % 5 == 2,
               .effort = hw::Effort::Fast,
               .reuse_factor = kReuseFactors[(i + 1) % std::size(kReuseFactors)]});
}

TEST_P(Hardware, VhdlEqualsTheEmulator) {
  const std::size_t i = GetParam();
  expect_vhdl({.clock_ns = kPeriods[(i + 1) % 3],
               .register_inputs = i % 2 == 1,
               .clock_enable = i % 5 == 0,
               .valid = i % 4 != 3,
               .effort = hw::Effort::Fast});
}

void Hardware::expect_vhdl(const hw::PlanOptions& options) {
  if (!driver::program_exists("ghdl")) GTEST_SKIP() << "ghdl is not installed";
  prepare();
  const auto design = hw::plan(exact_, options, ctx_);
  ASSERT_TRUE(design.ok()) << problems();
  const auto emitted = backends::vhdl::emit(*design, ctx_);
  ASSERT_TRUE(emitted.ok()) << problems();
  write(emitted->files);
  const auto result =
      driver::simulate({.project = folder_, .top = design->top, .simulator = "ghdl"}, exact_, inputs_, outputs_, ctx_);
  ASSERT_TRUE(result.ok()) << problems();
  EXPECT_EQ(result->samples, kSamples);
  EXPECT_EQ(result->mismatches, 0);
  EXPECT_EQ(result->latency_cycles, design->latency_cycles);
  EXPECT_EQ(result->interval_cycles, design->interval_cycles);
}

TEST_P(Hardware, HlsEqualsTheEmulator) {
  if (ap_types().empty()) GTEST_SKIP() << "WEFT_AP_TYPES is not set: the open ap_types headers are not there";
  prepare();
  const auto design = hw::plan(exact_, {.effort = hw::Effort::Fast}, ctx_);
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

/// Vectors of random codes for a graph, expected codes by the plain executor.
struct Vectors {
  std::vector<std::vector<Int>> inputs;
  std::vector<std::vector<Int>> outputs;
};

Vectors random_vectors(const exact::Graph& graph, int samples) {
  exact::Random random(5);
  Vectors out{std::vector<std::vector<Int>>(graph.inputs.size()), std::vector<std::vector<Int>>(graph.outputs.size())};
  for (int s = 0; s < samples; ++s) {
    const auto codes = exact::random_codes(graph, random);
    const auto plain = emulate::run_plain(graph, codes);
    for (std::size_t i = 0; i < codes.size(); ++i)
      out.inputs[i].insert(out.inputs[i].end(), codes[i].begin(), codes[i].end());
    for (std::size_t o = 0; o < out.outputs.size(); ++o) {
      const auto& row = plain.values[graph.outputs[o].value.index];
      out.outputs[o].insert(out.outputs[o].end(), row.begin(), row.end());
    }
  }
  return out;
}

TEST(Vhdl, TheBenchSeesWrongOutputsUnderNamesThatVhdlReserves) {
  if (!driver::program_exists("ghdl")) GTEST_SKIP() << "ghdl is not installed";
  const fs::path folder = fs::temp_directory_path() / ("weft vhdl " + std::to_string(::getpid()));
  for (const bool valid : {true, false}) {
    diag::Engine engine;
    Context ctx{engine};
    exact::Graph graph = exact::random_graph(3, {.dense_layers = 1});
    graph.inputs[0].name = "signal__of";
    for (auto& value : graph.values) value.name = value.name.empty() ? "resize" : "signal";
    const auto design = hw::plan(graph, {.top = "_entity_", .valid = valid}, ctx);
    ASSERT_TRUE(design.ok());
    EXPECT_EQ(design->inputs[0].name, "in_signal__of");
    const auto emitted = backends::vhdl::emit(*design, ctx);
    ASSERT_TRUE(emitted.ok());
    support::FileSet files = emitted->files;
    files["weft.json"] = "{}\n";
    ASSERT_TRUE(support::write_directory(folder, files, ctx).ok());
    Vectors vectors = random_vectors(graph, 20);
    const driver::SimulationRequest request{.project = folder, .top = design->top, .simulator = "ghdl"};
    const auto right = driver::simulate(request, graph, vectors.inputs, vectors.outputs, ctx);
    ASSERT_TRUE(right.ok()) << (engine.all().empty() ? "" : diag::to_text(engine.all().back()));
    EXPECT_EQ(right->mismatches, 0);
    EXPECT_EQ(right->latency_cycles, design->latency_cycles);
    // Three samples are falsified, each by one code.
    const auto stride = static_cast<std::size_t>(design->outputs[0].elements);
    for (const std::size_t s : {0U, 7U, 19U}) {
      Int& code = vectors.outputs[0][s * stride];
      code += code > 0 ? -1 : 1;
    }
    const auto wrong = driver::simulate(request, graph, vectors.inputs, vectors.outputs, ctx);
    ASSERT_TRUE(wrong.ok());
    EXPECT_EQ(wrong->samples, 20);
    EXPECT_EQ(wrong->mismatches, 3);
  }
  fs::remove_all(folder);
}

/// A user's entity: numbers to the port and back, element 0 in the low bits.
constexpr const char* kRoundTrip = R"(library ieee;
use ieee.std_logic_1164.all;
use ieee.numeric_std.all;
use work.net_types.all;
entity round_trip is
end entity;
architecture test of round_trip is
begin
  process
    variable numbers, again : {0}_elements_t;
    variable port_bits : {0}_t;
  begin
    for i in numbers'range loop
      numbers(i) := {1}(to_unsigned((5 * i + 3) mod 2 ** {2}, {2}));
    end loop;
    port_bits := pack(numbers);
    again := unpack(port_bits);
    assert again = numbers severity failure;
    assert port_bits({2} - 1 downto 0) = std_logic_vector(numbers(0)) severity failure;
    assert port_bits'length = {2} * numbers'length severity failure;
    report "round trip of {0} at latency " & integer'image(LATENCY_CYCLES);
    wait;
  end process;
end architecture;
)";

TEST(Vhdl, PackAndUnpackAreInverse) {
  if (!driver::program_exists("ghdl")) GTEST_SKIP() << "ghdl is not installed";
  const fs::path folder = fs::temp_directory_path() / ("weft_pack_" + std::to_string(::getpid()));
  diag::Engine engine;
  Context ctx{engine};
  const auto design = hw::plan(exact::random_graph(3, {.dense_layers = 1}), {.top = "net"}, ctx);
  ASSERT_TRUE(design.ok());
  const auto emitted = backends::vhdl::emit(*design, ctx);
  ASSERT_TRUE(emitted.ok());
  int wide = 0;
  for (const auto* ports : {&design->inputs, &design->outputs}) {
    for (const auto& port : *ports) {
      if (port.width_bits() == 1) continue;  // std_logic, which has no low bits
      ++wide;
      support::FileSet files = emitted->files;
      files["weft.json"] = "{}\n";
      files["round_trip.vhd"] = fmt::format(fmt::runtime(kRoundTrip), port.name, port.is_signed ? "signed" : "unsigned",
                                            port.element_width_bits);
      ASSERT_TRUE(support::write_directory(folder, files, ctx).ok());
      driver::ProcessRequest ghdl{
          .program = "ghdl",
          .arguments = {"-c", "--std=08", "rtl/net_types.vhd", "round_trip.vhd", "-r", "round_trip"},
          .directory = folder,
          .log = folder / "log"};
      ASSERT_TRUE(driver::run_tool(ghdl, ctx).ok()) << diag::to_text(engine.all().back());
      const auto log = support::read_file(folder / "log", ctx);
      ASSERT_TRUE(log.ok());
      EXPECT_NE(log->find("round trip of " + port.name + " at latency " + std::to_string(design->latency_cycles)),
                std::string::npos)
          << *log;
    }
  }
  EXPECT_GE(wide, 2);
  fs::remove_all(folder);
}

TEST(Vhdl, FromFileToVerifiedVhdl) {
  if (!driver::program_exists("ghdl")) GTEST_SKIP() << "ghdl is not installed";
  const fs::path examples = test::source_dir() / "examples" / "digits";
  const fs::path folder = fs::temp_directory_path() / ("weft_vhdl_" + std::to_string(::getpid()));
  diag::Engine engine;
  Context ctx{engine};
  driver::ConvertOptions options;
  options.target = "vhdl";
  ASSERT_TRUE(driver::convert(examples / "digits.h5", folder, options, ctx).ok());
  const auto result = driver::verify(folder, {.data = examples / "x_test.npy", .samples = 100}, ctx);
  ASSERT_TRUE(result.ok());
  EXPECT_EQ(result->simulator, "ghdl");
  EXPECT_EQ(result->mismatches, 0);
  EXPECT_EQ(result->samples, 600);
  EXPECT_EQ(result->latency_cycles, result->predicted_latency_cycles);
  EXPECT_FALSE(engine.has_errors());
  // Verilog's simulators do not read it.
  EXPECT_FALSE(driver::verify(folder, {.simulator = "verilator"}, ctx).ok());
  EXPECT_EQ(engine.all().back().kind, Kind::UsageInvalid);
  // There are no vendor cells in VHDL.
  options.primitives = "xilinx";
  diag::Engine refusal;
  Context refused{refusal};
  EXPECT_FALSE(driver::convert(examples / "digits.h5", folder, options, refused).ok());
  ASSERT_TRUE(refusal.has_errors());
  const auto all = refusal.all();
  EXPECT_TRUE(std::any_of(all.begin(), all.end(), [](const auto& d) {
    return d.kind == Kind::DoesNotFit && d.message.find("--primitives xilinx") != std::string::npos;
  }));
  fs::remove_all(folder);
}

TEST(Vhdl, SynthesizesToTheRegistersOfVerilog) {
  if (!driver::program_exists("ghdl") || !driver::program_exists("yosys"))
    GTEST_SKIP() << "ghdl or yosys is not installed";
  const fs::path model = test::source_dir() / "examples" / "fixtures" / "onnx" / "bipolar.onnx";
  std::vector<driver::Usage> usage;
  for (const char* target : {"verilog", "vhdl"}) {
    const fs::path folder = fs::temp_directory_path() / ("weft_synth_" + std::to_string(::getpid()));
    diag::Engine engine;
    Context ctx{engine};
    driver::ConvertOptions options;
    options.target = target;
    options.top = "Two__Words";  // GHDL has its own way with capitals and with double underscores
    ASSERT_TRUE(driver::convert(model, folder, options, ctx).ok()) << target;
    const auto report = driver::synthesize(
        {.project = folder, .vhdl = options.target == "vhdl", .top = options.top, .family = "xcup"}, ctx);
    ASSERT_TRUE(report.ok()) << target << diag::to_text(engine.all().back());
    usage.push_back(report->usage);
    EXPECT_FALSE(fs::exists(folder / "build"));
    fs::remove_all(folder);
  }
  EXPECT_GT(usage[0].ff, 0);
  EXPECT_EQ(usage[0].ff, usage[1].ff);
  EXPECT_EQ(usage[0].latch + usage[1].latch, 0);
}

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
