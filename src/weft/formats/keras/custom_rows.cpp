// SPDX-License-Identifier: Apache-2.0
// Layers of others' packages whose meaning is published: BinaryDense and TernaryDense of BinaryNet for Keras,
// NodeEdgeProjection and GarNet of hls4ml's contributions.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/formats/keras/hgq_parts.h"
#include "weft/formats/keras/quantizer_spec.h"
#include "weft/formats/keras/row_parts.h"

namespace weft::formats::keras {
namespace {

using Keys = std::vector<std::string_view>;
using Ints = std::vector<std::int64_t>;
using Tensor = std::optional<nn::TensorId>;

/// A parameter whose values the layer itself makes integers times `unit`.
nn::Parameter whole_numbers(FloatTensor values, const Rational& unit) {
  nn::Parameter out;
  IntTensor codes(values.shape);
  const double step = fixed::to_double(unit);
  for (std::size_t e = 0; e < codes.data.size(); ++e)
    codes.data[e] = static_cast<std::int64_t>(std::nearbyint(values.data[e] / step));
  out.values = values;
  out.quantized = quantizers::Quantized{std::move(values), std::move(codes), Scale(unit)};
  return out;
}

/// Signs, or signs and zeros, of the kernel, times H.
void import_low_bits(LayerImport& in) {
  take_dense_weights(in);
  set_activation(in, false);
  const auto kernel = in.node.parameters.find("kernel");
  if (kernel == in.node.parameters.end() || !in.config.ok()) return;
  auto& values = kernel->second.values;
  double h = 1.0;
  if (in.config.find("H") != nullptr && in.config.find("H")->is_string()) {
    if (in.config.text("H", "") != "Glorot")
      return in.config.fail(Kind::AttributeUnsupported, fmt::format("`H` is {}", shown(*in.config.find("H"))));
    h = std::sqrt(1.5 / static_cast<double>(values.shape[0] + values.shape[1]));
  } else {
    h = in.config.number("H", 1.0);
  }
  const auto unit = static_cast<float>(h);
  if (!std::isfinite(unit) || !(unit > 0.0F))
    return in.config.fail(Kind::ModelMalformed, fmt::format("attribute `H` is {}", h));
  const bool ternary = in.layer.class_name == "TernaryDense";
  for (auto& v : values.data) {
    const float x = v / unit;
    const float up = std::clamp(0.5F * x + 0.5F, 0.0F, 1.0F);
    if (ternary) {
      v = unit * (x > 0.5F ? 1.0F : x <= -0.5F ? -1.0F : 0.0F);
    } else {
      // Rounded half to even: 0 is -1.
      v = unit * (2.0F * std::nearbyint(up) - 1.0F);
    }
  }
  kernel->second = whole_numbers(std::move(values), fixed::rational_from_double(unit));
}

/// y = A x, A of edges by nodes or nodes by edges, in the file.
void import_projection(LayerImport& in) {
  if (!in.ready() || !in.variables) return in.config.fail_reported();
  if (in.input()->size() != 2)
    return in.config.fail(Kind::ShapeMismatch, "the layer works on [nodes or edges, features]");
  in.take("adjacency_matrix", "kernel", {1, -1, in.input()->at(0)});
  if (!in.config.ok()) return;
  FloatTensor a = std::move(in.node.parameters.at("kernel").values);
  a.shape.erase(a.shape.begin());
  Ints chosen;
  bool whole = true;
  const auto columns = static_cast<std::size_t>(a.shape[1]);
  for (std::size_t r = 0; r < static_cast<std::size_t>(a.shape[0]); ++r) {
    const float* row = a.data.data() + r * columns;
    whole = whole && std::all_of(row, row + columns, [](float v) { return v == 0.0F || v == 1.0F; });
    if (std::count(row, row + columns, 0.0F) + 1 == static_cast<std::ptrdiff_t>(columns))
      chosen.push_back(std::find(row, row + columns, 1.0F) - row);
  }
  if (!whole) {
    return in.config.fail(Kind::AttributeUnsupported, "the adjacency matrix has other numbers than 0 and 1");
  }
  if (static_cast<std::int64_t>(chosen.size()) == a.shape[0])
    return in.finish(in.emit("_rows", "Take", {in.tensors[0]}, {{"axis", std::int64_t{0}}, {"indices", chosen}}));
  const auto kernel = whole_numbers(std::move(a), Rational(1));
  in.finish(einsum_dense({in, "", ""}, in.tensors[0], {"bnf", "en", "bef"}, kernel, std::nullopt, ""));
}

Tensor apply(LayerImport& in, nn::TensorId x, const quantizers::Spec& spec, const std::string& suffix) {
  nn::Node node;
  node.name = in.node.name + suffix;
  node.op = "Activation";
  node.inputs = {x};
  node.functions["activation"] = spec;
  return in.emit(std::move(node));
}

Tensor constant(LayerImport& in, const std::string& op, nn::TensorId x, FloatTensor values, const std::string& suffix) {
  return in.emit(with_constant({in, "", ""}, suffix, op, x, {std::move(values), {}, {}}));
}

Tensor dense(LayerImport& in, nn::TensorId x, const std::string& name, std::int64_t units,
             const quantizers::Spec* activation = nullptr) {
  const auto n_in = in.shape_of(x).back();
  nn::Node node;
  node.name = in.node.name + "_" + name;
  node.op = "Dense";
  node.inputs = {x};
  in.take(name + "_kernel", "kernel", {n_in, units});
  in.take(name + "_bias", "bias", {units});
  if (!in.config.ok()) return std::nullopt;
  node.parameters = std::move(in.node.parameters);
  in.node.parameters.clear();
  if (activation != nullptr) node.functions["activation"] = *activation;
  return in.emit(std::move(node));
}

/// 1 for the first n of `vertices`, where n is a whole number.
Tensor vertex_mask(LayerImport& in, nn::TensorId n, std::int64_t vertices) {
  auto mask = in.emit("_count", "Reshape", {n}, {{"shape", Ints{1, 1}}});
  if (mask) mask = in.emit("_counts", "Upsample", {*mask}, {{"repeats", Ints{1, vertices}}});
  FloatTensor places(Shape{vertices});
  for (std::size_t v = 0; v < places.data.size(); ++v) places.data[v] = static_cast<float>(v);
  if (mask) mask = constant(in, "Sub", *mask, std::move(places), "_left");
  if (mask) mask = apply(in, *mask, make_spec("clip", {{"min", 0.0}, {"max", 1.0}}), "_present");
  return mask ? in.emit("_mask", "Reshape", {*mask}, {{"shape", Ints{vertices, 1}}}) : mask;
}

void import_garnet(LayerImport& in) {
  if (!in.ready() || !in.variables) return in.config.fail_reported();
  const auto format = in.config.text("input_format", "xn");
  if (format != "xn" || in.tensors.size() != 2 || in.input()->size() != 2 || element_count(*in.inputs[1]) != 1)
    return in.config.fail(Kind::AttributeUnsupported,
                          "the layer is read with `input_format` xn: [vertices, features] and the number of vertices");
  if (in.config.flag("quantize_transforms", false) || in.config.flag("mean_by_nvert", false))
    return in.config.fail(Kind::AttributeUnsupported, "`quantize_transforms` and `mean_by_nvert` are not supported");
  const bool simplified = in.config.flag("simplified", false);
  const auto collapse = in.config.find("collapse") == nullptr ? std::string() : in.config.text("collapse", "");
  const auto limit = static_cast<std::int64_t>(in.config.context().limits.tensor_elements);
  const auto count = [&](const char* key) {
    const auto v = in.config.integer(key);
    if (v < 1 || v > limit) in.config.fail(Kind::ModelMalformed, fmt::format("attribute `{}` is {}", key, v));
    return v;
  };
  const auto aggregators = count("n_aggregators");
  const auto filters = count("n_filters");
  const auto propagated = count("n_propagate");
  if (!in.config.ok()) return;
  const auto vertices = in.input()->at(0);
  const auto x = in.tensors[0];
  const auto mask = vertex_mask(in, in.tensors[1], vertices);
  auto features = mask ? dense(in, x, "FLR", propagated) : mask;
  const auto distance = features ? dense(in, x, "S", aggregators) : features;
  auto weights = distance ? in.emit("_square", "Mul", {*distance, *distance}) : distance;
  if (weights) weights = constant(in, "Mul", *weights, FloatTensor({}, {-1.0F}), "_negative");
  if (weights) weights = apply(in, *weights, make_spec("exponential"), "_exp");
  if (weights) weights = in.emit("_weights", "Mul", {*mask, *weights});
  if (weights && !simplified) {
    features = in.emit("_masked", "Mul", {*mask, *features});
    if (features) features = in.emit("_all", "Concat", {*features, *weights}, {{"axis", std::int64_t{1}}});
  }
  if (!weights || !features) return in.config.fail_reported();
  const auto width = in.shape_of(*features)[1];
  // Vertices to aggregators: [aggregator, vertex, feature], reduced over the vertices.
  auto across = in.emit("_across", "Permute", {*weights}, {{"permutation", Ints{1, 0}}});
  if (across) across = in.emit("_across_wide", "Reshape", {*across}, {{"shape", Ints{aggregators, vertices, 1}}});
  auto sent = in.emit("_sent", "Reshape", {*features}, {{"shape", Ints{1, vertices, width}}});
  if (across && sent) sent = in.emit("_messages", "Mul", {*across, *sent});
  if (!across || !sent) return in.config.fail_reported();
  const AttributeMap over{{"axes", Ints{1}}, {"keepdims", false}};
  auto gathered = in.emit("_mean", "ReduceMean", {*sent}, over);
  if (gathered && !simplified) {
    const auto top = in.emit("_max", "ReduceMax", {*sent}, over);
    gathered = top ? in.emit("_gathered", "Concat", {*top, *gathered}, {{"axis", std::int64_t{1}}}) : top;
  }
  if (!gathered) return in.config.fail_reported();
  const auto wide = in.shape_of(*gathered)[1];
  // And back: [vertex, aggregator, feature].
  gathered = in.emit("_gathered_wide", "Reshape", {*gathered}, {{"shape", Ints{1, aggregators, wide}}});
  auto back = in.emit("_back", "Reshape", {*weights}, {{"shape", Ints{vertices, aggregators, 1}}});
  if (gathered && back) back = in.emit("_returned", "Mul", {*back, *gathered});
  if (gathered && back)
    back = in.emit("_returned_flat", "Reshape", {*back}, {{"shape", Ints{vertices, aggregators * wide}}});
  if (gathered && back && !simplified)
    back = in.emit("_updated", "Concat", {x, *back, *weights}, {{"axis", std::int64_t{1}}});
  if (!gathered || !back) return in.config.fail_reported();
  std::optional<quantizers::Spec> activation;
  if (in.config.find("output_activation") != nullptr)
    activation = read_activation(in.config, "output_activation", false, in.keras_major).function;
  auto y = dense(in, *back, "Fout", filters, activation ? &*activation : nullptr);
  if (y) y = in.emit("_output", "Mul", {*mask, *y});
  if (y && !collapse.empty()) {
    const auto op = collapse == "mean" ? "ReduceMean" : collapse == "sum" ? "ReduceSum" : "ReduceMax";
    if (collapse != "mean" && collapse != "sum" && collapse != "max")
      return in.config.fail(Kind::AttributeUnsupported, fmt::format("`collapse` is `{}`", collapse));
    y = in.emit("_collapsed", op, {*y}, {{"axes", Ints{0}}, {"keepdims", false}});
  }
  in.finish(y);
}

}  // namespace

std::vector<LayerRow> custom_rows() {
  auto low_ignored = dense_ignored();
  low_ignored.insert(low_ignored.end(), {"kernel_lr_multiplier", "bias_lr_multiplier"});
  std::vector<LayerRow> rows;
  for (const auto* name : {"BinaryDense", "TernaryDense"}) {
    rows.push_back({.class_name = name,
                    .package = "keras",
                    .op = "Dense",
                    .used = {"units", "activation", "use_bias", "H"},
                    .ignored = low_ignored,
                    .refused = {},
                    .weights = dense_weights(),
                    .import = import_low_bits});
  }
  rows.push_back({.class_name = "NodeEdgeProjection",
                  .package = "keras",
                  .op = "Dense",
                  .used = {},
                  .ignored = {"receiving", "node_to_edge"},
                  .refused = {},
                  .weights = {{.name = "adjacency_matrix"}},
                  .import = import_projection});
  rows.push_back({.class_name = "GarNet",
                  .package = "keras",
                  .op = "Dense",
                  .used = {"simplified", "collapse", "input_format", "output_activation", "quantize_transforms",
                           "mean_by_nvert", "n_aggregators", "n_filters", "n_propagate"},
                  .ignored = {"total_bits", "int_bits"},
                  .refused = {},
                  .weights = {{.name = "FLR_kernel"},
                              {.name = "FLR_bias"},
                              {.name = "S_kernel"},
                              {.name = "S_bias"},
                              {.name = "Fout_kernel"},
                              {.name = "Fout_bias"}},
                  .min_inputs = 1,
                  .max_inputs = 2,
                  .import = import_garnet});
  return rows;
}

}  // namespace weft::formats::keras
