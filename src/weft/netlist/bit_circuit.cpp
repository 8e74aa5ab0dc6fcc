// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/bit_circuit.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>

#include "weft/diag/diag.h"
#include "weft/netlist/bit_columns.h"
#include "weft/netlist/bit_words.h"
#include "weft/netlist/lut_form.h"
#include "weft/netlist/register_count.h"

// What Yosys makes of the Verilog of backends/verilog, cell by cell. Sums above two bits are carry chains: one XOR per
// bit that gates in front of it may be drawn into, and the first operand as it is. Registers of equal bits are one.
// A word-level multiplexer with a constant input right in front of a register is its synchronous reset; it costs no
// table. Tables are multiplexers from the highest index bit down, equal halves shared. Products are rows of ANDs that
// full adders compress to two summands for one carry chain.

namespace weft::netlist {

namespace {

using Bits = std::vector<Literal>;

/// Chains of up to this many bits are gates.
constexpr int kShortChain = 2;
/// Inputs of a table that take the parts of a comparison of two words.
constexpr int kCompareInputs = 6;

class Builder {
 public:
  Builder(const Netlist& netlist, const Pipeline& pipeline, const std::vector<Hard>& hard)
      : netlist_(netlist),
        pipeline_(pipeline),
        hard_(hard),
        used_(used_bits(netlist)),
        ternary_cells_(std::find(hard.begin(), hard.end(), Hard::Adder) != hard.end()),
        gates_(out_.gates),
        delay_(read_delays(netlist, pipeline)) {
    WEFT_CHECK(hard.size() == netlist.cells.size(), "one kind per cell");
  }

  BitCircuit run() {
    bits_.resize(netlist_.cells.size());
    for (std::size_t i = 0; i < netlist_.cells.size(); ++i) {
      gates_.set_owner(static_cast<std::uint32_t>(i));
      bits_[i].push_back(make(i));
    }
    for (const Port& port : netlist_.outputs) {
      for (NetId net : port.elements) {
        const Bits& bits = delayed(net, pipeline_.output_stage);
        out_.outputs.insert(out_.outputs.end(), bits.begin(), bits.end());
      }
    }
    return std::move(out_);
  }

 private:
  using Operand = BitWord;

  /// The bits of a net as they stand in `stage`.
  const Bits& delayed(NetId net, int stage) {
    const Cell& cell = netlist_.at(net);
    std::vector<Bits>& delays = bits_[net.index];
    if (cell.op == Op::Constant) return delays[0];
    const auto wanted = static_cast<std::size_t>(registers_until(netlist_, pipeline_, net, stage));
    while (delays.size() <= wanted) {
      // The register of a block memory is inside.
      if (hard_[net.index] == Hard::Memory && delays.size() == 1) {
        delays.push_back(delays[0]);
        continue;
      }
      const int loaded = load_stage(netlist_, pipeline_, net.index, static_cast<int>(delays.size()), delay_[net.index]);
      const Literal load = loaded < 0 ? kHigh : event(loaded);
      Bits next;
      for (const Literal bit : delays.back()) next.push_back(registered(bit, net.index, load));
      delays.push_back(std::move(next));
    }
    return delays[wanted];
  }

  Operand operand(std::size_t reader, std::size_t term) {
    const NetId net = netlist_.cells[reader].terms[term].net;
    return {delayed(net, read_stage(netlist_, pipeline_, reader, term)), netlist_.at(net).is_signed};
  }

  /// The bit that is high while an event is in `stage`.
  Literal event(int stage) {
    for (const auto& [known, bit] : out_.events) {
      if (known == stage) return bit;
    }
    out_.events.emplace_back(stage, gates_.source());
    return out_.events.back().second;
  }

  /// A register behind `bit`. Equal ones are one.
  Literal registered(Literal bit, std::uint32_t owner, Literal load = kHigh) {
    if (is_constant(bit)) return bit;
    Literal data = bit;
    std::set<Literal> resets;
    bool value = false;
    bool on_zero = false;
    // Multiplexers with the same constant one behind the other reset together.
    while (true) {
      const auto it = multiplexers_.find(data);
      if (it == multiplexers_.end()) break;
      const auto& [select, one, zero] = it->second;
      const bool first = resets.empty();
      if (is_constant(zero) && (first || (zero == kHigh) == value)) {
        value = zero == kHigh;
        resets.insert(select ^ 1);
        on_zero = true;
        data = one;
      } else if (is_constant(one) && (first || (one == kHigh) == value)) {
        value = one == kHigh;
        resets.insert(select);
        data = zero;
      } else {
        break;
      }
    }
    const Literal reset = resets.empty() ? kLow : gates_.any({resets.begin(), resets.end()});
    const auto key = std::tuple{data, reset, value, load};
    const auto it = registers_.find(key);
    if (it != registers_.end()) return it->second;
    const Literal output = gates_.source();
    registers_.emplace(key, output);
    out_.registers.push_back({node_of(output), owner, data, reset, value, resets.size() == 1 && on_zero, load});
    return output;
  }

  Literal multiplexer(Literal select, Literal one, Literal zero) {
    const std::size_t before = gates_.nodes().size();
    const Literal result = gates_.choose(select, one, zero);
    // What a gate computes as well is a gate.
    if (gates_.nodes().size() > before && !is_constant(select) && one != zero &&
        (is_constant(one) || is_constant(zero))) {
      multiplexers_.try_emplace(result, std::tuple{select, one, zero});
    }
    return result;
  }

  /// `width` bits of a + b or a - b. The words have as many bits.
  Bits chain(Bits a, Bits b, bool subtract, Literal carry) {
    Bits result;
    // Low bits where nothing meets are wires.
    std::size_t low = 0;
    while (low < a.size() && carry == (subtract ? kHigh : kLow)) {
      if (b[low] == kLow) {
        result.push_back(a[low]);
      } else if (!subtract && a[low] == kLow) {
        result.push_back(b[low]);
      } else {
        break;
      }
      ++low;
    }
    if (a.size() - low <= kShortChain) {
      for (std::size_t i = low; i < a.size(); ++i) {
        const Literal y = b[i] ^ (subtract ? 1 : 0);
        const Literal half = gates_.differ(a[i], y);
        // Sum and difference of two bits are one function but not one signal.
        const Literal bit = gates_.differ(half, carry);
        result.push_back(subtract ? gates_.copy(bit) : bit);
        carry = gates_.either(gates_.both(a[i], y), gates_.both(half, carry));
      }
      return result;
    }
    CarryChain out;
    out.carry = carry;
    for (std::size_t i = low; i < a.size(); ++i) {
      out.select.push_back(gates_.differ(a[i], b[i] ^ (subtract ? 1 : 0)));
      out.data.push_back(a[i]);
    }
    for (std::size_t i = low; i < a.size(); ++i) {
      const Literal bit = gates_.source();
      out.outputs.push_back(node_of(bit));
      result.push_back(bit);
    }
    out_.chains.push_back(std::move(out));
    return result;
  }

  Bits make(std::size_t index) {
    const Cell& cell = netlist_.cells[index];
    const auto width = static_cast<std::size_t>(cell.width_bits);
    Bits result;
    if (hard_[index] == Hard::Pairs) return pairs(index);
    switch (cell.op) {
      case Op::Input:
        for (std::size_t i = 0; i < width; ++i) result.push_back(gates_.source());
        out_.inputs.push_back(result);
        return result;
      case Op::Constant:
        for (std::size_t i = 0; i < width; ++i) result.push_back(constant_bit(cell.constant, static_cast<int>(i)));
        return result;
      case Op::Sum:
        return sum(index);
      case Op::Concat:
        return concat(index);
      case Op::Slice: {
        const Operand x = operand(index, 0);
        for (std::size_t i = 0; i < width; ++i) result.push_back(x.at(cell.shift + static_cast<int>(i)));
        return result;
      }
      case Op::AtLeast:
        return {at_least(gates_, operand(index, 0), cell.constant)};
      case Op::Equal: {
        const Operand x = operand(index, 0);
        for (int i = 0; i < x.width(); ++i) result.push_back(x.at(i) ^ (constant_bit(cell.constant, i) ^ 1));
        return {gates_.all(std::move(result))};
      }
      case Op::AtLeastNet:
        return {compare_words(operand(index, 0), operand(index, 1))};
      case Op::Mux: {
        const Literal select = operand(index, 0).bits[0];
        const Operand one = operand(index, 1);
        const Operand zero = operand(index, 2);
        for (int i = 0; i < cell.width_bits; ++i) result.push_back(multiplexer(select, one.at(i), zero.at(i)));
        return result;
      }
      case Op::Clamp:
        return clamp(index);
      case Op::Table:
        return table(index);
      case Op::Not:
        return {operand(index, 0).bits[0] ^ 1};
      case Op::And:
      case Op::Or:
      case Op::Xor: {
        Literal value = operand(index, 0).bits[0];
        for (std::size_t i = 1; i < cell.terms.size(); ++i) {
          const Literal next = operand(index, i).bits[0];
          value = cell.op == Op::And  ? gates_.both(value, next)
                  : cell.op == Op::Or ? gates_.either(value, next)
                                      : gates_.differ(value, next);
        }
        return {value};
      }
      case Op::Multiply:
        return multiply(index);
      case Op::Slot:
        return slot(index);
      case Op::Select: {
        const Operand number = operand(index, 0);
        std::vector<Operand> xs;
        for (std::size_t i = 1; i < cell.terms.size(); ++i) xs.push_back(operand(index, i));
        for (int i = 0; i < cell.width_bits; ++i) {
          Bits bits;
          for (const Operand& x : xs) bits.push_back(x.at(i));
          result.push_back(select(number, number.width() - 1, bits));
        }
        return result;
      }
      case Op::Pick: {
        const Operand x = operand(index, 0);
        for (std::size_t i = 0; i < width; ++i) result.push_back(x.at(static_cast<int>(i)));
        return result;
      }
      case Op::Accumulate:
        return accumulate(index);
    }
    WEFT_CHECK(false, "unknown cell");
  }

  // --- slots
  /// Registers of a state that is `start` when slot 0 comes; what they load follows with set_next.
  Bits state(int width) {
    Bits bits;
    for (int i = 0; i < width; ++i) bits.push_back(gates_.source());
    return bits;
  }
  void set_next(const Bits& state, const Bits& next, std::size_t owner, Int start) {
    const Cell& cell = netlist_.cells[owner];
    const int first = cell.op == Op::Slot ? pipeline_.stage[owner] : read_stage(netlist_, pipeline_, owner, 0);
    const Literal reset = event(first - 1);
    for (std::size_t i = 0; i < state.size(); ++i) {
      const bool one = constant_bit(start, static_cast<int>(i)) == kHigh;
      out_.registers.push_back(
          {node_of(state[i]), static_cast<std::uint32_t>(owner), next[i], reset, one, false, kHigh});
    }
  }

  Bits slot(std::size_t index) {
    const int width = netlist_.cells[index].width_bits;
    const Bits count = state(width);
    Bits one(count.size(), kLow);
    one[0] = kHigh;
    set_next(count, chain(count, one, false, kLow), index, 0);
    return count;
  }

  /// Of the bits in order of slots, the one that the bits [0, high] of `number` say.
  Literal select(const Operand& number, int high, const Bits& bits) {
    if (std::all_of(bits.begin(), bits.end(), [&](Literal bit) { return bit == bits[0]; })) return bits[0];
    const auto half = static_cast<std::ptrdiff_t>(1) << high;
    if (static_cast<std::ptrdiff_t>(bits.size()) <= half) return select(number, high - 1, bits);
    const Literal zero = select(number, high - 1, {bits.begin(), bits.begin() + half});
    const Literal one = select(number, high - 1, {bits.begin() + half, bits.end()});
    return multiplexer(number.at(high), one, zero);
  }

  Bits accumulate(std::size_t index) {
    const Cell& cell = netlist_.cells[index];
    const Accumulator parts = accumulator_of(netlist_, cell);
    const Operand x = operand(index, 0);
    const Operand kept{state(parts.kept_bits), parts.kept_signed};
    const auto extended = [](const Operand& a, int from, int width) {
      Bits bits;
      for (int i = 0; i < width; ++i) bits.push_back(a.at(from + i));
      return bits;
    };
    const Operand sum{chain(extended(kept, 0, parts.sum_bits), extended(x, 0, parts.sum_bits), false, kLow),
                      parts.sum_signed};
    set_next(kept.bits, extended(sum, cell.shift, parts.kept_bits), index, cell.constant);
    if (parts.low_bits == 0) return extended(sum, 0, cell.width_bits);
    Bits low = state(parts.low_bits);
    for (int i = 0; i < parts.low_bits; ++i) {
      const int from = i + cell.shift;
      const Literal next = from < parts.low_bits ? low[static_cast<std::size_t>(from)] : sum.at(from - parts.low_bits);
      out_.registers.push_back({node_of(low[static_cast<std::size_t>(i)]), static_cast<std::uint32_t>(index), next,
                                kLow, false, false, kHigh});
    }
    for (int i = 0; parts.low_bits + i < cell.width_bits; ++i) low.push_back(sum.at(i));
    low.resize(static_cast<std::size_t>(cell.width_bits));
    return low;
  }

  Bits concat(std::size_t index) {
    const Cell& cell = netlist_.cells[index];
    Bits result(static_cast<std::size_t>(cell.width_bits), kLow);
    int low = 0;
    for (std::size_t t = 0; t < cell.terms.size(); ++t) {
      const Operand x = operand(index, t);
      const bool last = t + 1 == cell.terms.size();
      const int end = last ? cell.width_bits : std::min(cell.width_bits, cell.terms[t].shift + x.width());
      for (; low < end; ++low) result[static_cast<std::size_t>(low)] = x.at(low - cell.terms[t].shift);
    }
    return result;
  }

  Bits sum(std::size_t index) {
    const Cell& cell = netlist_.cells[index];
    if (hard_[index] == Hard::Adder) return outside(index);
    // Bits above those that somebody reads are not built.
    int top = 1;
    while (top < cell.width_bits && (used_[index] >> top) != 0) ++top;
    const auto word = [&](std::size_t t, int from) {
      const Operand x = operand(index, t);
      Bits bits;
      for (int i = from; i < top; ++i) bits.push_back(x.at(i - cell.terms[t].shift));
      return bits;
    };
    Bits result;
    if (cell.terms.size() == 1) {
      result = chain(Bits(static_cast<std::size_t>(top), kLow), word(0, 0), cell.terms[0].negate,
                     cell.terms[0].negate ? kHigh : kLow);
    } else if (cell.terms.size() == 2) {
      const std::size_t positive = cell.terms[0].negate ? 1 : 0;
      const int free = std::min(sum_free_bits(netlist_, cell), top);
      const std::size_t low = cell.terms[0].shift <= cell.terms[1].shift ? 0 : 1;
      result = word(low, 0);
      result.resize(static_cast<std::size_t>(free));
      const bool subtract = cell.terms[1 - positive].negate;
      const Bits a = word(positive, free);
      const Bits b = word(1 - positive, free);
      Bits upper = chain(a, b, subtract, subtract ? kHigh : kLow);
      if (!upper.empty() && lowest_bit_apart(netlist_, pipeline_, static_cast<std::uint32_t>(index), ternary_cells_)) {
        upper[0] = gates_.differ(a[0], b[0]);
      }
      result.insert(result.end(), upper.begin(), upper.end());
    } else {
      BitColumns columns(static_cast<std::size_t>(top));
      for (std::size_t t = 0; t < cell.terms.size(); ++t) {
        Bits bits = word(t, 0);
        if (cell.terms[t].negate) {
          for (Literal& bit : bits) bit ^= 1;
          columns.put(kHigh, 0);
        }
        for (std::size_t i = 0; i < bits.size(); ++i) columns.put(bits[i], i);
      }
      result = compress(columns);
    }
    result.resize(static_cast<std::size_t>(cell.width_bits), kLow);
    return result;
  }

  /// The sum of all bits of the columns.
  Bits compress(const BitColumns& columns) {
    const std::vector<Bits> words = columns.two_words(gates_);
    if (words.empty()) return Bits(columns.size(), kLow);
    if (words.size() == 1) return words[0];
    return chain(words[0], words[1], false, kLow);
  }

  Bits multiply(std::size_t index) {
    const Cell& cell = netlist_.cells[index];
    Operand a = operand(index, 0);
    Operand b = operand(index, 1);
    const auto width = static_cast<std::size_t>(cell.width_bits);
    if (hard_[index] == Hard::Multiplier) return outside(index);
    const bool is_signed = a.is_signed || b.is_signed;
    for (Operand* x : {&a, &b}) {
      if (is_signed && !x->is_signed) x->bits.push_back(kLow);
      x->is_signed = is_signed;
    }
    if (a.width() < b.width()) std::swap(a, b);
    BitColumns columns(width);
    const int rows = std::min(b.width(), cell.width_bits);
    for (int row = 0; row < rows; ++row) {
      const Literal factor = b.at(row);
      const bool negative = is_signed && row + 1 == b.width();
      for (std::size_t i = static_cast<std::size_t>(row); i < width; ++i) {
        columns.put(gates_.both(a.at(static_cast<int>(i) - row) ^ (negative ? 1 : 0), factor), i);
      }
      if (negative) columns.put(factor, static_cast<std::size_t>(row));
    }
    return compress(columns);
  }

  /// The result of something that is no logic, which reads all bits of the cell's operands.
  Bits outside(std::size_t index) {
    HardReads hard;
    for (std::size_t t = 0; t < netlist_.cells[index].terms.size(); ++t) {
      const Operand x = operand(index, t);
      hard.inputs.insert(hard.inputs.end(), x.bits.begin(), x.bits.end());
    }
    const auto width = static_cast<std::size_t>(netlist_.cells[index].width_bits);
    Bits result;
    for (std::size_t i = 0; i < width; ++i) {
      result.push_back(gates_.source());
      hard.outputs.push_back(node_of(result.back()));
    }
    out_.hard.push_back(std::move(hard));
    return result;
  }

  Bits pairs(std::size_t index) {
    const Cell& cell = netlist_.cells[index];
    const auto form = lut_form(netlist_, cell, used_[index]);
    WEFT_CHECK(form.has_value(), "a cell in pairs");
    return pair_bits(out_, *form, [&](const LutInput& input) {
      if (input.term == LutInput::kBelow) return at_least(gates_, operand(index, 0), cell.constant);
      if (input.term == LutInput::kAbove) return at_least(gates_, operand(index, 0), cell.constant_hi + 1);
      return operand(index, static_cast<std::size_t>(input.term)).at(input.bit);
    });
  }

  // --- comparisons
  /// a >= b: pairs of bits in groups that fill a table, the groups in a chain when there are more than two.
  Literal compare_words(Operand a, Operand b) {
    const bool is_signed = a.is_signed || b.is_signed;
    const auto needed = [&](const Operand& x) { return x.width() + (is_signed && !x.is_signed ? 1 : 0); };
    const int width = std::max(needed(a), needed(b));
    Bits propagate{kHigh};
    Bits generate{kLow};
    int budget = kCompareInputs;
    for (int i = width - 1; i >= 0; --i) {
      const Literal x = a.at(i);
      const Literal y = b.at(i);
      const int cost = (is_constant(x) ? 0 : 1) + (is_constant(y) ? 0 : 1);
      if (budget < cost) {
        propagate.push_back(kHigh);
        generate.push_back(kLow);
        budget = kCompareInputs;
      }
      const bool top = is_signed && i == width - 1;
      const Literal larger = top ? gates_.both(x ^ 1, y) : gates_.both(x, y ^ 1);
      generate.back() = gates_.either(generate.back(), gates_.both(propagate.back(), larger));
      propagate.back() = gates_.both(propagate.back(), gates_.differ(x, y) ^ 1);
      budget -= cost;
    }
    std::reverse(propagate.begin(), propagate.end());
    std::reverse(generate.begin(), generate.end());
    if (propagate.size() <= kShortChain) {
      Literal carry = kHigh;
      for (std::size_t i = 0; i < propagate.size(); ++i) {
        carry = gates_.either(generate[i], gates_.both(propagate[i], carry));
      }
      return carry;
    }
    // The carry out is a bit of its own, above all that compare.
    propagate.push_back(kLow);
    generate.push_back(kLow);
    CarryChain out{kHigh, propagate, generate, std::vector<std::uint32_t>(propagate.size(), 0)};
    const Literal result = gates_.source();
    out.outputs.back() = node_of(result);
    out_.chains.push_back(std::move(out));
    return result;
  }

  Bits clamp(std::size_t index) {
    const Cell& cell = netlist_.cells[index];
    const Operand x = operand(index, 0);
    const fixed::Range& range = netlist_.at(cell.terms[0].net).range;
    const bool below = range.lo < cell.constant;
    const bool above = range.hi > cell.constant_hi;
    const Literal enough = below ? at_least(gates_, x, cell.constant) : kHigh;
    const Literal over = above ? at_least(gates_, x, cell.constant_hi + 1) : kLow;
    Bits result;
    for (int i = 0; i < cell.width_bits; ++i) {
      const Literal value = multiplexer(enough, x.at(i), constant_bit(cell.constant, i));
      result.push_back(multiplexer(over, constant_bit(cell.constant_hi, i), value));
    }
    return result;
  }

  // --- tables
  Bits table(std::size_t index) {
    const Cell& cell = netlist_.cells[index];
    const Operand x = operand(index, 0);
    if (hard_[index] == Hard::Memory) return outside(index);
    const std::vector<Int>& values = netlist_.tables[cell.table];
    const fixed::Range& index_range = netlist_.at(cell.terms[0].net).range;
    const std::size_t size = std::size_t{1} << x.width();
    Bits result;
    for (int bit = 0; bit < cell.width_bits; ++bit) {
      // By pattern of the index bits: 0, 1 or unknown.
      std::string entries(size, 'x');
      for (std::size_t i = 0; i < values.size(); ++i) {
        // A table may hold more than its index can say.
        const Int code = cell.constant + static_cast<Int>(i);
        if (code < index_range.lo || code > index_range.hi) continue;
        entries[static_cast<std::size_t>(static_cast<UInt>(code) & (size - 1))] =
            constant_bit(values[i], bit) == kHigh ? '1' : '0';
      }
      known_halves_.clear();
      const auto found = half(x, x.width(), entries);
      result.push_back(found.unknown ? kLow : found.literal);
    }
    return result;
  }

  struct Half {
    Literal literal = kLow;
    bool unknown = false;
  };

  Half half(const Operand& x, int bits, const std::string& entries) {
    if (bits == 0) return {entries[0] == '1' ? kHigh : kLow, entries[0] == 'x'};
    const auto it = known_halves_.find(entries);
    if (it != known_halves_.end()) return it->second;
    const std::size_t middle = entries.size() / 2;
    const Half zero = half(x, bits - 1, entries.substr(0, middle));
    const Half one = half(x, bits - 1, entries.substr(middle));
    Half result;
    if (zero.unknown || one.unknown) {
      result = zero.unknown ? one : zero;
    } else {
      result = {multiplexer(x.at(bits - 1), one.literal, zero.literal), false};
    }
    known_halves_.emplace(entries, result);
    return result;
  }

  const Netlist& netlist_;
  const Pipeline& pipeline_;
  const std::vector<Hard>& hard_;
  std::vector<UInt> used_;
  bool ternary_cells_;
  BitCircuit out_;
  Gates& gates_;
  std::vector<std::vector<Bits>> bits_;  ///< by cell and delay
  std::vector<int> delay_;               ///< by cell: stages to its last reader
  std::map<std::tuple<Literal, Literal, bool, Literal>, Literal> registers_;
  /// Select, when one, when zero of bits that word-level multiplexers with a constant drive.
  std::unordered_map<Literal, std::tuple<Literal, Literal, Literal>> multiplexers_;
  std::unordered_map<std::string, Half> known_halves_;
};

}  // namespace

BitCircuit bit_circuit(const Netlist& netlist, const Pipeline& pipeline, const std::vector<Hard>& hard) {
  return Builder(netlist, pipeline, hard).run();
}

}  // namespace weft::netlist
