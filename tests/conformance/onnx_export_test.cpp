// SPDX-License-Identifier: Apache-2.0
// Cases of the table written as QONNX and as QCDQ and read again: the same integers, or a diagnostic that says why not.
#include <gtest/gtest.h>

#include "cases.h"
#include "weft/emulate/emulator.h"
#include "weft/exact/random_graph.h"
#include "weft/formats/onnx/onnx.h"
#include "weft/formats/onnx/write.h"
#include "weft/layers/layer.h"

namespace weft::conformance {
namespace {

/// Layers over spatial axes, merges and trees; other groups of the table are not in the round trip yet.
std::vector<Case> covered_cases() {
  std::vector<Case> out;
  add_spatial_cases(out);
  add_merge_cases(out);
  add_forest_cases(out);
  return out;
}

/// Cases that came back.
int round_trip(bool qcdq) {
  int equal = 0;
  for (const auto& c : covered_cases()) {
    diag::Engine quiet;
    Context silent{quiet};
    nn::Graph graph = c.graph;
    EXPECT_TRUE(layers::check(graph, silent).ok()) << c.name;
    const auto before = lower::lower(graph, c.options, silent);
    EXPECT_TRUE(before.ok()) << c.name;
    if (!before) continue;
    diag::Engine engine;
    Context ctx{engine};
    const auto bytes = formats::onnx::write_onnx(before->graph, {.qcdq = qcdq, .producer_version = "test"}, ctx);
    auto again = bytes ? formats::onnx::read_onnx_bytes(*bytes, c.name, ctx) : diag::failure;
    const bool fits = again && layers::check(*again, ctx).ok();
    const auto after = fits ? lower::lower(*again, {}, ctx) : diag::failure;
    if (!after) {
      EXPECT_TRUE(engine.has_errors()) << c.name;
      continue;
    }
    const exact::Graph& a = before->graph;
    const exact::Graph& b = after->graph;
    EXPECT_EQ(a.outputs.size(), b.outputs.size()) << c.name;
    EXPECT_EQ(a.inputs.size(), b.inputs.size()) << c.name;
    if (a.outputs.size() != b.outputs.size() || a.inputs.size() != b.inputs.size()) continue;
    exact::Random random(9);
    int wrong = 0;
    for (int s = 0; s < 60; ++s) {
      const auto codes = exact::random_codes(a, random);
      std::vector<std::vector<Int>> inputs;
      for (std::size_t i = 0; i < codes.size(); ++i) {
        std::vector<Int> row;
        for (std::size_t k = 0; k < codes[i].size(); ++k) {
          bool saturated = false;
          const float real = exact::read_out(a.at(a.inputs[i].value), {}, k, codes[i][k]);
          row.push_back(exact::convert_input(b.inputs[i].conversion, real, saturated));
        }
        wrong += row == codes[i] ? 0 : 1;
        inputs.push_back(std::move(row));
      }
      const auto first = emulate::run_plain(a, codes);
      const auto second = emulate::run_plain(b, inputs);
      for (std::size_t o = 0; o < a.outputs.size(); ++o)
        wrong += first.values[a.outputs[o].value.index] == second.values[b.outputs[o].value.index] ? 0 : 1;
    }
    EXPECT_EQ(wrong, 0) << c.name << (qcdq ? " as QCDQ" : " as QONNX");
    equal += wrong == 0 ? 1 : 0;
  }
  return equal;
}

TEST(OnnxExport, QonnxGivesTheSameIntegers) { EXPECT_GE(round_trip(false), 20); }
TEST(OnnxExport, QcdqGivesTheSameIntegers) { EXPECT_GE(round_trip(true), 10); }

}  // namespace
}  // namespace weft::conformance
