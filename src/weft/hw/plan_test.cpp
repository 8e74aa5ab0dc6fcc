// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <algorithm>
#include <limits>

#include "weft/emulate/emulator.h"
#include "weft/exact/random_graph.h"
#include "weft/hw/cost.h"
#include "weft/hw/design.h"
#include "weft/netlist/builder.h"

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
  const std::vector<double> delays = delays_of(design->netlist, design->family).cells;
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

TEST(Plan, CarryChainsBehindEachOtherRippleAtTheSameTime) {
  const Family family = find_family("xcup").value();
  netlist::Netlist netlist;
  netlist::Builder builder(netlist);
  builder.begin_module("m", "test");
  netlist::Port inputs{"x", {}, 8, true};
  for (int i = 0; i < 4; ++i) inputs.elements.push_back(builder.input({-128, 127, 0}));
  netlist.inputs.push_back(inputs);
  netlist::NetId sum = inputs.elements[0];
  for (int i = 1; i < 4; ++i)
    sum = builder.sum({{sum, 0, false}, {inputs.elements[static_cast<std::size_t>(i)], 0, false}});
  netlist.outputs.push_back({"y", {sum}, builder.at(sum).width_bits, true});
  const Delays delays = delays_of(netlist, family);
  double all = 0.0;
  double apart = 0.0;
  for (std::size_t i = 0; i < netlist.cells.size(); ++i) {
    all += delays.cells[i];
    apart += delay_ps(netlist, netlist.cells[i], family);
  }
  // Three entries into a chain and one ripple of the last, of ten bits; the one in front, of ten too, may end a stage.
  EXPECT_EQ(all, 3 * family.adder_base_ps + 10 * family.adder_per_bit_ps);
  EXPECT_EQ(delays.tail_ps, 10 * family.adder_per_bit_ps);
  EXPECT_EQ(apart, 3 * family.adder_base_ps + (9 + 10 + 10) * family.adder_per_bit_ps);
}

TEST(Plan, RandomGraphsEqualThePlainExecutor) {
  const double clocks[] = {1.0, 2.5, 5.0, 100.0};
  for (std::uint64_t seed = 0; seed < 400; ++seed) {
    SCOPED_TRACE(seed);
    const Graph graph = exact::random_graph(seed, {.dense_layers = static_cast<int>(seed % 3)});
    const Effort effort = seed % 10 == 0 ? Effort::Normal : Effort::Fast;
    expect_equal(graph, {.clock_ns = clocks[seed % 4], .effort = effort}, seed, 25);
    if (HasFatalFailure()) {
      ADD_FAILURE() << exact::to_text(graph);
      return;
    }
  }
}

/// `positions` times the same matrix of ones, of so many inputs and outputs.
Graph positions_graph(std::int64_t positions, std::int64_t n_in, std::int64_t n_out) {
  Graph graph;
  graph.name = "positions";
  exact::Value input;
  input.name = "x";
  input.shape = {positions, n_in};
  input.ranges.assign(static_cast<std::size_t>(positions * n_in), {0, 3, 0});
  exact::Value output;
  output.name = "y";
  output.origin.node = "conv";
  output.shape = {positions, n_out};
  output.ranges.assign(static_cast<std::size_t>(positions * n_out), {0, 3 * n_in, 0});
  exact::MatVec sums;
  sums.x = exact::ValueId{0};
  sums.n_in = n_in;
  sums.n_out = n_out;
  sums.weights.assign(static_cast<std::size_t>(n_in * n_out), 1);
  output.primitive = std::move(sums);
  graph.values = {input, output};
  graph.inputs.push_back({.name = "x", .value = exact::ValueId{0}, .conversion = {}, .rule = {}});
  graph.outputs.push_back({.name = "y", .value = exact::ValueId{1}, .steps = {}});
  return graph;
}

TEST(Plan, EqualPositionsAreSolvedOnceWhateverTheThreads) {
  const Graph graph = positions_graph(6, 5, 3);
  diag::Engine engine;
  Context one{.diag = engine};
  Context many{.diag = engine, .threads = 4};
  const auto a = plan(graph, {}, one);
  const auto b = plan(graph, {}, many);
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(dump(a->netlist), dump(b->netlist));
  EXPECT_EQ(a->adder_graphs.size(), 6U);
  expect_equal(graph, {}, 1, 5);
}

TEST(Plan, RefusesAtOnceWhatNoPartCouldHold) {
  diag::Engine engine;
  Context ctx{.diag = engine};
  // 1,000 x 200 x 100 digits: a circuit many times the largest part.
  EXPECT_FALSE(plan(positions_graph(1000, 200, 100), {}, ctx).ok());
  ASSERT_EQ(engine.all().size(), 1U);
  EXPECT_EQ(engine.all()[0].kind, Kind::DoesNotFit);
  EXPECT_EQ(engine.all()[0].origin.node, "conv");
  EXPECT_NE(engine.all()[0].message.find("10 million"), std::string::npos) << engine.all()[0].message;
}

/// input -> one primitive -> output, all elements over the same input range.
Graph requant_graph(const fixed::Range& range, const fixed::StepFunction& function) {
  Graph graph;
  graph.name = "requant";
  exact::Value input;
  input.name = "x";
  input.shape = {1};
  input.ranges = {range};
  exact::Value output;
  output.name = "y";
  output.shape = {1};
  output.ranges = {fixed::range_of(function, range)};
  output.primitive = exact::Requant{exact::ValueId{0}, {function}};
  graph.values = {input, output};
  graph.inputs = {{"x", exact::ValueId{0}, {}, "option"}};
  graph.outputs = {{"y", exact::ValueId{1}, {}}};
  return graph;
}

/// Runs every code of the range through the plan of the step function; says how many cells of `op` it has.
int expect_all_codes(const fixed::Range& range, const fixed::StepFunction& function, netlist::Op op) {
  diag::Engine engine;
  Context ctx{.diag = engine};
  const Graph graph = requant_graph(range, function);
  const auto design = plan(graph, {}, ctx);
  if (!design.ok()) {
    ADD_FAILURE() << "no plan for " << fixed::to_string(function);
    return -1;
  }
  EXPECT_EQ(netlist::verify(design->netlist), "");
  const Int step = Int{1} << range.step_log2;
  for (Int x = range.lo; x <= range.hi; x += step) {
    const Int got = run_netlist(*design, {{x}})[0][0];
    if (got != fixed::evaluate(function, x)) {
      ADD_FAILURE() << fixed::to_string(function) << " of " << fixed::to_string(x) << " is " << fixed::to_string(got);
      return -1;
    }
  }
  return static_cast<int>(std::count_if(design->netlist.cells.begin(), design->netlist.cells.end(),
                                        [&](const netlist::Cell& cell) { return cell.op == op; }));
}

TEST(Requant, EveryRoundingAndOverflowIsExact) {
  using fixed::Overflow;
  using fixed::Rounding;
  for (const fixed::Range& range : {fixed::Range{-71, 70, 0}, fixed::Range{0, 90, 0}, fixed::Range{-80, -3, 0},
                                    fixed::Range{-96, 96, 2}, fixed::Range{-2000, 2000, 3}}) {
    for (int r = 0; r <= static_cast<int>(Rounding::Up); ++r) {
      for (int o = 0; o <= static_cast<int>(Overflow::WrapSm); ++o) {
        for (int shift = -2; shift <= 5; ++shift) {
          for (const int width : {1, 4, 12}) {
            for (const bool is_signed : {false, true}) {
              for (const int bits : {0, 1, 3}) {
                const auto overflow = static_cast<Overflow>(o);
                const bool wraps = overflow == Overflow::Wrap || overflow == Overflow::WrapSm;
                if (bits > 0 && (!wraps || bits > width)) continue;
                fixed::ShiftRound f;
                f.shift = shift;
                f.rounding = static_cast<Rounding>(r);
                f.overflow = overflow;
                f.width_bits = width;
                f.is_signed = is_signed;
                f.saturation_bits = bits;
                f.hi = (Int{1} << (width - (is_signed ? 1 : 0))) - 1;
                f.lo = is_signed ? -f.hi - 1 : 0;
                if (!fixed::is_valid(f)) continue;
                expect_all_codes(range, f, netlist::Op::Sum);
                ASSERT_FALSE(HasFailure());
              }
            }
          }
        }
      }
    }
  }
}

TEST(Requant, ClearingAndRoundingInOneStepIsExact) {
  for (const fixed::Range& range : {fixed::Range{-71, 70, 0}, fixed::Range{-96, 96, 2}, fixed::Range{-5, 90, 0}}) {
    for (int r = 0; r <= static_cast<int>(fixed::Rounding::Up); ++r) {
      for (const auto overflow : {fixed::Overflow::Wrap, fixed::Overflow::Sat, fixed::Overflow::SatZero}) {
        for (int shift = -1; shift <= 4; ++shift) {
          for (const int width : {2, 4, 12}) {
            for (const bool is_signed : {false, true}) {
              fixed::ShiftRound f;
              f.shift = shift;
              f.rounding = static_cast<fixed::Rounding>(r);
              f.overflow = overflow;
              f.width_bits = width;
              f.is_signed = is_signed;
              f.hi = (Int{1} << (width - (is_signed ? 1 : 0))) - 1;
              f.lo = is_signed ? -f.hi - 1 : 0;
              if (!fixed::is_valid(f)) continue;
              const fixed::ShiftRound relu{.shift = 0, .overflow = fixed::Overflow::Sat, .lo = 0, .hi = range.hi};
              Graph graph = requant_graph(range, relu);
              exact::Value rounded = graph.values[1];
              rounded.name = std::string(1, 'z');
              rounded.ranges = {fixed::range_of(f, graph.values[1].ranges[0])};
              rounded.primitive = exact::Requant{exact::ValueId{1}, {f}};
              graph.values.push_back(std::move(rounded));
              graph.outputs = {{"z", exact::ValueId{2}, {}}};
              diag::Engine engine;
              Context ctx{.diag = engine};
              const auto design = plan(graph, {}, ctx);
              ASSERT_TRUE(design.ok());
              ASSERT_EQ(netlist::verify(design->netlist), "");
              for (Int x = range.lo; x <= range.hi; x += Int{1} << range.step_log2) {
                ASSERT_EQ(run_netlist(*design, {{x}})[0][0], fixed::evaluate(f, std::max<Int>(x, 0)))
                    << fixed::to_string(fixed::StepFunction(f)) << " of " << fixed::to_string(x);
              }
            }
          }
        }
      }
    }
  }
}

/// Breakpoints every `step` codes or so, values by `value`.
template <class F>
fixed::Pieces pieces_with(Int lo, Int hi, int count, const F& value) {
  fixed::Pieces pieces;
  pieces.values.push_back(value(0));
  for (int i = 1; i < count; ++i) {
    pieces.breakpoints.push_back(lo + (hi - lo) * i / count + (i * 7) % 5);
    pieces.values.push_back(value(i));
  }
  return pieces;
}

TEST(Requant, StepFunctionsTakeEveryForm) {
  using netlist::Op;
  // A sign is a bit, three levels are two comparators.
  EXPECT_EQ(expect_all_codes({-50, 50, 0}, fixed::Pieces{{3}, {-1, 1}}, Op::AtLeast), 1);
  EXPECT_EQ(expect_all_codes({-50, 50, 0}, fixed::Pieces{{-9, 8}, {-1, 0, 1}}, Op::AtLeast), 2);
  EXPECT_EQ(expect_all_codes({-50, 50, 0}, fixed::Pieces{{-9, 8}, {5, -3, 100}}, Op::AtLeast), 2);
  // Narrow inputs become tables, few steps of wide ones comparators, many steps a search.
  const auto irregular = [](int i) { return Int{i} * i % 23 - 7; };
  EXPECT_EQ(expect_all_codes({-16, 15, 0}, pieces_with(-16, 15, 6, irregular), Op::AtLeast), 0);
  EXPECT_EQ(expect_all_codes({-3000, 3000, 0}, pieces_with(-3000, 3000, 12, irregular), Op::AtLeast), 11);
  EXPECT_GT(expect_all_codes({-3000, 3000, 0}, pieces_with(-3000, 3000, 200, irregular), Op::AtLeastNet), 0);
  const auto stairs = [](int i) { return Int{i} - 40; };
  EXPECT_GT(expect_all_codes({-3000, 3000, 0}, pieces_with(-3000, 3000, 150, stairs), Op::AtLeastNet), 0);
  // A staircase of slope 3/64 is a multiplication.
  fixed::Pieces slope;
  slope.values.push_back(-141);
  for (Int y = -140; y <= 140; ++y) {
    slope.breakpoints.push_back(-fixed::floor_div(-64 * y, 3));
    slope.values.push_back(y);
  }
  EXPECT_EQ(expect_all_codes({-3000, 3000, 0}, slope, Op::AtLeastNet), 0);
  // Odd multiples are a narrower code and an offset.
  EXPECT_EQ(expect_all_codes({-5000, 5000, 0}, fixed::Pieces{{-40, -10, 0, 9, 33}, {-6, -2, 2, 6, 10, 14}}, Op::Sum),
            1);
}

/// One dense layer of random 4-bit weights and a clipped ReLU behind it, then another layer.
Graph dense_graph(std::int64_t n_in, std::int64_t n_hidden, std::int64_t n_out, bool bipolar) {
  exact::Random random(7);
  diag::Engine engine;
  Context ctx{.diag = engine};
  Graph graph;
  graph.name = "dense";
  const auto add = [&](const std::string& name, Shape shape, exact::Primitive primitive) {
    exact::Value value;
    value.name = name;
    value.shape = std::move(shape);
    value.primitive = std::move(primitive);
    if (std::holds_alternative<exact::Input>(value.primitive)) {
      value.ranges.assign(static_cast<std::size_t>(n_in), bipolar ? fixed::Range{-1, 1, 0} : fixed::Range{0, 63, 0});
    } else {
      value.ranges = *exact::infer_ranges(graph, value, ctx);
    }
    graph.values.push_back(std::move(value));
    return exact::ValueId{static_cast<std::uint32_t>(graph.values.size() - 1)};
  };
  const auto matvec = [&](exact::ValueId x, std::int64_t n, std::int64_t m) {
    exact::MatVec p;
    p.x = x;
    p.n_in = n;
    p.n_out = m;
    for (std::int64_t i = 0; i < n * m; ++i)
      p.weights.push_back(bipolar ? random.between(0, 1) * 2 - 1 : random.between(-8, 7));
    for (std::int64_t o = 0; o < m; ++o) p.bias.push_back(random.between(-20, 20));
    return p;
  };
  const auto x = add("x", {n_in}, exact::Input{});
  graph.inputs = {{"x", x, {}, "option"}};
  if (bipolar) graph.inputs[0].conversion.form = exact::InputConversion::Form::Bipolar;
  const auto sums = add("fc1", {n_hidden}, matvec(x, n_in, n_hidden));
  fixed::StepFunction activation = fixed::ShiftRound{.shift = 4, .lo = 0, .hi = 63};
  if (bipolar) activation = fixed::Pieces{{0}, {-1, 1}};
  const auto hidden = add("act1", {n_hidden}, exact::Requant{sums, {activation}});
  const auto y = add("fc2", {n_out}, matvec(hidden, n_hidden, n_out));
  graph.outputs = {{"y", y, {}}};
  return graph;
}

TEST(Plan, DenseLayersEqualThePlainExecutor) {
  for (const double clock : {1.0, 2.5, 5.0, 100.0})
    expect_equal(dense_graph(12, 9, 4, false), {.clock_ns = clock}, 1, 40);
  expect_equal(dense_graph(40, 17, 5, true), {}, 2, 40);
}

TEST(Plan, BipolarCodesAreSingleBits) {
  diag::Engine engine;
  Context ctx{.diag = engine};
  const auto design = plan(dense_graph(40, 17, 5, true), {.clock_ns = 1.0}, ctx);
  ASSERT_TRUE(design.ok());
  for (const auto& cell : design->netlist.cells) {
    const std::string& module = design->netlist.modules[cell.module].name;
    EXPECT_TRUE(module != "act1" || cell.op == netlist::Op::AtLeast);
    EXPECT_TRUE(module != "x" || cell.op == netlist::Op::Input || cell.width_bits == 1);
  }
}

TEST(Plan, RoundingAndBiasCostNoAdderOfTheirOwn) {
  diag::Engine engine;
  Context ctx{.diag = engine};
  const auto design = plan(dense_graph(12, 9, 4, false), {}, ctx);
  ASSERT_TRUE(design.ok());
  for (const auto& cell : design->netlist.cells) {
    EXPECT_TRUE(design->netlist.modules[cell.module].name != "act1" || cell.op != netlist::Op::Sum);
  }
}

TEST(Plan, LatencyFollowsFromTheOptions) {
  diag::Engine engine;
  Context ctx{.diag = engine};
  const Graph graph = dense_graph(12, 9, 4, false);
  const auto latency = [&](const PlanOptions& options) { return plan(graph, options, ctx)->latency_cycles; };
  EXPECT_EQ(latency({.clock_ns = 1000.0}), 1);
  EXPECT_EQ(latency({.clock_ns = 1000.0, .register_outputs = false}), 0);
  EXPECT_EQ(latency({.clock_ns = 1000.0, .register_inputs = true}), 2);
  const int fast = latency({.clock_ns = 1.2});
  const int slow = latency({.clock_ns = 5.0});
  EXPECT_GT(fast, slow);
  EXPECT_GE(slow, 2);
  // A bound below what the clock asks for stretches the period, for the same adder graphs just as far as needed.
  for (const Effort effort : {Effort::Fast, Effort::Normal}) {
    const auto bounded = plan(graph, {.clock_ns = 1.2, .max_latency_cycles = 3, .effort = effort}, ctx);
    ASSERT_TRUE(bounded.ok());
    EXPECT_EQ(bounded->latency_cycles, 3);
    EXPECT_GT(bounded->period_ns, 1.2);
    if (effort != Effort::Fast) continue;  // the search takes other graphs for another period
    EXPECT_GT(latency({.clock_ns = bounded->period_ns * 0.98, .effort = effort}), 3);
    EXPECT_EQ(latency({.clock_ns = bounded->period_ns * 1.001, .effort = effort}), 3);
  }
  // Every period predicted is one that was asked for.
  EXPECT_LE(plan(graph, {.clock_ns = 2.5}, ctx)->period_ns, 2.5);
}

TEST(Plan, ReportsWhatCannotBe) {
  const Graph graph = dense_graph(4, 3, 2, false);
  const auto kind_of = [&](const PlanOptions& options) {
    diag::Engine engine;
    Context ctx{.diag = engine};
    EXPECT_FALSE(plan(graph, options, ctx).ok());
    return engine.all().empty() ? Kind::Info : engine.all().back().kind;
  };
  EXPECT_EQ(kind_of({.clock_ns = -1.0}), Kind::ConfigInvalid);
  EXPECT_EQ(kind_of({.clock_ns = std::numeric_limits<double>::quiet_NaN()}), Kind::ConfigInvalid);
  EXPECT_EQ(kind_of({.max_latency_cycles = 0}), Kind::DoesNotFit);
  EXPECT_EQ(kind_of({.part = "xc9z999"}), Kind::TargetUnknown);
}

TEST(Plan, IsDeterministic) {
  diag::Engine engine;
  Context ctx{.diag = engine};
  const Graph graph = exact::random_graph(5, {.dense_layers = 2});
  const auto a = plan(graph, {.clock_ns = 2.0}, ctx);
  const auto b = plan(graph, {.clock_ns = 2.0}, ctx);
  EXPECT_EQ(netlist::dump(a->netlist), netlist::dump(b->netlist));
  EXPECT_EQ(a->pipeline.stage, b->pipeline.stage);
}

TEST(Targets, AreFoundByTheNamesPeopleUse) {
  EXPECT_EQ(find_part("xcvu9p")->name, "xcvu9p-flga2104-2L-e");
  EXPECT_EQ(find_part("XCVU9P-FLGA2104-2L-E")->name, "xcvu9p-flga2104-2L-e");
  EXPECT_EQ(find_part("xcvu9p-flgb2104-2-i")->lut, 1182240);  // another package of a known device
  EXPECT_EQ(find_part("xc7z020")->name, "xc7z020clg400-1");
  EXPECT_EQ(find_part("lfe5u-25f")->family, "ecp5");
  EXPECT_FALSE(find_part("xc7z").has_value());
  EXPECT_FALSE(find_part("").has_value());
  for (const Part& part : parts()) {
    EXPECT_TRUE(find_family(part.family).has_value()) << part.name;
    EXPECT_GT(part.lut, 0) << part.name;
    EXPECT_GE(part.ff, part.lut) << part.name;
    EXPECT_EQ(find_part(part.name)->name, part.name);
  }
}

}  // namespace
}  // namespace weft::hw
