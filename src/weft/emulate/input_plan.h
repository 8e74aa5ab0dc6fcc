// SPDX-License-Identifier: Apache-2.0
/// @file
/// Input conversions as kernel arguments, and rows of codes in the layouts of the kernels.
#pragma once

#include <cstdint>
#include <optional>

#include "weft/emulate/kernels.h"
#include "weft/exact/graph.h"

namespace weft::emulate {

/// Arguments of the conversion kernel (without pointers and sizes); nullopt when only exact::convert_input knows how.
std::optional<ConvertArgs> convert_args(const exact::InputConversion& conversion, Layout layout, std::int32_t offset);

/// Writes n codes of one row as the conversion kernel does.
void write_row(const std::int64_t* codes, std::int64_t n, Layout layout, std::int32_t offset, unsigned char* row);

}  // namespace weft::emulate
