// SPDX-License-Identifier: Apache-2.0
/// @file
/// The graph of layers as the source model has it: float parameters, quantizers, origins.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "weft/quantizers/quantizer.h"
#include "weft/support/attributes.h"
#include "weft/support/context.h"
#include "weft/tensor/tensor.h"

namespace weft::nn {

/// Index into Graph::tensors.
struct TensorId {
  std::uint32_t index = 0;
  auto operator<=>(const TensorId&) const = default;
};

/// A constant tensor of a layer.
struct Parameter {
  /// float32 numbers as the file has them (Keras: the latent weights in front of the quantizer).
  FloatTensor values;
  /// Applied to `values` by the layer (QKeras). Empty when the layer uses `values` as they are.
  std::optional<quantizers::Spec> quantizer;
  /// Set when the file itself says that `values` are integers times a scale (QONNX Quant on an initializer).
  std::optional<quantizers::Quantized> quantized;
};

/// One layer. The operators, their attributes, parameters and functions are defined in `layers/`, one file each.
struct Node {
  std::string name;  ///< unique; the layer's name in the source
  std::string op;    ///< a row of the layer registry: "Dense", "BatchNorm", "Quantize" ...
  AttributeMap attributes;
  std::vector<TensorId> inputs;
  std::vector<TensorId> outputs;
  std::map<std::string, Parameter> parameters;
  std::map<std::string, quantizers::Spec> functions;  ///< "activation", and other functions by role
  Origin origin;
};

struct TensorInfo {
  std::string name;
  Shape shape;  ///< without batch, channels last
};

/// Whose float32 operation order is the reference.
enum class Framework { Keras, Onnx };

struct GraphPort {
  std::string name;
  TensorId tensor;
};

/// Nodes in topological order.
struct Graph {
  std::string name;
  std::string file;  ///< for diagnostics
  Framework framework = Framework::Keras;
  std::vector<TensorInfo> tensors;
  std::vector<Node> nodes;
  std::vector<GraphPort> inputs;
  std::vector<GraphPort> outputs;

  TensorId add_tensor(std::string tensor_name, Shape shape) {
    tensors.push_back({std::move(tensor_name), std::move(shape)});
    return {static_cast<std::uint32_t>(tensors.size() - 1)};
  }
  [[nodiscard]] const TensorInfo& at(TensorId id) const { return tensors[id.index]; }
  /// The node that makes a tensor, or nullptr for graph inputs.
  [[nodiscard]] const Node* producer(TensorId id) const;
  [[nodiscard]] std::vector<const Node*> consumers(TensorId id) const;
};

/// `.weft`: a zip of graph.json and parameters as .npy, versioned; load(save(g)) is equal. Extra members ("exact.txt")
/// may ride along.
Result<std::string> save(const Graph& graph, const std::map<std::string, std::string>& extra, Context& ctx);
struct Loaded {
  Graph graph;
  std::map<std::string, std::string> extra;
};
Result<Loaded> load(const std::string& bytes, const std::string& name, Context& ctx);

}  // namespace weft::nn
