// SPDX-License-Identifier: Apache-2.0
/// @file
/// Masks of attention: minus infinity, added to scores in front of a softmax.
#pragma once

#include "weft/formats/torch/aten.h"

namespace weft::formats::torch {

/// Whether the operator may add a mask to scores.
bool adds_mask(const ProgramNode& node);
/// Whether it is a softmax.
bool is_softmax(const ProgramNode& node);

/// A constant with -1e9 for minus infinity; anything else as it is. exp of what is that far below the largest score is
/// 0, as it is of minus infinity.
Value finite_scores(const Value& value);

}  // namespace weft::formats::torch
