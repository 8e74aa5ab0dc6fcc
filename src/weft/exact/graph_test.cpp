// SPDX-License-Identifier: Apache-2.0
#include "weft/exact/graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace weft::exact {
namespace {

using fixed::Range;
using testing::HasSubstr;

/// Graphs are written as text: what is tested stands on the page.
Graph graph_of(const std::string& body) {
  diag::Engine engine;
  Context ctx{engine};
  auto graph = parse_text("weft-exact 1 \"g\"\n" + body, "g", ctx);
  if (!graph) {
    ADD_FAILURE() << engine.all().back().message;
    return {};
  }
  return *graph;
}

[[maybe_unused]]
std::string error_of(const std::string& body) {
  diag::Engine engine;
  Context ctx{engine};
  if (parse_text("weft-exact 1 \"g\"\n" + body, "g", ctx)) return "";
  EXPECT_EQ(engine.all().size(), 1U);
  EXPECT_EQ(engine.all().back().kind, Kind::ModelMalformed);
  return engine.all().back().message;
}

/// An input of `n` elements with 8-bit codes.
std::string input_line(const std::string& name, int n) {
  return "value " + name + " shape [" + std::to_string(n) + "] scale [1/16] ranges [-128..127*" + std::to_string(n) +
         "] = input\ninput \"" + name + "\" %" + name + " fixed type fixed<8,4> rule \"model\"\n";
}

std::vector<Range> inferred(const Graph& graph) {
  diag::Engine engine;
  Context ctx{engine};
  auto out = infer_ranges(graph, graph.values.back(), ctx);
  EXPECT_TRUE(out.ok());
  return out ? *out : std::vector<Range>{};
}

constexpr const char* kWide = "-100000000..100000000";

TEST(Names, FollowTheTable) {
  EXPECT_EQ(name_of(Primitive(Input{})), "input");
  EXPECT_EQ(name_of(Primitive(MatVec{})), "matvec");
  EXPECT_EQ(name_of(Primitive(ArgMax{})), "argmax");
  EXPECT_EQ(name_of(Primitive(Reshape{})), "reshape");
}

TEST(Operands, StandInOrder) {
  EXPECT_TRUE(operands(Constant{}).empty());
  EXPECT_EQ(operands(Sub{.a = {3}, .b = {1}}), (std::vector<ValueId>{{3}, {1}}));
  EXPECT_EQ(operands(Concat{.xs = {{2}, {2}, {0}}}), (std::vector<ValueId>{{2}, {2}, {0}}));
}

TEST(MatVecRanges, ComeFromTheActualWeights) {
  const auto g = graph_of(input_line("x", 2) + "value y shape [3] scale [1/16] ranges [" + kWide +
                          "*3] = matvec %x n_in 2 n_out 3 weights [4 0 -8 8 0 16] bias [2 7 0]\n");
  // y0 = 4 x0 + 8 x1 + 2, y1 = 7, y2 = -8 x0 + 16 x1.
  const auto ranges = inferred(g);
  EXPECT_EQ(ranges[0], (Range{-1536 + 2, 1524 + 2, 1}));
  EXPECT_EQ(ranges[1], (Range{7, 7, 0}));
  EXPECT_EQ(ranges[2], (Range{-8 * 127 - 16 * 128, 8 * 128 + 16 * 127, 3}));
}

}  // namespace
}  // namespace weft::exact
