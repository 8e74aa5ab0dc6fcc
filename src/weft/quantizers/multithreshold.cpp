// SPDX-License-Identifier: Apache-2.0
// FINN MultiThreshold: out_scale * (number of thresholds <= x) + out_bias, thresholds per channel.
#include <algorithm>
#include <cmath>

#include "weft/quantizers/families.h"
#include "weft/quantizers/float_ops.h"
#include "weft/quantizers/parameters.h"
#include "weft/quantizers/set_quantizer.h"

namespace weft::quantizers {
namespace {

constexpr int kMaxChannels = 1 << 24;
constexpr int kMaxGridBits = 120;

/// The largest rational that divides both; `b` may be zero or negative.
Rational common_divisor(const Rational& a, const Rational& b) {
  namespace mp = boost::multiprecision;
  const mp::cpp_int denominator = mp::lcm(mp::denominator(a), mp::denominator(b));
  const mp::cpp_int x = mp::numerator(a) * (denominator / mp::denominator(a));
  const mp::cpp_int y = mp::numerator(b) * (denominator / mp::denominator(b));
  return Rational(mp::gcd(mp::abs(x), mp::abs(y)), denominator);
}

class MultiThreshold final : public SetQuantizer {
 public:
  MultiThreshold(std::vector<float> thresholds, std::size_t channels, float out_scale, float out_bias)
      : SetQuantizer({}),
        thresholds_(std::move(thresholds)),
        channels_(channels),
        steps_(thresholds_.size() / channels),
        out_scale_(out_scale),
        out_bias_(out_bias) {
    for (std::size_t c = 0; c < channels_; ++c) std::sort(row(c), row(c) + static_cast<std::ptrdiff_t>(steps_));
    build_outputs();
  }
  [[nodiscard]] std::size_t channels() const override { return channels_; }
  [[nodiscard]] Int code(float x, std::size_t channel) const override {
    WEFT_CHECK(has_outputs(), "code() of a quantizer without outputs()");
    return bias_code_ + scale_code_ * static_cast<Int>(count(x, channel));
  }

 protected:
  [[nodiscard]] float quantized(float x, std::size_t channel) const override {
    const float scaled = out_scale_ * static_cast<float>(count(x, channel));
    return scaled + out_bias_;
  }

 private:
  using Iterator = std::vector<float>::iterator;
  Iterator row(std::size_t channel) { return thresholds_.begin() + static_cast<std::ptrdiff_t>(channel * steps_); }

  [[nodiscard]] std::size_t count(float x, std::size_t channel) const {
    if (std::isnan(x)) return 0;
    const auto begin = thresholds_.begin() + static_cast<std::ptrdiff_t>(channels_ == 1 ? 0 : channel * steps_);
    return static_cast<std::size_t>(std::upper_bound(begin, begin + static_cast<std::ptrdiff_t>(steps_), x) - begin);
  }

  /// The scale is the greatest common divisor of out_scale and out_bias, so codes are small for the usual pairs.
  void build_outputs() {
    const Rational scale = fixed::rational_from_double(out_scale_);
    const Rational bias = fixed::rational_from_double(out_bias_);
    if (scale == 0 && bias == 0) {
      set_outputs(power_of_two_set(0, 0, 0));
      return;
    }
    const Rational unit = common_divisor(scale, bias);
    const Rational bias_code = bias / unit;
    const Rational scale_code = scale / unit;
    const boost::multiprecision::cpp_int limit = boost::multiprecision::cpp_int(1) << (kMaxGridBits - 32);
    if (boost::multiprecision::abs(boost::multiprecision::numerator(bias_code)) > limit ||
        boost::multiprecision::abs(boost::multiprecision::numerator(scale_code)) > limit) {
      return;
    }
    bias_code_ = *fixed::to_int(boost::multiprecision::numerator(bias_code));
    scale_code_ = *fixed::to_int(boost::multiprecision::numerator(scale_code));
    const Int end = bias_code_ + scale_code_ * static_cast<Int>(steps_);
    set_outputs(
        OutputSet{Scale(unit), fixed::Range{std::min(bias_code_, end), std::max(bias_code_, end), 0}, std::nullopt});
  }

  std::vector<float> thresholds_;
  std::size_t channels_;
  std::size_t steps_;
  float out_scale_;
  float out_bias_;
  Int bias_code_ = 0;
  Int scale_code_ = 0;
};

Result<std::shared_ptr<const Function>> make_multithreshold(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  std::vector<float> thresholds = parameters.numbers("thresholds", true);
  const int channels = parameters.integer("channels", 1, kMaxChannels);
  const auto out_scale = static_cast<float>(parameters.number("out_scale"));
  const auto out_bias = static_cast<float>(parameters.number("out_bias"));
  if (thresholds.size() % static_cast<std::size_t>(channels) != 0) {
    parameters.fail("the number of `thresholds` is not a multiple of `channels`");
  }
  if (!parameters.ok()) return diag::failure;
  return make_function<MultiThreshold>(std::move(thresholds), static_cast<std::size_t>(channels), out_scale, out_bias);
}

}  // namespace

Family multithreshold_family() {
  return {.name = "multithreshold",
          .summary = "FINN MultiThreshold: out_scale * (thresholds <= x) + out_bias",
          .is_quantizer = true,
          .defaults = {{"thresholds", std::vector<double>{0.0}},
                       {"channels", std::int64_t{1}},
                       {"out_scale", 1.0},
                       {"out_bias", 0.0}},
          .make = make_multithreshold};
}

}  // namespace weft::quantizers
