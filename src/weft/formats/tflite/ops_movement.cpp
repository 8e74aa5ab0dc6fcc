// SPDX-License-Identifier: Apache-2.0
// Operators that move elements, on data and, for the arithmetic of shapes, on integer constants.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "weft/formats/tflite/import.h"
#include "weft/layers/resample.h"

namespace weft::formats::tflite {
namespace {

using Ints = std::vector<std::int64_t>;

/// Weights of an interpolation along one axis.
constexpr std::int64_t kMaxMatrix = std::int64_t{1} << 24;

/// A tensor of the file in the layer graph, with or without its leading axis of one.
struct View {
  nn::TensorId tensor;
  Shape shape;
  std::size_t dropped = 0;  ///< leading axes of the file's shape that are missing
};
/// `whole`: with all axes.
Result<View> view_of(const Call& call, std::size_t i, bool whole) {
  WEFT_TRY(const TensorDef* def, call.input(i));
  View out;
  out.shape = whole ? def->shape : sample_shape(def->shape);
  out.dropped = def->shape.size() - out.shape.size();
  WEFT_TRY(out.tensor, call.data_as(i, out.shape));
  return out;
}

Result<std::int64_t> axis_of(const Call& call, std::int64_t axis, std::int64_t rank) {
  if (axis < -rank || axis >= rank) return call.fail(Kind::ModelMalformed, fmt::format("axis {} of {}", axis, rank));
  return axis < 0 ? axis + rank : axis;
}

/// The same numbers under another shape.
Result<void> read_reshape(const Call& call) {
  if (call.is_constant(0)) {
    WEFT_TRY(const auto c, call.constant(0, "the input"));
    Constant out = *c;
    out.shape = call.output().shape;
    if (element_count(out.shape) != element_count(c->shape))
      return call.fail(Kind::ShapeMismatch, "the result has another number of elements");
    call.set_constant(std::move(out));
    return {};
  }
  WEFT_TRY(const auto x, call.data(0));
  const Shape to = sample_shape(call.output().shape);
  if (std::any_of(to.begin(), to.end(), [](auto d) { return d < 1; }) ||
      element_count(to) != element_count(call.shape_of(x)))
    return call.fail(Kind::ShapeMismatch,
                     fmt::format("a tensor of shape {} cannot become {}", weft::to_string(call.shape_of(x)),
                                 weft::to_string(call.output().shape)));
  return call.set(call.add({.op = "Reshape", .attributes = {{"shape", to}}, .inputs = {x}, .shape = to}));
}

Result<void> read_shape(const Call& call) {
  WEFT_TRY(const TensorDef* x, call.input(0));
  call.set_constant({{static_cast<std::int64_t>(x->shape.size())}, {}, x->shape});
  return {};
}

/// An axis of one never changes the order of elements, so the batch may stand anywhere.
Result<void> read_transpose(const Call& call) {
  WEFT_TRY(const TensorDef* def, call.input(0));
  WEFT_TRY(const auto order, call.integers(1, "the permutation"));
  const auto rank = static_cast<std::int64_t>(def->shape.size());
  Ints sorted = order;
  std::sort(sorted.begin(), sorted.end());
  for (std::int64_t i = 0; i < rank; ++i)
    if (sorted.size() != def->shape.size() || sorted[static_cast<std::size_t>(i)] != i)
      return call.fail(Kind::ModelMalformed, "the permutation is none");
  WEFT_TRY(const View x, view_of(call, 0, false));
  Ints permutation;
  Shape to;
  for (const auto axis : order) {
    const std::int64_t own = axis - static_cast<std::int64_t>(x.dropped);
    if (own < 0) continue;
    permutation.push_back(own);
    to.push_back(x.shape[static_cast<std::size_t>(own)]);
  }
  return call.set(
      call.add({.op = "Permute", .attributes = {{"permutation", permutation}}, .inputs = {x.tensor}, .shape = to}));
}

Result<void> read_pad(const Call& call) {
  WEFT_TRY(const TensorDef* def, call.input(0));
  WEFT_TRY(const auto pads, call.integers(1, "the padding"));
  const std::size_t rank = def->shape.size();
  if (pads.size() != 2 * rank) return call.fail(Kind::ShapeMismatch, "the padding does not fit the input");
  for (const auto p : pads)
    if (p < 0 || p > (1 << 24)) return call.fail(Kind::ModelMalformed, fmt::format("a padding of {}", p));
  WEFT_TRY(const View x, view_of(call, 0, rank > 0 && (pads[0] != 0 || pads[1] != 0)));
  Ints before;
  Ints after;
  Shape to;
  for (std::size_t d = x.dropped; d < rank; ++d) {
    before.push_back(pads[2 * d]);
    after.push_back(pads[2 * d + 1]);
    to.push_back(def->shape[d] + pads[2 * d] + pads[2 * d + 1]);
  }
  AttributeMap attributes{{"before", before}, {"after", after}};
  if (call.op.name == "MIRROR_PAD") {
    if (call.op.options.integer8(0) != 0)
      return call.fail(Kind::AttributeUnsupported, "only the mode REFLECT of MIRROR_PAD is supported");
    attributes["mode"] = std::string("reflect");
  } else if (call.op.name == "PADV2" && call.has_input(2)) {
    WEFT_TRY(const auto value, call.constant(2, "the padding's value"));
    if (value->reals.size() + value->integers.size() != 1)
      return call.fail(Kind::ModelMalformed, "the padding's value is not one number");
    attributes["value"] = !value->reals.empty() ? static_cast<double>(value->reals[0])
                                                : static_cast<double>(def->scale()) *
                                                      static_cast<double>(value->integers[0] - def->zero_point());
  }
  return call.set(
      call.add({.op = "Pad", .attributes = std::move(attributes), .inputs = {x.tensor}, .shape = std::move(to)}));
}

/// begin, end and step of every axis of the file's tensor.
struct Cut {
  Ints begin;
  Ints end;
  Ints step;
};

Result<void> add_slice(const Call& call, std::size_t input, const Cut& cut, std::size_t output,
                       const std::string& suffix) {
  WEFT_TRY(const TensorDef* def, call.input(input));
  const bool whole = !def->shape.empty() && (cut.begin[0] != 0 || cut.end[0] != def->shape[0] || cut.step[0] != 1);
  WEFT_TRY(const View x, view_of(call, input, whole));
  const auto tail = [&](const Ints& list) {
    return Ints(list.begin() + static_cast<std::ptrdiff_t>(x.dropped), list.end());
  };
  Shape to;
  for (std::size_t d = x.dropped; d < def->shape.size(); ++d) {
    const std::int64_t step = cut.step[d];
    const std::int64_t span = step > 0 ? cut.end[d] - cut.begin[d] + step - 1 : cut.end[d] - cut.begin[d] + step + 1;
    to.push_back(span / step);
    if (to.back() < 1) return call.fail(Kind::ShapeMismatch, "the slice is empty");
  }
  return call.set(
      call.add({.op = "Slice",
                .attributes = {{"begin", tail(cut.begin)}, {"end", tail(cut.end)}, {"step", tail(cut.step)}},
                .inputs = {x.tensor},
                .shape = std::move(to),
                .suffix = suffix}),
      output);
}

Result<void> read_slice(const Call& call) {
  WEFT_TRY(const TensorDef* def, call.input(0));
  Cut cut;
  WEFT_TRY(cut.begin, call.integers(1, "the begin of a slice"));
  WEFT_TRY(const auto size, call.integers(2, "the size of a slice"));
  const std::size_t rank = def->shape.size();
  if (cut.begin.size() != rank || size.size() != rank) return call.fail(Kind::ShapeMismatch, "the slice does not fit");
  for (std::size_t d = 0; d < rank; ++d) {
    const std::int64_t end = size[d] == -1 ? def->shape[d] : cut.begin[d] + size[d];
    if (cut.begin[d] < 0 || end > def->shape[d] || end <= cut.begin[d])
      return call.fail(Kind::ShapeMismatch, "the slice leaves the tensor");
    cut.end.push_back(end);
    cut.step.push_back(1);
  }
  return add_slice(call, 0, cut, 0, "");
}

Result<void> read_strided_slice(const Call& call) {
  WEFT_TRY(const TensorDef* def, call.input(0));
  WEFT_TRY(const auto begin, call.integers(1, "the begin of a slice"));
  WEFT_TRY(const auto end, call.integers(2, "the end of a slice"));
  WEFT_TRY(const auto step, call.integers(3, "the step of a slice"));
  const Table& o = call.op.options;
  const std::int64_t begin_mask = o.integer32(0);
  const std::int64_t end_mask = o.integer32(1);
  const std::int64_t shrink_mask = o.integer32(4);
  if (o.integer32(2) != 0 || o.integer32(3) != 0)
    return call.fail(Kind::AttributeUnsupported, "slices with an ellipsis or new axes are not read");
  const std::size_t rank = def->shape.size();
  if (begin.size() > rank || end.size() != begin.size() || step.size() != begin.size())
    return call.fail(Kind::ShapeMismatch, "the slice has more axes than the tensor");
  Cut cut;
  for (std::size_t d = 0; d < rank; ++d) {
    const std::int64_t extent = def->shape[d];
    if (d >= begin.size()) {
      cut.begin.push_back(0);
      cut.end.push_back(extent);
      cut.step.push_back(1);
      continue;
    }
    const std::int64_t bit = std::int64_t{1} << d;
    std::int64_t s = step[d];
    if (s == 0 || std::abs(s) > (1 << 24)) return call.fail(Kind::ModelMalformed, fmt::format("a step of {}", s));
    std::int64_t b = begin[d] < 0 ? begin[d] + extent : begin[d];
    const std::int64_t last = o.flag(5) ? begin[d] + end[d] : end[d];
    std::int64_t e = last < 0 ? last + extent : last;
    b = (begin_mask & bit) != 0 ? (s > 0 ? 0 : extent - 1)
                                : std::clamp<std::int64_t>(b, s > 0 ? 0 : -1, s > 0 ? extent : extent - 1);
    e = (end_mask & bit) != 0 ? (s > 0 ? extent : -1)
                              : std::clamp<std::int64_t>(e, s > 0 ? 0 : -1, s > 0 ? extent : extent - 1);
    if ((shrink_mask & bit) != 0) {
      e = b + 1;
      s = 1;
    }
    cut.begin.push_back(b);
    cut.end.push_back(e);
    cut.step.push_back(s);
  }
  if (!call.is_constant(0)) return add_slice(call, 0, cut, 0, "");
  WEFT_TRY(const auto c, call.constant(0, "the input"));
  if (rank != 1 || c->integers.empty())
    return call.fail(Kind::LayerUnsupported, "of constants, only lists of integers are sliced");
  Constant out;
  for (std::int64_t i = cut.begin[0]; cut.step[0] > 0 ? i < cut.end[0] : i > cut.end[0]; i += cut.step[0])
    out.integers.push_back(c->integers.at(static_cast<std::size_t>(i)));
  if ((shrink_mask & 1) == 0) out.shape = {static_cast<std::int64_t>(out.integers.size())};
  call.set_constant(std::move(out));
  return {};
}

/// An input of another scale or zero point than the result, brought to it.
Result<nn::TensorId> with_scale_of(const Call& call, const TensorDef& in, nn::TensorId x, const TensorDef& out) {
  if (!out.quantized() || (in.scale() == out.scale() && in.zero_point() == out.zero_point() && in.type == out.type))
    return x;
  if (out.type != Type::UInt8)
    return call.fail(Kind::ModelMalformed, "the inputs of a concatenation must have the scale of its result");
  WEFT_TRY(auto attributes, call.integer_attributes({&in}, out));
  // The reference kernel: float32 factor and offset.
  const float factor = in.scale() * (1.0F / out.scale());
  const float offset = -static_cast<float>(in.zero_point()) * factor;
  Ints table;
  for (std::int64_t q = 0; q <= 255; ++q) {
    const auto value = static_cast<std::int64_t>(std::round(static_cast<float>(q) * factor + offset));
    table.push_back(std::clamp<std::int64_t>(value + out.zero_point(), 0, 255) - out.zero_point());
  }
  attributes.erase("lo");
  attributes.erase("hi");
  attributes["table"] = std::move(table);
  attributes["first"] = -in.zero_point();
  return call.add({.op = "IntegerTable",
                   .attributes = std::move(attributes),
                   .inputs = {x},
                   .shape = call.shape_of(x),
                   .suffix = "/rescaled"});
}

Result<void> read_concatenation(const Call& call) {
  const bool pack = call.op.name == "PACK";
  const TensorDef& y = call.output();
  WEFT_TRY(auto axis,
           axis_of(call, call.op.options.integer32(pack ? 1 : 0), static_cast<std::int64_t>(y.shape.size())));
  if (call.op.inputs.empty()) return call.fail(Kind::ModelMalformed, "there is nothing to join");
  bool constant = true;
  for (std::size_t i = 0; i < call.op.inputs.size(); ++i) constant = constant && call.is_constant(i);
  if (constant) {
    Constant out;
    for (std::size_t i = 0; i < call.op.inputs.size(); ++i) {
      WEFT_TRY(const auto part, call.constant(i, "a part"));
      if (part->shape.size() > (pack ? 0U : 1U) || part->integers.empty())
        return call.fail(Kind::LayerUnsupported, "of constants, only lists of integers are joined");
      out.integers.insert(out.integers.end(), part->integers.begin(), part->integers.end());
    }
    out.shape = {static_cast<std::int64_t>(out.integers.size())};
    call.set_constant(std::move(out));
    return {};
  }
  const auto fused = pack ? Fused::None : static_cast<Fused>(call.op.options.integer8(1));
  if (fused != Fused::None) return call.fail(Kind::AttributeUnsupported, "a concatenation with a fused activation");
  const bool whole = axis == 0 || y.shape[0] != 1;
  LayerDraft draft{.op = "Concat"};
  Shape to;
  for (std::size_t i = 0; i < call.op.inputs.size(); ++i) {
    WEFT_TRY(const TensorDef* in, call.input(i));
    Shape shape = in->shape;
    if (pack) shape.insert(shape.begin() + axis, 1);
    if (shape.size() != y.shape.size()) return call.fail(Kind::ShapeMismatch, "the parts differ in rank");
    if (!whole) shape.erase(shape.begin());
    WEFT_TRY(auto x, call.data_as(i, shape));
    WEFT_TRY(x, with_scale_of(call, *in, x, y));
    draft.inputs.push_back(x);
    const auto at = static_cast<std::size_t>(axis - (whole ? 0 : 1));
    if (to.empty())
      to = shape;
    else
      to[at] += shape[at];
  }
  draft.attributes["axis"] = axis - (whole ? 0 : 1);
  draft.shape = std::move(to);
  return call.set(call.add(std::move(draft)));
}

/// Pieces along one axis, one per output.
Result<void> read_split(const Call& call) {
  const std::string& name = call.op.name;
  const std::size_t data = name == "SPLIT" ? 1 : 0;
  WEFT_TRY(const TensorDef* def, call.input(data));
  Ints axis_value;
  if (name == "UNPACK") {
    axis_value = {call.op.options.integer32(1)};
  } else {
    WEFT_TRY(axis_value, call.integers(name == "SPLIT" ? 0 : 2, "the axis of a split"));
  }
  if (axis_value.size() != 1) return call.fail(Kind::ModelMalformed, "the axis of a split is not one number");
  WEFT_TRY(const auto axis, axis_of(call, axis_value[0], static_cast<std::int64_t>(def->shape.size())));
  const auto d = static_cast<std::size_t>(axis);
  const auto parts = static_cast<std::int64_t>(call.op.outputs.size());
  Ints sizes(call.op.outputs.size(), def->shape[d] / parts);
  if (name == "SPLIT_V") {
    WEFT_TRY(sizes, call.integers(1, "the sizes of a split"));
    std::int64_t known = 0;
    for (const auto s : sizes) known += std::max<std::int64_t>(s, 0);
    for (auto& s : sizes)
      if (s == -1) s = def->shape[d] - known;
  }
  if (sizes.size() != call.op.outputs.size() ||
      std::accumulate(sizes.begin(), sizes.end(), std::int64_t{0}) != def->shape[d])
    return call.fail(Kind::ShapeMismatch, "the pieces do not cover the axis");
  std::int64_t at = 0;
  for (std::size_t i = 0; i < sizes.size(); ++i) {
    if (sizes[i] < 1) return call.fail(Kind::ShapeMismatch, "a piece is empty");
    Cut cut{Ints(def->shape.size(), 0), def->shape, Ints(def->shape.size(), 1)};
    cut.begin[d] = at;
    cut.end[d] = at += sizes[i];
    WEFT_TRY_VOID(add_slice(call, data, cut, i, i == 0 ? "" : fmt::format("/{}", i)));
  }
  return {};
}

Result<void> take(const Call& call, const Ints& indices, std::int64_t axis) {
  WEFT_TRY(const View x, view_of(call, 0, axis == 0));
  const std::int64_t own = axis - static_cast<std::int64_t>(x.dropped);
  Shape to = x.shape;
  to[static_cast<std::size_t>(own)] = static_cast<std::int64_t>(indices.size());
  return call.set(call.add({.op = "Take",
                            .attributes = {{"axis", own}, {"indices", indices}},
                            .inputs = {x.tensor},
                            .shape = std::move(to)}));
}

Result<void> read_tile(const Call& call) {
  WEFT_TRY(const TensorDef* def, call.input(0));
  WEFT_TRY(const auto multiples, call.integers(1, "the repetitions of TILE"));
  if (multiples.size() != def->shape.size())
    return call.fail(Kind::ShapeMismatch, "TILE needs one number of repetitions per axis");
  const bool whole = !multiples.empty() && multiples[0] != 1;
  WEFT_TRY(View x, view_of(call, 0, whole));
  for (std::size_t d = x.dropped; d < multiples.size(); ++d) {
    const std::size_t axis = d - x.dropped;
    const std::int64_t n = x.shape[axis];
    if (multiples[d] < 1 || multiples[d] > (1 << 24) / n)
      return call.fail(Kind::ModelMalformed, fmt::format("{} repetitions of an axis of {}", multiples[d], n));
    if (multiples[d] == 1) continue;
    Ints indices;
    for (std::int64_t i = 0; i < n * multiples[d]; ++i) indices.push_back(i % n);
    x.shape[axis] = n * multiples[d];
    x.tensor = call.add({.op = "Take",
                         .attributes = {{"axis", static_cast<std::int64_t>(axis)}, {"indices", std::move(indices)}},
                         .inputs = {x.tensor},
                         .shape = x.shape,
                         .suffix = fmt::format("/{}", d)});
  }
  return call.set(x.tensor);
}

Result<void> read_gather(const Call& call) {
  WEFT_TRY(const TensorDef* def, call.input(0));
  WEFT_TRY(auto indices, call.integers(1, "the indices of GATHER"));
  if (call.op.options.integer32(1) != 0) return call.fail(Kind::AttributeUnsupported, "GATHER with batch_dims");
  WEFT_TRY(const auto axis, axis_of(call, call.op.options.integer32(0), static_cast<std::int64_t>(def->shape.size())));
  if (call.is_constant(0)) {
    WEFT_TRY(const auto c, call.constant(0, "the input"));
    WEFT_TRY(const TensorDef* list, call.input(1));
    Constant out{list->shape, {}, {}};
    for (const auto i : indices) {
      if (c->shape.size() != 1 || i < 0 || i >= static_cast<std::int64_t>(c->integers.size()))
        return call.fail(Kind::LayerUnsupported, "of constants, only lists of integers are gathered");
      out.integers.push_back(c->integers[static_cast<std::size_t>(i)]);
    }
    call.set_constant(std::move(out));
    return {};
  }
  for (const auto i : indices)
    if (i < 0 || i >= def->shape[static_cast<std::size_t>(axis)])
      return call.fail(Kind::ModelMalformed, fmt::format("index {} is out of range", i));
  return take(call, indices, axis);
}

/// Source position of each output position, in the interpreter's float32.
Ints nearest(std::int64_t from, std::int64_t to, bool align_corners, bool half_pixel) {
  const float scale = align_corners && to > 1 ? static_cast<float>(from - 1) / static_cast<float>(to - 1)
                                              : static_cast<float>(from) / static_cast<float>(to);
  Ints out;
  for (std::int64_t i = 0; i < to; ++i) {
    const float at = (static_cast<float>(i) + (half_pixel ? 0.5F : 0.0F)) * scale;
    const auto index = static_cast<std::int64_t>(align_corners ? std::round(at) : std::floor(at));
    out.push_back(std::clamp<std::int64_t>(index, 0, from - 1));
  }
  return out;
}

Result<void> read_resize_nearest(const Call& call) {
  WEFT_TRY(const TensorDef* def, call.input(0));
  WEFT_TRY(const auto size, call.integers(1, "the size"));
  if (def->shape.size() != 4 || size.size() != 2 || size[0] < 1 || size[1] < 1 || size[0] > 65536 || size[1] > 65536)
    return call.fail(Kind::ShapeMismatch, "an image and two extents are needed");
  WEFT_TRY(View x, view_of(call, 0, false));
  for (std::size_t d = 0; d < 2; ++d) {
    const auto axis = static_cast<std::int64_t>(d + 1 - x.dropped);
    auto indices = nearest(def->shape[d + 1], size[d], call.op.options.flag(0), call.op.options.flag(1));
    x.shape[static_cast<std::size_t>(axis)] = size[d];
    x.tensor = call.add({.op = "Take",
                         .attributes = {{"axis", axis}, {"indices", std::move(indices)}},
                         .inputs = {x.tensor},
                         .shape = x.shape,
                         .suffix = d == 0 ? "/rows" : ""});
  }
  return call.set(x.tensor);
}

Result<void> read_resize_bilinear(const Call& call) {
  WEFT_TRY(const TensorDef* def, call.input(0));
  WEFT_TRY(const auto size, call.integers(1, "the size"));
  if (def->shape.size() != 4 || def->shape[0] != 1 || size.size() != 2 || size[0] < 1 || size[1] < 1 ||
      size[0] > 65536 || size[1] > 65536)
    return call.fail(Kind::ShapeMismatch, "an image with a batch of 1 and two extents are needed");
  const bool align_corners = call.op.options.flag(2);
  const bool half_pixel = call.op.options.flag(3);
  WEFT_TRY(View x, view_of(call, 0, false));
  if (def->quantized()) {
    if (def->type == Type::UInt8)
      return call.fail(Kind::LayerUnsupported, "RESIZE_BILINEAR of uint8 is not read; of int8 and int16 it is");
    WEFT_TRY(auto attributes, call.integer_attributes({def}, call.output()));
    if (def->scale() != call.output().scale() || def->zero_point() != call.output().zero_point())
      return call.fail(Kind::ModelMalformed, "input and result must have one scale and zero point");
    attributes["zero_point"] = def->zero_point();
    attributes["shape"] = Ints{size[0], size[1]};
    attributes["align_corners"] = align_corners;
    attributes["half_pixel"] = half_pixel;
    return call.set(call.add({.op = "IntegerResize",
                              .attributes = std::move(attributes),
                              .inputs = {x.tensor},
                              .shape = {size[0], size[1], x.shape[2]}}));
  }
  layers::Resampling how;
  how.mode = "linear";
  how.coordinates = align_corners ? "align_corners" : half_pixel ? "half_pixel" : "asymmetric";
  for (std::size_t d = 0; d < 2; ++d) {
    how.scale = static_cast<double>(size[d]) / static_cast<double>(x.shape[d]);
    if (size[d] > kMaxMatrix / x.shape[d])
      return call.fail(Kind::LimitExceeded, fmt::format("an axis is resized from {} to {}", x.shape[d], size[d]));
    auto weights = layers::interpolation_weights(how, x.shape[d], size[d]);
    WEFT_CHECK(weights.has_value(), "a way of interpolation that is not known");
    x.shape[d] = size[d];
    LayerDraft draft{.op = "Einsum",
                     .attributes = {{"equation", std::string(d == 0 ? "abc,ax->xbc" : "abc,bx->axc")}},
                     .inputs = {x.tensor},
                     .shape = x.shape,
                     .suffix = d == 0 ? "/rows" : ""};
    draft.parameters["kernel"] = std::move(weights->matrix);
    x.tensor = call.add(std::move(draft));
  }
  return call.set(x.tensor);
}

/// DEPTH_TO_SPACE and SPACE_TO_DEPTH: a permutation between two shapes.
Result<void> read_blocks(const Call& call) {
  WEFT_TRY(const TensorDef* def, call.input(0));
  const std::int64_t b = call.op.options.integer32(0);
  WEFT_TRY(const View x, view_of(call, 0, false));
  if (def->shape.size() != 4 || x.dropped != 1 || b < 1 || b > 4096)
    return call.fail(Kind::ShapeMismatch, "an image with a batch of 1 is needed");
  const std::int64_t h = x.shape[0];
  const std::int64_t w = x.shape[1];
  const std::int64_t c = x.shape[2];
  const bool to_space = call.op.name == "DEPTH_TO_SPACE";
  if (to_space ? c % (b * b) != 0 : h % b != 0 || w % b != 0)
    return call.fail(Kind::ShapeMismatch, "the block does not divide the input");
  const Shape parts = to_space ? Shape{h, w, b, b, c / (b * b)} : Shape{h / b, b, w / b, b, c};
  WEFT_TRY(const auto in, call.data_as(0, parts));
  const Ints order = to_space ? Ints{0, 2, 1, 3, 4} : Ints{0, 2, 1, 3, 4};
  Shape to;
  for (const auto axis : order) to.push_back(parts[static_cast<std::size_t>(axis)]);
  return call.set(
      call.add({.op = "Permute", .attributes = {{"permutation", order}}, .inputs = {in}, .shape = std::move(to)}));
}

Result<void> read_cast(const Call& call) {
  if (!call.is_constant(0)) return call.fail(Kind::LayerUnsupported, "casts of data are not supported");
  WEFT_TRY(const auto c, call.constant(0, "the input"));
  const bool whole = call.output().type == Type::Int32 || call.output().type == Type::Int64;
  if (c->integers.empty() || !whole) return call.fail(Kind::LayerUnsupported, "only casts between integers are read");
  call.set_constant(*c);
  return {};
}

}  // namespace

std::vector<Operator> movement_operators() {
  return {{"CAST", read_cast},
          {"CONCATENATION", read_concatenation},
          {"DEPTH_TO_SPACE", read_blocks},
          {"EXPAND_DIMS", read_reshape},
          {"GATHER", read_gather},
          {"MIRROR_PAD", read_pad},
          {"PACK", read_concatenation},
          {"PAD", read_pad},
          {"PADV2", read_pad},
          {"RESHAPE", read_reshape},
          {"RESIZE_BILINEAR", read_resize_bilinear},
          {"RESIZE_NEAREST_NEIGHBOR", read_resize_nearest},
          {"SHAPE", read_shape},
          {"SLICE", read_slice},
          {"SPACE_TO_DEPTH", read_blocks},
          {"SPLIT", read_split},
          {"SPLIT_V", read_split},
          {"SQUEEZE", read_reshape},
          {"STRIDED_SLICE", read_strided_slice},
          {"TILE", read_tile},
          {"TRANSPOSE", read_transpose},
          {"UNPACK", read_split}};
}

}  // namespace weft::formats::tflite
