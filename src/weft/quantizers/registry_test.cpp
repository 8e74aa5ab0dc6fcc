// SPDX-License-Identifier: Apache-2.0
// The registry and what make() refuses.
#include "weft/quantizers/quantizer.h"
#include "weft/quantizers/test_support.h"

namespace weft::quantizers {
namespace {

TEST(Registry, IsSortedUniqueAndComplete) {
  const auto& all = families();
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (i > 0) {
      EXPECT_LT(all[i - 1].name, all[i].name);
    }
    EXPECT_FALSE(all[i].summary.empty()) << all[i].name;
    EXPECT_EQ(find_family(all[i].name), &all[i]);
    for (const std::string& key : all[i].positional)
      EXPECT_EQ(all[i].defaults.count(key), 1U) << all[i].name << " " << key;
  }
  EXPECT_EQ(find_family("quantized_nothing"), nullptr);
}

TEST(Registry, EveryFamilyIsMadeFromItsDefaultsButBernoulli) {
  for (const Family& family : families()) {
    TestContext t;
    const auto made = make({family.name, {}}, {}, t.ctx);
    EXPECT_EQ(made.ok(), family.name != "bernoulli") << family.name << t.messages();
    EXPECT_EQ(make({family.name, family.defaults}, {}, t.ctx).ok(), made.ok()) << family.name;
  }
}

TEST(Registry, EveryFamilyRefusesUnknownKeysAndNonsense) {
  for (const Family& family : families()) {
    expect_refused({family.name, {{"no_such_key", whole(1)}}},
                   family.name == "bernoulli" ? "bernoulli" : "no_such_key");
    for (const auto& [key, value] : family.defaults) {
      if (key == "var_name" || family.name == "bernoulli") continue;
      TestContext t;
      EXPECT_FALSE(make({family.name, {{key, text("nonsense")}}}, {}, t.ctx).ok()) << family.name << " " << key;
      // Lists where none belong and numbers out of every range must not crash.
      for (const Attribute& odd :
           {Attribute(std::vector<double>{}), Attribute(std::vector<double>{1e300, -1.0}),
            Attribute(std::vector<std::int64_t>{-7}), num(1e300), num(-1e300), num(1e-320), num(std::nan("")),
            num(std::numeric_limits<double>::infinity()), whole(std::numeric_limits<std::int64_t>::min()),
            whole(std::numeric_limits<std::int64_t>::max()), num(-1.0), num(0.0), num(0.3), whole(1000)}) {
        const auto made = make({family.name, {{key, odd}}}, {}, t.ctx);
        if (!made.ok() || (*made)->data_dependent()) continue;
        for (const float x : {-1.0F, 0.0F, 0.7F}) {
          static_cast<void>((*made)->apply(x, 0));
          if ((*made)->outputs()) static_cast<void>((*made)->code(x, 0));
        }
      }
    }
  }
  expect_refused({"quantized_nothing", {}}, "quantized_nothing");
}

TEST(Registry, RefusesWhatWouldChangeTheResult) {
  expect_refused({"bernoulli", {}}, "random");
  expect_refused({"quantized_bits", {{"scale_axis", whole(0)}}}, "scale_axis");
  expect_refused({"quantized_bits", {{"elements_per_scale", whole(4)}}}, "elements_per_scale");
  expect_refused({"quantized_bits", {{"bits", whole(0)}}}, "bits");
  expect_refused({"quantized_bits", {{"bits", num(4.5)}}}, "bits");
  expect_refused({"quantized_bits", {{"alpha", text("automatic")}}}, "alpha");
  expect_refused({"quantized_bits", {{"bits", whole(1)}, {"alpha", text("auto")}}}, "divides by zero");
  expect_refused({"quantized_bits", {{"post_training_scale", num(1.0)}}}, "post_training_scale");
  expect_refused({"quantized_bits", {{"min_po2_exponent", whole(-3)}}}, "auto_po2");
  expect_refused({"quantized_linear", {{"alpha", num(0.0)}}}, "alpha");
  expect_refused({"quantized_relu", {{"negative_slope", num(0.3)}}}, "power of two");
  expect_refused({"quantized_relu", {{"negative_slope", num(-0.5)}}}, "power of two");
  expect_refused({"quantized_relu", {{"relu_upper_bound", num(-1.0)}}}, "relu_upper_bound");
  expect_refused({"quantized_po2", {{"max_value", num(-1.0)}}}, "max_value");
  expect_refused({"quantized_po2", {{"bits", whole(1)}}}, "exponent");
  expect_refused({"quantized_hswish", {{"keep_negative", false}}}, "keep_negative");
  expect_refused({"quantized_hswish", {{"alpha", text("auto")}}}, "batch");
  expect_refused({"ternary", {{"alpha", text("auto")}, {"threshold", num(0.5)}}}, "threshold");
  expect_refused({"ternary", {{"use_stochastic_rounding", true}}}, "use_stochastic_rounding");
  expect_refused({"quantized_ulaw", {{"u", num(0.0)}}}, "`u`");
  expect_refused({"qonnx_quant", {{"scale", std::vector<double>{1.0, 0.0}}}}, "scale");
  expect_refused({"qonnx_quant", {{"rounding", text("STOCHASTIC_ROUND")}}}, "rounding");
  expect_refused({"qonnx_quant", {{"bits", num(0.5)}}}, "bits");
  expect_refused({"qonnx_quant", {{"scale", std::vector<double>{1, 2}}, {"zero_point", std::vector<double>{1, 2, 3}}}},
                 "channels");
  expect_refused({"multithreshold", {{"thresholds", std::vector<double>{1, 2, 3}}, {"channels", whole(2)}}},
                 "multiple");
  expect_refused({"relu", {{"max_value", num(-1.0)}}}, "max_value");
}

TEST(Registry, ReportsSeveralErrorsAtOnce) {
  TestContext t;
  EXPECT_FALSE(
      make({"quantized_bits", {{"bits", whole(0)}, {"integer", text("x")}, {"alpha", text("y")}}}, {}, t.ctx).ok());
  EXPECT_EQ(t.engine.error_count(), 3U);
}

}  // namespace
}  // namespace weft::quantizers
