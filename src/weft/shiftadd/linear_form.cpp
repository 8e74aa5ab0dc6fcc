// SPDX-License-Identifier: Apache-2.0
#include "weft/shiftadd/linear_form.h"

#include <algorithm>

namespace weft::shiftadd {
namespace {

std::optional<Int> scaled(Int value, int shift, bool negate) {
  auto shifted = fixed::checked_shift_left(value, shift);
  if (!shifted || !negate) return shifted;
  return fixed::checked_sub(0, *shifted);
}

std::uint64_t mix(std::uint64_t x) {
  x ^= x >> 30;
  x *= 0xbf58476d1ce4e5b9ULL;
  x ^= x >> 27;
  x *= 0x94d049bb133111ebULL;
  return x ^ (x >> 31);
}

}  // namespace

std::optional<LinearForm> combine(const LinearForm& a, int shift_a, bool negate_a, const LinearForm& b, int shift_b,
                                  bool negate_b) {
  LinearForm out;
  out.terms.reserve(a.terms.size() + b.terms.size());
  auto ia = a.terms.begin();
  auto ib = b.terms.begin();
  while (ia != a.terms.end() || ib != b.terms.end()) {
    const bool take_a = ib == b.terms.end() || (ia != a.terms.end() && ia->first <= ib->first);
    const bool take_b = ia == a.terms.end() || (ib != b.terms.end() && ib->first <= ia->first);
    const std::int32_t input = take_a ? ia->first : ib->first;
    Int sum = 0;
    if (take_a) {
      const auto value = scaled(ia->second, shift_a, negate_a);
      if (!value) return std::nullopt;
      sum = *value;
      ++ia;
    }
    if (take_b) {
      const auto value = scaled(ib->second, shift_b, negate_b);
      if (!value) return std::nullopt;
      const auto total = fixed::checked_add(sum, *value);
      if (!total) return std::nullopt;
      sum = *total;
      ++ib;
    }
    if (sum != 0) out.terms.emplace_back(input, sum);
  }
  const auto ca = scaled(a.constant, shift_a, negate_a);
  const auto cb = scaled(b.constant, shift_b, negate_b);
  if (!ca || !cb) return std::nullopt;
  const auto constant = fixed::checked_add(*ca, *cb);
  if (!constant) return std::nullopt;
  out.constant = *constant;
  return out;
}

std::optional<fixed::Range> exact_range(const LinearForm& form, const std::vector<fixed::Range>& inputs) {
  Int lo = form.constant;
  Int hi = form.constant;
  int step = 127;
  if (form.constant != 0) step = fixed::trailing_zeros(form.constant);
  for (const auto& [input, coefficient] : form.terms) {
    const fixed::Range& range = inputs[static_cast<std::size_t>(input)];
    const auto at_lo = fixed::checked_mul(coefficient, coefficient > 0 ? range.lo : range.hi);
    const auto at_hi = fixed::checked_mul(coefficient, coefficient > 0 ? range.hi : range.lo);
    if (!at_lo || !at_hi) return std::nullopt;
    const auto new_lo = fixed::checked_add(lo, *at_lo);
    const auto new_hi = fixed::checked_add(hi, *at_hi);
    if (!new_lo || !new_hi) return std::nullopt;
    lo = *new_lo;
    hi = *new_hi;
    if (range.lo != 0 || range.hi != 0) step = std::min(step, fixed::trailing_zeros(coefficient) + range.step_log2);
  }
  if (lo == hi) step = lo == 0 ? 0 : fixed::trailing_zeros(lo);
  return fixed::Range{lo, hi, std::min(step, 126)};
}

Normalized normalize(LinearForm form) {
  Normalized out;
  const Int leading = form.terms.empty() ? form.constant : form.terms.front().second;
  if (leading == 0) return out;
  out.negate = leading < 0;
  int zeros = form.constant == 0 ? 127 : fixed::trailing_zeros(form.constant);
  for (const auto& term : form.terms) zeros = std::min(zeros, fixed::trailing_zeros(term.second));
  out.shift = zeros;
  const auto reduce = [&](Int value) {
    const Int quotient = value >> zeros;  // exact: the low bits are zero
    return out.negate ? -quotient : quotient;
  };
  for (auto& term : form.terms) term.second = reduce(term.second);
  form.constant = reduce(form.constant);
  out.form = std::move(form);
  return out;
}

std::uint64_t hash_form(const LinearForm& form) {
  std::uint64_t hash = mix(static_cast<std::uint64_t>(form.constant) ^ 0x9e3779b97f4a7c15ULL);
  for (const auto& [input, coefficient] : form.terms) {
    hash +=
        mix(static_cast<std::uint64_t>(coefficient) * 0x9e3779b97f4a7c15ULL + static_cast<std::uint64_t>(input) + 1);
  }
  return hash;
}

}  // namespace weft::shiftadd
