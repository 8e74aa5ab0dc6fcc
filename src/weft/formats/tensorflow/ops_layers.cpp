// SPDX-License-Identifier: Apache-2.0
// Operators with parameters, pools, reductions and functions.
#include <fmt/format.h>

#include <algorithm>

#include "weft/formats/tensorflow/import.h"

namespace weft::formats::tensorflow {
namespace {

using Ints = std::vector<std::int64_t>;

/// Two spatial numbers of a list [1, h, w, 1]; ones when it is absent.
Result<Ints> spatial(const Call& call, const std::string& name) {
  const auto list = integers_attribute(call.node, name);
  if (!list || list->empty()) return Ints{1, 1};
  if (list->size() != 4 || (*list)[0] != 1 || (*list)[3] != 1 || (*list)[1] < 1 || (*list)[2] < 1)
    return call.fail(Kind::AttributeUnsupported, fmt::format("`{}` must be [1, h, w, 1]", name));
  return Ints{(*list)[1], (*list)[2]};
}

Result<void> place_windows(const Call& call, AttributeMap& attributes) {
  const auto padding = text_attribute(call.node, "padding").value_or("");
  if (padding == "SAME" || padding == "VALID") {
    attributes["padding"] = std::string(padding == "SAME" ? "same" : "valid");
    return {};
  }
  const auto list = integers_attribute(call.node, "explicit_paddings");
  if (padding != "EXPLICIT" || !list || list->size() != 8 || (*list)[0] != 0 || (*list)[1] != 0 || (*list)[6] != 0 ||
      (*list)[7] != 0)
    return call.fail(Kind::AttributeUnsupported, fmt::format("padding `{}` is not read", padding));
  attributes["padding"] = std::string("explicit");
  attributes["before"] = Ints{(*list)[2], (*list)[4]};
  attributes["after"] = Ints{(*list)[3], (*list)[5]};
  return {};
}

Result<void> read_conv(const Call& call) {
  WEFT_TRY_VOID(call.require_channels_last());
  const bool depthwise = call.node.op == "DepthwiseConv2dNative";
  WEFT_TRY(const auto x, call.data(0));
  WEFT_TRY(FloatTensor kernel, call.reals(1, "the kernel"));
  LayerDraft draft{.op = depthwise ? "DepthwiseConv" : "Conv", .inputs = {x}};
  WEFT_TRY(draft.attributes["strides"], spatial(call, "strides"));
  WEFT_TRY(draft.attributes["dilations"], spatial(call, "dilations"));
  WEFT_TRY_VOID(place_windows(call, draft.attributes));
  const Shape& shape = call.shape_of(x);
  if (kernel.shape.size() != 4 || shape.size() != 3)
    return call.fail(Kind::ShapeMismatch, fmt::format("a kernel of shape {} and an input of {}",
                                                      weft::to_string(kernel.shape), weft::to_string(shape)));
  const std::int64_t in = kernel.shape[2];
  if (!depthwise && in > 0 && shape[2] != in && shape[2] % in == 0) draft.attributes["groups"] = shape[2] / in;
  draft.parameters["kernel"].values = std::move(kernel);
  return call.add(std::move(draft));
}

Result<void> read_matmul(const Call& call) {
  WEFT_TRY(const auto x, call.data(0));
  WEFT_TRY(FloatTensor kernel, call.reals(1, "the matrix"));
  const bool batched = call.node.op.starts_with("BatchMatMul");
  if (bool_attribute(call.node, batched ? "adj_x" : "transpose_a").value_or(false))
    return call.fail(Kind::AttributeUnsupported, "the data of a matrix product may not be transposed");
  if (kernel.shape.size() != 2) return call.fail(Kind::ShapeMismatch, "the matrix must have two axes");
  if (bool_attribute(call.node, batched ? "adj_y" : "transpose_b").value_or(false))
    kernel = tensor::permute(kernel, {1, 0});
  LayerDraft draft{.op = "Dense", .inputs = {x}};
  draft.parameters["kernel"].values = std::move(kernel);
  return call.add(std::move(draft));
}

/// Part of the product in front where nothing else reads that; an Add otherwise.
Result<void> read_bias_add(const Call& call) {
  WEFT_TRY_VOID(call.require_channels_last());
  WEFT_TRY(const auto x, call.data(0));
  WEFT_TRY(FloatTensor bias, call.reals(1, "the bias"));
  for (auto& node : call.builder.graph.nodes) {
    const bool product = node.op == "Conv" || node.op == "DepthwiseConv" || node.op == "Dense";
    if (node.outputs[0] != x || !product || node.parameters.count("bias") != 0 || call.inputs[0].shared ||
        bias.shape.size() != 1 || bias.shape[0] != call.shape_of(x).back())
      continue;
    node.parameters["bias"].values = std::move(bias);
    call.set(x);
    return {};
  }
  LayerDraft draft{.op = "Add", .inputs = {x}};
  draft.parameters["constant"].values = std::move(bias);
  return call.add(std::move(draft));
}

Result<void> read_batch_norm(const Call& call) {
  WEFT_TRY_VOID(call.require_channels_last());
  if (bool_attribute(call.node, "is_training").value_or(true))
    return call.fail(Kind::LayerUnsupported, "batch normalization in training mode; save the model for inference");
  WEFT_TRY(const auto x, call.data(0));
  LayerDraft draft{.op = "BatchNorm", .inputs = {x}};
  draft.attributes = {{"epsilon", static_cast<double>(real_attribute(call.node, "epsilon").value_or(1e-4F))},
                      {"form", std::string("keras")},
                      {"inverse", std::string("rsqrt")}};
  std::size_t i = 1;
  for (const auto* role : {"gamma", "beta", "mean", "variance"}) {
    WEFT_TRY(draft.parameters[role].values, call.reals(i, role));
    ++i;
  }
  return call.add(std::move(draft));
}

Result<void> read_pool(const Call& call) {
  WEFT_TRY_VOID(call.require_channels_last());
  WEFT_TRY(const auto x, call.data(0));
  LayerDraft draft{.op = call.node.op == "MaxPool" ? "MaxPool" : "AveragePool", .inputs = {x}};
  WEFT_TRY(draft.attributes["pool"], spatial(call, "ksize"));
  WEFT_TRY(draft.attributes["strides"], spatial(call, "strides"));
  WEFT_TRY_VOID(place_windows(call, draft.attributes));
  return call.add(std::move(draft));
}

Result<void> read_reduction(const Call& call) {
  WEFT_TRY(const auto x, call.data(0));
  WEFT_TRY(const auto list, call.integers(1, "the axes"));
  Ints axes;
  for (const auto axis : list) {
    WEFT_TRY(const auto own, call.sample_axis(axis, call.shape_of(x).size()));
    axes.push_back(own);
  }
  std::sort(axes.begin(), axes.end());
  axes.erase(std::unique(axes.begin(), axes.end()), axes.end());
  if (axes.empty()) {
    call.set(x);
    return {};
  }
  return call.add({.op = "Reduce" + call.node.op,
                   .attributes = {{"axes", axes}, {"keepdims", bool_attribute(call.node, "keep_dims").value_or(false)}},
                   .inputs = {x}});
}

Result<void> read_softmax(const Call& call) {
  WEFT_TRY(const auto x, call.data(0));
  return call.add({.op = "Softmax", .inputs = {x}});
}

Result<void> read_function(const Call& call) {
  WEFT_TRY(const auto x, call.data(0));
  static const std::map<std::string, std::string> families = {
      {"Elu", "elu"},           {"Exp", "exponential"}, {"LeakyRelu", "leaky_relu"}, {"Relu", "relu"},
      {"Relu6", "relu"},        {"Selu", "selu"},       {"Sigmoid", "sigmoid"},      {"Softplus", "softplus"},
      {"Softsign", "softsign"}, {"Tanh", "tanh"}};
  quantizers::Spec spec{families.at(call.node.op), {}};
  if (call.node.op == "Relu6") spec.parameters["max_value"] = 6.0;
  if (call.node.op == "LeakyRelu")
    spec.parameters["alpha"] = static_cast<double>(real_attribute(call.node, "alpha").value_or(0.2F));
  return call.add({.op = "Activation", .inputs = {x}, .functions = {{"activation", std::move(spec)}}});
}

Result<void> read_identity(const Call& call) {
  if (call.inputs.empty()) return call.fail(Kind::ModelMalformed, "the operator has no input");
  call.outputs = {call.inputs[0]};
  return {};
}

}  // namespace

std::vector<Operator> layer_operators() {
  return {{"AvgPool", read_pool},
          {"BatchMatMulV2", read_matmul},
          {"BiasAdd", read_bias_add},
          {"Conv2D", read_conv},
          {"DepthwiseConv2dNative", read_conv},
          {"Elu", read_function},
          {"Exp", read_function},
          {"FusedBatchNorm", read_batch_norm},
          {"FusedBatchNormV2", read_batch_norm},
          {"FusedBatchNormV3", read_batch_norm},
          {"Identity", read_identity},
          {"LeakyRelu", read_function},
          {"MatMul", read_matmul},
          {"Max", read_reduction},
          {"MaxPool", read_pool},
          {"Mean", read_reduction},
          {"Min", read_reduction},
          {"Relu", read_function},
          {"Relu6", read_function},
          {"Selu", read_function},
          {"Sigmoid", read_function},
          {"Softmax", read_softmax},
          {"Softplus", read_function},
          {"Softsign", read_function},
          {"StopGradient", read_identity},
          {"Sum", read_reduction},
          {"Tanh", read_function}};
}

}  // namespace weft::formats::tensorflow
