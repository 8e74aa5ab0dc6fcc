// SPDX-License-Identifier: Apache-2.0
// The certificate at its edge: every product layer that is certified exact, alone, on the inputs that drive its sums to
// their largest and smallest values, and its partial sums in between. The float32 run must equal the integers.
#include <gtest/gtest.h>

#include <algorithm>

#include "builder.h"
#include "weft/emulate/emulator.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer.h"

namespace weft::conformance {
namespace {

/// The elements of `base` that the rows of `x` hold, -1 for padding: x is base moved about.
std::vector<std::int64_t> elements_of(const exact::Graph& graph, exact::ValueId x, exact::ValueId& base) {
  base = x;
  std::vector<std::int64_t> from(graph.at(x).ranges.size());
  for (std::size_t e = 0; e < from.size(); ++e) from[e] = static_cast<std::int64_t>(e);
  while (const auto m = exact::movement(graph, graph.at(base))) {
    for (auto& e : from) e = e < 0 ? -1 : m->from[static_cast<std::size_t>(e)];
    base = m->x;
  }
  return from;
}

/// The layer alone, its activation left out, with an input of this type.
struct Alone {
  nn::Graph graph;
  lower::Options options;
};
Alone alone(const nn::Graph& source, const nn::Node& node, const fixed::FixedType& type) {
  Alone out;
  out.graph.name = node.name;
  out.graph.file = source.file;
  out.graph.framework = source.framework;
  nn::Node copy = node;
  copy.functions.erase("activation");
  copy.inputs = {out.graph.add_tensor("x", source.at(node.inputs[0]).shape)};
  copy.outputs = {out.graph.add_tensor("y", {})};
  out.graph.inputs = {{"x", copy.inputs[0]}};
  out.graph.outputs = {{"y", copy.outputs[0]}};
  out.graph.nodes.push_back(std::move(copy));
  out.options.input_types[""] = {fixed::TypeSpec::Form::Fixed, type, true};
  return out;
}

bool certified_exact(const lower::Lowered& lowered, const std::string& layer) {
  return std::any_of(lowered.certificate.begin(), lowered.certificate.end(),
                     [&](const auto& c) { return c.layer == layer && c.word == layers::Word::Exact; });
}

/// The narrowest type that holds a value's codes.
fixed::FixedType type_of(const exact::Value& value, int log2) {
  Int lo = 0;
  Int hi = 0;
  for (const auto& r : value.ranges) {
    lo = std::min(lo, r.lo);
    hi = std::max(hi, r.hi);
  }
  const int width = fixed::width_bits(lo, hi, lo < 0);
  return {width, width + log2, lo < 0};
}

/// Inputs of one row of the product layer that push output `o` up or down: all inputs one way, or the first half up
/// and the second down, so that the sum peaks on its way.
std::vector<std::vector<Int>> pushes(const exact::MatVec& m, const exact::Value& base,
                                     const std::vector<std::int64_t>& from, std::int64_t row, std::int64_t o) {
  std::vector<std::vector<Int>> out;
  for (const auto& [first, second] : {std::pair{1, 1}, std::pair{-1, -1}, std::pair{1, -1}, std::pair{-1, 1}}) {
    std::vector<Int> codes;
    for (const auto& r : base.ranges) codes.push_back(std::clamp<Int>(0, r.lo, r.hi));
    for (std::int64_t i = 0; i < m.n_in; ++i) {
      const std::int64_t e = from[static_cast<std::size_t>(row * m.n_in + i)];
      const std::int64_t w = m.weights[static_cast<std::size_t>(i * m.n_out + o)];
      if (e < 0 || w == 0) continue;
      const auto& r = base.ranges[static_cast<std::size_t>(e)];
      const int way = i * 2 < m.n_in ? first : second;
      codes[static_cast<std::size_t>(e)] = (w > 0) == (way > 0) ? r.hi : r.lo;
    }
    out.push_back(std::move(codes));
  }
  return out;
}

void check_layer(const Alone& layer, const std::string& where, std::size_t& checked) {
  diag::Engine engine;
  Context ctx{engine};
  nn::Graph graph = layer.graph;
  if (!layers::check(graph, ctx)) return;
  const auto lowered = lower::lower(graph, layer.options, ctx);
  // A wider input than the network's own may need more than float32 has: then nothing is promised.
  if (!lowered || !certified_exact(*lowered, graph.nodes[0].name)) return;
  const exact::Graph& exact = lowered->graph;
  for (const auto& value : exact.values) {
    const auto* m = std::get_if<exact::MatVec>(&value.primitive);
    if (m == nullptr || m->accumulator) continue;
    exact::ValueId base;
    const auto from = elements_of(exact, m->x, base);
    if (!std::holds_alternative<exact::Input>(exact.at(base).primitive)) continue;
    std::vector<std::vector<Int>> samples;
    const auto rows = static_cast<std::int64_t>(from.size()) / m->n_in;
    for (const std::int64_t row : {std::int64_t{0}, rows / 2})
      for (std::int64_t o = 0; o < std::min<std::int64_t>(m->n_out, 8); ++o)
        for (auto& s : pushes(*m, exact.at(base), from, row, o)) samples.push_back(std::move(s));
    std::vector<float> x;
    for (const auto& s : samples)
      for (std::size_t e = 0; e < s.size(); ++e) x.push_back(exact::read_out(exact.at(base), {}, e, s[e]));
    const auto run = layers::run_float(graph, {x}, static_cast<std::int64_t>(samples.size()), ctx);
    ASSERT_TRUE(run) << where;
    const auto& y = (*run)[graph.outputs[0].tensor.index];
    const std::size_t n = exact.at(exact.outputs[0].value).ranges.size();
    for (std::size_t s = 0; s < samples.size(); ++s) {
      const auto codes = emulate::run_plain(exact, {samples[s]}).values[exact.outputs[0].value.index];
      for (std::size_t e = 0; e < n; ++e)
        ASSERT_EQ(exact::read_out(exact, exact.outputs[0], e, codes[e]), y[s * n + e])
            << where << " sample " << s << " element " << e;
    }
    ++checked;
  }
}

TEST(Extremes, CertifiedSumsEqualFloat) {
  std::size_t checked = 0;
  for (const auto& c : all_cases()) {
    diag::Engine engine;
    Context ctx{engine};
    nn::Graph graph = c.graph;
    ASSERT_TRUE(layers::check(graph, ctx)) << c.name;
    const auto lowered = lower::lower(graph, c.options, ctx);
    if (!lowered) continue;
    for (const auto& node : graph.nodes) {
      if (node.inputs.size() != 1 || node.outputs.size() != 1 || !certified_exact(*lowered, node.name)) continue;
      // Codes in front of the layer, where they have one power-of-two scale.
      for (const auto& value : lowered->graph.values) {
        const auto* m = std::get_if<exact::MatVec>(&value.primitive);
        if (m == nullptr || value.origin.node != node.name) continue;
        exact::ValueId base;
        elements_of(lowered->graph, m->x, base);
        const auto& x = lowered->graph.at(base);
        const auto log2 = x.scale.per_tensor() ? fixed::log2_exact(x.scale.at(0)) : std::nullopt;
        if (!log2) continue;
        check_layer(alone(graph, node, type_of(x, *log2)), c.name + "/" + node.name, checked);
        break;
      }
    }
  }
  EXPECT_GE(checked, 10U);
}

/// A sum that just fits 24 bits is exact; one more doubling of the inputs is not promised any more.
TEST(Extremes, TheBorderIsTwentyFourBits) {
  for (const bool fits : {true, false}) {
    Builder b(fits ? "border_below" : "border_above", {16}, fits ? "fixed<16,16>" : "fixed<18,18>");
    const auto q = Builder::bits(6, 5);
    auto& n = b.dense("fc", 16, 2, &q);
    // |w| = 31 or less in steps of 1: 16 * 31 * 2^15 is just below 2^24.
    for (std::size_t i = 0; i < n.parameters["kernel"].values.data.size(); ++i)
      n.parameters["kernel"].values.data[i] = i % 3 == 0 ? -31.0F : 31.0F;
    n.parameters.erase("bias");
    Case c = b.done(layers::Word::Exact);
    diag::Engine engine;
    Context ctx{engine};
    ASSERT_TRUE(layers::check(c.graph, ctx));
    const auto lowered = lower::lower(c.graph, c.options, ctx);
    ASSERT_TRUE(lowered);
    EXPECT_EQ(certified_exact(*lowered, "fc"), fits);
    if (!fits) continue;
    std::size_t checked = 0;
    check_layer(alone(c.graph, c.graph.nodes[0], {16, 16, true}), c.name, checked);
    EXPECT_EQ(checked, 1U);
  }
}

}  // namespace
}  // namespace weft::conformance
