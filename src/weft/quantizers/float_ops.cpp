// SPDX-License-Identifier: Apache-2.0
#include "weft/quantizers/float_ops.h"

namespace weft::quantizers {

// x = m * 2^e with m in [sqrt(1/2), sqrt(2)); ln x = t - t^2/2 + t^3 P(t) + e ln 2 with t = m - 1. P is evaluated in
// three parts of three coefficients, as a vector unit does it; each operation rounds to float32.
float log_f32(float x) {
  if (!(x > 0.0F) || !std::isfinite(x)) return static_cast<float>(std::log(static_cast<double>(x)));
  constexpr float kSqrtHalf = 0.707106781186547524F;
  constexpr float kP[9] = {7.0376836292E-2F,  -1.1514610310E-1F, 1.1676998740E-1F,  -1.2420140846E-1F, 1.4249322787E-1F,
                           -1.6668057665E-1F, 2.0000714765E-1F,  -2.4999993993E-1F, 3.3333331174E-1F};
  int exponent = 0;
  const float mantissa = std::frexp(x, &exponent);
  const bool low = mantissa < kSqrtHalf;
  const float base = mantissa - 1.0F;
  const float t = low ? base + mantissa : base;
  const auto e = static_cast<float>(low ? exponent - 1 : exponent);
  const float t2 = t * t;
  const float t3 = t2 * t;
  const float high = (kP[0] * t + kP[1]) * t + kP[2];
  const float middle = (kP[3] * t + kP[4]) * t + kP[5];
  const float lowest = (kP[6] * t + kP[7]) * t + kP[8];
  const float polynomial = (high * t3 + middle) * t3 + lowest;
  const float tail = -0.5F * t2 + polynomial * t3;
  return e * kLn2 + (t + tail);
}

}  // namespace weft::quantizers
