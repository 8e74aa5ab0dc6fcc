// SPDX-License-Identifier: Apache-2.0
/// @file
/// What a user may say about types and implementation, per model, layer type and layer name.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "weft/fixed/type.h"
#include "weft/nn/graph.h"

namespace weft::lower {

/// One block of a configuration. Empty entries fall through: LayerName, then LayerType, then Model.
struct BlockConfig {
  /// By role: "default", "weight", "bias", "result", "accum", of recurrent layers "recurrent_weight",
  /// "recurrent_bias", "gate_input", "gate", "state", "cell", of softmax and normalizations "distance", "exp",
  /// "inverse", "normalized". hls4ml's others matter with --compat hls4ml only.
  std::map<std::string, fixed::TypeSpec> precision;
  std::optional<std::int64_t> reuse_factor;
  std::optional<std::string> strategy;
  /// Trees: the number that means "missing" beside NaN.
  std::optional<double> missing;
  /// "remove", "table" or "argmax".
  std::optional<std::string> softmax;
  /// Steps up to which a function stays exact; beyond, it becomes straight lines.
  std::optional<std::int64_t> steps;
  /// File of points (x, y) that replaces the layer's activation; "linear", "nearest" or "floor" between them.
  std::optional<std::string> table;
  std::optional<std::string> table_mode;
  // With --compat hls4ml only.
  /// Of a softmax: "stable", "latency", "legacy" or "argmax".
  std::optional<std::string> implementation;
  std::optional<std::int64_t> table_size;
  std::optional<std::int64_t> table_range_power2;
};

/// A whole configuration. hls4ml's YAML is accepted: Model / LayerType / LayerName at the top or below HLSConfig.
struct Config {
  BlockConfig model;
  std::map<std::string, BlockConfig> layer_type;
  std::map<std::string, BlockConfig> layer_name;
  /// "hls4ml": as --compat hls4ml.
  std::optional<std::string> compat;
  // Project keys of hls4ml files that Weft honours; the command line wins.
  std::optional<std::string> part;
  std::optional<double> clock_ns;
  std::optional<std::string> io_type;
  std::optional<std::string> project_name;
};

/// Parses YAML. Types without modes mean TRN,WRAP here, as hls4ml means them. Unknown keys are ConfigUnknownKey errors
/// with the nearest known key; values of a wrong kind are ConfigInvalid.
Result<Config> parse_config(const std::string& yaml, const std::string& file, Context& ctx);

/// Applies `layer.key=value` (split at the last dot of a known layer name; "Model.key=value" sets the model block).
/// Types without modes mean RND_CONV,SAT here.
Result<void> apply_setting(Config& config, const std::string& setting, const nn::Graph& graph, Context& ctx);

/// Every layer name and layer type of the configuration must exist in the graph.
Result<void> check_names(const Config& config, const nn::Graph& graph, const std::string& file, Context& ctx);

/// Resolved values for one node.
struct LayerSettings {
  const Config* config;
  [[nodiscard]] std::optional<fixed::TypeSpec> type(const nn::Node& node, const std::string& role) const;
  [[nodiscard]] std::optional<std::string> softmax(const nn::Node& node) const;
  [[nodiscard]] std::optional<double> missing(const nn::Node& node) const;
  [[nodiscard]] std::int64_t reuse_factor(const nn::Node& node) const;
  [[nodiscard]] std::optional<std::int64_t> steps(const nn::Node& node) const;
  /// Of this layer by its name or type only.
  [[nodiscard]] std::optional<std::string> table(const nn::Node& node) const;
  [[nodiscard]] std::string table_mode(const nn::Node& node) const;
};

}  // namespace weft::lower
