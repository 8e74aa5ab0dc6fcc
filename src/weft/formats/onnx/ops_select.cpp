// SPDX-License-Identifier: Apache-2.0
// Operators that take tensors apart and put them together: Slice, Split, Gather, Concat. Constants keep codes and
// scales; data becomes Slice, Take and Concat layers.
#include <fmt/format.h>

#include <algorithm>

#include "weft/formats/onnx/operators.h"
#include "weft/formats/onnx/tensors.h"

namespace weft::formats::onnx::ops {
namespace {

constexpr std::size_t kMaxParts = 4096;

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

/// from, from + step, ... in front of `to`; with a negative step `to` may be -1.
struct Range {
  std::int64_t from = 0;
  std::int64_t to = 0;
  std::int64_t step = 1;

  [[nodiscard]] std::int64_t count() const {
    const std::int64_t distance = step > 0 ? to - from : from - to;
    if (distance <= 0) return 0;
    // A step of -2^63 has no positive counterpart; it takes one element as every long step does.
    if (step <= -distance || step >= distance) return 1;
    const std::int64_t length = step > 0 ? step : -step;
    return (distance + length - 1) / length;
  }
};

/// numpy's slice of an axis of `extent`.
Range slice_range(std::int64_t start, std::int64_t end, std::int64_t step, std::int64_t extent) {
  const auto wrap = [&](std::int64_t at) { return at < 0 ? (at < -extent ? std::int64_t{-1} : at + extent) : at; };
  if (step > 0) {
    return {std::clamp<std::int64_t>(wrap(start), 0, extent), std::clamp<std::int64_t>(wrap(end), 0, extent), step};
  }
  return {std::clamp<std::int64_t>(wrap(start), -1, extent - 1), std::clamp<std::int64_t>(wrap(end), -1, extent - 1),
          step};
}

const Shape& shape_of(const Value& value) { return value.constant ? value.constant->shape : value.dynamic->shape; }

/// Positions along one axis.
struct Cut {
  std::int64_t axis = 0;
  std::int64_t start = 0;
  std::int64_t end = 0;
  std::int64_t step = 1;
};

Result<Constant> cut_constant(const Call& call, const Constant& data, const std::vector<Cut>& cuts) {
  Constant out = data;
  for (const Cut& cut : cuts) {
    const auto at = static_cast<std::size_t>(cut.axis);
    WEFT_TRY_VOID(call.spend_elements(out.shape));
    WEFT_TRY_VOID(call.spend_elements({out.shape[at]}));
    const Range range = slice_range(cut.start, cut.end, cut.step, out.shape[at]);
    std::vector<std::int64_t> positions(static_cast<std::size_t>(range.count()));
    for (std::size_t i = 0; i < positions.size(); ++i)
      positions[i] = range.from + static_cast<std::int64_t>(i) * range.step;
    Shape shape = out.shape;
    shape[at] = static_cast<std::int64_t>(positions.size());
    out = pick(out, shape, along_axis(out.shape, at, positions));
  }
  return out;
}

/// One Slice layer; `suffix` names it when it is not the operator's first.
Result<Dynamic> cut_data(const Call& call, const Dynamic& x, const std::vector<Cut>& cuts, const std::string& suffix) {
  WEFT_TRY(const nn::TensorId in, call.with_all_axes(x));
  Dynamic out = x;
  const Shape from = x.layer_shape();
  Shape begin(from.size(), 0);
  Shape end = from;
  Shape step(from.size(), 1);
  for (const Cut& cut : cuts) {
    const auto extent = x.shape[static_cast<std::size_t>(cut.axis)];
    const Range range = slice_range(cut.start, cut.end, cut.step, extent);
    if (range.count() < 1) {
      return call.fail(Kind::ShapeMismatch, fmt::format("slice {}:{}:{} of an axis of {} leaves nothing", cut.start,
                                                        cut.end, cut.step, extent));
    }
    if (cut.axis == x.batch_axis) {
      if (range.count() == extent && cut.step > 0) continue;
      return call.fail(Kind::LayerUnsupported, fmt::format("the batch (axis {}) is sliced", cut.axis));
    }
    out.shape[static_cast<std::size_t>(cut.axis)] = range.count();
    const auto at = static_cast<std::size_t>(x.layer_axis(cut.axis));
    begin[at] = range.from;
    end[at] = range.to;
    step[at] = std::clamp(cut.step, -extent, extent);  // a longer step takes one element too
  }
  WEFT_TRY(out.tensor, call.add({.op = "Slice",
                                 .attributes = {{"begin", begin}, {"end", end}, {"step", step}},
                                 .inputs = {in},
                                 .shape = out.layer_shape(),
                                 .suffix = suffix}));
  return out;
}

Result<Constant> join_constants(const Call& call, Shape shape, std::int64_t axis) {
  const auto at = static_cast<std::size_t>(axis);
  WEFT_TRY_VOID(call.spend_elements(shape));
  const bool quantized =
      std::all_of(call.inputs.begin(), call.inputs.end(), [](const Value& part) { return part.constant->quantized(); });
  Constant out;
  out.element = call.inputs.front().constant->element;
  const auto outer = element_count(Shape(shape.begin(), shape.begin() + axis));
  const auto inner = element_count(Shape(shape.begin() + axis + 1, shape.end()));
  out.shape = std::move(shape);
  for (std::int64_t o = 0; o < outer; ++o) {
    for (const auto& part : call.inputs) {
      const auto run = part.constant->shape[at] * inner;
      const auto copy = [&](const auto& from, auto& to) {
        if (from.empty()) return;
        to.insert(to.end(), from.begin() + o * run, from.begin() + (o + 1) * run);
      };
      copy(part.constant->floats, out.floats);
      copy(part.constant->ints, out.ints);
      if (quantized) {
        copy(part.constant->codes, out.codes);
        copy(part.constant->scales, out.scales);
      }
    }
  }
  return out;
}

/// Concat of data; the parts take one layout.
Result<Values> join_data(const Call& call, Shape shape, std::int64_t axis) {
  bool channels_last = false;
  const auto data =
      std::find_if(call.inputs.begin(), call.inputs.end(), [](const Value& v) { return v.dynamic.has_value(); });
  const std::int64_t batch_axis = data->dynamic->batch_axis;
  for (const auto& input : call.inputs) {
    channels_last = channels_last || (input.dynamic && input.dynamic->channels_last);
    if (batch_axis == axis || (input.dynamic && input.dynamic->batch_axis != batch_axis)) {
      return call.fail(Kind::LayerUnsupported,
                       fmt::format("tensors are joined along axis {}, where the batch lies", batch_axis));
    }
  }
  LayerDraft draft{.op = "Concat"};
  Dynamic out;
  for (const auto& input : call.inputs) {
    if (input.dynamic) {
      out = *input.dynamic;
    } else {
      WEFT_TRY(out, as_layer(call, *input.constant, data->dynamic->rank(), batch_axis));
    }
    if (channels_last) {
      WEFT_TRY(out, call.in_channels_last(out));
    }
    WEFT_TRY(const nn::TensorId tensor, call.with_all_axes(out));
    draft.inputs.push_back(tensor);
  }
  out.shape = std::move(shape);
  draft.attributes = {{"axis", out.layer_axis(axis)}};
  draft.shape = out.layer_shape();
  WEFT_TRY(out.tensor, call.add(std::move(draft)));
  return Values{std::move(out)};
}

/// The elements of data at `positions` along one axis; `indices` is the shape that takes the axis' place.
Result<Values> take_data(const Call& call, Dynamic x, std::int64_t axis, const std::vector<std::int64_t>& positions,
                         const Shape& indices) {
  if (axis == x.batch_axis) {
    return call.fail(Kind::LayerUnsupported, fmt::format("elements are gathered along axis {}, the batch", axis));
  }
  if (indices.size() != 1 && axis == 1) {
    WEFT_TRY(x, call.in_onnx_order(x));
  }
  WEFT_TRY(const nn::TensorId in, call.with_all_axes(x));
  Dynamic out = x;
  out.shape[static_cast<std::size_t>(axis)] = static_cast<std::int64_t>(positions.size());
  const bool plain = indices.size() == 1;
  WEFT_TRY(out.tensor, call.add({.op = "Take",
                                 .attributes = {{"axis", x.layer_axis(axis)}, {"indices", positions}},
                                 .inputs = {in},
                                 .shape = out.layer_shape(),
                                 .suffix = plain ? "" : "_take"},
                                plain));
  if (plain) return Values{std::move(out)};
  const auto at = out.shape.begin() + axis;
  out.shape.insert(out.shape.erase(at), indices.begin(), indices.end());
  if (axis < out.batch_axis) out.batch_axis += static_cast<std::int64_t>(indices.size()) - 1;
  // [C, H] after the last spatial axis went is in ONNX order only by its axes of extent one.
  if (x.channels_last && !out.has_channels()) out.channels_last = false;
  const Shape shape = out.layer_shape();
  WEFT_TRY(out.tensor,
           call.add({.op = "Reshape", .attributes = {{"shape", shape}}, .inputs = {out.tensor}, .shape = shape}));
  return Values{std::move(out)};
}

}  // namespace

Result<Values> gather(Call& call) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the data is missing");
  if (call.inputs[0].constant && call.has_input(1) && call.inputs[1].dynamic) return embedding(call);
  const Shape& from = shape_of(call.inputs[0]);
  WEFT_TRY(const ConstantPtr indices, call.constant(1, "the indices"));
  WEFT_TRY(const std::int64_t given, call.get_int("axis", 0));
  WEFT_TRY(const std::int64_t axis, call.axis(given, static_cast<std::int64_t>(from.size())));
  if (indices->floating()) return call.fail(Kind::ModelMalformed, "the indices are no integers");
  const auto extent = from[static_cast<std::size_t>(axis)];
  std::vector<std::int64_t> positions;
  for (const auto index : indices->ints) {
    if (index < -extent || index >= extent) {
      return call.fail(Kind::ModelMalformed, fmt::format("index {} is outside of an axis of {}", index, extent));
    }
    positions.push_back(index < 0 ? index + extent : index);
  }
  if (call.inputs[0].dynamic) return take_data(call, *call.inputs[0].dynamic, axis, positions, indices->shape);
  Shape shape(from.begin(), from.begin() + axis);
  shape.insert(shape.end(), indices->shape.begin(), indices->shape.end());
  shape.insert(shape.end(), from.begin() + axis + 1, from.end());
  WEFT_TRY_VOID(call.spend_elements(shape));
  return Values{
      pick(*call.inputs[0].constant, std::move(shape), along_axis(from, static_cast<std::size_t>(axis), positions))};
}

Result<Values> concat(Call& call) {
  if (call.inputs.empty()) return call.fail(Kind::ModelMalformed, "nothing to concatenate");
  if (call.inputs.size() > kMaxParts && !call.all_constant())
    return call.fail(Kind::LimitExceeded, fmt::format("more than {} data tensors are joined", kMaxParts));
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    if (!call.has_input(i)) return call.fail(Kind::ModelMalformed, fmt::format("input {} is missing", i));
  }
  if (!call.has_attribute("axis")) return call.fail(Kind::ModelMalformed, "attribute `axis` is missing");
  Shape shape = shape_of(call.inputs.front());
  WEFT_TRY(const std::int64_t given, call.get_int("axis", 0));
  WEFT_TRY(const std::int64_t axis, call.axis(given, static_cast<std::int64_t>(shape.size())));
  const auto at = static_cast<std::size_t>(axis);
  const auto element_of = [](const Value& v) { return v.constant ? v.constant->element : v.dynamic->element; };
  std::int64_t total = 0;
  for (const auto& part : call.inputs) {
    Shape other = shape_of(part);
    if (other.size() != shape.size() || element_of(part) != element_of(call.inputs.front())) {
      return call.fail(Kind::ShapeMismatch, "parts differ in rank or element type");
    }
    if (__builtin_add_overflow(total, other[at], &total))
      return call.fail(Kind::LimitExceeded, "the result is too large");
    other[at] = shape[at];
    if (other != shape) {
      return call.fail(Kind::ShapeMismatch, fmt::format("shapes {} and {} cannot be joined along axis {}",
                                                        to_string(shape), to_string(shape_of(part)), axis));
    }
  }
  shape[at] = total;
  if (!call.all_constant()) return join_data(call, std::move(shape), axis);
  WEFT_TRY(Constant out, join_constants(call, std::move(shape), axis));
  return Values{std::move(out)};
}

Result<Values> slice(Call& call) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the data is missing");
  const Shape& from = shape_of(call.inputs[0]);
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
  std::vector<Cut> cuts;
  std::vector<bool> seen(from.size(), false);
  for (std::size_t i = 0; i < starts.size(); ++i) {
    WEFT_TRY(const std::int64_t axis, call.axis(axes[i], static_cast<std::int64_t>(from.size())));
    const auto at = static_cast<std::size_t>(axis);
    if (seen[at] || steps[i] == 0) return call.fail(Kind::ModelMalformed, "an axis is given twice, or a step is zero");
    seen[at] = true;
    cuts.push_back({axis, starts[i], ends[i], steps[i]});
  }
  if (call.inputs[0].dynamic) {
    WEFT_TRY(Dynamic out, cut_data(call, *call.inputs[0].dynamic, cuts, ""));
    return Values{std::move(out)};
  }
  WEFT_TRY(Constant out, cut_constant(call, *call.inputs[0].constant, cuts));
  return Values{std::move(out)};
}

Result<Values> split(Call& call) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the data is missing");
  const Shape& from = shape_of(call.inputs[0]);
  WEFT_TRY(const std::int64_t given, call.get_int("axis", 0));
  WEFT_TRY(const std::int64_t axis, call.axis(given, static_cast<std::int64_t>(from.size())));
  const auto extent = from[static_cast<std::size_t>(axis)];
  WEFT_TRY(Shape lengths, call.get_ints("split"));
  if (call.has_input(1)) {
    WEFT_TRY(lengths, call.integers(1, "the lengths"));
  }
  const auto count = static_cast<std::int64_t>(call.node.outputs.size());
  WEFT_TRY(const std::int64_t stated, call.get_int("num_outputs", count));
  if (stated != count || count < 1 || static_cast<std::size_t>(count) > kMaxParts) {
    return call.fail(Kind::ShapeMismatch,
                     fmt::format("an axis of {} is split into {} parts for {} outputs", extent, stated, count));
  }
  if (lengths.empty()) {
    // Equal parts; since opset 18 the last one may be shorter.
    const std::int64_t length = (extent + count - 1) / count;
    lengths.assign(static_cast<std::size_t>(count), length);
    lengths.back() = extent - length * (count - 1);
  }
  const std::int64_t least = call.inputs[0].dynamic ? 1 : 0;
  std::int64_t total = 0;
  for (const auto length : lengths) {
    if (length < least || length > extent - total) total = extent + 1;
    if (total <= extent) total += length;
  }
  if (total != extent || static_cast<std::int64_t>(lengths.size()) != count) {
    return call.fail(Kind::ShapeMismatch, fmt::format("an axis of {} cannot be split into {} for {} outputs", extent,
                                                      to_string(lengths), count));
  }
  Values out;
  std::int64_t start = 0;
  bool first = true;
  for (std::size_t i = 0; i < lengths.size(); ++i) {
    const std::vector<Cut> cuts{{axis, start, start + lengths[i], 1}};
    start += lengths[i];
    if (call.node.outputs[i].empty()) {
      out.emplace_back();
      continue;
    }
    if (call.inputs[0].constant) {
      WEFT_TRY(Constant part, cut_constant(call, *call.inputs[0].constant, cuts));
      out.emplace_back(std::move(part));
      continue;
    }
    call.origin.tensor = call.node.outputs[i];
    WEFT_TRY(Dynamic part, cut_data(call, *call.inputs[0].dynamic, cuts, first ? "" : fmt::format("_part{}", i)));
    first = false;
    out.emplace_back(std::move(part));
  }
  return out;
}

}  // namespace weft::formats::onnx::ops
