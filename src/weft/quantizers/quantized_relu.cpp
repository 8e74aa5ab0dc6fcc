// SPDX-License-Identifier: Apache-2.0
// QKeras quantized_relu: rectified fixed point, optionally leaky (slope a power of two), behind a sigmoid, or capped.
#include <algorithm>
#include <cmath>

#include "weft/quantizers/families.h"
#include "weft/quantizers/float_ops.h"
#include "weft/quantizers/internal_sigmoid.h"
#include "weft/quantizers/parameters.h"
#include "weft/quantizers/set_quantizer.h"

namespace weft::quantizers {
namespace {

constexpr int kMaxBits = 64;
constexpr int kExactBits = 24;
constexpr int kMaxGridBits = 120;

struct ReluParameters {
  int bits = 8;
  int integer = 0;
  bool use_sigmoid = false;
  float negative_slope = 0.0F;
  std::optional<float> upper_bound{};
  bool is_quantized_clip = true;
  bool fast = false;
  InternalSigmoid sigmoid = InternalSigmoid::Hard;

  /// The cap counts only without the quantized clip, and a cap of 0 counts as none.
  [[nodiscard]] bool capped() const { return !fast && !is_quantized_clip && upper_bound && *upper_bound != 0.0F; }
  [[nodiscard]] bool leaky() const { return !fast && negative_slope != 0.0F; }
  [[nodiscard]] int magnitude_bits() const { return bits - (leaky() ? 1 : 0); }
};

class QuantizedRelu final : public SetQuantizer {
 public:
  QuantizedRelu(const ReluParameters& p, StraightThrough straight_through)
      : SetQuantizer(p.fast ? StraightThrough{} : straight_through),
        p_(p),
        m_(exp2_int(p.magnitude_bits())),
        mi_(exp2_int(p.integer)),
        largest_(mi_ - exp2_int(p.integer - p.magnitude_bits())) {
    int lsb_log2 = p.integer - p.magnitude_bits();
    if (p.leaky()) lsb_log2 = std::min(lsb_log2, p.integer + std::ilogb(p.negative_slope));
    if (p.capped()) lsb_log2 = std::min(lsb_log2, lsb_exponent(*p.upper_bound));
    if (p.integer - lsb_log2 + 2 > kMaxGridBits) return;
    constexpr float kFar = std::numeric_limits<float>::max();
    OutputSet set = power_of_two_set(lsb_log2, code_on_grid(quantized(-kFar, 0), lsb_log2),
                                     code_on_grid(quantized(kFar, 0), lsb_log2));
    if (!p.leaky() && (p.fast || !p.use_sigmoid) && !p.capped() && p.bits <= kExactBits) {
      set.type = fixed::FixedType{.width_bits = p.bits,
                                  .integer_bits = p.integer,
                                  .is_signed = false,
                                  .rounding = fixed::Rounding::RndConv,
                                  .overflow = fixed::Overflow::Sat};
    }
    set_outputs(std::move(set));
  }

  [[nodiscard]] std::shared_ptr<const Function> with_kernels_moved(int ulps) const override {
    if (p_.fast || !p_.use_sigmoid || p_.sigmoid != InternalSigmoid::Real) return nullptr;
    auto other = std::make_shared<QuantizedRelu>(*this);
    other->ulps_ = ulps;
    return other;
  }

 protected:
  [[nodiscard]] float quantized(float x, std::size_t) const override {
    float xq = p_.use_sigmoid && !p_.fast ? sigmoid_form(x) : linear_form(x);
    if (p_.capped() && xq > *p_.upper_bound) xq = *p_.upper_bound;
    return xq;
  }

  [[nodiscard]] float surrogate(float x) const override {
    if (p_.is_quantized_clip && x > largest_) return largest_;
    if (!p_.is_quantized_clip && p_.upper_bound && x > *p_.upper_bound) return *p_.upper_bound;
    return x > 0.0F ? x : p_.negative_slope * x;
  }

 private:
  [[nodiscard]] float linear_form(float x) const {
    const float scaled = x * m_;
    const float p = scaled / mi_;
    float xq = mi_ * clip(rint_even(p) / m_, 0.0F, 1.0F - 1.0F / m_);
    if (p_.leaky()) {
      const float factor = 1.0F / (p_.negative_slope * m_);
      xq += mi_ * p_.negative_slope * clip(rint_even(p * p_.negative_slope) * factor, -1.0F, 0.0F);
    }
    return xq;
  }

  [[nodiscard]] float sigmoid_form(float x) const {
    const float p = internal_sigmoid(x / mi_, p_.sigmoid, ulps_) * m_;
    const float positive = 2.0F * (rint_even(p) / m_);
    float xq = mi_ * clip(positive - 1.0F, 0.0F, 1.0F - 1.0F / m_);
    if (p_.leaky()) {
      const float factor = 1.0F / (p_.negative_slope * m_);
      const float negative = 2.0F * (rint_even(p * p_.negative_slope) * factor);
      xq += mi_ * p_.negative_slope * clip(negative - 1.0F, -1.0F, 0.0F);
    }
    return xq;
  }

  ReluParameters p_;
  float m_;
  float mi_;
  float largest_;
  int ulps_ = 0;
};

Result<std::shared_ptr<const Function>> make_quantized_relu(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  ReluParameters p;
  p.bits = parameters.integer("bits", 1, kMaxBits);
  p.integer = parameters.integer("integer", -64, 64);
  p.use_sigmoid = parameters.flag("use_sigmoid");
  p.negative_slope = static_cast<float>(parameters.number("negative_slope"));
  p.is_quantized_clip = parameters.flag("is_quantized_clip");
  p.fast = parameters.flag("enable_fast_inference");
  p.sigmoid = read_internal_sigmoid(parameters);
  if (const auto bound = parameters.optional_number("relu_upper_bound")) p.upper_bound = static_cast<float>(*bound);
  const StraightThrough straight_through = read_straight_through(parameters, true);
  parameters.flag("use_stochastic_rounding");
  parameters.flag("use_variables");
  if (p.negative_slope != 0.0F && !is_power_of_two(p.negative_slope)) {
    parameters.fail("`negative_slope` must be 0 or a positive power of two");
  }
  if (p.upper_bound && *p.upper_bound < 0.0F) parameters.fail("`relu_upper_bound` must not be negative");
  if (!parameters.ok()) return diag::failure;
  return make_function<QuantizedRelu>(p, straight_through);
}

}  // namespace

Family quantized_relu_family() {
  return {.name = "quantized_relu",
          .summary = "QKeras rectified fixed point, optionally leaky",
          .is_quantizer = true,
          .defaults = {{"bits", std::int64_t{8}},
                       {"integer", std::int64_t{0}},
                       {"use_sigmoid", false},
                       {"negative_slope", 0.0},
                       {"use_stochastic_rounding", false},
                       {"relu_upper_bound", std::string("none")},
                       {"is_quantized_clip", true},
                       {"qnoise_factor", 1.0},
                       {"var_name", std::string("none")},
                       {"use_ste", true},
                       {"use_variables", false},
                       {"enable_fast_inference", false},
                       {"internal_sigmoid", std::string("hard")}},
          .make = make_quantized_relu,
          .positional = {"bits", "integer", "use_sigmoid", "negative_slope", "use_stochastic_rounding",
                         "relu_upper_bound", "is_quantized_clip", "qnoise_factor", "var_name", "use_ste",
                         "use_variables", "enable_fast_inference"}};
}

}  // namespace weft::quantizers
