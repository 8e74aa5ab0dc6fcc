// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/narrow_tables.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>

#include "weft/netlist/builder.h"

namespace weft::netlist {
namespace {

/// A LUT per bit that a sum adds, half of one per bit of what clears.
double price(const Netlist& netlist, const Cell& cell, UInt /*used*/) {
  return cell.op == Op::Sum ? 1.0 * (cell.width_bits - sum_free_bits(netlist, cell)) : 0.5 * cell.width_bits;
}

std::int64_t count(const Netlist& netlist, Op op) {
  return std::count_if(netlist.cells.begin(), netlist.cells.end(), [&](const Cell& c) { return c.op == op; });
}

class NarrowTables : public testing::Test {
 protected:
  NarrowTables() { builder_.begin_module("m", "test"); }

  NetId input(Int lo, Int hi) {
    const NetId net = builder_.input({lo, hi, 0});
    inputs_.push_back(net);
    return net;
  }

  /// Tabulates with `net` as the outputs and compares all values, or 2000 drawn ones, with those of before.
  void run(const std::vector<NetId>& nets, const LutPrice& lut_of = price) {
    for (std::size_t i = 0; i < inputs_.size(); ++i) {
      const Cell& x = netlist_.at(inputs_[i]);
      netlist_.inputs.push_back({"x" + std::to_string(i), {inputs_[i]}, x.width_bits, x.is_signed});
    }
    for (std::size_t i = 0; i < nets.size(); ++i) {
      const Cell& y = netlist_.at(nets[i]);
      netlist_.outputs.push_back({"y" + std::to_string(i), {nets[i]}, y.width_bits, y.is_signed});
    }
    remove_dead(netlist_);
    const Netlist before = netlist_;
    tabulate(netlist_, lut_of);
    remove_dead(netlist_);
    ASSERT_EQ(verify(netlist_), "") << dump(netlist_);
    std::mt19937 random(1);
    for (int k = 0; k < 2000; ++k) {
      std::vector<std::vector<Int>> x;
      for (const Port& port : before.inputs) {
        const fixed::Range& range = before.at(port.elements[0]).range;
        x.push_back({range.lo + static_cast<Int>(random() % static_cast<std::uint64_t>(range.hi - range.lo + 1))});
      }
      const auto wanted = evaluate(before, x);
      const auto found = evaluate(netlist_, x);
      for (std::size_t o = 0; o < before.outputs.size(); ++o) {
        ASSERT_EQ(found[netlist_.outputs[o].elements[0].index], wanted[before.outputs[o].elements[0].index]);
      }
    }
  }

  Netlist netlist_;
  Builder builder_{netlist_};
  std::vector<NetId> inputs_;
};

TEST_F(NarrowTables, ASumOfFiveBitsBecomesPairs) {
  const NetId a = input(0, 7);
  const NetId b = input(-2, 1);
  run({builder_.sum({{a, 0, false}, {b, 1, false}})});
  EXPECT_EQ(count(netlist_, Op::Sum), 0);
  EXPECT_EQ(count(netlist_, Op::Table), 1);
}

TEST_F(NarrowTables, ASumOfMoreThanSixBitsStays) {
  const NetId a = input(0, 15);
  const NetId b = input(0, 7);
  run({builder_.sum({{a, 0, false}, {b, 0, false}})});
  EXPECT_EQ(count(netlist_, Op::Sum), 1);
}

TEST_F(NarrowTables, AProductAndItsClearBecomeOneTable) {
  const NetId a = input(-16, 15);
  const NetId three = builder_.sum({{a, 0, false}, {a, 1, false}});
  const NetId eleven = builder_.sum({{three, 0, false}, {a, 3, false}});
  run({builder_.clamp(eleven, 0, 500)});
  EXPECT_EQ(count(netlist_, Op::Sum), 0);
  EXPECT_EQ(count(netlist_, Op::Clamp), 0);
  EXPECT_EQ(count(netlist_, Op::Table), 1);
}

/// Of a price at which two sums cost more than their table of six bits, one alone less.
double four(const Netlist& /*netlist*/, const Cell& /*cell*/, UInt /*used*/) { return 4.0; }

TEST_F(NarrowTables, WhatOthersReadIsNotSaved) {
  const NetId x = input(-32, 31);
  const NetId three = builder_.sum({{x, 0, false}, {x, 1, false}});
  const NetId eleven = builder_.sum({{three, 0, false}, {x, 3, false}});
  run({three, eleven}, four);
  EXPECT_EQ(count(netlist_, Op::Sum), 2);
}

TEST_F(NarrowTables, WhatNobodyElseReadsIsSaved) {
  const NetId x = input(-32, 31);
  const NetId three = builder_.sum({{x, 0, false}, {x, 1, false}});
  run({builder_.sum({{three, 0, false}, {x, 3, false}})}, four);
  EXPECT_EQ(count(netlist_, Op::Sum), 0);
  EXPECT_EQ(count(netlist_, Op::Table), 1);
}

TEST_F(NarrowTables, DrawnNetlistsKeepTheirValues) {
  for (int seed = 0; seed < 40; ++seed) {
    std::mt19937 random(static_cast<unsigned>(seed));
    netlist_ = {};
    Builder builder(netlist_);
    builder.begin_module("m", "test");
    inputs_.clear();
    std::vector<NetId> nets;
    for (int i = 0; i < 5; ++i) {
      const Int size = Int{1} << (1 + random() % 3);
      const bool is_signed = random() % 2 == 0;
      inputs_.push_back(builder.input({is_signed ? -size : 0, size - 1 - static_cast<Int>(random() % 2), 0}));
      nets.push_back(inputs_.back());
    }
    const auto any = [&] { return nets[random() % nets.size()]; };
    for (int i = 0; i < 25; ++i) {
      switch (random() % 7) {
        case 0:
        case 1:
          nets.push_back(builder.sum({{any(), static_cast<int>(random() % 3), false}, {any(), 0, random() % 2 == 0}}));
          break;
        case 2:
          nets.push_back(builder.sum({{any(), 0, false}, {any(), 1, true}, {any(), 2, false}}));
          break;
        case 3:
          nets.push_back(builder.clamp(any(), 0, 5));
          break;
        case 4:
          nets.push_back(builder.bits(any(), 1, 2, random() % 2 == 0));
          break;
        case 5:
          nets.push_back(builder.mux(builder.at_least(any(), 1), any(), any()));
          break;
        default: {
          const NetId x = any();
          if (builder.at(x).width_bits > 8) break;
          std::vector<Int> values;
          for (Int v = builder.range(x).lo; v <= builder.range(x).hi; ++v)
            values.push_back(static_cast<Int>(random() % 9) - 4);
          nets.push_back(builder.table(x, builder.range(x).lo, values));
        }
      }
    }
    ASSERT_FALSE(builder.failed());
    std::vector<NetId> outputs;
    for (int i = 0; i < 6; ++i) {
      const NetId net = nets[nets.size() - 1 - static_cast<std::size_t>(i)];
      if (!builder.is_constant(net)) outputs.push_back(net);
    }
    run(outputs);
    if (HasFatalFailure()) FAIL() << "seed " << seed;
  }
}

}  // namespace
}  // namespace weft::netlist
