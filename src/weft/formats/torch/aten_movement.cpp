// SPDX-License-Identifier: Apache-2.0
// Operators that leave elements alone, view them otherwise, move them, or make constants.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "weft/formats/torch/aten.h"

namespace weft::formats::torch {
namespace {

/// The first tensor argument, under whatever name it has.
Result<Value> first(AtenCall& call) {
  for (const char* name : {"self", "input", "x", "a"}) {
    if (call.has(name)) return call.tensor(name);
  }
  return call.tensor("self");
}

/// The value itself: no layer.
Result<Values> same(AtenCall& call) {
  WEFT_TRY(Value x, first(call));
  call.ignore({"memory_format", "implicit", "dtype", "layout", "device", "pin_memory", "non_blocking", "copy", "src"});
  return Values{std::move(x)};
}

Result<Values> dropout(AtenCall& call) {
  WEFT_TRY(const bool training, call.flag("train", false));
  call.ignore({"p"});
  if (training)
    return call.fail(Kind::AttributeUnsupported,
                     "dropout was exported in training mode; call `.eval()` before the export");
  WEFT_TRY(Value x, first(call));
  return Values{std::move(x)};
}

/// Element types of PyTorch and ONNX by their numbers.
Result<Values> cast(AtenCall& call) {
  WEFT_TRY(const Value x, first(call));
  call.ignore({"memory_format", "layout", "device", "pin_memory", "non_blocking", "copy"});
  Element to = element_of(x);
  if (call.has("dtype")) {
    WEFT_TRY(const std::int64_t number, call.integer("dtype"));
    const auto element = element_from_scalar_type(number);
    if (!element) return call.fail(Kind::AttributeUnsupported, fmt::format("a cast to {}", scalar_type_name(number)));
    to = *element;
  } else if (call.has("other")) {
    WEFT_TRY(const Value other, call.tensor("other"));
    to = element_of(other);
  }
  if (onnx::is_half(to))
    return call.fail(Kind::AttributeUnsupported,
                     "a cast to half precision, whose rounding is not reproduced; export `module.float()`");
  if (to == Element::Float64 && x.constant) to = Element::Float32;  // constants are held in float32
  if (to == element_of(x)) return Values{x};
  return call.onnx("Cast", {x}, {{"to", static_cast<std::int64_t>(to)}});
}

Result<Values> view(AtenCall& call) {
  WEFT_TRY(const Value x, first(call));
  WEFT_TRY(const auto shape, call.integers(call.has("size") ? "size" : "shape"));
  if (shape == shape_of(x)) return Values{x};
  return call.onnx("Reshape", {x, int_constant(shape)}, {{"allowzero", 1}});
}

Result<Values> flatten(AtenCall& call) {
  WEFT_TRY(const Value x, first(call));
  const Shape& from = shape_of(x);
  const auto rank = std::max<std::int64_t>(rank_of(x), 1);
  WEFT_TRY(const std::int64_t given_start, call.integer("start_dim", 0));
  WEFT_TRY(const std::int64_t given_end, call.integer("end_dim", -1));
  WEFT_TRY(const std::int64_t start, call.axis(given_start, rank));
  WEFT_TRY(const std::int64_t end, call.axis(given_end, rank));
  if (end < start) return call.fail(Kind::ShapeMismatch, "`end_dim` lies in front of `start_dim`");
  if (start == end && !from.empty()) return Values{x};
  Shape shape(from.begin(), from.begin() + std::min(start, rank_of(x)));
  std::int64_t product = 1;
  for (std::int64_t d = start; d <= end && d < rank_of(x); ++d) product *= from[static_cast<std::size_t>(d)];
  shape.push_back(product);
  if (end + 1 < rank_of(x)) shape.insert(shape.end(), from.begin() + end + 1, from.end());
  return call.onnx("Reshape", {x, int_constant(shape)}, {{"allowzero", 1}});
}

Result<Values> unflatten(AtenCall& call) {
  WEFT_TRY(const Value x, first(call));
  WEFT_TRY(const std::int64_t given, call.integer("dim"));
  WEFT_TRY(const auto sizes, call.integers("sizes"));
  WEFT_TRY(const std::int64_t axis, call.axis(given, rank_of(x)));
  const Shape& from = shape_of(x);
  Shape shape(from.begin(), from.begin() + axis);
  shape.insert(shape.end(), sizes.begin(), sizes.end());
  shape.insert(shape.end(), from.begin() + axis + 1, from.end());
  return call.onnx("Reshape", {x, int_constant(shape)}, {{"allowzero", 1}});
}

Result<Values> unsqueeze(AtenCall& call) {
  WEFT_TRY(const Value x, first(call));
  WEFT_TRY(const std::int64_t axis, call.integer("dim"));
  return call.onnx("Unsqueeze", {x, int_constant({axis})});
}

/// Axes whose extent is not one stay, as PyTorch has it.
Result<Values> squeeze(AtenCall& call) {
  WEFT_TRY(const Value x, first(call));
  std::vector<std::int64_t> axes;
  if (call.has("dim")) {
    WEFT_TRY(axes, call.integers("dim"));
  } else {
    axes.resize(shape_of(x).size());
    std::iota(axes.begin(), axes.end(), std::int64_t{0});
  }
  std::vector<std::int64_t> dropped;
  for (const auto given : axes) {
    WEFT_TRY(const std::int64_t axis, call.axis(given, rank_of(x)));
    // An open batch is one in this reading only.
    if (x.dynamic && axis == x.dynamic->batch_axis && !call.builder.batch_is_fixed) continue;
    if (shape_of(x)[static_cast<std::size_t>(axis)] == 1) dropped.push_back(axis);
  }
  if (dropped.empty()) return Values{x};
  return call.onnx("Squeeze", {x, int_constant(dropped)});
}

Result<Values> permuted(AtenCall& call, const Value& x, const std::vector<std::int64_t>& permutation) {
  if (std::is_sorted(permutation.begin(), permutation.end())) return Values{x};
  return call.onnx("Transpose", {x}, {{"perm", permutation}});
}

Result<Values> permute(AtenCall& call) {
  WEFT_TRY(const Value x, first(call));
  WEFT_TRY(auto permutation, call.integers("dims"));
  for (auto& axis : permutation) {
    WEFT_TRY(axis, call.axis(axis, rank_of(x)));
  }
  return permuted(call, x, permutation);
}

Result<Values> swap(AtenCall& call, const Value& x, std::int64_t a, std::int64_t b) {
  if (rank_of(x) == 0) return Values{x};
  WEFT_TRY(const std::int64_t i, call.axis(a, rank_of(x)));
  WEFT_TRY(const std::int64_t j, call.axis(b, rank_of(x)));
  std::vector<std::int64_t> permutation(shape_of(x).size());
  std::iota(permutation.begin(), permutation.end(), std::int64_t{0});
  std::swap(permutation[static_cast<std::size_t>(i)], permutation[static_cast<std::size_t>(j)]);
  return permuted(call, x, permutation);
}

Result<Values> transpose(AtenCall& call) {
  WEFT_TRY(const Value x, first(call));
  const bool axes = call.has("axis0");
  WEFT_TRY(const std::int64_t a, call.integer(axes ? "axis0" : "dim0"));
  WEFT_TRY(const std::int64_t b, call.integer(axes ? "axis1" : "dim1"));
  return swap(call, x, a, b);
}

Result<Values> turn(AtenCall& call) {
  WEFT_TRY(const Value x, first(call));
  if (rank_of(x) < 2) return Values{x};
  return swap(call, x, -1, -2);
}

/// The last two axes, also of more.
Result<Values> turn_last(AtenCall& call) {
  WEFT_TRY(const Value x, first(call));
  if (rank_of(x) < 2) return call.fail(Kind::ShapeMismatch, "data of less than two axes");
  return swap(call, x, -1, -2);
}

/// `source` axes go to the places `destination`, the others keep their order.
Result<Values> movedim(AtenCall& call) {
  WEFT_TRY(const Value x, first(call));
  WEFT_TRY(auto from, call.integers("source"));
  WEFT_TRY(auto to, call.integers("destination"));
  const std::size_t rank = shape_of(x).size();
  std::vector<std::int64_t> permutation(rank, -1);
  std::vector<bool> moved(rank, false);
  if (from.size() != to.size()) return call.fail(Kind::ShapeMismatch, "`source` and `destination` differ in length");
  for (std::size_t i = 0; i < from.size(); ++i) {
    WEFT_TRY(const std::int64_t a, call.axis(from[i], rank_of(x)));
    WEFT_TRY(const std::int64_t b, call.axis(to[i], rank_of(x)));
    if (moved[static_cast<std::size_t>(a)] || permutation[static_cast<std::size_t>(b)] != -1)
      return call.fail(Kind::ModelMalformed, "an axis is given twice");
    moved[static_cast<std::size_t>(a)] = true;
    permutation[static_cast<std::size_t>(b)] = a;
  }
  std::size_t next = 0;
  for (auto& axis : permutation) {
    if (axis != -1) continue;
    while (moved[next]) ++next;
    axis = static_cast<std::int64_t>(next++);
  }
  return permuted(call, x, permutation);
}

Result<Values> expand(AtenCall& call) {
  WEFT_TRY(const Value x, first(call));
  WEFT_TRY(auto size, call.integers("size"));
  call.ignore({"implicit"});
  const Shape& from = shape_of(x);
  if (size.size() < from.size()) return call.fail(Kind::ShapeMismatch, "`size` has fewer axes than the data");
  const std::size_t added = size.size() - from.size();
  for (std::size_t d = 0; d < size.size(); ++d) {
    if (size[d] == -1 && d >= added) size[d] = from[d - added];
  }
  if (size == from) return Values{x};
  return call.onnx("Expand", {x, int_constant(size)});
}

Result<Values> expand_as(AtenCall& call) {
  WEFT_TRY(const Value x, first(call));
  WEFT_TRY(const Value other, call.tensor("other"));
  if (shape_of(other) == shape_of(x)) return Values{x};
  return call.onnx("Expand", {x, int_constant(shape_of(other))});
}

/// The shape of another tensor.
Result<Values> view_as(AtenCall& call) {
  WEFT_TRY(const Value x, first(call));
  WEFT_TRY(const Value other, call.tensor("other"));
  if (shape_of(other) == shape_of(x)) return Values{x};
  return call.onnx("Reshape", {x, int_constant(shape_of(other))}, {{"allowzero", 1}});
}

/// What an operator in place writes over a tensor: a number, or another tensor that spreads over it.
Result<Values> overwritten(AtenCall& call, const Value& old, Value with) {
  const Element element = element_of(old);
  if (element != element_of(with) && element_of(with) != Element::Float64) {
    WEFT_TRY(with, call.one("Cast", {with}, {{"to", static_cast<std::int64_t>(element)}}, false));
  }
  if (shape_of(with) == shape_of(old)) return Values{std::move(with)};
  return call.onnx("Expand", {with, int_constant(shape_of(old))});
}
Result<Values> copy(AtenCall& call) {
  WEFT_TRY(const Value old, call.tensor("self"));
  WEFT_TRY(Value with, call.tensor("src"));
  call.ignore({"non_blocking"});
  return overwritten(call, old, std::move(with));
}
Result<Values> fill(AtenCall& call) {
  WEFT_TRY(const Value old, call.tensor("self"));
  WEFT_TRY(Value with, call.tensor("value"));
  return overwritten(call, old, std::move(with));
}
Result<Values> zero(AtenCall& call) {
  WEFT_TRY(const Value old, call.tensor("self"));
  return overwritten(call, old, number(0.0F));
}

Result<Values> repeat(AtenCall& call) {
  WEFT_TRY(Value x, first(call));
  WEFT_TRY(const auto repeats, call.integers(call.has("repeats") ? "repeats" : "dims"));
  if (std::all_of(repeats.begin(), repeats.end(), [](auto r) { return r == 1; }) &&
      repeats.size() == shape_of(x).size())
    return Values{x};
  std::vector<std::int64_t> added(repeats.size() - std::min(repeats.size(), shape_of(x).size()));
  std::iota(added.begin(), added.end(), std::int64_t{0});
  if (!added.empty()) {
    WEFT_TRY(x, call.one("Unsqueeze", {x, int_constant(added)}, {}, false));
  }
  return call.onnx("Tile", {x, int_constant(repeats)});
}

/// Widths are pairs from the last axis on.
Result<Values> padded(AtenCall& call, const std::string& mode, float value, const char* name) {
  WEFT_TRY(const Value x, first(call));
  WEFT_TRY(const auto pad, call.integers(name));
  const std::size_t rank = shape_of(x).size();
  if (pad.size() % 2 != 0 || pad.size() / 2 > rank)
    return call.fail(Kind::ShapeMismatch, fmt::format("{} widths for {} axes", pad.size(), rank));
  std::vector<std::int64_t> widths(2 * rank, 0);
  for (std::size_t i = 0; i < pad.size() / 2; ++i) {
    widths[rank - 1 - i] = pad[2 * i];
    widths[2 * rank - 1 - i] = pad[2 * i + 1];
  }
  return call.onnx("Pad", {x, int_constant(widths), number(value)}, {{"mode", mode}});
}

Result<Values> constant_pad(AtenCall& call) {
  WEFT_TRY(const double value, call.real("value", 0.0));
  return padded(call, "constant", static_cast<float>(value), "pad");
}
Result<Values> reflection_pad(AtenCall& call) { return padded(call, "reflect", 0.0F, "padding"); }
Result<Values> replication_pad(AtenCall& call) { return padded(call, "edge", 0.0F, "padding"); }

Result<Values> pad(AtenCall& call) {
  WEFT_TRY(const std::string mode, call.text("mode", "constant"));
  WEFT_TRY(const double value, call.real("value", 0.0));
  const std::string name = mode == "replicate" ? "edge" : (mode == "circular" ? "wrap" : mode);
  return padded(call, name, static_cast<float>(value), "pad");
}

// --- constants

Result<Values> filled(AtenCall& call, const Shape& shape, double value, Element fallback) {
  call.ignore({"layout", "device", "pin_memory", "memory_format", "self"});
  Element element = fallback;
  if (call.has("dtype")) {
    WEFT_TRY(const std::int64_t number, call.integer("dtype"));
    const auto given = element_from_scalar_type(number);
    if (!given) return call.fail(Kind::AttributeUnsupported, fmt::format("a tensor of {}", scalar_type_name(number)));
    element = *given;
  }
  WEFT_TRY_VOID(call.layers(Value()).spend_elements(shape));
  Constant out;
  out.shape = shape;
  const bool floating = onnx::is_floating(element);
  out.element = floating ? Element::Float32 : element;
  const auto count = static_cast<std::size_t>(element_count(shape));
  if (floating)
    out.floats.assign(count, static_cast<float>(value));
  else if (value >= -0x1p62 && value <= 0x1p62)
    out.ints.assign(count, static_cast<std::int64_t>(value));
  else
    return call.fail(Kind::AttributeUnsupported, fmt::format("a tensor of integers {}", value));
  return Values{std::move(out)};
}

Result<Values> make_filled(AtenCall& call, double value) {
  WEFT_TRY(const auto size, call.integers("size"));
  return filled(call, size, value, Element::Float32);
}
Result<Values> zeros(AtenCall& call) { return make_filled(call, 0); }
Result<Values> ones(AtenCall& call) { return make_filled(call, 1); }
Result<Values> full(AtenCall& call) {
  WEFT_TRY(const double value, call.real("fill_value"));
  return make_filled(call, value);
}

Result<Values> filled_like(AtenCall& call, double value) {
  WEFT_TRY(const Value x, call.tensor("self"));
  WEFT_TRY(const auto size, call.integers("size"));
  const Shape shape = call.has("size") ? Shape(size) : shape_of(x);
  return filled(call, shape, value, element_of(x));
}
Result<Values> zeros_like(AtenCall& call) { return filled_like(call, 0); }
Result<Values> ones_like(AtenCall& call) { return filled_like(call, 1); }
Result<Values> full_like(AtenCall& call) {
  WEFT_TRY(const double value, call.real("fill_value"));
  return filled_like(call, value);
}

Result<Values> scalar_tensor(AtenCall& call) {
  WEFT_TRY(const double value, call.real("s"));
  return filled(call, {}, value, Element::Float32);
}

Result<Values> eye(AtenCall& call) {
  WEFT_TRY(const std::int64_t rows, call.integer("n"));
  WEFT_TRY(const std::int64_t columns, call.integer("m", rows));
  if (rows < 0 || columns < 0) return call.fail(Kind::ModelMalformed, "a matrix of negative size");
  WEFT_TRY(const Values zeros, filled(call, {rows, columns}, 0.0, Element::Float32));
  Constant out = *zeros.front().constant;
  for (std::int64_t i = 0; i < std::min(rows, columns); ++i) {
    const auto at = static_cast<std::size_t>(i * columns + i);
    if (out.floating())
      out.floats[at] = 1.0F;
    else
      out.ints[at] = 1;
  }
  return Values{std::move(out)};
}

/// As PyTorch computes it in float32: from both ends.
Result<Values> linspace(AtenCall& call) {
  WEFT_TRY(const double start, call.real("start"));
  WEFT_TRY(const double end, call.real("end"));
  WEFT_TRY(const std::int64_t steps, call.integer("steps"));
  if (steps < 0) return call.fail(Kind::ModelMalformed, fmt::format("{} steps", steps));
  WEFT_TRY(const Values made, filled(call, {steps}, 0.0, Element::Float32));
  Constant out = *made.front().constant;
  if (!out.floating()) return call.fail(Kind::AttributeUnsupported, "a range of integers; use `arange`");
  const auto from = static_cast<float>(start);
  const auto to = static_cast<float>(end);
  const float step = steps < 2 ? 0.0F : (to - from) / static_cast<float>(steps - 1);
  for (std::int64_t i = 0; i < steps; ++i)
    out.floats[static_cast<std::size_t>(i)] =
        i < steps / 2 ? from + step * static_cast<float>(i) : to - step * static_cast<float>(steps - i - 1);
  if (steps == 1) out.floats.front() = from;
  return Values{std::move(out)};
}

Result<Values> arange(AtenCall& call) {
  WEFT_TRY(const double start, call.real("start", 0.0));
  WEFT_TRY(const double end, call.real("end"));
  WEFT_TRY(const double step, call.real("step", 1.0));
  WEFT_TRY(const std::int64_t type, call.integer("dtype", 5));
  call.ignore({"layout", "device", "pin_memory"});
  const auto element = element_from_scalar_type(type);
  const double count = step != 0 ? std::ceil((end - start) / step) : -1;
  if (!element || !(count >= 0 && count < 0x1p26))
    return call.fail(Kind::AttributeUnsupported, "a range of this type or length");
  const Shape shape{static_cast<std::int64_t>(count)};
  WEFT_TRY_VOID(call.layers(Value()).spend_elements(shape));
  Constant out;
  out.shape = shape;
  out.element = onnx::is_floating(*element) ? Element::Float32 : *element;
  for (std::int64_t i = 0; i < shape[0]; ++i) {
    const double value = start + static_cast<double>(i) * step;
    if (out.floating())
      out.floats.push_back(static_cast<float>(value));
    else
      out.ints.push_back(static_cast<std::int64_t>(value));
  }
  return Values{std::move(out)};
}

}  // namespace

AtenRows movement_rows() {
  return {{"aten._to_copy", cast},
          {"aten._unsafe_view", view},
          {"aten.alias", same},
          {"aten.alpha_dropout", dropout},
          {"aten.arange", arange, "constants"},
          {"aten.clone", same},
          {"aten.constant_pad_nd", constant_pad},
          {"aten.contiguous", same},
          {"aten.detach", same},
          {"aten.detach_", same},
          {"aten.dropout", dropout},
          {"aten.expand", expand},
          {"aten.expand_as", expand_as},
          {"aten.feature_dropout", dropout},
          {"aten.flatten", flatten},
          {"aten.full", full, "constants"},
          {"aten.full_like", full_like},
          {"aten.lift_fresh_copy", same},
          {"aten.movedim", movedim},
          {"aten.native_dropout", dropout},
          {"aten.new_ones", ones_like},
          {"aten.new_zeros", zeros_like},
          {"aten.numpy_T", turn},
          {"aten.ones", ones, "constants"},
          {"aten.ones_like", ones_like},
          {"aten.pad", pad},
          {"aten.permute", permute},
          {"aten.reflection_pad1d", reflection_pad},
          {"aten.reflection_pad2d", reflection_pad},
          {"aten.reflection_pad3d", reflection_pad},
          {"aten.repeat", repeat},
          {"aten.replication_pad1d", replication_pad},
          {"aten.replication_pad2d", replication_pad},
          {"aten.replication_pad3d", replication_pad},
          {"aten.reshape", view},
          {"aten.scalar_tensor", scalar_tensor, "constants"},
          {"aten.squeeze", squeeze},
          {"aten.swapaxes", transpose},
          {"aten.t", turn},
          {"aten.tile", repeat},
          {"aten.to", cast},
          {"aten.transpose", transpose},
          {"aten.type_as", cast},
          {"aten.unflatten", unflatten},
          {"aten.unsqueeze", unsqueeze},
          {"aten.view", view},
          {"aten.view_copy", view},
          {"aten.zeros", zeros, "constants"},
          {"aten.adjoint", turn_last},
          {"aten.broadcast_to", expand},
          {"aten.copy", copy},
          {"aten.empty", zeros},
          {"aten.empty_like", zeros_like},
          {"aten.eye", eye, "constants"},
          {"aten.fill", fill},
          {"aten.linspace", linspace, "constants"},
          {"aten.mT", turn_last},
          {"aten.moveaxis", movedim},
          {"aten.new_empty", zeros_like},
          {"aten.new_full", full_like},
          {"aten.positive", same},
          {"aten.ravel", flatten},
          {"aten.reshape_as", view_as},
          {"aten.swapdims", transpose},
          {"aten.view_as", view_as},
          {"aten.zero", zero},
          {"aten.zeros_like", zeros_like}};
}

}  // namespace weft::formats::torch
