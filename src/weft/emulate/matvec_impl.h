// SPDX-License-Identifier: Apache-2.0
/// @file
/// The matrix-vector product with its step function in registers, over the Vec of one instruction set.
#pragma once

#include "weft/emulate/epilogue_impl.h"
#include "weft/emulate/kernels.h"

namespace weft::emulate {
namespace {

struct DotBits {
  static constexpr bool kCountsUnequal = true;
  WEFT_INLINE Vec step(Vec sum, Vec x, Vec w) { return add(sum, popcount(bit_xor(x, w))); }
};

/// Writes outputs o to o + 3 of kCount vectors that lie `step` apart; `out` is the first one's row.
template <int kCount>
WEFT_INLINE void store_tile(const MatVecArgs& a, Vec (&y)[4][kCount], std::int32_t* out, std::int64_t step,
                            std::int64_t o) {
  switch (a.out) {
    case Layout::Bytes: {
      const Vec lo = set1(a.epilogue->lo_bytes[o / 4]);
      const Vec hi = set1(a.epilogue->hi_bytes[o / 4]);
      out += o / 4 * a.lanes;
      WEFT_UNROLL for (int v = 0; v < kCount; ++v)
          store(out + v * step, pack_bytes(y[0][v], y[1][v], y[2][v], y[3][v], lo, hi));
      break;
    }
    case Layout::Halves:
      out += o / 2 * a.lanes;
      WEFT_UNROLL for (int v = 0; v < kCount; ++v) store(out + v * step, pack_halves(y[0][v], y[1][v]));
      if (o + 2 >= a.n_out) break;
      WEFT_UNROLL for (int v = 0; v < kCount; ++v) store(out + a.lanes + v * step, pack_halves(y[2][v], y[3][v]));
      break;
    case Layout::Bits:
      out += o / 32 * a.lanes;
      WEFT_UNROLL for (int v = 0; v < kCount; ++v) {
        Vec word = o % 32 == 0 ? set1(0) : load(out + v * step);
        WEFT_UNROLL for (int k = 0; k < 4; ++k) {
          if (o + k >= a.n_out) break;
          word = or_where_positive(word, y[k][v], set1(static_cast<std::int32_t>(1U << (o % 32 + k))));
        }
        store(out + v * step, word);
      }
      break;
    case Layout::Words:
    case Layout::Wide:
      WEFT_UNROLL for (int k = 0; k < 4; ++k) {
        if (o + k >= a.n_out) break;
        WEFT_UNROLL for (int v = 0; v < kCount; ++v) store(out + (o + k) * a.lanes + v * step, y[k][v]);
      }
      break;
  }
}

/// The first unit of run `t` of row `row`, at lane 0.
WEFT_INLINE const std::int32_t* run_of(const Runs& x, std::int64_t row, std::int64_t t, int lanes) {
  const std::int64_t run = row * x.runs + t;
  if (x.first == nullptr) return x.units + run * x.run_units * lanes;
  const std::uint32_t first = x.first[run];
  return first == kCopyPad ? x.pad : x.units + static_cast<std::int64_t>(first) * lanes;
}

/// Where the vectors of a tile come from: neighbouring lanes of one row, or neighbouring rows. Either way every weight
/// is loaded once for all of them, and 4 * kCount independent sums hide the latency of the dot product.
enum class Across { Lanes, Rows };

/// y[k] += dot products of one unit: x[v] points at it, for rows one pointer each.
template <class Dot, Across kAcross, int kCount>
WEFT_INLINE void add_unit(Vec (&y)[4][kCount], const std::int32_t* const* x, std::int64_t at, const std::int32_t* w) {
  Vec units[kCount];
  WEFT_UNROLL for (int v = 0; v < kCount; ++v) {
    units[v] = kAcross == Across::Rows ? load(x[v] + at) : load(x[0] + at + v * kVecLanes);
  }
  WEFT_UNROLL for (int k = 0; k < 4; ++k) {
    const Vec weight = set1(w[k]);
    WEFT_UNROLL for (int v = 0; v < kCount; ++v) y[k][v] = Dot::step(y[k][v], units[v], weight);
  }
}

/// Four outputs on kCount vectors.
template <class Dot, Across kAcross, bool kSparse, int kCount>
WEFT_INLINE void matvec_tile(const MatVecArgs& a, std::int64_t row, std::int64_t o, int lane, Tally& tally) {
  constexpr int kPointers = kAcross == Across::Rows ? kCount : 1;
  Vec y[4][kCount];
  WEFT_UNROLL for (int k = 0; k < 4; ++k) {
    const Vec start = set1(Dot::kCountsUnequal ? 0 : a.bias[o + k]);
    WEFT_UNROLL for (int v = 0; v < kCount; ++v) y[k][v] = start;
  }
  const std::int32_t* x[kPointers];
  if constexpr (kSparse) {
    const std::int64_t tile = o / 4;
    const std::int32_t* w = a.weights + std::int64_t{a.tile_begin[tile]} * 4;
    for (std::uint32_t e = a.tile_begin[tile]; e < a.tile_begin[tile + 1]; ++e, w += 4) {
      const std::uint32_t at = a.tile_units[e];
      WEFT_UNROLL for (int v = 0; v < kPointers; ++v) x[v] = run_of(a.x, row + v, at >> 16, a.lanes) + lane;
      add_unit<Dot, kAcross, kCount>(y, x, std::int64_t{at & 0xFFFFU} * a.lanes, w);
    }
  } else {
    const std::int32_t* w = a.weights + o * a.x.runs * a.x.run_units;
    for (std::int64_t t = 0; t < a.x.runs; ++t) {
      WEFT_UNROLL for (int v = 0; v < kPointers; ++v) x[v] = run_of(a.x, row + v, t, a.lanes) + lane;
      const std::int64_t end = a.x.run_units * a.lanes;
      for (std::int64_t at = 0; at < end; at += a.lanes, w += 4) add_unit<Dot, kAcross, kCount>(y, x, at, w);
    }
  }
  if constexpr (Dot::kCountsUnequal) {
    WEFT_UNROLL for (int k = 0; k < 4; ++k) {
      const Vec bias = set1(a.bias[o + k]);
      WEFT_UNROLL for (int v = 0; v < kCount; ++v) y[k][v] = sub(bias, add(y[k][v], y[k][v]));
    }
  }
  apply_epilogue(y, *a.epilogue, o, lane, kAcross == Across::Rows ? 0 : kVecLanes, a.out == Layout::Bytes, a.n_out - o,
                 tally);
  std::int32_t* out = a.y + row * a.units_out * a.lanes + lane;
  store_tile(a, y, out, kAcross == Across::Rows ? a.units_out * a.lanes : kVecLanes, o);
}

template <class Dot, bool kSparse>
WEFT_INLINE void matvec_body(const MatVecArgs& a, Tally& tally) {
  // Tallies behind a reference would be reloaded and stored in the middle of the tile.
  Tally local = tally;
  const int lanes_per_tile = kTileVectors * kVecLanes;
  std::int64_t row = 0;
  if (a.lanes < lanes_per_tile) {
    for (; row + kTileVectors <= a.rows; row += kTileVectors) {
      for (std::int64_t o = 0; o < a.n_out; o += 4) {
        for (int lane = 0; lane < a.lanes; lane += kVecLanes) {
          matvec_tile<Dot, Across::Rows, kSparse, kTileVectors>(a, row, o, lane, local);
        }
      }
    }
  }
  for (; row < a.rows; ++row) {
    for (std::int64_t o = 0; o < a.n_out; o += 4) {
      int lane = 0;
      for (; lane + lanes_per_tile <= a.lanes; lane += lanes_per_tile) {
        matvec_tile<Dot, Across::Lanes, kSparse, kTileVectors>(a, row, o, lane, local);
      }
      for (; lane < a.lanes; lane += kVecLanes) matvec_tile<Dot, Across::Lanes, kSparse, 1>(a, row, o, lane, local);
    }
  }
  tally = local;
}

template <class Dot>
void matvec(const MatVecArgs& a, Tally& tally) {
  if (a.tile_units != nullptr) {
    matvec_body<Dot, true>(a, tally);
  } else {
    matvec_body<Dot, false>(a, tally);
  }
}

template <Layout kLayout, bool kMaximum>
WEFT_INLINE void pool_rows(const PoolArgs& a) {
  for (std::int64_t row = 0; row < a.rows; ++row) {
    std::int32_t* y = a.y + row * a.x.run_units * a.lanes;
    const std::int64_t end = a.x.run_units * a.lanes;
    const std::int32_t* x = run_of(a.x, row, 0, a.lanes);
    for (std::int64_t at = 0; at < end; at += kVecLanes) store(y + at, load(x + at));
    for (std::int64_t t = 1; t < a.x.runs; ++t) {
      x = run_of(a.x, row, t, a.lanes);
      for (std::int64_t at = 0; at < end; at += kVecLanes) {
        const Vec so_far = load(y + at);
        const Vec next = load(x + at);
        Vec result;
        if constexpr (!kMaximum) {
          result = add(so_far, next);
        } else if constexpr (kLayout == Layout::Bytes) {
          result = max_bytes(so_far, next);
        } else if constexpr (kLayout == Layout::Halves) {
          result = max_halves(so_far, next);
        } else {
          result = max(so_far, next);
        }
        store(y + at, result);
      }
    }
  }
}

void pool(const PoolArgs& a) {
  if (!a.maximum) return pool_rows<Layout::Words, false>(a);
  if (a.layout == Layout::Bytes) return pool_rows<Layout::Bytes, true>(a);
  if (a.layout == Layout::Halves) return pool_rows<Layout::Halves, true>(a);
  pool_rows<Layout::Words, true>(a);
}

}  // namespace
}  // namespace weft::emulate
