// SPDX-License-Identifier: Apache-2.0
// Operators that move elements or leave them alone. On constants they keep codes and scales; on data the batch must
// stay an axis of its own.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <numeric>

#include "weft/formats/onnx/operators.h"

namespace weft::formats::onnx::ops {
namespace {

Shape without_ones(const Shape& shape) {
  Shape out;
  std::copy_if(shape.begin(), shape.end(), std::back_inserter(out), [](auto e) { return e != 1; });
  return out;
}

const Shape& shape_of(const Value& value) { return value.constant ? value.constant->shape : value.dynamic->shape; }

Result<void> require_input(const Call& call) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the input is missing");
  return {};
}

/// The constant input under another shape.
Result<Values> constant_view(const Call& call, Shape shape) {
  WEFT_TRY_VOID(call.spend_elements(shape));
  return Values{with_shape(*call.inputs[0].constant, std::move(shape))};
}

/// A tensor with channels last that has the elements of `x` in their order.
Result<Values> in_layout(const Call& call, Dynamic x) {
  const Shape wanted = x.channels_last_shape();
  const bool same = call.builder.graph.at(x.tensor).shape == wanted;
  LayerDraft draft{.op = same ? "Identity" : "Reshape", .inputs = {x.tensor}, .shape = wanted};
  if (!same) draft.attributes = {{"shape", wanted}};
  WEFT_TRY(x.tensor, call.add(std::move(draft)));
  return Values{std::move(x)};
}

/// Data under another ONNX shape with the same order of elements. Axes of extent one come and go without a Reshape
/// unless they would pile up.
Result<Values> regroup(const Call& call, Dynamic x, Shape shape, std::int64_t batch_axis) {
  const bool same_channels = batch_axis == 0 && shape.size() >= 3 && shape[1] == x.shape[1];
  if (x.channels_last && !same_channels) {
    WEFT_TRY(x, call.in_onnx_order(x));
  }
  Dynamic out = x;
  out.shape = std::move(shape);
  out.batch_axis = batch_axis;
  if (x.channels_last) return in_layout(call, std::move(out));
  const Shape wanted = out.sample_shape();
  const Shape have = call.builder.graph.at(x.tensor).shape;
  const bool same_order = without_ones(wanted) == without_ones(have);
  if (same_order && (wanted == have || wanted.size() > have.size() || wanted.empty())) {
    WEFT_TRY(out.tensor, call.add({.op = "Identity", .inputs = {x.tensor}, .shape = have}));
  } else {
    WEFT_TRY(out.tensor,
             call.add({.op = "Reshape", .attributes = {{"shape", wanted}}, .inputs = {x.tensor}, .shape = wanted}));
  }
  return Values{std::move(out)};
}

/// Where the batch lies after a reshape; nullopt when samples are mixed.
std::optional<std::int64_t> batch_after(const Dynamic& x, const Shape& shape) {
  if (x.batch_axis < 0) return -1;
  const auto before = element_count(Shape(x.shape.begin(), x.shape.begin() + x.batch_axis));
  std::int64_t product = 1;
  for (std::size_t d = 0; d < shape.size() && product <= before; ++d) {
    if (product == before && shape[d] == x.shape[static_cast<std::size_t>(x.batch_axis)])
      return static_cast<std::int64_t>(d);
    product *= shape[d];
  }
  return std::nullopt;
}

Result<Values> reshape_to(const Call& call, const Shape& shape) {
  const Value& in = call.inputs[0];
  if (in.constant) return constant_view(call, shape);
  const auto batch = batch_after(*in.dynamic, shape);
  if (!batch) {
    return call.fail(
        Kind::LayerUnsupported,
        fmt::format("reshaping {} to {} does not keep the batch (axis {}, {} in this file) as an axis of its own",
                    to_string(in.dynamic->shape), to_string(shape), in.dynamic->batch_axis, call.builder.batch));
  }
  return regroup(call, *in.dynamic, shape, *batch);
}

/// Axes from the attribute (before opset 13) or from input 1; nullopt when not given.
Result<std::optional<std::vector<std::int64_t>>> axes_of(const Call& call) {
  if (call.has_input(1)) {
    WEFT_TRY(auto axes, call.integers(1, "the axes"));
    return std::optional(std::move(axes));
  }
  if (!call.has_attribute("axes")) return std::optional<std::vector<std::int64_t>>{};
  WEFT_TRY(auto axes, call.get_ints("axes"));
  return std::optional(std::move(axes));
}

/// The marks of axes in a tensor of `rank` axes; a repeated axis is an error.
Result<std::vector<bool>> marks(const Call& call, const std::vector<std::int64_t>& axes, std::int64_t rank) {
  std::vector<bool> out(static_cast<std::size_t>(rank), false);
  for (const auto given : axes) {
    WEFT_TRY(const std::int64_t axis, call.axis(given, rank));
    if (out[static_cast<std::size_t>(axis)])
      return call.fail(Kind::ModelMalformed, fmt::format("axis {} is given twice", given));
    out[static_cast<std::size_t>(axis)] = true;
  }
  return out;
}

/// Target shape of Reshape with 0 (copy) and -1 (rest) resolved.
Result<Shape> resolve(const Call& call, const Shape& from, const std::vector<std::int64_t>& target, bool allow_zero) {
  Shape out;
  std::optional<std::size_t> rest;
  const auto bad = [&] {
    return call.fail(Kind::ShapeMismatch,
                     fmt::format("a tensor of shape {} cannot take the shape {}", to_string(from), to_string(target)));
  };
  for (std::size_t d = 0; d < target.size(); ++d) {
    auto extent = target[d];
    if (extent == 0 && !allow_zero) {
      if (d >= from.size()) return bad();
      extent = from[d];
    } else if (extent == -1) {
      if (rest) return bad();
      rest = d;
      extent = 1;
    } else if (extent < 0) {
      return bad();
    }
    out.push_back(extent);
  }
  const auto have = element_count(from);
  const auto known = checked_count(out, kMaxExtentProduct);
  if (!known) return bad();
  if (rest) {
    if (*known == 0 || have % *known != 0) return bad();
    out[*rest] = have / *known;
  } else if (*known != have) {
    return bad();
  }
  return out;
}

}  // namespace

Result<Values> identity(Call& call) {
  WEFT_TRY_VOID(require_input(call));
  if (call.inputs[0].constant) return Values{call.inputs[0]};
  return regroup(call, *call.inputs[0].dynamic, call.inputs[0].dynamic->shape, call.inputs[0].dynamic->batch_axis);
}

Result<Values> dropout(Call& call) {
  // is_test = 0 (before opset 7) and a true third input (since 12) mean training; inference drops nothing.
  bool training = false;
  if (call.opset < 7) {
    WEFT_TRY(const std::int64_t is_test, call.get_int("is_test", 0));
    training = is_test == 0;
  }
  if (call.has_input(2)) {
    WEFT_TRY(const ConstantPtr mode, call.constant(2, "the training mode"));
    training = mode->size() == 1 && as_floats(*mode).front() != 0.0F;
  }
  if (training)
    call.ctx.report(Kind::Info, call.origin, "saved in training mode; read as inference, which drops nothing");
  return identity(call);
}

Result<Values> cast(Call& call) {
  WEFT_TRY_VOID(require_input(call));
  if (!call.has_attribute("to")) return call.fail(Kind::ModelMalformed, "attribute `to` is missing");
  WEFT_TRY(const std::int64_t to, call.get_int("to", 0));
  auto element = to > 0 && to < 1000 ? element_from_number(static_cast<std::int32_t>(to)) : std::nullopt;
  // Data is float32 whatever the file says.
  if (element == Element::Float64 && call.inputs[0].dynamic) element = Element::Float32;
  if (!element)
    return call.fail(Kind::AttributeUnsupported,
                     fmt::format("a cast to {} is not supported",
                                 element_name(static_cast<std::int32_t>(std::clamp<std::int64_t>(to, 0, 1000)))));
  if (call.inputs[0].dynamic) {
    const Dynamic& x = *call.inputs[0].dynamic;
    // In a model of half precision all data is float32 here; elsewhere the cast would round.
    const auto& nodes = call.builder.graph.nodes;
    const bool half = std::any_of(nodes.begin(), nodes.end(), [](const nn::Node& n) {
      return n.op == "Identity" && n.attributes.count("note") != 0;
    });
    if (is_half(*element) && x.element == Element::Float32 && half) return identity(call);
    const bool exact = *element == x.element || (*element == Element::Float32 && !is_floating(x.element));
    if (!exact) {
      return call.fail(Kind::LayerUnsupported, fmt::format("a cast of data from {} to {} is not supported",
                                                           element_name(static_cast<std::int32_t>(x.element)),
                                                           element_name(static_cast<std::int32_t>(to))));
    }
    WEFT_TRY(Values out, identity(call));
    out.front().dynamic->element = *element;
    return out;
  }
  const Constant& in = *call.inputs[0].constant;
  if (*element == in.element) return Values{call.inputs[0]};
  if (is_floating(*element) && *element != Element::Float32 && *element != Element::Float64) {
    return call.fail(Kind::AttributeUnsupported,
                     fmt::format("a cast to {} is not supported", element_name(static_cast<std::int32_t>(to))));
  }
  WEFT_TRY_VOID(call.spend_elements(in.shape));
  Constant out;
  out.shape = in.shape;
  out.element = *element;
  if (is_floating(*element)) {
    out.floats = as_floats(in);
    if (in.floating()) {
      out.codes = in.codes;
      out.scales = in.scales;
    }
    return Values{std::move(out)};
  }
  const auto limits = integer_limits(*element);
  for (std::size_t i = 0; i < in.size(); ++i) {
    if (*element == Element::Bool) {
      out.ints.push_back((in.floating() ? in.floats[i] != 0.0F : in.ints[i] != 0) ? 1 : 0);
      continue;
    }
    // float32 numbers below 2^63 convert without loss after truncation.
    const bool fits = in.floating() ? std::fabs(in.floats[i]) < 9223372036854775808.0F
                                    : in.ints[i] >= limits.lo && in.ints[i] <= limits.hi;
    const std::int64_t value = !fits ? 0 : (in.floating() ? static_cast<std::int64_t>(in.floats[i]) : in.ints[i]);
    if (!fits || value < limits.lo || value > limits.hi) {
      return call.fail(Kind::ModelMalformed,
                       fmt::format("element {} does not fit {}", i, element_name(static_cast<std::int32_t>(to))));
    }
    out.ints.push_back(value);
  }
  return Values{std::move(out)};
}

Result<Values> flatten(Call& call) {
  WEFT_TRY_VOID(require_input(call));
  const Shape& from = shape_of(call.inputs[0]);
  const auto rank = static_cast<std::int64_t>(from.size());
  WEFT_TRY(std::int64_t axis, call.get_int("axis", 1));
  if (axis != rank) {
    WEFT_TRY(axis, call.axis(axis, rank));
  }
  // Old writers flatten the one sample of the file at axis 0, which leaves an axis of one in front as well.
  const bool one_sample = axis == 0 && call.builder.batch_is_fixed && call.builder.batch == 1;
  if (call.inputs[0].dynamic && axis <= call.inputs[0].dynamic->batch_axis && !one_sample) {
    return call.fail(Kind::LayerUnsupported,
                     fmt::format("flattening {} at axis {} merges the samples of a batch", to_string(from), axis));
  }
  return reshape_to(call, {element_count(Shape(from.begin(), from.begin() + axis)),
                           element_count(Shape(from.begin() + axis, from.end()))});
}

Result<Values> reshape(Call& call) {
  WEFT_TRY_VOID(require_input(call));
  std::vector<std::int64_t> target;
  if (call.has_input(1)) {
    WEFT_TRY(target, call.integers(1, "the shape"));
  } else if (call.has_attribute("shape")) {
    WEFT_TRY(target, call.get_ints("shape"));
  } else {
    return call.fail(Kind::ModelMalformed, "the shape is missing");
  }
  WEFT_TRY(const std::int64_t allow_zero, call.get_int("allowzero", 0));
  WEFT_TRY(const Shape shape, resolve(call, shape_of(call.inputs[0]), target, allow_zero != 0));
  return reshape_to(call, shape);
}

Result<Values> squeeze(Call& call) {
  WEFT_TRY_VOID(require_input(call));
  const Shape& from = shape_of(call.inputs[0]);
  WEFT_TRY(const auto axes, axes_of(call));
  std::vector<bool> drop;
  if (axes) {
    WEFT_TRY(drop, marks(call, *axes, static_cast<std::int64_t>(from.size())));
  } else {
    for (const auto extent : from) drop.push_back(extent == 1);
  }
  Shape shape;
  std::int64_t batch = call.inputs[0].dynamic ? std::min<std::int64_t>(call.inputs[0].dynamic->batch_axis, 0) : 0;
  for (std::size_t d = 0; d < from.size(); ++d) {
    const bool is_batch = call.inputs[0].dynamic && static_cast<std::int64_t>(d) == call.inputs[0].dynamic->batch_axis;
    if (is_batch) batch = static_cast<std::int64_t>(shape.size());
    if (!drop[d]) {
      shape.push_back(from[d]);
      continue;
    }
    if (from[d] != 1)
      return call.fail(Kind::ShapeMismatch, fmt::format("axis {} of {} has not the extent one", d, to_string(from)));
    if (is_batch) {
      return call.fail(
          Kind::LayerUnsupported,
          fmt::format("squeezing {} removes the batch (axis {}); give the axes that should go", to_string(from), d));
    }
  }
  if (call.inputs[0].constant) return constant_view(call, std::move(shape));
  return regroup(call, *call.inputs[0].dynamic, std::move(shape), batch);
}

Result<Values> unsqueeze(Call& call) {
  WEFT_TRY_VOID(require_input(call));
  const Shape& from = shape_of(call.inputs[0]);
  WEFT_TRY(const auto axes, axes_of(call));
  if (!axes) return call.fail(Kind::ModelMalformed, "the axes are missing");
  if (axes->size() > 64) return call.fail(Kind::LimitExceeded, "more than 64 axes");
  WEFT_TRY(const auto added, marks(call, *axes, static_cast<std::int64_t>(from.size() + axes->size())));
  Shape shape;
  std::int64_t batch = call.inputs[0].dynamic ? std::min<std::int64_t>(call.inputs[0].dynamic->batch_axis, 0) : 0;
  std::size_t next = 0;
  for (std::size_t d = 0; d < added.size(); ++d) {
    if (added[d]) {
      shape.push_back(1);
      continue;
    }
    if (call.inputs[0].dynamic && static_cast<std::int64_t>(next) == call.inputs[0].dynamic->batch_axis)
      batch = static_cast<std::int64_t>(d);
    shape.push_back(from[next++]);
  }
  if (call.inputs[0].constant) return constant_view(call, std::move(shape));
  return regroup(call, *call.inputs[0].dynamic, std::move(shape), batch);
}

Result<Values> transpose(Call& call) {
  WEFT_TRY_VOID(require_input(call));
  const Shape& from = shape_of(call.inputs[0]);
  WEFT_TRY(std::vector<std::int64_t> permutation, call.get_ints("perm"));
  if (!call.has_attribute("perm")) {
    permutation.resize(from.size());
    std::iota(permutation.rbegin(), permutation.rend(), std::int64_t{0});
  }
  std::vector<std::int64_t> sorted = permutation;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t d = 0; d < sorted.size() || d < from.size(); ++d) {
    if (sorted.size() != from.size() || sorted[d] != static_cast<std::int64_t>(d)) {
      return call.fail(Kind::ModelMalformed,
                       fmt::format("{} is no permutation of the axes of {}", to_string(permutation), to_string(from)));
    }
  }
  if (call.inputs[0].constant) {
    WEFT_TRY_VOID(call.spend_elements(from));
    return Values{onnx::transpose(*call.inputs[0].constant, permutation)};
  }
  const Dynamic& x = *call.inputs[0].dynamic;
  Dynamic out = x;
  out.channels_last = false;
  std::vector<std::int64_t> new_axis(from.size());  // of every axis of x
  for (std::size_t d = 0; d < permutation.size(); ++d) {
    const auto source = permutation[d];
    new_axis[static_cast<std::size_t>(source)] = static_cast<std::int64_t>(d);
    out.shape[d] = from[static_cast<std::size_t>(source)];
  }
  if (x.batch_axis >= 0) out.batch_axis = new_axis[static_cast<std::size_t>(x.batch_axis)];
  // The axes of x's tensor in their order, and the new names of those that matter.
  std::vector<std::int64_t> have;
  for (std::int64_t d = 0; d < x.rank(); ++d) {
    if (d != x.batch_axis) have.push_back(d);
  }
  if (x.channels_last) std::rotate(have.begin(), have.begin() + 1, have.end());
  const auto that_matter = [&](std::vector<std::int64_t> axes) {
    std::erase_if(axes, [&](auto d) { return out.shape[static_cast<std::size_t>(d)] == 1; });
    return axes;
  };
  std::vector<std::int64_t> named;
  for (const auto d : have) named.push_back(new_axis[static_cast<std::size_t>(d)]);
  named = that_matter(std::move(named));
  if (std::is_sorted(named.begin(), named.end())) {
    Dynamic same = x;
    same.channels_last = false;
    return regroup(call, std::move(same), out.shape, out.batch_axis);
  }
  if (out.has_channels()) {
    std::vector<std::int64_t> last;
    for (std::int64_t d = 2; d < out.rank(); ++d) last.push_back(d);
    last.push_back(1);
    if (named == that_matter(std::move(last))) {
      out.channels_last = true;
      return in_layout(call, std::move(out));
    }
  }
  std::vector<std::int64_t> moves;
  for (const auto source : permutation) {
    if (source != x.batch_axis) moves.push_back(std::find(have.begin(), have.end(), source) - have.begin());
  }
  WEFT_TRY(const nn::TensorId in, call.with_all_axes(x));
  WEFT_TRY(
      out.tensor,
      call.add({.op = "Permute", .attributes = {{"permutation", moves}}, .inputs = {in}, .shape = out.sample_shape()}));
  return Values{std::move(out)};
}

}  // namespace weft::formats::onnx::ops
