// SPDX-License-Identifier: Apache-2.0
// Folding of constants against the inputs and outputs that ONNX ships for every operator.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <set>

#include "weft/formats/onnx/operators.h"
#include "weft/formats/onnx/tensor_data.h"
#include "weft/formats/onnx/test_model.h"

namespace weft::formats::onnx {
namespace {

std::string slurp(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

std::optional<Constant> read_tensor(const std::filesystem::path& path, Context& ctx) {
  onnx_proto::TensorProto tensor;
  if (!tensor.ParseFromString(slurp(path))) return std::nullopt;
  auto result = decode_tensor(tensor, {}, {.tensor = path.filename().string()}, ctx);
  if (!result) return std::nullopt;
  return std::move(result).value();
}

/// Operators whose float32 result ONNX's own reference rounds differently: functions, and sums of products or of many
/// numbers, which float32 adds in an order of its own.
bool rounds_freely(const std::string& op) {
  static const std::set<std::string> names{"Attention",
                                           "AveragePool",
                                           "BatchNormalization",
                                           "Celu",
                                           "Conv",
                                           "ConvTranspose",
                                           "Cos",
                                           "Einsum",
                                           "Elu",
                                           "Erf",
                                           "Exp",
                                           "Gelu",
                                           "Gemm",
                                           "GlobalAveragePool",
                                           "GroupNormalization",
                                           "HardSwish",
                                           "InstanceNormalization",
                                           "LayerNormalization",
                                           "Log",
                                           "LogSoftmax",
                                           "LpNormalization",
                                           "MatMul",
                                           "Mean",
                                           "MeanVarianceNormalization",
                                           "Mish",
                                           "Pow",
                                           "RMSNormalization",
                                           "ReduceL1",
                                           "ReduceL2",
                                           "ReduceLogSum",
                                           "ReduceLogSumExp",
                                           "ReduceMean",
                                           "ReduceProd",
                                           "ReduceSum",
                                           "ReduceSumSquare",
                                           "Resize",
                                           "RotaryEmbedding",
                                           "Selu",
                                           "Sigmoid",
                                           "Sin",
                                           "Softmax",
                                           "Softplus",
                                           "Sum",
                                           "Swish",
                                           "Tanh"};
  return names.count(op) != 0;
}

/// Operators that are read on data only, or fold only where their layer can run on constants.
bool on_data(const std::string& op) {
  static const std::set<std::string> names{"AveragePool",
                                           "Conv",
                                           "ConvTranspose",
                                           "DepthToSpace",
                                           "GlobalAveragePool",
                                           "GlobalMaxPool",
                                           "Max",
                                           "MaxPool",
                                           "Min",
                                           "Pad",
                                           "SpaceToDepth",
                                           "Upsample",
                                           "LayerNormalization",
                                           "GRU",
                                           "LSTM",
                                           "RNN",
                                           "Not",
                                           "OneHot",
                                           "QLinearConv",
                                           "QLinearMatMul",
                                           "ReduceMax",
                                           "ReduceMin",
                                           "ScatterElements",
                                           "ScatterND",
                                           "TreeEnsemble",
                                           "TreeEnsembleClassifier",
                                           "TreeEnsembleRegressor",
                                           "Trilu"};
  return rounds_freely(op) || names.count(op) != 0;
}

/// One test has its numbers with four digits.
bool of_four_digits(const std::string& name) { return name == "test_averagepool_2d_ceil_last_window_starts_on_pad"; }

void expect_equal(const Constant& got, const Constant& want, bool exact, const std::string& name) {
  EXPECT_EQ(got.shape, want.shape) << name;
  EXPECT_EQ(got.element, want.element) << name;
  EXPECT_EQ(got.ints, want.ints) << name;
  ASSERT_EQ(got.floats.size(), want.floats.size()) << name;
  for (std::size_t i = 0; i < got.floats.size(); ++i) {
    if (std::isnan(want.floats[i])) {
      EXPECT_TRUE(std::isnan(got.floats[i])) << name << " element " << i;
      continue;
    }
    if (of_four_digits(name))
      EXPECT_NEAR(got.floats[i], want.floats[i], 6e-5) << name << " element " << i;
    else if (exact)
      EXPECT_EQ(got.floats[i], want.floats[i]) << name << " element " << i;
    else
      EXPECT_NEAR(got.floats[i], want.floats[i], 1e-6 + 2e-6 * std::fabs(want.floats[i])) << name << " element " << i;
  }
}

TEST(Folding, AgreesWithTheNodeTestsOfOnnx) {
  const auto root = data_dir() / "onnx_node_tests";
  if (!std::filesystem::exists(root)) GTEST_SKIP() << "no " << root;
  std::vector<std::filesystem::path> folders;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (entry.path().filename() == "model.onnx") folders.push_back(entry.path().parent_path());
  }
  std::sort(folders.begin(), folders.end());
  std::set<std::string> agreed, refused;
  for (const auto& folder : folders) {
    diag::Engine engine;
    Context ctx{.diag = engine};
    const auto source = SourceModel::parse(slurp(folder / "model.onnx"), "model.onnx", {}, ctx);
    if (!source) continue;
    const bool known = std::all_of(source->nodes().begin(), source->nodes().end(), [](const NodeHead& node) {
      return find_operator(node.op_type, node.domain) != nullptr;
    });
    if (!known) continue;
    std::map<std::string, Constant> inputs;
    bool readable = true;
    for (std::size_t i = 0; i < source->inputs().size(); ++i) {
      auto value = read_tensor(folder / "test_data_set_0" / fmt::format("input_{}.pb", i), ctx);
      readable = readable && value.has_value();
      if (value) inputs[source->inputs()[i].name] = *value;
    }
    if (!readable) continue;
    const std::string name = folder.filename().string();
    if (name == "test_training_dropout" || name == "test_training_dropout_default") continue;  // random by definition
    const auto outputs = fold_outputs(*source, inputs, ctx);
    if (!outputs) {
      EXPECT_TRUE(engine.has_errors()) << name;
      if (std::none_of(source->nodes().begin(), source->nodes().end(),
                       [](const NodeHead& node) { return on_data(node.op_type); }))
        refused.insert(name);
      continue;
    }
    bool exact = true;
    for (const auto& node : source->nodes()) exact = exact && !rounds_freely(node.op_type);
    for (std::size_t i = 0; i < outputs->size(); ++i) {
      const auto want = read_tensor(folder / "test_data_set_0" / fmt::format("output_{}.pb", i), ctx);
      if (want) expect_equal((*outputs)[i], *want, exact, name);
    }
    agreed.insert(name);
  }
  EXPECT_GE(agreed.size(), 190U);
  // What else is refused: functions of half floats, scales per block, the last of equal maxima, the smallest elements,
  // casts to formats narrower than float32, integer Clip, masks of Dropout, statistics of training.
  for (const auto& name : refused) {
    const bool expected = name.find("select_last_index") != std::string::npos || name == "test_top_k_smallest" ||
                          name.rfind("test_cast_", 0) == 0 || name.rfind("test_clip_default_int8_", 0) == 0 ||
                          name.rfind("test_pow_types_int", 0) == 0 || name.find("mask") != std::string::npos ||
                          name == "test_batchnorm_epsilon_training_mode" || name == "test_celu_float16" ||
                          name == "test_selu" || name == "test_selu_example" ||
                          name.find("linear_blocked") != std::string::npos;
    EXPECT_TRUE(expected) << name;
  }
}

}  // namespace
}  // namespace weft::formats::onnx
