// SPDX-License-Identifier: Apache-2.0
/// @file
/// Reads TensorFlow Lite models: float ones and integer ones (int4, int8, uint8, int16), whose layers then have integer
/// kernels.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "weft/nn/graph.h"

namespace weft::formats::tflite {

/// The file identifier `TFL3` at byte 4.
bool looks_like_tflite(std::string_view bytes);

/// Problems are reported with the operator's output tensor as node and the operator's name; all that can be found are.
Result<nn::Graph> read_tflite(const std::filesystem::path& path, Context& ctx);
Result<nn::Graph> read_tflite_bytes(const std::string& bytes, const std::string& name, Context& ctx);

/// Operators with a row, in alphabetic order.
std::vector<std::string> supported_operators();

}  // namespace weft::formats::tflite
