// SPDX-License-Identifier: Apache-2.0
// Layers of HGQ2 that are several nodes: batch normalization, softmax, attention, merges, pools, table functions, and
// dense layers by any equation.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/formats/keras/hgq_parts.h"
#include "weft/formats/keras/hgq_quantizer.h"
#include "weft/formats/keras/hgq_rows.h"
#include "weft/formats/keras/quantizer_spec.h"
#include "weft/formats/keras/row_parts.h"

namespace weft::formats::keras {
namespace {

using Keys = std::vector<std::string_view>;
using Ints = std::vector<std::int64_t>;
using Tensor = std::optional<nn::TensorId>;

/// Inputs of a layer of several, each with its quantizer.
std::vector<nn::TensorId> merged_inputs(const HgqPart& part) {
  auto& in = part.in;
  if (!part.in.config.flag("enable_iq", true)) return in.tensors;
  const auto* confs = in.config.find("iq_confs");
  const bool list = confs != nullptr && confs->is_array();
  if (list && confs->size() != in.tensors.size()) {
    in.config.fail(Kind::ModelMalformed, "`iq_confs` does not fit the number of inputs");
    return {};
  }
  std::vector<nn::TensorId> out;
  for (std::size_t i = 0; i < in.tensors.size(); ++i) {
    const bool by_name = in.variables && in.variables->count(fmt::format("iq{}/k", i)) != 0;
    const auto path = by_name  ? fmt::format("iq{}", i)
                      : i == 0 ? std::string("iq/quantizers/quantizer")
                               : fmt::format("iq/quantizers/quantizer_{}", i);
    const auto x = quantized(part, in.tensors[i], list ? &(*confs)[i] : confs, path, fmt::format("_iq{}", i));
    if (!x) return {};
    out.push_back(*x);
  }
  return out;
}

// --- merges

void import_merge(LayerImport& in) {
  if (!in.ready()) return in.config.fail_reported();
  const HgqPart part{in, "", ""};
  const auto x = merged_inputs(part);
  if (x.empty()) return in.config.fail_reported();
  const auto& name = in.layer.class_name;
  const bool average = name == "QAveragePow2";
  const std::string op = average ? "Add" : in.node.op;
  Tensor y;
  if (op == "Maximum" || op == "Minimum") {
    y = in.emit("_merged", op, x);
  } else {
    y = x[0];
    for (std::size_t i = 1; i < x.size() && y; ++i) y = in.emit("_merged", op, {*y, x[i]});
  }
  if (y && average) {
    const auto scale = std::exp2(std::nearbyint(std::log2(1.0 / static_cast<double>(x.size()))));
    y = scaled(part, *y, static_cast<float>(scale), "_scaled");
  }
  finish_quantized(part, y);
}

/// Batched product of two tensors over one axis of each.
void import_dot(LayerImport& in) {
  if (!in.ready()) return in.config.fail_reported();
  const HgqPart part{in, "", ""};
  auto axes = in.config.find("axes") == nullptr ? Ints{-1} : in.config.integers("axes");
  if (axes.size() == 1) axes.push_back(axes[0]);
  if (in.config.flag("normalize", false) || axes.size() != 2)
    return in.config.fail(Kind::AttributeUnsupported, "`normalize` or several `axes` are not supported");
  const auto x = merged_inputs(part);
  if (x.size() != 2) return in.config.fail_reported();
  const auto out = dot_product(part, x[0], x[1], axes[0], axes[1]);
  finish_quantized(part, out);
}

void import_einsum_two(LayerImport& in) {
  if (!in.ready()) return in.config.fail_reported();
  const HgqPart part{in, "", ""};
  const auto x = merged_inputs(part);
  if (x.size() != 2) return in.config.fail_reported();
  auto text = in.config.text("equation", "");
  text.erase(std::remove(text.begin(), text.end(), ' '), text.end());
  const auto inner = without_batch(text, in.shape_of(x[0]).size(), in.shape_of(x[1]).size());
  if (!inner) {
    return in.config.fail(Kind::AttributeUnsupported,
                          fmt::format("`equation` is `{}`; products of two tensors with the batch in front, without "
                                      "an ellipsis, are supported",
                                      text));
  }
  finish_quantized(part, contract(part, x[0], x[1], *inner, "_einsum"));
}

// --- functions

void import_lut(LayerImport& in) {
  if (!in.ready()) return in.config.fail_reported();
  const HgqPart part{in, "", ""};
  auto x = input_quantized(part, in.tensors[0]);
  if (x && in.layer.class_name == "QAffinedUnaryFunctionLUT") {
    const Keys order{"scale", "bias"};
    const auto scale = read_own(part, "scale", order, {1});
    const auto bias = read_own(part, "bias", order, {1});
    if (!scale || !bias) return in.config.fail_reported();
    x = in.emit(with_constant(part, "_scale", "Mul", *x, {FloatTensor({}, scale->data), {}, {}}));
    if (x) x = in.emit(with_constant(part, "_bias", "Add", *x, {FloatTensor({}, bias->data), {}, {}}));
  }
  if (!x) return in.config.fail_reported();
  auto choice = read_activation(in.config, "activation", false, in.keras_major);
  if (choice.softmax) return in.config.fail(Kind::AttributeUnsupported, "a softmax is no function of one number");
  if (choice.function) {
    nn::Node node;
    node.name = in.node.name + "_function";
    node.op = "Activation";
    node.inputs = {*x};
    node.functions["activation"] = std::move(*choice.function);
    x = in.emit(std::move(node));
  }
  finish_quantized(part, x);
}

void import_batch_norm(LayerImport& in) {
  if (!in.ready()) return in.config.fail_reported();
  const HgqPart part{in, "", ""};
  const auto rank = static_cast<std::int64_t>(in.input()->size());
  auto axis = in.config.find("axis") == nullptr ? std::int64_t{-1} : in.config.integers("axis").at(0);
  axis = axis < 0 ? axis + rank : axis - 1;
  if (axis < 0 || axis >= rank) return in.config.fail(Kind::AttributeUnsupported, "`axis` is no axis of the input");
  const auto channels = (*in.input())[static_cast<std::size_t>(axis)];
  const bool scale = in.config.flag("scale", true);
  const bool center = in.config.flag("center", true);
  Keys order;
  if (scale) order.emplace_back("bn_gamma");
  if (center) order.emplace_back("bn_beta");
  order.insert(order.end(), {"moving_mean", "moving_variance"});
  if (in.config.flag("enable_ebops", true)) order.insert(order.end(), {"beta", "ebops"});
  const auto gamma = scale ? read_own(part, "bn_gamma", order, {channels}) : FloatTensor({0});
  const auto beta = center ? read_own(part, "bn_beta", order, {channels}) : FloatTensor({0});
  const auto mean = read_own(part, "moving_mean", order, {channels});
  const auto variance = read_own(part, "moving_variance", order, {channels});
  if (!gamma || !beta || !mean || !variance) return in.config.fail_reported();
  const auto epsilon = static_cast<float>(in.config.number("epsilon", 1e-3));
  FloatTensor factor(Shape{channels});
  FloatTensor offset(Shape{channels});
  for (std::size_t c = 0; c < factor.data.size(); ++c) {
    const float shifted = variance->data[c] + epsilon;
    factor.data[c] = (scale ? gamma->data[c] : 1.0F) / std::sqrt(shifted);
    const float moved = mean->data[c] * factor.data[c];
    // Without a center HGQ2 takes 1, not 0.
    offset.data[c] = (center ? beta->data[c] : 1.0F) - moved;
  }
  auto k = fixed_parameter(part, std::move(factor), in.config.find("kq_conf"), "kq");
  auto b = fixed_parameter(part, std::move(offset), in.config.find("bq_conf"), "bq");
  auto x = input_quantized(part, in.tensors[0]);
  if (!k || !b || !x) return in.config.fail_reported();
  Shape wide(static_cast<std::size_t>(rank), 1);
  wide[static_cast<std::size_t>(axis)] = channels;
  x = in.emit(with_constant(part, "_scale", "Mul", *x, permuted(*k, {0}, wide)));
  if (x) x = in.emit(with_constant(part, "_offset", "Add", *x, permuted(*b, {0}, wide)));
  finish_quantized(part, x);
}

// --- sums

void import_mean(LayerImport& in) {
  if (!in.ready()) return in.config.fail_reported();
  const HgqPart part{in, "", ""};
  const auto rank = static_cast<std::int64_t>(in.input()->size());
  auto axes = in.config.find("axes") == nullptr ? Ints{-1} : in.config.integers("axes");
  double count = 1.0;
  for (auto& axis : axes) {
    axis = axis < 0 ? axis + rank : axis - 1;
    if (axis < 0 || axis >= rank)
      return in.config.fail(Kind::AttributeUnsupported, "`axes` has the batch or no axis of the input");
    count *= static_cast<double>((*in.input())[static_cast<std::size_t>(axis)]);
  }
  auto x = input_quantized(part, in.tensors[0]);
  if (x) x = in.emit("_sum", "ReduceSum", {*x}, {{"axes", axes}, {"keepdims", in.config.flag("keepdims", false)}});
  const auto scale = std::exp2(std::nearbyint(std::log2(1.0 / count)));
  if (x) x = scaled(part, *x, static_cast<float>(scale), "_scaled");
  finish_quantized(part, x);
}

// --- spatial

void import_pool(LayerImport& in) {
  if (!in.ready()) return in.config.fail_reported();
  const HgqPart part{in, "", ""};
  const auto x = input_quantized(part, in.tensors[0]);
  if (!x) return in.config.fail_reported();
  // The pool's own attributes, by the row of Keras.
  LayerEntry plain = in.layer;
  plain.class_name = plain.class_name.substr(1);
  const auto* row = find_row(plain.class_name, "keras");
  WEFT_CHECK(row != nullptr, "a pool of Keras");
  LayerImport inner{
      .layer = plain, .config = in.config, .keras_major = in.keras_major, .inputs = in.inputs, .variables = {}};
  inner.node = in.node;
  inner.node.op = row->op;
  row->import(inner);
  if (!in.config.ok()) return;
  inner.node.inputs = {*x};
  inner.node.name += "_pool";
  finish_quantized(part, in.emit(std::move(inner.node)));
}

void import_conv(LayerImport& in) {
  if (!in.ready()) return in.config.fail_reported();
  const HgqPart part{in, "", ""};
  const bool bias = in.config.flag("use_bias", true);
  // Attributes and weights by the row of Keras; the kernels are read under its names.
  LayerEntry plain = in.layer;
  plain.class_name = plain.class_name.substr(1);
  const auto* row = find_row(plain.class_name, "keras");
  WEFT_CHECK(row != nullptr, "a convolution of Keras");
  LayerImport inner{.layer = plain,
                    .config = in.config,
                    .keras_major = in.keras_major,
                    .inputs = in.inputs,
                    .variables = std::map<std::string, Hdf5File::Object>{}};
  inner.weights = in.weights;
  inner.node = in.node;
  if (!in.variables) return;
  for (const auto& [name, place] : {std::pair("kernel", 0), std::pair("bias", 1)}) {
    auto it = in.variables->find(fmt::format("vars/{}", place));
    if (it == in.variables->end() || (place == 1 && !bias)) it = in.variables->find(name);
    if (it != in.variables->end()) inner.variables->emplace(name, it->second);
  }
  row->import(inner);
  if (!in.config.ok()) return;
  auto& kernel = inner.node.parameters.at("kernel");
  kernel.quantizer = read_hgq(in, "kq_conf", "kq", kernel.values.shape, false);
  if (bias) {
    auto& b = inner.node.parameters.at("bias");
    b.quantizer = read_hgq(in, "bq_conf", "bq", b.values.shape, false);
  }
  const auto x = input_quantized(part, in.tensors[0]);
  if (!x || !in.config.ok()) return in.config.fail_reported();
  inner.node.inputs = {*x};
  inner.node.name += "_conv";
  auto y = in.emit(std::move(inner.node));
  if (y && inner.softmax) y = in.emit("_softmax", "Softmax", {*y}, {{"axis", std::int64_t{-1}}});
  finish_quantized(part, y);
}

}  // namespace

void import_general_einsum(LayerImport& in, bool batch_norm) {
  if (!in.ready() || !in.variables) return in.config.fail_reported();
  const HgqPart part{in, "", ""};
  const auto equation = parse_equation(in, in.config.text("equation", ""), in.input()->size());
  if (!equation) return;
  const bool bias = in.config.find("bias_axes") != nullptr;
  const auto bias_axes = in.config.text("bias_axes", "");
  const std::string ey = equation->y.substr(1);
  std::string bias_letters;
  for (const char c : ey)
    if (bias_axes.find(c) != std::string::npos) bias_letters += c;
  if (bias_letters.size() != bias_axes.size())
    return in.config.fail(Kind::AttributeUnsupported,
                          fmt::format("`bias_axes` is `{}`, with axes that the output does not have", bias_axes));
  if (batch_norm && !bias) return in.config.fail(Kind::ModelMalformed, "a layer with batch normalization has no bias");
  Keys order{"kernel"};
  if (bias) order.emplace_back("bias");
  if (batch_norm) order.emplace_back("gamma");
  if (in.config.flag("enable_ebops", true)) order.insert(order.end(), {"beta", "ebops"});
  if (batch_norm) order.insert(order.end(), {"moving_mean", "moving_variance"});
  auto values = read_own(part, "kernel", order, Shape(equation->w.size(), -1));
  if (!values) return in.config.fail_reported();
  // The bias has its own axes and 1 for every output axis behind the first of them.
  const auto first = bias_letters.empty() ? ey.size() : ey.find(bias_letters[0]);
  std::optional<FloatTensor> bias_values;
  if (bias) bias_values = read_own(part, "bias", order, Shape(ey.size() - first, -1));
  if (bias && !bias_values) return in.config.fail_reported();
  if (batch_norm) {
    std::string norm;  // in the order of the kernel
    for (const char c : equation->w)
      if (bias_letters.find(c) != std::string::npos) norm += c;
    if (norm.size() != bias_letters.size() || norm != bias_letters)
      return in.config.fail(Kind::AttributeUnsupported,
                            "the normalized axes are not all in the kernel, in their order");
    Shape shape;
    for (const char c : norm) shape.push_back(values->shape[equation->w.find(c)]);
    const auto gamma = read_own(part, "gamma", order, shape);
    const auto mean = read_own(part, "moving_mean", order, shape);
    const auto variance = read_own(part, "moving_variance", order, shape);
    if (!gamma || !mean || !variance) return in.config.fail_reported();
    if (static_cast<std::int64_t>(bias_values->data.size()) != gamma->size())
      return in.config.fail(Kind::ShapeMismatch, "the bias has not the shape of the normalized axes");
    FloatTensor scaler(shape);
    for (std::size_t c = 0; c < scaler.data.size(); ++c) {
      const float shifted = variance->data[c] + 1e-7F;
      scaler.data[c] = gamma->data[c] / std::sqrt(shifted);
      const float offset = -mean->data[c] * scaler.data[c];
      bias_values->data[c] += offset;
    }
    Shape spread;  // of the scaler, beside the kernel
    for (const char c : equation->w)
      spread.push_back(norm.find(c) != std::string::npos ? values->shape[equation->w.find(c)] : 1);
    for (std::size_t e = 0; e < values->data.size(); ++e)
      values->data[e] *= scaler.data[tensor::broadcast_index(spread, values->shape, e)];
  }
  auto kernel = fixed_parameter(part, std::move(*values), in.config.find("kq_conf"), "kq");
  std::optional<nn::Parameter> b;
  if (bias) b = fixed_parameter(part, std::move(*bias_values), in.config.find("bq_conf"), "bq");
  if (!kernel || (bias && !b)) return in.config.fail_reported();
  auto x = input_quantized(part, in.tensors[0]);
  if (x) x = einsum_dense(part, *x, *equation, *kernel, b, bias_letters);
  if (!x) return in.config.fail_reported();
  auto choice = read_activation(in.config, "activation", false, in.keras_major);
  if (choice.softmax) {
    x = in.emit("_softmax", "Softmax", {*x}, {{"axis", std::int64_t{-1}}});
  } else if (choice.function) {
    nn::Node node;
    node.name = in.node.name + "_activation";
    node.op = "Activation";
    node.inputs = {*x};
    node.functions["activation"] = std::move(*choice.function);
    x = in.emit(std::move(node));
  }
  finish_quantized(part, x);
}

std::vector<LayerRow> hgq_layer_rows() {
  std::vector<LayerRow> rows;
  const auto merge = [&](std::string_view name, std::string_view op, std::size_t most) {
    auto row = hgq_row(name, op, {}, {}, import_merge);
    row.min_inputs = 2;
    row.max_inputs = most;
    rows.push_back(std::move(row));
  };
  merge("QAdd", "Add", 256);
  merge("QAveragePow2", "Add", 256);
  merge("QMaximum", "Maximum", 256);
  merge("QMinimum", "Minimum", 256);
  merge("QMultiply", "Mul", 256);
  merge("QSubtract", "Sub", 2);
  auto dot = hgq_row("QDot", "Mul", {"axes", "normalize"}, {}, import_dot);
  auto einsum = hgq_row("QEinsum", "Mul", {"equation"}, {}, import_einsum_two);
  for (auto* row : {&dot, &einsum}) {
    row->min_inputs = row->max_inputs = 2;
    rows.push_back(std::move(*row));
  }
  const Keys norm_ignored = batch_norm_ignored();
  rows.push_back(
      hgq_row("QBatchNormalization", "Mul", {"axis", "epsilon", "center", "scale"}, norm_ignored, import_batch_norm));
  for (const auto* name : {"QUnaryFunctionLUT", "QAffinedUnaryFunctionLUT"})
    rows.push_back(hgq_row(name, "Activation", {},
                           {"allow_heterogeneous_table", "allow_heterogeneous_input", "override_oq_k0_to_0"},
                           import_lut));
  rows.push_back(hgq_row("QMeanPow2", "ReduceSum", {"axes", "keepdims"}, {}, import_mean));
  const Keys conv = {"filters",     "kernel_size", "strides",  "padding",
                     "data_format", "groups",      "use_bias", "dilation_rate"};
  for (const auto* name : {"QConv1D", "QConv2D", "QConv3D"})
    rows.push_back(hgq_row(name, "Conv", conv, {}, import_conv));
  for (const auto* name : {"QMaxPooling1D", "QMaxPooling2D", "QMaxPooling3D"})
    rows.push_back(hgq_row(name, "MaxPool", {"pool_size", "strides", "padding", "data_format"}, {}, import_pool));
  for (const auto* name : {"QAveragePooling1D", "QAveragePooling2D", "QAveragePooling3D"})
    rows.push_back(hgq_row(name, "AveragePool", {"pool_size", "strides", "padding", "data_format"}, {}, import_pool));
  for (const auto* name : {"QGlobalMaxPooling1D", "QGlobalMaxPooling2D", "QGlobalMaxPooling3D"})
    rows.push_back(hgq_row(name, "GlobalMaxPool", {"data_format", "keepdims"}, {}, import_pool));
  for (const auto* name : {"QGlobalAveragePooling1D", "QGlobalAveragePooling2D", "QGlobalAveragePooling3D"})
    rows.push_back(hgq_row(name, "GlobalAveragePool", {"data_format", "keepdims"}, {}, import_pool));
  return rows;
}

}  // namespace weft::formats::keras
