// SPDX-License-Identifier: Apache-2.0
// Softmax and LogSoftmax over any axes. At the end of a network they are left to the host by default (the outputs are
// the logits: same class, nothing lost, no hardware); else they are composed of exact primitives:
//   d = max(x) - x            exact, on the grid of x
//   e = exp(-d)               as fine as the result needs: the errors of all n terms stay below its last place
//   s = sum(e)                exact, at least 1
//   softmax:     y = e * (1 / s)
//   log-softmax: y = -d - ln(s)
// rounded once to the result type. exp, 1 / s and ln are exact steps or straight lines (wide_function.h).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/layers/align.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer_rows.h"
#include "weft/layers/rows.h"
#include "weft/layers/scaled_float.h"
#include "weft/layers/wide_function.h"

namespace weft::layers {
namespace {

/// Fraction bits of the exponentials beyond which nothing is gained.
constexpr int kMostExpFrac = 30;
constexpr int kGuardBits = 2;
/// Distances of more codes than this are clipped in front of the exponential.
constexpr Int kWideDistances = Int{1} << 32;

Result<Shape> shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  const Shape& s = graph.at(node.inputs[0]).shape;
  WEFT_TRY(const auto axes, axes_of(node, s, ctx));
  WEFT_TRY(const auto map, row_map(node, s, axes, 1, ctx));
  return s;
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  const Shape& s = run.graph().at(node.inputs[0]).shape;
  WEFT_TRY(const auto axes, axes_of(node, s, ctx));
  WEFT_TRY(const auto map, row_map(node, s, axes, 1, ctx));
  const auto& x = run.input(node, 0);
  auto& y = run.output(node);
  const auto size = map.to_rows.size();
  const auto n = static_cast<std::size_t>(map.n);
  const bool logarithm = node.op == "LogSoftmax";
  std::vector<float> row(n);
  for (std::size_t base = 0; base < y.size(); base += size) {
    for (std::size_t at = 0; at < size; at += n) {
      for (std::size_t i = 0; i < n; ++i) row[i] = x[base + static_cast<std::size_t>(map.to_rows[at + i])];
      if (logarithm) {
        const float largest = *std::max_element(row.begin(), row.end());
        float sum = 0.0F;
        for (const float v : row) sum += std::exp(v - largest);
        const float log_sum = std::log(sum);
        for (float& v : row) v = v - largest - log_sum;
      } else {
        softmax_rows(row, n);
      }
      for (std::size_t i = 0; i < n; ++i) y[base + static_cast<std::size_t>(map.to_rows[at + i])] = row[i];
    }
  }
  return {};
}

int log2_ceil(std::int64_t n) { return fixed::width_bits(0, n - 1, false); }

fixed::FixedType unsigned_type(int frac_bits, int integer_bits) {
  return {frac_bits + integer_bits, integer_bits, false};
}

/// Everything up to the sum, in rows.
struct Parts {
  exact::ValueId distance, exponential, sum;
  int exp_frac = 0;
  double error = 0.0;  ///< of the sum, and so of each term in it, relative to 1
  std::string notes;
};

Result<Parts> parts_of(const nn::Node& node, Recipe& recipe, exact::ValueId rows, const RowMap& map, int result_frac) {
  Parts p;
  const Scale scale = recipe.value(rows).scale;
  WEFT_TRY(const auto largest,
           recipe.add(node.name + "_max", exact::Reduce{exact::Reduce::Kind::Max, rows}, scale, node.origin));
  WEFT_TRY(const auto difference,
           recipe.add(node.name + "_difference", exact::Sub{largest, rows, 0, 0}, scale, node.origin));
  const fixed::Range in = channel_range(recipe.value(rows), 0, 1);
  WEFT_TRY(p.distance, add_clip(recipe, node, node.name + "_distance", difference, 0, in.hi - in.lo));
  if (const auto type = recipe.policy().intermediate(node, "distance")) {
    if (fixed::log2_exact(scale.at(0))) {
      WEFT_TRY(p.distance, add_cast(recipe, node, node.name + "_d", p.distance, *type));
      p.notes += fmt::format("distances as {}, ", fixed::to_string(*type));
    }
  }
  const auto chosen = recipe.policy().intermediate(node, "exp");
  const int frac = std::clamp(result_frac + kGuardBits + log2_ceil(map.n), 1, kMostExpFrac);
  const fixed::FixedType type = chosen.value_or(unsigned_type(frac, 1));
  p.exp_frac = type.frac_bits();
  const double unit = fixed::to_double(recipe.value(p.distance).scale.at(0));
  exact::ValueId near = p.distance;
  // Behind this distance the exponential is below a quarter of its last place. Lines over all the codes of a wide range
  // would need more bits than there are.
  const double nothing = std::ceil(static_cast<double>(p.exp_frac + 2) * std::log(2.0) / unit);
  const Int most = channel_range(recipe.value(p.distance), 0, 1).hi;
  if (most >= kWideDistances && nothing < static_cast<double>(most)) {
    WEFT_TRY(near,
             add_clip(recipe, node, node.name + "_near", p.distance, 0, static_cast<Int>(std::max(nothing, 1.0))));
  }
  const CodeFunction exponential{
      [unit, up = p.exp_frac](Int d) { return std::ldexp(std::exp(-unit * static_cast<double>(d)), up); },
      channel_range(recipe.value(near), 0, 1),
      {}};
  WEFT_TRY(const auto e, add_function(recipe, node.origin, node.name + "_exp", near, {exponential}, type));
  p.exponential = e.value;
  WEFT_TRY(const auto sum, recipe.add(node.name + "_total", exact::Reduce{exact::Reduce::Kind::Sum, e.value},
                                      Scale(fixed::pow2(-p.exp_frac)), node.origin));
  // The largest element's exponential is 1, so the sum is at least 1 although its range does not say so.
  const Int one = p.exp_frac >= 0 ? Int{1} << p.exp_frac : Int{1};
  WEFT_TRY(p.sum, add_clip(recipe, node, node.name + "_sum", sum, one,
                           std::max<Int>(one, channel_range(recipe.value(sum), 0, 1).hi)));
  p.error = static_cast<double>(map.n) * std::ldexp(e.report.worst_ulps, -p.exp_frac);
  p.notes += fmt::format("exponentials as {} ({})", fixed::to_string(type), e.report.text());
  return p;
}

Result<exact::ValueId> normalized(const nn::Node& node, Recipe& recipe, exact::ValueId rows, const RowMap& map,
                                  const fixed::FixedType& type) {
  WEFT_TRY(const Parts p, parts_of(node, recipe, rows, map, type.frac_bits()));
  const auto chosen = recipe.policy().intermediate(node, "inverse");
  const int frac = std::clamp(type.frac_bits() + kGuardBits + 1, 1, kMostExpFrac);
  const fixed::FixedType inverse_type = chosen.value_or(unsigned_type(frac, 1));
  const CodeFunction inverse{
      [up = inverse_type.frac_bits() + p.exp_frac](Int s) { return std::ldexp(1.0 / static_cast<double>(s), up); },
      channel_range(recipe.value(p.sum), 0, 1),
      {}};
  WEFT_TRY(const auto r, add_function(recipe, node.origin, node.name + "_inverse", p.sum, {inverse}, inverse_type));
  WEFT_TRY(const auto product, recipe.add(node.name + "_product", exact::Mul{p.exponential, r.value},
                                          Scale(fixed::pow2(-p.exp_frac - inverse_type.frac_bits())), node.origin));
  WEFT_TRY(const auto out, add_cast(recipe, node, node.name + "_result", product, type));
  const double ulps = 0.5 + std::ldexp(p.error * (1.0 + 1.0 / static_cast<double>(map.n)) +
                                           std::ldexp(r.report.worst_ulps, -inverse_type.frac_bits()),
                                       type.frac_bits());
  recipe.weaken(node, Word::Quantized,
                fmt::format("softmax of {} with {}, inverse of the sum as {} ({}), result as {}: within {:.2f} last "
                            "places",
                            map.n, p.notes, fixed::to_string(inverse_type), r.report.text(), fixed::to_string(type),
                            std::ceil(ulps * 100.0) / 100.0));
  return out;
}

Result<exact::ValueId> logarithm(const nn::Node& node, Recipe& recipe, exact::ValueId rows, const RowMap& map,
                                 const fixed::FixedType& type) {
  WEFT_TRY(const Parts p, parts_of(node, recipe, rows, map, type.frac_bits()));
  const int frac = std::clamp(type.frac_bits() + kGuardBits + 1, 1, kMostExpFrac);
  const int integer = std::max(1, log2_ceil(static_cast<std::int64_t>(std::ceil(std::log(map.n + 1.0))) + 1));
  const fixed::FixedType log_type = unsigned_type(frac, integer);
  const CodeFunction log{[frac, down = p.exp_frac](Int s) {
                           return std::ldexp(std::log(std::ldexp(static_cast<double>(s), -down)), frac);
                         },
                         channel_range(recipe.value(p.sum), 0, 1),
                         {}};
  WEFT_TRY(const auto l, add_function(recipe, node.origin, node.name + "_log", p.sum, {log}, log_type));
  exact::ValueId distance = p.distance;
  double distance_error = 0.0;
  const Rational unit = recipe.value(distance).scale.at(0);
  if (!fixed::log2_exact(unit)) {
    // Onto the grid of the logarithm.
    const fixed::Range range = channel_range(recipe.value(distance), 0, 1);
    const double up = std::ldexp(fixed::to_double(unit), frac);
    const int bits = fixed::width_bits(0, static_cast<Int>(std::ceil(up * static_cast<double>(range.hi))) + 1, false);
    const CodeFunction linear{[up](Int d) { return up * static_cast<double>(d); }, range, {}};
    WEFT_TRY(const auto d, add_function(recipe, node.origin, node.name + "_d", distance, {linear},
                                        fixed::FixedType{bits, bits - frac, false}));
    distance = d.value;
    distance_error = d.report.worst_ulps;
  }
  const int grid = *fixed::log2_exact(recipe.value(distance).scale.at(0));
  const int finest = std::min(grid, -frac);
  WEFT_TRY(const auto sum,
           recipe.add(node.name + "_below", exact::Add{distance, l.value, grid - finest, -frac - finest},
                      Scale(fixed::pow2(finest)), node.origin));
  WEFT_TRY(const auto zero,
           recipe.add(node.name + "_zero", exact::Constant{{0}}, Scale(fixed::pow2(finest)), node.origin, Shape{1}));
  WEFT_TRY(const auto negated,
           recipe.add(node.name + "_negated", exact::Sub{zero, sum, 0, 0}, Scale(fixed::pow2(finest)), node.origin));
  WEFT_TRY(const auto out, add_cast(recipe, node, node.name + "_result", negated, type, true));
  const double ulps =
      0.5 + std::ldexp(p.error + std::ldexp(l.report.worst_ulps + distance_error, -frac), type.frac_bits());
  recipe.weaken(node, Word::Quantized,
                fmt::format("log-softmax of {} with {}, logarithm as {} ({}), result as {}: within {:.2f} last places",
                            map.n, p.notes, fixed::to_string(log_type), l.report.text(), fixed::to_string(type),
                            std::ceil(ulps * 100.0) / 100.0));
  return out;
}

Result<void> lower_composed(const nn::Node& node, Recipe& recipe, Context& ctx) {
  const Shape& s = recipe.source().at(node.inputs[0]).shape;
  WEFT_TRY(const auto axes, axes_of(node, s, ctx));
  WEFT_TRY(const auto map, row_map(node, s, axes, 1, ctx));
  WEFT_TRY(const auto codes, recipe.codes(node, Symbol(recipe.input(node)), false));
  WEFT_TRY(const auto x, on_one_scale(node, recipe, codes.value));
  WEFT_TRY(const auto rows, add_rows(recipe, node, x, map));
  Symbol out;
  out.layer = node.name;
  exact::ValueId result;
  if (node.op == "LogSoftmax") {
    const fixed::Range range = channel_range(recipe.value(rows), 0, 1);
    const double span = fixed::to_double(recipe.value(rows).scale.at(0)) * static_cast<double>(range.hi - range.lo);
    const auto type = recipe.policy().result(node).value_or(
        recipe.policy().default_result(node, -span - std::log(static_cast<double>(map.n)), 0.0));
    WEFT_TRY(result, logarithm(node, recipe, rows, map, type));
  } else {
    const auto type = recipe.policy().result(node).value_or(fixed::FixedType{16, 0, false});
    WEFT_TRY(result, normalized(node, recipe, rows, map, type));
  }
  WEFT_TRY(out.value, add_unrowed(recipe, node, node.name, result, map, s));
  return recipe.set_output(node, std::move(out));
}

Result<void> lower_argmax(const nn::Node& node, Recipe& recipe, Context& ctx) {
  const Shape& s = recipe.source().at(node.inputs[0]).shape;
  WEFT_TRY(const auto axes, axes_of(node, s, ctx));
  WEFT_TRY(const auto map, row_map(node, s, axes, 1, ctx));
  WEFT_TRY(auto x, recipe.codes(node, Symbol(recipe.input(node)), true));
  WEFT_TRY(x.value, comparable(node, recipe, x.value));
  if (!map.is_identity()) {
    WEFT_TRY(x.value, add_rows(recipe, node, x.value, map));
  }
  Symbol out;
  out.layer = node.name;
  WEFT_TRY(out.value, recipe.add(node.name, exact::ArgMax{x.value, 1}, Scale(), node.origin));
  recipe.weaken(node, Word::Exact, "replaced by the index of the largest logit");
  return recipe.set_output(node, std::move(out));
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  switch (recipe.policy().softmax(node, recipe.is_graph_output(node.outputs[0]))) {
    case TypePolicy::Softmax::Remove:
      ctx.report(
          Kind::SoftmaxRemoved, node.origin,
          fmt::format(
              "the final softmax is left to the host: the outputs are its logits (keep it with --set {}.softmax=table)",
              node.name));
      recipe.weaken(node, Word::Exact, "left to the host; the outputs are its logits");
      recipe.set(node.outputs[0], recipe.input(node));
      recipe.graph().probes.push_back({.layer = node.name, .value = std::nullopt, .steps = {}, .folded_into = "host"});
      return {};
    case TypePolicy::Softmax::ArgMax:
      return lower_argmax(node, recipe, ctx);
    case TypePolicy::Softmax::Table:
      return lower_composed(node, recipe, ctx);
  }
  return {};
}

Layer row(std::string_view op, std::string_view summary) {
  return {.op = op,
          .summary = summary,
          .attributes = {"axes", "axis"},
          .required_parameters = {},
          .optional_parameters = {},
          .functions = {},
          .infer_shape = shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = no_macs};
}

}  // namespace

void softmax_rows(std::vector<float>& data, std::size_t n) {
  for (std::size_t row = 0; row < data.size() / n; ++row) {
    float* out = data.data() + row * n;
    const float largest = *std::max_element(out, out + n);
    float sum = 0.0F;
    for (std::size_t i = 0; i < n; ++i) sum += out[i] = std::exp(out[i] - largest);
    for (std::size_t i = 0; i < n; ++i) out[i] /= sum;
  }
}

Layer log_softmax_layer() { return row("LogSoftmax", "logarithm of softmax over any axes"); }
Layer softmax_layer() {
  return row("Softmax", "softmax over any axes: left to the host at the end of a network, or composed, or argmax");
}

}  // namespace weft::layers
