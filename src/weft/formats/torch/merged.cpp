// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/torch/merged.h"

namespace weft::formats::torch {

Shape joined_shape(const Shape& held, const Merge& merge) {
  Shape out;
  for (std::int64_t d = 0; d < static_cast<std::int64_t>(held.size()); ++d) {
    const auto extent = held[static_cast<std::size_t>(d)];
    if (d > merge.axis && d < merge.axis + merge.count)
      out.back() *= extent;
    else
      out.push_back(extent);
  }
  return out;
}

std::optional<Held> hold(const onnx::Dynamic& x, const Shape& target) {
  const std::int64_t batch = x.shape[static_cast<std::size_t>(x.batch_axis)];
  const std::int64_t before = element_count(Shape(x.shape.begin(), x.shape.begin() + x.batch_axis));
  if (before == 0 || batch == 0) return std::nullopt;
  std::int64_t product = 1;  // of the axes in front of d
  for (std::size_t d = 0; d < target.size(); ++d) {
    const std::int64_t extent = target[d];
    if (extent <= 0) return std::nullopt;
    const std::int64_t reach = product * extent;
    // The batch lies in this axis: before = product * front, extent = front * batch * rest. With a batch of one, an
    // axis that ends where the batch does has it too, unless the next axis is the batch by itself.
    const bool next_is_batch = d + 1 < target.size() && reach == before && target[d + 1] == batch;
    if (reach >= before * batch && before % product == 0 && !next_is_batch) {
      const std::int64_t front = before / product;
      if (extent % (front * batch) != 0) return std::nullopt;
      const std::int64_t rest = extent / (front * batch);
      Held out;
      out.shape.assign(target.begin(), target.begin() + static_cast<std::ptrdiff_t>(d));
      out.merge.axis = static_cast<std::int64_t>(d);
      if (front != 1) {
        out.shape.push_back(front);
        ++out.merge.count;
      }
      out.shape.push_back(batch);
      if (rest != 1) {
        out.shape.push_back(rest);
        ++out.merge.count;
      }
      out.shape.insert(out.shape.end(), target.begin() + static_cast<std::ptrdiff_t>(d) + 1, target.end());
      return out;
    }
    if (reach > before) return std::nullopt;
    product = reach;
  }
  return std::nullopt;
}

HeldPermutation hold_permutation(const std::vector<std::int64_t>& permutation, const Merge& merge) {
  HeldPermutation out;
  out.merge.count = merge.count;
  for (const auto axis : permutation) {
    if (axis == merge.axis) out.merge.axis = static_cast<std::int64_t>(out.permutation.size());
    const std::int64_t begin = axis > merge.axis ? axis + merge.count - 1 : axis;
    const std::int64_t count = axis == merge.axis ? merge.count : 1;
    for (std::int64_t i = 0; i < count; ++i) out.permutation.push_back(begin + i);
  }
  return out;
}

}  // namespace weft::formats::torch
