// SPDX-License-Identifier: Apache-2.0
// QONNX Quant and BipolarQuant, ONNX Sign: float32 operations of the reference executor.
#include <algorithm>
#include <cmath>

#include "weft/quantizers/families.h"
#include "weft/quantizers/float_ops.h"
#include "weft/quantizers/parameters.h"
#include "weft/quantizers/set_quantizer.h"

namespace weft::quantizers {
namespace {

using Made = Result<std::shared_ptr<const Function>>;

constexpr double kMaxBits = 64.0;
constexpr int kMaxGridBits = 120;
/// Codes up to 2^23 leave room for the halves that HALF_DOWN forms in float32.
constexpr int kExactBits = 23;

enum class Mode { Round, Ceil, Floor, Up, Down, HalfUp, HalfDown };

float round_to(float y, Mode mode) {
  const float a = std::fabs(y);
  switch (mode) {
    case Mode::Round:
      return rint_even(y);
    case Mode::Ceil:
      return std::ceil(y);
    case Mode::Floor:
      return std::floor(y);
    case Mode::Up:
      return sign(y) * std::ceil(a);
    case Mode::Down:
      return sign(y) * std::floor(a);
    case Mode::HalfUp:
      return sign(y) * std::floor(a + 0.5F);
    case Mode::HalfDown:
      return sign(y) * std::ceil(a - 0.5F);
  }
  return y;
}

Mode read_mode(Parameters& parameters) {
  const std::string word = parameters.word(
      "rounding", {"ROUND", "HALF_EVEN", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN", "ROUND_TO_ZERO"});
  if (word == "CEIL") return Mode::Ceil;
  if (word == "FLOOR") return Mode::Floor;
  if (word == "UP") return Mode::Up;
  if (word == "DOWN" || word == "ROUND_TO_ZERO") return Mode::Down;
  if (word == "HALF_UP") return Mode::HalfUp;
  if (word == "HALF_DOWN") return Mode::HalfDown;
  return Mode::Round;
}

struct QuantParameters {
  std::vector<float> scale;
  std::vector<float> zero_point;
  double bits = 8.0;
  bool is_signed = true;
  bool narrow = false;
  Mode mode = Mode::Round;

  [[nodiscard]] std::size_t channels() const { return std::max(scale.size(), zero_point.size()); }
};

/// y = x / s + z, clamped, then rounded (one signed bit: its sign); result (q - z) * s.
class QonnxQuant final : public SetQuantizer {
 public:
  explicit QonnxQuant(QuantParameters p)
      : SetQuantizer({}), p_(std::move(p)), bipolar_(p_.bits == 1.0 && p_.is_signed) {
    const double half = std::exp2(p_.bits - 1.0);
    const double narrow = p_.narrow ? 1.0 : 0.0;
    lo_ = static_cast<float>(p_.is_signed ? narrow - half : 0.0);
    hi_ = static_cast<float>(p_.is_signed ? half - 1.0 : 2.0 * half - 1.0 - narrow);
    build_outputs();
  }
  [[nodiscard]] std::size_t channels() const override { return p_.channels(); }
  [[nodiscard]] Int code(float x, std::size_t channel) const override {
    return code_on_grid(step(x, channel) - zero_point(channel), grid_log2_);
  }

 protected:
  [[nodiscard]] float quantized(float x, std::size_t channel) const override {
    const float shifted = step(x, channel) - zero_point(channel);
    return shifted * scale(channel);
  }

 private:
  [[nodiscard]] float scale(std::size_t channel) const { return p_.scale[p_.scale.size() == 1 ? 0 : channel]; }
  [[nodiscard]] float zero_point(std::size_t channel) const {
    return p_.zero_point[p_.zero_point.size() == 1 ? 0 : channel];
  }
  [[nodiscard]] float step(float x, std::size_t channel) const {
    const float ratio = x / scale(channel);
    const float y = ratio + zero_point(channel);
    if (bipolar_) return y >= 0.0F ? 1.0F : -1.0F;
    return round_to(clip(y, lo_, hi_), p_.mode);
  }

  /// Codes count (q - z) in units of the finest zero point, which is 1 for integer zero points.
  void build_outputs() {
    for (const float z : p_.zero_point) {
      if (z != 0.0F) grid_log2_ = std::min(grid_log2_, lsb_exponent(z));
    }
    const float q_lo = bipolar_ ? -1.0F : round_to(lo_, p_.mode);
    const float q_hi = bipolar_ ? 1.0F : round_to(hi_, p_.mode);
    OutputSet set;
    std::vector<Rational> factors;
    std::optional<fixed::Range> range;
    for (std::size_t c = 0; c < p_.channels(); ++c) {
      const float low = q_lo - zero_point(c);
      const float high = q_hi - zero_point(c);
      if (std::max(std::fabs(low), std::fabs(high)) >= std::ldexp(1.0F, kMaxGridBits + grid_log2_)) return;
      const fixed::Range own{code_on_grid(low, grid_log2_), code_on_grid(high, grid_log2_), 0};
      range = range ? fixed::unite(*range, own) : own;
      factors.push_back(fixed::rational_from_double(scale(c)) * fixed::pow2(grid_log2_));
    }
    set.scale = make_scale(std::move(factors));
    set.range = {range->lo, range->hi, 0};
    set.type = type_of(set.scale);
    set_outputs(std::move(set));
  }

  /// The plain cast, where the float32 operations are one for every x: see the conditions.
  [[nodiscard]] std::optional<fixed::FixedType> type_of(const Scale& set_scale) const {
    const bool no_zero_point =
        std::all_of(p_.zero_point.begin(), p_.zero_point.end(), [](float z) { return z == 0.0F; });
    const auto log2 = fixed::log2_exact(set_scale.factors.front());
    const bool whole_bits = p_.bits == std::floor(p_.bits) && p_.bits <= kExactBits;
    if (bipolar_ || !no_zero_point || !set_scale.per_tensor() || !log2 || !whole_bits) return std::nullopt;
    if (p_.narrow && !p_.is_signed) return std::nullopt;  // 2^b - 2 is no saturation bound of a type
    fixed::FixedType type;
    type.width_bits = static_cast<int>(p_.bits);
    type.integer_bits = type.width_bits + *log2;
    type.is_signed = p_.is_signed;
    type.overflow = p_.narrow ? fixed::Overflow::SatSym : fixed::Overflow::Sat;
    // x / s underflows to 0 for tiny x and large s, which the directed modes would notice.
    const bool no_underflow = *log2 <= 0;
    switch (p_.mode) {
      case Mode::Round:
        type.rounding = fixed::Rounding::RndConv;
        return type;
      case Mode::Down:
        type.rounding = fixed::Rounding::TrnZero;
        return type;
      case Mode::HalfDown:
        type.rounding = fixed::Rounding::RndZero;
        return type;
      case Mode::Ceil:
        type.rounding = fixed::Rounding::Ceil;
        break;
      case Mode::Floor:
        type.rounding = fixed::Rounding::Trn;
        break;
      case Mode::Up:
        type.rounding = fixed::Rounding::Up;
        break;
      case Mode::HalfUp:
        return std::nullopt;  // |y| + 1/2 is rounded in float32: 0.49999997 becomes 1
    }
    return no_underflow ? std::optional(type) : std::nullopt;
  }

  QuantParameters p_;
  bool bipolar_;
  float lo_ = 0.0F;
  float hi_ = 0.0F;
  int grid_log2_ = 0;
};

bool all_positive(const std::vector<float>& values) {
  return std::all_of(values.begin(), values.end(), [](float v) { return v > 0.0F; });
}

Made make_qonnx_quant(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  QuantParameters p;
  p.scale = parameters.numbers("scale");
  p.zero_point = parameters.numbers("zero_point");
  p.bits = parameters.number("bits");
  p.is_signed = parameters.flag("signed");
  p.narrow = parameters.flag("narrow");
  p.mode = read_mode(parameters);
  if (!all_positive(p.scale)) parameters.fail("`scale` must be positive");
  if (!(p.bits >= 1.0 && p.bits <= kMaxBits)) parameters.fail("`bits` must be from 1 to 64");
  if (p.scale.size() != 1 && p.zero_point.size() != 1 && p.scale.size() != p.zero_point.size()) {
    parameters.fail("`scale` and `zero_point` have different numbers of channels");
  }
  if (!parameters.ok()) return diag::failure;
  return make_function<QonnxQuant>(std::move(p));
}

/// (x >= 0 ? 1 : -1) * s.
class BipolarQuant final : public SetQuantizer {
 public:
  explicit BipolarQuant(std::vector<float> scale) : SetQuantizer({}), scale_(std::move(scale)) {
    std::vector<Rational> factors;
    for (const float s : scale_) factors.push_back(fixed::rational_from_double(s));
    set_outputs(OutputSet{make_scale(std::move(factors)), fixed::Range{-1, 1, 0}, std::nullopt});
  }
  [[nodiscard]] std::size_t channels() const override { return scale_.size(); }
  [[nodiscard]] Int code(float x, std::size_t) const override { return x >= 0.0F ? 1 : -1; }

 protected:
  [[nodiscard]] float quantized(float x, std::size_t channel) const override {
    return (x >= 0.0F ? 1.0F : -1.0F) * scale_[scale_.size() == 1 ? 0 : channel];
  }

 private:
  std::vector<float> scale_;
};

Made make_bipolar_quant(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  std::vector<float> scale = parameters.numbers("scale");
  if (!all_positive(scale)) parameters.fail("`scale` must be positive");
  if (!parameters.ok()) return diag::failure;
  return make_function<BipolarQuant>(std::move(scale));
}

class Sign final : public SetQuantizer {
 public:
  Sign() : SetQuantizer({}) { set_outputs(power_of_two_set(0, -1, 1)); }

 protected:
  [[nodiscard]] float quantized(float x, std::size_t) const override { return sign(x); }
};

}  // namespace

Family qonnx_quant_family() {
  return {.name = "qonnx_quant",
          .summary = "QONNX Quant: x / scale + zero_point, clamped, then rounded",
          .is_quantizer = true,
          .defaults = {{"scale", std::vector<double>{1.0}},
                       {"zero_point", std::vector<double>{0.0}},
                       {"bits", 8.0},
                       {"signed", true},
                       {"narrow", false},
                       {"rounding", std::string("ROUND")}},
          .make = make_qonnx_quant};
}

Family bipolar_quant_family() {
  return {.name = "bipolar_quant",
          .summary = "QONNX BipolarQuant: -scale or +scale, +scale for x = 0",
          .is_quantizer = true,
          .defaults = {{"scale", std::vector<double>{1.0}}},
          .make = make_bipolar_quant};
}

Family sign_family() {
  return {.name = "sign",
          .summary = "ONNX Sign: -1, 0 or +1",
          .is_quantizer = true,
          .defaults = {},
          .make = [](const Spec&, const Origin&, Context&) -> Made { return make_function<Sign>(); }};
}

}  // namespace weft::quantizers
