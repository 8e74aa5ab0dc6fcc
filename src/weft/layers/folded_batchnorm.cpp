// SPDX-License-Identifier: Apache-2.0
// DenseBatchnorm, ConvBatchnorm, DepthwiseConvBatchnorm (QKeras): batch normalization folded into kernel and bias in
// float32, then both quantized: inv = gamma * rsqrt(variance + epsilon); W' = inv * W; b' = inv * (b - mean) + beta;
// y = activation(x Q(W') + Q(b')). The output channel is the last axis of a kernel, the last two of a depthwise one.
#include <fmt/format.h>

#include <cmath>
#include <set>

#include "weft/layers/dense_recipe.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer_rows.h"
#include "weft/quantizers/float_ops.h"

namespace weft::layers {
namespace {

/// The layer without its batch normalization: "Conv" of "ConvBatchnorm".
const Layer& base_of(const nn::Node& node) {
  return *find_layer(std::string_view(node.op).substr(0, node.op.size() - std::string_view("Batchnorm").size()));
}

/// `ulps` moves rsqrt as another processor's would be.
Result<nn::Node> fold(const nn::Node& node, Context& ctx, int ulps = 0) {
  const FloatTensor& kernel = node.parameters.at("kernel").values;
  const auto outputs = static_cast<std::size_t>(node.parameters.at("mean").values.size());
  if (outputs == 0 || kernel.data.size() % outputs != 0)
    return ctx.fail(Kind::ShapeMismatch, node.origin, "a batch normalization parameter does not fit the kernel");
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
  dense.op = base_of(node).op;
  auto& folded_kernel = dense.parameters["kernel"].values;
  auto& folded_bias = dense.parameters["bias"];
  folded_bias.values = FloatTensor({static_cast<std::int64_t>(outputs)});
  for (std::size_t o = 0; o < outputs; ++o) {
    const float inverse = gamma[o] * quantizers::moved(1.0F / std::sqrt(variance[o] + epsilon), ulps);
    for (std::size_t i = o; i < kernel.data.size(); i += outputs) folded_kernel.data[i] = inverse * kernel.data[i];
    const float centred = bias[o] - mean[o];
    const float scaled = inverse * centred;
    folded_bias.values.data[o] = scaled + beta[o];
  }
  for (const char* role : {"gamma", "beta", "mean", "variance"}) dense.parameters.erase(role);
  for (const char* key : {"epsilon", "inverse"}) dense.attributes.erase(key);
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
  // The folded kernel has the same shape; its outputs must be the channels that are normalized.
  WEFT_TRY(Shape out, base_of(node).infer_shape(graph, node, ctx));
  if (out.empty() || out.back() != node.parameters.at("mean").values.size())
    return ctx.fail(Kind::ShapeMismatch, node.origin, "a batch normalization parameter does not fit the kernel");
  return out;
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  WEFT_TRY(const nn::Node dense, fold(node, ctx));
  return base_of(node).evaluate(dense, run, ctx);
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  WEFT_TRY(nn::Node dense, fold(node, ctx));
  dense.op = node.op;  // certificates and diagnostics speak of the source's layer
  WEFT_TRY_VOID(note_kernel(node, dense, recipe, ctx));
  return base_of(node).lower(dense, recipe, ctx);
}

std::int64_t macs(const nn::Graph& graph, const nn::Node& node) { return base_of(node).macs(graph, node); }

Layer row(std::string_view op, std::string_view summary, const Layer& base) {
  Layer out{.op = op,
            .summary = summary,
            .attributes = base.attributes,
            .required_parameters = {"kernel", "mean", "variance"},
            .optional_parameters = {"bias", "gamma", "beta"},
            .functions = {"activation"},
            .infer_shape = shape,
            .evaluate = evaluate,
            .lower = lower,
            .macs = macs};
  out.attributes.emplace_back("epsilon");
  out.attributes.emplace_back("inverse");
  return out;
}

}  // namespace

Layer dense_batchnorm_layer() {
  return row("DenseBatchnorm", "Dense with a batch normalization folded into its quantized kernel and bias (QKeras)",
             dense_layer());
}
Layer conv_batchnorm_layer() {
  return row("ConvBatchnorm", "Conv with a batch normalization folded into its quantized kernel and bias (QKeras)",
             conv_layer());
}
Layer depthwise_conv_batchnorm_layer() {
  return row("DepthwiseConvBatchnorm",
             "DepthwiseConv with a batch normalization folded into its quantized kernel and bias (QKeras)",
             depthwise_conv_layer());
}

}  // namespace weft::layers
