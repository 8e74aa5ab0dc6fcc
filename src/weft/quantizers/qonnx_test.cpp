// SPDX-License-Identifier: Apache-2.0
// QONNX quantizers against the tables of their specification and a formula in exact rationals.
#include "weft/quantizers/quantizer.h"
#include "weft/quantizers/test_support.h"

namespace weft::quantizers {
namespace {

Spec quant(const char* rounding, double bits, bool is_signed, bool narrow, double scale = 1.0,
           double zero_point = 0.0) {
  return {"qonnx_quant",
          {{"rounding", text(rounding)},
           {"bits", num(bits)},
           {"signed", is_signed},
           {"narrow", narrow},
           {"scale", std::vector<double>{scale}},
           {"zero_point", std::vector<double>{zero_point}}}};
}

TEST(Qonnx, RoundingTable) {
  const std::vector<float> inputs = {5.5F, 2.5F, 1.6F, 1.1F, -1.1F, -1.6F, -2.5F, -5.5F};
  struct Row {
    const char* mode;
    std::vector<float> results;
  };
  const std::vector<Row> rows = {
      {"ROUND", {6, 2, 2, 1, -1, -2, -2, -6}},
      {"half_even", {6, 2, 2, 1, -1, -2, -2, -6}},
      {"CEIL", {6, 3, 2, 2, -1, -1, -2, -5}},
      {"Floor", {5, 2, 1, 1, -2, -2, -3, -6}},
      {"UP", {6, 3, 2, 2, -2, -2, -3, -6}},
      {"DOWN", {5, 2, 1, 1, -1, -1, -2, -5}},
      {"round_to_zero", {5, 2, 1, 1, -1, -1, -2, -5}},
      {"HALF_UP", {6, 3, 2, 1, -1, -2, -3, -6}},
      {"HALF_DOWN", {5, 2, 2, 1, -1, -2, -2, -5}},
  };
  for (const Row& row : rows) {
    const auto function = make_ok(quant(row.mode, 8.0, true, false));
    ASSERT_NE(function, nullptr);
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      EXPECT_EQ(function->apply(inputs[i], 0), row.results[i]) << row.mode << " of " << inputs[i];
      EXPECT_EQ(function->code(inputs[i], 0), static_cast<Int>(row.results[i]));
    }
  }
}

TEST(Qonnx, Ranges) {
  struct Row {
    double bits;
    bool is_signed;
    bool narrow;
    float lo;
    float hi;
  };
  for (const Row& row : std::vector<Row>{{4, true, false, -8, 7},
                                         {4, true, true, -7, 7},
                                         {4, false, false, 0, 15},
                                         {4, false, true, 0, 14},
                                         {2, true, true, -1, 1},
                                         {1, false, false, 0, 1},
                                         {1, true, false, -1, 1},
                                         {1, true, true, -1, 1},
                                         {4.5, false, false, 0, 22}}) {  // 2^4.5 - 1 = 21.6 rounds to 22
    const auto function = make_ok(quant("ROUND", row.bits, row.is_signed, row.narrow));
    ASSERT_NE(function, nullptr);
    EXPECT_EQ(function->apply(-1e6F, 0), row.lo);
    EXPECT_EQ(function->apply(1e6F, 0), row.hi);
    EXPECT_EQ(function->outputs()->range.lo, static_cast<Int>(row.lo));
    EXPECT_EQ(function->outputs()->range.hi, static_cast<Int>(row.hi));
  }
}

TEST(Qonnx, OneSignedBitIsBipolarWithZeroUp) {
  const auto function = make_ok(quant("FLOOR", 1.0, true, false, 0.5));
  EXPECT_EQ(function->apply(0.0F, 0), 0.5F);
  EXPECT_EQ(function->apply(-0.0F, 0), 0.5F);
  EXPECT_EQ(function->apply(-1e-30F, 0), -0.5F);
  EXPECT_EQ(function->code(-1.0F, 0), -1);
}

TEST(Qonnx, ClampsBeforeRounding) {
  // 7.4 is clamped to 7 before CEIL; rounding first would give 8 and then 7 as well, but 2^4.5 - 1 = 21.63 shows the
  // order.
  EXPECT_EQ(make_ok(quant("CEIL", 4.5, false, false))->apply(100.0F, 0), 22.0F);
  EXPECT_EQ(make_ok(quant("FLOOR", 4.5, false, false))->apply(100.0F, 0), 21.0F);
}

TEST(Qonnx, ZeroPointIsAddedBeforeRounding) {
  // 0.5 + 3 = 3.5 rounds to 4, so 1 comes out: round(0.5) + 3 - 3 would be 0.
  const auto odd = make_ok(quant("ROUND", 8.0, true, false, 1.0, 3.0));
  EXPECT_EQ(odd->apply(0.5F, 0), 1.0F);
  EXPECT_EQ(odd->code(0.5F, 0), 1);
  EXPECT_EQ(odd->outputs()->range.lo, -131);
  EXPECT_EQ(odd->outputs()->range.hi, 124);
  EXPECT_FALSE(odd->outputs()->type.has_value());
  // A zero point of 1/4 makes codes count quarters.
  const auto quarter = make_ok(quant("ROUND", 4.0, false, false, 2.0, 0.25));
  EXPECT_EQ(quarter->apply(0.0F, 0), -0.5F);
  EXPECT_EQ(quarter->code(0.0F, 0), -1);
  EXPECT_EQ(quarter->outputs()->scale, Scale(Rational(1, 2)));
}

TEST(Qonnx, PerChannelScales) {
  const auto function = make_ok({"qonnx_quant", {{"bits", num(4.0)}, {"scale", std::vector<double>{0.5, 0.25}}}});
  ASSERT_EQ(function->channels(), 2U);
  EXPECT_EQ(function->apply(100.0F, 0), 3.5F);
  EXPECT_EQ(function->apply(100.0F, 1), 1.75F);
  EXPECT_EQ(function->code(0.3F, 0), 1);
  EXPECT_EQ(function->code(0.3F, 1), 1);
  EXPECT_EQ(function->code(0.4F, 1), 2);
}

TEST(Qonnx, TypesOnlyForPlainCasts) {
  using fixed::Rounding;
  const auto type_of = [](const Spec& spec) { return make_ok(spec)->outputs()->type; };
  const auto round = type_of(quant("ROUND", 6.0, true, true, 0.125));
  ASSERT_TRUE(round.has_value());
  EXPECT_EQ(round->width_bits, 6);
  EXPECT_EQ(round->integer_bits, 3);
  EXPECT_EQ(round->rounding, Rounding::RndConv);
  EXPECT_EQ(round->overflow, fixed::Overflow::SatSym);
  EXPECT_EQ(type_of(quant("DOWN", 6.0, false, false))->rounding, Rounding::TrnZero);
  EXPECT_EQ(type_of(quant("UP", 6.0, true, false))->rounding, Rounding::Up);
  EXPECT_EQ(type_of(quant("FLOOR", 6.0, true, false))->rounding, Rounding::Trn);
  EXPECT_EQ(type_of(quant("CEIL", 6.0, true, false))->rounding, Rounding::Ceil);
  EXPECT_EQ(type_of(quant("HALF_DOWN", 6.0, true, false))->rounding, Rounding::RndZero);
  // |y| + 1/2 rounds: the largest float below 1/2 becomes 1.
  EXPECT_FALSE(type_of(quant("HALF_UP", 6.0, true, false)).has_value());
  EXPECT_EQ(make_ok(quant("HALF_UP", 6.0, true, false))->apply(std::nextafter(0.5F, 0.0F), 0), 1.0F);
  EXPECT_FALSE(type_of(quant("ROUND", 6.0, false, true)).has_value());
  EXPECT_FALSE(type_of(quant("ROUND", 6.0, true, false, 0.1)).has_value());
  EXPECT_FALSE(type_of(quant("ROUND", 5.5, true, false)).has_value());
  EXPECT_FALSE(type_of(quant("ROUND", 1.0, true, false)).has_value());
}

TEST(Qonnx, BipolarAndSign) {
  const auto bipolar = make_ok({"bipolar_quant", {{"scale", num(0.3)}}});
  EXPECT_EQ(bipolar->apply(0.0F, 0), 0.3F);
  EXPECT_EQ(bipolar->apply(-0.1F, 0), -0.3F);
  EXPECT_EQ(bipolar->code(0.0F, 0), 1);
  const auto sign = make_ok({"sign", {}});
  EXPECT_EQ(sign->code(0.0F, 0), 0);
  EXPECT_EQ(sign->code(-3.0F, 0), -1);
  EXPECT_EQ(sign->apply(2.0F, 0), 1.0F);
}

TEST(MultiThreshold, CountsPerChannelAndIgnoresTheOrderOfThresholds) {
  const auto function = make_ok({"multithreshold",
                                 {{"thresholds", std::vector<double>{3.0, -1.0, 0.5, 0.0, 0.0, 8.0}},
                                  {"channels", whole(2)},
                                  {"out_scale", num(0.5)},
                                  {"out_bias", num(-1.0)}}});
  ASSERT_EQ(function->channels(), 2U);
  EXPECT_EQ(function->apply(-2.0F, 0), -1.0F);
  EXPECT_EQ(function->apply(-1.0F, 0), -0.5F);
  EXPECT_EQ(function->apply(0.5F, 0), 0.0F);
  EXPECT_EQ(function->apply(3.0F, 0), 0.5F);
  EXPECT_EQ(function->apply(0.0F, 1), 0.0F);
  EXPECT_EQ(function->apply(std::nextafter(0.0F, -1.0F), 1), -1.0F);
  EXPECT_EQ(function->outputs()->scale, Scale(Rational(1, 2)));
  EXPECT_EQ(function->outputs()->range.lo, -2);
  EXPECT_EQ(function->outputs()->range.hi, 1);
}

TEST(MultiThreshold, BipolarForm) {
  const auto function = make_ok(
      {"multithreshold", {{"thresholds", std::vector<double>{0.0}}, {"out_scale", num(2.0)}, {"out_bias", num(-1.0)}}});
  EXPECT_EQ(function->code(0.0F, 0), 1);
  EXPECT_EQ(function->code(-1.0F, 0), -1);
  EXPECT_EQ(function->outputs()->scale, Scale(Rational(1)));
}

}  // namespace
}  // namespace weft::quantizers
