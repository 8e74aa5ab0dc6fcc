// SPDX-License-Identifier: Apache-2.0
/// @file
/// The matrix-vector product with its step function in registers, over the Vec of one instruction set.
#pragma once

#include "weft/emulate/kernels.h"

/// Loops over vectors must vanish before the compiler decides what lives in registers.
#define WEFT_UNROLL _Pragma("GCC unroll 4")

namespace weft::emulate {
namespace {

struct DotBits {
  static constexpr bool kCountsUnequal = true;
  WEFT_INLINE Vec step(Vec sum, Vec x, Vec w) { return add(sum, popcount(bit_xor(x, w))); }
};

WEFT_INLINE std::uint64_t count_lanes(std::uint32_t lanes, std::uint64_t valid, int first_lane) {
  return static_cast<std::uint64_t>(__builtin_popcountll(lanes & (valid >> first_lane)));
}

/// The step function `f` of one element on the kCount vectors that start at lane `first_lane`; `skip_clamp` when
/// packing clips anyway.
template <int kCount>
WEFT_INLINE void apply_epilogue(Vec (&y)[kCount], const Epilogue& e, std::int64_t f, int first_lane, bool skip_clamp,
                                bool counted, Tally& tally) {
  switch (e.round) {
    case RoundForm::None:
      break;
    case RoundForm::Constant: {
      const Shift n = shift_count(e.shift[f]);
      WEFT_UNROLL for (int v = 0; v < kCount; ++v) y[v] = shift_right(y[v], n);
      break;
    }
    case RoundForm::Sign: {
      const Shift n = shift_count(e.shift[f]);
      const Vec at = set1(e.sign_at[f]);
      const Vec more = set1(e.sign_addend[f]);
      const Vec post = set1(e.fold == FoldForm::Clamp ? e.post : 0);
      WEFT_UNROLL for (int v = 0; v < kCount; ++v) y[v] = add(shift_right(add_where_less(y[v], at, more), n), post);
      break;
    }
    case RoundForm::Even: {
      const Shift n = shift_count(e.shift[f]);
      const Vec low = set1(e.tie_mask[f]);
      WEFT_UNROLL for (int v = 0; v < kCount; ++v) y[v] = clear_odd_at_ties(shift_right(y[v], n), y[v], low);
      break;
    }
    case RoundForm::Compare: {
      const std::int32_t* thresholds = e.thresholds + f * e.n_thresholds;
      const std::int32_t* deltas = e.deltas + f * e.n_thresholds;
      Vec x[kCount];
      const Vec base = set1(e.base[f]);
      WEFT_UNROLL for (int v = 0; v < kCount; ++v) {
        x[v] = y[v];
        y[v] = base;
      }
      for (std::int32_t k = 0; k < e.n_thresholds; ++k) {
        const Vec at = set1(thresholds[k]);
        const Vec delta = set1(deltas[k]);
        WEFT_UNROLL for (int v = 0; v < kCount; ++v) y[v] = add_where_greater(y[v], x[v], at, delta);
      }
      break;
    }
  }
  switch (e.fold) {
    case FoldForm::None:
      break;
    case FoldForm::Clamp: {
      const Vec lo = set1(e.lo[f]);
      const Vec hi = set1(e.hi[f]);
      if (counted) {
        WEFT_UNROLL for (int v = 0; v < kCount; ++v) {
          tally.count += count_lanes(lanes_outside(y[v], lo, hi), tally.valid, first_lane + v * kVecLanes);
        }
      }
      if (skip_clamp) break;
      WEFT_UNROLL for (int v = 0; v < kCount; ++v) y[v] = min(max(y[v], lo), hi);
      break;
    }
    case FoldForm::WrapSigned:
    case FoldForm::WrapUnsigned: {
      const Shift n = shift_count(e.wrap_shift[f]);
      const Vec post = set1(e.post);
      WEFT_UNROLL for (int v = 0; v < kCount; ++v) {
        const Vec up = shift_left(y[v], n);
        const Vec folded = e.fold == FoldForm::WrapSigned ? shift_right(up, n) : shift_right_unsigned(up, n);
        if (counted) tally.count += count_lanes(lanes_unequal(y[v], folded), tally.valid, first_lane + v * kVecLanes);
        y[v] = add(folded, post);
      }
      break;
    }
  }
}

/// Writes outputs o to o + 3 of one row for kCount vectors of lanes.
template <int kCount>
WEFT_INLINE void store_tile(const MatVecArgs& a, Vec (&y)[4][kCount], std::int64_t row, std::int64_t o, int lane) {
  std::int32_t* out = a.y + row * a.units_out * a.lanes + lane;
  switch (a.out) {
    case Layout::Bytes: {
      const Vec lo = set1(a.epilogue->lo_bytes[o / 4]);
      const Vec hi = set1(a.epilogue->hi_bytes[o / 4]);
      out += o / 4 * a.lanes;
      WEFT_UNROLL for (int v = 0; v < kCount; ++v)
          store(out + v * kVecLanes, pack_bytes(y[0][v], y[1][v], y[2][v], y[3][v], lo, hi));
      break;
    }
    case Layout::Halves:
      out += o / 2 * a.lanes;
      WEFT_UNROLL for (int v = 0; v < kCount; ++v) store(out + v * kVecLanes, pack_halves(y[0][v], y[1][v]));
      if (o + 2 >= a.n_out) break;
      WEFT_UNROLL for (int v = 0; v < kCount; ++v) store(out + a.lanes + v * kVecLanes, pack_halves(y[2][v], y[3][v]));
      break;
    case Layout::Bits:
      out += o / 32 * a.lanes;
      WEFT_UNROLL for (int v = 0; v < kCount; ++v) {
        Vec word = o % 32 == 0 ? set1(0) : load(out + v * kVecLanes);
        WEFT_UNROLL for (int k = 0; k < 4; ++k) {
          if (o + k >= a.n_out) break;
          word = or_where_positive(word, y[k][v], set1(static_cast<std::int32_t>(1U << (o % 32 + k))));
        }
        store(out + v * kVecLanes, word);
      }
      break;
    case Layout::Words:
    case Layout::Wide:
      WEFT_UNROLL for (int k = 0; k < 4; ++k) {
        if (o + k >= a.n_out) break;
        WEFT_UNROLL for (int v = 0; v < kCount; ++v) store(out + (o + k) * a.lanes + v * kVecLanes, y[k][v]);
      }
      break;
  }
}

/// Four outputs on kCount vectors of lanes: every weight is loaded once for all of them, and 4 * kCount independent
/// sums hide the latency of the dot product.
template <class Dot, int kCount>
WEFT_INLINE void matvec_tile(const MatVecArgs& a, std::int64_t row, std::int64_t o, int lane, Tally& tally) {
  const std::int32_t* x = a.x + row * a.units_in * a.lanes + lane;
  const std::int32_t* w = a.weights + o * a.units_in;
  Vec y[4][kCount];
  WEFT_UNROLL for (int k = 0; k < 4; ++k) {
    const Vec start = set1(Dot::kCountsUnequal ? 0 : a.bias[o + k]);
    WEFT_UNROLL for (int v = 0; v < kCount; ++v) y[k][v] = start;
  }
  for (std::int64_t u = 0; u < a.units_in; ++u) {
    Vec units[kCount];
    WEFT_UNROLL for (int v = 0; v < kCount; ++v) units[v] = load(x + v * kVecLanes);
    WEFT_UNROLL for (int k = 0; k < 4; ++k) {
      const Vec weight = set1(w[k]);
      WEFT_UNROLL for (int v = 0; v < kCount; ++v) y[k][v] = Dot::step(y[k][v], units[v], weight);
    }
    x += a.lanes;
    w += 4;
  }
  const Epilogue& e = *a.epilogue;
  WEFT_UNROLL for (int k = 0; k < 4; ++k) {
    if constexpr (Dot::kCountsUnequal) {
      const Vec bias = set1(a.bias[o + k]);
      WEFT_UNROLL for (int v = 0; v < kCount; ++v) y[k][v] = sub(bias, add(y[k][v], y[k][v]));
    }
    apply_epilogue(y[k], e, o + k, lane, a.out == Layout::Bytes, e.count && o + k < a.n_out, tally);
  }
  store_tile(a, y, row, o, lane);
}

template <class Dot>
WEFT_INLINE void matvec_body(const MatVecArgs& a, Tally& tally) {
  // Tallies behind a reference would be reloaded and stored in the middle of the tile.
  Tally local = tally;
  const int lanes_per_tile = kTileVectors * kVecLanes;
  for (std::int64_t row = 0; row < a.rows; ++row) {
    for (std::int64_t o = 0; o < a.n_out; o += 4) {
      int lane = 0;
      for (; lane + lanes_per_tile <= a.lanes; lane += lanes_per_tile) {
        matvec_tile<Dot, kTileVectors>(a, row, o, lane, local);
      }
      for (; lane < a.lanes; lane += kVecLanes) matvec_tile<Dot, 1>(a, row, o, lane, local);
    }
  }
  tally = local;
}

template <class Dot>
void matvec(const MatVecArgs& a, Tally& tally) {
  matvec_body<Dot>(a, tally);
}

/// The same step functions on values that are in memory already; the addend is not in a bias here.
void requant(const RequantArgs& a, Tally& tally) {
  const Epilogue& e = *a.epilogue;
  Tally local = tally;
  const bool has_addend = e.round == RoundForm::Constant || e.round == RoundForm::Sign || e.round == RoundForm::Even;
  std::int64_t f = 0;
  for (std::int64_t i = 0; i < a.elements; ++i) {
    const Vec addend = set1(has_addend ? e.addend[f] : 0);
    for (int lane = 0; lane < a.lanes; lane += kVecLanes) {
      Vec y[1] = {add(load(a.x + i * a.lanes + lane), addend)};
      apply_epilogue(y, e, f, lane, false, e.count, local);
      store(a.y + i * a.lanes + lane, y[0]);
    }
    if (++f == e.n_functions) f = 0;
  }
  tally = local;
}

}  // namespace
}  // namespace weft::emulate
