// SPDX-License-Identifier: Apache-2.0
/// @file
/// The ports of a planned design as JSON, for programs that feed it.
#pragma once

#include <string>

#include "weft/hw/design.h"

namespace weft::hw {

/// interface.json: clock, reset, and per port the fields of its elements with their ranges and scales.
std::string print_interface(const Design& design);

}  // namespace weft::hw
