// SPDX-License-Identifier: Apache-2.0
// QONNX FloatQuant: numbers of a small floating-point format times a scale. With X = x / s the result is s q, where
// q = u round(X / u), u = 2^max(floor(log2 |X|) - m, 1 - bias - m), clipped to the format's largest number.
#include <algorithm>
#include <cmath>

#include "weft/quantizers/families.h"
#include "weft/quantizers/float_ops.h"
#include "weft/quantizers/parameters.h"
#include "weft/quantizers/set_quantizer.h"

namespace weft::quantizers {
namespace {

struct Format {
  std::vector<float> scale;
  int mantissa = 3;
  int bias = 7;
  float largest = 448.0F;
  std::string rounding;
};

float rounded(float y, const std::string& mode) {
  const float a = std::fabs(y);
  if (mode == "CEIL") return std::ceil(y);
  if (mode == "FLOOR") return std::floor(y);
  if (mode == "UP") return sign(y) * std::ceil(a);
  if (mode == "DOWN") return sign(y) * std::floor(a);
  if (mode == "HALF_UP") return sign(y) * std::floor(a + 0.5F);
  if (mode == "HALF_DOWN") return sign(y) * std::ceil(a - 0.5F);
  return rint_even(y);
}

class FloatQuant final : public SetQuantizer {
 public:
  explicit FloatQuant(Format f) : SetQuantizer({}), f_(std::move(f)), lsb_log2_(1 - f_.bias - f_.mantissa) {
    std::vector<Rational> factors;
    for (const float s : f_.scale) factors.push_back(fixed::rational_from_double(s) * fixed::pow2(lsb_log2_));
    const Int top = code_on_grid(f_.largest, lsb_log2_);
    set_outputs(OutputSet{make_scale(std::move(factors)), fixed::Range{-top, top, 0}, std::nullopt});
  }
  [[nodiscard]] std::size_t channels() const override { return f_.scale.size(); }
  [[nodiscard]] Int code(float x, std::size_t channel) const override {
    const float q = number(x, channel);
    return q == 0.0F || std::isnan(q) ? Int{0} : code_on_grid(q, lsb_log2_);
  }

 protected:
  [[nodiscard]] float quantized(float x, std::size_t channel) const override {
    return number(x, channel) * scale(channel);
  }

 private:
  [[nodiscard]] float scale(std::size_t channel) const { return f_.scale[f_.scale.size() == 1 ? 0 : channel]; }
  [[nodiscard]] float number(float x, std::size_t channel) const {
    const float ratio = x / scale(channel);
    if (std::isinf(ratio)) return std::copysign(f_.largest, ratio);
    int exponent = 0;
    std::frexp(ratio, &exponent);  // |ratio| in [2^(exponent - 1), 2^exponent)
    const int log2 = ratio == 0.0F ? lsb_log2_ : std::max(exponent - 1 - f_.mantissa, lsb_log2_);
    const float unit = std::ldexp(1.0F, log2);
    return clip(unit * rounded(ratio / unit, f_.rounding), -f_.largest, f_.largest);
  }

  Format f_;
  int lsb_log2_;
};

Result<std::shared_ptr<const Function>> make_float_quant(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  Format f;
  f.scale = parameters.numbers("scale");
  f.mantissa = parameters.integer("mantissa_bits", 0, 23);
  f.bias = parameters.integer("exponent_bias", -64, 64);
  f.largest = static_cast<float>(parameters.number("max_value"));
  f.rounding = parameters.word("rounding", {"ROUND", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN"});
  if (!std::all_of(f.scale.begin(), f.scale.end(), [](float s) { return s > 0.0F; }))
    parameters.fail("`scale` must be positive");
  const float lsb = std::ldexp(1.0F, 1 - f.bias - f.mantissa);
  if (!(f.largest >= lsb) || !std::isfinite(f.largest) || f.largest / lsb > 0x1p100F)
    parameters.fail("`max_value` does not fit the format");
  else if (std::fmod(f.largest, lsb) != 0.0F)
    parameters.fail("`max_value` is no number of the format");
  if (!parameters.ok()) return diag::failure;
  return make_function<FloatQuant>(std::move(f));
}

}  // namespace

Family float_quant_family() {
  return {.name = "float_quant",
          .summary = "QONNX FloatQuant: numbers of a small floating-point format times a scale, saturating",
          .is_quantizer = true,
          .defaults = {{"scale", std::vector<double>{1.0}},
                       {"mantissa_bits", std::int64_t{3}},
                       {"exponent_bias", std::int64_t{7}},
                       {"max_value", 448.0},
                       {"rounding", std::string("ROUND")}},
          .make = make_float_quant};
}

}  // namespace weft::quantizers
