// SPDX-License-Identifier: Apache-2.0
// Masking and Embedding(mask_zero=True) make a mask; layers that keep the time axis carry it on, recurrent layers skip
// the steps where it is 0, averages over time leave them out. Layers that Keras does not let support masks drop it.
#include "weft/formats/keras/masks.h"

#include <fmt/format.h>

#include <algorithm>

#include "weft/formats/keras/row_parts.h"

namespace weft::formats::keras {
namespace {

using Tensor = std::optional<nn::TensorId>;
using Ints = std::vector<std::int64_t>;

template <std::size_t N>
bool contains(const std::string_view (&list)[N], std::string_view name) {
  return std::find(std::begin(list), std::end(list), name) != std::end(list);
}

/// They give their output the mask of their input.
constexpr std::string_view kCarry[] = {"Activation",
                                       "ActivityRegularization",
                                       "AlphaDropout",
                                       "BatchNormalization",
                                       "Dense",
                                       "Dropout",
                                       "ELU",
                                       "GaussianDropout",
                                       "GaussianNoise",
                                       "LayerNormalization",
                                       "LeakyReLU",
                                       "PReLU",
                                       "QActivation",
                                       "QBatchNormalization",
                                       "QDense",
                                       "ReLU",
                                       "SpatialDropout1D",
                                       "ThresholdedReLU",
                                       "TimeDistributed"};
/// They have no use for one, and none behind them.
constexpr std::string_view kDrop[] = {"AveragePooling1D", "Conv1D",  "Cropping1D", "Flatten", "GlobalMaxPooling1D",
                                      "MaxPooling1D",     "Permute", "QConv1D",    "Reshape", "SeparableConv1D",
                                      "ZeroPadding1D"};
/// They skip steps.
constexpr std::string_view kRecurrent[] = {"Bidirectional", "GRU",        "LSTM", "QBidirectional", "QGRU",
                                           "QLSTM",         "QSimpleRNN", "RNN",  "SimpleRNN"};

Tensor activation(LayerImport& in, nn::TensorId x, const std::string& suffix, quantizers::Spec spec) {
  nn::Node node;
  node.name = in.layer.name + suffix;
  node.op = "Activation";
  node.inputs = {x};
  node.functions["activation"] = std::move(spec);
  return in.emit(std::move(node));
}

/// 1 for whole numbers from 1 on, 0 for 0.
Tensor nonzero(LayerImport& in, nn::TensorId x, const std::string& suffix) {
  return activation(
      in, x, suffix,
      {"qonnx_quant", {{"scale", std::vector<double>{1.0}}, {"bits", 1.0}, {"signed", false}, {"narrow", false}}});
}

/// x times the mask as [T, 1].
Tensor masked(LayerImport& in, nn::TensorId x, nn::TensorId mask) {
  const auto column = in.emit("_mask_column", "Reshape", {mask}, {{"shape", Ints{in.shape_of(mask).front(), 1}}});
  return column ? in.emit("_masked", "Mul", {x, *column}) : column;
}

/// 1 where x is another number than `value`, else 0.
Tensor differs(LayerImport& in, nn::TensorId x, double value) {
  Tensor from = x;
  if (value != 0.0) {
    nn::Node shifted;
    shifted.name = in.layer.name + "_shifted";
    shifted.op = "Sub";
    shifted.inputs = {x};
    shifted.parameters["constant"].values = FloatTensor(Shape{1}, {static_cast<float>(value)});
    from = in.emit(std::move(shifted));
  }
  const Tensor sign = from ? activation(in, *from, "_sign", {"sign", {}}) : from;
  return sign ? in.emit("_differs", "Mul", {*sign, *sign}) : sign;
}

/// Steps of which any feature differs from `mask_value`; the others become 0.
void import_masking(LayerImport& in) {
  const double value = in.config.number("mask_value", 0.0);
  if (in.input() && in.input()->size() != 2)
    in.config.fail(Kind::ShapeMismatch,
                   fmt::format("steps of a tensor of shape {} cannot be masked", weft::to_string(*in.input())));
  if (!in.config.ok() || !in.ready()) return in.config.fail_reported();
  const Tensor features = differs(in, in.tensors[0], value);
  const Tensor mask =
      features ? in.emit("_mask", "ReduceMax", {*features}, {{"axes", Ints{1}}, {"keepdims", false}}) : features;
  if (!mask) return;
  in.output_mask = mask;
  in.finish(masked(in, in.tensors[0], *mask));
}

/// The sum of the steps that count over their number.
void import_average(LayerImport& in) {
  const bool keep = in.config.flag("keepdims", false);
  const auto format = in.config.text("data_format", "channels_last");
  if (format != "channels_last")
    in.config.fail(Kind::AttributeUnsupported, "an average over masked steps with channels in front");
  if (!in.config.ok() || !in.ready()) return in.config.fail_reported();
  const AttributeMap over{{"axes", Ints{0}}, {"keepdims", keep}};
  const Tensor x = masked(in, in.tensors[0], *in.mask);
  const Tensor sum = x ? in.emit("_sum", "ReduceSum", {*x}, over) : x;
  const Tensor count = sum ? in.emit("_count", "ReduceSum", {*in.mask}, {{"axes", Ints{0}}, {"keepdims", true}}) : sum;
  in.finish(count ? in.emit("_mean", "Div", {*sum, *count}) : count);
}

}  // namespace

bool follow_mask(LayerImport& in) {
  const std::string& name = in.layer.class_name;
  const auto refuse = [&](const std::string& why) {
    in.config.fail(Kind::AttributeUnsupported,
                   fmt::format("the layer gets a mask of time steps (from Masking or Embedding(mask_zero=True)), {}; "
                               "masks are followed to recurrent layers and averages over time",
                               why));
    return true;
  };
  if (contains(kCarry, name)) {
    in.output_mask = in.mask;
    return false;
  }
  if (contains(kDrop, name)) return false;
  if (contains(kRecurrent, name)) {
    if (in.config.flag("zero_output_for_mask", false) && !in.config.flag("return_sequences", false))
      return refuse("and gives a last output of zeros there");
    if (in.tensors.size() > 1) return refuse("and starts from other states than zero");
    const auto* inner = in.config.find("layer");
    const auto* config = inner == nullptr ? nullptr : member(*inner, "config");
    const auto* sequences =
        config == nullptr ? in.config.find("return_sequences") : member(*config, "return_sequences");
    if (sequences != nullptr && sequences->is_boolean() && sequences->get<bool>()) in.output_mask = in.mask;
    return false;
  }
  if (name == "GlobalAveragePooling1D") {
    import_average(in);
    return true;
  }
  return refuse(fmt::format("which `{}` would use in a way that weft does not read", name));
}

void mask_zeros(LayerImport& in) {
  if (!in.config.flag("mask_zero", false) || !in.config.ok()) return;
  if (!in.ready()) return in.config.fail_reported();
  if (in.input()->size() != 1)
    return in.config.fail(Kind::AttributeUnsupported,
                          fmt::format("`mask_zero` on indices of shape {}", weft::to_string(*in.input())));
  in.output_mask = nonzero(in, in.tensors[0], "_mask");
}

std::optional<nn::TensorId> not_equal(LayerImport& in) {
  const auto* other = in.argument("x2", 1);
  if (in.tensors.size() != 1 || other == nullptr || other->value == nullptr || !other->value->is_number()) {
    in.config.fail(Kind::AttributeUnsupported, "`not_equal` of two tensors; of a tensor and a number it is read");
    return std::nullopt;
  }
  return differs(in, in.tensors[0], other->value->get<double>());
}

void take_mask(LayerImport& in) {
  const bool known = contains(kCarry, in.layer.class_name) || contains(kRecurrent, in.layer.class_name) ||
                     in.layer.class_name == "GlobalAveragePooling1D";
  const auto given = std::find_if(in.layer.arguments.begin(), in.layer.arguments.end(),
                                  [](const Argument& a) { return a.key == "mask" && a.from.size() == 1; });
  if (!known || given == in.layer.arguments.end()) return;
  const auto at = static_cast<std::ptrdiff_t>(given->from.front());
  if (at == 0 || at >= static_cast<std::ptrdiff_t>(in.tensors.size())) return;
  in.mask = in.tensors[static_cast<std::size_t>(at)];
  in.tensors.erase(in.tensors.begin() + at);
  in.inputs.erase(in.inputs.begin() + at);
  in.node.inputs = in.tensors;
}

std::vector<LayerRow> mask_rows() {
  return {{.class_name = "Masking",
           .package = "keras",
           .op = "Mul",
           .used = {"mask_value"},
           .ignored = {},
           .refused = {},
           .weights = {},
           .import = import_masking}};
}

}  // namespace weft::formats::keras
