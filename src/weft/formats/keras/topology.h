// SPDX-License-Identifier: Apache-2.0
/// @file
/// The layers of a Keras architecture and their connections, from all the forms that Keras writes.
#pragma once

#include <deque>
#include <string>
#include <vector>

#include "weft/formats/keras/config_reader.h"

namespace weft::formats::keras {

/// One layer as the architecture has it.
struct LayerEntry {
  std::string name;
  std::string class_name;  ///< without a package
  std::string package;     ///< "keras", "qkeras", or what the file says
  const Json* config = nullptr;
  Origin origin;
  std::vector<std::size_t> inputs;  ///< indices into Topology::layers
};

struct Topology {
  std::string name;
  std::vector<LayerEntry> layers;  ///< in the order of the file
  std::vector<std::size_t> order;  ///< every layer after its inputs
  std::vector<std::size_t> inputs;
  std::vector<std::size_t> outputs;
  std::deque<Json> made;  ///< configs of input layers that the file only implies
};

/// `architecture` (kept by the caller) is {class_name: Sequential | Functional | Model, config}.
Result<Topology> read_topology(const Json& architecture, const std::string& file, Context& ctx);

}  // namespace weft::formats::keras
