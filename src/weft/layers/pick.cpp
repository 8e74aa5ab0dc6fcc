// SPDX-License-Identifier: Apache-2.0
// Pick: any constant arrangement of the input's elements, with a number where there is none: expand, tile, triangles,
// gathers by element, scatters onto constants.
#include <fmt/format.h>

#include <algorithm>

#include "weft/fixed/quantize.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer_rows.h"
#include "weft/layers/movement.h"

namespace weft::layers {
namespace {

Result<Shape> shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  const Shape to = get_ints(node.attributes, "shape");
  const auto indices = get_ints(node.attributes, "indices");
  const std::int64_t size = element_count(graph.at(node.inputs[0]).shape);
  std::int64_t count = 1;
  for (const auto d : to) {
    if (d < 1 || d > static_cast<std::int64_t>(indices.size()) / count) count = -1;
    if (count < 0) break;
    count *= d;
  }
  if (count != static_cast<std::int64_t>(indices.size()) ||
      std::any_of(indices.begin(), indices.end(), [&](auto i) { return i < -1 || i >= size; }))
    return ctx.fail(
        Kind::ShapeMismatch, node.origin,
        fmt::format("{} indices into {} elements do not make the shape {}", indices.size(), size, weft::to_string(to)));
  return to;
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context&) {
  const auto indices = get_ints(node.attributes, "indices");
  const auto value = static_cast<float>(get_double(node.attributes, "value", 0.0));
  const auto size = static_cast<std::size_t>(element_count(run.graph().at(node.inputs[0]).shape));
  const auto& x = run.input(node, 0);
  auto& y = run.output(node);
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::int64_t e = indices[i % indices.size()];
    y[i] = e < 0 ? value : x[i / indices.size() * size + static_cast<std::size_t>(e)];
  }
  return {};
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  exact::Gather gather{{}, get_ints(node.attributes, "indices"), 0};
  const Shape to = recipe.source().at(node.outputs[0]).shape;
  const bool padded = std::find(gather.indices.begin(), gather.indices.end(), -1) != gather.indices.end();
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

}  // namespace

Layer pick_layer() {
  return {.op = "Pick",
          .summary = "any constant arrangement of elements, a number where there is none",
          .attributes = {"shape", "indices", "value"},
          .required_parameters = {},
          .optional_parameters = {},
          .functions = {},
          .infer_shape = shape,
          .evaluate = evaluate,
          .lower = lower,
          .takes_any_scale = true,
          .macs = no_macs};
}

}  // namespace weft::layers
