// SPDX-License-Identifier: Apache-2.0
// Parts of tensors by position: windows, diagonals, elements of constant indices, and tensors with a part replaced, as
// assignments to slices become when a program is decomposed.
#include <fmt/format.h>

#include <algorithm>
#include <limits>
#include <numeric>

#include "weft/formats/torch/aten.h"

namespace weft::formats::torch {
namespace {

constexpr std::int64_t kEnd = std::numeric_limits<std::int64_t>::max();

/// An axis of the tensor, and its extent.
struct Axis {
  Value x;
  std::int64_t axis = 0;
  std::int64_t extent = 0;
};

Result<Axis> axis_of(AtenCall& call, const char* name, std::int64_t fallback) {
  Axis out;
  WEFT_TRY(out.x, call.tensor("self"));
  WEFT_TRY(const std::int64_t given, call.integer(name, fallback));
  WEFT_TRY(out.axis, call.axis(given, rank_of(out.x)));
  out.extent = shape_of(out.x)[static_cast<std::size_t>(out.axis)];
  if (out.x.dynamic && out.axis == out.x.dynamic->batch_axis)
    return call.fail(Kind::LayerUnsupported,
                     fmt::format("`{}` along axis {}, which holds the samples of the batch", call.target(), out.axis));
  return out;
}

/// The tensor with `part` in the places `at` of its axis: both side by side, then picked.
Result<Values> replaced(AtenCall& call, const Axis& a, const Value& part, const std::vector<std::int64_t>& at) {
  Shape shape = shape_of(a.x);
  shape[static_cast<std::size_t>(a.axis)] = static_cast<std::int64_t>(at.size());
  Value spread = part;
  if (element_of(part) != element_of(a.x) && onnx::is_floating(element_of(a.x))) {
    WEFT_TRY(spread, call.as_float(spread));
  }
  if (shape_of(spread) != shape) {
    WEFT_TRY(spread, call.one("Expand", {spread, int_constant(shape)}, {}, false));
  }
  WEFT_TRY_VOID(call.layers(a.x).spend_elements({a.extent}));
  std::vector<std::int64_t> order(static_cast<std::size_t>(a.extent));
  std::iota(order.begin(), order.end(), std::int64_t{0});
  for (std::size_t i = 0; i < at.size(); ++i) {
    if (at[i] < 0 || at[i] >= a.extent)
      return call.fail(Kind::ShapeMismatch, fmt::format("element {} of an axis of {}", at[i], a.extent));
    order[static_cast<std::size_t>(at[i])] = a.extent + static_cast<std::int64_t>(i);
  }
  WEFT_TRY(const Value both, call.one("Concat", {a.x, spread}, {{"axis", a.axis}}, false));
  return call.onnx("Gather", {both, int_constant(order)}, {{"axis", a.axis}});
}

Result<Values> slice_scatter(AtenCall& call) {
  WEFT_TRY(const Axis a, axis_of(call, "dim", 0));
  WEFT_TRY(const Value src, call.tensor("src"));
  WEFT_TRY(std::int64_t start, call.integer("start", 0));
  WEFT_TRY(std::int64_t end, call.integer("end", kEnd));
  WEFT_TRY(const std::int64_t step, call.integer("step", 1));
  if (step < 1) return call.fail(Kind::ShapeMismatch, fmt::format("a step of {}", step));
  start = std::clamp<std::int64_t>(start < 0 ? start + a.extent : start, 0, a.extent);
  end = std::clamp<std::int64_t>(end < 0 ? end + a.extent : end, 0, a.extent);
  std::vector<std::int64_t> at;
  for (std::int64_t i = start; i < end; i += std::min(step, a.extent + 1)) at.push_back(i);
  if (at.empty()) return Values{a.x};
  return replaced(call, a, src, at);
}

Result<Values> select_scatter(AtenCall& call) {
  WEFT_TRY(const Axis a, axis_of(call, "dim", 0));
  WEFT_TRY(Value src, call.tensor("src"));
  WEFT_TRY(const std::int64_t index, call.integer("index"));
  WEFT_TRY(src, call.one("Unsqueeze", {src, int_constant({a.axis})}, {}, false));
  return replaced(call, a, src, {index < 0 ? index + a.extent : index});
}

/// Positions that are constants, not negative.
Result<std::vector<std::int64_t>> positions(const AtenCall& call, const Value& given, std::int64_t extent) {
  if (!given.constant || given.constant->floating())
    return call.fail(Kind::LayerUnsupported, "positions that depend on the network's input; constants are read");
  std::vector<std::int64_t> out;
  if (given.constant->element == Element::Bool) {
    for (std::size_t i = 0; i < given.constant->ints.size(); ++i)
      if (given.constant->ints[i] != 0) out.push_back(static_cast<std::int64_t>(i));
  } else {
    out = given.constant->ints;
    for (auto& i : out) i = i < 0 ? i + extent : i;
  }
  return out;
}

Result<Values> index_fill(AtenCall& call) {
  WEFT_TRY(const Axis a, axis_of(call, "dim", 0));
  WEFT_TRY(const Value index, call.tensor("index"));
  WEFT_TRY(const Value value, call.tensor("value"));
  WEFT_TRY(const auto at, positions(call, index, a.extent));
  return replaced(call, a, value, at);
}

/// x[:, index] = values, of one constant list of positions or mask.
Result<Values> index_put(AtenCall& call) {
  Axis a;
  WEFT_TRY(a.x, call.tensor("self"));
  WEFT_TRY(const Values indices, call.tensors("indices"));
  WEFT_TRY(const Value values, call.tensor("values"));
  WEFT_TRY(const bool accumulate, call.flag("accumulate", false));
  const auto present = std::count_if(indices.begin(), indices.end(), [](const Value& v) { return v.present(); });
  if (present != 1 || accumulate || indices.size() > shape_of(a.x).size() || rank_of(indices.back()) != 1)
    return call.fail(Kind::LayerUnsupported,
                     "elements are written by several lists of positions, a mask of several axes or sums; one constant "
                     "list along one axis is read");
  a.axis = static_cast<std::int64_t>(indices.size()) - 1;
  a.extent = shape_of(a.x)[static_cast<std::size_t>(a.axis)];
  if (a.x.dynamic && a.axis == a.x.dynamic->batch_axis)
    return call.fail(Kind::LayerUnsupported, "samples of the batch are replaced");
  WEFT_TRY(const auto at, positions(call, indices.back(), a.extent));
  return replaced(call, a, values, at);
}

/// Elements by constant positions of the same rank.
Result<Values> gather_elements(AtenCall& call, const char* positions) {
  WEFT_TRY(const Value x, call.tensor("self"));
  WEFT_TRY(const Value index, call.tensor(positions));
  WEFT_TRY(const std::int64_t given, call.integer("dim"));
  WEFT_TRY(const std::int64_t axis, call.axis(given, rank_of(x)));
  return call.onnx("GatherElements", {x, index}, {{"axis", axis}});
}
Result<Values> gather(AtenCall& call) {
  call.ignore({"sparse_grad"});
  return gather_elements(call, "index");
}
Result<Values> take_along_dim(AtenCall& call) { return gather_elements(call, "indices"); }

/// Windows along an axis, their elements on a new last axis.
Result<Values> unfold(AtenCall& call) {
  WEFT_TRY(const Axis a, axis_of(call, "dimension", 0));
  WEFT_TRY(const std::int64_t size, call.integer("size"));
  WEFT_TRY(const std::int64_t step, call.integer("step"));
  if (size < 1 || size > a.extent || step < 1)
    return call.fail(Kind::ShapeMismatch, fmt::format("windows of {} every {} of {}", size, step, a.extent));
  const std::int64_t count = (a.extent - size) / step + 1;
  WEFT_TRY_VOID(call.layers(a.x).spend_elements({count, size}));
  std::vector<std::int64_t> at;
  for (std::int64_t w = 0; w < count; ++w)
    for (std::int64_t i = 0; i < size; ++i) at.push_back(w * step + i);
  WEFT_TRY(const Value flat, call.one("Gather", {a.x, int_constant(at)}, {{"axis", a.axis}}, false));
  Shape shape = shape_of(a.x);
  shape[static_cast<std::size_t>(a.axis)] = count;
  shape.insert(shape.begin() + a.axis + 1, size);
  WEFT_TRY(const Value windows, call.one("Reshape", {flat, int_constant(shape)}, {{"allowzero", 1}}, false));
  std::vector<std::int64_t> order(shape.size());
  std::iota(order.begin(), order.end(), std::int64_t{0});
  order.erase(order.begin() + a.axis + 1);
  order.push_back(a.axis + 1);
  return call.onnx("Transpose", {windows}, {{"perm", order}});
}

/// The elements of two axes with equal (or shifted) indices, on a new last axis.
Result<Values> diagonal(AtenCall& call) {
  WEFT_TRY(const Value x, call.tensor("self"));
  WEFT_TRY(const std::int64_t offset, call.integer("offset", 0));
  WEFT_TRY(const std::int64_t given_1, call.integer("dim1", 0));
  WEFT_TRY(const std::int64_t given_2, call.integer("dim2", 1));
  WEFT_TRY(const std::int64_t first, call.axis(given_1, rank_of(x)));
  WEFT_TRY(const std::int64_t second, call.axis(given_2, rank_of(x)));
  if (first == second) return call.fail(Kind::ShapeMismatch, "the two axes of a diagonal are the same");
  const Shape from = shape_of(x);
  const std::int64_t rows = from[static_cast<std::size_t>(first)];
  const std::int64_t columns = from[static_cast<std::size_t>(second)];
  std::vector<std::int64_t> order;
  Shape shape;
  for (std::int64_t d = 0; d < rank_of(x); ++d) {
    if (d == first || d == second) continue;
    order.push_back(d);
    shape.push_back(from[static_cast<std::size_t>(d)]);
  }
  order.insert(order.end(), {first, second});
  shape.push_back(rows * columns);
  std::vector<std::int64_t> at;
  for (std::int64_t i = 0; i < rows; ++i)
    if (i + offset >= 0 && i + offset < columns) at.push_back(i * columns + i + offset);
  if (at.empty()) return call.fail(Kind::ShapeMismatch, fmt::format("diagonal {} of {}", offset, to_string(from)));
  WEFT_TRY(const Value turned, call.one("Transpose", {x}, {{"perm", order}}, false));
  WEFT_TRY(const Value flat, call.one("Reshape", {turned, int_constant(shape)}, {{"allowzero", 1}}, false));
  return call.onnx("Gather", {flat, int_constant(at)}, {{"axis", static_cast<std::int64_t>(shape.size()) - 1}});
}

/// Class numbers as rows with a single 1.
Result<Values> one_hot(AtenCall& call) {
  WEFT_TRY(const Value x, call.tensor("self"));
  WEFT_TRY(const std::int64_t classes, call.integer("num_classes", -1));
  if (classes < 1)
    return call.fail(Kind::AttributeUnsupported, "the number of classes follows from the data; give `num_classes`");
  Constant values;
  values.element = Element::Int64;
  values.shape = {2};
  values.ints = {0, 1};
  return call.onnx("OneHot", {x, int_constant({classes}), std::move(values)}, {{"axis", -1}});
}

/// Constants, each spread over the axes of all.
Result<Values> meshgrid(AtenCall& call) {
  WEFT_TRY(const Values axes, call.tensors("tensors"));
  WEFT_TRY(const std::string indexing, call.text("indexing", "ij"));
  const std::size_t rank = axes.size();
  const bool swapped = !indexing.empty() && indexing.front() == 'x' && rank >= 2;
  Shape shape;
  for (const auto& axis : axes) {
    if (!axis.constant || axis.constant->shape.size() > 1)
      return call.fail(Kind::LayerUnsupported, "a grid of data; constants are read");
    shape.push_back(static_cast<std::int64_t>(axis.constant->size()));
  }
  if (swapped) std::swap(shape[0], shape[1]);
  Values out;
  for (std::size_t i = 0; i < rank; ++i) {
    const std::size_t place = swapped && i < 2 ? 1 - i : i;
    Shape one(rank, 1);
    one[place] = shape[place];
    WEFT_TRY_VOID(call.layers(axes[i]).spend_elements(shape));
    out.emplace_back(onnx::broadcast_to(onnx::with_shape(*axes[i].constant, one), shape));
  }
  return out;
}

}  // namespace

AtenRows scatter_rows() {
  return {{"aten.diagonal", diagonal},
          {"aten.gather", gather, "constant positions"},
          {"aten.index_fill", index_fill, "constant positions"},
          {"aten.index_put", index_put, "one constant list of positions"},
          {"aten.meshgrid", meshgrid, "constants"},
          {"aten.one_hot", one_hot},
          {"aten.select_scatter", select_scatter},
          {"aten.slice_scatter", slice_scatter},
          {"aten.take_along_dim", take_along_dim, "constant positions"},
          {"aten.unfold", unfold}};
}

}  // namespace weft::formats::torch
