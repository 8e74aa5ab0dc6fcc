// SPDX-License-Identifier: Apache-2.0
/// @file
/// Layers of a user's own: a recipe file says which known operators a class of a Keras file is made of
/// (docs/user-layers.md).
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "weft/formats/keras/layer_import.h"

namespace weft::formats::keras {

/// One class of a recipe file. Its address must not change once `row` is made.
struct UserLayer {
  std::string class_name;
  std::string package;  ///< empty: any
  Json recipe;
  std::vector<std::string> words;  ///< what the row's views point to
  LayerRow row;
};

using UserLayers = std::deque<UserLayer>;

/// Reads a recipe file (YAML, so JSON too) and checks it: operators, what they may carry, names.
Result<UserLayers> read_user_layers(const std::string& text, const std::string& file, Context& ctx);

/// The layer for a class, or nullptr.
const UserLayer* find_user_layer(const UserLayers& layers, std::string_view class_name, std::string_view package);

}  // namespace weft::formats::keras
