// SPDX-License-Identifier: Apache-2.0
// Plain functions against the real functions, computed elsewhere with 200 bits.
#include "weft/quantizers/test_support.h"

namespace weft::quantizers {
namespace {

struct Row {
  const char* family;
  float x;
  float y;
};

constexpr Row kRows[] = {
#include "weft/quantizers/elementwise_values.inc"
};

TEST(ElementwiseFunctions, AreTheRealFunctions) {
  // Several float32 operations round where the real function has one number.
  const auto noise = [](const std::string& family) {
    if (family == "hard_swish" || family == "silu" || family == "mish" || family == "rsqrt") return 1.0;
    if (family == "tanh_shrink") return 8192.0;
    return 0.0;
  };
  for (const auto& row : kRows) {
    const auto function = make_ok({row.family, {}});
    ASSERT_NE(function, nullptr);
    const float got = function->apply(row.x, 0);
    const double ulp = std::ldexp(1.0, std::ilogb(row.y == 0.0F ? 1.0F : row.y) - 23);
    EXPECT_LE(std::fabs(static_cast<double>(got) - row.y), noise(row.family) * ulp) << row.family << " " << row.x;
  }
}

TEST(ElementwiseFunctions, ParametersMoveThem) {
  EXPECT_EQ(make_ok({"celu", {{"alpha", num(2.0)}}})->apply(-2.0F, 0), 2.0F * static_cast<float>(std::expm1(-1.0)));
  EXPECT_EQ(make_ok({"swish", {{"beta", num(2.0)}}})->apply(1.5F, 0),
            1.5F * static_cast<float>(1.0 / (1.0 + std::exp(-3.0))));
  const auto softplus = make_ok({"softplus", {{"beta", num(2.0)}, {"threshold", num(20.0)}}});
  EXPECT_EQ(softplus->apply(0.5F, 0), static_cast<float>(std::log1p(std::exp(1.0))) / 2.0F);
  EXPECT_EQ(softplus->apply(10.5F, 0), 10.5F);
  const auto shrink = make_ok({"hard_shrink", {{"lambd", num(1.5)}, {"bias", num(1.0)}}});
  EXPECT_EQ(shrink->apply(-2.0F, 0), -1.0F);
  EXPECT_EQ(shrink->apply(1.5F, 0), 0.0F);
  EXPECT_EQ(shrink->apply(2.0F, 0), 1.0F);
  EXPECT_EQ(make_ok({"threshold", {{"threshold", num(1.0)}, {"value", num(20.0)}}})->apply(1.0F, 0), 20.0F);
  EXPECT_EQ(make_ok({"hard_swish", {{"form", text("onnx")}}})->apply(1.5F, 0), 1.5F * 0.75F);
  EXPECT_EQ(make_ok({"power", {{"base", num(4.0)}}})->apply(1.5F, 0), 8.0F);
  expect_refused({"power", {{"base", num(-1.0)}}}, "base");
  const auto prelu = make_ok({"prelu", {{"alpha", std::vector<double>{0.5, -2.0}}}});
  EXPECT_EQ(prelu->channels(), 2U);
  EXPECT_EQ(prelu->apply(-3.0F, 0), -1.5F);
  EXPECT_EQ(prelu->apply(-3.0F, 1), 6.0F);
  EXPECT_EQ(prelu->apply(3.0F, 1), 3.0F);
}

TEST(TableFunction, Points) {
  const Attribute x = std::vector<double>{-1.0, 0.0, 2.0};
  const Attribute y = std::vector<double>{4.0, 8.0, 0.0};
  const auto linear = make_ok({"table", {{"x", x}, {"y", y}}});
  EXPECT_EQ(linear->apply(-5.0F, 0), 4.0F);
  EXPECT_EQ(linear->apply(-0.25F, 0), 7.0F);
  EXPECT_EQ(linear->apply(0.5F, 0), 6.0F);
  EXPECT_EQ(linear->apply(9.0F, 0), 0.0F);
  const auto nearest = make_ok({"table", {{"x", x}, {"y", y}, {"mode", text("nearest")}}});
  EXPECT_EQ(nearest->apply(-0.75F, 0), 4.0F);
  EXPECT_EQ(nearest->apply(1.0F, 0), 0.0F);
  const auto floor = make_ok({"table", {{"x", x}, {"y", y}, {"mode", text("floor")}}});
  EXPECT_EQ(floor->apply(-0.25F, 0), 4.0F);
  EXPECT_EQ(floor->apply(1.75F, 0), 8.0F);
  expect_refused({"table", {{"x", std::vector<double>{1.0, 1.0}}, {"y", x}}}, "ascend");
  expect_refused({"table", {{"x", std::vector<double>{1.0, 2.0}}, {"y", x}}}, "numbers");
}

}  // namespace
}  // namespace weft::quantizers
