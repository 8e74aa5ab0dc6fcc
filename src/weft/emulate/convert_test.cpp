// SPDX-License-Identifier: Apache-2.0
// Real inputs to codes: the vector kernels against exact::convert_input, code by code.
#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "weft/emulate/test_support.h"

namespace weft::emulate {
namespace {

/// Ties, neighbours of ties, bounds, tiny and huge numbers in units of the type's LSB, and anything.
std::vector<float> hard_reals(double lsb, double lo, double hi) {
  std::vector<float> out{0.0F,
                         -0.0F,
                         std::numeric_limits<float>::denorm_min(),
                         -std::numeric_limits<float>::denorm_min(),
                         std::numeric_limits<float>::min(),
                         -std::numeric_limits<float>::min(),
                         std::numeric_limits<float>::max(),
                         -std::numeric_limits<float>::max(),
                         1e-30F,
                         -1e-30F};
  std::vector<double> codes;
  for (double c = -6; c <= 6; c += 0.25) codes.push_back(c);
  for (const double bound : {lo, hi, 2 * lo, 2 * hi, 0.5 * lo, 0.5 * hi}) {
    for (double d = -1.5; d <= 1.5; d += 0.25) codes.push_back(bound + d);
  }
  for (const double code : codes) {
    const auto x = static_cast<float>(code * lsb);
    if (!std::isfinite(x)) continue;
    out.push_back(x);
    out.push_back(std::nextafter(x, 1e38F));
    out.push_back(std::nextafter(x, -1e38F));
  }
  exact::Random random(3);
  for (int i = 0; i < 100; ++i) {
    const double x = static_cast<double>(random.between(-1000000, 1000000)) / 1e6 * 1.2 * std::max(hi, -lo) * lsb;
    if (std::isfinite(static_cast<float>(x))) out.push_back(static_cast<float>(x));
  }
  return out;
}

/// `weight_bits` chooses the layout of the input: 0 leaves it in plain lanes.
void check_conversion(const exact::InputConversion& conversion, std::vector<float> x, std::int64_t n, int weight_bits) {
  exact::Random random(5);
  exact::Graph graph;
  const auto input = append_input(graph, {n}, conversion);
  const auto y = weight_bits == 0 ? input : append_dense(graph, input, 3, weight_bits, random);
  graph.outputs.push_back({"y", y, {}});
  ASSERT_EQ(exact::verify(graph), "");
  const auto width = static_cast<std::size_t>(n);
  const std::size_t batch = x.size() / width;
  x.resize(batch * width);
  std::vector<std::int64_t> codes;
  std::uint64_t saturated_codes = 0;
  for (const float real : x) {
    bool saturated = false;
    codes.push_back(static_cast<std::int64_t>(exact::convert_input(conversion, real, saturated)));
    if (saturated) ++saturated_codes;
  }
  const auto expected = expect_plain(graph, {codes}, batch);
  for (const Isa isa : available()) {
    SCOPED_TRACE(to_string(isa));
    diag::Engine engine;
    Context ctx{engine};
    const auto emulator = Emulator::compile(graph, isa, ctx);
    ASSERT_TRUE(emulator.ok()) << first_message(engine);
    std::vector<std::vector<std::int64_t>> outputs;
    const auto counters = emulator->run({x.data()}, batch, outputs, ctx);
    ASSERT_TRUE(counters.ok()) << first_message(engine);
    EXPECT_EQ(outputs[0], expected.values[y.index]);
    EXPECT_EQ(counters->input_saturations, std::vector<std::uint64_t>{saturated_codes});
  }
}

TEST(Convert, FixedTypesOfEveryMode) {
  for (int rounding = 0; rounding <= static_cast<int>(fixed::Rounding::Up); ++rounding) {
    for (int overflow = 0; overflow <= static_cast<int>(fixed::Overflow::WrapSm); ++overflow) {
      for (const int width : {1, 5, 8, 16, 22, 30, 45, 60}) {
        for (const int integer : {-3, 4, width, width + 7}) {
          for (const bool is_signed : {true, false}) {
            exact::InputConversion c;
            c.type = {.width_bits = width,
                      .integer_bits = integer,
                      .is_signed = is_signed,
                      .rounding = static_cast<fixed::Rounding>(rounding),
                      .overflow = static_cast<fixed::Overflow>(overflow)};
            if (!is_signed && c.type.overflow == fixed::Overflow::WrapSm) continue;
            SCOPED_TRACE(fixed::to_string(c.type));
            const auto x =
                hard_reals(std::ldexp(1.0, -c.type.frac_bits()), static_cast<double>(fixed::min_code(c.type)),
                           static_cast<double>(fixed::max_code(c.type)));
            check_conversion(c, x, 7, 0);
          }
        }
      }
    }
  }
}

TEST(Convert, PackedLayoutsAndRowLengths) {
  for (const int width : {3, 8, 12, 16, 18}) {
    for (const bool is_signed : {true, false}) {
      for (const std::int64_t n : {1, 2, 3, 4, 5, 15, 16, 17, 33}) {
        for (const int weight : {4, 12, 20}) {
          exact::InputConversion c;
          c.type = {.width_bits = width, .integer_bits = 3, .is_signed = is_signed};
          SCOPED_TRACE(fmt::format("{} n {} weights {}", fixed::to_string(c.type), n, weight));
          const auto x = hard_reals(std::ldexp(1.0, -c.type.frac_bits()), static_cast<double>(fixed::min_code(c.type)),
                                    static_cast<double>(fixed::max_code(c.type)));
          check_conversion(c, x, n, weight);
        }
      }
    }
  }
}

TEST(Convert, FarBinaryPoints) {
  for (const int integer : {-120, -90, 110, 130}) {
    exact::InputConversion c;
    c.type = {.width_bits = 8, .integer_bits = integer, .is_signed = true, .rounding = fixed::Rounding::RndConv};
    check_conversion(c, hard_reals(std::ldexp(1.0, -c.type.frac_bits()), -128, 127), 4, 0);
    c.type.rounding = fixed::Rounding::Up;
    check_conversion(c, hard_reals(std::ldexp(1.0, -c.type.frac_bits()), -128, 127), 4, 0);
  }
}

TEST(Convert, SaturationBits) {
  exact::InputConversion c;
  c.type = {.width_bits = 8,
            .integer_bits = 4,
            .is_signed = true,
            .rounding = fixed::Rounding::Trn,
            .overflow = fixed::Overflow::Wrap,
            .saturation_bits = 2};
  check_conversion(c, hard_reals(0.0625, -128, 127), 4, 5);
}

TEST(Convert, Affine) {
  for (int rounding = 0; rounding <= static_cast<int>(fixed::Rounding::Up); ++rounding) {
    for (const float scale : {0.0078431F, 0.1F, 3.0F}) {
      for (const float zero : {0.0F, 3.0F, -128.0F, 100000.0F}) {
        for (const bool round_first : {false, true}) {
          exact::InputConversion c;
          c.form = exact::InputConversion::Form::Affine;
          c.scale = scale;
          c.zero_point = zero;
          c.lo = static_cast<Int>(zero) - 128;
          c.hi = static_cast<Int>(zero) + 100;
          c.rounding = static_cast<fixed::Rounding>(rounding);
          c.round_first = round_first;
          SCOPED_TRACE(fmt::format("rounding {} scale {} zero {} round first {}", rounding, scale, zero, round_first));
          check_conversion(c, hard_reals(scale, -128, 100), 5, 6);
        }
      }
    }
  }
}

TEST(Convert, Bipolar) {
  exact::InputConversion c;
  c.form = exact::InputConversion::Form::Bipolar;
  for (const std::int64_t n : {1, 31, 32, 33, 70}) {
    check_conversion(c, hard_reals(1, -3, 3), n, 0);
    check_conversion(c, hard_reals(1, -3, 3), n, 1);
    check_conversion(c, hard_reals(1, -3, 3), n, 7);
  }
}

}  // namespace
}  // namespace weft::emulate
