// SPDX-License-Identifier: Apache-2.0
/// @file
/// Vectors of 32-bit lanes in the compiler's own vector types, for any processor. Included by one translation unit, so
/// everything has internal linkage.
#pragma once

#include <cstdint>
#include <cstring>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#define WEFT_INLINE static inline __attribute__((always_inline))

namespace weft::emulate {
namespace {

using Vec = std::int32_t __attribute__((vector_size(16)));
using UnsignedVec = std::uint32_t __attribute__((vector_size(16)));
using Shift = int;
constexpr int kVecLanes = 4;
/// Vectors of one output neuron that a tile of four keeps in registers.
constexpr int kTileVectors = 2;

WEFT_INLINE UnsignedVec bits(Vec v) { return reinterpret_cast<UnsignedVec>(v); }
WEFT_INLINE Vec from_bits(UnsignedVec v) { return reinterpret_cast<Vec>(v); }

WEFT_INLINE Vec load(const std::int32_t* p) {
  Vec v;
  std::memcpy(&v, p, sizeof v);
  return v;
}
WEFT_INLINE void store(std::int32_t* p, Vec v) { std::memcpy(p, &v, sizeof v); }
WEFT_INLINE Vec set1(std::int32_t v) { return Vec{v, v, v, v}; }
// Sums wrap modulo 2^32 on purpose, so they go through unsigned lanes.
WEFT_INLINE Vec add(Vec a, Vec b) { return from_bits(bits(a) + bits(b)); }
WEFT_INLINE Vec sub(Vec a, Vec b) { return from_bits(bits(a) - bits(b)); }
WEFT_INLINE Vec min(Vec a, Vec b) { return a < b ? a : b; }
WEFT_INLINE Vec max(Vec a, Vec b) { return a > b ? a : b; }
/// Of unsigned bytes, and of signed halves.
WEFT_INLINE Vec max_bytes(Vec a, Vec b) {
  using Bytes = std::uint8_t __attribute__((vector_size(16)));
  const auto x = reinterpret_cast<Bytes>(a);
  const auto y = reinterpret_cast<Bytes>(b);
  return reinterpret_cast<Vec>(x > y ? x : y);
}
WEFT_INLINE Vec max_halves(Vec a, Vec b) {
  using Halves = std::int16_t __attribute__((vector_size(16)));
  const auto x = reinterpret_cast<Halves>(a);
  const auto y = reinterpret_cast<Halves>(b);
  return reinterpret_cast<Vec>(x > y ? x : y);
}
WEFT_INLINE Vec bit_or(Vec a, Vec b) { return a | b; }
WEFT_INLINE Vec bit_xor(Vec a, Vec b) { return a ^ b; }
WEFT_INLINE Shift shift_count(std::int32_t n) { return n; }
WEFT_INLINE Vec shift_left(Vec a, Shift n) { return from_bits(bits(a) << n); }
WEFT_INLINE Vec shift_right(Vec a, Shift n) { return a >> n; }
WEFT_INLINE Vec shift_right_unsigned(Vec a, Shift n) { return from_bits(bits(a) >> n); }

/// Bits of the sum of two floats given by their bits, to nearest even.
WEFT_INLINE Vec add_floats(Vec a, Vec b) {
  using FloatVec = float __attribute__((vector_size(16)));
  return reinterpret_cast<Vec>(reinterpret_cast<FloatVec>(a) + reinterpret_cast<FloatVec>(b));
}
/// floor(float(x) * slope + start), the two floats given by their bits; product and sum are rounded each.
WEFT_INLINE Vec floor_of_line(Vec x, Vec slope, Vec start) {
  using FloatVec = float __attribute__((vector_size(16)));
  const FloatVec product = __builtin_convertvector(x, FloatVec) * reinterpret_cast<FloatVec>(slope);
  const FloatVec sum = product + reinterpret_cast<FloatVec>(start);
  const Vec toward_zero = __builtin_convertvector(sum, Vec);
  return add(toward_zero, __builtin_convertvector(toward_zero, FloatVec) > sum);
}
/// y with bit 0 cleared where t has no bit of `low`.
WEFT_INLINE Vec clear_odd_at_ties(Vec y, Vec t, Vec low) { return y & ~(((t & low) == 0) & 1); }
/// a + (a < b ? c : 0).
WEFT_INLINE Vec add_where_less(Vec a, Vec b, Vec c) { return add(a, (a < b) & c); }
/// y + (x > b ? c : 0).
WEFT_INLINE Vec add_where_greater(Vec y, Vec x, Vec b, Vec c) { return add(y, (x > b) & c); }
/// word | (y > 0 ? bit : 0).
WEFT_INLINE Vec or_where_positive(Vec word, Vec y, Vec bit) { return word | ((y > 0) & bit); }
/// One bit per lane.
WEFT_INLINE std::uint32_t lanes_of(Vec mask) {
  std::uint32_t out = 0;
  for (int i = 0; i < kVecLanes; ++i) out |= (mask[i] != 0 ? 1U : 0U) << i;
  return out;
}
WEFT_INLINE std::uint32_t lanes_outside(Vec y, Vec lo, Vec hi) { return lanes_of((y < lo) | (y > hi)); }
WEFT_INLINE std::uint32_t lanes_unequal(Vec a, Vec b) { return lanes_of(a != b); }

/// Per lane the bytes a, b, c, d, each clipped to [lo, hi] bytes (unsigned) after saturation to [0, 255].
WEFT_INLINE Vec pack_bytes(Vec a, Vec b, Vec c, Vec d, Vec lo, Vec hi) {
  const Vec ff = set1(255);
  const auto clip = [&](Vec v, int n) {
    return shift_left(min(max(v, shift_right_unsigned(lo, n) & ff), shift_right_unsigned(hi, n) & ff), n);
  };
  return clip(a, 0) | clip(b, 8) | clip(c, 16) | clip(d, 24);
}
/// Per lane the low halves of a and b.
WEFT_INLINE Vec pack_halves(Vec a, Vec b) { return (a & 0xFFFF) | shift_left(b, 16); }

WEFT_INLINE Vec popcount(Vec v) {
  UnsignedVec u = bits(v);
  u = u - ((u >> 1) & 0x55555555U);
  u = (u & 0x33333333U) + ((u >> 2) & 0x33333333U);
  u = (u + (u >> 4)) & 0x0F0F0F0FU;
  u = u + (u >> 8);
  return from_bits((u + (u >> 16)) & 0x3FU);
}

WEFT_INLINE Vec multiply(Vec a, Vec b) { return from_bits(bits(a) * bits(b)); }
/// Never planned on this instruction set (ByteDot::None), but right.
struct DotBytes {
  static constexpr bool kCountsUnequal = false;
  WEFT_INLINE Vec step(Vec sum, Vec x, Vec w) {
    for (int i = 0; i < 4; ++i) {
      const Vec byte = shift_right_unsigned(x, 8 * i) & 255;
      sum = add(sum, multiply(byte, shift_right(shift_left(w, 24 - 8 * i), 24)));
    }
    return sum;
  }
};
struct DotHalves {
  static constexpr bool kCountsUnequal = false;
  WEFT_INLINE Vec step(Vec sum, Vec x, Vec w) {
#ifdef __SSE2__
    return add(sum, reinterpret_cast<Vec>(_mm_madd_epi16(reinterpret_cast<__m128i>(x), reinterpret_cast<__m128i>(w))));
#else
    const auto low = [](Vec v) { return shift_right(shift_left(v, 16), 16); };
    return add(sum, add(multiply(low(x), low(w)), multiply(x >> 16, w >> 16)));
#endif
  }
};
struct DotWords {
  static constexpr bool kCountsUnequal = false;
  WEFT_INLINE Vec step(Vec sum, Vec x, Vec w) { return add(sum, multiply(x, w)); }
};

}  // namespace
}  // namespace weft::emulate
