// SPDX-License-Identifier: Apache-2.0
#include <gtest/gtest.h>

#include <cfloat>
#include <cmath>
#include <random>

#include "weft/exact/graph.h"
#include "weft/fixed/quantize.h"

namespace weft::exact {
namespace {

using Form = InputConversion::Form;

struct Converted {
  Int code = 0;
  bool saturated = false;
  bool operator==(const Converted&) const = default;
};

Converted convert(const InputConversion& c, float x) {
  Converted out;
  out.saturated = true;
  out.code = convert_input(c, x, out.saturated);
  return out;
}

TEST(ConvertInput, FixedIsTheCast) {
  const InputConversion c{.form = Form::Fixed, .type = {.width_bits = 8, .integer_bits = 4}};
  EXPECT_EQ(convert(c, 1.5F), (Converted{24, false}));
  EXPECT_EQ(convert(c, 7.96F), (Converted{127, false}));
  EXPECT_EQ(convert(c, 7.97F), (Converted{127, true}));
  EXPECT_EQ(convert(c, -8.03F), (Converted{-128, false}));
  EXPECT_EQ(convert(c, -8.04F), (Converted{-128, true}));
  EXPECT_EQ(convert(c, FLT_MAX), (Converted{127, true}));
  EXPECT_EQ(convert(c, FLT_TRUE_MIN), (Converted{0, false}));
  InputConversion wrap = c;
  wrap.type.overflow = fixed::Overflow::Wrap;
  EXPECT_EQ(convert(wrap, 8.0F), (Converted{-128, true}));
  std::mt19937 random(1);
  for (int i = 0; i < 5000; ++i) {
    InputConversion any;
    any.type.width_bits = 1 + static_cast<int>(random() % 20);
    any.type.integer_bits = static_cast<int>(random() % 12) - 2;
    any.type.rounding = static_cast<fixed::Rounding>(random() % 9);
    any.type.overflow = static_cast<fixed::Overflow>(random() % 5);
    const float x = static_cast<float>(static_cast<int>(random() % 20001) - 10000) * 0.001F;
    ASSERT_EQ(convert(any, x).code, fixed::from_double(x, any.type));
    // Saturated is what a wider type tells apart.
    auto wide = any.type;
    wide.width_bits += 60;
    wide.integer_bits += 60;
    ASSERT_EQ(convert(any, x).saturated, fixed::from_double(x, wide) != fixed::from_double(x, any.type) ||
                                             fixed::from_double(x, wide) < fixed::min_code(any.type));
  }
  EXPECT_THROW(convert(c, INFINITY), diag::InternalError);
  EXPECT_THROW(convert(c, NAN), diag::InternalError);
}

TEST(ConvertInput, AffineIsFloat32InTheStatedOrder) {
  std::mt19937 random(2);
  for (int i = 0; i < 20000; ++i) {
    InputConversion c{.form = Form::Affine};
    c.scale = static_cast<float>(1 + random() % 1000) * 0.0007F;
    c.zero_point = static_cast<float>(static_cast<int>(random() % 21) - 10);
    c.lo = -static_cast<int>(random() % 20);
    c.hi = static_cast<int>(random() % 20);
    const auto lo = static_cast<float>(c.lo);
    const auto hi = static_cast<float>(c.hi);
    c.round_first = random() % 2 == 0;
    const float x = static_cast<float>(static_cast<int>(random() % 20001) - 10000) * 0.0013F;
    // volatile: every step is stored as float32.
    volatile float y = x / c.scale;
    y = y + c.zero_point;
    const float q = c.round_first ? std::fmin(std::fmax(std::nearbyint(y), lo), hi)
                                  : std::nearbyint(std::fmin(std::fmax(y, lo), hi));
    ASSERT_EQ(static_cast<float>(convert(c, x).code), q - c.zero_point) << x;
    ASSERT_EQ(convert(c, x).saturated, std::nearbyint(y) < lo || std::nearbyint(y) > hi);
  }
}

TEST(ConvertInput, AffineRoundsByItsModeAndSaturatesFarOutside) {
  InputConversion c{.form = Form::Affine, .scale = 0.5F, .lo = -4, .hi = 3};
  c.rounding = fixed::Rounding::Trn;
  EXPECT_EQ(convert(c, 1.9F), (Converted{3, false}));
  EXPECT_EQ(convert(c, -2.2F), (Converted{-4, true}));
  c.rounding = fixed::Rounding::Up;
  EXPECT_EQ(convert(c, 0.01F), (Converted{1, false}));
  EXPECT_EQ(convert(c, FLT_MAX), (Converted{3, true}));
  EXPECT_EQ(convert(c, -FLT_MAX), (Converted{-4, true}));
  c.scale = FLT_MIN;
  EXPECT_EQ(convert(c, FLT_MAX), (Converted{3, true}));
}

TEST(ConvertInput, AffineRoundsAFractionalZeroPointHalfToEven) {
  InputConversion c{.form = Form::Affine, .scale = 1.0F, .zero_point = 0.5F, .lo = -100, .hi = 100};
  c.rounding = fixed::Rounding::Trn;
  EXPECT_EQ(convert(c, 3.0F).code, 2);  // q = 3, q - 0.5 = 2.5
  EXPECT_EQ(convert(c, 4.0F).code, 4);  // q = 4, q - 0.5 = 3.5
  c.zero_point = -1.25F;
  EXPECT_EQ(convert(c, 3.5F).code, 3);  // q = 2, q + 1.25 = 3.25
  c.zero_point = 0.75F;
  EXPECT_EQ(convert(c, 3.5F).code, 3);  // q = 4, q - 0.75 = 3.25
}

TEST(ConvertInput, BipolarTakesTheSign) {
  const InputConversion c{.form = Form::Bipolar};
  EXPECT_EQ(convert(c, 0.0F), (Converted{1, false}));
  EXPECT_EQ(convert(c, -0.0F), (Converted{1, false}));
  EXPECT_EQ(convert(c, -1e-30F), (Converted{-1, false}));
  EXPECT_EQ(convert(c, 1e30F), (Converted{1, false}));
}

TEST(ConversionRange, IsReachedAndNeverLeft) {
  std::mt19937 random(3);
  for (int i = 0; i < 300; ++i) {
    InputConversion c;
    c.form = i % 2 == 0 ? Form::Affine : Form::Fixed;
    c.scale = 0.25F;
    c.zero_point = static_cast<float>(static_cast<int>(random() % 9) - 4) * (i % 3 == 0 ? 0.5F : 1.0F);
    c.lo = -static_cast<int>(random() % 9);
    c.hi = static_cast<int>(random() % 9);
    c.type = {.width_bits = 1 + static_cast<int>(random() % 5), .integer_bits = static_cast<int>(random() % 5)};
    c.type.overflow = static_cast<fixed::Overflow>(random() % 5);
    const auto range = conversion_range(c);
    ASSERT_TRUE(range.has_value());
    Int least = 1000;
    Int most = -1000;
    for (float x = -40; x <= 40; x += 0.03125F) {
      const Int code = convert(c, x).code;
      least = std::min(least, code);
      most = std::max(most, code);
    }
    ASSERT_EQ(range->lo, least);
    ASSERT_EQ(range->hi, most);
  }
  EXPECT_EQ(conversion_range({.form = Form::Bipolar}), (fixed::Range{-1, 1, 0}));
  EXPECT_FALSE(conversion_range({.form = Form::Affine, .scale = 0.0F}).has_value());
  EXPECT_FALSE(conversion_range({.form = Form::Affine, .scale = NAN}).has_value());
  EXPECT_FALSE(conversion_range({.form = Form::Affine, .lo = 1}).has_value());
  EXPECT_FALSE(conversion_range({.form = Form::Affine, .zero_point = INFINITY}).has_value());
  EXPECT_FALSE(conversion_range({.form = Form::Fixed, .type = {.width_bits = 129}}).has_value());
}

TEST(ReadOut, ScalesOnceThenStepsInFloat32) {
  Value value{.name = "y",
              .shape = {2, 2},
              .scale = Scale(std::vector<Rational>{Rational(1, 3), Rational(1, 8)}),
              .ranges = {},
              .primitive = Input{},
              .origin = {}};
  EXPECT_EQ(read_out(value, {}, 0, 7), static_cast<float>(7.0 / 3.0));
  EXPECT_EQ(read_out(value, {}, 2, 7), static_cast<float>(7.0 / 3.0));
  EXPECT_EQ(read_out(value, {}, 3, -7), -0.875F);
  using Op = ReadoutStep::Op;
  EXPECT_EQ(read_out(value, {{Op::Mul, {3.0F}}, {Op::Add, {0.1F, 0.2F}}}, 1, 16), 6.0F + 0.2F);
  EXPECT_EQ(read_out(value, {{Op::Sub, {0.1F}}}, 1, 16), 2.0F - 0.1F);
  EXPECT_EQ(read_out(value, {{Op::Div, {0.3F}}}, 1, 16), 2.0F / 0.3F);
  EXPECT_EQ(read_out(value, {{Op::Pow, {3.0F}}}, 1, 16), 8.0F);
  EXPECT_EQ(read_out(value, {{Op::ReverseSub, {0.1F}}}, 1, 16), 0.1F - 2.0F);
  EXPECT_EQ(read_out(value, {{Op::ReverseDiv, {0.3F}}}, 1, 16), 0.3F / 2.0F);
  value.shape = {};
  value.scale = Scale(fixed::pow2(-4));
  EXPECT_EQ(read_out(value, {}, 0, (Int{1} << 24) + 1), 0x1p20F);
  Graph graph;
  graph.values.push_back(value);
  EXPECT_EQ(read_out(graph, {.name = "o", .value = {0}, .steps = {{Op::Add, {1.0F}}}}, 0, 16), 2.0F);
}

}  // namespace
}  // namespace weft::exact
