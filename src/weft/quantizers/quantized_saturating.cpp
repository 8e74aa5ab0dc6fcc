// SPDX-License-Identifier: Apache-2.0
// QKeras quantized_tanh, quantized_sigmoid and quantized_ulaw: a saturating function, rounded half to even. No
// straight-through form: QKeras rounds inside, where x + (rint(x) - x) is exact.
#include <algorithm>
#include <cmath>

#include "weft/quantizers/families.h"
#include "weft/quantizers/float_ops.h"
#include "weft/quantizers/internal_sigmoid.h"
#include "weft/quantizers/parameters.h"
#include "weft/quantizers/set_quantizer.h"

namespace weft::quantizers {
namespace {

constexpr int kMaxBits = 32;
/// quantized_ulaw's values are listed one by one to find their grid.
constexpr int kMaxUlawListBits = 16;

/// clip(rint(f(x) * m) / m, lo, hi) with f = tanh or a sigmoid.
class Saturating final : public SetQuantizer {
 public:
  enum class Form { Tanh, HardTanh, Sigmoid, HardSigmoid };

  Saturating(Form form, InternalSigmoid sigmoid, int magnitude_bits, bool symmetric)
      : SetQuantizer({}), form_(form), sigmoid_(sigmoid), m_(exp2_int(magnitude_bits)) {
    const float reserved = (symmetric ? 1.0F : 0.0F) / m_;
    const bool is_signed = form == Form::Tanh || form == Form::HardTanh;
    lo_ = is_signed ? -1.0F + reserved : reserved;
    hi_ = 1.0F - 1.0F / m_;
    set_outputs(
        power_of_two_set(-magnitude_bits, code_on_grid(lo_, -magnitude_bits), code_on_grid(hi_, -magnitude_bits)));
  }
  [[nodiscard]] std::shared_ptr<const Function> with_kernels_moved(int ulps) const override {
    const bool internal = form_ == Form::HardTanh || form_ == Form::HardSigmoid;
    if (internal && sigmoid_ != InternalSigmoid::Real) return nullptr;
    auto other = std::make_shared<Saturating>(*this);
    other->ulps_ = ulps;
    return other;
  }

 protected:
  [[nodiscard]] float quantized(float x, std::size_t) const override {
    const float scaled = function(x) * m_;
    return clip(rint_even(scaled) / m_, lo_, hi_);
  }

 private:
  [[nodiscard]] float function(float x) const {
    switch (form_) {
      case Form::Tanh:
        return tanh_f32(x, ulps_);
      case Form::Sigmoid:
        return sigmoid_f32(x, ulps_);
      case Form::HardSigmoid:
        return internal_sigmoid(x, sigmoid_, ulps_);
      case Form::HardTanh:
        break;
    }
    const float twice = 2.0F * internal_sigmoid(x, sigmoid_, ulps_);
    return twice - 1.0F;
  }

  Form form_;
  InternalSigmoid sigmoid_;
  float m_;
  float lo_ = 0.0F;
  float hi_ = 0.0F;
  int ulps_ = 0;
};

struct UlawParameters {
  int bits = 8;
  int integer = 0;
  bool symmetric = false;
  float u = 255.0F;
  InternalSigmoid sigmoid = InternalSigmoid::Hard;
};

class QuantizedUlaw final : public SetQuantizer {
 public:
  explicit QuantizedUlaw(const UlawParameters& p)
      : SetQuantizer({}), p_(p), m_(exp2_int(p.bits - 1)), mi_(exp2_int(p.integer)) {
    if (p.bits - 1 > kMaxUlawListBits) return;
    std::vector<float> values;
    for (int k = 0; k <= static_cast<int>(m_); ++k) values.push_back(value_of_step(static_cast<float>(k)));
    set_outputs(dyadic_set(values));
  }
  [[nodiscard]] std::shared_ptr<const Function> with_kernels_moved(int ulps) const override {
    auto other = std::make_shared<QuantizedUlaw>(*this);
    other->ulps_ = ulps;
    return other;
  }
  [[nodiscard]] Int code(float x, std::size_t channel) const override {
    if (ulps_ == 0) return SetQuantizer::code(x, channel);
    // Moved values may lie between the codes of the set.
    return nearest_code(quantized(x, channel), outputs()->scale.at(channel));
  }

 protected:
  [[nodiscard]] float quantized(float x, std::size_t) const override {
    return value_of_step(rint_even(internal_sigmoid(x / mi_, p_.sigmoid, ulps_) * m_));
  }

 private:
  /// The value of step k of the sigmoid, 0 <= k <= m.
  [[nodiscard]] float value_of_step(float k) const {
    const float twice = 2.0F * (k / m_);
    const float r = twice - 1.0F;
    const float grown = p_.u * std::fabs(r);
    const float law = sign(r) * moved(log_f32(1.0F + grown), ulps_) / log_f32(1.0F + p_.u);
    const float reserved = (p_.symmetric ? 1.0F : 0.0F) / m_;
    return mi_ * clip(law, -1.0F + reserved, 1.0F - 1.0F / m_);
  }

  UlawParameters p_;
  float m_;
  float mi_;
  int ulps_ = 0;
};

Result<std::shared_ptr<const Function>> make_quantized_tanh(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const int bits = parameters.integer("bits", 1, kMaxBits);
  const bool symmetric = parameters.flag("symmetric");
  const bool real = parameters.flag("use_real_tanh");
  const InternalSigmoid sigmoid = read_internal_sigmoid(parameters);
  parameters.flag("use_stochastic_rounding");
  if (!parameters.ok()) return diag::failure;
  return make_function<Saturating>(real ? Saturating::Form::Tanh : Saturating::Form::HardTanh, sigmoid, bits - 1,
                                   symmetric);
}

Result<std::shared_ptr<const Function>> make_quantized_sigmoid(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const int bits = parameters.integer("bits", 1, kMaxBits);
  const bool symmetric = parameters.flag("symmetric");
  const bool real = parameters.flag("use_real_sigmoid");
  const InternalSigmoid sigmoid = read_internal_sigmoid(parameters);
  parameters.flag("use_stochastic_rounding");
  if (!parameters.ok()) return diag::failure;
  return make_function<Saturating>(real ? Saturating::Form::Sigmoid : Saturating::Form::HardSigmoid, sigmoid, bits,
                                   symmetric);
}

Result<std::shared_ptr<const Function>> make_quantized_ulaw(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  UlawParameters p;
  p.bits = parameters.integer("bits", 1, kMaxBits);
  p.integer = parameters.integer("integer", -64, 64);
  p.symmetric = parameters.flag("symmetric");
  p.u = static_cast<float>(parameters.number("u"));
  p.sigmoid = read_internal_sigmoid(parameters);
  if (!(1.0F + p.u > 1.0F) || !std::isfinite(1.0F + p.u)) parameters.fail("`u` must be positive");
  if (!parameters.ok()) return diag::failure;
  return make_function<QuantizedUlaw>(p);
}

}  // namespace

Family quantized_tanh_family() {
  return {.name = "quantized_tanh",
          .summary = "QKeras tanh (hard by default) rounded to fixed point",
          .is_quantizer = true,
          .defaults = {{"bits", std::int64_t{8}},
                       {"use_stochastic_rounding", false},
                       {"symmetric", false},
                       {"use_real_tanh", false},
                       {"internal_sigmoid", std::string("hard")}},
          .make = make_quantized_tanh,
          .positional = {"bits", "use_stochastic_rounding", "symmetric", "use_real_tanh"}};
}

Family quantized_sigmoid_family() {
  return {.name = "quantized_sigmoid",
          .summary = "QKeras sigmoid (hard by default) rounded to fixed point",
          .is_quantizer = true,
          .defaults = {{"bits", std::int64_t{8}},
                       {"symmetric", false},
                       {"use_real_sigmoid", false},
                       {"use_stochastic_rounding", false},
                       {"internal_sigmoid", std::string("hard")}},
          .make = make_quantized_sigmoid,
          .positional = {"bits", "symmetric", "use_real_sigmoid", "use_stochastic_rounding"}};
}

Family quantized_ulaw_family() {
  return {.name = "quantized_ulaw",
          .summary = "QKeras mu-law companding; values lie on no small fixed-point grid",
          .is_quantizer = true,
          .defaults = {{"bits", std::int64_t{8}},
                       {"integer", std::int64_t{0}},
                       {"symmetric", false},
                       {"u", 255.0},
                       {"internal_sigmoid", std::string("hard")}},
          .make = make_quantized_ulaw,
          .positional = {"bits", "integer", "symmetric", "u"}};
}

}  // namespace weft::quantizers
