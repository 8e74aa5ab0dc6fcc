// SPDX-License-Identifier: Apache-2.0
#include "weft/layers/resample.h"

#include <algorithm>
#include <cmath>

namespace weft::layers {
namespace {

/// Position of output element i in the input; nullopt for unknown words.
std::optional<double> position(const Resampling& how, std::int64_t i, std::int64_t n_in, std::int64_t n_out) {
  const auto x = static_cast<double>(i);
  const auto in = static_cast<double>(n_in);
  const double out = how.scale * in;  // before it was rounded down to n_out
  const double half = (x + 0.5) / how.scale - 0.5;
  if (how.coordinates == "half_pixel") return half;
  if (how.coordinates == "pytorch_half_pixel") return n_out == 1 ? 0.0 : half;
  if (how.coordinates == "tf_half_pixel_for_nn") return (x + 0.5) / how.scale;
  if (how.coordinates == "asymmetric") return x / how.scale;
  if (how.coordinates == "align_corners") {
    const double last = out - 1.0;
    return last == 0.0 ? 0.0 : x * (in - 1.0) / last;
  }
  if (how.coordinates == "half_pixel_symmetric") return in / 2.0 * (1.0 - static_cast<double>(n_out) / out) + half;
  if (how.coordinates == "tf_crop_and_resize") {
    const double length = (how.roi_end - how.roi_begin) * (in - 1.0);
    return how.roi_begin * (in - 1.0) + (out == 1.0 ? length / 2.0 : x * length / (out - 1.0));
  }
  return std::nullopt;
}

bool is_outside(const Resampling& how, double at, std::int64_t n_in) {
  return how.coordinates == "tf_crop_and_resize" && (at < 0.0 || at > static_cast<double>(n_in - 1));
}

/// R. Keys, Cubic convolution interpolation for digital image processing (1981), with the free parameter a.
double cubic(double distance, double a) {
  const double d = std::fabs(distance);
  if (d <= 1.0) return ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0;
  return d < 2.0 ? ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a : 0.0;
}

}  // namespace

std::optional<std::vector<std::int64_t>> nearest_elements(const Resampling& how, std::int64_t n_in,
                                                          std::int64_t n_out) {
  std::vector<std::int64_t> out;
  for (std::int64_t i = 0; i < n_out; ++i) {
    const auto at = position(how, i, n_in, n_out);
    if (!at) return std::nullopt;
    double from = 0.0;
    if (how.rounding == "floor")
      from = std::floor(*at);
    else if (how.rounding == "ceil")
      from = std::ceil(*at);
    else if (how.rounding == "round_prefer_floor")
      from = std::ceil(*at - 0.5);
    else if (how.rounding == "round_prefer_ceil")
      from = std::floor(*at + 0.5);
    else
      return std::nullopt;
    const auto clamped = static_cast<std::int64_t>(std::clamp(from, 0.0, static_cast<double>(n_in - 1)));
    out.push_back(is_outside(how, *at, n_in) ? -1 : clamped);
  }
  return out;
}

nn::Parameter weights_parameter(const Shape& shape, const std::vector<double>& weights) {
  nn::Parameter out;
  out.values = FloatTensor(shape);
  const auto fits = [&](double d) {
    return std::all_of(weights.begin(), weights.end(),
                       [&](double w) { return std::fabs(w - std::nearbyint(w * d) / d) < 1e-6; });
  };
  int denominator = 0;
  for (int d = 1; d <= 4096 && denominator == 0; ++d)
    if (fits(d)) denominator = d;
  if (denominator == 0) {
    for (std::size_t i = 0; i < weights.size(); ++i) out.values.data[i] = static_cast<float>(weights[i]);
    return out;
  }
  quantizers::Quantized q{FloatTensor(shape), IntTensor(shape), Scale(Rational(1) / Rational(denominator))};
  for (std::size_t i = 0; i < weights.size(); ++i) {
    q.codes.data[i] = static_cast<std::int64_t>(std::nearbyint(weights[i] * denominator));
    q.values.data[i] = static_cast<float>(static_cast<double>(q.codes.data[i]) / denominator);
  }
  out.values = q.values;
  out.quantized = std::move(q);
  return out;
}

std::optional<Weights> interpolation_weights(const Resampling& how, std::int64_t n_in, std::int64_t n_out) {
  if (how.mode != "linear" && how.mode != "cubic") return std::nullopt;
  Weights out;
  std::vector<double> matrix(static_cast<std::size_t>(n_in * n_out), 0.0);
  const double reach = how.mode == "cubic" ? 2.0 : 1.0;
  const double shrink = how.antialias ? std::min(how.scale, 1.0) : 1.0;
  for (std::int64_t o = 0; o < n_out; ++o) {
    auto at = position(how, o, n_in, n_out);
    if (!at) return std::nullopt;
    if (how.position_steps > 0.0) at = std::nearbyint(*at * how.position_steps) / how.position_steps;
    out.outside.push_back(is_outside(how, *at, n_in));
    if (out.outside.back()) continue;
    const auto first = static_cast<std::int64_t>(std::floor(*at - reach / shrink));
    const auto last = static_cast<std::int64_t>(std::ceil(*at + reach / shrink));
    double sum = 0.0;
    std::vector<std::pair<std::int64_t, double>> taps;
    for (std::int64_t i = first; i <= last; ++i) {
      const double distance = (static_cast<double>(i) - *at) * shrink;
      const double w = how.mode == "cubic" ? cubic(distance, how.cubic_a) : std::max(1.0 - std::fabs(distance), 0.0);
      if (how.exclude_outside && (i < 0 || i >= n_in)) continue;
      taps.emplace_back(std::clamp<std::int64_t>(i, 0, n_in - 1), w);
      sum += w;
    }
    const bool normalize = how.exclude_outside || how.antialias;
    for (const auto& [i, w] : taps) matrix[static_cast<std::size_t>(i * n_out + o)] += normalize ? w / sum : w;
  }
  out.matrix = weights_parameter({n_in, n_out}, matrix);
  return out;
}

}  // namespace weft::layers
