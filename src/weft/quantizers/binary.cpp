// SPDX-License-Identifier: Apache-2.0
// QKeras binary, stochastic_binary (equal at inference) and bernoulli (stochastic at inference too, hence refused).
#include <cmath>

#include "weft/quantizers/auto_scale.h"
#include "weft/quantizers/families.h"
#include "weft/quantizers/float_ops.h"
#include "weft/quantizers/parameters.h"
#include "weft/quantizers/set_quantizer.h"

namespace weft::quantizers {
namespace {

constexpr StraightThrough kSte{StraightThrough::Form::Ste, 1.0F, 0.0F};

/// -1, +1 or, with use_01, 0, 1; x = 0 gives the upper one.
float binary_step(float x, bool use_01) {
  const float s = sign_of_binary(x);
  return use_01 ? (s + 1.0F) / 2.0F : s;
}

class Binary final : public SetQuantizer {
 public:
  Binary(bool use_01, const Alpha& alpha)
      : SetQuantizer(kSte), use_01_(use_01), through_tanh_(alpha.mode == Alpha::Mode::None), alpha_(alpha.values) {
    if (alpha_.empty()) alpha_ = {1.0F};
    std::vector<Rational> factors;
    std::optional<fixed::Range> range;
    for (const float a : alpha_) {
      factors.push_back(a == 0.0F ? Rational(1) : fixed::rational_from_double(std::fabs(a)));
      const Int low = use_01_ ? 0 : -1;
      const fixed::Range own = a == 0.0F  ? fixed::Range{}
                               : a > 0.0F ? fixed::Range{low, 1, 0}
                                          : fixed::Range{-1, -low, 0};
      range = range ? fixed::unite(*range, own) : own;
    }
    set_outputs(OutputSet{make_scale(std::move(factors)), fixed::Range{range->lo, range->hi, 0}, std::nullopt});
  }
  [[nodiscard]] std::size_t channels() const override { return alpha_.size(); }
  [[nodiscard]] Int code(float x, std::size_t channel) const override {
    if (std::isnan(x)) return 0;
    return static_cast<Int>(sign(alpha(channel)) * binary_step(x, use_01_));
  }

 protected:
  [[nodiscard]] float quantized(float x, std::size_t channel) const override {
    return alpha(channel) * binary_step(x, use_01_);
  }
  [[nodiscard]] float surrogate(float x) const override { return through_tanh_ ? tanh_f32(x) : x; }

 private:
  [[nodiscard]] float alpha(std::size_t channel) const { return alpha_[alpha_.size() == 1 ? 0 : channel]; }

  bool use_01_;
  bool through_tanh_;
  std::vector<float> alpha_;
};

/// alpha = least squares of the tensor against its signs, per channel.
class AutoBinary final : public Function {
 public:
  AutoBinary(bool use_01, bool po2, Po2Limits limits) : use_01_(use_01), po2_(po2), limits_(limits) {}
  [[nodiscard]] float apply(float, std::size_t) const override { return std::numeric_limits<float>::quiet_NaN(); }
  [[nodiscard]] bool data_dependent() const override { return true; }
  [[nodiscard]] std::shared_ptr<const Function> with_kernels_moved(int ulps) const override {
    auto other = std::make_shared<AutoBinary>(*this);
    other->ulps_ = ulps;
    return other;
  }

  Result<Quantized> quantize(const FloatTensor& x, const Origin& origin, Context& ctx) const override {
    WEFT_TRY_VOID(check_finite(x, origin, ctx));
    if (x.data.empty()) return quantized_on_own_grid(x, origin, ctx);
    const Columns columns(x.shape);
    std::vector<float> q(x.data.size());
    for (std::size_t i = 0; i < q.size(); ++i) q[i] = binary_step(x.data[i], use_01_);
    if (po2_) certify_po2_scale(x, q, columns, origin, ctx);
    const auto scale =
        po2_ ? least_squares_po2_scale(x, q, columns, limits_, ulps_) : least_squares_scale(x, q, columns, ulps_);
    return quantized_with_scale(x, q, scale, origin, ctx);
  }

 private:
  bool use_01_;
  bool po2_;
  Po2Limits limits_;
  int ulps_ = 0;
};

Alpha read_alpha(Parameters& parameters, Po2Limits& limits) {
  const Alpha alpha = parameters.alpha("alpha");
  for (const char* key : {"min_po2_exponent", "max_po2_exponent"}) {
    if (parameters.is_none(key)) continue;
    const int exponent = parameters.integer(key, -126, 127);
    (key == std::string("min_po2_exponent") ? limits.min_exponent : limits.max_exponent) = exponent;
  }
  parameters.must_be_none("scale_axis", "scales along another axis than the last are not supported");
  parameters.must_be_none("elements_per_scale", "several scales per channel are not supported");
  return alpha;
}

std::shared_ptr<const Function> build(bool use_01, const Alpha& alpha, const Po2Limits& limits) {
  if (alpha.automatic()) {
    return std::make_shared<const AutoBinary>(use_01, alpha.mode == Alpha::Mode::AutoPo2, limits);
  }
  return std::make_shared<const Binary>(use_01, alpha);
}

Result<std::shared_ptr<const Function>> make_binary(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const bool use_01 = parameters.flag("use_01");
  Po2Limits limits;
  const Alpha alpha = read_alpha(parameters, limits);
  parameters.flag("use_stochastic_rounding");
  if (!parameters.ok()) return diag::failure;
  return build(use_01, alpha, limits);
}

Result<std::shared_ptr<const Function>> make_stochastic_binary(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const Alpha alpha = parameters.alpha("alpha");
  parameters.number("temperature");
  parameters.flag("use_real_sigmoid");
  if (!parameters.ok()) return diag::failure;
  return build(false, alpha, {});
}

Result<std::shared_ptr<const Function>> make_bernoulli(const Spec& spec, const Origin& origin, Context& ctx) {
  return ctx.fail(Kind::QuantizerUnsupported, origin,
                  "`" + spec.family +
                      "` draws random numbers at inference too, so it has no exact meaning; use `stochastic_binary` or "
                      "`binary(use_01=1)`, which are deterministic at inference");
}

}  // namespace

Family binary_family() {
  return {.name = "binary",
          .summary = "QKeras sign with values -alpha, +alpha or 0, alpha",
          .is_quantizer = true,
          .defaults = {{"use_01", false},
                       {"alpha", std::string("none")},
                       {"use_stochastic_rounding", false},
                       {"scale_axis", std::string("none")},
                       {"elements_per_scale", std::string("none")},
                       {"min_po2_exponent", std::string("none")},
                       {"max_po2_exponent", std::string("none")}},
          .make = make_binary,
          .positional = {"use_01", "alpha", "use_stochastic_rounding", "scale_axis", "elements_per_scale",
                         "min_po2_exponent", "max_po2_exponent"}};
}

Family stochastic_binary_family() {
  return {.name = "stochastic_binary",
          .summary = "QKeras binary with random signs in training; equal to binary at inference",
          .is_quantizer = true,
          .defaults = {{"alpha", std::string("none")}, {"temperature", 6.0}, {"use_real_sigmoid", true}},
          .make = make_stochastic_binary,
          .positional = {"alpha", "temperature", "use_real_sigmoid"}};
}

Family bernoulli_family() {
  return {.name = "bernoulli",
          .summary = "QKeras random 0 or alpha; refused because it is random at inference",
          .is_quantizer = true,
          .defaults = {{"alpha", std::string("none")}, {"temperature", 6.0}, {"use_real_sigmoid", true}},
          .make = make_bernoulli,
          .positional = {"alpha", "temperature", "use_real_sigmoid"}};
}

}  // namespace weft::quantizers
