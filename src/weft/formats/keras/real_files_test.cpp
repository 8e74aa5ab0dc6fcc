// SPDX-License-Identifier: Apache-2.0
// Public models; the numbers were read from the same files with h5py.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <numeric>

#include "tests/paths/paths.h"
#include "weft/formats/keras/keras.h"
#include "weft/formats/keras/quantizer_spec.h"
#include "weft/layers/layer.h"

namespace weft::formats::keras {
namespace {
namespace fs = std::filesystem;

struct RealFiles : testing::Test {
  diag::Engine engine;
  Context ctx{engine};
  nn::Graph graph;

  /// Reads a model below the data folder; false (and the test is skipped) when it is not there.
  bool read(const std::string& model, const std::string& weights = "") {
    const fs::path root = test::data_dir() / "models";
    if (!fs::exists(root / model)) return false;
    EXPECT_TRUE(looks_like_keras_file(root / model));
    auto result = read_keras(root / model, weights.empty() ? std::nullopt : std::optional(root / weights), ctx);
    for (const auto& d : engine.all())
      if (d.severity != diag::Severity::Note) ADD_FAILURE() << diag::to_text(d);
    if (result.ok()) graph = std::move(result).value();
    EXPECT_TRUE(layers::check(graph, ctx).ok());
    return true;
  }
  const nn::Node& node(const std::string& name) {
    for (const auto& n : graph.nodes) {
      if (n.name == name) return n;
    }
    ADD_FAILURE() << "no node " << name;
    static const nn::Node kNone;
    return kNone;
  }
  const FloatTensor& values(const std::string& name, const std::string& role) {
    static const FloatTensor kNone;
    const auto& parameters = node(name).parameters;
    const auto it = parameters.find(role);
    EXPECT_NE(it, parameters.end()) << name << " " << role;
    return it == parameters.end() ? kNone : it->second.values;
  }
  FloatTensor quantized(const std::string& name, const std::string& role) {
    const auto& parameter = node(name).parameters.at(role);
    const auto function = quantizers::make(parameter.quantizer.value(), {}, ctx);
    const auto q = (*function)->quantize(parameter.values, {}, ctx);
    EXPECT_TRUE(q.ok());
    return q.ok() ? q->values : FloatTensor();
  }
  static double sum(const FloatTensor& t) { return std::accumulate(t.data.begin(), t.data.end(), 0.0); }
  std::vector<std::string> ops() {
    std::vector<std::string> out;
    for (const auto& n : graph.nodes) out.push_back(n.op);
    return out;
  }
};

#define WEFT_READ_OR_SKIP(...) \
  if (!read(__VA_ARGS__)) GTEST_SKIP() << "test data are not here"

constexpr double kSumTolerance = 1e-9;  // only the order of the additions differs

TEST_F(RealFiles, QkerasThreeLayers) {
  WEFT_READ_OR_SKIP("example_models/keras/qkeras_3layer.json", "example_models/keras/qkeras_3layer_weights.h5");
  EXPECT_THAT(ops(), testing::ElementsAre("Dense", "Activation", "Dense", "Activation", "Dense", "Activation", "Dense",
                                          "Softmax"));
  const auto& kernel = values("fc1", "kernel");
  EXPECT_EQ(kernel.shape, (Shape{16, 64}));
  EXPECT_EQ(kernel.data[0], -0x1.e508p-4F);
  EXPECT_EQ(kernel.data[1], -0x1.99caceP-3F);
  EXPECT_EQ(kernel.data.back(), 0x1.01f25p-6F);
  EXPECT_NEAR(sum(kernel), 3.2934299535190803, kSumTolerance);
  EXPECT_NEAR(sum(values("output", "bias")), -0.04235980659723282, kSumTolerance);
  const auto six_bits = make_spec("quantized_bits", {{"bits", std::int64_t{6}}, {"alpha", 1.0}});
  EXPECT_EQ(node("fc1").parameters.at("kernel").quantizer, six_bits);
  EXPECT_EQ(node("output").parameters.at("bias").quantizer, six_bits);
  EXPECT_EQ(node("relu1").functions.at("activation"), make_spec("quantized_relu", {{"bits", std::int64_t{6}}}));
  EXPECT_EQ(graph.inputs[0].name, "fc1_input");
  EXPECT_EQ(graph.outputs[0].name, "softmax");
}

// Sums of the quantized kernels as HGQ2 computes them (qkernel, qbias).
TEST_F(RealFiles, Hgq2) {
  WEFT_READ_OR_SKIP("hgq2/jsc_openml/epoch-116234-val_acc-0.758-ebops-2571-val_loss-0.683.keras");
  EXPECT_THAT(ops(), testing::ElementsAre("Activation", "Activation", "Dense", "Activation", "Dense", "Activation",
                                          "Dense", "Activation", "Dense"));
  EXPECT_EQ(graph.nodes[0].name, "input_layer_grid");
  EXPECT_EQ(graph.nodes[1].name, "t1_iq");
  EXPECT_EQ(graph.outputs[0].name, "out");
  struct Sums {
    const char* layer;
    int weights;
    double kernel;
    double bias;
  };
  for (const auto& [layer, weights, kernel, bias] :
       {Sums{"t1", 60, -135.375, 39.875}, Sums{"t2", 65, -67.84375, 136.5}, Sums{"t3", 51, -3.1875, 20.25},
        Sums{"out", 40, -68.640625, -14.0}}) {
    const auto q = quantized(layer, "kernel");
    EXPECT_EQ(sum(q), kernel) << layer;
    EXPECT_EQ(std::count_if(q.data.begin(), q.data.end(), [](float v) { return v != 0.0F; }), weights) << layer;
    EXPECT_EQ(sum(quantized(layer, "bias")), bias) << layer;
  }
  // t2's input: i and f of some elements, pruned ones without any.
  const auto& iq = node("t2_iq").functions.at("activation");
  EXPECT_EQ(iq.family, "hgq_fixed");
  EXPECT_EQ(get_string(iq.parameters, "overflow", ""), "WRAP");
  const auto f = get_doubles(iq.parameters, "f");
  ASSERT_EQ(f.size(), 64U);
  EXPECT_EQ(f[1], 1.0);  // 1.499548
  EXPECT_EQ(get_doubles(iq.parameters, "i").at(1), 5.0);
}

TEST_F(RealFiles, Hgq2WithNormalizedInputs) {
  WEFT_READ_OR_SKIP("hgq1/jsc_openml/epoch-20849-test_acc-76.86.h5");
  EXPECT_EQ(sum(quantized("dense_2", "kernel")), -77.328125);
  EXPECT_EQ(sum(quantized("dense_2", "bias")), 57.5);
  EXPECT_EQ(sum(quantized("dense_3", "kernel")), -45.9453125);
  EXPECT_EQ(sum(quantized("dense_4", "kernel")), -0.875);
}

TEST_F(RealFiles, Hgq2AttentionWithAnInputQuantizerOfTheSoftmax) {
  WEFT_READ_OR_SKIP("hgq2_attention/mha_ml4ps_models/mha8part.keras");
  EXPECT_EQ(node("mha1_softmax_iq").functions.at("activation").family, "hgq_fixed");
  const auto& all = engine.all();
  EXPECT_TRUE(std::any_of(all.begin(), all.end(), [](const auto& d) {
    return d.origin.node == "mha1" && d.message.find("from 0.1.7 on opens the file without it") != std::string::npos;
  }));
}

TEST_F(RealFiles, HgqProxy) {
  WEFT_READ_OR_SKIP("example_models/keras/hgq_jet_classifier.h5");
  const auto& q = node("dense_1_quantizer").functions.at("activation");
  EXPECT_EQ(q, make_spec("hgq_fixed", {{"k", std::vector<double>{1.0}},
                                       {"i", std::vector<double>{8.0}},
                                       {"f", std::vector<double>{3.0}},
                                       {"rounding", std::string("TRN")}}));
  EXPECT_EQ(get_doubles(node("inp_q_quantizer").functions.at("activation").parameters, "f").size(), 16U);
}

TEST_F(RealFiles, Hgq2OverOtherAxes) {
  WEFT_READ_OR_SKIP("hgq1/mlp-mixer/epoch-6898-test_acc-77.26.h5");
  EXPECT_EQ(node("q_einsum_dense_batchnorm_2").op, "Permute");
  EXPECT_EQ(node("q_einsum_dense").op, "Reshape");
  EXPECT_EQ(graph.at(node("q_add").inputs[1]).shape, (Shape{64, 16}));
}

TEST_F(RealFiles, QkerasForKeras3) {
  WEFT_READ_OR_SKIP("example_models/keras/qkeras-v3_3layer.keras");
  // The same network as above, saved by Keras 3.
  EXPECT_NEAR(sum(values("fc1", "kernel")), 3.2934299535190803, kSumTolerance);
  EXPECT_EQ(values("output", "kernel").shape, (Shape{32, 5}));
  EXPECT_EQ(values("output", "kernel").data[2], 0x1.500f58p-1F);
  EXPECT_NEAR(sum(values("output", "kernel")), -8.727849979426765, kSumTolerance);
  EXPECT_NEAR(sum(values("output", "bias")), -0.04235980659723282, kSumTolerance);
  EXPECT_EQ(node("fc3").parameters.at("kernel").quantizer,
            make_spec("quantized_bits", {{"bits", std::int64_t{6}}, {"alpha", 1.0}}));
}

TEST_F(RealFiles, QkerasMnist) {
  WEFT_READ_OR_SKIP("example_models/keras/qkeras_mnist_dense.json",
                    "example_models/keras/qkeras_mnist_dense_weights.h5");
  EXPECT_THAT(ops(), testing::ElementsAre("Activation", "Dense", "Activation", "Dense", "Softmax"));
  EXPECT_EQ(values("q_dense_2", "kernel").shape, (Shape{784, 20}));
  EXPECT_NEAR(sum(values("q_dense_2", "kernel")), 66.97632779837932, kSumTolerance);
  EXPECT_NEAR(sum(values("q_dense_3", "bias")), -0.17374987062066793, kSumTolerance);
  EXPECT_EQ(node("q_dense_2").parameters.at("kernel").quantizer,
            make_spec("quantized_po2", {{"bits", std::int64_t{4}}, {"max_value", 1.0}}));
  // alpha null on a bias stays None.
  EXPECT_EQ(node("q_dense_2").parameters.at("bias").quantizer,
            make_spec("quantized_bits", {{"bits", std::int64_t{2}}, {"symmetric", true}}));
  EXPECT_EQ(node("q_activation_3").functions.at("activation"),
            make_spec("quantized_relu", {{"bits", std::int64_t{3}}, {"integer", std::int64_t{1}}}));
}

TEST_F(RealFiles, KerasBatchNorm) {
  WEFT_READ_OR_SKIP("example_models/keras/KERAS_3layer_batch_norm.json",
                    "example_models/keras/KERAS_3layer_batch_norm_weights.h5");
  EXPECT_EQ(graph.nodes.size(), 12U);
  EXPECT_EQ(values("bn3", "variance").data[0], 0x1.36b1a8p-3F);
  EXPECT_NEAR(sum(values("bn3", "variance")), 5.182906087487936, kSumTolerance);
  EXPECT_NEAR(sum(values("bn3", "gamma")), 31.527203917503357, kSumTolerance);
  EXPECT_EQ(get_double(node("bn3").attributes, "epsilon", 0), 1e-6);
}

TEST_F(RealFiles, AutoencoderWithFoldedBatchNorm) {
  WEFT_READ_OR_SKIP("mlperf_tiny/AD08/model.h5");
  EXPECT_EQ(graph.nodes.size(), 11U);
  const auto& layer = node("q_dense_batchnorm_2");
  EXPECT_EQ(layer.op, "DenseBatchnorm");
  EXPECT_EQ(values("q_dense_batchnorm_2", "kernel").shape, (Shape{72, 8}));
  EXPECT_NEAR(sum(values("q_dense_batchnorm_2", "kernel")), 32.16003134330094, kSumTolerance);
  EXPECT_EQ(values("q_dense_batchnorm_2", "variance").data[1], 0x1.8242fcp+7F);
  EXPECT_NEAR(sum(values("q_dense_batchnorm_2", "variance")), 2955.764144897461, 1e-7);
  EXPECT_EQ(layer.parameters.size(), 6U);
  EXPECT_EQ(get_string(layer.attributes, "inverse", ""), "rsqrt");
  EXPECT_EQ(layer.parameters.at("kernel").quantizer,
            make_spec("quantized_bits", {{"bits", std::int64_t{12}}, {"integer", std::int64_t{6}}, {"alpha", 1.0}}));
  EXPECT_EQ(layer.parameters.at("gamma").quantizer, std::nullopt);
  EXPECT_NEAR(sum(values("q_dense", "bias")), -56.61740271747112, kSumTolerance);
}

TEST_F(RealFiles, FloatModels) {
  WEFT_READ_OR_SKIP("keras_float/svhn_grayscale_mlp.json", "keras_float/svhn_grayscale_mlp_weights.h5");
  EXPECT_EQ(graph.nodes.size(), 10U);  // five dense layers, four dropouts, the softmax
  EXPECT_EQ(values("dense_5", "kernel").data[0], -0x1.b5d492p-2F);
  EXPECT_NEAR(sum(values("dense_5", "kernel")), -33.846355446614325, kSumTolerance);
  EXPECT_EQ(node("dropout_1").op, "Identity");
  EXPECT_EQ(graph.nodes.back().name, "dense_5_softmax");
}

TEST_F(RealFiles, OldSequentialModel) {
  // Keras 2.0.8: the config is a list, variables have another name than their layer.
  WEFT_READ_OR_SKIP("muon_mlp/model_l1Reg_1e-7.h5");
  EXPECT_THAT(ops(), testing::ElementsAre("Dense", "Dense", "Dense", "Dense"));
  EXPECT_EQ(values("dense_1", "kernel").data[2], -0x1.b4f73p-1F);
  EXPECT_NEAR(sum(values("dense_1", "kernel")), 5.565222060292086, kSumTolerance);
  EXPECT_EQ(node("dense_3").functions.at("activation").family, "tanh");
  EXPECT_EQ(graph.inputs[0].name, "dense_1_input");
}

TEST_F(RealFiles, ArchitectureWithWeightsOfAWholeModel) {
  // The architecture is a JSON string inside of JSON.
  WEFT_READ_OR_SKIP("muon_mlp/model.json", "muon_mlp/model.12.pruned.50.h5");
  EXPECT_EQ(graph.nodes.size(), 4U);
  EXPECT_EQ(values("dense_4", "kernel").shape, (Shape{16, 1}));
}

TEST_F(RealFiles, EveryOtherModelIsReadOrRefusedWithReasons) {
  const fs::path root = test::data_dir() / "models";
  if (!fs::exists(root)) GTEST_SKIP() << "test data are not here";
  int read_files = 0;
  for (const auto& entry : fs::recursive_directory_iterator(root)) {
    if (!entry.is_regular_file() || !looks_like_keras_file(entry.path())) continue;
    diag::Engine own;
    Context own_ctx{own};
    const auto result = read_keras(entry.path(), std::nullopt, own_ctx);
    EXPECT_EQ(result.ok(), !own.has_errors()) << entry.path();
    for (const auto& d : own.all()) {
      // Nothing of these files is damaged.
      const bool weights_alone = d.message.find("no architecture") != std::string::npos;
      EXPECT_TRUE(d.kind != Kind::ModelMalformed || weights_alone) << diag::to_text(d);
    }
    ++read_files;
  }
  EXPECT_GT(read_files, 20);
}

}  // namespace
}  // namespace weft::formats::keras
