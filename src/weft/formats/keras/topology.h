// SPDX-License-Identifier: Apache-2.0
/// @file
/// The layers of a Keras architecture and their connections, from all the forms that Keras writes. Nested models are
/// taken apart, shared layers become one entry for each call.
#pragma once

#include <deque>
#include <limits>
#include <string>
#include <vector>

#include "weft/formats/keras/config_reader.h"

namespace weft::formats::keras {

/// An output of an entry of Topology::layers.
struct Source {
  std::size_t layer = 0;
  std::size_t output = 0;
  auto operator<=>(const Source&) const = default;
};

/// One argument of a call: tensors, or a constant.
struct Argument {
  std::string key;                ///< empty for the positional ones, in their order
  const Json* value = nullptr;    ///< as the file has it, without `mask` or `training`
  std::vector<std::size_t> from;  ///< the tensors in it: indices into LayerEntry::inputs
};

/// One call of a layer as the architecture has it.
struct LayerEntry {
  std::string name;        ///< unique; "model/layer" inside of a nested model
  std::string own_name;    ///< as the file has it
  std::string class_name;  ///< without a package
  std::string package;     ///< "keras", "qkeras", "keras.ops" for operations, or what the file says
  const Json* config = nullptr;
  Origin origin;
  std::vector<Source> inputs{};
  std::vector<Argument> arguments{};
  /// The entry that has the weights: this one, or the first call of a shared layer.
  std::size_t weights = 0;
  /// Inside of a wrapper that prunes.
  bool pruned = false;
};

/// A model and what it holds, for finding weights.
struct Scope {
  static constexpr std::size_t kNone = std::numeric_limits<std::size_t>::max();
  struct Member {
    std::string name;
    std::string class_name;
    std::size_t layer = kNone;  ///< the first call; kNone for a model
    std::size_t scope = kNone;  ///< index into Topology::scopes
  };
  std::vector<Member> members;
};

struct Topology {
  std::string name;
  std::vector<LayerEntry> layers;  ///< in the order of the file
  std::vector<std::size_t> order;  ///< every layer after its inputs
  std::vector<std::size_t> inputs;
  std::vector<Source> outputs;
  std::vector<Scope> scopes;  ///< the first is the whole model
  std::deque<Json> made;      ///< configs of input layers that the file only implies
};

/// `architecture` (kept by the caller) is {class_name: Sequential | Functional | Model, config}.
Result<Topology> read_topology(const Json& architecture, const std::string& file, Context& ctx);

}  // namespace weft::formats::keras
