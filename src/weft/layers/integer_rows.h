// SPDX-License-Identifier: Apache-2.0
/// @file
/// The rows of layers with integer kernels; registry.cpp lists them. Private to this room.
#pragma once

#include "weft/layers/layer.h"

namespace weft::layers {

Layer integer_add_layer();
Layer integer_average_pool_layer();
Layer integer_conv_layer();
Layer integer_dense_layer();
Layer integer_depthwise_conv_layer();
Layer integer_einsum_layer();
Layer integer_lstm_layer();
Layer integer_mul_layer();
Layer integer_rescale_layer();
Layer integer_resize_layer();
Layer integer_softmax_layer();
Layer integer_sum_layer();
Layer integer_table_layer();
Layer integer_transposed_conv_layer();

}  // namespace weft::layers
