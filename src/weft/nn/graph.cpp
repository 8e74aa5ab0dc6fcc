// SPDX-License-Identifier: Apache-2.0
#include "weft/nn/graph.h"

#include <algorithm>

namespace weft::nn {

const Node* Graph::producer(TensorId id) const {
  for (const auto& node : nodes)
    if (std::find(node.outputs.begin(), node.outputs.end(), id) != node.outputs.end()) return &node;
  return nullptr;
}

std::vector<const Node*> Graph::consumers(TensorId id) const {
  std::vector<const Node*> out;
  for (const auto& node : nodes)
    if (std::find(node.inputs.begin(), node.inputs.end(), id) != node.inputs.end()) out.push_back(&node);
  return out;
}

}  // namespace weft::nn
