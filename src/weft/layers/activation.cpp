// SPDX-License-Identifier: Apache-2.0
// Activation: one function or quantizer of every element.
#include "weft/layers/float_run.h"
#include "weft/layers/layer_rows.h"
#include "weft/layers/recipe.h"

namespace weft::layers {
namespace {

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  auto& y = run.output(node);
  y = run.input(node, 0);
  const auto& s = run.graph().at(node.inputs[0]).shape;
  return apply_function(node, "activation", y, s.empty() ? 1 : s.back(), ctx);
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  const auto it = node.functions.find("activation");
  if (it == node.functions.end()) return ctx.fail(Kind::ModelMalformed, node.origin, "the layer has no function");
  // The codes of the graph input are already what this quantizer gives.
  if (recipe.is_input_quantizer(node)) return recipe.set_output(node, recipe.input(node));
  WEFT_TRY(Symbol out, recipe.apply(node, recipe.input(node), it->second));
  return recipe.set_output(node, std::move(out));
}

}  // namespace

Layer activation_layer() {
  return {.op = "Activation",
          .summary = "a function or quantizer of every element",
          .attributes = {},
          .required_parameters = {},
          .optional_parameters = {},
          .functions = {"activation"},
          .infer_shape = same_shape,
          .evaluate = evaluate,
          .lower = lower,
          .takes_any_scale = true,
          .macs = no_macs};
}

}  // namespace weft::layers
