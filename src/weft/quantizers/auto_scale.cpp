// SPDX-License-Identifier: Apache-2.0
#include "weft/quantizers/auto_scale.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/quantizers/float_ops.h"
#include "weft/quantizers/set_quantizer.h"

namespace weft::quantizers {
namespace {

/// mean(x * q) and mean(q * q) of each column in float32.
struct Means {
  std::vector<float> xq;
  std::vector<float> qq;
};

Means means_of(const FloatTensor& x, const std::vector<float>& q, const Columns& columns) {
  Means means{std::vector<float>(columns.columns, 0.0F), std::vector<float>(columns.columns, 0.0F)};
  for (std::size_t i = 0; i < x.data.size(); ++i) {
    const std::size_t column = i % columns.columns;
    const float xq = x.data[i] * q[i];
    const float qq = q[i] * q[i];
    means.xq[column] += xq;
    means.qq[column] += qq;
  }
  const auto rows = static_cast<float>(columns.rows);
  for (float& mean : means.xq) mean /= rows;
  for (float& mean : means.qq) mean /= rows;
  return means;
}

}  // namespace

Columns::Columns(const Shape& shape) {
  const std::int64_t elements = element_count(shape);
  columns = shape.empty() ? 1 : static_cast<std::size_t>(shape.back());
  rows = columns == 0 ? 0 : static_cast<std::size_t>(elements) / columns;
}

std::vector<float> max_abs(const FloatTensor& x, const Columns& columns, bool whole) {
  std::vector<float> result(columns.columns, 0.0F);
  for (std::size_t i = 0; i < x.data.size(); ++i) {
    float& slot = result[i % columns.columns];
    slot = std::max(slot, std::fabs(x.data[i]));
  }
  if (whole && !result.empty())
    std::fill(result.begin(), result.end(), *std::max_element(result.begin(), result.end()));
  return result;
}

std::vector<float> max_value(const FloatTensor& x, const Columns& columns) {
  std::vector<float> result(x.data.begin(),
                            x.data.begin() + static_cast<std::ptrdiff_t>(std::min(columns.columns, x.data.size())));
  for (std::size_t i = columns.columns; i < x.data.size(); ++i) {
    float& slot = result[i % columns.columns];
    slot = std::max(slot, x.data[i]);
  }
  return result;
}

float nearest_po2_scale(float scale, int ulps) { return std::exp2(rint_even(log2_f32(scale + kEpsilon, ulps))); }

std::vector<float> least_squares_scale(const FloatTensor& x, const std::vector<float>& q, const Columns& columns,
                                       int ulps) {
  Means means = means_of(x, q, columns);
  for (std::size_t c = 0; c < columns.columns; ++c) {
    means.xq[c] = moved(means.xq[c] / (means.qq[c] + kEpsilon), ulps);
  }
  return std::move(means.xq);
}

std::vector<float> least_squares_po2_scale(const FloatTensor& x, const std::vector<float>& q, const Columns& columns,
                                           const Po2Limits& limits, int ulps) {
  std::vector<float> scale = least_squares_scale(x, q, columns, ulps);
  for (float& s : scale) {
    s = nearest_po2_scale(s, ulps);
    if (limits.min_exponent) s = std::max(s, exp2_int(*limits.min_exponent));
    if (limits.max_exponent) s = std::min(s, exp2_int(*limits.max_exponent));
  }
  return scale;
}

// The products x q are never negative (q carries the sign of x), so the relative error of a float32 sum of n terms
// grows like sqrt(n) ulps in practice; the margin is 1e-6 in log2 (12 ulps) and grows with sqrt(n) / 32.
void certify_po2_scale(const FloatTensor& x, const std::vector<float>& q, const Columns& columns, const Origin& origin,
                       Context& ctx) {
  std::vector<double> xq(columns.columns, 0.0);
  std::vector<double> qq(columns.columns, 0.0);
  for (std::size_t i = 0; i < x.data.size(); ++i) {
    xq[i % columns.columns] += static_cast<double>(x.data[i]) * q[i];
    qq[i % columns.columns] += static_cast<double>(q[i]) * q[i];
  }
  const auto rows = static_cast<double>(columns.rows);
  const double margin = 1e-6 * (1.0 + std::sqrt(rows) / 32.0);
  for (std::size_t c = 0; c < columns.columns; ++c) {
    const double ratio =
        (xq[c] / rows) / (qq[c] / rows + static_cast<double>(kEpsilon)) + static_cast<double>(kEpsilon);
    const double log2 = std::log2(ratio);
    const double distance = std::fabs(log2 - std::floor(log2) - 0.5);
    if (distance < margin) {
      ctx.report(Kind::ScaleAmbiguous, origin,
                 fmt::format("the automatic power-of-two scale of channel {} is within {:.1e} (log2) of its rounding "
                             "boundary; the framework may have chosen the neighbouring power",
                             c, distance));
    }
  }
}

Result<Quantized> quantized_with_scale(const FloatTensor& x, const std::vector<float>& q,
                                       const std::vector<float>& scale, const Origin& origin, Context& ctx) {
  FloatTensor values(x.shape);
  std::vector<Int> codes(q.size());
  for (std::size_t i = 0; i < q.size(); ++i) {
    const float s = scale[i % scale.size()];
    const float xq = s * q[i];
    const float difference = xq - x.data[i];
    values.data[i] = x.data[i] + difference;
    codes[i] = s == 0.0F ? Int{0} : static_cast<Int>(q[i]);
  }
  WEFT_TRY_VOID(check_finite(values, origin, ctx));
  std::vector<Rational> factors;
  for (const float s : scale) factors.push_back(s == 0.0F ? Rational(1) : fixed::rational_from_double(s));
  return make_quantized(std::move(values), codes, make_scale(std::move(factors)), origin, ctx);
}

}  // namespace weft::quantizers
