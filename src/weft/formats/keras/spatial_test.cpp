// SPDX-License-Identifier: Apache-2.0
// Transposed convolutions, resizing, embeddings and batch normalization of any axis: numbers as TensorFlow 2.14 gives
// them.
#include <fmt/format.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <numeric>

#include "weft/formats/keras/keras.h"
#include "weft/formats/keras/test_files.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer.h"

namespace weft::formats::keras {
namespace {

using testing::HasSubstr;
using Floats = std::vector<float>;

/// 1, 2, 3 ...
FloatTensor counted(const Shape& shape) {
  FloatTensor out(shape);
  std::iota(out.data.begin(), out.data.end(), 1.0F);
  return out;
}

struct SpatialTest : testing::Test {
  std::unique_ptr<diag::Engine> engine = std::make_unique<diag::Engine>();

  std::string messages() const {
    std::string out;
    for (const auto& d : engine->all()) out += diag::to_text(d) + "\n";
    return out;
  }
  std::optional<nn::Graph> import(const std::string& class_name, const std::string& config, const std::string& shape,
                                  const std::vector<std::pair<std::string, FloatTensor>>& variables = {}) {
    engine = std::make_unique<diag::Engine>();
    Context ctx{*engine};
    Hdf5Builder file;
    std::vector<std::string> names;
    for (const auto& [name, value] : variables) {
      names.push_back(name);
      file.floats("l/l/" + name + ":0", {value.shape.begin(), value.shape.end()}, value.data);
    }
    file.texts("", "layer_names", {"x", "l"});
    file.layer("", "l", names);
    auto graph = read_keras(NamedBytes{"m.json", one_layer_json(class_name, config, shape)},
                            NamedBytes{"w.h5", file.bytes()}, ctx);
    if (!graph.ok() || !layers::check(*graph, ctx).ok()) return std::nullopt;
    return std::move(graph).value();
  }
  /// What the layer gives for `x`.
  Floats run(const std::string& class_name, const std::string& config, const std::string& shape, const Floats& x,
             const std::vector<std::pair<std::string, FloatTensor>>& variables = {}) {
    const auto graph = import(class_name, config, shape, variables);
    EXPECT_TRUE(graph) << messages();
    if (!graph) return {};
    EXPECT_EQ(graph->nodes.back().name, "l");
    Context ctx{*engine};
    const auto tensors = layers::run_float(*graph, {x}, 1, ctx);
    EXPECT_TRUE(tensors.ok()) << messages();
    return tensors.ok() ? (*tensors)[graph->outputs[0].tensor.index] : Floats{};
  }
};

TEST_F(SpatialTest, TransposedConvolutionsOfOneAxis) {
  const Floats x = {1, 2, 3, 4, 5, 6};
  const auto with = [&](const std::string& config, std::int64_t kernel) {
    return run("Conv1DTranspose",
               fmt::format(R"("filters": 2, "kernel_size": [{}], "use_bias": false, "activation": "linear", {})",
                           kernel, config),
               "3, 2", x, {{"kernel", counted({kernel, 2, 2})}});
  };
  EXPECT_EQ(with(R"("padding": "valid", "strides": [1])", 3), (Floats{5, 11, 28, 48, 85, 127, 128, 164, 105, 127}));
  EXPECT_EQ(with(R"("padding": "valid", "strides": [2])", 3),
            (Floats{5, 11, 17, 23, 40, 60, 39, 53, 84, 120, 61, 83, 105, 127}));
  // A kernel shorter than the stride leaves zeros, behind the last one too.
  const Floats gaps = {5, 11, 17, 23, 0, 0, 11, 25, 39, 53, 0, 0, 17, 39, 61, 83, 0, 0};
  EXPECT_EQ(with(R"("padding": "valid", "strides": [3])", 2), gaps);
  EXPECT_EQ(with(R"("padding": "same", "strides": [3])", 2), gaps);
  EXPECT_EQ(with(R"("padding": "same", "strides": [1])", 3), (Floats{28, 48, 85, 127, 128, 164}));
  EXPECT_EQ(with(R"("padding": "same", "strides": [1])", 2), (Floats{5, 11, 28, 48, 56, 92}));
  EXPECT_EQ(with(R"("padding": "same", "strides": [2])", 3), (Floats{5, 11, 17, 23, 40, 60, 39, 53, 84, 120, 61, 83}));
  EXPECT_EQ(with(R"("padding": "same", "strides": [2], "output_padding": [0])", 3),
            (Floats{17, 23, 40, 60, 39, 53, 84, 120, 61, 83}));
  EXPECT_EQ(with(R"("padding": "same", "strides": [2], "output_padding": [1])", 3),
            (Floats{5, 11, 17, 23, 40, 60, 39, 53, 84, 120, 61, 83}));
  EXPECT_EQ(with(R"("padding": "valid", "strides": [2], "output_padding": [1])", 3),
            (Floats{5, 11, 17, 23, 40, 60, 39, 53, 84, 120, 61, 83, 105, 127, 0, 0}));
  EXPECT_EQ(with(R"("padding": "valid", "strides": [1], "dilation_rate": [2])", 3),
            (Floats{5, 11, 11, 25, 34, 62, 39, 53, 90, 118, 67, 81, 105, 127}));
}

TEST_F(SpatialTest, TransposedConvolutionsOfTwoAxes) {
  const Floats x = {1, 2, 3, 4, 5, 6};
  const auto* same = R"("filters": 1, "kernel_size": [2, 2], "strides": [2, 2], "padding": "same")";
  EXPECT_EQ(
      run("Conv2DTranspose", same, "2, 3, 1", x, {{"kernel", counted({2, 2, 1, 1})}, {"bias", FloatTensor({1}, {10})}}),
      (Floats{11, 12, 12, 14, 13, 16, 13, 14, 16, 18, 19, 22, 14, 18, 15, 20, 16, 22, 22, 26, 25, 30, 28, 34}));
  const auto* uneven =
      R"("filters": 1, "kernel_size": [2, 3], "strides": [2, 1], "padding": "same", "use_bias": false)";
  EXPECT_EQ(run("Conv2DTranspose", uneven, "2, 3, 1", x, {{"kernel", counted({2, 3, 1, 1})}}),
            (Floats{4, 10, 12, 13, 28, 27, 13, 28, 27, 40, 73, 60}));
  const auto* dilated = R"("filters": 1, "kernel_size": [2, 2], "dilation_rate": [2, 2], "use_bias": false)";
  EXPECT_EQ(run("Conv2DTranspose", dilated, "2, 3, 1", x, {{"kernel", counted({2, 2, 1, 1})}}),
            (Floats{1, 2, 5, 4, 6, 4, 5, 14, 10, 12, 3, 6, 13, 8, 12, 12, 15, 34, 20, 24}));
}

TEST_F(SpatialTest, QuantizedTransposedConvolutions) {
  const auto* config = R"J("filters": 2, "kernel_size": [1, 1], "use_bias": false,
      "kernel_quantizer": "quantized_bits(4,1,alpha={})")J";
  const FloatTensor kernel({1, 1, 2, 3}, {0.3F, 0.6F, -0.9F, 1.2F, 0.0F, -1.0F});
  const auto with = [&](const char* alpha) {
    std::string text = config;
    text.replace(text.find("{}"), 2, alpha);
    return import("QConv2DTranspose", text, "2, 2, 3", {{"kernel", kernel}});
  };
  const auto graph = with("1.0");
  ASSERT_TRUE(graph) << messages();
  // Rounded to quarters, then [channels, filters].
  const auto& made = graph->nodes.back().parameters.at("kernel");
  EXPECT_EQ(made.values, FloatTensor({1, 1, 3, 2}, {0.25F, 1.25F, 0.5F, 0.0F, -1.0F, -1.0F}));
  ASSERT_TRUE(made.quantized);
  EXPECT_EQ(made.quantized->codes.data, (std::vector<std::int64_t>{1, 5, 2, 0, -4, -4}));
  // QKeras scales along the last axis, which are the channels here.
  EXPECT_FALSE(with("'auto'"));
  EXPECT_THAT(messages(), HasSubstr("a scale for each input channel"));
}

TEST_F(SpatialTest, RefusesTransposedConvolutionsThatDoNotFit) {
  const std::vector<std::pair<std::string, FloatTensor>> kernel = {{"kernel", counted({3, 2, 2})}};
  const std::string base = R"("filters": 2, "kernel_size": [3], "use_bias": false, "strides": [2], )";
  EXPECT_FALSE(import("Conv1DTranspose", base + R"("padding": "causal")", "3, 2", kernel));
  EXPECT_THAT(messages(), HasSubstr("`padding` is `causal`"));
  EXPECT_FALSE(import("Conv1DTranspose", base + R"("groups": 2)", "3, 2", kernel));
  EXPECT_THAT(messages(), HasSubstr("groups"));
  EXPECT_FALSE(import("Conv1DTranspose", base + R"("output_padding": [7])", "3, 2", kernel));
  EXPECT_THAT(messages(), HasSubstr("does not give 3 again"));
  EXPECT_FALSE(
      import("Conv1DTranspose", R"("filters": 2, "kernel_size": [3], "strides": [4294967296])", "3, 2", kernel));
  EXPECT_THAT(messages(), HasSubstr("too long"));
}

TEST_F(SpatialTest, ResizedImages) {
  const Floats x = {8, 16, 24, 32, 40, 48};
  EXPECT_EQ(run("UpSampling2D", R"("size": [2, 2], "interpolation": "bilinear")", "2, 3, 1", x),
            (Floats{8, 10, 14, 18, 22, 24, 14, 16, 20, 24, 28, 30, 26, 28, 32, 36, 40, 42, 32, 34, 38, 42, 46, 48}));
  EXPECT_EQ(run("UpSampling2D", R"("size": [1, 3], "interpolation": "nearest")", "2, 3, 1", {1, 2, 3, 4, 5, 6}),
            (Floats{1, 1, 1, 2, 2, 2, 3, 3, 3, 4, 4, 4, 5, 5, 5, 6, 6, 6}));
  EXPECT_EQ(run("Resizing", R"("height": 4, "width": 2, "interpolation": "bilinear")", "2, 3, 1", x),
            (Floats{10, 22, 16, 28, 28, 40, 34, 46}));
  EXPECT_EQ(run("Resizing", R"("height": 3, "width": 5, "interpolation": "nearest")", "2, 3, 1", {1, 2, 3, 4, 5, 6}),
            (Floats{1, 1, 2, 3, 3, 4, 4, 5, 6, 6, 4, 4, 5, 6, 6}));
  EXPECT_EQ(run("Resizing", R"("height": 1, "width": 3)", "2, 3, 1", {1, 2, 3, 4, 5, 6}), (Floats{2.5F, 3.5F, 4.5F}));
  EXPECT_EQ(run("Resizing", R"("height": 2, "width": 3)", "2, 3, 1", x), x);
  // What Keras 3 on TensorFlow answers; its table of positions moves some of these by more than 1e-3.
  const auto near_to = [](const Floats& wanted) { return testing::Pointwise(testing::FloatNear(1e-4F), wanted); };
  EXPECT_THAT(
      run("Resizing", R"("height": 4, "width": 2, "interpolation": "bicubic")", "2, 3, 1", x),
      near_to({7.2254195F, 20.5392895F, 14.3144951F, 27.6283646F, 28.3716373F, 41.6855087F, 35.4607162F, 48.7745857F}));
  EXPECT_THAT(run("Resizing", R"("height": 3, "width": 5, "interpolation": "bicubic")", "2, 3, 1", x),
              near_to({5.8144627F, 8.8695717F, 14.4186668F, 19.9677601F, 23.0228691F, 19.3957939F, 22.4509048F, 28.0F,
                       33.5490952F, 36.6042023F, 32.9771233F, 36.0322342F, 41.5813293F, 47.1304169F, 50.1855278F}));
  EXPECT_THAT(run("UpSampling2D", R"("size": [1, 2], "interpolation": "bicubic")", "2, 3, 1", x),
              near_to({7.2941184F, 9.3430662F, 13.6793890F, 18.3206100F, 22.6569339F, 24.7058849F, 31.2941208F,
                       33.3430672F, 37.6793900F, 42.3206139F, 46.6569328F, 48.7058868F}));
  EXPECT_FALSE(import("Resizing", R"("height": 2, "width": 3, "interpolation": "lanczos3")", "2, 3, 1"));
  EXPECT_THAT(messages(), HasSubstr("`interpolation` is `lanczos3`"));
  EXPECT_FALSE(import("Resizing", R"("height": 2, "width": 3, "antialias": true)", "2, 3, 1"));
  EXPECT_THAT(messages(), HasSubstr("`antialias` is true"));
  EXPECT_FALSE(import("Resizing", R"("height": 2, "width": 0)", "2, 3, 1"));
  EXPECT_THAT(messages(), HasSubstr("`width` is 0"));
  EXPECT_FALSE(import("UpSampling2D", R"("size": [4294967296, 1])", "2, 3, 1"));
  EXPECT_THAT(messages(), HasSubstr("is repeated 4294967296 times"));
}

TEST_F(SpatialTest, RowsOfATable) {
  const auto* config = R"("input_dim": 3, "output_dim": 2, "mask_zero": false, "input_length": null)";
  EXPECT_EQ(run("Embedding", config, "4", {2, 0, 1, 2}, {{"embeddings", counted({3, 2})}}),
            (Floats{5, 6, 1, 2, 3, 4, 5, 6}));
  const auto* masking = R"("input_dim": 3, "output_dim": 2, "mask_zero": true)";
  EXPECT_EQ(run("Embedding", masking, "4", {2, 0, 1, 2}, {{"embeddings", counted({3, 2})}}),
            (Floats{5, 6, 1, 2, 3, 4, 5, 6}));
  EXPECT_FALSE(import("Embedding", masking, "4, 2", {{"embeddings", counted({3, 2})}}));
  EXPECT_THAT(messages(), HasSubstr("`mask_zero` on indices of shape"));
  EXPECT_FALSE(import("Embedding", R"("input_dim": 0, "output_dim": 2)", "4"));
  EXPECT_THAT(messages(), HasSubstr("a table of 0 rows"));
}

TEST_F(SpatialTest, BatchNormalizationOfAnyAxis) {
  const std::vector<std::pair<std::string, FloatTensor>> variables = {
      {"gamma", FloatTensor({2}, {1, 2})},
      {"beta", FloatTensor({2}, {0.5F, -1})},
      {"moving_mean", FloatTensor({2}, {1, 2})},
      {"moving_variance", FloatTensor({2}, {4, 0.25F})}};
  for (const auto* axis : {"1", "[1]", "-2"}) {
    EXPECT_EQ(run("BatchNormalization", fmt::format(R"("axis": {}, "epsilon": 0.0)", axis), "2, 3", {0, 1, 2, 3, 4, 5},
                  variables),
              (Floats{0, 0.5F, 1, 3, 7, 11}));
  }
  const auto graph = import("QBatchNormalization",
                            R"("axis": [1], "mean_quantizer": null, "gamma_quantizer": null, "beta_quantizer": null,
                               "variance_quantizer": null)",
                            "2, 3", variables);
  ASSERT_TRUE(graph) << messages();
  EXPECT_EQ(graph->nodes[1].op, "BatchNorm");
  EXPECT_EQ(graph->nodes[1].parameters.at("gamma").quantizer, std::nullopt);
}

}  // namespace
}  // namespace weft::formats::keras
