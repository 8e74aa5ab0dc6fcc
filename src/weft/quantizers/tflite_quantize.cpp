// SPDX-License-Identifier: Apache-2.0
// TensorFlow Lite QUANTIZE: round(x / scale), half away from zero, plus the zero point, clipped. The codes here are
// those of the file minus the zero point.
#include "weft/quantizers/tflite_quantize.h"

#include <algorithm>
#include <cmath>

#include "weft/quantizers/parameters.h"
#include "weft/quantizers/set_quantizer.h"

namespace weft::quantizers {
namespace {

constexpr int kMaxCode = 2147483647;

class TfliteQuantize final : public SetQuantizer {
 public:
  TfliteQuantize(float scale, Int lo, Int hi) : SetQuantizer({}), scale_(scale), lo_(lo), hi_(hi) {
    set_outputs(OutputSet{Scale(fixed::rational_from_double(scale)), {lo, hi, 0}, std::nullopt});
  }
  [[nodiscard]] Int code(float x, std::size_t) const override {
    if (std::isnan(x)) return std::clamp<Int>(0, lo_, hi_);
    const float quotient = x / scale_;
    const float rounded = std::round(quotient);
    if (rounded <= static_cast<float>(lo_)) return lo_;
    if (rounded >= static_cast<float>(hi_)) return hi_;
    return static_cast<Int>(rounded);
  }

 protected:
  [[nodiscard]] float quantized(float x, std::size_t channel) const override {
    return static_cast<float>(static_cast<double>(scale_) * static_cast<double>(code(x, channel)));
  }

 private:
  float scale_;
  Int lo_;
  Int hi_;
};

Result<std::shared_ptr<const Function>> make_tflite_quantize(const Spec& spec, const Origin& origin, Context& ctx) {
  Parameters parameters(spec, origin, ctx);
  const auto scale = static_cast<float>(parameters.number("scale"));
  const int zero = parameters.integer("zero_point", -kMaxCode, kMaxCode);
  const int lo = parameters.integer("lo", -kMaxCode - 1, kMaxCode);
  const int hi = parameters.integer("hi", -kMaxCode - 1, kMaxCode);
  if (!(scale > 0.0F)) parameters.fail("`scale` is not positive");
  if (lo > hi || zero < lo || zero > hi) parameters.fail("`zero_point` is not between `lo` and `hi`");
  if (!parameters.ok()) return diag::failure;
  return make_function<TfliteQuantize>(scale, Int{lo} - zero, Int{hi} - zero);
}

}  // namespace

Family tflite_quantize_family() {
  return {.name = "tflite_quantize",
          .summary = "TensorFlow Lite QUANTIZE: x / scale rounded half away from zero, zero point, clip to [lo, hi]",
          .is_quantizer = true,
          .defaults = {{"scale", 1.0},
                       {"zero_point", std::int64_t{0}},
                       {"lo", std::int64_t{-128}},
                       {"hi", std::int64_t{127}}},
          .make = make_tflite_quantize};
}

}  // namespace weft::quantizers
