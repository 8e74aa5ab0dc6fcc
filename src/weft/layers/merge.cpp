// SPDX-License-Identifier: Apache-2.0
// Maximum, Minimum, Average of several tensors, and reductions of one over any axes. Comparisons need one grid for all;
// a mean is an integer sum under a finer scale.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "weft/fixed/rational.h"
#include "weft/layers/align.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer_rows.h"
#include "weft/layers/recipe.h"

namespace weft::layers {

namespace {

Result<Shape> merge_shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  Shape out = graph.at(node.inputs[0]).shape;
  for (std::size_t i = 1; i < node.inputs.size(); ++i) {
    const Shape& other = graph.at(node.inputs[i]).shape;
    const auto both = tensor::broadcast(out, other);
    if (!both.ok)
      return ctx.fail(Kind::ShapeMismatch, node.origin,
                      fmt::format("shapes {} and {} do not broadcast", weft::to_string(out), weft::to_string(other)));
    out = both.shape;
  }
  return out;
}

/// ONNX Runtime's mean, the sum by the float32 next to 1/n; others divide by n.
bool multiplies_by_reciprocal(const nn::Node& node) { return get_bool(node.attributes, "by_reciprocal", false); }

/// What the sum of the inputs is multiplied by.
Rational mean_factor(const nn::Node& node) {
  const auto count = static_cast<std::int64_t>(node.inputs.size());
  if (!multiplies_by_reciprocal(node)) return Rational(1) / Rational(count);
  return fixed::rational_from_double(1.0F / static_cast<float>(count));
}

Result<void> merge_evaluate(const nn::Node& node, FloatRun& run, Context&) {
  const Shape& out = run.graph().at(node.outputs[0]).shape;
  auto& y = run.output(node);
  const auto n = static_cast<std::size_t>(element_count(out));
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {
    const Shape& shape = run.graph().at(node.inputs[k]).shape;
    const auto size = static_cast<std::size_t>(element_count(shape));
    const auto& x = run.input(node, k);
    for (std::size_t i = 0; i < y.size(); ++i) {
      const float v = x[i / n * size + tensor::broadcast_index(shape, out, i % n)];
      if (k == 0)
        y[i] = v;
      else if (node.op == "Maximum")
        y[i] = std::max(y[i], v);
      else if (node.op == "Minimum")
        y[i] = std::min(y[i], v);
      else
        y[i] += v;
    }
  }
  if (node.op == "Average") {
    const auto count = static_cast<float>(node.inputs.size());
    for (auto& v : y) v = multiplies_by_reciprocal(node) ? v * (1.0F / count) : v / count;
  }
  return {};
}

Result<void> merge_lower(const nn::Node& node, Recipe& recipe, Context&) {
  const Shape to = recipe.source().at(node.outputs[0]).shape;
  WEFT_TRY(const Aligned in, aligned_inputs(node, recipe, 0));
  const Scale& scale = in.scale;
  exact::ValueId result = in.values[0];
  for (std::size_t i = 1; i < in.values.size(); ++i) {
    if (node.op == "Average") {
      WEFT_TRY(result, recipe.add(node.name + "_sum", exact::Add{result, in.values[i], 0, 0}, scale, node.origin));
      continue;
    }
    // The larger of two: both side by side on a new last axis. The smaller is the larger of the negated ones.
    const bool smaller = node.op == "Minimum";
    std::vector<exact::ValueId> pair;
    for (exact::ValueId x : {result, in.values[i]}) {
      if (smaller) {
        WEFT_TRY(x, negated(node, recipe, x, scale));
      }
      const Shape from = recipe.value(x).shape;
      const auto both = tensor::broadcast(recipe.value(result).shape, recipe.value(in.values[i]).shape);
      exact::Gather spread{x, {}, 0};
      for (std::int64_t e = 0; e < element_count(both.shape); ++e)
        spread.indices.push_back(
            static_cast<std::int64_t>(tensor::broadcast_index(from, both.shape, static_cast<std::size_t>(e))));
      Shape column = both.shape;
      column.push_back(1);
      WEFT_TRY(x, recipe.add(node.name + "_side", std::move(spread), scale, node.origin, column));
      pair.push_back(x);
    }
    const auto axis = static_cast<std::int64_t>(recipe.value(pair[0]).shape.size()) - 1;
    Shape shape = recipe.value(pair[0]).shape;
    shape.pop_back();
    WEFT_TRY(const auto stacked, recipe.add(node.name + "_pair", exact::Concat{pair, axis}, scale, node.origin));
    WEFT_TRY(const auto larger,
             recipe.add(node.name + "_larger", exact::Reduce{exact::Reduce::Kind::Max, stacked}, scale, node.origin));
    WEFT_TRY(result, recipe.add(node.name + "_flat", exact::Reshape{larger}, scale, node.origin, shape));
    if (smaller) {
      WEFT_TRY(result, negated(node, recipe, result, scale));
    }
  }
  Symbol out;
  out.layer = node.name;
  const Rational factor = node.op == "Average" ? mean_factor(node) : Rational(1);
  WEFT_TRY(out.value, recipe.add(node.name, exact::Reshape{result}, Scale(in.scale.at(0) * factor), node.origin, to));
  return recipe.set_output(node, std::move(out));
}

Layer merge_row(std::string_view op, std::string_view summary, std::vector<std::string_view> attributes = {}) {
  return {.op = op,
          .summary = summary,
          .attributes = std::move(attributes),
          .required_parameters = {},
          .optional_parameters = {},
          .functions = {},
          .min_inputs = 1,
          .max_inputs = 256,
          .infer_shape = merge_shape,
          .evaluate = merge_evaluate,
          .lower = merge_lower,
          .macs = no_macs};
}

// --- reductions of one tensor

/// Which axes go, and for every result element its inputs in row-major order, `taps` each.
struct Reduction {
  Shape out;
  Shape kept;  ///< `out` without the axes that remain with extent one
  std::int64_t taps = 1;
  std::vector<std::int64_t> indices;
};

Result<Reduction> reduction_of(const nn::Node& node, const Shape& x, Context& ctx) {
  const auto axes = get_ints(node.attributes, "axes");
  const bool keepdims = get_bool(node.attributes, "keepdims", false);
  std::vector<bool> gone(x.size(), axes.empty());
  for (const auto axis : axes) {
    if (axis < 0 || axis >= static_cast<std::int64_t>(x.size()) || gone[static_cast<std::size_t>(axis)])
      return ctx.fail(Kind::ShapeMismatch, node.origin,
                      fmt::format("axes {} do not fit shape {}", weft::to_string(axes), weft::to_string(x)));
    gone[static_cast<std::size_t>(axis)] = true;
  }
  Reduction r;
  Shape inner;
  std::vector<std::int64_t> order;
  for (std::size_t d = 0; d < x.size(); ++d) {
    if (gone[d]) {
      inner.push_back(x[d]);
      r.taps *= x[d];
      if (keepdims) r.out.push_back(1);
    } else {
      r.out.push_back(x[d]);
      r.kept.push_back(x[d]);
      order.push_back(static_cast<std::int64_t>(d));
    }
  }
  for (std::size_t d = 0; d < x.size(); ++d)
    if (gone[d]) order.push_back(static_cast<std::int64_t>(d));
  IntTensor index(x);
  std::iota(index.data.begin(), index.data.end(), std::int64_t{0});
  r.indices = tensor::permute(index, order).data;
  return r;
}

Result<Shape> reduce_shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  WEFT_TRY(auto r, reduction_of(node, graph.at(node.inputs[0]).shape, ctx));
  return std::move(r.out);
}

Result<void> reduce_evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  const Shape& shape = run.graph().at(node.inputs[0]).shape;
  WEFT_TRY(const auto r, reduction_of(node, shape, ctx));
  const auto& x = run.input(node, 0);
  auto& y = run.output(node);
  const auto size = static_cast<std::size_t>(element_count(shape));
  const auto taps = static_cast<std::size_t>(r.taps);
  const std::size_t outputs = r.indices.size() / taps;
  for (std::size_t i = 0; i < y.size(); ++i) {
    const float* in = x.data() + i / outputs * size;
    const std::int64_t* at = r.indices.data() + i % outputs * taps;
    float v = in[at[0]];
    for (std::size_t t = 1; t < taps; ++t) {
      const float next = in[at[t]];
      v = node.op == "ReduceMax" ? std::max(v, next) : node.op == "ReduceMin" ? std::min(v, next) : v + next;
    }
    y[i] = node.op == "ReduceMean" ? v / static_cast<float>(taps) : v;
  }
  return {};
}

Result<void> reduce_lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  const Shape from = recipe.source().at(node.inputs[0]).shape;
  WEFT_TRY(auto r, reduction_of(node, from, ctx));
  WEFT_TRY(auto codes, recipe.codes(node, Symbol(recipe.input(node)), false));
  const auto axes = get_ints(node.attributes, "axes");
  const auto last = static_cast<std::int64_t>(from.size()) - 1;
  const bool channels_stay = !axes.empty() && std::find(axes.begin(), axes.end(), last) == axes.end();
  if (!channels_stay) {
    WEFT_TRY(codes.value, on_one_scale(node, recipe, codes.value));
  }
  const Scale scale = recipe.value(codes.value).scale;
  const bool smallest = node.op == "ReduceMin";
  exact::ValueId x = codes.value;
  if (smallest) {
    WEFT_TRY(x, negated(node, recipe, x, scale));
  }
  const Scale flat(scale.at(0));
  const Shape rows{static_cast<std::int64_t>(r.indices.size()) / r.taps, r.taps};
  WEFT_TRY(x, recipe.add(node.name + "_taps", exact::Gather{x, std::move(r.indices), 0}, flat, node.origin, rows));
  const bool comparison = smallest || node.op == "ReduceMax";
  const auto kind = comparison ? exact::Reduce::Kind::Max : exact::Reduce::Kind::Sum;
  WEFT_TRY(x, recipe.add(node.name + "_reduced", exact::Reduce{kind, x}, flat, node.origin));
  if (smallest) {
    WEFT_TRY(x, negated(node, recipe, x, flat));
  }
  Scale out_scale = scale;
  if (node.op == "ReduceMean")
    for (auto& f : out_scale.factors) f /= Rational(r.taps);
  Symbol out;
  out.layer = node.name;
  WEFT_TRY(out.value, recipe.add(node.name, exact::Reshape{x}, std::move(out_scale), node.origin, r.out));
  return recipe.set_output(node, std::move(out));
}

Layer reduce_row(std::string_view op, std::string_view summary) {
  return {.op = op,
          .summary = summary,
          .attributes = {"axes", "keepdims"},
          .required_parameters = {},
          .optional_parameters = {},
          .functions = {},
          .infer_shape = reduce_shape,
          .evaluate = reduce_evaluate,
          .lower = reduce_lower,
          .macs = no_macs};
}

}  // namespace

Layer average_layer() { return merge_row("Average", "mean of several tensors", {"by_reciprocal"}); }
Layer maximum_layer() { return merge_row("Maximum", "larger of several tensors, element by element"); }
Layer minimum_layer() { return merge_row("Minimum", "smaller of several tensors, element by element"); }
Layer reduce_max_layer() { return reduce_row("ReduceMax", "largest element along axes"); }
Layer reduce_mean_layer() { return reduce_row("ReduceMean", "mean along axes"); }
Layer reduce_min_layer() { return reduce_row("ReduceMin", "smallest element along axes"); }
Layer reduce_sum_layer() { return reduce_row("ReduceSum", "sum along axes"); }

}  // namespace weft::layers
