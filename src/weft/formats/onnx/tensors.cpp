// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/onnx/tensors.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::formats::onnx {

Result<Dynamic> plain(const Call& call, std::size_t i, bool float_only) {
  WEFT_TRY(Dynamic x, float_only ? call.dynamic_float(i) : call.data(i));
  WEFT_TRY(x, call.in_onnx_order(x));
  WEFT_TRY(x.tensor, call.as_sample_shape(x, x.sample_shape()));
  return x;
}

Result<Dynamic> as_layer(const Call& call, const Constant& c, std::int64_t rank, std::int64_t batch_axis) {
  WEFT_TRY_VOID(call.require_finite(as_floats(c), "the constant"));
  Constant sample = c;
  const auto own_rank = static_cast<std::int64_t>(c.shape.size());
  const std::int64_t at = batch_axis < 0 ? -1 : batch_axis - (rank - own_rank);
  if (at >= 0 && at < own_rank) {
    const auto d = static_cast<std::size_t>(at);
    Shape shape = c.shape;
    shape.erase(shape.begin() + at);
    if (c.shape[d] != 1) {
      // Fine when all slices are the same.
      const auto inner = static_cast<std::size_t>(element_count(Shape(c.shape.begin() + at + 1, c.shape.end())));
      const auto extent = static_cast<std::size_t>(c.shape[d]);
      std::vector<std::size_t> first(static_cast<std::size_t>(element_count(shape)));
      for (std::size_t i = 0; i < first.size(); ++i) first[i] = i / inner * inner * extent + i % inner;
      sample = pick(c, shape, first);
      Shape one = c.shape;
      one[d] = 1;
      WEFT_TRY_VOID(call.spend_elements(c.shape));
      if (as_floats(broadcast_to(with_shape(sample, one), c.shape)) != as_floats(c))
        return call.fail(Kind::LayerUnsupported, fmt::format("a constant of shape {} differs between the samples of a "
                                                             "batch",
                                                             to_string(c.shape)));
    } else {
      sample = with_shape(c, shape);
    }
  }
  Dynamic out;
  out.shape = c.shape;
  if (at >= 0 && at < own_rank) out.shape[static_cast<std::size_t>(at)] = call.builder.batch;
  out.batch_axis = at >= 0 && at < own_rank ? at : -1;
  out.element = c.element;
  const Shape shape = sample.shape;
  LayerDraft draft{.op = "Constant", .shape = shape, .suffix = "_constant"};
  if (!sample.floating()) {
    Constant floats;
    floats.shape = shape;
    floats.floats = as_floats(sample);
    floats.codes = sample.ints;
    floats.scales.assign(sample.ints.size(), 1.0F);
    sample = std::move(floats);
  }
  draft.parameters.emplace("value", to_parameter(sample));
  WEFT_TRY(out.tensor, call.add(std::move(draft), false));
  return out;
}

Result<Group> group(const Call& call, std::size_t first, bool float_only) {
  Group out;
  std::int64_t rank = 0;
  std::optional<std::int64_t> batch;
  bool same_rank = true;
  std::int64_t data_rank = -1;
  for (std::size_t i = first; i < call.inputs.size(); ++i) {
    if (!call.has_input(i)) return call.fail(Kind::ModelMalformed, fmt::format("input {} is missing", i));
    const auto& v = call.inputs[i];
    const Shape& shape = v.constant ? v.constant->shape : v.dynamic->shape;
    rank = std::max(rank, static_cast<std::int64_t>(shape.size()));
    if (!v.dynamic) continue;
    same_rank = same_rank && (data_rank < 0 || data_rank == v.dynamic->rank());
    data_rank = v.dynamic->rank();
    if (!batch) {
      batch = v.dynamic->batch_axis;
      out.out.element = v.dynamic->element;
    }
    if (*batch != v.dynamic->batch_axis || (*batch >= 0 && !same_rank))
      return call.fail(
          Kind::LayerUnsupported,
          fmt::format("data of shape {} has its batch elsewhere than the other operands", to_string(v.dynamic->shape)));
  }
  out.out.batch_axis = -1;
  if (batch && *batch >= 0) {
    out.out.batch_axis = *batch + (rank - data_rank);
    if (rank != data_rank) return call.fail(Kind::LayerUnsupported, "a constant has more axes than the data");
  }
  Shape shape;
  for (std::size_t i = first; i < call.inputs.size(); ++i) {
    Dynamic part;
    if (call.inputs[i].constant) {
      WEFT_TRY(part, as_layer(call, *call.inputs[i].constant, rank, out.out.batch_axis));
    } else {
      WEFT_TRY(part, plain(call, i, float_only));
    }
    const auto both = tensor::broadcast(shape, part.shape);
    if (!both.ok)
      return call.fail(Kind::ShapeMismatch,
                       fmt::format("shapes {} and {} do not broadcast", to_string(shape), to_string(part.shape)));
    shape = both.shape;
    out.parts.push_back(std::move(part));
  }
  out.out.shape = std::move(shape);
  return out;
}

Result<nn::TensorId> layer(const Call& call, const std::string& op, std::vector<nn::TensorId> inputs, Shape shape,
                           AttributeMap attributes, const std::string& suffix) {
  return call.add({.op = op,
                   .attributes = std::move(attributes),
                   .inputs = std::move(inputs),
                   .shape = std::move(shape),
                   .suffix = suffix},
                  suffix.empty());
}

Result<nn::TensorId> function_layer(const Call& call, nn::TensorId in, const Shape& shape, quantizers::Spec spec,
                                    const std::string& suffix) {
  if (quantizers::find_family(spec.family) == nullptr)
    return call.fail(Kind::LayerUnsupported, fmt::format("the function `{}` is not supported yet", spec.family));
  return call.add({.op = "Activation",
                   .inputs = {in},
                   .functions = {{"activation", std::move(spec)}},
                   .shape = shape,
                   .suffix = suffix},
                  suffix.empty());
}

Result<nn::TensorId> number_layer(const Call& call, const std::string& op, nn::TensorId in, const Shape& shape,
                                  float number, bool constant_first, const std::string& suffix) {
  Constant c;
  c.floats = {number};
  return call.add({.op = op,
                   .attributes = {{"constant_first", constant_first}},
                   .inputs = {in},
                   .parameters = {{"constant", to_parameter(c)}},
                   .shape = shape,
                   .suffix = suffix},
                  suffix.empty());
}

Result<Turned> turn_to_end(const Call& call, const Dynamic& x, std::int64_t axis) {
  if (axis == x.batch_axis)
    return call.fail(Kind::LayerUnsupported, fmt::format("{} runs along the batch (axis {}) of {}", call.node.op_type,
                                                         axis, to_string(x.shape)));
  Turned out{x.tensor, x.sample_shape(), {}};
  const auto at = x.layer_axis(axis);
  const auto rank = static_cast<std::int64_t>(out.shape.size());
  if (at + 1 == rank) return out;
  for (std::int64_t d = 0; d < rank; ++d)
    if (d != at) out.permutation.push_back(d);
  out.permutation.push_back(at);
  const Shape from = out.shape;
  for (std::size_t d = 0; d < from.size(); ++d) out.shape[d] = from[static_cast<std::size_t>(out.permutation[d])];
  WEFT_TRY(out.tensor, layer(call, "Permute", {x.tensor}, out.shape, {{"permutation", out.permutation}}, "_turned"));
  return out;
}

Result<nn::TensorId> turn_back(const Call& call, nn::TensorId tensor, const Shape& shape,
                               const std::vector<std::int64_t>& permutation) {
  std::vector<std::int64_t> back(permutation.size());
  Shape out(permutation.size());
  for (std::size_t d = 0; d < permutation.size(); ++d) {
    back[static_cast<std::size_t>(permutation[d])] = static_cast<std::int64_t>(d);
    out[static_cast<std::size_t>(permutation[d])] = shape[d];
  }
  return layer(call, "Permute", {tensor}, out, {{"permutation", back}}, "");
}

}  // namespace weft::formats::onnx
