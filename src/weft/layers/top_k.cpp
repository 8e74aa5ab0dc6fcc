// SPDX-License-Identifier: Apache-2.0
// TopK: the k largest (or smallest) elements of the last axis in order, by Batcher's merge exchange (Knuth, The Art of
// Computer Programming, volume 3, algorithm 5.2.2M). Their indices are ArgMax.
#include <fmt/format.h>

#include <algorithm>

#include "weft/layers/align.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer_rows.h"
#include "weft/layers/movement.h"

namespace weft::layers {
namespace {

Result<Shape> shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  Shape s = graph.at(node.inputs[0]).shape;
  const std::int64_t k = get_int(node.attributes, "k", 1);
  if (s.empty() || k < 1 || k > s.back())
    return ctx.fail(Kind::ShapeMismatch, node.origin,
                    fmt::format("cannot take {} elements of the last axis of {}", k, weft::to_string(s)));
  s.back() = k;
  return s;
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context&) {
  const auto& x = run.input(node, 0);
  auto& y = run.output(node);
  const auto n = static_cast<std::size_t>(run.graph().at(node.inputs[0]).shape.back());
  const auto k = static_cast<std::size_t>(get_int(node.attributes, "k", 1));
  const bool smallest = get_bool(node.attributes, "smallest", false);
  for (std::size_t row = 0; row < x.size() / n; ++row) {
    std::vector<float> sorted(x.begin() + static_cast<std::ptrdiff_t>(row * n),
                              x.begin() + static_cast<std::ptrdiff_t>((row + 1) * n));
    std::stable_sort(sorted.begin(), sorted.end(), [&](float a, float b) { return smallest ? a < b : a > b; });
    std::copy_n(sorted.begin(), k, y.begin() + static_cast<std::ptrdiff_t>(row * k));
  }
  return {};
}

using Pairs = std::vector<std::pair<std::int64_t, std::int64_t>>;

/// The stages of the network for n elements; the pairs of a stage share no element.
std::vector<Pairs> stages_of(std::int64_t n) {
  std::vector<Pairs> out;
  std::int64_t top = 1;
  while (top * 2 < n) top *= 2;
  for (std::int64_t p = n > 1 ? top : 0; p > 0; p /= 2) {
    std::int64_t r = 0;
    std::int64_t d = p;
    for (std::int64_t q = top;; q /= 2) {
      Pairs pairs;
      for (std::int64_t i = 0; i + d < n; ++i)
        if ((i & p) == r) pairs.emplace_back(i, i + d);
      if (!pairs.empty()) out.push_back(std::move(pairs));
      if (q == p) break;
      d = q - p;
      r = p;
    }
  }
  return out;
}

/// The larger of every pair to the lower place.
Result<exact::ValueId> exchange(const nn::Node& node, Recipe& recipe, exact::ValueId x, const Pairs& pairs,
                                std::int64_t rows, std::int64_t n, const Scale& scale) {
  const auto m = static_cast<std::int64_t>(pairs.size());
  exact::Gather sides{x, {}, 0};
  for (std::int64_t row = 0; row < rows; ++row)
    for (const auto& [a, b] : pairs) sides.indices.insert(sides.indices.end(), {row * n + a, row * n + b});
  WEFT_TRY(const auto both, recipe.add(node.name + "_pairs", std::move(sides), scale, node.origin, Shape{rows * m, 2}));
  const auto larger = exact::Reduce::Kind::Max;
  WEFT_TRY(const auto high, recipe.add(node.name + "_high", exact::Reduce{larger, both}, scale, node.origin));
  WEFT_TRY(const auto mirrored, negated(node, recipe, both, scale));
  WEFT_TRY(const auto less, recipe.add(node.name + "_less", exact::Reduce{larger, mirrored}, scale, node.origin));
  WEFT_TRY(const auto low, negated(node, recipe, less, scale));
  WEFT_TRY(const auto flat, recipe.add(node.name + "_flat", exact::Reshape{x}, scale, node.origin, Shape{rows * n, 1}));
  WEFT_TRY(const auto all, recipe.add(node.name + "_all", exact::Concat{{flat, high, low}, 0}, scale, node.origin));
  exact::Gather sorted{all, {}, 0};
  std::vector<std::int64_t> place(static_cast<std::size_t>(n));
  for (std::int64_t row = 0; row < rows; ++row) {
    for (std::int64_t i = 0; i < n; ++i) place[static_cast<std::size_t>(i)] = row * n + i;
    for (std::int64_t i = 0; i < m; ++i) {
      const auto& [a, b] = pairs[static_cast<std::size_t>(i)];
      place[static_cast<std::size_t>(a)] = rows * n + row * m + i;
      place[static_cast<std::size_t>(b)] = rows * n + rows * m + row * m + i;
    }
    sorted.indices.insert(sorted.indices.end(), place.begin(), place.end());
  }
  return recipe.add(node.name + "_stage", std::move(sorted), scale, node.origin, Shape{rows, n});
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context&) {
  const Shape from = recipe.source().at(node.inputs[0]).shape;
  const Shape to = recipe.source().at(node.outputs[0]).shape;
  const std::int64_t n = from.back();
  const std::int64_t rows = element_count(from) / n;
  const std::int64_t k = to.back();
  const bool smallest = get_bool(node.attributes, "smallest", false);
  WEFT_TRY(const auto codes, recipe.codes(node, Symbol(recipe.input(node)), false));
  WEFT_TRY(exact::ValueId x, on_one_scale(node, recipe, codes.value));
  const Scale scale = recipe.value(x).scale;
  if (smallest) {
    WEFT_TRY(x, negated(node, recipe, x, scale));
  }
  for (const auto& pairs : stages_of(n)) {
    WEFT_TRY(x, exchange(node, recipe, x, pairs, rows, n, scale));
  }
  exact::Gather first{x, {}, 0};
  for (std::int64_t row = 0; row < rows; ++row)
    for (std::int64_t i = 0; i < k; ++i) first.indices.push_back(row * n + i);
  if (smallest) {
    WEFT_TRY(first.x, negated(node, recipe, x, scale));
  }
  Symbol out;
  out.layer = node.name;
  WEFT_TRY(out.value, recipe.add(node.name, std::move(first), scale, node.origin, to));
  return recipe.set_output(node, std::move(out));
}

}  // namespace

Layer top_k_layer() {
  return {.op = "TopK",
          .summary = "the k largest or smallest elements of the last axis, in order",
          .attributes = {"k", "smallest"},
          .required_parameters = {},
          .optional_parameters = {},
          .functions = {},
          .infer_shape = shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = no_macs};
}

}  // namespace weft::layers
