// SPDX-License-Identifier: Apache-2.0
// Reuse factors: the same integers in every way of folding, intervals, and what is saved.
#include <gtest/gtest.h>

#include <algorithm>

#include "weft/emulate/emulator.h"
#include "weft/exact/random_graph.h"
#include "weft/hw/cost.h"
#include "weft/hw/design.h"

namespace weft::hw {
namespace {

using exact::Graph;

/// `rows` times the matrix with weight(i, o) on inputs in [lo, hi].
template <typename Weight>
Graph matrix_graph(std::int64_t rows, std::int64_t n_in, std::int64_t n_out, fixed::Range range, Weight weight) {
  Graph graph;
  graph.name = "net";
  exact::Value input;
  input.name = "x";
  input.shape = {rows, n_in};
  input.ranges.assign(static_cast<std::size_t>(rows * n_in), range);
  exact::Value output;
  output.name = "y";
  output.origin.node = "layer";
  output.shape = {rows, n_out};
  exact::MatVec sums;
  sums.x = exact::ValueId{0};
  sums.n_in = n_in;
  sums.n_out = n_out;
  std::vector<fixed::Range> of_row(static_cast<std::size_t>(n_out));
  for (std::int64_t o = 0; o < n_out; ++o) {
    sums.bias.push_back(o - 2);
    of_row[static_cast<std::size_t>(o)] = {o - 2, o - 2, 0};
  }
  for (std::int64_t i = 0; i < n_in; ++i) {
    for (std::int64_t o = 0; o < n_out; ++o) {
      const std::int64_t w = weight(i, o);
      sums.weights.push_back(w);
      auto& r = of_row[static_cast<std::size_t>(o)];
      r.lo += std::min(w * range.lo, w * range.hi);
      r.hi += std::max(w * range.lo, w * range.hi);
    }
  }
  for (std::int64_t r = 0; r < rows; ++r) output.ranges.insert(output.ranges.end(), of_row.begin(), of_row.end());
  output.primitive = std::move(sums);
  graph.inputs.push_back({.name = "x", .value = exact::ValueId{0}, .conversion = {}, .rule = {}});
  graph.outputs.push_back({.name = "y", .value = exact::ValueId{1}, .steps = {}});
  graph.values = {std::move(input), std::move(output)};
  return graph;
}

/// A weight that looks random: -24 to 24, none in `sparse` of 8 places.
std::int64_t mixed(std::int64_t i, std::int64_t o, std::int64_t sparse) {
  const std::int64_t hash = (i * 7919 + o * 104729 + 12345) * 2654435761 % 1000003;
  return hash % 8 < sparse ? 0 : hash / 8 % 49 - 24;
}

/// Plans, and compares the netlist with the plain executor.
Design expect_equal(const Graph& graph, const PlanOptions& options, std::uint64_t seed = 1) {
  diag::Engine engine;
  Context ctx{.diag = engine};
  auto design = plan(graph, options, ctx);
  EXPECT_TRUE(design.ok()) << (engine.all().empty() ? "" : to_text(engine.all().back()));
  if (!design) return {};
  EXPECT_EQ(netlist::verify(design->netlist), "");
  EXPECT_EQ(netlist::verify(design->netlist, design->pipeline, delays_of(design->netlist, design->family).cells), "");
  for (const auto& adders : design->adder_graphs) EXPECT_EQ(shiftadd::check(adders.problem, adders.solution), "");
  exact::Random random(seed);
  for (int s = 0; s < 25; ++s) {
    const auto inputs = exact::random_codes(graph, random);
    const auto expected = emulate::run_plain(graph, inputs);
    const auto values = netlist::evaluate(design->netlist, inputs);
    for (std::size_t o = 0; o < graph.outputs.size(); ++o) {
      std::vector<Int> got;
      for (const auto net : design->netlist.outputs[o].elements) got.push_back(values[net.index]);
      EXPECT_EQ(got, expected.values[graph.outputs[o].value.index]) << "output " << o << " of sample " << s;
    }
  }
  return std::move(*design);
}

std::ptrdiff_t count(const Design& design, netlist::Op op) {
  const auto& cells = design.netlist.cells;
  return std::count_if(cells.begin(), cells.end(), [&](const netlist::Cell& cell) { return cell.op == op; });
}

TEST(Reuse, RandomGraphsEqualThePlainExecutor) {
  const int factors[] = {2, 3, 4, 5, 8, 13, 40};
  const double clocks[] = {1.0, 2.5, 5.0, 100.0};
  for (std::uint64_t seed = 0; seed < 140; ++seed) {
    SCOPED_TRACE(seed);
    const Graph graph = exact::random_graph(seed, {.dense_layers = static_cast<int>(seed % 3)});
    const Effort effort = seed % 10 == 0 ? Effort::Normal : Effort::Fast;
    expect_equal(graph,
                 {.clock_ns = clocks[seed % 4], .effort = effort, .reuse_factor = factors[seed % std::size(factors)]},
                 seed);
    if (HasFailure()) {
      ADD_FAILURE() << exact::to_text(graph);
      return;
    }
  }
}

TEST(Reuse, RowsShareAdderGraphs) {
  const Graph graph = matrix_graph(12, 6, 4, {0, 15, 0}, [](auto i, auto o) { return mixed(i, o, 0); });
  const Design plain = expect_equal(graph, {});
  EXPECT_EQ(plain.adder_graphs.size(), 12U);
  EXPECT_EQ(plain.interval_cycles, 1);
  // 4 divides 12; with 5 there are three graphs as well, of four rows each; with 20 a single one.
  for (const auto& [factor, graphs] : {std::pair{4, 3U}, std::pair{5, 3U}, std::pair{20, 1U}}) {
    const Design design = expect_equal(graph, {.reuse_factor = factor});
    EXPECT_EQ(design.adder_graphs.size(), graphs);
    EXPECT_EQ(design.interval_cycles, factor);
    EXPECT_EQ(count(design, netlist::Op::Pick), 12 * 4);
    EXPECT_LT(design.predicted.lut, 0.7 * plain.predicted.lut);
  }
}

TEST(Reuse, WideInputsComeDigitByDigit) {
  const Graph graph = matrix_graph(1, 16, 12, {-2048, 2047, 0}, [](auto i, auto o) { return mixed(i, o, 0); });
  const Design plain = expect_equal(graph, {});
  const Design design = expect_equal(graph, {.reuse_factor = 3});
  EXPECT_EQ(count(design, netlist::Op::Accumulate), 12);
  EXPECT_EQ(count(design, netlist::Op::Multiply), 0);
  EXPECT_LT(design.predicted.lut, 0.75 * plain.predicted.lut);
}

TEST(Reuse, ZeroWeightsTakeNoSlot) {
  // Every sum has 16 of 128 inputs, no two the same: with 16 slots it takes one product after the other.
  const Graph graph = matrix_graph(1, 128, 8, {0, 1, 0}, [](auto i, auto o) { return i % 8 == o ? i % 13 + 5 : 0; });
  const Design plain = expect_equal(graph, {});
  const Design design = expect_equal(graph, {.reuse_factor = 16});
  EXPECT_EQ(count(design, netlist::Op::Select), 8);
  EXPECT_EQ(count(design, netlist::Op::Accumulate), 8);
  EXPECT_LT(design.predicted.lut, 0.75 * plain.predicted.lut);
}

TEST(Reuse, NothingIsFoldedThatWouldCostMore) {
  // A sum of two inputs has nothing to share.
  const Graph graph = matrix_graph(1, 2, 1, {0, 3, 0}, [](auto, auto) { return 1; });
  const Design plain = expect_equal(graph, {});
  const Design design = expect_equal(graph, {.reuse_factor = 6});
  EXPECT_EQ(design.predicted.lut, plain.predicted.lut);
  EXPECT_EQ(design.latency_cycles, plain.latency_cycles);
  EXPECT_EQ(design.interval_cycles, 6);
}

TEST(Reuse, LayersHaveTheirOwn) {
  const Graph graph = matrix_graph(4, 6, 4, {0, 15, 0}, [](auto i, auto o) { return mixed(i, o, 2); });
  EXPECT_EQ(expect_equal(graph, {.reuse_factor = 8, .layer_reuse_factor = {{"layer", 2}}}).interval_cycles, 2);
  EXPECT_EQ(expect_equal(graph, {.layer_reuse_factor = {{"other", 2}}}).interval_cycles, 1);
}

TEST(Reuse, ReportsWhatCannotBe) {
  const Graph graph = matrix_graph(4, 6, 4, {0, 15, 0}, [](auto i, auto o) { return mixed(i, o, 2); });
  const auto kind_of = [&](const PlanOptions& options) {
    diag::Engine engine;
    Context ctx{.diag = engine};
    EXPECT_FALSE(plan(graph, options, ctx).ok());
    return engine.all().at(0).kind;
  };
  EXPECT_EQ(kind_of({.valid = false, .reuse_factor = 2}), Kind::DoesNotFit);
  EXPECT_EQ(kind_of({.max_latency_cycles = 2, .reuse_factor = 4}), Kind::DoesNotFit);
  EXPECT_EQ(kind_of({.reuse_factor = 0}), Kind::ConfigInvalid);
  EXPECT_EQ(kind_of({.reuse_factor = 5000}), Kind::ConfigInvalid);
}

}  // namespace
}  // namespace weft::hw
