// SPDX-License-Identifier: Apache-2.0
/// @file
/// Running the source model in its own float32 arithmetic.
#pragma once

#include <functional>
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

/// What a run leaves behind: every tensor, or the graph's outputs only, so that others are freed after their last use.
enum class Keep { All, Outputs };

/// Evaluates all nodes; inputs in the order of the graph's, [batch, ...]. Returns tensors by TensorId; freed ones are
/// empty. `ranges`, if given, collects those of intermediates inside of layers; `seen` gets every node's first result
/// as soon as it is there.
Result<std::vector<std::vector<float>>> run_float(
    const nn::Graph& graph, const std::vector<std::vector<float>>& inputs, std::int64_t batch, Context& ctx,
    Keep keep = Keep::All, FloatRun::Ranges* ranges = nullptr,
    const std::function<void(const nn::Node&, const std::vector<float>&)>& seen = {});

/// Softmax in place, in float32, of every row of `n` numbers.
void softmax_rows(std::vector<float>& data, std::size_t n);

}  // namespace weft::layers
