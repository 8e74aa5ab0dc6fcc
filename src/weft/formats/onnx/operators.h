// SPDX-License-Identifier: Apache-2.0
/// @file
/// The operator table: what each operator may carry and who reads it.
#pragma once

#include <string_view>
#include <vector>

#include "weft/formats/onnx/call.h"

namespace weft::formats::onnx {

/// Operator sets in which an operator may stand.
enum DomainBit : unsigned {
  kStandard = 1,         ///< "" and "ai.onnx"
  kQuantSets = 2,        ///< qonnx.custom_op.general, onnx.brevitas, finn.custom_op.general; and "" in old files
  kChannelsLast = 4,     ///< qonnx.custom_op.channels_last
  kMachineLearning = 8,  ///< ai.onnx.ml
  kMicrosoft = 16,       ///< com.microsoft
};

/// One row of the table.
struct Operator {
  std::string_view name;
  unsigned domains = kStandard;
  /// First version of the standard operator set whose meaning the handler has; 1 where all have it.
  int since = 1;
  /// Every attribute of any version; others are AttributeUnknown.
  std::vector<std::string_view> attributes{};
  std::size_t min_inputs = 1;
  std::size_t max_inputs = 1;
  /// Outputs the handler fills; later ones must not be used.
  std::size_t outputs = 1;
  Result<Values> (*handler)(Call&) = nullptr;
  std::string_view note{};
};

/// In alphabetic order.
const std::vector<Operator>& operator_table();

/// Rows of operators that treat all axes alike, a part of the table.
std::vector<Operator> tensor_operators();
/// Rows of operators on integers: QLinear..., ...Integer.
std::vector<Operator> integer_operators();
/// Rows of QONNX' and FINN's operators that are not in the main list.
std::vector<Operator> qonnx_operators();

/// The row for a node; nullptr when there is none in its domain.
const Operator* find_operator(const std::string& op_type, const std::string& domain);

/// The names of the operator sets behind DomainBits.
std::vector<std::string_view> domain_names(unsigned domains);

// Handlers, one group per file.
namespace ops {
// ops_arithmetic.cpp
Result<Values> add(Call& call);
Result<Values> sub(Call& call);
Result<Values> mul(Call& call);
Result<Values> div(Call& call);
Result<Values> pow(Call& call);
// ops_functions.cpp
Result<Values> unary_constant(Call& call);
Result<Values> abs(Call& call);
Result<Values> neg(Call& call);
Result<Values> reciprocal(Call& call);
Result<Values> exp(Call& call);
Result<Values> elu(Call& call);
Result<Values> selu(Call& call);
Result<Values> softplus(Call& call);
Result<Values> softsign(Call& call);
Result<Values> hard_sigmoid(Call& call);
Result<Values> gelu(Call& call);
Result<Values> thresholded_relu(Call& call);
Result<Values> max(Call& call);
Result<Values> min(Call& call);
Result<Values> relu(Call& call);
Result<Values> leaky_relu(Call& call);
Result<Values> sigmoid(Call& call);
Result<Values> tanh(Call& call);
Result<Values> sign(Call& call);
Result<Values> clip(Call& call);
// ops_unary.cpp
Result<Values> unary_function(Call& call);
Result<Values> celu(Call& call);
Result<Values> hard_swish(Call& call);
Result<Values> shrink(Call& call);
Result<Values> swish(Call& call);
Result<Values> prelu(Call& call);
// ops_arrange.cpp
Result<Values> expand_data(Call& call);
Result<Values> tile(Call& call);
Result<Values> gather_elements(Call& call);
Result<Values> gather_nd(Call& call);
Result<Values> scatter_elements(Call& call);
Result<Values> scatter_nd(Call& call);
Result<Values> trilu(Call& call);
Result<Values> reverse_sequence(Call& call);
Result<Values> compress(Call& call);
Result<Values> cum_sum(Call& call);
Result<Values> one_hot(Call& call);
/// Rows of a constant by data.
Result<Values> embedding(Call& call);
Result<Values> range(Call& call);
// ops_matmul.cpp
Result<Values> einsum(Call& call);
Result<Values> matmul_tensors(Call& call);
Result<Values> gemm_tensors(Call& call);
/// One Einsum layer of one or two operands, constants included, with a label per ONNX axis; the batch is found in the
/// data. An empty suffix makes it the operator's result.
Result<Dynamic> einsum_layer(const Call& call, std::vector<Value> values, std::vector<std::string> labels,
                             std::string out, const std::string& suffix);
// ops_merge.cpp
Result<Values> sum(Call& call);
Result<Values> mean(Call& call);
Result<Values> max_tensors(Call& call);
Result<Values> min_tensors(Call& call);
Result<Values> compare(Call& call);
Result<Values> logic(Call& call);
Result<Values> where(Call& call);
// ops_reduce.cpp
Result<Values> reduce_max(Call& call);
Result<Values> reduce_mean(Call& call);
Result<Values> reduce_min(Call& call);
Result<Values> reduce_sum(Call& call);
Result<Values> reduce_composed(Call& call);
Result<Values> reduce_prod(Call& call);
// ops_largest.cpp
Result<Values> argmax(Call& call);
Result<Values> argmin(Call& call);
Result<Values> top_k(Call& call);
// ops_attention.cpp
Result<Values> attention(Call& call);
Result<Values> rotary_embedding(Call& call);
// ops_conv_transpose.cpp
Result<Values> conv_transpose(Call& call);
// ops_linear.cpp
Result<Values> matmul(Call& call);
Result<Values> gemm(Call& call);
// ops_normalize.cpp
Result<Values> batch_normalization(Call& call);
Result<Values> batch_normalization_channels_last(Call& call);
Result<Values> softmax(Call& call);
// ops_statistics.cpp
Result<Values> layer_normalization(Call& call);
Result<Values> rms_normalization(Call& call);
Result<Values> instance_normalization(Call& call);
Result<Values> group_normalization(Call& call);
Result<Values> lp_normalization(Call& call);
Result<Values> mean_variance_normalization(Call& call);
/// Softmax or LogSoftmax of the data along one ONNX axis.
Result<Values> softmax_along(Call& call, std::int64_t axis, const std::string& layer);
// ops_movement.cpp
Result<Values> identity(Call& call);
Result<Values> dropout(Call& call);
Result<Values> cast(Call& call);
Result<Values> flatten(Call& call);
Result<Values> reshape(Call& call);
Result<Values> squeeze(Call& call);
Result<Values> unsqueeze(Call& call);
Result<Values> transpose(Call& call);
// ops_constant.cpp
Result<Values> constant(Call& call);
Result<Values> constant_of_shape(Call& call);
Result<Values> shape(Call& call);
Result<Values> size(Call& call);
Result<Values> expand(Call& call);
// ops_select.cpp
Result<Values> gather(Call& call);
Result<Values> concat(Call& call);
Result<Values> slice(Call& call);
Result<Values> split(Call& call);
// ops_spatial.cpp
Result<Values> conv(Call& call);
Result<Values> conv_channels_last(Call& call);
Result<Values> max_pool(Call& call);
Result<Values> max_pool_channels_last(Call& call);
Result<Values> average_pool(Call& call);
Result<Values> global_max_pool(Call& call);
Result<Values> global_average_pool(Call& call);
Result<Values> global_reduce_max(Call& call);
Result<Values> global_reduce_mean(Call& call);
// ops_resample.cpp
Result<Values> pad(Call& call);
Result<Values> upsample(Call& call);
Result<Values> resize(Call& call);
Result<Values> depth_to_space(Call& call);
Result<Values> space_to_depth(Call& call);
// ops_recurrent.cpp
Result<Values> rnn(Call& call);
Result<Values> lstm(Call& call);
Result<Values> gru(Call& call);
// ops_qcdq.cpp
Result<Values> quantize_linear(Call& call);
Result<Values> dequantize_linear(Call& call);
Result<Values> clip_integers(Call& call);
/// `x`, the result of a QuantizeLinear, with the numbers that its integers stand for; still marked as integers, so that
/// it may be moved before its DequantizeLinear.
Result<Dynamic> settled(const Call& call, Dynamic x);
/// `x`, the result of a QuantizeLinear, as numbers that are the integers themselves.
Result<Dynamic> as_integers(const Call& call, Dynamic x);
// ops_integer.cpp
Result<Values> qlinear_conv(Call& call);
Result<Values> qlinear_matmul(Call& call);
Result<Values> qlinear_binary(Call& call);
Result<Values> qlinear_unary(Call& call);
Result<Values> qlinear_concat(Call& call);
Result<Values> conv_integer(Call& call);
Result<Values> matmul_integer(Call& call);
// ops_qonnx.cpp
Result<Values> float_quant(Call& call);
Result<Values> trunc(Call& call);
Result<Values> quant_average_pool(Call& call);
Result<Values> xnor_matmul(Call& call);
Result<Values> im2col(Call& call);
// ops_trees.cpp
Result<Values> tree_ensemble(Call& call);
Result<Values> tree_ensemble_classifier(Call& call);
Result<Values> tree_ensemble_regressor(Call& call);
// ops_quantizers.cpp
Result<Values> quant(Call& call);
Result<Values> bipolar_quant(Call& call);
Result<Values> multi_threshold(Call& call);
}  // namespace ops

}  // namespace weft::formats::onnx
