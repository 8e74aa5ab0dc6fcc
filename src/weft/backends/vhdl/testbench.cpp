// SPDX-License-Identifier: Apache-2.0
#include "weft/backends/vhdl/testbench.h"

#include <fmt/format.h>

#include <iterator>

#include "weft/netlist/print_vhdl.h"

namespace weft::backends::vhdl {

namespace {

constexpr int kIdleCycles = 4;

/// A port with the identifiers that belong to it in the bench.
struct BenchPort {
  const hw::PortPlan* plan;
  std::string name;    ///< of the port
  std::string signal;  ///< joined to it
  std::string file;    ///< of its vectors
  std::string vector;  ///< the latest vector
};

std::vector<BenchPort> bench_ports(const std::vector<hw::PortPlan>& plans, const char* letter) {
  std::vector<BenchPort> ports;
  for (const auto& plan : plans) {
    const auto named = [&](const char* what) { return fmt::format("{}{}_{}", letter, ports.size(), what); };
    ports.push_back({&plan, netlist::vhdl_identifier(plan.name), named("port"), named("file"), named("vector")});
  }
  return ports;
}

std::string vector_type(const hw::PortPlan& port) {
  return fmt::format("std_logic_vector({} downto 0)", port.width_bits() - 1);
}

}  // namespace

// The process makes the clock itself: while it is low, inputs change; just before it rises, outputs are read. Cycle
// numbers count rising edges (with ce high): input k is sampled at edge `sent_at(k)`, output k must be there `LATENCY`
// edges later. Without valid ports the outputs are expected exactly there. Vectors come every `SPACING` edges, the last
// quarter of them with gaps where there is a valid bit to tell.
std::string print_testbench(const hw::Design& design) {
  const bool valid = design.options.valid;
  const bool ce = design.options.clock_enable;
  const auto inputs = bench_ports(design.inputs, "i");
  const auto outputs = bench_ports(design.outputs, "o");
  const std::string bench = netlist::vhdl_identifier(design.top + "_tb");
  std::string text;
  auto out = std::back_inserter(text);
  fmt::format_to(out,
                 "-- Self-checking test bench of {0}, VHDL-2008. In GHDL:\n"
                 "--   ghdl -a --std=08 $(cat filelist.f) tb/{0}_tb.vhd\n"
                 "--   ghdl --elab-run --std=08 {0}_tb --ieee-asserts=disable -gSAMPLES=100\n"
                 "-- Generics: SAMPLES vectors, DIR folder that holds tb/.\n"
                 "library ieee;\n"
                 "use ieee.std_logic_1164.all;\n"
                 "use std.textio.all;\n"
                 "\n"
                 "entity {1} is\n"
                 "  generic (\n"
                 "    SAMPLES : natural := 1024;\n"
                 "    DIR : string := \".\");\n"
                 "end entity {1};\n"
                 "\n"
                 "architecture bench of {1} is\n"
                 "  constant LATENCY : natural := {2};\n"
                 "  constant SPACING : positive := {3};\n"
                 "  signal clk : std_logic := '0';\n"
                 "  signal rst : std_logic := '1';\n",
                 design.top, bench, design.latency_cycles, design.interval_cycles);
  if (ce) text += "  signal ce : std_logic := '1';\n";
  if (valid) text += "  signal in_valid : std_logic := '0';\n  signal out_valid : std_logic;\n";
  // An idle period full of garbage.
  for (const auto& p : inputs)
    fmt::format_to(out, "  signal {} : {} := (others => '1');\n", p.signal, vector_type(*p.plan));
  for (const auto& p : outputs) fmt::format_to(out, "  signal {} : {};\n", p.signal, vector_type(*p.plan));
  fmt::format_to(out, "begin\n\n  dut : entity work.{}\n    port map (\n      clk => clk,\n      rst => rst",
                 netlist::vhdl_identifier(design.top));
  if (ce) text += ",\n      ce => ce";
  if (valid) text += ",\n      in_valid => in_valid,\n      out_valid => out_valid";
  for (const auto* ports : {&inputs, &outputs})
    for (const auto& p : *ports)
      fmt::format_to(out, ",\n      {} => {}{}", p.name, p.signal, p.plan->width_bits() == 1 ? "(0)" : "");
  text += ");\n\n  main : process\n";
  for (const auto* ports : {&inputs, &outputs}) {
    for (const auto& p : *ports) {
      fmt::format_to(out,
                     "    file {} : text open read_mode is DIR & \"/tb/{}.hex\";\n"
                     "    variable {} : {};\n",
                     p.file, p.plan->name, p.vector, vector_type(*p.plan));
    }
  }
  fmt::format_to(out,
                 "    type edges_t is array (0 to SAMPLES) of natural;\n"
                 "    variable row : line;\n"
                 "    variable edges : natural := 0;       -- rising edges seen\n"
                 "    variable first : integer := -1;      -- edge that samples vector 0\n"
                 "    variable sent : natural := 0;\n"
                 "    variable sent_at : edges_t;\n"
                 "    variable ready : natural := {0};     -- edges to see before the next vector\n"
                 "    variable finish : natural := {0} + LATENCY + 4;  -- and before the end\n"
                 "    variable received : natural := 0;\n"
                 "    variable mismatches : natural := 0;\n"
                 "    variable measured : integer := -1;   -- latency seen, -1 before the first output\n"
                 "    variable last : integer := -1;       -- edge of the latest output\n"
                 "    variable interval : natural := 0;    -- smallest distance of two outputs\n"
                 "    variable wrong : boolean;\n",
                 2 * kIdleCycles);
  if (ce) text += "    variable pace : natural := 0;\n    variable enabled : boolean := true;\n";
  text += "  begin\n    loop\n      clk <= '0';\n";
  // Inputs of an edge that was held back stay.
  const std::string in = ce ? "        " : "      ";
  if (ce) text += "      if enabled then\n";
  fmt::format_to(out, "{}rst <= '1' when edges < {} else '0';\n", in, kIdleCycles);
  fmt::format_to(out,
                 "{0}if edges >= ready and sent < SAMPLES then\n"
                 "{0}  if sent = 0 then\n"
                 "{0}    first := edges + 1;\n"
                 "{0}  end if;\n"
                 "{0}  sent_at(sent) := edges + 1;\n"
                 "{0}  ready := edges + SPACING;\n"
                 "{0}  finish := edges + LATENCY + 5;\n",
                 in);
  if (valid) {
    fmt::format_to(out,
                   "{0}  if 4 * sent >= 3 * SAMPLES then\n"
                   "{0}    ready := ready + sent mod 3;\n"
                   "{0}  end if;\n",
                   in);
  }
  if (valid) fmt::format_to(out, "{}  in_valid <= '1';\n", in);
  for (const auto& p : inputs) {
    fmt::format_to(out, "{0}  readline({1}, row);\n{0}  hread(row, {2});\n{0}  {3} <= {2};\n", in, p.file, p.vector,
                   p.signal);
  }
  fmt::format_to(out, "{}  sent := sent + 1;\n{}else\n", in, in);
  if (valid) fmt::format_to(out, "{}  in_valid <= '0';\n", in);
  for (const auto& p : inputs)
    fmt::format_to(out, "{0}  {1} <= (others => '1') when edges mod 2 = 1 else (others => '0');\n", in, p.signal);
  fmt::format_to(out, "{}end if;\n", in);
  if (ce) {
    text +=
        "      end if;\n"
        "      -- One edge in three is held back; edges, latency and interval count the others.\n"
        "      pace := 0 when pace = 2 else pace + 1;\n"
        "      enabled := pace /= 1;\n"
        "      ce <= '1' when enabled else '0';\n";
  }
  fmt::format_to(
      out,
      "      if sent = SAMPLES and edges > finish then\n"
      "        mismatches := mismatches + (SAMPLES - received);\n"
      "        if interval = 0 then\n"
      "          interval := SPACING;\n"
      "        end if;\n"
      "        write(row, string'(\"WEFT_TB samples=\"));\n"
      "        write(row, SAMPLES);\n"
      "        write(row, string'(\" mismatches=\"));\n"
      "        write(row, mismatches);\n"
      "        write(row, string'(\" latency=\"));\n"
      "        write(row, measured);\n"
      "        write(row, string'(\" interval=\"));\n"
      "        write(row, interval);\n"
      "        writeline(output, row);\n"
      "        wait;  -- nothing moves any more: the simulation ends\n"
      "      end if;\n"
      "      wait for 5 ns;\n"
      "\n"
      "      -- What stands at the outputs when clk rises is what a following stage samples at this edge.\n");
  if (ce) text += "      if enabled then\n";
  fmt::format_to(out, "{}edges := edges + 1;\n", in);
  fmt::format_to(
      out, "{}if {} then\n", in,
      valid ? "rst = '0' and out_valid = '1'" : "first >= 0 and edges >= first + LATENCY and received < SAMPLES");
  fmt::format_to(out, "{0}  if received >= SAMPLES then\n{0}    mismatches := mismatches + 1;\n{0}  else\n", in);
  fmt::format_to(out, "{}    wrong := edges /= sent_at(received) + LATENCY;\n", in);
  for (const auto& p : outputs) {
    fmt::format_to(out, "{0}    readline({1}, row);\n{0}    hread(row, {2});\n{0}    wrong := wrong or {3} /= {2};\n",
                   in, p.file, p.vector, p.signal);
  }
  fmt::format_to(out,
                 "{0}    if wrong then\n"
                 "{0}      mismatches := mismatches + 1;\n"
                 "{0}      if mismatches <= 10 then\n"
                 "{0}        report \"vector \" & integer'image(received) & \" differs at edge \" & "
                 "integer'image(edges) severity note;\n"
                 "{0}      end if;\n"
                 "{0}    end if;\n"
                 "{0}    if measured < 0 then\n"
                 "{0}      measured := edges - first;\n"
                 "{0}    elsif interval = 0 or edges - last < interval then\n"
                 "{0}      interval := edges - last;\n"
                 "{0}    end if;\n"
                 "{0}    last := edges;\n"
                 "{0}    received := received + 1;\n"
                 "{0}  end if;\n"
                 "{0}end if;\n",
                 in);
  if (ce) text += "      end if;\n";
  text += "      clk <= '1';\n      wait for 5 ns;\n    end loop;\n  end process;\n\nend architecture bench;\n";
  return text;
}

}  // namespace weft::backends::vhdl
