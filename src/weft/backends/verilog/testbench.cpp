// SPDX-License-Identifier: Apache-2.0
#include "weft/backends/verilog/testbench.h"

#include <fmt/format.h>

#include <iterator>

namespace weft::backends::verilog {

namespace {

constexpr int kIdleCycles = 4;

std::string range_of(std::int64_t width_bits) { return fmt::format("[{}:0]", width_bits - 1); }

}  // namespace

// Stimulus changes on falling edges and outputs are read on rising edges, before the design's nonblocking assignments,
// so that no simulator's event order matters. Cycle numbers count rising edges: input k is sampled at edge
// `sent_at[k]`, output k must be there `LATENCY` edges later. Without valid ports the outputs are expected exactly
// there. Vectors come every `INTERVAL` edges, the last quarter of them with gaps where there is a valid bit to tell.
std::string print_testbench(const hw::Design& design) {
  const bool valid = design.options.valid;
  const bool ce = design.options.clock_enable;
  const int latency = design.latency_cycles;
  std::string text;
  auto out = std::back_inserter(text);
  fmt::format_to(
      out,
      "// Self-checking test bench of {0}. Plain Verilog-2001.\n"
      "// Icarus: iverilog -g2001 -o sim rtl/*.v tb/*.v && vvp sim +samples=100\n"
      "// In Verilator: verilator --binary --timing -Wno-fatal -Wno-lint --top-module {0}_tb rtl/*.v tb/*.v\n"
      "// Plusargs: +samples=N vectors, +dir=PATH folder that holds tb/ (else the parameter DIR).\n"
      "`timescale 1ns / 1ps\n"
      "module {0}_tb;\n\n"
      "  parameter SAMPLES = 1024;  // room for vectors\n"
      "  parameter DIR = \".\";        // folder that holds tb/\n"
      "  parameter FINISH = 1;      // 0: several benches run in one simulation\n"
      "  localparam LATENCY = {1};\n"
      "  localparam INTERVAL = {2};\n\n"
      "  reg clk;\n"
      "  reg rst;\n",
      design.top, latency, design.interval_cycles);
  if (ce) text += "  reg ce;\n  integer pace;\n";
  if (valid) text += "  reg in_valid;\n  wire out_valid;\n";
  for (const auto& port : design.inputs) {
    fmt::format_to(out, "  reg {0} {1};\n  reg {0} {1}_mem [0:SAMPLES-1];\n", range_of(port.width_bits()), port.name);
  }
  for (const auto& port : design.outputs) {
    fmt::format_to(out, "  wire {0} {1};\n  reg {0} {1}_mem [0:SAMPLES-1];\n", range_of(port.width_bits()), port.name);
  }
  text +=
      "\n  reg [8*1024-1:0] dir;\n"
      "  reg [8*1100-1:0] path;\n"
      "  integer samples;\n"
      "  integer edges;       // rising edges seen\n"
      "  integer first;       // edge that samples vector 0\n"
      "  integer sent;\n"
      "  integer sent_at [0:SAMPLES-1];\n"
      "  integer ready;       // edges to see before the next vector\n"
      "  integer finish;      // and before the end\n"
      "  integer received;\n"
      "  integer mismatches;\n"
      "  integer measured;    // latency seen, -1 before the first output\n"
      "  integer last;        // edge of the latest output\n"
      "  integer interval;    // smallest distance of two outputs\n"
      "  reg wrong;\n"
      "  reg done;\n\n";
  fmt::format_to(out, "  {} dut (\n    .clk(clk),\n    .rst(rst)", design.top);
  if (ce) text += ",\n    .ce(ce)";
  if (valid) text += ",\n    .in_valid(in_valid),\n    .out_valid(out_valid)";
  for (const auto& port : design.inputs) fmt::format_to(out, ",\n    .{0}({0})", port.name);
  for (const auto& port : design.outputs) fmt::format_to(out, ",\n    .{0}({0})", port.name);
  text += ");\n\n";

  text +=
      "  initial begin\n"
      "    samples = SAMPLES;\n"
      "    if ($value$plusargs(\"samples=%d\", samples)) begin\n"
      "      if (samples > SAMPLES) samples = SAMPLES;\n"
      "    end\n"
      "    if (!$value$plusargs(\"dir=%s\", dir)) dir = DIR;\n"
      "    if (samples > 0) begin\n";
  for (const auto* ports : {&design.inputs, &design.outputs}) {
    for (const auto& port : *ports) {
      fmt::format_to(out,
                     "      $sformat(path, \"%0s/tb/{0}.hex\", dir);\n"
                     "      $readmemh(path, {0}_mem, 0, samples - 1);\n",
                     port.name);
    }
  }
  fmt::format_to(out,
                 "    end\n"
                 "    clk = 0;\n"
                 "    rst = 1;\n"
                 "    edges = 0;\n"
                 "    first = -1;\n"
                 "    sent = 0;\n"
                 "    ready = {0};\n"
                 "    finish = {0} + LATENCY + 4;\n"
                 "    received = 0;\n"
                 "    mismatches = 0;\n"
                 "    measured = -1;\n"
                 "    last = -1;\n"
                 "    interval = 0;\n"
                 "    done = 0;\n",
                 2 * kIdleCycles);
  if (ce) text += "    ce = 1;\n    pace = 0;\n";
  if (valid) text += "    in_valid = 0;\n";
  // An idle period full of garbage.
  for (const auto& port : design.inputs) {
    fmt::format_to(out, "    {} = {{{}{{1'b1}}}};\n", port.name, port.width_bits());
  }
  text += "  end\n\n  always #5 clk = ~clk;\n\n";
  text += "  // What stands at the outputs when clk rises is what a following stage samples at this edge.\n";
  text += ce ? "  always @(posedge clk) if (ce) begin\n" : "  always @(posedge clk) begin\n";
  text += "    edges = edges + 1;\n";
  text += valid ? "    if (!rst && out_valid === 1'b1) begin\n"
                : "    if (first >= 0 && edges >= first + LATENCY && received < samples) begin\n";
  text +=
      "      if (received >= samples) begin\n"
      "        mismatches = mismatches + 1;\n"
      "      end else begin\n"
      "        wrong = 0;\n";
  for (const auto& port : design.outputs) {
    fmt::format_to(out, "        if ({0} !== {0}_mem[received]) wrong = 1;\n", port.name);
  }
  text +=
      "        if (edges != sent_at[received] + LATENCY) wrong = 1;\n"
      "        if (wrong) begin\n"
      "          mismatches = mismatches + 1;\n"
      "          if (mismatches <= 10) $display(\"vector %0d differs at edge %0d\", received, edges);\n"
      "        end\n"
      "        if (measured < 0) measured = edges - first;\n"
      "        else if (interval == 0 || edges - last < interval) interval = edges - last;\n"
      "        last = edges;\n"
      "        received = received + 1;\n"
      "      end\n"
      "    end\n"
      "  end\n\n";
  if (ce) {
    text +=
        "  // One edge in three is held back; edges, latency and interval count the others.\n"
        "  always @(negedge clk) begin\n"
        "    pace = pace == 2 ? 0 : pace + 1;\n"
        "    ce <= pace != 1;\n"
        "  end\n\n";
  }
  text += ce ? "  always @(negedge clk) if (ce) begin\n" : "  always @(negedge clk) begin\n";
  fmt::format_to(out, "    rst <= edges < {};\n", kIdleCycles);
  text +=
      "    if (edges >= ready && sent < samples) begin\n"
      "      if (sent == 0) first = edges + 1;\n"
      "      sent_at[sent] = edges + 1;\n"
      "      ready = edges + INTERVAL;\n"
      "      finish = edges + LATENCY + 5;\n";
  if (valid) text += "      if (4 * sent >= 3 * samples) ready = ready + sent % 3;\n";
  if (valid) text += "      in_valid <= 1;\n";
  for (const auto& port : design.inputs) fmt::format_to(out, "      {0} <= {0}_mem[sent];\n", port.name);
  text += "      sent = sent + 1;\n    end else begin\n";
  if (valid) text += "      in_valid <= 0;\n";
  for (const auto& port : design.inputs) {
    fmt::format_to(out, "      {} <= {{{}{{edges[0]}}}};\n", port.name, port.width_bits());
  }
  fmt::format_to(out,
                 "    end\n"
                 "    if (!done && sent == samples && edges > finish) begin\n"
                 "      mismatches = mismatches + (samples - received);\n"
                 "      if (interval == 0) interval = INTERVAL;\n"
                 "      if (FINISH == 0) $write(\"%m: \");\n"
                 "      $display(\"WEFT_TB samples=%0d mismatches=%0d latency=%0d interval=%0d\", samples, mismatches, "
                 "measured, interval);\n"
                 "      if (FINISH) $finish;\n"
                 "      done = 1;\n"
                 "    end\n"
                 "  end\n\nendmodule\n");
  return text;
}

}  // namespace weft::backends::verilog
