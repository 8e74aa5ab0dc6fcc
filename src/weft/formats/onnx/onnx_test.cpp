// SPDX-License-Identifier: Apache-2.0
// Models as their frameworks saved them.
#include "weft/formats/onnx/onnx.h"

#include <algorithm>
#include <filesystem>

#include "weft/fixed/rational.h"
#include "weft/formats/onnx/test_model.h"
#include "weft/layers/float_run.h"

namespace weft::formats::onnx {
namespace {

/// Every file that must be read, with what it must give.
struct Expected {
  std::string file;
  Shape input;
  Shape output;
  std::string ops;           ///< in order
  std::size_t kernel_codes;  ///< Dense kernels with integer codes
};

class RealFile : public ::testing::TestWithParam<Expected> {};

TEST_P(RealFile, GivesItsLayers) {
  const auto path = data_dir() / "models" / GetParam().file;
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  const Read read = read_file(path);
  ASSERT_TRUE(read.graph) << read.text();
  const nn::Graph& graph = *read.graph;
  EXPECT_EQ(graph.framework, nn::Framework::Onnx);
  ASSERT_EQ(graph.inputs.size(), 1U);
  ASSERT_EQ(graph.outputs.size(), 1U);
  EXPECT_EQ(graph.at(graph.inputs[0].tensor).shape, GetParam().input);
  EXPECT_EQ(graph.at(graph.outputs[0].tensor).shape, GetParam().output);
  EXPECT_EQ(read.ops(), GetParam().ops);
  std::size_t codes = 0;
  for (const auto& node : graph.nodes) {
    if (node.op == "Dense" && node.parameters.at("kernel").quantized) ++codes;
  }
  EXPECT_EQ(codes, GetParam().kernel_codes);
  // The layers room agrees with every node and every shape.
  nn::Graph checked = graph;
  diag::Engine engine;
  Context ctx{.diag = engine};
  const bool ok = layers::check(checked, ctx).ok();
  EXPECT_TRUE(ok);
  for (const auto& d : engine.all()) ADD_FAILURE() << diag::to_text(d);
  for (std::size_t i = 0; i < graph.tensors.size(); ++i) EXPECT_EQ(checked.tensors[i].shape, graph.tensors[i].shape);
}

std::string times(int n, const std::string& text) {
  std::string out;
  for (int i = 0; i < n; ++i) out += text;
  return out;
}

const std::string kTfcBody =
    "Reshape Mul Sub Activation " + times(3, "Dense BatchNorm Activation ") + "Dense Sub Div Mul Add";
const std::string kKwsBody = "Activation Reshape " + times(3, "Dense BatchNorm Activation Activation ") + "Dense";

INSTANTIATE_TEST_SUITE_P(
    Zoo, RealFile,
    ::testing::Values(
        Expected{"mlperf_tiny/kws_w3a3/KWS-W3A3_QONNX_model.onnx", {1, 10, 49}, {12}, kKwsBody, 4},
        Expected{"qonnx_zoo/kwsmlp_w3a3.onnx", {1, 10, 49}, {12}, kKwsBody, 4},
        Expected{"qonnx_zoo/TFC_1W1A.onnx", {1, 28, 28}, {10}, kTfcBody, 4},
        Expected{"qonnx_zoo/TFC_2W2A.onnx", {1, 28, 28}, {10}, kTfcBody, 4},
        Expected{"qonnx_zoo/unsw_nb15-mlp-w2a2.onnx",
                 {600},
                 {1},
                 "Add Div " + times(3, "Dense BatchNorm Activation Activation ") + "Dense Activation",
                 4},
        Expected{"qonnx_zoo/qkeras_jettagging.onnx",
                 {16},
                 {5},
                 times(3, "Dense Add Activation Activation ") + "Dense Add Softmax",
                 4},
        Expected{"example_models/onnx/bnn_model_fc_1layer.onnx", {3}, {4}, "Activation Dense Activation", 1},
        Expected{"example_models/onnx/dense_big_keras.onnx",
                 {16},
                 {5},
                 times(4, "Dense Add Activation Identity ") + "Dense Add Activation Dense Add Softmax",
                 0},
        Expected{"example_models/onnx/three_layer_keras.onnx",
                 {16},
                 {5},
                 times(3, "Dense Add Activation ") + "Dense Add Softmax",
                 0},
        Expected{
            "example_models/onnx/three_layer_bn_keras.onnx",
            {16},
            {5},
            times(3, "Dense Identity BatchNorm Identity Activation ") + "Dense Identity BatchNorm Identity Softmax",
            0},
        Expected{"example_models/onnx/three_layer_pytorch.onnx",
                 {16},
                 {5},
                 times(3, "Dense Activation ") + "Dense Softmax",
                 0},
        Expected{
            "example_models/onnx/three_layer_bn_pytorch.onnx",
            {16},
            {5},
            times(3, "Dense Identity BatchNorm Identity Activation ") + "Dense Identity BatchNorm Identity Softmax",
            0},
        Expected{
            "example_models/onnx/two_layer_keras.onnx", {10}, {1}, "Dense Add Activation Dense Add Activation", 0}),
    [](const auto& test) {
      std::string name = std::filesystem::path(test.param.file).stem().string();
      std::replace_if(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
      return name;
    });

TEST(RealFiles, EveryFileIsReadOrRefusedWithAReason) {
  if (!std::filesystem::exists(data_dir())) GTEST_SKIP() << "no " << data_dir();
  std::size_t files = 0;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(data_dir())) {
    if (!entry.is_regular_file() || entry.path().extension() != ".onnx") continue;
    ++files;
    const Read read = read_file(entry.path());
    EXPECT_FALSE(read.has(Kind::ModelMalformed) && entry.path().string().find("node_tests") == std::string::npos)
        << read.text();
  }
  EXPECT_GT(files, 0U);
}

}  // namespace
}  // namespace weft::formats::onnx
