// SPDX-License-Identifier: Apache-2.0
#include "weft/formats/tflite/model.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace weft::formats::tflite {
namespace {

// Builtin operators in the order of the schema's enumeration.
constexpr std::array kOperators = {"ADD",
                                   "AVERAGE_POOL_2D",
                                   "CONCATENATION",
                                   "CONV_2D",
                                   "DEPTHWISE_CONV_2D",
                                   "DEPTH_TO_SPACE",
                                   "DEQUANTIZE",
                                   "EMBEDDING_LOOKUP",
                                   "FLOOR",
                                   "FULLY_CONNECTED",
                                   "HASHTABLE_LOOKUP",
                                   "L2_NORMALIZATION",
                                   "L2_POOL_2D",
                                   "LOCAL_RESPONSE_NORMALIZATION",
                                   "LOGISTIC",
                                   "LSH_PROJECTION",
                                   "LSTM",
                                   "MAX_POOL_2D",
                                   "MUL",
                                   "RELU",
                                   "RELU_N1_TO_1",
                                   "RELU6",
                                   "RESHAPE",
                                   "RESIZE_BILINEAR",
                                   "RNN",
                                   "SOFTMAX",
                                   "SPACE_TO_DEPTH",
                                   "SVDF",
                                   "TANH",
                                   "CONCAT_EMBEDDINGS",
                                   "SKIP_GRAM",
                                   "CALL",
                                   "CUSTOM",
                                   "EMBEDDING_LOOKUP_SPARSE",
                                   "PAD",
                                   "UNIDIRECTIONAL_SEQUENCE_RNN",
                                   "GATHER",
                                   "BATCH_TO_SPACE_ND",
                                   "SPACE_TO_BATCH_ND",
                                   "TRANSPOSE",
                                   "MEAN",
                                   "SUB",
                                   "DIV",
                                   "SQUEEZE",
                                   "UNIDIRECTIONAL_SEQUENCE_LSTM",
                                   "STRIDED_SLICE",
                                   "BIDIRECTIONAL_SEQUENCE_RNN",
                                   "EXP",
                                   "TOPK_V2",
                                   "SPLIT",
                                   "LOG_SOFTMAX",
                                   "DELEGATE",
                                   "BIDIRECTIONAL_SEQUENCE_LSTM",
                                   "CAST",
                                   "PRELU",
                                   "MAXIMUM",
                                   "ARG_MAX",
                                   "MINIMUM",
                                   "LESS",
                                   "NEG",
                                   "PADV2",
                                   "GREATER",
                                   "GREATER_EQUAL",
                                   "LESS_EQUAL",
                                   "SELECT",
                                   "SLICE",
                                   "SIN",
                                   "TRANSPOSE_CONV",
                                   "SPARSE_TO_DENSE",
                                   "TILE",
                                   "EXPAND_DIMS",
                                   "EQUAL",
                                   "NOT_EQUAL",
                                   "LOG",
                                   "SUM",
                                   "SQRT",
                                   "RSQRT",
                                   "SHAPE",
                                   "POW",
                                   "ARG_MIN",
                                   "FAKE_QUANT",
                                   "REDUCE_PROD",
                                   "REDUCE_MAX",
                                   "PACK",
                                   "LOGICAL_OR",
                                   "ONE_HOT",
                                   "LOGICAL_AND",
                                   "LOGICAL_NOT",
                                   "UNPACK",
                                   "REDUCE_MIN",
                                   "FLOOR_DIV",
                                   "REDUCE_ANY",
                                   "SQUARE",
                                   "ZEROS_LIKE",
                                   "FILL",
                                   "FLOOR_MOD",
                                   "RANGE",
                                   "RESIZE_NEAREST_NEIGHBOR",
                                   "LEAKY_RELU",
                                   "SQUARED_DIFFERENCE",
                                   "MIRROR_PAD",
                                   "ABS",
                                   "SPLIT_V",
                                   "UNIQUE",
                                   "CEIL",
                                   "REVERSE_V2",
                                   "ADD_N",
                                   "GATHER_ND",
                                   "COS",
                                   "WHERE",
                                   "RANK",
                                   "ELU",
                                   "REVERSE_SEQUENCE",
                                   "MATRIX_DIAG",
                                   "QUANTIZE",
                                   "MATRIX_SET_DIAG",
                                   "ROUND",
                                   "HARD_SWISH",
                                   "IF",
                                   "WHILE",
                                   "NON_MAX_SUPPRESSION_V4",
                                   "NON_MAX_SUPPRESSION_V5",
                                   "SCATTER_ND",
                                   "SELECT_V2",
                                   "DENSIFY",
                                   "SEGMENT_SUM",
                                   "BATCH_MATMUL",
                                   "PLACEHOLDER_FOR_GREATER_OP_CODES",
                                   "CUMSUM",
                                   "CALL_ONCE",
                                   "BROADCAST_TO",
                                   "RFFT2D",
                                   "CONV_3D",
                                   "IMAG",
                                   "REAL",
                                   "COMPLEX_ABS",
                                   "HASHTABLE",
                                   "HASHTABLE_FIND",
                                   "HASHTABLE_IMPORT",
                                   "HASHTABLE_SIZE",
                                   "REDUCE_ALL",
                                   "CONV_3D_TRANSPOSE",
                                   "VAR_HANDLE",
                                   "READ_VARIABLE",
                                   "ASSIGN_VARIABLE",
                                   "BROADCAST_ARGS",
                                   "RANDOM_STANDARD_NORMAL",
                                   "BUCKETIZE",
                                   "RANDOM_UNIFORM",
                                   "MULTINOMIAL",
                                   "GELU",
                                   "DYNAMIC_UPDATE_SLICE",
                                   "RELU_0_TO_1",
                                   "UNSORTED_SEGMENT_PROD",
                                   "UNSORTED_SEGMENT_MAX",
                                   "UNSORTED_SEGMENT_SUM",
                                   "ATAN2",
                                   "UNSORTED_SEGMENT_MIN",
                                   "SIGN",
                                   "BITCAST",
                                   "BITWISE_XOR",
                                   "RIGHT_SHIFT"};

constexpr std::int64_t kMaxExtents = std::int64_t{1} << 40;

Type type_of(std::int64_t code) {
  for (const Type t : {Type::Float32, Type::Float16, Type::Int32, Type::UInt8, Type::Int64, Type::Bool, Type::Int16,
                       Type::Int8, Type::Int4})
    if (static_cast<std::int64_t>(t) == code) return t;
  return Type::Other;
}

std::int64_t bits_of(Type type) {
  switch (type) {
    case Type::Float32:
    case Type::Int32:
      return 32;
    case Type::Int64:
      return 64;
    case Type::Float16:
    case Type::Int16:
      return 16;
    case Type::Int4:
      return 4;
    case Type::UInt8:
    case Type::Int8:
    case Type::Bool:
      return 8;
    case Type::Other:
      break;
  }
  return 0;
}

}  // namespace

std::string_view to_string(Type type) {
  switch (type) {
    case Type::Float32:
      return "float32";
    case Type::Float16:
      return "float16";
    case Type::Int32:
      return "int32";
    case Type::UInt8:
      return "uint8";
    case Type::Int64:
      return "int64";
    case Type::Bool:
      return "bool";
    case Type::Int16:
      return "int16";
    case Type::Int8:
      return "int8";
    case Type::Int4:
      return "int4";
    case Type::Other:
      break;
  }
  return "an unknown type";
}

IntegerLimits limits_of(Type type) {
  if (type == Type::UInt8) return {0, 255};
  if (type != Type::Int4 && type != Type::Int8 && type != Type::Int16 && type != Type::Int32) return {};
  const std::int64_t half = std::int64_t{1} << (bits_of(type) - 1);
  return {-half, half - 1};
}

Result<ModelDef> read_model(FlatBuffer& buffer, const std::string& file, Context& ctx) {
  const auto malformed = [&](const std::string& what) {
    return ctx.fail(Kind::ModelMalformed, {.file = file}, what + "; save the model again");
  };
  ModelDef model;
  model.file = file;
  const Table root = buffer.root();
  const auto codes = root.tables(1);
  const auto graphs = root.tables(2);
  const auto buffers = root.tables(4);
  if (buffer.failed()) return malformed(buffer.problem());
  if (graphs.empty()) return malformed("the model has no subgraph");
  model.subgraphs = graphs.size();
  const Table& graph = graphs[0];
  for (const auto& t : graph.tables(0)) {
    TensorDef tensor;
    tensor.name = t.text(3);
    tensor.shape = t.integers32(0);
    tensor.type = type_of(t.integer8(1));
    tensor.variable = t.flag(5);
    const Table q = t.table(4);
    tensor.scales = q.reals(2);
    tensor.zero_points = q.integers64(3);
    tensor.axis = q.integer32(6);
    if (buffer.failed()) return malformed(buffer.problem());
    const std::string where = fmt::format("tensor `{}`", tensor.name);
    std::int64_t elements = 1;
    for (const auto d : tensor.shape) {
      if (d < 0 || (d > 0 && elements > kMaxExtents / d)) return malformed(where + " has an impossible shape");
      elements *= d;
    }
    for (const float s : tensor.scales)
      if (!(s > 0.0F) || !std::isfinite(s)) return malformed(fmt::format("{} has the scale {}", where, s));
    const auto limits = limits_of(tensor.type);
    for (const auto z : tensor.zero_points)
      if (tensor.quantized() && (z < limits.lo || z > limits.hi))
        return malformed(fmt::format("{} has the zero point {}", where, z));
    const auto index = static_cast<std::uint64_t>(t.unsigned32(2));
    if (index >= buffers.size()) return malformed(where + " has no buffer");
    tensor.data = buffers[index].bytes(0);
    const std::uint64_t offset = buffers[index].unsigned64(1);
    const std::uint64_t size = buffers[index].unsigned64(2);
    if (tensor.data.empty() && offset > 1) {
      if (offset > buffer.bytes().size() || size > buffer.bytes().size() - offset)
        return malformed(where + " lies behind the end of the file");
      tensor.data = buffer.bytes().substr(offset, size);
    }
    if (!tensor.data.empty()) {
      const std::int64_t bits = bits_of(tensor.type);
      if (bits != 0 && static_cast<std::int64_t>(tensor.data.size()) != (elements * bits + 7) / 8)
        return malformed(fmt::format("{} of {} elements has {} bytes", where, elements, tensor.data.size()));
    }
    model.tensors.push_back(std::move(tensor));
  }
  const auto count = static_cast<std::int64_t>(model.tensors.size());
  const auto check = [&](const std::vector<std::int64_t>& list, std::int64_t least) {
    return std::all_of(list.begin(), list.end(), [&](std::int64_t i) { return i >= least && i < count; });
  };
  for (const auto& o : graph.tables(3)) {
    OperatorDef op;
    const auto index = static_cast<std::uint64_t>(o.unsigned32(0));
    if (index >= codes.size()) return malformed("an operator has no code");
    const std::int64_t code = std::max(codes[index].integer8(0), codes[index].integer32(3));
    op.version = codes[index].integer32(2, 1);
    op.name = code >= 0 && code < static_cast<std::int64_t>(kOperators.size())
                  ? kOperators[static_cast<std::size_t>(code)]
                  : fmt::format("operator {}", code);
    op.custom = op.name == "CUSTOM";
    if (op.custom) op.name = codes[index].text(1);
    op.inputs = o.integers32(1);
    op.outputs = o.integers32(2);
    op.options = o.table(4);
    op.intermediates = o.integers32(8);
    if (buffer.failed()) return malformed(buffer.problem());
    if (!check(op.inputs, -1) || !check(op.outputs, 0) || !check(op.intermediates, -1) || op.outputs.empty())
      return malformed(fmt::format("{} names tensors that do not exist", op.name));
    model.operators.push_back(std::move(op));
  }
  model.inputs = graph.integers32(1);
  model.outputs = graph.integers32(2);
  if (buffer.failed()) return malformed(buffer.problem());
  if (!check(model.inputs, 0) || !check(model.outputs, 0) || model.outputs.empty())
    return malformed("the subgraph names inputs or outputs that do not exist");
  return model;
}

}  // namespace weft::formats::tflite
