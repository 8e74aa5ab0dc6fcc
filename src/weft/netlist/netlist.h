// SPDX-License-Identifier: Apache-2.0
/// @file
/// Word-level circuit: cells that compute exact integers, grouped into modules, between input and output ports.
#pragma once

#include <compare>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "weft/fixed/range.h"

namespace weft::netlist {

/// Index into Netlist::cells; a cell drives exactly one net, so nets and cells share their numbers.
struct NetId {
  std::uint32_t index = 0xffffffffU;
  auto operator<=>(const NetId&) const = default;
  [[nodiscard]] bool valid() const { return index != 0xffffffffU; }
};

/// What a cell computes. All values are integers; the result is taken modulo 2^width_bits and read with the net's sign.
/// A net has one value per event, or one per slot: `slots` values that follow each other in as many cycles. A cell
/// whose operands have slots works on them slot by slot; Slot and Select make such nets, Pick and Accumulate end them.
enum class Op : std::uint8_t {
  Input,       ///< element of an input port
  Constant,    ///< `constant`
  Sum,         ///< sum of one to three terms; at most one of two terms is negated
  Concat,      ///< sum of terms whose bit fields do not overlap, lowest first: wiring
  Slice,       ///< floor(x * 2^-shift), then the low width_bits bits: wiring
  AtLeast,     ///< x >= constant, one bit
  Equal,       ///< x == constant, one bit
  AtLeastNet,  ///< a >= b, one bit
  Mux,         ///< terms[0] (one bit) ? terms[1] : terms[2]
  Clamp,       ///< min(max(x, constant), constant_hi)
  Table,       ///< tables[table][x - constant]
  Not,         ///< one bit
  And,         ///< of two or three one-bit nets
  Or,          ///< of two or three one-bit nets
  Xor,         ///< of two one-bit nets
  Multiply,    ///< a * b
  Slot,        ///< the number of the slot, 0 to slots - 1
  Select,      ///< terms[0] is a Slot; in slot k the value of terms[k + 1]
  Pick,        ///< the value of the operand in slot `shift`
  Accumulate,  ///< constant + sum over the slots k of x * 2^(k * shift)
};
std::string_view to_string(Op op);

/// (negate ? -1 : 1) * net * 2^shift. Only Sum and Concat use shift, only Sum uses negate.
struct Term {
  NetId net;
  int shift = 0;
  bool negate = false;
  bool operator==(const Term&) const = default;
};

struct Cell {
  Op op = Op::Constant;
  bool is_signed = false;  ///< of the result: two's complement when true
  std::uint32_t module = 0;
  int width_bits = 1;  ///< of the result
  int slots = 1;       ///< values of the result per event
  int shift = 0;       ///< Slice, Pick, Accumulate
  std::uint32_t table = 0;
  std::vector<Term> terms;
  Int constant = 0;
  Int constant_hi = 0;
  fixed::Range range;  ///< every reachable value of the result; step_log2 is not used (the grid is always 1)
  std::string name;    ///< base name of the net, unique in its module
};

/// A group of cells that becomes one module of the printed circuit.
struct Module {
  std::string name;   ///< [A-Za-z0-9_]+, unique
  std::string label;  ///< for comments: what it is
};

/// Elements of one port, element 0 in the low bits, all of the same width.
struct Port {
  std::string name;
  std::vector<NetId> elements;
  int element_width_bits = 1;
  bool is_signed = false;
};

/// Cells in topological order.
struct Netlist {
  std::string name;
  std::vector<Module> modules;
  std::vector<Cell> cells;
  std::vector<std::vector<Int>> tables;
  std::vector<Port> inputs;
  std::vector<Port> outputs;

  [[nodiscard]] const Cell& at(NetId id) const { return cells[id.index]; }
};

/// Bits of a result of this range.
int width_of(const fixed::Range& range);

/// Low bits of a sum of two or three terms that are copies of the term that reaches lowest; the carry chain starts
/// above them.
int sum_free_bits(const Netlist& netlist, const Cell& cell);
/// The term of which they are copies.
std::size_t lowest_term(const Netlist& netlist, const Cell& cell);

/// Empty when order, operand counts, widths, ranges, tables and names are sound, else what is wrong.
std::string verify(const Netlist& netlist);

/// The parts of an Accumulate. In every slot its adder gives kept + x. The low `shift` bits of that are bits of the
/// result, which wait in `low_bits` more registers; what is above is kept for the next slot.
struct Accumulator {
  int sum_bits = 1;
  bool sum_signed = false;
  int kept_bits = 1;
  bool kept_signed = false;
  int low_bits = 0;
};
Accumulator accumulator_of(const Netlist& netlist, const Cell& cell);

/// The values of all nets for one sample, without any notion of time: of nets with slots those of the last one.
/// inputs[p] holds the elements of port p.
/// Values outside of a net's range are an InternalError when `check_ranges`.
std::vector<Int> evaluate(const Netlist& netlist, const std::vector<std::vector<Int>>& inputs,
                          bool check_ranges = true);

/// The result of a cell that has no slots, for operands on their nets' grids.
Int evaluate(const Netlist& netlist, const Cell& cell, std::span<const Int> operands);

/// One cell per line, for people and golden tests.
std::string dump(const Netlist& netlist);

}  // namespace weft::netlist
