// SPDX-License-Identifier: Apache-2.0
/// @file
/// Which integers a graph input carries, and by which rule.
#pragma once

#include <string>
#include <vector>

#include "weft/lower/lower.h"

namespace weft::lower {

struct InputType {
  exact::InputConversion conversion;
  Scale scale;
  fixed::Range range;
  /// "option", "model", "configuration", "calibration" or "default".
  std::string rule;
  /// Quantizer nodes of the model whose function the conversion already is.
  std::vector<std::string> nodes;
};

/// In this order: the user's --input-type, the model's own quantizer reached through data movement only, the
/// configuration, the range of the calibration data, the default type with a warning.
Result<InputType> input_type(const nn::Graph& graph, const nn::GraphPort& port, std::size_t index,
                             const Options& options, Context& ctx);

}  // namespace weft::lower
