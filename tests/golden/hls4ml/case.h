// SPDX-License-Identifier: Apache-2.0
/// @file
/// One golden case of hls4ml: its layers as a graph of Weft's, its types as a configuration, its data.
#pragma once

#include <filesystem>
#include <map>
#include <string>
#include <vector>

#include "weft/lower/lower.h"
#include "weft/support/arrays.h"
#include "weft/support/json.h"

namespace weft::golden {

/// A layer whose integers hls4ml traced.
struct Trace {
  std::string layer;  ///< node of the graph
  std::string array;  ///< in the .npz
  int frac_bits = 0;
  int width_bits = 0;
  bool bipolar = false;
};

struct Case {
  std::string name;
  nn::Graph graph;
  lower::Options options;
  std::map<std::string, support::Array> arrays;
  std::vector<std::string> inputs;  ///< arrays of the graph's inputs
  std::vector<Trace> outputs;
  std::vector<Trace> traces;
  /// Kernels and biases: layer, parameter, role of the array `wq__...` with the firmware's integers.
  struct Weight {
    std::string layer;
    std::string parameter;
    std::string array;
  };
  std::vector<Weight> weights;
  /// Why the case has no graph of ours; empty when it has.
  std::string obstacle;
};

/// Reads NAME.json and NAME.npz. Throws std::runtime_error on files that are not as their README says.
Case read_case(const std::filesystem::path& json);

}  // namespace weft::golden
