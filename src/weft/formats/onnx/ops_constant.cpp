// SPDX-License-Identifier: Apache-2.0
// Operators that only meet constants: shape arithmetic and stretched weights.
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

const Shape& shape_of(const Value& value) { return value.constant ? value.constant->shape : value.dynamic->shape; }

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

Result<Values> expand(Call& call) {
  if (call.has_input(0) && call.inputs[0].dynamic) return expand_data(call);
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
