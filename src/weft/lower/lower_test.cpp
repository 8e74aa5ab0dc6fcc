// SPDX-License-Identifier: Apache-2.0
#include "weft/lower/lower.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "weft/layers/layer.h"
#include "weft/lower/passes/fold_affine.h"

namespace weft::lower {
namespace {

/// x -> Dense fc (float kernel, no bias) -> Identity between -> Add bias -> BatchNorm bn.
nn::Graph onnx_like() {
  nn::Graph g;
  g.name = "net";
  g.file = "net.onnx";
  g.framework = nn::Framework::Onnx;
  nn::TensorId last = g.add_tensor("x", {2});
  g.inputs = {{"x", last}};
  const auto node = [&](const std::string& op, const std::string& name) -> nn::Node& {
    nn::Node n;
    n.name = name;
    n.op = op;
    n.origin = {g.file, name, op, ""};
    n.inputs = {last};
    last = g.add_tensor(name, {});
    n.outputs = {last};
    g.nodes.push_back(std::move(n));
    return g.nodes.back();
  };
  node("Dense", "fc").parameters["kernel"].values = FloatTensor({2, 2}, {0.5F, -0.25F, 1.0F, 0.75F});
  node("Identity", "between");
  node("Add", "bias").parameters["constant"].values = FloatTensor({2}, {0.5F, -1.0F});
  auto& bn = node("BatchNorm", "bn");
  bn.attributes = {{"epsilon", 0.0}, {"form", std::string("onnx")}};
  bn.parameters["mean"].values = FloatTensor({2}, {1.0F, 0.0F});
  bn.parameters["variance"].values = FloatTensor({2}, {4.0F, 0.25F});
  g.outputs = {{"y", last}};
  return g;
}

TEST(FoldAffine, LooksThroughIdentitiesAndHidesWhatIsInside) {
  nn::Graph g = onnx_like();
  const Folding folding = fold_affine(g);
  EXPECT_EQ(folding.hidden.at("fc"), "bn");
  EXPECT_EQ(folding.hidden.at("between"), "bn");
  EXPECT_EQ(folding.hidden.at("bias"), "bn");
  EXPECT_EQ(folding.merged, std::vector<std::string>{"bn"});
  // By hand: y = (x W + b - mean) / sqrt(variance).
  EXPECT_EQ(g.nodes[0].parameters.at("kernel").values.data, (std::vector<float>{0.25F, -0.5F, 0.5F, 1.5F}));
  EXPECT_EQ(g.nodes[0].parameters.at("bias").values.data, (std::vector<float>{-0.25F, -2.0F}));
}

TEST(FoldAffine, LeavesTensorsThatOthersRead) {
  nn::Graph g = onnx_like();
  g.outputs.push_back({"tap", g.nodes[0].outputs[0]});
  EXPECT_TRUE(fold_affine(g).hidden.empty());
}

TEST(Lower, ReportsTheInputRuleAndTheHiddenLayers) {
  nn::Graph g = onnx_like();
  diag::Engine engine;
  Context ctx{engine};
  ASSERT_TRUE(layers::check(g, ctx).ok());
  const auto lowered = lower(g, {}, ctx);
  ASSERT_TRUE(lowered.ok());
  EXPECT_EQ(lowered->graph.inputs.at(0).rule, "default");
  ASSERT_EQ(engine.all().size(), 1U);
  EXPECT_EQ(engine.all()[0].kind, Kind::InputTypeAssumed);
  EXPECT_EQ(layers::to_string(lowered->network), "quantized");
  for (const auto& probe : lowered->graph.probes)
    EXPECT_EQ(probe.folded_into, probe.layer == "bn" ? "" : "bn") << probe.layer;
}

TEST(Lower, SumsBehindStraightLinesKeepTheirBound) {
  // Products on a grid that is no power of two, then more codes than a table takes.
  nn::Graph g = onnx_like();
  g.nodes[0].parameters["kernel"].quantizer = quantizers::Spec{"qonnx_quant",
                                                               {{"scale", std::vector<double>{0.3, 0.7}},
                                                                {"zero_point", std::vector<double>{0.0}},
                                                                {"bits", 4.0},
                                                                {"signed", true},
                                                                {"narrow", false},
                                                                {"rounding", std::string("ROUND")}}};
  nn::Node next = g.nodes[0];
  next.name = "next";
  next.inputs = {g.outputs[0].tensor};
  next.outputs = {g.add_tensor("next", {})};
  g.outputs = {{"y", next.outputs[0]}};
  g.nodes.push_back(std::move(next));
  diag::Engine engine;
  Context ctx{engine};
  ASSERT_TRUE(layers::check(g, ctx).ok());
  const auto lowered = lower(g, {}, ctx);
  ASSERT_TRUE(lowered.ok());
  const auto at = [&](std::string_view layer) {
    return *std::find_if(lowered->certificate.begin(), lowered->certificate.end(),
                         [&](const auto& c) { return c.layer == layer; });
  };
  ASSERT_THAT(at("bn").notes, ::testing::Contains(::testing::HasSubstr("straight lines")));
  EXPECT_EQ(layers::to_string(at("fc").word), "float-order");
  EXPECT_GT(at("fc").bound, 0.0);
}

TEST(Lower, CalibrationGivesTheInputItsRange) {
  nn::Graph g = onnx_like();
  diag::Engine engine;
  Context ctx{engine};
  ASSERT_TRUE(layers::check(g, ctx).ok());
  Options options;
  options.calibration = Calibration{{{0.5F, 7.9F, 0.0F, 3.0F}}, 2};
  const auto lowered = lower(g, options, ctx);
  ASSERT_TRUE(lowered.ok());
  EXPECT_EQ(lowered->graph.inputs.at(0).rule, "calibration");
  EXPECT_EQ(lowered->graph.inputs.at(0).conversion.type, (fixed::FixedType{16, 3, false}));
}

}  // namespace
}  // namespace weft::lower
