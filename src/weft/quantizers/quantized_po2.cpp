// SPDX-License-Identifier: Apache-2.0
// QKeras quantized_po2 and quantized_relu_po2: powers of two with a limited exponent. Zero is not among the values:
// magnitudes below Keras' epsilon take the smallest exponent.
#include <algorithm>
#include <cmath>

#include "weft/quantizers/families.h"
#include "weft/quantizers/float_ops.h"
#include "weft/quantizers/parameters.h"
#include "weft/quantizers/set_quantizer.h"

namespace weft::quantizers {
namespace {

/// Exponents of more bits than this exceed float32 by far; 2^(kMaxBits) also bounds the arithmetic.
constexpr int kMaxBits = 16;

struct Po2Parameters {
  int bits = 8;
  std::optional<float> max_value{};
  bool quadratic = false;
  bool floor = false;
};

/// a -> 2^e for magnitudes a >= 0.
class Po2Grid {
 public:
  /// `exponent_bits` without the sign of the value.
  Po2Grid(const Po2Parameters& p, int exponent_bits) : p_(p) {
    // The exponent has a sign of its own unless all values are at most 1.
    const int magnitude_bits = exponent_bits - (p.max_value && *p.max_value <= 1.0F ? 0 : 1);
    WEFT_CHECK(magnitude_bits >= 0, "an exponent without bits");
    min_exponent_ = -exp2_int(magnitude_bits);
    max_exponent_ = exp2_int(magnitude_bits) - 1.0F;
    if (p.quadratic) max_exponent_ = 2.0F * std::floor(max_exponent_ / 2.0F);
  }

  /// Powers below 2^-126 are 0: TensorFlow flushes denormal results.
  [[nodiscard]] float magnitude(float a) const { return std::isnan(a) ? a : power(exponent(a)); }

  /// Every magnitude that a finite a can give, in no order.
  [[nodiscard]] std::vector<float> magnitudes() const {
    const float least = exponent(kEpsilon);
    const float most = exponent(std::numeric_limits<float>::max());
    std::vector<float> result{magnitude(0.0F)};
    for (float e = least; e <= most; e += p_.quadratic ? 2.0F : 1.0F) result.push_back(power(e));
    return result;
  }

  /// Moves the logarithm as a kernel may.
  void move_kernels(int ulps) { ulps_ = ulps; }

  /// True when magnitude() falls at epsilon: zero takes 2^min, the next larger magnitudes 2^(2 min).
  [[nodiscard]] bool falls_at_epsilon() const { return exponent(0.0F) > exponent(kEpsilon); }

 private:
  static float power(float exponent) {
    constexpr float kLeast = std::numeric_limits<float>::min_exponent - 1;
    return exponent < kLeast ? 0.0F : exp2_int(static_cast<int>(exponent));
  }

  [[nodiscard]] float exponent(float a) const {
    if (a < kEpsilon) return min_exponent_;
    if (p_.max_value && a >= *p_.max_value) a = *p_.max_value;
    const float log2 = log2_f32(p_.quadratic ? std::sqrt(a) : a, ulps_);
    const float rounded = p_.floor ? std::floor(log2) : rint_even(log2);
    return (p_.quadratic ? 2.0F : 1.0F) * clip(rounded, min_exponent_, max_exponent_);
  }

  Po2Parameters p_;
  float min_exponent_ = 0.0F;
  float max_exponent_ = 0.0F;
  int ulps_ = 0;
};

class QuantizedPo2 final : public SetQuantizer {
 public:
  QuantizedPo2(const Po2Parameters& p, StraightThrough straight_through)
      : SetQuantizer(straight_through), grid_(p, p.bits - 1) {
    std::vector<float> values = grid_.magnitudes();
    const std::size_t count = values.size();
    for (std::size_t i = 0; i < count; ++i) values.push_back(-values[i]);
    const bool finite = std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
    if (finite) set_outputs(dyadic_set(values));
  }
  [[nodiscard]] std::vector<double> turning_points() const override {
    if (!grid_.falls_at_epsilon()) return {};
    return {std::nextafter(-kEpsilon, 0.0F), kEpsilon};
  }
  [[nodiscard]] std::shared_ptr<const Function> with_kernels_moved(int ulps) const override {
    auto other = std::make_shared<QuantizedPo2>(*this);
    other->grid_.move_kernels(ulps);
    return other;
  }

 protected:
  [[nodiscard]] float quantized(float x, std::size_t) const override {
    return sign_of_binary(x) * grid_.magnitude(std::fabs(x));
  }

 private:
  Po2Grid grid_;
};

class QuantizedReluPo2 final : public SetQuantizer {
 public:
  QuantizedReluPo2(const Po2Parameters& p, float slope, StraightThrough straight_through)
      : SetQuantizer(straight_through), grid_(p, p.bits), max_value_(p.max_value), slope_(slope) {
    std::vector<float> values = grid_.magnitudes();
    const std::size_t count = values.size();
    if (slope != 0.0F) {
      for (std::size_t i = 0; i < count; ++i) values.push_back(-values[i]);
    }
    const bool finite = std::all_of(values.begin(), values.end(), [](float v) { return std::isfinite(v); });
    if (finite) set_outputs(dyadic_set(values));
  }
  [[nodiscard]] std::vector<double> turning_points() const override {
    if (!grid_.falls_at_epsilon()) return {};
    if (slope_ == 0.0F) return {kEpsilon};
    return {std::nextafter(-kEpsilon / slope_, 0.0F), kEpsilon};
  }
  [[nodiscard]] std::shared_ptr<const Function> with_kernels_moved(int ulps) const override {
    auto other = std::make_shared<QuantizedReluPo2>(*this);
    other->grid_.move_kernels(ulps);
    return other;
  }

 protected:
  [[nodiscard]] float quantized(float x, std::size_t) const override {
    if (x >= 0.0F || slope_ == 0.0F) return grid_.magnitude(std::max(x, 0.0F));
    return -grid_.magnitude(-x * slope_);
  }
  [[nodiscard]] float surrogate(float x) const override {
    if (max_value_ && x > *max_value_) return *max_value_;
    return x > 0.0F ? x : slope_ * x;
  }

 private:
  Po2Grid grid_;
  std::optional<float> max_value_;
  float slope_;
};

Po2Parameters read_po2(Parameters& parameters, int sign_bits) {
  Po2Parameters p;
  p.bits = parameters.integer("bits", 1, kMaxBits);
  if (const auto limit = parameters.optional_number("max_value")) {
    p.max_value = static_cast<float>(*limit);
    if (*p.max_value <= 0.0F) parameters.fail("`max_value` must be positive");
  }
  const bool signed_exponent = !p.max_value || *p.max_value > 1.0F;
  if (p.bits < sign_bits + (signed_exponent ? 1 : 0)) parameters.fail("`bits` leaves none for the exponent");
  p.quadratic = parameters.flag("quadratic_approximation");
  p.floor = parameters.word("log2_rounding", {"rnd", "floor"}) == "floor";
  parameters.flag("use_stochastic_rounding");
  parameters.flag("use_variables");
  return p;
}

Result<std::shared_ptr<const Function>> make_quantized_po2(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const Po2Parameters p = read_po2(parameters, 1);
  const StraightThrough straight_through = read_straight_through(parameters, true);
  if (!parameters.ok()) return diag::failure;
  return make_function<QuantizedPo2>(p, straight_through);
}

Result<std::shared_ptr<const Function>> make_quantized_relu_po2(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const Po2Parameters p = read_po2(parameters, 0);
  const float slope = static_cast<float>(parameters.number("negative_slope"));
  const StraightThrough straight_through = read_straight_through(parameters, true);
  if (slope != 0.0F && !is_power_of_two(slope)) {
    parameters.fail("`negative_slope` must be 0 or a positive power of two");
  }
  if (!parameters.ok()) return diag::failure;
  return make_function<QuantizedReluPo2>(p, slope, straight_through);
}

}  // namespace

Family quantized_po2_family() {
  return {.name = "quantized_po2",
          .summary = "QKeras signed powers of two",
          .is_quantizer = true,
          .defaults = {{"bits", std::int64_t{8}},
                       {"max_value", std::string("none")},
                       {"use_stochastic_rounding", false},
                       {"quadratic_approximation", false},
                       {"log2_rounding", std::string("rnd")},
                       {"qnoise_factor", 1.0},
                       {"var_name", std::string("none")},
                       {"use_ste", true},
                       {"use_variables", false}},
          .make = make_quantized_po2,
          .positional = {"bits", "max_value", "use_stochastic_rounding", "quadratic_approximation", "log2_rounding",
                         "qnoise_factor", "var_name", "use_ste", "use_variables"}};
}

Family quantized_relu_po2_family() {
  Family family = quantized_po2_family();
  family.name = "quantized_relu_po2";
  family.summary = "QKeras powers of two of a rectified input";
  family.defaults["negative_slope"] = 0.0;
  family.make = make_quantized_relu_po2;
  family.positional = {"bits",
                       "max_value",
                       "negative_slope",
                       "use_stochastic_rounding",
                       "quadratic_approximation",
                       "log2_rounding",
                       "qnoise_factor",
                       "var_name",
                       "use_ste",
                       "use_variables"};
  return family;
}

}  // namespace weft::quantizers
