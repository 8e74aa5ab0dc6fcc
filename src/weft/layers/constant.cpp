// SPDX-License-Identifier: Apache-2.0
// Constant: a tensor of the model that meets data where no layer has a parameter for it.
#include "weft/layers/float_run.h"
#include "weft/layers/layer_rows.h"
#include "weft/layers/recipe.h"

namespace weft::layers {
namespace {

Result<Shape> shape(const nn::Graph&, const nn::Node& node, Context& ctx) {
  const Shape& out = node.parameters.at("value").values.shape;
  if (element_count(out) < 1) return ctx.fail(Kind::ShapeMismatch, node.origin, "the constant has no elements");
  return out;
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  WEFT_TRY(const FloatTensor value, parameter_values(node, "value", ctx));
  auto& y = run.output(node);
  for (std::size_t i = 0; i < y.size(); ++i) y[i] = value.data[i % value.data.size()];
  return {};
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context&) {
  WEFT_TRY(const IntegerParameter value, recipe.integer_parameter(node, "value"));
  exact::Constant constant;
  for (const auto code : value.codes.data) constant.codes.emplace_back(code);
  Symbol out;
  out.layer = node.name;
  WEFT_TRY(out.value, recipe.add(node.name, std::move(constant), value.scale, node.origin, value.codes.shape));
  return recipe.set_output(node, std::move(out));
}

}  // namespace

Layer constant_layer() {
  return {.op = "Constant",
          .summary = "a tensor of the model",
          .attributes = {},
          .required_parameters = {"value"},
          .optional_parameters = {},
          .functions = {},
          .min_inputs = 0,
          .max_inputs = 0,
          .infer_shape = shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = no_macs};
}

}  // namespace weft::layers
