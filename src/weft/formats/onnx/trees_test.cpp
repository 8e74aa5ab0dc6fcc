// SPDX-License-Identifier: Apache-2.0
// Tree ensembles of ai.onnx.ml: every mode, aggregate and missing value against the sentences of the specification.
#include <cmath>
#include <limits>

#include "weft/formats/onnx/test_model.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer.h"

namespace weft::formats::onnx {
namespace {

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

void floats(TestNode& node, const std::string& name, const std::vector<float>& values) {
  auto* a = node.proto()->add_attribute();
  a->set_name(name);
  a->set_type(6);
  for (const float v : values) a->add_floats(v);
}
void strings(TestNode& node, const std::string& name, const std::vector<std::string>& values) {
  auto* a = node.proto()->add_attribute();
  a->set_name(name);
  a->set_type(8);
  for (const auto& v : values) a->add_strings(v);
}
void tensor(TestNode& node, const std::string& name, const std::vector<float>& values) {
  auto* a = node.proto()->add_attribute();
  a->set_name(name);
  a->set_type(4);
  a->mutable_t()->set_data_type(1);
  a->mutable_t()->add_dims(static_cast<std::int64_t>(values.size()));
  for (const float v : values) a->mutable_t()->add_float_data(v);
}

using Ints = std::vector<std::int64_t>;

/// Two stumps: x0 against 1 with `mode`, x1 <= 2 by number; leaves 1, 2 and 10, 20.
void stumps(TestNode& node, const std::string& mode, const std::string& prefix, const Ints& targets = {0, 0, 0, 0}) {
  node.domain("ai.onnx.ml")
      .attribute("nodes_treeids", Ints{0, 0, 0, 5, 5, 5})
      .attribute("nodes_nodeids", Ints{0, 1, 2, 0, 1, 2})
      .attribute("nodes_featureids", Ints{0, 0, 0, 1, 0, 0})
      .attribute("nodes_truenodeids", Ints{1, 0, 0, 1, 0, 0})
      .attribute("nodes_falsenodeids", Ints{2, 0, 0, 2, 0, 0})
      .attribute("nodes_missing_value_tracks_true", Ints{1, 0, 0, 0, 0, 0})
      .attribute(prefix + "_ids", targets)
      .attribute(prefix + "_nodeids", Ints{1, 2, 1, 2})
      .attribute(prefix + "_treeids", Ints{0, 0, 5, 5});
  floats(node, "nodes_values", {1, 0, 0, 2, 0, 0});
  floats(node, prefix + "_weights", {1, 2, 10, 20});
  strings(node, "nodes_modes", {mode, "LEAF", "LEAF", "BRANCH_LEQ", "LEAF", "LEAF"});
}

std::vector<std::vector<float>> run(const TestModel& model, const std::vector<float>& x) {
  Read read = read_model(model);
  EXPECT_TRUE(read.graph.has_value()) << read.text();
  if (!read.graph) return {};
  diag::Engine engine;
  Context ctx{.diag = engine};
  EXPECT_TRUE(layers::check(*read.graph, ctx).ok());
  const auto tensors = layers::run_float(*read.graph, {x}, static_cast<std::int64_t>(x.size() / 2), ctx);
  EXPECT_TRUE(tensors.ok());
  std::vector<std::vector<float>> out;
  if (tensors)
    for (const auto& port : read.graph->outputs) out.push_back((*tensors)[port.tensor.index]);
  return out;
}

std::vector<float> regress(const std::string& mode, const std::string& aggregate, const std::vector<float>& base,
                           const std::vector<float>& x) {
  TestModel model;
  model.input("x", {-1, 2}).output("y");
  auto node = model.node("TreeEnsembleRegressor", {"x"}, {"y"});
  stumps(node, mode, "target");
  node.attribute("n_targets", std::int64_t{1}).attribute("aggregate_function", aggregate);
  if (!base.empty()) floats(node, "base_values", base);
  return run(model, x).at(0);
}

TEST(TreeEnsembles, AskEveryQuestion) {
  const std::vector<float> x{0, 0, 1, 0, 2, 3, kNaN, kNaN};
  // NaN goes to the true side of the first tree and to the false side of the second.
  EXPECT_EQ(regress("BRANCH_LEQ", "SUM", {}, x), (std::vector<float>{11, 11, 22, 21}));
  EXPECT_EQ(regress("BRANCH_LT", "SUM", {}, x), (std::vector<float>{11, 12, 22, 21}));
  EXPECT_EQ(regress("BRANCH_GTE", "SUM", {}, x), (std::vector<float>{12, 11, 21, 21}));
  EXPECT_EQ(regress("BRANCH_GT", "SUM", {}, x), (std::vector<float>{12, 12, 21, 21}));
  EXPECT_EQ(regress("BRANCH_EQ", "SUM", {}, x), (std::vector<float>{12, 11, 22, 21}));
  EXPECT_EQ(regress("BRANCH_NEQ", "SUM", {}, x), (std::vector<float>{11, 12, 21, 21}));
}

TEST(TreeEnsembles, AggregateInEveryWay) {
  const std::vector<float> x{0, 0, 2, 3};
  EXPECT_EQ(regress("BRANCH_LEQ", "SUM", {0.5F}, x), (std::vector<float>{11.5F, 22.5F}));
  EXPECT_EQ(regress("BRANCH_LEQ", "AVERAGE", {0.5F}, x), (std::vector<float>{6, 11.5F}));
  EXPECT_EQ(regress("BRANCH_LEQ", "MIN", {0.5F}, x), (std::vector<float>{1.5F, 2.5F}));
  EXPECT_EQ(regress("BRANCH_LEQ", "MAX", {0.5F}, x), (std::vector<float>{10.5F, 20.5F}));
}

std::vector<std::vector<float>> classify(const Ints& classes, const Ints& labels, const std::vector<float>& weights,
                                         const std::string& transform, const std::vector<float>& x) {
  TestModel model;
  model.input("x", {-1, 2}).output("label").output("scores");
  auto node = model.node("TreeEnsembleClassifier", {"x"}, {"label", "scores"});
  stumps(node, "BRANCH_LEQ", "class", classes);
  node.attribute("classlabels_int64s", labels).attribute("post_transform", transform);
  for (auto& a : *node.proto()->mutable_attribute())
    if (a.name() == "class_weights")
      for (int i = 0; i < 4; ++i) a.set_floats(i, weights[static_cast<std::size_t>(i)]);
  return run(model, x);
}

TEST(TreeEnsembles, ClassifyTwoClassesByOneMargin) {
  const auto out = classify({1, 1, 1, 1}, {0, 1}, {-1, 1, 0.25F, -3}, "LOGISTIC", {0, 0, 2, 0, 2, 3});
  ASSERT_EQ(out.size(), 2U);
  EXPECT_EQ(out[0], (std::vector<float>{0, 1, 0}));
  const std::vector<double> margins{-0.75, 1.25, -2};
  for (std::size_t i = 0; i < margins.size(); ++i) {
    EXPECT_NEAR(out[1][2 * i], 1 / (1 + std::exp(margins[i])), 1e-6);
    EXPECT_NEAR(out[1][2 * i + 1], 1 / (1 + std::exp(-margins[i])), 1e-6);
  }
  // Weights that are not negative are probabilities: no transform, the label from 0.5 on.
  const auto sure = classify({1, 1, 1, 1}, {0, 1}, {0.25F, 0.5F, 0.125F, 0.25F}, "NONE", {0, 0, 2, 0, 2, 3});
  EXPECT_EQ(sure[0], (std::vector<float>{0, 1, 1}));
  EXPECT_EQ(sure[1], (std::vector<float>{0.625F, 0.375F, 0.375F, 0.625F, 0.25F, 0.75F}));
}

TEST(TreeEnsembles, ClassifyManyClasses) {
  const auto out = classify({0, 2, 1, 2}, {4, 5, 7}, {1, 2, 3, 4}, "NONE", {0, 0, 2, 0, 2, 3});
  EXPECT_EQ(out[1], (std::vector<float>{1, 3, 0, 0, 3, 2, 0, 0, 6}));
  EXPECT_EQ(out[0], (std::vector<float>{1, 1, 2}));
}

TEST(TreeEnsembles, ReadTheNewerForm) {
  TestModel model;
  model.input("x", {-1, 2}).output("y");
  auto node = model.node("TreeEnsemble", {"x"}, {"y"});
  // Tree 0: x0 in {1, 3} ? (x1 < 0.5 ? 1 : 2) : 4, tree 1: x1 in {2} ? 10 : 20.
  node.domain("ai.onnx.ml")
      .attribute("tree_roots", Ints{0, 2})
      .attribute("n_targets", std::int64_t{1})
      .attribute("nodes_featureids", Ints{0, 1, 1})
      .attribute("nodes_truenodeids", Ints{1, 0, 3})
      .attribute("nodes_falsenodeids", Ints{2, 1, 4})
      .attribute("nodes_trueleafs", Ints{0, 1, 1})
      .attribute("nodes_falseleafs", Ints{1, 1, 1})
      .attribute("leaf_targetids", Ints{0, 0, 0, 0, 0});
  tensor(node, "nodes_modes", {6, 1, 6});
  tensor(node, "nodes_splits", {0, 0.5F, 0});
  tensor(node, "leaf_weights", {1, 2, 4, 10, 20});
  tensor(node, "membership_values", {1, 3, kNaN, 2, kNaN});
  EXPECT_EQ(run(model, {1, 0, 3, 0.5F, 3, 2, 2, 0, 2, 2}).at(0), (std::vector<float>{21, 22, 12, 24, 14}));
}

TEST(TreeEnsembles, RefuseWhatDoesNotFit) {
  const auto broken = [](const std::function<void(TestNode&)>& change) {
    TestModel model;
    model.input("x", {-1, 2}).output("y");
    auto node = model.node("TreeEnsembleRegressor", {"x"}, {"y"});
    stumps(node, "BRANCH_LEQ", "target");
    change(node);
    const Read read = read_model(model);
    EXPECT_FALSE(read.graph.has_value());
    return read.text();
  };
  const auto set = [](const std::string& name, int at, std::int64_t value) {
    return [=](TestNode& node) {
      for (auto& a : *node.proto()->mutable_attribute())
        if (a.name() == name) a.set_ints(at, value);
    };
  };
  EXPECT_NE(broken(set("nodes_truenodeids", 0, 9)).find("child"), std::string::npos);
  EXPECT_NE(broken(set("nodes_truenodeids", 0, 0)).find("two parents"), std::string::npos);
  EXPECT_NE(broken(set("nodes_featureids", 0, 2)).find("feature 2 of 2"), std::string::npos);
  EXPECT_NE(broken(set("nodes_nodeids", 1, 0)).find("two nodes 0"), std::string::npos);
  EXPECT_NE(broken(set("target_ids", 0, 1)).find("target 1 of 1"), std::string::npos);
  EXPECT_NE(broken(set("target_nodeids", 0, 0)).find("no leaf"), std::string::npos);
  EXPECT_NE(broken([](TestNode& node) { node.attribute("post_transform", "PROBIT"); }).find("PROBIT"),
            std::string::npos);
  EXPECT_NE(broken([](TestNode& node) { node.attribute("n_targets", std::int64_t{0}); }).find("0 targets"),
            std::string::npos);
}

}  // namespace
}  // namespace weft::formats::onnx
