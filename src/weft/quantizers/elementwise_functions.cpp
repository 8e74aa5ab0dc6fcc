// SPDX-License-Identifier: Apache-2.0
// Elementwise operators and the less common activations of ONNX, Keras and PyTorch as plain functions. As in
// float_functions.cpp, arithmetic is that of the frameworks in float32, library kernels are the real function rounded
// once.
#include <algorithm>
#include <cmath>
#include <limits>

#include "weft/quantizers/families.h"
#include "weft/quantizers/float_ops.h"
#include "weft/quantizers/plain_function.h"

namespace weft::quantizers {
namespace {

using Made = Result<std::shared_ptr<const Function>>;

constexpr float kInfinity = std::numeric_limits<float>::infinity();
/// Where x tanh(ln(1 + exp(x))) has its minimum.
constexpr double kMishMinimum = -1.1924312145154952;
constexpr double kSmallest = 0x1p-149;
/// Periods of a remainder on each side of 0.
constexpr int kMostPeriods = 4096;

/// The real function, rounded once.
template <class F>
float once(F function, float x, int ulps) {
  return moved(static_cast<float>(function(static_cast<double>(x))), ulps);
}

double softplus(double x) { return std::max(x, 0.0) + std::log1p(std::exp(-std::fabs(x))); }

/// The first x with x > value.
double next_float(float value) { return std::nextafter(value, kInfinity); }

/// Multiples of pi (plus `phase`) out to where a float32 still tells neighbouring ones apart well.
std::vector<double> extrema(double phase) {
  constexpr double kPi = 3.14159265358979323846;
  std::vector<double> out;
  const int most = static_cast<int>(kMostPeriodic / kPi);
  for (int k = -most; k <= most; ++k) out.push_back(phase + k * kPi);
  return out;
}

Made make_celu(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const auto alpha = static_cast<float>(parameters.number("alpha"));
  if (alpha == 0.0F) parameters.fail("`alpha` must not be 0");
  if (!parameters.ok()) return diag::failure;
  return plain_function(
      spec,
      [alpha](float x, int ulps) {
        if (x > 0.0F) return x;
        return alpha * once([](double v) { return std::expm1(v); }, x / alpha, ulps);
      },
      alpha < 0.0F ? std::vector<double>{0.0, next_float(0.0F)} : std::vector<double>{});
}

Made make_hard_shrink(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const auto lambd = static_cast<float>(parameters.number("lambd"));
  const auto bias = static_cast<float>(parameters.number("bias"));
  if (!parameters.ok()) return diag::failure;
  std::vector<double> turns{-lambd, next_float(-lambd), lambd, next_float(lambd)};
  std::sort(turns.begin(), turns.end());
  return plain_function(
      spec,
      [=](float x) {
        if (x < -lambd) return x + bias;
        if (x > lambd) return x - bias;
        return std::isnan(x) ? x : 0.0F;
      },
      turns);
}

/// Forms of x * relu6(x + 3) / 6: PyTorch divides last, Keras first, ONNX multiplies by HardSigmoid(1/6, 0.5).
Made make_hard_swish(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const std::string form = parameters.word("form", {"keras", "onnx", "torch"});
  if (!parameters.ok()) return diag::failure;
  // Falling until -1.5, flat before -3.
  if (form == "onnx")
    return plain_function(spec,
                          [](float x) {
                            const float scaled = static_cast<float>(1.0 / 6.0) * x;
                            return x * clip(scaled + 0.5F, 0.0F, 1.0F);
                          },
                          {-3.0, -1.5, 0.0});
  if (form == "keras")
    return plain_function(spec,
                          [](float x) {
                            const float gate = clip(x + 3.0F, 0.0F, 6.0F) / 6.0F;
                            return x * gate;
                          },
                          {-3.0, -1.5, 0.0});
  return plain_function(spec,
                        [](float x) {
                          const float gate = clip(x + 3.0F, 0.0F, 6.0F);
                          return x * gate / 6.0F;
                        },
                        {-3.0, -1.5, 0.0});
}

/// floor(x / divisor) as PyTorch computes it: from the exact remainder, so that rounding the quotient moves nothing.
Made make_floor_divide(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const auto divisor = static_cast<float>(parameters.number("divisor"));
  if (divisor == 0.0F) parameters.fail("`divisor` must not be 0");
  if (!parameters.ok()) return diag::failure;
  return plain_function(spec, [divisor](float x) {
    const float rest = std::fmod(x, divisor);
    float quotient = (x - rest) / divisor;
    if (rest != 0.0F && (rest < 0.0F) != (divisor < 0.0F)) quotient -= 1.0F;
    const float whole = std::floor(quotient);
    return quotient - whole > 0.5F ? whole + 1.0F : whole;
  });
}

/// The remainder of x / divisor: with the sign of x (fmod), or with that of the divisor (remainder, Python's %).
Made make_modulo(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const auto divisor = static_cast<float>(parameters.number("divisor"));
  const bool floored = parameters.word("sign", {"dividend", "divisor"}) == "divisor";
  if (divisor == 0.0F) parameters.fail("`divisor` must not be 0");
  if (!parameters.ok()) return diag::failure;
  const double period = std::fabs(static_cast<double>(divisor));
  std::vector<double> turns;
  // The remainder is 0 at each multiple, and jumps there or behind it.
  for (int k = -kMostPeriods; k <= kMostPeriods; ++k)
    for (const double at : {k * period, std::nextafter(k * period, static_cast<double>(kInfinity))})
      turns.push_back(at);
  return plain_function(
      spec,
      [=](float x) {
        const float rest = std::fmod(x, divisor);
        return floored && rest != 0.0F && (rest < 0.0F) != (divisor < 0.0F) ? rest + divisor : rest;
      },
      std::move(turns), kMostPeriods * period);
}

Made make_power(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const double base = static_cast<double>(static_cast<float>(parameters.number("base")));
  if (!(base > 0.0)) parameters.fail("`base` must be positive");
  if (!parameters.ok()) return diag::failure;
  return plain_function(
      spec, [base](float x, int ulps) { return once([base](double v) { return std::pow(base, v); }, x, ulps); });
}

Made make_prelu(const Spec& spec, const Origin& origin, Context& ctx) {
  /// A slope for each channel, or for each element.
  class Prelu final : public Function {
   public:
    explicit Prelu(std::vector<float> slopes) : slopes_(std::move(slopes)) {}
    [[nodiscard]] float apply(float x, std::size_t channel) const override {
      return x > 0.0F ? x : slopes_[channel % slopes_.size()] * x;
    }
    [[nodiscard]] std::size_t channels() const override { return slopes_.size(); }
    [[nodiscard]] std::vector<double> turning_points() const override { return {0.0}; }
    Result<Quantized> quantize(const FloatTensor&, const Origin& at, Context& context) const override {
      return context.fail(Kind::QuantizerUnsupported, at,
                          "`prelu` is a function, not a quantizer; it cannot quantize a parameter");
    }

   private:
    std::vector<float> slopes_;
  };
  Parameters parameters(spec, origin, ctx);
  auto slopes = parameters.numbers("alpha");
  if (!parameters.ok()) return diag::failure;
  return make_function<Prelu>(std::move(slopes));
}

Made make_soft_shrink(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const auto lambd = static_cast<float>(parameters.number("lambd"));
  if (lambd < 0.0F) parameters.fail("`lambd` must not be negative");
  if (!parameters.ok()) return diag::failure;
  return plain_function(spec, [lambd](float x) {
    if (x > lambd) return x - lambd;
    if (x < -lambd) return x + lambd;
    return std::isnan(x) ? x : 0.0F;
  });
}

/// PyTorch's and Keras' Threshold.
Made make_threshold(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const auto threshold = static_cast<float>(parameters.number("threshold"));
  const auto value = static_cast<float>(parameters.number("value"));
  if (!parameters.ok()) return diag::failure;
  return plain_function(spec, [=](float x) { return x > threshold || std::isnan(x) ? x : value; },
                        {next_float(threshold)});
}

template <class F>
Family row(std::string name, std::string summary, F function, std::vector<double> turns = {},
           double reach = kEverywhere) {
  return parameterless_family(std::move(name), std::move(summary), function, std::move(turns), reach);
}

}  // namespace

// Where these have no value they give NaN; a turning point stands at each end of their domain.
Family acos_family() {
  return row("acos", "arc cosine",
             [](float x, int ulps) { return once([](double v) { return std::acos(v); }, x, ulps); },
             {-1.0, 1.0, next_float(1.0F)});
}
Family acosh_family() {
  return row("acosh", "inverse hyperbolic cosine",
             [](float x, int ulps) { return once([](double v) { return std::acosh(v); }, x, ulps); }, {1.0});
}
Family asin_family() {
  return row("asin", "arc sine", [](float x, int ulps) { return once([](double v) { return std::asin(v); }, x, ulps); },
             {-1.0, 1.0, next_float(1.0F)});
}
Family asinh_family() {
  return row("asinh", "inverse hyperbolic sine",
             [](float x, int ulps) { return once([](double v) { return std::asinh(v); }, x, ulps); });
}
Family atanh_family() {
  return row("atanh", "inverse hyperbolic tangent",
             [](float x, int ulps) { return once([](double v) { return std::atanh(v); }, x, ulps); },
             {-1.0, next_float(-1.0F), 1.0, next_float(1.0F)});
}
Family cosh_family() {
  return row("cosh", "hyperbolic cosine",
             [](float x, int ulps) { return once([](double v) { return std::cosh(v); }, x, ulps); }, {0.0});
}
Family sinh_family() {
  return row("sinh", "hyperbolic sine",
             [](float x, int ulps) { return once([](double v) { return std::sinh(v); }, x, ulps); });
}
Family tan_family() {
  return row(
      "tan", "tangent", [](float x, int ulps) { return once([](double v) { return std::tan(v); }, x, ulps); },
      extrema(1.57079632679489661923), kMostPeriodic);
}

Family abs_family() {
  return row("abs", "|x|", [](float x) { return std::fabs(x); }, {0.0});
}
Family atan_family() {
  return row("atan", "arc tangent",
             [](float x, int ulps) { return once([](double v) { return std::atan(v); }, x, ulps); });
}
Family ceil_family() {
  return row("ceil", "smallest whole number that is not less", [](float x) { return std::ceil(x); });
}
Family celu_family() {
  return {.name = "celu",
          .summary = "x or alpha (exp(x / alpha) - 1)",
          .is_quantizer = false,
          .defaults = {{"alpha", 1.0}},
          .make = make_celu};
}
Family cos_family() {
  return row(
      "cos", "cosine", [](float x, int ulps) { return once([](double v) { return std::cos(v); }, x, ulps); },
      extrema(0.0), kMostPeriodic);
}
Family erf_family() {
  return row("erf", "error function",
             [](float x, int ulps) { return once([](double v) { return std::erf(v); }, x, ulps); });
}
Family erfc_family() {
  return row("erfc", "1 - erf(x)",
             [](float x, int ulps) { return once([](double v) { return std::erfc(v); }, x, ulps); });
}
Family expm1_family() {
  return row("expm1", "exp(x) - 1",
             [](float x, int ulps) { return once([](double v) { return std::expm1(v); }, x, ulps); });
}
Family floor_divide_family() {
  return {.name = "floor_divide",
          .summary = "floor(x / divisor)",
          .is_quantizer = false,
          .defaults = {{"divisor", 1.0}},
          .make = make_floor_divide};
}
Family floor_family() {
  return row("floor", "largest whole number that is not greater", [](float x) { return std::floor(x); });
}
Family hard_shrink_family() {
  return {.name = "hard_shrink",
          .summary = "x beyond +-lambd moved by bias towards 0, else 0",
          .is_quantizer = false,
          .defaults = {{"lambd", 0.5}, {"bias", 0.0}},
          .make = make_hard_shrink};
}
Family hard_swish_family() {
  return {.name = "hard_swish",
          .summary = "x relu6(x + 3) / 6, in the order of PyTorch, Keras or ONNX",
          .is_quantizer = false,
          .defaults = {{"form", std::string("torch")}},
          .make = make_hard_swish};
}
Family log_family() {
  return row("log", "natural logarithm",
             [](float x, int ulps) { return once([](double v) { return std::log(v); }, x, ulps); }, {0.0});
}
Family log10_family() {
  return row("log10", "logarithm to the base 10",
             [](float x, int ulps) { return once([](double v) { return std::log10(v); }, x, ulps); }, {0.0});
}
Family log1p_family() {
  return row("log1p", "ln(1 + x)",
             [](float x, int ulps) { return once([](double v) { return std::log1p(v); }, x, ulps); }, {-1.0});
}
Family log2_family() {
  return row("log2", "logarithm to the base 2",
             [](float x, int ulps) { return once([](double v) { return std::log2(v); }, x, ulps); }, {0.0});
}
Family logit_family() {
  return row("logit", "ln(x / (1 - x))",
             [](float x, int ulps) {
               const float odds = x / (1.0F - x);
               return once([](double v) { return std::log(v); }, odds, ulps);
             },
             {0.0, 1.0, next_float(1.0F)});
}
Family log_sigmoid_family() {
  return row("log_sigmoid", "-ln(1 + exp(-x))",
             [](float x, int ulps) { return once([](double v) { return -softplus(-v); }, x, ulps); });
}
Family mish_family() {
  return row("mish", "x tanh(ln(1 + exp(x)))",
             [](float x, int ulps) { return x * once([](double v) { return std::tanh(softplus(v)); }, x, ulps); },
             {kMishMinimum});
}
Family modulo_family() {
  return {.name = "modulo",
          .summary = "remainder of x / divisor, with the sign of the dividend or of the divisor",
          .is_quantizer = false,
          .defaults = {{"divisor", 1.0}, {"sign", std::string("dividend")}},
          .make = make_modulo};
}
Family negative_family() {
  return row("negative", "-x", [](float x) { return -x; });
}
Family power_family() {
  return {.name = "power",
          .summary = "base to the power of x",
          .is_quantizer = false,
          .defaults = {{"base", 2.0}},
          .make = make_power};
}
Family prelu_family() {
  return {.name = "prelu",
          .summary = "x or alpha x, alpha one number, one per channel or one per element",
          .is_quantizer = false,
          .defaults = {{"alpha", std::vector<double>{0.25}}},
          .make = make_prelu};
}
Family reciprocal_family() {
  return row("reciprocal", "1 / x", [](float x) { return 1.0F / x; }, {0.0, kSmallest});
}
Family round_family() {
  return row("round", "nearest whole number, half to even", [](float x) { return rint_even(x); });
}
Family rsqrt_family() {
  return row("rsqrt", "1 / sqrt(x)", [](float x, int ulps) { return moved(1.0F / std::sqrt(x), ulps); },
             {0.0, kSmallest});
}
Family sin_family() {
  return row(
      "sin", "sine", [](float x, int ulps) { return once([](double v) { return std::sin(v); }, x, ulps); },
      extrema(1.57079632679489661923), kMostPeriodic);
}
Family soft_shrink_family() {
  return {.name = "soft_shrink",
          .summary = "x moved by lambd towards 0, 0 within",
          .is_quantizer = false,
          .defaults = {{"lambd", 0.5}},
          .make = make_soft_shrink};
}
Family sparse_plus_family() {
  return row("sparse_plus", "0, (x + 1)^2 / 4 between -1 and 1, x", [](float x) {
    if (x <= -1.0F) return 0.0F;
    if (x >= 1.0F || std::isnan(x)) return x;
    const float moved_up = x + 1.0F;
    return 0.25F * (moved_up * moved_up);
  });
}
Family sparse_sigmoid_family() {
  return row("sparse_sigmoid", "clip((x + 1) / 2, 0, 1)", [](float x) {
    if (x <= -1.0F) return 0.0F;
    if (x >= 1.0F) return 1.0F;
    return 0.5F * (x + 1.0F);
  });
}
Family sqrt_family() {
  return row("sqrt", "square root", [](float x) { return std::sqrt(x); }, {0.0});
}
Family square_family() {
  return row("square", "x^2", [](float x) { return x * x; }, {0.0});
}
Family tanh_shrink_family() {
  return row("tanh_shrink", "x - tanh(x)", [](float x, int ulps) { return x - tanh_f32(x, ulps); });
}
Family threshold_family() {
  return {.name = "threshold",
          .summary = "x above the threshold, else a value",
          .is_quantizer = false,
          .defaults = {{"threshold", 0.0}, {"value", 0.0}},
          .make = make_threshold};
}

}  // namespace weft::quantizers
