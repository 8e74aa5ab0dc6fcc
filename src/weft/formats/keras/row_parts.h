// SPDX-License-Identifier: Apache-2.0
/// @file
/// What the rows of Keras and QKeras layers share: lists of config keys, weights and steps of their import.
#pragma once

#include <optional>
#include <string_view>
#include <vector>

#include "weft/formats/keras/layer_import.h"

namespace weft::formats::keras {

std::vector<std::string_view> dense_ignored();
std::vector<std::string_view> dense_refused();
std::vector<WeightRow> dense_weights();
/// Reads `units`, the kernel [n_in, units] and the bias, and sets the output shape.
void take_dense_weights(LayerImport& in);

std::vector<std::string_view> batch_norm_ignored();
std::vector<WeightRow> batch_norm_weights(std::string_view owner);
/// Checks that `axis` is the last axis of `shape`; the number of channels, or -1 when it is not known.
std::int64_t batch_norm_channels(LayerImport& in, const std::optional<Shape>& shape);
/// gamma, beta, mean and variance of [channels].
void take_batch_norm_weights(LayerImport& in, std::int64_t channels);

/// EinsumDense, Dot, attention, RepeatVector (attention_rows.cpp).
std::vector<LayerRow> attention_rows();

/// Layers of published packages (custom_rows.cpp).
std::vector<LayerRow> custom_rows();

/// Layers of QKeras that are several nodes (qkeras_layers.cpp).
std::vector<LayerRow> qkeras_layer_rows();

/// Sets the node's activation, or asks for a softmax behind it (or makes the node the softmax).
void set_activation(LayerImport& in, bool quantized);

}  // namespace weft::formats::keras
