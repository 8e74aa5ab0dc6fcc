// SPDX-License-Identifier: Apache-2.0
/// @file
/// Float functions without a set of outputs: relu, tanh ...
#pragma once

#include <type_traits>
#include <utility>

#include "weft/quantizers/parameters.h"

namespace weft::quantizers {

/// A float32 function given by a callable of x, or of x and ulps when a kernel of the source's library takes part.
template <class F>
class PlainFunction final : public Function {
 public:
  PlainFunction(std::string family, F function, std::vector<double> turning_points, double reach)
      : family_(std::move(family)),
        function_(std::move(function)),
        turning_points_(std::move(turning_points)),
        reach_(reach) {}
  [[nodiscard]] float apply(float x, std::size_t) const override {
    if constexpr (kHasKernel)
      return function_(x, ulps_);
    else
      return function_(x);
  }
  [[nodiscard]] std::shared_ptr<const Function> with_kernels_moved(int ulps) const override {
    if constexpr (!kHasKernel) return nullptr;
    auto other = std::make_shared<PlainFunction>(*this);
    other->ulps_ = ulps;
    return other;
  }
  [[nodiscard]] std::vector<double> turning_points() const override { return turning_points_; }
  [[nodiscard]] double reach() const override { return reach_; }
  Result<Quantized> quantize(const FloatTensor&, const Origin& origin, Context& ctx) const override {
    return ctx.fail(Kind::QuantizerUnsupported, origin,
                    "`" + family_ + "` is a function, not a quantizer; it cannot quantize a parameter");
  }

 private:
  static constexpr bool kHasKernel = std::is_invocable_v<F, float, int>;

  std::string family_;
  F function_;
  int ulps_ = 0;
  std::vector<double> turning_points_;
  double reach_;
};

inline constexpr double kEverywhere = std::numeric_limits<double>::infinity();

template <class F>
std::shared_ptr<const Function> plain_function(const Spec& spec, F function, std::vector<double> turning_points = {},
                                               double reach = kEverywhere) {
  return std::make_shared<const PlainFunction<F>>(spec.family, std::move(function), std::move(turning_points), reach);
}

/// The row of a function without parameters.
template <class F>
Family parameterless_family(std::string name, std::string summary, F function, std::vector<double> turning_points = {},
                            double reach = kEverywhere) {
  return {.name = std::move(name),
          .summary = std::move(summary),
          .is_quantizer = false,
          .defaults = {},
          .make = [function, turning_points, reach](const Spec& spec, const Origin&,
                                                    Context&) -> Result<std::shared_ptr<const Function>> {
            return plain_function(spec, function, turning_points, reach);
          }};
}

}  // namespace weft::quantizers
