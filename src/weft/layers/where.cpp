// SPDX-License-Identifier: Apache-2.0
// Where: x where the condition is one, y where it is zero.
#include <fmt/format.h>

#include "weft/layers/align.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer_rows.h"
#include "weft/layers/movement.h"

namespace weft::layers {
namespace {

Result<Shape> shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  Shape out;
  for (const auto id : node.inputs) {
    const auto both = tensor::broadcast(out, graph.at(id).shape);
    if (!both.ok)
      return ctx.fail(
          Kind::ShapeMismatch, node.origin,
          fmt::format("shapes {} and {} do not broadcast", weft::to_string(out), weft::to_string(graph.at(id).shape)));
    out = both.shape;
  }
  return out;
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context&) {
  const Shape& to = run.graph().at(node.outputs[0]).shape;
  auto& y = run.output(node);
  const auto n = static_cast<std::size_t>(element_count(to));
  const auto at = [&](std::size_t k, std::size_t i) {
    const Shape& from = run.graph().at(node.inputs[k]).shape;
    return run.input(
        node, k)[i / n * static_cast<std::size_t>(element_count(from)) + tensor::broadcast_index(from, to, i % n)];
  };
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = at(0, i) != 0.0F ? at(1, i) : at(2, i);
  return {};
}

/// y + condition (x - y), in integers.
Result<void> lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  const Shape to = recipe.source().at(node.outputs[0]).shape;
  WEFT_TRY(const auto condition, recipe.codes(node, Symbol(recipe.input(node)), false));
  for (const auto& r : recipe.value(condition.value).ranges)
    if (r.lo < 0 || r.hi > 1 || recipe.value(condition.value).scale != Scale())
      return ctx.fail(Kind::LoweringUnsupported, node.origin,
                      "the condition holds other numbers than 0 and 1; declare its type as `binary` or compare first");
  WEFT_TRY(const Aligned in, aligned_inputs(node, recipe, 1));
  const Scale& scale = in.scale;
  WEFT_TRY(const auto difference,
           recipe.add(node.name + "_difference", exact::Sub{in.values[0], in.values[1], 0, 0}, scale, node.origin));
  WEFT_TRY(const auto chosen,
           recipe.add(node.name + "_chosen", exact::Mul{condition.value, difference}, scale, node.origin));
  Symbol out;
  out.layer = node.name;
  WEFT_TRY(const auto sum, recipe.add(node.name + "_sum", exact::Add{in.values[1], chosen, 0, 0}, scale, node.origin));
  WEFT_TRY(out.value, recipe.add(node.name, exact::Reshape{sum}, scale, node.origin, to));
  return recipe.set_output(node, std::move(out));
}

}  // namespace

Layer where_layer() {
  return {.op = "Where",
          .summary = "elements of one tensor where a condition holds, of another elsewhere",
          .attributes = {},
          .required_parameters = {},
          .optional_parameters = {},
          .functions = {},
          .min_inputs = 3,
          .max_inputs = 3,
          .infer_shape = shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = no_macs};
}

}  // namespace weft::layers
