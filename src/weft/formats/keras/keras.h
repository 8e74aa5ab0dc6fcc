// SPDX-License-Identifier: Apache-2.0
/// @file
/// Reads Keras 2, Keras 3 and QKeras models: .h5, .keras, and .json architectures with weights.
#pragma once

#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/nn/graph.h"
#include "weft/support/context.h"

namespace weft::formats::keras {

/// A file in memory.
struct NamedBytes {
  std::string name;  ///< for messages
  std::string bytes;
};

/// True for HDF5 files, for zips with Keras 3's members and for JSON that describes Keras layers.
bool looks_like_keras(std::string_view bytes);
/// The same from the first and last bytes of a file; false when it cannot be read.
bool looks_like_keras_file(const std::filesystem::path& path);

/// The model in `path`, with weights from `weights` when given (a .h5 of weights or of a whole model, or .weights.h5).
/// Every layer that cannot be imported is reported before it fails. `layers` is a recipe file for classes of the user's
/// own (user_layers.h).
Result<nn::Graph> read_keras(const std::filesystem::path& path, const std::optional<std::filesystem::path>& weights,
                             Context& ctx, const std::optional<std::filesystem::path>& layers = std::nullopt);
Result<nn::Graph> read_keras(NamedBytes model, std::optional<NamedBytes> weights, Context& ctx,
                             const std::optional<NamedBytes>& layers = std::nullopt);

/// A layer class that the importer knows, for `weft ops`.
struct LayerClass {
  std::string_view name;
  std::string_view package;  ///< "keras" or "qkeras"
  std::string_view op;       ///< operator of nn::Graph
};
std::vector<LayerClass> layer_classes();

}  // namespace weft::formats::keras
