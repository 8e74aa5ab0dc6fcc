// SPDX-License-Identifier: Apache-2.0
/// @file
/// A look at the protobuf wire format before protobuf itself allocates anything.
#pragma once

#include <cstdint>
#include <string_view>

namespace weft::formats::onnx {

/// Numbers of sub-messages and strings that parsing would create.
struct WireCounts {
  /// False when the bytes are no well-formed message or hold a group.
  bool well_formed = true;
  std::uint64_t nodes = 0;
  /// Every message, string and list element that costs an allocation, nodes included.
  std::uint64_t objects = 0;
};

/// Walks a serialized model in linear time; stops early once `objects` is above `limit`.
WireCounts count_objects(std::string_view model, std::uint64_t limit);

/// Whether the top-level fields are those of an ONNX model as far as the bytes go.
bool starts_like_model(std::string_view bytes);

}  // namespace weft::formats::onnx
