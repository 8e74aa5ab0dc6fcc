// SPDX-License-Identifier: Apache-2.0
// Softmax over the last axis. At the end of a network it is left to the host by default (the outputs are the logits:
// same class, nothing lost, no hardware); `softmax=table` composes it of exact primitives:
//   d = max(x) - x            in steps of 2^-8, clipped below 16 (exp(-16) is far below the output's last place)
//   e = exp(-d)               in units of 2^-16
//   r = 1 / sum(e)            the sum in units of 2^-10, the reciprocal in units of 2^-16
//   y = e * r                 rounded to the result type (default ufixed<16,0>)
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/fixed/quantize.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer_rows.h"
#include "weft/layers/recipe.h"

namespace weft::layers {
namespace {

constexpr int kDistanceFrac = 8;
constexpr int kDistanceInteger = 4;
constexpr int kExpFrac = 16;
constexpr int kSumFrac = 10;
constexpr int kReciprocalFrac = 16;

Result<Shape> shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  const Shape& s = graph.at(node.inputs[0]).shape;
  const auto axis = get_int(node.attributes, "axis", -1);
  const auto rank = static_cast<std::int64_t>(s.size());
  if (s.empty() || (axis != -1 && axis != rank - 1))
    return ctx.fail(
        Kind::AttributeUnsupported, node.origin,
        fmt::format("softmax along axis {} of {}; only the last axis is supported", axis, weft::to_string(s)));
  return s;
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context&) {
  run.output(node) = run.input(node, 0);
  softmax_rows(run.output(node), static_cast<std::size_t>(run.graph().at(node.inputs[0]).shape.back()));
  return {};
}

Result<exact::ValueId> tabulate(Recipe& recipe, const nn::Node& node, const std::string& name, exact::ValueId x,
                                double (*f)(double), int frac) {
  const exact::Value& v = recipe.value(x);
  const double unit = fixed::to_double(v.scale.at(0));
  const fixed::Range range = channel_range(v, 0, 1);
  const auto code = [&](Int c) {
    return static_cast<Int>(std::nearbyint(std::ldexp(f(unit * static_cast<double>(c)), frac)));
  };
  fixed::Pieces pieces = fixed::pieces_of(code, range.lo, range.hi, {});
  return recipe.add(node.name + name, exact::Requant{x, {std::move(pieces)}, false}, Scale(fixed::pow2(-frac)),
                    node.origin);
}

Result<exact::ValueId> to_type(Recipe& recipe, const nn::Node& node, const std::string& name, exact::ValueId x,
                               const fixed::FixedType& type) {
  Symbol in;
  in.value = x;
  in.layer = node.name;
  const int frac_bits = type.frac_bits();
  const auto log2 = fixed::log2_exact(recipe.value(x).scale.at(0));
  WEFT_CHECK(log2.has_value(), "softmax intermediates have power-of-two scales");
  const fixed::Range range = channel_range(recipe.value(x), 0, 1);
  fixed::ShiftRound f{-*log2 - frac_bits,    type.rounding,   fixed::Overflow::Sat, fixed::min_code(type),
                      fixed::max_code(type), type.width_bits, type.is_signed,       0};
  return recipe.add(node.name + name, exact::Requant{x, {fixed::restrict(f, range)}, false},
                    Scale(fixed::pow2(-frac_bits)), node.origin);
}

Result<void> lower_table(const nn::Node& node, Recipe& recipe, Context& ctx) {
  WEFT_TRY(const auto x, recipe.codes(node, Symbol(recipe.input(node)), false));
  const Scale scale = recipe.value(x.value).scale;
  if (!scale.per_tensor() || !fixed::log2_exact(scale.at(0)))
    return ctx.fail(Kind::LoweringUnsupported, node.origin,
                    "softmax in hardware needs logits with one power-of-two scale; give the layer in front a result "
                    "type, or leave the softmax to the host");
  WEFT_TRY(const auto largest,
           recipe.add(node.name + "_max", exact::Reduce{exact::Reduce::Kind::Max, x.value}, scale, node.origin));
  WEFT_TRY(const auto distance,
           recipe.add(node.name + "_distance", exact::Sub{largest, x.value, 0, 0}, scale, node.origin));
  const fixed::FixedType distance_type{kDistanceFrac + kDistanceInteger, kDistanceInteger, false};
  WEFT_TRY(const auto d, to_type(recipe, node, "_d", distance, distance_type));
  WEFT_TRY(const auto e, tabulate(recipe, node, "_exp", d, [](double v) { return std::exp(-v); }, kExpFrac));
  WEFT_TRY(const auto sum, recipe.add(node.name + "_sum", exact::Reduce{exact::Reduce::Kind::Sum, e},
                                      Scale(fixed::pow2(-kExpFrac)), node.origin));
  const fixed::Range sum_range = channel_range(recipe.value(sum), 0, 1);
  const int sum_integer = std::max(fixed::width_bits(sum_range) - kExpFrac, 1);
  WEFT_TRY(const auto s,
           to_type(recipe, node, "_s", sum, fixed::FixedType{kSumFrac + sum_integer, sum_integer, false}));
  // One of the exponentials is 1, so the sum is at least 1 although its range does not say so.
  WEFT_TRY(const auto r,
           tabulate(recipe, node, "_reciprocal", s, [](double v) { return 1.0 / std::max(v, 1.0); }, kReciprocalFrac));
  WEFT_TRY(const auto product, recipe.add(node.name + "_product", exact::Mul{e, r},
                                          Scale(fixed::pow2(-kExpFrac - kReciprocalFrac)), node.origin));
  const auto type = recipe.policy().result(node).value_or(fixed::FixedType{16, 0, false});
  Symbol out;
  out.layer = node.name;
  WEFT_TRY(out.value, to_type(recipe, node, "", product, type));
  recipe.weaken(node, Word::Quantized,
                fmt::format("softmax by tables: distances in 2^-{}, exponentials in 2^-{}, sum in 2^-{}, result as {}",
                            kDistanceFrac, kExpFrac, kSumFrac, fixed::to_string(type)));
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
    case TypePolicy::Softmax::ArgMax: {
      WEFT_TRY(const auto x, recipe.codes(node, Symbol(recipe.input(node)), true));
      Symbol out;
      out.layer = node.name;
      WEFT_TRY(out.value, recipe.add(node.name, exact::ArgMax{x.value, 1}, Scale(), node.origin));
      recipe.weaken(node, Word::Exact, "replaced by the index of the largest logit");
      return recipe.set_output(node, std::move(out));
    }
    case TypePolicy::Softmax::Table:
      return lower_table(node, recipe, ctx);
  }
  return {};
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

Layer softmax_layer() {
  return {.op = "Softmax",
          .summary = "softmax over the last axis: left to the host at the end of a network, or tables, or argmax",
          .attributes = {"axis"},
          .required_parameters = {},
          .optional_parameters = {},
          .functions = {},
          .infer_shape = shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = no_macs};
}

}  // namespace weft::layers
