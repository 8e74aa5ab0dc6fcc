// SPDX-License-Identifier: Apache-2.0
// One layer at a time: what its config becomes, and what is refused.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cmath>

#include "weft/formats/keras/keras.h"
#include "weft/formats/keras/layer_import.h"
#include "weft/formats/keras/quantizer_spec.h"
#include "weft/formats/keras/test_files.h"
#include "weft/layers/layer.h"

namespace weft::formats::keras {
namespace {

using testing::HasSubstr;

struct RowsTest : testing::Test {
  diag::Engine engine;
  Context ctx{engine};

  std::string messages() {
    std::string out;
    for (const auto& d : engine.all()) out += diag::to_text(d) + "\n";
    return out;
  }
  /// The only layer of a model, with variables in a Keras 2 weight file.
  nn::Node import(const std::string& class_name, const std::string& config, const std::string& shape,
                  const std::map<std::string, FloatTensor>& variables = {}, const std::string& version = "2.7.0") {
    Hdf5Builder file;
    std::vector<std::string> names;
    for (const auto& [name, value] : variables) {
      names.push_back(name);
      file.floats("l/l/" + name + ":0", {value.shape.begin(), value.shape.end()}, value.data);
    }
    file.texts("", "layer_names", {"x", "l"});
    file.layer("", "l", names);
    auto graph = read_keras(NamedBytes{"m.json", one_layer_json(class_name, config, shape, version)},
                            NamedBytes{"w.h5", file.bytes()}, ctx);
    EXPECT_TRUE(graph.ok()) << messages();
    if (!graph.ok()) return {};
    EXPECT_TRUE(layers::check(*graph, ctx).ok()) << messages();
    shape_ = graph->at(graph->nodes.front().outputs[0]).shape;
    return graph->nodes.front();
  }
  /// Diagnostics of a model that must fail.
  std::string refuse(const std::string& class_name, const std::string& config, const std::string& shape = "4") {
    diag::Engine own;
    Context own_ctx{own};
    EXPECT_FALSE(
        read_keras(NamedBytes{"m.json", one_layer_json(class_name, config, shape)}, std::nullopt, own_ctx).ok());
    std::string out;
    for (const auto& d : own.all()) {
      if (d.kind != Kind::WeightMissing) out += diag::to_text(d) + "\n";
    }
    return out;
  }
  Shape shape_;
};

std::vector<std::int64_t> ints(const nn::Node& node, const char* key) { return get_ints(node.attributes, key); }

TEST_F(RowsTest, ShapesOfReshapingLayers) {
  EXPECT_EQ(ints(import("Flatten", R"("data_format": "channels_last")", "2, 3, 4"), "shape"), Shape{24});
  EXPECT_EQ(ints(import("Flatten", R"("data_format": "channels_first")", "24"), "shape"), Shape{24});
  EXPECT_EQ(ints(import("Reshape", R"("target_shape": [4, -1])", "24"), "shape"), (Shape{4, 6}));
  EXPECT_EQ(shape_, (Shape{4, 6}));
  EXPECT_EQ(ints(import("Permute", R"("dims": [3, 1, 2])", "2, 3, 4"), "permutation"), (Shape{2, 0, 1}));
  EXPECT_EQ(shape_, (Shape{4, 2, 3}));
  EXPECT_THAT(refuse("Flatten", R"("data_format": "channels_first")", "2, 3"), HasSubstr("only channels_last"));
  for (const auto* target : {"[5, -1]", "[-1, -1]", "[0]", "[7]", "[-4, -1]", "[4611686018427387904, 4]"}) {
    EXPECT_THAT(refuse("Reshape", fmt::format("\"target_shape\": {}", target), "24"), HasSubstr("does not fit"))
        << target;
  }
  for (const auto* dims : {"[1]", "[1, 1]", "[0, 1]", "[2, 3]"}) {
    EXPECT_THAT(refuse("Permute", fmt::format("\"dims\": {}", dims), "2, 3"), HasSubstr("no permutation")) << dims;
  }
  EXPECT_THAT(refuse("Reshape", "", "24"), HasSubstr("`target_shape` is missing"));
}

TEST_F(RowsTest, LayersWithoutMeaningAtInference) {
  for (const auto* class_name : {"Dropout", "GaussianDropout", "AlphaDropout", "SpatialDropout1D"}) {
    EXPECT_EQ(import(class_name, R"("rate": 0.1, "seed": null)", "2, 3").op, "Identity");
  }
  EXPECT_EQ(import("GaussianNoise", R"("stddev": 0.1, "seed": 3)", "2").op, "Identity");
  EXPECT_EQ(import("ActivityRegularization", R"("l1": 0.1, "l2": 0.0)", "2").op, "Identity");
  // Keras 3 keeps the state of the random generator among the variables.
  EXPECT_EQ(import("Dropout", R"("rate": 0.1)", "2", {{"seed_generator_state", {{2}, {1, 2}}}}).op, "Identity");
}

TEST_F(RowsTest, DepthwiseKernelsOfBothNames) {
  const auto* config = R"("kernel_size": [1, 2], "depth_multiplier": 1, "use_bias": false, "activation": "linear")";
  const FloatTensor kernel(Shape{1, 2, 1, 1}, {0.5F, -2.0F});
  const auto keras2 = import("DepthwiseConv2D", config, "2, 3, 1", {{"depthwise_kernel", kernel}});
  EXPECT_EQ(keras2.parameters.at("kernel").values.data, kernel.data);
  const auto keras3 = import("DepthwiseConv2D", config, "2, 3, 1", {{"kernel", kernel}}, "3.12.0");
  EXPECT_EQ(keras3.parameters.at("kernel").values.data, kernel.data);
}

TEST_F(RowsTest, Activations) {
  const auto family = [&](const std::string& name, const std::string& version = "2.7.0") {
    const auto node = import("Activation", fmt::format(R"J("activation": "{}")J", name), "4", {}, version);
    return node.functions.count("activation") != 0 ? node.functions.at("activation") : quantizers::Spec{node.op, {}};
  };
  for (const auto* name :
       {"relu", "tanh", "sigmoid", "softplus", "softsign", "elu", "selu", "swish", "gelu", "binary_tanh", "mish",
        "celu", "log_sigmoid", "hard_shrink", "soft_shrink", "tanh_shrink", "sparse_plus", "sparse_sigmoid"}) {
    EXPECT_EQ(family(name), make_spec(name));
  }
  EXPECT_EQ(family("linear").family, "Identity");
  EXPECT_EQ(family("softmax").family, "Softmax");
  EXPECT_EQ(family("hard_silu", "3.1.0"), make_spec("hard_swish", {{"form", std::string("keras")}}));
  EXPECT_EQ(family("relu6"), make_spec("relu", {{"max_value", 6.0}}));
  EXPECT_EQ(family("relu1"), make_spec("relu", {{"max_value", 1.0}}));
  EXPECT_EQ(family("hard_sigmoid"), make_spec("keras_hard_sigmoid"));
  EXPECT_EQ(family("hard_sigmoid", "3.1.0"), make_spec("keras_hard_sigmoid", {{"slope", 1.0 / 6.0}}));
  EXPECT_EQ(family("quantized_relu(4,2)"),
            make_spec("quantized_relu", {{"bits", std::int64_t{4}}, {"integer", std::int64_t{2}}}));
  // QKeras looks among its own functions first.
  EXPECT_EQ(import("QActivation", R"("activation": "hard_sigmoid")", "4").functions.at("activation"),
            make_spec("hard_sigmoid"));
  const auto* function = R"("activation": {"module": "builtins", "class_name": "function", "config": "tanh",
                           "registered_name": "function"})";
  EXPECT_EQ(import("Activation", function, "4").functions.at("activation"), make_spec("tanh"));
  EXPECT_THAT(refuse("Activation", R"("activation": "my_function")"),
              HasSubstr("`my_function`, which is not a supported"));
  EXPECT_THAT(refuse("Activation", R"("activation": "sign")"), HasSubstr("`sign`, which is not a supported"));
  EXPECT_THAT(refuse("QActivation", R"("activation": null)"), HasSubstr("`activation` is missing"));
  EXPECT_THAT(refuse("Activation", R"("activation": 3)"), HasSubstr("`activation` is 3"));
}

TEST_F(RowsTest, ReluLayers) {
  EXPECT_EQ(
      import("ReLU", R"("max_value": null, "negative_slope": 0.25, "threshold": 1.5)", "4").functions.at("activation"),
      make_spec("relu", {{"negative_slope", 0.25}, {"threshold", 1.5}}));
  EXPECT_EQ(import("LeakyReLU", R"("alpha": 0.125)", "4").functions.at("activation"),
            make_spec("leaky_relu", {{"alpha", 0.125}}));
  EXPECT_EQ(import("LeakyReLU", R"("negative_slope": 0.5)", "4").functions.at("activation"),
            make_spec("leaky_relu", {{"alpha", 0.5}}));
  EXPECT_EQ(import("LeakyReLU", "", "4").functions.at("activation"), make_spec("leaky_relu", {{"alpha", 0.3}}));
  EXPECT_EQ(import("ELU", R"("alpha": 0.5)", "4").functions.at("activation"), make_spec("elu", {{"alpha", 0.5}}));
  EXPECT_EQ(import("ThresholdedReLU", R"("theta": 2.0)", "4").functions.at("activation"),
            make_spec("relu", {{"threshold", 2.0}}));
  EXPECT_EQ(get_int(import("Softmax", R"("axis": 2)", "3, 4").attributes, "axis", 7), -1);
  EXPECT_EQ(get_int(import("Softmax", R"("axis": 1)", "3, 4").attributes, "axis", 7), 0);
  EXPECT_EQ(ints(import("Softmax", R"("axis": [-1, -2])", "2, 3, 4"), "axes"), (Shape{1, 2}));
  EXPECT_THAT(refuse("Softmax", R"("axis": 0)", "3, 4"), HasSubstr("the batch"));
}

TEST_F(RowsTest, PreluSlopes) {
  const auto alpha = [](const nn::Node& node) {
    return get_doubles(node.functions.at("activation").parameters, "alpha");
  };
  EXPECT_EQ(alpha(import("PReLU", R"("shared_axes": [1])", "2, 3", {{"alpha", {{1, 3}, {1, 2, 3}}}})),
            (std::vector<double>{1, 2, 3}));
  EXPECT_EQ(alpha(import("PReLU", R"("shared_axes": null)", "2, 3", {{"alpha", {{2, 3}, {1, 2, 3, 4, 5, 6}}}})),
            (std::vector<double>{1, 2, 3, 4, 5, 6}));
  EXPECT_EQ(alpha(import("PReLU", R"("shared_axes": [2])", "2, 3", {{"alpha", {{2, 1}, {1, 2}}}})),
            (std::vector<double>{1, 1, 1, 2, 2, 2}));
  EXPECT_THAT(refuse("PReLU", R"("shared_axes": [3])", "2, 3"), HasSubstr("no axis of the input"));
}

TEST_F(RowsTest, NormalizationsOfTheDataItself) {
  const std::map<std::string, FloatTensor> pair = {{"gamma", {{4}, {1, 2, 3, 4}}}, {"beta", {{4}, {5, 6, 7, 8}}}};
  auto node =
      import("LayerNormalization", R"("axis": [2], "epsilon": 0.01, "center": true, "scale": true)", "3, 4", pair);
  EXPECT_EQ(node.op, "LayerNorm");
  EXPECT_EQ(ints(node, "axes"), Shape{1});
  EXPECT_EQ(node.parameters.at("gamma").values, FloatTensor({1, 4}, {1, 2, 3, 4}));
  node = import("GroupNormalization", R"("groups": 2, "axis": -1)", "3, 4", pair);
  EXPECT_EQ(get_int(node.attributes, "groups", 0), 2);
  EXPECT_EQ(ints(node, "axes"), (Shape{0, 1}));
  EXPECT_THAT(refuse("GroupNormalization", R"("groups": 3)", "3, 4"), HasSubstr("do not divide"));
  EXPECT_THAT(refuse("GroupNormalization", R"("groups": 1, "axis": 1)", "3, 4"), HasSubstr("not the last axis"));
  node =
      import("RMSNormalization", R"("axis": -1, "epsilon": 1e-6)", "3, 4", {{"scale", {{4}, {1, 2, 3, 4}}}}, "3.9.0");
  EXPECT_EQ(get_string(node.attributes, "statistic", ""), "mean_square");
  EXPECT_EQ(get_string(import("UnitNormalization", R"("axis": -1)", "3, 4").attributes, "statistic", ""), "sum_square");
}

TEST_F(RowsTest, RescalingAndNormalization) {
  const auto rescaling = import("Rescaling", R"("scale": 0.00392156862745098, "offset": [1, 2, 3])", "2, 3");
  EXPECT_EQ(rescaling.parameters.at("scale").values, FloatTensor({}, {1.0F / 255.0F}));
  EXPECT_EQ(rescaling.parameters.at("offset").values, FloatTensor({3}, {1, 2, 3}));
  const auto* array = R"("scale": {"class_name": "__numpy__", "config": {"value": [2.0, 3.0], "dtype": "float32"}})";
  EXPECT_EQ(import("Rescaling", array, "2").parameters.at("scale").values, FloatTensor({2}, {2, 3}));
  EXPECT_THAT(refuse("Rescaling", ""), HasSubstr("`scale` is missing"));

  const std::map<std::string, FloatTensor> adapted = {
      {"mean", {{3}, {1, 2, 3}}}, {"variance", {{3}, {4, 5, 6}}}, {"count", {{}, {7}}}};
  auto normalization =
      import("Normalization", R"("axis": [-1], "invert": true, "mean": null, "variance": null)", "2, 3", adapted);
  EXPECT_EQ(normalization.parameters.at("mean").values, FloatTensor({1, 3}, {1, 2, 3}));
  EXPECT_TRUE(get_bool(normalization.attributes, "invert", false));
  normalization = import("Normalization", R"("axis": 1, "mean": 0.5, "variance": [4, 9])", "2");
  EXPECT_EQ(normalization.parameters.at("mean").values, FloatTensor({2}, {0.5F, 0.5F}));
  EXPECT_EQ(normalization.parameters.at("variance").values, FloatTensor({2}, {4, 9}));
  normalization = import("Normalization", R"("axis": null)", "3", {{"mean", {{}, {2}}}, {"variance", {{}, {4}}}});
  EXPECT_EQ(normalization.parameters.at("mean").values, FloatTensor({1}, {2}));
  EXPECT_THAT(refuse("Normalization", R"("axis": 0)"), HasSubstr("the batch"));
  EXPECT_THAT(refuse("Normalization", R"("axis": -1, "mean": [1, 2], "variance": 1)"),
              HasSubstr("`mean` has 2 numbers"));
}

TEST_F(RowsTest, BatchNormalization) {
  const std::map<std::string, FloatTensor> all = {{"gamma", {{3}, {1, 2, 3}}},
                                                  {"beta", {{3}, {4, 5, 6}}},
                                                  {"moving_mean", {{3}, {7, 8, 9}}},
                                                  {"moving_variance", {{3}, {1, 4, 9}}}};
  for (const auto* axis : {"-1", "[2]", "2", "[-1]"}) {
    const auto node = import("BatchNormalization", fmt::format("\"axis\": {}, \"epsilon\": 0.01", axis), "2, 3", all);
    EXPECT_EQ(node.parameters.at("mean").values, all.at("moving_mean"));
    EXPECT_EQ(get_double(node.attributes, "epsilon", 0), 0.01);
    EXPECT_EQ(get_string(node.attributes, "form", ""), "keras");
  }
  const std::map<std::string, FloatTensor> statistics = {{"moving_mean", all.at("moving_mean")},
                                                         {"moving_variance", all.at("moving_variance")}};
  EXPECT_EQ(import("BatchNormalization", R"("center": false, "scale": 0)", "3", statistics).parameters.size(), 2U);
  for (const auto* axis : {"[1, 2]", "[]", "3", "-3", "0"}) {
    EXPECT_THAT(refuse("BatchNormalization", fmt::format("\"axis\": {}", axis), "2, 3"),
                HasSubstr("one axis of the input besides the batch"))
        << axis;
  }
  EXPECT_THAT(refuse("BatchNormalization", R"("renorm": true)"), HasSubstr("`renorm` is true"));
  EXPECT_EQ(import("BatchNormalization", R"("renorm": false, "virtual_batch_size": null)", "3", all).op, "BatchNorm");
}

TEST_F(RowsTest, QuantizedBatchNormalization) {
  const std::map<std::string, FloatTensor> all = {
      {"gamma", {{1}, {1}}}, {"beta", {{1}, {4}}}, {"moving_mean", {{1}, {7}}}, {"moving_variance", {{1}, {1}}}};
  auto node = import("QBatchNormalization", "", "1", all);
  EXPECT_EQ(node.op, "BatchNorm");
  EXPECT_EQ(node.parameters.at("gamma").quantizer,
            make_spec("quantized_relu_po2", {{"bits", std::int64_t{6}}, {"max_value", 2048.0}}));
  EXPECT_EQ(node.parameters.at("beta").quantizer, make_spec("quantized_po2", {{"bits", std::int64_t{5}}}));
  EXPECT_EQ(node.parameters.at("mean").quantizer, make_spec("quantized_po2", {{"bits", std::int64_t{5}}}));
  EXPECT_EQ(node.parameters.at("variance").quantizer,
            make_spec("quantized_relu_po2", {{"bits", std::int64_t{6}}, {"quadratic_approximation", true}}));
  EXPECT_EQ(node.functions.count("inverse"), 0U);
  EXPECT_EQ(get_string(node.attributes, "inverse", ""), "rsqrt");
  const auto* nulls = R"J("gamma_quantizer": null, "variance_quantizer": null, "beta_quantizer": null,
      "mean_quantizer": "quantized_bits(8,2,1)", "inverse_quantizer": {"class_name": "quantized_po2", "config": {"bits": 6}})J";
  node = import("QBatchNormalization", nulls, "1", all, "3.1.0");
  EXPECT_EQ(node.parameters.at("gamma").quantizer, std::nullopt);
  EXPECT_EQ(node.parameters.at("mean").quantizer->family, "quantized_bits");
  EXPECT_EQ(node.functions.at("inverse"), make_spec("quantized_po2", {{"bits", std::int64_t{6}}}));
  EXPECT_EQ(get_string(node.attributes, "inverse", ""), "div");
}

TEST_F(RowsTest, DenseWithFoldedBatchNorm) {
  const std::map<std::string, FloatTensor> variables = {
      {"kernel", {{2, 1}, {1, 2}}}, {"gamma", {{1}, {3}}},           {"beta", {{1}, {4}}},
      {"moving_mean", {{1}, {5}}},  {"moving_variance", {{1}, {6}}}, {"iteration", {{}, {100}}}};
  const auto* config = R"J("units": 1, "use_bias": false, "axis": [1], "bias_quantizer": "quantized_bits(4,1,1)",
      "kernel_quantizer": "quantized_bits(4,1,1,alpha=1)", "ema_freeze_delay": 10, "folding_mode": "batch_stats_folding")J";
  const auto node = import("QDenseBatchnorm", config, "2", variables);
  EXPECT_EQ(node.op, "DenseBatchnorm");
  EXPECT_EQ(node.parameters.at("kernel").values, variables.at("kernel"));
  EXPECT_EQ(node.parameters.at("gamma").values, variables.at("gamma"));
  EXPECT_EQ(node.parameters.at("mean").values, variables.at("moving_mean"));
  EXPECT_EQ(node.parameters.at("variance").values, variables.at("moving_variance"));
  // No bias, but the folded bias is quantized.
  EXPECT_EQ(node.parameters.at("bias").values, FloatTensor({1}, {0}));
  EXPECT_EQ(node.parameters.at("bias").quantizer->family, "quantized_bits");
  EXPECT_EQ(node.parameters.count("iteration"), 0U);
  EXPECT_THAT(refuse("QDenseBatchnorm", R"("units": 1, "folding_mode": "other")"),
              HasSubstr("`folding_mode` is `other`"));
}

TEST_F(RowsTest, Quantizers) {
  const std::map<std::string, FloatTensor> kernel = {{"kernel", {{2, 1}, {1, 2}}}};
  const auto read = [&](const std::string& quantizer) {
    const auto node =
        import("QDense", R"("units": 1, "use_bias": false, "kernel_quantizer": )" + quantizer, "2", kernel);
    const auto it = node.parameters.find("kernel");
    return it == node.parameters.end() ? std::nullopt : it->second.quantizer;
  };
  EXPECT_EQ(read("null"), std::nullopt);
  EXPECT_EQ(read(R"J("quantized_po2(4)")J"), make_spec("quantized_po2", {{"bits", std::int64_t{4}}}));
  EXPECT_EQ(read(R"({"class_name": "qkeras>quantized_bits", "config": {"bits": 4, "alpha": "auto"}})"),
            make_spec("quantized_bits", {{"bits", std::int64_t{4}}, {"alpha", std::string("auto")}}));
  EXPECT_EQ(read(R"({"class_name": "quantized_bits", "config": {"alpha": [[0.5]], "symmetric": 1}})"),
            make_spec("quantized_bits", {{"alpha", std::vector<double>{0.5}}, {"symmetric", true}}));
  EXPECT_EQ(read(R"({"class_name": "ternary", "config": {"alpha": null, "threshold": null}, "shared_object_id": 3})"),
            make_spec("ternary", {{"alpha", std::string("auto_po2")}}));
  EXPECT_EQ(read(R"({"class_name": "binary", "config": {"use_01": false, "alpha": 1}})"),
            make_spec("binary", {{"alpha", 1.0}}));
  const auto refused = [&](const std::string& quantizer) {
    return refuse("QDense", R"("units": 1, "kernel_quantizer": )" + quantizer);
  };
  EXPECT_THAT(refused(R"({"class_name": "quantized_bits", "config": {"bitts": 4}})"),
              HasSubstr("quantizer `quantized_bits` has an unknown argument `bitts` [attribute-unknown]"));
  EXPECT_THAT(refused(R"({"class_name": "my_quantizer", "config": {}})"),
              HasSubstr("`my_quantizer`, which is not a quantizer"));
  EXPECT_THAT(refused(R"({"class_name": "sign", "config": {}})"), HasSubstr("`sign`, which is not a quantizer"));
  EXPECT_THAT(refused(R"({"class_name": "quantized_bits", "module": "other.quantizers", "config": {}})"),
              HasSubstr("of `other"));
  EXPECT_THAT(refused(R"({"class_name": "quantized_bits", "config": {"alpha": {"a": 1}}})"),
              HasSubstr("argument `alpha`"));
  EXPECT_THAT(refused(R"({"class_name": "quantized_bits"})"), HasSubstr("has no config"));
  EXPECT_THAT(refused(R"({"class_name": "quantized_bits", "config": {"bits": 0}})"),
              HasSubstr("[quantizer-unsupported]"));
  EXPECT_THAT(refused(R"J("quantized_bits(4")J"), HasSubstr("[quantizer-unsupported]"));
  EXPECT_THAT(refused("7"), HasSubstr("`kernel_quantizer` is 7"));
}

TEST_F(RowsTest, ConfigsThatAreRefused) {
  EXPECT_EQ(refuse("Dense", R"("units": 1, "colour": "red")"),
            "error: m.json: node `l` (Dense): unknown attribute `colour` [attribute-unknown]\n");
  EXPECT_THAT(refuse("Dense", R"("units": 1, "dtype": "mixed_float16")"), HasSubstr("`mixed_float16`; only float32"));
  EXPECT_THAT(refuse("Dense", R"("units": 1, "dtype": {"class_name": "Policy", "config": {"name": "bfloat16"}})"),
              HasSubstr("`bfloat16`; only float32"));
  EXPECT_THAT(refuse("Dense", R"("units": 1, "lora_rank": 4)"), HasSubstr("`lora_rank` is 4"));
  EXPECT_THAT(refuse("Dense", ""), HasSubstr("`units` is missing"));
  EXPECT_THAT(refuse("Dense", R"("units": 0)"), HasSubstr("`units` is 0"));
  EXPECT_THAT(refuse("Dense", R"("units": 1.5)"), HasSubstr("`units` is 1.5, not a whole number"));
  EXPECT_THAT(refuse("Dense", R"("units": 1, "use_bias": "yes")"), HasSubstr("`use_bias` is \"yes\""));
  EXPECT_THAT(refuse("Dense", R"("units": 99999999999)"), HasSubstr("`units` is 99999999999"));
  EXPECT_THAT(refuse("Dropout", R"("rate": 0.1)", "null"), HasSubstr("open axis"));
  EXPECT_THAT(refuse("Dropout", R"("rate": 0.1)", "0"), HasSubstr("the input shape is [null,0]"));
  EXPECT_THAT(refuse("Dropout", R"("rate": 0.1)", "4294967296, 4294967296"), HasSubstr("[limit-exceeded]"));
}

TEST_F(RowsTest, ClassesThatAreRefused) {
  EXPECT_EQ(refuse("ConvLSTM2D", R"("filters": 3)"),
            "error: m.json: node `l` (ConvLSTM2D): layer class `ConvLSTM2D` is not supported; build the model from the "
            "layers "
            "that `weft ops` lists [layer-unsupported]\n");
  EXPECT_EQ(refuse("Conv2D", R"("filters": 3)"),
            "error: m.json: node `l` (Conv2D): the input has shape [4], 2 axes and the channels are expected "
            "[shape-mismatch]\n");
  EXPECT_THAT(refuse("Functional", R"("layers": [])"), HasSubstr("a nested model has no layers"));
  EXPECT_THAT(refuse("Masking", R"("mask_value": 0.0)"), HasSubstr("cannot be masked"));
  EXPECT_THAT(refuse("Lambda", R"("function": "x")"), HasSubstr("which is never run"));
  EXPECT_THAT(refuse("PruneLowMagnitude", ""), HasSubstr("strip_pruning()"));
  EXPECT_THAT(refuse("hgq>QGRU", R"("units": 1)"), HasSubstr("layer class `QGRU` of `hgq` is not supported"));
  EXPECT_THAT(refuse("hgq>QDense", R"("units": 1)"), HasSubstr("`iq_conf` is no quantizer configuration"));
  // Several problems in one run, the layers behind a failed one included.
  const auto text = refuse("Dense", R"("units": "x", "a": 1, "b": 2, "activation": "nothing")");
  for (const auto* part : {"`units`", "unknown attribute `a`", "unknown attribute `b`", "`nothing`"})
    EXPECT_THAT(text, HasSubstr(part));
}

TEST_F(RowsTest, ArchitecturesThatAreRefused) {
  const auto refuse_text = [&](const std::string& text) {
    diag::Engine own;
    Context own_ctx{own};
    EXPECT_FALSE(read_keras(NamedBytes{"m", text}, std::nullopt, own_ctx).ok());
    return own.all().empty() ? std::string() : diag::to_text(own.all()[0]);
  };
  EXPECT_THAT(refuse_text(R"({"class_name": "MyModel", "config": {}})"), HasSubstr("the model is a `MyModel`"));
  EXPECT_THAT(refuse_text(R"({"class_name": "Sequential"})"), HasSubstr("no `config`"));
  EXPECT_THAT(refuse_text(R"({"class_name": "Sequential", "config": []})"), HasSubstr("no layers"));
  EXPECT_THAT(refuse_text(R"({"class_name": "Sequential", "config": [7]})"), HasSubstr("no class name"));
  EXPECT_THAT(
      refuse_text(R"({"class_name": "Sequential", "config": [{"class_name": "ReLU", "config": {"name": "a"}}]})"),
      HasSubstr("the input shape is not in the file"));
  EXPECT_THAT(refuse_text(R"({"class_name": "Sequential", "config": [{"class_name": "ReLU", "extra": 1,
                           "config": {"name": "a", "batch_input_shape": [null, 2]}}]})"),
              HasSubstr("unknown key `extra` beside"));
  const auto* twice = R"({"class_name": "Sequential", "config": [
      {"class_name": "ReLU", "config": {"name": "a", "batch_input_shape": [null, 2]}},
      {"class_name": "ReLU", "config": {"name": "a"}}]})";
  EXPECT_THAT(refuse_text(twice), HasSubstr("two layers have this name"));
  EXPECT_THAT(refuse_text("[1]"), HasSubstr("no `config`"));
}

TEST_F(RowsTest, EveryRowNamesALayerThatExists) {
  ASSERT_FALSE(layer_classes().empty());
  for (const auto& row : layer_classes()) EXPECT_NE(layers::find_layer(row.op), nullptr) << row.name;
}

}  // namespace
}  // namespace weft::formats::keras
