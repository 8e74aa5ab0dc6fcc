// SPDX-License-Identifier: Apache-2.0
/// @file
/// The registry of layers: one row holds all that defines a layer.
#pragma once

#include <string_view>
#include <vector>

#include "weft/nn/graph.h"

namespace weft::layers {

class FloatRun;
class Recipe;

/// What every executor and every check of a layer needs. Each layer has one file with one row.
struct Layer {
  std::string_view op;
  /// One line for `weft ops`.
  std::string_view summary;
  /// Schema: everything a node of this op may carry; anything else is an InternalError of the importer.
  std::vector<std::string_view> attributes;
  std::vector<std::string_view> required_parameters;
  std::vector<std::string_view> optional_parameters;
  std::vector<std::string_view> functions;
  std::size_t min_inputs = 1;
  std::size_t max_inputs = 1;
  /// Shape of the output from the shapes of the inputs and the parameters.
  Result<Shape> (*infer_shape)(const nn::Graph&, const nn::Node&, Context&) = nullptr;
  /// The source's own float32 arithmetic on a batch.
  Result<void> (*evaluate)(const nn::Node&, FloatRun&, Context&) = nullptr;
  /// The layer as primitives of the exact graph.
  Result<void> (*lower)(const nn::Node&, Recipe&, Context&) = nullptr;
  /// Scales and pending steps of its inputs may be one per element, as data movement makes them of those per channel;
  /// the inputs of other layers are brought to one grid first (align.h).
  bool takes_any_scale = false;
  /// Multiply-accumulates per sample, for reports.
  std::int64_t (*macs)(const nn::Graph&, const nn::Node&) = nullptr;
  /// Layers that can have several outputs: the shapes of all that the node has; `infer_shape` is not asked then.
  std::size_t max_outputs = 1;
  Result<std::vector<Shape>> (*infer_shapes)(const nn::Graph&, const nn::Node&, Context&) = nullptr;
};

/// Every layer Weft knows, in alphabetic order.
const std::vector<Layer>& all_layers();
const Layer* find_layer(std::string_view op);
/// Shapes of all outputs of a node.
Result<std::vector<Shape>> output_shapes(const nn::Graph& graph, const nn::Node& node, Context& ctx);

/// Checks every node against its schema and fills the shapes of the output tensors. Reports all problems.
Result<void> check(nn::Graph& graph, Context& ctx);

}  // namespace weft::layers
