// SPDX-License-Identifier: Apache-2.0
/// @file
/// Random functions and quantizers with random parameters, from every family of the registry.
#pragma once

#include "weft/exact/random_graph.h"
#include "weft/quantizers/quantizer.h"

namespace weft::random_networks {

/// Random choices on top of exact::Random.
class Dice : public exact::Random {
 public:
  using Random::Random;
  /// True `percent` times in a hundred.
  bool chance(int percent) { return between(1, 100) <= percent; }
  /// Uniform on a grid of 2^20 steps, the same on every platform.
  double real(double lo, double hi) { return lo + (hi - lo) * static_cast<double>(between(0, 1 << 20)) / (1 << 20); }
  template <class T>
  const T& pick(const std::vector<T>& from) {
    return from[static_cast<std::size_t>(between(0, static_cast<std::int64_t>(from.size()) - 1))];
  }
};

/// 2^k, or any number about one.
double random_scale(Dice& dice, bool power_of_two);

/// A quantizer for the result of a layer of `channels` channels.
quantizers::Spec random_activation(Dice& dice, std::int64_t channels);
/// One of the few families that nets mostly use, with one power-of-two scale.
quantizers::Spec plain_activation(Dice& dice);
/// A plain function: relu, tanh ...
quantizers::Spec random_function(Dice& dice);
/// A quantizer for a kernel with `channels` outputs.
quantizers::Spec random_kernel_quantizer(Dice& dice, std::int64_t channels);
/// quantized_bits with alpha = 1, of 2 to `most_bits` bits.
quantizers::Spec random_fixed_point(Dice& dice, std::int64_t most_bits, std::int64_t most_integer);
/// QONNX Quant, per tensor or per channel.
quantizers::Spec random_qonnx(Dice& dice, std::int64_t channels, bool with_zero_point);
/// The family's defaults with some parameters replaced.
quantizers::Spec make_spec(const std::string& family, const AttributeMap& parameters);

}  // namespace weft::random_networks
