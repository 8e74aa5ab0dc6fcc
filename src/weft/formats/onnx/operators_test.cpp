// SPDX-License-Identifier: Apache-2.0
// One small model per operator and per way in which files write it.
#include "weft/formats/onnx/operators.h"

#include <algorithm>
#include <cmath>

#include "weft/fixed/rational.h"
#include "weft/formats/onnx/test_model.h"
#include "weft/layers/float_run.h"

namespace weft::formats::onnx {
namespace {

const std::vector<float>& values_of(const nn::Node& node, const std::string& role) {
  return node.parameters.at(role).values.data;
}

/// x [batch, shape...] -> op(x, rest) -> y.
Read one_op(std::int64_t opset, std::vector<std::int64_t> shape, const std::function<void(TestModel&)>& build) {
  TestModel model(opset);
  model.input("x", shape).output("y");
  build(model);
  return read_model(model);
}

Read refused(std::int64_t opset, std::vector<std::int64_t> shape, Kind kind,
             const std::function<void(TestModel&)>& build) {
  Read read = one_op(opset, std::move(shape), build);
  EXPECT_FALSE(read.graph);
  EXPECT_TRUE(read.has(kind)) << read.text();
  return read;
}

TEST(Operators, TableIsSortedAndComplete) {
  std::string before;
  for (const auto& row : operator_table()) {
    EXPECT_LE(before, row.name);
    before = row.name;
    EXPECT_NE(row.handler, nullptr) << row.name;
    EXPECT_LE(row.min_inputs, row.max_inputs) << row.name;
    EXPECT_FALSE(domain_names(row.domains).empty()) << row.name;
  }
  EXPECT_EQ(supported_operators().size(), operator_table().size());
}

TEST(Operators, UnknownAttributesAreErrorsEverywhere) {
  for (const auto& row : operator_table()) {
    TestModel model;
    model.input("x", {1, 2}).output("y");
    std::vector<std::string> inputs(row.min_inputs, "x");
    model.node(std::string(row.name), inputs, {"y"})
        .domain((row.domains & kStandard) != 0 ? "" : std::string(domain_names(row.domains).front()))
        .attribute("mystery", std::int64_t{1});
    const Read read = read_model(model);
    EXPECT_TRUE(read.has(Kind::AttributeUnknown)) << row.name << "\n" << read.text();
  }
}

TEST(Operators, UnknownOperatorsAreNamedOnceWithTheirCount) {
  TestModel model;
  model.input("x", {1, 2}).output("y");
  model.node("MaxUnpool", {"x"}, {"a"});
  model.node("MaxUnpool", {"a"}, {"b"});
  model.node("Mystery", {"b"}, {"y"}).domain("my.domain");
  const Read read = read_model(model);
  ASSERT_EQ(read.diagnostics.size(), 2U) << read.text();
  EXPECT_EQ(read.diagnostics[0].message, "operator `MaxUnpool` of operator set `ai.onnx` is not supported");
  EXPECT_EQ(read.diagnostics[0].notes,
            (std::vector<std::string>{"2 nodes use it", "it places elements by indices that depend on the data"}));
  EXPECT_EQ(read.diagnostics[1].message, "operator `Mystery` of operator set `my.domain` is not supported");
}

TEST(Operators, ArithmeticWithConstants) {
  for (const std::string op : {"Add", "Sub", "Mul", "Div", "Pow"}) {
    const Read read = one_op(13, {1, 3}, [&](TestModel& m) {
      m.floats("c", {3}, {1, 2, 4});
      m.node(op, {"x", "c"}, {"y"}).named("n");
    });
    ASSERT_EQ(read.ops(), op) << read.text();
    EXPECT_EQ(read.node(0).name, "n");
    EXPECT_EQ(read.node(0).origin, (Origin{.file = "test.onnx", .node = "n", .op = op, .tensor = "y"}));
    EXPECT_EQ(values_of(read.node(0), "constant"), (std::vector<float>{1, 2, 4}));
    EXPECT_FALSE(get_bool(read.node(0).attributes, "constant_first", true));
    EXPECT_EQ(read.output_shape(), (Shape{3}));
  }
  const Read first = one_op(13, {1, 3}, [](TestModel& m) {
    m.floats("c", {1, 1}, {1});
    m.node("Sub", {"c", "x"}, {"y"});
  });
  ASSERT_EQ(first.ops(), "Sub");
  EXPECT_TRUE(get_bool(first.node(0).attributes, "constant_first", false));
  EXPECT_EQ(first.node(0).name, "Sub_y");
  EXPECT_EQ(first.node(0).parameters.at("constant").values.shape, Shape{});
  refused(13, {1, 3}, Kind::LayerUnsupported, [](TestModel& m) {
    m.floats("c", {3}, {1, 2, 4});
    m.node("Pow", {"c", "x"}, {"y"});
  });
  refused(13, {1, 3}, Kind::ShapeMismatch, [](TestModel& m) {
    m.floats("c", {2}, {1, 2});
    m.node("Add", {"x", "c"}, {"y"});
  });
  // The data is stretched.
  const Read stretched = one_op(13, {1, 1}, [](TestModel& m) {
    m.floats("c", {2}, {1, 2});
    m.node("Add", {"x", "c"}, {"y"});
  });
  EXPECT_EQ(stretched.ops(), "Constant Add") << stretched.text();
  EXPECT_EQ(stretched.output_shape(), (Shape{2}));
  refused(13, {1, 2}, Kind::ModelMalformed, [](TestModel& m) {
    m.ints("c", {2}, {1, 2});
    m.node("Add", {"x", "c"}, {"y"});
  });
  refused(13, {1, 2}, Kind::ModelMalformed, [](TestModel& m) {
    m.floats("c", {2}, {1, NAN});
    m.node("Add", {"x", "c"}, {"y"});
  });
}

TEST(Operators, ConstantsMayRepeatPerSampleButNotDiffer) {
  const Read same = one_op(13, {2, 3}, [](TestModel& m) {
    m.floats("c", {2, 3}, {1, 2, 3, 1, 2, 3});
    m.node("Add", {"x", "c"}, {"y"});
  });
  ASSERT_TRUE(same.graph) << same.text();
  EXPECT_EQ(values_of(same.node(0), "constant"), (std::vector<float>{1, 2, 3}));
  // Else the file computes one sample of that shape.
  const Read different = one_op(13, {2, 3}, [](TestModel& m) {
    m.floats("c", {2, 3}, {1, 2, 3, 1, 2, 4});
    m.node("Add", {"x", "c"}, {"y"});
  });
  EXPECT_TRUE(different.has(Kind::Info)) << different.text();
  EXPECT_EQ(different.output_shape(), (Shape{2, 3}));
  refused(13, {-1, 3}, Kind::ShapeMismatch, [](TestModel& m) {
    m.floats("c", {2, 3}, {1, 2, 3, 1, 2, 4});
    m.node("Add", {"x", "c"}, {"y"});
  });
}

TEST(Operators, ArithmeticOfTwoDataTensors) {
  const Read read = one_op(13, {-1, 3}, [](TestModel& m) {
    m.node("Relu", {"x"}, {"a"});
    m.node("Mul", {"x", "a"}, {"y"});
  });
  ASSERT_EQ(read.ops(), "Activation Mul") << read.text();
  EXPECT_EQ(read.node(1).inputs.size(), 2U);
  EXPECT_TRUE(read.node(1).parameters.empty());
}

TEST(Operators, MeansMultiplyByTheReciprocalOfTheirCount) {
  const Read read = one_op(13, {-1, 3}, [](TestModel& m) {
    m.node("Relu", {"x"}, {"a"});
    m.node("Mean", {"x", "a", "x"}, {"y"});
  });
  ASSERT_EQ(read.ops(), "Activation Average") << read.text();
  EXPECT_TRUE(get_bool(read.node(1).attributes, "by_reciprocal", false));
}

TEST(Operators, BroadcastAttributesBeforeOpset7) {
  const Read read = one_op(6, {1, 2, 3}, [](TestModel& m) {
    m.floats("c", {2}, {5, 7});
    m.node("Add", {"x", "c"}, {"y"}).attribute("broadcast", std::int64_t{1}).attribute("axis", std::int64_t{1});
  });
  ASSERT_EQ(read.ops(), "Permute Add Permute") << read.text();
  EXPECT_EQ(read.node(1).parameters.at("constant").values.shape, (Shape{2}));
  refused(6, {1, 3}, Kind::ShapeMismatch, [](TestModel& m) {
    m.floats("c", {3}, {1, 2, 3});
    m.node("Add", {"x", "c"}, {"y"});
  });
}

TEST(Operators, MatMulIsDense) {
  const Read read = one_op(13, {1, 4, 2}, [](TestModel& m) {
    m.floats("w", {1, 2, 3}, {1, 2, 3, 4, 5, 6});
    m.node("MatMul", {"x", "w"}, {"y"});
  });
  ASSERT_EQ(read.ops(), "Dense") << read.text();
  EXPECT_EQ(read.node(0).parameters.at("kernel").values.shape, (Shape{2, 3}));
  EXPECT_EQ(read.output_shape(), (Shape{4, 3}));
  const Read vector = one_op(13, {1, 2}, [](TestModel& m) {
    m.floats("w", {2}, {1, 2});
    m.node("MatMul", {"x", "w"}, {"y"});
  });
  ASSERT_EQ(vector.ops(), "Dense") << vector.text();
  EXPECT_EQ(vector.node(0).parameters.at("kernel").values.shape, (Shape{2, 1}));
  refused(13, {-1, 2}, Kind::LayerUnsupported, [](TestModel& m) {
    m.floats("w", {3, 1}, {1, 2, 3});
    m.node("MatMul", {"w", "x"}, {"y"});
  });
  refused(13, {-1, 2}, Kind::LayerUnsupported, [](TestModel& m) { m.node("MatMul", {"x", "x"}, {"y"}); });
  refused(13, {1, 2}, Kind::ShapeMismatch, [](TestModel& m) {
    m.floats("w", {3, 1}, {1, 2, 3});
    m.node("MatMul", {"x", "w"}, {"y"});
  });
  const Read stack = one_op(13, {-1, 2}, [](TestModel& m) {
    m.floats("w", {2, 2, 1}, {1, 2, 3, 4});
    m.node("MatMul", {"x", "w"}, {"y"});
  });
  EXPECT_EQ(stack.ops(), "Einsum") << stack.text();
}

TEST(Operators, GemmIsDense) {
  const auto build = [](float alpha, float beta, const std::string& c) {
    return one_op(13, {1, 2}, [&](TestModel& m) {
      m.floats("w", {3, 2}, {1, 4, 2, 5, 3, 6});
      m.floats("scalar", {}, {2});
      m.floats("vector", {3}, {1, 2, 3});
      m.floats("row", {1, 3}, {4, 5, 6});
      std::vector<std::string> inputs{"x", "w"};
      if (!c.empty()) inputs.push_back(c);
      m.node("Gemm", inputs, {"y"})
          .attribute("alpha", alpha)
          .attribute("beta", beta)
          .attribute("transB", std::int64_t{1})
          .named("g");
    });
  };
  const Read plain = build(1, 1, "vector");
  ASSERT_EQ(plain.ops(), "Dense") << plain.text();
  EXPECT_EQ(values_of(plain.node(0), "kernel"), (std::vector<float>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(values_of(plain.node(0), "bias"), (std::vector<float>{1, 2, 3}));
  EXPECT_EQ(values_of(build(1, 0.5F, "row").node(0), "bias"), (std::vector<float>{2, 2.5F, 3}));
  EXPECT_EQ(values_of(build(1, 1, "scalar").node(0), "bias"), (std::vector<float>{2, 2, 2}));
  EXPECT_EQ(build(1, 1, "").node(0).parameters.count("bias"), 0U);
  const Read alpha = build(0.25F, 2, "vector");
  ASSERT_EQ(alpha.ops(), "Dense Mul Add") << alpha.text();
  // The layer that gives the operator's result carries its name, whatever stands in front of it.
  EXPECT_EQ(alpha.node(0).name, "g_product");
  EXPECT_EQ(alpha.node(1).name, "g_alpha");
  EXPECT_EQ(alpha.node(2).name, "g");
  EXPECT_EQ(values_of(alpha.node(1), "constant"), (std::vector<float>{0.25F}));
  EXPECT_EQ(values_of(alpha.node(2), "constant"), (std::vector<float>{2, 4, 6}));
  EXPECT_EQ(alpha.graph->at(alpha.graph->outputs[0].tensor).name, "y");
  const Read scaled = build(0.25F, 1, "");
  ASSERT_EQ(scaled.ops(), "Dense Mul") << scaled.text();
  EXPECT_EQ(scaled.node(0).name, "g_product");
  EXPECT_EQ(scaled.node(1).name, "g");
  EXPECT_EQ(scaled.graph->at(scaled.graph->outputs[0].tensor).name, "y");
  EXPECT_EQ(plain.node(0).name, "g");
  const Read data_bias = one_op(13, {1, 2}, [](TestModel& m) {
    m.floats("w", {2, 2}, {1, 0, 0, 1});
    m.node("Gemm", {"x", "w", "x"}, {"y"}).attribute("beta", 3.0F).named("g");
  });
  ASSERT_EQ(data_bias.ops(), "Dense Mul Add") << data_bias.text();
  EXPECT_EQ(data_bias.node(0).name, "g_product");
  EXPECT_EQ(data_bias.node(1).name, "g_beta");
  EXPECT_EQ(data_bias.node(2).name, "g");
  refused(13, {-1, 2}, Kind::LayerUnsupported, [](TestModel& m) {
    m.floats("w", {2, 2}, {1, 0, 0, 1});
    m.node("Gemm", {"x", "w"}, {"y"}).attribute("transA", std::int64_t{1});
  });
  refused(13, {-1, 2}, Kind::LayerUnsupported, [](TestModel& m) { m.node("Gemm", {"x", "x"}, {"y"}); });
  refused(13, {1, 2}, Kind::ShapeMismatch, [](TestModel& m) {
    m.floats("w", {2, 2}, {1, 0, 0, 1});
    m.floats("c", {3}, {1, 2, 3});
    m.node("Gemm", {"x", "w", "c"}, {"y"});
  });
}

/// x -> BatchNormalization of two channels.
Read batch_norm(std::int64_t opset, const std::vector<std::int64_t>& shape,
                const std::function<void(TestNode&)>& more = {}) {
  return one_op(opset, shape, [&](TestModel& m) {
    m.floats("s", {2}, {1, 2});
    m.floats("b", {2}, {3, 4});
    m.floats("m", {2}, {5, 6});
    m.floats("v", {2}, {7, 8});
    TestNode node = m.node("BatchNormalization", {"x", "s", "b", "m", "v"}, {"y"});
    node.attribute("epsilon", 0.5F);
    if (more) more(node);
  });
}

TEST(Operators, BatchNormalization) {
  for (const std::int64_t opset : {7, 8, 9, 13, 14, 15, 22}) {
    const Read read = batch_norm(opset, {1, 2});
    ASSERT_EQ(read.ops(), "BatchNorm") << read.text();
    EXPECT_EQ(get_double(read.node(0).attributes, "epsilon", 0), 0.5);
    EXPECT_EQ(get_string(read.node(0).attributes, "form", ""), "onnx");
    EXPECT_EQ(values_of(read.node(0), "gamma"), (std::vector<float>{1, 2}));
    EXPECT_EQ(values_of(read.node(0), "variance"), (std::vector<float>{7, 8}));
    EXPECT_TRUE(read.diagnostics.empty());
  }
  const Read image = batch_norm(13, {1, 2, 1, 1});
  ASSERT_EQ(image.ops(), "Reshape BatchNorm") << image.text();
  EXPECT_EQ(image.output_shape(), (Shape{2}));
  EXPECT_EQ(batch_norm(13, {1, 2, 3, 3}).ops(), "Permute BatchNorm Permute");
  EXPECT_TRUE(batch_norm(13, {1, 3}).has(Kind::ShapeMismatch));
  const auto training = [](TestNode& node) { node.attribute("training_mode", std::int64_t{1}); };
  const Read trained = batch_norm(14, {1, 2}, training);
  ASSERT_EQ(trained.ops(), "BatchNorm");
  EXPECT_TRUE(trained.has(Kind::Info));
  EXPECT_TRUE(batch_norm(6, {1, 2}).has(Kind::Info));
  EXPECT_FALSE(
      batch_norm(6, {1, 2}, [](TestNode& node) { node.attribute("is_test", std::int64_t{1}); }).has(Kind::Info));
  const Read statistics = batch_norm(14, {1, 2}, [](TestNode& node) {
    node.attribute("training_mode", std::int64_t{1});
    node.proto()->set_output(0, "z");
    node.proto()->add_output("y");
  });
  EXPECT_TRUE(statistics.has(Kind::LayerUnsupported)) << statistics.text();
  const Read last = batch_norm(13, {1, 3, 3, 2}, [](TestNode& node) { node.domain("qonnx.custom_op.channels_last"); });
  ASSERT_EQ(last.ops(), "BatchNorm") << last.text();
  EXPECT_EQ(last.output_shape(), (Shape{3, 3, 2}));
}

TEST(Operators, BatchNormalizationBetweenMovements) {
  const auto wrap = [](const std::string& before, const std::string& after) {
    return one_op(9, {-1, 2}, [&](TestModel& m) {
      for (const auto* p : {"s", "b", "m", "v"}) m.floats(p, {2}, {1, 2});
      TestNode first = m.node(before, {"x"}, {"a"});
      m.node("BatchNormalization", {"a", "s", "b", "m", "v"}, {"b1"});
      TestNode second = m.node(after, {"b1"}, {"y"});
      if (before == "Unsqueeze") {
        first.attribute("axes", std::vector<std::int64_t>{2, 3});
        second.attribute("axes", std::vector<std::int64_t>{2, 3});
      }
    });
  };
  const Read squeezed = wrap("Unsqueeze", "Squeeze");
  EXPECT_EQ(squeezed.ops(), "Identity BatchNorm Identity") << squeezed.text();
  EXPECT_EQ(squeezed.output_shape(), (Shape{2}));
  EXPECT_TRUE(squeezed.diagnostics.empty());
  const Read transposed = wrap("Transpose", "Transpose");
  EXPECT_EQ(transposed.ops(), "Identity BatchNorm Identity") << transposed.text();
  EXPECT_EQ(transposed.output_shape(), (Shape{2}));
  EXPECT_TRUE(transposed.has(Kind::Info));
}

TEST(Operators, Functions) {
  const auto activation = [](const std::string& op, std::int64_t opset,
                             const std::function<void(TestModel&, TestNode&)>& more = {}) {
    const Read read = one_op(opset, {1, 3}, [&](TestModel& m) {
      TestNode node = m.node(op, {"x"}, {"y"});
      if (more) more(m, node);
    });
    EXPECT_EQ(read.ops(), "Activation") << op << read.text();
    return read.graph ? read.node(0).functions.at("activation") : quantizers::Spec{};
  };
  EXPECT_EQ(
      activation("Relu", 6),
      (quantizers::Spec{"relu", {{"max_value", std::string("none")}, {"negative_slope", 0.0}, {"threshold", 0.0}}}));
  EXPECT_EQ(activation("LeakyRelu", 13), (quantizers::Spec{"leaky_relu", {{"alpha", static_cast<double>(0.01F)}}}));
  EXPECT_EQ(activation("LeakyRelu", 13, [](TestModel&, TestNode& n) { n.attribute("alpha", 0.25F); }),
            (quantizers::Spec{"leaky_relu", {{"alpha", 0.25}}}));
  EXPECT_EQ(activation("Sigmoid", 13), (quantizers::Spec{"sigmoid", {}}));
  EXPECT_EQ(activation("Tanh", 13), (quantizers::Spec{"tanh", {}}));
  EXPECT_EQ(activation("Sign", 9), (quantizers::Spec{"sign", {}}));
  EXPECT_EQ(activation("Clip", 6, [](TestModel&, TestNode& n) { n.attribute("min", -1.0F).attribute("max", 1.0F); }),
            (quantizers::Spec{"clip", {{"min", -1.0}, {"max", 1.0}}}));
  EXPECT_EQ(
      activation("Clip", 13,
                 [](TestModel& m, TestNode& n) {
                   m.floats("hi", {}, {6});
                   n.proto()->add_input("");
                   n.proto()->add_input("hi");
                 }),
      (quantizers::Spec{"clip", {{"min", static_cast<double>(std::numeric_limits<float>::lowest())}, {"max", 6.0}}}));
  // Every family exists with exactly these parameters.
  for (const auto& spec : {activation("Relu", 6), activation("LeakyRelu", 6), activation("Sign", 9),
                           activation("Clip", 6), activation("Tanh", 6)}) {
    diag::Engine engine;
    Context ctx{.diag = engine};
    EXPECT_TRUE(quantizers::make(spec, {}, ctx).ok()) << spec.family;
  }
}

TEST(Operators, Softmax) {
  const auto softmax = [](std::int64_t opset, const std::vector<std::int64_t>& shape,
                          std::optional<std::int64_t> axis) {
    return one_op(opset, shape, [&](TestModel& m) {
      TestNode node = m.node("Softmax", {"x"}, {"y"});
      if (axis) node.attribute("axis", *axis);
    });
  };
  EXPECT_EQ(softmax(9, {1, 4}, std::nullopt).ops(), "Softmax");
  EXPECT_EQ(softmax(13, {1, 4}, std::nullopt).ops(), "Softmax");
  EXPECT_EQ(softmax(13, {1, 2, 4}, 2).output_shape(), (Shape{2, 4}));
  // The old form runs over all axes from `axis` on.
  const Read old = softmax(9, {1, 2, 4}, 1);
  EXPECT_EQ(old.ops(), "Reshape Softmax Reshape") << old.text();
  EXPECT_EQ(get_ints(old.node(0).attributes, "shape"), (std::vector<std::int64_t>{8}));
  EXPECT_EQ(old.output_shape(), (Shape{2, 4}));
  EXPECT_EQ(softmax(9, {1, 2, 4}, 2).ops(), "Softmax");
  EXPECT_EQ(softmax(9, {1, 4, 1}, 1).output_shape(), (Shape{4}));
  EXPECT_EQ(softmax(13, {1, 2, 4}, 1).ops(), "Softmax");
  EXPECT_EQ(softmax(13, {1, 2, 4, 3}, 2).output_shape(), (Shape{2, 4, 3}));
  EXPECT_TRUE(softmax(13, {-1, 4}, 0).has(Kind::LayerUnsupported));
  EXPECT_TRUE(softmax(9, {-1, 4}, 0).has(Kind::LayerUnsupported));
  EXPECT_TRUE(softmax(13, {1, 4}, 2).has(Kind::ShapeMismatch));
}

TEST(Operators, LargestElements) {
  const Read arg = one_op(13, {1, 4}, [](TestModel& m) {
    m.node("ArgMax", {"x"}, {"y"}).attribute("axis", std::int64_t{1}).attribute("keepdims", std::int64_t{0});
  });
  ASSERT_EQ(arg.ops(), "ArgMax") << arg.text();
  EXPECT_EQ(get_int(arg.node(0).attributes, "k", 0), 1);
  EXPECT_FALSE(get_bool(arg.node(0).attributes, "keepdims", true));
  EXPECT_EQ(arg.output_shape(), Shape{});
  refused(13, {-1, 4}, Kind::LayerUnsupported,
          [](TestModel& m) { m.node("ArgMax", {"x"}, {"y"}); });  // axis 0 is the batch
  const auto top = [](const std::vector<std::string>& outputs, std::int64_t largest) {
    return one_op(11, {1, 4}, [&](TestModel& m) {
      m.ints("k", {1}, {2});
      m.node("TopK", {"x", "k"}, outputs).attribute("largest", largest);
    });
  };
  const Read indices = top({"v", "y"}, 1);
  ASSERT_EQ(indices.ops(), "ArgMax") << indices.text();
  EXPECT_EQ(get_int(indices.node(0).attributes, "k", 0), 2);
  EXPECT_EQ(indices.output_shape(), (Shape{2}));
  EXPECT_EQ(indices.graph->at(indices.graph->outputs[0].tensor).name, "y");
  EXPECT_EQ(top({"y", "i"}, 1).ops(), "TopK");
  EXPECT_TRUE(get_bool(top({"v", "y"}, 0).node(0).attributes, "smallest", false));
  const Read old =
      one_op(9, {1, 4}, [](TestModel& m) { m.node("TopK", {"x"}, {"", "y"}).attribute("k", std::int64_t{1}); });
  EXPECT_EQ(old.ops(), "ArgMax") << old.text();
}

TEST(Operators, ReshapesKeepTheBatch) {
  const auto reshape = [](const std::vector<std::int64_t>& from, const std::vector<std::int64_t>& to) {
    return one_op(13, from, [&](TestModel& m) {
      m.ints("s", {static_cast<std::int64_t>(to.size())}, to);
      m.node("Reshape", {"x", "s"}, {"y"});
    });
  };
  EXPECT_EQ(reshape({1, 2, 3}, {1, -1}).output_shape(), (Shape{6}));
  EXPECT_EQ(reshape({1, 2, 3}, {-1, 6}).output_shape(), (Shape{6}));
  EXPECT_EQ(reshape({-1, 2, 3}, {0, 6}).output_shape(), (Shape{6}));
  EXPECT_EQ(reshape({789444, 2, 3}, {789444, 6}).output_shape(), (Shape{6}));
  EXPECT_EQ(reshape({5, 6}, {5, 2, 3}).output_shape(), (Shape{2, 3}));
  EXPECT_EQ(reshape({1, 6}, {1, 1, 6}).ops(), "Identity");
  EXPECT_TRUE(reshape({-1, 6}, {-1, 3}).has(Kind::LayerUnsupported));
  EXPECT_TRUE(reshape({-1, 6}, {6}).has(Kind::LayerUnsupported));
  // A file of fixed shapes computes one sample.
  EXPECT_EQ(reshape({5, 6}, {1, -1}).output_shape(), (Shape{1, 30}));
  EXPECT_EQ(reshape({1, 6}, {-1, 3}).output_shape(), (Shape{2, 3}));
  EXPECT_TRUE(reshape({1, 6}, {1, 5}).has(Kind::ShapeMismatch));
  EXPECT_TRUE(reshape({1, 6}, {-1, -1}).has(Kind::ShapeMismatch));
  EXPECT_TRUE(reshape({1, 6}, {1, 6, 0}).has(Kind::ShapeMismatch));
  EXPECT_TRUE(reshape({1, 6}, {1, -2}).has(Kind::ShapeMismatch));
  const auto flatten = [](std::int64_t axis) {
    return one_op(13, {1, 2, 3}, [&](TestModel& m) { m.node("Flatten", {"x"}, {"y"}).attribute("axis", axis); });
  };
  EXPECT_EQ(flatten(1).output_shape(), (Shape{6}));
  EXPECT_EQ(flatten(0).output_shape(), (Shape{6}));  // one sample: as axis 1
  EXPECT_TRUE(one_op(13, {-1, 2, 3}, [](TestModel& m) {
                m.node("Flatten", {"x"}, {"y"}).attribute("axis", std::int64_t{0});
              }).has(Kind::LayerUnsupported));
  EXPECT_EQ(flatten(2).output_shape(), (Shape{2, 3}));
}

TEST(Operators, DynamicFlatten) {
  for (const std::int64_t batch : {-1, 1, 7}) {
    const Read read = one_op(9, {batch, 1, 4, 5}, [](TestModel& m) {
      m.ints("zero", {}, {0});
      m.ints("rest", {1}, {-1});
      m.node("Shape", {"x"}, {"s"});
      m.node("Gather", {"s", "zero"}, {"n"}).attribute("axis", std::int64_t{0});
      m.node("Unsqueeze", {"n"}, {"n1"}).attribute("axes", std::vector<std::int64_t>{0});
      m.node("Concat", {"n1", "rest"}, {"t"}).attribute("axis", std::int64_t{0});
      m.node("Reshape", {"x", "t"}, {"y"});
    });
    ASSERT_EQ(read.ops(), "Reshape") << read.text();
    EXPECT_EQ(read.output_shape(), (Shape{20}));
  }
}

TEST(Operators, MovementsOfData) {
  const Read permute = one_op(13, {1, 2, 3, 4}, [](TestModel& m) {
    m.node("Transpose", {"x"}, {"y"}).attribute("perm", std::vector<std::int64_t>{0, 2, 3, 1});
  });
  ASSERT_EQ(permute.ops(), "Permute") << permute.text();
  EXPECT_EQ(get_ints(permute.node(0).attributes, "permutation"), (std::vector<std::int64_t>{1, 2, 0}));
  EXPECT_EQ(permute.output_shape(), (Shape{3, 4, 2}));
  // Only axes of extent one move.
  EXPECT_EQ(one_op(13, {1, 1, 3},
                   [](TestModel& m) {
                     m.node("Transpose", {"x"}, {"y"}).attribute("perm", std::vector<std::int64_t>{0, 2, 1});
                   })
                .ops(),
            "Reshape");
  const Read squeeze = one_op(13, {1, 3, 1}, [](TestModel& m) {
    m.ints("a", {1}, {-1});
    m.node("Squeeze", {"x", "a"}, {"y"});
  });
  EXPECT_EQ(squeeze.output_shape(), (Shape{3})) << squeeze.text();
  refused(13, {-1, 3}, Kind::LayerUnsupported, [](TestModel& m) { m.node("Squeeze", {"x"}, {"y"}); });
  refused(13, {1, 3}, Kind::ShapeMismatch, [](TestModel& m) {
    m.ints("a", {1}, {1});
    m.node("Squeeze", {"x", "a"}, {"y"});
  });
  refused(13, {1, 3}, Kind::ModelMalformed,
          [](TestModel& m) { m.node("Transpose", {"x"}, {"y"}).attribute("perm", std::vector<std::int64_t>{0, 0}); });
  const Read cast =
      one_op(13, {1, 3}, [](TestModel& m) { m.node("Cast", {"x"}, {"y"}).attribute("to", std::int64_t{1}); });
  EXPECT_EQ(cast.ops(), "Identity");
  refused(13, {1, 3}, Kind::LayerUnsupported,
          [](TestModel& m) { m.node("Cast", {"x"}, {"y"}).attribute("to", std::int64_t{7}); });
  refused(13, {-1, 3}, Kind::LayerUnsupported, [](TestModel& m) {
    m.ints("i", {}, {0});
    m.node("Gather", {"x", "i"}, {"y"});
  });
  const Read dropout = one_op(13, {1, 3}, [](TestModel& m) { m.node("Dropout", {"x"}, {"y"}); });
  EXPECT_EQ(dropout.ops(), "Identity");
  refused(13, {1, 3}, Kind::LayerUnsupported, [](TestModel& m) { m.node("Dropout", {"x"}, {"z", "y"}); });
}

TEST(Operators, IntegerInputsNeedACast) {
  TestModel direct;
  direct.input("x", {1, 2}, 2).output("y");
  direct.node("Relu", {"x"}, {"y"});
  EXPECT_TRUE(read_model(direct).has(Kind::LayerUnsupported));
  TestModel cast;
  cast.input("x", {1, 2}, 2).output("y");
  cast.node("Cast", {"x"}, {"f"}).attribute("to", std::int64_t{1});
  cast.node("Relu", {"f"}, {"y"});
  EXPECT_EQ(read_model(cast).ops(), "Identity Activation");
}

TEST(Operators, HalfPrecisionIsComputedInFloat32AndSaysSo) {
  TestModel half;
  half.input("x", {1, 2}, 10).output("y");
  half.node("Relu", {"x"}, {"r"});
  half.node("Cast", {"r"}, {"f"}).attribute("to", std::int64_t{1});
  half.node("Cast", {"f"}, {"y"}).attribute("to", std::int64_t{10});
  const Read read = read_model(half);
  EXPECT_EQ(read.ops(), "Identity Activation Identity Identity");
  EXPECT_NE(get_string(read.graph->nodes.front().attributes, "note", "").find("float16"), std::string::npos);
  // Where all else is float32 a cast to half precision is a rounding of its own.
  TestModel cast;
  cast.input("x", {1, 2}).output("y");
  cast.node("Cast", {"x"}, {"y"}).attribute("to", std::int64_t{10});
  EXPECT_TRUE(read_model(cast).has(Kind::LayerUnsupported));
}

TEST(Operators, ConstantsAreJoinedWithData) {
  TestModel model;
  model.input("x", {1, 2}).output("y");
  model.floats("c", {1, 1}, {7.0F});
  model.node("Concat", {"c", "x", "c"}, {"y"}).attribute("axis", std::int64_t{1});
  const Read read = read_model(model);
  ASSERT_TRUE(read.graph.has_value());
  diag::Engine engine;
  Context ctx{.diag = engine};
  const auto tensors = layers::run_float(*read.graph, {{1, 2}}, 1, ctx);
  ASSERT_TRUE(tensors.ok());
  EXPECT_EQ((*tensors)[read.graph->outputs.front().tensor.index], (std::vector<float>{7, 1, 2, 7}));
}

}  // namespace
}  // namespace weft::formats::onnx
