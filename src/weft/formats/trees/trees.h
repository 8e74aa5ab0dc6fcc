// SPDX-License-Identifier: Apache-2.0
/// @file
/// Reads boosted trees and forests: XGBoost (JSON, UBJSON, the old binary format, text dumps) and LightGBM (text).
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "weft/nn/graph.h"
#include "weft/support/context.h"

namespace weft::formats::trees {

/// True for the beginnings of the files that read_trees reads.
bool looks_like_trees(std::string_view bytes);

/// The model in a file: a Forest, and behind it what its objective does with the margins (Link, Softmax or ArgMax).
/// All trees count, also those behind the best iteration.
Result<nn::Graph> read_trees(const std::filesystem::path& path, Context& ctx);
Result<nn::Graph> read_trees_bytes(const std::string& bytes, const std::string& name, Context& ctx);

/// An objective that the readers know, for `weft ops`.
struct Objective {
  std::string_view library;
  std::string_view name;
  std::string_view transform;  ///< "identity", "sigmoid", "exponential", "softmax", "argmax"
};
std::vector<Objective> objectives();

}  // namespace weft::formats::trees
