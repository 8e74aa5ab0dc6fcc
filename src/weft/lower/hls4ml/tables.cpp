// SPDX-License-Identifier: Apache-2.0
// Layer normalization with hls4ml's inverse-root table, and embedding.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/fixed/quantize.h"
#include "weft/lower/hls4ml/lowering.h"

namespace weft::lower::hls4ml {
namespace {

using fixed::FixedType;

/// 1 / sqrt(10^-power + i * 2^-range / size), i being the address.
Int inverse_root(Int i, int power, std::int64_t range_power2, std::int64_t size, const FixedType& type) {
  const auto least = static_cast<float>(std::pow(10.0, -power));
  const auto most = static_cast<float>(std::pow(2.0, -static_cast<double>(range_power2)));
  const float step = most / static_cast<float>(size);
  const float product = step * static_cast<float>(i);
  const float v = least + product;
  return table_entry(1.0 / static_cast<double>(std::sqrt(v)), type);
}

}  // namespace

Result<void> lower_layer_norm(Lowering& l, const nn::Node& node) {
  const Shape shape = l.shape(node.inputs[0]);
  const auto axes = get_ints(node.attributes, "axes");
  const auto rank = static_cast<std::int64_t>(shape.size());
  const bool last = axes.size() == 1 && (axes[0] == rank - 1 || axes[0] == -1);
  if (get_string(node.attributes, "statistic", "variance") != "variance" ||
      get_int(node.attributes, "groups", 1) != 1 || !last)
    return l.unlike(node, "hls4ml 1.3 normalizes layers along the last axis only");
  const Variable x = l.in(node);
  const std::int64_t n = shape.back();
  const std::int64_t rows = element_count(shape) / n;
  const FixedType accum =
      l.type(node, "accum", FixedType{14, 4, true, fixed::Rounding::RndConv, fixed::Overflow::Sat, 0});
  const FixedType table_type =
      l.own_type(node, "table", FixedType{8, 5, false, fixed::Rounding::RndConv, fixed::Overflow::Sat, 0});
  const std::int64_t size = l.types.table_size(node, 4096);
  const std::int64_t range_power2 = l.types.table_range_power2(node);
  const double epsilon = get_double(node.attributes, "epsilon", 1e-3);
  const int power = static_cast<int>(std::lround(-std::log10(epsilon)));
  if (std::fabs(std::pow(10.0, -power) - epsilon) > epsilon * 1e-5)
    return l.unlike(node, fmt::format("hls4ml takes powers of ten as epsilon, not {}", epsilon));
  const auto values = [&](const char* key, float fallback) {
    const auto it = node.parameters.find(key);
    std::vector<float> out = it == node.parameters.end() ? std::vector<float>{fallback} : it->second.values.data;
    if (out.size() == 1) out.assign(static_cast<std::size_t>(n), out[0]);
    return out;
  };
  const auto gamma = values("gamma", 1.0F);
  const auto beta = values("beta", 0.0F);
  if (static_cast<std::int64_t>(gamma.size()) != n || static_cast<std::int64_t>(beta.size()) != n)
    return l.unlike(node, "hls4ml scales along the last axis only");
  const FixedType scale_type = l.type(node, "scale", l.types.model_default());
  const FixedType bias_type = l.type(node, "bias", l.types.model_default());
  const FixedType result = l.type(node, "result", infer_scale_bias(x.type, scale_type, bias_type, l.types.maximum()));

  const std::vector<Int> ones(static_cast<std::size_t>(n), 1);
  WEFT_TRY(const auto flat, l.add(node, "_rows", exact::Reshape{x.value}, l.frac_bits(x.value), Shape{rows, n}));
  WEFT_TRY(const auto numbers, l.fit(node, "_numbers", flat, accum));
  WEFT_TRY(const auto share, l.constant(node, "_share", {fixed::from_double(1.0 / static_cast<double>(n), accum)},
                                        accum.frac_bits(), Shape{1}));
  const auto mean_of = [&](exact::ValueId v, const char* suffix) -> Result<exact::ValueId> {
    WEFT_TRY(auto sum, accumulate(l, node, ProductSum{v, n, 1, ones, 0, {}, 0, accum, {}}));
    WEFT_TRY(sum, l.product(node, std::string(suffix) + "_product", sum, share));
    return l.cast(node, suffix, sum, accum);
  };
  WEFT_TRY(const auto mean, mean_of(numbers, "_mean"));
  WEFT_TRY(auto difference, l.sum(node, "_off", numbers, mean, true));
  WEFT_TRY(difference, l.cast(node, "_difference", difference, accum));
  WEFT_TRY(auto square, l.product(node, "_squared", difference, difference));
  WEFT_TRY(square, l.cast(node, "_square", square, accum));
  WEFT_TRY(const auto variance, mean_of(square, "_variance"));
  const int frac = accum.frac_bits();
  if (frac < 0 || frac > 60 || range_power2 < 0 || range_power2 > 30)
    return l.unlike(node, "the address that hls4ml computes for such types is not covered");
  const auto address = [&](Int code) {
    return std::clamp<Int>(divide_toward_zero(code * size * (Int{1} << range_power2), Int{1} << frac), 0, size - 1);
  };
  const auto entry = [&](Int code) { return inverse_root(address(code), power, range_power2, size, table_type); };
  const auto starts = index_starts(layers::channel_range(l.value(variance), 0, 1), address);
  WEFT_TRY(const auto inverse, l.lookup(node, "_inverse", variance, starts, entry, table_type.frac_bits()));
  const Shape along{n};
  WEFT_TRY(const auto scale,
           l.constant(node, "_scale", l.through_text(gamma, scale_type), scale_type.frac_bits(), along));
  WEFT_TRY(const auto bias, l.constant(node, "_bias", l.through_text(beta, bias_type), bias_type.frac_bits(), along));
  WEFT_TRY(auto y, l.product(node, "_normalized", difference, inverse));
  WEFT_TRY(y, l.product(node, "_scaled", y, scale));
  WEFT_TRY(y, l.sum(node, "_shifted", y, bias));
  WEFT_TRY(y, l.add(node, "_shaped", exact::Reshape{y}, l.frac_bits(y), shape));
  return l.finish(
      node, y, result,
      fmt::format("accumulator {}, table of {} {}", fixed::to_string(accum), size, fixed::to_string(table_type)));
}

/// Rows of a table by the integer part of the data. hls4ml reads behind the table for other data; here the last row
/// and the first take them.
Result<void> lower_embedding(Lowering& l, const nn::Node& node) {
  const Variable x = l.in(node);
  const Shape& table = node.parameters.at("table").values.shape;
  if (table.size() != 2) return l.unlike(node, "an embedding table has two axes");
  WEFT_TRY(const Weights rows, l.weights(node, "table", "embeddings"));
  const FixedType result = l.type(node, "result", l.types.model_default());
  const std::int64_t vocabulary = table[0];
  const std::int64_t n = table[1];
  const int frac = l.frac_bits(x.value);
  if (frac < -60 || frac > 60) return l.unlike(node, "such steps of the data are not covered");
  const auto index = [&](Int code) {
    const Int whole = frac >= 0 ? divide_toward_zero(code, Int{1} << frac) : code << -frac;
    return std::clamp<Int>(whole, 0, vocabulary - 1);
  };
  const auto starts = index_starts(layers::channel_range(l.value(x.value), 0, 1), index);
  Shape column = l.shape(node.inputs[0]);
  column.push_back(1);
  exact::Concat concat{{}, static_cast<std::int64_t>(column.size()) - 1};
  for (std::int64_t c = 0; c < n; ++c) {
    const auto f = [&](Int code) {
      return fixed::cast(rows.codes[static_cast<std::size_t>(index(code) * n + c)], rows.frac_bits, result);
    };
    WEFT_TRY(const auto y, l.lookup(node, "_column", x.value, starts, f, result.frac_bits()));
    WEFT_TRY(const auto shaped, l.add(node, "_shaped", exact::Reshape{y}, result.frac_bits(), column));
    concat.xs.push_back(shaped);
  }
  WEFT_TRY(const auto y, l.add(node, "", std::move(concat), result.frac_bits()));
  return l.finish(node, Variable{y, result});
}

}  // namespace weft::lower::hls4ml
