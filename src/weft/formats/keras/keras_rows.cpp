// SPDX-License-Identifier: Apache-2.0
// Layers of Keras itself.
#include <fmt/format.h>

#include <algorithm>

#include "weft/formats/keras/layer_import.h"
#include "weft/formats/keras/masks.h"
#include "weft/formats/keras/quantizer_spec.h"
#include "weft/formats/keras/row_parts.h"

namespace weft::formats::keras {
namespace {

void import_identity(LayerImport& in) { in.output = in.input(); }

void import_dense(LayerImport& in) {
  take_dense_weights(in);
  set_activation(in, false);
}

void import_batch_norm(LayerImport& in) {
  in.node.attributes["epsilon"] = in.config.number("epsilon", 1e-3);
  in.node.attributes["form"] = std::string("keras");
  in.node.attributes["inverse"] = std::string("rsqrt");
  finish_batch_norm(in);
}

/// Rows of a table by whole numbers.
void import_embedding(LayerImport& in) {
  const auto rows = in.config.integer("input_dim");
  const auto columns = in.config.integer("output_dim");
  if (!in.config.ok()) return;
  if (rows < 1 || columns < 1 || !within_limits({rows, columns}, in.config.context()))
    return in.config.fail(Kind::ModelMalformed, fmt::format("a table of {} rows of {} numbers", rows, columns));
  in.take("embeddings", "table", {rows, columns});
  in.infer_output();
  mask_zeros(in);
}

/// mean and variance have one extent for each kept axis; the node wants them broadcastable to its input.
void import_normalization(LayerImport& in) {
  in.node.attributes["invert"] = in.config.flag("invert", false);
  in.output = in.input();
  if (!in.input()) return;
  const auto rank = static_cast<std::int64_t>(in.input()->size());
  std::vector<std::int64_t> axes;
  if (in.config.has_key("axis")) {
    if (in.config.find("axis") != nullptr) axes = in.config.integers("axis");
  } else {
    axes = {-1};
  }
  Shape kept;
  Shape full(in.input()->size(), 1);
  for (auto& axis : axes) axis = axis < 0 ? axis + rank + 1 : axis;
  std::sort(axes.begin(), axes.end());
  for (const auto axis : axes) {
    if (axis < 1 || axis > rank) {
      return in.config.fail(Kind::AttributeUnsupported,
                            fmt::format("axis {} is the batch or not an axis of the input", axis));
    }
    kept.push_back((*in.input())[static_cast<std::size_t>(axis - 1)]);
    full[static_cast<std::size_t>(axis - 1)] = kept.back();
  }
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end()) {
    return in.config.fail(Kind::ModelMalformed, "an axis is given twice");
  }
  for (const auto* role : {"mean", "variance"}) {
    auto values = in.config.floats(role);
    if (!values) {
      in.take(role, role, kept);
      const auto it = in.node.parameters.find(role);
      if (it != in.node.parameters.end()) it->second.values.shape = full;
      continue;
    }
    const auto count = element_count(full);
    if (values->size() == 1) values->data.assign(static_cast<std::size_t>(count), values->data[0]);
    if (values->size() != count && static_cast<std::int64_t>(values->data.size()) != count) {
      return in.config.fail(Kind::ShapeMismatch,
                            fmt::format("`{}` has {} numbers, the axis has {}", role, values->data.size(), count));
    }
    values->shape = full;
    in.node.parameters[role].values = std::move(*values);
  }
}

void import_rescaling(LayerImport& in) {
  in.output = in.input();
  for (const auto* role : {"scale", "offset"}) {
    auto values = in.config.floats(role);
    if (!values && std::string_view(role) == "scale" && in.config.ok()) {
      in.config.fail(Kind::ModelMalformed, "attribute `scale` is missing");
    }
    in.node.parameters[role].values = values ? std::move(*values) : FloatTensor({}, {0.0F});
  }
}

void import_activation(LayerImport& in) {
  in.output = in.input();
  set_activation(in, false);
}

void import_relu(LayerImport& in) {
  in.output = in.input();
  AttributeMap parameters = {{"negative_slope", in.config.number("negative_slope", 0.0)},
                             {"threshold", in.config.number("threshold", 0.0)}};
  if (in.config.find("max_value") != nullptr) parameters["max_value"] = in.config.number("max_value", 0.0);
  in.node.functions["activation"] = make_spec("relu", parameters);
}

void import_leaky_relu(LayerImport& in) {
  in.output = in.input();
  // Keras 2 calls it alpha, Keras 3 negative_slope; 0.3 is the default of both.
  const auto* key = in.config.find("alpha") != nullptr ? "alpha" : "negative_slope";
  in.node.functions["activation"] = make_spec("leaky_relu", {{"alpha", in.config.number(key, 0.3)}});
}

/// Keras 2 and 3 note "channels_first" only where the user asked for it.
void check_channels_last(LayerImport& in) {
  const auto format = in.config.text("data_format", "channels_last");
  if (format != "channels_last" && (!in.input() || in.input()->size() > 1)) {
    in.config.fail(Kind::AttributeUnsupported,
                   fmt::format("`data_format` is `{}`; only channels_last is supported", format));
  }
}

void set_reshape(LayerImport& in, Shape shape) {
  in.node.attributes["shape"] = std::vector<std::int64_t>(shape.begin(), shape.end());
  in.output = std::move(shape);
}

void import_flatten(LayerImport& in) {
  check_channels_last(in);
  if (in.input()) set_reshape(in, {element_count(*in.input())});
}

void import_reshape(LayerImport& in) {
  Shape target = in.config.integers("target_shape");
  if (!in.input() || !in.config.ok()) return;
  const auto total = element_count(*in.input());
  std::int64_t known = 1;
  std::int64_t* open = nullptr;
  bool good = target.size() <= 32;
  for (auto& extent : target) {
    if (extent == -1 && open == nullptr) {
      open = &extent;
    } else {
      good = good && extent > 0 && extent <= total / known;
      if (!good) break;
      known *= extent;
    }
  }
  if (good && open != nullptr) *open = total / known;
  if (!good || element_count(target) != total) {
    return in.config.fail(Kind::ShapeMismatch,
                          fmt::format("`target_shape` {} does not fit the input {}",
                                      shown(*in.config.find("target_shape")), weft::to_string(*in.input())));
  }
  set_reshape(in, std::move(target));
}

void import_permute(LayerImport& in) {
  auto axes = in.config.integers("dims");
  if (!in.input() || !in.config.ok()) return;
  std::vector<bool> seen(in.input()->size(), false);
  bool good = axes.size() == seen.size();
  Shape out;
  for (std::size_t i = 0; good && i < axes.size(); ++i) {
    --axes[i];  // Keras counts from 1, the batch being 0
    good = axes[i] >= 0 && axes[i] < static_cast<std::int64_t>(seen.size()) && !seen[static_cast<std::size_t>(axes[i])];
    if (!good) break;
    seen[static_cast<std::size_t>(axes[i])] = true;
    out.push_back((*in.input())[static_cast<std::size_t>(axes[i])]);
  }
  if (!good) {
    return in.config.fail(Kind::ShapeMismatch, fmt::format("`dims` {} is no permutation of the input's {} axes",
                                                           shown(*in.config.find("dims")), seen.size()));
  }
  in.node.attributes["permutation"] = axes;
  in.output = std::move(out);
}

/// Keras folds from the left: ((a + b) + c) ...
void import_merge(LayerImport& in) {
  for (const auto& input : in.inputs)
    if (!input) return;
  Shape shape = *in.inputs[0];
  for (std::size_t i = 1; i < in.inputs.size(); ++i) {
    const auto both = tensor::broadcast(shape, *in.inputs[i]);
    if (!both.ok) {
      return in.config.fail(Kind::ShapeMismatch, fmt::format("inputs of shapes {} and {} do not fit together",
                                                             weft::to_string(shape), weft::to_string(*in.inputs[i])));
    }
    shape = both.shape;
  }
  in.output = shape;
  const bool pairwise = in.node.op == "Add" || in.node.op == "Mul";
  while (pairwise && in.node.inputs.size() > 2) {
    nn::Node first;
    first.name = fmt::format("{}_{}", in.node.name, in.chain.size() + 1);
    first.op = in.node.op;
    first.origin = in.node.origin;
    first.inputs = {in.node.inputs[0], in.node.inputs[1]};
    in.chain.push_back(std::move(first));
    in.node.inputs.erase(in.node.inputs.begin());
  }
}

bool mean_in_weights(ConfigReader& config) { return config.find("mean") == nullptr; }

LayerRow identity_row(std::string_view class_name, std::vector<std::string_view> ignored) {
  return {.class_name = class_name,
          .package = "keras",
          .op = "Identity",
          .used = {},
          .ignored = std::move(ignored),
          .refused = {},
          .weights = {},
          .import = import_identity,
          .any_weights = true};
}

LayerRow merge_row(std::string_view class_name, std::string_view op, std::size_t max_inputs = 256) {
  return {.class_name = class_name,
          .package = "keras",
          .op = op,
          .used = {},
          .ignored = {},
          .refused = {},
          .weights = {},
          .min_inputs = 2,
          .max_inputs = max_inputs,
          .import = import_merge};
}

LayerRow plain_row(std::string_view class_name, std::string_view op, std::vector<std::string_view> used,
                   void (*import)(LayerImport&)) {
  return {.class_name = class_name,
          .package = "keras",
          .op = op,
          .used = std::move(used),
          .ignored = {},
          .refused = {},
          .weights = {},
          .import = import};
}

}  // namespace

std::vector<LayerRow> keras_rows() {
  return {
      plain_row("Activation", "Activation", {"activation"}, import_activation),
      merge_row("Add", "Add"),
      merge_row("Average", "Average"),
      {.class_name = "BatchNormalization",
       .package = "keras",
       .op = "BatchNorm",
       .used = {"axis", "epsilon", "center", "scale"},
       .ignored = batch_norm_ignored(),
       .refused = {"renorm", "renorm_clipping", "renorm_momentum", "virtual_batch_size", "adjustment"},
       .weights = batch_norm_weights(""),
       .import = import_batch_norm},
      {.class_name = "Dense",
       .package = "keras",
       .op = "Dense",
       .used = {"units", "activation", "use_bias"},
       .ignored = dense_ignored(),
       .refused = dense_refused(),
       .weights = dense_weights(),
       .import = import_dense},
      {.class_name = "Embedding",
       .package = "keras",
       .op = "Embedding",
       .used = {"input_dim", "output_dim", "mask_zero"},
       .ignored = {"embeddings_initializer", "embeddings_regularizer", "embeddings_constraint", "input_length"},
       .refused = {"sparse", "lora_rank", "lora_alpha", "quantization_mode", "quantization_config"},
       .weights = {{.name = "embeddings"}},
       .import = import_embedding},
      plain_row("Flatten", "Reshape", {"data_format"}, import_flatten),
      plain_row("LeakyReLU", "Activation", {"alpha", "negative_slope"}, import_leaky_relu),
      merge_row("Maximum", "Maximum"),
      merge_row("Minimum", "Minimum"),
      merge_row("Multiply", "Mul"),
      {.class_name = "Normalization",
       .package = "keras",
       .op = "Normalization",
       .used = {"axis", "invert", "mean", "variance"},
       .ignored = {},
       .refused = {},
       .weights = {{.name = "mean", .present = mean_in_weights},
                   {.name = "variance", .present = mean_in_weights},
                   {.name = "count", .present = mean_in_weights, .ignored = true}},
       .import = import_normalization},
      plain_row("Permute", "Permute", {"dims"}, import_permute),
      plain_row("ReLU", "Activation", {"max_value", "negative_slope", "threshold"}, import_relu),
      plain_row("Rescaling", "Rescaling", {"scale", "offset"}, import_rescaling),
      plain_row("Reshape", "Reshape", {"target_shape"}, import_reshape),
      merge_row("Subtract", "Sub", 2),
      identity_row("ActivityRegularization", {"l1", "l2"}),
      identity_row("AlphaDropout", {"rate", "seed", "noise_shape"}),
      identity_row("Dropout", {"rate", "seed", "noise_shape"}),
      identity_row("GaussianDropout", {"rate", "seed"}),
      identity_row("GaussianNoise", {"stddev", "seed"}),
      identity_row("SpatialDropout1D", {"rate", "seed", "noise_shape", "data_format"}),
      identity_row("SpatialDropout2D", {"rate", "seed", "noise_shape", "data_format"}),
      identity_row("SpatialDropout3D", {"rate", "seed", "noise_shape", "data_format"}),
  };
}

}  // namespace weft::formats::keras
