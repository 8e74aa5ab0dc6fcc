// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>

#include "weft/fixed/quantize.h"
#include "weft/hw/lowering.h"

// A requantization is built in the cheapest exact form:
// - shift and round: one constant adder (usually merged into the sum before), wiring, OR/AND of high bits to saturate;
// - few results: one comparator with a constant per step, each a handful of LUTs;
// - many steps: a shift and round or a multiply-shift when proven equal, else a binary search over the thresholds, or a
//   table when the input is narrow.

namespace weft::hw {

using exact::Value;
using netlist::NetId;
using netlist::Term;
using Signals = std::vector<Signal>;

namespace {

constexpr std::size_t kComparatorPieces = 4;
constexpr std::size_t kMaxPieces = std::size_t{1} << 20;
constexpr int kMaxTableBits = 16;

Int ceil_shift(Int value, int shift) { return -fixed::floor_shift(-value, shift); }

bool consecutive(const std::vector<Int>& values) {
  for (std::size_t i = 1; i < values.size(); ++i) {
    if (values[i] != values[i - 1] + 1) return false;
  }
  return true;
}

/// Bits of an index below `count`.
int width_of_count(std::size_t count) { return fixed::width_bits(0, static_cast<Int>(count) - 1, false); }

}  // namespace

bool is_relu(const exact::Requant& p, const exact::Value& x) {
  for (std::size_t e = 0; e < p.functions.size(); ++e) {
    const auto* f = std::get_if<fixed::ShiftRound>(&p.functions[e]);
    if (f == nullptr || f->shift != 0 || f->overflow != fixed::Overflow::Sat || f->lo != 0) return false;
    for (std::size_t i = e; i < x.ranges.size(); i += p.functions.size()) {
      if (x.ranges[i].hi > f->hi) return false;
    }
  }
  return true;
}

fixed::Pieces over_net(const fixed::Pieces& function, const Signal& x, const fixed::Range& net_range) {
  fixed::Pieces out;
  const std::size_t n = function.breakpoints.size();
  // x >= b as a condition on the net: net >= t, or net < t when negated.
  const auto append = [&](Int threshold, Int value) {
    if (threshold <= net_range.lo) {
      out.breakpoints.clear();
      out.values.assign(1, value);
    } else if (threshold <= net_range.hi && out.values.back() != value) {
      if (!out.breakpoints.empty() && out.breakpoints.back() == threshold) {
        out.values.back() = value;
        // Equal neighbours may meet now.
        if (out.values[out.values.size() - 2] == value) {
          out.values.pop_back();
          out.breakpoints.pop_back();
        }
      } else {
        out.breakpoints.push_back(threshold);
        out.values.push_back(value);
      }
    } else if (threshold <= net_range.hi && !out.breakpoints.empty() && out.breakpoints.back() == threshold) {
      out.values.back() = value;
    }
  };
  if (!x.negate) {
    out.values.push_back(function.values[0]);
    for (std::size_t i = 0; i < n; ++i) {
      append(ceil_shift(function.breakpoints[i] - x.offset, x.shift), function.values[i + 1]);
    }
  } else {
    out.values.push_back(function.values[n]);
    for (std::size_t i = n; i-- > 0;) {
      append(fixed::floor_shift(x.offset - function.breakpoints[i], x.shift) + 1, function.values[i]);
    }
  }
  return out;
}

Result<Signals> Lowering::lower(const Value& value, const exact::Requant& p) {
  const Signals& x = signals(p.x);
  const auto* before = std::get_if<exact::Requant>(&graph_.at(p.x).primitive);
  const Signals* sum = before != nullptr && is_relu(*before, graph_.at(before->x)) ? &signals(before->x) : nullptr;
  const std::vector<std::optional<Signal>> in_slots = requant_slots(x, sum, p.functions);
  Signals out;
  out.reserve(x.size());
  for (std::size_t e = 0; e < x.size(); ++e) {
    const auto& function = p.functions[e % p.functions.size()];
    if (const auto* f = std::get_if<fixed::Pieces>(&function); f != nullptr && f->values.size() > kMaxPieces) {
      return ctx_.fail(Kind::LimitExceeded, value.origin,
                       fmt::format("a step function of `{}` has {} pieces; at most {} can become hardware", value.name,
                                   f->values.size(), kMaxPieces));
    }
    if (in_slots[e]) {
      out.push_back(*in_slots[e]);
      continue;
    }
    std::optional<Signal> both;
    if (sum != nullptr) both = requant_positive((*sum)[e], function, value.ranges[e]);
    out.push_back(both ? *both : requant(x[e], function, value.ranges[e]));
  }
  return out;
}

std::optional<Signal> Lowering::requant_positive(const Signal& x, const fixed::StepFunction& function,
                                                 const fixed::Range& known) {
  if (x.is_constant() || known.lo == known.hi) return std::nullopt;
  const auto range = range_of(builder_, x);
  if (!range || range->lo >= 0 || range->hi <= 0) return std::nullopt;
  // Below the first step there is only the value at 0.
  if (const auto few = fixed::to_pieces(function, {0, range->hi, 0}, kComparatorPieces)) return pieces(x, *few);
  const auto* f = std::get_if<fixed::ShiftRound>(&function);
  if (f == nullptr || f->shift < 0) return std::nullopt;
  if (f->overflow == fixed::Overflow::Wrap && f->saturation_bits == 0 && f->width_bits <= 126) {
    fixed::ShiftRound whole = *f;  // every value that rounding gives
    whole.overflow = fixed::Overflow::Sat;
    whole.lo = fixed::round_shift(range->lo, f->shift, f->rounding);
    whole.hi = fixed::round_shift(range->hi, f->shift, f->rounding);
    const Signal rounded = shift_round(x, whole);
    const NetId positive = hw::at_least(builder_, rounded, 0);
    const NetId low = builder_.bits(materialize(builder_, rounded), 0, f->width_bits, f->is_signed);
    return signal_of(builder_, builder_.mux(positive, low, builder_.constant(0), &known));
  }
  if (f->overflow == fixed::Overflow::Sat && f->lo <= 0 && f->hi >= 0) {
    fixed::ShiftRound clipped = *f;
    clipped.lo = 0;
    return shift_round(x, clipped);
  }
  return std::nullopt;
}

Signal Lowering::requant(const Signal& x, const fixed::StepFunction& function, const fixed::Range& known) {
  if (x.is_constant()) return constant_signal(fixed::evaluate(function, x.offset));
  if (known.lo == known.hi) return constant_signal(known.lo);
  const auto range = range_of(builder_, x);
  if (!range) return signal_of(builder_, builder_.fail());
  if (const auto few = fixed::to_pieces(function, *range, kComparatorPieces)) return pieces(x, *few);
  if (const auto* f = std::get_if<fixed::ShiftRound>(&function)) return shift_round(x, *f);
  const auto& all = std::get<fixed::Pieces>(function);
  if (const auto f = fixed::find_shift_round(all, *range)) return shift_round(x, *f);
  return pieces(x, std::get<fixed::Pieces>(fixed::restrict(function, *range)));
}

Signal Lowering::shift_round(const Signal& x, const fixed::ShiftRound& f) {
  const int s = f.shift;
  // Nothing is dropped: the codes lie on the coarser grid already.
  const bool on_grid = s <= x.shift && (s <= 0 || fixed::floor_shift(x.offset, s) << s == x.offset);
  Signal q = x;
  Signal floored;
  if (s <= 0) {
    const auto y = shifted(builder_, x, -s);
    if (!y) return signal_of(builder_, builder_.fail());
    q = floored = *y;
  } else if (on_grid) {
    q.shift -= s;
    q.offset = fixed::floor_shift(q.offset, s);
    floored = q;
  } else {
    const auto range = range_of(builder_, x);
    const bool always_negative = range->hi < 0;
    const bool never_negative = range->lo >= 0;
    const Int half = Int{1} << (s - 1);
    // q = floor((x + constant) * 2^-s), the constant depending on the sign of x in some modes.
    Int positive = 0;
    Int negative = 0;
    switch (f.rounding) {
      case fixed::Rounding::Trn:
        break;
      case fixed::Rounding::Rnd:
      case fixed::Rounding::RndConv:
        positive = negative = half;
        break;
      case fixed::Rounding::RndMinInf:
        positive = negative = half - 1;
        break;
      case fixed::Rounding::RndZero:
        positive = half - 1;
        negative = half;
        break;
      case fixed::Rounding::RndInf:
        positive = half;
        negative = half - 1;
        break;
      case fixed::Rounding::Ceil:
        positive = negative = 2 * half - 1;
        break;
      case fixed::Rounding::TrnZero:
        negative = 2 * half - 1;
        break;
      case fixed::Rounding::Up:
        positive = 2 * half - 1;
        break;
    }
    if (always_negative) positive = negative;
    if (never_negative) negative = positive;
    Signal sum;
    if (positive == negative) {
      sum = x;
      sum.offset += positive;
    } else {
      const NetId is_positive = hw::at_least(builder_, x, 0);
      const NetId constant = builder_.mux(is_positive, builder_.constant(positive), builder_.constant(negative));
      sum = signal_of(builder_, builder_.sum({{materialize(builder_, x), 0, false}, {constant, 0, false}}));
    }
    q = signal_of(builder_, materialize(builder_, sum, s));
    if (f.rounding == fixed::Rounding::RndConv && !q.is_constant()) {
      // Half was added; what then ends in s zeros was a tie and goes to the even neighbour: its lowest bit is cleared.
      const Int high = fixed::floor_shift(sum.offset, sum.shift);
      const Int low = sum.offset - (high << sum.shift);
      const bool tie_possible = s <= sum.shift ? (low & ((Int{1} << s) - 1)) == 0 : low == 0;
      if (tie_possible && s <= sum.shift) {
        // Every code is a tie.
        q = signal_of(builder_, builder_.shift_right(q.net, 1));
        if (q.is_constant()) {
          q.offset *= 2;
        } else {
          q.shift = 1;
        }
      } else if (tie_possible) {
        const NetId upper = materialize(builder_, Signal{sum.net, 0, sum.negate, high});
        const NetId dropped = builder_.bits(upper, 0, s - sum.shift);
        const NetId tie = builder_.equal(dropped, 0);
        const NetId lowest = builder_.logic_and(builder_.bits(q.net, 0, 1), builder_.logic_not(tie));
        std::vector<Term> fields{{lowest, 0, false}, {builder_.shift_right(q.net, 1), 1, false}};
        const fixed::Range rounded{fixed::round_shift(range->lo, s, f.rounding),
                                   fixed::round_shift(range->hi, s, f.rounding), 0};
        q = signal_of(builder_, builder_.concat(fields, &rounded));
      }
    }
    if (f.overflow == fixed::Overflow::WrapSm) floored = signal_of(builder_, materialize(builder_, x, s));
  }
  const auto range_q = range_of(builder_, q);
  if (!range_q) return signal_of(builder_, builder_.fail());
  if (f.overflow != fixed::Overflow::Sat && f.overflow != fixed::Overflow::SatSym) {
    return overflow(q, floored, f);
  }
  Int lo = f.lo;
  Int hi = f.hi;
  if (f.overflow == fixed::Overflow::SatSym) {
    if (f.width_bits > 126) return q;
    hi = (Int{1} << (f.width_bits - (f.is_signed ? 1 : 0))) - 1;
    lo = !f.is_signed ? 0 : f.width_bits > 1 ? -hi : Int{-1};
  }
  if (range_q->lo >= lo && range_q->hi <= hi) return q;
  if (q.is_constant()) return constant_signal(std::clamp(q.offset, lo, hi));
  // On the grid of q when the bounds lie on it.
  const Int low = lo - q.offset;
  const Int high = hi - q.offset;
  const bool lo_fits = range_q->lo >= lo || fixed::floor_shift(low, q.shift) << q.shift == low;
  const bool hi_fits = range_q->hi <= hi || fixed::floor_shift(high, q.shift) << q.shift == high;
  if (!q.negate && lo_fits && hi_fits && q.offset == 0) {
    const NetId clipped = builder_.clamp(q.net, ceil_shift(low, q.shift), fixed::floor_shift(high, q.shift));
    Signal y = signal_of(builder_, clipped);
    if (y.is_constant()) return constant_signal(y.offset << q.shift);
    y.shift = q.shift;
    return y;
  }
  return signal_of(builder_, builder_.clamp(materialize(builder_, q), lo, hi));
}

// As fixed::apply_overflow, bit by bit; only Wrap without saturation bits is pure wiring.
Signal Lowering::overflow(const Signal& q, const Signal& floored, const fixed::ShiftRound& f) {
  const int w = f.width_bits;
  if (w > 126) return q;  // no net is that wide
  const Int hi = (Int{1} << (w - (f.is_signed ? 1 : 0))) - 1;
  const Int lo = f.is_signed ? -hi - 1 : 0;
  if (q.is_constant()) {
    return constant_signal(
        fixed::apply_overflow(q.offset, {w, w, f.is_signed, fixed::Rounding::Trn, f.overflow, f.saturation_bits}));
  }
  const auto range = range_of(builder_, q);
  if (range->lo >= lo && range->hi <= hi) return q;
  const NetId x = materialize(builder_, q);
  const NetId inside = builder_.logic_and(builder_.at_least(x, lo), builder_.logic_not(builder_.at_least(x, hi + 1)));
  if (f.overflow == fixed::Overflow::SatZero) {
    return signal_of(builder_, builder_.mux(inside, builder_.bits(x, 0, w, f.is_signed), builder_.constant(0)));
  }
  const int n = std::min(f.saturation_bits, w);
  const NetId wrapped = builder_.bits(x, 0, w, f.is_signed);
  if (f.overflow == fixed::Overflow::Wrap && n == 0) return signal_of(builder_, wrapped);
  const NetId negative = builder_.logic_not(builder_.at_least(x, 0));
  const auto bit = [&](NetId net, int i) { return builder_.bits(net, i, 1); };
  // Bits of the folded code, lowest first.
  std::vector<NetId> folded;
  if (!f.is_signed) {
    for (int i = 0; i < w; ++i) folded.push_back(i >= w - n ? builder_.constant(1) : bit(x, i));
  } else {
    NetId flip = builder_.constant(0);
    NetId sign = negative;
    int kept = w - std::max(n, 1);
    if (f.overflow == fixed::Overflow::WrapSm) {
      const NetId top = bit(x, w - 1);
      if (n == 0) {
        sign = bit(materialize(builder_, floored), w);
        flip = builder_.logic_xor(sign, top);
      } else if (n == 1) {
        flip = builder_.logic_xor(negative, top);
      } else {
        flip = builder_.logic_not(builder_.logic_xor(negative, bit(x, w - n)));
      }
    }
    for (int i = 0; i < kept; ++i) folded.push_back(builder_.logic_xor(bit(x, i), flip));
    for (int i = kept; i + 1 < w; ++i) folded.push_back(builder_.logic_not(sign));
    folded.push_back(sign);
  }
  std::vector<Term> fields;
  for (int i = 0; i < w; ++i) {
    if (builder_.is_constant(folded[i]) && builder_.at(folded[i]).constant == 0) continue;
    fields.push_back({folded[i], i, false});
  }
  const NetId code = fields.empty() ? builder_.constant(0) : builder_.concat(fields);
  return signal_of(builder_, builder_.mux(inside, wrapped, builder_.bits(code, 0, w, f.is_signed)));
}

Signal Lowering::from_index(NetId index, const std::vector<Int>& values) {
  const fixed::Range range = builder_.range(index);
  // values[i] = first + i * 2^k: an offset and wiring.
  const Int step = values.size() > 1 ? values[1] - values[0] : 0;
  const Int size = step < 0 ? -step : step;
  bool regular = size > 0 && (size & (size - 1)) == 0;
  for (std::size_t i = 1; regular && i < values.size(); ++i) regular = values[i] - values[i - 1] == step;
  if (regular) {
    return {.net = index, .shift = fixed::trailing_zeros(size), .negate = step < 0, .offset = values[0]};
  }
  // A coarse grid of the values is wiring, too; on odd multiples (as bipolar codes) with an offset.
  Int lowest = values[0];
  for (Int value : values) lowest = std::min(lowest, value);
  int grid = 127;
  int grid_at_zero = 127;
  for (Int value : values) {
    if (value != lowest) grid = std::min(grid, fixed::trailing_zeros(value - lowest));
    if (value != 0) grid_at_zero = std::min(grid_at_zero, fixed::trailing_zeros(value));
  }
  if (grid == 127) return constant_signal(lowest);
  const Int offset = grid > grid_at_zero ? lowest : 0;
  const int shift = grid > grid_at_zero ? grid : grid_at_zero;
  std::vector<Int> entries;
  for (Int value : values) entries.push_back((value - offset) >> shift);
  const auto needed = static_cast<std::size_t>(range.hi) + 1;
  while (entries.size() < needed) entries.push_back(entries.back());
  Signal y = signal_of(builder_, entries.size() == 2
                                     ? builder_.mux(index, builder_.constant(entries[1]), builder_.constant(entries[0]))
                                     : builder_.table(index, 0, entries));
  if (y.is_constant()) return constant_signal((y.offset << shift) + offset);
  y.shift = shift;
  y.offset = offset;
  return y;
}

Signal Lowering::pieces(const Signal& x, const fixed::Pieces& function) {
  const fixed::Range range = builder_.range(x.net);
  const fixed::Pieces f = over_net(function, x, range);
  if (f.breakpoints.empty()) return constant_signal(f.values[0]);
  if (f.values.size() <= kComparatorPieces) return by_comparators(x.net, f);
  // Rough costs in LUTs; all forms are exact.
  const int width = builder_.at(x.net).width_bits;
  const auto count = static_cast<double>(f.breakpoints.size());
  Int lo = f.values[0];
  Int hi = f.values[0];
  for (Int value : f.values) {
    lo = std::min(lo, value);
    hi = std::max(hi, value);
  }
  const int out_bits = fixed::width_bits(lo, hi, lo < 0);
  double comparators = 0.0;
  for (Int b : f.breakpoints) comparators += compare_lut(width, b, family_);
  comparators += count;
  double search = consecutive(f.values) ? 0.0 : table_lut(width_of_count(f.values.size()), family_) * out_bits;
  for (int level = 0; level < width_of_count(f.values.size()); ++level) {
    search += width * (1.0 + table_lut(level, family_));
  }
  const double table = width <= kMaxTableBits ? table_lut(width, family_) * out_bits : 1e30;
  double multiply = 1e30;
  std::optional<fixed::MultiplyShift> form;
  const double best_other = std::min({comparators, search, table});
  if (best_other > 3.0 * width) {
    form = solved_.multiply_shift(f, range);
    if (form) {
      int digits = 0;
      for (Int rest = form->multiplier < 0 ? -form->multiplier : form->multiplier; rest != 0; rest >>= 1) {
        if ((rest & 1) != 0) {
          ++digits;
          rest += (rest & 3) == 3 ? 1 : -1;
        }
      }
      multiply = (digits + 1.0) * (width + 4.0) + out_bits;
    }
  }
  if (form && multiply <= best_other) return by_multiply_shift(x.net, *form);
  if (table <= comparators && table <= search) return by_table(x.net, f);
  if (comparators <= search) return by_comparators(x.net, f);
  return by_search(x.net, f);
}

Signal Lowering::by_table(NetId x, const fixed::Pieces& f) {
  const fixed::Range range = builder_.range(x);
  std::vector<Int> values;
  std::size_t piece = 0;
  for (Int code = range.lo; code <= range.hi; ++code) {
    while (piece < f.breakpoints.size() && f.breakpoints[piece] <= code) ++piece;
    values.push_back(f.values[piece]);
  }
  return signal_of(builder_, builder_.table(x, range.lo, std::move(values)));
}

// One comparator per step. The number of steps passed is read off as by a binary search: the middle comparator is the
// highest bit of the index and selects in which half the next one is looked up.
Signal Lowering::by_comparators(NetId x, const fixed::Pieces& f) {
  std::vector<NetId> passed;  // passed[i]: at least i + 1 steps
  for (Int threshold : f.breakpoints) passed.push_back(builder_.at_least(x, threshold));
  if (passed.size() == 1) return from_index(passed[0], f.values);
  if (passed.size() <= 5) {
    // Few enough for one table over all of them; unreachable patterns repeat their neighbour.
    std::vector<Term> fields;
    for (std::size_t i = 0; i < passed.size(); ++i) fields.push_back({passed[i], static_cast<int>(i), false});
    const NetId thermometer = builder_.concat(fields);
    std::vector<Int> index(std::size_t{1} << passed.size(), 0);
    for (std::size_t code = 0; code < index.size(); ++code) {
      // The highest comparator that says yes decides: for reachable codes all lower ones say yes, too.
      for (std::size_t i = 0; i < passed.size(); ++i) {
        if ((code >> i & 1) != 0) index[code] = static_cast<Int>(i) + 1;
      }
    }
    if (consecutive(f.values)) {
      Signal y = signal_of(builder_, builder_.table(thermometer, 0, index));
      y.offset += f.values[0];
      return y;
    }
    std::vector<Int> values;
    for (Int i : index) values.push_back(f.values[static_cast<std::size_t>(i)]);
    return from_index(thermometer, values);
  }
  int bits = 1;
  while ((std::size_t{1} << bits) <= passed.size()) ++bits;
  const std::size_t full = std::size_t{1} << bits;
  passed.resize(full - 1, builder_.constant(0));
  std::vector<NetId> index_bits(bits);
  std::vector<NetId> candidates = passed;  // of the half selected so far; always 2^b - 1 of them
  for (int b = bits - 1; b >= 0; --b) {
    const std::size_t middle = candidates.size() / 2;
    index_bits[b] = candidates[middle];
    std::vector<NetId> next;
    for (std::size_t i = 0; i < middle; ++i) {
      next.push_back(builder_.mux(index_bits[b], candidates[middle + 1 + i], candidates[i]));
    }
    candidates = std::move(next);
  }
  std::vector<Term> fields;
  for (int b = 0; b < bits; ++b) fields.push_back({index_bits[b], b, false});
  const fixed::Range known{0, static_cast<Int>(f.values.size()) - 1, 0};
  return from_index(builder_.concat(fields, &known), f.values);
}

// Binary search: each step compares x with the threshold that the bits found so far select from a table.
Signal Lowering::by_search(NetId x, const fixed::Pieces& f) {
  int bits = 1;
  while ((std::size_t{1} << bits) <= f.breakpoints.size()) ++bits;
  const std::size_t full = std::size_t{1} << bits;
  const fixed::Range range = builder_.range(x);
  std::vector<Int> thresholds = f.breakpoints;
  thresholds.resize(full - 1, range.hi + 1);
  NetId index;  // the bits found so far
  for (int b = bits - 1; b >= 0; --b) {
    const std::size_t half = std::size_t{1} << b;
    NetId found;
    if (!index.valid()) {
      found = builder_.at_least(x, thresholds[half - 1]);
      index = found;
      continue;
    }
    std::vector<Int> entries;
    for (std::size_t i = 0; i * 2 * half < full; ++i) entries.push_back(thresholds[i * 2 * half + half - 1]);
    found = builder_.at_least_net(x, builder_.table(index, 0, std::move(entries)));
    index = builder_.concat({{found, 0, false}, {index, 1, false}});
  }
  if (builder_.is_constant(index))
    return constant_signal(f.values[static_cast<std::size_t>(builder_.at(index).constant)]);
  return from_index(index, f.values);
}

Signal Lowering::by_multiply_shift(NetId x, const fixed::MultiplyShift& form) {
  const NetId product = scaled(x, form.multiplier);
  const NetId sum = builder_.sum({{product, 0, false}, {builder_.constant(form.addend), 0, false}});
  return signal_of(builder_, builder_.clamp(builder_.shift_right(sum, form.shift), form.lo, form.hi));
}

}  // namespace weft::hw
