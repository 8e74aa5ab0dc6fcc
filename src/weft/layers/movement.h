// SPDX-License-Identifier: Apache-2.0
/// @file
/// What data movement needs of a symbol. Private to this room.
#pragma once

#include "weft/layers/recipe.h"

namespace weft::layers {

/// The symbol with elements that may move: pending functions per channel belong to the last axis, so that the numbers
/// are fixed as codes first where there are any.
Result<Symbol> movable(const nn::Node& node, Recipe& recipe, Symbol symbol);

/// `primitive` moves elements of `symbol`, which is movable: scales, pending steps and bounds per channel go along, and
/// become one per element where the channels leave the last axis. Where elements are padding nothing is pending.
Result<Symbol> moved(const nn::Node& node, Recipe& recipe, Symbol symbol, exact::Primitive primitive,
                     std::optional<Shape> shape = std::nullopt);

/// The code of a number that pads a tensor of this scale; refused where it lies between codes.
Result<Int> padding_code(const nn::Node& node, double number, const Scale& scale, Context& ctx);

}  // namespace weft::layers
