// SPDX-License-Identifier: Apache-2.0
/// @file
/// Weights and biases in the order and width of the product kernels.
#pragma once

#include <cstdint>
#include <vector>

#include "weft/emulate/analysis.h"
#include "weft/exact/graph.h"

namespace weft::emulate {

/// Dwords for the kernels; weights beyond the matrix are zero.
struct PackedWeights {
  std::vector<std::int32_t> weights;  ///< [tile of four outputs][unit that it reads][4]
  /// As MatVecArgs has them; empty when every tile reads every unit.
  std::vector<std::uint32_t> tile_begin;
  std::vector<std::uint32_t> tile_units;
};
PackedWeights pack_weights(const exact::MatVec& matvec, const Product& product);

/// Padded to a multiple of four, modulo 2^32: bias, the correction for the offset of the inputs, and the addend of the
/// step function (padded already), which is needed only where there is one.
std::vector<std::int32_t> pack_bias(const exact::MatVec& matvec, const Product& product, const EpilogueData& epilogue);

/// Modulo 2^64; in a chain the bias is cast to the accumulator's type.
std::vector<std::int64_t> wide_bias(const exact::MatVec& matvec, const Product& product);

}  // namespace weft::emulate
