// SPDX-License-Identifier: Apache-2.0
// IntegerAveragePool: the mean of the file's integers (zero point included) rounded half away from zero; IntegerSum:
// sums along axes with one multiplier, which a mean's divisor is part of.
#include <fmt/format.h>

#include <algorithm>

#include "weft/layers/geometry.h"
#include "weft/layers/integer_parts.h"
#include "weft/layers/integer_rows.h"
#include "weft/layers/layer_rows.h"

namespace weft::layers {
namespace {

constexpr std::string_view kZeroPoint = "zero_point";

/// Elements of x that every output sums, `taps` per output, -1 for none.
struct Sums {
  Shape shape;
  std::vector<std::int64_t> from;
  std::int64_t taps = 1;
};

struct Pool {
  IntegerSpec spec;
  Int zero_point = 0;
  Sums sums;
  std::vector<std::int64_t> counts;  ///< taps inside, per output element

  /// q - zero point of the mean, from the sum of q - zero point.
  [[nodiscard]] Int mean(Int sum, std::size_t e) const {
    const Int n = counts[e];
    const Int q = sum + n * zero_point;
    const Int rounded = q > 0 ? (q + n / 2) / n : (q - n / 2) / n;
    return spec.clamp(rounded - zero_point);
  }
};

Result<Pool> pool_of(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  Pool out;
  WEFT_TRY(out.spec, integer_spec(node, ctx));
  out.zero_point = get_int(node.attributes, std::string(kZeroPoint), 0);
  const Shape& x = graph.at(node.inputs[0]).shape;
  const Shape kernel = get_ints(node.attributes, "pool");
  if (x.size() < 2 || kernel.size() + 1 != x.size() || out.zero_point < -65536 || out.zero_point > 65536)
    return ctx.fail(
        Kind::ShapeMismatch, node.origin,
        fmt::format("a pool of {} does not fit an input of shape {}", weft::to_string(kernel), weft::to_string(x)));
  WEFT_TRY(auto window, window_of(node, x, kernel, ctx));
  window.groups = x.back();
  out.sums.taps = element_count(kernel);
  out.sums.shape = positions_of(window, x);
  out.sums.shape.push_back(x.back());
  out.sums.from = exact::window_indices(window, x, window_shape(window, x));
  for (std::size_t at = 0; at < out.sums.from.size(); at += static_cast<std::size_t>(out.sums.taps)) {
    const auto first = out.sums.from.begin() + static_cast<std::ptrdiff_t>(at);
    out.counts.push_back(std::count_if(first, first + out.sums.taps, [](std::int64_t i) { return i >= 0; }));
    if (out.counts.back() == 0)
      return ctx.fail(Kind::ShapeMismatch, node.origin, "a window lies wholly in the padding");
  }
  return out;
}

Result<Shape> pool_shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  WEFT_TRY(auto pool, pool_of(graph, node, ctx));
  return std::move(pool.sums.shape);
}

std::vector<Int> sums_of(const Sums& sums, const std::vector<std::int64_t>& x, std::size_t size, std::size_t batch) {
  const auto taps = static_cast<std::size_t>(sums.taps);
  const std::size_t outputs = sums.from.size() / taps;
  std::vector<Int> out(outputs * batch, 0);
  for (std::size_t i = 0; i < out.size(); ++i)
    for (std::size_t t = 0; t < taps; ++t)
      if (const auto from = sums.from[i % outputs * taps + t]; from >= 0)
        out[i] += x[i / outputs * size + static_cast<std::size_t>(from)];
  return out;
}

Result<void> pool_evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  WEFT_TRY(const auto pool, pool_of(run.graph(), node, ctx));
  const auto x = integer_codes(run.input(node, 0), pool.spec.scales[0]);
  const auto size = static_cast<std::size_t>(element_count(run.graph().at(node.inputs[0]).shape));
  const auto sums = sums_of(pool.sums, x, size, static_cast<std::size_t>(run.batch()));
  std::vector<std::int64_t> codes(sums.size());
  for (std::size_t i = 0; i < sums.size(); ++i)
    codes[i] = static_cast<std::int64_t>(pool.mean(sums[i], i % pool.counts.size()));
  set_codes(run.output(node), codes, pool.spec.scale);
  return {};
}

/// The sums as [outputs..., 1] reshaped to `shape`.
Result<exact::ValueId> lower_sums(const nn::Node& node, Recipe& recipe, exact::ValueId x, const Sums& sums) {
  const std::int64_t outputs = static_cast<std::int64_t>(sums.from.size()) / sums.taps;
  WEFT_TRY(x, recipe.add(node.name + "_taps", exact::Gather{x, sums.from, 0}, Scale(), node.origin,
                         Shape{outputs, sums.taps}));
  WEFT_TRY(x, recipe.add(node.name + "_added", exact::Reduce{exact::Reduce::Kind::Sum, x}, Scale(), node.origin));
  return recipe.add(node.name + "_sums", exact::Reshape{x}, Scale(), node.origin, sums.shape);
}

Result<void> pool_lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  WEFT_TRY(const auto pool, pool_of(recipe.source(), node, ctx));
  WEFT_TRY(auto x, integer_input(node, recipe, 0, pool.spec.scales[0], ctx));
  WEFT_TRY(x, lower_sums(node, recipe, x, pool.sums));
  const bool alike = std::all_of(pool.counts.begin(), pool.counts.end(), [&](auto n) { return n == pool.counts[0]; });
  exact::Requant requant{x, {}, false};
  const std::size_t elements = pool.counts.size();
  for (std::size_t e = 0; e < (alike ? 1 : elements); ++e) {
    const auto range = channel_range(recipe.value(x), e, alike ? 1 : elements);
    requant.functions.emplace_back(
        fixed::pieces_of([&](Int sum) { return pool.mean(sum, e); }, range.lo, range.hi, {}));
  }
  WEFT_TRY(const auto y, recipe.add(node.name, std::move(requant), Scale(), node.origin));
  return set_integer_output(node, recipe, y);
}

// --- sums along axes

struct Sum {
  IntegerSpec spec;
  Rescale rescale;
  Sums sums;
};

Result<Sum> sum_of(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  Sum out;
  WEFT_TRY(out.spec, integer_spec(node, 1, 0, ctx));
  out.rescale = {out.spec.multipliers, out.spec.wide, 0, out.spec.lo, out.spec.hi};
  const Shape& x = graph.at(node.inputs[0]).shape;
  std::vector<bool> reduced(x.size(), false);
  for (const auto axis : get_ints(node.attributes, "axes")) {
    if (axis < 0 || axis >= static_cast<std::int64_t>(x.size()))
      return ctx.fail(Kind::ShapeMismatch, node.origin,
                      fmt::format("axis {} of a tensor of shape {}", axis, weft::to_string(x)));
    reduced[static_cast<std::size_t>(axis)] = true;
  }
  const bool keep = get_bool(node.attributes, "keepdims", false);
  const auto strides = strides_of(x);
  std::vector<std::int64_t> bases{0};
  std::vector<std::int64_t> offsets{0};
  for (std::size_t d = 0; d < x.size(); ++d) {
    auto& list = reduced[d] ? offsets : bases;
    std::vector<std::int64_t> longer;
    for (const auto at : list)
      for (std::int64_t i = 0; i < x[d]; ++i) longer.push_back(at + i * strides[d]);
    list = std::move(longer);
    if (!reduced[d])
      out.sums.shape.push_back(x[d]);
    else if (keep)
      out.sums.shape.push_back(1);
  }
  if (offsets.empty() || bases.empty()) return ctx.fail(Kind::ShapeMismatch, node.origin, "there is nothing to sum");
  out.sums.taps = static_cast<std::int64_t>(offsets.size());
  for (const auto base : bases)
    for (const auto offset : offsets) out.sums.from.push_back(base + offset);
  return out;
}

Result<Shape> sum_shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  WEFT_TRY(auto sum, sum_of(graph, node, ctx));
  return std::move(sum.sums.shape);
}

Result<void> sum_evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  WEFT_TRY(const auto sum, sum_of(run.graph(), node, ctx));
  const auto x = integer_codes(run.input(node, 0), sum.spec.scales[0]);
  const auto size = static_cast<std::size_t>(element_count(run.graph().at(node.inputs[0]).shape));
  const auto sums = sums_of(sum.sums, x, size, static_cast<std::size_t>(run.batch()));
  std::vector<std::int64_t> codes;
  for (const Int s : sums) codes.push_back(static_cast<std::int64_t>(rescale(s, sum.rescale, 0)));
  set_codes(run.output(node), codes, sum.spec.scale);
  return {};
}

Result<void> sum_lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  WEFT_TRY(const auto sum, sum_of(recipe.source(), node, ctx));
  WEFT_TRY(auto x, integer_input(node, recipe, 0, sum.spec.scales[0], ctx));
  WEFT_TRY(x, lower_sums(node, recipe, x, sum.sums));
  WEFT_TRY(const auto y, rescaled(recipe, node, node.name, x, sum.rescale, Scale()));
  return set_integer_output(node, recipe, y);
}

}  // namespace

Layer integer_average_pool_layer() {
  return {
      .op = "IntegerAveragePool",
      .summary = "mean of every window of integer codes, rounded as TensorFlow Lite does; padding does not count",
      .attributes = {kScales, kScale, kLo, kHi, kZeroPoint, "pool", kStrides, kDilations, kPadding, kBefore, kAfter},
      .required_parameters = {},
      .optional_parameters = {},
      .functions = {},
      .infer_shape = pool_shape,
      .evaluate = pool_evaluate,
      .lower = pool_lower,
      .macs = no_macs};
}
Layer integer_sum_layer() {
  return {.op = "IntegerSum",
          .summary = "sum or mean of integer codes along axes with TensorFlow Lite's rescaling",
          .attributes = {kScales, kScale, kLo, kHi, kMultipliers, kShifts, kWide, "axes", "keepdims"},
          .required_parameters = {},
          .optional_parameters = {},
          .functions = {},
          .infer_shape = sum_shape,
          .evaluate = sum_evaluate,
          .lower = sum_lower,
          .macs = no_macs};
}

}  // namespace weft::layers
