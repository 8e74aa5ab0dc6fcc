// SPDX-License-Identifier: Apache-2.0
// Products of tensors in Keras: EinsumDense, Dot, Attention, AdditiveAttention, MultiHeadAttention; and RepeatVector.
#include <fmt/format.h>

#include <cmath>

#include "weft/formats/keras/hgq_parts.h"
#include "weft/formats/keras/hgq_quantizer.h"
#include "weft/formats/keras/quantizer_spec.h"
#include "weft/formats/keras/row_parts.h"

namespace weft::formats::keras {
namespace {

using Keys = std::vector<std::string_view>;
using Ints = std::vector<std::int64_t>;
using Tensor = std::optional<nn::TensorId>;

bool has_bias_axes(ConfigReader& config) { return config.find("bias_axes") != nullptr; }
bool has_scale(ConfigReader& config) { return config.flag("use_scale", false); }
bool has_additive_scale(ConfigReader& config) { return config.flag("use_scale", true); }
bool has_concat_score(ConfigReader& config) { return config.text("score_mode", "dot") == "concat"; }

Tensor apply(LayerImport& in, nn::TensorId x, const quantizers::Spec& spec, const std::string& suffix) {
  nn::Node node;
  node.name = in.node.name + suffix;
  node.op = "Activation";
  node.inputs = {x};
  node.functions["activation"] = spec;
  return in.emit(std::move(node));
}

/// The activation of the config behind `y`.
Tensor activated(LayerImport& in, nn::TensorId y) {
  auto choice = read_activation(in.config, "activation", false, in.keras_major);
  if (choice.softmax) return in.emit("_softmax", "Softmax", {y}, {{"axis", std::int64_t{-1}}});
  return choice.function ? apply(in, y, *choice.function, "_activation") : y;
}

void import_einsum_dense(LayerImport& in) {
  if (!in.ready() || !in.variables) return in.config.fail_reported();
  const auto equation = parse_equation(in, in.config.text("equation", ""), in.input()->size());
  if (!equation) return;
  in.take("kernel", "kernel", Shape(equation->w.size(), -1));
  const auto bias_axes = in.config.text("bias_axes", "");
  const std::string ey = equation->y.substr(1);
  std::string letters;
  for (const char c : ey)
    if (bias_axes.find(c) != std::string::npos) letters += c;
  if (letters.size() != bias_axes.size())
    return in.config.fail(Kind::AttributeUnsupported,
                          fmt::format("`bias_axes` is `{}`, with axes that the output does not have", bias_axes));
  // The bias has its own axes and 1 for every output axis behind the first of them.
  const auto first = letters.empty() ? ey.size() : ey.find(letters[0]);
  if (has_bias_axes(in.config)) in.take("bias", "bias", Shape(ey.size() - first, -1));
  if (!in.config.ok()) return;
  std::optional<nn::Parameter> bias;
  if (has_bias_axes(in.config)) bias = in.node.parameters.at("bias");
  auto y = einsum_dense({in, "", ""}, in.tensors[0], *equation, in.node.parameters.at("kernel"), bias, letters);
  if (y) y = activated(in, *y);
  in.finish(y);
}

void import_dot(LayerImport& in) {
  if (!in.ready()) return in.config.fail_reported();
  auto axes = in.config.integers("axes");
  if (axes.size() == 1) axes.push_back(axes[0]);
  if (axes.size() != 2 || in.config.flag("normalize", false))
    return in.config.fail(Kind::AttributeUnsupported,
                          "`normalize`, or other than one axis of each input, is not supported");
  in.finish(dot_product({in, "", ""}, in.tensors[0], in.tensors[1], axes[0], axes[1]));
}

/// A variable under one of two paths: Keras 3's, Keras 2's.
std::optional<nn::Parameter> variable(LayerImport& in, const std::string& keras3, const std::string& keras2,
                                      const Shape& shape) {
  if (!in.variables) return std::nullopt;
  auto values = read_variable(in, in.variables->count(keras3) != 0 ? keras3 : keras2);
  if (!values) return std::nullopt;
  if (values->shape != shape) {
    in.config.fail(Kind::ShapeMismatch, fmt::format("weight `{}` has shape {}, the layer needs {}", keras2,
                                                    weft::to_string(values->shape), weft::to_string(shape)));
    return std::nullopt;
  }
  return nn::Parameter{std::move(*values), {}, {}};
}

/// Query, value and key of the call: positional, by name, or a list of them.
std::vector<Tensor> called_with(const LayerImport& in) {
  std::vector<Tensor> out(3);
  const char* names[] = {"query", "value", "key"};
  for (std::size_t i = 0; i < 3; ++i) {
    const auto* a = in.argument(names[i], i);
    if (a != nullptr && a->from.size() == 1) out[i] = in.tensors[a->from[0]];
  }
  const auto* first = in.argument("query", 0);
  if (first != nullptr && first->from.size() > 1) {
    for (std::size_t i = 0; i < first->from.size() && i < 3; ++i) out[i] = in.tensors[first->from[i]];
  }
  if (!out[2]) out[2] = out[1];
  return out;
}

/// Refuses masks and scores as a second result.
bool plain_call(LayerImport& in) {
  for (const auto& a : in.layer.arguments) {
    const bool constant = a.value == nullptr || a.value->is_null() || *a.value == false || a.key.empty();
    const bool tensor = a.key == "query" || a.key == "value" || a.key == "key" || a.key.empty();
    if (tensor || constant) continue;
    in.config.fail(Kind::AttributeUnsupported,
                   fmt::format("the layer is called with `{}`; attention without masks that returns its result alone "
                               "is supported",
                               a.key));
    return false;
  }
  return true;
}

void import_multi_head(LayerImport& in) {
  if (!in.ready() || !in.variables || !plain_call(in)) return in.config.fail_reported();
  const auto x = called_with(in);
  if (!x[0] || !x[1]) return in.config.fail(Kind::ModelMalformed, "the layer is called without query or value");
  for (const auto& t : x) {
    if (in.shape_of(*t).size() == 2) continue;
    return in.config.fail(
        Kind::AttributeUnsupported,
        fmt::format("an input has shape {}; attention over one axis of [steps, features] is supported",
                    weft::to_string(in.shape_of(*t))));
  }
  if (in.config.find("attention_axes") != nullptr && in.config.integers("attention_axes") != Ints{1})
    return in.config.fail(Kind::AttributeUnsupported, "`attention_axes` is not 1");
  const auto limit = static_cast<std::int64_t>(in.config.context().limits.tensor_elements);
  const auto heads = in.config.integer("num_heads");
  const auto key_dim = in.config.integer("key_dim");
  const auto value_dim = in.config.find("value_dim") == nullptr ? key_dim : in.config.integer("value_dim");
  for (const auto v : {heads, key_dim, value_dim})
    if (v < 1 || v > limit) return in.config.fail(Kind::ModelMalformed, "the layer has no heads or no features");
  const bool bias = in.config.flag("use_bias", true);
  const auto project = [&](const std::string& name, nn::TensorId t, const std::string& text, const Shape& kernel,
                           const Shape& bias_shape, const std::string& letters) -> Tensor {
    const auto equation = parse_equation(in, text, in.shape_of(t).size());
    const auto keras3 = name == "attention_output" ? std::string("output_dense") : name + "_dense";
    const auto k = variable(in, keras3 + "/vars/0", name + "/kernel", kernel);
    if (!equation || !k) return std::nullopt;
    std::optional<nn::Parameter> b;
    if (bias) {
      b = variable(in, keras3 + "/vars/1", name + "/bias", bias_shape);
      if (!b) return std::nullopt;
    }
    return einsum_dense({in, "", "_" + name}, t, *equation, *k, b, letters);
  };
  const auto part = [&](const std::string& name, nn::TensorId t, std::int64_t dim) {
    return project(name, t, "bsc,cnh->bsnh", {in.shape_of(t)[1], heads, dim}, {heads, dim}, "nh");
  };
  auto query = part("query", *x[0], key_dim);
  const auto key = query ? part("key", *x[2], key_dim) : query;
  const auto value = key ? part("value", *x[1], value_dim) : key;
  if (!value) return in.config.fail_reported();
  const auto scale = static_cast<float>(1.0 / std::sqrt(static_cast<double>(key_dim)));
  query = scaled({in, "", ""}, *query, scale, "_scaled");
  auto scores = query ? contract({in, "", ""}, *key, *query, "snh,tnh->nts", "_dot") : query;
  if (scores) scores = in.emit("_scores", "Softmax", {*scores}, {{"axis", std::int64_t{-1}}});
  const auto mixed = scores ? contract({in, "", ""}, *scores, *value, "nts,snh->tnh", "_combined") : scores;
  const auto outputs =
      in.config.find("output_shape") == nullptr ? Ints{in.shape_of(*x[0])[1]} : in.config.integers("output_shape");
  if (!mixed) return in.config.fail_reported();
  if (outputs.size() != 1 || outputs[0] < 1 || outputs[0] > limit)
    return in.config.fail(Kind::AttributeUnsupported, "`output_shape` is not one number");
  in.finish(project("attention_output", *mixed, "btnh,nhc->btc", {heads, value_dim, outputs[0]}, outputs, "c"));
}

/// Luong's and Bahdanau's attention of [steps, features].
void import_attention(LayerImport& in) {
  if (!in.ready() || !plain_call(in)) return in.config.fail_reported();
  const auto x = called_with(in);
  if (!x[0] || !x[1]) return in.config.fail(Kind::ModelMalformed, "the layer is called without query or value");
  for (const auto& t : x) {
    if (in.shape_of(*t).size() == 2) continue;
    return in.config.fail(Kind::AttributeUnsupported,
                          fmt::format("an input has shape {}; attention over [steps, features] is supported",
                                      weft::to_string(in.shape_of(*t))));
  }
  const bool additive = in.layer.class_name == "AdditiveAttention";
  const bool concat = !additive && has_concat_score(in.config);
  if (in.config.flag("causal", false)) return in.config.fail(Kind::AttributeUnsupported, "`causal` is not supported");
  const bool scale = additive ? has_additive_scale(in.config) : has_scale(in.config);
  if (scale) in.take("scale", "scale", additive ? Shape{in.shape_of(*x[0])[1]} : Shape{});
  if (concat) in.take("concat_score_weight", "concat", {});
  if (!in.config.ok() || ((scale || concat) && !in.variables)) return in.config.fail_reported();
  const HgqPart part{in, "", ""};
  Tensor scores;
  if (additive || concat) {
    const auto steps = [&](nn::TensorId t, bool first, const char* suffix) {
      Shape shape = in.shape_of(t);
      shape.insert(shape.begin() + (first ? 1 : 0), 1);
      return in.emit(suffix, "Reshape", {t}, {{"shape", Ints(shape.begin(), shape.end())}});
    };
    const auto q = steps(*x[0], true, "_query");
    const auto k = q ? steps(*x[2], false, "_key") : q;
    scores = k ? in.emit("_sum", "Add", {*q, *k}) : k;
    const auto times = [&](const char* role, const std::string& suffix) {
      return in.emit(with_constant(part, suffix, "Mul", *scores, in.node.parameters.at(role)));
    };
    if (scores && concat && scale) scores = times("scale", "_scaled");
    if (scores) scores = apply(in, *scores, make_spec("tanh"), "_tanh");
    if (scores && additive && scale) scores = times("scale", "_scaled");
    if (scores) scores = in.emit("_logits", "ReduceSum", {*scores}, {{"axes", Ints{2}}, {"keepdims", false}});
    if (scores && concat) scores = times("concat", "_weighted");
  } else {
    scores = contract(part, *x[0], *x[2], "th,sh->ts", "_dot");
    if (scores && scale)
      scores = in.emit(with_constant(part, "_scaled", "Mul", *scores, in.node.parameters.at("scale")));
  }
  if (scores) scores = in.emit("_scores", "Softmax", {*scores}, {{"axis", std::int64_t{-1}}});
  in.finish(scores ? contract(part, *scores, *x[1], "ts,sh->th", "_combined") : scores);
}

void import_repeat(LayerImport& in) {
  if (!in.ready()) return in.config.fail_reported();
  const auto n = in.config.integer("n");
  if (in.input()->size() != 1 || n < 1 || n > 1000000)
    return in.config.fail(Kind::AttributeUnsupported, "the layer repeats one row of features");
  const auto row = in.emit("_row", "Reshape", {in.tensors[0]}, {{"shape", Ints{1, in.input()->at(0)}}});
  in.finish(row ? in.emit("_steps", "Upsample", {*row}, {{"repeats", Ints{n, 1}}}) : row);
}

LayerRow row(std::string_view name, std::string_view op, Keys used, Keys ignored, std::vector<WeightRow> weights,
             std::size_t least, std::size_t most, void (*import)(LayerImport&)) {
  return {.class_name = name,
          .package = "keras",
          .op = op,
          .used = std::move(used),
          .ignored = std::move(ignored),
          .refused = dense_refused(),
          .weights = std::move(weights),
          .min_inputs = least,
          .max_inputs = most,
          .import = import};
}

}  // namespace

std::vector<LayerRow> attention_rows() {
  std::vector<LayerRow> rows;
  rows.push_back(row("EinsumDense", "Dense", {"equation", "output_shape", "activation", "bias_axes"}, dense_ignored(),
                     {{.name = "kernel"}, {.name = "bias", .present = has_bias_axes}}, 1, 1, import_einsum_dense));
  rows.push_back(row("Dot", "Mul", {"axes", "normalize"}, {}, {}, 2, 2, import_dot));
  rows.push_back(row("RepeatVector", "Upsample", {"n"}, {}, {}, 1, 1, import_repeat));
  rows.push_back(
      row("Attention", "Softmax", {"use_scale", "score_mode", "causal"}, {"dropout", "seed"},
          {{.name = "scale", .present = has_scale}, {.name = "concat_score_weight", .present = has_concat_score}}, 2, 3,
          import_attention));
  rows.push_back(row("AdditiveAttention", "Softmax", {"use_scale", "causal"}, {"dropout", "seed"},
                     {{.name = "scale", .present = has_additive_scale}}, 2, 3, import_attention));
  rows.push_back(row("MultiHeadAttention", "Softmax",
                     {"num_heads", "key_dim", "value_dim", "use_bias", "output_shape", "attention_axes"},
                     dense_ignored(), {{.name = "*"}}, 1, 3, import_multi_head));
  for (auto& r : rows) {
    if (r.class_name.find("ttention") == std::string_view::npos) continue;
    r.any_call = true;
    r.refused.emplace_back("use_gate");
  }
  auto& heads = rows.back();
  heads.by_path = true;
  heads.ignored.insert(heads.ignored.end(),
                       {"dropout", "seed", "flash_attention", "query_shape", "key_shape", "value_shape"});
  return rows;
}

}  // namespace weft::formats::keras
