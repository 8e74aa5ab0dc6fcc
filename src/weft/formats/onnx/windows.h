// SPDX-License-Identifier: Apache-2.0
/// @file
/// Where the windows of convolutions and pools lie, from an operator's attributes.
#pragma once

#include "weft/formats/onnx/call.h"

namespace weft::formats::onnx {

/// One number per spatial axis in each list.
struct Windows {
  Shape kernel;
  Shape strides;
  Shape dilations;
  Shape before;
  Shape after;
  Shape overhang;   ///< what ceil_mode lets the last window reach past the padding
  Shape positions;  ///< number of windows

  [[nodiscard]] bool padded() const;
  [[nodiscard]] bool overhangs() const;
  /// `strides`, `dilations` and padding of a layer, as far as they are not the default; the overhang counts as padding.
  [[nodiscard]] AttributeMap layer_attributes() const;
};

/// Reads strides, dilations, pads, auto_pad and ceil_mode for data of these spatial extents and `channels` elements per
/// position. Fails where lists do not fit, a window lies outside of the data, or the windows have too many elements.
Result<Windows> read_windows(const Call& call, const Shape& spatial, const Shape& kernel, std::int64_t channels);

/// Fails when some window sees nothing but padding: a pool has no result there.
Result<void> require_data_in_windows(const Call& call, const Windows& w, const Shape& spatial);

}  // namespace weft::formats::onnx
