// SPDX-License-Identifier: Apache-2.0
/// @file
/// Scale of a tensor of codes: one exact rational, one per index of the last axis, or one per element.
#pragma once

#include <cstddef>
#include <vector>

#include "weft/diag/diag.h"
#include "weft/fixed/rational.h"

namespace weft {

/// value = scale * code. `factors` has one entry (per tensor), one per index of the last axis, or one per element in
/// row-major order, where channels lie along another axis. Never zero or negative.
struct Scale {
  std::vector<Rational> factors{Rational(1)};

  Scale() = default;
  explicit Scale(Rational factor) : factors{std::move(factor)} {}
  explicit Scale(std::vector<Rational> f) : factors(std::move(f)) {}
  [[nodiscard]] bool per_tensor() const { return factors.size() == 1; }
  /// Factor at index `channel` of the last axis.
  [[nodiscard]] const Rational& at(std::size_t channel) const {
    if (per_tensor()) return factors[0];
    WEFT_CHECK(channel < factors.size(), "the scale has no factor for this channel");
    return factors[channel];
  }
  /// Factor of an element of the tensor.
  [[nodiscard]] const Rational& of(std::size_t element) const { return factors[element % factors.size()]; }
  bool operator==(const Scale&) const = default;
};

}  // namespace weft
