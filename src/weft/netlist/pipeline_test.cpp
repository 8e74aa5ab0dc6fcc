// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/pipeline.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "weft/netlist/builder.h"
#include "weft/netlist/register_cut.h"

namespace weft::netlist {
namespace {

/// splitmix64, as the random graphs use it.
struct Random {
  std::uint64_t state;
  std::uint64_t next() {
    std::uint64_t z = (state += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  int below(int n) { return static_cast<int>(next() % static_cast<std::uint64_t>(n)); }
};

/// A random circuit of adders, slices and comparators; the last few nets are outputs.
Netlist random_netlist(std::uint64_t seed, int size) {
  Random random{seed};
  Netlist netlist;
  Builder builder(netlist);
  builder.begin_module("m", "test");
  std::vector<NetId> nets;
  Port inputs{"x", {}, 8, true};
  for (int i = 0; i < 4; ++i) {
    nets.push_back(builder.input({-128, 127, 0}));
    inputs.elements.push_back(nets.back());
  }
  netlist.inputs.push_back(inputs);
  for (int i = 0; i < size; ++i) {
    const NetId a =
        nets[nets.size() - 1 - static_cast<std::size_t>(random.below(std::min<int>(8, static_cast<int>(nets.size()))))];
    const NetId b = nets[static_cast<std::size_t>(random.below(static_cast<int>(nets.size())))];
    switch (random.below(4)) {
      case 0:
        nets.push_back(builder.bits(a, 0, 6, true));
        break;
      case 1:
        nets.push_back(builder.mux(builder.at_least(a, 3), a, b));
        break;
      default:
        nets.push_back(
            builder.bits(builder.sum({{a, 0, false}, {b, random.below(3), random.below(2) == 0}}), 1, 9, true));
    }
  }
  Port outputs{"y", {}, 10, true};
  for (int i = 0; i < 3; ++i) outputs.elements.push_back(nets[nets.size() - 1 - static_cast<std::size_t>(i)]);
  netlist.outputs.push_back(outputs);
  remove_dead(netlist);
  return netlist;
}

std::vector<double> unit_delays(const Netlist& netlist) {
  std::vector<double> delays;
  for (const Cell& cell : netlist.cells) {
    const bool wiring =
        cell.op == Op::Input || cell.op == Op::Constant || cell.op == Op::Slice || cell.op == Op::Concat;
    delays.push_back(wiring ? 0.0 : cell.op == Op::Sum ? 3.0 : 1.0);
  }
  return delays;
}

/// Register bits when every cell is placed as soon as possible.
std::int64_t early_bits(const Netlist& netlist, const std::vector<double>& delays, double stage_ps, int output_stage) {
  Pipeline early;
  early.output_stage = output_stage;
  std::vector<double> time(netlist.cells.size(), 0.0);
  for (std::size_t i = 0; i < netlist.cells.size(); ++i) {
    int stage = 0;
    double before = 0.0;
    for (const Term& term : netlist.cells[i].terms) {
      const auto x = term.net.index;
      if (netlist.cells[x].op == Op::Constant) continue;
      if (early.stage[x] > stage || (early.stage[x] == stage && time[x] > before)) {
        stage = early.stage[x];
        before = time[x];
      }
    }
    if (before + delays[i] > stage_ps && before > 0.0 && delays[i] > 0.0) {
      ++stage;
      before = 0.0;
    }
    early.stage.push_back(stage);
    time[i] = before + delays[i];
  }
  return register_bits(netlist, early);
}

TEST(Pipeline, IsSoundAndNeedsFewerRegistersThanTheEarlySchedule) {
  diag::Engine engine;
  Context ctx{.diag = engine};
  std::int64_t total = 0;
  std::int64_t total_early = 0;
  for (std::uint64_t seed = 0; seed < 60; ++seed) {
    SCOPED_TRACE(seed);
    const Netlist netlist = random_netlist(seed, 60);
    const auto delays = unit_delays(netlist);
    for (double stage : {1.0, 3.0, 5.0, 8.0, 1000.0}) {
      for (bool inputs : {false, true}) {
        for (bool outputs : {false, true}) {
          const PipelineOptions options{.stage_ps = stage, .register_inputs = inputs, .register_outputs = outputs};
          const Pipeline pipeline = make_pipeline(netlist, delays, options, ctx);
          ASSERT_EQ(verify(netlist, pipeline, delays), "");
          EXPECT_LE(pipeline.worst_ps, std::max(stage, 3.0));
          EXPECT_EQ(pipeline.output_stage, count_stages(netlist, delays, options) - (outputs ? 0 : 1));
          if (inputs) {
            for (std::size_t i = 0; i < netlist.cells.size(); ++i) {
              ASSERT_TRUE(delays[i] == 0.0 || pipeline.stage[i] >= 1);
            }
          }
          if (outputs) {
            for (std::size_t i = 0; i < netlist.cells.size(); ++i) {
              ASSERT_TRUE(delays[i] == 0.0 || pipeline.stage[i] < pipeline.output_stage);
            }
          }
          if (!inputs && outputs) {
            total += register_bits(netlist, pipeline);
            const std::int64_t early = early_bits(netlist, delays, stage, pipeline.output_stage);
            total_early += early;
            EXPECT_LE(register_bits(netlist, pipeline), early);
          }
        }
      }
    }
  }
  EXPECT_LT(total, total_early * 95 / 100);
}

TEST(Pipeline, CutsWhereItIsNarrow) {
  // Two 8-bit inputs are compared; the bit crosses the cut, not the inputs.
  Netlist netlist;
  Builder builder(netlist);
  builder.begin_module("m", "test");
  const NetId a = builder.input({0, 255, 0});
  const NetId b = builder.input({0, 255, 0});
  netlist.inputs.push_back({"x", {a, b}, 8, false});
  const NetId bit = builder.at_least_net(a, b);
  const NetId y = builder.table(bit, 0, {17, 200});
  netlist.outputs.push_back({"y", {y}, 8, false});
  diag::Engine engine;
  Context ctx{.diag = engine};
  const std::vector<double> delays{0, 0, 3, 3};
  const Pipeline pipeline =
      make_pipeline(netlist, delays, {.stage_ps = 3, .register_inputs = false, .register_outputs = true}, ctx);
  EXPECT_EQ(pipeline.output_stage, 2);
  EXPECT_EQ(register_bits(netlist, pipeline), 1 + 8);
}

TEST(FlowGraph, FindsTheSmallestCut) {
  // source 0, sink 1: 0->2 (3), 0->3 (2), 2->3 (5), 2->1 (2), 3->1 (3)
  FlowGraph graph(4);
  graph.add_edge(0, 2, 3);
  graph.add_edge(0, 3, 2);
  graph.add_edge(2, 3, 5);
  graph.add_edge(2, 1, 2);
  graph.add_edge(3, 1, 3);
  EXPECT_EQ(graph.run(100), 5);
  const auto side = graph.source_side();
  EXPECT_TRUE(side[0]);
  EXPECT_FALSE(side[1]);
}

TEST(Pipeline, PricesDecideBetweenCutsOfEqualWidth) {
  Netlist netlist;
  Builder builder(netlist);
  builder.begin_module("m", "test");
  const NetId a = builder.input({0, 1, 0});
  const NetId b = builder.input({0, 1, 0});
  const NetId first = builder.logic_xor(a, b);
  const NetId second = builder.logic_not(first);
  const NetId third = builder.logic_and(second, a);
  netlist.inputs.push_back({"x", {a, b}, 1, false});
  netlist.outputs.push_back({"y", {third}, 1, false});
  const std::vector<double> delays{0, 0, 10, 10, 10};
  diag::Engine engine;
  Context ctx{.diag = engine};
  PipelineOptions options{.stage_ps = 20};
  options.price = {2, 2, 2, 1, 2};
  EXPECT_EQ(make_pipeline(netlist, delays, options, ctx).stage[second.index], 0);
  options.price = {2, 2, 1, 2, 2};
  const Pipeline early = make_pipeline(netlist, delays, options, ctx);
  EXPECT_EQ(early.stage[first.index], 0);
  EXPECT_EQ(early.stage[second.index], 1);
}

}  // namespace
}  // namespace weft::netlist
