// SPDX-License-Identifier: Apache-2.0
/// @file
/// A graph as one C++17 file that depends on nothing: the same integers as every other executor gives.
#pragma once

#include <string>

#include "weft/exact/graph.h"
#include "weft/support/context.h"

namespace weft::backends::cpp {

struct EmulatorOptions {
  /// Namespace of the functions; made a legal identifier.
  std::string name = "model";
  /// What the file says of its origin.
  std::string source;
  std::string version;
};

/// `source` stands alone; `header` declares what it defines.
struct EmulatorFiles {
  std::string source;
  std::string header;
};

/// Fails with TypeTooWide for codes of more than 126 bits, or of more than 63 bits at inputs and outputs.
Result<EmulatorFiles> emit_emulator(const exact::Graph& graph, const EmulatorOptions& options, Context& ctx);

/// The namespace that emit_emulator uses for a name.
std::string namespace_of(const std::string& name);

}  // namespace weft::backends::cpp
