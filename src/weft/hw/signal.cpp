// SPDX-License-Identifier: Apache-2.0
#include "weft/hw/signal.h"

#include <algorithm>

#include "weft/diag/diag.h"

namespace weft::hw {

using netlist::Builder;
using netlist::NetId;
using netlist::Term;

Signal signal_of(const Builder& builder, NetId net) {
  if (builder.is_constant(net)) return constant_signal(builder.at(net).constant);
  return {.net = net, .shift = 0, .negate = false, .offset = 0};
}

std::optional<fixed::Range> range_of(const Builder& builder, const Signal& signal) {
  if (signal.is_constant()) return fixed::Range{signal.offset, signal.offset, 0};
  const fixed::Range& net = builder.range(signal.net);
  auto lo = fixed::checked_shift_left(net.lo, signal.shift);
  auto hi = fixed::checked_shift_left(net.hi, signal.shift);
  if (!lo || !hi) return std::nullopt;
  if (signal.negate) {
    std::swap(lo, hi);
    lo = -*lo;
    hi = -*hi;
  }
  lo = fixed::checked_add(*lo, signal.offset);
  hi = fixed::checked_add(*hi, signal.offset);
  if (!lo || !hi || fixed::width_bits(*lo, *hi, true) > 126) return std::nullopt;
  return fixed::Range{*lo, *hi, 0};
}

std::optional<Signal> shifted(const Builder& builder, const Signal& signal, int shift) {
  Signal result = signal;
  const auto offset = fixed::checked_shift_left(signal.offset, shift);
  if (!offset) return std::nullopt;
  result.offset = *offset;
  if (!result.is_constant()) result.shift += shift;
  if (result.shift > 126 || !range_of(builder, result)) return std::nullopt;
  return result;
}

std::optional<Signal> with_offset(const Builder& builder, Signal signal, Int offset) {
  const auto sum = fixed::checked_add(signal.offset, offset);
  if (!sum) return std::nullopt;
  signal.offset = *sum;
  if (!range_of(builder, signal)) return std::nullopt;
  return signal;
}

NetId materialize(Builder& builder, const Signal& signal, int shift, const fixed::Range* known) {
  if (signal.is_constant()) return builder.constant(fixed::floor_shift(signal.offset, shift));
  // offset = high * 2^signal.shift + low: only `high` needs an adder.
  const Int high = fixed::floor_shift(signal.offset, signal.shift);
  const Int low = signal.offset - (high << signal.shift);
  NetId upper = signal.net;
  if (signal.negate || high != 0) {
    const fixed::Range* upper_known = shift == 0 && signal.shift == 0 ? known : nullptr;
    upper = builder.sum({{signal.net, 0, signal.negate}, {builder.constant(high), 0, false}}, upper_known);
  }
  if (shift >= signal.shift) return builder.shift_right(upper, shift - signal.shift);
  std::vector<Term> fields;
  const Int low_kept = low >> shift;
  if (low_kept != 0) fields.push_back({builder.constant(low_kept), 0, false});
  fields.push_back({upper, signal.shift - shift, false});
  return builder.concat(fields, known);
}

NetId at_least(Builder& builder, const Signal& signal, Int threshold) {
  if (signal.is_constant()) return builder.constant(signal.offset >= threshold ? 1 : 0);
  const Int distance = threshold - signal.offset;
  if (!signal.negate) return builder.at_least(signal.net, -fixed::floor_shift(-distance, signal.shift));
  return builder.logic_not(builder.at_least(signal.net, fixed::floor_shift(-distance, signal.shift) + 1));
}

namespace {

/// The range of the net below a signal of range `known`.
fixed::Range below(const Signal& map, const fixed::Range& known) {
  Int lo = known.lo - map.offset;
  Int hi = known.hi - map.offset;
  if (map.negate) {
    std::swap(lo, hi);
    lo = -lo;
    hi = -hi;
  }
  return {-fixed::floor_shift(-lo, map.shift), fixed::floor_shift(hi, map.shift), 0};
}

}  // namespace

Signal narrow(Builder& builder, const Signal& signal, const fixed::Range& known) {
  if (signal.is_constant()) return signal;
  Signal result = signal;
  result.net = builder.narrow(signal.net, below(signal, known));
  if (builder.is_constant(result.net)) {
    const Int value = builder.at(result.net).constant << signal.shift;
    return constant_signal(signal.offset + (signal.negate ? -value : value));
  }
  return result;
}

Signal add(Builder& builder, const Signal& a, const Signal& b, bool subtract, const fixed::Range* known) {
  Signal y = b;
  if (subtract) {
    y.negate = !y.negate;
    y.offset = -y.offset;
  }
  if (a.is_constant() || b.is_constant()) {
    Signal result = a.is_constant() ? y : a;
    if (result.is_constant()) result.negate = false;
    result.offset = a.offset + y.offset;
    return result;
  }
  // The common shift and, when both are negated, the sign stay outside of the adder.
  const int shift = std::min(a.shift, y.shift);
  const bool negate = a.negate && y.negate;
  const Int offset = a.offset + y.offset;
  std::optional<fixed::Range> inner;
  if (known != nullptr) inner = below({.net = {}, .shift = shift, .negate = negate, .offset = offset}, *known);
  const NetId net =
      builder.sum({{a.net, a.shift - shift, a.negate != negate}, {y.net, y.shift - shift, y.negate != negate}},
                  inner ? &*inner : nullptr);
  if (builder.is_constant(net)) {
    const Int value = builder.at(net).constant << shift;
    return constant_signal(offset + (negate ? -value : value));
  }
  return {.net = net, .shift = shift, .negate = negate, .offset = offset};
}

}  // namespace weft::hw
