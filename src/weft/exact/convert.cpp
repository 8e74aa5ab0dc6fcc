// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <cmath>
#include <limits>

#include "weft/exact/graph.h"
#include "weft/fixed/quantize.h"

namespace weft::exact {
namespace {

/// Magnitudes from here on are out of every range; codes below fit 128 bits after rounding.
constexpr double kHuge = 0x1p126;
constexpr Int kHugeCode = Int{1} << 126;

/// x * 2^frac_bits rounded to an integer, saturated at +-2^126.
Int round_scaled(float x, int frac_bits, fixed::Rounding rounding) {
  const double scaled = std::ldexp(static_cast<double>(x), frac_bits);
  if (scaled >= kHuge) return kHugeCode;
  if (scaled <= -kHuge) return -kHugeCode;
  int exponent = 0;
  const auto mantissa = static_cast<Int>(std::ldexp(std::frexp(x, &exponent), 24));
  return fixed::round_shift(mantissa, 24 - exponent - frac_bits, rounding);
}

float apply(const ReadoutStep& step, std::size_t element, float x) {
  const float operand = step.operands[element % step.operands.size()];
  switch (step.op) {
    case ReadoutStep::Op::Add:
      return x + operand;
    case ReadoutStep::Op::Sub:
      return x - operand;
    case ReadoutStep::Op::Mul:
      return x * operand;
    case ReadoutStep::Op::Div:
      return x / operand;
    case ReadoutStep::Op::Pow:
      return std::pow(x, operand);
    case ReadoutStep::Op::ReverseSub:
      return operand - x;
    case ReadoutStep::Op::ReverseDiv:
      return operand / x;
  }
  return x;
}

Int convert_affine(const InputConversion& c, float x, bool& saturated) {
  const float quotient = x / c.scale;
  const float y = quotient + c.zero_point;
  const Int rounded = std::isinf(y) ? (y < 0 ? -kHugeCode : kHugeCode) : round_scaled(y, 0, c.rounding);
  saturated = rounded < c.lo || rounded > c.hi;
  Int q = std::clamp(rounded, c.lo, c.hi);
  if (!c.round_first) {
    const float clamped = std::min(std::max(y, fixed::to_float(c.lo, 0)), fixed::to_float(c.hi, 0));
    q = round_scaled(clamped, 0, c.rounding);
  }
  const Int zero = round_scaled(c.zero_point, 0, fixed::Rounding::Trn);
  const double rest = static_cast<double>(c.zero_point) - fixed::to_double(zero, 0);
  // q - zero_point, half to even; the fraction of a zero point is a float's and so exact here.
  if (rest == 0) return q - zero;
  if (rest != 0.5) return q - zero - (rest > 0.5 ? 1 : 0);
  const Int upper = q - zero;
  return (upper & 1) == 0 ? upper : upper - 1;
}

}  // namespace

Int convert_input(const InputConversion& conversion, float x, bool& saturated) {
  WEFT_CHECK(std::isfinite(x), "only finite numbers have a code");
  saturated = false;
  switch (conversion.form) {
    case InputConversion::Form::Fixed: {
      const auto& type = conversion.type;
      const Int rounded = round_scaled(x, type.frac_bits(), type.rounding);
      saturated = rounded < fixed::min_code(type) || rounded > fixed::max_code(type);
      return fixed::from_double(x, type);
    }
    case InputConversion::Form::Affine:
      return convert_affine(conversion, x, saturated);
    case InputConversion::Form::Bipolar:
      return x >= 0 ? 1 : -1;
  }
  return 0;
}

std::optional<fixed::Range> conversion_range(const InputConversion& conversion) {
  switch (conversion.form) {
    case InputConversion::Form::Fixed: {
      const auto& type = conversion.type;
      if (type.width_bits < 1 || type.width_bits > (type.is_signed ? 128 : 127) || type.saturation_bits < 0 ||
          type.saturation_bits > type.width_bits || std::abs(type.integer_bits) > 4096) {
        return std::nullopt;
      }
      // Sign-magnitude wrap and wraps with saturation bits reach no further than these either.
      return fixed::Range{fixed::min_code(type), fixed::max_code(type), 0};
    }
    case InputConversion::Form::Affine: {
      constexpr Int kBound = Int{1} << 64;
      if (conversion.lo > conversion.hi || conversion.lo < -kBound || conversion.hi > kBound) return std::nullopt;
      if (!std::isfinite(conversion.scale) || conversion.scale <= 0 || !(std::abs(conversion.zero_point) < 0x1p62F)) {
        return std::nullopt;
      }
      bool saturated = false;
      const float top = std::numeric_limits<float>::max();
      return fixed::Range{convert_input(conversion, -top, saturated), convert_input(conversion, top, saturated), 0};
    }
    case InputConversion::Form::Bipolar:
      return fixed::Range{-1, 1, 0};
  }
  return std::nullopt;
}

float read_out(const Value& value, const std::vector<ReadoutStep>& steps, std::size_t element, Int code) {
  const Rational& scale = value.scale.of(element);
  const auto power = fixed::log2_exact(scale);
  float x = power ? fixed::to_float(code, -*power) : fixed::to_float(Rational(scale * fixed::rational_from_int(code)));
  for (const auto& step : steps) x = apply(step, element, x);
  return x;
}

float read_out(const Graph& graph, const GraphOutput& output, std::size_t element, Int code) {
  return read_out(graph.at(output.value), output.steps, element, code);
}

}  // namespace weft::exact
