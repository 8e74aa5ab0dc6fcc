// SPDX-License-Identifier: Apache-2.0
/// @file
/// How a layer class of Keras becomes nodes: one declarative row per class and what its import function sees.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "weft/formats/keras/config_reader.h"
#include "weft/formats/keras/topology.h"
#include "weft/formats/keras/weights.h"
#include "weft/nn/graph.h"

namespace weft::formats::keras {

struct UserLayer;

/// What an import function gets and fills: it sets `op`, attributes, parameters and functions of `node`, and `output`.
struct LayerImport {
  const LayerEntry& layer;
  ConfigReader& config;
  int keras_major = 2;
  /// Shapes of the inputs; empty when an earlier layer failed.
  std::vector<std::optional<Shape>> inputs;
  /// Variables by name; not set when there is no weight file.
  std::optional<std::map<std::string, Hdf5File::Object>> variables;
  WeightFile* weights = nullptr;

  nn::Node node{};
  /// Nodes in front of `node`, first to last; the first input of every other one and of `node` is the one before.
  std::vector<nn::Node> chain{};
  /// A node in front of each input of `node`, instead of a chain.
  std::vector<nn::Node> front{};
  std::optional<Shape> output{};
  /// A softmax behind the node, as its own node.
  bool softmax = false;

  /// Masks of time steps [T] beside the first input and the first output (masks.h).
  std::optional<nn::TensorId> mask{};
  std::optional<nn::TensorId> output_mask{};

  /// Makes `tensor` the layer's only output: the node that makes it takes the layer's name.
  void finish(std::optional<nn::TensorId> tensor);
  /// The same with several outputs; the last node takes the layer's name when it makes the first of them.
  void finish_all(std::vector<nn::TensorId> outputs);

  /// The recipe of a layer of the user's own.
  const UserLayer* user = nullptr;
  nn::Graph* graph = nullptr;
  std::set<std::string>* names = nullptr;
  /// Tensors of the inputs, as `inputs` has their shapes.
  std::vector<nn::TensorId> tensors{};
  /// Set by layers of several nodes that add them with emit(), `node` is not used then: the layer's outputs.
  std::vector<nn::TensorId> results{};
  /// Adds a node with its one output; nullopt after a failure, which `config` remembers. The name is made unique.
  std::optional<nn::TensorId> emit(nn::Node made);
  /// The same for a node of `count` outputs; empty after a failure.
  std::vector<nn::TensorId> emit_all(nn::Node made, std::size_t count);
  /// The same with an operator, inputs and attributes; the name is the layer's with `suffix`.
  std::optional<nn::TensorId> emit(const std::string& suffix, const std::string& op, std::vector<nn::TensorId> from,
                                   AttributeMap attributes = {});
  [[nodiscard]] const Shape& shape_of(nn::TensorId tensor) const { return graph->at(tensor).shape; }
  /// All inputs and the weights are known: what emit() needs.
  [[nodiscard]] bool ready() const;
  /// The argument `key`, or the positional one number `place`; nullptr when the call has neither.
  [[nodiscard]] const Argument* argument(std::string_view key, std::size_t place) const;

  /// The shape of the only input.
  [[nodiscard]] const std::optional<Shape>& input() const { return inputs.front(); }
  /// Sets `output` by the shape rules of the chain and the node; nothing when an input's shape is not known.
  void infer_output();
  /// Reads a variable of the given shape (-1 fits any extent) as parameter `role` of the node.
  void take(std::string_view variable, const std::string& role, const Shape& shape);

 private:
  [[nodiscard]] bool variables_known() const;
};

/// Every extent is positive and their product is within the limit of elements.
bool within_limits(const Shape& shape, const Context& ctx);

/// One class. A config key in none of the lists is an error.
struct LayerRow {
  std::string_view class_name;
  std::string_view package;
  std::string_view op;
  std::vector<std::string_view> used;
  /// Without meaning at inference: initializers, regularizers, constraints, seeds.
  std::vector<std::string_view> ignored;
  /// Must be null, false or absent.
  std::vector<std::string_view> refused;
  std::vector<WeightRow> weights;
  std::size_t min_inputs = 1;
  std::size_t max_inputs = 1;
  void (*import)(LayerImport&) = nullptr;
  /// Layers without meaning at inference may carry any variable, such as the state of a random generator.
  bool any_weights = false;
  /// `LayerImport::variables` has all of them, by WeightFile::all_variables().
  bool by_path = false;
  /// Arguments of the call that `import` reads, besides tensors in front; any other one is an error.
  std::vector<std::string_view> call{};
  /// `import` reads all arguments itself.
  bool any_call = false;
};

/// Reports config keys that the row does not know or refuses, and number formats other than float32.
void check_config(ConfigReader& config, const LayerRow& row);
/// The latter alone.
void check_dtype(ConfigReader& config);
/// Reports a key that is in neither list, or in `refused` and in use.
void check_key(ConfigReader& config, const std::string& key, const Json& value,
               const std::vector<std::string_view>& known, const std::vector<std::string_view>& refused);

/// All rows, by class name.
const std::vector<LayerRow>& layer_rows();
const LayerRow* find_row(std::string_view class_name, std::string_view package);
std::vector<LayerRow> keras_rows();
std::vector<LayerRow> function_rows();
std::vector<LayerRow> qkeras_rows();
/// Of both: convolutions, pools and what else has spatial axes.
std::vector<LayerRow> spatial_rows();
/// Of both: recurrent layers, Bidirectional.
std::vector<LayerRow> recurrent_rows();
std::vector<LayerRow> time_distributed_rows();

/// A way out for a class that no row knows.
std::string way_out(const LayerEntry& layer);

}  // namespace weft::formats::keras
