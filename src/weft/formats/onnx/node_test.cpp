// SPDX-License-Identifier: Apache-2.0
// ONNX's own node tests: every one whose operator is read runs through the layers in float32, or is refused by name.
#include <algorithm>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <iostream>
#include <iterator>
#include <map>
#include <set>

#include "weft/formats/onnx/operators.h"
#include "weft/formats/onnx/tensor_data.h"
#include "weft/formats/onnx/test_model.h"
#include "weft/layers/float_run.h"

namespace weft::formats::onnx {
namespace {

std::string slurp(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}

/// A test of the suite with its numbers.
struct NodeTest {
  std::string name;
  onnx_proto::ModelProto model;
  std::vector<onnx_proto::TensorProto> inputs;  ///< of the graph inputs without initializer
  std::vector<std::string> ports;
  std::vector<Constant> outputs;
};

std::optional<Constant> decoded(const onnx_proto::TensorProto& tensor) {
  diag::Engine engine;
  Context ctx{.diag = engine};
  auto result = decode_tensor(tensor, {}, {}, ctx);
  if (!result) return std::nullopt;
  return std::move(result).value();
}

/// nullopt for tests with sequences, optionals, strings and the like.
std::optional<NodeTest> load(const std::filesystem::path& folder) {
  NodeTest out;
  out.name = folder.filename().string();
  if (!out.model.ParseFromString(slurp(folder / "model.onnx"))) return std::nullopt;
  std::set<std::string> initial;
  for (const auto& tensor : out.model.graph().initializer()) initial.insert(tensor.name());
  const auto set = folder / "test_data_set_0";
  for (const auto& port : out.model.graph().input()) {
    if (initial.count(port.name()) != 0) continue;
    onnx_proto::TensorProto tensor;
    const auto path = set / fmt::format("input_{}.pb", out.inputs.size());
    if (!std::filesystem::exists(path) || !tensor.ParseFromString(slurp(path)) || !decoded(tensor)) return std::nullopt;
    out.inputs.push_back(std::move(tensor));
    out.ports.push_back(port.name());
  }
  for (int i = 0; i < out.model.graph().output_size(); ++i) {
    onnx_proto::TensorProto tensor;
    const auto path = set / fmt::format("output_{}.pb", i);
    if (!std::filesystem::exists(path) || !tensor.ParseFromString(slurp(path))) return std::nullopt;
    auto values = decoded(tensor);
    if (!values) return std::nullopt;
    out.outputs.push_back(std::move(*values));
  }
  if (out.inputs.empty() || out.outputs.empty()) return std::nullopt;
  return out;
}

/// The model with every input a constant but those marked.
std::string with_constants(const NodeTest& test, const std::vector<bool>& is_data) {
  onnx_proto::ModelProto model = test.model;
  for (std::size_t i = 0; i < test.ports.size(); ++i) {
    if (is_data[i]) continue;
    auto* tensor = model.mutable_graph()->add_initializer();
    *tensor = test.inputs[i];
    tensor->set_name(test.ports[i]);
  }
  return model.SerializeAsString();
}

/// Recurrent operators in their default layout have the time in front of the batch.
bool time_comes_first(const NodeTest& test) {
  const auto& node = test.model.graph().node(0);
  if (node.op_type() != "RNN" && node.op_type() != "LSTM" && node.op_type() != "GRU") return false;
  return std::none_of(node.attribute().begin(), node.attribute().end(),
                      [](const auto& a) { return a.name() == "layout" && a.i() == 1; });
}

/// The same numbers, the batch in front.
Constant batch_first(const Constant& c, std::int64_t batch_axis) {
  std::vector<std::int64_t> permutation{batch_axis};
  for (std::int64_t d = 0; d < static_cast<std::int64_t>(c.shape.size()); ++d)
    if (d != batch_axis) permutation.push_back(d);
  return transpose(c, permutation);
}

struct Outcome {
  bool opened = false;
  bool batch_moved = false;
  std::string why;  ///< refused: the first message
};

Shape without_ones(Shape shape) {
  std::erase(shape, 1);
  return shape;
}

/// Opens the test with these inputs as data and compares; differences are failures of the running test.
Outcome attempt(const NodeTest& test, const std::vector<bool>& is_data) {
  Outcome out;
  const Read read = read_bytes(with_constants(test, is_data));
  if (!read.graph) {
    out.why = read.diagnostics.empty() ? "?" : read.diagnostics.front().message;
    return out;
  }
  std::vector<std::vector<float>> inputs;
  std::int64_t batch = 1;
  for (std::size_t i = 0; i < is_data.size(); ++i) {
    if (!is_data[i]) continue;
    const auto given = decoded(test.inputs[i]);
    const auto x = time_comes_first(test) ? batch_first(*given, 1) : *given;
    const Shape& sample = read.graph->at(read.graph->inputs.at(inputs.size()).tensor).shape;
    batch = static_cast<std::int64_t>(x.size()) / element_count(sample);
    inputs.push_back(as_floats(x));
  }
  diag::Engine engine;
  Context ctx{.diag = engine};
  nn::Graph checked = *read.graph;
  const bool fits = layers::check(checked, ctx).ok();
  auto tensors = fits ? layers::run_float(*read.graph, inputs, batch, ctx) : diag::failure;
  if (!tensors) {
    // The layers refuse, for instance constants that vary along an inner axis.
    out.why = engine.all().empty() ? "?" : engine.all().front().message;
    return out;
  }
  out.opened = true;
  for (std::size_t i = 0; i < checked.tensors.size(); ++i)
    EXPECT_EQ(checked.tensors[i].shape, read.graph->tensors[i].shape) << test.name << ": " << checked.tensors[i].name;
  const auto& node = test.model.graph().node(0);
  if (node.op_type() == "Transpose" && batch > 1 && (node.attribute_size() == 0 || node.attribute(0).ints(0) != 0)) {
    out.batch_moved = true;  // the samples lie one after the other here
    return out;
  }
  // One test has its numbers with four digits.
  const bool four = test.name == "test_averagepool_2d_ceil_last_window_starts_on_pad";
  // What is computed in half precision there is computed in float32 here.
  const bool half = std::any_of(test.inputs.begin(), test.inputs.end(),
                                [](const auto& tensor) { return is_half(decoded(tensor)->element); });
  const double tolerance = half ? 2e-3 : four ? 1e-3 : 1e-5;
  for (std::size_t o = 0; o < test.outputs.size(); ++o) {
    const auto batch_axis = static_cast<std::int64_t>(test.outputs[o].shape.size()) - 2;
    const auto expected =
        as_floats(time_comes_first(test) ? batch_first(test.outputs[o], batch_axis) : test.outputs[o]);
    const auto& got = (*tensors)[read.graph->outputs.at(o).tensor.index];
    Shape shape = read.graph->at(read.graph->outputs.at(o).tensor).shape;
    shape.insert(shape.begin(), batch);
    if (!time_comes_first(test)) {
      EXPECT_EQ(without_ones(shape), without_ones(test.outputs[o].shape)) << test.name;
    }
    EXPECT_EQ(got.size(), expected.size()) << test.name;
    if (got.size() != expected.size()) continue;
    for (std::size_t i = 0; i < got.size(); ++i) {
      if (std::isnan(expected[i])) {
        EXPECT_TRUE(std::isnan(got[i])) << test.name;
      } else if (got[i] != expected[i] &&
                 !(std::fabs(got[i] - expected[i]) <= tolerance + tolerance * std::fabs(expected[i]))) {
        ADD_FAILURE() << test.name << " output " << o << " element " << i << ": " << got[i] << ", expected "
                      << expected[i];
        break;
      }
    }
  }
  return out;
}

TEST(NodeTests, RunOrAreRefusedByName) {
  const auto root = data_dir() / "onnx_node_tests";
  if (!std::filesystem::exists(root)) GTEST_SKIP() << "no " << root;
  std::vector<std::filesystem::path> folders;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
    if (entry.path().filename() == "model.onnx") folders.push_back(entry.path().parent_path());
  }
  std::sort(folders.begin(), folders.end());
  std::map<std::string, std::pair<int, int>> counts;  // operator: passed, refused
  int total = 0, passed = 0, moved = 0;
  std::vector<std::string> refused;
  for (const auto& folder : folders) {
    const auto test = load(folder);
    if (!test || test->model.graph().node_size() == 0) continue;
    const std::string& op = test->model.graph().node(0).op_type();
    if (find_operator(op, test->model.graph().node(0).domain()) == nullptr) continue;
    if (test->name.rfind("test_training_dropout", 0) == 0) continue;  // random by definition
    // Input 0 is data. So are other numbers, or those of its rank and batch, unless they are refused as such.
    const auto first = decoded(test->inputs[0]);
    if (first->size() == 0) continue;
    std::vector<bool> all(test->inputs.size(), false);
    std::vector<bool> alike = all;
    for (std::size_t i = 0; i < all.size(); ++i) {
      const auto x = decoded(test->inputs[i]);
      all[i] = i == 0 || x->floating() || x->element == Element::Bool;
      alike[i] = i == 0 || (x->floating() && x->shape.size() == first->shape.size() && !first->shape.empty() &&
                            x->shape[0] == first->shape[0]);
    }
    std::vector<bool> one(all.size(), false);
    one[0] = true;
    ++total;
    Outcome outcome;
    for (const auto& is_data : {all, alike, one})
      if (!outcome.opened) outcome = attempt(*test, is_data);
    if (outcome.batch_moved) {
      ++moved;
    } else if (outcome.opened) {
      ++passed;
      ++counts[op].first;
    } else {
      ++counts[op].second;
      refused.push_back(fmt::format("{} ({}): {}", test->name, op, outcome.why));
    }
  }
  for (const auto& line : refused) std::cout << "refused " << line << "\n";
  for (const auto& [op, count] : counts)
    std::cout << op << ": " << count.first << " ran, " << count.second << " refused\n";
  std::cout << total << " tests: " << passed << " ran, " << refused.size() << " refused, " << moved
            << " move the batch\n";
  EXPECT_GE(passed, 642);
  for (const auto* op : {"Abs",
                         "ArgMax",
                         "AveragePool",
                         "BatchNormalization",
                         "Ceil",
                         "Clip",
                         "Concat",
                         "Conv",
                         "Cos",
                         "DepthToSpace",
                         "Div",
                         "Dropout",
                         "Elu",
                         "Erf",
                         "Exp",
                         "Flatten",
                         "GRU",
                         "Floor",
                         "Gather",
                         "Gelu",
                         "Gemm",
                         "GlobalAveragePool",
                         "GlobalMaxPool",
                         "GroupNormalization",
                         "HardSigmoid",
                         "HardSwish",
                         "Identity",
                         "LSTM",
                         "InstanceNormalization",
                         "LayerNormalization",
                         "LeakyRelu",
                         "Log",
                         "LogSoftmax",
                         "LpNormalization",
                         "MatMul",
                         "MaxPool",
                         "Mish",
                         "Neg",
                         "Pad",
                         "Pow",
                         "RNN",
                         "RMSNormalization",
                         "Reciprocal",
                         "Relu",
                         "Reshape",
                         "Resize",
                         "Selu",
                         "Shrink",
                         "Sigmoid",
                         "Sign",
                         "Sin",
                         "Slice",
                         "Softmax",
                         "Softplus",
                         "Softsign",
                         "SpaceToDepth",
                         "Split",
                         "Sqrt",
                         "Sub",
                         "Swish",
                         "Tanh",
                         "ThresholdedRelu",
                         "Transpose",
                         "Unsqueeze"}) {
    EXPECT_GE(counts[op].first, 1) << op;
  }
}

}  // namespace
}  // namespace weft::formats::onnx
