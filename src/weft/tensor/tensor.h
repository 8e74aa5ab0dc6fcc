// SPDX-License-Identifier: Apache-2.0
/// @file
/// Dense row-major arrays and shapes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "weft/diag/diag.h"

namespace weft {

/// Extents without the batch from `nn` on; an empty shape is a scalar.
using Shape = std::vector<std::int64_t>;

/// Product of the extents (1 for a scalar).
std::int64_t element_count(const Shape& shape);
/// "[2, 3]".
std::string to_string(const Shape& shape);
/// Row-major strides in elements.
std::vector<std::int64_t> strides_of(const Shape& shape);

namespace tensor {

/// Row-major values with their shape; data.size() == element_count(shape).
template <class T>
struct Tensor {
  Shape shape;
  std::vector<T> data;

  Tensor() = default;
  Tensor(Shape s, std::vector<T> d) : shape(std::move(s)), data(std::move(d)) {
    WEFT_CHECK(static_cast<std::int64_t>(data.size()) == element_count(shape), "tensor data does not fit its shape");
  }
  explicit Tensor(Shape s) : shape(std::move(s)), data(static_cast<std::size_t>(element_count(shape))) {}
  [[nodiscard]] std::int64_t size() const { return static_cast<std::int64_t>(data.size()); }
  [[nodiscard]] std::int64_t rank() const { return static_cast<std::int64_t>(shape.size()); }
  bool operator==(const Tensor&) const = default;
};

/// numpy broadcasting of two shapes; empty optional-like failure is expressed by `ok`.
struct BroadcastShape {
  bool ok = false;
  Shape shape;
};
BroadcastShape broadcast(const Shape& a, const Shape& b);

/// Index into a tensor of shape `from` for element `index` of the broadcast shape `to`.
std::size_t broadcast_index(const Shape& from, const Shape& to, std::size_t index);

/// Transposed copy: out.shape[i] = in.shape[permutation[i]].
template <class T>
Tensor<T> permute(const Tensor<T>& in, const std::vector<std::int64_t>& permutation) {
  Shape out_shape;
  for (auto p : permutation) out_shape.push_back(in.shape.at(static_cast<std::size_t>(p)));
  Tensor<T> out(out_shape);
  const auto in_strides = strides_of(in.shape);
  const auto out_strides = strides_of(out_shape);
  for (std::size_t i = 0; i < out.data.size(); ++i) {
    std::size_t rest = i;
    std::size_t source = 0;
    for (std::size_t d = 0; d < out_shape.size(); ++d) {
      const auto stride = static_cast<std::size_t>(out_strides[d]);
      source += (rest / stride) * static_cast<std::size_t>(in_strides[static_cast<std::size_t>(permutation[d])]);
      rest %= stride;
    }
    out.data[i] = in.data[source];
  }
  return out;
}

}  // namespace tensor

using FloatTensor = tensor::Tensor<float>;
using IntTensor = tensor::Tensor<std::int64_t>;

}  // namespace weft
