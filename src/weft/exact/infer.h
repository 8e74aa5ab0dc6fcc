// SPDX-License-Identifier: Apache-2.0
/// @file
/// Shape rules of the primitives as text or shape, for the inference and the verifier.
#pragma once

#include <string>

#include "weft/exact/graph.h"

namespace weft::exact {

/// A shape, or what is wrong.
struct ShapeOrError {
  Shape shape;
  std::string error;  ///< empty when the shape holds
};

/// Shape of the result of `value.primitive`, with every parameter size checked against the operands. Operands must
/// exist and have sound shapes.
ShapeOrError shape_rule(const Graph& graph, const Value& value);

/// Whether every extent is at least 1 and the count of elements fits comfortably.
bool is_sound(const Shape& shape);

/// Number of weights and tree nodes that infer_ranges visits for `value`, saturated; bounds its time.
std::uint64_t inference_work(const Graph& graph, const Value& value);

}  // namespace weft::exact
