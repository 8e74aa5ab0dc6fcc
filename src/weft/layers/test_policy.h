// SPDX-License-Identifier: Apache-2.0
/// @file
/// For tests: a policy that chooses no types.
#pragma once

#include <cstddef>
#include <optional>
#include <string>

#include "weft/layers/recipe.h"

namespace weft::layers {

/// Every question is answered with "nothing chosen"; functions may have `steps` steps.
class TestPolicy final : public TypePolicy {
 public:
  [[nodiscard]] std::optional<fixed::FixedType> result(const nn::Node&) const override { return std::nullopt; }
  [[nodiscard]] fixed::FixedType default_result(const nn::Node&, double, double) const override { return {}; }
  [[nodiscard]] fixed::FixedType parameter(const nn::Node&, const std::string&, double, double) const override {
    return {};
  }
  [[nodiscard]] std::optional<fixed::FixedType> chosen_parameter(const nn::Node&, const std::string&) const override {
    return std::nullopt;
  }
  [[nodiscard]] std::optional<fixed::FixedType> accumulator(const nn::Node&) const override { return std::nullopt; }
  [[nodiscard]] std::optional<fixed::FixedType> intermediate(const nn::Node&, const std::string&) const override {
    return std::nullopt;
  }
  [[nodiscard]] fixed::FixedType default_intermediate(const nn::Node&, const std::string&, double,
                                                      double) const override {
    return {};
  }
  [[nodiscard]] Softmax softmax(const nn::Node&, bool) const override { return Softmax::Table; }
  [[nodiscard]] std::size_t most_steps(const nn::Node&) const override { return steps; }

  std::size_t steps = 1U << 16;
};

}  // namespace weft::layers
