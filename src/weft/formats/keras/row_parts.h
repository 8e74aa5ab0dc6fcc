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
/// The only axis that is normalized, without the batch; nullopt after a failure.
std::optional<std::size_t> batch_norm_axis(LayerImport& in, const Shape& shape);
/// Checks that `axis` is the last axis of `shape`; the number of channels, or -1 when it is not known.
std::int64_t batch_norm_channels(LayerImport& in, const std::optional<Shape>& shape);
/// gamma, beta, mean and variance of [channels].
void take_batch_norm_weights(LayerImport& in, std::int64_t channels);
/// Weights and output of a batch normalization by itself; one of another axis than the last stands between
/// permutations.
void finish_batch_norm(LayerImport& in);

/// `values` after a quantizer, as a parameter that is exact already; nullopt after a failure.
std::optional<nn::Parameter> quantized_values(LayerImport& in, FloatTensor values,
                                              const std::optional<quantizers::Spec>& spec);

/// EinsumDense, Dot, attention, RepeatVector (attention_rows.cpp).
std::vector<LayerRow> attention_rows();

/// Layers of published packages (custom_rows.cpp).
std::vector<LayerRow> custom_rows();

/// Layers of QKeras that are several nodes (qkeras_layers.cpp).
std::vector<LayerRow> qkeras_layer_rows();

/// Sets the node's activation, or asks for a softmax behind it (or makes the node the softmax).
void set_activation(LayerImport& in, bool quantized);

}  // namespace weft::formats::keras
