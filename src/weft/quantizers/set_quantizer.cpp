// SPDX-License-Identifier: Apache-2.0
#include "weft/quantizers/set_quantizer.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "weft/quantizers/parameters.h"

namespace weft::quantizers {
namespace {

constexpr int kMaxGridBits = 120;

/// Exponents of the lowest bit of all and of the highest bit of all non-zero values.
struct Extent {
  bool any = false;
  int lowest = 0;
  int highest = 0;
};

Extent extent_of(std::span<const float> values) {
  Extent extent;
  for (const float value : values) {
    if (value == 0.0F) continue;
    const int lowest = lsb_exponent(value);
    const int highest = std::ilogb(value);
    extent.lowest = extent.any ? std::min(extent.lowest, lowest) : lowest;
    extent.highest = extent.any ? std::max(extent.highest, highest) : highest;
    extent.any = true;
  }
  return extent;
}

}  // namespace

int lsb_exponent(float value) {
  WEFT_CHECK(std::isfinite(value) && value != 0.0F, "lsb_exponent of zero or a non-finite number");
  int exponent = 0;
  const auto mantissa = static_cast<std::int64_t>(std::ldexp(std::frexp(std::fabs(value), &exponent), 24));
  return exponent - 24 + fixed::trailing_zeros(mantissa);
}

Int code_on_grid(float value, int lsb_log2) {
  if (std::isnan(value) || value == 0.0F) return 0;
  const double scaled = std::ldexp(static_cast<double>(value), -lsb_log2);
  WEFT_CHECK(std::isfinite(scaled) && std::fabs(scaled) < std::ldexp(1.0, 126) && scaled == std::floor(scaled),
             "value is not on its grid");
  return static_cast<Int>(scaled);
}

Int nearest_code(float value, const Rational& scale) {
  if (!std::isfinite(value)) return 0;
  const auto rounded = fixed::round(fixed::rational_from_double(value) / scale, fixed::Rounding::RndConv);
  const auto code = fixed::to_int(rounded);
  WEFT_CHECK(code.has_value(), "code needs more than 128 bits");
  return *code;
}

std::optional<OutputSet> dyadic_set(std::span<const float> values) {
  const Extent extent = extent_of(values);
  if (!extent.any) return power_of_two_set(0, 0, 0);
  if (extent.highest - extent.lowest + 2 > kMaxGridBits) return std::nullopt;
  Int lo = std::numeric_limits<Int>::max();
  Int hi = std::numeric_limits<Int>::min();
  for (const float value : values) {
    const Int code = code_on_grid(value, extent.lowest);
    lo = std::min(lo, code);
    hi = std::max(hi, code);
  }
  return power_of_two_set(extent.lowest, lo, hi);
}

OutputSet power_of_two_set(int lsb_log2, Int lo, Int hi) {
  return {Scale(fixed::pow2(lsb_log2)), fixed::Range{lo, hi, 0}, std::nullopt};
}

Scale make_scale(std::vector<Rational> factors) {
  const bool same =
      std::all_of(factors.begin(), factors.end(), [&](const Rational& f) { return f == factors.front(); });
  if (same) factors.resize(1);
  return Scale(std::move(factors));
}

StraightThrough read_straight_through(Parameters& parameters, bool has_use_ste) {
  StraightThrough result;
  const double qnoise = parameters.number("qnoise_factor");
  result.qnoise = static_cast<float>(qnoise);
  result.one_minus_qnoise = static_cast<float>(1.0 - qnoise);
  const bool use_ste = has_use_ste ? parameters.flag("use_ste") : true;
  result.form = use_ste ? StraightThrough::Form::Ste : StraightThrough::Form::Mix;
  return result;
}

void SetQuantizer::set_outputs(std::optional<OutputSet> outputs) {
  if (straight_through_.form != StraightThrough::Form::Direct && straight_through_.qnoise != 1.0F) return;
  outputs_ = std::move(outputs);
  if (!outputs_) return;
  for (const Rational& factor : outputs_->scale.factors) {
    WEFT_CHECK(factor > 0, "a scale is not positive");
    const auto log2 = fixed::log2_exact(factor);
    if (!log2) {
      scale_log2_.clear();
      return;
    }
    scale_log2_.push_back(*log2);
  }
}

Int SetQuantizer::code(float x, std::size_t channel) const {
  WEFT_CHECK(outputs_.has_value(), "code() of a quantizer without outputs()");
  const float value = quantized(x, channel);
  if (scale_log2_.empty()) return nearest_code(value, outputs_->scale.at(channel));
  return code_on_grid(value, scale_log2_[scale_log2_.size() == 1 ? 0 : channel]);
}

Result<Quantized> make_quantized(FloatTensor values, const std::vector<Int>& codes, Scale scale, const Origin& origin,
                                 Context& ctx) {
  IntTensor narrow(values.shape);
  for (std::size_t i = 0; i < codes.size(); ++i) {
    narrow.data[i] = static_cast<std::int64_t>(codes[i]);
    if (narrow.data[i] != codes[i]) {
      return ctx.fail(
          Kind::TypeTooWide, origin,
          fmt::format("element {} is quantized to the code {}, which needs more than 64 bits; use a quantizer "
                      "with a smaller range of values",
                      i, fixed::to_string(codes[i])));
    }
  }
  return Quantized{std::move(values), std::move(narrow), std::move(scale)};
}

Result<Quantized> quantized_on_own_grid(FloatTensor values, const Origin& origin, Context& ctx) {
  const Extent extent = extent_of(values.data);
  if (extent.any && extent.highest - extent.lowest > 62) {
    return ctx.fail(Kind::TypeTooWide, origin,
                    fmt::format("quantized values span 2^{} to 2^{}, more than codes of 64 bits can hold; limit the "
                                "smallest magnitude (`quantized_po2` maps zero to its smallest power of two)",
                                extent.lowest, extent.highest));
  }
  const int lsb_log2 = extent.any ? extent.lowest : 0;
  std::vector<Int> codes(values.data.size());
  std::transform(values.data.begin(), values.data.end(), codes.begin(),
                 [&](float value) { return code_on_grid(value, lsb_log2); });
  return make_quantized(std::move(values), codes, Scale(fixed::pow2(lsb_log2)), origin, ctx);
}

Result<void> check_finite(const FloatTensor& tensor, const Origin& origin, Context& ctx) {
  for (std::size_t i = 0; i < tensor.data.size(); ++i) {
    if (!std::isfinite(tensor.data[i])) {
      return ctx.fail(Kind::DataNotFinite, origin, fmt::format("element {} of the tensor is {}", i, tensor.data[i]));
    }
  }
  return {};
}

Result<void> check_channels(std::size_t channels, const Shape& shape, const Origin& origin, Context& ctx) {
  if (channels == 1) return {};
  if (!shape.empty() && shape.back() == static_cast<std::int64_t>(channels)) return {};
  return ctx.fail(
      Kind::ShapeMismatch, origin,
      fmt::format("the quantizer has parameters for {} channels, the tensor has shape {}", channels, to_string(shape)));
}

}  // namespace weft::quantizers
