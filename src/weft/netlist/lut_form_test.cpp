// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/lut_form.h"

#include <gtest/gtest.h>

#include <random>

#include "weft/netlist/builder.h"

namespace weft::netlist {
namespace {

/// The value of a form where `read` says what its inputs are.
template <class Read>
UInt value_of(const LutForm& form, const Read& read) {
  std::vector<std::pair<bool, bool>> outputs;
  for (const LutForm::Lut& lut : form.luts) {
    std::size_t code = 0;
    for (std::size_t j = 0; j < lut.inputs.size(); ++j) code |= std::size_t{read(lut.inputs[j])} << j;
    EXPECT_LE(lut.inputs.size(), lut.is_pair ? 5U : 6U);
    if (lut.is_pair) {
      outputs.emplace_back(lut.table >> (code + 32) & 1, lut.table >> code & 1);
    } else {
      outputs.emplace_back(lut.table >> code & 1, false);
    }
  }
  UInt value = 0;
  for (std::size_t i = 0; i < form.bits.size(); ++i) {
    const LutForm::Bit& bit = form.bits[i];
    bool is_one = bit.invert;
    if (bit.source == LutForm::Bit::Source::Input) is_one ^= read(bit.input);
    if (bit.source == LutForm::Bit::Source::Lut)
      is_one ^= bit.is_second ? outputs[bit.lut].second : outputs[bit.lut].first;
    value |= UInt{is_one} << i;
  }
  return value;
}

/// Every value of the cell's operands (of few bits) against evaluate(). Returns the number of LUTs.
std::size_t check(const Netlist& netlist, NetId net) {
  const Cell& cell = netlist.at(net);
  const auto form = lut_form(netlist, cell, ~UInt{0});
  EXPECT_TRUE(form.has_value());
  if (!form) return 0;
  std::vector<Int> x;
  for (const Term& term : cell.terms) x.push_back(netlist.at(term.net).range.lo);
  while (true) {
    const UInt mask = (UInt{1} << cell.width_bits) - 1;
    const auto wanted = static_cast<UInt>(evaluate(netlist, cell, x)) & mask;
    const UInt found = value_of(*form, [&](const LutInput& input) {
      if (input.term == LutInput::kBelow) return x[0] >= cell.constant;
      if (input.term == LutInput::kAbove) return x[0] >= cell.constant_hi + 1;
      return (x[static_cast<std::size_t>(input.term)] >> input.bit & 1) != 0;
    });
    EXPECT_EQ(found, wanted);
    std::size_t i = 0;
    for (; i < x.size(); ++i) {
      const fixed::Range& range = netlist.at(cell.terms[i].net).range;
      if (++x[i] <= range.hi) break;
      x[i] = range.lo;
    }
    if (i == x.size()) return form->luts.size();
  }
}

class LutForms : public testing::Test {
 protected:
  LutForms() { builder_.begin_module("m", "test"); }
  Netlist netlist_;
  Builder builder_{netlist_};
};

TEST_F(LutForms, ClearsTakeHalfALutPerBit) {
  const NetId x = builder_.input({-200, 255, 0});
  EXPECT_EQ(check(netlist_, builder_.clamp(x, 0, 255)), 4U);
}

TEST_F(LutForms, ClampsReadTheirComparisons) {
  const NetId x = builder_.input({-128, 127, 0});
  EXPECT_EQ(check(netlist_, builder_.clamp(x, 0, 63)), 3U);
  EXPECT_EQ(check(netlist_, builder_.clamp(x, -64, 63)), 3U);  // the sign is the operand's own
  EXPECT_EQ(check(netlist_, builder_.clamp(x, -5, 100)), 4U);
  const NetId y = builder_.input({0, 99, 0});
  EXPECT_EQ(check(netlist_, builder_.clamp(y, 0, 15)), 2U);
  EXPECT_EQ(check(netlist_, builder_.clamp(y, 7, 80)), 4U);
}

TEST_F(LutForms, Multiplexers) {
  const NetId s = builder_.input({0, 1, 0});
  const NetId a = builder_.input({-8, 7, 0});
  const NetId b = builder_.input({0, 12, 0});
  EXPECT_EQ(check(netlist_, builder_.mux(s, a, b)), 3U);  // five bits, of which b has four
  EXPECT_EQ(check(netlist_, builder_.mux(s, builder_.constant(5), b)), 2U);
  EXPECT_EQ(check(netlist_, builder_.mux(s, a, builder_.constant(-3))), 2U);
}

TEST_F(LutForms, Tables) {
  std::mt19937 random(3);
  for (const auto& [lo, hi] : {std::pair{0, 31}, {-16, 15}, {-3, 9}, {0, 63}, {-32, 31}, {5, 40}}) {
    const NetId x = builder_.input({lo, hi, 0});
    std::vector<Int> values;
    for (int k = lo; k <= hi; ++k) values.push_back(static_cast<Int>(random() % 1024) - 512);
    const std::size_t luts = check(netlist_, builder_.table(x, lo, values));
    EXPECT_EQ(luts, builder_.at(x).width_bits == 6 ? 10U : 5U) << lo;
  }
}

TEST_F(LutForms, CopiesComplementsAndEqualBitsTakeNoTable) {
  const NetId x = builder_.input({0, 15, 0});
  std::vector<Int> values;
  for (int k = 0; k < 16; ++k) {
    const int parity = (k ^ k >> 1 ^ k >> 2 ^ k >> 3) & 1;
    values.push_back((k & 1) | (~k & 2) | parity << 2 | (1 - parity) << 3 | 16);
  }
  EXPECT_EQ(check(netlist_, builder_.table(x, 0, values)), 1U);
}

TEST_F(LutForms, BitsThatNobodyReadsAreConstant) {
  const NetId x = builder_.input({-200, 255, 0});
  const auto form = lut_form(netlist_, builder_.at(builder_.clamp(x, 0, 255)), 0b11);
  ASSERT_TRUE(form.has_value());
  EXPECT_EQ(form->luts.size(), 1U);
  EXPECT_EQ(form->bits[5].source, LutForm::Bit::Source::Constant);
}

TEST_F(LutForms, WideTablesAndOtherCellsHaveNone) {
  const NetId x = builder_.input({0, 127, 0});
  std::vector<Int> values(128, 1);
  values[3] = 0;
  EXPECT_FALSE(lut_form(netlist_, builder_.at(builder_.table(x, 0, values)), ~UInt{0}).has_value());
  EXPECT_FALSE(lut_form(netlist_, builder_.at(builder_.sum({{x, 0, false}, {x, 2, false}})), ~UInt{0}).has_value());
}

}  // namespace
}  // namespace weft::netlist
