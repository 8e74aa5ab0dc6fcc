// SPDX-License-Identifier: Apache-2.0
/// @file
/// Words of a bit circuit and what is made of their bits. Internal to netlist.
#pragma once

#include <functional>
#include <vector>

#include "weft/netlist/bit_circuit.h"
#include "weft/netlist/lut_form.h"

namespace weft::netlist {

/// The bits of a value, lowest first.
struct BitWord {
  std::vector<Literal> bits;
  bool is_signed = false;
  [[nodiscard]] int width() const { return static_cast<int>(bits.size()); }
  /// Bit i of the value, the sign or zeros above.
  [[nodiscard]] Literal at(int i) const {
    if (i < 0) return kLow;
    if (i < width()) return bits[static_cast<std::size_t>(i)];
    return is_signed ? bits.back() : kLow;
  }
};

Literal constant_bit(Int value, int i);
/// x >= threshold, as ANDs and ORs from the lowest bit of the threshold up.
Literal at_least(Gates& gates, const BitWord& x, Int threshold);
/// The bits of a form whose LUTs are blocks of the circuit; `literal` says what they read.
std::vector<Literal> pair_bits(BitCircuit& circuit, const LutForm& form,
                               const std::function<Literal(const LutInput&)>& literal);

}  // namespace weft::netlist
