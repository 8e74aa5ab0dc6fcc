// SPDX-License-Identifier: Apache-2.0
/// @file
/// Layers of HGQ2 and the proxy layer of HGQ; and the input grid that their quantizers share.
#pragma once

#include <vector>

#include "weft/formats/keras/layer_import.h"

namespace weft::formats::keras {

std::vector<LayerRow> hgq_rows();
/// Of layers that are several nodes (hgq_layers.cpp).
std::vector<LayerRow> hgq_layer_rows();
/// Softmax and attention (hgq_attention.cpp).
std::vector<LayerRow> hgq_attention_rows();
/// QEinsumDense, or with `batch_norm` QEinsumDenseBatchnorm, by any equation.
void import_general_einsum(LayerImport& in, bool batch_norm);

/// Where a graph input is read only through `hgq_fixed` quantizers whose elements have grids of their own, puts one
/// quantizer in front that drops only what none of them can see: a common finer grid, rounded down, and the widest
/// range, wrapped or clipped as theirs. It is the input's type then; the quantizers behind it give the same results.
void add_input_grids(nn::Graph& graph);

}  // namespace weft::formats::keras
