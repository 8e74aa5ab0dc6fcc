// SPDX-License-Identifier: Apache-2.0
// Softmax and attention of HGQ2: tables for exp and 1 / x between quantizers.
#include <fmt/format.h>

#include <cmath>

#include "weft/formats/keras/hgq_parts.h"
#include "weft/formats/keras/hgq_rows.h"
#include "weft/formats/keras/quantizer_spec.h"

namespace weft::formats::keras {
namespace {

using Keys = std::vector<std::string_view>;
using Ints = std::vector<std::int64_t>;
using Tensor = std::optional<nn::TensorId>;

Tensor function(const HgqPart& part, nn::TensorId x, const std::string& family, const std::string& suffix) {
  nn::Node node;
  node.name = part.in.node.name + part.label + suffix;
  node.op = "Activation";
  node.inputs = {x};
  node.functions["activation"] = make_spec(family);
  return part.in.emit(std::move(node));
}

// --- softmax

struct SoftmaxConfs {
  const Json *iq, *exp_iq, *exp_oq, *inv_iq, *inv_oq, *oq;
  bool stable = true;
  float scaler = 1.0F;
};

/// exp by a table, its sum, one over it by a table, and the product; `axes` of x.
Tensor softmax(const HgqPart& part, nn::TensorId x, const Ints& axes, const SoftmaxConfs& confs) {
  auto& in = part.in;
  Tensor y = x;
  if (confs.iq != nullptr) y = quantized(part, x, confs.iq, "iq", "_iq");
  if (!y) return y;
  const AttributeMap over{{"axes", axes}, {"keepdims", true}};
  const HgqPart exp{in, part.path + "exp_table/", part.label + "_exp"};
  const HgqPart inv{in, part.path + "inv_table/", part.label + "_inv"};
  if (confs.stable) {
    const auto top = in.emit(part.label + "_max", "ReduceMax", {*y}, over);
    if (!top) return top;
    y = in.emit(part.label + "_distance", "Sub", {*top, *y});
    if (y) y = quantized(exp, *y, confs.exp_iq, "iq", "_iq");
  }
  if (y) y = scaled(exp, *y, confs.stable ? -confs.scaler : confs.scaler, "_scaled");
  if (y) y = function(exp, *y, "exponential", "_function");
  if (y) y = quantized(exp, *y, confs.exp_oq, "oq", "_oq");
  if (!y) return y;
  auto sum = in.emit(part.label + "_sum", "ReduceSum", {*y}, over);
  if (sum) sum = quantized(inv, *sum, confs.inv_iq, "iq", "_iq");
  if (sum) sum = in.emit(with_constant(inv, "_epsilon", "Add", *sum, {FloatTensor({}, {1e-7F}), {}, {}}));
  if (sum) {
    auto node = with_constant(inv, "_reciprocal", "Div", *sum, {FloatTensor({}, {1.0F}), {}, {}});
    node.attributes["constant_first"] = true;
    sum = in.emit(std::move(node));
  }
  if (sum) sum = quantized(inv, *sum, confs.inv_oq, "oq", "_oq");
  if (!sum) return sum;
  y = in.emit(part.label + "_scores", "Mul", {*y, *sum});
  if (y && confs.oq != nullptr) y = quantized(part, *y, confs.oq, "oq", "_oq");
  return y;
}

void import_softmax(LayerImport& in) {
  if (!in.ready()) return in.config.fail_reported();
  const HgqPart part{in, "", ""};
  const auto rank = static_cast<std::int64_t>(in.input()->size());
  const auto* key = in.config.find("axes") != nullptr ? "axes" : "axis";
  auto axes = in.config.find(key) == nullptr ? Ints{-1} : in.config.integers(key);
  for (auto& axis : axes) {
    axis = axis < 0 ? axis + rank : axis - 1;
    if (axis < 0 || axis >= rank)
      return in.config.fail(Kind::AttributeUnsupported, "`axes` has the batch or no axis of the input");
  }
  SoftmaxConfs confs{in.config.flag("enable_iq", false) ? in.config.find("iq_conf") : nullptr,
                     in.config.find("exp_iq_conf"),
                     in.config.find("exp_oq_conf"),
                     in.config.find("inv_iq_conf"),
                     in.config.find("inv_oq_conf"),
                     in.config.flag("enable_oq", false) ? in.config.find("oq_conf") : nullptr,
                     in.config.flag("stable", true),
                     static_cast<float>(in.config.number("input_scaler", 1.0))};
  in.finish(softmax(part, in.tensors[0], axes, confs));
}

// --- attention

/// A projection of attention: iq, einsum, bias, oq. Its quantizers are there when the file has their widths; those that
/// projections share are saved with the first of them.
Tensor project(const HgqPart& part, nn::TensorId x, const std::string& text, const Shape& kernel_shape, bool bias,
               const Shape& bias_shape, const std::string& bias_letters, bool shares = false) {
  auto& in = part.in;
  Tensor y = x;
  const auto saved = [&](const std::string& path) {
    return in.variables && in.variables->count(path + "/quantizer/vars/0") != 0;
  };
  for (const auto& path :
       {part.path, std::string("key_dense/"), std::string("query_dense/"), std::string("value_dense/")}) {
    if ((path != part.path && !shares) || !saved(path + "iq")) continue;
    y = quantized({in, path, part.label}, x, in.config.find("qkvo_iq_conf"), "iq", "_iq");
    break;
  }
  if (!y) return y;
  const auto equation = parse_equation(in, text, in.shape_of(x).size());
  Keys order{"kernel"};
  if (bias) order.emplace_back("bias");
  auto values = read_own(part, "kernel", order, kernel_shape);
  if (!equation || !values) return std::nullopt;
  const auto kernel = fixed_parameter(part, std::move(*values), in.config.find("qkvo_kq_conf"), "kq");
  std::optional<nn::Parameter> b;
  if (bias) {
    auto bias_values = read_own(part, "bias", order, bias_shape);
    if (!bias_values) return std::nullopt;
    b = fixed_parameter(part, std::move(*bias_values), in.config.find("qkvo_bq_conf"), "bq");
    if (!b) return std::nullopt;
  }
  if (!kernel) return std::nullopt;
  y = einsum_dense(part, *y, *equation, *kernel, b, bias_letters);
  if (y && saved(part.path + "oq")) y = quantized(part, *y, in.config.find("qkvo_oq_conf"), "oq", "_oq");
  return y;
}

/// Query, value and key of the call: positional, or by name.
Tensor called_with(const LayerImport& in, const char* key, std::size_t place) {
  const auto* argument = in.argument(key, place);
  if (argument == nullptr || argument->from.size() != 1) return std::nullopt;
  return in.tensors[argument->from[0]];
}

void import_attention(LayerImport& in) {
  if (!in.ready()) return in.config.fail_reported();
  const auto refuse = [&](const std::string& what) {
    in.config.fail(Kind::AttributeUnsupported, what + "; attention over one axis of [steps, features] is supported");
  };
  const auto query = called_with(in, "query", 0);
  if (!query) return refuse("the layer is called without a query");
  auto value = called_with(in, "value", 1);
  if (!value) value = query;
  auto key = called_with(in, "key", 2);
  if (!key) key = value;
  for (const auto& argument : in.layer.arguments) {
    const bool constant = argument.value == nullptr || argument.value->is_null() || *argument.value == false;
    if (!argument.key.empty() && argument.key != "query" && argument.key != "value" && argument.key != "key" &&
        !constant)
      return refuse(fmt::format("the layer is called with `{}`", argument.key));
  }
  const auto heads = in.config.integer("num_heads");
  const auto key_dim = in.config.integer("key_dim");
  const auto value_dim = in.config.find("value_dim") == nullptr ? key_dim : in.config.integer("value_dim");
  for (const auto t : {*query, *value, *key})
    if (in.shape_of(t).size() != 2) return refuse(fmt::format("an input has shape {}", to_string(in.shape_of(t))));
  if (in.config.find("attention_axes") != nullptr && in.config.integers("attention_axes") != Ints{1})
    return refuse("`attention_axes` is not 1");
  const auto limit = static_cast<std::int64_t>(in.config.context().limits.tensor_elements);
  for (const auto v : {heads, key_dim, value_dim})
    if (v < 1 || v > limit) return in.config.fail(Kind::ModelMalformed, "the layer has no heads or no features");
  const bool bias = in.config.flag("use_bias", true);
  const bool oq = in.config.flag("enable_oq", false);
  const auto fuse = in.config.text("fuse", "none");
  if (in.config.text("lin_kv_proj_mode", "dense") != "dense") return refuse("the projections are tables");
  if (in.layer.class_name == "QLinformerAttention") {
    const auto proj = in.config.integers("lin_kv_proj_dim");
    if (proj.size() != 1 || proj[0] < 1 || proj[0] > limit) return refuse("`lin_kv_proj_dim` is not one number");
    const bool share = in.config.flag("share_kv_proj", false);
    for (const bool is_key : {true, false}) {
      auto& t = is_key ? key : value;
      const std::string name = is_key || share ? "_lin_k_proj/" : "_lin_v_proj/";
      const HgqPart part{in, name, is_key ? "_lin_key" : "_lin_value"};
      t = project(part, *t, "bsc,st->btc", {in.shape_of(*t)[0], proj[0]}, false, {}, "");
      if (!t) return in.config.fail_reported();
    }
  }
  const auto dense = [&](const char* name, const char* label, nn::TensorId x, std::int64_t dim, bool with_bias,
                         bool shares) {
    return project({in, std::string(name) + "/", label}, x, "bsc,cnh->bsnh", {in.shape_of(x)[1], heads, dim}, with_bias,
                   {heads, dim}, "nh", shares);
  };
  const auto q = dense("query_dense", "_query", *query, key_dim, bias, fuse == "qkv");
  // Keras has a bias on keys, HGQ2 leaves it out.
  const bool key_bias = in.variables && in.variables->count("key_dense/bq/quantizer/vars/0") != 0;
  const auto k = q ? dense("key_dense", "_key", *key, key_dim, key_bias, fuse != "none") : q;
  const auto v = k ? dense("value_dense", "_value", *value, value_dim, bias, fuse != "none") : k;
  if (!v) return in.config.fail_reported();
  const HgqPart part{in, "_softmax/", "_softmax"};
  auto scores = contract({in, "", ""}, *k, *q, "snh,tnh->nts", "_dot");
  if (!scores) return in.config.fail_reported();
  const auto scaler = static_cast<float>(1.0 / std::sqrt(static_cast<double>(key_dim)));
  const auto& config = in.config;
  SoftmaxConfs confs{nullptr,
                     config.find("softmax_exp_iq_conf"),
                     config.find("softmax_exp_oq_conf"),
                     config.find("softmax_inv_iq_conf"),
                     config.find("softmax_inv_oq_conf"),
                     config.find("softmax_oq_conf"),
                     in.config.flag("stable_softmax", true),
                     scaler};
  // The layer of the scores has its own say on its input quantizer: it has one when its variables are there.
  if (in.variables && in.variables->count("_softmax/iq/quantizer/vars/0") != 0) {
    confs.iq = config.find("softmax_iq_conf");
    in.config.context().report(
        Kind::Info, in.config.origin(),
        "the file holds an input quantizer of the attention's softmax, as HGQ2 up to 0.1.6 trains and applies it, and "
        "so does Weft; HGQ2 from 0.1.7 on opens the file without it and gives other numbers");
  }
  scores = softmax(part, *scores, {2}, confs);
  if (!scores) return in.config.fail_reported();
  const auto mixed = contract({in, "", ""}, *scores, *v, "nts,snh->tnh", "_combined");
  const auto outputs =
      in.config.find("output_shape") == nullptr ? Ints{in.shape_of(*query)[1]} : in.config.integers("output_shape");
  if (outputs.size() != 1 || outputs[0] < 1 || outputs[0] > limit) return refuse("`output_shape` is not one number");
  if (!mixed) return in.config.fail_reported();
  auto y = project({in, "output_dense/", "_output"}, *mixed, "btnh,nhc->btc", {heads, value_dim, outputs[0]}, bias,
                   outputs, "c");
  if (y && oq) y = quantized({in, "", ""}, *y, config.find("oq_conf"), "oq", "_oq");
  in.finish(y);
}

}  // namespace

std::vector<LayerRow> hgq_attention_rows() {
  std::vector<LayerRow> rows;
  rows.push_back(
      hgq_row("QSoftmax", "Softmax",
              {"axis", "axes", "stable", "exp_oq_conf", "exp_iq_conf", "inv_oq_conf", "inv_iq_conf", "input_scaler"},
              {"allow_heterogeneous_table"}, import_softmax));
  const Keys attention = {"num_heads",           "key_dim",
                          "value_dim",           "use_bias",
                          "output_shape",        "attention_axes",
                          "qkvo_iq_conf",        "qkvo_kq_conf",
                          "qkvo_bq_conf",        "qkvo_oq_conf",
                          "softmax_iq_conf",     "softmax_exp_iq_conf",
                          "softmax_exp_oq_conf", "softmax_oq_conf",
                          "softmax_inv_iq_conf", "softmax_inv_oq_conf",
                          "stable_softmax",      "fuse",
                          "lin_kv_proj_dim",     "share_kv_proj",
                          "lin_kv_proj_mode"};
  for (const auto* name : {"QMultiHeadAttention", "QLinformerAttention"}) {
    auto row = hgq_row(name, "Softmax", attention,
                       {"dropout", "seed", "softmax_allow_heterogeneous_table", "flash_attention", "query_shape",
                        "key_shape", "value_shape"},
                       import_attention);
    row.refused.emplace_back("use_gate");
    row.max_inputs = 3;
    row.any_call = true;
    rows.push_back(std::move(row));
  }
  return rows;
}

}  // namespace weft::formats::keras
