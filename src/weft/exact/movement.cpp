// SPDX-License-Identifier: Apache-2.0
// Data movement as lists of elements: one meaning for every executor and emitter.
#include <numeric>

#include "weft/exact/graph.h"

namespace weft::exact {

std::vector<std::int64_t> window_indices(const Window& p, const Shape& x, const Shape& y) {
  const std::size_t axes = p.kernel.size();
  const std::int64_t channels = x.back();
  const std::int64_t per_group = channels / p.groups;
  const auto strides = strides_of(x);
  std::int64_t taps = 1;
  for (const auto k : p.kernel) taps *= k;
  std::vector<std::int64_t> out;
  out.reserve(static_cast<std::size_t>(element_count(y)));
  const std::int64_t positions = element_count(y) / y.back();
  std::vector<std::int64_t> at(axes, 0);  // output position
  std::vector<std::int64_t> start(static_cast<std::size_t>(taps));
  for (std::int64_t n = 0; n < positions; ++n) {
    // First element of every tap, or -1 outside.
    for (std::int64_t tap = 0; tap < taps; ++tap) {
      std::int64_t rest = tap;
      std::int64_t element = 0;
      bool inside = true;
      for (std::size_t d = axes; d-- > 0;) {
        const std::int64_t i = at[d] * p.stride[d] - p.before[d] + rest % p.kernel[d] * p.dilation[d];
        rest /= p.kernel[d];
        inside = inside && i >= 0 && i < x[d];
        element += i * strides[d];
      }
      start[static_cast<std::size_t>(tap)] = inside ? element : -1;
    }
    for (std::int64_t group = 0; group < p.groups; ++group)
      for (const std::int64_t first : start)
        for (std::int64_t c = 0; c < per_group; ++c) out.push_back(first < 0 ? -1 : first + group * per_group + c);
    for (std::size_t d = axes; d-- > 0;) {
      if (++at[d] < y[d]) break;
      at[d] = 0;
    }
  }
  return out;
}

std::optional<Movement> movement(const Graph& graph, const Value& value) {
  if (const auto* p = std::get_if<Gather>(&value.primitive)) return Movement{p->x, p->indices, p->pad};
  if (const auto* p = std::get_if<Window>(&value.primitive))
    return Movement{p->x, window_indices(*p, graph.at(p->x).shape, value.shape), p->pad};
  const auto* permute = std::get_if<Permute>(&value.primitive);
  const auto* reshape = std::get_if<Reshape>(&value.primitive);
  if (permute == nullptr && reshape == nullptr) return std::nullopt;
  const ValueId x = permute != nullptr ? permute->x : reshape->x;
  IntTensor index(graph.at(x).shape);
  std::iota(index.data.begin(), index.data.end(), std::int64_t{0});
  if (permute != nullptr) index = tensor::permute(index, permute->permutation);
  return Movement{x, std::move(index.data), 0};
}

}  // namespace weft::exact
