// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <algorithm>
#include <map>
#include <set>
#include <tuple>

#include "weft/hw/circuit.h"
#include "weft/netlist/lut_form.h"
#include "weft/netlist/ternary_chain.h"

// All nets are unsigned vectors; signs are extended by hand, so that no language's rule of mixed-sign expressions
// applies and synthesis sees adders of exactly the width that is needed. An adder that reads another adder directly
// computes its lowest bit beside the carry chain: with a second reader of that bit, synthesis tools keep the two adders
// apart instead of merging them into carry-save form, which costs more LUTs.

namespace weft::hw {

namespace {

using netlist::Cell;
using netlist::Expr;
using netlist::HdlModule;
using netlist::NetId;
using netlist::Netlist;
using netlist::Op;
using netlist::Term;

/// An operand as its reader sees it.
struct Operand {
  std::string name;
  int width_bits = 1;
  bool is_signed = false;
  bool is_constant = false;
  Int value = 0;

  [[nodiscard]] Expr all() const { return is_constant ? Expr::constant(width_bits, value) : Expr::name(name); }
  [[nodiscard]] Expr bit(int i) const { return width_bits == 1 ? all() : Expr::bit(name, i); }
  [[nodiscard]] Expr bits(int high, int low) const {
    if (low == 0 && high == width_bits - 1) return all();
    return Expr::slice(name, high, low);
  }
};

/// Bits [low, low + width) of operand * 2^shift.
Expr field(const Operand& x, int shift, int low, int width) {
  if (x.is_constant) {
    const Int shifted = x.value << shift;
    return Expr::constant(width, shifted >> low);
  }
  std::vector<Expr> parts;  // most significant first
  const int top = shift + x.width_bits;
  int high = low + width;
  if (high > top) {
    const int extension = high - std::max(top, low);
    parts.push_back(x.is_signed ? Expr::repeat(extension, x.bit(x.width_bits - 1)) : Expr::constant(extension, 0));
    high = std::max(top, low);
  }
  if (high > std::max(shift, low)) {
    parts.push_back(x.bits(high - 1 - shift, std::max(shift, low) - shift));
    high = std::max(shift, low);
  }
  if (high > low) parts.push_back(Expr::constant(high - low, 0));
  return Expr::concat(parts);
}

Expr field(const Operand& x, int width) { return field(x, 0, 0, width); }

/// x >= threshold, as ANDs and ORs of the bits from the lowest one of the threshold up: the carry of a comparison with
/// a constant, in a form that LUTs take several bits of.
Expr compare(const Operand& x, Int threshold) {
  const int w = x.width_bits;
  // Signed codes compare like unsigned ones with the sign bit inverted.
  const Int t = x.is_signed ? threshold + (Int{1} << (w - 1)) : threshold;
  const auto bit_of_t = [&](int i) { return (t >> i & 1) != 0; };
  const auto bit_of_x = [&](int i) { return x.is_signed && i == w - 1 ? ~x.bit(i) : x.bit(i); };
  int i = fixed::trailing_zeros(t);
  Expr result = bit_of_x(i);
  ++i;
  while (i < w) {
    // A run of equal bits of the threshold, without the inverted sign bit.
    int end = i + 1;
    while (end < w && bit_of_t(end) == bit_of_t(i) && !(x.is_signed && end == w - 1)) ++end;
    Expr run = bit_of_x(i);
    if (end - i > 1) run = bit_of_t(i) ? Expr::and_all(x.bits(end - 1, i)) : Expr::or_all(x.bits(end - 1, i));
    result = bit_of_t(i) ? run & result : run | result;
    i = end;
  }
  return result;
}

class ModulePrinter {
 public:
  ModulePrinter(const Circuit& circuit, const ModuleView& view)
      : circuit_(circuit), netlist_(circuit.netlist()), view_(view), out_(view.name) {}

  HdlModule print() {
    const Design& design = circuit_.design();
    out_.header(netlist_.modules[view_.module].label + " of " + design.top);
    if (view_.has_registers) out_.input("clk", 1);
    if (view_.has_registers && design.options.clock_enable) {
      out_.input("ce", 1);
      out_.set_enable("ce");
    }
    for (const char* name : {"clk", "ce", "result"}) scope_.unique(name);
    for (const int stage : view_.events) {
      out_.input(event_name(stage), 1);
      scope_.unique(event_name(stage));
    }
    // The nets of the module come first, so that they keep their names.
    for (std::uint32_t cell : view_.cells) names_[{cell, 0}] = scope_.unique(netlist_.cells[cell].name);
    print_ports();
    for (std::uint32_t cell : view_.cells) {
      print_cell(cell);
      print_registers(cell);
    }
    if (!view_.exports.empty()) {
      std::vector<Expr> parts;
      for (auto it = view_.exports.rbegin(); it != view_.exports.rend(); ++it) {
        parts.push_back(Expr::name(names_.at(it->first)));
      }
      out_.assign("result", Expr::concat(parts));
    }
    return std::move(out_);
  }

 private:
  void print_ports() {
    for (const netlist::Port& port : netlist_.inputs) {
      if (port.elements.empty() || netlist_.at(port.elements[0]).module != view_.module) continue;
      const std::string bus = scope_.unique(port.name);
      const int width = static_cast<int>(port.elements.size()) * port.element_width_bits;
      out_.input(bus, width);
      for (std::size_t e = 0; e < port.elements.size(); ++e) {
        const int low = static_cast<int>(e) * port.element_width_bits;
        const int bits = netlist_.at(port.elements[e]).width_bits;
        input_bits_.emplace(port.elements[e].index,
                            width == 1 ? Expr::name(bus) : Expr::slice(bus, low + bits - 1, low));
      }
    }
    std::map<std::uint32_t, std::string> buses;
    for (std::uint32_t producer : view_.producers) {
      const ModuleView& from = circuit_.view(producer);
      buses[producer] = scope_.unique("from_" + netlist_.modules[producer].name);
      out_.input(buses[producer], from.result_width_bits);
    }
    out_.output("result", std::max(1, view_.result_width_bits));
    // Only what is read is named.
    std::set<Tap> taps;
    for (std::uint32_t cell : view_.cells) {
      const std::vector<Term>& terms = netlist_.cells[cell].terms;
      for (std::size_t t = 0; t < terms.size(); ++t) {
        const Cell& x = netlist_.at(terms[t].net);
        if (x.op != Op::Constant && x.module != view_.module) taps.insert(circuit_.operand_tap(cell, t));
      }
    }
    for (const Tap& tap : taps) {
      const Cell& x = netlist_.cells[tap.cell];
      const ModuleView& from = circuit_.view(x.module);
      const int low = from.exports.at(tap);
      std::string hint = netlist_.modules[x.module].name + "_" + x.name;
      if (tap.registers > 0) hint += fmt::format("_r{}", tap.registers);
      names_[tap] = scope_.unique(hint);
      const std::string& bus = buses[x.module];
      out_.wire(names_[tap], x.width_bits,
                from.result_width_bits == 1 ? Expr::name(bus) : Expr::slice(bus, low + x.width_bits - 1, low));
    }
  }

  Operand operand(std::uint32_t reader, std::size_t term) const {
    const Cell& x = netlist_.at(netlist_.cells[reader].terms[term].net);
    Operand result{.name = {}, .width_bits = x.width_bits, .is_signed = x.is_signed};
    if (x.op == Op::Constant) {
      result.is_constant = true;
      result.value = x.constant;
    } else {
      result.name = names_.at(circuit_.operand_tap(reader, term));
    }
    return result;
  }

  void print_registers(std::uint32_t cell) {
    std::string previous = names_.at({cell, 0});
    for (int d = 1; d <= circuit_.register_depth(cell); ++d) {
      const std::string name = scope_.unique(fmt::format("{}_r{}", names_.at({cell, 0}), d));
      names_[{cell, d}] = name;
      const int stage = circuit_.load_stage(cell, d);
      const int width = netlist_.cells[cell].width_bits;
      if (stage < 0) {
        out_.reg(name, width, Expr::name(previous));
      } else {
        out_.reg_loaded(name, width, Expr::name(previous), event_name(stage));
      }
      previous = name;
    }
  }

  void print_cell(std::uint32_t index) {
    const Cell& cell = netlist_.cells[index];
    const std::string& name = names_.at({index, 0});
    const int w = cell.width_bits;
    const auto x = [&](std::size_t i) { return operand(index, i); };
    if (circuit_.is_paired(index)) {
      print_pairs(index);
      return;
    }
    switch (cell.op) {
      case Op::Constant:
        break;
      case Op::Input:
        out_.wire(name, w, input_bits_.at(index));
        break;
      case Op::Sum:
        print_sum(index);
        break;
      case Op::Concat:
        out_.wire(name, w, concat(index));
        break;
      case Op::Slice:
        out_.wire(name, w, field(x(0), 0, cell.shift, w));
        break;
      case Op::AtLeast:
        out_.wire(name, w, compare(x(0), cell.constant), fmt::format(">= {}", fixed::to_string(cell.constant)));
        break;
      case Op::Equal:
        out_.wire(name, w, Expr::equal(x(0).all(), Expr::constant(x(0).width_bits, cell.constant)));
        break;
      case Op::AtLeastNet: {
        const Operand a = x(0);
        const Operand b = x(1);
        const bool is_signed = a.is_signed || b.is_signed;
        const auto needed = [&](const Operand& o) { return o.width_bits + (is_signed && !o.is_signed ? 1 : 0); };
        const int common = std::max(needed(a), needed(b));
        Expr left = field(a, common);
        Expr right = field(b, common);
        if (is_signed) {
          left = Expr::as_signed(left);
          right = Expr::as_signed(right);
        }
        out_.wire(name, w, Expr::at_least(left, right));
        break;
      }
      case Op::Mux:
        out_.wire(name, w, Expr::choose(x(0).all(), field(x(1), w), field(x(2), w)));
        break;
      case Op::Clamp:
        print_clamp(index);
        break;
      case Op::Table:
        out_.wire(name, w, Expr::call(table(cell), x(0).all()));
        break;
      case Op::Not:
        out_.wire(name, w, ~x(0).all());
        break;
      case Op::And:
      case Op::Or:
      case Op::Xor: {
        Expr value = x(0).all();
        for (std::size_t i = 1; i < cell.terms.size(); ++i) {
          const Expr next = x(i).all();
          value = cell.op == Op::And ? value & next : cell.op == Op::Or ? value | next : value ^ next;
        }
        out_.wire(name, w, value);
        break;
      }
      case Op::Multiply: {
        const Operand a = x(0);
        const Operand b = x(1);
        const bool is_signed = a.is_signed || b.is_signed;
        const auto factor = [&](const Operand& o) {
          if (!is_signed) return o.all();
          return Expr::as_signed(field(o, o.width_bits + (o.is_signed ? 0 : 1)));
        };
        out_.wire(name, w, factor(a) * factor(b));
        break;
      }
      case Op::Slot: {
        const Expr start = Expr::name(event_name(circuit_.start_stage(index)));
        out_.reg(name, w, Expr::choose(start, Expr::constant(w, 0), Expr::name(name) + Expr::constant(w, 1)));
        break;
      }
      case Op::Select: {
        std::vector<Operand> xs;
        for (std::size_t i = 1; i < cell.terms.size(); ++i) xs.push_back(x(i));
        out_.wire(name, w, select(name, x(0), x(0).width_bits - 1, xs, w));
        break;
      }
      case Op::Pick:
        out_.wire(name, w, field(x(0), w));
        break;
      case Op::Accumulate:
        print_accumulate(index);
        break;
    }
  }

  /// Of the operands in order of slots, the one that the bits [0, high] of `slot` say.
  Expr select(const std::string& name, const Operand& slot, int high, const std::vector<Operand>& xs, int width) {
    const auto is_first = [&](const Operand& x) {
      return x.name == xs[0].name && x.is_constant == xs[0].is_constant && x.value == xs[0].value;
    };
    if (std::all_of(xs.begin(), xs.end(), is_first)) return field(xs[0], width);
    const auto half = static_cast<std::ptrdiff_t>(1) << high;
    if (static_cast<std::ptrdiff_t>(xs.size()) <= half) return select(name, slot, high - 1, xs, width);
    const Expr zero = select(name, slot, high - 1, {xs.begin(), xs.begin() + half}, width);
    Expr one = select(name, slot, high - 1, {xs.begin() + half, xs.end()}, width);
    if (one.kind() == Expr::Kind::Choose) {
      // A choice in front of an else has no parentheses in every language.
      const std::string part = scope_.unique(name + "_m");
      out_.wire(part, width, one);
      one = Expr::name(part);
    }
    return Expr::choose(slot.bit(high), one, zero);
  }

  void print_accumulate(std::uint32_t index) {
    const Cell& cell = netlist_.cells[index];
    const std::string& name = names_.at({index, 0});
    const int w = cell.width_bits;
    const netlist::Accumulator parts = netlist::accumulator_of(netlist_, cell);
    const Expr start = Expr::name(event_name(circuit_.start_stage(index)));
    const Operand kept{
        .name = scope_.unique(name + "_k"), .width_bits = parts.kept_bits, .is_signed = parts.kept_signed};
    const Operand sum{.name = parts.low_bits == 0 ? name : scope_.unique(name + "_s"),
                      .width_bits = parts.sum_bits,
                      .is_signed = parts.sum_signed};
    out_.reg(kept.name, parts.kept_bits,
             Expr::choose(start, Expr::constant(parts.kept_bits, cell.constant),
                          field(sum, 0, cell.shift, parts.kept_bits)));
    out_.wire(sum.name, parts.sum_bits, field(kept, parts.sum_bits) + field(operand(index, 0), parts.sum_bits));
    if (parts.low_bits == 0) return;
    const Operand low{.name = scope_.unique(name + "_l"), .width_bits = parts.low_bits};
    std::vector<Expr> next{field(sum, cell.shift)};
    if (parts.low_bits > cell.shift) next.push_back(low.bits(parts.low_bits - 1, cell.shift));
    out_.reg(low.name, parts.low_bits, Expr::concat(next));
    if (w <= parts.low_bits) {
      out_.wire(name, w, low.bits(w - 1, 0));
    } else {
      out_.wire(name, w, Expr::concat({field(sum, w - parts.low_bits), low.all()}));
    }
  }

  Expr concat(std::uint32_t index) const {
    const Cell& cell = netlist_.cells[index];
    std::vector<Expr> parts;
    int low = 0;
    for (std::size_t i = 0; i < cell.terms.size(); ++i) {
      const Operand x = operand(index, i);
      const bool last = i + 1 == cell.terms.size();
      const int end = std::min(cell.width_bits, last ? cell.width_bits : cell.terms[i].shift + x.width_bits);
      if (end <= low) continue;
      parts.insert(parts.begin(), field(x, cell.terms[i].shift, low, end - low));
      low = end;
    }
    return Expr::concat(parts);
  }

  [[nodiscard]] bool has_cells() const { return circuit_.design().options.primitives == Primitives::Xilinx; }

  /// A sum of one or three terms.
  void print_plain_sum(std::uint32_t index) {
    const Cell& cell = netlist_.cells[index];
    const int w = cell.width_bits;
    Expr value = Expr::constant(w, 0);
    bool first = true;
    for (std::size_t t = 0; t < cell.terms.size(); ++t) {
      const Term& term = cell.terms[t];
      const Expr x = field(operand(index, t), term.shift, 0, w);
      if (term.negate) {
        value = value - x;
      } else {
        value = first ? x : value + x;
      }
      first = false;
    }
    out_.wire(names_.at({index, 0}), w, value);
  }

  /// A sum of three terms in cells of the vendor.
  void print_ternary(std::uint32_t index) {
    const Cell& cell = netlist_.cells[index];
    const std::string& name = names_.at({index, 0});
    const netlist::TernaryChain chain = netlist::ternary_chain(netlist_, cell, circuit_.used_bits(index));
    // Nobody reads the bits above the chain.
    const int above = cell.width_bits - chain.low_bits - chain.width_bits;
    const bool alone = chain.low_bits == 0 && above == 0;
    const std::string sum = alone ? name : scope_.unique(name + "_c");
    out_.wire(sum, chain.width_bits);
    std::vector<std::pair<std::string, Expr>> connections;
    UInt negate = 0;
    for (std::size_t t = 0; t < 3; ++t) {
      const Term& term = cell.terms[t];
      negate |= UInt{term.negate} << t;
      connections.emplace_back(std::string(1, static_cast<char>('a' + t)),
                               field(operand(index, t), term.shift, chain.low_bits, chain.width_bits));
    }
    connections.emplace_back(std::string(1, 'y'), Expr::name(sum));
    const auto number = [](int value) { return Expr::name(std::to_string(value)); };
    out_.instance(ternary_adder_name(circuit_.design()), scope_.unique("add_" + name), connections,
                  {{"WIDTH", number(chain.width_bits)},
                   {"TOP", number(chain.top)},
                   {"CELLS", Expr::constant(chain.width_bits, static_cast<Int>(chain.cells))},
                   {"NEGATE", Expr::constant(3, static_cast<Int>(negate))},
                   {"CARRY", Expr::constant(1, chain.carry_in ? 1 : 0)},
                   {"SAVE", Expr::constant(1, chain.save_in ? 1 : 0)}});
    if (alone) return;
    std::vector<Expr> parts;
    if (above > 0) parts.push_back(Expr::constant(above, 0));
    parts.push_back(Expr::name(sum));
    const std::size_t low = lowest_term(netlist_, cell);
    if (chain.low_bits > 0) parts.push_back(field(operand(index, low), cell.terms[low].shift, 0, chain.low_bits));
    out_.wire(name, cell.width_bits, Expr::concat(parts));
  }

  void print_sum(std::uint32_t index) {
    const Cell& cell = netlist_.cells[index];
    const std::string& name = names_.at({index, 0});
    const int w = cell.width_bits;
    if (cell.terms.size() == 3 && has_cells()) return print_ternary(index);
    if (cell.terms.size() != 2) return print_plain_sum(index);
    // The positive term in front; the free low bits are those of the term that reaches lower.
    const std::size_t positive = cell.terms[0].negate ? 1 : 0;
    const Term& a = cell.terms[positive];
    const Term& b = cell.terms[1 - positive];
    const Operand xa = operand(index, positive);
    const Operand xb = operand(index, 1 - positive);
    const int free = sum_free_bits(netlist_, cell);
    const int h = w - free;
    const Expr ea = field(xa, a.shift, free, h);
    const Expr eb = field(xb, b.shift, free, h);
    const Expr sum = b.negate ? ea - eb : ea + eb;
    const bool apart = netlist::lowest_bit_apart(netlist_, circuit_.design().pipeline, index, has_cells());
    const std::size_t low = lowest_term(netlist_, cell);
    std::vector<Expr> parts;
    if (apart) {
      const Expr lowest = field(xa, a.shift, free, 1) ^ field(xb, b.shift, free, 1);
      if (h > 1) {
        const std::string chain = scope_.unique(name + "_c");
        out_.wire(chain, h, sum);
        parts.push_back(Expr::slice(chain, h - 1, 1));
      }
      parts.push_back(lowest);
    } else if (free > 0) {
      // A sum inside of a concatenation would be as wide as its operands: as it should, but a name reads better.
      const std::string chain = scope_.unique(name + "_c");
      out_.wire(chain, h, sum);
      parts.push_back(Expr::name(chain));
    } else {
      parts.push_back(sum);
    }
    if (free > 0) parts.push_back(field(operand(index, low), cell.terms[low].shift, 0, free));
    out_.wire(name, w, Expr::concat(parts));
  }

  /// LUT6_2 of two bits each, and LUT6 where no other bit goes along.
  void print_pairs(std::uint32_t index) {
    const Cell& cell = netlist_.cells[index];
    const std::string& name = names_.at({index, 0});
    const auto form = netlist::lut_form(netlist_, cell, circuit_.used_bits(index));
    std::map<int, std::string> comparisons;
    const auto input = [&](const netlist::LutInput& from) {
      if (from.term >= 0) return operand(index, static_cast<std::size_t>(from.term)).bit(from.bit);
      const bool below = from.term == netlist::LutInput::kBelow;
      const auto [it, is_new] = comparisons.try_emplace(from.term);
      if (is_new) {
        const Int threshold = below ? cell.constant : cell.constant_hi + 1;
        it->second = scope_.unique(name + (below ? "_lo" : "_hi"));
        out_.wire(it->second, 1, compare(operand(index, 0), threshold),
                  fmt::format(">= {}", fixed::to_string(threshold)));
      }
      return Expr::name(it->second);
    };
    std::vector<std::pair<std::string, std::string>> outputs;
    for (const netlist::LutForm::Lut& lut : form->luts) {
      std::vector<std::pair<std::string, Expr>> connections;
      for (std::size_t k = 0; k < 6; ++k) {
        Expr read = Expr::constant(1, lut.is_pair && k == 5 ? 1 : 0);
        if (k < lut.inputs.size()) read = input(lut.inputs[k]);
        connections.emplace_back(fmt::format("I{}", k), read);
      }
      auto& [first, second] = outputs.emplace_back();
      first = scope_.unique(fmt::format("{}_a{}", name, outputs.size() - 1));
      out_.wire(first, 1);
      connections.emplace_back(lut.is_pair ? "O6" : "O", Expr::name(first));
      if (lut.is_pair) {
        second = scope_.unique(fmt::format("{}_b{}", name, outputs.size() - 1));
        out_.wire(second, 1);
        connections.emplace_back("O5", Expr::name(second));
      }
      out_.instance(lut.is_pair ? "LUT6_2" : "LUT6", scope_.unique(fmt::format("lut_{}_{}", name, outputs.size() - 1)),
                    connections, {{"INIT", Expr::constant(64, static_cast<Int>(lut.table))}});
    }
    std::vector<Expr> bits;  // highest first
    for (auto bit = form->bits.rbegin(); bit != form->bits.rend(); ++bit) {
      using Source = netlist::LutForm::Bit::Source;
      if (bit->source == Source::Constant) {
        bits.push_back(Expr::constant(1, bit->invert ? 1 : 0));
        continue;
      }
      const Expr value = bit->source == Source::Input
                             ? input(bit->input)
                             : Expr::name(bit->is_second ? outputs[bit->lut].second : outputs[bit->lut].first);
      bits.push_back(bit->invert ? ~value : value);
    }
    out_.wire(name, cell.width_bits, Expr::concat(bits));
  }

  void print_clamp(std::uint32_t index) {
    const Cell& cell = netlist_.cells[index];
    const Operand x = operand(index, 0);
    const fixed::Range& range = netlist_.at(cell.terms[0].net).range;
    const std::string& name = names_.at({index, 0});
    const int w = cell.width_bits;
    Expr value = field(x, w);
    if (range.lo < cell.constant) {
      const std::string enough = scope_.unique(name + "_lo");
      out_.wire(enough, 1, compare(x, cell.constant), fmt::format(">= {}", fixed::to_string(cell.constant)));
      value = Expr::choose(Expr::name(enough), value, Expr::constant(w, cell.constant));
    }
    if (range.hi > cell.constant_hi) {
      const std::string above = scope_.unique(name + "_hi");
      out_.wire(above, 1, compare(x, cell.constant_hi + 1), fmt::format("> {}", fixed::to_string(cell.constant_hi)));
      value = Expr::choose(Expr::name(above), Expr::constant(w, cell.constant_hi), value);
    }
    out_.wire(name, w, value);
  }

  std::string table(const Cell& cell) {
    const Cell& x = netlist_.at(cell.terms[0].net);
    const std::tuple key{cell.table, cell.constant, x.width_bits, cell.width_bits};
    const auto it = tables_.find(key);
    if (it != tables_.end()) return it->second;
    const std::string name = scope_.unique(fmt::format("table{}", tables_.size()));
    tables_[key] = name;
    out_.table(name, cell.width_bits, x.width_bits, cell.constant, netlist_.tables[cell.table]);
    return name;
  }

  const Circuit& circuit_;
  const Netlist& netlist_;
  const ModuleView& view_;
  HdlModule out_;
  netlist::NameScope scope_;
  std::map<Tap, std::string> names_;
  std::map<std::uint32_t, Expr> input_bits_;
  std::map<std::tuple<std::uint32_t, Int, int, int>, std::string> tables_;
};

}  // namespace

netlist::HdlModule module_tree(const Circuit& circuit, const ModuleView& view) {
  return ModulePrinter(circuit, view).print();
}

}  // namespace weft::hw
