// SPDX-License-Identifier: Apache-2.0
/// @file
/// Bounded reading of files and output that appears whole or not at all.
#pragma once

#include <filesystem>
#include <map>
#include <string>

#include "weft/support/context.h"

namespace weft::support {

/// The whole file; fails beyond ctx.limits.file_bytes or when it is no regular file.
Result<std::string> read_file(const std::filesystem::path& path, Context& ctx);

/// Writes through a temporary file in the same folder and renames it.
Result<void> write_file(const std::filesystem::path& path, const std::string& content, Context& ctx);

/// Relative path -> content; ordered, so the same set gives the same bytes.
using FileSet = std::map<std::string, std::string>;

/// Writes all files into `directory`, which appears whole or not at all: a sibling is filled and renamed. An existing
/// directory is replaced only when it is empty or holds a `weft.json`.
Result<void> write_directory(const std::filesystem::path& directory, const FileSet& files, Context& ctx);

/// FNV-free content hash: SHA-256 of the bytes in lower-case hex.
std::string sha256_hex(const std::string& content);

}  // namespace weft::support
