// SPDX-License-Identifier: Apache-2.0
// Convolutions and pools, whose windows the fast executor reads in place, against the plain executor.
#include <gtest/gtest.h>

#include "weft/emulate/test_support.h"

namespace weft::emulate {
namespace {

using Ints = std::vector<std::int64_t>;

struct Conv {
  std::int64_t height = 5, width = 6, channels = 4, outputs = 6, groups = 1;
  Ints kernel{3, 3};
  Ints stride{1, 1};
  Ints dilation{1, 1};
  Ints before{1, 0};
  Ints after{1, 2};
  int input_bits = 8;
  bool input_signed = true;
  int weight_bits = 8;
  int zeros = 0;  ///< one weight in so many stays when above 0
};

exact::ValueId input(exact::Graph& graph, const Conv& c) {
  exact::InputConversion conversion;
  conversion.type = {.width_bits = c.input_bits, .integer_bits = 3, .is_signed = c.input_signed};
  return append_input(graph, {c.height, c.width, c.channels}, conversion);
}

exact::ValueId window(exact::Graph& graph, const Conv& c, exact::ValueId x, std::int64_t groups, Int pad) {
  return append(graph, exact::Window{x, c.kernel, c.stride, c.dilation, c.before, c.after, groups, pad});
}

exact::ValueId conv(exact::Graph& graph, const Conv& c, exact::ValueId x, exact::Random& random) {
  const std::int64_t channels = graph.at(x).shape.back();
  const auto w = window(graph, c, x, c.groups, 0);
  const std::int64_t n_in = graph.at(w).shape.back();
  const std::int64_t taps = n_in / channels;
  exact::MatVec m{w, n_in, c.outputs, {}, {}, {}};
  const std::int64_t most = (std::int64_t{1} << (c.weight_bits - 1)) - 1;
  for (std::int64_t i = 0; i < n_in; ++i) {
    for (std::int64_t o = 0; o < c.outputs; ++o) {
      const bool reached = i / (taps * channels / c.groups) == o / (c.outputs / c.groups);
      const bool kept = c.zeros == 0 || random.one_in(c.zeros);
      m.weights.push_back(reached && kept ? random.between(-most - 1, most) : 0);
    }
  }
  for (std::int64_t o = 0; o < c.outputs; ++o) m.bias.push_back(random.between(-100, 100));
  return append(graph, std::move(m));
}

exact::ValueId rounded(exact::Graph& graph, exact::ValueId x, int bits) {
  fixed::ShiftRound f;
  f.shift = 6;
  f.rounding = fixed::Rounding::RndConv;
  f.lo = 0;
  f.hi = (Int{1} << bits) - 1;
  f.width_bits = bits;
  f.is_signed = false;
  return append(graph, exact::Requant{x, {f}, true});
}

exact::ValueId pool(exact::Graph& graph, const Conv& c, exact::ValueId x, exact::Reduce::Kind kind) {
  const std::int64_t channels = graph.at(x).shape.back();
  const auto w = window(graph, c, x, channels, kind == exact::Reduce::Kind::Max ? graph.at(x).ranges[0].lo : Int{0});
  const Shape shape = graph.at(w).shape;
  const std::int64_t taps = shape.back() / channels;
  const auto flat = append(graph, exact::Reshape{w}, Shape{shape[0] * shape[1] * channels, taps});
  const auto reduced = append(graph, exact::Reduce{kind, flat});
  return append(graph, exact::Reshape{reduced}, Shape{shape[0], shape[1], channels});
}

void check(const exact::Graph& graph, std::size_t batch) {
  ASSERT_EQ(exact::verify(graph), "");
  check_codes(graph, random_rows(graph, batch, batch), batch);
}

/// Every combination of channels, widths and groups: convolution, step function, pool, convolution.
TEST(Windows, NetworksOfConvolutionsAndPools) {
  std::uint64_t seed = 0;
  for (const std::int64_t channels : {1, 3, 4, 8, 33}) {
    for (const int bits : {1, 7, 8, 12, 16}) {
      for (const int weight_bits : {2, 8, 12}) {
        Conv c;
        c.channels = channels;
        c.input_bits = bits + 1;
        c.weight_bits = weight_bits;
        c.stride = {1 + static_cast<std::int64_t>(seed % 2), 1};
        c.dilation = {1, 1 + static_cast<std::int64_t>(seed % 3 == 0)};
        exact::Random random(++seed);
        exact::Graph graph;
        const auto first = rounded(graph, conv(graph, c, input(graph, c), random), bits);
        Conv p = c;
        p.kernel = {2, 2};
        p.stride = {2, 1};
        p.dilation = {1, 1};
        const auto pooled = pool(graph, p, first, seed % 4 == 0 ? exact::Reduce::Kind::Sum : exact::Reduce::Kind::Max);
        Conv d = c;
        d.kernel = {2, 1};
        d.outputs = 5;
        graph.outputs.push_back({"y", conv(graph, d, pooled, random), {}});
        SCOPED_TRACE(fmt::format("channels {} bits {} weights {}", channels, bits, weight_bits));
        check(graph, seed % 5 == 0 ? 70 : 3);
        if (HasFailure()) return;
      }
    }
  }
}

TEST(Windows, StepFunctionsBehindPools) {
  // Rising ones change places with the pool, falling ones and those that count do not; padding keeps them behind.
  for (const bool rising : {true, false}) {
    for (const bool count : {true, false}) {
      for (const std::int64_t padding : {0, 1}) {
        Conv c;
        exact::Random random(11);
        exact::Graph graph;
        const auto sums = conv(graph, c, input(graph, c), random);
        Conv p = c;
        p.kernel = p.stride = {2, 2};
        p.before = p.after = {padding, 0};
        const auto pooled = pool(graph, p, sums, exact::Reduce::Kind::Max);
        std::vector<fixed::StepFunction> functions;
        for (std::int64_t o = 0; o < c.outputs; ++o) {
          fixed::Pieces pieces{{}, {}};
          for (Int k = 0; k < 60; ++k) {
            if (k > 0) pieces.breakpoints.push_back(-3000 + 100 * k + o);
            pieces.values.push_back(rising ? k : 60 - k);
          }
          functions.emplace_back(std::move(pieces));
        }
        const auto y = append(graph, exact::Requant{pooled, functions, count});
        Conv d = c;
        d.kernel = {1, 1};
        d.before = d.after = {0, 0};
        graph.outputs.push_back({"y", conv(graph, d, y, random), {}});
        SCOPED_TRACE(fmt::format("rising {} count {} padding {}", rising, count, padding));
        check(graph, 21);
      }
    }
  }
}

TEST(Windows, GroupedDepthwiseAndSparseKernels) {
  for (const std::int64_t groups : {1, 2, 4, 8}) {
    for (const std::int64_t multiplier : {1, 2, 3}) {
      for (const int zeros : {0, 3, 40}) {
        for (const int bits : {8, 14}) {
          Conv c;
          c.channels = 8;
          c.groups = groups;
          c.outputs = 8 * multiplier;
          c.zeros = zeros;
          c.input_bits = bits;
          exact::Random random(static_cast<std::uint64_t>(groups * 100 + multiplier * 10 + zeros));
          exact::Graph graph;
          graph.outputs.push_back({"y", rounded(graph, conv(graph, c, input(graph, c), random), 8), {}});
          SCOPED_TRACE(fmt::format("groups {} multiplier {} zeros {} bits {}", groups, multiplier, zeros, bits));
          check(graph, 20);
          if (HasFailure()) return;
        }
      }
    }
  }
}

TEST(Windows, PairsOfBytesThatMeetOnlyInPlace) {
  // One group per channel: in the matrix, neighbours are taps of one channel; in the operand, two channels of one tap.
  Conv c;
  c.channels = 2;
  c.groups = 2;
  c.outputs = 2;
  c.kernel = {1, 3};
  c.before = {0, 0};
  c.after = {0, 0};
  c.input_signed = false;
  for (const std::int64_t w : {64, 65, 127, -128}) {
    exact::Graph graph;
    const auto x = window(graph, c, input(graph, c), 2, 0);
    exact::MatVec m{x, 6, 2, {w, 0, 0, 0, w, 0, 0, w, 0, 0, 0, w}, {1, 2}, {}};
    graph.outputs.push_back({"y", append(graph, std::move(m)), {}});
    ASSERT_EQ(exact::verify(graph), "");
    check_codes(graph, {std::vector<std::int64_t>(60, 255)}, 1);
  }
}

TEST(Windows, BipolarKernels) {
  for (const std::int64_t channels : {31, 32, 64}) {
    Conv c;
    c.channels = channels;
    c.before = {0, 0};
    c.after = {0, 0};
    exact::Random random(7);
    exact::Graph graph;
    exact::InputConversion conversion;
    conversion.form = exact::InputConversion::Form::Bipolar;
    const auto x = append_input(graph, {4, 4, channels}, conversion);
    const auto w = window(graph, c, x, 1, 1);
    exact::MatVec m{w, 9 * channels, 5, {}, std::vector<Int>(5, 0), {}};
    for (std::int64_t i = 0; i < 9 * channels * 5; ++i) m.weights.push_back(random.one_in(2) ? 1 : -1);
    graph.outputs.push_back({"y", append(graph, std::move(m)), {}});
    check(graph, 18);
  }
}

TEST(Windows, WindowsWithOtherReadersStay) {
  Conv c;
  exact::Random random(3);
  exact::Graph graph;
  const auto x = input(graph, c);
  const auto y = conv(graph, c, x, random);
  graph.outputs.push_back({"y", y, {}});
  graph.outputs.push_back({"w", std::get<exact::MatVec>(graph.at(y).primitive).x, {}});
  check(graph, 17);
}

TEST(Windows, UnreadElementsMayBeWider) {
  // The stride leaves out every second column, which is wider than a byte.
  Conv c;
  c.stride = {1, 2};
  c.kernel = {1, 1};
  c.before = c.after = {0, 0};
  exact::Random random(5);
  exact::Graph graph;
  const auto x = input(graph, c);
  Ints factors;
  exact::Constant constant;
  for (std::int64_t e = 0; e < c.height * c.width * c.channels; ++e)
    constant.codes.push_back(e / 4 % 2 == 0 ? 1 : 1000);
  const auto scaled = append(graph, exact::Mul{x, append(graph, std::move(constant), {c.height, c.width, c.channels})});
  graph.outputs.push_back({"y", conv(graph, c, scaled, random), {}});
  check(graph, 19);
}

}  // namespace
}  // namespace weft::emulate
