// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/trees/trees.h"

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <functional>
#include <limits>

#include "weft/layers/float_run.h"
#include "weft/layers/layer.h"
#include "weft/support/json.h"

namespace weft::formats::trees {
namespace {

using support::Json;

constexpr float kNaN = std::numeric_limits<float>::quiet_NaN();

struct Read {
  std::optional<nn::Graph> graph;
  std::vector<diag::Diagnostic> diagnostics;
};

Read read(const std::string& bytes) {
  Read out;
  diag::Engine engine;
  Context ctx{engine};
  auto graph = read_trees_bytes(bytes, "model", ctx);
  if (graph && layers::check(*graph, ctx)) out.graph = std::move(*graph);
  out.diagnostics = engine.all();
  return out;
}

std::string why(const std::string& bytes) {
  const Read r = read(bytes);
  EXPECT_FALSE(r.graph.has_value());
  return r.diagnostics.empty() ? "" : r.diagnostics.back().message;
}

std::vector<float> predict(const nn::Graph& graph, const std::vector<float>& x) {
  diag::Engine engine;
  Context ctx{engine};
  const auto n = element_count(graph.tensors[0].shape);
  const auto tensors = layers::run_float(graph, {x}, static_cast<std::int64_t>(x.size()) / n, ctx);
  EXPECT_TRUE(tensors.ok());
  return tensors ? (*tensors)[graph.outputs[0].tensor.index] : std::vector<float>{};
}

/// Two trees over two features: f0 < 0.5, then a set of categories of f1; the second one is a single leaf.
Json xgboost() {
  Json tree = {{"left_children", {1, 3, -1, -1, -1}},
               {"right_children", {2, 4, -1, -1, -1}},
               {"split_indices", {0, 1, 0, 0, 0}},
               {"split_conditions", {0.5, 0.0, 8.0, 1.0, 2.0}},
               {"default_left", {1, 0, 0, 0, 0}},
               {"split_type", {0, 1, 0, 0, 0}},
               {"categories_nodes", {1}},
               {"categories_segments", {0}},
               {"categories_sizes", {2}},
               {"categories", {1, 3}},
               {"tree_param", {{"num_nodes", "5"}, {"size_leaf_vector", "0"}}}};
  Json leaf = {{"left_children", {-1}},      {"right_children", {-1}}, {"split_indices", {0}},
               {"split_conditions", {0.25}}, {"default_left", {0}},    {"tree_param", {{"num_nodes", "1"}}}};
  return {{"learner",
           {{"gradient_booster", {{"model", {{"trees", {tree, leaf}}, {"tree_info", {0, 0}}}}, {"name", "gbtree"}}},
            {"learner_model_param", {{"base_score", "5E-1"}, {"num_class", "0"}, {"num_feature", "2"}}},
            {"objective", {{"name", "reg:squarederror"}}}}},
          {"version", {2, 1, 0}}};
}

std::string ubjson(const Json& j) {
  const auto number = [](std::uint64_t v, int bytes) {
    std::string out;
    for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>(v >> (8 * i));
    return out;
  };
  const auto text = [&](const std::string& s) { return "L" + number(s.size(), 8) + s; };
  if (j.is_object()) {
    std::string out = "{";
    for (const auto& [key, value] : j.items()) out += text(key) + ubjson(value);
    return out + "}";
  }
  if (j.is_array()) {
    // Typed, as XGBoost writes numbers.
    if (!j.empty() && std::all_of(j.begin(), j.end(), [](const Json& v) { return v.is_number_integer(); })) {
      std::string out = "[$l#L" + number(j.size(), 8);
      for (const auto& v : j) out += number(static_cast<std::uint32_t>(v.get<std::int32_t>()), 4);
      return out;
    }
    if (!j.empty() && std::all_of(j.begin(), j.end(), [](const Json& v) { return v.is_number(); })) {
      std::string out = "[$d#L" + number(j.size(), 8);
      for (const auto& v : j) out += number(std::bit_cast<std::uint32_t>(v.get<float>()), 4);
      return out;
    }
    std::string out = "[";
    for (const auto& v : j) out += ubjson(v);
    return out + "]";
  }
  if (j.is_string()) return "S" + text(j.get<std::string>());
  return "l" + number(static_cast<std::uint32_t>(j.get<std::int32_t>()), 4);
}

const std::string kLightgbm =
    "tree\nversion=v4\nnum_class=1\nnum_tree_per_iteration=1\nmax_feature_idx=1\nobjective=regression\n\n"
    "Tree=0\nnum_leaves=3\nnum_cat=1\nsplit_feature=0 1\nthreshold=0.5 0\ndecision_type=10 1\nleft_child=1 -1\n"
    "right_child=-2 -3\nleaf_value=1.5 -2 0.25\ncat_boundaries=0 2\ncat_threshold=2 1\nshrinkage=1\n\n"
    "end of trees\n";

TEST(Xgboost, ReadsJsonAndUbjsonAlike) {
  const Read json = read(xgboost().dump());
  const Read ubj = read(ubjson(xgboost()));
  ASSERT_TRUE(json.graph && ubj.graph);
  EXPECT_EQ(json.graph->nodes[0].attributes, ubj.graph->nodes[0].attributes);
  // Categories 1 and 3 go right (2), others and what is missing left (1), unless f0 >= 0.5 (8); the base and the second
  // tree add 0.75.
  const std::vector<float> x{0, 1, 0, 3, 0, 2, 0, -1, 0, 1.5F, 0.5F, 1, kNaN, 3, 0, kNaN};
  EXPECT_EQ(predict(*json.graph, x), (std::vector<float>{2.75F, 2.75F, 1.75F, 1.75F, 2.75F, 8.75F, 2.75F, 2.75F}));
}

TEST(Xgboost, TurnsBaseScoresIntoMargins) {
  Json model = xgboost();
  model["learner"]["objective"]["name"] = "binary:logistic";
  model["learner"]["learner_model_param"]["base_score"] = "[2.5E-1]";
  const Read r = read(model.dump());
  ASSERT_TRUE(r.graph.has_value());
  EXPECT_EQ(get_doubles(r.graph->nodes[0].attributes, "base"),
            std::vector<double>{static_cast<double>(-std::log(1.0F / 0.25F - 1.0F))});
  EXPECT_EQ(r.graph->nodes[1].op, "Link");
  model["learner"]["objective"]["name"] = "count:poisson";
  const Read poisson = read(model.dump());
  ASSERT_TRUE(poisson.graph.has_value());
  EXPECT_EQ(get_doubles(poisson.graph->nodes[0].attributes, "base"),
            std::vector<double>{static_cast<double>(std::log(0.25F))});
}

TEST(Xgboost, RefusesByName) {
  Json model = xgboost();
  model["learner"]["objective"]["name"] = "binary:hinge";
  EXPECT_NE(why(model.dump()).find("binary:hinge"), std::string::npos);
  model = xgboost();
  model["learner"]["gradient_booster"]["name"] = "gblinear";
  EXPECT_NE(why(model.dump()).find("gblinear"), std::string::npos);
}

TEST(Xgboost, RefusesWhatDoesNotFitTogether) {
  const auto broken = [](const std::function<void(Json&)>& change) {
    Json model = xgboost();
    change(model);
    return why(model.dump());
  };
  const auto tree = [](Json& m) -> Json& { return m["learner"]["gradient_booster"]["model"]["trees"][0]; };
  EXPECT_NE(broken([&](Json& m) { tree(m)["left_children"][0] = 0; }).find("two parents"), std::string::npos);
  EXPECT_NE(broken([&](Json& m) { tree(m)["right_children"][0] = 9; }).find("child 9"), std::string::npos);
  EXPECT_NE(broken([&](Json& m) { tree(m)["split_indices"][0] = 2; }).find("feature 2 of 2"), std::string::npos);
  EXPECT_NE(broken([&](Json& m) { tree(m)["default_left"].erase(0); }).find("differ in length"), std::string::npos);
  EXPECT_NE(broken([&](Json& m) { tree(m)["categories_sizes"][0] = 5; }).find("categories"), std::string::npos);
  EXPECT_NE(broken([&](Json& m) { tree(m).erase("tree_param"); }).find("tree_param"), std::string::npos);
  EXPECT_NE(broken([&](Json& m) {
              m["learner"]["learner_model_param"]["num_feature"] = "99999999999";
            }).find("out of bounds"),
            std::string::npos);
  EXPECT_NE(broken([&](Json& m) { m["learner"]["gradient_booster"]["model"]["tree_info"] = {0, 7}; }).find("outputs"),
            std::string::npos);
}

TEST(Xgboost, UbjsonClaimsNoMoreThanItHolds) {
  const std::string whole = ubjson(xgboost());
  for (std::size_t n = 64; n < whole.size(); n += 7) {
    const Read r = read(whole.substr(0, n));
    EXPECT_FALSE(r.graph.has_value()) << n;
  }
  std::string claim = whole;
  const auto at = claim.find("[$l#L");
  claim[at + 5] = 0x7f;
  EXPECT_NE(why(claim).find("more than the file holds"), std::string::npos);
  // A list of values without bytes would be made of nothing.
  claim = whole;
  claim.replace(at, 5, "[$Z#L");
  EXPECT_NE(why(claim).find("without bytes"), std::string::npos);
  const std::string deep = "{L" + std::string(7, '\0') + "\x07learner" + std::string(100000, '[') + "gradient_booster";
  EXPECT_NE(why(deep).find("nested too deeply"), std::string::npos);
}

TEST(Xgboost, ReadsDumps) {
  const Read r = read(
      "booster[0]:\n0:[f0<0.5] yes=1,no=2,missing=2\n\t1:[f2<-1] yes=3,no=4,missing=3\n\t\t3:leaf=1\n\t\t4:leaf=2\n"
      "\t2:leaf=4\nbooster[1]:\n0:leaf=0.5\n");
  ASSERT_TRUE(r.graph.has_value());
  EXPECT_EQ(predict(*r.graph, {0, 0, -2, 0, 0, kNaN, 0, 0, -1, 1, 0, 0, kNaN, 0, 0}),
            (std::vector<float>{1.5F, 1.5F, 2.5F, 4.5F, 4.5F}));
  EXPECT_NE(why("0:[age<0.5] yes=1,no=2,missing=2\n").find("without a feature map"), std::string::npos);
  EXPECT_NE(why("0:[f0<0.5] yes=1,no=2,missing=2\n1:leaf=1\n").find("no child 2"), std::string::npos);
  EXPECT_NE(why("0:leaf=1\n7 leaf=2\n").find("colon"), std::string::npos);
}

TEST(Lightgbm, ReadsNumbersCategoriesAndMissingValues) {
  const Read r = read(kLightgbm);
  ASSERT_TRUE(r.graph.has_value());
  // Type 10: missing is NaN, to the left. Categories 1 and 32 go left to leaf 0, others to leaf 2.
  EXPECT_EQ(predict(*r.graph, {0.5F, 1, 0.5F, 32, 0.5F, 2, 0.6F, 1, kNaN, 1, 0, kNaN, 0, -1, 0, 1.9F}),
            (std::vector<float>{1.5F, 1.5F, 0.25F, -2, 1.5F, 0.25F, 0.25F, 1.5F}));
  // Type 4 and 6: zero is missing; type 0: nothing is, NaN is zero.
  const auto typed = [](const std::string& type) {
    std::string text = kLightgbm;
    text.replace(text.find("decision_type=10"), 16, "decision_type=" + type);
    return read(text);
  };
  EXPECT_EQ(predict(*typed("4").graph, {0, 1, kNaN, 1, 0.4F, 1}), (std::vector<float>{-2, -2, 1.5F}));
  EXPECT_EQ(predict(*typed("6").graph, {0, 1, kNaN, 1, 0.6F, 1}), (std::vector<float>{1.5F, 1.5F, -2}));
  EXPECT_EQ(predict(*typed("0").graph, {kNaN, 1, 0.6F, 1}), (std::vector<float>{1.5F, -2}));
}

TEST(Lightgbm, RefusesByNameAndWhatDoesNotFit) {
  const auto changed = [](const std::string& from, const std::string& to) {
    std::string text = kLightgbm;
    text.replace(text.find(from), from.size(), to);
    return why(text);
  };
  EXPECT_NE(changed("objective=regression", "objective=cross_entropy_lambda").find("cross_entropy_lambda"),
            std::string::npos);
  EXPECT_NE(changed("shrinkage=1", "is_linear=1").find("linear"), std::string::npos);
  EXPECT_NE(changed("num_leaves=3", "num_leaves=4").find("leaf_value"), std::string::npos);
  EXPECT_NE(changed("num_leaves=3", "num_leaves=99999999999").find("leaves"), std::string::npos);
  EXPECT_NE(changed("cat_boundaries=0 2", "cat_boundaries=0 9999999").find("cat_boundaries"), std::string::npos);
  EXPECT_NE(changed("left_child=1 -1", "left_child=1 -9").find("child"), std::string::npos);
  EXPECT_NE(changed("split_feature=0 1", "split_feature=0 2").find("feature 2 of 2"), std::string::npos);
  EXPECT_NE(changed("threshold=0.5 0", "threshold=nan 0").find("NaN"), std::string::npos);
}

}  // namespace
}  // namespace weft::formats::trees
