// SPDX-License-Identifier: Apache-2.0
#include "weft/lower/config.h"

#include <gtest/gtest.h>

#include <cmath>

#include "weft/fixed/quantize.h"
#include "weft/lower/policy.h"

namespace weft::lower {
namespace {

nn::Graph two_layers() {
  nn::Graph graph;
  for (const char* name : {"block.fc/1", "block"}) {
    nn::Node node;
    node.name = name;
    node.op = "Dense";
    graph.nodes.push_back(node);
  }
  return graph;
}

TEST(Config, ReadsHls4mlFiles) {
  diag::Engine engine;
  Context ctx{engine};
  const auto config = parse_config(
      "Backend: Vivado\nClockPeriod: 2.5\nHLSConfig:\n  Model: {Precision: 'ap_fixed<16,6>', ReuseFactor: 1, Strategy: "
      "Latency}\n"
      "  LayerName:\n    fc1:\n      Precision: {weight: 'ap_fixed<8,2>', accum: 'fixed<20,8,RND,SAT>'}\n      Trace: "
      "true\n",
      "c.yaml", ctx);
  ASSERT_TRUE(config.ok());
  EXPECT_EQ(config->clock_ns, 2.5);
  const auto model = config->model.precision.at("default").fixed;
  EXPECT_EQ(model.rounding, fixed::Rounding::Trn);
  EXPECT_EQ(model.overflow, fixed::Overflow::Wrap);
  EXPECT_EQ(config->layer_name.at("fc1").precision.at("accum").fixed.overflow, fixed::Overflow::Sat);
}

TEST(Config, UnknownKeysAreErrorsWithAGuess) {
  for (const char* yaml :
       {"Model: {Precison: 'fixed<8,2>'}", "Modle: {}", "LayerName: {fc1: {Precision: {wieght: 'fixed<8,2>'}}}"}) {
    diag::Engine engine;
    Context ctx{engine};
    EXPECT_FALSE(parse_config(yaml, "c.yaml", ctx).ok()) << yaml;
    ASSERT_EQ(engine.error_count(), 1U) << yaml;
    EXPECT_EQ(engine.all()[0].kind, Kind::ConfigUnknownKey) << yaml;
    EXPECT_NE(engine.all()[0].message.find("did you mean"), std::string::npos) << yaml;
  }
}

TEST(Config, FunctionsHaveBoundsAndTables) {
  diag::Engine engine;
  Context ctx{engine};
  const auto config = parse_config(
      "LayerType: {Activation: {Steps: 100}}\nLayerName: {act: {Table: f.npy, TableMode: Nearest, Precision: {exp: "
      "'ufixed<12,1>'}}}",
      "c.yaml", ctx);
  ASSERT_TRUE(config.ok());
  nn::Node node;
  node.name = "act";
  node.op = "Activation";
  const LayerSettings settings{&*config};
  EXPECT_EQ(settings.steps(node), 100);
  EXPECT_EQ(settings.table(node), "f.npy");
  EXPECT_EQ(settings.table_mode(node), "nearest");
  EXPECT_EQ(config->layer_name.at("act").precision.at("exp").fixed.width_bits, 12);
  for (const char* yaml : {"LayerName: {act: {Steps: 0}}", "LayerName: {act: {TableMode: cubic}}"})
    EXPECT_FALSE(parse_config(yaml, "c.yaml", ctx).ok()) << yaml;
}

TEST(Config, BrokenValuesAreErrors) {
  for (const char* yaml : {"Model: [1, 2]", "Model: {Precision: 'fixed<x>'}", "Model: {ReuseFactor: 0}",
                           "Model: {Strategy: Fastest}", "{", "a: [[[[", "LayerName: {fc: {Skip: maybe}}"}) {
    diag::Engine engine;
    Context ctx{engine};
    EXPECT_FALSE(parse_config(yaml, "c.yaml", ctx).ok()) << yaml;
    EXPECT_TRUE(engine.has_errors()) << yaml;
  }
}

TEST(Config, SettingsSplitAtTheLongestLayerName) {
  diag::Engine engine;
  Context ctx{engine};
  Config config;
  const auto graph = two_layers();
  ASSERT_TRUE(apply_setting(config, "block.fc/1.precision.result=fixed<12,4>", graph, ctx).ok());
  ASSERT_TRUE(apply_setting(config, "Model.reuse_factor=2", graph, ctx).ok());
  EXPECT_EQ(config.layer_name.at("block.fc/1").precision.at("result").fixed.rounding, fixed::Rounding::RndConv);
  EXPECT_EQ(config.model.reuse_factor, 2);
  EXPECT_FALSE(apply_setting(config, "blok.precision=fixed<8,2>", graph, ctx).ok());
  EXPECT_FALSE(apply_setting(config, "nonsense", graph, ctx).ok());
}

TEST(Policy, TypesHoldTheirRange) {
  const auto check = [](double lo, double hi, int width, bool is_unsigned) {
    const auto type = type_for_range(lo, hi, width, is_unsigned);
    for (const double v : {lo, hi}) {
      const double back = fixed::to_double(fixed::from_double(v, type), type.frac_bits());
      EXPECT_NEAR(back, v, std::ldexp(0.5, -type.frac_bits())) << lo << " " << hi << " " << fixed::to_string(type);
    }
  };
  check(-1.0, 1.0, 8, true);
  check(0.0, 0.9999, 8, true);
  check(0.0, 1.0, 8, true);
  check(-128.0, 127.0, 8, false);
  check(-0.001, 0.0007, 12, false);
  check(0.0, 3.0e6, 16, true);
}

}  // namespace
}  // namespace weft::lower
