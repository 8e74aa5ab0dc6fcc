// SPDX-License-Identifier: Apache-2.0
// Trees as attributes, and their float run. The order of the additions is the sources': XGBoost starts from the base
// score and adds tree by tree in float32, LightGBM adds in double, ONNX adds the base value to the aggregate.
#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <initializer_list>
#include <limits>

#include "weft/exact/forest.h"
#include "weft/layers/forest.h"

namespace weft::layers {
namespace {

/// LightGBM's kZeroThreshold.
constexpr double kNearZero = 1e-35;

constexpr std::array kAggregates = {"sum", "average", "min", "max"};

bool is_member(const std::vector<double>& set, double x) { return std::binary_search(set.begin(), set.end(), x); }

template <class T>
void evaluate_in(const Trees& trees, const float* x, double* y) {
  const auto n_out = static_cast<std::size_t>(trees.n_out);
  const bool extremes = trees.aggregate == TreeAggregate::Min || trees.aggregate == TreeAggregate::Max;
  std::vector<T> sum(n_out, T{0});
  std::vector<bool> seen(n_out, false);
  if (trees.base_first)
    for (std::size_t o = 0; o < n_out; ++o) sum[o] = static_cast<T>(trees.base[o]);
  for (const auto& tree : trees.trees) {
    std::int64_t at = tree.root;
    while (at >= 0) {
      const auto& node = trees.nodes[static_cast<std::size_t>(at)];
      at = answers_yes(node, trees, x[node.feature]) ? node.yes : node.no;
    }
    for (std::int64_t j = 0; j < tree.width; ++j) {
      const auto o = static_cast<std::size_t>(tree.first + j);
      const T leaf = static_cast<T>(trees.leaves[static_cast<std::size_t>(-1 - at + j)]);
      if (!extremes)
        sum[o] = sum[o] + leaf;
      else if (!seen[o])
        sum[o] = leaf;
      else
        sum[o] = trees.aggregate == TreeAggregate::Min ? std::min(sum[o], leaf) : std::max(sum[o], leaf);
      seen[o] = true;
    }
  }
  for (std::size_t o = 0; o < n_out; ++o) {
    if (trees.aggregate == TreeAggregate::Average) sum[o] = sum[o] / static_cast<T>(divisor_of(trees));
    if (!trees.base_first) sum[o] = sum[o] + static_cast<T>(trees.base[o]);
    y[o] = static_cast<double>(sum[o]);
  }
}

}  // namespace

bool answers_yes(const TreeNode& node, const Trees& trees, double x) {
  if (x == trees.missing) x = std::numeric_limits<double>::quiet_NaN();
  const bool zero_is_missing = node.missing == TreeMissing::ZeroNo || node.missing == TreeMissing::ZeroYes;
  if (std::isnan(x) || (zero_is_missing && std::fabs(x) <= kNearZero)) {
    if (node.missing != TreeMissing::IsZero)
      return node.missing == TreeMissing::Yes || node.missing == TreeMissing::ZeroYes;
    x = 0.0;
  }
  switch (node.test) {
    case TreeTest::Less:
      return x < node.threshold;
    case TreeTest::LessEqual:
      return x <= node.threshold;
    case TreeTest::GreaterEqual:
      return x >= node.threshold;
    case TreeTest::Greater:
      return x > node.threshold;
    case TreeTest::Equal:
      return x == node.threshold;
    case TreeTest::NotEqual:
      return x != node.threshold;
    case TreeTest::Member:
      return is_member(trees.sets[static_cast<std::size_t>(node.set)], x);
    case TreeTest::TruncatedMember:
      return is_member(trees.sets[static_cast<std::size_t>(node.set)], std::trunc(x));
    case TreeTest::Category:
      return x >= 0.0 && is_member(trees.sets[static_cast<std::size_t>(node.set)], std::trunc(x));
  }
  return false;
}

std::int64_t divisor_of(const Trees& trees) {
  return trees.divisor != 0 ? trees.divisor : static_cast<std::int64_t>(trees.trees.size());
}

void evaluate_trees(const Trees& trees, const float* x, double* y) {
  if (trees.in_double)
    evaluate_in<double>(trees, x, y);
  else
    evaluate_in<float>(trees, x, y);
}

std::string append_tree(Trees& trees, const LooseTree& tree) {
  if (tree.nodes.empty()) return "a tree without nodes";
  struct Open {
    std::int64_t node;
    std::int64_t parent;  ///< index into trees.nodes, or -1
    bool yes;
  };
  std::int64_t root = 0;
  std::int64_t width = 0;
  std::vector<bool> met(tree.nodes.size(), false);
  std::vector<Open> open{{0, -1, false}};
  while (!open.empty()) {
    const Open at = open.back();
    open.pop_back();
    if (at.node < 0 || at.node >= static_cast<std::int64_t>(tree.nodes.size()))
      return fmt::format("child {} of {} nodes", at.node, tree.nodes.size());
    if (met[static_cast<std::size_t>(at.node)]) return fmt::format("node {} has two parents", at.node);
    met[static_cast<std::size_t>(at.node)] = true;
    const auto& node = tree.nodes[static_cast<std::size_t>(at.node)];
    std::int64_t index = 0;
    if (node.is_leaf) {
      index = -1 - static_cast<std::int64_t>(trees.leaves.size());
      trees.leaves.insert(trees.leaves.end(), node.leaf.begin(), node.leaf.end());
      const auto own = static_cast<std::int64_t>(node.leaf.size());
      if (own == 0 || (width != 0 && own != width)) return "leaves of different lengths";
      width = own;
    } else {
      index = static_cast<std::int64_t>(trees.nodes.size());
      trees.nodes.push_back(node.test);
      open.push_back({node.test.no, index, false});
      open.push_back({node.test.yes, index, true});
    }
    if (at.parent < 0) {
      root = index;
    } else {
      auto& parent = trees.nodes[static_cast<std::size_t>(at.parent)];
      (at.yes ? parent.yes : parent.no) = index;
    }
  }
  trees.trees.push_back({root, tree.first, width});
  return {};
}

AttributeMap tree_attributes(const Trees& t) {
  std::vector<std::int64_t> features, modes, missing_to, yes, no, sets, set_offsets{0}, roots, firsts, widths;
  std::vector<double> thresholds, set_values;
  for (const auto& n : t.nodes) {
    features.push_back(n.feature);
    modes.push_back(static_cast<std::int64_t>(n.test));
    missing_to.push_back(static_cast<std::int64_t>(n.missing));
    thresholds.push_back(n.threshold);
    sets.push_back(n.set);
    yes.push_back(n.yes);
    no.push_back(n.no);
  }
  for (const auto& set : t.sets) {
    set_values.insert(set_values.end(), set.begin(), set.end());
    set_offsets.push_back(static_cast<std::int64_t>(set_values.size()));
  }
  for (const auto& tree : t.trees) {
    roots.push_back(tree.root);
    firsts.push_back(tree.first);
    widths.push_back(tree.width);
  }
  AttributeMap out{{"outputs", t.n_out},
                   {"features", features},
                   {"modes", modes},
                   {"missing_to", missing_to},
                   {"thresholds", thresholds},
                   {"yes", yes},
                   {"no", no},
                   {"roots", roots},
                   {"firsts", firsts},
                   {"widths", widths},
                   {"leaves", t.leaves},
                   {"base", t.base},
                   {"aggregate", std::string(kAggregates[static_cast<std::size_t>(t.aggregate)])},
                   {"divisor", t.divisor},
                   {"in_double", t.in_double},
                   {"base_first", t.base_first}};
  if (!t.sets.empty()) {
    out["sets"] = sets;
    out["set_offsets"] = set_offsets;
    out["set_values"] = set_values;
  }
  if (!std::isnan(t.missing)) out["missing"] = t.missing;
  return out;
}

Result<Trees> trees_of(const nn::Node& node, std::int64_t n_in, Context& ctx) {
  const auto fail = [&](const std::string& what) { return ctx.fail(Kind::ModelMalformed, node.origin, what); };
  const auto& a = node.attributes;
  Trees t;
  t.n_in = n_in;
  t.n_out = get_int(a, "outputs", 1);
  t.in_double = get_bool(a, "in_double", false);
  t.base_first = get_bool(a, "base_first", true);
  t.divisor = get_int(a, "divisor", 0);
  if (t.divisor < 0 || t.divisor > (std::int64_t{1} << 24)) return fail(fmt::format("a divisor of {}", t.divisor));
  t.missing = get_double(a, "missing", t.missing);
  const std::string aggregate = get_string(a, "aggregate", "sum");
  const auto known = std::find(kAggregates.begin(), kAggregates.end(), aggregate);
  if (known == kAggregates.end()) return fail(fmt::format("trees are aggregated as `{}`", aggregate));
  t.aggregate = static_cast<TreeAggregate>(known - kAggregates.begin());
  t.leaves = get_doubles(a, "leaves");
  t.base = get_doubles(a, "base");
  const auto features = get_ints(a, "features");
  const auto modes = get_ints(a, "modes");
  const auto missing_to = get_ints(a, "missing_to");
  const auto thresholds = get_doubles(a, "thresholds");
  const auto yes = get_ints(a, "yes");
  const auto no = get_ints(a, "no");
  const auto sets = get_ints(a, "sets");
  const auto offsets = get_ints(a, "set_offsets");
  const auto values = get_doubles(a, "set_values");
  const auto roots = get_ints(a, "roots");
  const auto firsts = get_ints(a, "firsts");
  const auto widths = get_ints(a, "widths");
  const std::size_t n = features.size();
  if (modes.size() != n || missing_to.size() != n || thresholds.size() != n || yes.size() != n || no.size() != n ||
      (!sets.empty() && sets.size() != n))
    return fail("the lists of a forest's nodes differ in length");
  if (firsts.size() != roots.size() || widths.size() != roots.size() || roots.empty())
    return fail("the lists of a forest's trees differ in length, or are empty");
  for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
    if (offsets[i] < 0 || offsets[i] > offsets[i + 1] || offsets[i + 1] > static_cast<std::int64_t>(values.size()))
      return fail("the sets of a forest are out of bounds");
    std::vector<double> set(values.begin() + offsets[i], values.begin() + offsets[i + 1]);
    std::sort(set.begin(), set.end());
    t.sets.push_back(std::move(set));
  }
  for (const auto* list : std::initializer_list<const std::vector<double>*>{&t.leaves, &t.base, &values})
    for (const double v : *list)
      if (!std::isfinite(v)) return fail(fmt::format("a number of a forest is {}", v));
  // The shape of the trees is the exact graph's: children behind their parents, leaves and outputs that exist.
  exact::Forest shape;
  shape.n_in = n_in;
  shape.n_out = t.n_out;
  if (t.n_out < 1 || static_cast<std::int64_t>(t.base.size()) != t.n_out)
    return fail(fmt::format("{} base scores for {} outputs", t.base.size(), t.n_out));
  shape.leaves.assign(t.leaves.size(), 0);
  shape.bias.assign(t.base.size(), 0);
  for (std::size_t i = 0; i < n; ++i) {
    TreeNode out;
    if (modes[i] < 0 || modes[i] > static_cast<std::int64_t>(TreeTest::Category) || missing_to[i] < 0 ||
        missing_to[i] > static_cast<std::int64_t>(TreeMissing::ZeroYes) || std::isnan(thresholds[i]))
      return fail(fmt::format("node {} of a forest has mode {}, threshold {}", i, modes[i], thresholds[i]));
    out.test = static_cast<TreeTest>(modes[i]);
    out.missing = static_cast<TreeMissing>(missing_to[i]);
    out.feature = features[i];
    out.threshold = thresholds[i];
    out.set = sets.empty() ? -1 : sets[i];
    out.yes = yes[i];
    out.no = no[i];
    if (out.test >= TreeTest::Member && (out.set < 0 || out.set >= static_cast<std::int64_t>(t.sets.size())))
      return fail(fmt::format("node {} of a forest asks for a set that does not exist", i));
    t.nodes.push_back(out);
    shape.nodes.push_back({features[i], 0, no[i], yes[i]});
  }
  for (std::size_t i = 0; i < roots.size(); ++i) {
    t.trees.push_back({roots[i], firsts[i], widths[i]});
    shape.trees.push_back({roots[i], firsts[i], widths[i]});
  }
  if (const auto error = exact::check_forest(shape); !error.empty()) return fail(error);
  return t;
}

}  // namespace weft::layers
