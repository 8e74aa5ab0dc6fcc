// SPDX-License-Identifier: Apache-2.0
// Float activations of Keras and ONNX. Piecewise linear ones execute the framework's float32 operations; the others are
// the real function, evaluated in double and rounded once to float32 (the frameworks' kernels may differ in the last
// bits).
#include <algorithm>
#include <cmath>
#include <numbers>

#include "weft/quantizers/families.h"
#include "weft/quantizers/float_ops.h"
#include "weft/quantizers/plain_function.h"

namespace weft::quantizers {
namespace {

using Made = Result<std::shared_ptr<const Function>>;

/// The float after `value`, as the first x with x > value.
double next_float(float value) { return std::nextafter(value, std::numeric_limits<float>::infinity()); }

/// Where x * sigmoid(x) and x * Phi(x) (exact and tanh form) have their minimum.
constexpr double kSwishMinimum = -1.2784645427610738;
constexpr double kGeluMinimum = -0.7517915246935645;
constexpr double kGeluTanhMinimum = -0.7524614220710162;

/// x sigmoid(beta x): one extremum, on the side where beta x is negative.
Made make_swish(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const auto beta = static_cast<float>(parameters.number("beta"));
  if (!parameters.ok()) return diag::failure;
  std::vector<double> turns;
  if (beta != 0.0F) turns = {kSwishMinimum / static_cast<double>(beta)};
  return plain_function(
      spec, [beta](float x, int ulps) { return x * sigmoid_f32(beta == 1.0F ? x : beta * x, ulps); }, std::move(turns));
}

float softplus_f32(float x, int ulps) {
  const double d = x;
  return moved(static_cast<float>(d > 0.0 ? d + std::log1p(std::exp(-d)) : std::log1p(std::exp(d))), ulps);
}

/// PyTorch: softplus(beta x) / beta, and x itself where beta x is above the threshold.
Made make_softplus(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const auto beta = static_cast<float>(parameters.number("beta"));
  const auto given = parameters.optional_number("threshold");
  if (!(beta > 0.0F)) parameters.fail("`beta` must be positive");
  if (!parameters.ok()) return diag::failure;
  if (beta == 1.0F && !given) return plain_function(spec, softplus_f32);
  const float threshold = given ? static_cast<float>(*given) : std::numeric_limits<float>::infinity();
  std::vector<double> turns;
  if (given) turns = {static_cast<double>(next_float(threshold) / static_cast<double>(beta))};
  return plain_function(
      spec,
      [=](float x, int ulps) {
        const float scaled = beta * x;
        return scaled > threshold ? x : softplus_f32(scaled, ulps) / beta;
      },
      std::move(turns));
}

float softsign_f32(float x) { return x / (1.0F + std::fabs(x)); }

/// The frameworks subtract after rounding exp(x), which loses bits near 0.
float exp_minus_one(float x, int ulps) { return exp_f32(x, ulps) - 1.0F; }

float gelu_f32(float x, int ulps) {
  const float scaled = x / std::numbers::sqrt2_v<float>;
  const float sum = 1.0F + moved(static_cast<float>(std::erf(static_cast<double>(scaled))), ulps);
  const float half = 0.5F * x;
  return half * sum;
}

float gelu_tanh_f32(float x, int ulps) {
  constexpr float kSqrt2OverPi = 0.7978845608028654F;
  const float cube = static_cast<float>(std::pow(static_cast<double>(x), 3.0));
  const float weighted = 0.044715F * cube;
  const float sum = 1.0F + tanh_f32(kSqrt2OverPi * (x + weighted), ulps);
  const float half = 0.5F * x;
  return half * sum;
}

/// Keras: x above the threshold (at most max_value), slope * (x - threshold) below. With a threshold the upper branch
/// is x * (x > threshold), so the threshold itself belongs to the lower one.
Made make_relu(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const auto limit = parameters.optional_number("max_value");
  const float slope = static_cast<float>(parameters.number("negative_slope"));
  const float threshold = static_cast<float>(parameters.number("threshold"));
  if (limit && *limit < 0.0) parameters.fail("`max_value` must not be negative");
  if (!parameters.ok()) return diag::failure;
  const bool limited = limit.has_value();
  const float max_value = static_cast<float>(limit.value_or(0.0));
  // Below the threshold the function rises for slope >= 0; at the threshold it falls when the upper branch starts below
  // 0.
  std::vector<double> turning;
  if (slope < 0.0F || (threshold < 0.0F && !limited)) turning = {next_float(threshold)};
  return plain_function(
      spec,
      [=](float x) {
        if (x > threshold) return limited ? clip(x, 0.0F, max_value) : x;
        if (slope == 0.0F) return std::isnan(x) ? x : 0.0F;
        const float below = threshold - x;
        return -(slope * below);
      },
      std::move(turning));
}

Made make_leaky_relu(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const float alpha = static_cast<float>(parameters.number("alpha"));
  if (!parameters.ok()) return diag::failure;
  return plain_function(
      spec, [alpha](float x) { return x > 0.0F ? x : alpha * x; },
      alpha < 0.0F ? std::vector<double>{0.0} : std::vector<double>{});
}

Made make_clip(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  constexpr double kInfinity = std::numeric_limits<double>::infinity();
  const auto lo = static_cast<float>(parameters.optional_number("min").value_or(-kInfinity));
  const auto hi = static_cast<float>(parameters.optional_number("max").value_or(kInfinity));
  if (!parameters.ok()) return diag::failure;
  // min(max(x, lo), hi): with lo > hi the result is hi, as ONNX says.
  return plain_function(spec, [lo, hi](float x) {
    const float raised = x < lo ? lo : x;
    return raised > hi ? hi : raised;
  });
}

Made make_elu(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const float alpha = static_cast<float>(parameters.number("alpha"));
  if (!parameters.ok()) return diag::failure;
  return plain_function(
      spec, [alpha](float x, int ulps) { return x < 0.0F ? alpha * exp_minus_one(x, ulps) : x; },
      alpha < 0.0F ? std::vector<double>{0.0} : std::vector<double>{});
}

Made make_gelu(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const bool approximate = parameters.flag("approximate");
  if (!parameters.ok()) return diag::failure;
  if (approximate) return plain_function(spec, gelu_tanh_f32, {kGeluTanhMinimum});
  return plain_function(spec, gelu_f32, {kGeluMinimum});
}

/// Keras 2 clips 0.2 x + 0.5; Keras 3 (on TensorFlow, JAX and torch) computes relu6(x + 3) / 6, which slope = 1/6
/// selects.
Made make_keras_hard_sigmoid(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const auto slope = static_cast<float>(parameters.number("slope"));
  const auto offset = static_cast<float>(parameters.number("offset"));
  if (!parameters.ok()) return diag::failure;
  if (slope == static_cast<float>(1.0 / 6.0) && offset == 0.5F) {
    return plain_function(spec, [](float x) { return clip(x + 3.0F, 0.0F, 6.0F) / 6.0F; });
  }
  return plain_function(spec, [=](float x) {
    const float scaled = slope * x;
    return clip(scaled + offset, 0.0F, 1.0F);
  });
}

}  // namespace

Family linear_family() {
  return parameterless_family("linear", "x", [](float x) { return x; });
}

Family relu_family() {
  return {.name = "relu",
          .summary = "Keras ReLU with optional cap, slope and threshold",
          .is_quantizer = false,
          .defaults = {{"max_value", std::string("none")}, {"negative_slope", 0.0}, {"threshold", 0.0}},
          .make = make_relu};
}

Family leaky_relu_family() {
  return {.name = "leaky_relu",
          .summary = "x or alpha x; the default alpha is that of the Keras function (its layer has 0.3, ONNX 0.01)",
          .is_quantizer = false,
          .defaults = {{"alpha", 0.2}},
          .make = make_leaky_relu};
}

Family clip_family() {
  return {.name = "clip",
          .summary = "min(max(x, min), max)",
          .is_quantizer = false,
          .defaults = {{"min", std::string("none")}, {"max", std::string("none")}},
          .make = make_clip};
}

Family tanh_family() {
  return parameterless_family("tanh", "hyperbolic tangent", [](float x, int ulps) { return tanh_f32(x, ulps); });
}

Family sigmoid_family() {
  return parameterless_family("sigmoid", "1 / (1 + exp(-x))", [](float x, int ulps) { return sigmoid_f32(x, ulps); });
}

Family softplus_family() {
  return {.name = "softplus",
          .summary = "ln(1 + exp(beta x)) / beta, or x where beta x is above a threshold",
          .is_quantizer = false,
          .defaults = {{"beta", 1.0}, {"threshold", std::string("none")}},
          .make = make_softplus};
}

Family softsign_family() {
  return parameterless_family("softsign", "x / (1 + |x|)", [](float x) { return softsign_f32(x); });
}

Family elu_family() {
  return {.name = "elu",
          .summary = "x or alpha (exp(x) - 1)",
          .is_quantizer = false,
          .defaults = {{"alpha", 1.0}},
          .make = make_elu};
}

Family selu_family() {
  return parameterless_family("selu", "scaled exponential linear unit", [](float x, int ulps) {
    constexpr float kScale = 1.0507009873554804934193349852946F;
    constexpr float kScaleAlpha = 1.7580993408473768599402175208123F;
    return x < 0.0F ? kScaleAlpha * exp_minus_one(x, ulps) : kScale * x;
  });
}

Family exponential_family() {
  return parameterless_family("exponential", "exp(x)", [](float x, int ulps) { return exp_f32(x, ulps); });
}

Family swish_family() {
  return {.name = "swish",
          .summary = "x sigmoid(beta x)",
          .is_quantizer = false,
          .defaults = {{"beta", 1.0}},
          .make = make_swish};
}

Family silu_family() {
  return {.name = "silu",
          .summary = "x sigmoid(beta x), another name of swish",
          .is_quantizer = false,
          .defaults = {{"beta", 1.0}},
          .make = make_swish};
}

Family gelu_family() {
  return {.name = "gelu",
          .summary = "x Phi(x), or its tanh form when approximate",
          .is_quantizer = false,
          .defaults = {{"approximate", false}},
          .make = make_gelu};
}

Family keras_hard_sigmoid_family() {
  return {.name = "keras_hard_sigmoid",
          .summary = "clip(slope x + offset, 0, 1): slope 0.2 in Keras 2, 1/6 in Keras 3",
          .is_quantizer = false,
          .defaults = {{"slope", 0.2}, {"offset", 0.5}},
          .make = make_keras_hard_sigmoid};
}

}  // namespace weft::quantizers
