// SPDX-License-Identifier: Apache-2.0
/// @file
/// The axes of an Einsum of one or two operands. Private to this room.
#pragma once

#include <string>
#include <vector>

#include "weft/nn/graph.h"

namespace weft::layers {

/// The labels of an equation with the extents that both operands give them. Extents of one stretch.
struct EinsumPlan {
  std::vector<std::string> operands;  ///< labels of every operand
  std::string result;
  std::string summed;  ///< labels that the result lacks, in order of appearance
  std::vector<Shape> shapes;

  [[nodiscard]] std::int64_t extent(char label) const;
  /// Extents of these labels in the result.
  [[nodiscard]] Shape extents(const std::string& labels) const;
  /// Whether operand k varies along the label.
  [[nodiscard]] bool varies(std::size_t k, char label) const;
  /// What one step along the label moves in operand k's elements.
  [[nodiscard]] std::int64_t stride(std::size_t k, char label) const;
  /// Element of operand k for every index of `labels`, in row-major order.
  [[nodiscard]] std::vector<std::int64_t> elements(std::size_t k, const std::string& labels) const;
};

/// Reads "ab,bc->ac" for operands of these shapes. AttributeUnsupported for what is no such equation, ShapeMismatch
/// where extents do not agree, LimitExceeded for products beyond memory.
Result<EinsumPlan> einsum_plan(const nn::Node& node, std::vector<Shape> shapes, Context& ctx);

/// The shapes of the operands of an Einsum node in the equation's order.
std::vector<Shape> einsum_shapes(const nn::Graph& graph, const nn::Node& node);

}  // namespace weft::layers
