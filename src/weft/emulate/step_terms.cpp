// SPDX-License-Identifier: Apache-2.0
#include "weft/emulate/step_terms.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>

#include "weft/diag/diag.h"
#include "weft/emulate/line_fit.h"
#include "weft/fixed/quantize.h"

namespace weft::emulate {
namespace {

using fixed::Overflow;
using fixed::Pieces;
using fixed::Range;
using fixed::Rounding;
using fixed::ShiftRound;
using fixed::StepFunction;

constexpr Int kInt32Max = std::numeric_limits<std::int32_t>::max();
constexpr Int kInt32Min = std::numeric_limits<std::int32_t>::min();
constexpr Int kInt64Max = std::numeric_limits<std::int64_t>::max();
constexpr Int kInt64Min = std::numeric_limits<std::int64_t>::min();

Int power_of_two(int n) { return static_cast<Int>(UInt{1} << n); }
std::int32_t to_int32(Int value) { return static_cast<std::int32_t>(std::clamp(value, kInt32Min, kInt32Max)); }
std::int64_t to_int64(Int value) { return static_cast<std::int64_t>(std::clamp(value, kInt64Min, kInt64Max)); }
/// The low 32 bits, for sums that are modulo 2^32.
std::int32_t low_bits(Int value) { return static_cast<std::int32_t>(static_cast<std::uint32_t>(value)); }

/// What a mode does with a rest below, at and above one half, found on quarters: -6/4 ... 6/4.
struct Decisions {
  bool below, half, above;
};
struct Mode {
  Decisions positive, negative;
  bool even;
};
Mode mode_of(Rounding rounding) {
  const auto up = [&](int quarters) {
    return fixed::round_shift(quarters, 2, rounding) != fixed::floor_shift(quarters, 2);
  };
  Mode mode{{up(1), up(6), up(3)}, {up(-3), up(-2), up(-1)}, up(6) != up(2)};
  return mode;
}

/// How a function handles overflow in the vocabulary of the kernels.
struct Fold {
  enum class Kind { Neutral, Clamp, Zero, Wrap, Other } kind = Kind::Other;
  Int lo = 0;
  Int hi = 0;
};
Fold fold_of(const ShiftRound& f, const Range& rounded) {
  if (f.overflow == Overflow::Sat) return {Fold::Kind::Clamp, f.lo, f.hi};
  const fixed::FixedType type{.width_bits = f.width_bits,
                              .integer_bits = f.width_bits,
                              .is_signed = f.is_signed,
                              .rounding = f.rounding,
                              .overflow = f.overflow,
                              .saturation_bits = f.saturation_bits};
  const Int lo = fixed::min_code(type);
  const Int hi = fixed::max_code(type);
  if (rounded.lo >= lo && rounded.hi <= hi) return {Fold::Kind::Neutral, lo, hi};
  if (f.overflow == Overflow::SatSym) return {Fold::Kind::Clamp, lo, hi};
  if (f.overflow == Overflow::SatZero) return {Fold::Kind::Zero, lo, hi};
  if (f.overflow == Overflow::Wrap && f.saturation_bits == 0) return {Fold::Kind::Wrap, lo, hi};
  return {Fold::Kind::Other, lo, hi};
}

/// The bits of 1.5 * 2^23 plus an integer of 22 bits are a float with that integer in its low mantissa bits. Adding
/// 1.5 * 2^(23 + shift) - 1.5 * 2^23 leaves the integer divided by 2^shift there, rounded to nearest even by the float
/// adder: one instruction instead of three.
void use_float_adder(EpilogueData& e, const std::vector<StepFunction>& functions, const std::vector<Range>& x) {
  constexpr int kMantissaBits = 23;
  constexpr std::int32_t kOne = 0x4B400000;
  constexpr Int kReach = Int{1} << 22;
  std::vector<std::int32_t> addend;
  std::vector<std::int32_t> magic;
  std::vector<std::int32_t> magic_bits;
  for (std::size_t i = 0; i < functions.size(); ++i) {
    const auto& f = std::get<ShiftRound>(functions[i]);
    // What Even adds besides the half of the rounding is the offset.
    const Int offset = Int{e.addend[i]} - round_terms(f.rounding, f.shift).addend;
    const bool nearest_even = f.shift == 0 || round_terms(f.rounding, f.shift).even;
    if (!nearest_even || f.shift > 20 || x[i].lo + offset <= -kReach || x[i].hi + offset >= kReach) return;
    addend.push_back(low_bits(offset + kOne));
    const float result = std::ldexp(1.5F, kMantissaBits + f.shift);
    magic.push_back(std::bit_cast<std::int32_t>(result - std::ldexp(1.5F, kMantissaBits)));
    magic_bits.push_back(std::bit_cast<std::int32_t>(result));
  }
  e.addend = std::move(addend);
  e.magic = std::move(magic);
  e.magic_bits = std::move(magic_bits);
  e.plain.round = RoundForm::Nearest;
}

std::optional<EpilogueData> shift_epilogue(const std::vector<StepFunction>& functions, const std::vector<Range>& x,
                                           bool count, std::int32_t offset) {
  EpilogueData out;
  Epilogue& plain = out.plain;
  plain.count = count;
  plain.n_functions = static_cast<std::int32_t>(functions.size());
  std::vector<RoundTerms> terms(functions.size());
  std::vector<Fold> folds(functions.size());
  bool any_sign = false;
  bool any_even = false;
  bool any_clamp = false;
  bool any_wrap = false;
  std::optional<bool> wrap_signed;
  for (std::size_t i = 0; i < functions.size(); ++i) {
    const auto* f = std::get_if<ShiftRound>(&functions[i]);
    if (f == nullptr || f->shift < 0 || f->shift > 31) return std::nullopt;
    terms[i] = round_terms(f->rounding, f->shift);
    folds[i] = fold_of(*f, {fixed::round_shift(x[i].lo, f->shift, f->rounding),
                            fixed::round_shift(x[i].hi, f->shift, f->rounding), 0});
    any_sign = any_sign || terms[i].sign_addend != 0;
    any_even = any_even || terms[i].even;
    switch (folds[i].kind) {
      case Fold::Kind::Neutral:
        break;
      case Fold::Kind::Clamp:
        any_clamp = true;
        break;
      case Fold::Kind::Wrap:
        any_wrap = true;
        if (f->width_bits > 31 || wrap_signed.value_or(f->is_signed) != f->is_signed) return std::nullopt;
        wrap_signed = f->is_signed;
        break;
      case Fold::Kind::Zero:
      case Fold::Kind::Other:
        return std::nullopt;
    }
  }
  if ((any_sign && any_even) || (any_clamp && any_wrap)) return std::nullopt;
  plain.round = any_sign ? RoundForm::Sign : any_even ? RoundForm::Even : RoundForm::Constant;
  plain.fold = !any_wrap ? FoldForm::Clamp : *wrap_signed ? FoldForm::WrapSigned : FoldForm::WrapUnsigned;
  // The offset is even, so adding it before the shift keeps the parity that ties look at.
  const bool offset_first = !any_sign && !any_wrap;
  plain.post = offset_first ? 0 : offset;
  for (std::size_t i = 0; i < functions.size(); ++i) {
    const auto& f = std::get<ShiftRound>(functions[i]);
    const Int addend = terms[i].addend + (offset_first ? Int{offset} * power_of_two(f.shift) : 0);
    const Int sign = terms[i].sign_addend;
    for (const Int end : {x[i].lo, x[i].hi}) {
      if (!fits_int32(end + addend) || !fits_int32(end + addend + sign)) return std::nullopt;
      if (any_sign && !fits_int32(fixed::floor_shift(end + addend, f.shift) + plain.post + 1)) return std::nullopt;
    }
    out.addend.push_back(to_int32(addend));
    out.shift.push_back(f.shift);
    out.sign_at.push_back(to_int32(addend));
    out.sign_addend.push_back(to_int32(sign));
    out.tie_mask.push_back(terms[i].even ? to_int32(power_of_two(f.shift) - 1) : -1);
    out.lo.push_back(to_int32(folds[i].lo + offset));
    out.hi.push_back(to_int32(folds[i].hi + offset));
    out.wrap_shift.push_back(folds[i].kind == Fold::Kind::Wrap ? 32 - f.width_bits : 0);
  }
  if (plain.round == RoundForm::Even) use_float_adder(out, functions, x);
  return out;
}

std::optional<EpilogueData> compare_epilogue(const std::vector<StepFunction>& functions, const std::vector<Range>& x,
                                             std::int32_t offset, std::int32_t max_thresholds) {
  std::vector<Pieces> pieces;
  std::size_t thresholds = 0;
  for (std::size_t i = 0; i < functions.size(); ++i) {
    auto p = fixed::to_pieces(functions[i], x[i], static_cast<std::size_t>(max_thresholds) + 1);
    if (!p) return std::nullopt;
    thresholds = std::max(thresholds, p->breakpoints.size());
    pieces.push_back(std::move(*p));
  }
  EpilogueData out;
  out.plain.round = RoundForm::Compare;
  out.plain.n_functions = static_cast<std::int32_t>(functions.size());
  out.plain.n_thresholds = static_cast<std::int32_t>(thresholds);
  for (const auto& p : pieces) {
    out.base.push_back(low_bits(p.values.front() + offset));
    for (std::size_t k = 0; k < thresholds; ++k) {
      const bool real = k < p.breakpoints.size();
      out.thresholds.push_back(real ? to_int32(p.breakpoints[k] - 1) : static_cast<std::int32_t>(kInt32Max));
      out.deltas.push_back(real ? low_bits(p.values[k + 1] - p.values[k]) : 0);
    }
  }
  return out;
}

/// All functions as lines.
std::optional<EpilogueData> line_epilogue(const std::vector<StepFunction>& functions, const std::vector<Range>& x,
                                          std::int32_t offset) {
  EpilogueData out;
  out.plain.round = RoundForm::Line;
  out.plain.fold = FoldForm::Clamp;
  out.plain.post = offset;
  out.plain.n_functions = static_cast<std::int32_t>(functions.size());
  for (std::size_t i = 0; i < functions.size(); ++i) {
    if (!std::holds_alternative<Pieces>(functions[i])) return std::nullopt;
    const auto line = fit_line(std::get<Pieces>(fixed::restrict(functions[i], x[i])), x[i]);
    if (!line) return std::nullopt;
    out.slope.push_back(std::bit_cast<std::int32_t>(line->slope));
    out.start.push_back(std::bit_cast<std::int32_t>(line->start));
    out.lo.push_back(line->lo + offset);
    out.hi.push_back(line->hi + offset);
  }
  return out;
}

/// Up to here comparing is faster than a line.
constexpr std::int32_t kFewThresholds = 6;

}  // namespace

bool fits_int32(Int value) { return value >= kInt32Min && value <= kInt32Max; }
bool fits_int64(Int value) { return value >= kInt64Min && value <= kInt64Max; }

RoundTerms round_terms(Rounding rounding, int shift) {
  if (shift <= 0) return {};
  const Mode mode = mode_of(rounding);
  const auto addend = [&](const Decisions& d) -> Int {
    if (d.below) return power_of_two(shift) - 1;
    if (d.half) return power_of_two(shift - 1);
    return d.above ? power_of_two(shift - 1) - 1 : Int{0};
  };
  return {addend(mode.positive), addend(mode.negative) - addend(mode.positive), mode.even};
}

RestTerms rest_terms(Rounding rounding) {
  const Mode mode = mode_of(rounding);
  const auto threshold = [&](const Decisions& d) {
    if (d.below) return 0.0;
    if (d.half && !mode.even) return std::nextafter(0.5, 0.0);
    return d.above ? 0.5 : 2.0;
  };
  return {threshold(mode.positive), threshold(mode.negative), mode.even};
}

Epilogue EpilogueData::view() const {
  Epilogue e = plain;
  e.addend = addend.data();
  e.shift = shift.data();
  e.sign_at = sign_at.data();
  e.sign_addend = sign_addend.data();
  e.tie_mask = tie_mask.data();
  e.magic = magic.data();
  e.magic_bits = magic_bits.data();
  e.slope = slope.data();
  e.start = start.data();
  e.base = base.data();
  e.thresholds = thresholds.data();
  e.deltas = deltas.data();
  e.lo = lo.data();
  e.hi = hi.data();
  e.wrap_shift = wrap_shift.data();
  e.lo_bytes = lo_bytes.data();
  e.hi_bytes = hi_bytes.data();
  return e;
}

std::optional<EpilogueData> make_epilogue(const std::vector<StepFunction>& functions, const std::vector<Range>& x,
                                          bool count, std::int32_t offset, std::int32_t max_thresholds) {
  for (const auto& range : x) {
    if (!fits_int32(range.lo) || !fits_int32(range.hi)) return std::nullopt;
  }
  if (auto out = shift_epilogue(functions, x, count, offset)) return out;
  // Comparing cannot tell clipped results from others.
  const auto is_pieces = [](const StepFunction& f) { return std::holds_alternative<Pieces>(f); };
  if (count && !std::all_of(functions.begin(), functions.end(), is_pieces)) return std::nullopt;
  if (auto out = compare_epilogue(functions, x, offset, std::min(max_thresholds, kFewThresholds))) return out;
  if (auto out = line_epilogue(functions, x, offset)) return out;
  return compare_epilogue(functions, x, offset, max_thresholds);
}

void pad_to_tiles(EpilogueData& e, std::int64_t n_out) {
  const auto n = static_cast<std::size_t>(n_out);
  const std::size_t padded = (n + 3) / 4 * 4;
  const auto functions = static_cast<std::size_t>(e.plain.n_functions);
  const auto pad = [&](std::vector<std::int32_t>& values, std::size_t stride) {
    if (values.empty()) return;
    std::vector<std::int32_t> out;
    out.reserve(padded * stride);
    for (std::size_t o = 0; o < padded; ++o) {
      const std::size_t f = std::min(o, n - 1) % functions;
      for (std::size_t k = 0; k < stride; ++k) out.push_back(values[f * stride + k]);
    }
    values = std::move(out);
  };
  const auto thresholds = static_cast<std::size_t>(e.plain.n_thresholds);
  for (auto* values : {&e.addend, &e.shift, &e.sign_at, &e.sign_addend, &e.tie_mask, &e.magic, &e.magic_bits, &e.slope,
                       &e.start, &e.base, &e.lo, &e.hi, &e.wrap_shift}) {
    pad(*values, 1);
  }
  for (auto* values : {&e.thresholds, &e.deltas}) pad(*values, thresholds);
  e.plain.n_functions = static_cast<std::int32_t>(padded);
  for (std::size_t o = 0; o < padded; o += 4) {
    std::uint32_t lo = 0;
    std::uint32_t hi = 0xFFFFFFFFU;
    if (e.plain.fold == FoldForm::Clamp) {
      hi = 0;
      for (std::size_t k = 0; k < 4; ++k) {
        lo |= static_cast<std::uint32_t>(std::clamp(e.lo[o + k], 0, 255)) << (8 * k);
        hi |= static_cast<std::uint32_t>(std::clamp(e.hi[o + k], 0, 255)) << (8 * k);
      }
    }
    e.lo_bytes.push_back(static_cast<std::int32_t>(lo));
    e.hi_bytes.push_back(static_cast<std::int32_t>(hi));
  }
}

std::vector<WideFunction> WideFunctions::view() const {
  auto out = plain;
  for (std::size_t i = 0; i < out.size(); ++i) {
    out[i].breakpoints = breakpoints[i].data();
    out[i].values = values[i].data();
  }
  return out;
}

std::optional<WideFunction> make_wide(const ShiftRound& f, const Range& x) {
  if (f.shift < -62 || f.shift > 62) return std::nullopt;
  WideFunction out;
  out.shift = f.shift;
  const RoundTerms terms = round_terms(f.rounding, f.shift);
  out.addend = to_int64(terms.addend);
  out.sign_addend = to_int64(terms.sign_addend);
  out.even = terms.even;
  Range rounded;
  if (f.shift > 0) {
    for (const Int end : {x.lo, x.hi}) {
      if (!fits_int64(end + terms.addend) || !fits_int64(end + terms.addend + terms.sign_addend)) return std::nullopt;
    }
    rounded = {fixed::round_shift(x.lo, f.shift, f.rounding), fixed::round_shift(x.hi, f.shift, f.rounding), 0};
  } else {
    const auto lo = fixed::checked_shift_left(x.lo, -f.shift);
    const auto hi = fixed::checked_shift_left(x.hi, -f.shift);
    if (!lo || !hi || !fits_int64(*lo) || !fits_int64(*hi)) return std::nullopt;
    rounded = {*lo, *hi, 0};
  }
  const Fold fold = fold_of(f, rounded);
  out.lo = to_int64(fold.lo);
  out.hi = to_int64(fold.hi);
  switch (fold.kind) {
    case Fold::Kind::Neutral:
      break;
    case Fold::Kind::Clamp:
      out.fold = WideFunction::Fold::Clamp;
      break;
    case Fold::Kind::Zero:
      out.fold = WideFunction::Fold::Zero;
      break;
    case Fold::Kind::Wrap:
      if (f.width_bits > 63) return std::nullopt;
      out.fold = f.is_signed ? WideFunction::Fold::WrapSigned : WideFunction::Fold::WrapUnsigned;
      out.wrap_shift = 64 - f.width_bits;
      break;
    case Fold::Kind::Other:
      return std::nullopt;
  }
  return out;
}

std::optional<WideFunctions> make_wide(const std::vector<StepFunction>& functions, const std::vector<Range>& x,
                                       bool count) {
  WideFunctions out;
  out.count = count;
  for (std::size_t i = 0; i < functions.size(); ++i) {
    out.breakpoints.emplace_back();
    out.values.emplace_back();
    if (const auto* f = std::get_if<ShiftRound>(&functions[i])) {
      const auto wide = make_wide(*f, x[i]);
      if (!wide) return std::nullopt;
      out.plain.push_back(*wide);
      continue;
    }
    const auto pieces = std::get<Pieces>(fixed::restrict(functions[i], x[i]));
    for (const Int b : pieces.breakpoints) out.breakpoints.back().push_back(to_int64(b));
    for (const Int v : pieces.values) {
      if (!fits_int64(v)) return std::nullopt;
      out.values.back().push_back(to_int64(v));
    }
    WideFunction f;
    f.n_breakpoints = static_cast<std::int64_t>(pieces.breakpoints.size());
    out.plain.push_back(f);
  }
  return out;
}

std::optional<Tables> make_tables(const std::vector<StepFunction>& functions, const std::vector<Range>& x,
                                  std::int64_t max_entries) {
  Range hull = x.front();
  for (const auto& range : x) hull = fixed::unite(hull, range);
  const Int size = hull.hi - hull.lo + 1;
  if (!fits_int32(hull.lo) || !fits_int32(hull.hi) || size * static_cast<Int>(functions.size()) > max_entries) {
    return std::nullopt;
  }
  Tables out;
  out.lo = to_int32(hull.lo);
  out.size = to_int32(size);
  for (std::size_t i = 0; i < functions.size(); ++i) {
    if (!std::holds_alternative<Pieces>(functions[i])) return std::nullopt;
    const auto pieces = std::get<Pieces>(fixed::restrict(functions[i], x[i]));
    std::size_t at = 0;
    for (Int code = hull.lo; code <= hull.hi; ++code) {
      while (at < pieces.breakpoints.size() && pieces.breakpoints[at] <= code) ++at;
      if (!fits_int32(pieces.values[at])) return std::nullopt;
      out.entries.push_back(to_int32(pieces.values[at]));
    }
  }
  return out;
}

}  // namespace weft::emulate
