// SPDX-License-Identifier: Apache-2.0
// Operators that treat all axes alike, files without a batch, operators on integers, QONNX' smaller quantizers. The
// numbers are worked out by hand or by a formula of their own.
#include <cmath>

#include "weft/formats/onnx/test_model.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer.h"

namespace weft::formats::onnx {
namespace {

using Ints = std::vector<std::int64_t>;
using Floats = std::vector<float>;

/// The first output on one batch of samples.
Floats run(const Read& read, const std::vector<Floats>& inputs) {
  EXPECT_TRUE(read.graph) << read.text();
  if (!read.graph) return {};
  diag::Engine engine;
  Context ctx{.diag = engine};
  nn::Graph graph = *read.graph;
  EXPECT_TRUE(layers::check(graph, ctx));
  const auto samples =
      static_cast<std::int64_t>(inputs[0].size()) / element_count(graph.at(graph.inputs[0].tensor).shape);
  auto result = layers::run_float(graph, inputs, samples, ctx, layers::Keep::Outputs);
  for (const auto& d : engine.all()) ADD_FAILURE() << diag::to_text(d);
  return result ? (*result)[graph.outputs.at(0).tensor.index] : Floats{};
}

Read model_of(const std::vector<Ints>& shapes, const std::function<void(TestModel&)>& build, std::int64_t opset = 18,
              int element = 1) {
  TestModel m(opset);
  for (std::size_t i = 0; i < shapes.size(); ++i) {
    std::string name = "x";
    if (i > 0) name += std::to_string(i);
    m.input(name, shapes[i], element);
  }
  m.output("y");
  build(m);
  return read_model(m);
}

/// A constant of 8-bit integers.
void bytes(TestModel& m, const std::string& name, const Ints& shape, const Ints& values, int element) {
  auto* t = m.ints(name, shape, {});
  t->set_data_type(element);
  for (const auto v : values) t->add_int32_data(static_cast<std::int32_t>(v));
}

TEST(Tensors, MatMulOfTwoTensorsStretchesOuterAxes) {
  const Read read =
      model_of({{-1, 2, 2, 3}, {-1, 1, 3, 2}}, [](TestModel& m) { m.node("MatMul", {"x", "x1"}, {"y"}); });
  ASSERT_EQ(read.ops(), "Einsum") << read.text();
  EXPECT_EQ(read.output_shape(), (Shape{2, 2, 2}));
  const Floats b{1, 2, 0, 1, 1, 0};  // 3 x 2
  EXPECT_EQ(run(read, {{1, 0, 0, 0, 1, 0, 0, 0, 1, 1, 1, 1}, b}), (Floats{1, 2, 0, 1, 1, 0, 2, 3}));
}

TEST(Tensors, AFileOfFixedShapesThatMixesItsFirstAxisIsOneSample) {
  const Read sum = model_of({{2, 3}}, [](TestModel& m) {
    m.ints("axes", {1}, {0});
    m.node("ReduceSum", {"x", "axes"}, {"y"}).attribute("keepdims", std::int64_t{0});
  });
  EXPECT_TRUE(sum.has(Kind::Info)) << sum.text();
  EXPECT_EQ(sum.graph->at(sum.graph->inputs[0].tensor).shape, (Shape{2, 3}));
  EXPECT_EQ(run(sum, {{1, 2, 3, 10, 20, 30}}), (Floats{11, 22, 33}));
  // With an open first axis the same is refused: samples would be mixed.
  const Read open = model_of({{-1, 3}}, [](TestModel& m) {
    m.ints("axes", {1}, {0});
    m.node("ReduceSum", {"x", "axes"}, {"y"});
  });
  EXPECT_TRUE(open.has(Kind::LayerUnsupported)) << open.text();
  // A convolution takes an axis of extent one for its batch on the way.
  const Read mixed = model_of({{1, 2, 3}}, [](TestModel& m) {
    m.floats("w", {1, 2, 1}, {1, 10});
    m.ints("axes", {1}, {0});
    m.node("Conv", {"x", "w"}, {"c"});
    m.node("ReduceMax", {"c", "axes"}, {"y"}).attribute("keepdims", std::int64_t{0});
  });
  EXPECT_EQ(run(mixed, {{1, 2, 3, 4, 5, 6}}), (Floats{41, 52, 63}));
}

TEST(Tensors, EinsumWithEllipsisAndConstants) {
  const Read read = model_of({{-1, 2, 2}}, [](TestModel& m) {
    m.floats("c", {2, 3}, {1, 2, 3, 4, 5, 6});
    m.node("Einsum", {"x", "c"}, {"y"}).attribute("equation", "b...i, ij -> b...j");
  });
  EXPECT_EQ(run(read, {{1, 0, 0, 1, 1, 1, 0, 0}}), (Floats{1, 2, 3, 4, 5, 6, 5, 7, 9, 0, 0, 0}));
  const Read batch =
      model_of({{-1, 2}}, [](TestModel& m) { m.node("Einsum", {"x"}, {"y"}).attribute("equation", "bi->i"); });
  EXPECT_TRUE(batch.has(Kind::LayerUnsupported)) << batch.text();
}

TEST(Tensors, GemmOfTwoTensors) {
  const Read read = model_of({{2, 2}, {2, 2}}, [](TestModel& m) {
    m.floats("c", {2}, {1, 2});
    m.node("Gemm", {"x", "x1", "c"}, {"y"})
        .attribute("alpha", 0.5F)
        .attribute("beta", 2.0F)
        .attribute("transA", std::int64_t{1});
  });
  // x' = [[1, 3], [2, 4]]; x' [[2, 0], [0, 2]] / 2 + [2, 4].
  EXPECT_EQ(run(read, {{1, 2, 3, 4}, {2, 0, 0, 2}}), (Floats{3, 7, 4, 8}));
}

TEST(Tensors, ConvTransposePlacesEveryElement) {
  const Read read = model_of({{-1, 1, 2}}, [](TestModel& m) {
    m.floats("w", {1, 2, 3}, {1, 2, 3, 10, 20, 30});
    m.floats("b", {2}, {0, 100});
    m.node("ConvTranspose", {"x", "w", "b"}, {"y"})
        .attribute("strides", Ints{2})
        .attribute("pads", Ints{1, 0})
        .attribute("output_padding", Ints{1});
  });
  // The full result of channel 0 is x0, 2 x0, 3 x0 + x1, 2 x1, 3 x1; the first goes, a zero follows.
  EXPECT_EQ(run(read, {{1, 5}}), (Floats{2, 8, 10, 15, 0, 120, 180, 200, 250, 100}));
}

TEST(Tensors, LinearResizeHasWeightsOnAGrid) {
  const Read read = model_of({{-1, 1, 3}}, [](TestModel& m) {
    m.floats("s", {3}, {1, 1, 2});
    m.node("Resize", {"x", "", "s"}, {"y"}).attribute("mode", "linear");
  });
  ASSERT_TRUE(read.graph) << read.text();
  const auto& kernel = read.node(read.graph->nodes.size() - 1).parameters;
  ASSERT_TRUE(kernel.count("kernel") != 0 && kernel.at("kernel").quantized) << read.ops();
  EXPECT_EQ(kernel.at("kernel").quantized->scale, Scale(Rational(1) / Rational(4)));
  EXPECT_EQ(run(read, {{0, 4, 8}}), (Floats{0, 1, 3, 5, 7, 8}));
  const Read thirds = model_of({{-1, 1, 2}}, [](TestModel& m) {
    m.ints("n", {3}, {1, 1, 3});
    m.node("Resize", {"x", "", "", "n"}, {"y"}).attribute("mode", "nearest").attribute("nearest_mode", "floor");
  });
  EXPECT_EQ(run(thirds, {{1, 2}}), (Floats{1, 1, 2}));
  // One element, of 1.5: the first one, not the middle.
  const Read one = model_of({{-1, 1, 3}}, [](TestModel& m) {
    m.floats("s", {3}, {1, 1, 0.5F});
    m.node("Resize", {"x", "", "s"}, {"y"})
        .attribute("mode", "linear")
        .attribute("coordinate_transformation_mode", "pytorch_half_pixel");
  });
  EXPECT_EQ(run(one, {{1, 2, 4}}), (Floats{1}));
}

TEST(Tensors, SearchesAlongAnyAxis) {
  const auto top = [](const std::vector<std::string>& outputs, std::int64_t largest) {
    return model_of({{-1, 3, 2}}, [&](TestModel& m) {
      m.ints("k", {1}, {2});
      m.node("TopK", {"x", "k"}, outputs).attribute("axis", std::int64_t{1}).attribute("largest", largest);
    });
  };
  const Floats x{5, 1, 7, 1, 6, 3};
  EXPECT_EQ(run(top({"y", "i"}, 1), {x}), (Floats{7, 3, 6, 1}));
  EXPECT_EQ(run(top({"v", "y"}, 1), {x}), (Floats{1, 2, 2, 0}));
  EXPECT_EQ(run(top({"y", "i"}, 0), {x}), (Floats{5, 1, 6, 1}));
  const Read last = model_of({{-1, 2, 2, 1}}, [](TestModel& m) {
    m.node("ArgMin", {"x"}, {"y"})
        .attribute("axis", std::int64_t{2})
        .attribute("select_last_index", std::int64_t{1})
        .attribute("keepdims", std::int64_t{0});
  });
  EXPECT_EQ(run(last, {{3, 3, 1, 2}}), (Floats{1, 0}));
}

TEST(Tensors, ConstantsMeetDataInAnyShape) {
  const Read read = model_of({{-1, 2, 2}}, [](TestModel& m) {
    m.floats("c", {2, 2}, {1, 2, 3, 4});
    m.floats("r", {1, 2, 1}, {10, 20});
    m.node("Add", {"x", "c"}, {"a"});
    m.node("Max", {"a", "r"}, {"b"});
    m.node("Sum", {"b", "x", "c"}, {"y"});
  });
  EXPECT_EQ(run(read, {{0, 0, 0, 0, 100, 0, 0, 100}}), (Floats{11, 12, 23, 24, 202, 12, 23, 208}));
}

TEST(Tensors, ComparisonsAndChoices) {
  const Read read = model_of({{-1, 3}}, [](TestModel& m) {
    m.floats("t", {}, {2});
    m.floats("z", {1}, {-1});
    m.node("Greater", {"x", "t"}, {"g"});
    m.node("Where", {"g", "x", "z"}, {"y"});
  });
  EXPECT_EQ(run(read, {{1, 2, 3}}), (Floats{-1, -1, 3}));
  const Read equal = model_of({{-1, 2}, {-1, 2}}, [](TestModel& m) { m.node("Equal", {"x", "x1"}, {"y"}); });
  EXPECT_EQ(run(equal, {{1, 2, 3, 4}, {1, 3, 3, 0}}), (Floats{1, 0, 1, 0}));
}

TEST(Tensors, RowsOfATableByData) {
  const Read read = model_of(
      {{-1, 2}},
      [](TestModel& m) {
        m.floats("table", {3, 2}, {1, 2, 3, 4, 5, 6});
        m.node("Gather", {"table", "x"}, {"y"});
      },
      18, 7);
  ASSERT_EQ(read.ops(), "Embedding") << read.text();
  EXPECT_EQ(run(read, {{2, 0, -1, 1}}), (Floats{5, 6, 1, 2, 5, 6, 3, 4}));
}

TEST(Tensors, IntegersOfAQuantizerMayBeMoved) {
  const Read read = model_of({{-1, 1, 4}}, [](TestModel& m) {
    m.floats("s", {}, {0.5F});
    bytes(m, "i", {}, {2}, 3);
    m.node("QuantizeLinear", {"x", "s", "i"}, {"q"});
    m.node("MaxPool", {"q"}, {"p"}).attribute("kernel_shape", Ints{2}).attribute("strides", Ints{2});
    m.node("DequantizeLinear", {"p", "s", "i"}, {"y"});
  });
  EXPECT_EQ(run(read, {{0.3F, -1, 100, 2}}), (Floats{0.5F, 62.5F}));
  // Without a DequantizeLinear the integers themselves come out.
  const Read raw = model_of({{-1, 2}}, [](TestModel& m) {
    m.floats("s", {}, {0.5F});
    m.node("QuantizeLinear", {"x", "s"}, {"y"});
  });
  EXPECT_EQ(run(raw, {{1.26F, -3}}), (Floats{3, 0}));
}

TEST(Tensors, ConvIntegerSubtractsItsZeroPoints) {
  TestModel m(18);
  m.input("x", {-1, 1, 3}, 2).output("y");
  bytes(m, "w", {1, 1, 2}, {3, 5}, 2);
  bytes(m, "xz", {}, {10}, 2);
  bytes(m, "wz", {}, {4}, 2);
  m.node("ConvInteger", {"x", "w", "xz", "wz"}, {"y"});
  EXPECT_EQ(run(read_model(m), {{10, 20, 5}}), (Floats{10, -15}));
}

TEST(Tensors, TruncDropsTheLowestBits) {
  const auto trunc = [](const std::vector<std::string>& inputs, const char* mode) {
    return model_of({{-1, 3}}, [&](TestModel& m) {
      m.floats("s", {}, {0.25F});
      m.floats("z", {}, {0});
      m.floats("in", {}, {6});
      m.floats("os", {}, {1});
      m.floats("out", {}, {4});
      m.floats("two", {}, {2});
      m.node("Trunc", inputs, {"y"}).domain("qonnx.custom_op.general").attribute("rounding_mode", mode);
    });
  };
  // Codes 5, -5, 40 without their two lowest bits, on the scale of the input: 1, -2, 10 quarters.
  EXPECT_EQ(run(trunc({"x", "s", "z", "in", "out"}, "FLOOR"), {{1.25F, -1.25F, 10}}), (Floats{0.25F, -0.5F, 2.5F}));
  // Version 2 keeps the magnitude and clips: 4 signed bits end at 7, 2 at 1.
  EXPECT_EQ(run(trunc({"x", "s", "z", "in", "os", "out"}, "FLOOR"), {{1.25F, -1.25F, 10}}), (Floats{1, -2, 7}));
  EXPECT_EQ(run(trunc({"x", "s", "z", "in", "os", "two"}, "CEIL"), {{1.25F, -1.25F, 10}}), (Floats{1, -1, 1}));
}

TEST(Tensors, TruncRoundsToIntegersFirst) {
  // float32(50 s) / (2 s) lies just below 25.
  constexpr float kScale = 0.013337976299226284F;
  constexpr float kFifty = 0.6668987274169922F;
  EXPECT_LT(kFifty / (2 * kScale), 25.0F);
  const Read read = model_of({{-1, 1}}, [&](TestModel& m) {
    m.floats("s", {}, {kScale});
    m.floats("z", {}, {0});
    m.floats("in", {}, {9});
    m.floats("os", {}, {2 * kScale});
    m.floats("out", {}, {8});
    m.node("Trunc", {"x", "s", "z", "in", "os", "out"}, {"y"})
        .domain("qonnx.custom_op.general")
        .attribute("rounding_mode", "FLOOR");
  });
  EXPECT_EQ(run(read, {{kFifty}}), (Floats{25 * (2 * kScale)}));
}

TEST(Tensors, FloatQuantRoundsToItsFormat) {
  const Read read = model_of({{-1, 6}}, [](TestModel& m) {
    m.floats("s", {}, {2});
    m.floats("e", {}, {4});
    m.floats("mantissa", {}, {3});
    m.floats("bias", {}, {7});
    m.floats("most", {}, {448});
    m.node("FloatQuant", {"x", "s", "e", "mantissa", "bias", "most"}, {"y"}).domain("qonnx.custom_op.general");
  });
  // Times two: 1.0625 lies between 1 and 1.125 (to even), 17 between 16 and 18, 2^-10 between 0 and 2^-9; 1000 clips.
  EXPECT_EQ(run(read, {{2.125F, 34, 2000, -2000, std::ldexp(1.0F, -9), std::ldexp(3.0F, -9)}}),
            (Floats{2, 32, 896, -896, 0, std::ldexp(4.0F, -9)}));
}

TEST(Tensors, AttentionOverOneHead) {
  const Read read = model_of(
      {{-1, 2, 1}, {-1, 2, 1}, {-1, 2, 1}},
      [](TestModel& m) {
        m.node("Attention", {"x", "x1", "x2"}, {"y"})
            .attribute("q_num_heads", std::int64_t{1})
            .attribute("kv_num_heads", std::int64_t{1})
            .attribute("is_causal", std::int64_t{1});
      },
      23);
  const Floats y = run(read, {{1, 2}, {3, 4}, {10, 20}});
  ASSERT_EQ(y.size(), 2U);
  EXPECT_EQ(y[0], 10);  // the first query sees the first key alone
  const double w = 1.0 / (1.0 + std::exp(6.0 - 8.0));
  EXPECT_NEAR(y[1], 10 * (1 - w) + 20 * w, 1e-5);
}

TEST(Tensors, OutputsMayBeConstants) {
  const Read read = model_of({{1, 2}}, [](TestModel& m) {
    m.floats("c", {3}, {1, -2, 0.5F});
    m.node("Relu", {"c"}, {"y"});
  });
  EXPECT_EQ(run(read, {{7, 8}}), (Floats{1, 0, 0.5F}));
  EXPECT_EQ(read.output_shape(), (Shape{3}));
}

TEST(Tensors, PortsWithoutABatchAreOneSample) {
  const auto relu = [](TestModel& m) { m.node("Relu", {"x"}, {"y"}); };
  const Read number = model_of({{}}, relu);
  EXPECT_EQ(run(number, {{-3}}), (Floats{0}));
  EXPECT_EQ(run(number, {{3}}), (Floats{3}));
  EXPECT_EQ(number.output_shape(), Shape{});
  // No axis that both inputs have in common: none is the batch.
  const Read two = model_of({{3, 2}, {4, 2}}, relu);
  EXPECT_EQ(run(two, {{1, -1, 2, -2, 3, -3}, Floats(8)}), (Floats{1, 0, 2, 0, 3, 0}));
  EXPECT_EQ(two.output_shape(), (Shape{3, 2}));
}

TEST(Tensors, RoundGoesToTheEvenNeighbour) {
  const Floats numbers{-2.5F, -1.5F, -0.5F, 0.5F, 1.25F, 1.5F, 2.5F, 3};
  const Floats wanted{-2, -2, 0, 0, 1, 2, 2, 3};
  EXPECT_EQ(run(model_of({{-1, 8}}, [](TestModel& m) { m.node("Round", {"x"}, {"y"}); }), {numbers}), wanted);
  const Read folded = model_of({{-1, 8}}, [&](TestModel& m) {
    m.floats("c", {8}, numbers);
    m.node("Round", {"c"}, {"r"});
    m.node("Add", {"x", "r"}, {"y"});
  });
  EXPECT_EQ(run(folded, {Floats(8)}), wanted);
}

TEST(Tensors, NormalizationsMayRunOverEveryAxisOfASample) {
  const auto over = [](const std::string& op, const std::vector<std::int64_t>& shape, std::int64_t p) {
    return model_of({shape}, [&](TestModel& m) {
      auto node = m.node(op, {"x"}, {"y"});
      if (op == "LpNormalization") node.attribute("axis", std::int64_t{0}).attribute("p", p);
    });
  };
  // Columns 3 4 and 1 0.
  EXPECT_EQ(run(over("LpNormalization", {2, 2}, 1), {{3, 1, 1, 0}}), (Floats{0.75F, 1, 0.25F, 0}));
  EXPECT_EQ(run(over("LpNormalization", {2, 2}, 2), {{4, 1, 3, 0}}), (Floats{0.8F, 1, 0.6F, 0}));
  // An open batch is none of the axes.
  EXPECT_TRUE(over("LpNormalization", {-1, 2}, 1).has(Kind::LayerUnsupported));
}

TEST(Tensors, TrianglesOfEverySampleOfAnOpenBatch) {
  const Read read =
      model_of({{-1, 2, 2}}, [](TestModel& m) { m.node("Trilu", {"x"}, {"y"}).attribute("upper", std::int64_t{0}); });
  EXPECT_EQ(run(read, {{1, 2, 3, 4, 5, 6, 7, 8}}), (Floats{1, 0, 3, 4, 5, 0, 7, 8}));
  EXPECT_TRUE(model_of({{-1, 2}}, [](TestModel& m) { m.node("Trilu", {"x"}, {"y"}); }).has(Kind::LayerUnsupported));
}

TEST(Tensors, RefusalsSayWhat) {
  const auto refused = [](Kind kind, const std::vector<Ints>& shapes, const std::function<void(TestModel&)>& build) {
    const Read read = model_of(shapes, build);
    EXPECT_FALSE(read.graph);
    EXPECT_TRUE(read.has(kind)) << read.text();
  };
  refused(Kind::LayerUnsupported, {{-1, 2}},
          [](TestModel& m) { m.node("DynamicQuantizeLinear", {"x"}, {"y", "s", "z"}); });
  refused(Kind::AttributeUnsupported, {{-1, 1, 3}}, [](TestModel& m) {
    m.floats("s", {3}, {1, 1, 2});
    m.node("Resize", {"x", "", "s"}, {"y"}).attribute("mode", "lanczos");
  });
  refused(Kind::ShapeMismatch, {{-1, 2, 3}, {-1, 2, 3}}, [](TestModel& m) { m.node("MatMul", {"x", "x1"}, {"y"}); });
  refused(Kind::ShapeMismatch, {{-1, 1, 3}}, [](TestModel& m) {
    m.floats("w", {2, 1, 2}, {1, 2, 3, 4});
    m.node("ConvTranspose", {"x", "w"}, {"y"});
  });
  refused(Kind::QuantizerUnsupported, {{-1, 3}}, [](TestModel& m) {
    for (const auto* name : {"s", "e", "mantissa"}) m.floats(name, {}, {3});
    m.node("FloatQuant", {"x", "s", "e", "mantissa"}, {"y"})
        .domain("qonnx.custom_op.general")
        .attribute("saturation", std::int64_t{0});
  });
  refused(Kind::LimitExceeded, {{-1, 1}}, [](TestModel& m) {
    m.ints("n", {2}, {1, std::int64_t{1} << 40});
    m.node("Expand", {"x", "n"}, {"y"});
  });
}

}  // namespace
}  // namespace weft::formats::onnx
