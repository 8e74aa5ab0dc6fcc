// SPDX-License-Identifier: Apache-2.0
// Layers of QKeras that are several nodes: average pools with a quantized divisor, QScaleShift.
#include <fmt/format.h>

#include "weft/formats/keras/hgq_parts.h"
#include "weft/formats/keras/quantizer_spec.h"
#include "weft/formats/keras/row_parts.h"

namespace weft::formats::keras {
namespace {

using Ints = std::vector<std::int64_t>;
using Tensor = std::optional<nn::TensorId>;

/// The activation of the config behind `y`, and the end of the layer.
void finish(LayerImport& in, Tensor y) {
  auto choice = read_activation(in.config, "activation", true, in.keras_major);
  if (y && choice.softmax) y = in.emit("_softmax", "Softmax", {*y}, {{"axis", std::int64_t{-1}}});
  if (y && choice.function) {
    nn::Node node;
    node.name = in.node.name + "_activation";
    node.op = "Activation";
    node.inputs = {*y};
    node.functions["activation"] = std::move(*choice.function);
    y = in.emit(std::move(node));
  }
  in.finish(y);
}

/// With a quantizer of the divisor, QKeras averages x * area (or takes the average times area) and multiplies by the
/// quantized 1 / area.
void import_average_pool(LayerImport& in) {
  if (!in.ready()) return in.config.fail_reported();
  const bool global = in.layer.class_name == "QGlobalAveragePooling2D";
  LayerEntry plain = in.layer;
  plain.class_name = plain.class_name.substr(1);
  const auto* row = find_row(plain.class_name, "keras");
  WEFT_CHECK(row != nullptr, "a pool of Keras");
  LayerImport inner{
      .layer = plain, .config = in.config, .keras_major = in.keras_major, .inputs = in.inputs, .variables = {}};
  inner.node = in.node;
  inner.node.op = row->op;
  row->import(inner);
  auto spec = read_quantizer(in.config, "average_quantizer");
  if (!in.config.ok()) return;
  inner.node.name += "_pool";
  const HgqPart part{in, "", ""};
  if (!spec) return finish(in, in.emit(std::move(inner.node)));
  double area = 1.0;
  if (global) {
    area = static_cast<double>(in.input()->at(0)) * static_cast<double>(in.input()->at(1));
  } else {
    for (const auto n : get_ints(inner.node.attributes, "pool")) area *= static_cast<double>(n);
  }
  const float f_area = static_cast<float>(area);
  const auto factor = quantized_values(in, FloatTensor({1}, {1.0F / f_area}), spec);
  if (!factor) return;
  // The global pool divides by the area before it multiplies with it: two roundings of float32.
  Tensor y = global ? in.tensors[0] : scaled(part, in.tensors[0], f_area, "_area");
  if (y) {
    inner.node.inputs = {*y};
    y = in.emit(std::move(inner.node));
  }
  if (y && global) y = scaled(part, *y, f_area, "_area");
  if (y) y = in.emit(with_constant(part, "_average", "Mul", *y, permuted(*factor, {0}, {})));
  finish(in, y);
}

void import_scale_shift(LayerImport& in) {
  if (!in.ready()) return in.config.fail_reported();
  const bool bias = in.config.flag("use_bias", true);
  in.take("weight", "weight", {1, 1});
  if (bias) in.take("bias", "bias", {1, 1});
  if (!in.config.ok() || !in.variables) return in.config.fail_reported();
  const auto constant = [&](const char* role, const char* key) -> std::optional<nn::Parameter> {
    auto spec = read_quantizer(in.config, key);
    // Both quantizers are promoted here.
    if (spec) promote_kernel_quantizer(*spec);
    auto made = quantized_values(in, std::move(in.node.parameters.at(role).values), spec);
    return made ? std::optional(permuted(*made, {0, 1}, {})) : std::nullopt;
  };
  const HgqPart part{in, "", ""};
  const auto w = constant("weight", "weight_quantizer");
  Tensor y = w ? in.emit(with_constant(part, "_scale", "Mul", in.tensors[0], *w)) : std::nullopt;
  if (y && bias) {
    const auto b = constant("bias", "bias_quantizer");
    y = b ? in.emit(with_constant(part, "_shift", "Add", *y, *b)) : std::nullopt;
  }
  finish(in, y);
}

bool has_bias(ConfigReader& config) { return config.flag("use_bias", true); }

}  // namespace

std::vector<LayerRow> qkeras_layer_rows() {
  std::vector<LayerRow> rows;
  const auto add = [&](std::string_view name, std::string_view op, std::vector<std::string_view> used,
                       std::vector<std::string_view> ignored, std::vector<WeightRow> weights,
                       void (*import)(LayerImport&)) {
    rows.push_back({.class_name = name,
                    .package = "qkeras",
                    .op = op,
                    .used = std::move(used),
                    .ignored = std::move(ignored),
                    .refused = {},
                    .weights = std::move(weights),
                    .import = import});
  };
  add("QAveragePooling2D", "AveragePool",
      {"pool_size", "strides", "padding", "data_format", "average_quantizer", "activation"}, {}, {},
      import_average_pool);
  add("QGlobalAveragePooling2D", "GlobalAveragePool", {"data_format", "keepdims", "average_quantizer", "activation"},
      {}, {}, import_average_pool);
  add("QScaleShift", "Mul", {"weight_quantizer", "bias_quantizer", "use_bias", "activation"},
      {"weight_initializer", "bias_initializer", "weight_regularizer", "bias_regularizer"},
      {{.name = "weight"}, {.name = "bias", .present = has_bias}}, import_scale_shift);
  return rows;
}

}  // namespace weft::formats::keras
