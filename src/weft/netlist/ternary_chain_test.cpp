// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/ternary_chain.h"

#include <gtest/gtest.h>

#include <array>
#include <set>

#include "weft/netlist/builder.h"

namespace weft::netlist {
namespace {

/// What the cells give for the codes of the terms; `seen[i]` collects the bits of the terms at position i.
UInt run_chain(const TernaryChain& chain, const std::vector<Term>& terms, const std::array<Int, 3>& codes,
               std::vector<std::array<std::set<bool>, 3>>& seen) {
  const auto bit = [&](std::size_t t, int position) {
    return ((static_cast<UInt>(codes[t]) << terms[t].shift >> position) & 1) != 0;
  };
  UInt result = 0;
  for (int i = 0; i < chain.low_bits; ++i) {
    for (std::size_t t = 0; t < 3; ++t) result |= UInt{bit(t, i)} << i;  // one term alone
  }
  bool save = chain.save_in;
  bool carry = chain.carry_in;
  seen.resize(static_cast<std::size_t>(chain.width_bits));
  for (int i = 0; i < chain.width_bits; ++i) {
    int ones = 0;
    for (std::size_t t = 0; t < 3; ++t) {
      const bool x = bit(t, chain.low_bits + i);
      seen[static_cast<std::size_t>(i)][t].insert(x);
      ones += x != terms[t].negate ? 1 : 0;
    }
    const bool propagate = (ones % 2 == 1) != save;
    result |= UInt{propagate != carry} << (chain.low_bits + i);
    carry = propagate ? carry : save;
    save = ones >= 2;
  }
  return result;
}

struct Shape {
  Int lo, hi;
};

void expect_exact(const std::array<Shape, 3>& shapes, const std::array<int, 3>& shifts, int negations,
                  const fixed::Range* known = nullptr) {
  Netlist netlist;
  Builder builder(netlist);
  builder.begin_module("m", "test");
  std::vector<Term> terms;
  for (std::size_t t = 0; t < 3; ++t) {
    const NetId net =
        shapes[t].lo == shapes[t].hi ? builder.constant(shapes[t].lo) : builder.input({shapes[t].lo, shapes[t].hi, 0});
    terms.push_back({net, shifts[t], (negations >> t & 1) != 0});
  }
  const NetId sum = builder.sum(terms, known);
  const Cell& cell = builder.at(sum);
  if (cell.op != Op::Sum || cell.terms.size() != 3) return;  // a constant became part of another form
  const TernaryChain chain = ternary_chain(netlist, cell);
  ASSERT_EQ(chain.low_bits + chain.width_bits, cell.width_bits);
  ASSERT_LE(chain.top, chain.width_bits);
  // The constant of the sum stands last and may have been shifted or negated.
  std::array<Shape, 3> ranges{};
  for (std::size_t t = 0; t < 3; ++t)
    ranges[t] = {builder.range(cell.terms[t].net).lo, builder.range(cell.terms[t].net).hi};
  std::vector<std::array<std::set<bool>, 3>> seen;
  const UInt mask = (UInt{1} << cell.width_bits) - 1;
  for (Int a = ranges[0].lo; a <= ranges[0].hi; ++a) {
    for (Int b = ranges[1].lo; b <= ranges[1].hi; ++b) {
      for (Int c = ranges[2].lo; c <= ranges[2].hi; ++c) {
        Int want = 0;
        const std::array<Int, 3> codes{a, b, c};
        for (std::size_t t = 0; t < 3; ++t) {
          const Int value = static_cast<Int>(static_cast<UInt>(codes[t]) << cell.terms[t].shift);
          want += cell.terms[t].negate ? -value : value;
        }
        ASSERT_EQ(run_chain(chain, cell.terms, codes, seen) & mask, static_cast<UInt>(want) & mask)
            << dump(netlist) << static_cast<int>(a) << " " << static_cast<int>(b) << " " << static_cast<int>(c);
      }
    }
  }
  for (int i = 0; i < chain.width_bits; ++i) {
    int varying = 0;
    for (const auto& bits : seen[static_cast<std::size_t>(i)]) varying += bits.size() == 2 ? 1 : 0;
    const bool has_cell = (chain.cells >> i & 1) != 0;
    EXPECT_EQ(has_cell, varying >= 2 && i < chain.top) << i << "\n" << dump(netlist);
    if (i < chain.top) continue;
    ASSERT_GT(i, 0);
    EXPECT_EQ(seen[static_cast<std::size_t>(i)], seen[static_cast<std::size_t>(i) - 1]) << dump(netlist);
  }
}

TEST(TernaryChain, EverySmallSum) {
  // Ranges that reach both ends of their width, so that no bit is constant by chance.
  const std::array<Shape, 4> shapes{{{0, 1}, {0, 3}, {-1, 0}, {-2, 1}}};
  for (int code = 0; code < 64; ++code) {
    const std::array<Shape, 3> three{shapes[code & 3], shapes[code >> 2 & 3], shapes[code >> 4 & 3]};
    for (int shift = 0; shift < 64; ++shift) {
      const std::array<int, 3> shifts{shift & 3, shift >> 2 & 3, shift >> 4 & 3};
      for (int negations = 0; negations < 7; ++negations) expect_exact(three, shifts, negations);
    }
  }
}

TEST(TernaryChain, ConstantsAndCutRanges) {
  const std::array<Shape, 2> shapes{{{0, 3}, {-4, 3}}};
  for (int code = 0; code < 4; ++code) {
    for (Int constant = -9; constant <= 9; ++constant) {
      const std::array<Shape, 3> three{shapes[code & 1], shapes[code >> 1], {constant, constant}};
      for (int shift = 0; shift < 9; ++shift) {
        for (int negations = 0; negations < 4; ++negations) expect_exact(three, {shift % 3, shift / 3, 0}, negations);
      }
    }
  }
  // Some sums never happen: the result is read modulo its width.
  const fixed::Range known{-2, 1, 0};
  for (int negations = 0; negations < 7; ++negations)
    expect_exact({{{0, 7}, {-8, 7}, {0, 7}}}, {0, 1, 0}, negations, &known);
}

TEST(TernaryChain, CountsLuts) {
  Netlist netlist;
  Builder builder(netlist);
  builder.begin_module("m", "test");
  const NetId a = builder.input({-8, 7, 0});
  const NetId b = builder.input({-8, 7, 0});
  const NetId u = builder.input({0, 15, 0});
  const NetId v = builder.input({0, 15, 0});
  const NetId w = builder.input({0, 15, 0});
  const auto luts = [&](const std::vector<Term>& terms) {
    return ternary_chain(netlist, builder.at(builder.sum(terms))).luts;
  };
  // Four bits and what stands above them, which is only their two carries.
  EXPECT_EQ(luts({{u, 0, false}, {v, 0, false}, {w, 0, false}}), 4);
  // The signs of all make one more.
  EXPECT_EQ(luts({{a, 0, false}, {b, 0, false}, {u, 0, true}}), 5 + 1);
  // Two bits of u are copies, the next two stand beside b; above all the signs of a and b make one more.
  EXPECT_EQ(luts({{u, 0, false}, {a, 2, false}, {b, 4, false}}), 6 + 1);
  EXPECT_EQ(ternary_chain(netlist, builder.at(builder.sum({{u, 0, false}, {a, 2, false}, {b, 4, false}}))).low_bits, 2);
}

TEST(TernaryChain, EndsAtTheHighestBitThatIsRead) {
  Netlist netlist;
  Builder builder(netlist);
  builder.begin_module("m", "test");
  const NetId a = builder.input({-8, 7, 0});
  const NetId b = builder.input({-8, 7, 0});
  const NetId c = builder.input({-8, 7, 0});
  const Cell& cell = builder.at(builder.sum({{a, 0, false}, {b, 0, false}, {c, 0, true}}));
  ASSERT_EQ(cell.width_bits, 6);
  const TernaryChain all = ternary_chain(netlist, cell);
  EXPECT_EQ(all.width_bits, 6);
  EXPECT_EQ(all.top, 4);
  const TernaryChain three = ternary_chain(netlist, cell, 0b0101);
  EXPECT_EQ(three.width_bits, 3);
  EXPECT_EQ(three.top, 3);
  EXPECT_EQ(three.luts, 3);
  EXPECT_EQ(ternary_chain(netlist, cell, 0).width_bits, 1);
}

}  // namespace
}  // namespace weft::netlist
