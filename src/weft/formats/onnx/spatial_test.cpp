// SPDX-License-Identifier: Apache-2.0
// Networks over space: layouts, kernels with codes, what is refused. Numbers are checked by the node tests.
#include "weft/formats/onnx/test_model.h"
#include "weft/layers/float_run.h"

namespace weft::formats::onnx {
namespace {

using Ints = std::vector<std::int64_t>;

std::vector<float> counting(std::size_t n, float scale = 0.25F) {
  std::vector<float> out(n);
  for (std::size_t i = 0; i < n; ++i) out[i] = static_cast<float>(i * 7 % 11) * scale - 1.0F;
  return out;
}

std::vector<float> run(const Read& read, const std::vector<float>& x) {
  diag::Engine engine;
  Context ctx{.diag = engine};
  auto result = layers::run_float(*read.graph, {x}, 1, ctx);
  for (const auto& d : engine.all()) ADD_FAILURE() << diag::to_text(d);
  return result ? (*result)[read.graph->outputs.at(0).tensor.index] : std::vector<float>{};
}

/// x [1,2,4,5] -> what `build` adds -> y.
Read image(const std::function<void(TestModel&)>& build, std::int64_t opset = 13, const Ints& shape = {1, 2, 4, 5}) {
  TestModel m(opset);
  m.input("x", shape).output("y");
  build(m);
  return read_model(m);
}

void kernel(TestModel& m, const std::string& name, const Ints& shape) {
  m.floats(name, shape, counting(static_cast<std::size_t>(element_count(shape))));
}

TEST(Spatial, LayersStayChannelsLast) {
  const Read read = image([](TestModel& m) {
    kernel(m, "w1", {3, 2, 3, 3});
    kernel(m, "w2", {3, 3, 1, 1});
    for (const auto* name : {"s", "b", "mean", "v"}) m.floats(name, {3}, {1, 2, 3});
    m.floats("half", {1, 3, 1, 1}, {0.5F, 0.25F, 2.0F});
    m.node("Conv", {"x", "w1"}, {"c1"}).attribute("pads", Ints{1, 1, 1, 1});
    m.node("BatchNormalization", {"c1", "s", "b", "mean", "v"}, {"n"});
    m.node("Relu", {"n"}, {"r"});
    m.node("Mul", {"r", "half"}, {"h"});
    m.node("Conv", {"h", "w2"}, {"c2"});
    m.node("Add", {"c2", "r"}, {"a"});
    m.node("MaxPool", {"a"}, {"p"}).attribute("kernel_shape", Ints{2, 2}).attribute("strides", Ints{2, 2});
    m.node("Flatten", {"p"}, {"y"});
  });
  ASSERT_EQ(read.ops(), "Permute Conv BatchNorm Activation Mul Conv Add MaxPool Permute Reshape") << read.text();
  EXPECT_EQ(read.graph->at(read.node(1).outputs[0]).shape, (Shape{4, 5, 3}));
  EXPECT_EQ(read.node(1).parameters.at("kernel").values.shape, (Shape{3, 3, 2, 3}));
  EXPECT_EQ(read.node(4).parameters.at("constant").values.shape, (Shape{3}));
  EXPECT_EQ(get_ints(read.node(8).attributes, "permutation"), (Ints{2, 0, 1}));
  EXPECT_EQ(read.output_shape(), (Shape{12}));
}

TEST(Spatial, TransposesOfTheFileCancel) {
  const Read read = image(
      [](TestModel& m) {
        kernel(m, "w", {3, 2, 1, 1});
        m.node("Transpose", {"x"}, {"t"}).attribute("perm", Ints{0, 3, 1, 2});
        m.node("Conv", {"t", "w"}, {"c"});
        m.node("Transpose", {"c"}, {"y"}).attribute("perm", Ints{0, 2, 3, 1});
      },
      13, {1, 4, 5, 2});
  EXPECT_EQ(read.ops(), "Identity Conv Identity") << read.text();
  EXPECT_EQ(read.output_shape(), (Shape{4, 5, 3}));
}

TEST(Spatial, OutputsAreInOnnxOrder) {
  const Read read = image([](TestModel& m) {
    kernel(m, "w", {3, 2, 1, 1});
    m.node("Conv", {"x", "w"}, {"y"});
  });
  EXPECT_EQ(read.ops(), "Permute Conv Permute") << read.text();
  EXPECT_EQ(read.output_shape(), (Shape{3, 4, 5}));
}

TEST(Spatial, OnePermuteServesAllReaders) {
  const Read read = image([](TestModel& m) {
    kernel(m, "w", {2, 2, 1, 1});
    m.node("Conv", {"x", "w"}, {"a"});
    m.node("Conv", {"x", "w"}, {"b"});
    m.node("Add", {"a", "b"}, {"c"});
    m.node("Add", {"c", "x"}, {"y"});
  });
  EXPECT_EQ(read.ops(), "Permute Conv Conv Add Add Permute") << read.text();
}

TEST(Spatial, ChannelsAfterAGlobalPoolNeedNoPermute) {
  for (const std::string op : {"GlobalAveragePool", "GlobalMaxPool"}) {
    const Read read = image([&](TestModel& m) {
      m.floats("w", {2, 3}, counting(6));
      m.node(op, {"x"}, {"p"});
      m.node("Flatten", {"p"}, {"f"});
      m.node("MatMul", {"f", "w"}, {"y"});
    });
    EXPECT_EQ(read.ops(), "Permute " + op + " Reshape Dense") << read.text();
  }
  const Read mean = image([](TestModel& m) {
    m.node("ReduceMean", {"x"}, {"y"}).attribute("axes", Ints{-1, 2}).attribute("keepdims", std::int64_t{0});
  });
  EXPECT_EQ(mean.ops(), "Permute GlobalAveragePool") << mean.text();
  EXPECT_EQ(mean.output_shape(), (Shape{2}));
}

TEST(Spatial, FlattenKeepsOnnxOrder) {
  const Read read = image([](TestModel& m) {
    m.floats("w", {2, 2, 1, 1}, {1, 0, 0, 1});
    m.node("Conv", {"x", "w"}, {"c"});
    m.node("Flatten", {"c"}, {"y"});
  });
  const auto x = counting(40);
  EXPECT_EQ(run(read, x), x);
}

TEST(Spatial, DepthwiseKernels) {
  const auto build = [](bool per_channel) {
    return image([&](TestModel& m) {
      kernel(m, "w", {4, 1, 3, 3});
      m.floats("s", {4, 1, 1, 1}, per_channel ? std::vector<float>{0.5F, 0.25F, 1, 2} : std::vector<float>(4, 0.25F));
      m.floats("z", {}, {0});
      m.floats("bits", {}, {4});
      m.node("Quant", {"w", "s", "z", "bits"}, {"q"})
          .domain("qonnx.custom_op.general")
          .attribute("signed", std::int64_t{1})
          .attribute("narrow", std::int64_t{1});
      m.node("Conv", {"x", "q"}, {"y"}).attribute("group", std::int64_t{2});
    });
  };
  const Read same = build(false);
  ASSERT_EQ(same.ops(), "Permute DepthwiseConv Permute") << same.text();
  const auto& depthwise = same.node(1).parameters.at("kernel");
  EXPECT_EQ(depthwise.values.shape, (Shape{3, 3, 2, 2}));
  EXPECT_TRUE(depthwise.quantized.has_value());
  // One scale per output channel is kept by a grouped kernel.
  const Read scaled = build(true);
  ASSERT_EQ(scaled.ops(), "Permute Conv Permute") << scaled.text();
  const auto& grouped = scaled.node(1).parameters.at("kernel");
  EXPECT_EQ(grouped.values.shape, (Shape{3, 3, 1, 4}));
  ASSERT_TRUE(grouped.quantized.has_value());
  EXPECT_EQ(grouped.quantized->scale.factors.size(), 4U);
  EXPECT_EQ(get_int(scaled.node(1).attributes, "groups", 1), 2);
}

TEST(Spatial, ChannelsLastSet) {
  const Read read = image(
      [](TestModel& m) {
        kernel(m, "w", {3, 2, 2, 2});
        m.node("Conv", {"x", "w"}, {"c"}).domain("qonnx.custom_op.channels_last").attribute("strides", Ints{2, 2});
        m.node("MaxPool", {"c"}, {"y"}).domain("qonnx.custom_op.channels_last").attribute("kernel_shape", Ints{2, 2});
      },
      13, {1, 4, 6, 2});
  ASSERT_EQ(read.ops(), "Conv MaxPool") << read.text();
  EXPECT_EQ(read.node(0).parameters.at("kernel").values.shape, (Shape{2, 2, 2, 3}));
  EXPECT_EQ(read.output_shape(), (Shape{1, 2, 3}));
}

TEST(Spatial, QuantizersPerChannel) {
  const Read read = image([](TestModel& m) {
    kernel(m, "w", {2, 2, 1, 1});
    m.floats("s", {1, 2, 1, 1}, {0.5F, 0.25F});
    m.floats("z", {}, {0});
    m.floats("bits", {}, {4});
    m.node("Conv", {"x", "w"}, {"c"});
    m.node("Quant", {"c", "s", "z", "bits"}, {"q"})
        .domain("qonnx.custom_op.general")
        .attribute("signed", std::int64_t{1})
        .attribute("narrow", std::int64_t{0});
    m.node("Softmax", {"q"}, {"y"}).attribute("axis", std::int64_t{1});
  });
  EXPECT_EQ(read.ops(), "Permute Conv Activation Softmax Permute") << read.text();
}

/// x -> QuantizeLinear -> [Clip] -> DequantizeLinear.
Read qcdq(std::int64_t zero, const Ints& bounds, bool is_signed) {
  return image([&](TestModel& m) {
    m.floats("s", {}, {0.25F});
    auto* z = m.ints("z", {}, {});
    z->set_data_type(is_signed ? 3 : 2);
    z->add_int32_data(static_cast<std::int32_t>(zero));
    m.node("QuantizeLinear", {"x", "s", "z"}, {"q"});
    std::string at = "q";
    if (!bounds.empty()) {
      for (const std::size_t i : {0U, 1U}) {
        auto* bound = m.ints(i == 0 ? "lo" : "hi", {}, {});
        bound->set_data_type(is_signed ? 3 : 2);
        bound->add_int32_data(static_cast<std::int32_t>(bounds[i]));
      }
      m.node("Clip", {"q", "lo", "hi"}, {"c"});
      at = "c";
    }
    m.node("DequantizeLinear", {at, "s", "z"}, {"y"});
  });
}

TEST(Qcdq, BecomesOneQuantizer) {
  const Read whole = qcdq(0, {}, true);
  ASSERT_EQ(whole.ops(), "Activation") << whole.text();
  const auto& spec = whole.node(0).functions.at("activation");
  EXPECT_EQ(spec.family, "qonnx_quant");
  EXPECT_EQ(get_double(spec.parameters, "bits", 0), 8.0);
  const Read narrow = qcdq(0, {-7, 7}, true);
  ASSERT_EQ(narrow.ops(), "Activation") << narrow.text();
  EXPECT_EQ(get_double(narrow.node(0).functions.at("activation").parameters, "bits", 0), 4.0);
  EXPECT_TRUE(get_bool(narrow.node(0).functions.at("activation").parameters, "narrow", false));
  EXPECT_EQ(qcdq(128, {}, false).ops(), "Activation");
  // Odd zero points and other ranges take two steps.
  EXPECT_EQ(qcdq(3, {}, false).ops(), "Activation Activation");
  EXPECT_EQ(qcdq(0, {-3, 5}, true).ops(), "Activation Activation");
}

TEST(Qcdq, ComputesWhatOnnxDefines) {
  const auto x = counting(40, 7.37F);
  for (const std::int64_t zero : {0, 3, 100, 128}) {
    for (const Ints& bounds : {Ints{}, Ints{3, 120}, Ints{0, 15}}) {
      const Read read = qcdq(zero, bounds, false);
      ASSERT_TRUE(read.graph) << read.text();
      const auto got = run(read, x);
      ASSERT_EQ(got.size(), x.size());
      for (std::size_t i = 0; i < x.size(); ++i) {
        const float lo = bounds.empty() ? 0.0F : static_cast<float>(bounds[0]);
        const float hi = bounds.empty() ? 255.0F : static_cast<float>(bounds[1]);
        const auto z = static_cast<float>(zero);
        const float q = std::min(hi, std::max(lo, std::nearbyintf(x[i] / 0.25F) + z));
        EXPECT_EQ(got[i], (q - z) * 0.25F) << zero << " " << x[i];
      }
    }
  }
}

TEST(Qcdq, WeightsCarryCodes) {
  const Read read = image([](TestModel& m) {
    auto* w = m.ints("w", {3, 2, 1, 1}, {});
    w->set_data_type(3);
    for (const int v : {1, -2, 3, -4, 5, -6}) w->add_int32_data(v);
    m.floats("s", {3}, {0.5F, 0.25F, 0.125F});
    auto* z = m.ints("z", {3}, {});
    z->set_data_type(3);
    for (int i = 0; i < 3; ++i) z->add_int32_data(0);
    m.node("DequantizeLinear", {"w", "s", "z"}, {"f"}).attribute("axis", std::int64_t{0});
    m.node("Conv", {"x", "f"}, {"y"});
  });
  ASSERT_EQ(read.ops(), "Permute Conv Permute") << read.text();
  const auto& kernel = read.node(1).parameters.at("kernel");
  ASSERT_TRUE(kernel.quantized.has_value());
  EXPECT_EQ(kernel.quantized->codes.data, (std::vector<std::int64_t>{1, 3, 5, -2, -4, -6}));
  EXPECT_EQ(kernel.quantized->scale.factors.size(), 3U);
}

TEST(Spatial, WhatIsRefused) {
  const auto refused = [](Kind kind, const std::function<void(TestModel&)>& build, std::int64_t batch = 1) {
    const Read read = image(build, 13, {batch, 2, 4, 5});
    EXPECT_TRUE(read.has(kind)) << read.ops() << "\n" << read.text();
  };
  const auto conv = [](const Ints& shape, const std::function<void(TestNode)>& more) {
    return [=](TestModel& m) {
      kernel(m, "w", shape);
      more(m.node("Conv", {"x", "w"}, {"y"}));
    };
  };
  refused(Kind::ShapeMismatch, conv({3, 3, 1, 1}, [](TestNode) {}));
  refused(Kind::ShapeMismatch, conv({3, 2, 1}, [](TestNode) {}));
  refused(Kind::ShapeMismatch, conv({3, 2, 5, 1}, [](TestNode) {}));
  refused(Kind::ShapeMismatch, conv({3, 1, 1, 1}, [](TestNode n) { n.attribute("group", std::int64_t{2}); }));
  refused(Kind::ShapeMismatch, conv({3, 2, 1, 1}, [](TestNode n) { n.attribute("group", std::int64_t{0}); }));
  refused(Kind::ShapeMismatch, conv({3, 2, 1, 1}, [](TestNode n) { n.attribute("kernel_shape", Ints{2, 2}); }));
  refused(Kind::AttributeUnsupported, conv({3, 2, 1, 1}, [](TestNode n) { n.attribute("strides", Ints{0, 1}); }));
  refused(Kind::AttributeUnsupported, conv({3, 2, 1, 1}, [](TestNode n) { n.attribute("pads", Ints{-1, 0, 0, 0}); }));
  refused(Kind::AttributeUnsupported, conv({3, 2, 1, 1}, [](TestNode n) { n.attribute("auto_pad", "SAME"); }));
  refused(Kind::AttributeUnsupported,
          conv({3, 2, 1, 1}, [](TestNode n) { n.attribute("dilations", Ints{1, std::int64_t{1} << 62}); }));
  // 2^24 + 4 rows of as many columns.
  refused(Kind::LimitExceeded,
          conv({3, 2, 1, 1}, [](TestNode n) { n.attribute("pads", Ints{1 << 24, 1 << 24, 0, 0}); }));
  refused(Kind::AttributeUnsupported, [](TestModel& m) {
    m.node("AveragePool", {"x"}, {"y"}).attribute("kernel_shape", Ints{2, 2}).attribute("pads", Ints{2, 0, 0, 0});
  });
  refused(Kind::LayerUnsupported,
          [](TestModel& m) { m.node("MaxPool", {"x"}, {"p", "y"}).attribute("kernel_shape", Ints{2, 2}); });
  refused(Kind::AttributeUnsupported, [](TestModel& m) {
    m.floats("s", {4}, {1, 1, 2, 2});
    m.node("Resize", {"x", "", "s"}, {"y"}).attribute("coordinate_transformation_mode", "centered");
  });
  refused(Kind::LimitExceeded, [](TestModel& m) {
    m.floats("s", {4}, {1, 1, 1048576, 1048576});
    m.node("Resize", {"x", "", "s"}, {"y"});
  });
  refused(Kind::LimitExceeded, [](TestModel& m) {
    m.ints("p", {8}, {0, 0, 1 << 30, 1 << 30, 0, 0, 0, 0});
    m.node("Pad", {"x", "p"}, {"y"});
  });
  refused(
      Kind::LayerUnsupported,
      [](TestModel& m) {
        m.ints("p", {8}, {1, 0, 0, 0, 0, 0, 0, 0});
        m.node("Pad", {"x", "p"}, {"y"});
      },
      -1);
  refused(
      Kind::LayerUnsupported,
      [](TestModel& m) {
        m.node("Split", {"x"}, {"y"}).attribute("axis", std::int64_t{0});
        m.node("Concat", {"x", "x"}, {"z"}).attribute("axis", std::int64_t{0});
        m.output("z");
      },
      -1);
}

TEST(Spatial, SlicesTakeHugeNumbers) {
  const auto largest = std::numeric_limits<std::int64_t>::max();
  const auto smallest = std::numeric_limits<std::int64_t>::min();
  const auto slice = [](std::int64_t start, std::int64_t end, std::int64_t step) {
    return image([=](TestModel& m) {
      m.ints("b", {1}, {start});
      m.ints("e", {1}, {end});
      m.ints("a", {1}, {3});
      m.ints("s", {1}, {step});
      m.node("Slice", {"x", "b", "e", "a", "s"}, {"y"});
    });
  };
  EXPECT_EQ(slice(0, largest, largest).output_shape(), (Shape{2, 4, 1}));
  EXPECT_EQ(slice(largest, smallest, smallest).output_shape(), (Shape{2, 4, 1}));
  EXPECT_EQ(slice(-1, smallest, -1).output_shape(), (Shape{2, 4, 5}));
  EXPECT_TRUE(slice(smallest, smallest, 1).has(Kind::ShapeMismatch));
}

}  // namespace
}  // namespace weft::formats::onnx
