// SPDX-License-Identifier: Apache-2.0
// Functions applied to tensors of a functional model: TFOpLambda and SlicingOpLambda of Keras 2, operations of Keras 3.
#include "weft/formats/keras/ops_rows.h"

#include <fmt/format.h>

#include "weft/formats/keras/masks.h"
#include "weft/formats/keras/operation_call.h"
#include "weft/formats/keras/ops_functions.h"

namespace weft::formats::keras {
namespace {

struct Function {
  std::string_view keras3;      ///< class of the operation; "" when there is none
  std::string_view tensorflow;  ///< symbols, separated by '|'
  ops::Tensor (*one)(LayerImport&, const std::string&);
  std::string_view what;  ///< operator or family
};

template <ops::Tensor (*F)(LayerImport&)>
ops::Tensor plain(LayerImport& in, const std::string&) {
  return F(in);
}

constexpr Function kFunctions[] = {
    {"Absolute|Abs", "math.abs", ops::unary, "absolute"},
    {"Add", "__operators__.add|math.add", ops::binary, "Add"},
    {"Any", "", ops::reduce, "ReduceMax"},
    {"Clip", "clip_by_value", plain<ops::clip>, ""},
    {"Concatenate", "concat", ops::concatenate, ""},
    {"Divide|TrueDivide", "math.divide|math.truediv|__operators__.truediv", ops::binary, "Div"},
    {"Elu", "nn.elu", ops::unary, "elu"},
    {"Einsum", "einsum", plain<ops::einsum>, ""},
    {"Exp", "math.exp", ops::unary, "exponential"},
    {"ExpandDims", "expand_dims", plain<ops::expand>, ""},
    {"GetItem", "", plain<ops::get_item>, ""},
    {"Identity|StopGradient", "identity|stop_gradient", ops::unary, "identity"},
    {"Matmul", "linalg.matmul|matmul", plain<ops::matmul>, ""},
    {"Max|Amax", "math.reduce_max", ops::reduce, "ReduceMax"},
    {"Maximum", "math.maximum", ops::binary, "Maximum"},
    {"Mean", "math.reduce_mean", ops::reduce, "ReduceMean"},
    {"Min|Amin", "math.reduce_min", ops::reduce, "ReduceMin"},
    {"Minimum", "math.minimum", ops::binary, "Minimum"},
    {"Multiply", "math.multiply|__operators__.multiply", ops::binary, "Mul"},
    {"NotEqual", "", plain<not_equal>, ""},
    {"Negative", "math.negative|__operators__.neg", ops::unary, "negative"},
    {"Power", "math.pow|__operators__.pow", ops::binary, "Pow"},
    {"Relu", "nn.relu", ops::unary, "relu"},
    {"Relu6", "nn.relu6", ops::unary, "relu6"},
    {"Reshape", "reshape", plain<ops::reshape>, ""},
    {"Rsqrt", "math.rsqrt", ops::unary, "rsqrt"},
    {"Selu", "nn.selu", ops::unary, "selu"},
    {"Sigmoid", "math.sigmoid|nn.sigmoid", ops::unary, "sigmoid"},
    {"Sign", "math.sign", ops::unary, "sign"},
    {"Silu", "nn.silu|nn.swish", ops::unary, "silu"},
    {"Softmax", "nn.softmax", plain<ops::softmax>, ""},
    {"Softplus", "math.softplus|nn.softplus", ops::unary, "softplus"},
    {"Softsign", "nn.softsign|math.softsign", ops::unary, "softsign"},
    {"Sqrt", "math.sqrt", ops::unary, "sqrt"},
    {"Square", "math.square", ops::unary, "square"},
    {"Squeeze", "squeeze|compat.v1.squeeze", plain<ops::squeeze>, ""},
    {"Stack", "stack", ops::concatenate, "stack"},
    {"Subtract", "math.subtract|__operators__.sub", ops::binary, "Sub"},
    {"Sum", "math.reduce_sum", ops::reduce, "ReduceSum"},
    {"Take", "gather|compat.v1.gather", plain<ops::take>, ""},
    {"Tanh", "math.tanh|nn.tanh", ops::unary, "tanh"},
    {"Transpose", "transpose|compat.v1.transpose", plain<ops::transpose>, ""},
};

void import_operation(LayerImport& in) {
  if (!in.ready()) return in.config.fail_reported();
  for (const auto& f : kFunctions) {
    if (among(f.keras3, in.layer.class_name)) return in.finish(f.one(in, std::string(f.what)));
  }
  ops::split(in);
}

void import_tf_op(LayerImport& in) {
  if (!in.ready()) return in.config.fail_reported();
  const auto name = in.config.text("function", "");
  if (in.layer.class_name == "SlicingOpLambda") return in.finish(ops::get_item(in));
  if (name == "split") return ops::split(in);
  for (const auto& f : kFunctions) {
    if (among(f.tensorflow, name)) return in.finish(f.one(in, std::string(f.what)));
  }
  in.config.fail(Kind::LayerUnsupported,
                 fmt::format("TensorFlow's function `{}` is not supported; use a layer instead of it", name));
}

LayerRow operation_row(std::string_view class_name, std::string_view package, void (*import)(LayerImport&)) {
  LayerRow row{.class_name = class_name,
               .package = package,
               .op = "Identity",
               .used = {},
               .ignored = {},
               .refused = {},
               .weights = {},
               .import = import};
  row.max_inputs = 4096;
  row.any_call = true;
  return row;
}

}  // namespace

std::vector<LayerRow> operation_rows() {
  std::vector<LayerRow> rows;
  for (const auto* name : {"TFOpLambda", "SlicingOpLambda"}) {
    rows.push_back(operation_row(name, "keras", import_tf_op));
    rows.back().used = {"function"};
  }
  for (const auto& f : kFunctions) {
    for (auto names = f.keras3; !names.empty();) {
      const auto bar = names.find('|');
      rows.push_back(operation_row(names.substr(0, bar), "keras.ops", import_operation));
      names = bar == std::string_view::npos ? std::string_view() : names.substr(bar + 1);
    }
  }
  rows.push_back(operation_row("Split", "keras.ops", import_operation));
  for (auto& row : rows)
    if (row.package == "keras.ops")
      row.used = {"axis", "keepdims", "newshape", "axes", "x_min", "x_max", "indices_or_sections", "subscripts"};
  return rows;
}

}  // namespace weft::formats::keras
