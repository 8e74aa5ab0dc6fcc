// SPDX-License-Identifier: Apache-2.0
/// @file
/// Where the elements of a resized axis come from: nearest neighbours, and weights of linear and cubic interpolation as
/// ONNX, PyTorch and TensorFlow define them. For importers, which write Take and Einsum layers with the result.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "weft/nn/graph.h"

namespace weft::layers {

struct Resampling {
  std::string mode = "nearest";  ///< "nearest", "linear", "cubic"
  /// "half_pixel", "half_pixel_symmetric", "pytorch_half_pixel", "align_corners", "asymmetric", "tf_crop_and_resize",
  /// "tf_half_pixel_for_nn".
  std::string coordinates = "half_pixel";
  std::string rounding = "round_prefer_floor";  ///< of nearest: also "round_prefer_ceil", "floor", "ceil"
  double scale = 1.0;                           ///< output elements per input element
  double cubic_a = -0.75;
  double position_steps = 0.0;  ///< of cubic: positions are rounded to multiples of 1 / position_steps; 0 for none
  bool exclude_outside = false;
  bool antialias = false;
  double roi_begin = 0.0;  ///< of tf_crop_and_resize, as fractions of the axis
  double roi_end = 1.0;
};

/// Input element of every output element, -1 where tf_crop_and_resize reads outside; nullopt for words not listed.
std::optional<std::vector<std::int64_t>> nearest_elements(const Resampling& how, std::int64_t n_in, std::int64_t n_out);

/// A [n_in, n_out] matrix as a parameter; `quantized` when all weights are multiples of one fraction 1 / d with d up to
/// 4096. Columns of `outside` are zero: tf_crop_and_resize reads nothing there.
struct Weights {
  nn::Parameter matrix;
  std::vector<bool> outside;
};
/// nullopt for words not listed.
std::optional<Weights> interpolation_weights(const Resampling& how, std::int64_t n_in, std::int64_t n_out);

/// A matrix of weights with codes where they are multiples of one fraction.
nn::Parameter weights_parameter(const Shape& shape, const std::vector<double>& weights);

}  // namespace weft::layers
