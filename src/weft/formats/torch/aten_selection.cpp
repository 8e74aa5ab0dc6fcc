// SPDX-License-Identifier: Apache-2.0
// Parts of tensors: joined, cut out, picked.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "weft/formats/torch/aten.h"
#include "weft/tensor/tensor.h"

namespace weft::formats::torch {
namespace {

constexpr std::int64_t kEnd = std::numeric_limits<std::int64_t>::max();
constexpr std::int64_t kMaxParts = 4096;

struct Along {
  Value x;
  std::int64_t axis = 0;
  std::int64_t extent = 0;
};

Result<Along> along(AtenCall& call, const char* name = "dim", std::int64_t fallback = 0) {
  Along out;
  WEFT_TRY(out.x, call.tensor("self"));
  WEFT_TRY(const std::int64_t given, call.integer(name, fallback));
  WEFT_TRY(out.axis, call.axis(given, rank_of(out.x)));
  out.extent = shape_of(out.x)[static_cast<std::size_t>(out.axis)];
  return out;
}

Result<Values> cat(AtenCall& call) {
  WEFT_TRY(Values parts, call.tensors("tensors"));
  WEFT_TRY(const std::int64_t axis, call.integer("dim", 0));
  // PyTorch skips empty vectors of old.
  std::erase_if(parts, [](const Value& v) { return v.constant && v.constant->shape == Shape{0}; });
  if (parts.empty()) return call.fail(Kind::ModelMalformed, "nothing to join");
  const bool mixed =
      std::any_of(parts.begin(), parts.end(), [](const Value& v) { return onnx::is_floating(element_of(v)); });
  if (mixed) {
    for (auto& part : parts) {
      WEFT_TRY(part, call.as_float(part));
    }
  }
  if (parts.size() == 1) return parts;
  return call.onnx("Concat", parts, {{"axis", axis}});
}

/// Along axis 1, or the only one.
Result<Values> hstack(AtenCall& call) {
  WEFT_TRY(const Values parts, call.tensors("tensors"));
  if (parts.empty()) return call.fail(Kind::ModelMalformed, "nothing to join");
  return call.onnx("Concat", parts, {{"axis", rank_of(parts.front()) < 2 ? 0 : 1}});
}

Result<Values> stack(AtenCall& call) {
  WEFT_TRY(Values parts, call.tensors("tensors"));
  WEFT_TRY(const std::int64_t given, call.integer("dim", 0));
  if (parts.empty()) return call.fail(Kind::ModelMalformed, "nothing to join");
  WEFT_TRY(const std::int64_t axis, call.axis(given, rank_of(parts.front()) + 1));
  for (auto& part : parts) {
    WEFT_TRY(part, call.one("Unsqueeze", {part, int_constant({axis})}, {}, false));
  }
  return call.onnx("Concat", parts, {{"axis", axis}});
}

Result<Values> cut(AtenCall& call, const Along& a, const std::vector<std::int64_t>& lengths) {
  if (lengths.size() == 1 && lengths.front() == a.extent) return Values{a.x};
  return call.onnx("Split", {a.x, int_constant(lengths)}, {{"axis", a.axis}}, true, lengths.size());
}

/// Equal parts, the last one what is left.
Result<Values> cut_equally(AtenCall& call, const Along& a, std::int64_t length) {
  if (length < 1 || (a.extent + length - 1) / length > kMaxParts)
    return call.fail(Kind::ShapeMismatch, fmt::format("an axis of {} in parts of {}", a.extent, length));
  std::vector<std::int64_t> lengths;
  for (std::int64_t at = 0; at < a.extent; at += length) lengths.push_back(std::min(length, a.extent - at));
  return cut(call, a, lengths);
}

Result<Values> split(AtenCall& call) {
  WEFT_TRY(const Along a, along(call));
  WEFT_TRY(const auto sizes, call.integers(call.has("split_sizes") ? "split_sizes" : "split_size"));
  if (sizes.size() == 1 && !call.has("split_sizes")) return cut_equally(call, a, sizes.front());
  return cut(call, a, sizes);
}

Result<Values> chunk(AtenCall& call) {
  WEFT_TRY(const Along a, along(call));
  WEFT_TRY(const std::int64_t chunks, call.integer("chunks"));
  if (chunks < 1) return call.fail(Kind::ShapeMismatch, fmt::format("{} chunks", chunks));
  return cut_equally(call, a, (a.extent + chunks - 1) / chunks);
}

/// Into a number of parts, the first ones larger by one, or at positions.
Result<Values> tensor_split(AtenCall& call) {
  WEFT_TRY(const Along a, along(call));
  std::vector<std::int64_t> lengths;
  if (call.has("indices")) {
    WEFT_TRY(const auto at, call.integers("indices"));
    std::int64_t from = 0;
    for (const auto given : at) {
      const std::int64_t to = std::clamp<std::int64_t>(given < 0 ? given + a.extent : given, from, a.extent);
      lengths.push_back(to - from);
      from = to;
    }
    lengths.push_back(a.extent - from);
  } else {
    WEFT_TRY(const std::int64_t parts, call.integer("sections"));
    if (parts < 1 || parts > kMaxParts) return call.fail(Kind::ShapeMismatch, fmt::format("{} parts", parts));
    for (std::int64_t i = 0; i < parts; ++i) lengths.push_back(a.extent / parts + (i < a.extent % parts ? 1 : 0));
  }
  if (std::any_of(lengths.begin(), lengths.end(), [](auto n) { return n < 1; }))
    return call.fail(Kind::ShapeMismatch, fmt::format("empty parts of an axis of {}", a.extent));
  return cut(call, a, lengths);
}

Result<Value> picked(const AtenCall& call, const Along& a, std::int64_t index, bool main) {
  if (index < -a.extent || index >= a.extent)
    return call.fail(Kind::ShapeMismatch, fmt::format("element {} of an axis of {}", index, a.extent));
  Constant at;
  at.element = Element::Int64;
  at.ints = {index < 0 ? index + a.extent : index};
  return call.one("Gather", {a.x, std::move(at)}, {{"axis", a.axis}}, main);
}

Result<Values> unbind(AtenCall& call) {
  WEFT_TRY(const Along a, along(call));
  if (a.extent > kMaxParts) return call.fail(Kind::LimitExceeded, fmt::format("{} parts", a.extent));
  Values out;
  for (std::int64_t i = 0; i < a.extent; ++i) {
    if (!call.uses_output(static_cast<std::size_t>(i))) {
      out.emplace_back();
      continue;
    }
    WEFT_TRY(Value part, picked(call, a, i, false));
    out.push_back(std::move(part));
  }
  return out;
}

Result<Values> select(AtenCall& call) {
  WEFT_TRY(const Along a, along(call));
  WEFT_TRY(const std::int64_t index, call.integer("index"));
  if (a.x.dynamic && a.axis == a.x.dynamic->batch_axis)
    return call.fail(Kind::LayerUnsupported, "one sample is picked out of the batch");
  WEFT_TRY(Value out, picked(call, a, index, true));
  return Values{std::move(out)};
}

Result<Values> sliced(AtenCall& call, const Along& a, std::int64_t start, std::int64_t end, std::int64_t step) {
  if (step < 1) return call.fail(Kind::ShapeMismatch, fmt::format("a step of {}", step));
  // The extent of an open batch is not known.
  const bool open = a.x.dynamic && a.axis == a.x.dynamic->batch_axis && !call.builder.batch_is_fixed;
  if (open && (start != 0 || end != kEnd || step != 1))
    return call.fail(Kind::LayerUnsupported, "samples are cut out of the batch");
  if (start < 0) start = std::max<std::int64_t>(start + a.extent, 0);
  if (end < 0) end = std::max<std::int64_t>(end + a.extent, 0);
  if (start == 0 && end >= a.extent && step == 1) return Values{a.x};
  return call.onnx("Slice",
                   {a.x, int_constant({start}), int_constant({end}), int_constant({a.axis}), int_constant({step})});
}

Result<Values> slice(AtenCall& call) {
  WEFT_TRY(const Along a, along(call));
  WEFT_TRY(const std::int64_t start, call.integer("start", 0));
  WEFT_TRY(const std::int64_t end, call.integer("end", kEnd));
  WEFT_TRY(const std::int64_t step, call.integer("step", 1));
  return sliced(call, a, start, end, step);
}

Result<Values> narrow(AtenCall& call) {
  WEFT_TRY(const Along a, along(call));
  WEFT_TRY(std::int64_t start, call.integer("start"));
  WEFT_TRY(const std::int64_t length, call.integer("length"));
  if (start < 0) start += a.extent;
  if (start < 0 || length < 0 || start > a.extent || length > a.extent - start)
    return call.fail(Kind::ShapeMismatch, fmt::format("{} elements from {} of {}", length, start, a.extent));
  return sliced(call, a, start, start + length, 1);
}

Result<Values> index_select(AtenCall& call) {
  WEFT_TRY(const Along a, along(call));
  WEFT_TRY(const Value index, call.tensor("index"));
  return call.onnx("Gather", {a.x, index}, {{"axis", a.axis}});
}

/// x[:, index]: constant positions along one axis, or along several in a row, which then are one axis.
Result<Values> index(AtenCall& call) {
  WEFT_TRY(Value x, call.tensor("self"));
  WEFT_TRY(const Values indices, call.tensors("indices"));
  std::size_t first = indices.size();
  std::size_t behind = 0;
  for (std::size_t d = 0; d < indices.size(); ++d) {
    if (!indices[d].present()) continue;
    if (!indices[d].constant || indices[d].constant->element == Element::Bool)
      return call.fail(Kind::LayerUnsupported,
                       "indexing with data or with a mask; constant lists of positions are read");
    first = std::min(first, d);
    behind = d + 1;
  }
  if (behind == 0) return Values{x};
  const auto axis = static_cast<std::int64_t>(first);
  if (behind - first == 1) return call.onnx("Gather", {x, indices[first]}, {{"axis", axis}});
  Shape shape = shape_of(x);
  if (behind > shape.size()) return call.fail(Kind::ShapeMismatch, "more positions than axes");
  Shape where;
  for (std::size_t d = first; d < behind; ++d) {
    if (!indices[d].present())
      return call.fail(Kind::LayerUnsupported, "positions along axes that do not lie side by side");
    const auto to = tensor::broadcast(where, indices[d].constant->shape);
    if (!to.ok) return call.fail(Kind::ShapeMismatch, "the lists of positions do not broadcast");
    where = to.shape;
  }
  WEFT_TRY_VOID(call.layers(x).spend_elements(where));
  Constant at;
  at.element = Element::Int64;
  at.shape = where;
  at.ints.assign(static_cast<std::size_t>(element_count(where)), 0);
  std::int64_t together = 1;
  for (std::size_t d = first; d < behind; ++d) {
    const Constant one = onnx::broadcast_to(*indices[d].constant, where);
    for (std::size_t i = 0; i < at.ints.size(); ++i) {
      if (one.ints[i] < -shape[d] || one.ints[i] >= shape[d])
        return call.fail(Kind::ShapeMismatch, fmt::format("element {} of an axis of {}", one.ints[i], shape[d]));
      at.ints[i] = at.ints[i] * shape[d] + (one.ints[i] < 0 ? one.ints[i] + shape[d] : one.ints[i]);
    }
    together *= shape[d];
  }
  shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(first), shape.begin() + static_cast<std::ptrdiff_t>(behind));
  shape.insert(shape.begin() + static_cast<std::ptrdiff_t>(first), together);
  WEFT_TRY(x, call.one("Reshape", {x, int_constant(shape)}, {{"allowzero", 1}}, false));
  return call.onnx("Gather", {x, std::move(at)}, {{"axis", axis}});
}

Result<Values> embedding(AtenCall& call) {
  WEFT_TRY(const Value weight, call.tensor("weight"));
  WEFT_TRY(const Value indices, call.tensor("indices"));
  call.ignore({"padding_idx", "scale_grad_by_freq", "sparse"});
  return call.onnx("Gather", {weight, indices}, {{"axis", 0}});
}

Result<Values> flipped(AtenCall& call, std::vector<std::int64_t> axes) {
  WEFT_TRY(const Value x, call.tensor("self"));
  for (auto& axis : axes) {
    WEFT_TRY(axis, call.axis(axis, rank_of(x)));
  }
  if (axes.empty()) return Values{x};
  const auto all = [&](std::int64_t value) { return int_constant(std::vector<std::int64_t>(axes.size(), value)); };
  return call.onnx("Slice", {x, all(-1), all(-kEnd), int_constant(axes), all(-1)});
}
Result<Values> flip(AtenCall& call) {
  WEFT_TRY(auto axes, call.integers("dims"));
  return flipped(call, std::move(axes));
}
Result<Values> fliplr(AtenCall& call) { return flipped(call, {1}); }

Result<Values> roll(AtenCall& call) {
  WEFT_TRY(Value x, call.tensor("self"));
  WEFT_TRY(const auto shifts, call.integers("shifts"));
  WEFT_TRY(const auto axes, call.integers("dims"));
  if (axes.size() != shifts.size() || axes.empty())
    return call.fail(Kind::AttributeUnsupported, "rolling the flattened tensor; give `dims`");
  for (std::size_t i = 0; i < axes.size(); ++i) {
    WEFT_TRY(const std::int64_t axis, call.axis(axes[i], rank_of(x)));
    const std::int64_t extent = shape_of(x)[static_cast<std::size_t>(axis)];
    if (extent == 0) continue;
    std::vector<std::int64_t> order(static_cast<std::size_t>(extent));
    for (std::int64_t j = 0; j < extent; ++j)
      order[static_cast<std::size_t>(j)] = ((j - shifts[i] % extent) % extent + extent) % extent;
    WEFT_TRY(x, call.one("Gather", {x, int_constant(order)}, {{"axis", axis}}, i + 1 == axes.size()));
  }
  return Values{x};
}

/// Every element along an axis several times in a row.
Result<Values> repeat_interleave(AtenCall& call) {
  if (!call.has("dim")) return call.fail(Kind::LayerUnsupported, "the whole batch is flattened; give `dim`");
  WEFT_TRY(const Along a, along(call));
  WEFT_TRY(const std::int64_t repeats, call.integer("repeats"));
  call.ignore({"output_size"});
  if (repeats < 1 || repeats > kMaxParts || a.extent > kEnd / kMaxParts)
    return call.fail(Kind::ShapeMismatch, fmt::format("{} repeats", repeats));
  WEFT_TRY_VOID(call.layers(a.x).spend_elements({a.extent, repeats}));
  std::vector<std::int64_t> order;
  for (std::int64_t i = 0; i < a.extent * repeats; ++i) order.push_back(i / repeats);
  return call.onnx("Gather", {a.x, int_constant(order)}, {{"axis", a.axis}});
}

Result<Values> cumsum(AtenCall& call) {
  WEFT_TRY(const Along a, along(call));
  call.ignore({"dtype"});
  Constant axis;
  axis.element = Element::Int64;
  axis.ints = {a.axis};
  return call.onnx("CumSum", {a.x, std::move(axis)});
}

/// A triangle of the last two axes; zero elsewhere.
Result<Values> triangle(AtenCall& call, bool upper) {
  WEFT_TRY(const Value x, call.tensor("self"));
  WEFT_TRY(const std::int64_t diagonal, call.integer("diagonal", 0));
  Constant k;
  k.element = Element::Int64;
  k.ints = {diagonal};
  return call.onnx("Trilu", {x, std::move(k)}, {{"upper", upper ? 1 : 0}});
}
Result<Values> tril(AtenCall& call) { return triangle(call, false); }
Result<Values> triu(AtenCall& call) { return triangle(call, true); }

/// Quarter turns in the plane of two axes, from the first toward the second.
Result<Values> rot90(AtenCall& call) {
  WEFT_TRY(const Value x, call.tensor("self"));
  WEFT_TRY(const std::int64_t turns, call.integer("k", 1));
  WEFT_TRY(auto plane, call.integers("dims"));
  if (plane.empty()) plane = {0, 1};
  if (plane.size() != 2) return call.fail(Kind::ShapeMismatch, fmt::format("a plane of {} axes", plane.size()));
  for (auto& axis : plane) {
    WEFT_TRY(axis, call.axis(axis, rank_of(x)));
  }
  const std::int64_t quarter = (turns % 4 + 4) % 4;
  if (quarter == 0) return Values{x};
  const auto flipped = [&](std::vector<std::int64_t> axes, bool main) {
    const auto all = [&](std::int64_t value) { return int_constant(std::vector<std::int64_t>(axes.size(), value)); };
    return call.one("Slice", {x, all(-1), all(-kEnd), int_constant(axes), all(-1)}, {}, main);
  };
  if (quarter == 2) {
    WEFT_TRY(Value out, flipped(plane, true));
    return Values{std::move(out)};
  }
  WEFT_TRY(const Value turned, flipped({quarter == 1 ? plane[1] : plane[0]}, false));
  std::vector<std::int64_t> order(static_cast<std::size_t>(rank_of(x)));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  std::swap(order[static_cast<std::size_t>(plane[0])], order[static_cast<std::size_t>(plane[1])]);
  return call.onnx("Transpose", {turned}, {{"perm", order}});
}

/// Windows of a [N, C, H, W] tensor as columns: [N, C times window, positions].
Result<Values> im2col(AtenCall& call) {
  WEFT_TRY(Value x, call.tensor("self"));
  WEFT_TRY(const auto kernel, call.integers("kernel_size", 2, 1));
  WEFT_TRY(const auto dilation, call.integers("dilation", 2, 1));
  WEFT_TRY(const auto padding, call.integers("padding", 2, 0));
  WEFT_TRY(const auto stride, call.integers("stride", 2, 1));
  if (rank_of(x) != 4) return call.fail(Kind::ShapeMismatch, "data that is not [N, C, H, W]");
  std::vector<std::int64_t> places(2);
  for (std::size_t d = 0; d < 2; ++d) {
    const std::int64_t extent = shape_of(x)[2 + d];
    for (const std::int64_t v : {kernel[d], dilation[d], stride[d]}) {
      if (v < 1 || v > kMaxParts) return call.fail(Kind::ShapeMismatch, fmt::format("a window with {}", v));
    }
    if (padding[d] < 0 || padding[d] > kMaxParts)
      return call.fail(Kind::ShapeMismatch, fmt::format("a padding of {}", padding[d]));
    const std::int64_t room = extent + 2 * padding[d] - dilation[d] * (kernel[d] - 1) - 1;
    if (room < 0) return call.fail(Kind::ShapeMismatch, "the window is larger than the data");
    places[d] = room / stride[d] + 1;
  }
  if (padding[0] != 0 || padding[1] != 0) {
    const std::vector<std::int64_t> widths{0, 0, padding[0], padding[1], 0, 0, padding[0], padding[1]};
    WEFT_TRY(x, call.one("Pad", {x, int_constant(widths), number(0.0F)}, {{"mode", "constant"}}, false));
  }
  const std::int64_t count = kernel[0] * kernel[1] * places[0] * places[1];
  WEFT_TRY_VOID(call.layers(x).spend_elements({count}));
  const Shape shape = shape_of(x);
  std::vector<std::int64_t> at;
  for (std::int64_t kh = 0; kh < kernel[0]; ++kh)
    for (std::int64_t kw = 0; kw < kernel[1]; ++kw)
      for (std::int64_t h = 0; h < places[0]; ++h)
        for (std::int64_t w = 0; w < places[1]; ++w)
          at.push_back((h * stride[0] + kh * dilation[0]) * shape[3] + w * stride[1] + kw * dilation[1]);
  WEFT_TRY(const Value flat,
           call.one("Reshape", {x, int_constant({shape[0], shape[1], shape[2] * shape[3]})}, {}, false));
  WEFT_TRY(const Value windows, call.one("Gather", {flat, int_constant(at)}, {{"axis", 2}}, false));
  return call.onnx("Reshape",
                   {windows, int_constant({shape[0], shape[1] * kernel[0] * kernel[1], places[0] * places[1]})});
}

}  // namespace

AtenRows selection_rows() {
  return {{"aten.cat", cat},
          {"aten.concatenate", cat},
          {"aten.fliplr", fliplr},
          {"aten.hstack", hstack},
          {"aten.tensor_split", tensor_split},
          {"aten.unsafe_chunk", chunk},
          {"aten.unsafe_split", split},
          {"aten.unsafe_split_with_sizes", split},
          {"aten.chunk", chunk},
          {"aten.concat", cat},
          {"aten.cumsum", cumsum},
          {"aten.embedding", embedding},
          {"aten.flip", flip},
          {"aten.im2col", im2col},
          {"aten.index", index, "constant positions along axes in a row"},
          {"aten.index_select", index_select},
          {"aten.narrow", narrow},
          {"aten.repeat_interleave.self_int", repeat_interleave, "along an axis"},
          {"aten.roll", roll},
          {"aten.rot90", rot90},
          {"aten.select", select},
          {"aten.slice", slice},
          {"aten.split", split},
          {"aten.split_with_sizes", split},
          {"aten.stack", stack},
          {"aten.tril", tril},
          {"aten.triu", triu},
          {"aten.unbind", unbind}};
}

}  // namespace weft::formats::torch
