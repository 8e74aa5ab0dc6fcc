// SPDX-License-Identifier: Apache-2.0
// The fast executor against the plain one, on every instruction set of this processor.
#include <gtest/gtest.h>

#include "weft/emulate/test_support.h"

namespace weft::emulate {
namespace {

void check_random(const exact::Graph& graph, std::size_t batch, std::uint64_t seed) {
  ASSERT_EQ(exact::verify(graph), "");
  check_codes(graph, random_rows(graph, batch, seed), batch);
}

TEST(Differential, RandomGraphs) {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    SCOPED_TRACE(seed);
    check_random(exact::random_graph(seed), 3 + seed % 20, seed);
    if (HasFatalFailure() || HasNonfatalFailure()) return;
  }
}

TEST(Differential, RandomWideGraphs) {
  exact::RandomGraphOptions options;
  options.max_width_bits = 60;
  options.weight_bits = 20;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    check_random(exact::random_graph(seed, options), 17, seed);
    if (HasFatalFailure() || HasNonfatalFailure()) return;
  }
}

TEST(Differential, RandomDenseGraphs) {
  exact::RandomGraphOptions options;
  options.dense_layers = 3;
  options.steps = 0;
  options.max_extent = 40;
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    SCOPED_TRACE(seed);
    check_random(exact::random_graph(seed, options), 5 + seed % 70, seed);
    if (HasFatalFailure() || HasNonfatalFailure()) return;
  }
}

TEST(Differential, BatchSizes) {
  const auto graph = dense_network({}, 3);
  for (const std::size_t batch : {1U, 15U, 16U, 17U, 63U, 64U, 65U, 1000U}) {
    SCOPED_TRACE(batch);
    check_random(graph, batch, batch);
  }
}

TEST(Differential, RoundingsAndOverflowsInRegisters) {
  for (int rounding = 0; rounding <= static_cast<int>(fixed::Rounding::Up); ++rounding) {
    for (int overflow = 0; overflow <= static_cast<int>(fixed::Overflow::WrapSm); ++overflow) {
      for (const bool is_signed : {false, true}) {
        for (const bool count : {false, true}) {
          DenseOptions options;
          options.sizes = {9, 13, 6, 3};
          options.rounding = static_cast<fixed::Rounding>(rounding);
          options.overflow = static_cast<fixed::Overflow>(overflow);
          options.signed_activations = is_signed;
          options.count_saturation = count;
          if (!is_signed && options.overflow == fixed::Overflow::WrapSm) continue;
          SCOPED_TRACE(fmt::format("rounding {} overflow {} signed {} count {}", rounding, overflow, is_signed, count));
          check_random(dense_network(options, 5), 70, 11);
        }
      }
    }
  }
}

TEST(Differential, WidthsOfInputsWeightsAndActivations) {
  for (const int input : {1, 2, 8, 9, 16, 17, 24}) {
    for (const int weight : {1, 2, 8, 9, 16, 17, 30}) {
      for (const int activation : {1, 7, 8, 9, 15, 16, 17}) {
        for (const bool is_signed : {false, true}) {
          DenseOptions options;
          options.sizes = {7, 10, 5, 4};
          options.input = {.width_bits = input, .integer_bits = 3, .is_signed = is_signed};
          options.weight_bits = weight;
          options.activation_bits = activation;
          options.signed_activations = is_signed;
          SCOPED_TRACE(fmt::format("input {} weight {} activation {} signed {}", input, weight, activation, is_signed));
          check_random(dense_network(options, 9), 33, 13);
        }
      }
    }
  }
}

TEST(Differential, BipolarNetworksOfEveryLength) {
  for (const std::int64_t n : {1, 3, 31, 32, 33, 64, 65, 200}) {
    DenseOptions options;
    options.sizes = {5, n, n, 3};
    options.weight_bits = 1;
    options.bipolar_activations = true;
    SCOPED_TRACE(n);
    check_random(dense_network(options, 2), 66, 3);
  }
}

TEST(Differential, BipolarInputsInRows) {
  exact::Random random(1);
  exact::Graph graph;
  exact::InputConversion conversion;
  conversion.form = exact::InputConversion::Form::Bipolar;
  for (const Shape& shape : {Shape{3, 5}, Shape{2, 64}, Shape{33}}) {
    const auto x = append_input(graph, shape, conversion);
    graph.outputs.push_back({"y", append_dense(graph, x, 6, 1, random), {}});
  }
  check_random(graph, 40, 1);
}

TEST(Differential, BipolarValuesWithOtherReaders) {
  // Permuted bits, and bits beside plain lanes: packed from lanes instead of being born so.
  exact::Random random(8);
  exact::Graph graph;
  const auto x = append_input(graph, {4, 6}, {});
  const auto signs =
      append(graph, exact::Requant{append_dense(graph, x, 35, 5, random), {fixed::Pieces{{3}, {-1, 1}}}});
  const auto turned = append(graph, exact::Permute{signs, {1, 0}});
  graph.outputs.push_back({"y", append_dense(graph, signs, 3, 1, random), {}});
  graph.outputs.push_back({"z", append_dense(graph, turned, 5, 1, random), {}});
  graph.outputs.push_back({"s", append(graph, exact::Reduce{exact::Reduce::Kind::Sum, signs}), {}});
  check_random(graph, 40, 1);
}

TEST(Differential, OffsetsThatDoNotFitTheRegisters) {
  // The sums almost fill 32 bits, so that adding the offset of packed bytes before the shift would overflow.
  exact::Graph graph;
  const auto x = append_input(graph, {1}, {});
  const auto sums = append(graph, exact::MatVec{x, 1, 1, {1 << 24}, {Int{(1 << 24) - (1 << 22)}}, {}});
  fixed::ShiftRound f;
  f.shift = 24;
  f.rounding = fixed::Rounding::Trn;
  f.lo = -128;
  f.hi = 127;
  const auto y = append(graph, exact::Requant{sums, {f}, false});
  graph.outputs.push_back({"y", append(graph, exact::MatVec{y, 1, 1, {3}, {0}, {}}), {}});
  check_codes(graph, {{-128, -127, -1, 0, 1, 126, 127}}, 7);
}

TEST(Differential, EdgesOfTheByteProducts) {
  // Two neighbouring products of 255 * -128 leave 16 bits, and 255 * 127 + 255 * 2 is just beyond; 255 * 64 twice fits.
  for (const std::int64_t w : {-128, -65, -64, 64, 65, 127}) {
    for (const bool is_signed : {false, true}) {
      exact::Graph graph;
      exact::InputConversion conversion;
      conversion.type = {.width_bits = 8, .integer_bits = 8, .is_signed = is_signed};
      const auto x = append_input(graph, {70}, conversion);
      graph.outputs.push_back(
          {"y", append(graph, exact::MatVec{x, 70, 3, std::vector<std::int64_t>(210, w), {0, 1, -1}, {}}), {}});
      SCOPED_TRACE(w);
      const std::int64_t lo = is_signed ? -128 : 0;
      const std::int64_t hi = is_signed ? 127 : 255;
      std::vector<std::int64_t> rows;
      for (const std::int64_t code : {lo, hi}) rows.insert(rows.end(), 70, code);
      check_codes(graph, {rows}, 2);
    }
  }
}

TEST(Differential, EdgesOfTheHalfProducts) {
  exact::Graph graph;
  exact::InputConversion conversion;
  conversion.type = {.width_bits = 16, .integer_bits = 16};
  const auto x = append_input(graph, {2}, conversion);
  // (-32768)^2 twice is 2^31: one too many for 32 bits, so this takes 64; with the other sign it just fits.
  graph.outputs.push_back({"y", append(graph, exact::MatVec{x, 2, 1, {-32768, -32768}, {0}, {}}), {}});
  graph.outputs.push_back({"z", append(graph, exact::MatVec{x, 2, 1, {-32768, -32768}, {-1}, {}}), {}});
  graph.outputs.push_back({"t", append(graph, exact::MatVec{x, 2, 1, {32767, 32767}, {0}, {}}), {}});
  check_codes(graph, {{-32768, -32768, 32767, 32767, -32768, 32767, 0, -32768}}, 4);
}

TEST(Differential, SumsThatWrapOnTheWay) {
  // The bias alone leaves 32 bits, and so do partial sums; every result fits.
  exact::Graph graph;
  exact::InputConversion conversion;
  conversion.type = {.width_bits = 8, .integer_bits = 8, .is_signed = false};
  const auto x = append_input(graph, {4}, conversion);
  const auto one = append(graph, exact::Constant{{1}}, {1});
  std::vector<std::int64_t> weights{1 << 22, 1 << 22, -(1 << 22), -(1 << 22)};
  graph.outputs.push_back({"y", append(graph, exact::MatVec{x, 4, 1, weights, {Int{5}}, {}}), {}});
  const auto big = append(graph, exact::MatVec{one, 1, 1, {-(std::int64_t{1} << 40)}, {Int{1} << 40}, {}});
  graph.outputs.push_back({"z", big, {}});
  check_codes(graph, {{255, 255, 0, 0, 0, 0, 255, 255, 255, 255, 255, 255}}, 3);
}

TEST(Differential, ForcedAccumulators) {
  for (const int lost_bits : {-3, 0, 2}) {
    for (int rounding = 0; rounding <= static_cast<int>(fixed::Rounding::Up); ++rounding) {
      for (int overflow = 0; overflow <= static_cast<int>(fixed::Overflow::WrapSm); ++overflow) {
        for (const int width : {6, 13, 40, 64}) {
          exact::Random random(17);
          exact::Graph graph;
          exact::InputConversion conversion;
          conversion.type = {.width_bits = 6, .integer_bits = 6};
          const auto x = append_input(graph, {2, 5}, conversion);
          exact::MatVec dense{x, 5, 3, {}, {-40, 0, 77}, {}};
          for (int i = 0; i < 15; ++i) dense.weights.push_back(random.between(-20, 20));
          dense.accumulator = exact::MatVec::ForcedAccumulator{{.width_bits = width,
                                                                .integer_bits = 5,
                                                                .rounding = static_cast<fixed::Rounding>(rounding),
                                                                .overflow = static_cast<fixed::Overflow>(overflow)},
                                                               width - 5 + lost_bits};
          graph.outputs.push_back({"y", append(graph, std::move(dense)), {}});
          SCOPED_TRACE(
              fmt::format("{} bits lost, rounding {} overflow {} width {}", lost_bits, rounding, overflow, width));
          check_random(graph, 20, 19);
        }
      }
    }
  }
}

/// A requant of a wide range of codes by `function`.
void check_function(const fixed::StepFunction& function, int width_bits, bool count, bool is_signed = true) {
  exact::Graph graph;
  exact::InputConversion conversion;
  conversion.type = {.width_bits = width_bits, .integer_bits = width_bits, .is_signed = is_signed};
  const auto x = append_input(graph, {3}, conversion);
  graph.outputs.push_back({"y", append(graph, exact::Requant{x, {function}, count}), {}});
  ASSERT_EQ(exact::verify(graph), "");
  // Corners, small codes around zero where ties are, and anything.
  exact::Random random(23);
  const auto lo = static_cast<std::int64_t>(fixed::min_code(conversion.type));
  const auto hi = static_cast<std::int64_t>(fixed::max_code(conversion.type));
  std::vector<std::int64_t> rows{lo, lo + 1, hi, hi - 1, 0, std::max<std::int64_t>(lo, -1)};
  for (std::int64_t code = -40; code <= 40; ++code) rows.push_back(std::clamp(code, lo, hi));
  for (int i = 0; i < 60; ++i) rows.push_back(random.between(lo, hi));
  check_codes(graph, {rows}, rows.size() / 3);
}

TEST(Differential, RequantsOfEveryModeAndWidth) {
  for (int rounding = 0; rounding <= static_cast<int>(fixed::Rounding::Up); ++rounding) {
    for (int overflow = 0; overflow <= static_cast<int>(fixed::Overflow::WrapSm); ++overflow) {
      for (const int shift : {-2, 0, 1, 2, 9, 31, 40}) {
        for (const int width : {12, 31, 32, 33, 61}) {
          for (const int result : {1, 4, 11}) {
            fixed::ShiftRound f;
            f.shift = shift;
            f.rounding = static_cast<fixed::Rounding>(rounding);
            f.overflow = static_cast<fixed::Overflow>(overflow);
            f.width_bits = result;
            f.lo = -(Int{1} << (result - 1));
            f.hi = (Int{1} << (result - 1)) - 1;
            SCOPED_TRACE(fmt::format("shift {} rounding {} overflow {} width {} result {}", shift, rounding, overflow,
                                     width, result));
            check_function(f, width, true);
            f.saturation_bits = 1;
            if (overflow == static_cast<int>(fixed::Overflow::Wrap)) check_function(f, width, false);
          }
        }
      }
    }
  }
}

TEST(Differential, NearestEvenUpToTheEndsOfTheMantissa) {
  for (int shift = 0; shift <= 24; ++shift) {
    for (const int width : {21, 22, 23, 24, 25}) {
      for (const bool is_signed : {false, true}) {
        fixed::ShiftRound f;
        f.shift = shift;
        f.lo = -(Int{1} << 24);
        f.hi = Int{1} << 24;
        SCOPED_TRACE(fmt::format("shift {} width {} signed {}", shift, width, is_signed));
        check_function(f, width, true, is_signed);
      }
    }
  }
}

TEST(Differential, PiecesByComparingTablesAndSearch) {
  for (const int pieces : {0, 1, 7, 24, 25, 64, 65, 300}) {
    for (const int width : {8, 14, 20, 31, 45}) {
      exact::Random random(static_cast<std::uint64_t>(pieces * 100 + width));
      fixed::Pieces f;
      const std::int64_t half = std::int64_t{1} << (width - 1);
      for (int i = 0; i < pieces; ++i) f.breakpoints.push_back(random.between(-half, half - 1));
      std::sort(f.breakpoints.begin(), f.breakpoints.end());
      f.breakpoints.erase(std::unique(f.breakpoints.begin(), f.breakpoints.end()), f.breakpoints.end());
      for (std::size_t i = 0; i <= f.breakpoints.size(); ++i) f.values.push_back(random.between(-1000, 1000));
      SCOPED_TRACE(fmt::format("{} pieces, {} bits", pieces, width));
      check_function(f, width, true);
    }
  }
}

TEST(Differential, FunctionsPerChannelAndElement) {
  for (const std::size_t count : {std::size_t{4}, std::size_t{12}}) {
    for (const bool mixed : {false, true}) {
      exact::Random random(31);
      exact::Graph graph;
      exact::InputConversion conversion;
      conversion.type = {.width_bits = 10, .integer_bits = 10};
      const auto x = append_input(graph, {3, 6}, conversion);
      const auto sums = append_dense(graph, x, 4, 5, random);
      exact::Requant requant{sums, {}, false};
      for (std::size_t i = 0; i < count; ++i) {
        if (mixed && i % 2 == 0) {
          requant.functions.emplace_back(fixed::Pieces{{-100, Int{static_cast<std::int64_t>(i)}}, {-3, 0, 9}});
        } else {
          fixed::ShiftRound f;
          f.shift = static_cast<int>(i % 7);
          f.rounding = static_cast<fixed::Rounding>(i % (mixed ? 9 : 1));
          f.lo = -static_cast<Int>(i);
          f.hi = 50;
          requant.functions.emplace_back(f);
        }
      }
      const auto y = append(graph, std::move(requant));
      graph.outputs.push_back({"y", append_dense(graph, y, 5, 4, random), {}});
      check_random(graph, 50, 37);
    }
  }
}

TEST(Differential, OneValueWithManyReaders) {
  // Packed as bytes, as halves and as plain lanes at once, also through another shape.
  exact::Random random(41);
  exact::Graph graph;
  const auto x = append_input(graph, {2, 6}, {});
  exact::Requant requant{append_dense(graph, x, 6, 4, random), {}, false};
  requant.functions.emplace_back(fixed::ShiftRound{.shift = 9, .lo = -100, .hi = 90});
  const auto y = append(graph, std::move(requant));
  const auto flat = append(graph, exact::Reshape{y}, {3, 4});
  for (const int bits : {5, 12, 20}) {
    graph.outputs.push_back({"a", append_dense(graph, y, 3, bits, random), {}});
    graph.outputs.push_back({"b", append_dense(graph, flat, 2, bits, random), {}});
  }
  graph.outputs.push_back({"c", append(graph, exact::Add{y, y, 2, 0}), {}});
  check_random(graph, 30, 43);
}

}  // namespace
}  // namespace weft::emulate
