// SPDX-License-Identifier: Apache-2.0
/// @file
/// From the graph of layers to the exact graph, with a certificate per layer.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "weft/exact/graph.h"
#include "weft/layers/recipe.h"
#include "weft/lower/config.h"
#include "weft/nn/graph.h"

namespace weft::lower {

/// Rows of calibration data, one entry per graph input, [batch, ...].
struct Calibration {
  std::vector<std::vector<float>> inputs;
  std::int64_t batch = 0;
};

/// Whose integers the exact graph gives: Weft's (exact sums, the source's own functions), or those of another tool.
enum class Compat { None, Hls4ml };

struct Options {
  Config config;
  /// The command line's; the configuration's `Compat` when None.
  Compat compat = Compat::None;
  /// Type of float results and inputs about which nothing else is known; its width is that of float parameters too.
  fixed::FixedType default_type{16, 6, true};
  /// By input name; "" for all.
  std::map<std::string, fixed::TypeSpec> input_types;
  std::optional<Calibration> calibration;
};

struct Lowered {
  exact::Graph graph;
  /// In layer order.
  std::vector<layers::LayerCertificate> certificate;
  /// The weakest word of all layers.
  layers::Word network = layers::Word::Exact;
};

/// `graph` must have passed layers::check.
Result<Lowered> lower(const nn::Graph& graph, const Options& options, Context& ctx);

}  // namespace weft::lower
