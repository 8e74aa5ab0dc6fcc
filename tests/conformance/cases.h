// SPDX-License-Identifier: Apache-2.0
/// @file
/// The conformance table: one small network per layer, quantizer and option, run on every executor.
#pragma once

#include <string>
#include <vector>

#include "weft/layers/recipe.h"
#include "weft/lower/lower.h"
#include "weft/nn/graph.h"

namespace weft::conformance {

struct Case {
  std::string name;
  nn::Graph graph;
  lower::Options options;
  /// The network's certificate; `Exact` cases must equal the float32 run of the source to the last bit.
  layers::Word word = layers::Word::Exact;
};

/// Layers over spatial axes and their data movement.
void add_spatial_cases(std::vector<Case>& out);
/// Layers that join tensors or axes.
void add_merge_cases(std::vector<Case>& out);

/// Trees of every kind.
void add_forest_cases(std::vector<Case>& out);
/// Products of tensors, transposed convolutions, sorting, arrangements.
void add_tensor_cases(std::vector<Case>& out);

/// Plain functions, softmax and normalizations.
void add_function_cases(std::vector<Case>& out);

/// HGQ's quantizers with grids per channel and per element.
void add_hgq_cases(std::vector<Case>& out);

/// Layers with integer kernels.
void add_integer_cases(std::vector<Case>& out);

/// Cells unrolled over time, and spiking neurons.
void add_recurrent_cases(std::vector<Case>& out);

/// Scales per channel whose channels leave the last axis.
void add_scale_cases(std::vector<Case>& out);

/// Every row, made once: the names of tests ask for them again and again. A test fails when a layer of the registry
/// occurs in none.
const std::vector<Case>& all_cases();

}  // namespace weft::conformance
