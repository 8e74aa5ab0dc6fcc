// SPDX-License-Identifier: Apache-2.0
// Shape rules refuse what a hostile `.weft` file may ask for.
#include <gtest/gtest.h>

#include <limits>

#include "weft/layers/layer.h"

namespace weft::layers {
namespace {

using Ints = std::vector<std::int64_t>;

/// The kind of the first diagnostic of a graph of one node on x.
std::optional<Kind> refused(const std::string& op, AttributeMap attributes, const Shape& x) {
  nn::Graph graph;
  graph.file = "net.weft";
  const auto in = graph.add_tensor("x", x);
  nn::Node node;
  node.name = "n";
  node.op = op;
  node.origin = {graph.file, "n", op, ""};
  node.attributes = std::move(attributes);
  node.inputs = {in};
  node.outputs = {graph.add_tensor("y", {})};
  graph.inputs = {{"x", in}};
  graph.outputs = {{"y", node.outputs[0]}};
  graph.nodes.push_back(std::move(node));
  diag::Engine engine;
  Context ctx{engine};
  if (check(graph, ctx).ok()) return std::nullopt;
  return engine.all().empty() ? std::nullopt : std::optional(engine.all()[0].kind);
}

TEST(Shapes, APoolNeedsSomethingInEveryWindow) {
  const AttributeMap far = {
      {"pool", Ints{2}}, {"padding", std::string("explicit")}, {"before", Ints{2}}, {"after", Ints{0}}};
  EXPECT_EQ(refused("AveragePool", far, {4, 1}), Kind::ShapeMismatch);
  const AttributeMap between = {{"pool", Ints{2}},
                                {"dilations", Ints{2}},
                                {"padding", std::string("explicit")},
                                {"before", Ints{1}},
                                {"after", Ints{1}}};
  EXPECT_EQ(refused("MaxPool", between, {1, 1}), Kind::ShapeMismatch);
  const AttributeMap near = {
      {"pool", Ints{2}}, {"padding", std::string("explicit")}, {"before", Ints{1}}, {"after", Ints{1}}};
  EXPECT_EQ(refused("AveragePool", near, {4, 1}), std::nullopt);
}

TEST(Shapes, HugeNumbersAreRefusedBeforeMemory) {
  constexpr std::int64_t kMost = std::numeric_limits<std::int64_t>::max();
  EXPECT_EQ(refused("Slice", {{"begin", Ints{1}}, {"end", Ints{4}}, {"step", Ints{kMost}}}, {4}), Kind::ShapeMismatch);
  EXPECT_EQ(refused("Pad", {{"before", Ints{kMost}}, {"after", Ints{0}}}, {4}), Kind::ShapeMismatch);
  EXPECT_EQ(refused("Pad", {{"before", Ints{std::int64_t{1} << 30}}, {"after", Ints{0}}}, {4}), Kind::ShapeMismatch);
  EXPECT_EQ(refused("Upsample", {{"repeats", Ints{kMost}}}, {4}), Kind::ShapeMismatch);
  EXPECT_EQ(refused("Take", {{"axis", std::int64_t{0}}, {"indices", Ints{4}}}, {4}), Kind::ShapeMismatch);
  EXPECT_EQ(refused("Conv", {}, {4, 4, 1}), Kind::ModelMalformed);
}

}  // namespace
}  // namespace weft::layers
