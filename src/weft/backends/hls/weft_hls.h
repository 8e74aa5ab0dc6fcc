// SPDX-License-Identifier: Apache-2.0
// Templates of every Weft HLS project: integer arithmetic on ap_int, fully unrolled. Codes only; scales live in
// interface.json.
#pragma once

#include <ap_fixed.h>
#include <ap_int.h>

namespace weft {

// y[r, o] = bias[o] + sum_i x[r, i] * w[i, o]. Partial sums may wrap in Y: the final one fits, so the result is exact.
template <int ROWS, int N_IN, int N_OUT, class X, class W, class B, class Y>
void matvec(const X x[ROWS * N_IN], const W w[N_IN * N_OUT], const B bias[N_OUT], Y y[ROWS * N_OUT]) {
#pragma HLS INLINE
  for (int r = 0; r < ROWS; ++r) {
#pragma HLS UNROLL
    for (int o = 0; o < N_OUT; ++o) {
#pragma HLS UNROLL
      Y sum = bias[o];
      for (int i = 0; i < N_IN; ++i) {
#pragma HLS UNROLL
        sum += x[r * N_IN + i] * w[i * N_OUT + o];
      }
      y[r * N_OUT + o] = sum;
    }
  }
}

// The number code * 2^-FRAC as a fixed-point value.
template <int FRAC, int W>
ap_fixed<W, W - FRAC> scaled(const ap_int<W>& code) {
#pragma HLS INLINE
  ap_fixed<W, W - FRAC> value;
  value.range(W - 1, 0) = code.range(W - 1, 0);
  return value;
}

// The same with a forced accumulator type A: bias first, every product cast to A, added in index order.
template <int ROWS, int N_IN, int N_OUT, int FRAC, int WP, class A, class X, class W, class B, class Y>
void matvec_forced(const X x[ROWS * N_IN], const W w[N_IN * N_OUT], const B bias[N_OUT], Y y[ROWS * N_OUT]) {
#pragma HLS INLINE
  for (int r = 0; r < ROWS; ++r) {
    for (int o = 0; o < N_OUT; ++o) {
      A sum = scaled<FRAC>(ap_int<WP>(bias[o]));
      for (int i = 0; i < N_IN; ++i) {
        const A product = scaled<FRAC>(ap_int<WP>(x[r * N_IN + i] * w[i * N_OUT + o]));
        sum = sum + product;
      }
      Y code;
      ap_int<A::width> bits;
      ap_uint<A::width> unsigned_bits;
      unsigned_bits.range(A::width - 1, 0) = sum.range(A::width - 1, 0);
      bits.range(A::width - 1, 0) = sum.range(A::width - 1, 0);
      if (A(-1) < A(0))
        code = bits;
      else
        code = unsigned_bits;
      y[r * N_OUT + o] = code;
    }
  }
}

enum Rounding { TRN, TRN_ZERO, RND, RND_ZERO, RND_INF, RND_MIN_INF, RND_CONV, CEIL, UP };

// round(x * 2^-SHIFT) for SHIFT >= 1; W must exceed SHIFT and the width of x.
template <int SHIFT, Rounding R, int W>
ap_int<W> round_shift(const ap_int<W>& x) {
#pragma HLS INLINE
  const ap_int<W> floor = x >> SHIFT;
  const ap_int<W> rest = x - (floor << SHIFT);  // 0 <= rest < 2^SHIFT
  const ap_int<W> half = ap_int<W>(1) << (SHIFT - 1);
  const bool negative = x < 0;
  bool up = false;
  switch (R) {
    case TRN:
      up = false;
      break;
    case TRN_ZERO:
      up = negative && rest != 0;
      break;
    case RND:
      up = rest >= half;
      break;
    case RND_ZERO:
      up = rest > half || (rest == half && negative);
      break;
    case RND_INF:
      up = rest > half || (rest == half && !negative);
      break;
    case RND_MIN_INF:
      up = rest > half;
      break;
    case RND_CONV:
      up = rest > half || (rest == half && floor[0]);
      break;
    case CEIL:
      up = rest != 0;
      break;
    case UP:
      up = !negative && rest != 0;
      break;
  }
  return floor + (up ? 1 : 0);
}

// Clipped to [lo, hi].
template <class Y, int W>
Y clip(const ap_int<W>& x, const ap_int<W>& lo, const ap_int<W>& hi) {
#pragma HLS INLINE
  return x < lo ? Y(lo) : x > hi ? Y(hi) : Y(x);
}

// Piecewise constant: values[number of breakpoints <= x].
template <int N, class X, class T, class V, class Y>
Y pieces(const X& x, const T breakpoints[N], const V values[N + 1]) {
#pragma HLS INLINE
  Y y = values[0];
  for (int k = 0; k < N; ++k) {
#pragma HLS UNROLL
    if (x >= breakpoints[k]) y = values[k + 1];
  }
  return y;
}

// Indices of the K largest, ties to the lower index.
template <int N, int K, class X, class Y>
void argmax(const X x[N], Y y[K]) {
#pragma HLS INLINE
  bool taken[N];
  for (int i = 0; i < N; ++i) taken[i] = false;
  for (int k = 0; k < K; ++k) {
    int best = -1;
    for (int i = 0; i < N; ++i)
      if (!taken[i] && (best < 0 || x[i] > x[best])) best = i;
    taken[best] = true;
    y[k] = best;
  }
}

}  // namespace weft
