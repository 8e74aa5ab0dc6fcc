// SPDX-License-Identifier: Apache-2.0
/// @file
/// A tensor as rows of the elements that a softmax or a normalization treats together. Private to this room.
#pragma once

#include <vector>

#include "weft/layers/recipe.h"

namespace weft::layers {

/// Which element stands where. Elements of a row lie in row-major order of the tensor.
struct RowMap {
  std::int64_t rows = 1;
  std::int64_t n = 1;                 ///< elements of a row
  std::vector<std::int64_t> to_rows;  ///< element at [row * n + position]
  [[nodiscard]] bool is_identity() const;
  /// Position in the rows of every element.
  [[nodiscard]] std::vector<std::int64_t> back() const;
};

/// Rows along `axes` (not negative, none: all); the last axis counts as `groups` blocks, each with rows of its own.
/// ShapeMismatch when they do not fit.
Result<RowMap> row_map(const nn::Node& node, const Shape& shape, const std::vector<std::int64_t>& axes,
                       std::int64_t groups, Context& ctx);

/// [rows, n]; the scale must be per tensor.
Result<exact::ValueId> add_rows(Recipe& recipe, const nn::Node& node, exact::ValueId x, const RowMap& map);
/// The tensor again, shaped `shape`.
Result<exact::ValueId> add_unrowed(Recipe& recipe, const nn::Node& node, const std::string& name, exact::ValueId rows,
                                   const RowMap& map, const Shape& shape);

/// Axes of a node: "axes", else "axis" (default -1), counted from the front. Fails when one does not exist.
Result<std::vector<std::int64_t>> axes_of(const nn::Node& node, const Shape& shape, Context& ctx);

/// Rounded and clipped to a type, from a scale that is a power of two.
Result<exact::ValueId> add_cast(Recipe& recipe, const nn::Node& node, const std::string& name, exact::ValueId x,
                                const fixed::FixedType& type, bool count_saturation = false);
/// Clipped to [lo, hi], which the reachable codes do not leave though their known range does.
Result<exact::ValueId> add_clip(Recipe& recipe, const nn::Node& node, const std::string& name, exact::ValueId x, Int lo,
                                Int hi);

}  // namespace weft::layers
