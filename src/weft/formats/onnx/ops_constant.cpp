// SPDX-License-Identifier: Apache-2.0
// Operators that only meet constants: shape arithmetic and pieces of weights.
#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "weft/formats/onnx/operators.h"

namespace weft::formats::onnx::ops {
namespace {

Constant int_list(std::vector<std::int64_t> values) {
  Constant out;
  out.element = Element::Int64;
  out.shape = {static_cast<std::int64_t>(values.size())};
  out.ints = std::move(values);
  return out;
}

/// Flat indices of the elements at `positions` along one axis.
std::vector<std::size_t> along_axis(const Shape& shape, std::size_t axis, const std::vector<std::int64_t>& positions) {
  const auto outer =
      static_cast<std::size_t>(element_count(Shape(shape.begin(), shape.begin() + static_cast<std::ptrdiff_t>(axis))));
  const auto inner = static_cast<std::size_t>(
      element_count(Shape(shape.begin() + static_cast<std::ptrdiff_t>(axis) + 1, shape.end())));
  const auto extent = static_cast<std::size_t>(shape[axis]);
  std::vector<std::size_t> out;
  out.reserve(outer * positions.size() * inner);
  for (std::size_t o = 0; o < outer; ++o) {
    for (const auto p : positions) {
      for (std::size_t i = 0; i < inner; ++i) out.push_back((o * extent + static_cast<std::size_t>(p)) * inner + i);
    }
  }
  return out;
}

const Shape& shape_of(const Value& value) { return value.constant ? value.constant->shape : value.dynamic->shape; }

/// Positions start, start+step, ... of numpy's slice in an axis of `extent`.
std::vector<std::int64_t> slice_positions(std::int64_t start, std::int64_t end, std::int64_t step,
                                          std::int64_t extent) {
  const auto wrap = [&](std::int64_t at) { return at < 0 ? (at < -extent ? std::int64_t{-1} : at + extent) : at; };
  std::int64_t from = wrap(start);
  std::int64_t to = wrap(end);
  if (step > 0) {
    from = std::clamp<std::int64_t>(from, 0, extent);
    to = std::clamp<std::int64_t>(to, 0, extent);
  } else {
    from = std::clamp<std::int64_t>(from, -1, extent - 1);
    to = std::clamp<std::int64_t>(to, -1, extent - 1);
  }
  std::vector<std::int64_t> out;
  // The difference is tested so that a huge step does not wrap.
  for (std::int64_t at = from; step > 0 ? at < to : at > to;) {
    out.push_back(at);
    if (step > 0 ? step >= to - at : step <= to - at) break;
    at += step;
  }
  return out;
}

}  // namespace

Result<Values> constant(Call& call) {
  if (call.attributes.size() != 1) return call.fail(Kind::ModelMalformed, "a constant needs exactly one value");
  const auto& [name, value] = *call.attributes.begin();
  Constant out;
  if (name == "value" && value.type == AttributeType::Tensor) return Values{Value(value.tensor)};
  if (name == "value_float" && value.type == AttributeType::Float) {
    out.floats = {value.f};
  } else if (name == "value_floats" && value.type == AttributeType::Floats) {
    out.shape = {static_cast<std::int64_t>(value.floats.size())};
    out.floats = value.floats;
  } else if (name == "value_int" && value.type == AttributeType::Int) {
    out.element = Element::Int64;
    out.ints = {value.i};
  } else if (name == "value_ints" && value.type == AttributeType::Ints) {
    return Values{int_list(value.ints)};
  } else {
    return call.fail(Kind::ModelMalformed, fmt::format("attribute `{}` has the wrong type", name));
  }
  return Values{std::move(out)};
}

Result<Values> constant_of_shape(Call& call) {
  WEFT_TRY(const auto extents, call.integers(0, "the shape"));
  Constant value;
  value.floats = {0.0F};
  if (call.has_attribute("value")) {
    const auto& given = call.attributes.at("value");
    if (given.type != AttributeType::Tensor || given.tensor->size() != 1) {
      return call.fail(Kind::ModelMalformed, "attribute `value` is no tensor of one element");
    }
    value = *given.tensor;
  }
  for (const auto extent : extents) {
    if (extent < 0)
      return call.fail(Kind::ShapeMismatch, fmt::format("the shape {} has a negative extent", to_string(extents)));
  }
  WEFT_TRY_VOID(call.spend_elements(extents));
  const auto count = static_cast<std::size_t>(element_count(extents));
  if (value.floating()) value.floats = std::vector<float>(count, value.floats.front());
  if (!value.floating()) value.ints = std::vector<std::int64_t>(count, value.ints.front());
  value.shape = extents;
  return Values{std::move(value)};
}

Result<Values> shape(Call& call) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the input is missing");
  const Shape& full = shape_of(call.inputs[0]);
  const auto rank = static_cast<std::int64_t>(full.size());
  WEFT_TRY(std::int64_t start, call.get_int("start", 0));
  WEFT_TRY(std::int64_t end, call.get_int("end", rank));
  start = std::clamp<std::int64_t>(start < 0 && start >= -rank ? start + rank : start, 0, rank);
  end = std::clamp<std::int64_t>(end < 0 && end >= -rank ? end + rank : end, 0, rank);
  if (end < start) end = start;
  return Values{int_list(Shape(full.begin() + start, full.begin() + end))};
}

Result<Values> size(Call& call) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the input is missing");
  Constant out = int_list({element_count(shape_of(call.inputs[0]))});
  out.shape = {};
  return Values{std::move(out)};
}

Result<Values> gather(Call& call) {
  WEFT_TRY(const ConstantPtr data, call.constant(0, "the data"));
  WEFT_TRY(const ConstantPtr indices, call.constant(1, "the indices"));
  WEFT_TRY(const std::int64_t given, call.get_int("axis", 0));
  WEFT_TRY(const std::int64_t axis, call.axis(given, static_cast<std::int64_t>(data->shape.size())));
  if (indices->floating()) return call.fail(Kind::ModelMalformed, "the indices are no integers");
  const auto extent = data->shape[static_cast<std::size_t>(axis)];
  std::vector<std::int64_t> positions;
  for (const auto index : indices->ints) {
    if (index < -extent || index >= extent) {
      return call.fail(Kind::ModelMalformed, fmt::format("index {} is outside of an axis of {}", index, extent));
    }
    positions.push_back(index < 0 ? index + extent : index);
  }
  Shape shape(data->shape.begin(), data->shape.begin() + axis);
  shape.insert(shape.end(), indices->shape.begin(), indices->shape.end());
  shape.insert(shape.end(), data->shape.begin() + axis + 1, data->shape.end());
  WEFT_TRY_VOID(call.spend_elements(shape));
  return Values{pick(*data, std::move(shape), along_axis(data->shape, static_cast<std::size_t>(axis), positions))};
}

Result<Values> concat(Call& call) {
  std::vector<ConstantPtr> parts;
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    WEFT_TRY(ConstantPtr part, call.constant(i, "a part"));
    parts.push_back(std::move(part));
  }
  if (parts.empty()) return call.fail(Kind::ModelMalformed, "nothing to concatenate");
  Shape shape = parts.front()->shape;
  if (!call.has_attribute("axis")) return call.fail(Kind::ModelMalformed, "attribute `axis` is missing");
  WEFT_TRY(const std::int64_t given, call.get_int("axis", 0));
  WEFT_TRY(const std::int64_t axis, call.axis(given, static_cast<std::int64_t>(shape.size())));
  const auto at = static_cast<std::size_t>(axis);
  std::int64_t total = 0;
  bool quantized = true;
  for (const auto& part : parts) {
    Shape other = part->shape;
    if (other.size() != shape.size() || part->element != parts.front()->element) {
      return call.fail(Kind::ShapeMismatch, "parts differ in rank or element type");
    }
    if (__builtin_add_overflow(total, other[at], &total))
      return call.fail(Kind::LimitExceeded, "the result is too large");
    other[at] = shape[at];
    if (other != shape) {
      return call.fail(Kind::ShapeMismatch, fmt::format("shapes {} and {} cannot be joined along axis {}",
                                                        to_string(shape), to_string(part->shape), axis));
    }
    quantized = quantized && part->quantized();
  }
  shape[at] = total;
  WEFT_TRY_VOID(call.spend_elements(shape));
  Constant out;
  out.shape = shape;
  out.element = parts.front()->element;
  const auto outer = element_count(Shape(shape.begin(), shape.begin() + axis));
  const auto inner = element_count(Shape(shape.begin() + axis + 1, shape.end()));
  for (std::int64_t o = 0; o < outer; ++o) {
    for (const auto& part : parts) {
      const auto run = part->shape[at] * inner;
      const auto copy = [&](const auto& from, auto& to) {
        if (from.empty()) return;
        to.insert(to.end(), from.begin() + o * run, from.begin() + (o + 1) * run);
      };
      copy(part->floats, out.floats);
      copy(part->ints, out.ints);
      if (quantized) {
        copy(part->codes, out.codes);
        copy(part->scales, out.scales);
      }
    }
  }
  return Values{std::move(out)};
}

Result<Values> slice(Call& call) {
  WEFT_TRY(const ConstantPtr data, call.constant(0, "the data"));
  std::vector<std::int64_t> starts, ends, axes, steps;
  if (call.inputs.size() > 1) {
    WEFT_TRY(starts, call.integers(1, "the starts"));
    WEFT_TRY(ends, call.integers(2, "the ends"));
    if (call.has_input(3)) {
      WEFT_TRY(axes, call.integers(3, "the axes"));
    }
    if (call.has_input(4)) {
      WEFT_TRY(steps, call.integers(4, "the steps"));
    }
  } else {
    WEFT_TRY(starts, call.get_ints("starts"));
    WEFT_TRY(ends, call.get_ints("ends"));
    WEFT_TRY(axes, call.get_ints("axes"));
  }
  if (axes.empty()) {
    for (std::size_t i = 0; i < starts.size(); ++i) axes.push_back(static_cast<std::int64_t>(i));
  }
  if (steps.empty()) steps.assign(starts.size(), 1);
  if (ends.size() != starts.size() || axes.size() != starts.size() || steps.size() != starts.size()) {
    return call.fail(Kind::ModelMalformed, "starts, ends, axes and steps differ in length");
  }
  Constant out = *data;
  std::vector<bool> seen(data->shape.size(), false);
  for (std::size_t i = 0; i < starts.size(); ++i) {
    WEFT_TRY(const std::int64_t axis, call.axis(axes[i], static_cast<std::int64_t>(out.shape.size())));
    const auto at = static_cast<std::size_t>(axis);
    if (seen[at] || steps[i] == 0) return call.fail(Kind::ModelMalformed, "an axis is given twice, or a step is zero");
    seen[at] = true;
    WEFT_TRY_VOID(call.spend_elements(out.shape));
    WEFT_TRY_VOID(call.spend_elements({out.shape[at]}));
    const auto positions = slice_positions(starts[i], ends[i], steps[i], out.shape[at]);
    Shape shape = out.shape;
    shape[at] = static_cast<std::int64_t>(positions.size());
    out = pick(out, shape, along_axis(out.shape, at, positions));
  }
  return Values{std::move(out)};
}

Result<Values> expand(Call& call) {
  WEFT_TRY(const ConstantPtr data, call.constant(0, "the data"));
  WEFT_TRY(const auto target, call.integers(1, "the shape"));
  if (!checked_count(target, call.ctx.limits.tensor_elements)) {
    return call.fail(Kind::LimitExceeded, fmt::format("the shape {} is negative or too large", to_string(target)));
  }
  const auto to = tensor::broadcast(data->shape, target);
  if (!to.ok)
    return call.fail(Kind::ShapeMismatch,
                     fmt::format("shapes {} and {} do not broadcast", to_string(data->shape), to_string(target)));
  WEFT_TRY_VOID(call.spend_elements(to.shape));
  return Values{broadcast_to(*data, to.shape)};
}

}  // namespace weft::formats::onnx::ops
