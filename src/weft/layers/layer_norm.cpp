// SPDX-License-Identifier: Apache-2.0
// LayerNorm: elements of a row divided by what measures the row. One layer for layer, instance, group and RMS
// normalization, for unit vectors and for mean-variance normalization; `statistic` says what is measured:
//   variance     y = (x - mean) / sqrt(variance + epsilon)
//   mean_square  y = x / sqrt(mean(x^2) + epsilon)
//   sum_square   y = x / sqrt(sum(x^2)), the sum at least epsilon
//   sum_abs      y = x / sum(|x|)
// then times gamma, plus beta. In integers, X being the codes and s their scale:
//   D = n X - sum(X) (variance) or X; where D is wide, all of a row are shifted so that the largest fills B bits
//   Q = sum(D^2) + E, E being epsilon in the same units: y = D sqrt(m / Q), with m = n or 1
//   4^k Q has its top bits in place; r = sqrt(m / (4^k Q)) as a function of them; y = (2^k D) r
// so any variance keeps the same relative precision.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/fixed/quantize.h"
#include "weft/layers/align.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer_rows.h"
#include "weft/layers/normalizer.h"
#include "weft/layers/rows.h"

namespace weft::layers {
namespace {

Result<Statistic> statistic_of(const nn::Node& node, Context& ctx) {
  const auto name = get_string(node.attributes, "statistic", "variance");
  if (name == "variance") return Statistic::Variance;
  if (name == "mean_square") return Statistic::MeanSquare;
  if (name == "sum_square") return Statistic::SumSquare;
  if (name == "sum_abs") return Statistic::SumAbs;
  return ctx.fail(Kind::ModelMalformed, node.origin, fmt::format("`statistic` is `{}`", name));
}

Result<RowMap> rows_of(const nn::Node& node, const Shape& shape, Context& ctx) {
  WEFT_TRY(const auto axes, axes_of(node, shape, ctx));
  return row_map(node, shape, axes, get_int(node.attributes, "groups", 1), ctx);
}

Result<Shape> shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  const Shape& s = graph.at(node.inputs[0]).shape;
  WEFT_TRY(const auto map, rows_of(node, s, ctx));
  if (!statistic_of(node, ctx)) return diag::failure;
  const double epsilon = get_double(node.attributes, "epsilon", 0.0);
  if (!(epsilon >= 0.0) || !std::isfinite(epsilon))
    return ctx.fail(Kind::ModelMalformed, node.origin, fmt::format("`epsilon` is {}", epsilon));
  for (const auto& [role, p] : node.parameters) {
    const auto b = tensor::broadcast(s, p.values.shape);
    if (!b.ok || b.shape != s)
      return ctx.fail(
          Kind::ShapeMismatch, node.origin,
          fmt::format("`{}` has shape {}, the input {}", role, weft::to_string(p.values.shape), weft::to_string(s)));
  }
  return s;
}

/// mean and 1 / divisor of a row in float32.
struct Measured {
  float mean = 0.0F;
  float inverse = 1.0F;
};
Measured measure(const std::vector<float>& row, Statistic statistic, float epsilon) {
  const auto n = static_cast<float>(row.size());
  Measured m;
  float sum = 0.0F;
  if (statistic == Statistic::Variance) {
    for (const float v : row) sum += v;
    m.mean = sum / n;
    sum = 0.0F;
  }
  for (const float v : row) {
    const float d = v - m.mean;
    sum += statistic == Statistic::SumAbs ? std::fabs(d) : d * d;
  }
  if (statistic == Statistic::SumAbs)
    m.inverse = 1.0F / std::max(sum, epsilon);
  else if (statistic == Statistic::SumSquare)
    m.inverse = 1.0F / std::sqrt(std::max(sum, epsilon));
  else
    m.inverse = 1.0F / std::sqrt(sum / n + epsilon);
  if (!std::isfinite(m.inverse)) m.inverse = 0.0F;  // a row of zeros without epsilon: 0, as the frameworks' kernels say
  return m;
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  const Shape& s = run.graph().at(node.inputs[0]).shape;
  WEFT_TRY(const auto map, rows_of(node, s, ctx));
  WEFT_TRY(const auto statistic, statistic_of(node, ctx));
  const auto epsilon = static_cast<float>(get_double(node.attributes, "epsilon", 0.0));
  const bool keras = get_string(node.attributes, "form", "onnx") == "keras";
  const auto spread = [&](const char* role, float fallback) -> Result<std::vector<float>> {
    std::vector<float> out(map.to_rows.size(), fallback);
    if (node.parameters.count(role) == 0) return out;
    WEFT_TRY(const FloatTensor t, parameter_values(node, role, ctx));
    for (std::size_t i = 0; i < out.size(); ++i) out[i] = t.data[tensor::broadcast_index(t.shape, s, i)];
    return out;
  };
  WEFT_TRY(const auto gamma, spread("gamma", 1.0F));
  WEFT_TRY(const auto beta, spread("beta", 0.0F));
  const auto& x = run.input(node, 0);
  auto& y = run.output(node);
  const auto n = static_cast<std::size_t>(map.n);
  std::vector<float> row(n);
  for (std::size_t base = 0; base < y.size(); base += map.to_rows.size()) {
    for (std::size_t at = 0; at < map.to_rows.size(); at += n) {
      for (std::size_t i = 0; i < n; ++i) row[i] = x[base + static_cast<std::size_t>(map.to_rows[at + i])];
      const Measured m = measure(row, statistic, epsilon);
      for (std::size_t i = 0; i < n; ++i) {
        const auto e = static_cast<std::size_t>(map.to_rows[at + i]);
        if (keras) {
          // inv = rsqrt(...) * gamma; x * inv + (beta - mean * inv)
          const float inverse = m.inverse * gamma[e];
          const float product = m.mean * inverse;
          y[base + e] = row[i] * inverse + (beta[e] - product);
        } else {
          const float normalized = (row[i] - m.mean) * m.inverse;
          y[base + e] = normalized * gamma[e] + beta[e];
        }
      }
    }
  }
  return {};
}

double largest_of(const nn::Node& node, const char* role, double fallback) {
  const auto it = node.parameters.find(role);
  if (it == node.parameters.end()) return fallback;
  double out = 0.0;
  for (const float v : it->second.values.data) out = std::max(out, static_cast<double>(std::fabs(v)));
  return out;
}

/// Times gamma and plus beta, as exact integer products and sums.
Result<exact::ValueId> scaled(const nn::Node& node, Recipe& recipe, exact::ValueId x, Context& ctx) {
  const auto constant = [&](const char* role) -> Result<exact::ValueId> {
    WEFT_TRY(const IntegerParameter p, recipe.integer_parameter(node, role));
    if (!p.scale.per_tensor())
      return ctx.fail(Kind::LoweringUnsupported, node.origin,
                      fmt::format("`{}` has one scale per channel; give it one", role));
    exact::Constant codes;
    codes.codes.assign(p.codes.data.begin(), p.codes.data.end());
    return recipe.add(node.name + "_" + role, std::move(codes), p.scale, node.origin,
                      p.codes.shape.empty() ? Shape{1} : p.codes.shape);
  };
  if (node.parameters.count("gamma") != 0) {
    WEFT_TRY(const auto gamma, constant("gamma"));
    const Scale scale(recipe.value(x).scale.at(0) * recipe.value(gamma).scale.at(0));
    WEFT_TRY(x, recipe.add(node.name + "_scaled", exact::Mul{x, gamma}, scale, node.origin));
  }
  if (node.parameters.count("beta") != 0) {
    WEFT_TRY(const auto beta, constant("beta"));
    const auto ratio = fixed::log2_exact(recipe.value(x).scale.at(0) / recipe.value(beta).scale.at(0));
    if (!ratio)
      return ctx.fail(Kind::LoweringUnsupported, node.origin,
                      "the scales of `gamma` and `beta` differ by something else than a power of two");
    const Scale scale = *ratio >= 0 ? recipe.value(beta).scale : recipe.value(x).scale;
    WEFT_TRY(x, recipe.add(node.name + "_moved", exact::Add{x, beta, std::max(*ratio, 0), std::max(-*ratio, 0)}, scale,
                           node.origin));
  }
  return x;
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  const Shape& s = recipe.source().at(node.inputs[0]).shape;
  WEFT_TRY(const auto map, rows_of(node, s, ctx));
  WEFT_TRY(const auto statistic, statistic_of(node, ctx));
  WEFT_TRY(auto x, recipe.codes(node, Symbol(recipe.input(node)), false));
  WEFT_TRY(x.value, on_one_scale(node, recipe, x.value));
  const double reach = statistic == Statistic::Variance || statistic == Statistic::MeanSquare
                           ? std::sqrt(static_cast<double>(map.n))
                           : 1.0;
  const double gamma = largest_of(node, "gamma", 1.0);
  const double end = reach * gamma + largest_of(node, "beta", 0.0);
  const auto result = recipe.policy().result(node).value_or(recipe.policy().default_result(node, -end, end));
  // gamma scales the error of the normalized values.
  const int louder = std::max(0, gamma > 0.0 ? std::ilogb(gamma) + 1 : 0);
  WEFT_TRY(const auto rows, add_rows(recipe, node, x.value, map));
  NormalizerSettings settings;
  settings.statistic = statistic;
  settings.epsilon = get_double(node.attributes, "epsilon", 0.0);
  settings.frac_bits = std::clamp(result.frac_bits() + louder + 3, 1, 28);
  if (const auto type = recipe.policy().intermediate(node, "normalized")) settings.frac_bits = type->frac_bits();
  if (const auto type = recipe.policy().intermediate(node, "inverse")) settings.inverse_bits = type->frac_bits();
  WEFT_TRY(const Normalized normalized, add_normalized(node, recipe, rows, map, settings, ctx));
  WEFT_TRY(const auto back, add_unrowed(recipe, node, node.name + "_normalized", normalized.value, map, s));
  Symbol out;
  out.layer = node.name;
  out.typed = false;
  WEFT_TRY(out.value, scaled(node, recipe, back, ctx));
  recipe.weaken(node, Word::Quantized, normalized.note);
  return recipe.set_output(node, std::move(out));
}

}  // namespace

Layer layer_norm_layer() {
  return {.op = "LayerNorm",
          .summary = "rows over any axes divided by their deviation, root mean square or norm; gamma and beta",
          .attributes = {"axes", "axis", "epsilon", "form", "groups", "statistic"},
          .required_parameters = {},
          .optional_parameters = {"gamma", "beta"},
          .functions = {},
          .infer_shape = shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = no_macs};
}

}  // namespace weft::layers
