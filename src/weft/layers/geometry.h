// SPDX-License-Identifier: Apache-2.0
/// @file
/// Where the windows of convolutions and pools lie. Private to this room.
#pragma once

#include "weft/exact/graph.h"
#include "weft/nn/graph.h"

namespace weft::layers {

/// Attributes that place windows: `strides`, `dilations` (ints per spatial axis, default 1), `padding` ("valid", "same"
/// as TensorFlow and ONNX SAME_UPPER pad, "same_lower", "causal" or "explicit" with ints `before` and `after`), and for
/// pools `ceil` (the last window may reach over the end).
inline constexpr std::string_view kStrides = "strides";
inline constexpr std::string_view kDilations = "dilations";
inline constexpr std::string_view kPadding = "padding";
inline constexpr std::string_view kBefore = "before";
inline constexpr std::string_view kAfter = "after";
inline constexpr std::string_view kCeil = "ceil";

/// Windows of `kernel` (spatial extents) over `x` [spatial..., C]; `groups` and `x` of the window are left to the
/// caller. ShapeMismatch when they do not fit, AttributeUnsupported for an unknown padding.
Result<exact::Window> window_of(const nn::Node& node, const Shape& x, const Shape& kernel, Context& ctx);

/// Spatial extents of the windows' positions.
Shape positions_of(const exact::Window& window, const Shape& x);

/// [positions..., taps * channels].
Shape window_shape(const exact::Window& window, const Shape& x);

}  // namespace weft::layers
