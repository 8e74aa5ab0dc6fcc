// SPDX-License-Identifier: Apache-2.0
// Recurrent and spiking layers: shapes of their outputs, what they refuse, and numbers that can be checked by hand.
#include <gtest/gtest.h>

#include <cmath>

#include "weft/layers/float_run.h"
#include "weft/layers/layer.h"

namespace weft::layers {
namespace {

struct Net {
  nn::Graph graph;
  nn::Node node;
};

/// One recurrent node on x with kernels of ones times `w` and `u`.
Net net(const std::string& op, const Shape& x, std::int64_t units, std::int64_t blocks, float w, float u) {
  Net out;
  out.graph.file = "net.weft";
  const auto in = out.graph.add_tensor("x", x);
  out.graph.inputs = {{"x", in}};
  out.node.name = "n";
  out.node.op = op;
  out.node.origin = {"net.weft", "n", op, ""};
  out.node.inputs = {in};
  const std::int64_t n = x.empty() ? 1 : x.back();
  const auto filled = [](const Shape& shape, float v) {
    FloatTensor t(shape);
    std::fill(t.data.begin(), t.data.end(), v);
    return t;
  };
  out.node.parameters["kernel"].values = filled({n, blocks * units}, w);
  out.node.parameters["recurrent_kernel"].values = filled({units, blocks * units}, u);
  return out;
}

/// Adds the node with `outputs` outputs; the kind of the first diagnostic, if any.
std::optional<Kind> checked(Net& net, std::size_t outputs) {
  for (std::size_t i = 0; i < outputs; ++i) net.node.outputs.push_back(net.graph.add_tensor("y", {}));
  net.graph.outputs = {{"y", net.node.outputs[0]}};
  net.graph.nodes.push_back(net.node);
  diag::Engine engine;
  Context ctx{engine};
  if (check(net.graph, ctx).ok()) return std::nullopt;
  return engine.all().empty() ? std::optional(Kind::ModelMalformed) : std::optional(engine.all()[0].kind);
}

std::vector<std::vector<float>> run(const Net& net, const std::vector<float>& x) {
  diag::Engine engine;
  Context ctx{engine};
  auto tensors = run_float(net.graph, {x}, 1, ctx);
  EXPECT_TRUE(tensors.ok());
  return tensors.ok() ? *tensors : std::vector<std::vector<float>>{};
}

TEST(Recurrent, HasTheShapesOfSequenceAndStates) {
  Net lstm = net("LSTM", {5, 3}, 4, 4, 0.1F, 0.1F);
  lstm.node.attributes["return_sequences"] = true;
  EXPECT_EQ(checked(lstm, 3), std::nullopt);
  const auto& outputs = lstm.graph.nodes[0].outputs;
  EXPECT_EQ(lstm.graph.at(outputs[0]).shape, (Shape{5, 4}));
  EXPECT_EQ(lstm.graph.at(outputs[1]).shape, (Shape{4}));
  EXPECT_EQ(lstm.graph.at(outputs[2]).shape, (Shape{4}));
  Net rnn = net("SimpleRNN", {5, 3}, 4, 1, 0.1F, 0.1F);
  EXPECT_EQ(checked(rnn, 1), std::nullopt);
  EXPECT_EQ(rnn.graph.at(rnn.graph.nodes[0].outputs[0]).shape, (Shape{4}));
}

TEST(Recurrent, RefusesWhatDoesNotFit) {
  Net flat = net("GRU", {3}, 4, 3, 0.1F, 0.1F);
  EXPECT_EQ(checked(flat, 1), Kind::ShapeMismatch);
  Net few = net("LSTM", {5, 3}, 4, 3, 0.1F, 0.1F);
  EXPECT_EQ(checked(few, 1), Kind::ShapeMismatch);
  Net bias = net("SimpleRNN", {5, 3}, 4, 1, 0.1F, 0.1F);
  bias.node.parameters["bias"].values = FloatTensor(Shape{3});
  EXPECT_EQ(checked(bias, 1), Kind::ShapeMismatch);
  Net many = net("SimpleRNN", {5, 3}, 4, 1, 0.1F, 0.1F);
  EXPECT_EQ(checked(many, 3), Kind::ModelMalformed);
  Net state = net("SimpleRNN", {5, 3}, 4, 1, 0.1F, 0.1F);
  const auto other = state.graph.add_tensor("h", {3});
  state.graph.inputs.push_back({"h", other});
  state.node.inputs.push_back(other);
  EXPECT_EQ(checked(state, 1), Kind::ShapeMismatch);
  // 2^30 steps of a small cell are refused before anything is unrolled.
  Net long_sequence = net("SimpleRNN", {std::int64_t{1} << 30, 1}, 1, 1, 0.1F, 0.1F);
  EXPECT_EQ(checked(long_sequence, 1), Kind::LimitExceeded);
}

TEST(Recurrent, RunsForwardsAndBackwards) {
  // h = 2 x + 0.5 h, linear: 2, 5, 8.5 forwards; backwards 6, 7, 5.5.
  for (const bool backwards : {false, true}) {
    for (const bool realign : {false, true}) {
      Net rnn = net("SimpleRNN", {3, 1}, 1, 1, 2.0F, 0.5F);
      rnn.node.attributes = {{"return_sequences", true}, {"go_backwards", backwards}, {"realign", realign}};
      ASSERT_EQ(checked(rnn, 2), std::nullopt);
      const auto tensors = run(rnn, {1.0F, 2.0F, 3.0F});
      const auto& y = tensors[rnn.graph.nodes[0].outputs[0].index];
      std::vector<float> want = {2.0F, 5.0F, 8.5F};
      if (backwards) want = {6.0F, 7.0F, 5.5F};
      EXPECT_EQ(tensors[rnn.graph.nodes[0].outputs[1].index], (std::vector<float>{want.back()}));
      if (backwards && realign) std::reverse(want.begin(), want.end());
      EXPECT_EQ(y, want);
    }
  }
}

TEST(Recurrent, AnLstmOfOneUnitByHand) {
  Net lstm = net("LSTM", {2, 1}, 1, 4, 0.5F, 0.25F);
  lstm.node.functions = {{"activation", {"tanh", {}}}, {"recurrent_activation", {"sigmoid", {}}}};
  lstm.node.parameters["bias"].values = FloatTensor({4}, {0.1F, 0.2F, 0.3F, 0.4F});
  ASSERT_EQ(checked(lstm, 3), std::nullopt);
  const auto tensors = run(lstm, {1.0F, -2.0F});
  const auto sigmoid = [](double v) { return 1.0 / (1.0 + std::exp(-v)); };
  double h = 0.0;
  double c = 0.0;
  for (const double x : {1.0, -2.0}) {
    const double z = 0.5 * x + 0.25 * h;
    c = sigmoid(z + 0.2) * c + sigmoid(z + 0.1) * std::tanh(z + 0.3);
    h = sigmoid(z + 0.4) * std::tanh(c);
  }
  const auto& outputs = lstm.graph.nodes[0].outputs;
  EXPECT_NEAR(tensors[outputs[0].index][0], h, 1e-6);
  EXPECT_NEAR(tensors[outputs[1].index][0], h, 1e-6);
  EXPECT_NEAR(tensors[outputs[2].index][0], c, 1e-6);
}

TEST(Spiking, IntegratesFiresAndResets) {
  // 0.75 per step: the second step crosses 1; "subtract" takes 1 off in the third and again in the fourth.
  for (const auto& [reset, want] : {std::pair{"subtract", std::vector<float>{0.75F, 1.5F, 1.25F, 1.0F}},
                                    std::pair{"zero", std::vector<float>{0.75F, 1.5F, 0.75F, 1.5F}},
                                    std::pair{"none", std::vector<float>{0.75F, 1.5F, 2.25F, 3.0F}}}) {
    Net neuron;
    neuron.graph.file = "net.weft";
    const auto in = neuron.graph.add_tensor("x", {4, 1});
    neuron.graph.inputs = {{"x", in}};
    neuron.node.name = "n";
    neuron.node.op = "IF";
    neuron.node.inputs = {in};
    neuron.node.attributes = {{"threshold", 1.0}, {"reset", std::string(reset)}};
    ASSERT_EQ(checked(neuron, 2), std::nullopt);
    const auto tensors = run(neuron, {0.75F, 0.75F, 0.75F, 0.75F});
    const auto& outputs = neuron.graph.nodes[0].outputs;
    EXPECT_EQ(tensors[outputs[1].index], want) << reset;
    std::vector<float> spikes;
    for (const float u : want) spikes.push_back(u > 1.0F ? 1.0F : 0.0F);
    EXPECT_EQ(tensors[outputs[0].index], spikes) << reset;
  }
}

TEST(Spiking, RefusesAnUnknownReset) {
  Net neuron;
  neuron.graph.file = "net.weft";
  const auto in = neuron.graph.add_tensor("x", {4, 2});
  neuron.graph.inputs = {{"x", in}};
  neuron.node.name = "n";
  neuron.node.op = "LIF";
  neuron.node.inputs = {in};
  neuron.node.attributes = {{"reset", std::string("sometimes")}};
  EXPECT_EQ(checked(neuron, 1), Kind::AttributeUnsupported);
}

TEST(Recurrent, MaskedStepsKeepTheState) {
  for (const bool zero : {false, true}) {
    Net rnn = net("SimpleRNN", {4, 1}, 1, 1, 1.0F, 1.0F);
    rnn.node.attributes = {{"return_sequences", true}, {"masked", true}, {"zero_output", zero}};
    const auto mask = rnn.graph.add_tensor("mask", {4});
    rnn.graph.inputs.push_back({"mask", mask});
    rnn.node.inputs.push_back(mask);
    EXPECT_EQ(checked(rnn, 2), std::nullopt);
    diag::Engine engine;
    Context ctx{engine};
    const auto tensors = run_float(rnn.graph, {{1, 2, 3, 4}, {1, 0, 1, 0}}, 1, ctx);
    ASSERT_TRUE(tensors.ok());
    const auto& outputs = rnn.graph.nodes[0].outputs;
    EXPECT_EQ((*tensors)[outputs[0].index], (zero ? std::vector<float>{1, 0, 4, 0} : std::vector<float>{1, 1, 4, 4}));
    EXPECT_EQ((*tensors)[outputs[1].index], std::vector<float>{4});
  }
}

TEST(Recurrent, TheProjectionMakesTheState) {
  Net lstm = net("LSTM", {2, 1}, 2, 4, 0.5F, 0.25F);
  lstm.node.parameters["recurrent_kernel"].values = FloatTensor({1, 8}, std::vector<float>(8, 0.25F));
  lstm.node.parameters["projection"].values = FloatTensor({2, 1}, {1.0F, -0.5F});
  EXPECT_EQ(checked(lstm, 3), std::nullopt);
  const auto& outputs = lstm.graph.nodes[0].outputs;
  EXPECT_EQ(lstm.graph.at(outputs[0]).shape, (Shape{1}));
  EXPECT_EQ(lstm.graph.at(outputs[2]).shape, (Shape{2}));
  const auto tensors = run(lstm, {1, 2});
  // Without functions every gate is its sum: z = x / 2 + h / 4, c' = z c + z z, m = z c', h = m / 2.
  float h = 0.0F;
  float c = 0.0F;
  for (const float x : {1.0F, 2.0F}) {
    const float z = 0.5F * x + 0.25F * h;
    c = z * c + z * z;
    h = 0.5F * z * c;
  }
  EXPECT_EQ(tensors.at(outputs[0].index), std::vector<float>{h});
  EXPECT_EQ(tensors.at(outputs[2].index), (std::vector<float>{c, c}));
}

}  // namespace
}  // namespace weft::layers
