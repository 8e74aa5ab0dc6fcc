// SPDX-License-Identifier: Apache-2.0
// DenseBatchnorm (QKeras): batch normalization folded into kernel and bias in float32, then both quantized.
// inv = gamma * rsqrt(variance + epsilon); W' = inv * W; b' = inv * (b - mean) + beta; y = activation(x Q(W') + Q(b')).
#include <fmt/format.h>

#include <cmath>
#include <set>

#include "weft/layers/dense_recipe.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer_rows.h"
#include "weft/quantizers/float_ops.h"

namespace weft::layers {
namespace {

/// `ulps` moves rsqrt as another processor's would be.
Result<nn::Node> fold(const nn::Node& node, Context& ctx, int ulps = 0) {
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
    const float inverse = gamma[o] * quantizers::moved(1.0F / std::sqrt(variance[o] + epsilon), ulps);
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

/// Says how many quantized weights hang on the last places of rsqrt, whose kernel differs between processors.
Result<void> note_kernel(const nn::Node& node, const nn::Node& dense, Recipe& recipe, Context& ctx) {
  std::set<std::pair<std::string, std::size_t>> uncertain;
  for (const int ulps : {-kRsqrtUlps, kRsqrtUlps}) {
    WEFT_TRY(const nn::Node other, fold(node, ctx, ulps));
    for (const char* role : {"kernel", "bias"}) {
      if (!dense.parameters.at(role).quantizer) continue;
      WEFT_TRY(const FloatTensor ours, parameter_values(dense, role, ctx));
      WEFT_TRY(const FloatTensor theirs, parameter_values(other, role, ctx));
      for (std::size_t i = 0; i < ours.data.size(); ++i)
        if (ours.data[i] != theirs.data[i]) uncertain.emplace(role, i);
    }
  }
  if (!uncertain.empty())
    recipe.weaken(node, Word::Exact,
                  fmt::format("rsqrt taken as IEEE 1 / sqrt: the framework's kernel differs in the last places between "
                              "processors, which could change {} of the folded weights",
                              uncertain.size()));
  return {};
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
  WEFT_TRY_VOID(note_kernel(node, dense, recipe, ctx));
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
