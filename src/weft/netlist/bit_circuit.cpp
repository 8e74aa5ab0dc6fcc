// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/bit_circuit.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <unordered_map>

#include "weft/diag/diag.h"
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
        gates_(out_.gates) {
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
  struct Operand {
    Bits bits;
    bool is_signed = false;
    [[nodiscard]] int width() const { return static_cast<int>(bits.size()); }
    /// Bit i of the value, the sign or zeros above.
    [[nodiscard]] Literal at(int i) const {
      if (i < 0) return kLow;
      if (i < width()) return bits[static_cast<std::size_t>(i)];
      return is_signed ? bits.back() : kLow;
    }
  };

  static Literal constant_bit(Int value, int i) {
    return i >= 127 ? (value < 0 ? kHigh : kLow) : (value >> i & 1) != 0 ? kHigh : kLow;
  }

  /// The bits of a net as they stand in `stage`.
  const Bits& delayed(NetId net, int stage) {
    const Cell& cell = netlist_.at(net);
    std::vector<Bits>& delays = bits_[net.index];
    if (cell.op == Op::Constant) return delays[0];
    const auto wanted = static_cast<std::size_t>(std::max(0, stage - pipeline_.stage[net.index]));
    while (delays.size() <= wanted) {
      // The register of a block memory is inside.
      if (hard_[net.index] == Hard::Memory && delays.size() == 1) {
        delays.push_back(delays[0]);
        continue;
      }
      Bits next;
      for (const Literal bit : delays.back()) next.push_back(registered(bit, net.index));
      delays.push_back(std::move(next));
    }
    return delays[wanted];
  }

  Operand operand(std::size_t reader, std::size_t term) {
    const NetId net = netlist_.cells[reader].terms[term].net;
    return {delayed(net, pipeline_.stage[reader]), netlist_.at(net).is_signed};
  }

  /// A register behind `bit`. Equal ones are one.
  Literal registered(Literal bit, std::uint32_t owner) {
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
    const auto key = std::tuple{data, reset, value};
    const auto it = registers_.find(key);
    if (it != registers_.end()) return it->second;
    const Literal output = gates_.source();
    registers_.emplace(key, output);
    out_.registers.push_back({node_of(output), owner, data, reset, value, resets.size() == 1 && on_zero});
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

  static int highest(UInt mask) {
    int bit = -1;
    for (; mask != 0; mask >>= 1) ++bit;
    return bit;
  }

  Bits make(std::size_t index) {
    const Cell& cell = netlist_.cells[index];
    const auto width = static_cast<std::size_t>(cell.width_bits);
    Bits result;
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
        return {compare(operand(index, 0), cell.constant)};
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
    }
    WEFT_CHECK(false, "unknown cell");
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
    const int top = std::max(1, std::min(cell.width_bits, highest(used_[index]) + 1));
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
      Columns columns(static_cast<std::size_t>(top));
      for (std::size_t t = 0; t < cell.terms.size(); ++t) {
        Bits bits = word(t, 0);
        if (cell.terms[t].negate) {
          for (Literal& bit : bits) bit ^= 1;
          put(columns, kHigh, 0);
        }
        for (std::size_t i = 0; i < bits.size(); ++i) put(columns, bits[i], i);
      }
      result = compress(columns);
    }
    result.resize(static_cast<std::size_t>(cell.width_bits), kLow);
    return result;
  }

  // --- many summands
  using Columns = std::vector<std::vector<Literal>>;

  static void put(Columns& columns, Literal bit, std::size_t position) {
    if (position >= columns.size() || bit == kLow) return;
    auto& column = columns[position];
    const auto it = std::find(column.begin(), column.end(), bit);
    if (it == column.end()) {
      column.push_back(bit);
    } else {
      column.erase(it);
      put(columns, bit, position + 1);
    }
  }

  Bits compress(const Columns& columns) {
    std::vector<Bits> words;
    for (std::size_t k = 0;; ++k) {
      Bits word(columns.size(), kLow);
      bool any = false;
      for (std::size_t i = 0; i < columns.size(); ++i) {
        if (columns[i].size() <= k) continue;
        word[i] = columns[i][k];
        any = true;
      }
      if (!any) break;
      words.push_back(std::move(word));
    }
    if (words.empty()) return Bits(columns.size(), kLow);
    while (words.size() > 2) {
      std::vector<Bits> next;
      std::size_t i = 0;
      for (; i + 2 < words.size(); i += 3) {
        Bits ones;
        Bits twos{kLow};
        for (std::size_t b = 0; b < columns.size(); ++b) {
          const Literal half = gates_.differ(words[i][b], words[i + 1][b]);
          ones.push_back(gates_.differ(half, words[i + 2][b]));
          twos.push_back(gates_.either(gates_.both(words[i][b], words[i + 1][b]), gates_.both(half, words[i + 2][b])));
        }
        twos.pop_back();
        next.push_back(std::move(ones));
        next.push_back(std::move(twos));
      }
      for (; i < words.size(); ++i) next.push_back(words[i]);
      words = std::move(next);
    }
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
    Columns columns(width);
    const int rows = std::min(b.width(), cell.width_bits);
    for (int row = 0; row < rows; ++row) {
      const Literal factor = b.at(row);
      const bool negative = is_signed && row + 1 == b.width();
      for (std::size_t i = static_cast<std::size_t>(row); i < width; ++i) {
        put(columns, gates_.both(a.at(static_cast<int>(i) - row) ^ (negative ? 1 : 0), factor), i);
      }
      if (negative) put(columns, factor, static_cast<std::size_t>(row));
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

  // --- comparisons
  Literal compare(const Operand& x, Int threshold) {
    const int w = x.width();
    const Int t = x.is_signed ? threshold + (Int{1} << (w - 1)) : threshold;
    const auto bit = [&](int i) { return x.at(i) ^ (x.is_signed && i == w - 1 ? 1 : 0); };
    int i = fixed::trailing_zeros(t);
    Literal result = bit(i);
    ++i;
    while (i < w) {
      const bool one = constant_bit(t, i) == kHigh;
      Bits run;
      for (; i < w && (constant_bit(t, i) == kHigh) == one; ++i) run.push_back(bit(i));
      result =
          one ? gates_.both(gates_.all(std::move(run)), result) : gates_.either(gates_.any(std::move(run)), result);
    }
    return result;
  }

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
    const Literal enough = below ? compare(x, cell.constant) : kHigh;
    const Literal over = above ? compare(x, cell.constant_hi + 1) : kLow;
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
  std::map<std::tuple<Literal, Literal, bool>, Literal> registers_;
  /// Select, when one, when zero of bits that word-level multiplexers with a constant drive.
  std::unordered_map<Literal, std::tuple<Literal, Literal, Literal>> multiplexers_;
  std::unordered_map<std::string, Half> known_halves_;
};

}  // namespace

BitCircuit bit_circuit(const Netlist& netlist, const Pipeline& pipeline, const std::vector<Hard>& hard) {
  return Builder(netlist, pipeline, hard).run();
}

}  // namespace weft::netlist
