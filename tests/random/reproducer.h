// SPDX-License-Identifier: Apache-2.0
/// @file
/// One file that holds a failing network: a `.weft` with the options and the inputs beside the graph.
#pragma once

#include <optional>
#include <string>

#include "check.h"

namespace weft::random_networks {

struct Reproducer {
  Network network;
  Vectors vectors;
  std::string corrupt;  ///< as CheckOptions says; for tests of this tester only
  std::string stage;
  std::string text;
};

/// Writes the file; returns the problems, "" for none.
std::string write_reproducer(const Reproducer& reproducer, const std::filesystem::path& path);
/// Reads it back; nothing and `problem` when the file is none.
std::optional<Reproducer> read_reproducer(const std::filesystem::path& path, std::string& problem);

}  // namespace weft::random_networks
