// SPDX-License-Identifier: Apache-2.0
// Spiking neurons over a time axis, as snnTorch's Leaky at inference. Per step t, element by element:
//   reset  = (u > threshold)                      from the membrane of the step before
//   u      = beta u + x_t - reset threshold       ("subtract")
//   u      = beta (u - reset u) + x_t             ("zero")
//   spike  = (u > threshold)
// IF has beta = 1. With beta = 1 the membrane stays on the grid of its input and of the threshold: nothing rounds.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/layers/align.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer_rows.h"
#include "weft/layers/recipe.h"
#include "weft/layers/recurrent.h"
#include "weft/layers/symbol_arithmetic.h"

namespace weft::layers {
namespace {

constexpr const char* kBeta = "beta";
constexpr const char* kThreshold = "threshold";
constexpr const char* kReset = "reset";

/// beta and threshold as the source has them: one number or one per element of a time step.
struct Neuron {
  std::int64_t steps = 0;
  std::int64_t size = 0;
  std::vector<float> beta;
  std::vector<float> threshold;
  std::string reset;
};

Result<std::vector<float>> numbers(const nn::Node& node, const char* key, double fallback, std::int64_t size,
                                   Context& ctx) {
  const auto it = node.parameters.find(key);
  if (it == node.parameters.end())
    return std::vector<float>(static_cast<std::size_t>(size),
                              static_cast<float>(get_double(node.attributes, key, fallback)));
  const auto& values = it->second.values.data;
  if (values.size() != 1 && static_cast<std::int64_t>(values.size()) != size)
    return ctx.fail(Kind::ShapeMismatch, node.origin,
                    fmt::format("`{}` has {} numbers for {} neurons", key, values.size(), size));
  std::vector<float> out(static_cast<std::size_t>(size));
  for (std::size_t i = 0; i < out.size(); ++i) out[i] = values[values.size() == 1 ? 0 : i];
  return out;
}

Result<Neuron> neuron_of(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  const Shape& x = graph.at(node.inputs[0]).shape;
  if (x.empty() || x[0] < 1)
    return ctx.fail(Kind::ShapeMismatch, node.origin, "a spiking layer needs the time as its first axis");
  Neuron out;
  out.steps = x[0];
  out.size = element_count(x) / x[0];
  out.reset = get_string(node.attributes, kReset, "subtract");
  if (out.reset != "subtract" && out.reset != "zero" && out.reset != "none")
    return ctx.fail(Kind::AttributeUnsupported, node.origin,
                    fmt::format("`reset` is `{}`; subtract, zero and none are known", out.reset));
  WEFT_TRY(out.threshold, numbers(node, kThreshold, 1.0, out.size, ctx));
  if (node.op == "LIF") {
    WEFT_TRY(out.beta, numbers(node, kBeta, 1.0, out.size, ctx));
  } else {
    out.beta.assign(static_cast<std::size_t>(out.size), 1.0F);
  }
  for (auto& b : out.beta) {
    if (!std::isfinite(b)) return ctx.fail(Kind::ModelMalformed, node.origin, "`beta` is not finite");
    b = std::min(std::max(b, 0.0F), 1.0F);  // as the source clamps it
  }
  for (const float t : out.threshold)
    if (!std::isfinite(t)) return ctx.fail(Kind::ModelMalformed, node.origin, "`threshold` is not finite");
  return out;
}

Result<std::vector<Shape>> shapes(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  WEFT_TRY(const Neuron neuron, neuron_of(graph, node, ctx));
  constexpr std::int64_t kMostSteps = 65536;
  if (neuron.steps > kMostSteps)
    return ctx.fail(Kind::LimitExceeded, node.origin,
                    fmt::format("{} time steps are more than {} when unrolled", neuron.steps, kMostSteps));
  const Shape& x = graph.at(node.inputs[0]).shape;
  return std::vector<Shape>{x, x};
}

Result<Shape> first_shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  WEFT_TRY(auto all, shapes(graph, node, ctx));
  return std::move(all[0]);
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  WEFT_TRY(const Neuron neuron, neuron_of(run.graph(), node, ctx));
  const auto& x = run.input(node, 0);
  const auto size = static_cast<std::size_t>(neuron.size);
  std::vector<float> spikes(x.size());
  std::vector<float> membrane(x.size());
  for (std::size_t b = 0; b < static_cast<std::size_t>(run.batch()); ++b) {
    std::vector<float> u(size, 0.0F);
    for (std::size_t t = 0; t < static_cast<std::size_t>(neuron.steps); ++t)
      for (std::size_t i = 0; i < size; ++i) {
        const std::size_t at = (b * static_cast<std::size_t>(neuron.steps) + t) * size + i;
        const float reset = u[i] - neuron.threshold[i] > 0.0F ? 1.0F : 0.0F;
        if (neuron.reset == "zero") u[i] = (1.0F - reset) * u[i];
        const float leaked = neuron.beta[i] * u[i];
        u[i] = leaked + x[at];
        if (neuron.reset == "subtract") u[i] = u[i] - reset * neuron.threshold[i];
        spikes[at] = u[i] - neuron.threshold[i] > 0.0F ? 1.0F : 0.0F;
        membrane[at] = u[i];
      }
  }
  run.note(node, kState, membrane);
  run.output(node) = std::move(spikes);
  if (node.outputs.size() > 1) run.output(node, 1) = std::move(membrane);
  return {};
}

/// Constants as codes on the coarsest power-of-two grid that holds them all, up to 2^-24 times the largest; farther
/// digits are rounded and `exact` becomes false.
Result<Symbol> numbers_as_codes(const nn::Node& node, Recipe& recipe, const std::string& name,
                                const std::vector<float>& values, bool& exact) {
  double largest = 0.0;
  for (const float v : values) largest = std::max(largest, std::fabs(static_cast<double>(v)));
  int exponent = 0;
  std::frexp(largest, &exponent);
  int frac = 0;
  constexpr int kDigits = 24;
  for (; frac < kDigits - exponent; ++frac)
    if (std::all_of(values.begin(), values.end(), [&](float v) {
          const double scaled = std::ldexp(static_cast<double>(v), frac);
          return scaled == std::nearbyint(scaled);
        }))
      break;
  std::vector<Int> codes;
  for (const float v : values) {
    const double scaled = std::ldexp(static_cast<double>(v), frac);
    exact = exact && scaled == std::nearbyint(scaled);
    codes.push_back(static_cast<Int>(std::nearbyint(scaled)));
  }
  return constant(node, name, recipe, std::move(codes), {static_cast<std::int64_t>(values.size())},
                  Scale(fixed::pow2(-frac)));
}

/// (x > 0) as a code 0 or 1.
Result<Symbol> positive(const nn::Node& node, Recipe& recipe, const std::string& name, const Symbol& x) {
  exact::Requant step{x.value, {fixed::Pieces{{1}, {0, 1}}}, false};
  Symbol out{.value = {}, .pending = {}, .order_bound = {}, .sum_layer = {}, .layer = node.name};
  WEFT_TRY(out.value, recipe.add(name, std::move(step), Scale(), node.origin));
  return out;
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  WEFT_TRY(const Neuron neuron, neuron_of(recipe.source(), node, ctx));
  recipe.certificate(node.name, node.op);
  const auto name = [&](const char* part) { return node.name + "_" + part; };
  const Symbol input = recipe.input(node);
  WEFT_TRY(auto x, recipe.codes(node, input, false));
  WEFT_TRY(x.value, on_one_scale(node, recipe, x.value));
  const Scale x_scale = recipe.value(x.value).scale;
  const Shape x_shape = recipe.source().at(node.inputs[0]).shape;
  bool exact = true;
  WEFT_TRY(const Symbol beta, numbers_as_codes(node, recipe, name("beta"), neuron.beta, exact));
  WEFT_TRY(const Symbol threshold, numbers_as_codes(node, recipe, name("threshold"), neuron.threshold, exact));
  std::vector<float> negated = neuron.threshold;
  for (auto& t : negated) t = -t;
  WEFT_TRY(const Symbol minus, numbers_as_codes(node, recipe, name("minus_threshold"), negated, exact));
  if (!exact) recipe.weaken(node, Word::Quantized, "beta and threshold with 24 bits");
  const bool decays = std::any_of(neuron.beta.begin(), neuron.beta.end(), [](float b) { return b != 1.0F; });
  // Any other factor makes the membrane's grid finer from step to step.
  const bool leaks =
      std::any_of(neuron.beta.begin(), neuron.beta.end(), [](float b) { return b != 1.0F && b != 0.0F; });
  const auto set = recipe.policy().intermediate(node, kState);
  const double infinity = INFINITY;
  const fixed::FixedType type = set ? *set : recipe.policy().default_intermediate(node, kState, -infinity, infinity);
  const Shape row{neuron.size};
  WEFT_TRY(Symbol u, constant(node, name("start"), recipe, std::vector<Int>(static_cast<std::size_t>(neuron.size), 0),
                              row, Scale()));
  // Of the step before; the membrane starts at 0, which lies above a negative threshold.
  std::optional<Symbol> spiked;
  if (std::any_of(neuron.threshold.begin(), neuron.threshold.end(), [](float v) { return v < 0.0F; })) {
    std::vector<Int> codes;
    for (const float v : neuron.threshold) codes.push_back(v < 0.0F ? 1 : 0);
    WEFT_TRY(spiked, constant(node, name("start_spikes"), recipe, std::move(codes), row, Scale()));
  }
  std::vector<Symbol> spikes;
  std::vector<Symbol> membranes;
  for (std::int64_t t = 0; t < neuron.steps; ++t) {
    if (ctx.cancelled()) return ctx.fail(Kind::Cancelled, node.origin, "the run was interrupted");
    exact::Gather gather{x.value, {}, 0};
    for (std::int64_t i = 0; i < neuron.size; ++i) gather.indices.push_back(t * neuron.size + i);
    Symbol xt{.value = {}, .pending = {}, .order_bound = {}, .sum_layer = {}, .layer = node.name};
    WEFT_TRY(xt.value, recipe.add(name("x"), std::move(gather), x_scale, node.origin, row));
    if (spiked && neuron.reset == "zero") {
      WEFT_TRY(const Symbol keep, one_minus(node, name("keep"), recipe, *spiked));
      WEFT_TRY(u, times(node, name("reset"), recipe, keep, u));
    }
    if (decays) {
      WEFT_TRY(u, times(node, name("leaked"), recipe, u, beta));
    }
    WEFT_TRY(u, sum(node, name("charged"), recipe, u, xt));
    if (spiked && neuron.reset == "subtract") {
      WEFT_TRY(const Symbol back, times(node, name("back"), recipe, *spiked, minus));
      WEFT_TRY(u, sum(node, name("membrane"), recipe, u, back));
    }
    if (set || leaks) {
      u.order_bound.clear();
      WEFT_TRY(u, recipe.cast(node, u, type, kState));
    } else if (!u.order_bound.empty()) {
      recipe.weaken(node, Word::FloatOrder, "the membrane needs more than 24 bits: the framework rounds it in float32");
      u.order_bound.clear();
    }
    WEFT_TRY(const Symbol above, sum(node, name("above"), recipe, u, minus));
    WEFT_TRY(spiked, positive(node, recipe, name("spike"), above));
    spikes.push_back(*spiked);
    membranes.push_back(u);
  }
  if (node.outputs.size() > 1) {
    WEFT_TRY(Symbol all, stacked(node, name("membranes"), recipe, std::move(membranes), x_shape));
    Symbol out = all;
    WEFT_TRY(out.value, recipe.add(name("membrane_out"), exact::Reshape{all.value}, recipe.value(all.value).scale,
                                   node.origin, x_shape));
    recipe.set(node.outputs[1], std::move(out));
  }
  WEFT_TRY(Symbol all, stacked(node, name("spikes"), recipe, std::move(spikes), x_shape));
  Symbol out = all;
  WEFT_TRY(out.value, recipe.add(node.name, exact::Reshape{all.value}, Scale(), node.origin, x_shape));
  return recipe.set_output(node, std::move(out));
}

Layer row(std::string_view op, std::string_view summary) {
  return {.op = op,
          .summary = summary,
          .attributes = {kThreshold, kReset},
          .required_parameters = {},
          .optional_parameters = {kThreshold},
          .functions = {},
          .infer_shape = first_shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = no_macs,
          .max_outputs = 2,
          .infer_shapes = shapes};
}

}  // namespace

Layer if_layer() { return row("IF", "integrate-and-fire neurons over the first axis: spikes, and membranes"); }
Layer lif_layer() {
  Layer out = row("LIF", "leaky integrate-and-fire neurons over the first axis: spikes, and membranes");
  out.attributes.emplace_back(kBeta);
  out.optional_parameters.emplace_back(kBeta);
  return out;
}

}  // namespace weft::layers
