// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/netlist.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "weft/diag/diag.h"
#include "weft/netlist/builder.h"

namespace weft::netlist {
namespace {

using fixed::Range;

/// One signed and one unsigned input, and every net built from them by the test as an output element.
struct Fixture {
  Netlist netlist;
  Builder builder{netlist};
  NetId a;
  NetId b;

  Fixture(const Range& range_a, const Range& range_b) {
    builder.begin_module("m", "test");
    a = builder.input(range_a);
    b = builder.input(range_b);
    netlist.inputs.push_back({"a", {a}, width_of(range_a), range_a.lo < 0});
    netlist.inputs.push_back({"b", {b}, width_of(range_b), range_b.lo < 0});
  }

  /// Compares a net with a formula over all values of both inputs.
  template <class F>
  void expect(NetId net, const F& formula) {
    ASSERT_EQ(verify(netlist), "");
    for (Int x = builder.range(a).lo; x <= builder.range(a).hi; ++x) {
      for (Int y = builder.range(b).lo; y <= builder.range(b).hi; ++y) {
        const auto values = evaluate(netlist, {{x}, {y}});
        ASSERT_EQ(static_cast<std::int64_t>(values[net.index]), static_cast<std::int64_t>(formula(x, y)))
            << static_cast<int>(x) << " " << static_cast<int>(y);
      }
    }
  }
};

TEST(Builder, ComputesWhatItSays) {
  Fixture f({-8, 7, 0}, {0, 11, 0});
  Builder& b = f.builder;
  f.expect(b.sum({{f.a, 0, false}, {f.b, 2, false}}), [](Int x, Int y) { return x + 4 * y; });
  f.expect(b.sum({{f.a, 3, false}, {f.b, 0, true}}), [](Int x, Int y) { return 8 * x - y; });
  f.expect(b.sum({{f.a, 1, true}, {f.b, 0, true}}), [](Int x, Int y) { return -2 * x - y; });
  f.expect(b.sum({{f.a, 0, false}, {b.constant(5), 1, true}}), [](Int x, Int) { return x - 10; });
  f.expect(b.concat({{f.b, 0, false}, {f.a, 4, false}}), [](Int x, Int y) { return y + 16 * x; });
  f.expect(b.shift_right(f.a, 2), [](Int x, Int) { return x >> 2; });
  f.expect(b.bits(f.a, 1, 2), [](Int x, Int) { return (x >> 1) & 3; });
  f.expect(b.bits(f.a, 0, 2, true), [](Int x, Int) { return ((x & 3) ^ 2) - 2; });
  for (Int t = -9; t <= 9; ++t) {
    f.expect(b.at_least(f.a, t), [&](Int x, Int) { return x >= t ? 1 : 0; });
    f.expect(b.equal(f.a, t), [&](Int x, Int) { return x == t ? 1 : 0; });
  }
  f.expect(b.at_least_net(f.a, f.b), [](Int x, Int y) { return x >= y ? 1 : 0; });
  f.expect(b.mux(b.at_least(f.a, 0), f.b, f.a), [](Int x, Int y) { return x >= 0 ? y : x; });
  f.expect(b.clamp(f.a, -3, 5), [](Int x, Int) { return std::min(std::max(x, Int{-3}), Int{5}); });
  f.expect(b.multiply(f.a, f.b), [](Int x, Int y) { return x * y; });
  std::vector<Int> squares;
  for (Int x = -8; x <= 7; ++x) squares.push_back(x * x);
  f.expect(b.table(f.a, -8, squares), [](Int x, Int) { return x * x; });
  const NetId p = b.at_least(f.a, 2);
  const NetId q = b.at_least(f.b, 6);
  f.expect(b.logic_and(p, q), [](Int x, Int y) { return x >= 2 && y >= 6 ? 1 : 0; });
  f.expect(b.logic_or(p, b.logic_not(q)), [](Int x, Int y) { return x >= 2 || y < 6 ? 1 : 0; });
  f.expect(b.logic_xor(p, q), [](Int x, Int y) { return (x >= 2) != (y >= 6) ? 1 : 0; });
}

TEST(Builder, WidthsFollowFromRanges) {
  Fixture f({-8, 7, 0}, {0, 11, 0});
  Builder& b = f.builder;
  EXPECT_EQ(b.at(b.sum({{f.a, 0, false}, {f.b, 0, false}})).width_bits, 6);  // -8..18
  const Range known{0, 3, 0};
  EXPECT_EQ(b.at(b.sum({{f.a, 0, false}, {f.b, 1, false}}, &known)).width_bits, 2);
  EXPECT_EQ(b.at(b.clamp(f.a, 0, 100)).width_bits, 3);
  EXPECT_EQ(b.at(b.narrow(f.b, {0, 7, 0})).width_bits, 3);
  EXPECT_EQ(b.narrow(f.b, {0, 8, 0}), f.b);
}

TEST(Builder, FoldsConstantsAndSharesEqualCells) {
  Fixture f({-8, 7, 0}, {0, 11, 0});
  Builder& b = f.builder;
  EXPECT_EQ(b.sum({{f.a, 0, false}, {f.b, 0, false}}), b.sum({{f.a, 0, false}, {f.b, 0, false}}));
  EXPECT_EQ(b.sum({{f.a, 0, false}, {b.constant(0), 0, false}}), f.a);
  EXPECT_TRUE(b.is_constant(b.at_least(f.b, 0)));
  EXPECT_TRUE(b.is_constant(b.sum({{b.constant(3), 2, false}, {b.constant(5), 0, true}})));
  EXPECT_EQ(b.clamp(f.a, -8, 7), f.a);
  const NetId bit = b.at_least(f.a, 0);
  EXPECT_EQ(b.logic_not(b.logic_not(bit)), bit);
  EXPECT_EQ(b.mux(bit, b.constant(1), b.constant(0)), bit);
  EXPECT_EQ(b.at(b.sum({{f.b, 0, false}, {f.b, 4, false}})).op, Op::Concat);
}

TEST(Builder, RecordsWhatIsTooWide) {
  Fixture f({-8, 7, 0}, {0, 11, 0});
  Builder& b = f.builder;
  EXPECT_FALSE(b.failed());
  (void)b.sum({{f.a, 125, false}, {f.b, 0, false}});
  EXPECT_TRUE(b.failed());
}

TEST(Builder, RemovesDeadCells) {
  Fixture f({-8, 7, 0}, {0, 11, 0});
  Builder& b = f.builder;
  (void)b.multiply(f.a, f.b);
  (void)b.table(f.b, 0, std::vector<Int>(12, 3));
  const NetId kept = b.sum({{f.a, 0, false}, {f.b, 0, false}});
  f.netlist.outputs.push_back({"y", {kept}, 6, true});
  remove_dead(f.netlist);
  EXPECT_EQ(verify(f.netlist), "");
  EXPECT_EQ(f.netlist.cells.size(), 3U);
  EXPECT_TRUE(f.netlist.tables.empty());
  EXPECT_EQ(evaluate(f.netlist, {{-3}, {4}})[f.netlist.outputs[0].elements[0].index], 1);
}

TEST(Netlist, VerifierSeesWhatIsWrong) {
  const auto broken = [](const auto& change) {
    Fixture f({-8, 7, 0}, {0, 11, 0});
    const NetId net = f.builder.sum({{f.a, 0, false}, {f.b, 1, false}});
    f.netlist.outputs.push_back({"y", {net}, 6, true});
    EXPECT_EQ(verify(f.netlist), "");
    change(f.netlist);
    return verify(f.netlist);
  };
  EXPECT_THAT(broken([](Netlist& n) { n.cells.back().width_bits = 9; }), testing::HasSubstr("width"));
  EXPECT_THAT(broken([](Netlist& n) { n.cells.back().is_signed = false; }), testing::HasSubstr("sign"));
  EXPECT_THAT(broken([](Netlist& n) { n.cells.back().terms[0].net = NetId{7}; }), testing::HasSubstr("in front"));
  EXPECT_THAT(broken([](Netlist& n) { n.cells.back().terms.clear(); }), testing::HasSubstr("operands"));
  EXPECT_THAT(broken([](Netlist& n) { n.cells[1].name = n.cells[0].name; }), testing::HasSubstr("named"));
  EXPECT_THAT(broken([](Netlist& n) { n.outputs[0].element_width_bits = 3; }), testing::HasSubstr("wider"));
  EXPECT_THAT(broken([](Netlist& n) { n.inputs.pop_back(); }), testing::HasSubstr("no port"));
}

TEST(Netlist, EvaluatorChecksRanges) {
  Fixture f({-8, 7, 0}, {0, 11, 0});
  const Range wrong{0, 1, 0};
  (void)f.builder.sum({{f.a, 0, false}, {f.b, 0, false}}, &wrong);
  // 7 + 11 wraps to 0 on one bit and is accepted; the input itself is not.
  EXPECT_NO_THROW(evaluate(f.netlist, {{7}, {11}}));
  EXPECT_THROW(evaluate(f.netlist, {{7}, {12}}), diag::InternalError);
}

TEST(Netlist, DumpNamesEveryCell) {
  Fixture f({-8, 7, 0}, {0, 11, 0});
  const NetId net = f.builder.sum({{f.a, 0, false}, {f.b, 1, true}});
  f.builder.rename(net, "y0");
  f.netlist.outputs.push_back({"y", {net}, 6, true});
  EXPECT_EQ(dump(f.netlist),
            "netlist \n"
            "%0 m.n0 s4 = input in [-8, 7]\n"
            "%1 m.n1 u4 = input in [0, 11]\n"
            "%2 m.y0 s6 = sum %0 -%1<<1 in [-30, 7]\n"
            "input a s4 = %0\n"
            "input b u4 = %1\n"
            "output y s6 = %2\n");
}

}  // namespace
}  // namespace weft::netlist
