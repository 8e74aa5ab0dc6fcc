// SPDX-License-Identifier: Apache-2.0
// BatchNorm: x * inv + shift, inv and shift computed once in float32.
// keras: inv = rsqrt(variance + epsilon) * gamma; shift = beta - mean * inv (tf.nn.batch_normalization).
// onnx:  inv = gamma / sqrt(variance + epsilon);  shift = beta - mean * inv (ONNX Runtime).
// TensorFlow's rsqrt is vector code, up to 3 ulps from 1 / sqrt and not the same on every processor: ours is the IEEE
// one, and the certificate notes what another could change. QBatchNormalization applies its quantizers to gamma, beta,
// mean and variance, and `inverse` to inv.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/layers/layer_rows.h"
#include "weft/layers/steps.h"
#include "weft/quantizers/float_ops.h"

namespace weft::layers {
namespace {

/// `ulps` moves rsqrt as another processor's would be.
Result<std::vector<exact::ReadoutStep>> steps_of(const nn::Node& node, Context& ctx, int ulps = 0) {
  WEFT_TRY(const FloatTensor variance, parameter_values(node, "variance", ctx));
  WEFT_TRY(const FloatTensor mean, parameter_values(node, "mean", ctx));
  const std::size_t n = variance.data.size();
  std::vector<float> gamma(n, 1.0F);
  std::vector<float> beta(n, 0.0F);
  if (node.parameters.count("gamma") != 0) {
    WEFT_TRY(FloatTensor t, parameter_values(node, "gamma", ctx));
    gamma = std::move(t.data);
  }
  if (node.parameters.count("beta") != 0) {
    WEFT_TRY(FloatTensor t, parameter_values(node, "beta", ctx));
    beta = std::move(t.data);
  }
  const auto epsilon = static_cast<float>(get_double(node.attributes, "epsilon", 1e-3));
  const bool onnx = get_string(node.attributes, "form", "keras") == "onnx";
  std::vector<float> inverse(n);
  for (std::size_t i = 0; i < n; ++i) {
    const float root = std::sqrt(variance.data[i] + epsilon);
    inverse[i] = onnx ? gamma[i] / root : quantizers::moved(1.0F / root, ulps) * gamma[i];
  }
  if (node.functions.count("inverse") != 0) {
    WEFT_TRY(const auto function, quantizers::make(node.functions.at("inverse"), node.origin, ctx));
    WEFT_TRY(auto q, function->quantize(FloatTensor({static_cast<std::int64_t>(n)}, inverse), node.origin, ctx));
    inverse = std::move(q.values.data);
  }
  std::vector<float> shift(n);
  for (std::size_t i = 0; i < n; ++i) {
    const float product = mean.data[i] * inverse[i];
    shift[i] = beta[i] - product;
    if (!std::isfinite(inverse[i]) || !std::isfinite(shift[i]))
      return ctx.fail(Kind::ModelMalformed, node.origin,
                      fmt::format("channel {} has variance {}: the normalization is not finite", i, variance.data[i]));
  }
  return std::vector<exact::ReadoutStep>{{exact::ReadoutStep::Op::Mul, std::move(inverse)},
                                         {exact::ReadoutStep::Op::Add, std::move(shift)}};
}

Result<Shape> shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  const Shape s = graph.at(node.inputs[0]).shape;
  for (const auto& [role, p] : node.parameters)
    if (s.empty() || p.values.size() != s.back())
      return ctx.fail(Kind::ShapeMismatch, node.origin,
                      fmt::format("`{}` has {} elements, the input's last axis is that of {}", role, p.values.size(),
                                  weft::to_string(s)));
  return s;
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  WEFT_TRY(const auto steps, steps_of(node, ctx));
  auto& y = run.output(node);
  y = run.input(node, 0);
  evaluate_steps(steps, y, steps[0].operands.size());
  return {};
}

/// A quantized parameter at a decision point of its quantizer may be another power of two in the framework.
Result<void> certify_parameters(const nn::Node& node, Recipe& recipe, Context& ctx) {
  for (const auto& [role, parameter] : node.parameters) {
    if (!parameter.quantizer) continue;
    WEFT_TRY(const auto function, quantizers::make(*parameter.quantizer, node.origin, ctx));
    WEFT_TRY(const FloatTensor ours, parameter_values(node, role, ctx));
    const auto uncertainty = kernel_uncertainty(*function, parameter.values, ours, node.origin);
    const auto count = std::count_if(uncertainty.begin(), uncertainty.end(), [](float u) { return u > 0.0F; });
    if (count > 0)
      recipe.weaken(node, Word::FloatOrder,
                    fmt::format("{} of {} values of `{}` depend on the last places of the framework's own kernels",
                                count, uncertainty.size(), role));
  }
  return {};
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  WEFT_TRY(const auto steps, steps_of(node, ctx));
  WEFT_TRY_VOID(certify_parameters(node, recipe, ctx));
  if (get_string(node.attributes, "form", "keras") == "onnx") return lower_steps(node, recipe, steps);
  WEFT_TRY(const auto down, steps_of(node, ctx, -kRsqrtUlps));
  WEFT_TRY(const auto up, steps_of(node, ctx, kRsqrtUlps));
  Symbol symbol = recipe.input(node);
  for (std::size_t i = 0; i < steps.size(); ++i) {
    WEFT_TRY(symbol,
             recipe.push(node, std::move(symbol), steps[i], Recipe::MovedOperands{down[i].operands, up[i].operands}));
  }
  return recipe.set_output(node, std::move(symbol));
}

}  // namespace

Layer batch_norm_layer() {
  return {.op = "BatchNorm",
          .summary = "batch normalization at inference, along the last axis; folded into the next quantizer",
          .attributes = {"epsilon", "form", "inverse"},
          .required_parameters = {"mean", "variance"},
          .optional_parameters = {"gamma", "beta"},
          .functions = {"inverse"},
          .infer_shape = shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = no_macs};
}

}  // namespace weft::layers
