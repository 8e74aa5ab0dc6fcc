// SPDX-License-Identifier: Apache-2.0
/// @file
/// Reading PyTorch programs that `torch.export.save` wrote (.pt2) into the graph of layers.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "weft/nn/graph.h"
#include "weft/support/context.h"

namespace weft::formats::torch {

/// Reads a .pt2 file of any layout since PyTorch 2.5. No pickle is executed.
Result<nn::Graph> read_pt2(const std::filesystem::path& path, Context& ctx);

/// Reads the bytes of such a file; `name` is for messages.
Result<nn::Graph> read_pt2_bytes(const std::string& bytes, const std::string& name, Context& ctx);

/// What PyTorch wrote, told by the members of a zip archive or the first bytes of a pickle. Damaged files count.
enum class FileKind { None, Program, Pickle, Script };
FileKind recognize(std::string_view bytes);

/// Says why a file of FileKind::Pickle or FileKind::Script is not read, and what to save instead.
diag::Failure refuse(FileKind what, const std::string& name, Context& ctx);

/// One row of the operator table, for `weft ops`.
struct OperatorInfo {
  std::string_view name;
  /// What is read of the operator and what is refused.
  std::string_view note;
};

/// Every ATen operator that is read, in alphabetic order.
std::vector<OperatorInfo> supported_operators();

}  // namespace weft::formats::torch
