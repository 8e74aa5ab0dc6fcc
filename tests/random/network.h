// SPDX-License-Identifier: Apache-2.0
/// @file
/// Seeded random dense networks as an importer could give them, with the options to lower and build them.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "weft/hw/design.h"
#include "weft/nn/graph.h"

namespace weft::random_networks {

/// A network and all that decides what becomes of it. Equal seeds, equal networks on every platform.
struct Network {
  std::uint64_t seed = 0;
  nn::Graph graph;
  /// By input name, as --input-type takes them.
  std::map<std::string, std::string> input_types;
  /// As --set takes them.
  std::vector<std::string> settings;
  hw::PlanOptions plan;
};

/// Dense networks of one to four layers of width 1 to 24 with quantizers of every family of the registry.
Network random_network(std::uint64_t seed);

}  // namespace weft::random_networks
