// SPDX-License-Identifier: Apache-2.0
/// @file
/// Exact sums and products of tensors inside of a layer, with the bound on what the source's float32 could round.
/// Operands are symbols without pending steps; their scales may differ per index of the last axis. Private to this
/// room.
#pragma once

#include "weft/layers/recipe.h"

namespace weft::layers {

/// a + b, element by element; both have the same shape. LoweringUnsupported when the scales have no common grid within
/// 62 bits.
Result<Symbol> sum(const nn::Node& node, const std::string& name, Recipe& recipe, const Symbol& a, const Symbol& b);

/// a * b, element by element; both have the same shape.
Result<Symbol> times(const nn::Node& node, const std::string& name, Recipe& recipe, const Symbol& a, const Symbol& b);

/// 1 - a. LoweringUnsupported when 1 is no multiple of a's grid.
Result<Symbol> one_minus(const nn::Node& node, const std::string& name, Recipe& recipe, const Symbol& a);

/// The elements with these indices along the last axis, which is the only one.
Result<Symbol> pick(const nn::Node& node, const std::string& name, Recipe& recipe, const Symbol& a, std::int64_t from,
                    std::int64_t count);

/// Vectors joined; one scale per element where theirs differ.
Result<Symbol> joined(const nn::Node& node, const std::string& name, Recipe& recipe, const std::vector<Symbol>& parts);

/// Tensors of equal shape [...] as [parts, ...], all on one grid.
Result<Symbol> stacked(const nn::Node& node, const std::string& name, Recipe& recipe, std::vector<Symbol> parts,
                       const Shape& shape);

/// A constant tensor of codes.
Result<Symbol> constant(const nn::Node& node, const std::string& name, Recipe& recipe, std::vector<Int> codes,
                        const Shape& shape, const Scale& scale);

/// Columns [from, from + count) of a parameter [..., columns].
IntegerParameter columns(const IntegerParameter& parameter, std::int64_t from, std::int64_t count);

/// Rows of `a` [n, columns] above those of `b` [m, columns], on a common grid per column.
Result<IntegerParameter> rows_joined(const nn::Node& node, const IntegerParameter& a, const IntegerParameter& b,
                                     Context& ctx);

}  // namespace weft::layers
