// SPDX-License-Identifier: Apache-2.0
// Normalization (Keras): (x - mean) / max(sqrt(variance), 1e-7), or its inverse x * max(sqrt(variance), 1e-7) + mean.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/layers/layer_rows.h"
#include "weft/layers/steps.h"

namespace weft::layers {
namespace {

using Op = exact::ReadoutStep::Op;

Result<std::vector<exact::ReadoutStep>> steps_of(const nn::Node& node, Context& ctx) {
  WEFT_TRY(auto mean, channel_operands(node, node.parameters.at("mean").values, ctx));
  FloatTensor root = node.parameters.at("variance").values;
  for (auto& v : root.data) v = std::max(std::sqrt(v), 1e-7F);
  WEFT_TRY(auto deviation, channel_operands(node, root, ctx));
  if (get_bool(node.attributes, "invert", false))
    return std::vector<exact::ReadoutStep>{{Op::Mul, std::move(deviation)}, {Op::Add, std::move(mean)}};
  return std::vector<exact::ReadoutStep>{{Op::Sub, std::move(mean)}, {Op::Div, std::move(deviation)}};
}

Result<Shape> shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  const Shape s = graph.at(node.inputs[0]).shape;
  for (const auto& [role, p] : node.parameters) {
    const auto b = tensor::broadcast(s, p.values.shape);
    if (!b.ok || b.shape != s)
      return ctx.fail(
          Kind::ShapeMismatch, node.origin,
          fmt::format("`{}` has shape {}, the input {}", role, weft::to_string(p.values.shape), weft::to_string(s)));
  }
  return s;
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  WEFT_TRY(const auto steps, steps_of(node, ctx));
  auto& y = run.output(node);
  y = run.input(node, 0);
  const auto& s = run.graph().at(node.inputs[0]).shape;
  evaluate_steps(steps, y, s.empty() ? 1 : static_cast<std::size_t>(s.back()));
  return {};
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  WEFT_TRY(const auto steps, steps_of(node, ctx));
  return lower_steps(node, recipe, steps);
}

}  // namespace

Layer normalization_layer() {
  return {.op = "Normalization",
          .summary = "Keras Normalization with adapted mean and variance",
          .attributes = {"invert"},
          .required_parameters = {"mean", "variance"},
          .optional_parameters = {},
          .functions = {},
          .infer_shape = shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = no_macs};
}

}  // namespace weft::layers
