// SPDX-License-Identifier: Apache-2.0
/// @file
/// Folds additions and batch normalizations into the kernels beside them.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "weft/nn/graph.h"

namespace weft::lower {

struct Folding {
  /// Layers that cannot be seen by themselves any more -> the layer that shows their result.
  std::map<std::string, std::string> hidden;
  /// Batch normalizations whose arithmetic was merged into a kernel in float64: their certificate is `quantized`.
  std::vector<std::string> merged;
};

/// Two rewrites, looking through layers that do nothing (Identity), only where nothing else reads the tensors in
/// between:
/// - Dense without bias, then Add of a constant along the outputs (ONNX writes layers that way): the constant becomes
/// the bias;
///   the same float32 operations in the same order.
/// - Dense whose kernel is plain float, then BatchNorm; or BatchNorm, then such a Dense: the normalization becomes part
/// of kernel
///   and bias before they get a type. Models with quantized kernels keep their own order of operations: there a
///   normalization goes into the next quantizer.
Folding fold_affine(nn::Graph& graph);

}  // namespace weft::lower
