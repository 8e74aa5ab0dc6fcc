// SPDX-License-Identifier: Apache-2.0
/// @file
/// Step functions on vectors of 32-bit lanes, over the Vec of one instruction set.
#pragma once

#include "weft/emulate/kernels.h"

/// Loops over vectors must vanish before the compiler decides what lives in registers.
#define WEFT_UNROLL _Pragma("GCC unroll 4")

namespace weft::emulate {
namespace {

WEFT_INLINE std::uint64_t count_lanes(std::uint32_t lanes, std::uint64_t valid, int first_lane) {
  return static_cast<std::uint64_t>(__builtin_popcountll(lanes & (valid >> first_lane)));
}

/// The step functions `f` to f + kOutputs - 1 on the kCount vectors of each of kOutputs elements, starting at lane
/// `first_lane`, each `lane_step` lanes on. Clips of the first `counted` elements are counted; `skip_clamp` when
/// packing clips anyway.
template <int kOutputs, int kCount>
WEFT_INLINE void apply_epilogue(Vec (&y)[kOutputs][kCount], const Epilogue& e, std::int64_t f, int first_lane,
                                int lane_step, bool skip_clamp, std::int64_t counted, Tally& tally) {
  switch (e.round) {
    case RoundForm::None:
      break;
    case RoundForm::Constant:
      WEFT_UNROLL for (int k = 0; k < kOutputs; ++k) {
        const Shift n = shift_count(e.shift[f + k]);
        WEFT_UNROLL for (int v = 0; v < kCount; ++v) y[k][v] = shift_right(y[k][v], n);
      }
      break;
    case RoundForm::Sign: {
      const Vec post = set1(e.fold == FoldForm::Clamp ? e.post : 0);
      WEFT_UNROLL for (int k = 0; k < kOutputs; ++k) {
        const Shift n = shift_count(e.shift[f + k]);
        const Vec at = set1(e.sign_at[f + k]);
        const Vec more = set1(e.sign_addend[f + k]);
        WEFT_UNROLL for (int v = 0; v < kCount; ++v) {
          y[k][v] = add(shift_right(add_where_less(y[k][v], at, more), n), post);
        }
      }
      break;
    }
    case RoundForm::Even:
      WEFT_UNROLL for (int k = 0; k < kOutputs; ++k) {
        const Shift n = shift_count(e.shift[f + k]);
        const Vec low = set1(e.tie_mask[f + k]);
        WEFT_UNROLL for (int v = 0; v < kCount; ++v) {
          y[k][v] = clear_odd_at_ties(shift_right(y[k][v], n), y[k][v], low);
        }
      }
      break;
    case RoundForm::Nearest:
      WEFT_UNROLL for (int k = 0; k < kOutputs; ++k) {
        const Vec magic = set1(e.magic[f + k]);
        const Vec bits = set1(e.magic_bits[f + k]);
        WEFT_UNROLL for (int v = 0; v < kCount; ++v) y[k][v] = sub(add_floats(y[k][v], magic), bits);
      }
      break;
    case RoundForm::Line: {
      const Vec post = set1(e.post);
      WEFT_UNROLL for (int k = 0; k < kOutputs; ++k) {
        const Vec slope = set1(e.slope[f + k]);
        const Vec start = set1(e.start[f + k]);
        WEFT_UNROLL for (int v = 0; v < kCount; ++v) y[k][v] = add(floor_of_line(y[k][v], slope, start), post);
      }
      break;
    }
    case RoundForm::Compare:
      WEFT_UNROLL for (int k = 0; k < kOutputs; ++k) {
        const std::int32_t* thresholds = e.thresholds + (f + k) * e.n_thresholds;
        const std::int32_t* deltas = e.deltas + (f + k) * e.n_thresholds;
        Vec x[kCount];
        const Vec base = set1(e.base[f + k]);
        WEFT_UNROLL for (int v = 0; v < kCount; ++v) {
          x[v] = y[k][v];
          y[k][v] = base;
        }
        for (std::int32_t t = 0; t < e.n_thresholds; ++t) {
          const Vec at = set1(thresholds[t]);
          const Vec delta = set1(deltas[t]);
          WEFT_UNROLL for (int v = 0; v < kCount; ++v) y[k][v] = add_where_greater(y[k][v], x[v], at, delta);
        }
      }
      break;
  }
  switch (e.fold) {
    case FoldForm::None:
      break;
    case FoldForm::Clamp:
      if (e.count) {
        WEFT_UNROLL for (int k = 0; k < kOutputs; ++k) {
          if (k >= counted) break;
          const Vec lo = set1(e.lo[f + k]);
          const Vec hi = set1(e.hi[f + k]);
          WEFT_UNROLL for (int v = 0; v < kCount; ++v) {
            tally.count += count_lanes(lanes_outside(y[k][v], lo, hi), tally.valid, first_lane + v * lane_step);
          }
        }
      }
      if (skip_clamp) break;
      WEFT_UNROLL for (int k = 0; k < kOutputs; ++k) {
        const Vec lo = set1(e.lo[f + k]);
        const Vec hi = set1(e.hi[f + k]);
        WEFT_UNROLL for (int v = 0; v < kCount; ++v) y[k][v] = min(max(y[k][v], lo), hi);
      }
      break;
    case FoldForm::WrapSigned:
    case FoldForm::WrapUnsigned: {
      const Vec post = set1(e.post);
      WEFT_UNROLL for (int k = 0; k < kOutputs; ++k) {
        const Shift n = shift_count(e.wrap_shift[f + k]);
        WEFT_UNROLL for (int v = 0; v < kCount; ++v) {
          const Vec up = shift_left(y[k][v], n);
          const Vec folded = e.fold == FoldForm::WrapSigned ? shift_right(up, n) : shift_right_unsigned(up, n);
          if (e.count && k < counted) {
            tally.count += count_lanes(lanes_unequal(y[k][v], folded), tally.valid, first_lane + v * lane_step);
          }
          y[k][v] = add(folded, post);
        }
      }
      break;
    }
  }
}

/// The same step functions on values that are in memory already; the addend is not in a bias here.
void requant(const RequantArgs& a, Tally& tally) {
  const Epilogue& e = *a.epilogue;
  Tally local = tally;
  const bool has_addend = e.round != RoundForm::None && e.round != RoundForm::Line && e.round != RoundForm::Compare;
  std::int64_t f = 0;
  for (std::int64_t i = 0; i < a.elements; ++i) {
    const Vec addend = set1(has_addend ? e.addend[f] : 0);
    for (int lane = 0; lane < a.lanes; lane += kVecLanes) {
      Vec y[1][1] = {{add(load(a.x + i * a.lanes + lane), addend)}};
      apply_epilogue(y, e, f, lane, 0, false, 1, local);
      store(a.y + i * a.lanes + lane, y[0][0]);
    }
    if (++f == e.n_functions) f = 0;
  }
  tally = local;
}

}  // namespace
}  // namespace weft::emulate
