// SPDX-License-Identifier: Apache-2.0
/// @file
/// Real numbers to row-major codes, row-major units to lanes, and lanes to rows.
#pragma once

#include "weft/emulate/lanes_impl.h"

namespace weft::emulate {
namespace {

constexpr int kChunk = 64;

/// False when x holds NaN or infinity.
WEFT_INLINE bool all_finite(const float* x, int n) {
  std::uint32_t bad = 0;
  for (int i = 0; i < n; ++i) {
    std::uint32_t u;
    __builtin_memcpy(&u, x + i, sizeof u);
    bad |= (u & 0x7F800000U) == 0x7F800000U ? 1U : 0U;
  }
  return bad == 0;
}

WEFT_INLINE double round_by(double y, const ConvertArgs& a) {
  const double floored = __builtin_floor(y);
  const double rest = y - floored;
  const double threshold = y < 0 ? a.threshold_negative : a.threshold_positive;
  const bool odd = floored != 2 * __builtin_floor(floored * 0.5);
  const bool up = rest > threshold || (a.even && rest == 0.5 && odd);
  return up ? floored + 1 : floored;
}

/// Codes of one chunk as doubles; returns how many were clipped or wrapped. Every step is exact in double: a float has
/// 24 significant bits and powers of two only move them.
WEFT_INLINE std::uint64_t convert_exactly(const ConvertArgs& a, const float* x, int n, double* code) {
  std::uint64_t saturated = 0;
  if (a.form == ConvertArgs::Form::Affine) {
    const auto lo = static_cast<float>(a.lo);
    const auto hi = static_cast<float>(a.hi);
    for (int i = 0; i < n; ++i) {
      const float y = x[i] / a.divisor + a.zero_point;
      const double r = round_by(y, a);
      const double c = r < a.lo ? a.lo : r > a.hi ? a.hi : r;
      const float clamped = y < lo ? lo : y > hi ? hi : y;
      code[i] = (a.round_first ? c : round_by(clamped, a)) - a.zero_point;
      saturated += c != r ? 1U : 0U;
    }
  } else if (a.wrap) {
    for (int i = 0; i < n; ++i) {
      const double r = round_by(static_cast<double>(x[i]) * a.scale, a);
      double c = r - __builtin_floor(r / a.modulus) * a.modulus;
      c = c > a.hi ? c - a.modulus : c;
      code[i] = c;
      saturated += c != r ? 1U : 0U;
    }
  } else {
    for (int i = 0; i < n; ++i) {
      const double r = round_by(static_cast<double>(x[i]) * a.scale, a);
      const double c = r < a.lo ? a.lo : r > a.hi ? a.hi : r;
      code[i] = c;
      saturated += c != r ? 1U : 0U;
    }
  }
  return saturated;
}

/// The same by adding 1.5 * 2^23, which leaves the nearest even integer in the low mantissa bits.
WEFT_INLINE std::uint64_t convert_nearest(const ConvertArgs& a, const float* x, int n, std::int32_t* code) {
  const auto scale = static_cast<float>(a.scale);
  const auto lo = static_cast<std::int32_t>(a.lo);
  const auto hi = static_cast<std::int32_t>(a.hi);
  const auto below = static_cast<float>(lo - 1);
  const auto above = static_cast<float>(hi + 1);
  std::uint32_t saturated = 0;
  for (int i = 0; i < n; ++i) {
    float y = x[i] * scale;
    y = y < below ? below : y;
    y = y > above ? above : y;
    y += 12582912.0F;
    std::int32_t r;
    __builtin_memcpy(&r, &y, sizeof r);
    r -= 0x4B400000;
    const std::int32_t c = r < lo ? lo : r > hi ? hi : r;
    saturated += c != r ? 1U : 0U;
    code[i] = c;
  }
  return saturated;
}

template <class T, class Code>
WEFT_INLINE void narrow(const Code* code, int n, std::int32_t offset, unsigned char* y) {
  for (int i = 0; i < n; ++i) {
    const T value = static_cast<T>(static_cast<std::int64_t>(code[i]) + offset);
    __builtin_memcpy(y + i * static_cast<int>(sizeof(T)), &value, sizeof value);
  }
}

template <class Code>
WEFT_INLINE void write_codes(const ConvertArgs& a, const Code* code, std::int64_t first, int n, unsigned char* row) {
  switch (a.layout) {
    case Layout::Bytes:
      narrow<std::uint8_t>(code, n, a.offset, row + first);
      break;
    case Layout::Halves:
      narrow<std::int16_t>(code, n, a.offset, row + 2 * first);
      break;
    case Layout::Words:
      narrow<std::int32_t>(code, n, 0, row + 4 * first);
      break;
    case Layout::Wide:
      narrow<std::int64_t>(code, n, 0, row + 8 * first);
      break;
    case Layout::Bits:
      for (int i = 0; i < n; i += 32) {
        std::uint32_t word = 0;
        for (int k = 0; k < 32 && i + k < n; ++k) word |= (code[i + k] > 0 ? 1U : 0U) << k;
        __builtin_memcpy(row + (first + i) / 8, &word, sizeof word);
      }
      break;
  }
}

/// Rows without gaps are one long row.
WEFT_INLINE ConvertArgs joined_rows(const ConvertArgs& args) {
  ConvertArgs a = args;
  const std::int64_t width = a.layout == Layout::Bytes    ? 1
                             : a.layout == Layout::Halves ? 2
                             : a.layout == Layout::Wide   ? 8
                                                          : 4;
  if (a.layout != Layout::Bits && a.y_stride == a.n * width) {
    a.n *= a.rows;
    a.y_stride *= a.rows;
    a.rows = 1;
  }
  return a;
}

ConvertResult convert(const ConvertArgs& args) {
  const ConvertArgs a = joined_rows(args);
  ConvertResult result;
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const float* x = a.x + row * a.n;
    unsigned char* y = a.y + row * a.y_stride;
    for (std::int64_t i = 0; i < a.n; i += kChunk) {
      const int n = a.n - i < kChunk ? static_cast<int>(a.n - i) : kChunk;
      if (!all_finite(x + i, n)) {
        result.finite = false;
        return result;
      }
      if (a.nearest_even_in_float) {
        std::int32_t code[kChunk];
        result.saturated += convert_nearest(a, x + i, n, code);
        write_codes(a, code, i, n, y);
      } else if (a.form == ConvertArgs::Form::Bipolar) {
        std::int32_t code[kChunk];
        for (int k = 0; k < n; ++k) code[k] = x[i + k] >= 0 ? 1 : -1;
        write_codes(a, code, i, n, y);
      } else {
        double code[kChunk];
        result.saturated += convert_exactly(a, x + i, n, code);
        write_codes(a, code, i, n, y);
      }
    }
  }
  return result;
}

void transpose(const TransposeArgs& a) {
  if (a.y.wide) {
    auto* y = static_cast<std::int64_t*>(a.y.data);
    for (std::int64_t u = 0; u < a.units; ++u) {
      for (int l = 0; l < a.lanes; ++l) __builtin_memcpy(y + u * a.lanes + l, a.x + l * a.x_stride + 8 * u, 8);
    }
    return;
  }
  auto* y = static_cast<std::int32_t*>(a.y.data);
  for (std::int64_t u = 0; u < a.units; ++u) {
    for (int l = 0; l < a.lanes; ++l) __builtin_memcpy(y + u * a.lanes + l, a.x + l * a.x_stride + 4 * u, 4);
  }
}

void store(const StoreArgs& a) {
  with(a.x, [&](const auto* p) {
    for (int l = 0; l < a.rows; ++l) {
      for (std::int64_t e = 0; e < a.n; ++e) a.y[l * a.n + e] = p[e * a.lanes + l];
    }
  });
}

}  // namespace
}  // namespace weft::emulate
