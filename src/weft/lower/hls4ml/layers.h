// SPDX-License-Identifier: Apache-2.0
/// @file
/// Which layers hls4ml makes of a model before it computes anything.
#pragma once

#include <string>
#include <vector>

#include "weft/lower/hls4ml/types.h"
#include "weft/nn/graph.h"

namespace weft::lower::hls4ml {

struct Layers {
  nn::Graph graph;
  /// An activation inside of a layer is a layer of its own, `<layer>_<function>`.
  struct Split {
    std::string layer;
    std::string activation;
  };
  std::vector<Split> splits;
  /// A batch normalization behind a product layer whose result type is inferred goes into its weights.
  struct Fusion {
    std::string normalization;
    std::string into;
  };
  std::vector<Fusion> fusions;
};

/// Splits activations off, fuses batch normalizations.
Result<Layers> layers_of(const nn::Graph& source, const Types& types, Context& ctx);

}  // namespace weft::lower::hls4ml
