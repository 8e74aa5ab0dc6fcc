// SPDX-License-Identifier: Apache-2.0
/// @file
/// Tensors of different scales on one grid. Private to this room.
#pragma once

#include <vector>

#include "weft/layers/recipe.h"

namespace weft::layers {

/// All on one scale, or on one per index of the last axis.
struct Aligned {
  std::vector<exact::ValueId> values;
  Scale scale;
};

/// Brings codes to the greatest common divisor of their scales by whole factors: exact. Where those would need more
/// than 62 bits, all are rounded to the node's default type (certificate `quantized`).
Result<Aligned> align(const nn::Node& node, Recipe& recipe, std::vector<exact::ValueId> values, Context& ctx);

/// The node's inputs from `first` on as codes of one grid; refused where each channel would have its own.
Result<Aligned> aligned_inputs(const nn::Node& node, Recipe& recipe, std::size_t first, Context& ctx);

/// Negated codes: -x on the same scale.
Result<exact::ValueId> negated(const nn::Node& node, Recipe& recipe, exact::ValueId x, const Scale& scale);

}  // namespace weft::layers
