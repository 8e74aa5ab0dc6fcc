// SPDX-License-Identifier: Apache-2.0
/// @file
/// Quotients and powers of two tensors. Private to this room.
#pragma once

#include <string>

#include "weft/layers/recipe.h"

namespace weft::layers {

struct Composed {
  exact::ValueId value;  ///< codes of the type
  std::string note;      ///< how, and the largest error
};

/// a / b rounded to `type` within a last place; both have one scale. A divisor of 0 counts as its smallest positive
/// code.
Result<Composed> add_quotient(const nn::Node& node, Recipe& recipe, exact::ValueId a, exact::ValueId b,
                              const fixed::FixedType& type, Context& ctx);

/// a to the power of b, as exp(b ln a). A base that is not positive counts as its smallest positive code.
Result<Composed> add_power(const nn::Node& node, Recipe& recipe, exact::ValueId a, exact::ValueId b,
                           const fixed::FixedType& type, Context& ctx);

}  // namespace weft::layers
