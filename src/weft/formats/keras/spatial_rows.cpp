// SPDX-License-Identifier: Apache-2.0
// Layers over spatial axes, of Keras and of QKeras: convolutions, pools, padding, cropping; and Concatenate.
#include <fmt/format.h>

#include <algorithm>

#include "weft/formats/keras/layer_import.h"
#include "weft/formats/keras/quantizer_spec.h"
#include "weft/formats/keras/row_parts.h"
#include "weft/formats/keras/spatial_parts.h"

namespace weft::formats::keras {
namespace {

using Keys = std::vector<std::string_view>;
using Ints = std::vector<std::int64_t>;

Keys joined(Keys a, const Keys& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

void set_padding(LayerImport& in) {
  const auto padding = padding_of(in);
  if (padding != "valid" && padding != "same" && padding != "causal") {
    return in.config.fail(Kind::AttributeUnsupported, fmt::format("`padding` is `{}`", padding));
  }
  in.node.attributes["padding"] = padding;
}

/// Strides, dilations and padding of a convolution.
void set_convolution(LayerImport& in) {
  check_channels_last(in);
  in.node.attributes["strides"] = per_axis(in, "strides", 1);
  in.node.attributes["dilations"] = per_axis(in, "dilation_rate", 1);
  set_padding(in);
}

bool has_bias(ConfigReader& config) { return config.flag("use_bias", true); }

/// Kernel [k..., channels / groups, filters] and bias.
void take_conv_weights(LayerImport& in) {
  set_convolution(in);
  const auto filters = positive(in, "filters");
  const auto groups = positive(in, "groups", 1);
  in.node.attributes["groups"] = groups;
  const auto channels = channels_of(in);
  Shape kernel = per_axis(in, "kernel_size", 1);
  kernel.push_back(channels < 0 ? -1 : channels / groups);
  kernel.push_back(filters);
  in.take("kernel", "kernel", kernel);
  if (has_bias(in.config)) in.take("bias", "bias", {filters});
}

/// Kernel [k..., channels, multiplier]; the bias stands behind `outputs` channels.
void take_depthwise_weights(LayerImport& in) {
  set_convolution(in);
  Shape kernel = per_axis(in, "kernel_size", 1);
  kernel.push_back(channels_of(in));
  kernel.push_back(positive(in, "depth_multiplier", 1));
  in.take("depthwise_kernel", "kernel", kernel);
}

void import_conv(LayerImport& in) {
  take_conv_weights(in);
  set_activation(in, false);
  in.infer_output();
}

void import_depthwise(LayerImport& in) {
  take_depthwise_weights(in);
  if (has_bias(in.config)) in.take("bias", "bias", {-1});
  set_activation(in, false);
  in.infer_output();
}

/// A depthwise convolution in front of a pointwise one, which carries the layer's name.
void take_separable(LayerImport& in) {
  nn::Node layer = in.node;
  in.node = {};
  in.node.name = layer.name + "_depthwise";
  in.node.op = "DepthwiseConv";
  in.node.origin = layer.origin;
  in.node.inputs = layer.inputs;
  take_depthwise_weights(in);
  const Shape depthwise = per_axis(in, "kernel_size", 1);
  const auto channels = channels_of(in);
  const auto multiplier = positive(in, "depth_multiplier", 1);
  in.chain.push_back(std::move(in.node));
  in.node = std::move(layer);
  in.node.attributes.clear();
  const auto filters = positive(in, "filters");
  Shape pointwise(axes_of(in), 1);
  pointwise.push_back(channels < 0 ? -1 : channels * multiplier);
  pointwise.push_back(filters);
  in.take("pointwise_kernel", "kernel", pointwise);
  if (has_bias(in.config)) in.take("bias", "bias", {filters});
}

void import_separable(LayerImport& in) {
  take_separable(in);
  set_activation(in, false);
  in.infer_output();
}

void set_pool(LayerImport& in) {
  check_channels_last(in);
  const Ints pool = per_axis(in, "pool_size", 2);
  in.node.attributes["pool"] = pool;
  in.node.attributes["strides"] = in.config.find("strides") == nullptr ? pool : per_axis(in, "strides", 1);
  set_padding(in);
  channels_of(in);
}

void import_pool(LayerImport& in) {
  set_pool(in);
  in.infer_output();
}

void import_global_pool(LayerImport& in) {
  check_channels_last(in);
  in.node.attributes["keepdims"] = in.config.flag("keepdims", false);
  channels_of(in);
  in.infer_output();
}

/// Pairs per axis: n, [n, ...], [[before, after], ...]; of one axis also [before, after].
std::optional<std::pair<Ints, Ints>> pairs_of(LayerImport& in, std::string_view key) {
  const std::size_t axes = axes_of(in);
  const auto* json = in.config.find(key);
  Ints before(axes, 1);
  Ints after(axes, 1);
  const auto whole = [&](const Json& v, std::int64_t& to) {
    if (!v.is_number_integer() || v.get<double>() < 0 || v.get<double>() > 0x1p31) return false;
    to = v.get<std::int64_t>();
    return true;
  };
  bool good = true;
  if (json == nullptr) {
    // Keras' default is 1 for all.
  } else if (json->is_number_integer()) {
    good = whole(*json, before[0]);
    before.assign(axes, before[0]);
    after = before;
  } else if (json->is_array() && axes == 1 && json->size() == 2 && (*json)[0].is_number()) {
    good = whole((*json)[0], before[0]) && whole((*json)[1], after[0]);
  } else if (json->is_array() && json->size() == axes) {
    for (std::size_t d = 0; d < axes && good; ++d) {
      const auto& pair = (*json)[d];
      if (pair.is_array() && pair.size() == 2) {
        good = whole(pair[0], before[d]) && whole(pair[1], after[d]);
      } else {
        good = whole(pair, before[d]);
        after[d] = before[d];
      }
    }
  } else {
    good = false;
  }
  if (!good) {
    in.config.fail(Kind::ModelMalformed, fmt::format("attribute `{}` is {}", key, shown(*json)));
    return std::nullopt;
  }
  return std::pair(before, after);
}

/// Per-axis lists of a Pad: spatial axes, then the channels.
void import_zero_padding(LayerImport& in) {
  check_channels_last(in);
  const auto pairs = pairs_of(in, "padding");
  if (!pairs || channels_of(in) < 0) return;
  auto [before, after] = *pairs;
  before.push_back(0);
  after.push_back(0);
  in.node.attributes["before"] = before;
  in.node.attributes["after"] = after;
  in.infer_output();
}

void import_cropping(LayerImport& in) {
  check_channels_last(in);
  const auto pairs = pairs_of(in, "cropping");
  if (!pairs || channels_of(in) < 0) return;
  auto [before, after] = *pairs;
  for (auto* list : {&before, &after}) {
    for (auto& v : *list) v = -v;
    list->push_back(0);
  }
  in.node.attributes["before"] = before;
  in.node.attributes["after"] = after;
  in.infer_output();
}

void import_concatenate(LayerImport& in) {
  const auto axis = in.config.integer("axis", -1);
  if (axis == 0) return in.config.fail(Kind::AttributeUnsupported, "`axis` is the batch");
  in.node.attributes["axis"] = axis > 0 ? axis - 1 : axis;  // Keras counts the batch
  in.infer_output();
}

// --- QKeras

void refuse_mask(LayerImport& in) {
  if (in.config.find("mask") != nullptr)
    in.config.fail(Kind::AttributeUnsupported, "`mask` is not supported; multiply it onto the kernel before saving");
}

/// Zeros in the quantized kernel, the same for all channels.
void apply_mask(LayerImport& in) {
  const auto* mask = in.config.find("mask");
  const auto it = in.node.parameters.find("kernel");
  if (mask == nullptr || it == in.node.parameters.end()) return;
  std::vector<bool> keep;
  std::vector<const Json*> open{&unwrap_array(*mask)};
  bool good = true;
  while (!open.empty() && good && keep.size() <= it->second.values.data.size()) {
    const Json& item = *open.back();
    open.pop_back();
    if (item.is_array()) {
      for (auto e = item.rbegin(); e != item.rend() && open.size() < 65536; ++e) open.push_back(&*e);
      continue;
    }
    good = item.is_number() && (item == 0 || item == 1);
    keep.push_back(good && item == 1);
  }
  auto& kernel = it->second;
  const auto& shape = kernel.values.shape;
  const auto pixel = static_cast<std::size_t>(shape[shape.size() - 1] * shape[shape.size() - 2]);
  if (!good || keep.size() * pixel != kernel.values.data.size())
    return in.config.fail(Kind::AttributeUnsupported, "`mask` is not one 0 or 1 for each place of the kernel");
  if (kernel.quantizer) {
    const auto function = quantizers::make(*kernel.quantizer, in.config.origin(), in.config.context());
    if (!function) return in.config.fail_reported();
    auto done = (*function)->quantize(kernel.values, in.config.origin(), in.config.context());
    if (!done) return in.config.fail_reported();
    kernel = {done->values, {}, {}};
    kernel.quantized = std::move(done).value();
  }
  for (std::size_t e = 0; e < kernel.values.data.size(); ++e) {
    if (keep[e / pixel]) continue;
    kernel.values.data[e] = 0.0F;
    if (kernel.quantized) kernel.quantized->values.data[e] = 0.0F;
    if (kernel.quantized) kernel.quantized->codes.data[e] = 0;
  }
}

void import_qconv(LayerImport& in) {
  take_conv_weights(in);
  set_quantizer(in, "kernel_quantizer", in.node, "kernel", true);
  set_quantizer(in, "bias_quantizer", in.node, "bias", false);
  apply_mask(in);
  set_activation(in, true);
  in.infer_output();
}

void import_qdepthwise(LayerImport& in) {
  take_depthwise_weights(in);
  if (has_bias(in.config)) in.take("bias", "bias", {-1});
  set_quantizer(in, "depthwise_quantizer", in.node, "kernel", true);
  set_quantizer(in, "bias_quantizer", in.node, "bias", false);
  set_activation(in, true);
  in.infer_output();
}

void import_qseparable(LayerImport& in) {
  take_separable(in);
  set_quantizer(in, "depthwise_quantizer", in.chain.back(), "kernel", true);
  set_quantizer(in, "pointwise_quantizer", in.node, "kernel", true);
  set_quantizer(in, "bias_quantizer", in.node, "bias", false);
  set_activation(in, true);
  in.infer_output();
}

/// Folded batch normalization; the kernel quantizer sees the folded kernel.
void take_folded_batch_norm(LayerImport& in, const char* kernel_quantizer) {
  in.node.attributes["epsilon"] = in.config.number("epsilon", 1e-3);
  in.node.attributes["inverse"] = std::string(in.keras_major >= 3 ? "div" : "rsqrt");
  std::int64_t outputs = -1;
  const auto kernel = in.node.parameters.find("kernel");
  if (kernel != in.node.parameters.end()) {
    const Shape& s = kernel->second.values.shape;
    if (!s.empty()) outputs = in.node.op.starts_with("Depthwise") ? s.back() * s[s.size() - 2] : s.back();
    if (!has_bias(in.config))
      in.node.parameters["bias"].values = FloatTensor(Shape{std::max<std::int64_t>(outputs, 1)});
  }
  take_batch_norm_weights(in, outputs);
  set_quantizer(in, kernel_quantizer, in.node, "kernel", true);
  set_quantizer(in, "bias_quantizer", in.node, "bias", false);
  const auto mode = in.config.text("folding_mode", "ema_stats_folding");
  if (mode != "ema_stats_folding" && mode != "batch_stats_folding") {
    in.config.fail(Kind::AttributeUnsupported, fmt::format("`folding_mode` is `{}`", mode));
  }
  set_activation(in, true);
  in.infer_output();
}

void import_qconv_batchnorm(LayerImport& in) {
  refuse_mask(in);
  take_conv_weights(in);
  take_folded_batch_norm(in, "kernel_quantizer");
}

void import_qdepthwise_batchnorm(LayerImport& in) {
  take_depthwise_weights(in);
  if (has_bias(in.config)) in.take("bias", "bias", {-1});
  take_folded_batch_norm(in, "depthwise_quantizer");
}

LayerRow row(std::string_view class_name, std::string_view package, std::string_view op, Keys used, Keys ignored,
             std::vector<WeightRow> weights, void (*import)(LayerImport&)) {
  return {.class_name = class_name,
          .package = package,
          .op = op,
          .used = std::move(used),
          .ignored = std::move(ignored),
          .refused = dense_refused(),
          .weights = std::move(weights),
          .import = import};
}

}  // namespace

std::vector<LayerRow> spatial_rows() {
  const Keys conv = {"filters", "kernel_size", "strides",    "padding",      "data_format",
                     "groups",  "use_bias",    "activation", "dilation_rate"};
  const Keys depthwise = {"depth_multiplier", "kernel_size", "strides",    "padding",
                          "data_format",      "use_bias",    "activation", "dilation_rate"};
  // Depthwise layers inherit these keys and write null or the default.
  const Keys depthwise_ignored =
      joined(dense_ignored(), {"depthwise_initializer", "depthwise_regularizer", "depthwise_constraint", "groups"});
  const Keys separable = joined(conv, {"depth_multiplier"});
  const Keys separable_ignored =
      joined(joined(dense_ignored(), {"depthwise_initializer", "depthwise_regularizer", "depthwise_constraint"}),
             {"pointwise_initializer", "pointwise_regularizer", "pointwise_constraint"});
  const std::vector<WeightRow> kernel = {{.name = "kernel"}, {.name = "bias", .present = has_bias}};
  const std::vector<WeightRow> depthwise_kernel = {{.name = "depthwise_kernel", .alias = "kernel"},
                                                   {.name = "bias", .present = has_bias}};
  const std::vector<WeightRow> separable_kernels = {
      {.name = "depthwise_kernel"}, {.name = "pointwise_kernel"}, {.name = "bias", .present = has_bias}};
  const Keys pool = {"pool_size", "strides", "padding", "data_format"};
  const Keys global = {"data_format", "keepdims"};

  std::vector<LayerRow> rows;
  const auto add = [&](std::string_view name, std::string_view op, const Keys& used, const Keys& ignored,
                       const std::vector<WeightRow>& weights, void (*import)(LayerImport&)) {
    rows.push_back(row(name, "keras", op, used, ignored, weights, import));
  };
  for (const auto* name : {"Conv1D", "Conv2D", "Conv3D"}) add(name, "Conv", conv, dense_ignored(), kernel, import_conv);
  for (const auto* name : {"DepthwiseConv1D", "DepthwiseConv2D"})
    add(name, "DepthwiseConv", depthwise, depthwise_ignored, depthwise_kernel, import_depthwise);
  for (const auto* name : {"SeparableConv1D", "SeparableConv2D"})
    add(name, "Conv", separable, separable_ignored, separable_kernels, import_separable);
  for (const auto* name : {"MaxPooling1D", "MaxPooling2D", "MaxPooling3D"})
    add(name, "MaxPool", pool, {}, {}, import_pool);
  for (const auto* name : {"AveragePooling1D", "AveragePooling2D", "AveragePooling3D"})
    add(name, "AveragePool", pool, {}, {}, import_pool);
  for (const auto* name : {"GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D"})
    add(name, "GlobalMaxPool", global, {}, {}, import_global_pool);
  for (const auto* name : {"GlobalAveragePooling1D", "GlobalAveragePooling2D", "GlobalAveragePooling3D"})
    add(name, "GlobalAveragePool", global, {}, {}, import_global_pool);
  for (const auto* name : {"ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D"})
    add(name, "Pad", {"padding", "data_format"}, {}, {}, import_zero_padding);
  for (const auto* name : {"Cropping1D", "Cropping2D", "Cropping3D"})
    add(name, "Pad", {"cropping", "data_format"}, {}, {}, import_cropping);
  add("Concatenate", "Concat", {"axis"}, {}, {}, import_concatenate);
  rows.back().min_inputs = 1;
  rows.back().max_inputs = 4096;

  const Keys ranges = {"kernel_range", "bias_range"};
  const Keys depthwise_ranges = {"depthwise_range", "bias_range"};
  const Keys quantizers = {"kernel_quantizer", "bias_quantizer"};
  const auto folded = [&](const std::vector<WeightRow>& own) {
    auto all = own;
    all.push_back({.name = "iteration", .ignored = true});
    for (const auto& w : batch_norm_weights("batchnorm")) all.push_back(w);
    return all;
  };
  const Keys folded_used = {"axis", "epsilon", "center", "scale", "folding_mode"};
  const Keys folded_ignored = joined(batch_norm_ignored(), {"ema_freeze_delay", "trainable"});
  for (const auto* name : {"QConv1D", "QConv2D"})
    rows.push_back(row(name, "qkeras", "Conv", joined(joined(conv, quantizers), {"mask"}),
                       joined(dense_ignored(), ranges), kernel, import_qconv));
  rows.push_back(
      row("QDepthwiseConv2D", "qkeras", "DepthwiseConv", joined(depthwise, {"depthwise_quantizer", "bias_quantizer"}),
          joined(depthwise_ignored, joined(depthwise_ranges, {"filters"})), depthwise_kernel, import_qdepthwise));
  for (const auto* name : {"QSeparableConv1D", "QSeparableConv2D"})
    rows.push_back(row(name, "qkeras", "Conv",
                       joined(separable, {"depthwise_quantizer", "pointwise_quantizer", "bias_quantizer"}),
                       joined(separable_ignored, {"depthwise_range", "pointwise_range", "bias_range"}),
                       separable_kernels, import_qseparable));
  rows.push_back(row("QConv2DBatchnorm", "qkeras", "ConvBatchnorm",
                     joined(joined(joined(conv, quantizers), {"mask"}), folded_used),
                     joined(joined(dense_ignored(), folded_ignored), ranges), folded(kernel), import_qconv_batchnorm));
  rows.push_back(row("QDepthwiseConv2DBatchnorm", "qkeras", "DepthwiseConvBatchnorm",
                     joined(joined(depthwise, {"depthwise_quantizer", "bias_quantizer"}), folded_used),
                     joined(joined(depthwise_ignored, folded_ignored), joined(depthwise_ranges, {"filters"})),
                     folded(depthwise_kernel), import_qdepthwise_batchnorm));
  return rows;
}

}  // namespace weft::formats::keras
