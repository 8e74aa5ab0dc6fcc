// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/register_count.h"

#include <algorithm>

namespace weft::netlist {

namespace {

UInt low_mask(int bits) { return bits >= 128 ? ~UInt{0} : bits <= 0 ? UInt{0} : (UInt{1} << bits) - 1; }

int highest(UInt mask) {
  int bit = -1;
  for (int step = 64; step > 0; step /= 2) {
    if ((mask >> step) != 0) {
      mask >>= step;
      bit += step;
    }
  }
  return mask != 0 ? bit + 1 : bit;
}

/// Bits of x that x >= threshold depends on.
UInt compared_bits(const Cell& x, Int threshold) {
  const Int t = x.is_signed ? threshold + (Int{1} << (x.width_bits - 1)) : threshold;
  return low_mask(x.width_bits) & ~low_mask(fixed::trailing_zeros(t));
}

/// The bits [0, width) of x * 2^shift that a field of `used` reads, as bits of x; the sign stands for all above it.
UInt field_bits(const Cell& x, int shift, UInt used) {
  const UInt inside = (used >> shift) & low_mask(x.width_bits);
  const int top = highest(used);
  const bool extended = x.is_signed && top >= shift + x.width_bits;
  return inside | (extended ? UInt{1} << (x.width_bits - 1) : UInt{0});
}

/// Low bits of a sum that are copies of one term; that term's position.
struct Copied {
  int bits = 0;
  std::size_t term = 0;
};

Copied copied_bits(const Netlist& netlist, const Cell& cell) {
  if (cell.terms.size() < 2) return {};
  return {sum_free_bits(netlist, cell), lowest_term(netlist, cell)};
}

/// What the term `index` of `cell` contributes to the bits `used` of its result.
UInt operand_bits(const Netlist& netlist, const Cell& cell, std::size_t index, UInt used) {
  const Term& term = cell.terms[index];
  const Cell& x = netlist.at(term.net);
  const UInt all = low_mask(x.width_bits);
  if (used == 0) return 0;
  switch (cell.op) {
    case Op::Sum: {
      const Copied copied = copied_bits(netlist, cell);
      // Carries come from below, but not from the copied bits.
      UInt needed = low_mask(highest(used) + 1) & ~low_mask(copied.bits);
      if (highest(used) < copied.bits) needed = 0;
      if (index == copied.term) needed |= used & low_mask(copied.bits);
      return field_bits(x, term.shift, needed);
    }
    case Op::Concat:
      return field_bits(x, term.shift,
                        index + 1 == cell.terms.size() ? used : used & low_mask(term.shift + x.width_bits));
    case Op::Slice: {
      const UInt reached = cell.shift + highest(used) >= 127 ? all : used << cell.shift;
      return field_bits(x, 0, reached);
    }
    case Op::AtLeast:
      return compared_bits(x, cell.constant);
    case Op::Mux:
      return index == 0 ? all : field_bits(x, 0, used);
    case Op::Clamp: {
      UInt bits = field_bits(x, 0, used);
      if (x.range.lo < cell.constant) bits |= compared_bits(x, cell.constant);
      if (x.range.hi > cell.constant_hi) bits |= compared_bits(x, cell.constant_hi + 1);
      return bits;
    }
    case Op::Multiply:
      return all & low_mask(highest(used) + 1);
    case Op::Select:
      return index == 0 ? all : field_bits(x, 0, used);
    case Op::Pick:
      return field_bits(x, 0, used);
    case Op::Accumulate:
      return cell.shift == 0 ? field_bits(x, 0, low_mask(highest(used) + 1)) : all;
    default:
      return all;
  }
}

/// Where a bit of a net comes from.
struct Root {
  std::uint32_t cell = 0;
  int bit = -1;  ///< -1: constant
};

class Roots {
 public:
  explicit Roots(const Netlist& netlist) : netlist_(netlist) {}

  Root find(std::uint32_t cell, int bit) const {
    while (true) {
      const Cell& c = netlist_.cells[cell];
      if (c.op == Op::Constant) return {};
      if (c.op == Op::Slice) {
        cell = c.terms[0].net.index;
        bit = clamp_bit(cell, bit + c.shift);
        if (bit < 0) return {};
        continue;
      }
      std::size_t term = c.terms.size();
      if (c.op == Op::Concat) {
        for (std::size_t i = c.terms.size(); i-- > 0;) {
          if (bit < c.terms[i].shift) continue;
          term = i;
          break;
        }
        if (term == c.terms.size()) return {};
        const Cell& x = netlist_.at(c.terms[term].net);
        if (term + 1 < c.terms.size() && bit >= c.terms[term].shift + x.width_bits) return {};
      } else if (c.op == Op::Sum) {
        const Copied copied = copied_bits(netlist_, c);
        term = copied.term;
        // (a << s) - b has the lowest bit of b.
        const bool mirrored =
            c.terms.size() == 2 && c.terms[term].negate && bit == c.terms[term].shift && bit < c.terms[1 - term].shift;
        if (bit >= copied.bits && !mirrored) return {cell, bit};
        if (bit < c.terms[term].shift) return {};
      } else {
        return {cell, bit};
      }
      const int inner = bit - c.terms[term].shift;
      cell = c.terms[term].net.index;
      if (netlist_.cells[cell].op == Op::Constant) return {};
      bit = clamp_bit(cell, inner);
      if (bit < 0) return {};
    }
  }

 private:
  /// Bits above the width repeat the sign or are zero.
  [[nodiscard]] int clamp_bit(std::uint32_t cell, int bit) const {
    const Cell& c = netlist_.cells[cell];
    if (bit < c.width_bits) return bit;
    return c.is_signed ? c.width_bits - 1 : -1;
  }
  const Netlist& netlist_;
};

}  // namespace

std::vector<UInt> used_bits(const Netlist& netlist) {
  std::vector<UInt> used(netlist.cells.size(), 0);
  for (const Port& port : netlist.outputs) {
    for (NetId net : port.elements) used[net.index] = low_mask(netlist.at(net).width_bits);
  }
  for (std::size_t i = netlist.cells.size(); i-- > 0;) {
    const Cell& cell = netlist.cells[i];
    for (std::size_t t = 0; t < cell.terms.size(); ++t) {
      used[cell.terms[t].net.index] |= operand_bits(netlist, cell, t, used[i]);
    }
  }
  return used;
}

RegisterCount count_registers(const Netlist& netlist, const Pipeline& pipeline, bool shift_registers) {
  const std::vector<UInt> used = used_bits(netlist);
  const Roots roots(netlist);
  // Every read of a bit behind registers, as (root bit, stage in which it is read); a bit is there from the stage of
  // its root on.
  struct Read {
    std::uint32_t cell;
    int bit;
    int stage;
    auto operator<=>(const Read&) const = default;
  };
  std::vector<Read> reads;
  const auto read = [&](NetId net, UInt bits, int stage) {
    if (netlist.at(net).op == Op::Constant) return;
    for (int bit = 0; bits != 0; ++bit, bits >>= 1) {
      if ((bits & 1) == 0) continue;
      const Root root = roots.find(net.index, bit);
      if (root.bit >= 0 && stage > pipeline.stage[root.cell]) reads.push_back({root.cell, root.bit, stage});
    }
  };
  for (std::size_t i = 0; i < netlist.cells.size(); ++i) {
    const Cell& cell = netlist.cells[i];
    // Wiring reads nothing itself: who reads the wire reads the root.
    if (cell.op == Op::Slice || cell.op == Op::Concat) continue;
    for (std::size_t t = 0; t < cell.terms.size(); ++t) {
      UInt bits = operand_bits(netlist, cell, t, used[i]);
      if (cell.op == Op::Sum) {
        // The copied bits are wiring, too.
        const Copied copied = copied_bits(netlist, cell);
        if (t == copied.term && copied.bits > 0) {
          bits &= ~low_mask(std::max(0, copied.bits - cell.terms[t].shift));
        }
      }
      read(cell.terms[t].net, bits, read_stage(netlist, pipeline, i, t));
    }
  }
  for (const Port& port : netlist.outputs) {
    for (NetId net : port.elements) read(net, low_mask(netlist.at(net).width_bits), pipeline.output_stage);
  }
  std::sort(reads.begin(), reads.end());
  reads.erase(std::unique(reads.begin(), reads.end()), reads.end());

  RegisterCount count;
  count.flip_flops.assign(netlist.cells.size(), 0);
  count.shift_luts.assign(netlist.cells.size(), 0);
  for (std::size_t i = 0; i < netlist.cells.size(); ++i) {
    const Cell& cell = netlist.cells[i];
    if (cell.op == Op::Slot) count.flip_flops[i] = cell.width_bits;
    if (cell.op == Op::Accumulate) {
      const Accumulator parts = accumulator_of(netlist, cell);
      count.flip_flops[i] = parts.kept_bits + parts.low_bits;
    }
  }
  for (std::size_t i = 0; i < reads.size(); ++i) {
    const bool first = i == 0 || reads[i - 1].cell != reads[i].cell || reads[i - 1].bit != reads[i].bit;
    const int from = first ? pipeline.stage[reads[i].cell] : reads[i - 1].stage;
    if (pipeline.interval > 1 && netlist.cells[reads[i].cell].slots == 1) {
      // One register for all readers until the next event.
      const NetId net{reads[i].cell};
      count.flip_flops[reads[i].cell] +=
          registers_until(netlist, pipeline, net, reads[i].stage) - registers_until(netlist, pipeline, net, from);
      continue;
    }
    const int length = reads[i].stage - from;
    if (!shift_registers || length < 3) {
      count.flip_flops[reads[i].cell] += length;
      continue;
    }
    // 3..16 in one LUT, 18..32 in another kind, one more than either with a flip-flop behind.
    const int blocks = length / 32;
    const int rest = length % 32;
    count.shift_luts[reads[i].cell] += blocks + (rest > 1 ? 1 : 0);
    if (rest == 1 || rest == 17) ++count.flip_flops[reads[i].cell];
  }
  return count;
}

}  // namespace weft::netlist
