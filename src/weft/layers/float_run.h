// SPDX-License-Identifier: Apache-2.0
/// @file
/// Running the source model in its own float32 arithmetic.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "weft/layers/layer.h"

namespace weft::layers {

/// Batch of every tensor of a graph while its nodes are evaluated in order. Tensors are [batch, ...shape].
class FloatRun {
 public:
  FloatRun(const nn::Graph& graph, std::int64_t batch) : graph_(graph), batch_(batch), tensors_(graph.tensors.size()) {}

  [[nodiscard]] const nn::Graph& graph() const { return graph_; }
  [[nodiscard]] std::int64_t batch() const { return batch_; }
  [[nodiscard]] const std::vector<float>& at(nn::TensorId id) const { return tensors_[id.index]; }
  std::vector<float>& at(nn::TensorId id) { return tensors_[id.index]; }
  [[nodiscard]] const std::vector<float>& input(const nn::Node& node, std::size_t i) const {
    return at(node.inputs[i]);
  }
  /// Sized batch * elements of output `i`.
  std::vector<float>& output(const nn::Node& node, std::size_t i = 0);

  /// Smallest and largest value of intermediates inside of layers, by "layer" and role, while a run is observed.
  using Ranges = std::map<std::pair<std::string, std::string>, std::pair<double, double>>;
  void observe(Ranges* ranges) { ranges_ = ranges; }
  /// Notes the values of an intermediate; layers with declared intermediate types call it.
  void note(const nn::Node& node, const std::string& role, const std::vector<float>& values);

 private:
  const nn::Graph& graph_;
  std::int64_t batch_;
  std::vector<std::vector<float>> tensors_;
  Ranges* ranges_ = nullptr;
};

/// The parameter `role` as the layer computes with it: its quantizer applied. Fails when the quantizer does.
Result<FloatTensor> parameter_values(const nn::Node& node, const std::string& role, Context& ctx);

/// Applies function `role` (if any) of the node in place to rows whose last axis has `channels` elements. A quantizer
/// whose scale depends on the data (alpha = auto on an activation) is LoweringUnsupported.
Result<void> apply_function(const nn::Node& node, const std::string& role, std::vector<float>& data,
                            std::int64_t channels, Context& ctx);

/// Evaluates all nodes; inputs by graph input name, [batch, ...]. Returns every tensor by TensorId. `ranges`, if given,
/// collects those of intermediates inside of layers.
Result<std::vector<std::vector<float>>> run_float(const nn::Graph& graph, const std::vector<std::vector<float>>& inputs,
                                                  std::int64_t batch, Context& ctx, FloatRun::Ranges* ranges = nullptr);

/// Softmax in place, in float32, of every row of `n` numbers.
void softmax_rows(std::vector<float>& data, std::size_t n);

}  // namespace weft::layers
