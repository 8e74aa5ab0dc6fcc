// SPDX-License-Identifier: Apache-2.0
// Identity: dropout, noise and other layers that do nothing at inference.
#include "weft/layers/float_run.h"
#include "weft/layers/layer_rows.h"
#include "weft/layers/recipe.h"

namespace weft::layers {
namespace {

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context&) {
  run.output(node) = run.input(node, 0);
  return {};
}

constexpr std::string_view kNote = "note";  ///< how the source computes otherwise; for the certificate

Result<void> lower(const nn::Node& node, Recipe& recipe, Context&) {
  const std::string note = get_string(node.attributes, std::string(kNote), "");
  if (!note.empty()) recipe.weaken(node, Word::Quantized, note);
  return recipe.set_output(node, recipe.input(node));
}

}  // namespace

Layer identity_layer() {
  return {.op = "Identity",
          .summary = "dropout, noise and other layers that do nothing at inference",
          .attributes = {kNote},
          .required_parameters = {},
          .optional_parameters = {},
          .functions = {},
          .infer_shape = same_shape,
          .evaluate = evaluate,
          .lower = lower,
          .takes_any_scale = true,
          .macs = no_macs};
}

}  // namespace weft::layers
