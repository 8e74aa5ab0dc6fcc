// SPDX-License-Identifier: Apache-2.0
/// @file
/// Functions on tensors as nodes, one C++ function for each kind. The result is the function's tensor, or nullopt after
/// a failure that `in.config` remembers. Private to this room.
#pragma once

#include <optional>
#include <string>

#include "weft/formats/keras/layer_import.h"

namespace weft::formats::keras::ops {

using Tensor = std::optional<nn::TensorId>;

/// Of two tensors, or of one and a constant: operator `op`.
Tensor binary(LayerImport& in, const std::string& op);
/// Of one tensor: a family of functions, or "square", "negative", "absolute", "identity", "relu6".
Tensor unary(LayerImport& in, const std::string& family);
/// Between two numbers.
Tensor clip(LayerImport& in);
/// Along one axis.
Tensor softmax(LayerImport& in);
/// To a constant shape.
Tensor reshape(LayerImport& in);
/// Axes in another order, the batch staying in front.
Tensor transpose(LayerImport& in);
/// Without axes of extent 1.
Tensor squeeze(LayerImport& in);
/// With one more axis of extent 1.
Tensor expand(LayerImport& in);
/// Joined along an axis that exists, or, for "stack", along a new one.
Tensor concatenate(LayerImport& in, const std::string& what);
/// Sum, mean, largest or smallest along axes: operator `op`.
Tensor reduce(LayerImport& in, const std::string& op);
/// Elements of one axis by constant indices.
Tensor take(LayerImport& in);
/// Parts of one axis, by sections or places of cuts; sets `in.results`.
void split(LayerImport& in);
/// Matrix product of two tensors, or of one and a constant.
Tensor matmul(LayerImport& in);
/// Einsum of two tensors.
Tensor einsum(LayerImport& in);
/// Python's x[...] with constant slices and indices.
Tensor get_item(LayerImport& in);

}  // namespace weft::formats::keras::ops
