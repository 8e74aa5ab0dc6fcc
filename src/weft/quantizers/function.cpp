// SPDX-License-Identifier: Apache-2.0
#include <algorithm>

#include "weft/quantizers/quantizer.h"
#include "weft/quantizers/set_quantizer.h"

namespace weft::quantizers {
namespace {

/// value = code * scale exactly, if it is.
std::optional<Int> exact_code(float value, const std::optional<int>& scale_log2) {
  if (!scale_log2) return std::nullopt;
  if (value == 0.0F) return Int{0};
  if (lsb_exponent(value) < *scale_log2 || std::ilogb(value) - *scale_log2 > 120) return std::nullopt;
  return code_on_grid(value, *scale_log2);
}

}  // namespace

std::shared_ptr<const Function> Function::with_kernels_moved(int) const { return nullptr; }

std::optional<fixed::FixedType> Function::type(std::size_t) const {
  const auto set = outputs();
  return set ? set->type : std::nullopt;
}

bool Function::cast_is_exact(double, int, std::size_t) const { return true; }

std::shared_ptr<const Function> Function::unwrapped() const { return nullptr; }

Int Function::code(float, std::size_t) const {
  diag::internal_error(__FILE__, __LINE__, "code() of a function without outputs()");
}

// With a power-of-two scale the codes are read off the values, so that scale * code is the float32 number even where
// the straight-through form rounded it away from the quantizer's set. Without outputs() (sets too wide, qnoise_factor
// != 1) the values' own grid serves.
Result<Quantized> Function::quantize(const FloatTensor& tensor, const Origin& origin, Context& ctx) const {
  WEFT_CHECK(!data_dependent(), "a data-dependent quantizer must define quantize()");
  WEFT_TRY_VOID(check_finite(tensor, origin, ctx));
  WEFT_TRY_VOID(check_channels(channels(), tensor.shape, origin, ctx));
  const std::size_t count = channels();
  FloatTensor values(tensor.shape);
  for (std::size_t i = 0; i < values.data.size(); ++i) values.data[i] = apply(tensor.data[i], i % count);
  WEFT_TRY_VOID(check_finite(values, origin, ctx));
  const auto set = outputs();
  if (!set) return quantized_on_own_grid(std::move(values), origin, ctx);

  std::vector<std::optional<int>> scale_log2;
  for (const Rational& factor : set->scale.factors) scale_log2.push_back(fixed::log2_exact(factor));
  std::vector<Int> codes(values.data.size());
  for (std::size_t i = 0; i < codes.size(); ++i) {
    const auto& log2 = scale_log2[scale_log2.size() == 1 ? 0 : i % count];
    if (log2) {
      const auto exact = exact_code(values.data[i], log2);
      if (!exact) return quantized_on_own_grid(std::move(values), origin, ctx);
      codes[i] = *exact;
    } else {
      codes[i] = code(tensor.data[i], i % count);
    }
  }
  const bool fits = std::all_of(codes.begin(), codes.end(), [](Int c) { return c == static_cast<std::int64_t>(c); });
  if (!fits) return quantized_on_own_grid(std::move(values), origin, ctx);
  return make_quantized(std::move(values), codes, set->scale, origin, ctx);
}

}  // namespace weft::quantizers
