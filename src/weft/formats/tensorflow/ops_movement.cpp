// SPDX-License-Identifier: Apache-2.0
// Operators that move elements, and the arithmetic of shapes, in which the batch is a number that is only passed on.
#include <fmt/format.h>

#include <algorithm>

#include "weft/formats/tensorflow/bundle.h"
#include "weft/formats/tensorflow/import.h"

namespace weft::formats::tensorflow {
namespace {

using Ints = std::vector<std::int64_t>;

TensorValue integer_list(Ints list) {
  TensorValue out;
  out.type = kInt32;
  out.shape = {static_cast<std::int64_t>(list.size())};
  out.integers = std::move(list);
  return out;
}

Result<void> reshape(const Call& call, nn::TensorId x, const Shape& to) {
  if (call.shape_of(x) == to) {
    call.set(x);
    return {};
  }
  return call.add({.op = "Reshape", .attributes = {{"shape", to}}, .inputs = {x}});
}

Result<void> read_shape(const Call& call) {
  Ints out;
  if (call.is_constant(0)) {
    out = call.inputs[0].constant->shape;
  } else {
    WEFT_TRY(const auto x, call.data(0));
    out = {kBatch};
    const Shape& shape = call.shape_of(x);
    out.insert(out.end(), shape.begin(), shape.end());
  }
  call.set(integer_list(std::move(out)));
  return {};
}

Result<void> read_reshape(const Call& call) {
  WEFT_TRY(const auto to, call.integers(1, "the shape"));
  if (call.is_constant(0)) {
    TensorValue out = *call.inputs[0].constant;
    Shape shape = to;
    std::int64_t known = 1;
    for (const auto d : shape) known *= d == -1 ? 1 : std::clamp<std::int64_t>(d, 0, 1 << 24);
    for (auto& d : shape)
      if (d == -1) d = known == 0 ? 0 : element_count(out.shape) / known;
    if (std::any_of(shape.begin(), shape.end(), [](auto d) { return d < 0 || d > (1 << 28); }) || shape.size() > 16 ||
        element_count(shape) != element_count(out.shape))
      return call.fail(Kind::ShapeMismatch, "the constant does not have the elements of its new shape");
    out.shape = std::move(shape);
    call.set(std::move(out));
    return {};
  }
  WEFT_TRY(const auto x, call.data(0));
  const std::int64_t elements = element_count(call.shape_of(x));
  if (to.empty()) return call.fail(Kind::ShapeMismatch, "the batch would be reshaped away");
  Shape shape(to.begin() + 1, to.end());
  std::int64_t known = 1;
  std::int64_t unknown = 0;
  for (const auto d : shape) {
    if (d == -1)
      ++unknown;
    else if (d < 1 || known > elements / d)
      return call.fail(Kind::ShapeMismatch,
                       fmt::format("a tensor of {} elements cannot become {}", elements, weft::to_string(to)));
    else
      known *= d;
  }
  for (auto& d : shape)
    if (d == -1) d = elements / known;
  const bool batch_first = to[0] == kBatch || to[0] == 1 || (to[0] == -1 && unknown == 0);
  if (!batch_first || unknown > 1 || element_count(shape) != elements)
    return call.fail(Kind::LayerUnsupported, fmt::format("reshaping {} elements to {} moves elements between samples",
                                                         elements, weft::to_string(to)));
  return reshape(call, x, shape);
}

Result<void> read_squeeze(const Call& call) {
  WEFT_TRY(const auto x, call.data(0));
  const Shape& from = call.shape_of(x);
  auto axes = integers_attribute(call.node, "squeeze_dims").value_or(Ints{});
  Shape to;
  std::vector<bool> dropped(from.size(), false);
  for (const auto axis : axes) {
    WEFT_TRY(const auto own, call.sample_axis(axis, from.size()));
    dropped[static_cast<std::size_t>(own)] = true;
  }
  for (std::size_t d = 0; d < from.size(); ++d) {
    const bool drop = axes.empty() ? from[d] == 1 : dropped[d];
    if (drop && from[d] != 1) return call.fail(Kind::ShapeMismatch, "an axis to squeeze is longer than 1");
    if (!drop) to.push_back(from[d]);
  }
  return reshape(call, x, to);
}

Result<void> read_expand_dims(const Call& call) {
  WEFT_TRY(const auto axis, call.integers(1, "the axis"));
  if (axis.size() != 1) return call.fail(Kind::ModelMalformed, "the axis is not one number");
  if (call.is_constant(0)) {
    TensorValue out = *call.inputs[0].constant;
    const auto rank = static_cast<std::int64_t>(out.shape.size()) + 1;
    const std::int64_t at = axis[0] < 0 ? axis[0] + rank : axis[0];
    if (at < 0 || at >= rank) return call.fail(Kind::ModelMalformed, fmt::format("axis {}", axis[0]));
    out.shape.insert(out.shape.begin() + at, 1);
    call.set(std::move(out));
    return {};
  }
  WEFT_TRY(const auto x, call.data(0));
  Shape to = call.shape_of(x);
  WEFT_TRY(const auto own, call.sample_axis(axis[0], to.size() + 1));
  to.insert(to.begin() + own, 1);
  return reshape(call, x, to);
}

Result<void> read_transpose(const Call& call) {
  WEFT_TRY(const auto x, call.data(0));
  WEFT_TRY(const auto order, call.integers(1, "the permutation"));
  const std::size_t rank = call.shape_of(x).size() + 1;
  Ints sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < rank; ++i)
    if (sorted.size() != rank || sorted[i] != static_cast<std::int64_t>(i))
      return call.fail(Kind::ModelMalformed, "the permutation is none");
  if (order[0] != 0) return call.fail(Kind::LayerUnsupported, "the batch must stay the first axis");
  Ints own;
  for (std::size_t i = 1; i < rank; ++i) own.push_back(order[i] - 1);
  return call.add({.op = "Permute", .attributes = {{"permutation", own}}, .inputs = {x}});
}

Result<void> read_concat(const Call& call) {
  if (call.inputs.size() < 2) return call.fail(Kind::ModelMalformed, "there is nothing to join");
  const std::size_t last = call.inputs.size() - 1;
  WEFT_TRY(const auto axis, call.integers(last, "the axis"));
  if (axis.size() != 1) return call.fail(Kind::ModelMalformed, "the axis is not one number");
  bool constant = true;
  for (std::size_t i = 0; i < last; ++i) constant = constant && call.is_constant(i);
  if (constant) {
    Ints out;
    for (std::size_t i = 0; i < last; ++i) {
      WEFT_TRY(const auto part, call.integers(i, "a part"));
      out.insert(out.end(), part.begin(), part.end());
    }
    call.set(integer_list(std::move(out)));
    return {};
  }
  LayerDraft draft{.op = "Concat"};
  for (std::size_t i = 0; i < last; ++i) {
    WEFT_TRY(const auto x, call.data(i));
    draft.inputs.push_back(x);
  }
  WEFT_TRY(draft.attributes["axis"], call.sample_axis(axis[0], call.shape_of(draft.inputs[0]).size()));
  return call.add(std::move(draft));
}

Result<void> read_pack(const Call& call) {
  Ints out;
  for (std::size_t i = 0; i < call.inputs.size(); ++i) {
    WEFT_TRY(const auto part, call.integers(i, "a part of a list"));
    if (part.size() != 1) return call.fail(Kind::LayerUnsupported, "of constants, only numbers are stacked");
    out.push_back(part[0]);
  }
  call.set(integer_list(std::move(out)));
  return {};
}

Result<void> read_pad(const Call& call) {
  WEFT_TRY(const auto x, call.data(0));
  WEFT_TRY(const auto pads, call.integers(1, "the padding"));
  const std::size_t rank = call.shape_of(x).size() + 1;
  if (pads.size() != 2 * rank || pads[0] != 0 || pads[1] != 0)
    return call.fail(Kind::ShapeMismatch, "the padding does not fit the input, or pads the batch");
  Ints before;
  Ints after;
  for (std::size_t d = 1; d < rank; ++d) {
    for (const auto p : {pads[2 * d], pads[2 * d + 1]})
      if (p < 0 || p > (1 << 24)) return call.fail(Kind::ModelMalformed, fmt::format("a padding of {}", p));
    before.push_back(pads[2 * d]);
    after.push_back(pads[2 * d + 1]);
  }
  LayerDraft draft{.op = "Pad", .attributes = {{"before", before}, {"after", after}}, .inputs = {x}};
  if (call.node.op == "PadV2") {
    WEFT_TRY(const auto value, call.reals(2, "the padding's value"));
    if (value.size() != 1) return call.fail(Kind::ModelMalformed, "the padding's value is not one number");
    draft.attributes["value"] = static_cast<double>(value.data[0]);
  }
  if (call.node.op == "MirrorPad") {
    if (text_attribute(call.node, "mode").value_or("") != "REFLECT")
      return call.fail(Kind::AttributeUnsupported, "only the mode REFLECT of MirrorPad is read");
    draft.attributes["mode"] = std::string("reflect");
  }
  return call.add(std::move(draft));
}

struct Masks {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  std::int64_t shrink = 0;
};

Result<void> read_strided_slice(const Call& call) {
  WEFT_TRY(const auto begin, call.integers(1, "the begin of a slice"));
  WEFT_TRY(const auto end, call.integers(2, "the end of a slice"));
  WEFT_TRY(const auto step, call.integers(3, "the step of a slice"));
  const Masks masks{integer_attribute(call.node, "begin_mask").value_or(0),
                    integer_attribute(call.node, "end_mask").value_or(0),
                    integer_attribute(call.node, "shrink_axis_mask").value_or(0)};
  if (integer_attribute(call.node, "ellipsis_mask").value_or(0) != 0 ||
      integer_attribute(call.node, "new_axis_mask").value_or(0) != 0)
    return call.fail(Kind::AttributeUnsupported, "slices with an ellipsis or new axes are not read");
  Shape full;
  const bool constant = call.is_constant(0);
  nn::TensorId x;
  if (constant) {
    full = call.inputs[0].constant->shape;
  } else {
    WEFT_TRY(x, call.data(0));
    full = {1};
    const Shape& s = call.shape_of(x);
    full.insert(full.end(), s.begin(), s.end());
  }
  if (begin.size() > full.size() || end.size() != begin.size() || step.size() != begin.size())
    return call.fail(Kind::ShapeMismatch, "the slice has more axes than the tensor");
  Ints from;
  Ints to;
  Ints by;
  Shape kept;
  for (std::size_t d = 0; d < full.size(); ++d) {
    const std::int64_t bit = std::int64_t{1} << d;
    const bool given = d < begin.size();
    std::int64_t s = given ? step[d] : 1;
    if (s == 0 || s > (1 << 24) || s < -(1 << 24))
      return call.fail(Kind::ModelMalformed, fmt::format("a step of {}", s));
    const auto clip = [&](std::int64_t v) {
      if (v < 0) v += full[d];
      return std::clamp<std::int64_t>(v, s > 0 ? 0 : -1, s > 0 ? full[d] : full[d] - 1);
    };
    const std::int64_t b = !given || (masks.begin & bit) != 0 ? (s > 0 ? 0 : full[d] - 1) : clip(begin[d]);
    std::int64_t e = !given || (masks.end & bit) != 0 ? (s > 0 ? full[d] : -1) : clip(end[d]);
    const bool shrink = given && (masks.shrink & bit) != 0;
    if (shrink) {
      e = b + 1;
      s = 1;
    }
    const std::int64_t count = s > 0 ? (e - b + s - 1) / s : (e - b + s + 1) / s;
    const bool whole = b == 0 && s == 1 && !shrink && (e == full[d] || !given || (masks.end & bit) != 0);
    if (!constant && d == 0 && !whole) return call.fail(Kind::LayerUnsupported, "the batch cannot be sliced");
    if (count < 1 || b < 0 || b >= full[d]) return call.fail(Kind::ShapeMismatch, "the slice is empty");
    from.push_back(b);
    to.push_back(e);
    by.push_back(s);
    if (!shrink && d > 0) kept.push_back(count);
  }
  if (constant) {
    const auto& c = *call.inputs[0].constant;
    if (full.size() != 1 || c.integers.empty())
      return call.fail(Kind::LayerUnsupported, "of constants, only lists of integers are sliced");
    TensorValue out = integer_list({});
    for (std::int64_t i = from[0]; by[0] > 0 ? i < to[0] : i > to[0]; i += by[0])
      out.integers.push_back(c.integers.at(static_cast<std::size_t>(i)));
    out.shape = {static_cast<std::int64_t>(out.integers.size())};
    if ((masks.shrink & 1) != 0) out.shape.clear();
    call.set(std::move(out));
    return {};
  }
  const auto tail = [](const Ints& list) { return Ints(list.begin() + 1, list.end()); };
  WEFT_TRY_VOID(call.add(
      {.op = "Slice", .attributes = {{"begin", tail(from)}, {"end", tail(to)}, {"step", tail(by)}}, .inputs = {x}}));
  const auto sliced = *call.outputs[0].tensor;
  if (call.shape_of(sliced) == kept) return {};
  NodeDef node = call.node;
  std::vector<Value> outputs;
  const Call shaped{call.ctx,    call.builder, node,   call.builder.unique_name(call.layer_name + "/shaped"),
                    call.origin, {},           outputs};
  WEFT_TRY_VOID(reshape(shaped, sliced, kept));
  call.outputs = outputs;
  return {};
}

}  // namespace

std::vector<Operator> movement_operators() {
  return {{"ConcatV2", read_concat},
          {"ExpandDims", read_expand_dims},
          {"MirrorPad", read_pad},
          {"Pack", read_pack},
          {"Pad", read_pad},
          {"PadV2", read_pad},
          {"Reshape", read_reshape},
          {"Shape", read_shape},
          {"Squeeze", read_squeeze},
          {"StridedSlice", read_strided_slice},
          {"Transpose", read_transpose}};
}

}  // namespace weft::formats::tensorflow
