// SPDX-License-Identifier: Apache-2.0
// QKeras quantized_linear: x / Q is clipped, then rounded; Q is 2^(integer - bits + kn), alpha times that, or computed
// from the tensor. One signed bit is a sign function with values +-Q/2.
#include <algorithm>
#include <cmath>

#include "weft/quantizers/auto_scale.h"
#include "weft/quantizers/families.h"
#include "weft/quantizers/float_ops.h"
#include "weft/quantizers/parameters.h"
#include "weft/quantizers/set_quantizer.h"

namespace weft::quantizers {
namespace {

constexpr int kMaxBits = 64;
constexpr int kExactBits = 24;

/// Bounds and rounding of x / Q.
struct LinearSteps {
  float lo = 0.0F;
  float hi = 0.0F;
  bool sign_mode = false;

  LinearSteps(int bits, bool symmetric, bool keep_negative) : sign_mode(bits == 1 && keep_negative) {
    const float m = exp2_int(bits - (keep_negative ? 1 : 0));
    lo = sign_mode ? -0.5F : (keep_negative ? -m + (symmetric ? 1.0F : 0.0F) : 0.0F);
    hi = sign_mode ? 0.5F : m - 1.0F;
  }
  /// Integers, or +-1/2 in sign mode.
  [[nodiscard]] float step(float x, float q) const {
    const float h = sign_mode ? 0.5F : 0.0F;
    const float clipped = clip(x / q, lo, hi);
    return rint_even(clipped - h) + h;
  }
  /// Codes count half steps in sign mode.
  [[nodiscard]] Int code_of_step(float step) const {
    return std::isnan(step) ? Int{0} : static_cast<Int>(sign_mode ? 2.0F * step : step);
  }
  [[nodiscard]] Rational unit(float q) const {
    return fixed::rational_from_double(q) * (sign_mode ? fixed::pow2(-1) : Rational(1));
  }
};

class QuantizedLinear final : public SetQuantizer {
 public:
  QuantizedLinear(LinearSteps steps, std::vector<float> q, StraightThrough straight_through,
                  std::optional<fixed::FixedType> type)
      : SetQuantizer(straight_through), steps_(steps), q_(std::move(q)) {
    OutputSet set;
    std::vector<Rational> factors;
    const Int lo = steps_.sign_mode ? -1 : static_cast<Int>(steps_.lo);
    const Int hi = steps_.sign_mode ? 1 : static_cast<Int>(steps_.hi);
    std::optional<fixed::Range> range;
    for (const float q_channel : q_) {
      factors.push_back(steps_.unit(std::fabs(q_channel)));
      const fixed::Range own = q_channel > 0.0F ? fixed::Range{lo, hi, 0} : fixed::Range{-hi, -lo, 0};
      range = range ? fixed::unite(*range, own) : own;
    }
    set.scale = make_scale(std::move(factors));
    set.range = {range->lo, range->hi, 0};
    set.type = type;
    set_outputs(std::move(set));
  }
  [[nodiscard]] std::size_t channels() const override { return q_.size(); }
  [[nodiscard]] Int code(float x, std::size_t channel) const override {
    if (!has_outputs()) return SetQuantizer::code(x, channel);
    const Int code = steps_.code_of_step(steps_.step(x, q(channel)));
    return q(channel) < 0.0F ? -code : code;
  }

 protected:
  [[nodiscard]] float quantized(float x, std::size_t channel) const override {
    return steps_.step(x, q(channel)) * q(channel);
  }

 private:
  [[nodiscard]] float q(std::size_t channel) const { return q_[q_.size() == 1 ? 0 : channel]; }

  LinearSteps steps_;
  std::vector<float> q_;
};

class AutoLinear final : public Function {
 public:
  AutoLinear(LinearSteps steps, bool keep_negative, bool po2, StraightThrough straight_through)
      : steps_(steps), keep_negative_(keep_negative), po2_(po2), straight_through_(straight_through) {}
  [[nodiscard]] float apply(float, std::size_t) const override { return std::numeric_limits<float>::quiet_NaN(); }
  [[nodiscard]] bool data_dependent() const override { return true; }
  [[nodiscard]] std::shared_ptr<const Function> with_kernels_moved(int ulps) const override {
    if (!po2_) return nullptr;  // a maximum and a division
    auto other = std::make_shared<AutoLinear>(*this);
    other->ulps_ = ulps;
    return other;
  }

  Result<Quantized> quantize(const FloatTensor& x, const Origin& origin, Context& ctx) const override {
    WEFT_TRY_VOID(check_finite(x, origin, ctx));
    if (x.data.empty()) return quantized_on_own_grid(x, origin, ctx);
    const Columns columns(x.shape);
    std::vector<float> scale = scale_of_maximum(x, columns);
    if (po2_) scale = po2_scale(x, columns, std::move(scale), origin, ctx);

    FloatTensor values(x.shape);
    std::vector<Int> codes(x.data.size());
    for (std::size_t i = 0; i < codes.size(); ++i) {
      const float q = scale[i % scale.size()];
      const float step = steps_.step(x.data[i], q);
      values.data[i] = straight_through_.join(x.data[i], step * q);
      codes[i] = steps_.code_of_step(step);
    }
    WEFT_TRY_VOID(check_finite(values, origin, ctx));
    if (straight_through_.qnoise != 1.0F) return quantized_on_own_grid(std::move(values), origin, ctx);
    std::vector<Rational> factors;
    for (const float q : scale) factors.push_back(steps_.unit(q));
    return make_quantized(std::move(values), codes, make_scale(std::move(factors)), origin, ctx);
  }

 private:
  /// The smallest scale that clips nothing, at least epsilon.
  [[nodiscard]] std::vector<float> scale_of_maximum(const FloatTensor& x, const Columns& columns) const {
    const float range = steps_.hi - steps_.lo;
    std::vector<float> scale = keep_negative_ ? max_abs(x, columns, false) : max_value(x, columns);
    for (float& s : scale) {
      const float top = keep_negative_ ? s * 2.0F : s;
      s = std::max(top / range, kEpsilon);
    }
    return scale;
  }

  /// Least-squares rounds until nothing changes, five at most (one in sign mode).
  [[nodiscard]] std::vector<float> po2_scale(const FloatTensor& x, const Columns& columns, std::vector<float> scale,
                                             const Origin& origin, Context& ctx) const {
    for (float& s : scale) s = nearest_po2_scale(s, ulps_);
    const int rounds = steps_.sign_mode ? 1 : 5;
    std::vector<float> steps(x.data.size());
    for (int round = 0; round < rounds; ++round) {
      for (std::size_t i = 0; i < steps.size(); ++i) steps[i] = steps_.step(x.data[i], scale[i % scale.size()]);
      auto next = least_squares_po2_scale(x, steps, columns, {}, ulps_);
      const bool settled = next == scale;
      scale = std::move(next);
      if (settled) break;
    }
    certify_po2_scale(x, steps, columns, origin, ctx);
    return scale;
  }

  LinearSteps steps_;
  bool keep_negative_;
  bool po2_;
  StraightThrough straight_through_;
  int ulps_ = 0;
};

Result<std::shared_ptr<const Function>> make_quantized_linear(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const int bits = parameters.integer("bits", 1, kMaxBits);
  const int integer = parameters.integer("integer", -64, 64);
  const bool symmetric = parameters.flag("symmetric");
  const bool keep_negative = parameters.flag("keep_negative");
  const Alpha alpha = parameters.alpha("alpha");
  const StraightThrough straight_through = read_straight_through(parameters, false);
  parameters.flag("use_stochastic_rounding");
  parameters.flag("use_variables");
  parameters.must_be_none("scale_axis", "scales along another axis than the last are not supported");
  if (alpha.automatic() && bits > kExactBits) {
    parameters.fail("an automatic `alpha` is supported up to 24 bits, which float32 holds");
  }
  const int lsb_log2 = integer - bits + (keep_negative ? 1 : 0);
  std::vector<float> q;
  for (const float a : alpha.values) q.push_back(a * exp2_int(lsb_log2));
  if (q.empty()) q = {exp2_int(lsb_log2)};
  const bool usable = std::all_of(q.begin(), q.end(), [](float v) {
    return std::isfinite(v) && std::fabs(v) >= std::numeric_limits<float>::min();
  });
  if (!usable) parameters.fail("`alpha` is zero or out of the range of float32; x is divided by it");
  if (!parameters.ok()) return diag::failure;

  const LinearSteps steps(bits, symmetric, keep_negative);
  if (alpha.automatic()) {
    return make_function<AutoLinear>(steps, keep_negative, alpha.mode == Alpha::Mode::AutoPo2, straight_through);
  }
  std::optional<fixed::FixedType> type;
  if (q.size() == 1 && q.front() > 0.0F && !steps.sign_mode && bits <= kExactBits) {
    if (const auto log2 = fixed::log2_exact(fixed::rational_from_double(q.front()))) {
      type = fixed::FixedType{};
      type->width_bits = bits;
      type->integer_bits = bits + *log2;
      type->is_signed = keep_negative;
      type->rounding = fixed::Rounding::RndConv;
      type->overflow = symmetric && keep_negative ? fixed::Overflow::SatSym : fixed::Overflow::Sat;
    }
  }
  return make_function<QuantizedLinear>(steps, std::move(q), straight_through, type);
}

}  // namespace

Family quantized_linear_family() {
  return {.name = "quantized_linear",
          .summary = "QKeras fixed point: divide by a scale, clip, then round half to even",
          .is_quantizer = true,
          .defaults = {{"bits", std::int64_t{8}},
                       {"integer", std::int64_t{0}},
                       {"symmetric", true},
                       {"keep_negative", true},
                       {"alpha", std::string("none")},
                       {"use_stochastic_rounding", false},
                       {"scale_axis", std::string("none")},
                       {"qnoise_factor", 1.0},
                       {"var_name", std::string("none")},
                       {"use_variables", false}},
          .make = make_quantized_linear,
          .positional = {"bits", "integer", "symmetric", "keep_negative", "alpha", "use_stochastic_rounding",
                         "scale_axis", "qnoise_factor", "var_name", "use_variables"}};
}

}  // namespace weft::quantizers
