// SPDX-License-Identifier: Apache-2.0
#include "weft/driver/simulate.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

namespace weft::driver {
namespace {

/// An adder with one register behind it, and a test bench that follows the contract.
constexpr const char* kDesign = R"(module sum(input clk, input [7:0] a, output reg [7:0] y);
  initial y = 0;
  always @(posedge clk) y <= a + 8'd1;
endmodule
)";
constexpr const char* kBench = R"(`timescale 1ns/1ps
module sum_tb;
  parameter SAMPLES = 4;
  reg clk;
  reg [7:0] a;
  wire [7:0] y;
  reg [7:0] in [0:SAMPLES-1];
  reg [7:0] out [0:SAMPLES-1];
  reg [8*256-1:0] dir, path;
  integer n, k, bad;
  sum dut(.clk(clk), .a(a), .y(y));
  initial begin
    n = SAMPLES;
    if ($value$plusargs("samples=%d", n)) begin end
    if (!$value$plusargs("dir=%s", dir)) dir = ".";
    $sformat(path, "%0s/tb/in_a.hex", dir);
    $readmemh(path, in, 0, n - 1);
    $sformat(path, "%0s/tb/out_y.hex", dir);
    $readmemh(path, out, 0, n - 1);
    bad = 0;
    clk = 0;
    for (k = 0; k < n; k = k + 1) begin
      a = in[k];
      #5 clk = 1;
      #5 clk = 0;
      if (y !== out[k]) bad = bad + 1;
    end
    $display("WEFT_TB samples=%0d mismatches=%0d latency=1 interval=1", n, bad);
    $finish;
  end
endmodule
)";
constexpr const char* kInterface =
    R"({"inputs": [{"port": "in_a", "name": "a", "elements": 2, "element_width_bits": 4, "signed": true}],
 "outputs": [{"port": "out_y", "name": "y", "elements": 1, "element_width_bits": 8, "signed": false}]})";

class Simulate : public testing::Test {
 protected:
  void SetUp() override {
    folder_ = std::filesystem::temp_directory_path() / fmt::format("weft_simulate_{}", ::getpid());
    std::filesystem::remove_all(folder_);
    write("rtl/sum.v", kDesign);
    write("tb/sum_tb.v", kBench);
    write("interface.json", kInterface);
  }
  void TearDown() override { std::filesystem::remove_all(folder_); }
  void write(const std::string& name, const std::string& content) {
    std::filesystem::create_directories((folder_ / name).parent_path());
    ASSERT_TRUE(support::write_file(folder_ / name, content, ctx_).ok());
  }
  Kind last_kind() { return engine_.all().empty() ? Kind::Info : engine_.all().back().kind; }

  std::filesystem::path folder_;
  diag::Engine engine_;
  Context ctx_{engine_};
};

TEST(TestBenchLine, IsTheLastOneAndWhole) {
  const auto result = parse_test_bench_line(
      "WEFT_TB samples=1 mismatches=1 latency=1 interval=1\nvector 3 differs\n"
      "WEFT_TB samples=1000 mismatches=2 latency=7 interval=1\n- sum_tb.v:30: Verilog $finish\n");
  ASSERT_TRUE(result.has_value());
  EXPECT_EQ(result->samples, 1000);
  EXPECT_EQ(result->mismatches, 2);
  EXPECT_EQ(result->latency_cycles, 7);
  EXPECT_EQ(result->interval_cycles, 1);
  EXPECT_TRUE(parse_test_bench_line("WEFT_TB samples=1 mismatches=0 latency=-1 interval=1\r\n").has_value());
  EXPECT_FALSE(parse_test_bench_line("").has_value());
  EXPECT_FALSE(parse_test_bench_line("WEFT_TB samples=10 mismatches=0 latency=3").has_value());
  EXPECT_FALSE(parse_test_bench_line("WEFT_TB samples=x mismatches=0 latency=3 interval=1").has_value());
  EXPECT_FALSE(parse_test_bench_line("WEFT_TB samples=1 mismatches=1e9 latency=3 interval=1").has_value());
}

TEST_F(Simulate, BothSimulatorsAgreeWithTheContract) {
  for (const std::string simulator : {"iverilog", "verilator"}) {
    if (!program_exists(simulator)) GTEST_SKIP() << simulator << " is not installed";
    SimulationRequest request{.project = folder_, .top = "sum", .simulator = simulator};
    request.vectors = {{"tb/in_a.hex", "00\n7f\nff\n10\n20\n"}, {"tb/out_y.hex", "01\n80\n00\n11\n99\n"}};
    const auto result = simulate(request, ctx_);
    ASSERT_TRUE(result.ok()) << simulator << (engine_.all().empty() ? "" : diag::to_text(engine_.all().back()));
    EXPECT_EQ(result->samples, 5);
    EXPECT_EQ(result->mismatches, 1);
    EXPECT_EQ(result->latency_cycles, 1);
    EXPECT_GT(result->seconds, 0.0);
    EXPECT_GT(result->peak_mb, 1.0);
    EXPECT_TRUE(std::filesystem::exists(result->log));
    EXPECT_FALSE(std::filesystem::exists(folder_ / "build"));
    // Fewer samples than lines, and the top found by itself.
    const auto two = simulate({.project = folder_, .simulator = simulator, .samples = 2}, ctx_);
    ASSERT_TRUE(two.ok());
    EXPECT_EQ(two->samples, 2);
    EXPECT_EQ(two->mismatches, 0);
  }
}

TEST_F(Simulate, BrokenVerilogIsToolFailedWithTheLog) {
  if (!program_exists("iverilog")) GTEST_SKIP() << "iverilog is not installed";
  write("rtl/sum.v", "module sum(input clk; endmodule\n");
  write("tb/in_a.hex", "00\n");
  EXPECT_FALSE(simulate({.project = folder_, .simulator = "iverilog"}, ctx_).ok());
  ASSERT_EQ(last_kind(), Kind::ToolFailed);
  const auto last = engine_.all().back();
  EXPECT_TRUE(std::any_of(last.notes.begin(), last.notes.end(),
                          [](const std::string& n) { return n.find("syntax error") != std::string::npos; }));
}

TEST_F(Simulate, ABenchWithoutItsLineIsToolFailed) {
  if (!program_exists("iverilog")) GTEST_SKIP() << "iverilog is not installed";
  write("tb/sum_tb.v", "module sum_tb; parameter SAMPLES = 1; initial $display(\"hello\"); endmodule\n");
  write("tb/in_a.hex", "00\n");
  EXPECT_FALSE(simulate({.project = folder_, .simulator = "iverilog"}, ctx_).ok());
  EXPECT_EQ(last_kind(), Kind::ToolFailed);
}

TEST_F(Simulate, WrongRequestsAreReported) {
  EXPECT_FALSE(simulate({.project = folder_, .simulator = "modelsim"}, ctx_).ok());
  EXPECT_EQ(last_kind(), Kind::TargetUnknown);
  EXPECT_FALSE(simulate({.project = folder_, .top = "other"}, ctx_).ok());
  EXPECT_EQ(last_kind(), Kind::FileUnreadable);
  EXPECT_FALSE(simulate({.project = folder_, .top = "sum"}, ctx_).ok());  // no vectors
  EXPECT_EQ(last_kind(), Kind::FileUnreadable);
  write("tb/in_a.hex", "00\n01\n");
  write("tb/out_y.hex", "00\n");
  EXPECT_FALSE(simulate({.project = folder_, .top = "sum"}, ctx_).ok());
  EXPECT_EQ(last_kind(), Kind::ShapeMismatch);
}

TEST_F(Simulate, VectorsArePackedByTheInterface) {
  const auto files = pack_vectors(folder_, {{1, -8, -1, 7}}, {{255, 16}}, ctx_);
  ASSERT_TRUE(files.ok());
  EXPECT_EQ(files->at("tb/in_a.hex"), "81\n7f\n");
  EXPECT_EQ(files->at("tb/out_y.hex"), "ff\n10\n");
  EXPECT_FALSE(pack_vectors(folder_, {{1, 8}}, {{0}}, ctx_).ok());
  EXPECT_EQ(last_kind(), Kind::TypeTooWide);
  EXPECT_FALSE(pack_vectors(folder_, {{1, 1, 1}}, {{0}}, ctx_).ok());
  EXPECT_EQ(last_kind(), Kind::ShapeMismatch);
  EXPECT_FALSE(pack_vectors(folder_, {{1, 1}}, {{0, 0}}, ctx_).ok());
  EXPECT_EQ(last_kind(), Kind::ShapeMismatch);
  EXPECT_FALSE(pack_vectors(folder_, {}, {{0}}, ctx_).ok());
  EXPECT_EQ(last_kind(), Kind::ModelMalformed);
  write(
      "interface.json",
      R"({"inputs": [{"port": "../x", "name": "a", "elements": 1, "element_width_bits": 4, "signed": true}], "outputs": []})");
  EXPECT_FALSE(pack_vectors(folder_, {{0}}, {}, ctx_).ok());
  EXPECT_EQ(last_kind(), Kind::ModelMalformed);
}

}  // namespace
}  // namespace weft::driver
