// SPDX-License-Identifier: Apache-2.0
#include "weft/lower/passes/fold_batchnorm.h"

#include <algorithm>
#include <cmath>

namespace weft::lower {
namespace {

struct Affine {
  std::vector<double> scale;
  std::vector<double> shift;
};

/// Plain float parameters only; a QBatchNormalization keeps its own arithmetic.
bool is_plain(const nn::Node& node) {
  return node.functions.count("inverse") == 0 &&
         std::all_of(node.parameters.begin(), node.parameters.end(),
                     [](const auto& p) { return !p.second.quantizer && !p.second.quantized; });
}

bool is_float_dense(const nn::Node& node) { return node.op == "Dense" && is_plain(node); }

Affine affine_of(const nn::Node& node) {
  const auto& variance = node.parameters.at("variance").values.data;
  const auto& mean = node.parameters.at("mean").values.data;
  const double epsilon = get_double(node.attributes, "epsilon", 1e-3);
  Affine out{std::vector<double>(variance.size(), 1.0), std::vector<double>(variance.size(), 0.0)};
  for (std::size_t i = 0; i < variance.size(); ++i) {
    const auto gamma = node.parameters.find("gamma");
    const auto beta = node.parameters.find("beta");
    out.scale[i] =
        (gamma == node.parameters.end() ? 1.0 : gamma->second.values.data[i]) / std::sqrt(variance[i] + epsilon);
    out.shift[i] = (beta == node.parameters.end() ? 0.0 : beta->second.values.data[i]) - mean[i] * out.scale[i];
  }
  return out;
}

void make_identity(nn::Node& node) {
  node.op = "Identity";
  node.attributes.clear();
  node.parameters.clear();
  node.functions.clear();
}

void fold_behind(nn::Node& dense, const Affine& affine) {
  auto& kernel = dense.parameters["kernel"].values;
  const std::size_t outputs = affine.scale.size();
  for (std::size_t i = 0; i < kernel.data.size(); ++i)
    kernel.data[i] = static_cast<float>(kernel.data[i] * affine.scale[i % outputs]);
  auto& bias = dense.parameters["bias"].values;
  if (bias.data.empty()) bias = FloatTensor({static_cast<std::int64_t>(outputs)});
  for (std::size_t o = 0; o < outputs; ++o)
    bias.data[o] = static_cast<float>(bias.data[o] * affine.scale[o] + affine.shift[o]);
}

void fold_in_front(nn::Node& dense, const Affine& affine) {
  auto& kernel = dense.parameters["kernel"].values;
  const auto outputs = static_cast<std::size_t>(kernel.shape[1]);
  auto& bias = dense.parameters["bias"].values;
  if (bias.data.empty()) bias = FloatTensor({kernel.shape[1]});
  std::vector<double> sums(bias.data.begin(), bias.data.end());
  for (std::size_t i = 0; i < affine.scale.size(); ++i)
    for (std::size_t o = 0; o < outputs; ++o) {
      auto& w = kernel.data[i * outputs + o];
      sums[o] += affine.shift[i] * w;
      w = static_cast<float>(w * affine.scale[i]);
    }
  for (std::size_t o = 0; o < outputs; ++o) bias.data[o] = static_cast<float>(sums[o]);
}

}  // namespace

Result<std::map<std::string, std::string>> fold_batchnorm(nn::Graph& graph, Context&) {
  std::map<std::string, std::string> folded;
  const auto is_output = [&](nn::TensorId id) {
    return std::any_of(graph.outputs.begin(), graph.outputs.end(), [&](const auto& port) { return port.tensor == id; });
  };
  const auto only_consumer = [&](nn::TensorId id) -> nn::Node* {
    nn::Node* found = nullptr;
    for (auto& node : graph.nodes)
      for (auto in : node.inputs)
        if (in == id) {
          if (found != nullptr) return nullptr;
          found = &node;
        }
    return is_output(id) ? nullptr : found;
  };
  for (auto& node : graph.nodes) {
    if (node.op != "BatchNorm" || !is_plain(node)) continue;
    nn::Node* before = nullptr;
    for (auto& candidate : graph.nodes)
      if (!candidate.outputs.empty() && candidate.outputs[0] == node.inputs[0]) before = &candidate;
    if (before != nullptr && is_float_dense(*before) && before->functions.count("activation") == 0 &&
        only_consumer(node.inputs[0]) == &node) {
      fold_behind(*before, affine_of(node));
      folded[node.name] = before->name;
      make_identity(node);
      continue;
    }
    nn::Node* after = only_consumer(node.outputs[0]);
    if (after != nullptr && is_float_dense(*after)) {
      fold_in_front(*after, affine_of(node));
      folded[node.name] = after->name;
      make_identity(node);
    }
  }
  return folded;
}

}  // namespace weft::lower
