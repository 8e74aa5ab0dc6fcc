// SPDX-License-Identifier: Apache-2.0
#include "weft/layers/rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <numeric>

namespace weft::layers {

bool RowMap::is_identity() const {
  for (std::size_t i = 0; i < to_rows.size(); ++i)
    if (to_rows[i] != static_cast<std::int64_t>(i)) return false;
  return true;
}

std::vector<std::int64_t> RowMap::back() const {
  std::vector<std::int64_t> out(to_rows.size());
  for (std::size_t i = 0; i < to_rows.size(); ++i)
    out[static_cast<std::size_t>(to_rows[i])] = static_cast<std::int64_t>(i);
  return out;
}

Result<RowMap> row_map(const nn::Node& node, const Shape& shape, const std::vector<std::int64_t>& axes,
                       std::int64_t groups, Context& ctx) {
  Shape split = shape;
  if (groups != 1) {
    if (shape.empty() || groups < 1 || shape.back() % groups != 0)
      return ctx.fail(Kind::ShapeMismatch, node.origin,
                      fmt::format("{} groups do not divide the last axis of {}", groups, weft::to_string(shape)));
    split.back() = groups;
    split.push_back(shape.back() / groups);
  }
  std::vector<bool> inner(split.size(), axes.empty());
  for (const auto axis : axes) {
    if (axis < 0 || axis >= static_cast<std::int64_t>(shape.size()))
      return ctx.fail(Kind::ShapeMismatch, node.origin,
                      fmt::format("axis {} does not exist in {}", axis, weft::to_string(shape)));
    const bool last = groups != 1 && axis + 1 == static_cast<std::int64_t>(shape.size());
    inner[static_cast<std::size_t>(axis) + (last ? 1 : 0)] = true;
  }
  if (groups != 1) inner[shape.size() - 1] = false;
  RowMap map;
  std::vector<std::int64_t> order;
  for (const bool side : {false, true}) {
    for (std::size_t d = 0; d < split.size(); ++d) {
      if (inner[d] != side) continue;
      order.push_back(static_cast<std::int64_t>(d));
      (side ? map.n : map.rows) *= split[d];
    }
  }
  IntTensor index(split);
  std::iota(index.data.begin(), index.data.end(), std::int64_t{0});
  map.to_rows = tensor::permute(index, order).data;
  return map;
}

Result<exact::ValueId> add_rows(Recipe& recipe, const nn::Node& node, exact::ValueId x, const RowMap& map) {
  const Scale scale = recipe.value(x).scale;
  const Shape shape{map.rows, map.n};
  if (map.is_identity()) return recipe.add(node.name + "_rows", exact::Reshape{x}, scale, node.origin, shape);
  return recipe.add(node.name + "_rows", exact::Gather{x, map.to_rows, 0}, scale, node.origin, shape);
}

Result<exact::ValueId> add_unrowed(Recipe& recipe, const nn::Node& node, const std::string& name, exact::ValueId rows,
                                   const RowMap& map, const Shape& shape) {
  const Scale scale = recipe.value(rows).scale;
  if (map.is_identity()) return recipe.add(name, exact::Reshape{rows}, scale, node.origin, shape);
  return recipe.add(name, exact::Gather{rows, map.back(), 0}, scale, node.origin, shape);
}

Result<std::vector<std::int64_t>> axes_of(const nn::Node& node, const Shape& shape, Context& ctx) {
  auto axes = get_ints(node.attributes, "axes");
  if (axes.empty()) axes = {get_int(node.attributes, "axis", -1)};
  const auto rank = static_cast<std::int64_t>(shape.size());
  for (auto& axis : axes) {
    if (axis < -rank || axis >= rank)
      return ctx.fail(Kind::ShapeMismatch, node.origin,
                      fmt::format("axis {} does not exist in {}", axis, weft::to_string(shape)));
    if (axis < 0) axis += rank;
  }
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end())
    return ctx.fail(Kind::ShapeMismatch, node.origin, "an axis is given twice");
  return axes;
}

Result<exact::ValueId> add_cast(Recipe& recipe, const nn::Node& node, const std::string& name, exact::ValueId x,
                                const fixed::FixedType& type, bool count_saturation) {
  const auto log2 = fixed::log2_exact(recipe.value(x).scale.at(0));
  WEFT_CHECK(log2.has_value() && recipe.value(x).scale.per_tensor(), "a cast from a scale that is no power of two");
  const fixed::ShiftRound f{-*log2 - type.frac_bits(), type.rounding,   fixed::Overflow::Sat, fixed::min_code(type),
                            fixed::max_code(type),     type.width_bits, type.is_signed,       0};
  const fixed::Range range = channel_range(recipe.value(x), 0, 1);
  return recipe.add(name, exact::Requant{x, {fixed::restrict(f, range)}, count_saturation},
                    Scale(fixed::pow2(-type.frac_bits())), node.origin);
}

Result<exact::ValueId> add_clip(Recipe& recipe, const nn::Node& node, const std::string& name, exact::ValueId x, Int lo,
                                Int hi) {
  const fixed::Range range = channel_range(recipe.value(x), 0, 1);
  if (range.lo >= lo && range.hi <= hi) return x;
  lo = std::max(lo, std::min(range.lo, hi));
  hi = std::min(hi, std::max(range.hi, lo));
  const fixed::ShiftRound f{0, fixed::Rounding::Trn, fixed::Overflow::Sat, lo, hi, 0, true, 0};
  const Scale scale = recipe.value(x).scale;
  return recipe.add(name, exact::Requant{x, {f}, false}, scale, node.origin);
}

}  // namespace weft::layers
