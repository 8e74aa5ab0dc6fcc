// SPDX-License-Identifier: Apache-2.0
/// @file
/// Masks of time steps, which Keras carries beside the tensors. Private to this room.
#pragma once

#include "weft/formats/keras/layer_import.h"

namespace weft::formats::keras {

/// The mask [T] of 0 and 1 of a layer's first input, known in `in.mask`, is followed to its output: set in
/// `in.output_mask` where the layer carries it on, refused where the layer would use it otherwise than weft does. True
/// when the layer is made here.
bool follow_mask(LayerImport& in);

/// The mask among the inputs of a layer that is called with `mask`, as Keras 3 writes it: moved to `in.mask`.
void take_mask(LayerImport& in);

/// Keras' `not_equal` of a tensor and a number, of which Keras 3 makes masks.
std::optional<nn::TensorId> not_equal(LayerImport& in);

/// The mask of an Embedding with `mask_zero`: index 0 is no step.
void mask_zeros(LayerImport& in);

std::vector<LayerRow> mask_rows();

}  // namespace weft::formats::keras
