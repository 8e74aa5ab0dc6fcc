// SPDX-License-Identifier: Apache-2.0
// Layers of HGQ2: quantizers with trained widths on inputs, kernels, biases and outputs; and FixedPointQuantizer, the
// layer of HGQ's proxy models. Batch normalization is folded here, in the float32 operations of HGQ2.
#include "weft/formats/keras/hgq_rows.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/formats/keras/hgq_parts.h"
#include "weft/formats/keras/hgq_quantizer.h"
#include "weft/formats/keras/quantizer_spec.h"
#include "weft/formats/keras/row_parts.h"

namespace weft::formats::keras {
namespace {

using Keys = std::vector<std::string_view>;

Keys joined(Keys a, const Keys& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

std::optional<FloatTensor> read_own(LayerImport& in, std::string_view name, const Keys& order, const Shape& shape) {
  return read_own(HgqPart{in, "", ""}, name, order, shape);
}

nn::Node front_node(const LayerImport& in, const std::string& name, const std::string& op) {
  nn::Node node;
  node.name = name;
  node.op = op;
  node.origin = in.node.origin;
  node.inputs = {in.node.inputs[0]};
  return node;
}

/// The input quantizer as a node in front.
void add_input_quantizer(LayerImport& in) {
  if (!in.config.flag("enable_iq", true) || !in.input()) return;
  auto spec = read_hgq(in, "iq_conf", "iq", *in.input(), true);
  if (!spec) return;
  auto node = front_node(in, in.node.name + "_iq", "Activation");
  node.functions["activation"] = std::move(*spec);
  in.chain.push_back(std::move(node));
}

/// Puts `op` behind what is there: the layer's name goes to the last node, whose result is the layer's.
nn::Node& continue_with(LayerImport& in, const std::string& op, const std::string& suffix) {
  nn::Node last = front_node(in, in.node.name, op);
  in.node.name += suffix;
  in.chain.push_back(std::move(in.node));
  in.node = std::move(last);
  return in.node;
}

void add_output_quantizer(LayerImport& in) {
  if (!in.config.flag("enable_oq", false) || !in.output) return;
  auto spec = read_hgq(in, "oq_conf", "oq", *in.output, true);
  if (!spec) return;
  continue_with(in, "Activation", "_sum").functions["activation"] = std::move(*spec);
}

/// What stands between the layer's inputs and its product: kernel [n_in, n_out] behind `before`, `after` behind it.
struct Product {
  std::int64_t n_in = -1;
  std::int64_t n_out = -1;
  Shape kernel_shape;                  ///< as in the file
  Shape bias_shape;                    ///< as in the file: an extent of 1 for every output axis behind its own
  std::vector<std::int64_t> to_front;  ///< permutation of the input that brings the contracted axis last; or empty
  std::vector<std::int64_t> back;      ///< the output's; or empty
  bool drop_last = false;              ///< the kernel has no output axis
};

/// Equations that are a dense layer over one axis: one contracted letter, at most one new one in its place or behind;
/// nullopt for others.
std::optional<Product> read_equation(LayerImport& in) {
  const auto equation = in.config.text("equation", "");
  const auto refuse = []() -> std::optional<Product> { return std::nullopt; };
  const auto comma = equation.find(',');
  const auto arrow = equation.find("->");
  if (comma == std::string::npos || arrow == std::string::npos || arrow < comma) return refuse();
  std::string x = equation.substr(0, comma);
  const std::string w = equation.substr(comma + 1, arrow - comma - 1);
  std::string y = equation.substr(arrow + 2);
  if (!in.input()) return std::nullopt;
  if (x.starts_with("...") && y.starts_with("...")) {
    // Letters that no equation has for the axes that are not named.
    x = x.substr(3);
    y = y.substr(3);
    if (x.size() > in.input()->size() + 1) return refuse();
    std::string open;
    for (std::size_t a = x.size(); a < in.input()->size() + 1; ++a) open += static_cast<char>(1 + a);
    x = open + x;
    y = open + y;
  }
  if (x.size() != in.input()->size() + 1 || w.empty() || w.size() > 2 || x.empty() || y.empty() || x[0] != y[0])
    return refuse();
  const auto letters_differ = [](const std::string& part) {
    return std::all_of(part.begin(), part.end(),
                       [&](char c) { return c != '.' && std::count(part.begin(), part.end(), c) == 1; });
  };
  if (!letters_differ(x) || !letters_differ(w) || !letters_differ(y)) return refuse();
  const char contracted = w[0];
  const bool has_output = w.size() == 2;
  const auto at = x.find(contracted);
  if (at == std::string::npos || at == 0 || y.find(contracted) != std::string::npos) return refuse();
  std::string kept = x;
  kept.erase(at, 1);
  std::string result = kept + (has_output ? w.substr(1) : "");
  if (has_output && (x.find(w[1]) != std::string::npos || y.find(w[1]) == std::string::npos)) return refuse();
  if (!std::is_permutation(result.begin(), result.end(), y.begin(), y.end())) return refuse();
  Product out;
  out.n_in = (*in.input())[at - 1];
  out.drop_last = !has_output;
  if (at + 1 != x.size()) {
    for (std::size_t a = 1; a < x.size(); ++a)
      if (a != at) out.to_front.push_back(static_cast<std::int64_t>(a) - 1);
    out.to_front.push_back(static_cast<std::int64_t>(at) - 1);
  }
  if (result != y) {
    if (!has_output) return refuse();
    for (std::size_t a = 1; a < y.size(); ++a) out.back.push_back(static_cast<std::int64_t>(result.find(y[a])) - 1);
  }
  const auto shape =
      in.config.find("output_shape") == nullptr ? std::vector<std::int64_t>{} : in.config.integers("output_shape");
  if (!in.config.ok()) return std::nullopt;
  // `output_shape` has no batch; with an ellipsis only the named axes.
  if (has_output) {
    const auto place = y.size() - y.find(w[1]);
    if (place > shape.size()) return refuse();
    out.n_out = shape[shape.size() - place];
    if (out.n_out < 1 || static_cast<std::uint64_t>(out.n_out) > in.config.context().limits.tensor_elements)
      return refuse();
    out.kernel_shape = {out.n_in, out.n_out};
  } else {
    out.n_out = 1;
    out.kernel_shape = {out.n_in};
  }
  if (has_output) out.bias_shape.assign(y.size() - y.find(w[1]), 1);
  if (has_output) out.bias_shape[0] = out.n_out;
  const auto bias = in.config.text("bias_axes", "");
  if (!bias.empty() && (!has_output || bias != w.substr(1))) return refuse();
  return out;
}

std::optional<Product> read_units(LayerImport& in) {
  const auto units = in.config.integer("units");
  if (units < 1 || static_cast<std::uint64_t>(units) > in.config.context().limits.tensor_elements) {
    in.config.fail(Kind::ModelMalformed, fmt::format("attribute `units` is {}", units));
    return std::nullopt;
  }
  if (!in.input()) return std::nullopt;
  if (in.input()->empty()) {
    in.config.fail(Kind::ShapeMismatch, "the input has no axis besides the batch");
    return std::nullopt;
  }
  Product out;
  out.n_in = in.input()->back();
  out.n_out = units;
  out.kernel_shape = {out.n_in, out.n_out};
  out.bias_shape = {out.n_out};
  return out;
}

enum class Normalize { None, Outputs, Inputs };

/// Kernel and bias as HGQ2 folds them, in float32. Gives how far each bias could be off with another order of the
/// framework's additions; empty when there are none.
std::vector<float> fold(FloatTensor& kernel, FloatTensor& bias, Normalize form, const std::vector<float>& gamma,
                        const std::vector<float>& mean, const std::vector<float>& variance, float epsilon) {
  const std::size_t columns = bias.data.size();
  std::vector<float> scaler(mean.size());
  for (std::size_t c = 0; c < scaler.size(); ++c) {
    const float shifted = variance[c] + epsilon;
    scaler[c] = (gamma.empty() ? 1.0F : gamma[c]) / std::sqrt(shifted);
  }
  if (form == Normalize::Outputs) {
    for (std::size_t c = 0; c < columns; ++c) {
      const float offset = -mean[c] * scaler[c];
      bias.data[c] += offset;
    }
    for (std::size_t e = 0; e < kernel.data.size(); ++e) kernel.data[e] *= scaler[e % columns];
    return {};
  }
  // The offset is taken with the kernel as it is, not with the scaled one. The framework's order of additions is not
  // known; the correctly rounded sum stands for all.
  std::vector<float> bounds(columns);
  for (std::size_t c = 0; c < columns; ++c) {
    double sum = 0.0;
    double magnitude = 0.0;
    for (std::size_t r = 0; r < mean.size(); ++r) {
      const double product = static_cast<double>(mean[r]) * kernel.data[r * columns + c];
      sum += product;
      magnitude += std::fabs(product);
    }
    bias.data[c] += -static_cast<float>(sum);
    // Each product and each partial sum is rounded once: at most n + 1 half ulps of the sum of the magnitudes.
    bounds[c] = static_cast<float>(magnitude * static_cast<double>(mean.size() + 1) * 0x1p-23);
  }
  for (std::size_t e = 0; e < kernel.data.size(); ++e) kernel.data[e] *= scaler[e / columns];
  return bounds;
}

/// Says how many folded biases are quantized to another value when the framework adds in another order.
void note_order(LayerImport& in, const FloatTensor& bias, const std::vector<float>& bounds,
                const quantizers::Spec& quantizer) {
  const auto function = quantizers::make(quantizer, in.config.origin(), in.config.context());
  if (!function) return in.config.fail_reported();
  std::size_t count = 0;
  for (std::size_t c = 0; c < bounds.size(); ++c) {
    const std::size_t channel = c % (*function)->channels();
    const float here = (*function)->apply(bias.data[c], channel);
    const bool other = (*function)->apply(bias.data[c] - bounds[c], channel) != here ||
                       (*function)->apply(bias.data[c] + bounds[c], channel) != here;
    count += other ? 1 : 0;
  }
  if (count == 0) return;
  in.config.context().report(
      Kind::Info, in.config.origin(),
      fmt::format("{} of {} folded biases lie so near a boundary of their quantizer that the order of the framework's "
                  "float32 additions (mean times kernel) could change them",
                  count, bounds.size()));
}

void import_product(LayerImport& in, const std::optional<Product>& product, Normalize form) {
  const bool normalized = form != Normalize::None;
  const bool einsum = in.config.has_key("equation");
  const bool has_bias = einsum ? in.config.find("bias_axes") != nullptr : in.config.flag("use_bias", true);
  if (normalized && !has_bias) in.config.fail(Kind::ModelMalformed, "a layer with batch normalization has no bias");
  add_input_quantizer(in);
  if (!product || !in.config.ok()) return;

  const bool has_gamma = form == Normalize::Outputs || in.config.flag("scale", true);
  Keys order{"kernel"};
  if (has_bias) order.emplace_back("bias");
  const std::string_view gamma_name = form == Normalize::Inputs ? "bn_gamma" : "gamma";
  if (normalized && has_gamma) order.push_back(gamma_name);
  if (in.config.flag("enable_ebops", true)) order = joined(order, {"beta", "ebops"});
  if (normalized) order = joined(order, {"moving_mean", "moving_variance"});

  const auto channels = form == Normalize::Inputs ? product->n_in : product->n_out;
  auto kernel = read_own(in, "kernel", order, product->kernel_shape);
  std::optional<FloatTensor> bias;
  std::vector<float> bounds;
  if (has_bias) bias = read_own(in, "bias", order, product->bias_shape);
  if (normalized && kernel && bias) {
    const auto gamma = has_gamma ? read_own(in, gamma_name, order, {channels}) : FloatTensor({0});
    const auto mean = read_own(in, "moving_mean", order, {channels});
    const auto variance = read_own(in, "moving_variance", order, {channels});
    // HGQ2 normalizes outputs with the backend's epsilon, whatever the layer's is.
    const auto epsilon = form == Normalize::Outputs ? 1e-7F : static_cast<float>(in.config.number("epsilon", 1e-3));
    if (gamma && mean && variance)
      bounds = fold(*kernel, *bias, form, gamma->data, mean->data, variance->data, epsilon);
  }
  auto kernel_quantizer = read_hgq(in, "kq_conf", "kq", product->kernel_shape, false);
  std::optional<quantizers::Spec> bias_quantizer;
  if (has_bias) bias_quantizer = read_hgq(in, "bq_conf", "bq", product->bias_shape, false);
  if (kernel) {
    kernel->shape = {product->n_in, product->n_out};
    in.node.parameters["kernel"] = {std::move(*kernel), std::move(kernel_quantizer), {}};
  }
  if (bias && bias_quantizer && !bounds.empty()) note_order(in, *bias, bounds, *bias_quantizer);
  if (bias) {
    bias->shape = {product->n_out};
    in.node.parameters["bias"] = {std::move(*bias), std::move(bias_quantizer), {}};
  }

  Shape shape = *in.input();
  if (!product->to_front.empty()) {
    auto permute = front_node(in, in.node.name + "_in", "Permute");
    permute.attributes["permutation"] = product->to_front;
    in.chain.push_back(std::move(permute));
    Shape moved;
    for (const auto a : product->to_front) moved.push_back(shape[static_cast<std::size_t>(a)]);
    shape = std::move(moved);
  }
  shape.back() = product->n_out;
  set_activation(in, false);
  if (in.softmax && (!product->back.empty() || product->drop_last || in.config.flag("enable_oq", false))) {
    return in.config.fail(Kind::AttributeUnsupported,
                          "a softmax as activation is supported in plain dense layers only");
  }
  if (product->drop_last) {
    shape.pop_back();
    continue_with(in, "Reshape", "_product").attributes["shape"] = shape;
  } else if (!product->back.empty()) {
    continue_with(in, "Permute", "_product").attributes["permutation"] = product->back;
    Shape moved;
    for (const auto a : product->back) moved.push_back(shape[static_cast<std::size_t>(a)]);
    shape = std::move(moved);
  }
  in.output = shape;
  add_output_quantizer(in);
}

/// Sum over axes, times a power of two.
void import_sum(LayerImport& in) {
  const double scale = in.config.number("scale", 1.0);
  int exponent = 0;
  if (!(scale > 0.0) || std::frexp(scale, &exponent) != 0.5 || std::fabs(exponent) > 100) {
    in.config.fail(Kind::AttributeUnsupported, fmt::format("`scale` is {}, no power of two", scale));
  }
  add_input_quantizer(in);
  if (!in.input() || !in.config.ok()) return;
  const auto rank = static_cast<std::int64_t>(in.input()->size());
  auto axes = in.config.find("axes") == nullptr ? std::vector<std::int64_t>{-1} : in.config.integers("axes");
  for (auto& axis : axes) {
    axis = axis < 0 ? axis + rank : axis - 1;  // Keras counts the batch
    if (axis < 0 || axis >= rank) {
      return in.config.fail(Kind::AttributeUnsupported, "`axes` has the batch or no axis of the input");
    }
  }
  std::sort(axes.begin(), axes.end());
  if (std::adjacent_find(axes.begin(), axes.end()) != axes.end()) {
    return in.config.fail(Kind::ModelMalformed, "an axis is given twice");
  }
  const bool keepdims = in.config.flag("keepdims", false);
  in.node.attributes["axes"] = axes;
  in.node.attributes["keepdims"] = keepdims;
  Shape shape = *in.input();
  for (auto it = axes.rbegin(); it != axes.rend(); ++it) {
    if (keepdims)
      shape[static_cast<std::size_t>(*it)] = 1;
    else
      shape.erase(shape.begin() + static_cast<std::ptrdiff_t>(*it));
  }
  if (scale != 1.0) {
    continue_with(in, "Mul", "_sum").parameters["constant"].values = FloatTensor({}, {static_cast<float>(scale)});
  }
  in.output = shape;
  add_output_quantizer(in);
}

void import_dense(LayerImport& in) { import_product(in, read_units(in), Normalize::None); }
void import_batch_norm_dense(LayerImport& in) { import_product(in, read_units(in), Normalize::Inputs); }
void import_einsum(LayerImport& in, Normalize form) {
  const auto product = read_equation(in);
  if (product || !in.input()) return import_product(in, product, form);
  import_general_einsum(in, form == Normalize::Outputs);
}
void import_einsum(LayerImport& in) { import_einsum(in, Normalize::None); }
void import_einsum_batch_norm(LayerImport& in) { import_einsum(in, Normalize::Outputs); }

/// HGQ's proxy layer: ap_fixed semantics, `integers` with the sign, in float32: rounded, then folded.
void import_proxy_quantizer(LayerImport& in) {
  in.output = in.input();
  const auto rounding = in.config.text("RND", "TRN");
  const auto overflow = in.config.text("SAT", "WRAP");
  if (overflow != "WRAP" && overflow != "SAT" && overflow != "SAT_SYM") {
    return in.config.fail(Kind::QuantizerUnsupported, fmt::format("overflow mode `{}` is not supported", overflow));
  }
  if (!in.variables || !in.input()) return;
  auto k = read_variable(in, "keep_negative");
  auto bits = read_variable(in, "bits");
  auto integers = read_variable(in, "integers");
  if (!k || !bits || !integers) return;
  if (k->shape != bits->shape || k->shape != integers->shape) {
    return in.config.fail(Kind::ShapeMismatch, "keep_negative, bits and integers have different shapes");
  }
  Widths w{std::move(*k), std::move(*integers), FloatTensor(bits->shape)};
  for (std::size_t e = 0; e < bits->data.size(); ++e) {
    w.f.data[e] = bits->data[e] - w.i.data[e];
    w.i.data[e] -= w.k.data[e];
  }
  auto spec = make_fixed(in, w, *in.input(), true, rounding, overflow);
  if (spec) in.node.functions["activation"] = std::move(*spec);
}

bool any_place(ConfigReader&) { return true; }

}  // namespace

std::vector<LayerRow> hgq_rows() {
  const Keys einsum = {"equation", "output_shape", "bias_axes"};
  return {
      hgq_row("QDense", "Dense", {"units", "use_bias"}, {}, import_dense),
      hgq_row("QBatchNormDense", "Dense", {"units", "use_bias", "scale", "epsilon"},
              {"momentum", "synchronized", "bn_gamma_initializer", "bn_gamma_regularizer", "bn_gamma_constraint",
               "moving_mean_initializer", "moving_variance_initializer"},
              import_batch_norm_dense),
      hgq_row("QEinsumDense", "Dense", einsum, {}, import_einsum),
      hgq_row("QEinsumDenseBatchnorm", "Dense", einsum, {}, import_einsum_batch_norm),
      hgq_row("QSum", "ReduceSum", {"axes", "scale", "keepdims"}, {}, import_sum),
      {.class_name = "FixedPointQuantizer",
       .package = "HGQ",
       .op = "Activation",
       .used = {"RND", "SAT"},
       .ignored = {"shape", "overrides", "fusible"},
       .refused = {},
       .weights = {{.name = "*", .present = any_place}},
       .import = import_proxy_quantizer,
       .by_path = true},
  };
}

}  // namespace weft::formats::keras
