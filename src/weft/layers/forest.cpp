// SPDX-License-Identifier: Apache-2.0
// Forest: boosted trees and forests. The tests of the source become comparisons of codes with integers: for every
// feature the codes are cut where any test of it can change its answer, so the integer trees take the very path of the
// source's for every code of the input's type.
#include "weft/layers/forest.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <map>

#include "weft/fixed/quantize.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer_rows.h"
#include "weft/layers/recipe.h"
#include "weft/layers/scaled_float.h"

namespace weft::layers {
namespace {

/// Widest exact sum; beyond it leaves of double precision are rounded.
constexpr int kMaxSumBits = 62;

Result<Shape> shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  Shape s = graph.at(node.inputs[0]).shape;
  if (s.empty() || s.back() < 1) return ctx.fail(Kind::ShapeMismatch, node.origin, "trees need an axis of features");
  WEFT_TRY(const Trees trees, trees_of(node, s.back(), ctx));
  s.back() = trees.n_out;
  return s;
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  const std::int64_t n_in = run.graph().at(node.inputs[0]).shape.back();
  WEFT_TRY(const Trees trees, trees_of(node, n_in, ctx));
  const auto& x = run.input(node, 0);
  auto& y = run.output(node);
  std::vector<double> sum(static_cast<std::size_t>(trees.n_out));
  for (std::size_t row = 0; row * sum.size() < y.size(); ++row) {
    evaluate_trees(trees, x.data() + row * static_cast<std::size_t>(n_in), sum.data());
    for (std::size_t o = 0; o < sum.size(); ++o) y[row * sum.size() + o] = static_cast<float>(sum[o]);
  }
  return {};
}

/// Points at which some test of a feature can change its answer, ascending.
std::vector<double> cuts_of(const Trees& trees, std::int64_t feature) {
  std::vector<double> out;
  for (const auto& node : trees.nodes) {
    if (node.feature != feature) continue;
    if (node.test < TreeTest::Member) {
      out.push_back(node.threshold);
    } else {
      for (const double v : trees.sets[static_cast<std::size_t>(node.set)]) {
        out.push_back(v);
        if (node.test == TreeTest::Member) continue;
        // Numbers without their fraction: whole intervals, towards zero.
        out.push_back(v > 0 ? v + 1 : v < 0 ? v - 1 : 1.0);
        if (v == 0) out.push_back(-1.0);
      }
    }
    if (node.missing >= TreeMissing::ZeroNo)
      for (const double v : {-1e-35, 1e-35}) out.push_back(v);
    out.push_back(0.0);
  }
  if (!std::isnan(trees.missing)) out.push_back(trees.missing);
  std::sort(out.begin(), out.end());
  out.erase(std::unique(out.begin(), out.end()), out.end());
  return out;
}

/// The codes of one feature in runs on which every test answers alike.
struct Feature {
  std::vector<Int> first;       ///< first code of run 1, 2, ...
  std::vector<float> examples;  ///< a real number of each run
};

/// From a source's nodes to the exact graph's, children first.
class Builder {
 public:
  Builder(const Trees& trees, const std::vector<Feature>& features) : trees_(trees), features_(features) {}

  exact::Forest build() {
    std::vector<std::int64_t> made(trees_.nodes.size());
    for (std::size_t i = trees_.nodes.size(); i-- > 0;) {
      const TreeNode& node = trees_.nodes[i];
      const Feature& f = features_[static_cast<std::size_t>(node.feature)];
      const auto target = [&](std::size_t run) {
        const std::int64_t child = answers_yes(node, trees_, f.examples[run]) ? node.yes : node.no;
        return child < 0 ? child : made[static_cast<std::size_t>(child)];
      };
      // Where the answer changes.
      std::vector<std::pair<Int, std::int64_t>> steps;
      const std::int64_t start = target(0);
      std::int64_t last = start;
      for (std::size_t run = 1; run < f.examples.size(); ++run) {
        const std::int64_t to = target(run);
        if (to != last) steps.emplace_back(f.first[run - 1], to);
        last = to;
      }
      made[i] = search(node.feature, start, steps, 0, steps.size());
    }
    const auto final_index = [&](std::int64_t m) {
      return m < 0 ? m : static_cast<std::int64_t>(reversed_.size()) - 1 - m;
    };
    exact::Forest out;
    out.n_in = trees_.n_in;
    out.n_out = trees_.n_out;
    for (auto it = reversed_.rbegin(); it != reversed_.rend(); ++it) {
      it->low = final_index(it->low);
      it->high = final_index(it->high);
      out.nodes.push_back(*it);
    }
    for (const auto& tree : trees_.trees)
      out.trees.push_back(
          {tree.root < 0 ? tree.root : final_index(made[static_cast<std::size_t>(tree.root)]), tree.first, tree.width});
    return out;
  }

 private:
  /// The node that finds the last of steps [from, to) whose code is reached; `before` is where it leads without any.
  std::int64_t search(std::int64_t feature, std::int64_t before, const std::vector<std::pair<Int, std::int64_t>>& steps,
                      std::size_t from, std::size_t to) {
    if (from == to) return before;
    const std::size_t middle = from + (to - from) / 2;
    const std::int64_t low = search(feature, before, steps, from, middle);
    const std::int64_t high = search(feature, steps[middle].second, steps, middle + 1, to);
    reversed_.push_back({feature, steps[middle].first, low, high});
    return static_cast<std::int64_t>(reversed_.size()) - 1;
  }

  const Trees& trees_;
  const std::vector<Feature>& features_;
  std::vector<exact::Forest::Node> reversed_;
};

bool is_monotone(const std::vector<Step>& steps) {
  return std::all_of(steps.begin(), steps.end(), [](const Step& step) {
    const auto* s = std::get_if<exact::ReadoutStep>(&step);
    return s != nullptr && s->op != exact::ReadoutStep::Op::Pow && s->op != exact::ReadoutStep::Op::ReverseDiv;
  });
}

std::vector<Feature> features_of(const Trees& trees, const exact::Value& x, const std::vector<Step>& pending) {
  std::vector<Feature> out;
  for (std::int64_t f = 0; f < trees.n_in; ++f) {
    const auto channel = static_cast<std::size_t>(f);
    const std::vector<double> cuts = cuts_of(trees, f);
    const ScaledFloat real(x.scale.at(channel));
    const auto at = [&](Int code) { return run_steps(pending, real(code), channel); };
    const auto region = [&](Int code) -> Int {
      const double v = at(code);
      const auto lower = std::lower_bound(cuts.begin(), cuts.end(), v);
      const bool equal = lower != cuts.end() && *lower == v;
      return 2 * static_cast<Int>(lower - cuts.begin()) + (equal ? 1 : 0);
    };
    const fixed::Range range = channel_range(x, channel, static_cast<std::size_t>(trees.n_in));
    const auto pieces = fixed::pieces_of(region, range.lo, range.hi, {});
    Feature feature;
    feature.first = pieces.breakpoints;
    feature.examples.push_back(at(range.lo));
    for (const Int b : pieces.breakpoints) feature.examples.push_back(at(b));
    out.push_back(std::move(feature));
  }
  return out;
}

/// Fraction bits of a double; 0 for integers.
int fraction_bits(double v) {
  if (v == 0.0) return 0;
  int exponent = 0;
  const double mantissa = std::frexp(v, &exponent);
  const auto digits = static_cast<Int>(std::ldexp(mantissa, 53));
  return std::max(53 - exponent - fixed::trailing_zeros(digits), 0);
}

/// Largest sum of any output, signs ignored.
double magnitude(const Trees& trees) {
  std::vector<double> sums;
  for (const double b : trees.base) sums.push_back(std::fabs(b));
  std::int64_t width = 1;
  for (const auto& tree : trees.trees) width = std::max(width, tree.width);
  std::vector<double> below(trees.nodes.size());
  for (std::int64_t j = 0; j < width; ++j) {
    const auto of = [&](std::int64_t child) {
      if (child >= 0) return below[static_cast<std::size_t>(child)];
      const auto leaf = static_cast<std::size_t>(-1 - child + j);
      return leaf < trees.leaves.size() ? std::fabs(trees.leaves[leaf]) : 0.0;
    };
    for (std::size_t i = trees.nodes.size(); i-- > 0;)
      below[i] = std::max(of(trees.nodes[i].yes), of(trees.nodes[i].no));
    for (const auto& tree : trees.trees)
      if (j < tree.width) sums[static_cast<std::size_t>(tree.first + j)] += of(tree.root);
  }
  return *std::max_element(sums.begin(), sums.end());
}

struct Leaves {
  std::vector<Int> leaves;
  std::vector<Int> base;
  int frac_bits = 0;
  double largest = 0.0;  ///< of any sum, signs ignored
};

/// Leaves and base scores as integers: exact, in the user's type, or rounded where they are too fine for 62 bits.
Leaves integer_leaves(const nn::Node& node, const Trees& trees, bool with_base, Recipe& recipe) {
  Leaves out;
  std::vector<double> all = trees.leaves;
  if (with_base) all.insert(all.end(), trees.base.begin(), trees.base.end());
  const auto chosen = recipe.policy().chosen_parameter(node, "weight");
  const auto as_code = [&](double v) -> Int {
    if (chosen) return fixed::from_double(v, *chosen);
    return static_cast<Int>(std::nearbyint(std::ldexp(v, out.frac_bits)));
  };
  out.largest = magnitude(trees);
  int integer_bits = 1;
  while (std::ldexp(1.0, integer_bits) < out.largest) ++integer_bits;
  if (chosen) {
    out.frac_bits = chosen->frac_bits();
  } else {
    for (const double v : all) out.frac_bits = std::max(out.frac_bits, fraction_bits(v));
    if (out.frac_bits + integer_bits >= kMaxSumBits) {
      // Far below the last place of a float32 result, whatever the trees add up to.
      int trees_log2 = 0;
      while ((std::size_t{1} << trees_log2) < trees.trees.size()) ++trees_log2;
      out.frac_bits = std::max(26 + trees_log2 - integer_bits, 0);
    }
  }
  bool exact = true;
  const auto convert = [&](const std::vector<double>& from, std::vector<Int>& to) {
    for (const double v : from) {
      to.push_back(as_code(v));
      exact = exact && std::ldexp(static_cast<double>(to.back()), -out.frac_bits) == v;
    }
  };
  convert(trees.leaves, out.leaves);
  if (with_base)
    convert(trees.base, out.base);
  else
    out.base.assign(trees.base.size(), 0);
  if (!exact)
    recipe.weaken(node, Word::Quantized,
                  chosen ? fmt::format("leaves as {}", fixed::to_string(*chosen))
                         : fmt::format("leaves of double precision rounded to multiples of 2^-{}", out.frac_bits));
  return out;
}

/// One output per tree and target instead of sums, then the extreme of each target.
Result<exact::ValueId> lower_extremes(const nn::Node& node, Recipe& recipe, exact::Forest forest, const Scale& scale,
                                      bool minimum, Context& ctx) {
  std::vector<std::vector<std::int64_t>> columns(static_cast<std::size_t>(forest.n_out));
  std::int64_t next = 0;
  for (auto& tree : forest.trees) {
    for (std::int64_t j = 0; j < tree.width; ++j) columns[static_cast<std::size_t>(tree.first + j)].push_back(next + j);
    tree.first = next;
    next += tree.width;
  }
  std::size_t longest = 0;
  for (const auto& column : columns) {
    if (column.empty())
      return ctx.fail(Kind::LoweringUnsupported, node.origin, "no tree says anything about one of the outputs");
    longest = std::max(longest, column.size());
  }
  if (minimum)
    for (auto& leaf : forest.leaves) leaf = -leaf;
  const std::int64_t n_out = forest.n_out;
  forest.n_out = next;
  forest.bias.assign(static_cast<std::size_t>(next), 0);
  WEFT_TRY(const auto each, recipe.add(node.name + "_trees", std::move(forest), scale, node.origin));
  Shape shape = recipe.value(each).shape;
  exact::Gather gather{each, {}, 0};
  const std::int64_t rows = element_count(shape) / next;
  for (std::int64_t row = 0; row < rows; ++row)
    for (const auto& column : columns)
      for (std::size_t k = 0; k < longest; ++k)
        gather.indices.push_back(row * next + column[std::min(k, column.size() - 1)]);
  shape.back() = n_out;
  Shape wide = shape;
  wide.push_back(static_cast<std::int64_t>(longest));
  WEFT_TRY(const auto table, recipe.add(node.name + "_targets", std::move(gather), scale, node.origin, wide));
  WEFT_TRY(auto best,
           recipe.add(node.name + "_extreme", exact::Reduce{exact::Reduce::Kind::Max, table}, scale, node.origin));
  WEFT_TRY(best, recipe.add(node.name + "_flat", exact::Reshape{best}, scale, node.origin, shape));
  if (!minimum) return best;
  WEFT_TRY(const auto zero, recipe.add(node.name + "_zero", exact::Constant{{0}}, scale, node.origin, Shape{1}));
  return recipe.add(node.name, exact::Sub{zero, best, 0, 0}, scale, node.origin);
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  const Shape x_shape = recipe.source().at(node.inputs[0]).shape;
  WEFT_TRY(const Trees trees, trees_of(node, x_shape.back(), ctx));
  const Symbol input = recipe.input(node);
  exact::ValueId x = input.value;
  std::vector<Step> pending = input.pending;
  if (!is_monotone(pending) || !input.typed || !input.order_bound.empty()) {
    WEFT_TRY(const auto codes, recipe.codes(node, input, false));
    x = codes.value;
    pending.clear();
  } else if (!pending.empty()) {
    recipe.note_moved(input);
  }
  const auto features = features_of(trees, recipe.value(x), pending);
  exact::Forest forest = Builder(trees, features).build();
  forest.x = x;
  const bool sums = trees.aggregate == TreeAggregate::Sum;
  const Leaves leaves = integer_leaves(node, trees, sums, recipe);
  forest.leaves = leaves.leaves;
  forest.bias = leaves.base;
  const Scale scale(fixed::pow2(-leaves.frac_bits));

  Symbol out;
  out.layer = node.name;
  if (trees.aggregate == TreeAggregate::Min || trees.aggregate == TreeAggregate::Max) {
    WEFT_TRY(out.value,
             lower_extremes(node, recipe, std::move(forest), scale, trees.aggregate == TreeAggregate::Min, ctx));
  } else {
    WEFT_TRY(out.value, recipe.add(node.name, std::move(forest), scale, node.origin));
    // Sums are exact in the source's floats as long as they have few enough bits.
    const double units = std::ldexp(leaves.largest, leaves.frac_bits);
    if (units >= (trees.in_double ? 0x1p53 : 0x1p24)) {
      const double ku = static_cast<double>(trees.trees.size() + 1) * (trees.in_double ? 0x1p-53 : 0x1p-24);
      out.order_bound = {leaves.largest * ku / (1.0 - ku)};
      out.sum_layer = node.name;
      recipe.certificate(node.name, node.op);
    }
  }
  const auto push = [&](exact::ReadoutStep step) -> Result<void> {
    WEFT_TRY(out, recipe.push(node, std::move(out), std::move(step)));
    return {};
  };
  if (trees.aggregate == TreeAggregate::Average)
    WEFT_TRY_VOID(push({exact::ReadoutStep::Op::Div, {static_cast<float>(divisor_of(trees))}}));
  if (!sums && std::any_of(trees.base.begin(), trees.base.end(), [](double b) { return b != 0.0; }))
    WEFT_TRY_VOID(push({exact::ReadoutStep::Op::Add, std::vector<float>(trees.base.begin(), trees.base.end())}));
  return recipe.set_output(node, std::move(out));
}

}  // namespace

Layer forest_layer() {
  return {.op = "Forest",
          .summary = "boosted trees and forests: numeric and categorical tests, missing values, sums per class",
          .attributes = {"outputs", "features",    "modes",      "missing_to", "thresholds", "yes",    "no",
                         "sets",    "set_offsets", "set_values", "roots",      "firsts",     "widths", "leaves",
                         "base",    "aggregate",   "divisor",    "in_double",  "base_first", "missing"},
          .required_parameters = {},
          .optional_parameters = {},
          .functions = {},
          .infer_shape = shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = no_macs};
}

}  // namespace weft::layers
