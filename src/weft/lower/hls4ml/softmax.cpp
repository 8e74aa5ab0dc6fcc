// SPDX-License-Identifier: Apache-2.0
// hls4ml's softmax in its four implementations.
//   stable:  d = cast(max(x) - x), e = exp table[top bits of d], s = balanced tree of e, y = e * inverse table[top of
//   s] latency: the same without the maximum; the table is addressed by the top bits of x as they stand legacy:  sum
//   over exp(x_j - x_i) by a table over [-8, 8), then 1 / sum by a table over [0, 64) argmax:  1 for the first largest,
//   else 0
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/fixed/quantize.h"
#include "weft/lower/hls4ml/lowering.h"

namespace weft::lower::hls4ml {
namespace {

using fixed::FixedType;

float exp32(float v) { return static_cast<float>(std::exp(static_cast<double>(v))); }

struct Tables {
  std::int64_t exp_size = 0;
  std::int64_t inverse_size = 0;
  FixedType exp;
  FixedType inverse;
  FixedType inverse_input;
  FixedType norm;  ///< of max(x) - x
  FixedType accum;
  FixedType result;
};

/// The number that the top `bits` of a word of this type stand for, as float32.
float top_value(Int index, int bits, const FixedType& type) {
  Int code = index << (type.width_bits - bits);
  if (type.is_signed && (code >> (type.width_bits - 1)) != 0) code -= Int{1} << type.width_bits;
  return fixed::to_float(code, type.frac_bits());
}

/// A table addressed by the top bits of codes of `type`.
Result<exact::ValueId> by_top_bits(Lowering& l, const nn::Node& node, const std::string& suffix, exact::ValueId x,
                                   const FixedType& type, std::int64_t size, const std::function<Int(float)>& entry,
                                   int frac_bits) {
  const int bits = ceil_log2(size);
  if (bits > type.width_bits || (std::int64_t{1} << bits) != size)
    return l.unlike(node, fmt::format("a table of {} entries cannot be addressed by {}", size, fixed::to_string(type)));
  const int shift = type.width_bits - bits;
  const fixed::Range range = layers::channel_range(l.value(x), 0, 1);
  const auto index = [&](Int code) { return fixed::floor_shift(code, shift); };
  const auto f = [&](Int code) {
    const Int at = index(code) & ((Int{1} << bits) - 1);
    return entry(top_value(at, bits, type));
  };
  std::vector<Int> starts;
  for (Int at = index(range.lo) + 1; at <= index(range.hi); ++at) starts.push_back(at << shift);
  return l.lookup(node, suffix, x, starts, f, frac_bits);
}

/// Sums rows as hls4ml's balanced tree does, every addition cast to `type`.
Result<exact::ValueId> tree(Lowering& l, const nn::Node& node, const std::vector<exact::ValueId>& columns,
                            const FixedType& type) {
  if (columns.size() == 1) return columns[0];
  std::size_t left = 1;
  while (left * 2 <= columns.size() - 1) left *= 2;
  const auto middle = columns.begin() + static_cast<std::ptrdiff_t>(left);
  WEFT_TRY(const auto a, tree(l, node, {columns.begin(), middle}, type));
  WEFT_TRY(const auto b, tree(l, node, {middle, columns.end()}, type));
  WEFT_TRY(const auto sum, l.sum(node, "_add", a, b));
  return l.cast(node, "_add_cast", sum, type);
}

/// The sum over the last axis of [rows, n] in `type`, [rows, 1].
Result<exact::ValueId> tree_sum(Lowering& l, const nn::Node& node, exact::ValueId x, const FixedType& type) {
  const Shape shape = l.value(x).shape;
  const int frac = l.frac_bits(x);
  WEFT_TRY(const auto sum, l.add(node, "_sum", exact::Reduce{exact::Reduce::Kind::Sum, x}, frac));
  const fixed::Range all = layers::channel_range(l.value(sum), 0, 1);
  if (frac == type.frac_bits() && all.lo >= fixed::min_code(type) && all.hi <= fixed::max_code(type)) return sum;
  std::vector<exact::ValueId> columns;
  for (std::int64_t c = 0; c < shape[1]; ++c) {
    exact::Gather column{x, {}, 0};
    for (std::int64_t r = 0; r < shape[0]; ++r) column.indices.push_back(r * shape[1] + c);
    WEFT_TRY(const auto id, l.add(node, "_column", std::move(column), frac, Shape{shape[0], 1}));
    columns.push_back(id);
  }
  return tree(l, node, columns, type);
}

Result<Tables> tables_of(Lowering& l, const nn::Node& node, const FixedType& x, std::int64_t n, bool stable) {
  const FixedType rounded{18, 8, true, fixed::Rounding::Rnd, fixed::Overflow::Sat, 0};
  Tables t;
  t.exp = l.own_type(node, "exp_table", rounded);
  t.inverse = l.own_type(node, "inv_table", rounded);
  t.inverse_input = l.own_type(node, "inv_inp", rounded);
  t.result = l.type(node, "result", l.types.model_default());
  // An accumulator that only the model's default types grows out of the table's type.
  const auto own_accum = l.types.own(node, "accum");
  const auto said = l.types.said(node, "accum");
  if (own_accum)
    t.accum = own_accum->fixed;
  else if (said.form == fixed::TypeSpec::Form::Auto)
    t.accum = rounded;
  else
    t.accum = plain(t.exp.width_bits + ceil_log2(n), t.exp.integer_bits + ceil_log2(n), t.exp.is_signed);
  const int narrow = std::min({x.width_bits, t.inverse.width_bits, 30});
  t.inverse_size = std::min(l.types.table_size(node, 1024), std::int64_t{1} << narrow);
  t.exp_size = t.inverse_size;
  if (!stable) return t;
  const int sign = x.is_signed ? 1 : 0;
  t.norm = plain(x.width_bits - sign, x.integer_bits - sign, false);
  if (t.norm.width_bits < 1) return l.unlike(node, "softmax of a type with one bit");
  if (x.is_signed) t.exp_size = std::min(t.exp_size, std::int64_t{1} << std::min(t.norm.width_bits, 30));
  return t;
}

/// e * (1 / sum of e), everything through the tables.
Result<exact::ValueId> normalized(Lowering& l, const nn::Node& node, exact::ValueId e, const Tables& t) {
  WEFT_TRY(auto sum, tree_sum(l, node, e, t.accum));
  WEFT_TRY(sum, l.cast(node, "_sum_cast", sum, t.inverse_input));
  const auto invert = [&](float v) { return table_entry(static_cast<double>(1.0F / v), t.inverse); };
  WEFT_TRY(const auto inverse,
           by_top_bits(l, node, "_inverse", sum, t.inverse_input, t.inverse_size, invert, t.inverse.frac_bits()));
  return l.product(node, "_product", e, inverse);
}

Result<exact::ValueId> exponentials(Lowering& l, const nn::Node& node, exact::ValueId x, const FixedType& type,
                                    const Tables& t, bool negative) {
  const auto entry = [&](float v) {
    return fixed::cast(table_entry(static_cast<double>(exp32(negative ? -v : v)), t.exp), t.exp.frac_bits(), t.accum);
  };
  return by_top_bits(l, node, "_exp", x, type, t.exp_size, entry, t.accum.frac_bits());
}

Result<exact::ValueId> legacy(Lowering& l, const nn::Node& node, exact::ValueId x, const FixedType& result) {
  const Shape shape = l.value(x).shape;
  const int frac = l.frac_bits(x);
  const FixedType type = l.own_type(node, "table", plain(18, 8));
  const std::int64_t size = l.types.table_size(node, 1024);
  const std::int64_t rows = shape[0];
  const std::int64_t n = shape[1];
  if (frac < 0 || frac > 60) return l.unlike(node, "hls4ml's legacy softmax of such steps is not covered");
  exact::Gather others{x, {}, 0};
  exact::Gather own{x, {}, 0};
  for (std::int64_t r = 0; r < rows; ++r)
    for (std::int64_t i = 0; i < n; ++i)
      for (std::int64_t j = 0; j < n; ++j) {
        others.indices.push_back(r * n + j);
        own.indices.push_back(r * n + i);
      }
  const Shape pairs{rows * n, n};
  WEFT_TRY(const auto a, l.add(node, "_others", std::move(others), frac, pairs));
  WEFT_TRY(const auto b, l.add(node, "_own", std::move(own), frac, pairs));
  WEFT_TRY(const auto difference, l.sum(node, "_difference", a, b, true));
  const auto address = [&](Int code) {
    return std::clamp<Int>(divide_toward_zero(code * size, Int{16} << frac) + size / 2, 0, size - 1);
  };
  const auto exponential = [&](Int code) {
    const double v =
        16.0 * (static_cast<double>(address(code)) - static_cast<double>(size) / 2.0) / static_cast<double>(size);
    return table_entry(static_cast<double>(exp32(static_cast<float>(v))), type);
  };
  const auto starts = index_starts(layers::channel_range(l.value(difference), 0, 1), address);
  WEFT_TRY(const auto e, l.lookup(node, "_exp", difference, starts, exponential, type.frac_bits()));
  // Added one after the other in the table's type.
  const ProductSum s{e, n, 1, std::vector<Int>(static_cast<std::size_t>(n), 1), 0, {}, 0, type, {}};
  WEFT_TRY(auto sum, accumulate(l, node, s));
  WEFT_TRY(sum, l.cast(node, "_sum_codes", sum, type));
  const int sum_frac = type.frac_bits();
  const auto inverse_address = [&](Int code) {
    const Int scaled = code * size * (Int{1} << std::max(-sum_frac, 0));
    return std::clamp<Int>(divide_toward_zero(scaled, Int{64} << std::max(sum_frac, 0)), 0, size - 1);
  };
  const auto inverse = [&](Int code) {
    const auto v = static_cast<float>(64.0 * static_cast<double>(inverse_address(code)) / static_cast<double>(size));
    return fixed::cast(table_entry(v > 0.0F ? 1.0 / static_cast<double>(v) : 0.0, type), sum_frac, result);
  };
  const auto inverse_starts = index_starts(layers::channel_range(l.value(sum), 0, 1), inverse_address);
  WEFT_TRY(const auto y, l.lookup(node, "_inverse", sum, inverse_starts, inverse, result.frac_bits()));
  return l.add(node, "_rows", exact::Reshape{y}, result.frac_bits(), shape);
}

/// 1 where the first largest stands.
Result<exact::ValueId> one_hot(Lowering& l, const nn::Node& node, exact::ValueId x) {
  const Shape shape = l.value(x).shape;
  WEFT_TRY(const auto first, l.add(node, "_argmax", exact::ArgMax{x, 1}, 0));
  std::vector<Int> numbers;
  for (std::int64_t i = 0; i < shape[1]; ++i) numbers.push_back(i);
  WEFT_TRY(const auto count, l.constant(node, "_numbers", std::move(numbers), 0, Shape{shape[1]}));
  WEFT_TRY(const auto away, l.sum(node, "_away", first, count, true));
  return l.lookup(node, "_hot", away, {0, 1}, [](Int code) { return code == 0 ? Int{1} : Int{0}; }, 0);
}

}  // namespace

Result<void> lower_softmax(Lowering& l, const nn::Node& node) {
  const Variable x = l.in(node);
  if (l.types.skipped(node)) return l.finish(node, x, "skipped");
  const Shape shape = l.shape(node.inputs[0]);
  const auto rank = static_cast<std::int64_t>(shape.size());
  const std::int64_t said = get_int(node.attributes, "axis", -1);
  const std::int64_t axis = said < 0 ? said + rank : said;
  if (axis < 0 || axis >= rank) return l.ctx.fail(Kind::ShapeMismatch, node.origin, "the axis is not in the shape");
  // The axis last, the others as rows; [rows, n] in between.
  std::vector<std::int64_t> order;
  for (std::int64_t d = 0; d < rank; ++d)
    if (d != axis) order.push_back(d);
  order.push_back(axis);
  const bool moved = axis != rank - 1;
  const std::int64_t n = shape[static_cast<std::size_t>(axis)];
  const int frac = l.frac_bits(x.value);
  exact::ValueId rows = x.value;
  if (moved) {
    WEFT_TRY(rows, l.add(node, "_last", exact::Permute{rows, order}, frac));
  }
  const Shape permuted = l.value(rows).shape;
  WEFT_TRY(rows, l.add(node, "_logits", exact::Reshape{rows}, frac, Shape{element_count(shape) / n, n}));

  const std::string implementation = l.types.implementation(node);
  const bool stable = implementation == "stable";
  WEFT_TRY(const Tables t, tables_of(l, node, x.type, n, stable));
  exact::ValueId y = rows;
  if (implementation == "argmax") {
    WEFT_TRY(y, one_hot(l, node, rows));
  } else if (implementation == "legacy") {
    WEFT_TRY(y, legacy(l, node, rows, t.result));
  } else if (stable) {
    WEFT_TRY(const auto most, l.add(node, "_max", exact::Reduce{exact::Reduce::Kind::Max, rows}, frac));
    WEFT_TRY(auto distance, l.sum(node, "_distance", most, rows, true));
    WEFT_TRY(distance, l.cast(node, "_norm", distance, t.norm));
    WEFT_TRY(const auto e, exponentials(l, node, distance, t.norm, t, true));
    WEFT_TRY(y, normalized(l, node, e, t));
  } else {
    WEFT_TRY(const auto e, exponentials(l, node, rows, x.type, t, false));
    WEFT_TRY(y, normalized(l, node, e, t));
  }
  const int y_frac = l.frac_bits(y);
  WEFT_TRY(y, l.add(node, "_shaped", exact::Reshape{y}, y_frac, permuted));
  if (moved) {
    std::vector<std::int64_t> back(order.size());
    for (std::size_t d = 0; d < order.size(); ++d)
      back[static_cast<std::size_t>(order[d])] = static_cast<std::int64_t>(d);
    WEFT_TRY(y, l.add(node, "_back", exact::Permute{y, back}, y_frac));
  }
  return l.finish(node, y, t.result,
                  fmt::format("softmax {}, tables of {} and {}", implementation, t.exp_size, t.inverse_size));
}

}  // namespace weft::lower::hls4ml
