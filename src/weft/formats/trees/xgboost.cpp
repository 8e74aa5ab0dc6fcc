// SPDX-License-Identifier: Apache-2.0
// XGBoost's JSON and UBJSON models (1.0 and newer). A node goes left when x < split_condition in float32; categories
// of a node go right; missing values go where default_left says. Margins are float32 sums in the order of the trees
// that begin with the base score as a margin.
#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "weft/formats/trees/ensemble.h"

namespace weft::formats::trees {
namespace {

using layers::TreeMissing;
using layers::TreeNode;
using layers::TreeTest;
using support::Json;

/// JSON with the place in the file remembered; the first problem is kept.
class Reader {
 public:
  explicit Reader(std::string what = {}) : error_(std::move(what)) {}
  [[nodiscard]] const std::string& error() const { return error_; }
  [[nodiscard]] bool failed() const { return !error_.empty(); }
  void fail(std::string what) {
    if (error_.empty()) error_ = std::move(what);
  }

  const Json& member(const Json& object, const char* key) {
    static const Json null;
    if (!object.is_object() || !object.contains(key)) {
      fail(fmt::format("`{}` is missing", key));
      return null;
    }
    return object[key];
  }
  /// Numbers also come as text ("5E-1", "10").
  double real(const Json& j, const char* what) {
    if (j.is_number()) return j.get<double>();
    if (j.is_boolean()) return j.get<bool>() ? 1.0 : 0.0;
    if (j.is_string()) {
      const auto& text = j.get_ref<const std::string&>();
      double out = 0;
      const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out);
      if (error == std::errc() && end == text.data() + text.size()) return out;
    }
    fail(fmt::format("`{}` is no number", what));
    return 0;
  }
  std::int64_t integer(const Json& j, const char* what) {
    const double v = real(j, what);
    if (!(std::fabs(v) < 9e15) || v != std::floor(v)) {
      fail(fmt::format("`{}` is no integer", what));
      return 0;
    }
    return static_cast<std::int64_t>(v);
  }
  std::vector<double> reals(const Json& object, const char* key) {
    std::vector<double> out;
    const Json& list = member(object, key);
    if (!list.is_array()) {
      fail(fmt::format("`{}` is no list", key));
      return out;
    }
    out.reserve(list.size());
    for (const auto& j : list) out.push_back(real(j, key));
    return out;
  }
  std::vector<std::int64_t> integers(const Json& object, const char* key) {
    std::vector<std::int64_t> out;
    for (const double v : reals(object, key)) {
      if (!(std::fabs(v) < 9e15) || v != std::floor(v)) fail(fmt::format("`{}` holds {}", key, v));
      out.push_back(failed() ? 0 : static_cast<std::int64_t>(v));
    }
    return out;
  }
  std::vector<std::int64_t> integers_or_none(const Json& object, const char* key) {
    return object.is_object() && object.contains(key) ? integers(object, key) : std::vector<std::int64_t>{};
  }

 private:
  std::string error_;
};

/// The sets of categories by node.
std::vector<std::int64_t> categories_of(const Json& json, std::size_t n, layers::Trees& trees, Reader& r) {
  std::vector<std::int64_t> set(n, -1);
  const auto nodes = r.integers_or_none(json, "categories_nodes");
  if (nodes.empty()) return set;
  const auto segments = r.integers(json, "categories_segments");
  const auto sizes = r.integers(json, "categories_sizes");
  const auto categories = r.integers(json, "categories");
  if (r.failed()) return set;
  if (segments.size() != nodes.size() || sizes.size() != nodes.size()) {
    r.fail("the lists of categories differ in length");
    return set;
  }
  for (std::size_t i = 0; i < nodes.size(); ++i) {
    const auto all = static_cast<std::int64_t>(categories.size());
    if (nodes[i] < 0 || nodes[i] >= static_cast<std::int64_t>(n) || segments[i] < 0 || sizes[i] < 0 ||
        segments[i] > all || sizes[i] > all - segments[i]) {
      r.fail("the categories of a node do not exist");
      return set;
    }
    std::vector<double> members(categories.begin() + segments[i], categories.begin() + segments[i] + sizes[i]);
    std::sort(members.begin(), members.end());
    set[static_cast<std::size_t>(nodes[i])] = static_cast<std::int64_t>(trees.sets.size());
    trees.sets.push_back(std::move(members));
  }
  return set;
}

/// The largest number of leaves' values; a claim cannot grow beyond what its lists hold.
LooseTree tree_of(const Json& json, layers::Trees& trees, Reader& r) {
  LooseTree out;
  const auto left = r.integers(json, "left_children");
  const auto right = r.integers(json, "right_children");
  const auto feature = r.integers(json, "split_indices");
  const auto condition = r.reals(json, "split_conditions");
  const auto default_left = r.integers(json, "default_left");
  const auto type = r.integers_or_none(json, "split_type");
  const Json& param = r.member(json, "tree_param");
  const std::int64_t vector = param.is_object() && param.contains("size_leaf_vector")
                                  ? std::max<std::int64_t>(r.integer(param["size_leaf_vector"], "size_leaf_vector"), 1)
                                  : 1;
  const std::size_t n = left.size();
  if (r.failed()) return out;
  if (right.size() != n || feature.size() != n || condition.size() != n || default_left.size() != n ||
      (!type.empty() && type.size() != n)) {
    r.fail("the lists of a tree differ in length");
    return out;
  }
  std::vector<double> weights;
  if (vector > 1) {
    weights = r.reals(json, "base_weights");
    if (!r.failed() && weights.size() / static_cast<std::size_t>(vector) != n)
      r.fail("leaves with several values lack some of them");
  }
  const auto set = categories_of(json, n, trees, r);
  if (r.failed()) return out;
  out.nodes.resize(n);
  for (std::size_t i = 0; i < n; ++i) {
    auto& node = out.nodes[i];
    node.is_leaf = left[i] == -1;
    if (node.is_leaf) {
      if (vector == 1) {
        node.leaf = {static_cast<double>(static_cast<float>(condition[i]))};
      } else {
        for (std::int64_t j = 0; j < vector; ++j)
          node.leaf.push_back(
              static_cast<float>(weights[i * static_cast<std::size_t>(vector) + static_cast<std::size_t>(j)]));
      }
      continue;
    }
    TreeNode& t = node.test;
    t.feature = feature[i];
    if (feature[i] < 0 || feature[i] >= trees.n_in) r.fail(fmt::format("feature {} of {}", feature[i], trees.n_in));
    if (!type.empty() && type[i] == 1) {
      // Categories of the node go right; so does nothing else but, by default, the missing ones.
      t.test = TreeTest::Category;
      t.set = set[i];
      if (set[i] < 0) r.fail("a categorical node without categories");
      t.yes = right[i];
      t.no = left[i];
      t.missing = default_left[i] != 0 ? TreeMissing::No : TreeMissing::Yes;
    } else {
      t.test = TreeTest::Less;
      t.threshold = static_cast<float>(condition[i]);
      t.yes = left[i];
      t.no = right[i];
      t.missing = default_left[i] != 0 ? TreeMissing::Yes : TreeMissing::No;
    }
  }
  return out;
}

/// "5E-1", 0.5, "[5E-1]" or one score per output.
std::vector<double> base_scores(const Json& j, Reader& r) {
  if (j.is_array()) {
    std::vector<double> out;
    for (const auto& item : j) out.push_back(r.real(item, "base_score"));
    return out;
  }
  if (j.is_string() && j.get_ref<const std::string&>().starts_with("[")) {
    std::vector<double> out;
    const std::string text = j.get<std::string>();
    std::size_t at = 1;
    while (at < text.size() && text[at] != ']') {
      const std::size_t end = text.find_first_of(",]", at);
      out.push_back(r.real(Json(text.substr(at, end == std::string::npos ? end : end - at)), "base_score"));
      if (end == std::string::npos || text[end] == ']') break;
      at = end + 1;
      while (at < text.size() && text[at] == ' ') ++at;
    }
    return out;
  }
  return {r.real(j, "base_score")};
}

}  // namespace

const std::vector<XgboostObjective>& xgboost_objectives() {
  using B = XgboostObjective::Base;
  static const std::vector<XgboostObjective> rows = {{"binary:logistic", Transform::Sigmoid, B::Logit},
                                                     {"binary:logitraw", Transform::Identity, B::Margin},
                                                     {"count:poisson", Transform::Exponential, B::Log},
                                                     {"multi:softmax", Transform::ArgMax, B::Margin},
                                                     {"multi:softprob", Transform::Softmax, B::Margin},
                                                     {"rank:map", Transform::Identity, B::Margin},
                                                     {"rank:ndcg", Transform::Identity, B::Margin},
                                                     {"rank:pairwise", Transform::Identity, B::Margin},
                                                     {"reg:absoluteerror", Transform::Identity, B::Margin},
                                                     {"reg:gamma", Transform::Exponential, B::Log},
                                                     {"reg:linear", Transform::Identity, B::Margin},
                                                     {"reg:logistic", Transform::Sigmoid, B::Logit},
                                                     {"reg:pseudohubererror", Transform::Identity, B::Margin},
                                                     {"reg:quantileerror", Transform::Identity, B::Margin},
                                                     {"reg:squarederror", Transform::Identity, B::Margin},
                                                     {"reg:squaredlogerror", Transform::Identity, B::Margin},
                                                     {"reg:tweedie", Transform::Exponential, B::Log},
                                                     {"survival:aft", Transform::Exponential, B::Log},
                                                     {"survival:cox", Transform::Exponential, B::Log}};
  return rows;
}

Result<const XgboostObjective*> find_xgboost_objective(const std::string& objective, const Origin& origin,
                                                       Context& ctx) {
  for (const auto& row : xgboost_objectives())
    if (row.name == objective) return &row;
  return ctx.fail(Kind::LayerUnsupported, origin,
                  fmt::format("the objective `{}` is not known; train with one of those that `weft ops` lists",
                              objective.substr(0, 100)));
}

float base_margin(const XgboostObjective& objective, float score) {
  switch (objective.base) {
    case XgboostObjective::Base::Margin:
      return score;
    case XgboostObjective::Base::Logit:
      return -std::log(1.0F / score - 1.0F);
    case XgboostObjective::Base::Log:
      return std::log(score);
  }
  return score;
}

Result<Ensemble> read_xgboost_json(const Json& json, const std::string& name, Context& ctx) {
  const Origin origin{.file = name, .op = "XGBoost"};
  Reader r;
  const Json& learner = r.member(json, "learner");
  const Json& param = r.member(learner, "learner_model_param");
  Ensemble out;
  out.library = "XGBoost";
  out.trees.n_in = r.integer(r.member(param, "num_feature"), "num_feature");
  std::int64_t outputs = r.integer(r.member(param, "num_class"), "num_class");
  if (param.is_object() && param.contains("num_target"))
    outputs = std::max(outputs, r.integer(param["num_target"], "num_target"));
  outputs = std::max<std::int64_t>(outputs, 1);
  out.trees.n_out = outputs;
  const auto scores = base_scores(r.member(param, "base_score"), r);
  const Json& objective = r.member(r.member(learner, "objective"), "name");
  const Json& booster = r.member(learner, "gradient_booster");
  const Json& kind = r.member(booster, "name");
  if (!r.failed() && (!objective.is_string() || !kind.is_string())) r.fail("a name is no text");
  if (r.failed()) return ctx.fail(Kind::ModelMalformed, origin, r.error());
  if (out.trees.n_in < 1 || out.trees.n_in > kMaxFeatures || outputs > kMaxOutputs)
    return ctx.fail(Kind::LimitExceeded, origin,
                    fmt::format("{} features and {} outputs are out of bounds", out.trees.n_in, outputs));
  out.objective = objective.get<std::string>();
  const bool dart = kind == "dart";
  if (!dart && kind != "gbtree")
    return ctx.fail(Kind::LayerUnsupported, origin,
                    fmt::format("the booster `{}` is no set of trees; train with gbtree or dart",
                                kind.get<std::string>().substr(0, 100)));
  WEFT_TRY(const auto* row, find_xgboost_objective(out.objective, origin, ctx));
  out.transform = row->transform;
  if (scores.size() != 1 && static_cast<std::int64_t>(scores.size()) != outputs)
    return ctx.fail(Kind::ModelMalformed, origin, fmt::format("{} base scores for {} outputs", scores.size(), outputs));
  for (std::int64_t o = 0; o < outputs; ++o)
    out.trees.base.push_back(
        base_margin(*row, static_cast<float>(scores[scores.size() == 1 ? 0 : static_cast<std::size_t>(o)])));
  const Json& model = r.member(dart ? r.member(booster, "gbtree") : booster, "model");
  const Json& trees = r.member(model, "trees");
  const auto info = r.integers(model, "tree_info");
  std::vector<double> drop;
  if (dart) drop = r.reals(booster, "weight_drop");
  if (!r.failed() && (!trees.is_array() || trees.size() != info.size() || (dart && drop.size() != info.size())))
    r.fail("the lists of trees differ in length");
  for (std::size_t i = 0; !r.failed() && i < info.size(); ++i) {
    if (ctx.cancelled()) return ctx.fail(Kind::Cancelled, origin, "reading was cancelled");
    LooseTree tree = tree_of(trees[i], out.trees, r);
    if (r.failed()) break;
    tree.first = info[i];
    if (dart)
      for (auto& node : tree.nodes)
        for (double& leaf : node.leaf) leaf = static_cast<float>(leaf) * static_cast<float>(drop[i]);
    if (auto error = layers::append_tree(out.trees, tree); !error.empty()) {
      r.fail(fmt::format("tree {}: {}", i, error));
    } else if (out.trees.trees.back().width > 1) {
      out.trees.trees.back().first = 0;
    }
  }
  if (r.failed()) return ctx.fail(Kind::ModelMalformed, origin, r.error());
  if (out.trees.trees.empty()) return ctx.fail(Kind::ModelMalformed, origin, "the model has no trees");
  return out;
}

}  // namespace weft::formats::trees
