// SPDX-License-Identifier: Apache-2.0
#include "weft/backends/project/emit.h"

#include <gtest/gtest.h>

#include "weft/backends/project/devices.h"
#include "weft/backends/project/scripts.h"
#include "weft/exact/random_graph.h"

namespace weft::backends::project {
namespace {

hw::Design planned(const std::string& part, double clock_ns = 5.0) {
  diag::Engine engine;
  Context ctx{.diag = engine};
  auto design =
      hw::plan(exact::random_graph(3, {.dense_layers = 1}), {.clock_ns = clock_ns, .part = part, .top = "net"}, ctx);
  EXPECT_TRUE(design.ok()) << part;
  return std::move(*design);
}

TEST(Devices, XilinxPartsKeepTheirFullName) {
  EXPECT_EQ(vivado_part(planned("xcvu9p")).name, "xcvu9p-flga2104-2L-e");
  EXPECT_EQ(vivado_part(planned("xcvu9p-flgc2104-1-e")).name, "xcvu9p-flgc2104-1-e");
  EXPECT_EQ(vivado_part(planned("XC7A35T")).name, "xc7a35ticsg324-1L");
  EXPECT_FALSE(vivado_part(planned("lfe5u-25f")).is_planned);
}

TEST(Devices, LatticePartsBecomeOptionsOfNextpnr) {
  using Words = std::vector<std::string>;
  EXPECT_EQ(nextpnr_device(planned("lfe5u-25f")).options, (Words{"--25k", "--package", "CABGA381"}));
  EXPECT_EQ(nextpnr_device(planned("lfe5um5g-85f")).options, (Words{"--um5g-85k", "--package", "CABGA381"}));
  const auto ice40 = nextpnr_device(planned("ice40hx8k-ct256", 50.0));
  EXPECT_EQ(ice40.architecture, "ice40");
  EXPECT_EQ(ice40.options, (Words{"--hx8k", "--package", "ct256"}));
  EXPECT_FALSE(nextpnr_device(planned("xcvu9p")).is_planned);
  EXPECT_TRUE(radiant_device(planned("ice40up5k", 50.0)).device.is_planned);
  EXPECT_FALSE(radiant_device(planned("ice40hx8k", 50.0)).device.is_planned);
}

TEST(Scripts, QuoteWhatTheirLanguagesWouldRead) {
  EXPECT_EQ(tcl_word("rtl/a.v"), "rtl/a.v");
  EXPECT_EQ(tcl_word("a $b[c]\\"), "a\\ \\$b\\[c\\]\\\\");
  EXPECT_EQ(shell_word("it's"), "'it'\\''s'");
}

TEST(Scripts, ClocksHaveThePlannedPeriod) {
  const auto files = emit(planned("xcvu9p", 2.5), Language::Verilog, {"rtl/net.v"}, {"tb/net_tb.v"});
  EXPECT_EQ(files.at("vivado/clocks.xdc"), "create_clock -name clk -period 2.500 [get_ports clk]\n");
  EXPECT_EQ(files.at("nextpnr/clocks.lpf"), "FREQUENCY PORT \"clk\" 400.000 MHZ;\n");
  const auto ice40 = emit(planned("ice40up5k", 50.0), Language::Verilog, {"rtl/net.v"}, {"tb/net_tb.v"});
  EXPECT_EQ(ice40.at("nextpnr/clocks.pcf"), "set_frequency clk 20.000\n");
  EXPECT_EQ(ice40.count("nextpnr/clocks.lpf"), 0U);
}

TEST(Scripts, EverySourceStandsInTheListInOrder) {
  const std::vector<std::string> sources{"rtl/net_types.vhd", "rtl/net.vhd"};
  const auto files = emit(planned("xcvu9p"), Language::Vhdl, sources, {"tb/net_tb.v"});
  EXPECT_EQ(files.at("filelist.f"), "rtl/net_types.vhd\nrtl/net.vhd\n");
  for (const char* file :
       {"net.core", "vivado/build.tcl", "quartus/build.tcl", "radiant/build.tcl", "nextpnr/build.sh"})
    for (const auto& source : sources) EXPECT_NE(files.at(file).find(source), std::string::npos) << file;
  EXPECT_NE(files.at("vivado/build.tcl").find("read_vhdl -vhdl2008"), std::string::npos);
  EXPECT_EQ(files, emit(planned("xcvu9p"), Language::Vhdl, sources, {"tb/net_tb.v"}));
}

}  // namespace
}  // namespace weft::backends::project
