// SPDX-License-Identifier: Apache-2.0
/// @file
/// From a parsed model to the graph of layers, node by node in topological order.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "weft/formats/onnx/call.h"
#include "weft/formats/onnx/source.h"

namespace weft::formats::onnx {

/// Builds the graph of layers. Reports as many problems as it finds, each with its node.
Result<nn::Graph> import_graph(const SourceModel& source, Context& ctx);

/// Computes the graph outputs of a model on constant inputs by the folding rules, in the order of the outputs. Every
/// graph input needs a value. For tests.
Result<std::vector<Constant>> fold_outputs(const SourceModel& source, const std::map<std::string, Constant>& inputs,
                                           Context& ctx);

}  // namespace weft::formats::onnx
