// SPDX-License-Identifier: Apache-2.0
/// @file
/// What data movement needs of a symbol. Private to this room.
#pragma once

#include "weft/layers/recipe.h"

namespace weft::layers {

/// The node's input `i` as a symbol whose elements may move. Per-channel scales and pending per-channel steps belong to
/// the last axis; unless that is kept, the numbers are fixed as codes first.
Result<Symbol> movable(const nn::Node& node, Recipe& recipe, std::size_t i, bool keeps_last_axis);

/// A symbol whose numbers are fixed as codes where scale or pending steps belong to the last axis.
Result<Symbol> fixed_symbol(const nn::Node& node, Recipe& recipe, Symbol symbol);

/// The code of a number that pads a tensor of this scale; refused where it lies between codes.
Result<Int> padding_code(const nn::Node& node, double number, const Scale& scale, Context& ctx);

}  // namespace weft::layers
