// SPDX-License-Identifier: Apache-2.0
#include "weft/lower/passes/fold_affine.h"

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

/// Layers of products with a kernel; output channels of a Dense or Conv kernel lie on its last axis, of a depthwise one
/// on its last two, so element i of any belongs to channel i % outputs.
bool has_kernel(const nn::Node& node) { return node.op == "Dense" || node.op == "Conv" || node.op == "DepthwiseConv"; }
std::int64_t outputs_of(const nn::Node& node) {
  const Shape& kernel = node.parameters.at("kernel").values.shape;
  const std::int64_t last = kernel.back();
  return node.op == "DepthwiseConv" ? last * kernel.at(kernel.size() - 2) : last;
}

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

/// The chain between two layers: what is hidden when they merge.
struct Neighbour {
  nn::Node* node = nullptr;
  std::vector<std::string> between;
};

class Neighbourhood {
 public:
  explicit Neighbourhood(nn::Graph& graph) : graph_(graph) {}

  /// The only layer that reads the node's result, through Identities that nothing else reads.
  Neighbour next(const nn::Node& node) {
    Neighbour out;
    nn::TensorId at = node.outputs[0];
    while (nn::Node* reader = only_reader(at)) {
      if (reader->op != "Identity") {
        out.node = reader;
        return out;
      }
      out.between.push_back(reader->name);
      at = reader->outputs[0];
    }
    return {};
  }

 private:
  nn::Node* only_reader(nn::TensorId id) {
    for (const auto& port : graph_.outputs)
      if (port.tensor == id) return nullptr;
    nn::Node* found = nullptr;
    for (auto& node : graph_.nodes)
      for (auto in : node.inputs)
        if (in == id) {
          if (found != nullptr) return nullptr;
          found = &node;
        }
    return found;
  }

  nn::Graph& graph_;
};

void hide(Folding& folding, const std::string& first, const std::vector<std::string>& between,
          const std::string& into) {
  folding.hidden[first] = into;
  for (const auto& name : between) folding.hidden[name] = into;
}

/// The constant of an Add that lies along the last axis of `outputs` elements.
bool is_bias(const nn::Node& add, std::int64_t outputs) {
  if (add.op != "Add" || add.inputs.size() != 1 || add.parameters.count("constant") == 0) return false;
  const auto& constant = add.parameters.at("constant").values;
  return constant.size() == outputs && !constant.shape.empty() && constant.shape.back() == outputs;
}

void fold_bias(nn::Graph& graph, Folding& folding) {
  Neighbourhood neighbourhood(graph);
  for (auto& dense : graph.nodes) {
    if (!has_kernel(dense) || dense.parameters.count("bias") != 0 || dense.functions.count("activation") != 0) continue;
    const Neighbour add = neighbourhood.next(dense);
    if (add.node == nullptr || !is_bias(*add.node, outputs_of(dense))) continue;
    nn::Parameter bias = add.node->parameters.at("constant");
    const Shape flat{bias.values.size()};
    bias.values.shape = flat;
    if (bias.quantized) {
      bias.quantized->values.shape = flat;
      bias.quantized->codes.shape = flat;
    }
    dense.parameters["bias"] = std::move(bias);
    hide(folding, dense.name, add.between, add.node->name);
    make_identity(*add.node);
  }
}

void fold_batchnorm(nn::Graph& graph, Folding& folding) {
  Neighbourhood neighbourhood(graph);
  for (auto& dense : graph.nodes) {
    if (!has_kernel(dense) || !is_plain(dense) || dense.functions.count("activation") != 0) continue;
    const Neighbour norm = neighbourhood.next(dense);
    if (norm.node == nullptr || norm.node->op != "BatchNorm" || !is_plain(*norm.node)) continue;
    fold_behind(dense, affine_of(*norm.node));
    hide(folding, dense.name, norm.between, norm.node->name);
    folding.merged.push_back(norm.node->name);
    make_identity(*norm.node);
  }
  for (auto& norm : graph.nodes) {
    if (norm.op != "BatchNorm" || !is_plain(norm)) continue;
    const Neighbour dense = neighbourhood.next(norm);
    if (dense.node == nullptr || !is_float_dense(*dense.node)) continue;
    fold_in_front(*dense.node, affine_of(norm));
    hide(folding, norm.name, dense.between, dense.node->name);
    folding.merged.push_back(norm.name);
    make_identity(norm);
  }
}

}  // namespace

Folding fold_affine(nn::Graph& graph) {
  Folding folding;
  fold_bias(graph, folding);
  fold_batchnorm(graph, folding);
  // A layer hidden in one that is hidden itself is seen where that one is.
  for (auto& [layer, into] : folding.hidden)
    while (folding.hidden.count(into) != 0) into = folding.hidden.at(into);
  return folding;
}

}  // namespace weft::lower
