// SPDX-License-Identifier: Apache-2.0
// Scales computed from the tensor: hand-derived small tensors, and properties over random ones.
#include "weft/quantizers/auto_scale.h"
#include "weft/quantizers/quantizer.h"
#include "weft/quantizers/test_support.h"

namespace weft::quantizers {
namespace {

void expect_exact_values(const Quantized& result) {
  const auto columns = result.scale.factors.size();
  for (std::size_t i = 0; i < result.codes.data.size(); ++i) {
    const Rational exact = result.scale.at(i % columns) * result.codes.data[i];
    const float value = result.values.data[i];
    EXPECT_NEAR(value, fixed::to_float(exact), std::ldexp(std::fabs(value) + 1.0F, -22)) << i;
  }
}

TEST(AutoScale, QuantizedBitsAutoUsesTheLargestMagnitudePerChannel) {
  // bits 3: L / 2 = 3. Column 0: max 3, s = 1; column 1: max 0.75, s = 1/4.
  const Quantized result = quantize_ok({"quantized_bits", {{"bits", whole(3)}, {"alpha", text("auto")}}},
                                       {{3, 2}, {3.0F, -0.75F, -0.5F, 0.125F, 2.5F, 0.1F}});
  EXPECT_EQ(result.codes.data, (std::vector<std::int64_t>{3, -3, -1, 1, 3, 0}));  // halves away from zero
  EXPECT_EQ(result.scale.factors, (std::vector<Rational>{Rational(1), Rational(1, 4)}));
  EXPECT_EQ(result.values.data, (std::vector<float>{3.0F, -0.75F, -1.0F, 0.25F, 3.0F, 0.0F}));
}

TEST(AutoScale, QuantizedBitsAutoOfRankOneHasOneScale) {
  const Quantized result =
      quantize_ok({"quantized_bits", {{"bits", whole(3)}, {"alpha", text("auto")}}}, {{3}, {3.0F, 1.0F, 0.5F}});
  EXPECT_EQ(result.codes.data, (std::vector<std::int64_t>{3, 1, 1}));
  EXPECT_TRUE(result.scale.per_tensor());
}

TEST(AutoScale, QuantizedBitsAutoIgnoresIntegerInTheValues) {
  // x / 2^integer is quantized and multiplied back: the same result up to the grid.
  for (const int integer : {0, 2}) {
    const Quantized result =
        quantize_ok({"quantized_bits", {{"bits", whole(3)}, {"integer", whole(integer)}, {"alpha", text("auto")}}},
                    {{2, 1}, {3.0F, -1.0F}});
    EXPECT_EQ(result.values.data, (std::vector<float>{3.0F, -1.0F}));
    EXPECT_EQ(result.scale.at(0), Rational(1));
  }
}

TEST(AutoScale, QuantizedBitsPo2SettlesOnAPowerOfTwo) {
  // bits 3: max 3 -> s0 = 1; z = {3, 1, 1}; LS = (9 + 0.9 + 1.1) / 11 = 1.
  const Quantized result =
      quantize_ok({"quantized_bits", {{"bits", whole(3)}, {"alpha", text("auto_po2")}}}, {{3, 1}, {3.0F, 0.9F, 1.1F}});
  EXPECT_EQ(result.codes.data, (std::vector<std::int64_t>{3, 1, 1}));
  EXPECT_EQ(result.scale.at(0), Rational(1));
  // Limits of the exponent (of the scale in front of m = 4).
  const Quantized limited = quantize_ok(
      {"quantized_bits", {{"bits", whole(3)}, {"alpha", text("auto_po2")}, {"max_po2_exponent", whole(-2)}}},
      {{3, 1}, {3.0F, 0.9F, 1.1F}});
  EXPECT_EQ(limited.scale.at(0), Rational(1, 4));
  EXPECT_EQ(limited.codes.data, (std::vector<std::int64_t>{3, 3, 3}));
}

TEST(AutoScale, RankOnePo2HasAScalePerElement) {
  const Quantized result =
      quantize_ok({"quantized_bits", {{"bits", whole(4)}, {"alpha", text("auto_po2")}}}, {{2}, {1.0F, 0.01F}});
  EXPECT_EQ(result.scale.factors.size(), 2U);
  expect_exact_values(result);
}

TEST(AutoScale, ZeroChannelsStayZero) {
  for (const char* alpha : {"auto", "auto_po2"}) {
    for (const char* family : {"quantized_bits", "quantized_linear", "ternary"}) {
      const Quantized result = quantize_ok({family, {{"alpha", text(alpha)}}}, {{2, 2}, {0.0F, 1.0F, 0.0F, -0.5F}});
      EXPECT_EQ(result.values.data[0], 0.0F) << family;
      EXPECT_EQ(result.codes.data[0], 0) << family;
      EXPECT_NE(result.codes.data[1], 0) << family;
      for (const Rational& factor : result.scale.factors) EXPECT_GT(factor, 0);
    }
  }
}

TEST(AutoScale, BinaryAutoIsTheMeanMagnitude) {
  const Quantized result = quantize_ok({"binary", {{"alpha", text("auto")}}}, {{4, 1}, {1.0F, -3.0F, 2.0F, -2.0F}});
  // mean |x| = 2, divided by 1 + epsilon.
  const float scale = 2.0F / (1.0F + 1e-7F);
  EXPECT_EQ(result.scale.at(0), fixed::rational_from_double(scale));
  EXPECT_EQ(result.codes.data, (std::vector<std::int64_t>{1, -1, 1, -1}));
  const Quantized po2 = quantize_ok({"binary", {{"alpha", text("auto_po2")}}}, {{4, 1}, {1.0F, -3.0F, 2.0F, -2.0F}});
  EXPECT_EQ(po2.scale.at(0), Rational(2));
  EXPECT_EQ(po2.values.data, (std::vector<float>{2.0F, -2.0F, 2.0F, -2.0F}));
}

TEST(AutoScale, TernaryPo2) {
  // max 3 -> S = 2; |x / 2| > 1/2 strictly; LS = (3 + 2 + 2) / 3 = 2.33 -> 2.
  const Quantized result =
      quantize_ok({"ternary", {{"alpha", text("auto_po2")}}}, {{5, 1}, {3.0F, -2.0F, 1.0F, 0.2F, 2.0F}});
  EXPECT_EQ(result.codes.data, (std::vector<std::int64_t>{1, -1, 0, 0, 1}));
  EXPECT_EQ(result.scale.at(0), Rational(2));
}

TEST(AutoScale, QuantizedLinear) {
  // bits 3, symmetric: lo = -3, hi = 3; column max 1.5 -> Q = 3 / 6 = 1/2; 1.25 / Q = 2.5 -> 2.
  const Quantized result =
      quantize_ok({"quantized_linear", {{"bits", whole(3)}, {"alpha", text("auto")}}}, {{3, 1}, {1.5F, -0.5F, 1.25F}});
  EXPECT_EQ(result.codes.data, (std::vector<std::int64_t>{3, -1, 2}));
  EXPECT_EQ(result.scale.at(0), Rational(1, 2));
  // Every element of a rank-1 tensor is its own channel.
  const Quantized rank_one =
      quantize_ok({"quantized_linear", {{"bits", whole(3)}, {"alpha", text("auto")}}}, {{2}, {1.5F, -6.0F}});
  EXPECT_EQ(rank_one.codes.data, (std::vector<std::int64_t>{3, -3}));
  EXPECT_EQ(rank_one.scale.factors, (std::vector<Rational>{Rational(1, 2), Rational(2)}));
}

TEST(AutoScale, ValuesAreScaleTimesCode) {
  std::mt19937 random(9);
  FloatTensor tensor(Shape{3, 3, 4, 6});
  for (float& v : tensor.data) v = static_cast<float>(static_cast<int>(random() % 20001) - 10000) / 7000.0F;
  for (const char* alpha : {"auto", "auto_po2"}) {
    for (const char* family :
         {"quantized_bits", "quantized_linear", "binary", "stochastic_binary", "ternary", "stochastic_ternary"}) {
      const Quantized result = quantize_ok({family, {{"alpha", text(alpha)}}}, tensor);
      EXPECT_EQ(result.values.shape, tensor.shape);
      expect_exact_values(result);
    }
  }
}

TEST(AutoScale, ActivationsHaveNoMeaningElementByElement) {
  for (const char* family : {"quantized_bits", "quantized_linear", "binary", "ternary"}) {
    const auto function = make_ok({family, {{"alpha", text("auto")}}});
    EXPECT_TRUE(function->data_dependent());
    EXPECT_FALSE(function->outputs().has_value());
    EXPECT_TRUE(std::isnan(function->apply(1.0F, 0)));
  }
}

TEST(AutoScale, WarnsAtTheBoundaryBetweenTwoPowers) {
  const auto function = make_ok({"binary", {{"alpha", text("auto_po2")}}});
  TestContext near;
  ASSERT_TRUE(function->quantize({{2, 1}, {1.4142135F, -1.4142135F}}, {}, near.ctx).ok());
  ASSERT_EQ(near.engine.all().size(), 1U);
  EXPECT_EQ(near.engine.all()[0].kind, Kind::ScaleAmbiguous);
  TestContext far;
  ASSERT_TRUE(function->quantize({{2, 1}, {1.2F, -1.2F}}, {}, far.ctx).ok());
  EXPECT_TRUE(far.engine.all().empty());
}

TEST(Quantize, RefusesWhatCannotBeQuantized) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const Spec& spec : {Spec{"quantized_bits", {}}, Spec{"quantized_bits", {{"alpha", text("auto")}}},
                           Spec{"binary", {{"alpha", text("auto")}}}, Spec{"ternary", {{"alpha", text("auto")}}},
                           Spec{"quantized_linear", {{"alpha", text("auto")}}}}) {
    TestContext t;
    EXPECT_FALSE(make_ok(spec)->quantize({{2}, {1.0F, kInfinity}}, {}, t.ctx).ok());
    EXPECT_EQ(t.engine.all().at(0).kind, Kind::DataNotFinite);
    // Empty tensors are fine.
    EXPECT_TRUE(make_ok(spec)->quantize({{0, 4}, {}}, {}, t.ctx).ok());
    EXPECT_TRUE(make_ok(spec)->quantize({{4, 0}, {}}, {}, t.ctx).ok());
    EXPECT_TRUE(make_ok(spec)->quantize({{}, {0.5F}}, {}, t.ctx).ok());
  }
  TestContext t;
  const auto two = make_ok({"quantized_bits", {{"alpha", std::vector<double>{1.0, 2.0}}}});
  EXPECT_FALSE(two->quantize({{1, 3}, {1.0F, 2.0F, 3.0F}}, {}, t.ctx).ok());
  EXPECT_EQ(t.engine.all().at(0).kind, Kind::ShapeMismatch);
}

}  // namespace
}  // namespace weft::quantizers
