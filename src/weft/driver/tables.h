// SPDX-License-Identifier: Apache-2.0
/// @file
/// Functions that the user gives as a file of points.
#pragma once

#include "weft/lower/config.h"
#include "weft/nn/graph.h"

namespace weft::driver {

/// Replaces the activation of every layer with a `table` setting by the points in its file: an array [n, 2] of x and y
/// with ascending x. ConfigInvalid when the file holds something else or the layer has no activation.
Result<void> apply_tables(const lower::Config& config, nn::Graph& graph, Context& ctx);

}  // namespace weft::driver
