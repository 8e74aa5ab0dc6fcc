// SPDX-License-Identifier: Apache-2.0
// Normalizations by what is measured on the data itself, and log-softmax along any axis.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "weft/formats/onnx/operators.h"

namespace weft::formats::onnx::ops {
namespace {

Result<Dynamic> normalizable(Call& call) {
  if (!call.has_input(0)) return call.fail(Kind::ModelMalformed, "the input is missing");
  if (call.inputs[0].constant)
    return call.fail(Kind::LayerUnsupported, fmt::format("{} of a constant is not supported", call.node.op_type));
  WEFT_TRY(Dynamic x, call.dynamic_float(0));
  if (x.batch_axis > 0)
    return call.fail(Kind::LayerUnsupported, "the batch is not the first axis of the input; transpose it back");
  return x;
}

/// Where the file has no batch any axis may be measured.
Result<void> not_over_batch(const Call& call, const Dynamic& x, std::int64_t axis) {
  if (axis != x.batch_axis) return {};
  return call.fail(Kind::LayerUnsupported, "the normalization runs over the batch");
}

/// `x` in ONNX order with all its axes.
Result<Dynamic> with_axes(const Call& call, Dynamic x) {
  WEFT_TRY(x, call.in_onnx_order(std::move(x)));
  WEFT_TRY(x.tensor, call.with_all_axes(x));
  return x;
}

struct Draft {
  std::vector<std::int64_t> axes;  ///< of the layer graph
  std::int64_t groups = 1;
  std::string statistic = "variance";
  double epsilon = 0.0;
  std::map<std::string, nn::Parameter> parameters{};
};

Result<Values> add_norm(const Call& call, const Dynamic& x, Draft draft) {
  const Shape shape = call.builder.graph.at(x.tensor).shape;
  WEFT_TRY(const nn::TensorId out, call.add({.op = "LayerNorm",
                                             .attributes = {{"axes", draft.axes},
                                                            {"epsilon", draft.epsilon},
                                                            {"form", std::string("onnx")},
                                                            {"groups", draft.groups},
                                                            {"statistic", draft.statistic}},
                                             .inputs = {x.tensor},
                                             .parameters = std::move(draft.parameters),
                                             .shape = shape}));
  return Values{Call::retarget(x, out)};
}

/// Mean and inverse deviation, which LayerNormalization may give besides.
Result<Values> statistics(const Call& call, Dynamic x, const std::vector<std::int64_t>& axes, float epsilon) {
  const Shape full = call.builder.graph.at(x.tensor).shape;
  Shape kept = full;
  for (const auto axis : axes) kept[static_cast<std::size_t>(axis)] = 1;
  const auto add = [&](LayerDraft draft) { return call.add(std::move(draft), false); };
  const auto mean_of = [&](nn::TensorId in, const std::string& suffix) {
    return add({.op = "ReduceMean",
                .attributes = {{"axes", axes}, {"keepdims", true}},
                .inputs = {in},
                .shape = kept,
                .suffix = suffix});
  };
  const auto function = [&](nn::TensorId in, const std::string& family, const Shape& shape, const std::string& suffix) {
    return add({.op = "Activation",
                .inputs = {in},
                .functions = {{"activation", {family, {}}}},
                .shape = shape,
                .suffix = suffix});
  };
  WEFT_TRY(const auto mean, mean_of(x.tensor, "_mean"));
  WEFT_TRY(const auto centered, add({.op = "Sub", .inputs = {x.tensor, mean}, .shape = full, .suffix = "_centered"}));
  WEFT_TRY(const auto squares, function(centered, "square", full, "_squares"));
  WEFT_TRY(const auto variance, mean_of(squares, "_variance"));
  Constant c;
  c.floats = {epsilon};
  WEFT_TRY(const auto sum, add({.op = "Add",
                                .inputs = {variance},
                                .parameters = {{"constant", to_parameter(c)}},
                                .shape = kept,
                                .suffix = "_plus_epsilon"}));
  WEFT_TRY(const auto inverse, function(sum, "rsqrt", kept, "_inverse"));
  for (std::int64_t d = x.rank() - static_cast<std::int64_t>(axes.size()); d < x.rank(); ++d)
    x.shape[static_cast<std::size_t>(d)] = 1;
  return Values{Call::retarget(x, mean), Call::retarget(x, inverse)};
}

/// LayerNormalization and RMSNormalization: from `axis` to the last.
Result<Values> from_axis(Call& call, const std::string& statistic) {
  WEFT_TRY(const std::int64_t given, call.get_int("axis", -1));
  WEFT_TRY(const float epsilon, call.get_float("epsilon", 1e-5F));
  WEFT_TRY(Dynamic x, normalizable(call));
  WEFT_TRY(const std::int64_t axis, call.axis(given, x.rank()));
  WEFT_TRY_VOID(not_over_batch(call, x, axis));
  WEFT_TRY(x, with_axes(call, std::move(x)));
  Draft draft{.axes = {}, .statistic = statistic, .epsilon = static_cast<double>(epsilon)};
  for (std::int64_t d = axis; d < x.rank(); ++d) draft.axes.push_back(x.layer_axis(d));
  WEFT_TRY(const ConstantPtr gamma, call.constant(1, "the scale"));
  WEFT_TRY(nn::Parameter scale, call.operand(*gamma, x));
  draft.parameters.emplace("gamma", std::move(scale));
  if (call.has_input(2)) {
    WEFT_TRY(const ConstantPtr beta, call.constant(2, "the bias"));
    WEFT_TRY(nn::Parameter bias, call.operand(*beta, x));
    draft.parameters.emplace("beta", std::move(bias));
  }
  const auto axes = draft.axes;
  WEFT_TRY(Values out, add_norm(call, x, std::move(draft)));
  if (call.node.outputs.size() > 1) {
    WEFT_TRY(const Values more, statistics(call, x, axes, epsilon));
    out.insert(out.end(), more.begin(), more.end());
  }
  return out;
}

/// A vector per channel, or per group.
Result<nn::Parameter> channel_vector(const Call& call, std::size_t input, const std::string& what,
                                     std::int64_t channels, std::int64_t groups) {
  WEFT_TRY(const ConstantPtr c, call.constant(input, what));
  const auto size = static_cast<std::int64_t>(c->size());
  if (!c->floating() || c->shape.size() != 1 || (size != channels && size != groups))
    return call.fail(Kind::ShapeMismatch,
                     fmt::format("{} of shape {} for {} channels", what, to_string(c->shape), channels));
  WEFT_TRY_VOID(call.require_finite(c->floats, what));
  nn::Parameter out;
  out.values = FloatTensor({channels}, std::vector<float>(static_cast<std::size_t>(channels)));
  for (std::int64_t i = 0; i < channels; ++i)
    out.values.data[static_cast<std::size_t>(i)] = c->floats[static_cast<std::size_t>(i * size / channels)];
  return out;
}

/// Over the spatial axes, and over the channels of a group.
Result<Values> over_space(Call& call, std::int64_t groups, float epsilon) {
  WEFT_TRY(Dynamic x, normalizable(call));
  if (x.batch_axis != 0) return call.fail(Kind::LayerUnsupported, "the data has no batch");
  if (x.rank() < 3)
    return call.fail(Kind::ShapeMismatch, fmt::format("data of shape {} has no spatial axis", to_string(x.shape)));
  const std::int64_t channels = x.shape[1];
  if (groups == 0) groups = channels;
  if (groups < 1 || channels % groups != 0)
    return call.fail(Kind::ShapeMismatch, fmt::format("{} groups do not divide {} channels", groups, channels));
  WEFT_TRY(x, call.in_channels_last(std::move(x)));
  WEFT_TRY(x.tensor, call.with_all_axes(x));
  Draft draft{.axes = {}, .epsilon = static_cast<double>(epsilon)};
  const bool each = groups == channels;
  for (std::int64_t d = 0; d + (each ? 2 : 1) < x.rank(); ++d) draft.axes.push_back(d);
  draft.groups = each ? 1 : groups;
  WEFT_TRY(nn::Parameter gamma, channel_vector(call, 1, "the scale", channels, groups));
  draft.parameters.emplace("gamma", std::move(gamma));
  WEFT_TRY(nn::Parameter beta, channel_vector(call, 2, "the bias", channels, groups));
  draft.parameters.emplace("beta", std::move(beta));
  return add_norm(call, x, std::move(draft));
}

}  // namespace

Result<Values> layer_normalization(Call& call) { return from_axis(call, "variance"); }
Result<Values> rms_normalization(Call& call) { return from_axis(call, "mean_square"); }

Result<Values> instance_normalization(Call& call) {
  WEFT_TRY(const float epsilon, call.get_float("epsilon", 1e-5F));
  return over_space(call, 0, epsilon);
}

Result<Values> group_normalization(Call& call) {
  WEFT_TRY(const float epsilon, call.get_float("epsilon", 1e-5F));
  WEFT_TRY(const std::int64_t groups, call.get_int("num_groups", 0));
  if (groups < 1) return call.fail(Kind::ModelMalformed, "`num_groups` is missing or not positive");
  return over_space(call, groups, epsilon);
}

Result<Values> lp_normalization(Call& call) {
  WEFT_TRY(const std::int64_t given, call.get_int("axis", -1));
  WEFT_TRY(const std::int64_t p, call.get_int("p", 2));
  if (p != 1 && p != 2)
    return call.fail(Kind::AttributeUnsupported, fmt::format("`p` is {}; 1 and 2 are supported", p));
  WEFT_TRY(Dynamic x, normalizable(call));
  WEFT_TRY(const std::int64_t axis, call.axis(given, x.rank()));
  WEFT_TRY_VOID(not_over_batch(call, x, axis));
  WEFT_TRY(x, with_axes(call, std::move(x)));
  return add_norm(call, x, {.axes = {x.layer_axis(axis)}, .statistic = p == 1 ? "sum_abs" : "sum_square"});
}

Result<Values> mean_variance_normalization(Call& call) {
  WEFT_TRY(auto axes, call.get_ints("axes"));
  if (!call.has_attribute("axes")) axes = {0, 2, 3};
  WEFT_TRY(Dynamic x, normalizable(call));
  WEFT_TRY(x, with_axes(call, std::move(x)));
  // The operator adds 1e-9 to the deviation.
  Draft draft{.axes = {}, .epsilon = 1e-18};
  for (const auto given : axes) {
    WEFT_TRY(const std::int64_t axis, call.axis(given, x.rank()));
    WEFT_TRY_VOID(not_over_batch(call, x, axis));
    draft.axes.push_back(x.layer_axis(axis));
  }
  if (draft.axes.empty()) return call.fail(Kind::ModelMalformed, "no axes are given");
  return add_norm(call, x, std::move(draft));
}

Result<Values> softmax_along(Call& call, std::int64_t axis, const std::string& layer) {
  WEFT_TRY(Dynamic x, call.dynamic_float(0));
  if (axis == x.batch_axis)
    return call.fail(Kind::LayerUnsupported, fmt::format("{} runs over the batch", call.node.op_type));
  if (!x.channels_last) {
    WEFT_TRY(x, call.in_onnx_order(std::move(x)));
  }
  WEFT_TRY(x.tensor, call.with_all_axes(x));
  const Shape shape = call.builder.graph.at(x.tensor).shape;
  const std::int64_t at = x.layer_axis(axis);
  const bool last = at + 1 == static_cast<std::int64_t>(shape.size());
  WEFT_TRY(
      const nn::TensorId out,
      call.add(
          {.op = layer, .attributes = {{"axis", last ? std::int64_t{-1} : at}}, .inputs = {x.tensor}, .shape = shape}));
  return Values{Call::retarget(x, out)};
}

}  // namespace weft::formats::onnx::ops
