// SPDX-License-Identifier: Apache-2.0
/// @file
/// The cells of a recurrent layer and how it runs through time. Private to this room.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "weft/formats/keras/layer_import.h"

namespace weft::formats::keras {

/// What a recurrent layer is made of: one node for each cell, the output of one being the input of the next.
struct Cells {
  std::vector<nn::Node> nodes;
  bool sequences = false;  ///< all outputs, not only the last
  bool states = false;     ///< the last states too
  bool backwards = false;  ///< the last time step comes first
  bool unrolled = false;   ///< how the framework runs it
};

/// Config keys of SimpleRNN, LSTM, GRU and their cells; `quantized` ones are QKeras'.
std::vector<std::string_view> cell_keys(std::string_view op, bool quantized);
std::vector<std::string_view> cell_keys_ignored(std::string_view op, bool quantized);
/// Keys of a layer that runs cells through time.
std::vector<std::string_view> run_keys();
std::vector<std::string_view> run_keys_ignored();
std::vector<std::string_view> run_keys_refused();

/// Reads SimpleRNN, LSTM, GRU, their quantized forms, or RNN with cells of these, from `config`, which is that of a
/// layer of class `class_name`. Its variables are those of `in` below `part` ("" or "forward_layer/"). nullopt after a
/// failure, which `in.config` remembers.
std::optional<Cells> read_cells(LayerImport& in, const std::string& class_name, ConfigReader& config,
                                const std::string& part);

/// Number of states of a cell: two for LSTM, else one.
std::size_t states_of(const nn::Node& cell);
std::size_t states_of(const Cells& cells);

/// The outputs and the last states of all cells, in the order in which Keras lists them.
struct CellResults {
  nn::TensorId output;
  std::vector<nn::TensorId> states;
};

/// Adds the nodes, the last one named with `suffix`. `initial` has the first states of all cells, or none. With
/// `realign`, outputs lie where their inputs lie though the layer runs backwards.
std::optional<CellResults> emit_cells(LayerImport& in, const Cells& cells, const std::string& suffix, nn::TensorId x,
                                      const std::vector<nn::TensorId>& initial, bool realign);

}  // namespace weft::formats::keras
