// SPDX-License-Identifier: Apache-2.0
/// @file
/// Types from configuration, calibration and defaults.
#pragma once

#include <map>
#include <string>
#include <utility>

#include "weft/layers/float_run.h"
#include "weft/lower/lower.h"

namespace weft::lower {

/// Smallest signed or unsigned type of `width_bits` bits that holds [lo, hi] without clipping (RND_CONV, SAT).
fixed::FixedType type_for_range(double lo, double hi, int width_bits, bool allow_unsigned);

class Policy final : public layers::TypePolicy {
 public:
  /// `observed`: smallest and largest value of each layer's float result on the calibration data; may be empty.
  Policy(const Options& options, std::map<std::string, std::pair<double, double>> observed,
         layers::FloatRun::Ranges intermediates = {});

  [[nodiscard]] std::optional<fixed::FixedType> result(const nn::Node& node) const override;
  [[nodiscard]] fixed::FixedType default_result(const nn::Node& node, double lo, double hi) const override;
  [[nodiscard]] std::optional<fixed::FixedType> chosen_parameter(const nn::Node& node,
                                                                 const std::string& role) const override;
  [[nodiscard]] fixed::FixedType parameter(const nn::Node& node, const std::string& role, double lo,
                                           double hi) const override;
  [[nodiscard]] std::optional<fixed::FixedType> accumulator(const nn::Node& node) const override;
  [[nodiscard]] std::optional<fixed::FixedType> intermediate(const nn::Node& node,
                                                             const std::string& role) const override;
  [[nodiscard]] fixed::FixedType default_intermediate(const nn::Node& node, const std::string& role, double lo,
                                                      double hi) const override;
  [[nodiscard]] std::size_t most_steps(const nn::Node& node) const override;
  [[nodiscard]] Softmax softmax(const nn::Node& node, bool is_final) const override;

 private:
  const Options& options_;
  LayerSettings settings_;
  /// What is said of exactly this role, without defaults.
  [[nodiscard]] std::optional<fixed::FixedType> named(const nn::Node& node, const std::string& role) const;

  std::map<std::string, std::pair<double, double>> observed_;
  layers::FloatRun::Ranges intermediates_;
};

}  // namespace weft::lower
