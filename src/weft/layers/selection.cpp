// SPDX-License-Identifier: Apache-2.0
// Slice, Pad, Upsample, Take: outputs that are elements of the input, or a constant around them; and Concat.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "weft/fixed/quantize.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer_rows.h"
#include "weft/layers/movement.h"

namespace weft::layers {

Result<Int> padding_code(const nn::Node& node, double number, const Scale& scale, Context& ctx) {
  const Rational value = fixed::rational_from_double(number);
  const Rational code = scale.per_tensor() ? value / scale.at(0) : value;
  const auto as_int = denominator(code) == 1 ? fixed::to_int(numerator(code)) : std::nullopt;
  if (!as_int || (!scale.per_tensor() && value != 0))
    return ctx.fail(Kind::LoweringUnsupported, node.origin,
                    fmt::format("the padding value {} lies on no code of the input; pad with zero, or give the layer "
                                "in front a result type",
                                number));
  return *as_int;
}

namespace {

constexpr std::int64_t kOutside = -1;
constexpr std::int64_t kMaxElements = std::int64_t{1} << 27;

/// Per axis the source index of every output index, kOutside for padding.
using AxisMaps = std::vector<std::vector<std::int64_t>>;

Result<Shape> list_of(const nn::Node& node, const char* key, std::size_t rank, Context& ctx) {
  Shape list = get_ints(node.attributes, key);
  if (list.size() != rank)
    return ctx.fail(Kind::ShapeMismatch, node.origin,
                    fmt::format("`{}` has {} entries for an input of rank {}", key, list.size(), rank));
  return list;
}

Result<AxisMaps> slice_maps(const nn::Node& node, const Shape& x, Context& ctx) {
  WEFT_TRY(const Shape begin, list_of(node, "begin", x.size(), ctx));
  WEFT_TRY(const Shape end, list_of(node, "end", x.size(), ctx));
  WEFT_TRY(const Shape step, list_of(node, "step", x.size(), ctx));
  AxisMaps maps(x.size());
  for (std::size_t d = 0; d < x.size(); ++d) {
    if (step[d] == 0 || std::abs(step[d]) > kMaxElements || begin[d] < -1 || begin[d] > x[d] || end[d] < -1 ||
        end[d] > x[d])
      return ctx.fail(Kind::ShapeMismatch, node.origin,
                      fmt::format("slice {}:{}:{} leaves axis {} of {}", begin[d], end[d], step[d], d, x[d]));
    for (std::int64_t i = begin[d]; step[d] > 0 ? i < end[d] : i > end[d]; i += step[d]) {
      if (i < 0 || i >= x[d]) break;
      maps[d].push_back(i);
    }
  }
  return maps;
}

Result<AxisMaps> pad_maps(const nn::Node& node, const Shape& x, Context& ctx) {
  WEFT_TRY(const Shape before, list_of(node, "before", x.size(), ctx));
  WEFT_TRY(const Shape after, list_of(node, "after", x.size(), ctx));
  const std::string mode = get_string(node.attributes, "mode", "constant");
  if (mode != "constant" && mode != "reflect" && mode != "edge" && mode != "wrap")
    return ctx.fail(Kind::AttributeUnsupported, node.origin,
                    fmt::format("padding mode `{}` is not known; use constant, reflect, edge or wrap", mode));
  AxisMaps maps(x.size());
  for (std::size_t d = 0; d < x.size(); ++d) {
    if (before[d] < -x[d] || after[d] < -x[d] || before[d] > kMaxElements || after[d] > kMaxElements ||
        x[d] + before[d] + after[d] < 1 || x[d] + before[d] + after[d] > kMaxElements)
      return ctx.fail(Kind::ShapeMismatch, node.origin,
                      fmt::format("padding by {} and {} leaves nothing of axis {}", before[d], after[d], d));
    for (std::int64_t i = -before[d]; i < x[d] + after[d]; ++i) {
      std::int64_t from = i;
      if (i < 0 || i >= x[d]) {
        const std::int64_t period = std::max<std::int64_t>(2 * (x[d] - 1), 1);
        const std::int64_t folded = ((i % period) + period) % period;
        from = mode == "edge"      ? std::clamp<std::int64_t>(i, 0, x[d] - 1)
               : mode == "wrap"    ? ((i % x[d]) + x[d]) % x[d]
               : mode == "reflect" ? (folded < x[d] ? folded : period - folded)
                                   : kOutside;
      }
      maps[d].push_back(from);
    }
  }
  return maps;
}

Result<AxisMaps> upsample_maps(const nn::Node& node, const Shape& x, Context& ctx) {
  WEFT_TRY(const Shape repeats, list_of(node, "repeats", x.size(), ctx));
  AxisMaps maps(x.size());
  for (std::size_t d = 0; d < x.size(); ++d) {
    if (repeats[d] < 1 || repeats[d] > kMaxElements / x[d])
      return ctx.fail(Kind::ShapeMismatch, node.origin, fmt::format("an axis cannot be repeated {} times", repeats[d]));
    for (std::int64_t i = 0; i < x[d] * repeats[d]; ++i) maps[d].push_back(i / repeats[d]);
  }
  return maps;
}

Result<AxisMaps> take_maps(const nn::Node& node, const Shape& x, Context& ctx) {
  const std::int64_t axis = get_int(node.attributes, "axis", 0);
  const auto indices = get_ints(node.attributes, "indices");
  if (axis < 0 || axis >= static_cast<std::int64_t>(x.size()))
    return ctx.fail(Kind::ShapeMismatch, node.origin, fmt::format("axis {} is not in {}", axis, weft::to_string(x)));
  AxisMaps maps(x.size());
  for (std::size_t d = 0; d < x.size(); ++d) {
    maps[d].resize(static_cast<std::size_t>(x[d]));
    std::iota(maps[d].begin(), maps[d].end(), std::int64_t{0});
  }
  for (const auto i : indices)
    if (i < 0 || i >= x[static_cast<std::size_t>(axis)])
      return ctx.fail(Kind::ShapeMismatch, node.origin,
                      fmt::format("index {} is not on axis {} of {}", i, axis, weft::to_string(x)));
  maps[static_cast<std::size_t>(axis)] = indices;
  return maps;
}

Result<AxisMaps> maps_of(const nn::Node& node, const Shape& x, Context& ctx) {
  if (node.op == "Slice") return slice_maps(node, x, ctx);
  if (node.op == "Pad") return pad_maps(node, x, ctx);
  if (node.op == "Upsample") return upsample_maps(node, x, ctx);
  return take_maps(node, x, ctx);
}

/// Output elements as input elements.
std::vector<std::int64_t> elements_of(const AxisMaps& maps, const Shape& x, const Shape& y) {
  const auto strides = strides_of(x);
  std::vector<std::int64_t> out(static_cast<std::size_t>(element_count(y)));
  for (std::size_t e = 0; e < out.size(); ++e) {
    auto rest = static_cast<std::int64_t>(e);
    std::int64_t from = 0;
    for (std::size_t d = y.size(); d-- > 0; rest /= y[d]) {
      const std::int64_t i = maps[d][static_cast<std::size_t>(rest % y[d])];
      from = i == kOutside || from == kOutside ? kOutside : from + i * strides[d];
    }
    out[e] = from;
  }
  return out;
}

Result<Shape> shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  const Shape& x = graph.at(node.inputs[0]).shape;
  WEFT_TRY(const auto maps, maps_of(node, x, ctx));
  Shape out;
  std::int64_t count = 1;
  for (const auto& m : maps) {
    const auto extent = static_cast<std::int64_t>(m.size());
    if (extent < 1 || extent > kMaxElements / count)
      return ctx.fail(Kind::ShapeMismatch, node.origin, "the result is empty or too large");
    count *= extent;
    out.push_back(extent);
  }
  return out;
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  const Shape& from = run.graph().at(node.inputs[0]).shape;
  const Shape& to = run.graph().at(node.outputs[0]).shape;
  WEFT_TRY(const auto maps, maps_of(node, from, ctx));
  const auto elements = elements_of(maps, from, to);
  const auto pad = static_cast<float>(get_double(node.attributes, "value", 0.0));
  const auto& x = run.input(node, 0);
  auto& y = run.output(node);
  const auto size = static_cast<std::size_t>(element_count(from));
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::int64_t e = elements[i % elements.size()];
    y[i] = e < 0 ? pad : x[i / elements.size() * size + static_cast<std::size_t>(e)];
  }
  return {};
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  const Shape from = recipe.source().at(node.inputs[0]).shape;
  const Shape to = recipe.source().at(node.outputs[0]).shape;
  WEFT_TRY(const auto maps, maps_of(node, from, ctx));
  exact::Gather gather;
  gather.indices = elements_of(maps, from, to);
  const bool padded = std::find(gather.indices.begin(), gather.indices.end(), kOutside) != gather.indices.end();
  WEFT_TRY(Symbol symbol, movable(node, recipe, recipe.input(node)));
  if (padded && !symbol.pending.empty()) {
    WEFT_TRY(const auto codes, recipe.codes(node, symbol, false));
    symbol = Symbol{};
    symbol.value = codes.value;
  }
  if (padded) {
    const double number = get_double(node.attributes, "value", 0.0);
    WEFT_TRY(gather.pad, padding_code(node, number, recipe.value(symbol.value).scale, ctx));
  }
  gather.x = symbol.value;
  WEFT_TRY(symbol, moved(node, recipe, std::move(symbol), std::move(gather), to));
  return recipe.set_output(node, std::move(symbol));
}

Layer row(std::string_view op, std::string_view summary, std::vector<std::string_view> attributes) {
  return {.op = op,
          .summary = summary,
          .attributes = std::move(attributes),
          .required_parameters = {},
          .optional_parameters = {},
          .functions = {},
          .infer_shape = shape,
          .evaluate = evaluate,
          .lower = lower,
          .takes_any_scale = true,
          .macs = no_macs};
}

// --- Concat

Result<std::size_t> concat_axis(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  const auto rank = static_cast<std::int64_t>(graph.at(node.inputs[0]).shape.size());
  const std::int64_t axis = get_int(node.attributes, "axis", -1);
  if (axis < -rank || axis >= rank)
    return ctx.fail(Kind::ShapeMismatch, node.origin, fmt::format("axis {} does not exist in rank {}", axis, rank));
  return static_cast<std::size_t>(axis < 0 ? axis + rank : axis);
}

Result<Shape> concat_shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  WEFT_TRY(const std::size_t axis, concat_axis(graph, node, ctx));
  Shape out = graph.at(node.inputs[0]).shape;
  for (std::size_t i = 1; i < node.inputs.size(); ++i) {
    Shape other = graph.at(node.inputs[i]).shape;
    if (other.size() == out.size()) {
      const std::int64_t extent = other[axis];
      other[axis] = out[axis];
      if (other == out) {
        out[axis] += extent;
        continue;
      }
    }
    return ctx.fail(Kind::ShapeMismatch, node.origin,
                    fmt::format("input {} of shape {} does not join {} along axis {}", i,
                                weft::to_string(graph.at(node.inputs[i]).shape), weft::to_string(out), axis));
  }
  return out;
}

Result<void> concat_evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  WEFT_TRY(const std::size_t axis, concat_axis(run.graph(), node, ctx));
  const Shape& to = run.graph().at(node.outputs[0]).shape;
  std::size_t outer = static_cast<std::size_t>(run.batch());
  for (std::size_t d = 0; d < axis; ++d) outer *= static_cast<std::size_t>(to[d]);
  auto& y = run.output(node);
  const std::size_t row = outer == 0 ? 0 : y.size() / outer;
  std::size_t start = 0;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const auto& x = run.input(node, i);
    const std::size_t piece = outer == 0 ? 0 : x.size() / outer;
    for (std::size_t o = 0; o < outer; ++o)
      std::copy_n(x.begin() + static_cast<std::ptrdiff_t>(o * piece), piece,
                  y.begin() + static_cast<std::ptrdiff_t>(o * row + start));
    start += piece;
  }
  return {};
}

Result<void> concat_lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  WEFT_TRY(const std::size_t axis, concat_axis(recipe.source(), node, ctx));
  std::vector<exact::ValueId> xs;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    WEFT_TRY(const auto codes, recipe.codes(node, Symbol(recipe.input(node, i)), false));
    xs.push_back(codes.value);
  }
  const Shape to = recipe.source().at(node.outputs[0]).shape;
  const bool last = axis + 1 == to.size();
  std::vector<Rational> factors;
  for (const auto id : xs) {
    const auto& value = recipe.value(id);
    for (std::int64_t c = 0; c < value.shape.back(); ++c)
      factors.push_back(value.scale.at(static_cast<std::size_t>(c)));
  }
  Scale scale(factors);
  const bool same = std::all_of(factors.begin(), factors.end(), [&](const auto& f) { return f == factors[0]; });
  if (same) {
    scale = Scale(factors[0]);
  } else if (!last || std::all_of(xs.begin(), xs.end(), [&](auto id) { return recipe.value(id).scale.per_tensor(); })) {
    // One grid for all where powers of two lie between them: the consumers then see a single scale.
    Rational finest = factors[0];
    bool powers = true;
    for (const auto& f : factors) {
      powers = powers && fixed::log2_exact(f / finest).has_value();
      if (f < finest) finest = f;
    }
    if (powers) {
      for (auto& id : xs) {
        const auto& value = recipe.value(id);
        if (value.scale == Scale(finest)) continue;
        if (!value.scale.per_tensor()) powers = false;
        if (!powers) break;
        const int shift = *fixed::log2_exact(value.scale.at(0) / finest);
        WEFT_TRY(const auto zero,
                 recipe.add(node.name + "_zero", exact::Constant{{0}}, Scale(finest), node.origin, Shape{1}));
        WEFT_TRY(id, recipe.add(node.name + "_aligned", exact::Add{id, zero, shift, 0}, Scale(finest), node.origin));
      }
      if (powers) scale = Scale(finest);
    }
    if (!powers && !last)
      return ctx.fail(Kind::LoweringUnsupported, node.origin,
                      "the scales of the inputs differ by something else than a power of two; give the layers in front "
                      "result types");
  }
  Symbol out;
  out.layer = node.name;
  WEFT_TRY(out.value,
           recipe.add(node.name, exact::Concat{xs, static_cast<std::int64_t>(axis)}, std::move(scale), node.origin));
  return recipe.set_output(node, std::move(out));
}

}  // namespace

Layer slice_layer() {
  return row("Slice", "every step-th element from begin to end, per axis", {"begin", "end", "step"});
}
Layer pad_layer() {
  return row("Pad", "a constant, the edge or a reflection around the tensor; negative widths crop",
             {"before", "after", "mode", "value"});
}
Layer upsample_layer() {
  return row("Upsample", "every element repeated along its axes (nearest neighbour)", {"repeats"});
}
Layer take_layer() { return row("Take", "the elements with constant indices along one axis", {"axis", "indices"}); }

Layer concat_layer() {
  return {.op = "Concat",
          .summary = "tensors joined along one axis",
          .attributes = {"axis"},
          .required_parameters = {},
          .optional_parameters = {},
          .functions = {},
          .min_inputs = 1,
          .max_inputs = 4096,
          .infer_shape = concat_shape,
          .evaluate = concat_evaluate,
          .lower = concat_lower,
          .macs = no_macs};
}

}  // namespace weft::layers
