// SPDX-License-Identifier: Apache-2.0
/// @file
/// All other kernels as plain loops over lanes, which the compiler vectorizes for each instruction set.
#pragma once

#include "weft/emulate/kernels.h"

namespace weft::emulate {
namespace {

// Sums and products are modulo 2^64 on purpose: the plan proves that the result fits.
WEFT_INLINE std::int64_t wrap_add(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) + static_cast<std::uint64_t>(b));
}
WEFT_INLINE std::int64_t wrap_sub(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) - static_cast<std::uint64_t>(b));
}
WEFT_INLINE std::int64_t wrap_mul(std::int64_t a, std::int64_t b) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) * static_cast<std::uint64_t>(b));
}
WEFT_INLINE std::int64_t wrap_shl(std::int64_t a, int n) {
  return static_cast<std::int64_t>(static_cast<std::uint64_t>(a) << n);
}

/// Calls f(pointer) with the element type of the lanes.
template <class F>
WEFT_INLINE void with(const Lanes& lanes, const F& f) {
  if (lanes.wide) {
    f(static_cast<std::int64_t*>(lanes.data));
  } else {
    f(static_cast<std::int32_t*>(lanes.data));
  }
}

/// Sixteen lanes of one element in 64 bits.
struct Row {
  std::int64_t v[kMinLanes];
};
template <class T>
WEFT_INLINE void load_row(Row& row, const T* p) {
  for (int l = 0; l < kMinLanes; ++l) row.v[l] = p[l];
}
WEFT_INLINE void load_row(Row& row, const Lanes& lanes, std::int64_t at) {
  with(lanes, [&](auto* p) { load_row(row, p + at); });
}
WEFT_INLINE void store_row(const Row& row, const Lanes& lanes, std::int64_t at) {
  with(lanes, [&](auto* p) {
    using T = __typeof__(*p + 0);
    for (int l = 0; l < kMinLanes; ++l) p[at + l] = static_cast<T>(row.v[l]);
  });
}

/// Lanes of `x` and `y` that differ and hold samples.
WEFT_INLINE std::uint64_t count_unequal(const Row& x, const Row& y, std::uint64_t valid) {
  std::uint64_t n = 0;
  for (int l = 0; l < kMinLanes; ++l) n += (x.v[l] != y.v[l] ? 1U : 0U) & (valid >> l);
  return n;
}

/// Rounds and folds in place; `rounded` keeps the value before folding.
WEFT_INLINE void apply_wide(const WideFunction& f, Row& y, Row& rounded) {
  if (f.n_breakpoints >= 0) {
    for (int l = 0; l < kMinLanes; ++l) {
      // Number of breakpoints <= x by halving.
      const std::int64_t* at = f.breakpoints;
      std::int64_t n = f.n_breakpoints;
      while (n > 0) {
        const std::int64_t half = n / 2;
        const bool right = at[half] <= y.v[l];
        at = right ? at + half + 1 : at;
        n = right ? n - half - 1 : half;
      }
      y.v[l] = f.values[at - f.breakpoints];
    }
    rounded = y;
    return;
  }
  if (f.shift > 0) {
    const std::int64_t low = (std::int64_t{1} << f.shift) - 1;
    for (int l = 0; l < kMinLanes; ++l) {
      const std::int64_t t = y.v[l] + f.addend + ((y.v[l] >> 63) & f.sign_addend);
      const std::int64_t tie = f.even && (t & low) == 0 ? 1 : 0;
      y.v[l] = (t >> f.shift) & ~tie;
    }
  } else if (f.shift < 0) {
    for (int l = 0; l < kMinLanes; ++l) y.v[l] = wrap_shl(y.v[l], -f.shift);
  }
  rounded = y;
  switch (f.fold) {
    case WideFunction::Fold::None:
      break;
    case WideFunction::Fold::Clamp:
      for (int l = 0; l < kMinLanes; ++l) y.v[l] = y.v[l] < f.lo ? f.lo : y.v[l] > f.hi ? f.hi : y.v[l];
      break;
    case WideFunction::Fold::Zero:
      for (int l = 0; l < kMinLanes; ++l) y.v[l] = y.v[l] < f.lo || y.v[l] > f.hi ? 0 : y.v[l];
      break;
    case WideFunction::Fold::WrapSigned:
      for (int l = 0; l < kMinLanes; ++l) y.v[l] = wrap_shl(y.v[l], f.wrap_shift) >> f.wrap_shift;
      break;
    case WideFunction::Fold::WrapUnsigned:
      for (int l = 0; l < kMinLanes; ++l) {
        y.v[l] = static_cast<std::int64_t>(static_cast<std::uint64_t>(wrap_shl(y.v[l], f.wrap_shift)) >> f.wrap_shift);
      }
      break;
  }
}

void matvec_wide(const WideMatVecArgs& a) {
  for (std::int64_t row = 0; row < a.rows; ++row) {
    for (std::int64_t o = 0; o < a.n_out; ++o) {
      for (int lane = 0; lane < a.lanes; lane += kMinLanes) {
        Row sum;
        for (int l = 0; l < kMinLanes; ++l) sum.v[l] = a.bias[o];
        with(a.x, [&](const auto* p) {
          for (std::int64_t i = 0; i < a.n_in; ++i) {
            const std::int64_t w = a.weights[i * a.n_out + o];
            if (w == 0) continue;
            const auto* x = p + (row * a.n_in + i) * a.lanes + lane;
            for (int l = 0; l < kMinLanes; ++l) sum.v[l] = wrap_add(sum.v[l], wrap_mul(w, x[l]));
          }
        });
        std::int64_t* y = a.y + (row * a.n_out + o) * a.lanes + lane;
        for (int l = 0; l < kMinLanes; ++l) y[l] = sum.v[l];
      }
    }
  }
}

void chain(const ChainArgs& c) {
  const WideMatVecArgs& a = c.matvec;
  for (std::int64_t row = 0; row < a.rows; ++row) {
    for (std::int64_t o = 0; o < a.n_out; ++o) {
      for (int lane = 0; lane < a.lanes; lane += kMinLanes) {
        Row sum;
        Row product;
        Row unused;
        for (int l = 0; l < kMinLanes; ++l) sum.v[l] = a.bias[o];
        for (std::int64_t i = 0; i < a.n_in; ++i) {
          const std::int64_t w = a.weights[i * a.n_out + o];
          if (w == 0) continue;  // the cast of 0 is 0, and the sum is in its type already
          load_row(product, a.x, (row * a.n_in + i) * a.lanes + lane);
          for (int l = 0; l < kMinLanes; ++l) product.v[l] *= w;
          apply_wide(c.product_function, product, unused);
          for (int l = 0; l < kMinLanes; ++l) sum.v[l] += product.v[l];
          apply_wide(c.sum_function, sum, unused);
        }
        std::int64_t* y = a.y + (row * a.n_out + o) * a.lanes + lane;
        for (int l = 0; l < kMinLanes; ++l) y[l] = sum.v[l];
      }
    }
  }
}

void table(const TableArgs& a) {
  std::int32_t f = 0;
  const std::int32_t last = a.size - 1;
  for (std::int64_t i = 0; i < a.elements; ++i) {
    const std::int32_t* entries = a.table + static_cast<std::int64_t>(f) * a.size;
    const std::int32_t* x = a.x + i * a.lanes;
    std::int32_t* y = a.y + i * a.lanes;
    for (int l = 0; l < a.lanes; ++l) {
      const std::int32_t at = x[l] - a.lo;
      y[l] = entries[at < 0 ? 0 : at > last ? last : at];
    }
    if (++f == a.n_functions) f = 0;
  }
}

void requant_wide(const WideRequantArgs& a, Tally& tally) {
  std::int64_t f = 0;
  for (std::int64_t i = 0; i < a.elements; ++i) {
    for (int lane = 0; lane < a.lanes; lane += kMinLanes) {
      Row y;
      Row rounded;
      load_row(y, a.x, i * a.lanes + lane);
      apply_wide(a.functions[f], y, rounded);
      if (a.count) tally.count += count_unequal(y, rounded, tally.valid >> lane);
      store_row(y, a.y, i * a.lanes + lane);
    }
    if (++f == a.n_functions) f = 0;
  }
}

void binary(const BinaryArgs& args) {
  for (std::int64_t i = 0; i < args.elements; ++i) {
    const std::int64_t ia = args.a_index != nullptr ? args.a_index[i] : i;
    const std::int64_t ib = args.b_index != nullptr ? args.b_index[i] : i;
    for (int lane = 0; lane < args.lanes; lane += kMinLanes) {
      Row a;
      Row b;
      load_row(a, args.a, ia * args.lanes + lane);
      load_row(b, args.b, ib * args.lanes + lane);
      switch (args.op) {
        case BinaryOp::Add:
          for (int l = 0; l < kMinLanes; ++l) {
            a.v[l] = wrap_add(wrap_shl(a.v[l], args.shift_a), wrap_shl(b.v[l], args.shift_b));
          }
          break;
        case BinaryOp::Sub:
          for (int l = 0; l < kMinLanes; ++l) {
            a.v[l] = wrap_sub(wrap_shl(a.v[l], args.shift_a), wrap_shl(b.v[l], args.shift_b));
          }
          break;
        case BinaryOp::Mul:
          for (int l = 0; l < kMinLanes; ++l) a.v[l] = wrap_mul(a.v[l], b.v[l]);
          break;
      }
      store_row(a, args.y, i * args.lanes + lane);
    }
  }
}

void copy(const CopyArgs& a) {
  for (std::int64_t i = 0; i < a.elements; ++i) {
    const std::int64_t from = a.from != nullptr ? a.from[i] : i;
    const std::int64_t to = a.to != nullptr ? a.to[i] : i;
    for (int lane = 0; lane < a.lanes; lane += kMinLanes) {
      Row row;
      for (int l = 0; l < kMinLanes; ++l) row.v[l] = a.pad;
      if (from != static_cast<std::int64_t>(kCopyPad)) load_row(row, a.x, from * a.lanes + lane);
      store_row(row, a.y, to * a.lanes + lane);
    }
  }
}

void reduce(const ReduceArgs& a) {
  for (std::int64_t row = 0; row < a.rows; ++row) {
    for (int lane = 0; lane < a.lanes; lane += kMinLanes) {
      Row y;
      load_row(y, a.x, row * a.n * a.lanes + lane);
      for (std::int64_t i = 1; i < a.n; ++i) {
        Row x;
        load_row(x, a.x, (row * a.n + i) * a.lanes + lane);
        if (a.maximum) {
          for (int l = 0; l < kMinLanes; ++l) y.v[l] = y.v[l] > x.v[l] ? y.v[l] : x.v[l];
        } else {
          for (int l = 0; l < kMinLanes; ++l) y.v[l] = wrap_add(y.v[l], x.v[l]);
        }
      }
      store_row(y, a.y, row * a.lanes + lane);
    }
  }
}

/// The next index in the order (value descending, index ascending) after the one found before, k times.
void argmax(const ArgMaxArgs& a) {
  for (std::int64_t row = 0; row < a.rows; ++row) {
    for (int lane = 0; lane < a.lanes; lane += kMinLanes) {
      Row last_value{};
      Row last_index{};
      for (std::int64_t j = 0; j < a.k; ++j) {
        Row value{};
        Row index;
        for (int l = 0; l < kMinLanes; ++l) index.v[l] = -1;
        for (std::int64_t i = 0; i < a.n; ++i) {
          Row x;
          load_row(x, a.x, (row * a.n + i) * a.lanes + lane);
          for (int l = 0; l < kMinLanes; ++l) {
            const bool left = j == 0 || x.v[l] < last_value.v[l] || (x.v[l] == last_value.v[l] && i > last_index.v[l]);
            const bool better = left && (index.v[l] < 0 || x.v[l] > value.v[l]);
            value.v[l] = better ? x.v[l] : value.v[l];
            index.v[l] = better ? i : index.v[l];
          }
        }
        store_row(index, a.y, (row * a.k + j) * a.lanes + lane);
        last_value = value;
        last_index = index;
      }
    }
  }
}

void pack(const PackArgs& a) {
  const int per_unit = codes_per_unit(a.layout);
  const std::int64_t units = (a.n + per_unit - 1) / per_unit;
  for (std::int64_t row = 0; row < a.rows; ++row) {
    for (std::int64_t u = 0; u < units; ++u) {
      std::uint32_t unit[kMaxLanes] = {};
      const std::int64_t end = (u + 1) * per_unit < a.n ? (u + 1) * per_unit : a.n;
      for (std::int64_t i = u * per_unit; i < end; ++i) {
        const std::int32_t* x = a.x + (row * a.n + i) * a.lanes;
        const int at = static_cast<int>(i - u * per_unit) * (32 / per_unit);
        if (a.layout == Layout::Bits) {
          for (int l = 0; l < a.lanes; ++l) unit[l] |= (x[l] > 0 ? 1U : 0U) << at;
        } else {
          const std::uint32_t mask = a.layout == Layout::Bytes ? 0xFFU : 0xFFFFU;
          for (int l = 0; l < a.lanes; ++l) unit[l] |= (static_cast<std::uint32_t>(x[l] + a.offset) & mask) << at;
        }
      }
      std::int32_t* y = a.y + (row * units + u) * a.lanes;
      for (int l = 0; l < a.lanes; ++l) y[l] = static_cast<std::int32_t>(unit[l]);
    }
  }
}

}  // namespace
}  // namespace weft::emulate
