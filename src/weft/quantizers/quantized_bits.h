// SPDX-License-Identifier: Apache-2.0
/// @file
/// The fixed-point core of QKeras' quantized_bits, shared with quantized_hswish.
#pragma once

#include <limits>

#include "weft/quantizers/auto_scale.h"
#include "weft/quantizers/parameters.h"

namespace weft::quantizers {

/// Checked parameters of quantized_bits.
struct BitsParameters {
  int bits = 8;
  int integer = 0;
  bool symmetric = false;
  bool keep_negative = true;
  Alpha alpha{};
  Po2Limits po2_limits{};
  /// Frozen scale (attribute `scale`) of the automatic modes; empty when computed from the tensor.
  std::vector<float> post_training_scale{};
};

/// x -> c with xq = alpha * (2^integer * c / 2^u), rounding before clipping, alpha = None or numbers.
class BitsGrid {
 public:
  explicit BitsGrid(const BitsParameters& parameters);
  /// The integer code before alpha; -1 or +1 for one signed bit.
  [[nodiscard]] float step(float x) const;
  /// 2^integer * step / 2^u.
  [[nodiscard]] float value_of_step(float step) const;
  [[nodiscard]] float alpha(std::size_t channel) const { return alpha_[alpha_.size() == 1 ? 0 : channel]; }
  [[nodiscard]] std::size_t channels() const { return alpha_.size(); }
  /// The code of a step: its sign turned for negative alpha, 0 for alpha = 0.
  [[nodiscard]] Int code_of_step(float step, std::size_t channel) const;
  /// All codes of x >= least; the type is set when alpha is 1 and float32 holds the bounds.
  [[nodiscard]] OutputSet outputs(float least = -std::numeric_limits<float>::max()) const;

 private:
  BitsParameters parameters_;
  std::vector<float> alpha_;
  bool binary_ = false;
  float m_ = 1.0F;
  float mi_ = 1.0F;
  float lo_ = 0.0F;
  float hi_ = 0.0F;
};

/// Reads the keys that quantized_bits and quantized_hswish share.
BitsParameters read_bits_parameters(Parameters& parameters);

}  // namespace weft::quantizers
