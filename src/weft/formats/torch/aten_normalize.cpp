// SPDX-License-Identifier: Apache-2.0
// Normalizations and softmax.
#include <fmt/format.h>

#include <cmath>

#include <algorithm>
#include <limits>

#include "weft/formats/torch/aten.h"

namespace weft::formats::torch {
namespace {

/// `given`, or `size` times `value` when it is absent.
Value or_filled(const Value& given, std::int64_t size, float value) {
  if (given.present()) return given;
  return float_constant(std::vector<float>(static_cast<std::size_t>(std::max<std::int64_t>(size, 0)), value), {size});
}

Result<std::int64_t> channels_of(AtenCall& call, const Value& x) {
  if (rank_of(x) < 2)
    return call.fail(Kind::ShapeMismatch, fmt::format("data of shape {} has no channels", to_string(shape_of(x))));
  return shape_of(x)[1];
}

Result<Values> batch_norm(AtenCall& call) {
  WEFT_TRY(const Value x, call.tensor("input"));
  WEFT_TRY(const Value weight, call.optional_tensor("weight"));
  WEFT_TRY(const Value bias, call.optional_tensor("bias"));
  WEFT_TRY(const Value mean, call.optional_tensor("running_mean"));
  WEFT_TRY(const Value variance, call.optional_tensor("running_var"));
  WEFT_TRY(const double eps, call.real("eps", 1e-5));
  WEFT_TRY(const bool training, call.flag("training", false));
  WEFT_TRY(const bool instance, call.flag("use_input_stats", false));
  call.ignore({"momentum", "cudnn_enabled"});
  WEFT_TRY(const std::int64_t channels, channels_of(call, x));
  if (instance) {
    return call.onnx("InstanceNormalization", {x, or_filled(weight, channels, 1.0F), or_filled(bias, channels, 0.0F)},
                     {{"epsilon", static_cast<float>(eps)}});
  }
  if (training || !mean.present() || !variance.present()) {
    return call.fail(Kind::AttributeUnsupported,
                     "the batch normalization takes its statistics from the batch; call `.eval()` before the export "
                     "(and keep `track_running_stats`)");
  }
  return call.onnx("BatchNormalization",
                   {x, or_filled(weight, channels, 1.0F), or_filled(bias, channels, 0.0F), mean, variance},
                   {{"epsilon", static_cast<float>(eps)}});
}

Result<Values> batch_norm_training(AtenCall& call) {
  return call.fail(Kind::AttributeUnsupported,
                   "the batch normalization takes its statistics from the batch; call `.eval()` before the export");
}

Result<std::vector<std::int64_t>> normalized_shape(AtenCall& call, const Value& x) {
  WEFT_TRY(auto shape, call.integers("normalized_shape"));
  const Shape& full = shape_of(x);
  if (shape.empty() || shape.size() > full.size() || !std::equal(shape.rbegin(), shape.rend(), full.rbegin()))
    return call.fail(Kind::ShapeMismatch, fmt::format("`normalized_shape` {} does not end the data's shape {}",
                                                      to_string(shape), to_string(full)));
  return shape;
}

Result<Values> layer_norm(AtenCall& call) {
  WEFT_TRY(const Value x, call.tensor("input"));
  WEFT_TRY(const auto shape, normalized_shape(call, x));
  WEFT_TRY(Value weight, call.optional_tensor("weight"));
  WEFT_TRY(const Value bias, call.optional_tensor("bias"));
  WEFT_TRY(const double eps, call.real("eps", 1e-5));
  call.ignore({"cudnn_enable"});
  if (!weight.present())
    weight = float_constant(std::vector<float>(static_cast<std::size_t>(element_count(shape)), 1.0F), shape);
  return call.onnx("LayerNormalization", {x, weight, bias},
                   {{"axis", -static_cast<std::int64_t>(shape.size())}, {"epsilon", static_cast<float>(eps)}});
}

Result<Values> rms_norm(AtenCall& call) {
  WEFT_TRY(const Value x, call.tensor("input"));
  WEFT_TRY(const auto shape, normalized_shape(call, x));
  WEFT_TRY(Value weight, call.optional_tensor("weight"));
  WEFT_TRY(const double eps, call.real("eps", static_cast<double>(std::numeric_limits<float>::epsilon())));
  if (!weight.present())
    weight = float_constant(std::vector<float>(static_cast<std::size_t>(element_count(shape)), 1.0F), shape);
  return call.onnx("RMSNormalization", {x, weight},
                   {{"axis", -static_cast<std::int64_t>(shape.size())}, {"epsilon", static_cast<float>(eps)}});
}

Result<Values> group_norm(AtenCall& call) {
  WEFT_TRY(const Value x, call.tensor("input"));
  WEFT_TRY(const std::int64_t groups, call.integer(call.has("num_groups") ? "num_groups" : "group"));
  WEFT_TRY(const Value weight, call.optional_tensor("weight"));
  WEFT_TRY(const Value bias, call.optional_tensor("bias"));
  WEFT_TRY(const double eps, call.real("eps", 1e-5));
  call.ignore({"cudnn_enabled", "N", "C", "HxW"});
  WEFT_TRY(const std::int64_t channels, channels_of(call, x));
  return call.onnx("GroupNormalization", {x, or_filled(weight, channels, 1.0F), or_filled(bias, channels, 0.0F)},
                   {{"epsilon", static_cast<float>(eps)}, {"num_groups", groups}});
}

Result<Values> softmax_as(AtenCall& call, const std::string& op) {
  WEFT_TRY(Value x, call.tensor("self"));
  WEFT_TRY(x, call.as_float(x));
  WEFT_TRY(const std::int64_t axis, call.integer("dim"));
  WEFT_TRY(const std::int64_t type, call.integer("dtype", 7));
  WEFT_TRY(const bool half, call.flag("half_to_float", false));
  if (type != 7 || half)
    return call.fail(Kind::AttributeUnsupported, fmt::format("softmax in {}", scalar_type_name(type)));
  return call.onnx(op, {x}, {{"axis", axis}});
}
Result<Values> softmax(AtenCall& call) { return softmax_as(call, "Softmax"); }
Result<Values> log_softmax(AtenCall& call) { return softmax_as(call, "LogSoftmax"); }

/// A weight as length times direction: v g / |v|, the norm over all axes but one. Kernels sum squares in their own
/// order; here the norm is rounded once.
Result<Values> weight_norm(AtenCall& call) {
  WEFT_TRY(const ConstantPtr v, call.constant("v"));
  WEFT_TRY(const ConstantPtr g, call.constant("g"));
  WEFT_TRY(const std::int64_t given, call.integer("dim", 0));
  const auto rank = static_cast<std::int64_t>(v->shape.size());
  WEFT_TRY(const std::int64_t axis, call.axis(given, rank));
  const auto rows = static_cast<std::size_t>(v->shape[static_cast<std::size_t>(axis)]);
  if (!v->floating() || !g->floating() || g->size() != rows || v->size() == 0)
    return call.fail(Kind::ShapeMismatch,
                     fmt::format("lengths {} do not fit directions {}", to_string(g->shape), to_string(v->shape)));
  std::size_t inner = 1;
  for (std::int64_t d = axis + 1; d < rank; ++d)
    inner *= static_cast<std::size_t>(v->shape[static_cast<std::size_t>(d)]);
  std::vector<double> squares(rows, 0.0);
  for (std::size_t i = 0; i < v->floats.size(); ++i)
    squares[i / inner % rows] += static_cast<double>(v->floats[i]) * static_cast<double>(v->floats[i]);
  Constant norms = float_constant(g->floats, g->shape);
  for (std::size_t i = 0; i < rows; ++i) norms.floats[i] = static_cast<float>(std::sqrt(squares[i]));
  Constant out = float_constant(v->floats, v->shape);
  for (std::size_t i = 0; i < out.floats.size(); ++i) {
    const std::size_t row = i / inner % rows;
    const float ratio = g->floats[row] / norms.floats[row];
    out.floats[i] = v->floats[i] * ratio;
  }
  return Values{std::move(out), std::move(norms)};
}

}  // namespace

AtenRows normalize_rows() {
  return {{"aten._log_softmax", log_softmax},
          {"aten._weight_norm", weight_norm},
          {"aten._weight_norm_interface", weight_norm},
          {"aten._native_batch_norm_legit", batch_norm},
          {"aten._native_batch_norm_legit_functional", batch_norm_training, "refused: training mode"},
          {"aten._native_batch_norm_legit_no_training", batch_norm},
          {"aten._softmax", softmax},
          {"aten.batch_norm", batch_norm, "with stored statistics"},
          {"aten.group_norm", group_norm},
          {"aten.instance_norm", batch_norm},
          {"aten.layer_norm", layer_norm},
          {"aten.log_softmax", log_softmax},
          {"aten.native_batch_norm", batch_norm},
          {"aten.native_group_norm", group_norm},
          {"aten.native_layer_norm", layer_norm},
          {"aten.rms_norm", rms_norm},
          {"aten.softmax", softmax},
          {"aten.special_log_softmax", log_softmax},
          {"aten.special_softmax", softmax}};
}

}  // namespace weft::formats::torch
