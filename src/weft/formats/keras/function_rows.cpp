// SPDX-License-Identifier: Apache-2.0
// Layers of Keras that are a function of every element, or that measure the data they normalize.
#include <fmt/format.h>

#include <algorithm>

#include "weft/formats/keras/layer_import.h"
#include "weft/formats/keras/quantizer_spec.h"

namespace weft::formats::keras {
namespace {

using Keys = std::vector<std::string_view>;

bool has_gamma(ConfigReader& config) { return config.flag("scale", true); }
bool has_beta(ConfigReader& config) { return config.flag("center", true); }

/// `axis` (one or several; Keras counts the batch) as axes of a sample, ascending; empty after a failure.
std::vector<std::int64_t> sample_axes(LayerImport& in, std::int64_t fallback) {
  if (!in.input()) return {};
  const auto rank = static_cast<std::int64_t>(in.input()->size());
  auto axes = in.config.find("axis") != nullptr ? in.config.integers("axis") : std::vector<std::int64_t>{fallback};
  for (auto& axis : axes) {
    const std::int64_t given = axis;
    axis = axis < 0 ? axis + rank : axis - 1;
    if (axis < 0 || axis >= rank) {
      in.config.fail(Kind::AttributeUnsupported,
                     fmt::format("axis {} is the batch or not an axis of the input", given));
      return {};
    }
  }
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end()) {
    in.config.fail(Kind::ModelMalformed, "an axis is given twice");
    return {};
  }
  return axes;
}

/// A weight with one extent for each of `axes`, as a parameter that broadcasts to the input.
void take_along(LayerImport& in, std::string_view variable, const std::string& role,
                const std::vector<std::int64_t>& axes) {
  Shape kept;
  Shape full(in.input()->size(), 1);
  for (const auto axis : axes) {
    kept.push_back((*in.input())[static_cast<std::size_t>(axis)]);
    full[static_cast<std::size_t>(axis)] = kept.back();
  }
  in.take(variable, role, kept);
  const auto it = in.node.parameters.find(role);
  if (it != in.node.parameters.end()) it->second.values.shape = full;
}

void import_elu(LayerImport& in) {
  in.output = in.input();
  in.node.functions["activation"] = make_spec("elu", {{"alpha", in.config.number("alpha", 1.0)}});
}

void import_thresholded_relu(LayerImport& in) {
  in.output = in.input();
  in.node.functions["activation"] = make_spec("relu", {{"threshold", in.config.number("theta", 1.0)}});
}

/// The slopes have the input's shape, with ones for shared axes.
void import_prelu(LayerImport& in) {
  in.output = in.input();
  if (!in.input()) return;
  const Shape& shape = *in.input();
  Shape slopes = shape;
  if (in.config.find("shared_axes") != nullptr) {
    for (const auto axis : in.config.integers("shared_axes")) {
      if (axis < 1 || axis > static_cast<std::int64_t>(shape.size()))
        return in.config.fail(Kind::AttributeUnsupported,
                              fmt::format("`shared_axes` holds {}, which is no axis of the input", axis));
      slopes[static_cast<std::size_t>(axis - 1)] = 1;
    }
  }
  in.take("alpha", "alpha", slopes);
  const auto it = in.node.parameters.find("alpha");
  if (it == in.node.parameters.end()) return;
  const FloatTensor values = std::move(it->second.values);
  in.node.parameters.erase(it);
  // Along the last axis one slope per channel; else one per element.
  std::vector<double> alpha;
  if (values.size() == 1 || (!shape.empty() && values.size() == shape.back() && slopes.back() == shape.back())) {
    alpha.assign(values.data.begin(), values.data.end());
  } else {
    for (std::int64_t i = 0; i < element_count(shape); ++i)
      alpha.push_back(values.data[tensor::broadcast_index(slopes, shape, static_cast<std::size_t>(i))]);
  }
  in.node.functions["activation"] = make_spec("prelu", {{"alpha", std::move(alpha)}});
}

void import_softmax(LayerImport& in) {
  in.output = in.input();
  const auto axes = sample_axes(in, -1);
  const auto rank = static_cast<std::int64_t>(in.input() ? in.input()->size() : 0);
  if (axes.size() == 1)
    in.node.attributes["axis"] = axes[0] + 1 == rank ? std::int64_t{-1} : axes[0];
  else if (!axes.empty())
    in.node.attributes["axes"] = axes;
  else
    in.node.attributes["axis"] = std::int64_t{-1};
}

void set_norm(LayerImport& in, std::vector<std::int64_t> axes, const std::string& statistic, double epsilon) {
  in.output = in.input();
  in.node.attributes["axes"] = std::move(axes);
  in.node.attributes["statistic"] = statistic;
  in.node.attributes["epsilon"] = epsilon;
  in.node.attributes["form"] = std::string("keras");
}

void import_layer_norm(LayerImport& in) {
  const auto axes = sample_axes(in, -1);
  set_norm(in, axes, "variance", in.config.number("epsilon", 1e-3));
  if (axes.empty()) return;
  if (has_gamma(in.config)) take_along(in, "gamma", "gamma", axes);
  if (has_beta(in.config)) take_along(in, "beta", "beta", axes);
}

void import_group_norm(LayerImport& in) {
  const auto last = sample_axes(in, -1);
  in.output = in.input();
  if (last.empty()) return;
  const auto rank = static_cast<std::int64_t>(in.input()->size());
  if (last.size() != 1 || last[0] + 1 != rank)
    return in.config.fail(Kind::AttributeUnsupported, "`axis` is not the last axis; put a Permute in front");
  const std::int64_t channels = in.input()->back();
  std::int64_t groups = in.config.integer("groups", 32);
  if (groups == -1) groups = channels;
  if (groups < 1 || channels % groups != 0)
    return in.config.fail(Kind::ShapeMismatch, fmt::format("{} groups do not divide {} channels", groups, channels));
  std::vector<std::int64_t> axes;
  for (std::int64_t d = 0; d < rank; ++d) axes.push_back(d);
  set_norm(in, axes, "variance", in.config.number("epsilon", 1e-3));
  in.node.attributes["groups"] = groups;
  if (has_gamma(in.config)) take_along(in, "gamma", "gamma", last);
  if (has_beta(in.config)) take_along(in, "beta", "beta", last);
}

void import_rms_norm(LayerImport& in) {
  const auto axes = sample_axes(in, -1);
  set_norm(in, axes, "mean_square", in.config.number("epsilon", 1e-6));
  if (!axes.empty()) take_along(in, "scale", "gamma", axes);
}

/// Keras 2 keeps the sum of squares above 1e-12, Keras 3 its root.
void import_unit_norm(LayerImport& in) {
  set_norm(in, sample_axes(in, -1), "sum_square", in.keras_major < 3 ? 1e-12 : 1e-24);
}

LayerRow row(std::string_view class_name, std::string_view op, Keys used, Keys ignored, Keys refused,
             std::vector<WeightRow> weights, void (*import)(LayerImport&)) {
  return {.class_name = class_name,
          .package = "keras",
          .op = op,
          .used = std::move(used),
          .ignored = std::move(ignored),
          .refused = std::move(refused),
          .weights = std::move(weights),
          .import = import};
}

}  // namespace

std::vector<LayerRow> function_rows() {
  const Keys initial = {"beta_initializer",  "gamma_initializer", "beta_regularizer",
                        "gamma_regularizer", "beta_constraint",   "gamma_constraint"};
  const std::vector<WeightRow> pair = {{.name = "gamma", .present = has_gamma}, {.name = "beta", .present = has_beta}};
  return {
      row("ELU", "Activation", {"alpha"}, {}, {}, {}, import_elu),
      row("GroupNormalization", "LayerNorm", {"groups", "axis", "epsilon", "center", "scale"}, initial, {}, pair,
          import_group_norm),
      row("LayerNormalization", "LayerNorm", {"axis", "epsilon", "center", "scale"}, initial, {"rms_scaling"}, pair,
          import_layer_norm),
      row("PReLU", "Activation", {"shared_axes"}, {"alpha_initializer", "alpha_regularizer", "alpha_constraint"}, {},
          {{.name = "alpha"}}, import_prelu),
      row("RMSNormalization", "LayerNorm", {"axis", "epsilon"}, {}, {}, {{.name = "scale"}}, import_rms_norm),
      row("Softmax", "Softmax", {"axis"}, {}, {}, {}, import_softmax),
      row("ThresholdedReLU", "Activation", {"theta"}, {}, {}, {}, import_thresholded_relu),
      row("UnitNormalization", "LayerNorm", {"axis"}, {}, {}, {}, import_unit_norm),
  };
}

}  // namespace weft::formats::keras
