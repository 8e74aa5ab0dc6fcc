// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/onnx/graph_writer.h"

namespace weft::formats::onnx {

Result<std::string> write_forest(GraphWriter& w, const exact::Value& value, const exact::Forest& p) {
  const auto& x = w.at(p.x);
  if (value.shape.size() != 1) return w.unsupported(value, "ONNX's trees read [batch, features] only");
  w.out().import("ai.onnx.ml", 3);
  std::vector<std::int64_t> tree_ids, node_ids, features, yes, no, target_ids, target_nodes, target_trees;
  std::vector<float> thresholds, weights;
  std::vector<std::string> modes;
  for (std::size_t t = 0; t < p.trees.size(); ++t) {
    const auto& tree = p.trees[t];
    // Shared subtrees are written once for every parent.
    struct Open {
      std::int64_t child;
      std::ptrdiff_t parent;
      bool high;
    };
    const std::size_t first = node_ids.size();
    std::vector<Open> open{{tree.root, -1, false}};
    while (!open.empty()) {
      const Open at = open.back();
      open.pop_back();
      const auto id = static_cast<std::int64_t>(node_ids.size() - first);
      if (at.parent >= 0) (at.high ? yes : no)[static_cast<std::size_t>(at.parent)] = id;
      if (node_ids.size() > kMaxTreeNodes) return w.unsupported(value, "shared subtrees grow beyond a million nodes");
      tree_ids.push_back(static_cast<std::int64_t>(t));
      node_ids.push_back(id);
      yes.push_back(0);
      no.push_back(0);
      if (at.child < 0) {
        features.push_back(0);
        thresholds.push_back(0.0F);
        modes.emplace_back("LEAF");
        for (std::int64_t j = 0; j < tree.width; ++j) {
          const auto weight =
              exact_float(Rational(value.scale.at(static_cast<std::size_t>(tree.first + j)) *
                                   fixed::rational_from_int(p.leaves[static_cast<std::size_t>(-1 - at.child + j)])));
          if (!weight) return w.unsupported(value, "a leaf is no float32");
          target_ids.push_back(tree.first + j);
          target_nodes.push_back(id);
          target_trees.push_back(static_cast<std::int64_t>(t));
          weights.push_back(*weight);
        }
        continue;
      }
      const auto& node = p.nodes[static_cast<std::size_t>(at.child)];
      const double scale = fixed::to_double(x.scale.at(static_cast<std::size_t>(node.feature)));
      features.push_back(node.feature);
      thresholds.push_back(static_cast<float>((static_cast<double>(node.threshold) - 0.5) * scale));
      modes.emplace_back("BRANCH_GTE");
      const auto made = static_cast<std::ptrdiff_t>(node_ids.size()) - 1;
      open.push_back({node.low, made, false});
      open.push_back({node.high, made, true});
    }
  }
  std::vector<float> base;
  for (std::size_t o = 0; o < p.bias.size(); ++o) {
    const auto b = exact_float(Rational(value.scale.at(o) * fixed::rational_from_int(p.bias[o])));
    if (!b) return w.unsupported(value, "a base score is no float32");
    base.push_back(*b);
  }
  onnx_proto::NodeProto* node = nullptr;
  const std::string y = w.out().apply("TreeEnsembleRegressor", {w.tensor(p.x)}, value.name, &node, "ai.onnx.ml");
  ModelWriter::set(node, "n_targets", p.n_out);
  ModelWriter::set(node, "aggregate_function", std::string("SUM"));
  ModelWriter::set(node, "post_transform", std::string("NONE"));
  ModelWriter::set(node, "base_values", base);
  ModelWriter::set(node, "nodes_treeids", tree_ids);
  ModelWriter::set(node, "nodes_nodeids", node_ids);
  ModelWriter::set(node, "nodes_featureids", features);
  ModelWriter::set(node, "nodes_values", thresholds);
  ModelWriter::set(node, "nodes_modes", modes);
  ModelWriter::set(node, "nodes_truenodeids", yes);
  ModelWriter::set(node, "nodes_falsenodeids", no);
  ModelWriter::set(node, "target_ids", target_ids);
  ModelWriter::set(node, "target_nodeids", target_nodes);
  ModelWriter::set(node, "target_treeids", target_trees);
  ModelWriter::set(node, "target_weights", weights);
  return y;
}

}  // namespace weft::formats::onnx
