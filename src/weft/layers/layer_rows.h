// SPDX-License-Identifier: Apache-2.0
/// @file
/// The row of each layer file; registry.cpp lists them. Private to this room.
#pragma once

#include "weft/layers/layer.h"

namespace weft::layers {

Layer activation_layer();
Layer add_layer();
Layer argmax_layer();
Layer average_layer();
Layer average_pool_layer();
Layer batch_norm_layer();
Layer concat_layer();
Layer constant_layer();
Layer conv_layer();
Layer conv_batchnorm_layer();
Layer conv_transpose_layer();
Layer dense_layer();
Layer dense_batchnorm_layer();
Layer depthwise_conv_layer();
Layer depthwise_conv_batchnorm_layer();
Layer div_layer();
Layer einsum_layer();
Layer embedding_layer();
Layer forest_layer();
Layer global_average_pool_layer();
Layer global_max_pool_layer();
Layer gru_layer();
Layer identity_layer();
Layer if_layer();
Layer layer_norm_layer();
Layer lif_layer();
Layer link_layer();
Layer log_softmax_layer();
Layer lstm_layer();
Layer max_pool_layer();
Layer maximum_layer();
Layer minimum_layer();
Layer mul_layer();
Layer normalization_layer();
Layer pad_layer();
Layer permute_layer();
Layer pick_layer();
Layer pow_layer();
Layer reduce_max_layer();
Layer reduce_mean_layer();
Layer reduce_min_layer();
Layer reduce_sum_layer();
Layer rescaling_layer();
Layer reshape_layer();
Layer simple_rnn_layer();
Layer slice_layer();
Layer softmax_layer();
Layer sub_layer();
Layer take_layer();
Layer top_k_layer();
Layer upsample_layer();
Layer where_layer();

/// infer_shape of layers that keep the shape of their first input.
Result<Shape> same_shape(const nn::Graph& graph, const nn::Node& node, Context& ctx);
std::int64_t no_macs(const nn::Graph& graph, const nn::Node& node);

}  // namespace weft::layers
