// SPDX-License-Identifier: Apache-2.0
#include "weft/layers/float_run.h"

#include <fmt/format.h>

#include <algorithm>

namespace weft::layers {

std::vector<float>& FloatRun::output(const nn::Node& node, std::size_t i) {
  auto& out = at(node.outputs.at(i));
  out.resize(static_cast<std::size_t>(batch_ * element_count(graph_.at(node.outputs[i]).shape)));
  return out;
}

void FloatRun::note(const nn::Node& node, const std::string& role, const std::vector<float>& values) {
  if (ranges_ == nullptr || values.empty()) return;
  const auto [lo, hi] = std::minmax_element(values.begin(), values.end());
  const auto [it, first] = ranges_->try_emplace({node.name, role}, std::pair<double, double>{*lo, *hi});
  if (first) return;
  it->second.first = std::min(it->second.first, static_cast<double>(*lo));
  it->second.second = std::max(it->second.second, static_cast<double>(*hi));
}

Result<FloatTensor> parameter_values(const nn::Node& node, const std::string& role, Context& ctx) {
  const nn::Parameter& parameter = node.parameters.at(role);
  if (!parameter.quantizer) return parameter.values;
  WEFT_TRY(const auto function, quantizers::make(*parameter.quantizer, node.origin, ctx));
  WEFT_TRY(auto quantized, function->quantize(parameter.values, node.origin, ctx));
  return std::move(quantized.values);
}

Result<void> apply_function(const nn::Node& node, const std::string& role, std::vector<float>& data,
                            std::int64_t channels, Context& ctx) {
  const auto it = node.functions.find(role);
  if (it == node.functions.end()) return {};
  WEFT_TRY(const auto function, quantizers::make(it->second, node.origin, ctx));
  const auto n = static_cast<std::size_t>(std::max<std::int64_t>(channels, 1));
  // Quantizers of HGQ may have parameters for every element of a sample.
  const std::size_t own = function->channels();
  if (own != 1 && own != n && (own % n != 0 || data.size() % own != 0))
    return ctx.fail(Kind::ShapeMismatch, node.origin,
                    fmt::format("`{}` has parameters for {} channels, the data has {}", it->second.family,
                                function->channels(), n));
  if (function->data_dependent())
    return ctx.fail(
        Kind::LoweringUnsupported, node.origin,
        fmt::format("`{}` computes its scale from the data it quantizes; give it a fixed alpha", it->second.family));
  for (std::size_t i = 0; i < data.size(); ++i) data[i] = function->apply(data[i], i % std::max(n, own));
  return {};
}

Result<std::vector<std::vector<float>>> run_float(
    const nn::Graph& graph, const std::vector<std::vector<float>>& inputs, std::int64_t batch, Context& ctx, Keep keep,
    FloatRun::Ranges* ranges, const std::function<void(const nn::Node&, const std::vector<float>&)>& seen) {
  FloatRun run(graph, batch);
  run.observe(ranges);
  std::vector<std::size_t> uses(graph.tensors.size(), keep == Keep::All ? 1 : 0);
  for (const auto& node : graph.nodes)
    for (const auto id : node.inputs) ++uses[id.index];
  for (const auto& port : graph.outputs) ++uses[port.tensor.index];
  for (std::size_t i = 0; i < graph.inputs.size(); ++i) run.at(graph.inputs[i].tensor) = inputs.at(i);
  for (const auto& node : graph.nodes) {
    if (ctx.cancelled()) return ctx.fail(Kind::Cancelled, {.file = graph.file}, "the run was interrupted");
    const Layer* layer = find_layer(node.op);
    WEFT_CHECK(layer != nullptr, "graph was not checked");
    WEFT_TRY_VOID(layer->evaluate(node, run, ctx));
    if (seen) seen(node, run.at(node.outputs[0]));
    for (const auto id : node.inputs)
      if (--uses[id.index] == 0) std::vector<float>().swap(run.at(id));
    for (const auto id : node.outputs)
      if (uses[id.index] == 0) std::vector<float>().swap(run.at(id));
  }
  std::vector<std::vector<float>> out;
  for (std::size_t i = 0; i < graph.tensors.size(); ++i)
    out.push_back(std::move(run.at(nn::TensorId{static_cast<std::uint32_t>(i)})));
  return out;
}

}  // namespace weft::layers
