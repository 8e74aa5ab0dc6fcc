// SPDX-License-Identifier: Apache-2.0
// Rescaling (Keras): x * scale + offset in float32.
#include "weft/layers/layer_rows.h"
#include "weft/layers/steps.h"

namespace weft::layers {
namespace {

using Op = exact::ReadoutStep::Op;

Result<std::vector<exact::ReadoutStep>> steps_of(const nn::Node& node, Context& ctx) {
  WEFT_TRY(auto scale, channel_operands(node, node.parameters.at("scale").values, ctx));
  WEFT_TRY(auto offset, channel_operands(node, node.parameters.at("offset").values, ctx));
  return std::vector<exact::ReadoutStep>{{Op::Mul, std::move(scale)}, {Op::Add, std::move(offset)}};
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

Layer rescaling_layer() {
  return {.op = "Rescaling",
          .summary = "x * scale + offset",
          .attributes = {},
          .required_parameters = {"scale", "offset"},
          .optional_parameters = {},
          .functions = {},
          .infer_shape = same_shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = no_macs};
}

}  // namespace weft::layers
