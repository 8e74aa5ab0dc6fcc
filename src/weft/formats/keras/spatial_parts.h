// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the rows of layers over spatial axes share. Private to this room.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/formats/keras/layer_import.h"

namespace weft::formats::keras {

/// Spatial axes by the class' name: "Conv2D" -> 2.
std::size_t axes_of(const LayerImport& in);

/// Fails when the config asks for channels in front.
void check_channels_last(LayerImport& in);

/// A number or a list with one entry per spatial axis, of at least `least`.
std::vector<std::int64_t> per_axis(LayerImport& in, std::string_view key, std::int64_t fallback,
                                   std::int64_t least = 1);

/// The attribute as a number of at least 1; 1 after a failure.
std::int64_t positive(LayerImport& in, std::string_view key, std::optional<std::int64_t> fallback = std::nullopt);

/// Channels of the input, which has as many spatial axes as the class says; -1 where it is not known or after a
/// failure.
std::int64_t channels_of(LayerImport& in);

/// `padding` in lower case.
std::string padding_of(LayerImport& in);

/// Reads the quantizer `key` of the config for parameter `role` of `node`, if the node has it.
void set_quantizer(LayerImport& in, const char* key, nn::Node& node, const char* role, bool promoted);

/// UpSampling and Resizing.
std::vector<LayerRow> resize_rows();
/// Transposed convolutions of Keras and QKeras.
std::vector<LayerRow> transposed_rows();

}  // namespace weft::formats::keras
