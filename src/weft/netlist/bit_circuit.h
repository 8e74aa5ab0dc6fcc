// SPDX-License-Identifier: Apache-2.0
/// @file
/// A pipelined netlist bit by bit, as synthesis of the emitted Verilog sees it: gates, carry chains, registers.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "weft/netlist/gates.h"
#include "weft/netlist/netlist.h"
#include "weft/netlist/pipeline.h"

namespace weft::netlist {

/// One bit of a register. A multiplexer with a constant in front of it becomes its synchronous reset or set.
struct BitRegister {
  std::uint32_t node = 0;  ///< the source that it drives
  std::uint32_t owner = 0;
  Literal data = kLow;
  Literal reset = kLow;  ///< constant zero: none
  bool reset_value = false;
  bool inverted_reset = false;  ///< the multiplexer selects it with a zero: the inverter is the register's own
  Literal load = kHigh;         ///< its enable; constant one: loads every cycle
};

/// A carry chain: bit i is select[i] ^ carry and drives the source outputs[i] (0: nobody reads it); the next carry is
/// this one where select[i], else data[i].
struct CarryChain {
  Literal carry = kLow;
  std::vector<Literal> select;
  std::vector<Literal> data;
  std::vector<std::uint32_t> outputs;
};

/// Bits that something reads which is no gate: hard multipliers, memories.
struct HardReads {
  std::vector<Literal> inputs;
  std::vector<std::uint32_t> outputs;
};

struct BitCircuit {
  Gates gates;
  std::vector<std::vector<Literal>> inputs;  ///< of all input cells, in their order
  std::vector<BitRegister> registers;
  std::vector<CarryChain> chains;
  std::vector<HardReads> hard;
  std::vector<Literal> outputs;
  std::vector<std::pair<int, Literal>> events;  ///< bits from outside that say that an event is in a stage
};

/// Cells that are no logic to be mapped: block memories with their register inside, hard multipliers, adders and pairs
/// of functions (lut_form) made of the family's own cells.
enum class Hard : std::uint8_t { No, Memory, Multiplier, Adder, Pairs };

/// One entry of `hard` per cell. The owner of a node is the index of the cell that it comes from.
BitCircuit bit_circuit(const Netlist& netlist, const Pipeline& pipeline, const std::vector<Hard>& hard);

/// Per cell what a device with six-input tables, carry chains and (optionally) shift registers takes.
struct BitUsage {
  std::vector<std::int64_t> lut;
  std::vector<std::int64_t> shift_lut;
  std::vector<std::int64_t> flip_flop;
};
BitUsage count_bits(const BitCircuit& circuit, std::size_t cells, bool shift_registers, bool clock_enable);

}  // namespace weft::netlist
