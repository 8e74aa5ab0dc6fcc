// SPDX-License-Identifier: Apache-2.0
#include "weft/lower/hls4ml/layers.h"

#include <algorithm>
#include <cmath>

#include "weft/layers/layer.h"

namespace weft::lower::hls4ml {
namespace {

/// Splits `activation` off; softmax is a layer of its own in hls4ml.
void split(nn::Graph& graph, const nn::Node& node, std::vector<nn::Node>& out, Layers& layers) {
  nn::Node rest = node;
  const quantizers::Spec function = rest.functions.at("activation");
  rest.functions.erase("activation");
  if (function.family == "linear") {
    out.push_back(std::move(rest));
    return;
  }
  nn::Node activation;
  activation.name = node.name + "_" + function.family;
  activation.op = "Activation";
  activation.functions["activation"] = function;
  activation.origin = node.origin;
  activation.origin.op = "Activation";
  activation.outputs = node.outputs;
  const auto between = graph.add_tensor(node.name + "_sum", graph.at(node.outputs[0]).shape);
  rest.outputs = {between};
  activation.inputs = {between};
  layers.splits.push_back({node.name, activation.name});
  out.push_back(std::move(rest));
  out.push_back(std::move(activation));
}

bool all_plain(const nn::Node& node) {
  return node.functions.empty() && std::all_of(node.parameters.begin(), node.parameters.end(), [](const auto& p) {
           return !p.second.quantizer && !p.second.quantized;
         });
}

/// Weights times scale, bias times scale plus shift, in float32 as hls4ml's arrays are.
void fuse(nn::Node& product, const nn::Node& normalization) {
  const auto values = [&](const char* key, std::size_t n, float fallback) {
    const auto it = normalization.parameters.find(key);
    return it == normalization.parameters.end() ? std::vector<float>(n, fallback) : it->second.values.data;
  };
  const std::vector<float> variance = values("variance", 0, 1.0F);
  const std::size_t n = variance.size();
  const auto gamma = values("gamma", n, 1.0F);
  const auto beta = values("beta", n, 0.0F);
  const auto mean = values("mean", n, 0.0F);
  const auto epsilon = static_cast<float>(get_double(normalization.attributes, "epsilon", 1e-3));
  auto& kernel = product.parameters["kernel"].values;
  auto& bias = product.parameters["bias"].values;
  if (bias.data.empty()) bias = FloatTensor({static_cast<std::int64_t>(n)});
  for (std::size_t c = 0; c < n; ++c) {
    const float scale = gamma[c] / std::sqrt(variance[c] + epsilon);
    const float moved = scale * mean[c];
    const float scaled = scale * bias.data[c];
    bias.data[c] = scaled + (beta[c] - moved);
    for (std::size_t i = c; i < kernel.data.size(); i += n) kernel.data[i] *= scale;
  }
}

}  // namespace

Result<Layers> layers_of(const nn::Graph& source, const Types& types, Context& ctx) {
  Layers out;
  out.graph = source;
  nn::Graph& graph = out.graph;
  std::vector<nn::Node> nodes;
  for (const auto& node : source.nodes) {
    if (node.op == "DenseBatchnorm" || node.op == "ConvBatchnorm" || node.op == "DepthwiseConvBatchnorm")
      return ctx.fail(Kind::LoweringUnsupported, node.origin,
                      "a layer with a folded batch normalization is not covered by --compat hls4ml; leave it out");
    // A recurrent cell's functions stand inside of its recurrence.
    const bool cell = node.op == "LSTM" || node.op == "GRU" || node.op == "SimpleRNN";
    if (node.op != "Activation" && !cell && node.functions.count("activation") != 0)
      split(graph, node, nodes, out);
    else
      nodes.push_back(node);
  }
  graph.nodes = std::move(nodes);
  // hls4ml asks for an inferred result type and one reader; depthwise layers are no reason to fuse.
  for (std::size_t i = 0; i < graph.nodes.size(); ++i) {
    const nn::Node normalization = graph.nodes[i];
    if (normalization.op != "BatchNorm" || !all_plain(normalization)) continue;
    auto product = std::find_if(graph.nodes.begin(), graph.nodes.end(), [&](const auto& n) {
      return n.outputs[0] == normalization.inputs[0] && (n.op == "Dense" || n.op == "Conv");
    });
    if (product == graph.nodes.end() || !all_plain(*product) || graph.consumers(product->outputs[0]).size() != 1 ||
        types.said(*product, "result").form != fixed::TypeSpec::Form::Auto)
      continue;
    if (std::any_of(graph.outputs.begin(), graph.outputs.end(),
                    [&](const auto& port) { return port.tensor == product->outputs[0]; }))
      continue;
    fuse(*product, normalization);
    product->outputs = normalization.outputs;
    out.fusions.push_back({normalization.name, product->name});
    graph.nodes.erase(graph.nodes.begin() + static_cast<std::ptrdiff_t>(i));
    --i;
  }
  WEFT_TRY_VOID(layers::check(graph, ctx));
  return out;
}

}  // namespace weft::lower::hls4ml
