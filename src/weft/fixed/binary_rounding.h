// SPDX-License-Identifier: Apache-2.0
/// @file
/// The one rounding decision and the one rounding to binary floating point that integer and rational code share.
#pragma once

#include <bit>
#include <cmath>
#include <limits>

#include "weft/fixed/integer.h"
#include "weft/fixed/type.h"

namespace weft::fixed {

/// What floor() cut off, against half a unit.
enum class Remainder { Zero, BelowHalf, Half, AboveHalf };

/// Whether the floor of a value moves up by one: the whole definition of the rounding modes. `negative` and
/// `floor_is_odd` belong to the value and to its floor.
constexpr bool round_up(Remainder rest, bool negative, bool floor_is_odd, Rounding rounding) {
  if (rest == Remainder::Zero) return false;
  const bool above = rest == Remainder::AboveHalf;
  const bool half = rest == Remainder::Half;
  switch (rounding) {
    case Rounding::Trn:
      return false;
    case Rounding::TrnZero:
      return negative;
    case Rounding::Rnd:
      return above || half;
    case Rounding::RndZero:
      return above || (half && negative);
    case Rounding::RndInf:
      return above || (half && !negative);
    case Rounding::RndMinInf:
      return above;
    case Rounding::RndConv:
      return above || (half && floor_is_odd);
    case Rounding::Ceil:
      return true;
    case Rounding::Up:
      return !negative;
  }
  return false;
}

/// (-1)^negative * (magnitude + sticky) * 2^exponent, half to even, into subnormals and to infinity. `sticky` stands
/// for something in (0, 1) and needs a magnitude of at least 64 significant bits.
template <class Float>
Float round_to_binary(bool negative, UInt magnitude, bool sticky, std::int64_t exponent) {
  using Limits = std::numeric_limits<Float>;
  const auto high = static_cast<std::uint64_t>(magnitude >> 64);
  const int bits = high != 0 ? 64 + std::bit_width(high) : std::bit_width(static_cast<std::uint64_t>(magnitude));
  Float out = 0;
  if (bits != 0) {
    // Weight of the last bit kept: full precision, or the subnormal grid.
    std::int64_t lsb = exponent + bits - Limits::digits;
    constexpr std::int64_t kLowest = Limits::min_exponent - Limits::digits;
    if (lsb < kLowest) lsb = kLowest;
    const std::int64_t shift = lsb - exponent;
    UInt kept = 0;
    if (shift <= 0) {
      kept = magnitude << -shift;
    } else if (shift <= bits) {
      kept = shift == 128 ? 0 : magnitude >> shift;
      const UInt rest = shift == 128 ? magnitude : magnitude & ((UInt{1} << shift) - 1);
      const UInt half = UInt{1} << (shift - 1);
      if (rest > half || (rest == half && (sticky || (kept & 1) != 0))) ++kept;
    }
    // ldexp is exact here, or overflows to infinity.
    const std::int64_t bounded = lsb > 4096 ? 4096 : lsb;
    out = std::ldexp(static_cast<Float>(static_cast<std::uint64_t>(kept)), static_cast<int>(bounded));
  }
  return negative ? -out : out;
}

}  // namespace weft::fixed
