// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/onnx/call.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

namespace weft::formats::onnx {
namespace {

constexpr std::uint64_t kMaxFoldedProducts = std::uint64_t{1} << 31;
constexpr std::uint64_t kMaxFoldedElements = std::uint64_t{1} << 28;

/// `shape` with ones in front up to `rank`.
Shape padded(const Shape& shape, std::size_t rank) {
  Shape out(rank - std::min(rank, shape.size()), 1);
  out.insert(out.end(), shape.begin(), shape.end());
  return out;
}

}  // namespace

Shape Dynamic::sample_shape() const {
  Shape out = shape;
  if (batch_axis >= 0) out.erase(out.begin() + static_cast<std::ptrdiff_t>(batch_axis));
  return out;
}

Shape Dynamic::channels_last_shape() const {
  WEFT_CHECK(has_channels(), "a tensor without channels");
  Shape out(shape.begin() + 2, shape.end());
  out.push_back(shape[1]);
  return out;
}

std::int64_t Dynamic::layer_axis(std::int64_t axis) const {
  if (channels_last) return axis == 1 ? rank() - 2 : axis - 2;
  return batch_axis < 0 || axis < batch_axis ? axis : axis - 1;
}

void Builder::roll_back(const Mark& mark) {
  graph.nodes.resize(mark.nodes);
  graph.tensors.resize(mark.tensors);
  names = mark.names;
  const auto gone = [&](const auto& entry) {
    return entry.first.index >= mark.tensors || entry.second.index >= mark.tensors;
  };
  std::erase_if(channels_last_of, gone);
  std::erase_if(channels_first_of, gone);
}

std::string Builder::unique_name(const std::string& wanted) {
  if (names.insert(wanted).second) return wanted;
  std::uint64_t& number = next_number.emplace(wanted, 2).first->second;
  for (;;) {
    std::string name = fmt::format("{}_{}", wanted, number++);
    if (names.insert(name).second) return name;
  }
}

bool Call::all_constant() const {
  return std::none_of(inputs.begin(), inputs.end(), [](const Value& v) { return v.dynamic.has_value(); });
}

Result<ConstantPtr> Call::constant(std::size_t i, const std::string& what) const {
  if (!has_input(i)) return fail(Kind::ModelMalformed, fmt::format("{} (input {}) is missing", what, i));
  if (inputs[i].dynamic) {
    return fail(
        Kind::LayerUnsupported,
        fmt::format("{} `{}` depends on the network's input; only constants are supported here", what, node.inputs[i]));
  }
  return inputs[i].constant;
}

Result<std::vector<std::int64_t>> Call::integers(std::size_t i, const std::string& what) const {
  WEFT_TRY(const ConstantPtr c, constant(i, what));
  if (c->floating() || c->shape.size() > 1) {
    return fail(Kind::ModelMalformed, fmt::format("{} `{}` is no list of integers", what, node.inputs[i]));
  }
  return c->ints;
}

Result<Dynamic> Call::data(std::size_t i) const {
  if (!has_input(i)) return fail(Kind::ModelMalformed, fmt::format("input {} is missing", i));
  if (!inputs[i].dynamic) {
    return fail(Kind::LayerUnsupported,
                fmt::format("`{}` is a constant; {} is read on data only", node.inputs[i], node.op_type));
  }
  return *inputs[i].dynamic;
}

Result<Dynamic> Call::dynamic_float(std::size_t i) const {
  WEFT_TRY(const Dynamic x, data(i));
  if (x.element != Element::Float32) {
    return fail(Kind::LayerUnsupported,
                fmt::format("`{}` holds {}; arithmetic on data is supported in float32 only, cast it first",
                            node.inputs[i], element_name(static_cast<std::int32_t>(x.element))));
  }
  return x;
}

Result<std::int64_t> Call::get_int(const std::string& name, std::int64_t fallback) const {
  const auto found = attributes.find(name);
  if (found == attributes.end()) return fallback;
  if (found->second.type != AttributeType::Int) {
    return fail(Kind::ModelMalformed, fmt::format("attribute `{}` is no integer", name));
  }
  return found->second.i;
}

Result<float> Call::get_float(const std::string& name, float fallback) const {
  const auto found = attributes.find(name);
  if (found == attributes.end()) return fallback;
  if (found->second.type == AttributeType::Int) return static_cast<float>(found->second.i);
  if (found->second.type != AttributeType::Float) {
    return fail(Kind::ModelMalformed, fmt::format("attribute `{}` is no number", name));
  }
  return found->second.f;
}

Result<std::string> Call::get_string(const std::string& name, const std::string& fallback) const {
  const auto found = attributes.find(name);
  if (found == attributes.end()) return fallback;
  if (found->second.type != AttributeType::String) {
    return fail(Kind::ModelMalformed, fmt::format("attribute `{}` is no text", name));
  }
  return found->second.s;
}

Result<std::vector<std::int64_t>> Call::get_ints(const std::string& name) const {
  const auto found = attributes.find(name);
  if (found == attributes.end()) return std::vector<std::int64_t>{};
  if (found->second.type != AttributeType::Ints) {
    return fail(Kind::ModelMalformed, fmt::format("attribute `{}` is no list of integers", name));
  }
  return found->second.ints;
}

Result<std::int64_t> Call::axis(std::int64_t value, std::int64_t rank) const {
  if (value < -rank || value >= rank) {
    return fail(Kind::ShapeMismatch, fmt::format("axis {} does not exist in a tensor of {} axes", value, rank));
  }
  return value < 0 ? value + rank : value;
}

Result<void> Call::spend_elements(const Shape& shape) const {
  const std::uint64_t limit = std::min(kMaxFoldedElements, ctx.limits.tensor_elements);
  const auto count = checked_count(shape, limit);
  if (!count || builder.folded_elements + static_cast<std::uint64_t>(*count) > limit) {
    return fail(Kind::LimitExceeded, fmt::format("the model's constants need more than {} elements", limit));
  }
  builder.folded_elements += static_cast<std::uint64_t>(*count);
  return {};
}

Result<void> Call::spend_products(std::uint64_t count) const {
  if (count > kMaxFoldedProducts || builder.folded_products + count > kMaxFoldedProducts) {
    return fail(Kind::LimitExceeded,
                fmt::format("computing constants needs more than {} operations", kMaxFoldedProducts));
  }
  builder.folded_products += count;
  return {};
}

Result<Dynamic> Call::as_single(const Dynamic& x, Element half) const {
  const std::string name = element_name(static_cast<std::int32_t>(half));
  ctx.report(Kind::Info, origin, fmt::format("{} is computed in float32, which rounds less than the source", name));
  WEFT_TRY(const nn::TensorId out,
           add({.op = "Identity",
                .attributes = {{"note", fmt::format("from here on the source rounds every result to {}; computed in "
                                                    "float32 here",
                                                    name)}},
                .inputs = {x.tensor},
                .shape = builder.graph.at(x.tensor).shape}));
  Dynamic single = retarget(x, out);
  single.element = Element::Float32;
  return single;
}

Result<nn::TensorId> Call::add(LayerDraft draft, bool main) const {
  const auto count = checked_count(draft.shape, ctx.limits.tensor_elements);
  if (!count || *count == 0) {
    return fail(Kind::LimitExceeded, fmt::format("the output has the shape {}; it must have 1 to {} elements",
                                                 to_string(draft.shape), ctx.limits.tensor_elements));
  }
  for (const auto& [role, parameter] : draft.parameters) WEFT_TRY_VOID(spend_elements(parameter.values.shape));
  nn::Node out;
  out.name = draft.suffix.empty() ? layer_name : builder.unique_name(layer_name + draft.suffix);
  out.op = std::move(draft.op);
  out.attributes = std::move(draft.attributes);
  out.inputs = std::move(draft.inputs);
  out.parameters = std::move(draft.parameters);
  out.functions = std::move(draft.functions);
  out.origin = origin;
  const std::string tensor_name = main ? origin.tensor : out.name;
  out.outputs = {builder.graph.add_tensor(tensor_name, std::move(draft.shape))};
  builder.graph.nodes.push_back(std::move(out));
  return builder.graph.nodes.back().outputs.front();
}

Result<nn::TensorId> Call::as_sample_shape(const Dynamic& x, const Shape& wanted) const {
  WEFT_CHECK(!x.channels_last, "a view of a tensor that is not in ONNX order");
  const Shape have = builder.graph.at(x.tensor).shape;
  if (have == wanted) return x.tensor;
  WEFT_CHECK(element_count(have) == element_count(wanted), "a view changes the number of elements");
  return add(
      {.op = "Reshape", .attributes = {{"shape", wanted}}, .inputs = {x.tensor}, .shape = wanted, .suffix = "_view"},
      false);
}

Result<nn::TensorId> Call::with_all_axes(const Dynamic& x) const {
  if (x.channels_last) return x.tensor;
  return as_sample_shape(x, x.sample_shape());
}

Result<Dynamic> Call::in_onnx_order(Dynamic x) const {
  if (!x.channels_last) return x;
  const Shape have = x.channels_last_shape();
  x.channels_last = false;
  if (have.back() == 1 || element_count(have) == have.back()) return x;
  const auto known = builder.channels_first_of.find(x.tensor);
  if (known != builder.channels_first_of.end()) return retarget(x, known->second);
  std::vector<std::int64_t> permutation{x.rank() - 2};
  for (std::int64_t d = 0; d + 2 < x.rank(); ++d) permutation.push_back(d);
  WEFT_TRY(const nn::TensorId tensor, add({.op = "Permute",
                                           .attributes = {{"permutation", permutation}},
                                           .inputs = {x.tensor},
                                           .shape = x.sample_shape(),
                                           .suffix = "_channels_first"},
                                          false));
  builder.channels_first_of[x.tensor] = tensor;
  builder.channels_last_of[tensor] = x.tensor;
  return retarget(x, tensor);
}

Result<Dynamic> Call::in_channels_last(Dynamic x) const {
  if (x.channels_last) return x;
  const Shape wanted = x.channels_last_shape();
  const bool same_order = wanted.back() == 1 || element_count(wanted) == wanted.back();
  WEFT_TRY(const nn::TensorId in, as_sample_shape(x, same_order ? wanted : x.sample_shape()));
  x.channels_last = true;
  if (same_order) return retarget(x, in);
  const auto known = builder.channels_last_of.find(in);
  if (known != builder.channels_last_of.end()) return retarget(x, known->second);
  std::vector<std::int64_t> permutation;
  for (std::int64_t d = 1; d + 1 < x.rank(); ++d) permutation.push_back(d);
  permutation.push_back(0);
  WEFT_TRY(const nn::TensorId tensor, add({.op = "Permute",
                                           .attributes = {{"permutation", permutation}},
                                           .inputs = {in},
                                           .shape = wanted,
                                           .suffix = "_channels_last"},
                                          false));
  builder.channels_last_of[in] = tensor;
  builder.channels_first_of[tensor] = in;
  return retarget(x, tensor);
}

Result<Call::LastAxis> Call::with_last_axis(const Dynamic& given, std::int64_t axis, const std::string& what) const {
  if (axis == given.batch_axis) {
    return fail(Kind::LayerUnsupported, fmt::format("{} runs along the batch of `{}`, whose shape is {}", what,
                                                    node.inputs.front(), to_string(given.shape)));
  }
  const bool spatial = given.has_channels() && axis == 1 &&
                       std::any_of(given.shape.begin() + 2, given.shape.end(), [](auto e) { return e != 1; });
  if (spatial || (given.channels_last && axis == 1)) {
    WEFT_TRY(const Dynamic x, in_channels_last(given));
    return LastAxis{x, x.tensor, x.channels_last_shape()};
  }
  WEFT_TRY(const Dynamic x, in_onnx_order(given));
  Shape wanted;
  for (std::int64_t d = 0; d < x.rank(); ++d) {
    const auto extent = x.shape[static_cast<std::size_t>(d)];
    if (d == x.batch_axis) continue;
    if (d <= axis) {
      wanted.push_back(extent);
    } else if (extent != 1) {
      return fail(
          Kind::LayerUnsupported,
          fmt::format("{} runs along axis {} of a tensor of shape {}; it is supported along axis 1 and the last axis "
                      "(axes of extent one may follow)",
                      what, axis, to_string(x.shape)));
    }
  }
  // Leading axes of extent one need no Reshape of their own.
  const Shape& have = builder.graph.at(x.tensor).shape;
  if (!have.empty() && have.back() == wanted.back() && wanted.back() != 1) return LastAxis{x, x.tensor, have};
  WEFT_TRY(const nn::TensorId tensor, as_sample_shape(x, wanted));
  return LastAxis{x, tensor, wanted};
}

Result<Dynamic> Call::laid_out_for(const Constant& c, const Dynamic& x) const {
  if (!x.has_channels() || c.size() <= 1 || c.shape.size() > x.shape.size()) return x;
  const Shape shape = padded(c.shape, x.shape.size());
  std::vector<std::size_t> axes;
  for (std::size_t d = 1; d < shape.size(); ++d) {
    if (shape[d] != 1) axes.push_back(d);
  }
  if (axes.size() != 1) return x;
  if (axes.front() != 1) return axes.front() + 1 == shape.size() ? in_onnx_order(x) : Result<Dynamic>(x);
  const bool spatial = std::any_of(x.shape.begin() + 2, x.shape.end(), [](auto e) { return e != 1; });
  return spatial ? in_channels_last(x) : Result<Dynamic>(x);
}

Result<nn::Parameter> Call::operand(const Constant& c, const Dynamic& x) const {
  if (!c.floating()) {
    return fail(Kind::ModelMalformed, fmt::format("a constant of {} meets data of float32",
                                                  element_name(static_cast<std::int32_t>(c.element))));
  }
  WEFT_TRY_VOID(require_finite(c.floats, "the constant"));
  if (c.size() == 1) return to_parameter(with_shape(c, {}));
  const auto mismatch = [&] {
    return fail(Kind::ShapeMismatch, fmt::format("a constant of shape {} does not broadcast to data of shape {}",
                                                 to_string(c.shape), to_string(x.shape)));
  };
  if (c.size() == 0 || c.shape.size() > x.shape.size()) return mismatch();
  Shape shape = padded(c.shape, x.shape.size());
  for (std::size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] != 1 && shape[d] != x.shape[d]) return mismatch();
  }
  Constant local = with_shape(c, shape);
  const auto batch = x.batch_axis < 0 ? shape.size() : static_cast<std::size_t>(x.batch_axis);
  if (batch < shape.size() && shape[batch] != 1) {
    // One slice per sample: fine only when all are the same.
    Shape one = shape;
    one[batch] = 1;
    std::vector<std::size_t> first(static_cast<std::size_t>(element_count(one)));
    for (std::size_t i = 0; i < first.size(); ++i) {
      const auto stride = static_cast<std::size_t>(strides_of(shape)[batch]);
      first[i] = i / stride * stride * static_cast<std::size_t>(shape[batch]) + i % stride;
    }
    Constant slice = pick(local, one, first);
    WEFT_TRY_VOID(spend_elements(shape));
    if (broadcast_to(slice, shape).floats != local.floats) {
      return fail(Kind::LayerUnsupported,
                  fmt::format("a constant of shape {} differs between the samples of a batch", to_string(c.shape)));
    }
    local = std::move(slice);
    shape = std::move(one);
  }
  if (x.channels_last) {
    local = with_shape(local, Shape(shape.begin() + 1, shape.end()));
    std::vector<std::int64_t> permutation;
    for (std::int64_t d = 1; d + 1 < x.rank(); ++d) permutation.push_back(d);
    permutation.push_back(0);
    local = transpose(local, permutation);
    const auto first = std::find_if(local.shape.begin(), local.shape.end(), [](std::int64_t e) { return e != 1; });
    return to_parameter(with_shape(local, Shape(first, local.shape.end())));
  }
  // Axes of extent one may differ between ONNX's shape and the layer graph's; the others match in order.
  std::vector<std::int64_t> extents;
  for (std::size_t d = 0; d < shape.size(); ++d) {
    if (d != batch && x.shape[d] != 1) extents.push_back(shape[d]);
  }
  Shape out;
  std::size_t next = 0;
  for (const auto extent : builder.graph.at(x.tensor).shape) {
    if (extent != 1)
      out.push_back(extents[next++]);
    else
      out.push_back(1);
  }
  WEFT_CHECK(next == extents.size(), "shape of the layer graph does not follow the source");
  const auto leading = std::find_if(out.begin(), out.end(), [](std::int64_t e) { return e != 1; });
  out.erase(out.begin(), leading);
  return to_parameter(with_shape(local, out));
}

Result<Call::PerChannel> Call::per_channel(const Constant& c, const Dynamic& x, const std::string& what) const {
  PerChannel out;
  const auto numbers = as_floats(c);
  WEFT_TRY_VOID(require_finite(numbers, what));
  if (is_uniform(c)) {
    out.values = {static_cast<double>(numbers.front())};
    return out;
  }
  if (c.size() == 0 || c.shape.size() > x.shape.size()) {
    return fail(Kind::ShapeMismatch, fmt::format("{} of shape {} does not broadcast to data of shape {}", what,
                                                 to_string(c.shape), to_string(x.shape)));
  }
  const Shape shape = padded(c.shape, x.shape.size());
  for (std::size_t d = 0; d < shape.size(); ++d) {
    if (shape[d] == 1) continue;
    if (shape[d] != x.shape[d]) {
      return fail(Kind::ShapeMismatch, fmt::format("{} of shape {} does not broadcast to data of shape {}", what,
                                                   to_string(c.shape), to_string(x.shape)));
    }
    if (out.axis) {
      return fail(Kind::QuantizerUnsupported,
                  fmt::format("{} of shape {} varies along more than one axis; per tensor and per "
                              "channel are supported",
                              what, to_string(c.shape)));
    }
    out.axis = static_cast<std::int64_t>(d);
  }
  out.values.assign(numbers.begin(), numbers.end());
  return out;
}

Result<void> Call::require_finite(const std::vector<float>& values, const std::string& what) const {
  for (const float value : values) {
    if (!std::isfinite(value)) return fail(Kind::ModelMalformed, fmt::format("{} holds NaN or infinity", what));
  }
  return {};
}

}  // namespace weft::formats::onnx
