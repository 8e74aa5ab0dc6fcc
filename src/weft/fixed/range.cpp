// SPDX-License-Identifier: Apache-2.0
#include "weft/fixed/range.h"

#include <algorithm>

namespace weft::fixed {
namespace {

/// The constant 0 is a multiple of everything; its step is written 0, but it must not coarsen or refine a union or sum.
int grid(const Range& range) { return range.lo == 0 && range.hi == 0 ? 127 : range.step_log2; }

Range with_grid(Int lo, Int hi, int step_log2) {
  if (lo == 0 && hi == 0) return {0, 0, 0};
  // A constant is known to its last zero bit.
  if (lo == hi) return {lo, hi, trailing_zeros(lo)};
  return {lo, hi, std::min(step_log2, 126)};
}

}  // namespace

std::optional<Range> add(const Range& a, const Range& b) {
  const auto lo = checked_add(a.lo, b.lo);
  const auto hi = checked_add(a.hi, b.hi);
  if (!lo || !hi) return std::nullopt;
  return with_grid(*lo, *hi, std::min(grid(a), grid(b)));
}

std::optional<Range> sub(const Range& a, const Range& b) {
  const auto lo = checked_sub(a.lo, b.hi);
  const auto hi = checked_sub(a.hi, b.lo);
  if (!lo || !hi) return std::nullopt;
  return with_grid(*lo, *hi, std::min(grid(a), grid(b)));
}

std::optional<Range> shift_left(const Range& a, int shift) {
  const auto lo = checked_shift_left(a.lo, shift);
  const auto hi = checked_shift_left(a.hi, shift);
  if (!lo || !hi) return std::nullopt;
  return with_grid(*lo, *hi, a.step_log2 + shift);
}

std::optional<Range> scale(const Range& a, Int k) {
  if (k == 0) return Range{};
  const auto p = checked_mul(a.lo, k);
  const auto q = checked_mul(a.hi, k);
  if (!p || !q) return std::nullopt;
  return with_grid(std::min(*p, *q), std::max(*p, *q), a.step_log2 + trailing_zeros(k));
}

std::optional<Range> mul(const Range& a, const Range& b) {
  const auto p = checked_mul(a.lo, b.lo);
  const auto q = checked_mul(a.lo, b.hi);
  const auto r = checked_mul(a.hi, b.lo);
  const auto s = checked_mul(a.hi, b.hi);
  if (!p || !q || !r || !s) return std::nullopt;
  return with_grid(std::min({*p, *q, *r, *s}), std::max({*p, *q, *r, *s}), a.step_log2 + b.step_log2);
}

Range unite(const Range& a, const Range& b) {
  return with_grid(std::min(a.lo, b.lo), std::max(a.hi, b.hi), std::min(grid(a), grid(b)));
}

Range max(const Range& a, const Range& b) {
  if (a.lo >= b.hi) return a;
  if (b.lo >= a.hi) return b;
  return with_grid(std::max(a.lo, b.lo), std::max(a.hi, b.hi), std::min(grid(a), grid(b)));
}

int width_bits(const Range& range) { return width_bits(range.lo, range.hi, is_signed(range)); }

}  // namespace weft::fixed
