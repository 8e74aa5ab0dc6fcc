// SPDX-License-Identifier: Apache-2.0
#include "weft/lower/hls4ml/lower_hls4ml.h"

#include <fmt/format.h>

#include <algorithm>

#include "weft/fixed/quantize.h"
#include "weft/lower/hls4ml/layers.h"
#include "weft/lower/hls4ml/lowering.h"
#include "weft/lower/policy.h"

namespace weft::lower::hls4ml {
namespace {

/// The type of an input: --input-type, the configuration, the model's default.
Result<void> add_input(const nn::GraphPort& port, const nn::Graph& graph, const Options& options, Lowering& l,
                       layers::Recipe& recipe) {
  nn::Node node;  // the configuration knows inputs as layers
  node.name = port.name;
  node.op = "Input";
  node.origin.op = "InputLayer";
  fixed::TypeSpec spec = l.types.said(node, "result");
  std::string rule = options.config.layer_name.count(port.name) != 0 ? "configuration" : "hls4ml";
  for (const auto& key : {std::string(), port.name})
    if (const auto it = options.input_types.find(key); it != options.input_types.end()) {
      spec = it->second;
      rule = "option";
    }
  Variable variable;
  variable.type = spec.form == fixed::TypeSpec::Form::Auto ? l.types.model_default() : spec.fixed;
  exact::InputConversion conversion{.form = exact::InputConversion::Form::Fixed,
                                    .type = variable.type,
                                    .lo = fixed::min_code(variable.type),
                                    .hi = fixed::max_code(variable.type)};
  WEFT_TRY(variable.value, recipe.add(port.name, exact::Input{}, Scale(fixed::pow2(-variable.type.frac_bits())),
                                      {.file = graph.file, .tensor = port.name}, graph.at(port.tensor).shape));
  auto& value = recipe.graph().values[variable.value.index];
  value.ranges.assign(static_cast<std::size_t>(element_count(value.shape)), {conversion.lo, conversion.hi, 0});
  recipe.graph().inputs.push_back({port.name, variable.value, conversion, rule});
  l.set(port.tensor, variable);
  layers::Symbol symbol;
  symbol.value = variable.value;
  symbol.layer = port.name;
  recipe.set(port.tensor, std::move(symbol));
  return {};
}

/// Probes and certificates by the layers of the source.
void name_by_source(const nn::Graph& source, const Layers& layers, layers::Recipe& recipe) {
  auto& probes = recipe.graph().probes;
  const auto probe = [&](const std::string& name) {
    return std::find_if(probes.begin(), probes.end(), [&](const auto& p) { return p.layer == name; });
  };
  const auto take_notes = [&](const std::string& from, const std::string& to) {
    const auto notes = recipe.certificate(from, "").notes;
    for (const auto& note : notes) recipe.certificate(to, "").notes.push_back(note);
  };
  for (const auto& fusion : layers.fusions) {
    const auto at = probe(fusion.into);
    if (at == probes.end()) continue;
    probes.push_back({fusion.into, std::nullopt, {}, fusion.normalization});
    probe(fusion.into)->layer = fusion.normalization;
    take_notes(fusion.into, fusion.normalization);
  }
  for (const auto& split : layers.splits) {
    const auto sum = probe(split.layer);
    const auto activation = probe(split.activation);
    if (sum == probes.end() || activation == probes.end()) continue;
    sum->layer = split.layer + "_sum";
    activation->layer = split.layer;
    take_notes(split.activation, split.layer);
  }
  for (const auto& node : source.nodes) recipe.certificate(node.name, node.op);
}

}  // namespace

Result<Lowered> lower(const nn::Graph& source, const Options& options, Context& ctx) {
  const Types types(options.config);
  WEFT_TRY(const Layers layers, layers_of(source, types, ctx));
  const Policy policy(options, {});
  layers::Recipe recipe(layers.graph, policy, ctx);
  Lowering lowering(layers.graph, options.config, recipe, ctx);
  for (const auto& port : layers.graph.inputs) WEFT_TRY_VOID(add_input(port, layers.graph, options, lowering, recipe));
  for (const auto& node : layers.graph.nodes) {
    if (ctx.cancelled()) return ctx.fail(Kind::Cancelled, node.origin, "the run was interrupted");
    WEFT_TRY_VOID(lowering.node(node));
  }
  for (const auto& port : layers.graph.outputs)
    recipe.graph().outputs.push_back({port.name, recipe.symbol(port.tensor).value, {}});
  name_by_source(source, layers, recipe);
  Lowered out;
  out.network = layers::Word::Quantized;
  for (const auto& node : source.nodes) {
    auto c = recipe.certificate(node.name, node.op);
    c.op = node.op;
    out.certificate.push_back(std::move(c));
  }
  out.graph = std::move(recipe.graph());
  const std::string broken = exact::verify(out.graph);
  WEFT_CHECK(broken.empty(), "lowering made an unsound graph: " + broken);
  return out;
}

}  // namespace weft::lower::hls4ml
