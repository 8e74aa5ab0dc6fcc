// SPDX-License-Identifier: Apache-2.0
// DenseBatchnorm (QKeras): batch normalization folded into kernel and bias in float32, then both quantized.
// inv = gamma * rsqrt(variance + epsilon); W' = inv * W; b' = inv * (b - mean) + beta; y = activation(x Q(W') + Q(b')).
#include <fmt/format.h>

#include <cmath>

#include "weft/layers/dense_recipe.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer_rows.h"

namespace weft::layers {
namespace {

Result<nn::Node> fold(const nn::Node& node, Context& ctx) {
  const FloatTensor& kernel = node.parameters.at("kernel").values;
  const auto outputs = static_cast<std::size_t>(kernel.shape.at(1));
  const auto vector = [&](const char* role, float fallback) {
    const auto it = node.parameters.find(role);
    return it == node.parameters.end() ? std::vector<float>(outputs, fallback) : it->second.values.data;
  };
  const auto gamma = vector("gamma", 1.0F);
  const auto beta = vector("beta", 0.0F);
  const auto mean = vector("mean", 0.0F);
  const auto variance = vector("variance", 1.0F);
  const auto bias = vector("bias", 0.0F);
  for (const auto* v : {&gamma, &beta, &mean, &variance, &bias})
    if (v->size() != outputs)
      return ctx.fail(Kind::ShapeMismatch, node.origin, "a batch normalization parameter does not fit the kernel");
  const auto epsilon = static_cast<float>(get_double(node.attributes, "epsilon", 1e-3));
  nn::Node dense = node;
  dense.op = "Dense";
  auto& folded_kernel = dense.parameters["kernel"].values;
  auto& folded_bias = dense.parameters["bias"];
  folded_bias.values = FloatTensor({kernel.shape[1]});
  for (std::size_t o = 0; o < outputs; ++o) {
    const float inverse = gamma[o] * (1.0F / std::sqrt(variance[o] + epsilon));
    for (std::size_t i = 0; i < static_cast<std::size_t>(kernel.shape[0]); ++i)
      folded_kernel.data[i * outputs + o] = inverse * kernel.data[i * outputs + o];
    const float centred = bias[o] - mean[o];
    const float scaled = inverse * centred;
    folded_bias.values.data[o] = scaled + beta[o];
  }
  for (const char* role : {"gamma", "beta", "mean", "variance"}) dense.parameters.erase(role);
  dense.attributes.clear();
  return dense;
}

Result<Shape> shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  return dense_shape(graph, node, ctx);
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  WEFT_TRY(const nn::Node dense, fold(node, ctx));
  return find_layer("Dense")->evaluate(dense, run, ctx);
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  WEFT_TRY(nn::Node dense, fold(node, ctx));
  dense.op = node.op;  // certificates and diagnostics speak of the source's layer
  return find_layer("Dense")->lower(dense, recipe, ctx);
}

}  // namespace

Layer dense_batchnorm_layer() {
  return {.op = "DenseBatchnorm",
          .summary = "QKeras QDenseBatchnorm: batch normalization folded into a quantized kernel and bias",
          .attributes = {"epsilon", "inverse"},
          .required_parameters = {"kernel", "mean", "variance"},
          .optional_parameters = {"bias", "gamma", "beta"},
          .functions = {"activation"},
          .infer_shape = shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = dense_macs};
}

}  // namespace weft::layers
