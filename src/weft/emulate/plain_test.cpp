// SPDX-License-Identifier: Apache-2.0
// The plain executor against codes worked out by hand.
#include "weft/emulate/plain.h"

#include <gtest/gtest.h>

#include "weft/emulate/dense_network.h"
#include "weft/emulate/emulator.h"

namespace weft::emulate {
namespace {

using Codes = std::vector<Int>;

struct Fixture {
  exact::Graph graph;
  exact::ValueId input(const Shape& shape) {
    exact::InputConversion conversion;
    conversion.type = {.width_bits = 16, .integer_bits = 16};
    return append_input(graph, shape, conversion);
  }
  [[nodiscard]] Codes run(exact::ValueId y, const std::vector<Codes>& inputs) const {
    return run_plain(graph, inputs).values[y.index];
  }
};

TEST(Plain, MatVecOverTheLastAxis) {
  Fixture f;
  const auto x = f.input({2, 2});
  // Weights are [input][output].
  const auto y = append(f.graph, exact::MatVec{x, 2, 3, {1, 2, 3, 10, 20, 30}, {100, 0, -1}, {}});
  EXPECT_EQ(f.run(y, {{1, 2, -1, 0}}), (Codes{121, 42, 62, 99, -2, -4}));
}

TEST(Plain, ForcedAccumulatorCastsBiasProductsAndSums) {
  // Codes of the accumulator are in halves of the exact LSB's eighth: lsb_frac_bits 3, one fraction bit: 2 bits are
  // lost in each product, with TRN; 4 bits wide, wrapping at 8.
  Fixture f;
  const auto x = f.input({3});
  exact::MatVec dense{x, 3, 1, {3, 5, 7}, {Int{6}}, {}};
  dense.accumulator = exact::MatVec::ForcedAccumulator{{.width_bits = 4,
                                                        .integer_bits = 3,
                                                        .is_signed = true,
                                                        .rounding = fixed::Rounding::Trn,
                                                        .overflow = fixed::Overflow::Wrap},
                                                       3};
  const auto y = append(f.graph, std::move(dense));
  // bias 6 >> 2 = 1; 3 * 3 = 9 >> 2 = 2; 5 * 2 = 10 >> 2 = 2; 7 * 2 = 14 >> 2 = 3: 8 wraps to -8.
  EXPECT_EQ(f.run(y, {{3, 2, 2}}), (Codes{-8}));
  // -3 >> 2 = -1, although the exact sum 6 - 3 = 3 would floor to 0.
  EXPECT_EQ(f.run(y, {{-1, 0, 0}}), (Codes{0}));
  // 15 * 7 / 4 = 26 wraps to -6 in the product: -6 + 1 = -5.
  EXPECT_EQ(f.run(y, {{0, 0, 15}}), (Codes{-5}));
}

TEST(Plain, ForcedAccumulatorSaturatesInIndexOrder) {
  Fixture f;
  const auto x = f.input({3});
  exact::MatVec dense{x, 3, 1, {1, 1, 1}, {Int{0}}, {}};
  dense.accumulator = exact::MatVec::ForcedAccumulator{{.width_bits = 4, .integer_bits = 4}, 0};
  const auto y = append(f.graph, std::move(dense));
  EXPECT_EQ(f.run(y, {{7, 7, -3}}), (Codes{4}));
  EXPECT_EQ(f.run(y, {{7, -3, 7}}), (Codes{7}));
}

TEST(Plain, AddSubMulBroadcastAndAlign) {
  Fixture f;
  const auto a = f.input({2, 3});
  const auto b = f.input({3});
  const auto c = f.input({2, 1});
  const std::vector<Codes> inputs{{1, 2, 3, 4, 5, 6}, {10, 20, 30}, {-1, 2}};
  const auto sum = append(f.graph, exact::Add{a, b, 2, 0});
  const auto difference = append(f.graph, exact::Sub{b, c, 0, 3});
  const auto product = append(f.graph, exact::Mul{a, c});
  const auto result = run_plain(f.graph, inputs);
  EXPECT_EQ(result.values[sum.index], (Codes{14, 28, 42, 26, 40, 54}));
  EXPECT_EQ(result.values[difference.index], (Codes{18, 28, 38, -6, 4, 14}));
  EXPECT_EQ(result.values[product.index], (Codes{-1, -2, -3, 8, 10, 12}));
}

TEST(Plain, RequantPerChannelAndItsClips) {
  Fixture f;
  const auto x = f.input({2, 2});
  fixed::ShiftRound half;
  half.shift = 1;
  half.lo = 0;
  half.hi = 3;
  const auto y = append(f.graph, exact::Requant{x, {half, fixed::Pieces{{0, 5}, {-1, 0, 7}}}, true});
  const auto result = run_plain(f.graph, {{3, 4, 9, -2}});
  // 1.5 to even 2; 4 in [0, 5); 4.5 to even 4, clipped; below 0.
  EXPECT_EQ(result.values[y.index], (Codes{2, 0, 3, -1}));
  EXPECT_EQ(result.saturations[y.index], 1U);
}

TEST(Plain, ClipsAreChangesByOverflowAlone) {
  fixed::ShiftRound f;
  f.shift = 2;
  f.rounding = fixed::Rounding::Rnd;
  f.overflow = fixed::Overflow::Wrap;
  f.width_bits = 3;
  EXPECT_FALSE(clips(f, 13));   // 3.25 to 3
  EXPECT_TRUE(clips(f, 14));    // 3.5 to 4, wraps to -4
  EXPECT_FALSE(clips(f, -18));  // -4.5 to -4
  EXPECT_TRUE(clips(f, -19));
  EXPECT_FALSE(clips(fixed::Pieces{{0}, {-1, 1}}, 12345));
  f.shift = -126;
  f.overflow = fixed::Overflow::Sat;
  f.hi = 3;
  EXPECT_TRUE(clips(f, 4));
}

TEST(Plain, ReduceKeepsTheAxis) {
  Fixture f;
  const auto x = f.input({2, 3});
  const auto sum = append(f.graph, exact::Reduce{exact::Reduce::Kind::Sum, x});
  const auto most = append(f.graph, exact::Reduce{exact::Reduce::Kind::Max, x});
  EXPECT_EQ(f.graph.at(sum).shape, (Shape{2, 1}));
  const std::vector<Codes> inputs{{1, 2, 3, -4, -5, -6}};
  EXPECT_EQ(f.run(sum, inputs), (Codes{6, -15}));
  EXPECT_EQ(f.run(most, inputs), (Codes{3, -4}));
}

TEST(Plain, ArgMaxTiesGoToTheLowerIndex) {
  Fixture f;
  const auto x = f.input({2, 4});
  const auto one = append(f.graph, exact::ArgMax{x, 1});
  const auto three = append(f.graph, exact::ArgMax{x, 3});
  const std::vector<Codes> inputs{{5, 9, 9, 5, -1, -2, -1, -1}};
  EXPECT_EQ(f.run(one, inputs), (Codes{1, 0}));
  EXPECT_EQ(f.run(three, inputs), (Codes{1, 2, 0, 0, 2, 3}));
}

TEST(Plain, ConcatPermuteReshapeMoveCodes) {
  Fixture f;
  const auto a = f.input({2, 2});
  const auto b = f.input({2, 1});
  const auto inner = append(f.graph, exact::Concat{{a, b}, 1});
  const auto outer = append(f.graph, exact::Concat{{inner, inner}, 0});
  const auto turned = append(f.graph, exact::Permute{inner, {1, 0}});
  const auto flat = append(f.graph, exact::Reshape{turned}, {6});
  const std::vector<Codes> inputs{{1, 2, 3, 4}, {10, 20}};
  EXPECT_EQ(f.run(inner, inputs), (Codes{1, 2, 10, 3, 4, 20}));
  EXPECT_EQ(f.run(outer, inputs), (Codes{1, 2, 10, 3, 4, 20, 1, 2, 10, 3, 4, 20}));
  EXPECT_EQ(f.run(turned, inputs), (Codes{1, 3, 2, 4, 10, 20}));
  EXPECT_EQ(f.run(flat, inputs), (Codes{1, 3, 2, 4, 10, 20}));
}

TEST(Plain, CodesOfMoreThan64Bits) {
  Fixture f;
  const auto x = f.input({1});
  const auto y = append(f.graph, exact::MatVec{x, 1, 1, {std::int64_t{1} << 62}, {Int{1} << 100}, {}});
  EXPECT_EQ(f.run(y, {{-3}}), (Codes{(Int{1} << 100) - 3 * (Int{1} << 62)}));
}

TEST(Plain, WrongNumberOfCodesIsABug) {
  Fixture f;
  f.input({2});
  EXPECT_THROW((void)run_plain(f.graph, {{1}}), diag::InternalError);
  EXPECT_THROW((void)run_plain(f.graph, {}), diag::InternalError);
}

}  // namespace
}  // namespace weft::emulate
