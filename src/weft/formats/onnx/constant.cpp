// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/onnx/constant.h"

#include <fmt/format.h>

#include <bit>
#include <limits>

#include "weft/fixed/rational.h"

namespace weft::formats::onnx {

namespace {

template <class T>
std::vector<T> pick_from(const std::vector<T>& in, const std::vector<std::size_t>& indices) {
  std::vector<T> out;
  if (in.empty()) return out;
  out.reserve(indices.size());
  for (const auto i : indices) out.push_back(in[i]);
  return out;
}

/// The scale of a quantized tensor: one factor, or one per index of the last axis; nullopt when it varies otherwise.
std::optional<std::vector<float>> factors_of(const Constant& in) {
  bool uniform = true;
  for (const float s : in.scales) uniform = uniform && s == in.scales.front();
  if (uniform) return std::vector<float>{in.scales.front()};
  if (in.shape.empty()) return std::nullopt;
  const auto columns = static_cast<std::size_t>(in.shape.back());
  for (std::size_t i = columns; i < in.scales.size(); ++i) {
    if (in.scales[i] != in.scales[i % columns]) return std::nullopt;
  }
  return std::vector<float>(in.scales.begin(), in.scales.begin() + static_cast<std::ptrdiff_t>(columns));
}

}  // namespace

std::optional<Element> element_from_number(std::int32_t number) {
  switch (number) {
    case 1:
    case 2:
    case 3:
    case 4:
    case 5:
    case 6:
    case 7:
    case 9:
    case 10:
    case 11:
    case 12:
    case 13:
    case 16:
    case 21:
    case 22:
      return static_cast<Element>(number);
    default:
      return std::nullopt;
  }
}

std::string element_name(std::int32_t number) {
  switch (number) {
    case 0:
      return "undefined";
    case 1:
      return "float32";
    case 2:
      return "uint8";
    case 3:
      return "int8";
    case 4:
      return "uint16";
    case 5:
      return "int16";
    case 6:
      return "int32";
    case 7:
      return "int64";
    case 8:
      return "string";
    case 9:
      return "bool";
    case 10:
      return "float16";
    case 11:
      return "float64";
    case 12:
      return "uint32";
    case 13:
      return "uint64";
    case 14:
      return "complex64";
    case 15:
      return "complex128";
    case 16:
      return "bfloat16";
    case 21:
      return "uint4";
    case 22:
      return "int4";
    default:
      return fmt::format("element type {}", number);
  }
}

bool is_half(Element element) { return element == Element::Float16 || element == Element::Bfloat16; }

bool is_floating(Element element) {
  return element == Element::Float32 || element == Element::Float16 || element == Element::Float64 ||
         element == Element::Bfloat16;
}

IntegerLimits integer_limits(Element element) {
  switch (element) {
    case Element::Bool:
      return {0, 1};
    case Element::Uint4:
      return {0, 15};
    case Element::Int4:
      return {-8, 7};
    case Element::Uint8:
      return {0, 255};
    case Element::Int8:
      return {-128, 127};
    case Element::Uint16:
      return {0, 65535};
    case Element::Int16:
      return {-32768, 32767};
    case Element::Uint32:
      return {0, std::numeric_limits<std::uint32_t>::max()};
    case Element::Int32:
      return {std::numeric_limits<std::int32_t>::min(), std::numeric_limits<std::int32_t>::max()};
    case Element::Uint64:
      return {0, std::numeric_limits<std::int64_t>::max()};
    default:
      return {std::numeric_limits<std::int64_t>::min(), std::numeric_limits<std::int64_t>::max()};
  }
}

std::optional<std::int64_t> checked_count(const Shape& shape, std::uint64_t limit) {
  bool empty = false;
  for (const auto extent : shape) {
    if (extent < 0) return std::nullopt;
    empty = empty || extent == 0;
  }
  std::uint64_t count = 1;
  for (const auto extent : shape) {
    if (extent == 0) continue;
    if (static_cast<std::uint64_t>(extent) > limit / count) return std::nullopt;
    count *= static_cast<std::uint64_t>(extent);
  }
  return empty ? 0 : static_cast<std::int64_t>(count);
}

Constant pick(const Constant& in, Shape shape, const std::vector<std::size_t>& indices) {
  Constant out;
  out.shape = std::move(shape);
  out.element = in.element;
  out.floats = pick_from(in.floats, indices);
  out.ints = pick_from(in.ints, indices);
  out.codes = pick_from(in.codes, indices);
  out.scales = pick_from(in.scales, indices);
  return out;
}

Constant with_shape(const Constant& in, Shape shape) {
  Constant out = in;
  out.shape = std::move(shape);
  return out;
}

std::vector<std::size_t> broadcast_indices(const Shape& from, const Shape& to) {
  const auto from_strides = strides_of(from);
  const std::size_t lead = to.size() - from.size();
  std::vector<std::size_t> step(to.size(), 0);  // elements of `from` per step along each axis of `to`
  for (std::size_t d = lead; d < to.size(); ++d) {
    if (from[d - lead] != 1) step[d] = static_cast<std::size_t>(from_strides[d - lead]);
  }
  std::vector<std::size_t> out(static_cast<std::size_t>(element_count(to)));
  std::vector<std::int64_t> at(to.size(), 0);
  std::size_t source = 0;
  for (auto& index : out) {
    index = source;
    for (std::size_t d = to.size(); d-- > 0;) {
      source += step[d];
      if (++at[d] < to[d]) break;
      source -= step[d] * static_cast<std::size_t>(to[d]);
      at[d] = 0;
    }
  }
  return out;
}

Constant broadcast_to(const Constant& in, const Shape& shape) {
  return in.shape == shape ? in : pick(in, shape, broadcast_indices(in.shape, shape));
}

Constant transpose(const Constant& in, const std::vector<std::int64_t>& permutation) {
  tensor::Tensor<std::size_t> order(in.shape);
  for (std::size_t i = 0; i < order.data.size(); ++i) order.data[i] = i;
  const auto moved = tensor::permute(order, permutation);
  return pick(in, moved.shape, moved.data);
}

std::vector<float> as_floats(const Constant& in) {
  if (in.floating()) return in.floats;
  std::vector<float> out;
  out.reserve(in.ints.size());
  for (const auto value : in.ints) out.push_back(static_cast<float>(value));
  return out;
}

bool is_uniform(const Constant& in) {
  if (in.size() == 0) return false;
  for (const float value : in.floats) {
    if (std::bit_cast<std::uint32_t>(value) != std::bit_cast<std::uint32_t>(in.floats.front())) return false;
  }
  for (const auto value : in.ints) {
    if (value != in.ints.front()) return false;
  }
  return true;
}

nn::Parameter to_parameter(const Constant& in) {
  nn::Parameter parameter;
  parameter.values = FloatTensor(in.shape, as_floats(in));
  if (!in.quantized()) return parameter;
  const auto factors = factors_of(in);
  if (!factors) return parameter;
  std::vector<Rational> exact;
  exact.reserve(factors->size());
  for (const float factor : *factors) exact.push_back(fixed::rational_from_double(factor));
  parameter.quantized = quantizers::Quantized{
      .values = parameter.values, .codes = IntTensor(in.shape, in.codes), .scale = Scale(std::move(exact))};
  return parameter;
}

}  // namespace weft::formats::onnx
