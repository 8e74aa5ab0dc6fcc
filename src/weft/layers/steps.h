// SPDX-License-Identifier: Apache-2.0
/// @file
/// Layers that are a few float32 steps with constants. Private to this room.
#pragma once

#include "weft/layers/float_run.h"
#include "weft/layers/recipe.h"

namespace weft::layers {

/// Evaluates steps in place on rows whose last axis has `channels` elements.
void evaluate_steps(const std::vector<exact::ReadoutStep>& steps, std::vector<float>& data, std::size_t channels);

/// Pushes the steps on the node's input and sets the output.
Result<void> lower_steps(const nn::Node& node, Recipe& recipe, const std::vector<exact::ReadoutStep>& steps);

/// Largest difference per element that the framework's kernels could make to `ours`, the quantized `values`; all 0 when
/// only IEEE operations take part.
std::vector<float> kernel_uncertainty(const quantizers::Function& function, const FloatTensor& values,
                                      const FloatTensor& ours, const Origin& origin);

/// A parameter as operands of a step: all axes but the last must have extent 1; collapsed to one number when all are
/// equal.
Result<std::vector<float>> channel_operands(const nn::Node& node, const FloatTensor& values, Context& ctx);

}  // namespace weft::layers
