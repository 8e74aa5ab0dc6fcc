// SPDX-License-Identifier: Apache-2.0
/// @file
/// Constant tensors of a model while it is read: numbers, element type, and integer codes where the file gives them.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "weft/nn/graph.h"
#include "weft/tensor/tensor.h"

namespace weft::formats::onnx {

/// Element types by their ONNX numbers; only those that Weft reads.
enum class Element : std::int32_t {
  Float32 = 1,
  Uint8 = 2,
  Int8 = 3,
  Uint16 = 4,
  Int16 = 5,
  Int32 = 6,
  Int64 = 7,
  Bool = 9,
  Float16 = 10,
  Float64 = 11,
  Uint32 = 12,
  Uint64 = 13,
  Bfloat16 = 16,
  Uint4 = 21,
  Int4 = 22,
};

/// nullopt for element types that are not read.
std::optional<Element> element_from_number(std::int32_t number);
/// "float32", "int64" ...; "element type 8" for what is not read.
std::string element_name(std::int32_t number);
bool is_floating(Element element);
/// Smallest and largest number of an integer element type (uint64: of the part that fits int64).
struct IntegerLimits {
  std::int64_t lo;
  std::int64_t hi;
};
IntegerLimits integer_limits(Element element);

/// A tensor known when the file is read. Floating types are held as float32, integers and bools as int64.
struct Constant {
  Shape shape;
  Element element = Element::Float32;
  std::vector<float> floats;
  std::vector<std::int64_t> ints;
  /// Where a quantizer of the file made the values: floats[i] = float32(scales[i] * codes[i]). Empty or full size.
  /// Kept by every operator that only moves elements.
  std::vector<std::int64_t> codes;
  std::vector<float> scales;

  [[nodiscard]] bool floating() const { return is_floating(element); }
  [[nodiscard]] std::size_t size() const { return floating() ? floats.size() : ints.size(); }
  [[nodiscard]] bool quantized() const { return !codes.empty(); }
};
using ConstantPtr = std::shared_ptr<const Constant>;

/// Number of elements; nullopt when an extent is negative or the product of those above zero is above `limit`, so that
/// products of some of the extents are safe too.
std::optional<std::int64_t> checked_count(const Shape& shape, std::uint64_t limit);

/// The elements at `indices` in this order, under a new shape; codes and scales move with them.
Constant pick(const Constant& in, Shape shape, const std::vector<std::size_t>& indices);
/// The same elements under another shape of equal size.
Constant with_shape(const Constant& in, Shape shape);
/// For every element of `to`, the element of a tensor of shape `from` that broadcasting puts there.
std::vector<std::size_t> broadcast_indices(const Shape& from, const Shape& to);
/// Stretched to `shape` by the rules of broadcasting, which must allow it.
Constant broadcast_to(const Constant& in, const Shape& shape);
Constant transpose(const Constant& in, const std::vector<std::int64_t>& permutation);
/// float16 and bfloat16, which are read as the float32 numbers that they are.
bool is_half(Element element);
/// float32 values; integers are rounded to float32.
std::vector<float> as_floats(const Constant& in);
/// All elements are equal (bit for bit in float32); false for empty tensors.
bool is_uniform(const Constant& in);

/// A layer's parameter: float32 values, and codes with their scale when they are per tensor or per index of the last
/// axis.
nn::Parameter to_parameter(const Constant& in);

}  // namespace weft::formats::onnx
