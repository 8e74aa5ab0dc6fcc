// SPDX-License-Identifier: Apache-2.0
#include <algorithm>
#include <array>

#include "weft/diag/diag.h"
#include "weft/fixed/quantize.h"
#include "weft/fixed/step_function.h"

namespace weft::fixed {
namespace {

/// One plateau: the first and last reachable code, and the result.
struct Plateau {
  Int first = 0;
  Int last = 0;
  Int value = 0;
};

/// The plateaus of `pieces` that hold a reachable code.
std::vector<Plateau> plateaus_of(const Pieces& pieces, const Range& x) {
  WEFT_CHECK(is_valid(pieces), "pieces are malformed");
  const int step = std::clamp(x.step_log2, 0, 126);
  const auto down = [&](Int v) { return floor_shift(v, step) << step; };
  const auto up = [&](Int v) { return down(v) == v ? v : down(v) + (Int{1} << step); };
  std::vector<Plateau> out;
  for (std::size_t i = 0; i < pieces.values.size(); ++i) {
    const Int first = up(i == 0 ? x.lo : std::max(x.lo, pieces.breakpoints[i - 1]));
    const Int last = down(i < pieces.breakpoints.size() ? std::min(x.hi, pieces.breakpoints[i] - 1) : x.hi);
    if (first > last) continue;
    if (!out.empty() && out.back().value == pieces.values[i]) {
      out.back().last = last;
    } else {
      out.push_back({first, last, pieces.values[i]});
    }
  }
  WEFT_CHECK(!out.empty(), "a range holds no code");
  return out;
}

bool ascends(const std::vector<Plateau>& plateaus) {
  return std::adjacent_find(plateaus.begin(), plateaus.end(),
                            [](const Plateau& a, const Plateau& b) { return a.value >= b.value; }) == plateaus.end();
}

/// f(-x): descending functions become ascending ones.
void mirror(std::vector<Plateau>& plateaus) {
  std::reverse(plateaus.begin(), plateaus.end());
  for (auto& p : plateaus) p = {-p.last, -p.first, p.value};
}

/// Addends a with floor((m x + a) / 2^shift), clamped to the values' range, right on every plateau. Because m >= 0,
/// being right at both ends of a plateau is being right on it, so the ends are a proof. The lowest plateau has no lower
/// and the highest no upper condition: the clamp takes care.
struct Addends {
  Int lo = 0;
  Int hi = 0;
};

Addends addends(const std::vector<Plateau>& plateaus, Int multiplier, int shift) {
  Addends out;
  for (std::size_t i = 0; i + 1 < plateaus.size(); ++i) {
    const Int above = ((plateaus[i].value + 1) << shift) - 1 - multiplier * plateaus[i].last;
    const Int below = (plateaus[i + 1].value << shift) - multiplier * plateaus[i + 1].first;
    out.hi = i == 0 ? above : std::min(out.hi, above);
    out.lo = i == 0 ? below : std::max(out.lo, below);
  }
  return out;
}

/// The number in [lo, hi] (0 <= lo <= hi) with the fewest non-zero signed digits, at most `digits` of them. Such a
/// number is 2^e, or 2^e plus or minus a number with one digit less and below 2/3 of the distance to the next power.
std::optional<Int> sparse_number(Int lo, Int hi, int digits) {
  if (lo <= 0 && hi >= 0) return Int{0};
  if (hi < 0) {
    const auto out = sparse_number(-hi, -lo, digits);
    if (!out) return std::nullopt;
    return -*out;
  }
  if (digits == 0) return std::nullopt;
  const int e = width_bits(0, lo, false) - 1;
  const Int base = Int{1} << e;
  if (lo == base) return base;
  const Int next = base * 2;
  if (next <= hi) return next;
  if (digits == 1) return std::nullopt;
  // lo and hi lie strictly between base and next.
  std::optional<Int> best;
  const Int plus = base / 3 + 1;
  const Int minus = next / 3 + 1;
  if (lo - base <= plus) {
    if (const auto rest = sparse_number(lo - base, std::min(hi - base, plus), digits - 1)) best = base + *rest;
  }
  if (!best && next - hi <= minus) {
    if (const auto rest = sparse_number(next - hi, std::min(next - lo, minus), digits - 1)) best = next - *rest;
  }
  return best;
}

struct Sparse {
  Int value = 0;
  int digits = 0;
};

Sparse sparsest(Int lo, Int hi) {
  for (int digits = 0;; ++digits) {
    WEFT_CHECK(digits <= 128, "every number has a signed-digit form");
    if (const auto value = sparse_number(lo, hi, digits)) return {*value, digits};
  }
}

/// Multipliers that work at `shift`: the slack of the addends is concave in the multiplier, so they form an interval.
std::optional<Addends> multipliers(const std::vector<Plateau>& plateaus, int shift, Int limit) {
  const auto slack = [&](Int m) {
    const auto a = addends(plateaus, m, shift);
    return a.hi - a.lo;
  };
  Int lo = 0;
  Int hi = limit;
  while (lo < hi) {
    const Int middle = lo + (hi - lo) / 2;
    if (slack(middle + 1) > slack(middle)) {
      lo = middle + 1;
    } else {
      hi = middle;
    }
  }
  const Int best = lo;
  if (slack(best) < 0) return std::nullopt;
  Addends out{best, best};
  for (Int outside = -1; out.lo - outside > 1;) {
    const Int middle = outside + (out.lo - outside) / 2;
    (slack(middle) >= 0 ? out.lo : outside) = middle;
  }
  for (Int outside = limit + 1; outside - out.hi > 1;) {
    const Int middle = out.hi + (outside - out.hi) / 2;
    (slack(middle) >= 0 ? out.hi : outside) = middle;
  }
  return out;
}

Int ceil_shift(Int value, int shift) { return -floor_shift(-value, shift); }

}  // namespace

std::optional<MultiplyShift> find_multiply_shift(const Pieces& pieces, const Range& x, int max_shift) {
  auto plateaus = plateaus_of(pieces, x);
  if (plateaus.size() == 1) {
    const Int value = plateaus.front().value;
    return MultiplyShift{.lo = value, .hi = value};
  }
  const bool descending = plateaus.front().value > plateaus.back().value;
  // Everything below stays well inside 128 bits.
  const Int span_lo = std::min(plateaus.front().value, plateaus.back().value);
  const Int span_hi = std::max(plateaus.front().value, plateaus.back().value);
  const int bits = width_bits(x.lo, x.hi, true) + 2 * width_bits(span_lo, span_hi, true);
  max_shift = std::min(max_shift, 120 - bits);
  if (max_shift < 0) return std::nullopt;
  if (descending) mirror(plateaus);
  if (!ascends(plateaus)) return std::nullopt;

  // A slope beyond the whole span per code leaves room for one plateau between the ends at most, and then every steeper
  // slope works too: a power of two there is as good as any. What works at one shift works, doubled, at the next, and
  // only then; so the interval at the largest shift holds all of them.
  const Int limit = Int{1} << (width_bits(0, span_hi - span_lo + 1, false) + max_shift);
  const auto interval = multipliers(plateaus, max_shift, limit);
  if (!interval) return std::nullopt;
  const int digits = sparsest(interval->lo, interval->hi).digits;
  for (int shift = 0; shift <= max_shift; ++shift) {
    const Int lo = ceil_shift(interval->lo, max_shift - shift);
    const Int hi = floor_shift(interval->hi, max_shift - shift);
    if (lo > hi) continue;
    const auto multiplier = sparse_number(lo, hi, digits);
    if (!multiplier) continue;
    const auto range = addends(plateaus, *multiplier, shift);
    WEFT_CHECK(range.lo <= range.hi, "a multiplier of the interval has no addend");
    return MultiplyShift{.multiplier = descending ? -*multiplier : *multiplier,
                         .addend = sparsest(range.lo, range.hi).value,
                         .shift = shift,
                         .lo = span_lo,
                         .hi = span_hi};
  }
  return std::nullopt;
}

std::optional<ShiftRound> find_shift_round(const Pieces& pieces, const Range& x) {
  const auto plateaus = plateaus_of(pieces, x);
  if (!ascends(plateaus)) return std::nullopt;
  ShiftRound f{.rounding = Rounding::Trn, .lo = plateaus.front().value, .hi = plateaus.back().value};
  if (plateaus.size() == 1) return f;
  // Both functions are monotone, so equality at both ends of every plateau is equality.
  const auto equal = [&](const Plateau& p) {
    return evaluate(f, p.first) == p.value && evaluate(f, p.last) == p.value;
  };
  const int widest = width_bits(x.lo, x.hi, true) + 1;
  const int steepest = width_bits(f.lo, f.hi, true) + 1;
  // By the cost of the hardware: floor, one added constant, then those that look at more bits.
  constexpr std::array kOrder{Rounding::Trn,    Rounding::Rnd,     Rounding::RndMinInf,
                              Rounding::Ceil,   Rounding::RndConv, Rounding::RndZero,
                              Rounding::RndInf, Rounding::TrnZero, Rounding::Up};
  for (const Rounding rounding : kOrder) {
    f.rounding = rounding;
    for (f.shift = -steepest; f.shift <= widest; ++f.shift) {
      if (equal(plateaus[plateaus.size() / 2]) && std::all_of(plateaus.begin(), plateaus.end(), equal)) return f;
    }
  }
  return std::nullopt;
}

}  // namespace weft::fixed
