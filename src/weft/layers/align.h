// SPDX-License-Identifier: Apache-2.0
/// @file
/// Tensors of different scales on one grid.
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

/// The node's inputs from `first` on as codes of one grid for all of them and all their channels.
Result<Aligned> aligned_inputs(const nn::Node& node, Recipe& recipe, std::size_t first);

/// The codes on one scale for all elements, exactly: whole factors bring those per channel or per element to their
/// greatest common divisor. Where that would need more than 62 bits, rounded to the node's default type (`quantized`).
Result<exact::ValueId> on_one_scale(const nn::Node& node, Recipe& recipe, exact::ValueId x);

/// The same for numbers that are compared: the source rounds each to float32, which could make two of them equal.
Result<exact::ValueId> comparable(const nn::Node& node, Recipe& recipe, exact::ValueId x);

/// Inputs of a layer whose scales or pending steps are one per element become codes on one scale
/// (Layer::takes_any_scale).
Result<void> settle_inputs(const nn::Node& node, Recipe& recipe);

/// Negated codes: -x on the same scale.
Result<exact::ValueId> negated(const nn::Node& node, Recipe& recipe, exact::ValueId x, const Scale& scale);

}  // namespace weft::layers
