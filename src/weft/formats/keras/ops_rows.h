// SPDX-License-Identifier: Apache-2.0
/// @file
/// Functions applied to tensors of a functional model: TFOpLambda and SlicingOpLambda of Keras 2, operations of
/// Keras 3.
#pragma once

#include <vector>

#include "weft/formats/keras/layer_import.h"

namespace weft::formats::keras {

std::vector<LayerRow> operation_rows();

}  // namespace weft::formats::keras
