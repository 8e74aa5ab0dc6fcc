// SPDX-License-Identifier: Apache-2.0
// MaxPool, AveragePool, GlobalMaxPool, GlobalAveragePool over all spatial axes. An average is an integer sum under a
// finer scale; where windows reach into padding that does not count, sums are brought to one divisor first. PyTorch's
// adaptive pools divide by the length of each axis in turn (`divide_by_axis`, float32).
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "weft/layers/dense_recipe.h"
#include "weft/layers/float_run.h"
#include "weft/layers/geometry.h"
#include "weft/layers/layer_rows.h"
#include "weft/layers/recipe.h"

namespace weft::layers {
namespace {

bool is_global(const nn::Node& node) { return node.op.starts_with("Global"); }
bool is_max(const nn::Node& node) { return node.op.ends_with("MaxPool"); }

Result<exact::Window> pool_window(const nn::Node& node, const Shape& x, Context& ctx) {
  if (x.size() < 2)
    return ctx.fail(Kind::ShapeMismatch, node.origin,
                    fmt::format("a pool needs a spatial axis, the input has shape {}", weft::to_string(x)));
  Shape kernel(x.begin(), x.end() - 1);
  if (!is_global(node)) {
    kernel = get_ints(node.attributes, "pool");
    if (kernel.size() + 1 != x.size())
      return ctx.fail(
          Kind::ShapeMismatch, node.origin,
          fmt::format("a pool of {} does not fit an input of shape {}", weft::to_string(kernel), weft::to_string(x)));
  }
  WEFT_TRY(auto window, window_of(node, x, kernel, ctx));
  window.groups = x.back();
  const Shape positions = positions_of(window, x);
  for (std::size_t d = 0; d < kernel.size(); ++d)
    for (std::int64_t p = 0; p < positions[d]; ++p) {
      // The first tap at or behind element 0.
      const std::int64_t start = p * window.stride[d] - window.before[d];
      const std::int64_t skipped = start >= 0 ? 0 : (-start + window.dilation[d] - 1) / window.dilation[d];
      if (skipped >= kernel[d] || start + skipped * window.dilation[d] >= x[d])
        return ctx.fail(
            Kind::ShapeMismatch, node.origin,
            fmt::format("window {} of axis {} lies wholly in the padding, where there is nothing to pool", p, d));
    }
  return window;
}

Result<Shape> shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  const Shape& x = graph.at(node.inputs[0]).shape;
  WEFT_TRY(const auto window, pool_window(node, x, ctx));
  Shape out = positions_of(window, x);
  if (is_global(node) && !get_bool(node.attributes, "keepdims", false)) out.clear();
  out.push_back(x.back());
  return out;
}

bool divides_by_axis(const nn::Node& node) { return get_bool(node.attributes, "divide_by_axis", false); }

/// Whether a division after the first one rounds again.
bool rounds_twice(const nn::Node& node, const Shape& kernel) {
  return divides_by_axis(node) &&
         std::count_if(kernel.begin(), kernel.end(), [](auto n) { return (n & (n - 1)) != 0; }) > 1;
}

/// Number of taps that count at each position.
std::vector<std::int64_t> counts_of(const nn::Node& node, const std::vector<std::int64_t>& indices, std::int64_t taps,
                                    std::int64_t channels) {
  std::vector<std::int64_t> out;
  for (std::size_t at = 0; at < indices.size(); at += static_cast<std::size_t>(taps * channels)) {
    std::int64_t inside = 0;
    for (std::int64_t t = 0; t < taps; ++t) inside += indices[at + static_cast<std::size_t>(t)] >= 0 ? 1 : 0;
    out.push_back(get_bool(node.attributes, "count_padding", false) ? taps : inside);
  }
  return out;
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  const Shape& shape = run.graph().at(node.inputs[0]).shape;
  WEFT_TRY(const auto window, pool_window(node, shape, ctx));
  const auto indices = exact::window_indices(window, shape, window_shape(window, shape));
  const std::int64_t taps = element_count(window.kernel);
  const auto counts = counts_of(node, indices, taps, shape.back());
  const auto& x = run.input(node, 0);
  auto& y = run.output(node);
  const auto size = static_cast<std::size_t>(element_count(shape));
  const auto outputs = indices.size() / static_cast<std::size_t>(taps);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const float* in = x.data() + i / outputs * size;
    const std::size_t e = i % outputs;
    float result = is_max(node) ? -std::numeric_limits<float>::infinity() : 0.0F;
    for (std::int64_t t = 0; t < taps; ++t) {
      const std::int64_t from = indices[e * static_cast<std::size_t>(taps) + static_cast<std::size_t>(t)];
      if (from < 0) continue;
      result = is_max(node) ? std::max(result, in[from]) : result + in[from];
    }
    if (divides_by_axis(node)) {
      for (const std::int64_t extent : window.kernel) result /= static_cast<float>(extent);
    } else if (!is_max(node)) {
      result /= static_cast<float>(counts[e / static_cast<std::size_t>(shape.back())]);
    }
    y[i] = result;
  }
  return apply_function(node, "activation", y, shape.back(), ctx);
}

/// What the order of the framework's additions and its divisions can change in a mean of up to `taps` elements of `x`.
void bound_sums(Symbol& symbol, const Recipe& recipe, const nn::Node& node, exact::ValueId x, const Scale& scale,
                std::int64_t channels, const Shape& kernel) {
  const std::int64_t taps = element_count(kernel);
  const bool twice = rounds_twice(node, kernel);
  std::vector<double> bounds;
  const std::int64_t different = scale.per_tensor() ? 1 : channels;
  for (std::int64_t c = 0; c < different; ++c) {
    const auto range = channel_range(recipe.value(x), c, different);
    const Int largest = std::max(range.hi < 0 ? -range.hi : range.hi, range.lo < 0 ? -range.lo : range.lo);
    const Rational& unit = scale.at(static_cast<std::size_t>(c));
    const bool whole =
        !twice && fixed::log2_exact(unit) && fixed::floor_shift(largest * taps, range.step_log2) < (Int{1} << 24);
    // The elements are no larger than the largest one, and so is their mean.
    bounds.push_back(whole ? 0.0 : order_bound(fixed::to_double(unit) * static_cast<double>(largest), taps + 1));
  }
  if (std::all_of(bounds.begin(), bounds.end(), [](double b) { return b == 0.0; })) return;
  symbol.order_bound = std::move(bounds);
  symbol.sum_layer = node.name;
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  const Shape x_shape = recipe.source().at(node.inputs[0]).shape;
  const Shape y_shape = recipe.source().at(node.outputs[0]).shape;
  WEFT_TRY(auto window, pool_window(node, x_shape, ctx));
  const Shape to = window_shape(window, x_shape);
  const auto indices = exact::window_indices(window, x_shape, to);
  const Shape kernel = window.kernel;
  const std::int64_t taps = element_count(kernel);
  const auto counts = counts_of(node, indices, taps, x_shape.back());

  Symbol symbol = recipe.input(node);
  if (!is_max(node) || !symbol.pending.empty()) {
    WEFT_TRY(const auto codes, recipe.codes(node, symbol, false));
    symbol = Symbol{};
    symbol.value = codes.value;
  }
  symbol.layer = node.name;
  window.x = symbol.value;
  // The smallest code never wins against the one that every window has.
  if (is_max(node)) window.pad = channel_range(recipe.value(symbol.value), 0, 1).lo;
  const exact::ValueId pooled = symbol.value;
  const Scale scale = recipe.value(symbol.value).scale;
  std::vector<Rational> repeated;
  for (std::int64_t c = 0; !scale.per_tensor() && c < x_shape.back(); ++c)
    repeated.insert(repeated.end(), static_cast<std::size_t>(taps), scale.at(static_cast<std::size_t>(c)));
  const Scale window_scale = scale.per_tensor() ? scale : Scale(std::move(repeated));
  WEFT_TRY(symbol.value, recipe.add(node.name + "_window", std::move(window), window_scale, node.origin));
  // One row of taps per position and channel; its scale, one per channel, comes back with the channels' axis.
  const Scale flat = Scale(scale.at(0));
  WEFT_TRY(symbol.value, recipe.add(node.name + "_taps", exact::Reshape{symbol.value}, flat, node.origin,
                                    Shape{element_count(y_shape), taps}));
  const auto kind = is_max(node) ? exact::Reduce::Kind::Max : exact::Reduce::Kind::Sum;
  WEFT_TRY(symbol.value, recipe.add(node.name + "_reduced", exact::Reduce{kind, symbol.value}, flat, node.origin));
  Scale out_scale = scale;
  if (!is_max(node)) {
    const std::int64_t common =
        std::accumulate(counts.begin(), counts.end(), std::int64_t{1}, [](auto a, auto b) { return std::lcm(a, b); });
    if (std::any_of(counts.begin(), counts.end(), [&](auto n) { return n != common; })) {
      exact::Constant factors;
      for (const auto n : counts)
        factors.codes.insert(factors.codes.end(), static_cast<std::size_t>(x_shape.back()), common / n);
      WEFT_TRY(const auto constant, recipe.add(node.name + "_weights", std::move(factors), Scale(), node.origin,
                                               Shape{element_count(y_shape), 1}));
      WEFT_TRY(symbol.value,
               recipe.add(node.name + "_weighted", exact::Mul{symbol.value, constant}, flat, node.origin));
    }
    for (auto& f : out_scale.factors) f /= Rational(common);
  }
  if (!is_max(node)) bound_sums(symbol, recipe, node, pooled, scale, x_shape.back(), kernel);
  WEFT_TRY(symbol.value,
           recipe.add(node.name, exact::Reshape{symbol.value}, std::move(out_scale), node.origin, y_shape));
  const auto activation = node.functions.find("activation");
  if (activation != node.functions.end()) {
    WEFT_TRY(symbol, recipe.apply(node, std::move(symbol), activation->second));
  }
  return recipe.set_output(node, std::move(symbol));
}

Layer row(std::string_view op, std::string_view summary, std::vector<std::string_view> attributes) {
  return {.op = op,
          .summary = summary,
          .attributes = std::move(attributes),
          .required_parameters = {},
          .optional_parameters = {},
          .functions = {"activation"},
          .infer_shape = shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = no_macs};
}

}  // namespace

Layer max_pool_layer() {
  return row("MaxPool", "largest element of every window, per channel; padding never wins",
             {"pool", kStrides, kDilations, kPadding, kBefore, kAfter, kCeil});
}
Layer average_pool_layer() {
  return row("AveragePool", "mean of every window, per channel; padding counts only with count_padding",
             {"pool", kStrides, kDilations, kPadding, kBefore, kAfter, kCeil, "count_padding", "divide_by_axis"});
}
Layer global_max_pool_layer() {
  return row("GlobalMaxPool", "largest element per channel over all positions", {"keepdims"});
}
Layer global_average_pool_layer() {
  return row("GlobalAveragePool", "mean per channel over all positions", {"keepdims", "divide_by_axis"});
}

}  // namespace weft::layers
