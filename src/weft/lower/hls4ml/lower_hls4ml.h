// SPDX-License-Identifier: Apache-2.0
/// @file
/// The whole network as hls4ml computes it.
#pragma once

#include "weft/lower/lower.h"

namespace weft::lower::hls4ml {

/// What lower() does with Compat::Hls4ml.
Result<Lowered> lower(const nn::Graph& source, const Options& options, Context& ctx);

}  // namespace weft::lower::hls4ml
