// SPDX-License-Identifier: Apache-2.0
// Layers of QKeras: google/qkeras for Keras 2, and its fork for Keras 3, which computes 1 / sqrt instead of rsqrt.
#include <fmt/format.h>

#include "weft/formats/keras/layer_import.h"
#include "weft/formats/keras/quantizer_spec.h"
#include "weft/formats/keras/row_parts.h"

namespace weft::formats::keras {
namespace {

using Keys = std::vector<std::string_view>;

Keys joined(Keys a, const Keys& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::string inverse_form(const LayerImport& in) { return in.keras_major >= 3 ? "div" : "rsqrt"; }

/// Only kernel quantizers are promoted to auto_po2, bias quantizers never.
void set_kernel_quantizer(LayerImport& in) {
  auto spec = read_quantizer(in.config, "kernel_quantizer");
  if (!spec) return;
  promote_kernel_quantizer(*spec);
  in.node.parameters["kernel"].quantizer = std::move(spec);
}

void import_dense(LayerImport& in) {
  take_dense_weights(in);
  set_kernel_quantizer(in);
  auto bias = read_quantizer(in.config, "bias_quantizer");
  if (bias && in.config.flag("use_bias", true)) in.node.parameters["bias"].quantizer = std::move(bias);
  set_activation(in, true);
}

void import_dense_batchnorm(LayerImport& in) {
  in.node.attributes["epsilon"] = in.config.number("epsilon", 1e-3);
  in.node.attributes["inverse"] = inverse_form(in);
  take_dense_weights(in);
  set_kernel_quantizer(in);
  const auto units = in.config.integer("units", 1);
  // Without a bias the layer folds a zero, and the folded bias is quantized all the same.
  if (!in.config.flag("use_bias", true) && in.config.ok())
    in.node.parameters["bias"].values = FloatTensor(Shape{units});
  if (auto spec = read_quantizer(in.config, "bias_quantizer")) in.node.parameters["bias"].quantizer = std::move(spec);
  const auto channels = batch_norm_channels(in, in.output);
  take_batch_norm_weights(in, channels == -1 ? units : channels);
  const auto mode = in.config.text("folding_mode", "ema_stats_folding");
  if (mode != "ema_stats_folding" && mode != "batch_stats_folding") {
    in.config.fail(Kind::AttributeUnsupported, fmt::format("`folding_mode` is `{}`", mode));
  }
  set_activation(in, true);
}

void import_activation(LayerImport& in) {
  in.output = in.input();
  if (in.config.find("activation") == nullptr) {
    return in.config.fail(Kind::ModelMalformed, "attribute `activation` is missing");
  }
  set_activation(in, true);
}

struct QuantizedParameter {
  const char* key;
  const char* role;
  quantizers::Spec fallback;
};

/// The quantizers that QBatchNormalization's constructor takes when it is given none.
std::vector<QuantizedParameter> batch_norm_quantizers() {
  return {
      {"gamma_quantizer", "gamma", make_spec("quantized_relu_po2", {{"bits", std::int64_t{6}}, {"max_value", 2048.0}})},
      {"beta_quantizer", "beta", make_spec("quantized_po2", {{"bits", std::int64_t{5}}})},
      {"mean_quantizer", "mean", make_spec("quantized_po2", {{"bits", std::int64_t{5}}})},
      {"variance_quantizer", "variance",
       make_spec("quantized_relu_po2", {{"bits", std::int64_t{6}}, {"quadratic_approximation", true}})}};
}

void import_batch_norm(LayerImport& in) {
  in.node.attributes["epsilon"] = in.config.number("epsilon", 1e-3);
  in.node.attributes["form"] = std::string("keras");
  in.node.attributes["inverse"] = inverse_form(in);
  finish_batch_norm(in);
  // Between permutations when it is not the last axis that is normalized.
  nn::Node& node = in.chain.empty() ? in.node : in.chain.back();
  for (auto& row : batch_norm_quantizers()) {
    std::optional<quantizers::Spec> spec;
    if (in.config.has_key(row.key)) {
      spec = read_quantizer(in.config, row.key);
    } else {
      spec = std::move(row.fallback);
    }
    const auto parameter = node.parameters.find(row.role);
    if (spec && parameter != node.parameters.end()) parameter->second.quantizer = std::move(spec);
  }
  if (auto spec = read_quantizer(in.config, "inverse_quantizer")) {
    if (in.config.find("gamma_quantizer") != nullptr || in.config.find("variance_quantizer") != nullptr) {
      in.config.fail(Kind::ModelMalformed, "`inverse_quantizer` stands beside a quantizer of gamma or variance");
    }
    node.functions["inverse"] = std::move(*spec);
  }
}

}  // namespace

std::vector<LayerRow> qkeras_rows() {
  const Keys dense_used = {"units", "activation", "use_bias", "kernel_quantizer", "bias_quantizer"};
  const Keys ranges = {"kernel_range", "bias_range"};
  auto folded_weights = dense_weights();
  folded_weights.push_back({.name = "iteration", .ignored = true});
  for (const auto& row : batch_norm_weights("batchnorm")) folded_weights.push_back(row);
  return {
      {.class_name = "QActivation",
       .package = "qkeras",
       .op = "Activation",
       .used = {"activation"},
       .ignored = {},
       .refused = {},
       .weights = {},
       .import = import_activation},
      {.class_name = "QBatchNormalization",
       .package = "qkeras",
       .op = "BatchNorm",
       .used = {"axis", "epsilon", "center", "scale", "gamma_quantizer", "beta_quantizer", "mean_quantizer",
                "variance_quantizer", "inverse_quantizer"},
       .ignored = joined(batch_norm_ignored(), {"beta_range", "gamma_range"}),
       .refused = {"activation", "renorm", "virtual_batch_size"},
       .weights = batch_norm_weights(""),
       .import = import_batch_norm},
      {.class_name = "QDense",
       .package = "qkeras",
       .op = "Dense",
       .used = dense_used,
       .ignored = joined(dense_ignored(), ranges),
       .refused = dense_refused(),
       .weights = dense_weights(),
       .import = import_dense},
      {.class_name = "QDenseBatchnorm",
       .package = "qkeras",
       .op = "DenseBatchnorm",
       .used = joined(dense_used, {"axis", "epsilon", "center", "scale", "folding_mode"}),
       .ignored = joined(joined(dense_ignored(), batch_norm_ignored()), joined(ranges, {"ema_freeze_delay"})),
       .refused = joined(dense_refused(), {"renorm", "virtual_batch_size"}),
       .weights = folded_weights,
       .import = import_dense_batchnorm},
  };
}

}  // namespace weft::formats::keras
