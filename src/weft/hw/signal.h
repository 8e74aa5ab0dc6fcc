// SPDX-License-Identifier: Apache-2.0
/// @file
/// A code as a net with a cheap affine map behind it, so that shifts, signs and offsets cost nothing until they must.
#pragma once

#include "weft/netlist/builder.h"

namespace weft::hw {

/// The integer (negate ? -1 : 1) * net * 2^shift + offset; without a net the constant `offset`.
struct Signal {
  netlist::NetId net;
  int shift = 0;
  bool negate = false;
  Int offset = 0;

  [[nodiscard]] bool is_constant() const { return !net.valid(); }
  bool operator==(const Signal&) const = default;
};

inline Signal constant_signal(Int value) { return {.net = {}, .shift = 0, .negate = false, .offset = value}; }
/// The net itself (a constant net becomes a constant signal).
Signal signal_of(const netlist::Builder& builder, netlist::NetId net);

/// Exact range of the signal's values; nullopt beyond 126 bits.
std::optional<fixed::Range> range_of(const netlist::Builder& builder, const Signal& signal);
/// signal * 2^shift (shift >= 0) and signal + offset; nullopt beyond 126 bits.
std::optional<Signal> shifted(const netlist::Builder& builder, const Signal& signal, int shift);
std::optional<Signal> with_offset(const netlist::Builder& builder, Signal signal, Int offset);

/// A net with the value floor(signal * 2^-shift). `known` is a range that the result is known to have.
netlist::NetId materialize(netlist::Builder& builder, const Signal& signal, int shift = 0,
                           const fixed::Range* known = nullptr);
/// The same value with fewer bits where `known`, a range that holds for it, allows it.
Signal narrow(netlist::Builder& builder, const Signal& signal, const fixed::Range& known);
/// A one-bit net: signal >= threshold.
netlist::NetId at_least(netlist::Builder& builder, const Signal& signal, Int threshold);
/// a + b; offsets stay offsets.
Signal add(netlist::Builder& builder, const Signal& a, const Signal& b, bool subtract,
           const fixed::Range* known = nullptr);

}  // namespace weft::hw
