// SPDX-License-Identifier: Apache-2.0
// QKeras quantized_bits. With alpha None or numbers it is a fixed-point cast times alpha; with alpha "auto" or
// "auto_po2" the scale comes from the tensor (largest magnitude, then five least-squares rounds to a power of two).
#include "weft/quantizers/quantized_bits.h"

#include <algorithm>
#include <cmath>

#include "weft/quantizers/families.h"
#include "weft/quantizers/float_ops.h"
#include "weft/quantizers/set_quantizer.h"

namespace weft::quantizers {
namespace {

constexpr int kMaxBits = 64;
constexpr int kMaxInteger = 64;
/// float32 holds every integer up to 2^24, so bounds and casts are exact up to here.
constexpr int kExactBits = 24;

/// round half away from zero of |x| / s, clipped, with the sign of x: the codes of the automatic modes. A scale of zero
/// (all elements zero) divides 0 by 0; the clip then takes the bound and sign(0) = 0 makes the code zero, as in QKeras.
float auto_code(float x, float scale, float half_levels) {
  const float ratio = std::fabs(x) / scale;
  const float v = std::floor(ratio + 0.5F);
  return sign(x) * (v < half_levels ? v : half_levels);
}

class QuantizedBits final : public SetQuantizer {
 public:
  QuantizedBits(const BitsParameters& parameters, StraightThrough straight_through)
      : SetQuantizer(straight_through), grid_(parameters) {
    set_outputs(grid_.outputs());
  }
  [[nodiscard]] std::size_t channels() const override { return grid_.channels(); }
  [[nodiscard]] Int code(float x, std::size_t channel) const override {
    return has_outputs() ? grid_.code_of_step(grid_.step(x), channel) : SetQuantizer::code(x, channel);
  }

 protected:
  [[nodiscard]] float quantized(float x, std::size_t channel) const override {
    return grid_.alpha(channel) * grid_.value_of_step(grid_.step(x));
  }

 private:
  BitsGrid grid_;
};

/// Automatic modes with a frozen scale: s = P / m, codes half away from zero, values (s * m) * (2^integer * z / m).
class FrozenBits final : public SetQuantizer {
 public:
  FrozenBits(const BitsParameters& p, StraightThrough straight_through)
      : SetQuantizer(straight_through),
        m_(exp2_int(p.bits - (p.keep_negative ? 1 : 0))),
        mi_(exp2_int(p.integer)),
        half_levels_(exp2_int(p.bits - 1) - 1.0F) {
    std::vector<Rational> factors;
    for (const float frozen : p.post_training_scale) {
      scale_.push_back(frozen / m_);
      factors.push_back(fixed::rational_from_double(scale_.back() * m_) * fixed::rational_from_double(mi_ / m_));
    }
    const Int half = static_cast<Int>(half_levels_);
    set_outputs(OutputSet{make_scale(std::move(factors)), fixed::Range{-half, half, 0}, std::nullopt});
  }
  [[nodiscard]] std::size_t channels() const override { return scale_.size(); }
  [[nodiscard]] Int code(float x, std::size_t channel) const override {
    return std::isnan(x) || !has_outputs() ? SetQuantizer::code(x, channel) : static_cast<Int>(z(x, channel));
  }

 protected:
  [[nodiscard]] float quantized(float x, std::size_t channel) const override {
    const float unit = mi_ * z(x, channel) / m_;
    return (scale(channel) * m_) * unit;
  }

 private:
  [[nodiscard]] float scale(std::size_t channel) const { return scale_[scale_.size() == 1 ? 0 : channel]; }
  [[nodiscard]] float z(float x, std::size_t channel) const { return auto_code(x / mi_, scale(channel), half_levels_); }

  float m_;
  float mi_;
  float half_levels_;
  std::vector<float> scale_;
};

/// Automatic modes with the scale computed from the tensor.
class AutoBits final : public Function {
 public:
  AutoBits(BitsParameters parameters, StraightThrough straight_through)
      : parameters_(std::move(parameters)), straight_through_(straight_through) {}
  [[nodiscard]] float apply(float, std::size_t) const override { return std::numeric_limits<float>::quiet_NaN(); }
  [[nodiscard]] bool data_dependent() const override { return true; }
  [[nodiscard]] std::shared_ptr<const Function> with_kernels_moved(int ulps) const override {
    if (parameters_.alpha.mode != Alpha::Mode::AutoPo2) return nullptr;  // a maximum and a division
    auto other = std::make_shared<AutoBits>(*this);
    other->ulps_ = ulps;
    return other;
  }
  Result<Quantized> quantize(const FloatTensor& tensor, const Origin& origin, Context& ctx) const override;

 private:
  [[nodiscard]] std::vector<float> codes(const FloatTensor& x, const std::vector<float>& scale,
                                         float half_levels) const {
    std::vector<float> z(x.data.size());
    for (std::size_t i = 0; i < z.size(); ++i) z[i] = auto_code(x.data[i], scale[i % scale.size()], half_levels);
    return z;
  }

  BitsParameters parameters_;
  StraightThrough straight_through_;
  int ulps_ = 0;
};

Result<Quantized> AutoBits::quantize(const FloatTensor& tensor, const Origin& origin, Context& ctx) const {
  WEFT_TRY_VOID(check_finite(tensor, origin, ctx));
  if (tensor.data.empty()) return quantized_on_own_grid(tensor, origin, ctx);
  const float m = exp2_int(parameters_.bits - (parameters_.keep_negative ? 1 : 0));
  const float mi = exp2_int(parameters_.integer);
  const float half_levels = exp2_int(parameters_.bits - 1) - 1.0F;
  const float levels = half_levels * 2.0F;
  const Columns columns(tensor.shape);
  FloatTensor x = tensor;
  for (float& v : x.data) v /= mi;

  std::vector<float> scale = max_abs(x, columns, tensor.rank() <= 1);
  for (float& s : scale) s = s * 2.0F / levels;
  if (parameters_.alpha.mode == Alpha::Mode::AutoPo2) {
    for (float& s : scale) s = nearest_po2_scale(s, ulps_);
    constexpr int kRounds = 5;
    for (int round = 0; round < kRounds; ++round) {
      const auto z = codes(x, scale, half_levels);
      if (round == kRounds - 1) certify_po2_scale(x, z, columns, origin, ctx);
      auto next = least_squares_po2_scale(x, z, columns, parameters_.po2_limits, ulps_);
      if (round == kRounds - 1 && next != scale) {
        ctx.report(Kind::Info, origin,
                   "the automatic power-of-two scale of `quantized_bits` has not settled after five rounds; QKeras up "
                   "to 0.9.0 "
                   "on PyPI rounds with the scale before the last one, later versions (and Weft) with the last one");
      }
      scale = std::move(next);
    }
  }

  const auto z = codes(x, scale, half_levels);
  FloatTensor values(tensor.shape);
  std::vector<Int> integer_codes(z.size());
  for (std::size_t i = 0; i < z.size(); ++i) {
    const float unit = mi * z[i] / m;
    const float attribute = scale[i % scale.size()] * m;
    values.data[i] = straight_through_.join(mi * x.data[i], attribute * unit);
    integer_codes[i] = attribute > 0.0F ? static_cast<Int>(z[i]) : Int{0};
  }
  WEFT_TRY_VOID(check_finite(values, origin, ctx));
  if (straight_through_.qnoise != 1.0F) return quantized_on_own_grid(std::move(values), origin, ctx);
  std::vector<Rational> factors;
  for (const float s : scale) {
    // A channel of zeros has scale 0 and codes 0; any factor says the same.
    const float attribute = s * m;
    factors.push_back(attribute > 0.0F ? fixed::rational_from_double(attribute) * fixed::rational_from_double(mi / m)
                                       : Rational(1));
  }
  return make_quantized(std::move(values), integer_codes, make_scale(std::move(factors)), origin, ctx);
}

Result<std::shared_ptr<const Function>> make_quantized_bits(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const BitsParameters p = read_bits_parameters(parameters);
  const StraightThrough straight_through = read_straight_through(parameters, true);
  if (!parameters.ok()) return diag::failure;
  if (!p.alpha.automatic()) return make_function<QuantizedBits>(p, straight_through);
  if (!p.post_training_scale.empty()) return make_function<FrozenBits>(p, straight_through);
  return make_function<AutoBits>(p, straight_through);
}

/// h = x * min(relu(x + shift), bound) / bound, then quantized_bits with a straight-through form around h.
class QuantizedHswish final : public SetQuantizer {
 public:
  QuantizedHswish(const BitsParameters& p, StraightThrough straight_through, float shift, float bound)
      : SetQuantizer({}), grid_(p), inner_(straight_through), shift_(shift), bound_(bound) {
    // The smallest h, with a margin for float32 noise around it.
    constexpr float kMargin = 1.0F + 0x1p-20F;
    auto set = grid_.outputs(kMargin * hswish(static_cast<float>(minimum())));
    set.type.reset();
    if (straight_through.qnoise == 1.0F) set_outputs(std::move(set));
  }
  [[nodiscard]] std::size_t channels() const override { return grid_.channels(); }
  [[nodiscard]] Int code(float x, std::size_t channel) const override {
    return has_outputs() ? grid_.code_of_step(grid_.step(hswish(x)), channel) : SetQuantizer::code(x, channel);
  }
  [[nodiscard]] std::vector<double> turning_points() const override { return {minimum()}; }

 protected:
  [[nodiscard]] float quantized(float x, std::size_t channel) const override {
    const float h = hswish(x);
    return inner_.join(h, grid_.alpha(channel) * grid_.value_of_step(grid_.step(h)));
  }

 private:
  /// Where h is smallest: the bottom of the parabola, or its end when the bound comes first.
  [[nodiscard]] double minimum() const { return std::min(-double{shift_} / 2.0, double{bound_} - double{shift_}); }

  [[nodiscard]] float hswish(float x) const {
    const float shifted = x + shift_;
    const float gate = shifted <= bound_ ? std::max(shifted, 0.0F) : bound_;
    const float product = x * gate;
    return product / bound_;
  }

  BitsGrid grid_;
  StraightThrough inner_;
  float shift_;
  float bound_;
};

Result<std::shared_ptr<const Function>> make_quantized_hswish(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const BitsParameters p = read_bits_parameters(parameters);
  const StraightThrough straight_through = read_straight_through(parameters, true);
  const double shift = parameters.number("relu_shift");
  const double bound = parameters.number("relu_upper_bound");
  if (!p.keep_negative) parameters.fail("`keep_negative` must be true");
  if (p.alpha.automatic()) {
    parameters.fail("an automatic `alpha` depends on the batch and cannot be built; give a number or none");
  }
  if (shift <= 0.0 || bound <= 0.0) parameters.fail("`relu_shift` and `relu_upper_bound` must be positive");
  if (!parameters.ok()) return diag::failure;
  return make_function<QuantizedHswish>(p, straight_through, static_cast<float>(shift), static_cast<float>(bound));
}

}  // namespace

BitsGrid::BitsGrid(const BitsParameters& parameters)
    : parameters_(parameters), alpha_(parameters.alpha.values), mi_(exp2_int(parameters.integer)) {
  if (alpha_.empty()) alpha_ = {1.0F};
  const int unsigned_bits = parameters.bits - (parameters.keep_negative ? 1 : 0);
  binary_ = unsigned_bits == 0;
  m_ = exp2_int(unsigned_bits);
  lo_ = parameters.keep_negative ? -m_ + (parameters.symmetric ? 1.0F : 0.0F) : 0.0F;
  hi_ = m_ - 1.0F;
}

float BitsGrid::step(float x) const {
  if (binary_) return sign_of_binary(x);
  const float scaled = x * m_;
  return clip(rint_even(scaled / mi_), lo_, hi_);
}

float BitsGrid::value_of_step(float step) const {
  if (binary_) return step;
  const float product = mi_ * step;
  return product / m_;
}

Int BitsGrid::code_of_step(float step, std::size_t channel) const {
  if (std::isnan(step)) return 0;
  const Int code = static_cast<Int>(step);
  const float a = alpha(channel);
  if (a == 0.0F) return 0;
  return a < 0.0F ? -code : code;
}

OutputSet BitsGrid::outputs(float least) const {
  const int unsigned_bits = parameters_.bits - (parameters_.keep_negative ? 1 : 0);
  const Rational unit = binary_ ? Rational(1) : fixed::pow2(parameters_.integer - unsigned_bits);
  const Int lo = static_cast<Int>(step(least));
  const Int hi = binary_ ? 1 : static_cast<Int>(hi_);
  OutputSet set;
  std::vector<Rational> factors;
  fixed::Range range{0, 0, 0};
  for (const float a : alpha_) {
    factors.push_back(a == 0.0F ? unit : unit * fixed::rational_from_double(std::fabs(a)));
    if (a > 0.0F) range = fixed::unite(range, {lo, hi, 0});
    if (a < 0.0F) range = fixed::unite(range, {-hi, -lo, 0});
  }
  set.scale = make_scale(std::move(factors));
  set.range = {range.lo, range.hi, 0};
  const auto log2 = fixed::log2_exact(set.scale.factors.front());
  const bool plain =
      set.scale.per_tensor() && log2 && std::all_of(alpha_.begin(), alpha_.end(), [](float a) { return a == 1.0F; });
  if (plain && !binary_ && parameters_.bits <= kExactBits) {
    fixed::FixedType type;
    type.width_bits = parameters_.bits;
    type.integer_bits = parameters_.integer + (parameters_.keep_negative ? 1 : 0);
    type.is_signed = parameters_.keep_negative;
    type.rounding = fixed::Rounding::RndConv;
    type.overflow = parameters_.symmetric && parameters_.keep_negative ? fixed::Overflow::SatSym : fixed::Overflow::Sat;
    set.type = type;
  }
  return set;
}

BitsParameters read_bits_parameters(Parameters& parameters) {
  BitsParameters p;
  p.bits = parameters.integer("bits", 1, kMaxBits);
  p.integer = parameters.integer("integer", -kMaxInteger, kMaxInteger);
  p.symmetric = parameters.flag("symmetric");
  p.keep_negative = parameters.flag("keep_negative");
  p.alpha = parameters.alpha("alpha");
  parameters.flag("use_stochastic_rounding");
  parameters.flag("use_variables");
  parameters.must_be_none("scale_axis", "scales along another axis than the last are not supported");
  parameters.must_be_none("elements_per_scale", "several scales per channel are not supported");
  for (const char* key : {"min_po2_exponent", "max_po2_exponent"}) {
    if (parameters.is_none(key)) continue;
    if (p.alpha.mode != Alpha::Mode::AutoPo2) parameters.fail("limits of the exponent need `alpha` = auto_po2");
    const int exponent = parameters.integer(key, -126, 127);
    (key == std::string("min_po2_exponent") ? p.po2_limits.min_exponent : p.po2_limits.max_exponent) = exponent;
  }
  if (!parameters.is_none("post_training_scale")) {
    p.post_training_scale = parameters.numbers("post_training_scale");
    if (!p.alpha.automatic()) parameters.fail("`post_training_scale` needs `alpha` = auto or auto_po2");
    const bool positive = std::all_of(p.post_training_scale.begin(), p.post_training_scale.end(),
                                      [](float v) { return v >= std::numeric_limits<float>::min(); });
    if (!positive) parameters.fail("`post_training_scale` must be positive");
  }
  if (p.alpha.automatic() && p.bits == 1)
    parameters.fail("one bit with an automatic `alpha` divides by zero in QKeras");
  if (p.alpha.automatic() && p.bits > kExactBits) {
    parameters.fail("an automatic `alpha` is supported up to 24 bits, which float32 holds");
  }
  return p;
}

Family quantized_bits_family() {
  return {.name = "quantized_bits",
          .summary = "QKeras fixed point: round half to even, then clip; or a scale computed from the weights",
          .is_quantizer = true,
          .defaults = {{"bits", std::int64_t{8}},
                       {"integer", std::int64_t{0}},
                       {"symmetric", false},
                       {"keep_negative", true},
                       {"alpha", std::string("none")},
                       {"use_stochastic_rounding", false},
                       {"scale_axis", std::string("none")},
                       {"qnoise_factor", 1.0},
                       {"var_name", std::string("none")},
                       {"use_ste", true},
                       {"use_variables", false},
                       {"elements_per_scale", std::string("none")},
                       {"min_po2_exponent", std::string("none")},
                       {"max_po2_exponent", std::string("none")},
                       {"post_training_scale", std::string("none")}},
          .make = make_quantized_bits,
          .positional = {"bits", "integer", "symmetric", "keep_negative", "alpha", "use_stochastic_rounding",
                         "scale_axis", "qnoise_factor", "var_name", "use_ste", "use_variables", "elements_per_scale",
                         "min_po2_exponent", "max_po2_exponent", "post_training_scale"}};
}

Family quantized_hswish_family() {
  Family family = quantized_bits_family();
  family.name = "quantized_hswish";
  family.summary = "QKeras hard swish x * relu6(x + 3) / 6, then quantized_bits";
  family.defaults["relu_shift"] = std::int64_t{3};
  family.defaults["relu_upper_bound"] = std::int64_t{6};
  family.make = make_quantized_hswish;
  family.positional = {"bits",       "integer",         "symmetric", "alpha",   "use_stochastic_rounding",
                       "scale_axis", "qnoise_factor",   "var_name",  "use_ste", "use_variables",
                       "relu_shift", "relu_upper_bound"};
  return family;
}

}  // namespace weft::quantizers
