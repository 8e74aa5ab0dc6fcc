// SPDX-License-Identifier: Apache-2.0
#include "weft/lower/lower.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/layers/align.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer.h"
#include "weft/lower/hls4ml/lower_hls4ml.h"
#include "weft/lower/inputs.h"
#include "weft/lower/passes/fold_affine.h"
#include "weft/lower/policy.h"

namespace weft::lower {
namespace {

/// Smallest and largest value of every layer's result and every input on the calibration data.
Result<std::map<std::string, std::pair<double, double>>> observe(const nn::Graph& graph, const Calibration& calibration,
                                                                 layers::FloatRun::Ranges& intermediates,
                                                                 Context& ctx) {
  std::map<std::string, std::pair<double, double>> out;
  const auto note = [&](const nn::Node& node, const std::vector<float>& data) {
    if (data.empty()) return;
    const auto [lo, hi] = std::minmax_element(data.begin(), data.end());
    out[node.name] = {*lo, *hi};
  };
  WEFT_TRY(const auto outputs, layers::run_float(graph, calibration.inputs, calibration.batch, ctx,
                                                 layers::Keep::Outputs, &intermediates, note));
  return out;
}

/// A graph output: pending arithmetic becomes steps of the host; a function needs codes.
Result<void> add_output(const nn::GraphPort& port, layers::Recipe& recipe) {
  layers::Symbol symbol = recipe.symbol(port.tensor);
  const nn::Node* producer = recipe.source().producer(port.tensor);
  exact::GraphOutput output{port.name, symbol.value, {}};
  const bool arithmetic = std::all_of(symbol.pending.begin(), symbol.pending.end(),
                                      [](const auto& s) { return std::holds_alternative<exact::ReadoutStep>(s); });
  if (arithmetic) {
    for (const auto& step : symbol.pending) output.steps.push_back(std::get<exact::ReadoutStep>(step));
    recipe.note_moved(symbol);
    if (!symbol.order_bound.empty()) {
      auto& c = recipe.certificate(symbol.sum_layer, "");
      c.word = std::max(c.word, layers::Word::FloatOrder);
      c.bound = std::max(c.bound, *std::max_element(symbol.order_bound.begin(), symbol.order_bound.end()));
    }
  } else {
    WEFT_CHECK(producer != nullptr, "a function without a layer");
    WEFT_TRY(const auto codes, recipe.codes(*producer, symbol, false));
    output.value = codes.value;
  }
  recipe.graph().outputs.push_back(std::move(output));
  return {};
}

}  // namespace

Result<Lowered> lower(const nn::Graph& source, const Options& options, Context& ctx) {
  if (options.compat == Compat::Hls4ml || options.config.compat == "hls4ml") return hls4ml::lower(source, options, ctx);
  nn::Graph graph = source;
  std::map<std::string, std::pair<double, double>> observed;
  layers::FloatRun::Ranges intermediates;
  if (options.calibration) {
    // Before folding: ranges of the layers as the source names them.
    WEFT_TRY(observed, observe(graph, *options.calibration, intermediates, ctx));
  }
  const Folding folding = fold_affine(graph);
  const Policy policy(options, std::move(observed), std::move(intermediates));
  layers::Recipe recipe(graph, policy, ctx);

  for (std::size_t i = 0; i < graph.inputs.size(); ++i) {
    const auto& port = graph.inputs[i];
    WEFT_TRY(const InputType type, input_type(graph, port, i, options, ctx));
    WEFT_TRY(const auto id, recipe.add(port.name, exact::Input{}, type.scale, {.file = graph.file, .tensor = port.name},
                                       graph.at(port.tensor).shape));
    auto& value = recipe.graph().values[id.index];
    value.ranges.assign(static_cast<std::size_t>(element_count(value.shape)), type.range);
    recipe.graph().inputs.push_back({port.name, id, type.conversion, type.rule});
    for (const auto& node : type.nodes) recipe.mark_input_quantizer(node);
    layers::Symbol symbol;
    symbol.value = id;
    symbol.layer = port.name;
    recipe.set(port.tensor, std::move(symbol));
  }
  for (const auto& node : graph.nodes) {
    if (ctx.cancelled()) return ctx.fail(Kind::Cancelled, node.origin, "the run was interrupted");
    const layers::Layer& layer = *layers::find_layer(node.op);
    if (!layer.takes_any_scale) WEFT_TRY_VOID(layers::settle_inputs(node, recipe));
    WEFT_TRY_VOID(layer.lower(node, recipe, ctx));
  }
  for (const auto& port : graph.outputs) WEFT_TRY_VOID(add_output(port, recipe));

  Lowered out;
  for (const auto& node : graph.nodes) {
    auto& c = recipe.certificate(node.name, node.op);
    for (const auto& original : source.nodes)
      if (original.name == node.name) c.op = original.op;
    if (const auto it = folding.hidden.find(node.name); it != folding.hidden.end())
      c.notes.push_back(fmt::format("seen in `{}`", it->second));
    if (std::find(folding.merged.begin(), folding.merged.end(), node.name) != folding.merged.end()) {
      c.word = std::max(c.word, layers::Word::Quantized);
      c.notes.emplace_back("merged into the kernel before it got its type");
    }
    if (c.op.empty()) c.op = node.op;
    if (c.word == layers::Word::Exact && c.bound > 0.0)
      c.notes.push_back(fmt::format(
          "any order of the float additions gives the same result: within the bound {:.3g} no reachable code changes",
          c.bound));
    out.certificate.push_back(c);
    out.network = std::max(out.network, c.word);
  }
  for (auto& probe : recipe.graph().probes)
    if (const auto it = folding.hidden.find(probe.layer); it != folding.hidden.end())
      probe = {probe.layer, std::nullopt, {}, it->second};
  out.graph = std::move(recipe.graph());
  const std::string broken = exact::verify(out.graph);
  WEFT_CHECK(broken.empty(), "lowering made an unsound graph: " + broken);
  return out;
}

}  // namespace weft::lower
