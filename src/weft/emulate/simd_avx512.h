// SPDX-License-Identifier: Apache-2.0
/// @file
/// Vectors of 32-bit lanes on AVX-512 with VNNI. Included by one translation unit, so everything has internal linkage.
#pragma once

#include <immintrin.h>

#include <cstdint>

#define WEFT_INLINE static inline __attribute__((always_inline))

namespace weft::emulate {
namespace {

using Vec = __m512i;
using Shift = __m512i;
constexpr int kVecLanes = 16;
/// Vectors of one output neuron that a tile of four keeps in registers.
constexpr int kTileVectors = 4;

WEFT_INLINE Vec load(const std::int32_t* p) { return _mm512_loadu_si512(p); }
WEFT_INLINE void store(std::int32_t* p, Vec v) { _mm512_storeu_si512(p, v); }
WEFT_INLINE Vec set1(std::int32_t v) { return _mm512_set1_epi32(v); }
WEFT_INLINE Vec add(Vec a, Vec b) { return _mm512_add_epi32(a, b); }
WEFT_INLINE Vec sub(Vec a, Vec b) { return _mm512_sub_epi32(a, b); }
WEFT_INLINE Vec min(Vec a, Vec b) { return _mm512_min_epi32(a, b); }
WEFT_INLINE Vec max(Vec a, Vec b) { return _mm512_max_epi32(a, b); }
/// Of unsigned bytes, and of signed halves.
WEFT_INLINE Vec max_bytes(Vec a, Vec b) { return _mm512_max_epu8(a, b); }
WEFT_INLINE Vec max_halves(Vec a, Vec b) { return _mm512_max_epi16(a, b); }
WEFT_INLINE Vec bit_or(Vec a, Vec b) { return _mm512_or_si512(a, b); }
WEFT_INLINE Shift shift_count(std::int32_t n) { return _mm512_set1_epi32(n); }
WEFT_INLINE Vec shift_left(Vec a, Shift n) { return _mm512_sllv_epi32(a, n); }
WEFT_INLINE Vec shift_right(Vec a, Shift n) { return _mm512_srav_epi32(a, n); }
WEFT_INLINE Vec shift_right_unsigned(Vec a, Shift n) { return _mm512_srlv_epi32(a, n); }

/// Bits of the sum of two floats given by their bits, to nearest even.
WEFT_INLINE Vec add_floats(Vec a, Vec b) {
  return _mm512_castps_si512(_mm512_add_round_ps(_mm512_castsi512_ps(a), _mm512_castsi512_ps(b),
                                                 _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC));
}
/// floor(float(x) * slope + start), the two floats given by their bits; product and sum are rounded each.
WEFT_INLINE Vec floor_of_line(Vec x, Vec slope, Vec start) {
  const __m512 product = _mm512_mul_ps(_mm512_cvtepi32_ps(x), _mm512_castsi512_ps(slope));
  const __m512 sum = _mm512_add_ps(product, _mm512_castsi512_ps(start));
  return _mm512_cvt_roundps_epi32(sum, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC);
}
/// y with bit 0 cleared where t has no bit of `low`.
WEFT_INLINE Vec clear_odd_at_ties(Vec y, Vec t, Vec low) {
  return _mm512_mask_and_epi32(y, _mm512_testn_epi32_mask(t, low), y, _mm512_set1_epi32(-2));
}
/// a + (a < b ? c : 0).
WEFT_INLINE Vec add_where_less(Vec a, Vec b, Vec c) {
  return _mm512_mask_add_epi32(a, _mm512_cmplt_epi32_mask(a, b), a, c);
}
/// y + (x > b ? c : 0).
WEFT_INLINE Vec add_where_greater(Vec y, Vec x, Vec b, Vec c) {
  return _mm512_mask_add_epi32(y, _mm512_cmpgt_epi32_mask(x, b), y, c);
}
/// word | (y > 0 ? bit : 0).
WEFT_INLINE Vec or_where_positive(Vec word, Vec y, Vec bit) {
  return _mm512_mask_or_epi32(word, _mm512_cmpgt_epi32_mask(y, _mm512_setzero_si512()), word, bit);
}
/// One bit per lane.
WEFT_INLINE std::uint32_t lanes_outside(Vec y, Vec lo, Vec hi) {
  return static_cast<std::uint32_t>(_mm512_cmplt_epi32_mask(y, lo) | _mm512_cmpgt_epi32_mask(y, hi));
}
WEFT_INLINE std::uint32_t lanes_unequal(Vec a, Vec b) { return _mm512_cmpneq_epi32_mask(a, b); }

/// Per lane the bytes a, b, c, d, each clipped to [lo, hi] bytes (unsigned) after saturation to [0, 255].
WEFT_INLINE Vec pack_bytes(Vec a, Vec b, Vec c, Vec d, Vec lo, Vec hi) {
  const Vec bytes = _mm512_packus_epi16(_mm512_packs_epi32(a, b), _mm512_packs_epi32(c, d));
  const Vec order = _mm512_set_epi8(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0, 15, 11, 7, 3, 14, 10, 6, 2,
                                    13, 9, 5, 1, 12, 8, 4, 0, 15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0, 15,
                                    11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
  return _mm512_min_epu8(_mm512_max_epu8(_mm512_shuffle_epi8(bytes, order), lo), hi);
}
/// Per lane the low halves of a and b.
WEFT_INLINE Vec pack_halves(Vec a, Vec b) { return _mm512_mask_blend_epi16(0xAAAAAAAAU, a, _mm512_slli_epi32(b, 16)); }

// The compiler copies sums around its builtins for these two; an operand that is read and written stays where it is.
struct DotBytes {
  static constexpr bool kCountsUnequal = false;
  WEFT_INLINE Vec step(Vec sum, Vec x, Vec w) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
    return sum;
  }
};
struct DotHalves {
  static constexpr bool kCountsUnequal = false;
  WEFT_INLINE Vec step(Vec sum, Vec x, Vec w) {
    __asm__("vpdpwssd %2, %1, %0" : "+v"(sum) : "v"(x), "v"(w));
    return sum;
  }
};
struct DotWords {
  static constexpr bool kCountsUnequal = false;
  WEFT_INLINE Vec step(Vec sum, Vec x, Vec w) { return _mm512_add_epi32(sum, _mm512_mullo_epi32(x, w)); }
};
WEFT_INLINE Vec popcount(Vec v) {
  const Vec table = _mm512_broadcast_i32x4(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
  const Vec nibble = _mm512_set1_epi8(15);
  const Vec bytes = _mm512_add_epi8(_mm512_shuffle_epi8(table, _mm512_and_si512(v, nibble)),
                                    _mm512_shuffle_epi8(table, _mm512_and_si512(_mm512_srli_epi32(v, 4), nibble)));
  return _mm512_dpbusd_epi32(_mm512_setzero_si512(), bytes, _mm512_set1_epi8(1));
}
WEFT_INLINE Vec bit_xor(Vec a, Vec b) { return _mm512_xor_si512(a, b); }

}  // namespace
}  // namespace weft::emulate
