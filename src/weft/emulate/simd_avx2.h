// SPDX-License-Identifier: Apache-2.0
/// @file
/// Vectors of 32-bit lanes on AVX2. Included by one translation unit, so everything has internal linkage.
#pragma once

#include <immintrin.h>

#include <cstdint>

#define WEFT_INLINE static inline __attribute__((always_inline))

namespace weft::emulate {
namespace {

using Vec = __m256i;
using Shift = __m256i;
constexpr int kVecLanes = 8;
/// Vectors of one output neuron that a tile of four keeps in registers.
constexpr int kTileVectors = 2;

WEFT_INLINE Vec load(const std::int32_t* p) { return _mm256_loadu_si256(reinterpret_cast<const Vec*>(p)); }
WEFT_INLINE void store(std::int32_t* p, Vec v) { _mm256_storeu_si256(reinterpret_cast<Vec*>(p), v); }
WEFT_INLINE Vec set1(std::int32_t v) { return _mm256_set1_epi32(v); }
WEFT_INLINE Vec add(Vec a, Vec b) { return _mm256_add_epi32(a, b); }
WEFT_INLINE Vec sub(Vec a, Vec b) { return _mm256_sub_epi32(a, b); }
WEFT_INLINE Vec min(Vec a, Vec b) { return _mm256_min_epi32(a, b); }
WEFT_INLINE Vec max(Vec a, Vec b) { return _mm256_max_epi32(a, b); }
/// Of unsigned bytes, and of signed halves.
WEFT_INLINE Vec max_bytes(Vec a, Vec b) { return _mm256_max_epu8(a, b); }
WEFT_INLINE Vec max_halves(Vec a, Vec b) { return _mm256_max_epi16(a, b); }
WEFT_INLINE Vec bit_or(Vec a, Vec b) { return _mm256_or_si256(a, b); }
WEFT_INLINE Vec bit_xor(Vec a, Vec b) { return _mm256_xor_si256(a, b); }
WEFT_INLINE Shift shift_count(std::int32_t n) { return _mm256_set1_epi32(n); }
WEFT_INLINE Vec shift_left(Vec a, Shift n) { return _mm256_sllv_epi32(a, n); }
WEFT_INLINE Vec shift_right(Vec a, Shift n) { return _mm256_srav_epi32(a, n); }
WEFT_INLINE Vec shift_right_unsigned(Vec a, Shift n) { return _mm256_srlv_epi32(a, n); }

/// Bits of the sum of two floats given by their bits, to nearest even.
WEFT_INLINE Vec add_floats(Vec a, Vec b) {
  return _mm256_castps_si256(_mm256_add_ps(_mm256_castsi256_ps(a), _mm256_castsi256_ps(b)));
}
/// floor(float(x) * slope + start), the two floats given by their bits; product and sum are rounded each.
WEFT_INLINE Vec floor_of_line(Vec x, Vec slope, Vec start) {
  const __m256 product = _mm256_mul_ps(_mm256_cvtepi32_ps(x), _mm256_castsi256_ps(slope));
  const __m256 sum = _mm256_add_ps(product, _mm256_castsi256_ps(start));
  return _mm256_cvttps_epi32(_mm256_floor_ps(sum));
}
/// y with bit 0 cleared where t has no bit of `low`.
WEFT_INLINE Vec clear_odd_at_ties(Vec y, Vec t, Vec low) {
  const Vec tie = _mm256_cmpeq_epi32(_mm256_and_si256(t, low), _mm256_setzero_si256());
  return _mm256_andnot_si256(_mm256_srli_epi32(tie, 31), y);
}
/// a + (a < b ? c : 0).
WEFT_INLINE Vec add_where_less(Vec a, Vec b, Vec c) {
  return _mm256_add_epi32(a, _mm256_and_si256(_mm256_cmpgt_epi32(b, a), c));
}
/// y + (x > b ? c : 0).
WEFT_INLINE Vec add_where_greater(Vec y, Vec x, Vec b, Vec c) {
  return _mm256_add_epi32(y, _mm256_and_si256(_mm256_cmpgt_epi32(x, b), c));
}
/// word | (y > 0 ? bit : 0).
WEFT_INLINE Vec or_where_positive(Vec word, Vec y, Vec bit) {
  return _mm256_or_si256(word, _mm256_and_si256(_mm256_cmpgt_epi32(y, _mm256_setzero_si256()), bit));
}
/// One bit per lane.
WEFT_INLINE std::uint32_t lanes_of(Vec mask) {
  return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_castsi256_ps(mask)));
}
WEFT_INLINE std::uint32_t lanes_outside(Vec y, Vec lo, Vec hi) {
  return lanes_of(_mm256_or_si256(_mm256_cmpgt_epi32(lo, y), _mm256_cmpgt_epi32(y, hi)));
}
WEFT_INLINE std::uint32_t lanes_unequal(Vec a, Vec b) { return lanes_of(_mm256_cmpeq_epi32(a, b)) ^ 0xFFU; }

/// Per lane the bytes a, b, c, d, each clipped to [lo, hi] bytes (unsigned) after saturation to [0, 255].
WEFT_INLINE Vec pack_bytes(Vec a, Vec b, Vec c, Vec d, Vec lo, Vec hi) {
  const Vec bytes = _mm256_packus_epi16(_mm256_packs_epi32(a, b), _mm256_packs_epi32(c, d));
  const Vec order = _mm256_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15, 0, 4, 8, 12, 1, 5, 9, 13, 2,
                                     6, 10, 14, 3, 7, 11, 15);
  return _mm256_min_epu8(_mm256_max_epu8(_mm256_shuffle_epi8(bytes, order), lo), hi);
}
/// Per lane the low halves of a and b.
WEFT_INLINE Vec pack_halves(Vec a, Vec b) { return _mm256_blend_epi16(a, _mm256_slli_epi32(b, 16), 0xAA); }

WEFT_INLINE Vec popcount(Vec v) {
  const Vec table = _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 1, 1, 2, 1, 2, 2, 3, 1, 2, 2, 3, 2, 3, 3, 4));
  const Vec nibble = _mm256_set1_epi8(15);
  const Vec bytes = _mm256_add_epi8(_mm256_shuffle_epi8(table, _mm256_and_si256(v, nibble)),
                                    _mm256_shuffle_epi8(table, _mm256_and_si256(_mm256_srli_epi32(v, 4), nibble)));
  return _mm256_madd_epi16(_mm256_maddubs_epi16(bytes, _mm256_set1_epi8(1)), _mm256_set1_epi16(1));
}

/// Only for products whose pairs fit 16 bits (ByteDot::Pairs): vpmaddubsw saturates.
struct DotBytes {
  static constexpr bool kCountsUnequal = false;
  WEFT_INLINE Vec step(Vec sum, Vec x, Vec w) {
    return _mm256_add_epi32(sum, _mm256_madd_epi16(_mm256_maddubs_epi16(x, w), _mm256_set1_epi16(1)));
  }
};
struct DotHalves {
  static constexpr bool kCountsUnequal = false;
  WEFT_INLINE Vec step(Vec sum, Vec x, Vec w) { return _mm256_add_epi32(sum, _mm256_madd_epi16(x, w)); }
};
struct DotWords {
  static constexpr bool kCountsUnequal = false;
  WEFT_INLINE Vec step(Vec sum, Vec x, Vec w) { return _mm256_add_epi32(sum, _mm256_mullo_epi32(x, w)); }
};

}  // namespace
}  // namespace weft::emulate
