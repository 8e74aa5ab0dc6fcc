// SPDX-License-Identifier: Apache-2.0
// Networks read here and run in float32 by the layers: against numbers computed operator by operator with numpy, and
// against a run on hardware.
#include <algorithm>
#include <cmath>
#include <filesystem>

#include "weft/formats/onnx/test_model.h"
#include "weft/layers/float_run.h"
#include "weft/support/arrays.h"

namespace weft::formats::onnx {
namespace {

std::vector<float> run(const nn::Graph& graph, const std::vector<float>& input, std::int64_t batch) {
  diag::Engine engine;
  Context ctx{.diag = engine};
  auto result = layers::run_float(graph, {input}, batch, ctx);
  for (const auto& d : engine.all()) ADD_FAILURE() << diag::to_text(d);
  return result ? (*result)[graph.outputs.at(0).tensor.index] : std::vector<float>{};
}

struct Numbers {
  std::string file;
  std::vector<float> outputs;
};

class RealNumbers : public ::testing::TestWithParam<Numbers> {};

/// Input i is ((37 i mod 256) - 128) / 64; the outputs were computed with numpy 1.24, one float32 operator after the
/// other.
TEST_P(RealNumbers, AgreeWithNumpy) {
  const auto path = data_dir() / "models" / GetParam().file;
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "no " << path;
  const Read read = read_file(path);
  ASSERT_TRUE(read.graph) << read.text();
  std::vector<float> x(static_cast<std::size_t>(element_count(read.graph->at(read.graph->inputs[0].tensor).shape)));
  for (std::size_t i = 0; i < x.size(); ++i) x[i] = (static_cast<float>(i * 37 % 256) - 128.0F) / 64.0F;
  const auto got = run(*read.graph, x, 1);
  ASSERT_EQ(got.size(), GetParam().outputs.size());
  for (std::size_t i = 0; i < got.size(); ++i) EXPECT_NEAR(got[i], GetParam().outputs[i], 1e-5) << i;
}

INSTANTIATE_TEST_SUITE_P(
    Zoo, RealNumbers,
    ::testing::Values(Numbers{"mlperf_tiny/kws_w3a3/KWS-W3A3_QONNX_model.onnx",
                              {-2.757162F, -2.045636F, -4.624917F, -4.869503F, -2.045636F, -0.9561126F, -1.978931F,
                               1.556462F, 2.423634F, -7.671136F, -0.04447039F, 0.0889407F}},
                      Numbers{"qonnx_zoo/kwsmlp_w3a3.onnx",
                              {-0.9491746F, -3.05588F, -3.356838F, -3.542042F, -3.657795F, -1.608967F, -4.919502F,
                               -2.592868F, -3.194783F, -2.164581F, 8.334216F, 1.145955F}},
                      Numbers{"qonnx_zoo/TFC_1W1A.onnx",
                              {-0.421352F, -1.820608F, -1.820608F, -1.409062F, -1.57368F, -0.1744245F, -0.997516F,
                               -0.8328977F, -0.3390428F, -1.491371F}},
                      Numbers{"qonnx_zoo/TFC_2W2A.onnx",
                              {-1.088477F, -1.793363F, -1.749307F, -1.044422F, -1.088477F, -1.044422F, -1.264698F,
                               -1.617141F, 0.7177924F, -1.44092F}},
                      Numbers{"qonnx_zoo/unsw_nb15-mlp-w2a2.onnx", {1.0F}},
                      Numbers{"qonnx_zoo/qkeras_jettagging.onnx",
                              {0.02885567F, 0.04771455F, 0.758505F, 0.02879937F, 0.1361253F}},
                      Numbers{"example_models/onnx/bnn_model_fc_1layer.onnx", {1.0F, 1.0F, 1.0F, -1.0F}},
                      Numbers{"example_models/onnx/dense_big_keras.onnx",
                              {0.2022267F, 0.1940487F, 0.2010069F, 0.200712F, 0.2020057F}},
                      Numbers{"example_models/onnx/three_layer_keras.onnx",
                              {0.003220417F, 0.6567743F, 0.09264291F, 0.1219776F, 0.1253847F}},
                      Numbers{"example_models/onnx/three_layer_bn_keras.onnx",
                              {0.01969365F, 0.2401253F, 0.0004128274F, 2.003761e-06F, 0.7397662F}},
                      Numbers{"example_models/onnx/three_layer_pytorch.onnx",
                              {0.1605767F, 0.1827173F, 0.2301831F, 0.1994542F, 0.2270688F}},
                      Numbers{"example_models/onnx/three_layer_bn_pytorch.onnx",
                              {0.2141178F, 0.2028514F, 0.2066472F, 0.2020624F, 0.1743212F}},
                      Numbers{"example_models/onnx/two_layer_keras.onnx", {0.4547305F}}),
    [](const auto& test) {
      std::string name = std::filesystem::path(test.param.file).stem().string();
      std::replace_if(name.begin(), name.end(), [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
      return name;
    });

/// The same network ran on two FPGA boards; their answers are stored with the clips.
TEST(OnData, KeywordSpotterAgreesWithTheBoards) {
  const auto clips = data_dir() / "datasets" / "kws01_mfcc750.npz";
  const auto path = data_dir() / "models" / "mlperf_tiny" / "kws_w3a3" / "KWS-W3A3_QONNX_model.onnx";
  if (!std::filesystem::exists(clips) || !std::filesystem::exists(path)) GTEST_SKIP() << "no " << clips;
  diag::Engine engine;
  Context ctx{.diag = engine};
  const auto arrays = support::read_arrays(clips, ctx);
  ASSERT_TRUE(arrays.ok());
  const auto& x = std::get<std::vector<std::int64_t>>(arrays->at("x").data);
  const auto& board = std::get<std::vector<float>>(arrays->at("out_finn_w3a3_pynqz2").data);
  const std::size_t rows = board.size() / 12;
  ASSERT_EQ(x.size(), rows * 490);
  std::vector<float> input;
  for (const auto code : x) input.push_back(static_cast<float>(code) * 0.33674246F);
  const Read read = read_file(path);
  ASSERT_TRUE(read.graph) << read.text();
  const auto logits = run(*read.graph, input, static_cast<std::int64_t>(rows));
  std::size_t equal = 0;
  for (std::size_t r = 0; r < rows; ++r) {
    const auto best = [&](const std::vector<float>& from) {
      const auto at = from.begin() + static_cast<std::ptrdiff_t>(r * 12);
      return std::max_element(at, at + 12) - at;
    };
    if (best(logits) == best(board)) ++equal;
  }
  EXPECT_EQ(equal, rows);
}

}  // namespace
}  // namespace weft::formats::onnx
