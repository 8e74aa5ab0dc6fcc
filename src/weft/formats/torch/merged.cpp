// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/torch/merged.h"

#include <algorithm>

#include "weft/formats/torch/aten.h"

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

Result<std::optional<Values>> join_batches(AtenCall& call, std::optional<Merge>& merge) {
  if (call.target() != "aten.cat.default") return std::optional<Values>();
  WEFT_TRY(Values parts, call.tensors("tensors"));
  WEFT_TRY(const std::int64_t given, call.integer("dim", 0));
  if (parts.size() < 2 || !parts.front().dynamic) return std::optional<Values>();
  const Dynamic first = *parts.front().dynamic;
  const bool alike = std::all_of(parts.begin(), parts.end(), [&](const Value& v) {
    return v.dynamic && !v.dynamic->pending && v.dynamic->batch_axis == first.batch_axis &&
           v.dynamic->shape == first.shape;
  });
  if (!alike) return std::optional<Values>();
  WEFT_TRY(const std::int64_t axis, call.axis(given, rank_of(parts.front())));
  if (axis != first.batch_axis) return std::optional<Values>();
  for (auto& part : parts) {
    WEFT_TRY(part, call.one("Unsqueeze", {part, int_constant({axis})}, {}, false));
  }
  merge = Merge{axis, 2};
  WEFT_TRY(Values out, call.onnx("Concat", parts, {{"axis", axis}}));
  return std::optional(std::move(out));
}

}  // namespace weft::formats::torch
