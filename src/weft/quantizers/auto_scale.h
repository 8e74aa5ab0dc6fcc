// SPDX-License-Identifier: Apache-2.0
/// @file
/// Scales that QKeras computes from the tensor: maxima, least squares, powers of two.
#pragma once

#include <optional>
#include <vector>

#include "weft/quantizers/quantizer.h"

namespace weft::quantizers {

/// A tensor seen as rows x columns, one column per index of the last axis. A tensor of rank 1 (or 0) has one row: for
/// the least-squares scales of QKeras every element is then a channel of its own.
struct Columns {
  std::size_t rows = 1;
  std::size_t columns = 1;
  explicit Columns(const Shape& shape);
};

/// Largest |x| of each column; of the whole tensor when `whole`.
std::vector<float> max_abs(const FloatTensor& x, const Columns& columns, bool whole);
/// Largest x of each column.
std::vector<float> max_value(const FloatTensor& x, const Columns& columns);

/// Bounds of the exponent of an automatic power-of-two scale.
struct Po2Limits {
  std::optional<int> min_exponent{};
  std::optional<int> max_exponent{};
};

/// 2^rint(log2(scale + epsilon)) in float32; `ulps` moves the logarithm.
float nearest_po2_scale(float scale, int ulps = 0);

/// mean(x q) / (mean(q q) + epsilon) per column in float32: QKeras' least-squares scale. The means are float32 sums in
/// row order divided by the number of rows; TensorFlow may add in another order, so the result agrees with it to a few
/// ulps; `ulps` moves it.
std::vector<float> least_squares_scale(const FloatTensor& x, const std::vector<float>& q, const Columns& columns,
                                       int ulps = 0);
/// The same rounded to a power of two within the limits.
std::vector<float> least_squares_po2_scale(const FloatTensor& x, const std::vector<float>& q, const Columns& columns,
                                           const Po2Limits& limits, int ulps = 0);

/// Warns (ScaleAmbiguous) when a least-squares ratio lies so close to sqrt(2) * 2^k that the order of float32 additions
/// could decide the power of two.
void certify_po2_scale(const FloatTensor& x, const std::vector<float>& q, const Columns& columns, const Origin& origin,
                       Context& ctx);

/// values x + (scale q - x) with codes q and the scale of each column; a column with scale 0 has codes 0.
Result<Quantized> quantized_with_scale(const FloatTensor& x, const std::vector<float>& q,
                                       const std::vector<float>& scale, const Origin& origin, Context& ctx);

}  // namespace weft::quantizers
