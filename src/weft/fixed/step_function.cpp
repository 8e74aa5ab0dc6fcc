// SPDX-License-Identifier: Apache-2.0
#include "weft/fixed/step_function.h"

#include <algorithm>
#include <limits>

#include "weft/diag/diag.h"
#include "weft/fixed/quantize.h"

namespace weft::fixed {
namespace {

/// Ranges of non-monotone functions are enumerated up to this many codes, else bounded.
constexpr Int kEnumerated = 1024;

FixedType folding_type(const ShiftRound& f) {
  return {.width_bits = f.width_bits,
          .integer_bits = f.width_bits,
          .is_signed = f.is_signed,
          .rounding = f.rounding,
          .overflow = f.overflow,
          .saturation_bits = f.saturation_bits};
}

Int evaluate_shift(const ShiftRound& f, Int x) {
  if (f.overflow != Overflow::Sat) return cast(x, f.shift, folding_type(f));
  if (f.shift > 0) return std::clamp(round_shift(x, f.shift, f.rounding), f.lo, f.hi);
  const auto exact = checked_shift_left(x, -f.shift);
  if (!exact) return x < 0 ? f.lo : f.hi;
  return std::clamp(*exact, f.lo, f.hi);
}

std::size_t piece_index(const Pieces& f, Int x) {
  return static_cast<std::size_t>(std::upper_bound(f.breakpoints.begin(), f.breakpoints.end(), x) -
                                  f.breakpoints.begin());
}

void check_pieces(const Pieces& f) {
  WEFT_CHECK(f.values.size() == f.breakpoints.size() + 1, "pieces need one more value than breakpoints");
}

int step_of(const Range& x) { return std::clamp(x.step_log2, 0, 126); }

/// Last grid point <= value, first grid point >= value.
Int grid_down(Int value, int step) { return floor_shift(value, step) << step; }
Int grid_up(Int value, int step) {
  const Int down = grid_down(value, step);
  return down == value ? value : down + (Int{1} << step);
}

/// [lo, hi] on the grid; empty ranges are bugs of the caller.
Range tightened(const Range& x) {
  const int step = step_of(x);
  Range out{grid_up(x.lo, step), grid_down(x.hi, step), step};
  WEFT_CHECK(out.lo <= out.hi, "a range holds no code");
  return out;
}

/// Collects results into a Range.
class Hull {
 public:
  void add(Int value) {
    if (empty_ || value < lo_) lo_ = value;
    if (empty_ || value > hi_) hi_ = value;
    empty_ = false;
    step_ = std::min(step_, trailing_zeros(value));
  }
  [[nodiscard]] Range range() const { return {lo_, hi_, lo_ == 0 && hi_ == 0 ? 0 : step_}; }

 private:
  bool empty_ = true;
  Int lo_ = 0;
  Int hi_ = 0;
  int step_ = 127;
};

/// Number of grid points of x, saturated.
Int count_of(const Range& x) {
  const int step = step_of(x);
  const auto span = checked_sub(x.hi >> step, x.lo >> step);
  const auto count = span ? checked_add(*span, 1) : std::nullopt;
  return count.value_or(std::numeric_limits<Int>::max());
}

/// True when no reachable code overflows the folding type: then the function is monotone.
bool never_folds(const ShiftRound& f, const Range& x) {
  if (f.overflow == Overflow::Sat) return true;
  const FixedType type = folding_type(f);
  const Int lo = min_code(type);
  const Int hi = max_code(type);
  const auto fits = [&](Int value) {
    if (f.shift > 0) {
      const Int y = round_shift(value, f.shift, f.rounding);
      return y >= lo && y <= hi;
    }
    const auto y = checked_shift_left(value, -f.shift);
    return y && *y >= lo && *y <= hi;
  };
  return fits(x.lo) && fits(x.hi);
}

Range range_of_shift(const ShiftRound& f, const Range& x) {
  // Grid of the unclipped results.
  const int grid = std::clamp(step_of(x) - f.shift, 0, 126);
  if (f.overflow == Overflow::Sat || f.overflow == Overflow::SatSym || never_folds(f, x)) {
    const Int lo = evaluate_shift(f, x.lo);
    const Int hi = evaluate_shift(f, x.hi);
    // Clipped ends may lie off the grid.
    Hull hull;
    hull.add(lo);
    hull.add(hi);
    Range out = hull.range();
    if (lo != hi) out.step_log2 = std::min(out.step_log2, grid);
    return out;
  }
  if (count_of(x) <= kEnumerated) {
    Hull hull;
    const int step = step_of(x);
    for (Int i = x.lo >> step; i <= x.hi >> step; ++i) hull.add(evaluate_shift(f, i << step));
    return hull.range();
  }
  const FixedType type = folding_type(f);
  const bool keeps_grid = f.overflow == Overflow::SatZero || (f.overflow == Overflow::Wrap && f.saturation_bits == 0);
  const int step = keeps_grid ? std::min(grid, f.width_bits - 1) : 0;
  return {grid_up(min_code(type), step), grid_down(max_code(type), step), step};
}

Range range_of_pieces(const Pieces& f, const Range& x) {
  check_pieces(f);
  const int step = step_of(x);
  Hull hull;
  Int at = x.lo;
  for (std::size_t i = piece_index(f, x.lo);; ++i) {
    const Int end = i < f.breakpoints.size() ? std::min(f.breakpoints[i] - 1, x.hi) : x.hi;
    // A piece between two grid points is never reached.
    if (at <= end) {
      hull.add(f.values[i]);
      at = grid_down(end, step);
      if (at >= x.hi) break;
      at += Int{1} << step;
    }
    if (i == f.breakpoints.size()) break;
  }
  return hull.range();
}

void append(Pieces& out, Int start, Int value) {
  if (!out.values.empty()) {
    if (out.values.back() == value) return;
    out.breakpoints.push_back(start);
  }
  out.values.push_back(value);
}

Pieces restrict_pieces(const Pieces& f, const Range& x) {
  check_pieces(f);
  const int step = step_of(x);
  Pieces out;
  for (std::size_t i = piece_index(f, x.lo); i < f.values.size(); ++i) {
    const Int start = i == 0 ? x.lo : std::max(f.breakpoints[i - 1], x.lo);
    const Int end = i < f.breakpoints.size() ? std::min(f.breakpoints[i] - 1, x.hi) : x.hi;
    if (start > x.hi) break;
    if (start <= end && grid_down(end, step) >= start) append(out, start, f.values[i]);
  }
  return out;
}

/// Appends the pieces of a monotone part [lo, hi]; false when there are more than `limit`, or when stopped. Each piece
/// is found by doubling steps, then bisection, so its cost is logarithmic in its length.
bool append_monotone(Pieces& out, const std::function<Int(Int)>& f, Int lo, Int hi, std::size_t limit,
                     const std::function<bool()>& stop = {}) {
  const Int last = f(hi);
  Int at = lo;
  while (true) {
    const Int value = f(at);
    append(out, at, value);
    if (out.values.size() > limit || (stop && stop())) return false;
    if (value == last) return true;
    // f(inside) == value, f(outside) != value.
    Int inside = at;
    Int outside = hi;
    for (Int step = 1;; step *= 2) {
      // hi - inside may exceed 127 bits only for ranges that no graph has; compare unsigned.
      if (static_cast<UInt>(hi) - static_cast<UInt>(inside) <= static_cast<UInt>(step)) break;
      const Int probe = inside + step;
      if (f(probe) != value) {
        outside = probe;
        break;
      }
      inside = probe;
      if (step > (Int{1} << 124)) break;
    }
    while (static_cast<UInt>(outside) - static_cast<UInt>(inside) > 1) {
      const Int middle = inside + static_cast<Int>((static_cast<UInt>(outside) - static_cast<UInt>(inside)) / 2);
      (f(middle) == value ? inside : outside) = middle;
    }
    at = outside;
  }
}

/// Grid indices of x at which the folding may jump against the slope; nullopt when more than `limit`.
std::optional<std::vector<Int>> folding_points(const ShiftRound& f, const Range& x, std::size_t limit) {
  std::vector<Int> points;
  if (f.overflow == Overflow::Sat || f.overflow == Overflow::SatSym || never_folds(f, x)) return points;
  // The unfolded value is monotone, and the folded one is monotone (rising or, complemented, falling) as long as the
  // unfolded value stays in one cell: the bits from this one up decide how it is folded.
  const int cell_bits = f.width_bits - std::max(f.saturation_bits, f.is_signed ? 1 : 0);
  const int step = step_of(x);
  const auto cell_of = [&](Int index, Rounding rounding) {
    const Int value = index << step;
    Int cell = value;
    if (f.shift > 0) {
      cell = floor_shift(round_shift(value, f.shift, rounding), cell_bits);
    } else if (cell_bits + f.shift > 0) {
      cell = floor_shift(value, cell_bits + f.shift);
    }
    // All of what is out of range becomes zero.
    return f.overflow == Overflow::SatZero ? std::clamp(cell, Int{-2}, Int{1}) : cell;
  };
  // Sign-magnitude wrap also looks at a bit of the value before rounding.
  for (const Rounding rounding : {f.rounding, Rounding::Trn}) {
    Pieces cells;
    const auto cell = [&](Int index) { return cell_of(index, rounding); };
    if (!append_monotone(cells, cell, x.lo >> step, x.hi >> step, limit)) return std::nullopt;
    points.insert(points.end(), cells.breakpoints.begin(), cells.breakpoints.end());
    if (f.overflow != Overflow::WrapSm) break;
  }
  return points;
}

}  // namespace

Int evaluate(const StepFunction& function, Int x) {
  if (const auto* f = std::get_if<ShiftRound>(&function)) return evaluate_shift(*f, x);
  const auto& f = std::get<Pieces>(function);
  check_pieces(f);
  return f.values[piece_index(f, x)];
}

Range range_of(const StepFunction& function, const Range& x) {
  const Range tight = tightened(x);
  if (const auto* f = std::get_if<ShiftRound>(&function)) return range_of_shift(*f, tight);
  return range_of_pieces(std::get<Pieces>(function), tight);
}

std::optional<Pieces> pieces_of(const std::function<Int(Int)>& f, Int lo, Int hi,
                                const std::vector<Int>& turning_points, std::size_t limit,
                                const std::function<bool()>& stop) {
  WEFT_CHECK(lo <= hi, "pieces_of needs lo <= hi");
  std::vector<Int> starts{lo};
  for (const Int t : turning_points) {
    if (t > lo && t <= hi) starts.push_back(t);
  }
  std::sort(starts.begin(), starts.end());
  starts.erase(std::unique(starts.begin(), starts.end()), starts.end());
  Pieces out;
  for (std::size_t i = 0; i < starts.size(); ++i) {
    const Int end = i + 1 < starts.size() ? starts[i + 1] - 1 : hi;
    if (!append_monotone(out, f, starts[i], end, limit, stop)) return std::nullopt;
  }
  return out;
}

Pieces pieces_of(const std::function<Int(Int)>& f, Int lo, Int hi, const std::vector<Int>& turning_points) {
  return *pieces_of(f, lo, hi, turning_points, static_cast<std::size_t>(-1));
}

bool is_valid(const StepFunction& function) {
  if (const auto* f = std::get_if<ShiftRound>(&function)) {
    if (f->lo > f->hi || f->shift < -4096 || f->shift > 4096) return false;
    if (f->overflow == Overflow::Sat) return true;
    return f->width_bits >= 1 && f->width_bits <= (f->is_signed ? 128 : 127) && f->saturation_bits >= 0 &&
           f->saturation_bits <= f->width_bits && (f->is_signed || f->overflow != Overflow::WrapSm);
  }
  const auto& f = std::get<Pieces>(function);
  if (f.values.size() != f.breakpoints.size() + 1) return false;
  return std::adjacent_find(f.breakpoints.begin(), f.breakpoints.end(), std::greater_equal<>()) == f.breakpoints.end();
}

StepFunction restrict(const StepFunction& function, const Range& x) {
  const Range tight = tightened(x);
  if (const auto* f = std::get_if<ShiftRound>(&function)) {
    ShiftRound out = *f;
    const Range range = range_of_shift(*f, tight);
    out.lo = range.lo;
    out.hi = range.hi;
    return out;
  }
  return restrict_pieces(std::get<Pieces>(function), tight);
}

std::optional<Pieces> to_pieces(const StepFunction& function, const Range& x, std::size_t limit) {
  const Range tight = tightened(x);
  if (const auto* f = std::get_if<Pieces>(&function)) {
    Pieces out = restrict_pieces(*f, tight);
    if (out.values.size() > limit) return std::nullopt;
    return out;
  }
  const auto& f = std::get<ShiftRound>(function);
  // Found on grid indices, so that codes between grid points cost nothing.
  const int step = step_of(tight);
  if (f.overflow == Overflow::Sat || never_folds(f, tight)) {
    // From one grid point to the next the result rises by at most this power of two.
    const Int rise = evaluate_shift(f, tight.hi) - evaluate_shift(f, tight.lo);
    if (rise >> std::clamp(step - f.shift, 0, 126) >= static_cast<Int>(limit)) return std::nullopt;
  }
  const auto points = folding_points(f, tight, limit);
  if (!points) return std::nullopt;
  auto out = pieces_of([&](Int index) { return evaluate_shift(f, index << step); }, tight.lo >> step, tight.hi >> step,
                       *points, limit);
  if (out) {
    for (Int& b : out->breakpoints) b <<= step;
  }
  return out;
}

}  // namespace weft::fixed
