// SPDX-License-Identifier: Apache-2.0
#include "weft/netlist/lut_cover.h"

#include <gtest/gtest.h>

#include <numeric>

namespace weft::netlist {
namespace {

std::vector<Literal> sources(Gates& gates, int count) {
  std::vector<Literal> out;
  for (int i = 0; i < count; ++i) out.push_back(gates.source());
  return out;
}

int tables_of(const Gates& gates, const std::vector<Literal>& wanted) {
  std::vector<std::uint32_t> nodes;
  for (const Literal x : wanted) nodes.push_back(node_of(x));
  const LutCover result = cover(gates, nodes, six_input_luts());
  return std::accumulate(result.tables.begin(), result.tables.end(), 0);
}

TEST(Gates, FoldsAndShares) {
  Gates gates;
  const auto x = sources(gates, 3);
  EXPECT_EQ(gates.both(x[0], kHigh), x[0]);
  EXPECT_EQ(gates.both(x[0], x[0] ^ 1), kLow);
  EXPECT_EQ(gates.both(x[0], x[1]), gates.both(x[1], x[0]));
  EXPECT_EQ(gates.differ(x[0] ^ 1, x[1]), gates.differ(x[0], x[1]) ^ 1);
  EXPECT_EQ(gates.choose(x[0], kHigh, x[1]), gates.either(x[0], x[1]));
  EXPECT_EQ(gates.choose(x[0] ^ 1, x[1], x[2]), gates.choose(x[0], x[2], x[1]));
  EXPECT_EQ(gates.choose(x[0], x[1] ^ 1, x[2] ^ 1), gates.choose(x[0], x[1], x[2]) ^ 1);
  EXPECT_EQ(gates.choose(x[0], x[1], x[1] ^ 1), gates.differ(x[0], x[1]) ^ 1);
}

TEST(LutCover, TakesAsManyInputsAsATableHas) {
  Gates gates;
  const auto x = sources(gates, 16);
  EXPECT_EQ(tables_of(gates, {x[0]}), 0);
  EXPECT_EQ(tables_of(gates, {gates.all({x[0], x[1], x[2], x[3], x[4], x[5]})}), 1);
  // A multiplexer of four is six inputs, one of eight eleven: two tables and one that joins them with the last select.
  const auto four = [&](std::size_t first) {
    return gates.choose(x[13], gates.choose(x[12], x[first], x[first + 1]),
                        gates.choose(x[12], x[first + 2], x[first + 3]));
  };
  EXPECT_EQ(tables_of(gates, {four(0)}), 1);
  EXPECT_EQ(tables_of(gates, {gates.choose(x[14], four(0), four(4))}), 3);
}

TEST(LutCover, SharedLogicStandsOnce) {
  Gates gates;
  const auto x = sources(gates, 12);
  const Literal wide = gates.all({x[0], x[1], x[2], x[3], x[4], x[5]});
  // Both readers have inputs of their own: they read the shared table.
  EXPECT_EQ(tables_of(gates, {gates.all({wide, x[6], x[7]}), gates.all({wide, x[8] ^ 1, x[9]}), wide}), 3);
}

}  // namespace
}  // namespace weft::netlist
