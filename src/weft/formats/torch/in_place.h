// SPDX-License-Identifier: Apache-2.0
/// @file
/// Operators that change a tensor in place, as `nn.ReLU(inplace=True)` is exported.
#pragma once

#include "weft/formats/torch/program.h"

namespace weft::formats::torch {

/// Replaces them by operators that give a new value, which all later uses of the changed tensor read. LayerUnsupported
/// where another view of the same memory is used later.
Result<void> replace_in_place(Program& program, Context& ctx);

}  // namespace weft::formats::torch
