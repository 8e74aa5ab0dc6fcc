// SPDX-License-Identifier: Apache-2.0
// QKeras quantizers at hand-derived points and against formulas in exact arithmetic.
#include "weft/fixed/rational.h"
#include "weft/quantizers/float_ops.h"
#include "weft/quantizers/quantizer.h"
#include "weft/quantizers/test_support.h"

namespace weft::quantizers {
namespace {

/// Expected values at points.
struct Row {
  float x;
  float y;
};

void expect_rows(const Spec& spec, const std::vector<Row>& rows) {
  const auto function = make_ok(spec);
  ASSERT_NE(function, nullptr);
  for (const Row& row : rows) EXPECT_EQ(function->apply(row.x, 0), row.y) << spec.family << " of " << row.x;
}

/// round half to even, written with integers: v in units of 1/den.
Int rint_of_quotient(Int numerator, Int denominator) {
  const Int twice = 2 * numerator;
  Int floor = (twice - (((twice % (2 * denominator)) + 2 * denominator) % (2 * denominator))) / (2 * denominator);
  const Int rest = twice - floor * 2 * denominator;
  if (rest > denominator || (rest == denominator && floor % 2 != 0)) ++floor;
  return floor;
}

TEST(QuantizedBits, EqualsTheIntegerFormulaOnAGrid) {
  // x = k / 64: code = clip(rint(k 2^(u - integer) / 64)).
  for (const int bits : {2, 3, 5, 8}) {
    for (const int integer : {0, 1, 3}) {
      for (const bool keep_negative : {false, true}) {
        for (const bool symmetric : {false, true}) {
          const auto function = make_ok({"quantized_bits",
                                         {{"bits", whole(bits)},
                                          {"integer", whole(integer)},
                                          {"keep_negative", keep_negative},
                                          {"symmetric", symmetric}}});
          const int u = bits - (keep_negative ? 1 : 0);
          const Int hi = (Int{1} << u) - 1;
          const Int lo = keep_negative ? -(Int{1} << u) + (symmetric ? 1 : 0) : 0;
          for (int k = -1100; k <= 1100; ++k) {
            const Int rounded = rint_of_quotient(Int{k} << u, Int{64} << integer);
            const Int expected = std::clamp(rounded, lo, hi);
            ASSERT_EQ(function->code(static_cast<float>(k) / 64.0F, 0), expected)
                << bits << "," << integer << ": " << k;
          }
        }
      }
    }
  }
}

TEST(QuantizedBits, HandValues) {
  expect_rows({"quantized_bits", {{"bits", whole(4)}}}, {{0.0625F, 0.0F},  // half a step: to even
                                                         {0.1875F, 0.25F},
                                                         {0.9F, 0.875F},
                                                         {5.0F, 0.875F},
                                                         {-5.0F, -1.0F}});
  expect_rows({"quantized_bits", {{"bits", whole(4)}, {"symmetric", whole(1)}}}, {{-5.0F, -0.875F}});
  expect_rows({"quantized_bits", {{"bits", whole(1)}}},
              {{0.0F, 1.0F}, {-0.0F, 1.0F}, {-1e-20F, -1.0F}, {-1e-40F, 1.0F}});
  // One bit ignores `integer`.
  expect_rows({"quantized_bits", {{"bits", whole(1)}, {"integer", whole(3)}, {"alpha", num(0.5)}}},
              {{0.1F, 0.5F}, {-0.1F, -0.5F}});
  // alpha multiplies after rounding.
  expect_rows({"quantized_bits", {{"bits", whole(4)}, {"alpha", num(2.0)}}}, {{0.9F, 1.75F}, {0.3F, 0.5F}});
}

TEST(QuantizedBits, ExecutesTheTwoRoundingsOfTheStraightThroughForm) {
  // fl(127 - 1e8) = -99999872 and fl(1e8 - 99999872) = 128.
  expect_rows({"quantized_bits", {{"bits", whole(8)}, {"integer", whole(7)}}}, {{1e8F, 128.0F}});
  expect_rows({"quantized_bits", {{"bits", whole(8)}, {"integer", whole(7)}, {"use_ste", false}}}, {{1e8F, 127.0F}});
  const auto function = make_ok({"quantized_bits", {{"bits", whole(8)}, {"integer", whole(7)}}});
  EXPECT_EQ(function->code(1e8F, 0), 127);
  // Parameters keep the framework's number, code and all.
  const auto result = quantize_ok({"quantized_bits", {{"bits", whole(8)}, {"integer", whole(7)}}}, {{1}, {1e8F}});
  EXPECT_EQ(result.values.data.at(0), 128.0F);
  EXPECT_EQ(result.codes.data.at(0), 128);
}

TEST(QuantizedBits, QuantizationNoise) {
  const Spec spec{"quantized_bits", {{"bits", whole(4)}, {"qnoise_factor", num(0.5)}}};
  expect_rows(spec, {{0.3F, 0.3F + 0.5F * (0.25F - 0.3F)}});
  EXPECT_FALSE(make_ok(spec)->outputs().has_value());
  const auto result = quantize_ok(spec, {{2}, {0.3F, -0.7F}});
  for (std::size_t i = 0; i < 2; ++i) {
    const Rational exact = result.scale.at(0) * result.codes.data[i];
    EXPECT_EQ(fixed::rational_from_double(result.values.data[i]), exact);
  }
}

TEST(QuantizedBits, FrozenScaleRoundsHalfAwayFromZero) {
  // P = 1/2, m = 8: s = 1/16, values z * 1/16 with |z| <= 7.
  const Spec spec{"quantized_bits",
                  {{"bits", whole(4)}, {"alpha", text("auto_po2")}, {"post_training_scale", num(0.5)}}};
  expect_rows(spec, {{0.03125F, 0.0625F},
                     {-0.03125F, -0.0625F},
                     {0.15625F, 0.1875F},
                     {0.0F, 0.0F},
                     {3.0F, 0.4375F},
                     {-3.0F, -0.4375F}});
  EXPECT_FALSE(make_ok(spec)->outputs()->type.has_value());
}

TEST(QuantizedHswish, HandValues) {
  const Spec spec{"quantized_hswish", {{"bits", whole(8)}, {"integer", whole(3)}}};
  expect_rows(spec, {{-4.0F, 0.0F}, {-3.0F, 0.0F}, {3.0F, 3.0F}, {1.0F, 0.6875F}, {-1.5F, -0.375F}, {100.0F, 7.9375F}});
  EXPECT_EQ(make_ok(spec)->turning_points(), std::vector<double>{-1.5});
  EXPECT_EQ(make_ok(spec)->outputs()->range.lo, -6);  // -0.375 = -6 / 16
}

TEST(QuantizedLinear, ClipsThenRounds) {
  expect_rows({"quantized_linear", {{"bits", whole(4)}}},
              {{0.0625F, 0.0F}, {0.1875F, 0.25F}, {5.0F, 0.875F}, {-5.0F, -0.875F}});
  // alpha 0.3: Q = 0.3 / 8 in float32.
  const float q = 0.3F * 0.125F;
  expect_rows({"quantized_linear", {{"bits", whole(4)}, {"alpha", num(0.3)}}}, {{5.0F, 5.0F + (7.0F * q - 5.0F)}});
}

TEST(QuantizedLinear, OneSignedBitIsASignWithZeroUp) {
  // Q = 2^0 = 1: values +-1/2.
  const Spec spec{"quantized_linear", {{"bits", whole(1)}}};
  expect_rows(spec, {{0.0F, 0.5F}, {3.0F, 0.5F}, {-3.0F, -0.5F}, {-0.25F, -0.5F}});
  const auto set = make_ok(spec)->outputs();
  EXPECT_EQ(set->scale, Scale(Rational(1, 2)));
  EXPECT_EQ(make_ok(spec)->code(0.0F, 0), 1);
  EXPECT_FALSE(set->type.has_value());
}

TEST(QuantizedRelu, HandValues) {
  expect_rows({"quantized_relu", {{"bits", whole(4)}, {"integer", whole(2)}}},
              {{-1.0F, 0.0F}, {0.125F, 0.0F}, {0.375F, 0.5F}, {3.9F, 3.75F}, {100.0F, 3.75F}});
  // Leaky: n = 3, LSB 1/2 (positive), slope 1/4: negative codes rint(x / 4 * 2) / 2 down to -1.
  expect_rows({"quantized_relu", {{"bits", whole(4)}, {"integer", whole(2)}, {"negative_slope", num(0.25)}}},
              {{-1.0F, 0.0F}, {-1.5F, -0.5F}, {-3.0F, -1.0F}, {-100.0F, -1.0F}, {1.2F, 1.0F}, {100.0F, 3.5F}});
  expect_rows({"quantized_relu", {{"bits", whole(4)}, {"use_sigmoid", whole(1)}}},
              {{0.5F, 0.5F}, {-1.0F, 0.0F}, {9.0F, 0.9375F}});
  expect_rows(
      {"quantized_relu",
       {{"bits", whole(8)}, {"integer", whole(3)}, {"relu_upper_bound", num(6.0)}, {"is_quantized_clip", false}}},
      {{7.0F, 6.0F}, {5.5F, 5.5F}, {1e9F, 6.0F}});
  // Without any cap the straight-through form carries x itself.
  expect_rows({"quantized_relu", {{"bits", whole(8)}, {"integer", whole(7)}, {"is_quantized_clip", false}}},
              {{1e8F, 128.0F}});
  expect_rows({"quantized_relu", {{"bits", whole(8)}, {"integer", whole(7)}}}, {{1e8F, 127.5F}});
}

TEST(QuantizedRelu, TypeIsUnsigned) {
  const auto type = make_ok({"quantized_relu", {{"bits", whole(6)}, {"integer", whole(2)}}})->outputs()->type;
  ASSERT_TRUE(type.has_value());
  EXPECT_EQ(fixed::to_string(*type),
            fixed::to_string(fixed::FixedType{.width_bits = 6, .integer_bits = 2, .is_signed = false}));
  EXPECT_FALSE(make_ok({"quantized_relu", {{"negative_slope", num(0.5)}}})->outputs()->type.has_value());
}

TEST(QuantizedSaturating, HandValues) {
  expect_rows({"quantized_tanh", {{"bits", whole(4)}}},
              {{0.0F, 0.0F}, {0.5F, 0.5F}, {-2.0F, -1.0F}, {2.0F, 0.875F}, {0.0625F, 0.0F}, {0.1875F, 0.25F}});
  expect_rows({"quantized_tanh", {{"bits", whole(4)}, {"symmetric", true}}}, {{-2.0F, -0.875F}});
  expect_rows({"quantized_tanh", {{"bits", whole(4)}, {"use_real_tanh", true}}}, {{1.0F, 0.75F}, {-1.0F, -0.75F}});
  expect_rows({"quantized_sigmoid", {{"bits", whole(4)}}},
              {{0.0F, 0.5F}, {-1.0F, 0.0F}, {1.0F, 0.9375F}, {0.25F, 0.625F}});
  expect_rows({"quantized_sigmoid", {{"bits", whole(4)}, {"symmetric", true}}}, {{-5.0F, 0.0625F}});
  expect_rows({"quantized_sigmoid", {{"bits", whole(4)}, {"internal_sigmoid", text("smooth")}}}, {{1.0F, 0.6875F}});
}

TEST(QuantizedUlaw, HandValues) {
  // bits = 3: r in {-1, -1/2, 0, 1/2, 1}; ln(1 + 127.5) / ln 256 = 0.875693.
  const auto function = make_ok({"quantized_ulaw", {{"bits", whole(3)}}});
  EXPECT_EQ(function->apply(0.0F, 0), 0.0F);
  EXPECT_NEAR(function->apply(0.5F, 0), std::min(0.75, std::log(128.5) / std::log(256.0)), 1e-6);
  const auto wide = make_ok({"quantized_ulaw", {{"bits", whole(8)}}});
  EXPECT_NEAR(wide->apply(0.25F, 0), std::log(1.0 + 255.0 * 0.25) / std::log(256.0), 1e-6);
  EXPECT_NEAR(wide->apply(-0.25F, 0), -std::log(1.0 + 255.0 * 0.25) / std::log(256.0), 1e-6);
  EXPECT_EQ(wide->apply(9.0F, 0), 1.0F - 1.0F / 128.0F);
  EXPECT_FALSE(make_ok({"quantized_ulaw", {{"bits", whole(20)}}})->outputs().has_value());
}

TEST(QuantizedPo2, HandValues) {
  // bits 4: sign, sign of the exponent, 2 bits: exponents -4 .. 3.
  expect_rows({"quantized_po2", {{"bits", whole(4)}}}, {{0.0F, 0.0625F},
                                                        {-0.0F, 0.0625F},
                                                        {1.0F, 1.0F},
                                                        {-3.0F, -4.0F},
                                                        {2.8F, 2.0F},
                                                        {2.9F, 4.0F},
                                                        {100.0F, 8.0F},
                                                        {-0.01F, -0.0625F}});
  // max_value 1: no sign of the exponent: -8 .. 7, but nothing above 1.
  expect_rows({"quantized_po2", {{"bits", whole(4)}, {"max_value", whole(1)}}}, {{100.0F, 1.0F}, {0.0F, 0.00390625F}});
  expect_rows({"quantized_po2", {{"bits", whole(4)}, {"log2_rounding", text("floor")}}},
              {{3.9F, 2.0F}, {0.9F, 0.5F}, {4.0F, 4.0F}});
  // 2^-128 is flushed to zero.
  expect_rows({"quantized_po2", {{"bits", whole(8)}, {"max_value", whole(1)}}}, {{0.0F, 0.0F}, {0.3F, 0.25F}});
  EXPECT_TRUE(make_ok({"quantized_po2", {{"bits", whole(8)}, {"max_value", whole(1)}}})->outputs().has_value());
  EXPECT_FALSE(make_ok({"quantized_po2", {{"bits", whole(8)}}})->outputs().has_value());
}

TEST(QuantizedPo2, QuadraticExponentsAreEvenAndFallAtEpsilon) {
  // exponents 2 * (-4 .. 2); below epsilon -4.
  const Spec spec{"quantized_po2", {{"bits", whole(4)}, {"quadratic_approximation", true}}};
  expect_rows(spec, {{0.0F, 0.0625F}, {1e-6F, 0.00390625F}, {1.0F, 1.0F}, {5.0F, 4.0F}, {1000.0F, 16.0F}});
  const auto turning = make_ok(spec)->turning_points();
  ASSERT_EQ(turning.size(), 2U);
  EXPECT_EQ(turning[1], static_cast<double>(1e-7F));
}

TEST(QuantizedReluPo2, HandValues) {
  expect_rows({"quantized_relu_po2", {{"bits", whole(3)}}},
              {{-5.0F, 0.0625F}, {0.0F, 0.0625F}, {3.0F, 4.0F}, {100.0F, 8.0F}});
  expect_rows({"quantized_relu_po2", {{"bits", whole(3)}, {"negative_slope", num(0.25)}}},
              {{-8.0F, -2.0F}, {-0.001F, -0.0625F}, {0.0F, 0.0625F}});
}

TEST(BinaryTernary, HandValues) {
  expect_rows({"binary", {}}, {{0.0F, 1.0F}, {-0.0F, 1.0F}, {-0.1F, -1.0F}, {1e8F, 1.0F}});
  expect_rows({"binary", {{"use_01", true}, {"alpha", num(0.5)}}}, {{0.0F, 0.5F}, {-0.1F, 0.0F}});
  expect_rows({"stochastic_binary", {}}, {{0.0F, 1.0F}, {-0.1F, -1.0F}});
  expect_rows({"ternary", {}}, {{0.33F, 1.0F}, {std::nextafter(0.33F, 0.0F), 0.0F}, {-0.33F, -1.0F}, {0.0F, 0.0F}});
  expect_rows({"ternary", {{"threshold", num(0.5)}, {"alpha", num(2.0)}}},
              {{0.5F, 2.0F}, {0.49F, 0.0F}, {-3.0F, -2.0F}});
  expect_rows({"stochastic_ternary", {{"threshold", num(0.5)}}}, {{0.5F, 1.0F}, {0.4F, 0.0F}});
  const auto per_channel = make_ok({"binary", {{"alpha", std::vector<double>{0.5, -2.0, 0.0}}}});
  EXPECT_EQ(per_channel->apply(1.0F, 1), -2.0F);
  EXPECT_EQ(per_channel->code(1.0F, 1), -1);
  EXPECT_EQ(per_channel->code(1.0F, 2), 0);
}

TEST(QKerasFunctions, HandValues) {
  expect_rows({"hard_sigmoid", {}}, {{0.0F, 0.5F}, {1.0F, 1.0F}, {-3.0F, 0.0F}, {0.5F, 0.75F}});
  expect_rows({"smooth_sigmoid", {}}, {{0.0F, 0.5F}, {1.0F, 0.6875F}, {9.0F, 1.0F}});
  expect_rows({"hard_tanh", {}}, {{0.25F, 0.25F}, {-7.0F, -1.0F}});
  expect_rows({"smooth_tanh", {}}, {{1.0F, 0.375F}, {-7.0F, -1.0F}});
  // rint(1/2) = 0.
  expect_rows({"binary_sigmoid", {}}, {{0.0F, 0.0F}, {0.25F, 1.0F}, {-1.0F, 0.0F}});
  expect_rows({"binary_tanh", {}}, {{0.0F, -1.0F}, {0.25F, 1.0F}, {-1.0F, -1.0F}});
}

TEST(FloatFunctions, HandValues) {
  expect_rows({"relu", {}}, {{-1.0F, 0.0F}, {2.5F, 2.5F}});
  expect_rows({"relu", {{"max_value", whole(6)}}}, {{7.0F, 6.0F}});
  expect_rows({"relu", {{"negative_slope", num(0.5)}, {"threshold", num(1.0)}, {"max_value", num(2.0)}}},
              {{3.0F, 2.0F}, {1.5F, 1.5F}, {1.0F, 0.0F}, {0.5F, -0.25F}, {-1.0F, -1.0F}});
  expect_rows({"leaky_relu", {}}, {{-1.0F, -0.2F}, {3.0F, 3.0F}});
  expect_rows({"clip", {{"min", num(-1.0)}, {"max", num(2.0)}}}, {{-5.0F, -1.0F}, {0.5F, 0.5F}, {5.0F, 2.0F}});
  expect_rows({"clip", {{"max", num(2.0)}}}, {{-5e30F, -5e30F}, {5.0F, 2.0F}});
  expect_rows({"keras_hard_sigmoid", {}}, {{0.0F, 0.5F}, {1.0F, 0.2F + 0.5F}, {3.0F, 1.0F}});
  expect_rows({"keras_hard_sigmoid", {{"slope", num(1.0 / 6.0)}}}, {{0.0F, 0.5F}, {1.0F, 4.0F / 6.0F}, {-3.0F, 0.0F}});
  expect_rows({"softsign", {}}, {{1.0F, 0.5F}, {-3.0F, -0.75F}});
  expect_rows({"sigmoid", {}}, {{0.0F, 0.5F}});
  expect_rows({"tanh", {}}, {{0.0F, 0.0F}, {20.0F, 1.0F}});
  expect_rows({"exponential", {}}, {{0.0F, 1.0F}, {1.0F, 2.71828182845904523536F}});
  expect_rows({"elu", {}}, {{2.0F, 2.0F}, {-100.0F, -1.0F}});
  expect_rows({"selu", {}}, {{-100.0F, -1.7580993408473766F}});
  for (const auto& [family, value] :
       std::vector<std::pair<const char*, double>>{{"softplus", std::log1p(std::exp(1.0))},
                                                   {"swish", 1.0 / (1.0 + std::exp(-1.0))},
                                                   {"silu", 1.0 / (1.0 + std::exp(-1.0))},
                                                   {"gelu", 0.8413447460685429},
                                                   {"selu", 1.0507009873554805}}) {
    EXPECT_NEAR(make_ok({family, {}})->apply(1.0F, 0), value, 1e-7) << family;
  }
  EXPECT_NEAR(make_ok({"gelu", {{"approximate", true}}})->apply(1.0F, 0), 0.8411919906082768, 2e-7);
}

TEST(FloatFunctions, AreNotQuantizers) {
  TestContext t;
  const auto relu = make_ok({"relu", {}});
  EXPECT_FALSE(relu->outputs().has_value());
  EXPECT_FALSE(relu->quantize({{1}, {1.0F}}, {}, t.ctx).ok());
  EXPECT_EQ(t.engine.all().at(0).kind, Kind::QuantizerUnsupported);
  EXPECT_THROW(static_cast<void>(relu->code(1.0F, 0)), diag::InternalError);
}

TEST(FloatOps, LogarithmIsWithinTwoUlps) {
  std::mt19937 random(5);
  for (int i = 0; i < 20000; ++i) {
    const float x =
        std::ldexp(1.0F + static_cast<float>(random() >> 9) * 0x1p-23F, static_cast<int>(random() % 200) - 100);
    const double exact = std::log(static_cast<double>(x));
    ASSERT_NEAR(log_f32(x), exact, 2.0 * std::max(std::ldexp(std::fabs(exact), -24), 0x1p-25)) << x;
  }
  EXPECT_EQ(log_f32(1.0F), 0.0F);
  EXPECT_EQ(rint_even(log2_f32(8.0F)), 3.0F);
}

}  // namespace
}  // namespace weft::quantizers
