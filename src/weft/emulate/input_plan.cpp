// SPDX-License-Identifier: Apache-2.0
#include "weft/emulate/input_plan.h"

#include <cmath>
#include <cstring>

#include "weft/emulate/step_terms.h"
#include "weft/fixed/quantize.h"

namespace weft::emulate {
namespace {

using exact::InputConversion;
using fixed::Overflow;

/// Integers up to here are exact in double with room for a carry, and their halves are.
constexpr int kDoubleBits = 50;
constexpr Int kFloatCodes = Int{1} << 21;
constexpr Int kFloatIntegers = Int{1} << 24;

std::optional<ConvertArgs> fixed_args(const fixed::FixedType& type) {
  ConvertArgs a;
  a.form = ConvertArgs::Form::Fixed;
  const bool clips = type.overflow == Overflow::Sat || type.overflow == Overflow::SatSym;
  a.wrap = type.overflow == Overflow::Wrap && type.saturation_bits == 0;
  if ((!clips && !a.wrap) || type.width_bits > kDoubleBits || std::abs(type.frac_bits()) > 100) return std::nullopt;
  const Int lo = fixed::min_code(type);
  const Int hi = fixed::max_code(type);
  a.scale = std::ldexp(1.0, type.frac_bits());
  a.modulus = std::ldexp(1.0, type.width_bits);
  a.lo = static_cast<double>(lo);
  a.hi = static_cast<double>(hi);
  a.nearest_even_in_float = clips && type.rounding == fixed::Rounding::RndConv && lo > -kFloatCodes && hi < kFloatCodes;
  return a;
}

std::optional<ConvertArgs> affine_args(const InputConversion& c) {
  const bool integral = std::floor(c.zero_point) == c.zero_point && std::abs(c.zero_point) < 0x1p40F;
  if (!integral || c.lo < -kFloatIntegers || c.hi > kFloatIntegers) return std::nullopt;
  ConvertArgs a;
  a.form = ConvertArgs::Form::Affine;
  a.round_first = c.round_first;
  a.divisor = c.scale;
  a.zero_point = c.zero_point;
  a.lo = static_cast<double>(c.lo);
  a.hi = static_cast<double>(c.hi);
  return a;
}

std::optional<ConvertArgs> args_of(const InputConversion& c) {
  switch (c.form) {
    case InputConversion::Form::Fixed:
      return fixed_args(c.type);
    case InputConversion::Form::Affine:
      return affine_args(c);
    case InputConversion::Form::Bipolar: {
      ConvertArgs a;
      a.form = ConvertArgs::Form::Bipolar;
      return a;
    }
  }
  return std::nullopt;
}

template <class T>
void write_as(const std::int64_t* codes, std::int64_t n, std::int32_t offset, unsigned char* row) {
  for (std::int64_t i = 0; i < n; ++i) {
    const auto code = static_cast<T>(codes[i] + offset);
    std::memcpy(row + static_cast<std::size_t>(i) * sizeof(T), &code, sizeof code);
  }
}

}  // namespace

std::optional<ConvertArgs> convert_args(const InputConversion& conversion, Layout layout, std::int32_t offset) {
  auto a = args_of(conversion);
  if (!a) return a;
  const auto rounding =
      conversion.form == InputConversion::Form::Fixed ? conversion.type.rounding : conversion.rounding;
  const RestTerms terms = rest_terms(rounding);
  a->threshold_positive = terms.threshold_positive;
  a->threshold_negative = terms.threshold_negative;
  a->even = terms.even;
  a->layout = layout;
  a->offset = offset;
  return a;
}

void write_row(const std::int64_t* codes, std::int64_t n, Layout layout, std::int32_t offset, unsigned char* row) {
  switch (layout) {
    case Layout::Bytes:
      return write_as<std::uint8_t>(codes, n, offset, row);
    case Layout::Halves:
      return write_as<std::int16_t>(codes, n, offset, row);
    case Layout::Words:
      return write_as<std::int32_t>(codes, n, 0, row);
    case Layout::Wide:
      return write_as<std::int64_t>(codes, n, 0, row);
    case Layout::Bits:
      for (std::int64_t i = 0; i < n; i += 32) {
        std::uint32_t word = 0;
        for (std::int64_t k = 0; k < 32 && i + k < n; ++k) word |= (codes[i + k] > 0 ? 1U : 0U) << k;
        std::memcpy(row + i / 8, &word, sizeof word);
      }
  }
}

}  // namespace weft::emulate
