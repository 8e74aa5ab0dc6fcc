// SPDX-License-Identifier: Apache-2.0
/// @file
/// float32(scale * code) for many codes of one scale.
#pragma once

#include <cmath>
#include <optional>

#include "weft/fixed/rational.h"

namespace weft::layers {

/// Correctly rounded float32 of scale * code; fast when the scale is a short mantissa times a power of two, as every
/// product of float32 scales is.
class ScaledFloat {
 public:
  explicit ScaledFloat(const Rational& scale) : scale_(scale) {
    const auto denominator = boost::multiprecision::denominator(scale);
    const auto log2 = fixed::log2_exact(Rational(denominator));
    const auto numerator = boost::multiprecision::numerator(scale);
    if (log2 && numerator > 0 && boost::multiprecision::msb(numerator) < 62) {
      mantissa_ = static_cast<std::int64_t>(numerator);
      exponent_ = -*log2;
    }
  }

  [[nodiscard]] float operator()(Int code) const {
    constexpr Int kLimit = Int{1} << 62;
    if (mantissa_ && code > -kLimit && code < kLimit) {
      const Int product = code * *mantissa_;
      // The conversion rounds once; ldexp is exact unless it leaves the normal range.
      const float rounded = static_cast<float>(product);
      const float result = std::ldexp(rounded, exponent_);
      if (std::fabs(result) >= 0x1p-126F && std::isfinite(result)) return result;
      if (product == 0) return 0.0F;
    }
    return fixed::to_float(scale_ * fixed::rational_from_int(code));
  }

 private:
  Rational scale_;
  std::optional<std::int64_t> mantissa_;
  int exponent_ = 0;
};

}  // namespace weft::layers
