// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/onnx/operators.h"

#include "weft/formats/onnx/onnx.h"

namespace weft::formats::onnx {

const std::vector<Operator>& operator_table() {
  static const std::vector<Operator> table = {
      {.name = "Abs", .attributes = {"consumed_inputs"}, .handler = ops::unary_constant, .note = "constants only"},
      {.name = "Add",
       .attributes = {"axis", "broadcast", "consumed_inputs"},
       .min_inputs = 2,
       .max_inputs = 2,
       .handler = ops::add,
       .note = "two data tensors must have equal shapes; constants broadcast to the data"},
      {.name = "ArgMax",
       .attributes = {"axis", "keepdims", "select_last_index"},
       .handler = ops::argmax,
       .note = "last axis, first of equal elements"},
      {.name = "BatchNormalization",
       .domains = kChannelsLast,
       .attributes = {"epsilon", "momentum", "training_mode", "spatial", "is_test"},
       .min_inputs = 5,
       .max_inputs = 5,
       .handler = ops::batch_normalization_channels_last,
       .note = "channels on the last axis"},
      {.name = "BatchNormalization",
       .attributes = {"epsilon", "momentum", "training_mode", "spatial", "is_test", "consumed_inputs"},
       .min_inputs = 5,
       .max_inputs = 5,
       .handler = ops::batch_normalization,
       .note = "[N,C], [N,C,1...] and [C,N] between transposes; training mode is read as inference"},
      {.name = "BipolarQuant",
       .domains = kStandard | kQuantSets,
       .min_inputs = 2,
       .max_inputs = 2,
       .handler = ops::bipolar_quant,
       .note = "scale per tensor or per channel (last axis); any broadcast on constants"},
      {.name = "Cast",
       .attributes = {"to", "saturate", "round_mode"},
       .handler = ops::cast,
       .note = "constants; data from integers to float32 or to its own type"},
      {.name = "Ceil", .attributes = {"consumed_inputs"}, .handler = ops::unary_constant, .note = "constants only"},
      {.name = "Clip",
       .attributes = {"min", "max", "consumed_inputs"},
       .min_inputs = 1,
       .max_inputs = 3,
       .handler = ops::clip,
       .note = "constant bounds"},
      {.name = "Concat",
       .attributes = {"axis"},
       .min_inputs = 1,
       .max_inputs = 1U << 20,
       .handler = ops::concat,
       .note = "constants only"},
      {.name = "Constant",
       .attributes = {"value", "value_float", "value_floats", "value_int", "value_ints"},
       .min_inputs = 0,
       .max_inputs = 0,
       .handler = ops::constant,
       .note = "no strings, no sparse tensors"},
      {.name = "ConstantOfShape", .attributes = {"value"}, .handler = ops::constant_of_shape, .note = "constant shape"},
      {.name = "Div",
       .attributes = {"axis", "broadcast", "consumed_inputs"},
       .min_inputs = 2,
       .max_inputs = 2,
       .handler = ops::div,
       .note = "as Add"},
      {.name = "Dropout",
       .attributes = {"ratio", "is_test", "seed", "consumed_inputs"},
       .min_inputs = 1,
       .max_inputs = 3,
       .handler = ops::dropout,
       .note = "read as inference: the identity"},
      {.name = "Exp", .attributes = {"consumed_inputs"}, .handler = ops::unary_constant, .note = "constants only"},
      {.name = "Expand", .min_inputs = 2, .max_inputs = 2, .handler = ops::expand, .note = "constants only"},
      {.name = "Flatten",
       .attributes = {"axis"},
       .handler = ops::flatten,
       .note = "the batch stays an axis of its own"},
      {.name = "Floor", .attributes = {"consumed_inputs"}, .handler = ops::unary_constant, .note = "constants only"},
      {.name = "Gather",
       .attributes = {"axis"},
       .min_inputs = 2,
       .max_inputs = 2,
       .handler = ops::gather,
       .note = "constants only"},
      {.name = "Gemm",
       .attributes = {"alpha", "beta", "transA", "transB", "broadcast"},
       .min_inputs = 2,
       .max_inputs = 3,
       .handler = ops::gemm,
       .note = "data x constant, transA = 0"},
      {.name = "Identity", .handler = ops::identity},
      {.name = "IntQuant",
       .domains = kStandard | kQuantSets,
       .attributes = {"signed", "narrow", "rounding_mode"},
       .min_inputs = 4,
       .max_inputs = 4,
       .handler = ops::quant,
       .note = "as Quant"},
      {.name = "LeakyRelu", .attributes = {"alpha", "consumed_inputs"}, .handler = ops::leaky_relu},
      {.name = "Log", .attributes = {"consumed_inputs"}, .handler = ops::unary_constant, .note = "constants only"},
      {.name = "MatMul", .min_inputs = 2, .max_inputs = 2, .handler = ops::matmul, .note = "data x constant"},
      {.name = "Mul",
       .attributes = {"axis", "broadcast", "consumed_inputs"},
       .min_inputs = 2,
       .max_inputs = 2,
       .handler = ops::mul,
       .note = "as Add"},
      {.name = "MultiThreshold",
       .domains = kStandard | kQuantSets,
       .attributes = {"out_dtype", "out_scale", "out_bias", "data_layout"},
       .min_inputs = 2,
       .max_inputs = 2,
       .handler = ops::multi_threshold,
       .note = "channels on the last axis, or [N,C,1...]"},
      {.name = "Neg", .attributes = {"consumed_inputs"}, .handler = ops::unary_constant, .note = "constants only"},
      {.name = "Pow",
       .attributes = {"axis", "broadcast"},
       .min_inputs = 2,
       .max_inputs = 2,
       .handler = ops::pow,
       .note = "constant exponent"},
      {.name = "Quant",
       .domains = kStandard | kQuantSets,
       .attributes = {"signed", "narrow", "rounding_mode"},
       .min_inputs = 4,
       .max_inputs = 4,
       .handler = ops::quant,
       .note = "on data: scale and zero point per tensor or per channel (last axis), bit width one number; any "
               "broadcast of "
               "scale and zero point on constants"},
      {.name = "Reciprocal",
       .attributes = {"consumed_inputs"},
       .handler = ops::unary_constant,
       .note = "constants only"},
      {.name = "Relu", .attributes = {"consumed_inputs"}, .handler = ops::relu},
      {.name = "Reshape",
       .attributes = {"shape", "allowzero", "consumed_inputs"},
       .min_inputs = 1,
       .max_inputs = 2,
       .handler = ops::reshape,
       .note = "the batch stays an axis of its own"},
      {.name = "Round", .handler = ops::unary_constant, .note = "constants only"},
      {.name = "Shape",
       .attributes = {"start", "end"},
       .handler = ops::shape,
       .note = "the batch counts as the file says, 1 when symbolic"},
      {.name = "Sigmoid", .attributes = {"consumed_inputs"}, .handler = ops::sigmoid},
      {.name = "Sign", .handler = ops::sign},
      {.name = "Size", .handler = ops::size, .note = "the batch counts as the file says, 1 when symbolic"},
      {.name = "Slice",
       .attributes = {"starts", "ends", "axes"},
       .min_inputs = 1,
       .max_inputs = 5,
       .handler = ops::slice,
       .note = "constants only"},
      {.name = "Softmax", .attributes = {"axis"}, .handler = ops::softmax, .note = "last axis"},
      {.name = "Sqrt", .attributes = {"consumed_inputs"}, .handler = ops::unary_constant, .note = "constants only"},
      {.name = "Squeeze",
       .attributes = {"axes"},
       .min_inputs = 1,
       .max_inputs = 2,
       .handler = ops::squeeze,
       .note = "the batch stays"},
      {.name = "Sub",
       .attributes = {"axis", "broadcast", "consumed_inputs"},
       .min_inputs = 2,
       .max_inputs = 2,
       .handler = ops::sub,
       .note = "as Add"},
      {.name = "Tanh", .attributes = {"consumed_inputs"}, .handler = ops::tanh},
      {.name = "TopK",
       .attributes = {"k", "axis", "largest", "sorted"},
       .min_inputs = 1,
       .max_inputs = 2,
       .outputs = 2,
       .handler = ops::top_k,
       .note = "indices only; last axis, largest first"},
      {.name = "Transpose", .attributes = {"perm"}, .handler = ops::transpose},
      {.name = "Unsqueeze", .attributes = {"axes"}, .min_inputs = 1, .max_inputs = 2, .handler = ops::unsqueeze},
  };
  return table;
}

const Operator* find_operator(const std::string& op_type, const std::string& domain) {
  unsigned bit = 0;
  if (domain.empty()) bit = kStandard;
  if (domain == "qonnx.custom_op.general" || domain == "onnx.brevitas" || domain == "finn.custom_op.general")
    bit = kQuantSets;
  if (domain == "qonnx.custom_op.channels_last") bit = kChannelsLast;
  for (const auto& row : operator_table()) {
    if (row.name == op_type && (row.domains & bit) != 0) return &row;
  }
  return nullptr;
}

std::vector<std::string_view> domain_names(unsigned domains) {
  std::vector<std::string_view> names;
  if ((domains & kStandard) != 0) names.emplace_back("ai.onnx");
  if ((domains & kQuantSets) != 0) {
    for (const auto* name : {"finn.custom_op.general", "onnx.brevitas", "qonnx.custom_op.general"})
      names.emplace_back(name);
  }
  if ((domains & kChannelsLast) != 0) names.emplace_back("qonnx.custom_op.channels_last");
  return names;
}

std::vector<OperatorInfo> supported_operators() {
  std::vector<OperatorInfo> rows;
  for (const auto& row : operator_table()) rows.push_back({row.name, domain_names(row.domains), row.note});
  return rows;
}

}  // namespace weft::formats::onnx
