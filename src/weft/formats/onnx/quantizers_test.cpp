// SPDX-License-Identifier: Apache-2.0
// Quant, BipolarQuant and MultiThreshold on weights and on data.
#include <cmath>
#include <limits>

#include "weft/fixed/rational.h"
#include "weft/formats/onnx/test_model.h"

namespace weft::formats::onnx {
namespace {

struct QuantOptions {
  std::string domain = "qonnx.custom_op.general";
  std::string op = "Quant";
  std::vector<std::int64_t> scale_shape{};
  std::vector<float> scale{0.5F};
  float zero = 0;
  float bits = 3;
  std::int64_t is_signed = 1;
  std::int64_t narrow = 0;
  std::optional<std::string> rounding = "ROUND";
};

void add_quant(TestModel& m, const std::string& in, const std::string& out, const QuantOptions& o) {
  m.floats(out + "_s", o.scale_shape, o.scale);
  m.floats(out + "_z", {}, {o.zero});
  m.floats(out + "_b", {}, {o.bits});
  TestNode node = m.node(o.op, {in, out + "_s", out + "_z", out + "_b"}, {out});
  node.domain(o.domain).attribute("signed", o.is_signed).attribute("narrow", o.narrow);
  if (o.rounding) node.attribute("rounding_mode", *o.rounding);
}

/// The constant `values` behind a Quant, as the bias of an Add.
nn::Parameter quantized_constant(const std::vector<float>& values, const QuantOptions& o) {
  TestModel m;
  const auto n = static_cast<std::int64_t>(values.size());
  m.input("x", {1, n}).output("y");
  m.floats("w", {n}, values);
  add_quant(m, "w", "q", o);
  m.node("Add", {"x", "q"}, {"y"});
  const Read read = read_model(m);
  EXPECT_TRUE(read.graph) << read.text();
  return read.graph ? read.node(0).parameters.at("constant") : nn::Parameter{};
}

TEST(Quantizers, EveryRoundingModeOnConstants) {
  // Rows of the definition's table: 5.5 2.5 1.6 1.1 -1.1 -1.6 -2.5 -5.5.
  const std::vector<float> x{5.5F, 2.5F, 1.6F, 1.1F, -1.1F, -1.6F, -2.5F, -5.5F};
  const std::vector<std::pair<std::string, std::vector<std::int64_t>>> table{
      {"ROUND", {6, 2, 2, 1, -1, -2, -2, -6}},   {"HALF_EVEN", {6, 2, 2, 1, -1, -2, -2, -6}},
      {"CEIL", {6, 3, 2, 2, -1, -1, -2, -5}},    {"FLOOR", {5, 2, 1, 1, -2, -2, -3, -6}},
      {"UP", {6, 3, 2, 2, -2, -2, -3, -6}},      {"DOWN", {5, 2, 1, 1, -1, -1, -2, -5}},
      {"HALF_UP", {6, 3, 2, 1, -1, -2, -3, -6}}, {"half_down", {5, 2, 2, 1, -1, -2, -2, -5}}};
  for (const auto& [mode, codes] : table) {
    const auto p = quantized_constant(x, {.scale = {1}, .bits = 8, .rounding = mode});
    ASSERT_TRUE(p.quantized) << mode;
    EXPECT_EQ(p.quantized->codes.data, codes) << mode;
  }
  EXPECT_EQ(quantized_constant({2.5F}, {.scale = {1}, .rounding = std::nullopt}).quantized->codes.data,
            (std::vector<std::int64_t>{2}));
}

TEST(Quantizers, RangesOfConstants) {
  const std::vector<float> x{-100, -1, 0.25F, 1, 100};
  const auto codes = [&](const QuantOptions& o) { return quantized_constant(x, o).quantized->codes.data; };
  EXPECT_EQ(codes({}), (std::vector<std::int64_t>{-4, -2, 0, 2, 3}));
  EXPECT_EQ(codes({.narrow = 1}), (std::vector<std::int64_t>{-3, -2, 0, 2, 3}));
  EXPECT_EQ(codes({.is_signed = 0}), (std::vector<std::int64_t>{0, 0, 0, 2, 7}));
  EXPECT_EQ(codes({.is_signed = 0, .narrow = 1}), (std::vector<std::int64_t>{0, 0, 0, 2, 6}));
  EXPECT_EQ(codes({.bits = 1}), (std::vector<std::int64_t>{-1, -1, 1, 1, 1}));
  // The zero point is added before rounding (0.5 + 1 to even is 2) and taken off the codes.
  EXPECT_EQ(codes({.zero = 1}), (std::vector<std::int64_t>{-5, -2, 1, 2, 2}));
  const auto p = quantized_constant(x, {});
  EXPECT_EQ(p.values.data, (std::vector<float>{-2, -1, 0, 1, 1.5F}));
  EXPECT_EQ(p.quantized->scale, Scale(fixed::rational_from_double(0.5)));
  // No integers, no codes; the values are still the file's.
  const auto fractional = quantized_constant(x, {.zero = 0.25F});
  EXPECT_FALSE(fractional.quantized);
  EXPECT_EQ(fractional.values.data.front(), (-4 - 0.25F) * 0.5F);
}

TEST(Quantizers, EveryDomainAndName) {
  for (const std::string domain :
       {"", "ai.onnx", "qonnx.custom_op.general", "onnx.brevitas", "finn.custom_op.general"}) {
    for (const std::string op : {"Quant", "IntQuant"}) {
      TestModel m;
      m.input("x", {1, 2}).output("y");
      add_quant(m, "x", "y", {.domain = domain, .op = op});
      EXPECT_EQ(read_model(m).ops(), "Activation") << domain << op;
    }
  }
  TestModel m;
  m.input("x", {1, 2}).output("y");
  add_quant(m, "x", "y", {.domain = "qonnx.custom_op.channels_last"});
  const Read read = read_model(m);
  EXPECT_TRUE(read.has(Kind::LayerUnsupported)) << read.text();
}

TEST(Quantizers, QuantOnData) {
  TestModel m;
  m.input("x", {1, 2}).output("y");
  m.floats("s", {1, 2}, {0.5F, 0.25F});
  m.ints("z", {}, {0});
  m.ints("b", {}, {4});
  m.node("Quant", {"x", "s", "z", "b"}, {"y"})
      .attribute("signed", std::int64_t{0})
      .attribute("narrow", std::int64_t{1})
      .attribute("rounding_mode", "floor");
  const Read read = read_model(m);
  ASSERT_EQ(read.ops(), "Activation") << read.text();
  const quantizers::Spec expected{"qonnx_quant",
                                  {{"scale", std::vector<double>{0.5, 0.25}},
                                   {"zero_point", std::vector<double>{0}},
                                   {"bits", 4.0},
                                   {"signed", false},
                                   {"narrow", true},
                                   {"rounding", std::string("FLOOR")}}};
  EXPECT_EQ(read.node(0).functions.at("activation"), expected);
  diag::Engine engine;
  Context ctx{.diag = engine};
  EXPECT_TRUE(quantizers::make(expected, {}, ctx).ok());
}

TEST(Quantizers, ChannelsOfData) {
  const auto channels = [](const std::vector<std::int64_t>& shape, const std::vector<std::int64_t>& scale_shape) {
    TestModel m;
    m.input("x", shape).output("y");
    add_quant(m, "x", "y", {.scale_shape = scale_shape, .scale = {0.5F, 0.25F}});
    return read_model(m);
  };
  EXPECT_EQ(channels({1, 2}, {2}).ops(), "Activation");
  EXPECT_EQ(channels({1, 3, 2}, {1, 1, 2}).ops(), "Activation");
  const Read image = channels({1, 2, 1, 1}, {1, 2, 1, 1});
  EXPECT_EQ(image.ops(), "Reshape Activation") << image.text();
  EXPECT_EQ(channels({1, 2, 3}, {1, 2, 1}).ops(), "Permute Activation Permute");
  EXPECT_TRUE(channels({1, 3, 2, 3}, {1, 1, 2, 1}).has(Kind::LayerUnsupported));
  EXPECT_TRUE(channels({2, 3}, {2, 1}).has(Kind::LayerUnsupported));  // one per sample
  EXPECT_TRUE(channels({1, 3}, {2}).has(Kind::ShapeMismatch));
}

TEST(Quantizers, KernelScales) {
  // [n_out, n_in] weights with one scale per output, transposed: one scale per column of the kernel.
  const auto kernel = [](const std::vector<std::int64_t>& scale_shape, const std::vector<float>& scale) {
    TestModel m;
    m.input("x", {1, 3}).output("y");
    m.floats("w", {2, 3}, {1, -1, 0.5F, 2, -2, 3});
    add_quant(m, "w", "q", {.scale_shape = scale_shape, .scale = scale});
    m.node("Transpose", {"q"}, {"t"});
    m.node("MatMul", {"x", "t"}, {"y"});
    const Read read = read_model(m);
    EXPECT_EQ(read.ops(), "Dense") << read.text();
    return read.node(0).parameters.at("kernel");
  };
  const auto per_output = kernel({2, 1}, {0.5F, 1e-10F});
  ASSERT_TRUE(per_output.quantized);
  EXPECT_EQ(per_output.quantized->codes.shape, (Shape{3, 2}));
  EXPECT_EQ(per_output.quantized->codes.data, (std::vector<std::int64_t>{2, 3, -2, -4, 1, 3}));
  EXPECT_EQ(per_output.quantized->scale,
            Scale(std::vector<Rational>{fixed::rational_from_double(0.5), fixed::rational_from_double(1e-10F)}));
  EXPECT_EQ(per_output.values.data[1], 3 * 1e-10F);
  EXPECT_TRUE(kernel({}, {0.5F}).quantized->scale.per_tensor());
  EXPECT_TRUE(kernel({2, 1}, {0.5F, 0.5F}).quantized->scale.per_tensor());
  // Along the contracted axis no scale can be given; the values stand alone.
  const auto per_input = kernel({1, 3}, {0.5F, 1, 2});
  EXPECT_FALSE(per_input.quantized);
  EXPECT_EQ(per_input.values.data, (std::vector<float>{1, 1.5F, -1, -2, 0, 4}));
}

TEST(Quantizers, BipolarQuant) {
  TestModel m;
  m.input("x", {1, 2}).output("y");
  m.floats("w", {2, 2}, {-0.5F, 0, 3, -0.0F});
  m.floats("s", {1}, {0.25F});
  m.node("BipolarQuant", {"w", "s"}, {"q"}).domain("onnx.brevitas");
  m.node("MatMul", {"x", "q"}, {"a"});
  m.node("BipolarQuant", {"a", "s"}, {"y"}).domain("onnx.brevitas");
  const Read read = read_model(m);
  ASSERT_EQ(read.ops(), "Dense Activation") << read.text();
  const auto& kernel = read.node(0).parameters.at("kernel");
  EXPECT_EQ(kernel.values.data, (std::vector<float>{-0.25F, 0.25F, 0.25F, 0.25F}));
  EXPECT_EQ(kernel.quantized->codes.data, (std::vector<std::int64_t>{-1, 1, 1, 1}));
  EXPECT_EQ(read.node(1).functions.at("activation"),
            (quantizers::Spec{"bipolar_quant", {{"scale", std::vector<double>{0.25}}}}));
}

TEST(Quantizers, CodesSurviveMovementsOnly) {
  const auto through = [](const std::function<void(TestModel&)>& build) {
    TestModel m;
    m.input("x", {1, 4}).output("y");
    m.floats("w", {2, 2}, {1, -1, 0.5F, 1.5F});
    add_quant(m, "w", "q", {});
    m.ints("one", {1}, {0});
    m.ints("flat", {1}, {-1});
    m.floats("two", {}, {2});
    build(m);
    m.node("Add", {"x", "c"}, {"y"});
    const Read read = read_model(m);
    EXPECT_TRUE(read.graph) << read.text();
    return read.node(0).parameters.at("constant");
  };
  const auto moved = through([](TestModel& m) {
    m.node("Identity", {"q"}, {"q1"});
    m.node("Unsqueeze", {"q1", "one"}, {"q2"});
    m.node("Squeeze", {"q2", "one"}, {"q3"});
    m.node("Transpose", {"q3"}, {"q4"});
    m.node("Flatten", {"q4"}, {"q5"}).attribute("axis", std::int64_t{0});
    m.node("Reshape", {"q5", "flat"}, {"c"});
  });
  ASSERT_TRUE(moved.quantized);
  EXPECT_EQ(moved.quantized->codes.data, (std::vector<std::int64_t>{2, 1, -2, 3}));
  EXPECT_EQ(moved.values.data, (std::vector<float>{1, 0.5F, -1, 1.5F}));
  const auto computed = through([](TestModel& m) {
    m.node("Mul", {"q", "two"}, {"q1"});
    m.node("Reshape", {"q1", "flat"}, {"c"});
  });
  EXPECT_FALSE(computed.quantized);
  EXPECT_EQ(computed.values.data, (std::vector<float>{2, -2, 1, 3}));
}

TEST(Quantizers, ImpossibleParameters) {
  const auto kind = [](const QuantOptions& o, bool on_data) {
    TestModel m;
    m.input("x", {1, 2}).output("y");
    m.floats("w", {2}, {1, 2});
    add_quant(m, on_data ? "x" : "w", "q", o);
    m.node("Add", {"x", "q"}, {"y"});
    const Read read = read_model(m);
    EXPECT_FALSE(read.graph);
    return read.diagnostics.empty() ? Kind::Info : read.diagnostics.front().kind;
  };
  for (const bool on_data : {false, true}) {
    EXPECT_EQ(kind({.scale = {0}}, on_data), Kind::QuantizerUnsupported);
    EXPECT_EQ(kind({.scale = {-1}}, on_data), Kind::QuantizerUnsupported);
    EXPECT_EQ(kind({.scale = {NAN}}, on_data), Kind::QuantizerUnsupported);
    EXPECT_EQ(kind({.scale = {std::numeric_limits<float>::infinity()}}, on_data), Kind::QuantizerUnsupported);
    EXPECT_EQ(kind({.bits = 0}, on_data), Kind::QuantizerUnsupported);
    EXPECT_EQ(kind({.bits = 65}, on_data), Kind::QuantizerUnsupported);
    EXPECT_EQ(kind({.bits = NAN}, on_data), Kind::QuantizerUnsupported);
    EXPECT_EQ(kind({.zero = NAN}, on_data), Kind::ModelMalformed);
    EXPECT_EQ(kind({.rounding = "STOCHASTIC_ROUND"}, on_data), Kind::QuantizerUnsupported);
    EXPECT_EQ(kind({.scale_shape = {3}, .scale = {1, 2, 3}}, on_data), Kind::ShapeMismatch);
  }
  TestModel missing;
  missing.input("x", {1, 2}).output("y");
  missing.floats("s", {}, {1});
  missing.node("Quant", {"x", "s", "s", "s"}, {"y"}).attribute("signed", std::int64_t{1});
  EXPECT_TRUE(read_model(missing).has(Kind::ModelMalformed));
}

TEST(Quantizers, MultiThreshold) {
  const auto thresholds = [](const std::vector<std::int64_t>& data, const std::vector<std::int64_t>& shape,
                             const std::string& layout) {
    TestModel m;
    m.input("x", data).output("y");
    std::vector<float> t;
    for (std::int64_t i = 0; i < element_count(shape); ++i) t.push_back(static_cast<float>(i));
    m.floats("t", shape, t);
    TestNode node = m.node("MultiThreshold", {"x", "t"}, {"y"});
    node.domain("finn.custom_op.general")
        .attribute("out_dtype", "BIPOLAR")
        .attribute("out_scale", 2.0F)
        .attribute("out_bias", -1.0F);
    if (!layout.empty()) node.attribute("data_layout", layout);
    return read_model(m);
  };
  const Read read = thresholds({1, 2}, {2, 3}, "");
  ASSERT_EQ(read.ops(), "Activation") << read.text();
  const quantizers::Spec expected{"multithreshold",
                                  {{"thresholds", std::vector<double>{0, 1, 2, 3, 4, 5}},
                                   {"channels", std::int64_t{2}},
                                   {"out_scale", 2.0},
                                   {"out_bias", -1.0}}};
  EXPECT_EQ(read.node(0).functions.at("activation"), expected);
  diag::Engine engine;
  Context ctx{.diag = engine};
  EXPECT_TRUE(quantizers::make(expected, {}, ctx).ok());
  EXPECT_EQ(thresholds({1, 4, 4, 2}, {2, 1}, "NHWC").ops(), "Activation");
  EXPECT_EQ(thresholds({1, 2, 4, 4}, {1, 3}, "NCHW").ops(), "Activation");
  EXPECT_EQ(thresholds({1, 2, 4, 4}, {2, 3}, "NCHW").ops(), "Permute Activation Permute");
  EXPECT_TRUE(thresholds({1, 3}, {2, 3}, "NC").has(Kind::ShapeMismatch));
  EXPECT_TRUE(thresholds({1, 3}, {3}, "NC").has(Kind::ShapeMismatch));
}

/// The shape of a network as FINN saves it after its own streamlining starts: affine, thresholds, BN in 4-D, TopK.
TEST(Quantizers, FinnNetwork) {
  TestModel m(12);
  m.input("x", {1, 1, 2, 2}).output("y");
  m.floats("c255", {}, {255});
  m.ints("flat", {2}, {1, -1});
  m.floats("two", {}, {2});
  m.floats("one", {}, {1});
  m.floats("t0", {1, 1}, {0});
  m.floats("w0", {4, 3}, {1, -1, 1, 1, 1, -1, -1, 1, 1, 1, 1, 1});
  for (const auto* p : {"g", "b", "mu", "v"}) m.floats(p, {3}, {1, 2, 3});
  m.floats("t1", {3, 1}, {0, 1, 2});
  m.floats("w1", {3, 2}, {1, -1, 1, 1, -1, 1});
  m.ints("k", {1}, {1});
  m.node("Div", {"x", "c255"}, {"a0"});
  m.node("Reshape", {"a0", "flat"}, {"a1"});
  m.node("Mul", {"a1", "two"}, {"a2"});
  m.node("Sub", {"a2", "one"}, {"a3"});
  const auto threshold = [&](const std::string& in, const std::string& t, const std::string& out) {
    m.node("MultiThreshold", {in, t}, {out})
        .domain("finn.custom_op.general")
        .attribute("out_dtype", "BIPOLAR")
        .attribute("out_scale", 2.0F)
        .attribute("out_bias", -1.0F)
        .attribute("data_layout", "NC");
  };
  threshold("a3", "t0", "a4");
  m.node("MatMul", {"a4", "w0"}, {"a5"});
  m.node("Unsqueeze", {"a5"}, {"a6"}).attribute("axes", std::vector<std::int64_t>{2, 3});
  m.node("BatchNormalization", {"a6", "g", "b", "mu", "v"}, {"a7"})
      .attribute("epsilon", 1e-4F)
      .attribute("momentum", 0.9F);
  m.node("Squeeze", {"a7"}, {"a8"}).attribute("axes", std::vector<std::int64_t>{2, 3});
  threshold("a8", "t1", "a9");
  m.node("MatMul", {"a9", "w1"}, {"a10"});
  m.node("TopK", {"a10", "k"}, {"values", "y"})
      .attribute("axis", std::int64_t{-1})
      .attribute("largest", std::int64_t{1})
      .attribute("sorted", std::int64_t{1});
  const Read read = read_model(m);
  EXPECT_EQ(read.ops(), "Div Reshape Mul Sub Activation Dense Identity BatchNorm Identity Activation Dense ArgMax")
      << read.text();
  EXPECT_EQ(read.output_shape(), (Shape{1}));
}

}  // namespace
}  // namespace weft::formats::onnx
