// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include "weft/emulate/emulator.h"
#include "weft/exact/random_graph.h"
#include "weft/hw/cost.h"
#include "weft/hw/design.h"

namespace weft::hw {
namespace {

using exact::Graph;

/// The codes of all outputs of one sample, from the netlist.
std::vector<std::vector<Int>> run_netlist(const Design& design, const std::vector<std::vector<Int>>& inputs) {
  const auto values = netlist::evaluate(design.netlist, inputs);
  std::vector<std::vector<Int>> outputs;
  for (const auto& port : design.netlist.outputs) {
    std::vector<Int> codes;
    for (const auto net : port.elements) codes.push_back(values[net.index]);
    outputs.push_back(std::move(codes));
  }
  return outputs;
}

void expect_equal(const Graph& graph, const PlanOptions& options, std::uint64_t seed, int samples) {
  diag::Engine engine;
  Context ctx{.diag = engine};
  const auto design = plan(graph, options, ctx);
  ASSERT_TRUE(design.ok()) << (engine.all().empty() ? "" : to_text(engine.all().back()));
  ASSERT_EQ(netlist::verify(design->netlist), "");
  std::vector<double> delays;
  for (const auto& cell : design->netlist.cells) delays.push_back(delay_ps(design->netlist, cell, design->family));
  ASSERT_EQ(netlist::verify(design->netlist, design->pipeline, delays), "");
  for (const auto& adders : design->adder_graphs) ASSERT_EQ(shiftadd::check(adders.problem, adders.solution), "");
  exact::Random random(seed);
  for (int s = 0; s < samples; ++s) {
    const auto inputs = exact::random_codes(graph, random);
    const auto expected = emulate::run_plain(graph, inputs);
    const auto got = run_netlist(*design, inputs);
    for (std::size_t o = 0; o < graph.outputs.size(); ++o) {
      ASSERT_EQ(got[o], expected.values[graph.outputs[o].value.index]) << "output " << o << " of sample " << s;
    }
  }
}

TEST(Plan, RandomGraphsEqualThePlainExecutor) {
  const double clocks[] = {1.0, 2.5, 5.0, 100.0};
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    const Graph graph = exact::random_graph(seed, {.dense_layers = static_cast<int>(seed % 3)});
    expect_equal(graph, {.clock_ns = clocks[seed % 4]}, seed, 25);
    if (HasFatalFailure()) {
      ADD_FAILURE() << exact::to_text(graph);
      return;
    }
  }
}

}  // namespace
}  // namespace weft::hw
