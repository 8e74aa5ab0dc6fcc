// SPDX-License-Identifier: Apache-2.0
/// @file
/// The row-major ends of the emulator on AVX-512: reals to codes, rows to lanes and back.
#pragma once

#include "weft/emulate/convert_impl.h"
#include "weft/emulate/lanes_impl.h"

namespace weft::emulate {
namespace {

WEFT_INLINE __mmask16 first_lanes(std::int64_t n) { return static_cast<__mmask16>(n >= 16 ? 0xFFFF : (1 << n) - 1); }

/// Reals to the nearest (ties to even) code in [lo - 1, hi + 1]: what lies outside of the type is still seen as
/// outside.
struct NearestCode {
  explicit NearestCode(const ConvertArgs& a)
      : scale(_mm512_set1_ps(static_cast<float>(a.scale))),
        below(_mm512_set1_ps(static_cast<float>(a.lo - 1))),
        above(_mm512_set1_ps(static_cast<float>(a.hi + 1))) {}
  __attribute__((always_inline)) __m512i operator()(__m512 x) {
    // Infinities and NaN times zero are NaN, which stays in the sum.
    poison = _mm512_fmadd_ps(x, _mm512_setzero_ps(), poison);
    const __m512 bounded = _mm512_min_ps(_mm512_max_ps(_mm512_mul_ps(x, scale), below), above);
    return _mm512_cvt_roundps_epi32(bounded, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
  }
  [[nodiscard]] bool finite() const { return _mm512_cmp_ps_mask(poison, poison, _CMP_UNORD_Q) == 0; }

  __m512 scale, below, above;
  __m512 poison = _mm512_setzero_ps();
};

template <Layout kLayout>
WEFT_INLINE void convert_sixteens(const ConvertArgs& a, NearestCode& nearest, const float* x, unsigned char* y,
                                  std::int64_t first, std::uint64_t& saturated) {
  const __m512i lo = _mm512_set1_epi32(static_cast<std::int32_t>(a.lo));
  const __m512i hi = _mm512_set1_epi32(static_cast<std::int32_t>(a.hi));
  const __m512i offset = _mm512_set1_epi32(a.offset);
  for (std::int64_t i = first; i < a.n; i += 16) {
    const __mmask16 mask = first_lanes(a.n - i);
    const __m512i rounded = nearest(_mm512_maskz_loadu_ps(mask, x + i));
    const __m512i clipped = _mm512_min_epi32(_mm512_max_epi32(rounded, lo), hi);
    saturated += static_cast<std::uint64_t>(__builtin_popcount(_mm512_mask_cmpneq_epi32_mask(mask, rounded, clipped)));
    const __m512i code = _mm512_add_epi32(clipped, offset);
    if constexpr (kLayout == Layout::Bytes) {
      _mm_mask_storeu_epi8(y + i, mask, _mm512_cvtepi32_epi8(code));
    } else if constexpr (kLayout == Layout::Halves) {
      _mm256_mask_storeu_epi16(y + 2 * i, mask, _mm512_cvtepi32_epi16(code));
    } else {
      _mm512_mask_storeu_epi32(y + 4 * i, mask, code);
    }
  }
}

/// Sixty-four numbers to bytes; returns where it stopped.
WEFT_INLINE std::int64_t convert_sixty_fours(const ConvertArgs& a, NearestCode& nearest, const float* x,
                                             unsigned char* y, std::uint64_t& saturated) {
  // Codes one beyond the bounds must survive in 16 bits.
  if (a.lo < -32000 || a.hi > 32000) return 0;
  const __m512i lo = _mm512_set1_epi16(static_cast<std::int16_t>(a.lo));
  const __m512i hi = _mm512_set1_epi16(static_cast<std::int16_t>(a.hi));
  const __m512i offset = _mm512_set1_epi16(static_cast<std::int16_t>(a.offset));
  // Packing works within 128 bits: dword 4 * j + k of its result belongs at 4 * k + j.
  const __m512i order = _mm512_set_epi32(15, 11, 7, 3, 14, 10, 6, 2, 13, 9, 5, 1, 12, 8, 4, 0);
  std::int64_t i = 0;
  for (; i + 64 <= a.n; i += 64) {
    const __m512i first = _mm512_packs_epi32(nearest(_mm512_loadu_ps(x + i)), nearest(_mm512_loadu_ps(x + i + 16)));
    const __m512i second =
        _mm512_packs_epi32(nearest(_mm512_loadu_ps(x + i + 32)), nearest(_mm512_loadu_ps(x + i + 48)));
    const __m512i a_code = _mm512_min_epi16(_mm512_max_epi16(first, lo), hi);
    const __m512i b_code = _mm512_min_epi16(_mm512_max_epi16(second, lo), hi);
    const std::uint64_t outside = _mm512_cmpneq_epi16_mask(first, a_code) |
                                  static_cast<std::uint64_t>(_mm512_cmpneq_epi16_mask(second, b_code)) << 32;
    saturated += static_cast<std::uint64_t>(__builtin_popcountll(outside));
    const __m512i bytes = _mm512_packus_epi16(_mm512_add_epi16(a_code, offset), _mm512_add_epi16(b_code, offset));
    _mm512_storeu_si512(y + i, _mm512_permutexvar_epi32(order, bytes));
  }
  return i;
}

/// Thirty-two numbers to halves; returns where it stopped.
WEFT_INLINE std::int64_t convert_thirty_twos(const ConvertArgs& a, NearestCode& nearest, const float* x,
                                             unsigned char* y, std::uint64_t& saturated) {
  const __m512i lo = _mm512_set1_epi32(static_cast<std::int32_t>(a.lo));
  const __m512i hi = _mm512_set1_epi32(static_cast<std::int32_t>(a.hi));
  const __m512i offset = _mm512_set1_epi32(a.offset);
  const __m512i order = _mm512_set_epi64(7, 5, 3, 1, 6, 4, 2, 0);
  std::int64_t i = 0;
  for (; i + 32 <= a.n; i += 32) {
    const __m512i first = nearest(_mm512_loadu_ps(x + i));
    const __m512i second = nearest(_mm512_loadu_ps(x + i + 16));
    const __m512i a_code = _mm512_min_epi32(_mm512_max_epi32(first, lo), hi);
    const __m512i b_code = _mm512_min_epi32(_mm512_max_epi32(second, lo), hi);
    const std::uint32_t outside = _mm512_cmpneq_epi32_mask(first, a_code) |
                                  static_cast<std::uint32_t>(_mm512_cmpneq_epi32_mask(second, b_code)) << 16;
    saturated += static_cast<std::uint64_t>(__builtin_popcount(outside));
    const __m512i halves = _mm512_packs_epi32(_mm512_add_epi32(a_code, offset), _mm512_add_epi32(b_code, offset));
    _mm512_storeu_si512(y + 2 * i, _mm512_permutexvar_epi64(order, halves));
  }
  return i;
}

/// Rows of three numbers, one unit each (pixels): converted as one long row, then spread. The fourth byte is zero.
WEFT_INLINE void convert_threes(const ConvertArgs& a, NearestCode& nearest, std::uint64_t& saturated) {
  constexpr std::int64_t kRows = 64;
  unsigned char codes[3 * kRows + 4];
  const __m128i spread = _mm_setr_epi8(0, 1, 2, -1, 3, 4, 5, -1, 6, 7, 8, -1, 9, 10, 11, -1);
  for (std::int64_t row = 0; row < a.rows; row += kRows) {
    const std::int64_t rows = a.rows - row < kRows ? a.rows - row : kRows;
    ConvertArgs part = a;
    part.n = 3 * rows;
    const std::int64_t i = convert_sixty_fours(part, nearest, a.x + 3 * row, codes, saturated);
    convert_sixteens<Layout::Bytes>(part, nearest, a.x + 3 * row, codes, i, saturated);
    unsigned char* y = a.y + 4 * row;
    for (std::int64_t r = 0; r < rows; r += 4) {
      const __m128i twelve = _mm_loadu_si128(reinterpret_cast<const __m128i*>(codes + 3 * r));
      _mm_mask_storeu_epi32(y + 4 * r, static_cast<__mmask8>(rows - r >= 4 ? 0xF : (1 << (rows - r)) - 1),
                            _mm_shuffle_epi8(twelve, spread));
    }
  }
}

template <Layout kLayout>
WEFT_INLINE ConvertResult convert_nearest_rows(const ConvertArgs& a) {
  NearestCode nearest(a);
  ConvertResult result;
  if (kLayout == Layout::Bytes && a.n == 3 && a.y_stride == 4) {
    convert_threes(a, nearest, result.saturated);
    result.finite = nearest.finite();
    return result;
  }
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const float* x = a.x + row * a.n;
    unsigned char* y = a.y + row * a.y_stride;
    std::int64_t i = 0;
    if constexpr (kLayout == Layout::Bytes) i = convert_sixty_fours(a, nearest, x, y, result.saturated);
    if constexpr (kLayout == Layout::Halves) i = convert_thirty_twos(a, nearest, x, y, result.saturated);
    convert_sixteens<kLayout>(a, nearest, x, y, i, result.saturated);
  }
  result.finite = nearest.finite();
  return result;
}

ConvertResult convert_avx512(const ConvertArgs& args) {
  const ConvertArgs a = joined_rows(args);
  if (a.nearest_even_in_float) {
    if (a.layout == Layout::Bytes) return convert_nearest_rows<Layout::Bytes>(a);
    if (a.layout == Layout::Halves) return convert_nearest_rows<Layout::Halves>(a);
    if (a.layout == Layout::Words) return convert_nearest_rows<Layout::Words>(a);
  }
  return convert(a);
}

/// In every 128 bits, dword k of v[j] becomes dword j of v[k].
WEFT_INLINE void transpose_fours(__m512i (&v)[4]) {
  const __m512i a = _mm512_unpacklo_epi32(v[0], v[1]);
  const __m512i b = _mm512_unpackhi_epi32(v[0], v[1]);
  const __m512i c = _mm512_unpacklo_epi32(v[2], v[3]);
  const __m512i d = _mm512_unpackhi_epi32(v[2], v[3]);
  v[0] = _mm512_unpacklo_epi64(a, c);
  v[1] = _mm512_unpackhi_epi64(a, c);
  v[2] = _mm512_unpacklo_epi64(b, d);
  v[3] = _mm512_unpackhi_epi64(b, d);
}

/// Four units of sixteen rows at a time. Reads up to 12 bytes behind the last row.
void transpose_avx512(const TransposeArgs& a) {
  if (a.y.wide) return transpose(a);
  auto* y = static_cast<std::int32_t*>(a.y.data);
  for (int l = 0; l < a.lanes; l += 16) {
    for (std::int64_t u = 0; u < a.units; u += 4) {
      __m512i v[4];
      for (int j = 0; j < 4; ++j) {
        // 128 bits k of v[j] are the units of row 4 * k + j.
        const auto row = [&](int k) {
          return _mm_loadu_si128(reinterpret_cast<const __m128i*>(a.x + (l + 4 * k + j) * a.x_stride + 4 * u));
        };
        const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(row(0)), row(1), 1);
        const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(row(2)), row(3), 1);
        v[j] = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
      }
      transpose_fours(v);
      for (int k = 0; k < 4; ++k) {
        if (u + k < a.units) _mm512_storeu_si512(y + (u + k) * a.lanes + l, v[k]);
      }
    }
  }
}

/// Eight codes of sixteen rows at a time.
void store_avx512(const StoreArgs& a) {
  if (a.x.wide) return store(a);
  const auto* x = static_cast<const std::int32_t*>(a.x.data);
  // Row 4 * j + k has its codes in 128 bits j of low[k] and high[k]; as upper halves of 64 bits they are shifted down.
  const __m512i pick = _mm512_set_epi32(19, 19, 18, 18, 17, 17, 16, 16, 3, 3, 2, 2, 1, 1, 0, 0);
  for (int l = 0; l < a.rows; l += 16) {
    for (std::int64_t e = 0; e < a.n; e += 8) {
      __m512i low[4];
      __m512i high[4];
      for (int j = 0; j < 4; ++j) {
        const auto element = [&](std::int64_t i) { return i < a.n ? i : a.n - 1; };
        low[j] = _mm512_loadu_si512(x + element(e + j) * a.lanes + l);
        high[j] = _mm512_loadu_si512(x + element(e + 4 + j) * a.lanes + l);
      }
      transpose_fours(low);
      transpose_fours(high);
      const auto mask = static_cast<__mmask8>(a.n - e >= 8 ? 0xFF : (1 << (a.n - e)) - 1);
      for (int j = 0; j < 4; ++j) {
        const __m512i at = _mm512_add_epi32(pick, _mm512_set1_epi32(4 * j));
        for (int k = 0; k < 4; ++k) {
          const int row = l + 4 * j + k;
          if (row >= a.rows) break;
          const __m512i codes = _mm512_srai_epi64(_mm512_permutex2var_epi32(low[k], at, high[k]), 32);
          _mm512_mask_storeu_epi64(a.y + row * a.n + e, mask, codes);
        }
      }
    }
  }
}

}  // namespace
}  // namespace weft::emulate
