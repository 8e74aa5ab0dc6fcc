// SPDX-License-Identifier: Apache-2.0
// Tree ensembles of ai.onnx.ml as a Forest, and behind it what post_transform and the classifier say. Sums are float32
// in the order of the trees, the base value is added to the aggregate.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "weft/formats/onnx/operators.h"
#include "weft/layers/forest.h"

namespace weft::formats::onnx::ops {
namespace {

using layers::LooseTree;
using layers::TreeAggregate;
using layers::TreeMissing;
using layers::Trees;
using layers::TreeTest;

enum class Transform { None, Softmax, Logistic, SoftmaxZero, Probit };

/// What the three operators have in common.
struct Ensemble {
  Trees trees;
  Transform transform = Transform::None;
};

diag::Failure malformed(const Call& call, const std::string& what) { return call.fail(Kind::ModelMalformed, what); }

/// Float attribute `name`, or the tensor attribute `name`_as_tensor.
Result<std::vector<double>> numbers(const Call& call, const std::string& name) {
  std::vector<float> out;
  if (const auto it = call.attributes.find(name); it != call.attributes.end()) {
    if (it->second.type == AttributeType::Tensor) {
      if (it->second.tensor->element == Element::Float64)
        return call.fail(Kind::AttributeUnsupported,
                         fmt::format("`{}` is of double precision; convert the model with float32 inputs", name));
      out = as_floats(*it->second.tensor);
    } else if (it->second.type == AttributeType::Floats) {
      out = it->second.floats;
    } else if (!it->second.ints.empty() || it->second.type == AttributeType::Other) {
      return malformed(call, fmt::format("attribute `{}` is no list of numbers", name));
    }
  }
  if (out.empty() && call.has_attribute(name + "_as_tensor")) return numbers(call, name + "_as_tensor");
  return std::vector<double>(out.begin(), out.end());
}

Result<Transform> transform_named(const Call& call, const std::string& name) {
  static const std::map<std::string, Transform> known = {{"NONE", Transform::None},
                                                         {"SOFTMAX", Transform::Softmax},
                                                         {"LOGISTIC", Transform::Logistic},
                                                         {"SOFTMAX_ZERO", Transform::SoftmaxZero},
                                                         {"PROBIT", Transform::Probit}};
  const auto it = known.find(name);
  if (it == known.end()) return malformed(call, fmt::format("post_transform `{}`", name));
  return it->second;
}

std::optional<TreeTest> test_named(const std::string& mode) {
  static const std::map<std::string, TreeTest> known = {
      {"BRANCH_LEQ", TreeTest::LessEqual}, {"BRANCH_LT", TreeTest::Less},  {"BRANCH_GTE", TreeTest::GreaterEqual},
      {"BRANCH_GT", TreeTest::Greater},    {"BRANCH_EQ", TreeTest::Equal}, {"BRANCH_NEQ", TreeTest::NotEqual}};
  const auto it = known.find(mode);
  if (it == known.end()) return std::nullopt;
  return it->second;
}

/// The weights of a leaf on its targets.
using Weights = std::vector<std::pair<std::int64_t, double>>;

/// Gives the leaves of a tree one list of the targets that any of them names.
Result<void> set_leaves(const Call& call, LooseTree& tree, const std::map<std::size_t, Weights>& weights,
                        const Trees& trees) {
  std::int64_t first = trees.n_out;
  std::int64_t last = -1;
  for (const auto& [node, list] : weights)
    for (const auto& [target, weight] : list) {
      if (target < 0 || target >= trees.n_out)
        return malformed(call, fmt::format("target {} of {}", target, trees.n_out));
      first = std::min(first, target);
      last = std::max(last, target);
    }
  if (last < 0) first = last = 0;
  tree.first = first;
  const auto width = static_cast<std::size_t>(last - first + 1);
  if (width > 1) WEFT_TRY_VOID(call.spend_elements({static_cast<std::int64_t>(tree.nodes.size() * width)}));
  const bool extremes = trees.aggregate == TreeAggregate::Min || trees.aggregate == TreeAggregate::Max;
  for (std::size_t i = 0; i < tree.nodes.size(); ++i) {
    auto& node = tree.nodes[i];
    if (!node.is_leaf) continue;
    node.leaf.assign(width, 0.0);
    std::vector<bool> given(width, false);
    if (const auto it = weights.find(i); it != weights.end())
      for (const auto& [target, weight] : it->second) {
        const auto at = static_cast<std::size_t>(target - first);
        if (!std::isfinite(weight)) return malformed(call, fmt::format("a leaf weighs {}", weight));
        if (given[at]) return malformed(call, "a leaf has two weights for one target");
        given[at] = true;
        node.leaf[at] = weight;
      }
    if (extremes && std::find(given.begin(), given.end(), false) != given.end())
      return call.fail(Kind::AttributeUnsupported,
                       "a minimum or maximum over trees whose leaves say nothing about some targets is not supported");
  }
  return {};
}

/// Nodes, leaves and trees of the two older operators; weights come from <prefix>_ids, _nodeids, _treeids, _weights.
Result<void> read_nodes(const Call& call, const std::string& prefix, Trees& trees) {
  WEFT_TRY(const auto tree_ids, call.get_ints("nodes_treeids"));
  WEFT_TRY(const auto node_ids, call.get_ints("nodes_nodeids"));
  WEFT_TRY(const auto features, call.get_ints("nodes_featureids"));
  WEFT_TRY(const auto yes, call.get_ints("nodes_truenodeids"));
  WEFT_TRY(const auto no, call.get_ints("nodes_falsenodeids"));
  WEFT_TRY(auto missing, call.get_ints("nodes_missing_value_tracks_true"));
  WEFT_TRY(const auto values, numbers(call, "nodes_values"));
  const auto modes_at = call.attributes.find("nodes_modes");
  const std::size_t n = tree_ids.size();
  if (missing.empty()) missing.assign(n, 0);
  if (modes_at == call.attributes.end() || modes_at->second.strings.size() != n || node_ids.size() != n ||
      features.size() != n || yes.size() != n || no.size() != n || values.size() != n || missing.size() != n)
    return malformed(call, "the lists of nodes differ in length");
  const auto& modes = modes_at->second.strings;
  // Trees in the order in which they first occur; nodes by their numbers, the first one is the root.
  std::map<std::int64_t, std::size_t> tree_at;
  std::vector<LooseTree> loose;
  std::vector<std::map<std::int64_t, std::size_t>> node_at;
  for (std::size_t i = 0; i < n; ++i) {
    const auto [it, is_new] = tree_at.emplace(tree_ids[i], loose.size());
    if (is_new) {
      loose.emplace_back();
      node_at.emplace_back();
    }
    auto& nodes = loose[it->second].nodes;
    if (!node_at[it->second].emplace(node_ids[i], nodes.size()).second)
      return malformed(call, fmt::format("tree {} has two nodes {}", tree_ids[i], node_ids[i]));
    LooseTree::Node node;
    node.is_leaf = modes[i] == "LEAF";
    if (!node.is_leaf) {
      const auto test = test_named(modes[i]);
      if (!test) return malformed(call, fmt::format("node mode `{}`", modes[i].substr(0, 40)));
      if (features[i] < 0 || features[i] >= trees.n_in)
        return malformed(call, fmt::format("feature {} of {}", features[i], trees.n_in));
      node.test.test = *test;
      node.test.feature = features[i];
      node.test.threshold = values[i];
      node.test.missing = missing[i] != 0 ? TreeMissing::Yes : TreeMissing::No;
      node.test.yes = yes[i];
      node.test.no = no[i];
    }
    nodes.push_back(std::move(node));
  }
  WEFT_TRY(const auto targets, call.get_ints(prefix + "_ids"));
  WEFT_TRY(const auto target_nodes, call.get_ints(prefix + "_nodeids"));
  WEFT_TRY(const auto target_trees, call.get_ints(prefix + "_treeids"));
  WEFT_TRY(const auto weights, numbers(call, prefix + "_weights"));
  if (target_nodes.size() != targets.size() || target_trees.size() != targets.size() ||
      weights.size() != targets.size())
    return malformed(call, "the lists of weights differ in length");
  std::vector<std::map<std::size_t, Weights>> by_tree(loose.size());
  for (std::size_t i = 0; i < targets.size(); ++i) {
    const auto tree = tree_at.find(target_trees[i]);
    if (tree == tree_at.end()) return malformed(call, fmt::format("a weight of tree {}", target_trees[i]));
    const auto node = node_at[tree->second].find(target_nodes[i]);
    if (node == node_at[tree->second].end() || !loose[tree->second].nodes[node->second].is_leaf)
      return malformed(call, fmt::format("a weight of node {}, which is no leaf", target_nodes[i]));
    by_tree[tree->second][node->second].emplace_back(targets[i], weights[i]);
  }
  for (std::size_t t = 0; t < loose.size(); ++t) {
    for (auto& node : loose[t].nodes) {
      if (node.is_leaf) continue;
      for (auto* child : {&node.test.yes, &node.test.no}) {
        const auto it = node_at[t].find(*child);
        *child = it == node_at[t].end() ? -1 : static_cast<std::int64_t>(it->second);
      }
    }
    WEFT_TRY_VOID(set_leaves(call, loose[t], by_tree[t], trees));
    if (auto error = layers::append_tree(trees, loose[t]); !error.empty())
      return malformed(call, fmt::format("tree {}: {}", t, error));
  }
  if (loose.empty()) return malformed(call, "no trees");
  return {};
}

/// The features as the last axis of the layer graph.
Result<Call::LastAxis> features_of(const Call& call) {
  WEFT_TRY(const Dynamic x, call.data(0));
  if (x.rank() != 2 || x.batch_axis != 0)
    return call.fail(Kind::ShapeMismatch,
                     fmt::format("trees read [batch, features], not data of shape {}", to_string(x.shape)));
  return call.with_last_axis(x, 1, "the trees");
}

Result<void> set_base(const Call& call, Trees& trees) {
  WEFT_TRY(trees.base, numbers(call, "base_values"));
  trees.base_first = false;
  if (trees.base.empty()) trees.base.assign(static_cast<std::size_t>(trees.n_out), 0.0);
  for (const double b : trees.base)
    if (!std::isfinite(b)) return malformed(call, "a base value is not finite");
  return {};
}

Dynamic with_outputs(const Call::LastAxis& x, nn::TensorId tensor, std::int64_t n) {
  Dynamic out = Call::retarget(x.x, tensor);
  out.shape[1] = n;
  out.element = Element::Float32;
  return out;
}

Result<nn::TensorId> add_forest(const Call& call, const Call::LastAxis& x, const Trees& trees, bool is_main) {
  Shape shape = x.shape;
  shape.back() = trees.n_out;
  return call.add({.op = "Forest",
                   .attributes = layers::tree_attributes(trees),
                   .inputs = {x.tensor},
                   .shape = std::move(shape),
                   .suffix = is_main ? "" : "_trees"},
                  is_main);
}

Result<nn::TensorId> add_transform(const Call& call, Transform transform, nn::TensorId x, const Shape& shape) {
  LayerDraft draft{.op = "Link", .inputs = {x}, .shape = shape};
  switch (transform) {
    case Transform::None:
      return x;
    case Transform::Softmax:
      draft.op = "Softmax";
      draft.attributes["axis"] = std::int64_t{-1};
      break;
    case Transform::Logistic: {
      const auto* family = quantizers::find_family("sigmoid");
      WEFT_CHECK(family != nullptr, "the sigmoid is a family");
      draft.functions["activation"] = {"sigmoid", family->defaults};
      break;
    }
    case Transform::SoftmaxZero:
    case Transform::Probit:
      return call.fail(Kind::AttributeUnsupported,
                       "post_transform SOFTMAX_ZERO and PROBIT are not supported; use NONE and transform the scores "
                       "on the host");
  }
  return call.add(std::move(draft));
}

Result<Values> finish(const Call& call, const Call::LastAxis& x, const Ensemble& e) {
  const bool plain = e.transform == Transform::None;
  WEFT_TRY(const auto margins, add_forest(call, x, e.trees, plain));
  Shape shape = x.shape;
  shape.back() = e.trees.n_out;
  WEFT_TRY(const auto out, add_transform(call, e.transform, margins, shape));
  return Values{with_outputs(x, out, e.trees.n_out)};
}

/// One margin s as [-s, s] or [1 - s, s], in integers.
Result<nn::TensorId> two_sided(const Call& call, nn::TensorId margin, const Shape& shape, bool complement) {
  LayerDraft draft{.op = "Dense", .inputs = {margin}, .shape = shape, .suffix = "_sides"};
  nn::Parameter kernel;
  kernel.values = FloatTensor({1, 2}, {-1.0F, 1.0F});
  kernel.quantized = quantizers::Quantized{kernel.values, IntTensor({1, 2}, {-1, 1}), Scale()};
  draft.parameters["kernel"] = std::move(kernel);
  if (complement) {
    nn::Parameter bias;
    bias.values = FloatTensor({2}, {1.0F, 0.0F});
    bias.quantized = quantizers::Quantized{bias.values, IntTensor({2}, {1, 0}), Scale()};
    draft.parameters["bias"] = std::move(bias);
  }
  return call.add(std::move(draft), false);
}

}  // namespace

Result<Values> tree_ensemble_regressor(Call& call) {
  WEFT_TRY(const auto x, features_of(call));
  Ensemble e;
  e.trees.n_in = x.shape.back();
  WEFT_TRY(e.trees.n_out, call.get_int("n_targets", 1));
  if (e.trees.n_out < 1 || e.trees.n_out > (1 << 20)) return malformed(call, fmt::format("{} targets", e.trees.n_out));
  WEFT_TRY(const std::string aggregate, call.get_string("aggregate_function", "SUM"));
  static const std::map<std::string, TreeAggregate> known = {{"SUM", TreeAggregate::Sum},
                                                             {"AVERAGE", TreeAggregate::Average},
                                                             {"MIN", TreeAggregate::Min},
                                                             {"MAX", TreeAggregate::Max}};
  const auto it = known.find(aggregate);
  if (it == known.end()) return malformed(call, fmt::format("aggregate_function `{}`", aggregate));
  e.trees.aggregate = it->second;
  WEFT_TRY_VOID(set_base(call, e.trees));
  if (e.trees.base.size() != static_cast<std::size_t>(e.trees.n_out))
    return malformed(call, fmt::format("{} base values for {} targets", e.trees.base.size(), e.trees.n_out));
  WEFT_TRY_VOID(read_nodes(call, "target", e.trees));
  WEFT_TRY(const std::string transform, call.get_string("post_transform", "NONE"));
  WEFT_TRY(e.transform, transform_named(call, transform));
  return finish(call, x, e);
}

// As ONNX Runtime does it: with two classes and weights for one of them, the sum is the margin of the second class, its
// probability when no weight is negative. The label is the first class of the largest score.
Result<Values> tree_ensemble_classifier(Call& call) {
  WEFT_TRY(const auto x, features_of(call));
  WEFT_TRY(const auto labels, call.get_ints("classlabels_int64s"));
  WEFT_TRY(auto ids, call.get_ints("class_ids"));
  WEFT_TRY(const auto weights, numbers(call, "class_weights"));
  std::size_t classes = labels.size();
  if (classes == 0)
    if (const auto it = call.attributes.find("classlabels_strings"); it != call.attributes.end())
      classes = it->second.strings.size();
  if (classes < 1 || classes > (1U << 20)) return malformed(call, fmt::format("{} classes", classes));
  Ensemble e;
  e.trees.n_in = x.shape.back();
  e.trees.n_out = static_cast<std::int64_t>(classes);
  WEFT_TRY(const std::string named, call.get_string("post_transform", "NONE"));
  WEFT_TRY(Transform transform, transform_named(call, named));
  std::sort(ids.begin(), ids.end());
  const bool one_sided = classes <= 2 && !ids.empty() && ids.front() == ids.back();
  const bool probabilities =
      one_sided && std::all_of(weights.begin(), weights.end(), [](double w) { return w >= 0.0; });
  if (one_sided) {
    e.trees.n_out = 1;
    auto& own = call.attributes.at("class_ids").ints;
    std::fill(own.begin(), own.end(), 0);
  }
  WEFT_TRY_VOID(set_base(call, e.trees));
  auto& base = e.trees.base;
  if (one_sided && base.size() == 2) base = {base[1]};
  if (base.size() != static_cast<std::size_t>(e.trees.n_out))
    return malformed(call, fmt::format("{} base values for {} classes", base.size(), classes));
  WEFT_TRY_VOID(read_nodes(call, "class", e.trees));
  WEFT_TRY(auto scores, add_forest(call, x, e.trees, false));
  Shape shape = x.shape;
  shape.back() = std::max<std::int64_t>(e.trees.n_out, 2);
  if (one_sided) {
    WEFT_TRY(scores, two_sided(call, scores, shape, probabilities));
    // ONNX Runtime leaves sums of weights that are not negative as they are.
    if (probabilities) transform = Transform::None;
  }
  bool counted = !labels.empty();
  for (std::size_t i = 0; i < labels.size(); ++i) counted = counted && labels[i] == static_cast<std::int64_t>(i);
  if (!counted)
    call.ctx.report(Kind::Info, call.origin, "the label is the number of the class in the model's list of labels");
  Values out(2);
  Shape one = x.shape;
  one.pop_back();
  WEFT_TRY(const auto label, call.add({.op = "ArgMax",
                                       .attributes = {{"k", std::int64_t{1}}, {"keepdims", false}},
                                       .inputs = {scores},
                                       .shape = one,
                                       .suffix = "_label"}));
  Dynamic y = Call::retarget(x.x, label);
  y.shape.pop_back();
  y.element = Element::Int64;
  out[0] = std::move(y);
  if (call.node.outputs.size() > 1) call.origin.tensor = call.node.outputs[1];
  WEFT_TRY(const auto transformed, add_transform(call, transform, scores, shape));
  out[1] = with_outputs(x, transformed, shape.back());
  return out;
}

Result<Values> tree_ensemble(Call& call) {
  WEFT_TRY(const auto x, features_of(call));
  Ensemble e;
  auto& trees = e.trees;
  trees.n_in = x.shape.back();
  WEFT_TRY(trees.n_out, call.get_int("n_targets", 1));
  if (trees.n_out < 1 || trees.n_out > (1 << 20)) return malformed(call, fmt::format("{} targets", trees.n_out));
  WEFT_TRY(const std::int64_t aggregate, call.get_int("aggregate_function", 1));
  WEFT_TRY(const std::int64_t transform, call.get_int("post_transform", 0));
  static constexpr TreeAggregate kAggregates[] = {TreeAggregate::Average, TreeAggregate::Sum, TreeAggregate::Min,
                                                  TreeAggregate::Max};
  if (aggregate < 0 || aggregate > 3 || transform < 0 || transform > 4)
    return malformed(call, fmt::format("aggregate_function {}, post_transform {}", aggregate, transform));
  trees.aggregate = kAggregates[aggregate];
  e.transform = static_cast<Transform>(transform);
  WEFT_TRY_VOID(set_base(call, trees));
  WEFT_TRY(const auto roots, call.get_ints("tree_roots"));
  WEFT_TRY(const auto features, call.get_ints("nodes_featureids"));
  WEFT_TRY(const auto yes, call.get_ints("nodes_truenodeids"));
  WEFT_TRY(const auto no, call.get_ints("nodes_falsenodeids"));
  WEFT_TRY(const auto yes_leaf, call.get_ints("nodes_trueleafs"));
  WEFT_TRY(const auto no_leaf, call.get_ints("nodes_falseleafs"));
  WEFT_TRY(auto missing, call.get_ints("nodes_missing_value_tracks_true"));
  WEFT_TRY(const auto splits, numbers(call, "nodes_splits"));
  WEFT_TRY(const auto modes, numbers(call, "nodes_modes"));
  WEFT_TRY(const auto members, numbers(call, "membership_values"));
  WEFT_TRY(const auto targets, call.get_ints("leaf_targetids"));
  WEFT_TRY(const auto weights, numbers(call, "leaf_weights"));
  const std::size_t n = features.size();
  if (missing.empty()) missing.assign(n, 0);
  if (yes.size() != n || no.size() != n || yes_leaf.size() != n || no_leaf.size() != n || missing.size() != n ||
      splits.size() != n || modes.size() != n || weights.size() != targets.size() || roots.empty())
    return malformed(call, "the lists of nodes, leaves or roots differ in length");
  // Sets stand one after the other in the order of the nodes that ask for them, each ended by NaN.
  std::vector<std::int64_t> set_of(n, -1);
  std::size_t member = 0;
  for (std::size_t i = 0; i < n; ++i) {
    if (modes[i] != 6.0) continue;
    std::vector<double> set;
    while (member < members.size() && !std::isnan(members[member])) set.push_back(members[member++]);
    if (member == members.size()) return malformed(call, "membership_values ends early");
    ++member;
    std::sort(set.begin(), set.end());
    set_of[i] = static_cast<std::int64_t>(trees.sets.size());
    trees.sets.push_back(std::move(set));
  }
  static constexpr TreeTest kTests[] = {TreeTest::LessEqual, TreeTest::Less,  TreeTest::GreaterEqual,
                                        TreeTest::Greater,   TreeTest::Equal, TreeTest::NotEqual,
                                        TreeTest::Member};
  std::uint64_t visited = 0;
  for (std::size_t t = 0; t < roots.size(); ++t) {
    LooseTree tree;
    std::map<std::size_t, Weights> leaves;
    struct Open {
      std::int64_t id;
      bool leaf;
      std::size_t parent;
      bool yes;
    };
    std::vector<Open> open{{roots[t], false, 0, false}};
    std::vector<bool> met(n, false);
    while (!open.empty()) {
      const Open at = open.back();
      open.pop_back();
      const std::size_t limit = at.leaf ? weights.size() : n;
      if (at.id < 0 || static_cast<std::size_t>(at.id) >= limit)
        return malformed(call, fmt::format("tree {}: child {} does not exist", t, at.id));
      const auto id = static_cast<std::size_t>(at.id);
      const std::size_t made = tree.nodes.size();
      if (made != 0)
        (at.yes ? tree.nodes[at.parent].test.yes : tree.nodes[at.parent].test.no) = static_cast<std::int64_t>(made);
      if (++visited > (std::uint64_t{1} << 26)) return call.fail(Kind::LimitExceeded, "the trees are too large");
      LooseTree::Node node;
      node.is_leaf = at.leaf;
      if (at.leaf) {
        leaves[made] = {{targets[id], weights[id]}};
        tree.nodes.push_back(std::move(node));
        continue;
      }
      if (met[id]) return malformed(call, fmt::format("tree {}: node {} has two parents", t, id));
      met[id] = true;
      const auto mode = static_cast<int>(modes[id]);
      if (mode < 0 || mode > 6) return malformed(call, fmt::format("node mode {}", modes[id]));
      if (features[id] < 0 || features[id] >= trees.n_in)
        return malformed(call, fmt::format("feature {} of {}", features[id], trees.n_in));
      node.test.test = kTests[mode];
      node.test.set = set_of[id];
      node.test.feature = features[id];
      node.test.threshold = mode == 6 ? 0.0 : splits[id];
      node.test.missing = missing[id] != 0 ? TreeMissing::Yes : TreeMissing::No;
      tree.nodes.push_back(std::move(node));
      open.push_back({no[id], no_leaf[id] != 0, made, false});
      open.push_back({yes[id], yes_leaf[id] != 0, made, true});
    }
    WEFT_TRY_VOID(set_leaves(call, tree, leaves, trees));
    if (auto error = layers::append_tree(trees, tree); !error.empty())
      return malformed(call, fmt::format("tree {}: {}", t, error));
  }
  return finish(call, x, e);
}

}  // namespace weft::formats::onnx::ops
