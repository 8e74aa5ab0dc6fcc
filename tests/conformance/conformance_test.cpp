// SPDX-License-Identifier: Apache-2.0
// Everything agrees or it is a bug: the source's float32 run = plain executor = SIMD emulator on every instruction set
// = netlist. (The emitted Verilog and C++ of the same cases run in tests/sim, which needs simulators.)
#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "cases.h"
#include "weft/driver/run.h"
#include "weft/emulate/emulator.h"
#include "weft/exact/random_graph.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer.h"

namespace weft::conformance {
namespace {

class Conformance : public ::testing::TestWithParam<std::size_t> {};

TEST(Table, HasEveryLayer) {
  std::set<std::string> seen;
  for (const auto& c : all_cases())
    for (const auto& node : c.graph.nodes) seen.insert(node.op);
  for (const auto& layer : layers::all_layers()) EXPECT_TRUE(seen.count(std::string(layer.op)) != 0) << layer.op;
}

TEST_P(Conformance, ExecutorsAgree) {
  const Case& c = all_cases()[GetParam()];
  diag::Engine engine;
  Context ctx{engine};
  nn::Graph graph = c.graph;
  ASSERT_TRUE(layers::check(graph, ctx)) << c.name;
  auto lowered = lower::lower(graph, c.options, ctx);
  for (const auto& d : engine.all())
    if (d.severity == diag::Severity::Error) ADD_FAILURE() << diag::to_text(d);
  ASSERT_TRUE(lowered.ok()) << c.name;
  EXPECT_EQ(layers::to_string(lowered->network), layers::to_string(c.word)) << c.name;
  const exact::Graph& exact = lowered->graph;

  // Text form.
  const auto parsed = exact::parse_text(exact::to_text(exact), c.name, ctx);
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(exact::to_text(*parsed), exact::to_text(exact));

  exact::Random random(GetParam() + 1);
  constexpr std::size_t kSamples = 200;
  const auto& in = exact.at(exact.inputs[0].value);
  const std::size_t n = in.ranges.size();
  std::vector<float> real;
  std::vector<std::vector<std::vector<Int>>> expected(exact.outputs.size());
  std::vector<std::vector<Int>> rows;
  for (std::size_t s = 0; s < kSamples; ++s) {
    auto codes = exact::random_codes(exact, random);
    for (std::size_t k = 0; k < n; ++k) real.push_back(exact::read_out(in, {}, k, codes[0][k]));
    rows.push_back(codes[0]);
  }
  driver::Session session;
  session.model.graph = graph;
  session.exact = exact;
  session.network = lowered->network;
  const driver::InputRows data{{real}, static_cast<std::int64_t>(kSamples)};
  const auto source = driver::predict_float(session.model.graph, data, true, ctx);
  ASSERT_TRUE(source.ok());
  const auto emulated = driver::predict(session, data, true, ctx);
  ASSERT_TRUE(emulated.ok());

  // The source's own arithmetic, layer by layer, to the last bit.
  if (c.word == layers::Word::Exact) {
    for (const auto& [layer, array] : emulated->trace) {
      const auto& a = std::get<std::vector<float>>(array.data);
      const auto& b = std::get<std::vector<float>>(source->trace.at(layer).data);
      ASSERT_EQ(a.size(), b.size()) << layer;
      for (std::size_t k = 0; k < a.size(); ++k) ASSERT_EQ(a[k], b[k]) << c.name << " " << layer << " " << k;
    }
  } else {
    const auto& a = emulated->outputs[0].values;
    const auto& b = source->outputs[0].values;
    ASSERT_EQ(a.size(), b.size());
    double worst = 0;
    for (std::size_t k = 0; k < a.size(); ++k) worst = std::max(worst, std::fabs(static_cast<double>(a[k]) - b[k]));
    // Types were chosen here, so only nearness can be asked for; the forced accumulator wraps on purpose.
    if (c.name != "forced_accumulator") {
      EXPECT_LT(worst, 0.05) << c.name;
    }
  }

  // Plain executor against every instruction set.
  for (const auto isa : emulate::available()) {
    auto emulator = emulate::Emulator::compile(exact, isa, ctx);
    ASSERT_TRUE(emulator.ok()) << emulate::to_string(isa);
    std::vector<std::vector<std::int64_t>> outputs;
    ASSERT_TRUE(emulator->run({real.data()}, kSamples, outputs, ctx).ok());
    for (std::size_t s = 0; s < kSamples; ++s) {
      const auto plain = emulate::run_plain(exact, {rows[s]});
      for (std::size_t o = 0; o < exact.outputs.size(); ++o) {
        const auto& codes = plain.values[exact.outputs[o].value.index];
        for (std::size_t k = 0; k < codes.size(); ++k)
          ASSERT_EQ(outputs[o][s * codes.size() + k], static_cast<std::int64_t>(codes[k]))
              << c.name << " " << emulate::to_string(isa) << " sample " << s;
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Cases, Conformance, ::testing::Range(std::size_t{0}, all_cases().size()),
                         [](const auto& row) { return all_cases()[row.param].name; });

}  // namespace
}  // namespace weft::conformance
