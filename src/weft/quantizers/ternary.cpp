// SPDX-License-Identifier: Apache-2.0
// QKeras ternary and stochastic_ternary (equal at inference): -alpha, 0, +alpha around a dead zone, or scale and dead
// zone computed from the tensor.
#include <cmath>

#include "weft/quantizers/auto_scale.h"
#include "weft/quantizers/families.h"
#include "weft/quantizers/float_ops.h"
#include "weft/quantizers/parameters.h"
#include "weft/quantizers/set_quantizer.h"

namespace weft::quantizers {
namespace {

constexpr double kDefaultThreshold = 0.33;
constexpr StraightThrough kSte{StraightThrough::Form::Ste, 1.0F, 0.0F};

float ternary_step(float x, float threshold) { return std::fabs(x) >= threshold ? sign(x) : 0.0F; }

class Ternary final : public SetQuantizer {
 public:
  Ternary(const Alpha& alpha, float threshold)
      : SetQuantizer(kSte),
        through_tanh_(alpha.mode == Alpha::Mode::None),
        alpha_(alpha.values),
        threshold_(threshold) {
    if (alpha_.empty()) alpha_ = {1.0F};
    std::vector<Rational> factors;
    for (const float a : alpha_) factors.push_back(a == 0.0F ? Rational(1) : fixed::rational_from_double(std::fabs(a)));
    set_outputs(OutputSet{make_scale(std::move(factors)), fixed::Range{-1, 1, 0}, std::nullopt});
  }
  [[nodiscard]] std::size_t channels() const override { return alpha_.size(); }
  [[nodiscard]] Int code(float x, std::size_t channel) const override {
    return static_cast<Int>(sign(alpha(channel)) * ternary_step(x, threshold_));
  }

 protected:
  [[nodiscard]] float quantized(float x, std::size_t channel) const override {
    return alpha(channel) * ternary_step(x, threshold_);
  }
  [[nodiscard]] float surrogate(float x) const override { return through_tanh_ ? tanh_f32(x) : x; }

 private:
  [[nodiscard]] float alpha(std::size_t channel) const { return alpha_[alpha_.size() == 1 ? 0 : channel]; }

  bool through_tanh_;
  std::vector<float> alpha_;
  float threshold_;
};

/// Starts with S = 2 max|x| / 3 (rank 1: of the whole tensor) and alternates codes and least-squares scales. The codes
/// of the last round belong to the scale before it; q = 1 where |S rint(x / S)| >= S / 2.
class AutoTernary final : public Function {
 public:
  AutoTernary(bool po2, int rounds) : po2_(po2), rounds_(rounds) {}
  [[nodiscard]] float apply(float, std::size_t) const override { return std::numeric_limits<float>::quiet_NaN(); }
  [[nodiscard]] bool data_dependent() const override { return true; }
  [[nodiscard]] std::shared_ptr<const Function> with_kernels_moved(int ulps) const override {
    auto other = std::make_shared<AutoTernary>(*this);
    other->ulps_ = ulps;
    return other;
  }

  Result<Quantized> quantize(const FloatTensor& x, const Origin& origin, Context& ctx) const override {
    WEFT_TRY_VOID(check_finite(x, origin, ctx));
    if (x.data.empty()) return quantized_on_own_grid(x, origin, ctx);
    const Columns columns(x.shape);
    std::vector<float> scale = max_abs(x, columns, x.rank() <= 1);
    for (float& s : scale) {
      s = 2.0F * s / 3.0F;
      if (po2_) s = nearest_po2_scale(s, ulps_);
    }
    std::vector<float> q(x.data.size());
    for (int round = 0; round < rounds_; ++round) {
      for (std::size_t i = 0; i < q.size(); ++i) {
        const float s = scale[i % scale.size()];
        const float v = s * rint_even(x.data[i] / s);
        q[i] = std::fabs(v) >= s / 2.0F ? sign(x.data[i]) : 0.0F;
      }
      scale = po2_ ? least_squares_po2_scale(x, q, columns, {}, ulps_) : least_squares_scale(x, q, columns, ulps_);
    }
    if (po2_) certify_po2_scale(x, q, columns, origin, ctx);
    return quantized_with_scale(x, q, scale, origin, ctx);
  }

 private:
  bool po2_;
  int rounds_;
  int ulps_ = 0;
};

Result<std::shared_ptr<const Function>> build(Parameters& parameters, bool stochastic_rounding) {
  const Alpha alpha = parameters.alpha("alpha");
  const auto threshold = parameters.optional_number("threshold");
  const int rounds = parameters.integer("number_of_unrolls", 1, 1000);
  if (alpha.automatic() && threshold) parameters.fail("`threshold` must be none with an automatic `alpha`");
  if (!alpha.automatic() && stochastic_rounding) {
    parameters.fail("`use_stochastic_rounding` needs an automatic `alpha`");
  }
  if (!parameters.ok()) return diag::failure;
  if (alpha.automatic()) return make_function<AutoTernary>(alpha.mode == Alpha::Mode::AutoPo2, rounds);
  return make_function<Ternary>(alpha, static_cast<float>(threshold.value_or(kDefaultThreshold)));
}

Result<std::shared_ptr<const Function>> make_ternary(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  return build(parameters, parameters.flag("use_stochastic_rounding"));
}

Result<std::shared_ptr<const Function>> make_stochastic_ternary(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  parameters.number("temperature");
  parameters.flag("use_real_sigmoid");
  return build(parameters, false);
}

}  // namespace

Family ternary_family() {
  return {.name = "ternary",
          .summary = "QKeras -alpha, 0, +alpha",
          .is_quantizer = true,
          .defaults = {{"alpha", std::string("none")},
                       {"threshold", std::string("none")},
                       {"use_stochastic_rounding", false},
                       {"number_of_unrolls", std::int64_t{5}}},
          .make = make_ternary,
          .positional = {"alpha", "threshold", "use_stochastic_rounding", "number_of_unrolls"}};
}

Family stochastic_ternary_family() {
  return {.name = "stochastic_ternary",
          .summary = "QKeras ternary with random codes in training; equal to ternary at inference",
          .is_quantizer = true,
          .defaults = {{"alpha", std::string("none")},
                       {"threshold", std::string("none")},
                       {"temperature", 8.0},
                       {"use_real_sigmoid", true},
                       {"number_of_unrolls", std::int64_t{5}}},
          .make = make_stochastic_ternary,
          .positional = {"alpha", "threshold", "temperature", "use_real_sigmoid", "number_of_unrolls"}};
}

}  // namespace weft::quantizers
