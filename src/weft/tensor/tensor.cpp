// SPDX-License-Identifier: Apache-2.0
#include "weft/tensor/tensor.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

namespace weft {

std::int64_t element_count(const Shape& shape) {
  std::int64_t n = 1;
  for (auto d : shape) n *= d;
  return n;
}

std::string to_string(const Shape& shape) { return fmt::format("[{}]", fmt::join(shape, ", ")); }

std::vector<std::int64_t> strides_of(const Shape& shape) {
  std::vector<std::int64_t> strides(shape.size(), 1);
  for (std::size_t i = shape.size(); i-- > 1;) strides[i - 1] = strides[i] * shape[i];
  return strides;
}

namespace tensor {

BroadcastShape broadcast(const Shape& a, const Shape& b) {
  BroadcastShape out;
  out.shape.resize(std::max(a.size(), b.size()));
  for (std::size_t i = 0; i < out.shape.size(); ++i) {
    const std::int64_t da = i < a.size() ? a[a.size() - 1 - i] : 1;
    const std::int64_t db = i < b.size() ? b[b.size() - 1 - i] : 1;
    if (da != db && da != 1 && db != 1) return {};
    out.shape[out.shape.size() - 1 - i] = da == 1 ? db : da;
  }
  out.ok = true;
  return out;
}

std::size_t broadcast_index(const Shape& from, const Shape& to, std::size_t index) {
  const auto to_strides = strides_of(to);
  const auto from_strides = strides_of(from);
  const std::size_t lead = to.size() - from.size();
  std::size_t out = 0;
  for (std::size_t d = 0; d < to.size(); ++d) {
    const auto stride = static_cast<std::size_t>(to_strides[d]);
    const std::size_t at = index / stride;
    index %= stride;
    if (d >= lead && from[d - lead] != 1) out += at * static_cast<std::size_t>(from_strides[d - lead]);
  }
  return out;
}

}  // namespace tensor
}  // namespace weft
