// SPDX-License-Identifier: Apache-2.0
// Dense: y = activation(x W + b), x [..., n_in], W [n_in, n_out].
#include "weft/layers/dense_recipe.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer_rows.h"

namespace weft::layers {
namespace {

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  WEFT_TRY(const FloatTensor kernel, parameter_values(node, "kernel", ctx));
  std::optional<FloatTensor> bias;
  if (node.parameters.count("bias") != 0) {
    WEFT_TRY(bias, parameter_values(node, "bias", ctx));
  }
  auto& y = run.output(node);
  evaluate_dense(run.input(node, 0), kernel, bias ? &*bias : nullptr, y);
  return apply_function(node, "activation", y, kernel.shape[1], ctx);
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  WEFT_TRY(const IntegerParameter kernel, recipe.integer_parameter(node, "kernel"));
  WEFT_TRY(const auto bias, bias_parameter(node, recipe, kernel));
  return lower_dense(node, recipe, kernel, bias, ctx);
}

}  // namespace

Layer dense_layer() {
  return {.op = "Dense",
          .summary = "fully connected layer, with bias and activation",
          .attributes = {},
          .required_parameters = {"kernel"},
          .optional_parameters = {"bias"},
          .functions = {"activation"},
          .infer_shape = dense_shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = dense_macs};
}

}  // namespace weft::layers
