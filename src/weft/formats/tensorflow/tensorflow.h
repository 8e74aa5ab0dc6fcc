// SPDX-License-Identifier: Apache-2.0
/// @file
/// Reads TensorFlow SavedModel folders and frozen graphs: the inference graph of the default signature.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "weft/nn/graph.h"

namespace weft::formats::tensorflow {

/// A folder with a `saved_model.pb`.
bool is_saved_model(const std::filesystem::path& path);
/// Whether the bytes start like a serialized graph: nodes with a name and an operator.
bool looks_like_graph(std::string_view bytes);
/// Whether the bytes start like a serialized SavedModel.
bool looks_like_saved_model(std::string_view bytes);

/// The files of a SavedModel by their path in the folder: `saved_model.pb`, `variables/variables.index` and so on.
using Files = std::map<std::string, std::string>;

Result<nn::Graph> read_saved_model(const std::filesystem::path& folder, Context& ctx);
Result<nn::Graph> read_saved_model_files(const Files& files, const std::string& name, Context& ctx);
/// A frozen graph: its placeholders are the inputs, the nodes that nothing uses are the outputs.
Result<nn::Graph> read_graph_bytes(const std::string& bytes, const std::string& name, Context& ctx);

/// Operators with a row, in alphabetic order.
std::vector<std::string> supported_operators();

}  // namespace weft::formats::tensorflow
