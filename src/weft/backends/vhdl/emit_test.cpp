// SPDX-License-Identifier: Apache-2.0
#include "weft/backends/vhdl/emit.h"

#include <gtest/gtest.h>

#include <set>

#include "weft/exact/random_graph.h"

namespace weft::backends::vhdl {
namespace {

Emission emitted(const exact::Graph& graph, const hw::PlanOptions& options) {
  diag::Engine engine;
  Context ctx{.diag = engine};
  const auto design = hw::plan(graph, options, ctx);
  EXPECT_TRUE(design.ok());
  auto out = emit(*design, ctx);
  EXPECT_TRUE(out.ok());
  return std::move(*out);
}

TEST(Emit, TheSameGraphGivesTheSameBytes) {
  const auto graph = exact::random_graph(11, {.dense_layers = 2});
  const auto first = emitted(graph, {});
  const auto second = emitted(graph, {});
  EXPECT_EQ(first.files, second.files);
  EXPECT_EQ(first.order, second.order);
}

TEST(Emit, TheOrderNamesEverySourceOnceLeavesFirst) {
  const auto out = emitted(exact::random_graph(12, {.dense_layers = 2}), {.top = "net"});
  std::set<std::string> sources;
  for (const auto& [path, content] : out.files)
    if (path.rfind("rtl/", 0) == 0) sources.insert(path);
  EXPECT_EQ(std::set<std::string>(out.order.begin(), out.order.end()), sources);
  EXPECT_EQ(out.order.size(), sources.size());
  EXPECT_EQ(out.order.front(), "rtl/net_types.vhd");
  EXPECT_EQ(out.order.back(), "rtl/net.vhd");
  EXPECT_TRUE(out.files.count("tb/net_tb.vhd"));
  EXPECT_TRUE(out.files.count("interface.json"));
}

TEST(Emit, PortsHaveTypesOfThePackage) {
  diag::Engine engine;
  Context ctx{.diag = engine};
  const auto design = hw::plan(exact::random_graph(13, {.dense_layers = 1}), {.top = "net"}, ctx);
  ASSERT_TRUE(design.ok());
  const auto out = emit(*design, ctx);
  ASSERT_TRUE(out.ok());
  const std::string& package = out->files.at("rtl/net_types.vhd");
  const std::string& top = out->files.at("rtl/net.vhd");
  EXPECT_NE(package.find("constant LATENCY_CYCLES : natural := " + std::to_string(design->latency_cycles) + ";"),
            std::string::npos);
  for (const auto* ports : {&design->inputs, &design->outputs}) {
    for (const auto& port : *ports) {
      EXPECT_NE(package.find("  subtype " + port.name + "_t is "), std::string::npos) << port.name;
      EXPECT_NE(top.find("work.net_types." + port.name + "_t"), std::string::npos) << port.name;
    }
  }
}

}  // namespace
}  // namespace weft::backends::vhdl
