// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/netlist.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <boost/container/small_vector.hpp>
#include <set>

#include "weft/diag/diag.h"

namespace weft::netlist {

namespace {

struct OpInfo {
  std::string_view name;
  std::size_t min_terms;
  std::size_t max_terms;
};

constexpr std::array<OpInfo, 20> kOps = {{{"input", 0, 0},         {"constant", 0, 0},     {"sum", 1, 3},
                                          {"concat", 1, 1u << 20}, {"slice", 1, 1},        {"at_least", 1, 1},
                                          {"equal", 1, 1},         {"at_least_net", 2, 2}, {"mux", 3, 3},
                                          {"clamp", 1, 1},         {"table", 1, 1},        {"not", 1, 1},
                                          {"and", 2, 3},           {"or", 2, 3},           {"xor", 2, 2},
                                          {"multiply", 2, 2},      {"slot", 0, 0},         {"select", 3, 1u << 20},
                                          {"pick", 1, 1},          {"accumulate", 1, 1}}};

/// The low `width` bits of `value`, read with the sign wanted.
Int wrap(UInt value, int width, bool is_signed) {
  if (width >= 128) return static_cast<Int>(value);
  const UInt mask = (UInt{1} << width) - 1;
  value &= mask;
  if (is_signed && ((value >> (width - 1)) & 1) != 0) value |= ~mask;
  return static_cast<Int>(value);
}

bool is_one_bit(const Cell& cell) { return cell.width_bits == 1 && !cell.is_signed; }

/// What is wrong with the slots of a cell and its operands.
std::string verify_slots(const Netlist& netlist, const Cell& cell) {
  const auto operand = [&](std::size_t i) -> const Cell& { return netlist.at(cell.terms[i].net); };
  if (cell.slots < 1) return "no slot";
  switch (cell.op) {
    case Op::Slot:
      if (cell.slots < 2) return "a slot alone";
      if (cell.range.lo != 0 || cell.range.hi != cell.slots - 1) return "range is not that of its slots";
      return {};
    case Op::Select:
      if (operand(0).op != Op::Slot || operand(0).slots != cell.slots) return "select is no slot of its own";
      if (cell.terms.size() != static_cast<std::size_t>(cell.slots) + 1) return "not one operand per slot";
      for (std::size_t i = 1; i < cell.terms.size(); ++i) {
        if (operand(i).slots != 1) return "operand has slots";
      }
      return {};
    case Op::Pick:
    case Op::Accumulate:
      if (cell.slots != 1 || operand(0).slots < 2) return "operand has no slots";
      if (cell.shift < 0 || cell.shift > 126) return "shift out of range";
      if (cell.op == Op::Pick && cell.shift >= operand(0).slots) return "slot out of range";
      return {};
    default: {
      int slots = 1;
      for (const Term& term : cell.terms) slots = std::max(slots, netlist.at(term.net).slots);
      if (cell.slots != slots) return "slots do not follow from the operands";
      for (const Term& term : cell.terms) {
        const Cell& x = netlist.at(term.net);
        if (x.op != Op::Constant && x.slots != slots) return "operands of different slots";
      }
      return {};
    }
  }
}

std::string verify_cell(const Netlist& netlist, std::size_t index) {
  const Cell& cell = netlist.cells[index];
  const OpInfo& op = kOps[static_cast<std::size_t>(cell.op)];
  if (cell.terms.size() < op.min_terms || cell.terms.size() > op.max_terms) return "wrong number of operands";
  for (const Term& term : cell.terms) {
    if (term.net.index >= index) return "operand is not in front of its cell";
    if (term.shift < 0 || term.shift > 127) return "shift out of range";
    if (term.shift != 0 && cell.op != Op::Sum && cell.op != Op::Concat) return "shift where none is allowed";
    if (term.negate && cell.op != Op::Sum) return "negation where none is allowed";
  }
  if (cell.range.lo > cell.range.hi) return "empty range";
  if (cell.width_bits < 1 || cell.width_bits > 128) return "width out of range";
  if (cell.is_signed != (cell.range.lo < 0)) return "sign does not follow from the range";
  if (cell.width_bits != width_of(cell.range)) return "width does not follow from the range";
  if (cell.module >= netlist.modules.size()) return "unknown module";
  if (std::string what = verify_slots(netlist, cell); !what.empty()) return what;
  const auto operand = [&](std::size_t i) -> const Cell& { return netlist.at(cell.terms[i].net); };
  switch (cell.op) {
    case Op::Sum: {
      std::size_t negated = 0;
      for (const Term& term : cell.terms) negated += term.negate ? 1 : 0;
      if (cell.terms.size() > 1 && negated == cell.terms.size()) return "all terms of a sum are negated";
      break;
    }
    case Op::Concat:
      for (std::size_t i = 0; i + 1 < cell.terms.size(); ++i) {
        if (operand(i).is_signed) return "signed field below another one";
        if (cell.terms[i].shift + operand(i).width_bits > cell.terms[i + 1].shift) return "fields overlap";
      }
      break;
    case Op::Mux:
      if (!is_one_bit(operand(0))) return "select is not one bit";
      break;
    case Op::Not:
    case Op::And:
    case Op::Or:
    case Op::Xor:
      for (std::size_t i = 0; i < cell.terms.size(); ++i) {
        if (!is_one_bit(operand(i))) return "operand is not one bit";
      }
      [[fallthrough]];
    case Op::AtLeast:
    case Op::AtLeastNet:
    case Op::Equal:
      if (!is_one_bit(cell)) return "result is not one bit";
      break;
    case Op::Table: {
      if (cell.table >= netlist.tables.size()) return "unknown table";
      const auto& x = operand(0).range;
      if (cell.constant > x.lo || cell.constant + static_cast<Int>(netlist.tables[cell.table].size()) <= x.hi) {
        return "table does not cover its index";
      }
      break;
    }
    default:
      break;
  }
  return {};
}

/// Values of nets, one after the other those of the slots of a net.
class Values {
 public:
  explicit Values(const Netlist& netlist) : netlist_(netlist), first_(netlist.cells.size() + 1, 0) {
    for (std::size_t i = 0; i < netlist.cells.size(); ++i)
      first_[i + 1] = first_[i] + static_cast<std::size_t>(netlist.cells[i].slots);
    values_.assign(first_.back(), 0);
  }
  [[nodiscard]] Int& at(std::size_t net, int slot) {
    return values_[first_[net] + static_cast<std::size_t>(netlist_.cells[net].slots > 1 ? slot : 0)];
  }

 private:
  const Netlist& netlist_;
  std::vector<std::size_t> first_;
  std::vector<Int> values_;
};

Int evaluate_cell(const Netlist& netlist, const Cell& cell, Values& values, int slot) {
  switch (cell.op) {
    case Op::Slot:
      return slot;
    case Op::Select:
      return wrap(static_cast<UInt>(values.at(cell.terms[static_cast<std::size_t>(slot) + 1].net.index, slot)),
                  cell.width_bits, cell.is_signed);
    case Op::Pick:
      return wrap(static_cast<UInt>(values.at(cell.terms[0].net.index, cell.shift)), cell.width_bits, cell.is_signed);
    case Op::Accumulate: {
      auto result = static_cast<UInt>(cell.constant);
      const int slots = netlist.at(cell.terms[0].net).slots;
      for (int k = 0; k < slots && k * cell.shift < 128; ++k)
        result += static_cast<UInt>(values.at(cell.terms[0].net.index, k)) << (k * cell.shift);
      return wrap(result, cell.width_bits, cell.is_signed);
    }
    default: {
      boost::container::small_vector<Int, 4> operands;
      for (const Term& term : cell.terms) operands.push_back(values.at(term.net.index, slot));
      return evaluate(netlist, cell, {operands.data(), operands.size()});
    }
  }
}

}  // namespace

std::string_view to_string(Op op) { return kOps[static_cast<std::size_t>(op)].name; }

int width_of(const fixed::Range& range) { return fixed::width_bits(range.lo, range.hi, range.lo < 0); }

namespace {

/// Where the term begins: constants without their low zeros.
int lowest_bit(const Netlist& netlist, const Term& term) {
  const Cell& x = netlist.at(term.net);
  return term.shift + (x.op == Op::Constant && x.constant != 0 ? fixed::trailing_zeros(x.constant) : 0);
}

}  // namespace

Accumulator accumulator_of(const Netlist& netlist, const Cell& cell) {
  const Cell& x = netlist.at(cell.terms[0].net);
  // Without a shift all is modulo the result's width, whatever sums lie between.
  if (cell.shift == 0) return {cell.width_bits, cell.is_signed, cell.width_bits, cell.is_signed, 0};
  fixed::Range kept{cell.constant, cell.constant, 0};
  fixed::Range all_kept = kept;
  fixed::Range sum{kept.lo + x.range.lo, kept.hi + x.range.hi, 0};
  fixed::Range all_sums = sum;
  for (int k = 1; k < x.slots; ++k) {
    kept = {fixed::floor_shift(sum.lo, cell.shift), fixed::floor_shift(sum.hi, cell.shift), 0};
    sum = {kept.lo + x.range.lo, kept.hi + x.range.hi, 0};
    all_kept = fixed::unite(all_kept, kept);
    all_sums = fixed::unite(all_sums, sum);
  }
  return {width_of(all_sums), all_sums.lo < 0, width_of(all_kept), all_kept.lo < 0, (x.slots - 1) * cell.shift};
}

std::size_t lowest_term(const Netlist& netlist, const Cell& cell) {
  std::size_t low = 0;
  for (std::size_t i = 1; i < cell.terms.size(); ++i) {
    if (lowest_bit(netlist, cell.terms[i]) < lowest_bit(netlist, cell.terms[low])) low = i;
  }
  return low;
}

int sum_free_bits(const Netlist& netlist, const Cell& cell) {
  if (cell.op != Op::Sum || cell.terms.size() < 2) return 0;
  const std::size_t low = lowest_term(netlist, cell);
  if (cell.terms[low].negate) return 0;
  int next = cell.width_bits - 1;
  for (std::size_t i = 0; i < cell.terms.size(); ++i) {
    if (i != low) next = std::min(next, lowest_bit(netlist, cell.terms[i]));
  }
  return next;
}

std::string verify(const Netlist& netlist) {
  std::set<std::string> module_names;
  for (const Module& module : netlist.modules) {
    if (!module_names.insert(module.name).second) return fmt::format("two modules are named `{}`", module.name);
  }
  std::set<std::pair<std::uint32_t, std::string_view>> names;
  for (std::size_t i = 0; i < netlist.cells.size(); ++i) {
    const Cell& cell = netlist.cells[i];
    if (std::string what = verify_cell(netlist, i); !what.empty()) {
      return fmt::format("cell {} ({} `{}`): {}", i, to_string(cell.op), cell.name, what);
    }
    if (cell.op != Op::Constant && !names.emplace(cell.module, cell.name).second) {
      return fmt::format("two nets of module `{}` are named `{}`", netlist.modules[cell.module].name, cell.name);
    }
  }
  std::vector<bool> is_port(netlist.cells.size(), false);
  for (const Port& port : netlist.inputs) {
    for (NetId net : port.elements) {
      if (net.index >= netlist.cells.size() || netlist.at(net).op != Op::Input) {
        return fmt::format("element of port `{}` is no input", port.name);
      }
      if (is_port[net.index]) return fmt::format("an input of port `{}` is used twice", port.name);
      is_port[net.index] = true;
    }
  }
  for (std::size_t i = 0; i < netlist.cells.size(); ++i) {
    if (netlist.cells[i].op == Op::Input && !is_port[i]) return fmt::format("input cell {} is of no port", i);
  }
  for (const Port& port : netlist.outputs) {
    for (NetId net : port.elements) {
      if (net.index >= netlist.cells.size()) return fmt::format("element of port `{}` does not exist", port.name);
      const int needed = netlist.at(net).width_bits + (port.is_signed && !netlist.at(net).is_signed ? 1 : 0);
      const bool is_constant = netlist.at(net).op == Op::Constant;
      if (!is_constant && needed > port.element_width_bits) {
        return fmt::format("element of port `{}` is wider than the port says", port.name);
      }
    }
  }
  return {};
}

Int evaluate(const Netlist& netlist, const Cell& cell, std::span<const Int> x) {
  UInt result = 0;
  switch (cell.op) {
    case Op::Constant:
      result = static_cast<UInt>(cell.constant);
      break;
    case Op::Sum:
    case Op::Concat:
      for (std::size_t i = 0; i < cell.terms.size(); ++i) {
        const UInt shifted = static_cast<UInt>(x[i]) << cell.terms[i].shift;
        result += cell.terms[i].negate ? UInt{0} - shifted : shifted;
      }
      break;
    case Op::Slice:
      result = static_cast<UInt>(x[0] >> cell.shift);
      break;
    case Op::AtLeast:
      result = x[0] >= cell.constant ? 1 : 0;
      break;
    case Op::Equal:
      result = x[0] == cell.constant ? 1 : 0;
      break;
    case Op::AtLeastNet:
      result = x[0] >= x[1] ? 1 : 0;
      break;
    case Op::Mux:
      result = static_cast<UInt>(x[0] != 0 ? x[1] : x[2]);
      break;
    case Op::Clamp:
      result = static_cast<UInt>(std::min(std::max(x[0], cell.constant), cell.constant_hi));
      break;
    case Op::Table:
      result = static_cast<UInt>(netlist.tables[cell.table][static_cast<std::size_t>(x[0] - cell.constant)]);
      break;
    case Op::Not:
      result = x[0] != 0 ? 0 : 1;
      break;
    case Op::And:
      result = 1;
      for (const Int bit : x) result &= static_cast<UInt>(bit);
      break;
    case Op::Or:
      for (const Int bit : x) result |= static_cast<UInt>(bit);
      break;
    case Op::Xor:
      result = static_cast<UInt>(x[0]) ^ static_cast<UInt>(x[1]);
      break;
    case Op::Multiply:
      result = static_cast<UInt>(x[0]) * static_cast<UInt>(x[1]);
      break;
    case Op::Input:
    case Op::Slot:
    case Op::Select:
    case Op::Pick:
    case Op::Accumulate:
      WEFT_CHECK(false, "no function of operands alone");
  }
  return wrap(result, cell.width_bits, cell.is_signed);
}

std::vector<Int> evaluate(const Netlist& netlist, const std::vector<std::vector<Int>>& inputs, bool check_ranges) {
  Values values(netlist);
  WEFT_CHECK(inputs.size() == netlist.inputs.size(), "one vector per input port");
  for (std::size_t p = 0; p < inputs.size(); ++p) {
    const auto& elements = netlist.inputs[p].elements;
    WEFT_CHECK(inputs[p].size() == elements.size(), "one value per element of an input port");
    for (std::size_t e = 0; e < elements.size(); ++e) {
      values.at(elements[e].index, 0) =
          wrap(static_cast<UInt>(inputs[p][e]), netlist.at(elements[e]).width_bits, netlist.at(elements[e]).is_signed);
    }
  }
  std::vector<Int> last(netlist.cells.size(), 0);
  for (std::size_t i = 0; i < netlist.cells.size(); ++i) {
    const Cell& cell = netlist.cells[i];
    for (int slot = 0; slot < cell.slots; ++slot) {
      Int& value = values.at(i, slot);
      if (cell.op != Op::Input) value = evaluate_cell(netlist, cell, values, slot);
      last[i] = value;
      WEFT_CHECK(!check_ranges || (value >= cell.range.lo && value <= cell.range.hi),
                 fmt::format("net {} `{}` of `{}` is {}, outside of its range [{}, {}]", i, cell.name,
                             netlist.modules[cell.module].name, fixed::to_string(value),
                             fixed::to_string(cell.range.lo), fixed::to_string(cell.range.hi)));
    }
  }
  return last;
}

std::string dump(const Netlist& netlist) {
  std::string text = fmt::format("netlist {}\n", netlist.name);
  auto out = std::back_inserter(text);
  for (std::size_t i = 0; i < netlist.cells.size(); ++i) {
    const Cell& cell = netlist.cells[i];
    fmt::format_to(out, "%{} {}.{} {}{}", i, netlist.modules[cell.module].name, cell.name, cell.is_signed ? 's' : 'u',
                   cell.width_bits);
    if (cell.slots > 1) fmt::format_to(out, " x {}", cell.slots);
    fmt::format_to(out, " = {}", to_string(cell.op));
    for (const Term& term : cell.terms) {
      fmt::format_to(out, " {}%{}", term.negate ? "-" : "", term.net.index);
      if (term.shift != 0) fmt::format_to(out, "<<{}", term.shift);
    }
    switch (cell.op) {
      case Op::Constant:
      case Op::AtLeast:
      case Op::Equal:
        fmt::format_to(out, " {}", fixed::to_string(cell.constant));
        break;
      case Op::Clamp:
        fmt::format_to(out, " [{}, {}]", fixed::to_string(cell.constant), fixed::to_string(cell.constant_hi));
        break;
      case Op::Slice:
        fmt::format_to(out, " >> {}", cell.shift);
        break;
      case Op::Pick:
        fmt::format_to(out, " slot {}", cell.shift);
        break;
      case Op::Accumulate:
        fmt::format_to(out, " {}", fixed::to_string(cell.constant));
        if (cell.shift != 0) fmt::format_to(out, ", {} bits per slot", cell.shift);
        break;
      case Op::Table:
        fmt::format_to(out, " table {} from {}", cell.table, fixed::to_string(cell.constant));
        break;
      default:
        break;
    }
    fmt::format_to(out, " in [{}, {}]\n", fixed::to_string(cell.range.lo), fixed::to_string(cell.range.hi));
  }
  for (const auto& [ports, word] : {std::pair{&netlist.inputs, "input"}, std::pair{&netlist.outputs, "output"}}) {
    for (const Port& port : *ports) {
      fmt::format_to(out, "{} {} {}{} =", word, port.name, port.is_signed ? 's' : 'u', port.element_width_bits);
      for (NetId net : port.elements) fmt::format_to(out, " %{}", net.index);
      fmt::format_to(out, "\n");
    }
  }
  return text;
}

}  // namespace weft::netlist
