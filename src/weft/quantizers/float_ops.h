// SPDX-License-Identifier: Apache-2.0
/// @file
/// float32 operations as the source frameworks execute them, one rounding per line.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>

namespace weft::quantizers {

/// Keras' backend epsilon as a float32.
inline constexpr float kEpsilon = 1e-7F;
/// ln 2 as a float32.
inline constexpr float kLn2 = 0.69314718055994530942F;

/// Half to even.
inline float rint_even(float x) { return std::nearbyint(x); }

/// min(max(x, lo), hi) with NaN kept.
inline float clip(float x, float lo, float hi) {
  if (x < lo) return lo;
  if (x > hi) return hi;
  return x;
}

/// -1, 0, +1; NaN stays.
inline float sign(float x) {
  if (x > 0.0F) return 1.0F;
  if (x < 0.0F) return -1.0F;
  return std::isnan(x) ? x : 0.0F;
}

/// -1 or +1 with 0 -> +1; NaN stays. TensorFlow flushes denormal operands to zero, so a negative denormal gives +1.
inline float sign_of_binary(float x) {
  if (std::isnan(x)) return x;
  return x <= -std::numeric_limits<float>::min() ? -1.0F : 1.0F;
}

/// 2^exponent; exponents beyond float32 give 0 or infinity.
inline float exp2_int(int exponent) { return std::ldexp(1.0F, exponent); }

/// True for positive normal powers of two.
inline bool is_power_of_two(float x) {
  int exponent = 0;
  return std::isnormal(x) && std::frexp(x, &exponent) == 0.5F;
}

/// x moved by `ulps` units in its last place; zero, infinities and NaN stay.
inline float moved(float x, int ulps) {
  if (ulps == 0 || x == 0.0F || !std::isfinite(x)) return x;
  return x + static_cast<float>(ulps) * std::ldexp(1.0F, std::max(std::ilogb(x), -126) - 23);
}

// Transcendental functions are evaluated in double and rounded once: within half a float32 ulp of the real function,
// the same on every machine. The frameworks' own kernels are good to a few ulps, so results may differ from them in
// the last bits; `ulps` moves the result to ask what that would change.
inline float exp_f32(float x, int ulps = 0) {
  return moved(static_cast<float>(std::exp(static_cast<double>(x))), ulps);
}
inline float tanh_f32(float x, int ulps = 0) {
  return moved(static_cast<float>(std::tanh(static_cast<double>(x))), ulps);
}
inline float sigmoid_f32(float x, int ulps = 0) {
  return moved(static_cast<float>(1.0 / (1.0 + std::exp(-static_cast<double>(x)))), ulps);
}

/// Natural logarithm of a positive normal number as the vector kernel of TensorFlow on CPUs computes it (Cephes'
/// polynomial, Moshier's logf). It decides the exponents of the power-of-two quantizers at their boundaries, so it is
/// followed to the last bit where that is known; about one result in a hundred differs by an ulp.
float log_f32(float x);

/// log2 as QKeras computes it: float32 ln, divided by float32 ln 2.
inline float log2_f32(float x, int ulps = 0) { return moved(log_f32(x), ulps) / kLn2; }

/// QKeras' internal sigmoids: clip(x/2 + 1/2, 0, 1) and clip(0.1875 x + 1/2, 0, 1).
inline float hard_sigmoid_f32(float x) {
  const float half = 0.5F * x;
  return clip(half + 0.5F, 0.0F, 1.0F);
}
inline float smooth_sigmoid_f32(float x) {
  const float part = 0.1875F * x;
  return clip(part + 0.5F, 0.0F, 1.0F);
}

}  // namespace weft::quantizers
