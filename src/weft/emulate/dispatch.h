// SPDX-License-Identifier: Apache-2.0
/// @file
/// Which instruction sets this processor runs, and their kernels.
#pragma once

#include "weft/emulate/emulator.h"
#include "weft/emulate/kernels.h"

namespace weft::emulate {

/// The best instruction set for Auto, else `isa` itself.
Isa resolve(Isa isa);
/// Kernels of a resolved instruction set; null when this processor or this build lacks it.
const Kernels* kernels_of(Isa isa);

}  // namespace weft::emulate
