// SPDX-License-Identifier: Apache-2.0
/// @file
/// Folds batch normalizations of float models into the kernels beside them.
#pragma once

#include <map>
#include <string>

#include "weft/nn/graph.h"

namespace weft::lower {

/// A BatchNorm behind (or in front of) a Dense whose kernel has no quantizer becomes part of its kernel and bias,
/// before they get a type; the BatchNorm stays as an Identity so that its name remains. Models with quantized kernels
/// keep their own order of operations: there the normalization goes into the next quantizer. Returns layer -> layer it
/// was folded into.
Result<std::map<std::string, std::string>> fold_batchnorm(nn::Graph& graph, Context& ctx);

}  // namespace weft::lower
