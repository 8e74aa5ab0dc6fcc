// SPDX-License-Identifier: Apache-2.0
/// @file
/// Reading ONNX and QONNX models into the graph of layers.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "weft/nn/graph.h"
#include "weft/support/context.h"

namespace weft::formats::onnx {

/// Reads an .onnx file. External data is looked for beside the file and nowhere else.
Result<nn::Graph> read_onnx(const std::filesystem::path& path, Context& ctx);

/// Reads a serialized model; `name` is for messages. External data is refused.
Result<nn::Graph> read_onnx_bytes(const std::string& bytes, const std::string& name, Context& ctx);

/// Whether the bytes start like a serialized ONNX model. Damaged and truncated models count.
bool looks_like_onnx(const std::string& bytes);

/// One row of the operator table, for `weft ops`.
struct OperatorInfo {
  std::string_view name;
  std::vector<std::string_view> domains;
  /// What is read of the operator and what is refused.
  std::string_view note;
};

/// Every operator that is read, in alphabetic order.
std::vector<OperatorInfo> supported_operators();

}  // namespace weft::formats::onnx
