// SPDX-License-Identifier: Apache-2.0
/// @file
/// A cell as look-up tables of six inputs, of which two functions of the same five inputs share one (LUT6_2 of Xilinx).
#pragma once

#include <cstdint>
#include <optional>
#include <vector>

#include "weft/netlist/netlist.h"

namespace weft::netlist {

/// Something that a table reads: a bit of an operand, or of a clamp's two comparisons.
struct LutInput {
  static constexpr int kBelow = -1;  ///< as term: x >= constant, the lower bound of a Clamp
  static constexpr int kAbove = -2;  ///< as term: x >= constant_hi + 1
  int term = 0;
  int bit = 0;
  auto operator<=>(const LutInput&) const = default;
};

/// One bit as a function of up to six: bit k of `table` is its value where input j is bit j of k.
struct BitFunction {
  std::vector<LutInput> inputs;
  std::uint64_t table = 0;
};

struct LutForm {
  /// Two functions share a LUT where `second` is used: `table` then has it in its low half and the first in its high
  /// half, both of the first five inputs, the sixth being 1. Else the function is of all six. Missing inputs are 0.
  struct Lut {
    std::vector<LutInput> inputs;
    std::uint64_t table = 0;
    bool is_pair = false;
  };
  /// A bit of the result: a constant, an input or an output of a LUT, perhaps inverted.
  struct Bit {
    enum class Source : std::uint8_t { Constant, Input, Lut };
    Source source = Source::Constant;
    LutInput input;
    std::size_t lut = 0;
    bool is_second = false;
    bool invert = false;  ///< of a constant: whether it is 1
  };
  std::vector<Lut> luts;
  std::vector<Bit> bits;
};

/// Equal functions and complements are made once; what is a bit or its complement takes no table.
LutForm lut_form(const std::vector<BitFunction>& functions);

/// The bits of a Mux, Clamp or Table as functions of the bits of its operands; those not in `used` are constant.
/// Nothing where one is a function of more than six bits, and for other cells.
std::optional<LutForm> lut_form(const Netlist& netlist, const Cell& cell, UInt used);

}  // namespace weft::netlist
