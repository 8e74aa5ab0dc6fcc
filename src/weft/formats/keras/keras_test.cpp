// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/keras/keras.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "weft/formats/keras/quantizer_spec.h"
#include "weft/formats/keras/test_files.h"
#include "weft/formats/keras/weights.h"
#include "weft/layers/layer.h"
#include "weft/support/archive.h"

namespace weft::formats::keras {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

struct KerasTest : testing::Test {
  diag::Engine engine;
  Context ctx{engine};

  std::string messages() {
    std::string out;
    for (const auto& d : engine.all()) out += diag::to_text(d) + "\n";
    return out;
  }
  nn::Graph read(const std::string& model, const std::optional<std::string>& weights = std::nullopt) {
    std::optional<NamedBytes> named;
    if (weights) named = NamedBytes{"w.h5", *weights};
    auto graph = read_keras(NamedBytes{"m", model}, std::move(named), ctx);
    EXPECT_TRUE(graph.ok()) << messages();
    if (!graph.ok()) return {};
    // What the layers ask for must be there, and their own shape rules must agree with the importer's.
    std::vector<Shape> shapes;
    for (const auto& t : graph->tensors) shapes.push_back(t.shape);
    EXPECT_TRUE(layers::check(*graph, ctx).ok()) << messages();
    for (std::size_t i = 0; i < shapes.size(); ++i) EXPECT_EQ(graph->tensors[i].shape, shapes[i]);
    return std::move(graph).value();
  }
  /// Fails and gives all diagnostics as text.
  std::string refuse(const std::string& model, const std::optional<std::string>& weights = std::nullopt) {
    diag::Engine own;
    Context own_ctx{own};
    std::optional<NamedBytes> named;
    if (weights) named = NamedBytes{"w.h5", *weights};
    EXPECT_FALSE(read_keras(NamedBytes{"m", model}, std::move(named), own_ctx).ok());
    EXPECT_TRUE(own.has_errors());
    std::string out;
    for (const auto& d : own.all()) out += diag::to_text(d) + "\n";
    return out;
  }
};

std::vector<std::string> names(const nn::Graph& graph) {
  std::vector<std::string> out;
  for (const auto& node : graph.nodes) out.push_back(node.name + ":" + node.op);
  return out;
}

TEST_F(KerasTest, WholeKeras2File) {
  const auto graph = read(small_h5());
  EXPECT_EQ(graph.name, "small");
  EXPECT_EQ(graph.file, "m");
  EXPECT_THAT(names(graph),
              ElementsAre("d1:Dense", "bn:BatchNorm", "act:Activation", "d2:Dense", "d2_softmax:Softmax"));
  ASSERT_EQ(graph.inputs.size(), 1U);
  EXPECT_EQ(graph.inputs[0].name, "in");
  EXPECT_EQ(graph.at(graph.inputs[0].tensor).shape, Shape{3});
  ASSERT_EQ(graph.outputs.size(), 1U);
  EXPECT_EQ(graph.outputs[0].name, "d2");
  EXPECT_EQ(graph.producer(graph.outputs[0].tensor)->name, "d2_softmax");
  const auto& d1 = graph.nodes[0];
  EXPECT_EQ(d1.parameters.at("kernel").values, FloatTensor({3, 2}, ramp(6)));
  EXPECT_EQ(d1.parameters.at("bias").values, FloatTensor({2}, ramp(2, 1.0F)));
  EXPECT_TRUE(d1.functions.empty());
  EXPECT_EQ(d1.origin, (Origin{.file = "m", .node = "d1", .op = "Dense"}));
  const auto& bn = graph.nodes[1];
  EXPECT_EQ(bn.parameters.at("variance").values, FloatTensor({2}, {4.0F, 9.0F}));
  EXPECT_EQ(bn.parameters.at("mean").values, FloatTensor({2}, {0.125F, 0.25F}));
  EXPECT_EQ(bn.parameters.at("gamma").values, FloatTensor({2}, {1.5F, 2.5F}));
  EXPECT_EQ(bn.parameters.at("beta").values, FloatTensor({2}, {0.5F, -0.5F}));
  EXPECT_EQ(get_double(bn.attributes, "epsilon", 0), 0.001);
  EXPECT_EQ(get_string(bn.attributes, "inverse", ""), "rsqrt");
  EXPECT_EQ(graph.nodes[2].functions.at("activation").family, "relu");
  EXPECT_EQ(graph.nodes[3].parameters.count("bias"), 0U);
}

TEST_F(KerasTest, ArchitectureAndWeights) {
  for (const auto& weights : {small_weights(), small_h5()}) {
    const auto graph = read(small_json(), weights);
    ASSERT_EQ(graph.nodes.size(), 5U);
    EXPECT_EQ(graph.nodes[0].parameters.at("kernel").values, FloatTensor({3, 2}, ramp(6)));
    EXPECT_EQ(graph.nodes[3].parameters.at("kernel").values, FloatTensor({2, 2}, ramp(4, -1.0F)));
  }
  // Saved by json.dump(model.to_json()): the text once more as a JSON string.
  EXPECT_EQ(read(support::Json(small_json()).dump(), small_weights()).nodes.size(), 5U);
  EXPECT_THAT(refuse(small_json()), HasSubstr("give --weights [weight-missing]"));
  EXPECT_THAT(refuse(small_weights()), HasSubstr("no architecture"));
}

TEST_F(KerasTest, WeightsUnderOtherNamesAreTakenInOrder) {
  auto json = small_json();
  for (const auto* name : {"d1", "bn", "d2"}) {
    const auto quoted = fmt::format("\"{}\"", name);
    json.replace(json.find(quoted), quoted.size(), fmt::format("\"other_{}\"", name));
  }
  const auto graph = read(json, small_weights());
  ASSERT_EQ(graph.nodes.size(), 5U);
  EXPECT_EQ(graph.nodes[3].parameters.at("kernel").values, FloatTensor({2, 2}, ramp(4, -1.0F)));
  EXPECT_THAT(messages(), HasSubstr("taken in order"));
}

TEST_F(KerasTest, WeightsThatDoNotFit) {
  Hdf5Builder shape;
  shape.texts("", "layer_names", {"d"});
  shape.layer("", "d", {"kernel", "bias"});
  shape.floats("d/d/kernel:0", {2, 3}, ramp(6));
  shape.floats("d/d/bias:0", {2}, ramp(2));
  const auto dense = [](const std::string& rest) {
    return R"({"class_name": "Sequential", "config": [{"class_name": "Dense", "config": {"name": "d",
               "batch_input_shape": [null, 3], "units": 2)" +
           rest + "}}]}";
  };
  EXPECT_THAT(refuse(dense(""), shape.bytes()), HasSubstr("weight `kernel` has shape [2, 3], the layer needs [3, 2]"));
  Hdf5Builder missing;
  missing.texts("", "layer_names", {"d"});
  missing.layer("", "d", {"kernel"});
  missing.floats("d/d/kernel:0", {3, 2}, ramp(6));
  EXPECT_THAT(refuse(dense(""), missing.bytes()), HasSubstr("weight `bias` is not in `w.h5` [weight-missing]"));
  EXPECT_EQ(read(dense(R"(, "use_bias": false)"), missing.bytes()).nodes.size(), 1U);
  Hdf5Builder more;
  more.texts("", "layer_names", {"d"});
  more.layer("", "d", {"kernel", "mask"});
  more.floats("d/d/kernel:0", {3, 2}, ramp(6));
  more.floats("d/d/mask:0", {3, 2}, ramp(6));
  EXPECT_THAT(refuse(dense(R"(, "use_bias": false)"), more.bytes()),
              HasSubstr("a weight that its config does not explain"));
  Hdf5Builder other;
  other.texts("", "layer_names", {"x", "y"});
  other.layer("", "x", {"kernel"});
  other.layer("", "y", {"kernel"});
  EXPECT_THAT(refuse(dense(""), other.bytes()), HasSubstr("2 layers under other names"));
}

TEST_F(KerasTest, Keras3Archive) {
  const auto graph = read(small_keras3(ctx));
  EXPECT_THAT(names(graph), ElementsAre("a:Dense", "r:Activation", "b:Dense"));
  EXPECT_EQ(graph.nodes[0].parameters.at("kernel").values, FloatTensor({3, 2}, ramp(6)));
  EXPECT_EQ(graph.nodes[2].parameters.at("bias").values, FloatTensor({1}, ramp(1, 3.0F)));
  // A kernel's alpha None is promoted as QKeras does when it builds the layer; a bias' is not.
  const auto kernel = *graph.nodes[0].parameters.at("kernel").quantizer;
  EXPECT_EQ(kernel, make_spec("quantized_bits", {{"bits", std::int64_t{4}},
                                                 {"integer", std::int64_t{1}},
                                                 {"symmetric", true},
                                                 {"alpha", std::string("auto_po2")}}));
  const auto bias = *graph.nodes[0].parameters.at("bias").quantizer;
  EXPECT_EQ(bias, make_spec("quantized_bits", {{"bits", std::int64_t{4}}, {"integer", std::int64_t{1}}}));
  EXPECT_EQ(graph.nodes[1].functions.at("activation"),
            make_spec("quantized_relu", {{"bits", std::int64_t{3}}, {"integer", std::int64_t{1}}}));
}

TEST_F(KerasTest, Keras3GroupNames) {
  EXPECT_EQ(snake_case("Dense"), "dense");
  EXPECT_EQ(snake_case("QDenseBatchnorm"), "q_dense_batchnorm");
  EXPECT_EQ(snake_case("BatchNormalization"), "batch_normalization");
  EXPECT_EQ(snake_case("ReLU"), "re_lu");
  EXPECT_EQ(snake_case("LeakyReLU"), "leaky_re_lu");
  EXPECT_EQ(snake_case("Conv2DTranspose"), "conv2d_transpose");
  EXPECT_EQ(snake_case("SpatialDropout1D"), "spatial_dropout1d");

  // No names on the groups and gaps in the numbers, as versions write that count a layer twice.
  const auto members = support::read_zip(small_keras3(ctx), "z", ctx).value();
  for (const auto* base : {"layers", "_layer_checkpoint_dependencies"}) {
    Hdf5Builder weights;
    weights.floats(fmt::format("{}/q_dense/vars/0", base), {3, 2}, ramp(6, 8.0F));
    weights.floats(fmt::format("{}/q_dense/vars/1", base), {2}, ramp(2));
    weights.floats(fmt::format("{}/q_dense_10/vars/0", base), {2, 1}, ramp(2));
    weights.floats(fmt::format("{}/q_dense_10/vars/1", base), {1}, ramp(1));
    auto changed = members;
    changed["model.weights.h5"] = weights.bytes();
    const auto graph = read(support::write_zip(changed, ctx).value());
    ASSERT_EQ(graph.nodes.size(), 3U);
    EXPECT_EQ(graph.nodes[0].parameters.at("kernel").values, FloatTensor({3, 2}, ramp(6, 8.0F)));
  }
  Hdf5Builder state;
  state.floats("layers/q_dense/vars/0", {3, 2}, ramp(6));
  state.floats("layers/q_dense/vars/1", {2}, ramp(2));
  state.floats("layers/q_dense/quantizer/vars/0", {1}, ramp(1));
  state.floats("layers/q_dense_1/vars/0", {2, 1}, ramp(2));
  auto changed = members;
  changed["model.weights.h5"] = state.bytes();
  const auto text = refuse(support::write_zip(changed, ctx).value());
  EXPECT_THAT(text, HasSubstr("node `a` (QDense): the layer has weights in a part `quantizer`"));
  EXPECT_THAT(text, HasSubstr("node `b` (QDense): tensor `bias`: weight `bias` is not in"));
  EXPECT_THAT(refuse(support::write_zip({{"config.json", "{}"}}, ctx).value()), HasSubstr("no `model.weights.h5`"));
}

TEST_F(KerasTest, FunctionalModels) {
  const auto config = [](const std::string& add, const std::string& ports) {
    // The addition stands in front of what it adds: files need not be sorted.
    return R"({"class_name": "Functional", "config": {"name": "f", "layers": [
      {"class_name": "InputLayer", "name": "x", "inbound_nodes": [], "config": {"batch_input_shape": [null, 2], "name": "x"}},
      {"class_name": "Add", "name": "sum", "config": {"name": "sum"}, "inbound_nodes": )" +
           add + R"(},
      {"class_name": "InputLayer", "name": "y", "inbound_nodes": [], "config": {"batch_shape": [null, 2], "name": "y"}},
      {"class_name": "ReLU", "name": "r", "config": {"name": "r", "max_value": 6.0, "negative_slope": 0.0,
       "threshold": 0.0}, "inbound_nodes": [[["y", 0, 0, {}]]]}], )" +
           ports + "}}";
  };
  const std::string two =
      R"("input_layers": [["x", 0, 0], ["y", 0, 0]], "output_layers": [["r", 0, 0], ["sum", 0, 0]])";
  const auto tensor = [](const std::string& name) {
    return R"({"class_name": "__keras_tensor__", "config": {"shape": [null, 2], "dtype": "float32", "keras_history": [")" +
           name + R"(", 0, 0]}})";
  };
  const std::string keras2 = R"([[["x", 0, 0, {}], ["r", 0, 0, {"training": false}]]])";
  const std::string keras3 = R"([{"args": [[)" + tensor("x") + ", " + tensor("r") + R"(]], "kwargs": {"mask": null}}])";
  for (const auto& add : {keras2, keras3}) {
    const auto graph = read(config(add, two));
    EXPECT_THAT(names(graph), ElementsAre("r:Activation", "sum:Add"));
    ASSERT_EQ(graph.inputs.size(), 2U);
    EXPECT_EQ(graph.inputs[1].name, "y");
    ASSERT_EQ(graph.outputs.size(), 2U);
    EXPECT_EQ(graph.outputs[0].name, "r");
    EXPECT_EQ(graph.nodes[1].inputs, (std::vector<nn::TensorId>{graph.inputs[0].tensor, graph.outputs[0].tensor}));
    EXPECT_EQ(graph.nodes[0].functions.at("activation"), make_spec("relu", {{"max_value", 6.0}}));
  }
  // Keras 3 writes a single port without the outer list.
  EXPECT_THAT(refuse(config(keras2, R"("input_layers": ["x", 0, 0], "output_layers": ["sum", 0, 0])")),
              HasSubstr("node `y` (InputLayer): the input layer is not among the model's inputs"));
  EXPECT_THAT(refuse(config(R"([[["x", 0, 0, {}], ["z", 0, 0, {}]]])", two)),
              HasSubstr("layer `z`, which does not exist"));
  EXPECT_THAT(refuse(config(R"([[["x", 0, 0, {}], ["sum", 0, 0, {}]]])", two)), HasSubstr("cycle"));
  EXPECT_THAT(refuse(config(R"([[["x", 0, 0, {}], ["y", 0, 1, {}]]])", two)),
              HasSubstr("an input is output 1 of layer `y`, of which 1 are supported"));
  EXPECT_THAT(refuse(config(R"([[["x", 0, 0, {}], ["y", 0, 0, {"training": true}]]])", two)),
              HasSubstr("`training=true`"));
  EXPECT_THAT(refuse(config(R"([[["x", 0, 0, {}]], [["y", 0, 0, {}]]])", two)),
              HasSubstr("node `sum` (Add): the layer has 1 inputs; 2 are supported"));
  EXPECT_THAT(refuse(config(R"([[["x", 0, 0, {}], ["y", 1, 0, {}]]])", two)), HasSubstr("call 1 of layer `y`"));
  EXPECT_THAT(refuse(config(R"([[["x", 0, 0, {}]]])", two)), HasSubstr("the layer has 1 inputs; 2 are supported"));
  EXPECT_THAT(refuse(config("[]", two)), HasSubstr("no inputs"));
}

TEST_F(KerasTest, OperationsWithoutAModule) {
  // As Keras 3 writes them into .h5 files.
  const auto graph = read(R"({"class_name": "Functional", "config": {"name": "f", "layers": [
      {"class_name": "InputLayer", "name": "x", "inbound_nodes": [], "config": {"batch_shape": [null, 2], "name": "x"}},
      {"class_name": "Any", "name": "any", "config": {"name": "any", "axis": -1, "keepdims": false},
       "inbound_nodes": [{"args": [{"class_name": "__keras_tensor__",
        "config": {"shape": [null, 2], "dtype": "bool", "keras_history": ["x", 0, 0]}}], "kwargs": {}}]}],
      "input_layers": [["x", 0, 0]], "output_layers": [["any", 0, 0]]}})");
  EXPECT_THAT(names(graph), ElementsAre("any:ReduceMax"));
}

// x -> inner(a) = relu(dense(a)) twice with the same weights, then dense applied to both results, then Add. Keras 2
// counts the making of a nested model as its call 0, others do not.
class NestedModels : public KerasTest, public testing::WithParamInterface<int> {};
INSTANTIATE_TEST_SUITE_P(FirstCall, NestedModels, testing::Values(0, 1));

TEST_P(NestedModels, AndSharedLayers) {
  const auto call = [](int number) { return fmt::format(R"(["inner", {}, 0])", GetParam() + number); };
  const auto dense = [](const std::string& name) {
    return R"({"class_name": "Dense", "name": ")" + name + R"(", "config": {"name": ")" + name +
           R"(", "units": 2, "use_bias": false, "activation": "linear"}, "inbound_nodes": )";
  };
  const auto input = [](const std::string& name) {
    return R"({"class_name": "InputLayer", "name": ")" + name +
           R"(", "inbound_nodes": [], "config": {"batch_input_shape": [null, 2], "name": ")" + name + R"("}})";
  };
  const std::string inner = R"({"class_name": "Functional", "name": "inner", "config": {"name": "inner", "layers": [)" +
                            input("a") + ", " + dense("dense") +
                            R"([[["a", 0, 0, {}]]]}, {"class_name": "ReLU", "name": "r", "config": {"name": "r"},
       "inbound_nodes": [[["dense", 0, 0, {}]]]}], "input_layers": [["a", 0, 0]], "output_layers": [["r", 0, 0]]},
       "inbound_nodes": [[["x", 0, 0, {}]], [)" +
                            call(0) + "]]}";
  const std::string text = R"({"class_name": "Functional", "config": {"name": "m", "layers": [)" + input("x") + ", " +
                           inner + ", " + dense("last") + "[[" + call(0) + "], [" + call(1) + R"(]]},
      {"class_name": "Add", "name": "sum", "config": {"name": "sum"},
       "inbound_nodes": [[["last", 0, 0, {}], ["last", 1, 0, {}]]]}],
      "input_layers": [["x", 0, 0]], "output_layers": [["sum", 0, 0], )" +
                           call(1) + "]}}";
  Hdf5Builder file;
  file.floats("inner/dense/kernel:0", {2, 2}, {1, 2, 3, 4});
  file.floats("last/last/kernel:0", {2, 2}, {5, 6, 7, 8});
  file.texts("", "layer_names", {"x", "inner", "last", "sum"});
  file.group("inner");
  file.texts("inner", "weight_names", {"dense/kernel:0"});
  file.group("last");
  file.texts("last", "weight_names", {"last/kernel:0"});
  auto graph = read_keras(NamedBytes{"m.json", text}, NamedBytes{"w.h5", file.bytes()}, ctx);
  ASSERT_TRUE(graph.ok()) << messages();
  EXPECT_THAT(names(*graph), ElementsAre("inner/dense:Dense", "inner/r:Activation", "inner_1/dense:Dense",
                                         "inner_1/r:Activation", "last:Dense", "last_1:Dense", "sum:Add"));
  const auto kernel = [&](std::size_t node) { return graph->nodes[node].parameters.at("kernel").values.data; };
  EXPECT_EQ(kernel(0), (std::vector<float>{1, 2, 3, 4}));
  EXPECT_EQ(kernel(2), kernel(0));
  EXPECT_EQ(kernel(4), (std::vector<float>{5, 6, 7, 8}));
  EXPECT_EQ(kernel(5), kernel(4));
  EXPECT_EQ(graph->nodes[2].inputs, graph->nodes[1].outputs);
  EXPECT_EQ(graph->nodes[4].inputs, graph->nodes[1].outputs);
  EXPECT_EQ(graph->nodes[5].inputs, graph->nodes[3].outputs);
  ASSERT_EQ(graph->outputs.size(), 2U);
  EXPECT_EQ(graph->outputs[1].tensor, graph->nodes[3].outputs[0]);
}

// A constant in front of an operator's tensor, which is named beside it.
TEST_F(KerasTest, ConstantsAsFirstOperand) {
  for (const std::string value : {"0.5", "2"}) {
    const std::string text = R"({"class_name": "Functional", "config": {"name": "m", "layers": [
        {"class_name": "InputLayer", "name": "x", "inbound_nodes": [],
         "config": {"batch_input_shape": [null, 2], "name": "x"}},
        {"class_name": "TFOpLambda", "name": "tf.math.multiply", "config": {"name": "tf.math.multiply",
         "function": "math.multiply", "trainable": true, "dtype": "float32"},
         "inbound_nodes": [["_CONSTANT_VALUE", -1, )" +
                             value + R"(, {"y": ["x", 0, 0], "name": null}]]}],
        "input_layers": [["x", 0, 0]], "output_layers": [["tf.math.multiply", 0, 0]]}})";
    auto graph = read_keras(NamedBytes{"m.json", text}, std::nullopt, ctx);
    ASSERT_TRUE(graph.ok()) << messages();
    ASSERT_EQ(graph->nodes.size(), 1U);
    EXPECT_EQ(graph->nodes[0].op, "Mul");
    EXPECT_EQ(graph->nodes[0].inputs.size(), 1U);
    EXPECT_EQ(graph->nodes[0].parameters.at("constant").values.data, std::vector<float>{std::stof(value)});
  }
}

TEST_F(KerasTest, PruningWrappersMultiplyTheirMask) {
  const std::string text = R"({"class_name": "Sequential", "config": {"name": "m", "layers": [
      {"class_name": "InputLayer", "config": {"batch_input_shape": [null, 2], "name": "x"}},
      {"class_name": "PruneLowMagnitude", "config": {"name": "prune_d", "pruning_schedule": {}, "layer":
       {"class_name": "Dense", "config": {"name": "d", "units": 2, "use_bias": true, "activation": "relu"}}}}]}})";
  Hdf5Builder file;
  file.floats("prune_d/d/kernel:0", {2, 2}, {1, 2, 3, 4});
  file.floats("prune_d/d/bias:0", {2}, {5, 6});
  file.floats("prune_d/prune_d/mask:0", {2, 2}, {1, 0, 0, 1});
  file.floats("prune_d/prune_d/threshold:0", {}, {0.5F});
  file.floats("prune_d/prune_d/pruning_step:0", {}, {7});
  file.texts("", "layer_names", {"x", "prune_d"});
  file.group("prune_d");
  file.texts("prune_d", "weight_names",
             {"d/kernel:0", "d/bias:0", "prune_d/mask:0", "prune_d/threshold:0", "prune_d/pruning_step:0"});
  auto graph = read_keras(NamedBytes{"m.json", text}, NamedBytes{"w.h5", file.bytes()}, ctx);
  ASSERT_TRUE(graph.ok()) << messages();
  ASSERT_THAT(names(*graph), ElementsAre("prune_d:Dense"));
  EXPECT_EQ(graph->nodes[0].parameters.at("kernel").values.data, (std::vector<float>{1, 0, 0, 4}));
  EXPECT_EQ(graph->nodes[0].parameters.at("bias").values.data, (std::vector<float>{5, 6}));
}

TEST_F(KerasTest, RecognizesContent) {
  EXPECT_TRUE(looks_like_keras(small_h5()));
  EXPECT_TRUE(looks_like_keras(small_weights()));
  EXPECT_TRUE(looks_like_keras(small_json()));
  EXPECT_TRUE(looks_like_keras(small_keras3(ctx)));
  EXPECT_FALSE(looks_like_keras(""));
  EXPECT_FALSE(looks_like_keras(R"({"learner": {}, "version": [1, 7, 4]})"));
  EXPECT_FALSE(looks_like_keras(support::write_zip({{"graph.json", "{}"}}, ctx).value()));
  const auto path = std::filesystem::path(testing::TempDir()) / "weft_keras_test.bin";
  auto members = support::read_zip(small_keras3(ctx), "z", ctx).value();
  std::string noise(200000, '\0');
  for (std::size_t i = 0, s = 1; i < noise.size(); ++i)
    noise[i] = static_cast<char>((s = s * 1664525 + 1013904223) >> 24);
  members["assets/first"] = noise;  // pushes the names out of the first bytes
  std::ofstream(path, std::ios::binary) << support::write_zip(members, ctx).value();
  EXPECT_TRUE(looks_like_keras_file(path));
  std::ofstream(path, std::ios::binary) << small_h5();
  EXPECT_TRUE(looks_like_keras_file(path));
  EXPECT_TRUE(read_keras(path, std::nullopt, ctx).ok()) << messages();
  std::filesystem::remove(path);
  EXPECT_FALSE(looks_like_keras_file(path));
  EXPECT_FALSE(read_keras(path, std::nullopt, ctx).ok());
}

}  // namespace
}  // namespace weft::formats::keras
