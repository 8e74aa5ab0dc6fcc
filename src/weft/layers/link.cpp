// SPDX-License-Identifier: Apache-2.0
// Link: what an objective puts behind its margins (a sigmoid, an exponential). At the end of a network it is left to
// the host as a final softmax is: it is monotone, so every decision stands on the margins already.
#include <fmt/format.h>

#include "weft/layers/float_run.h"
#include "weft/layers/layer_rows.h"
#include "weft/layers/recipe.h"

namespace weft::layers {
namespace {

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  run.output(node) = run.input(node, 0);
  const Shape& shape = run.graph().at(node.inputs[0]).shape;
  return apply_function(node, "activation", run.output(node), shape.empty() ? 1 : shape.back(), ctx);
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  const auto it = node.functions.find("activation");
  if (it == node.functions.end()) return recipe.set_output(node, recipe.input(node));
  if (recipe.policy().softmax(node, recipe.is_graph_output(node.outputs[0])) == TypePolicy::Softmax::Remove) {
    ctx.report(Kind::SoftmaxRemoved, node.origin,
               fmt::format("the final {} is left to the host: the outputs are its margins (keep it with --set "
                           "{}.softmax=table)",
                           it->second.family, node.name));
    recipe.weaken(node, Word::Exact, "left to the host; the outputs are its margins");
    recipe.set(node.outputs[0], recipe.input(node));
    recipe.graph().probes.push_back({.layer = node.name, .value = std::nullopt, .steps = {}, .folded_into = "host"});
    return {};
  }
  WEFT_TRY(auto out, recipe.apply(node, Symbol(recipe.input(node)), it->second));
  return recipe.set_output(node, std::move(out));
}

}  // namespace

Layer link_layer() {
  return {.op = "Link",
          .summary = "the function behind an objective's margins; left to the host at the end of a network",
          .attributes = {},
          .required_parameters = {},
          .optional_parameters = {},
          .functions = {"activation"},
          .infer_shape = same_shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = no_macs};
}

}  // namespace weft::layers
