// SPDX-License-Identifier: Apache-2.0
/// @file
/// Exact functions from integer codes to integer codes, as quantizers behind a sum are.
#pragma once

#include <cstddef>
#include <functional>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "weft/fixed/range.h"
#include "weft/fixed/type.h"

namespace weft::fixed {

/// y = overflow(round(x * 2^-shift)); then, only for Overflow::Sat, clipped to [lo, hi]. For the other overflow modes
/// `width_bits`, `is_signed` and `saturation_bits` say how the rounded code is folded and lo/hi bound the results.
/// shift < 0 multiplies.
struct ShiftRound {
  int shift = 0;
  Rounding rounding = Rounding::RndConv;
  Overflow overflow = Overflow::Sat;
  Int lo = 0;
  Int hi = 0;
  int width_bits = 0;
  bool is_signed = true;
  int saturation_bits = 0;
  bool operator==(const ShiftRound&) const = default;
};

/// Piecewise constant: y = values[number of breakpoints <= x]. Breakpoints strictly ascend; values has one more entry.
/// Any function of a bounded integer is one; monotone ones have one piece per output code.
struct Pieces {
  std::vector<Int> breakpoints;
  std::vector<Int> values;
  bool operator==(const Pieces&) const = default;
};

using StepFunction = std::variant<ShiftRound, Pieces>;

/// Whether the parameters are in bounds: lo <= hi, widths of at most 128 bits, ascending breakpoints, sizes. The
/// functions below need it.
bool is_valid(const StepFunction& function);

Int evaluate(const StepFunction& function, Int x);

/// Range of the results over the reachable codes of `x`.
Range range_of(const StepFunction& function, const Range& x);

/// Pieces of `f` over [lo, hi]. `turning_points` splits [lo, hi] into parts on which f is monotone (either way): the
/// parts are [lo, t0 - 1], [t0, t1 - 1], ..., [tn, hi]. Found by binary search: O(pieces * log(range)) calls. Equal
/// neighbours are merged.
Pieces pieces_of(const std::function<Int(Int)>& f, Int lo, Int hi, const std::vector<Int>& turning_points);
/// The same; nullopt as soon as there are more than `limit` pieces, or soon after `stop` (asked once per piece, may be
/// empty) says so: functions of whole layers may take minutes.
std::optional<Pieces> pieces_of(const std::function<Int(Int)>& f, Int lo, Int hi,
                                const std::vector<Int>& turning_points, std::size_t limit,
                                const std::function<bool()>& stop = {});

/// The same function on the reachable codes of `x`: pieces that hold none of them are dropped and equal neighbours
/// merged; a ShiftRound stays as it is with lo/hi tightened to the range of its results.
StepFunction restrict(const StepFunction& function, const Range& x);

/// The function as Pieces over the reachable codes of `x` (codes off its grid may give a neighbour's value), nullopt
/// when there would be more than `limit` pieces.
std::optional<Pieces> to_pieces(const StepFunction& function, const Range& x, std::size_t limit);

/// y = clamp((multiplier * x + addend) >> shift, lo, hi) with floor shift.
struct MultiplyShift {
  Int multiplier = 0;
  Int addend = 0;
  int shift = 0;
  Int lo = 0;
  Int hi = 0;
};
/// The cheapest multiply-shift (fewest non-zero signed digits of the multiplier, then smallest shift, shift <=
/// max_shift) that equals `pieces` for every x in [x.lo, x.hi]; checked at every breakpoint, which proves it for
/// monotone functions with unit steps. nullopt when there is none or the function is not of that form.
std::optional<MultiplyShift> find_multiply_shift(const Pieces& pieces, const Range& x, int max_shift);

/// The ShiftRound equal to `pieces` over `x`, if there is one.
std::optional<ShiftRound> find_shift_round(const Pieces& pieces, const Range& x);

/// Text forms that round-trip: "shift(5,RND_CONV,SAT,0,63,...)", "pieces([..],[..])".
std::string to_string(const StepFunction& function);
std::optional<StepFunction> parse_step_function(const std::string& text);

}  // namespace weft::fixed
