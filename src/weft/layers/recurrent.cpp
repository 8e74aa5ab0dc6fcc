// SPDX-License-Identifier: Apache-2.0
// SimpleRNN, LSTM, GRU: rows, schema and shapes.
#include "weft/layers/recurrent.h"

#include <fmt/format.h>

#include "weft/layers/layer_rows.h"

namespace weft::layers {
namespace {

/// Elements of all unrolled kernels; each step has its own copy in the exact graph.
std::uint64_t unrolled_elements(const Recurrence& r, std::int64_t blocks) {
  const auto projection = static_cast<std::uint64_t>(r.hidden == r.units ? 0 : r.hidden * r.units);
  return static_cast<std::uint64_t>(r.steps) *
         (static_cast<std::uint64_t>(r.inputs + r.hidden) * static_cast<std::uint64_t>(blocks * r.units) + projection);
}

Result<std::vector<Shape>> shapes(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  const auto mismatch = [&](std::string what) { return ctx.fail(Kind::ShapeMismatch, node.origin, std::move(what)); };
  const Shape& x = graph.at(node.inputs[0]).shape;
  if (x.size() != 2 || x[0] < 1 || x[1] < 1)
    return mismatch(fmt::format("a recurrent layer needs [time, features], the input has {}", weft::to_string(x)));
  const Shape& kernel = node.parameters.at("kernel").values.shape;
  const Shape& recurrent = node.parameters.at("recurrent_kernel").values.shape;
  const std::int64_t blocks = gate_blocks(node.op);
  const auto projection = node.parameters.find("projection");
  const bool projected = projection != node.parameters.end();
  if (kernel.size() != 2 || recurrent.size() != 2 || recurrent[0] < 1 || kernel[0] != x[1] ||
      recurrent[0] > (std::int64_t{1} << 24) || kernel[1] < blocks || kernel[1] > (std::int64_t{1} << 26) ||
      kernel[1] % blocks != 0 || (!projected && kernel[1] != blocks * recurrent[0]) || recurrent[1] != kernel[1])
    return mismatch(
        fmt::format("the input has shape {}, the kernel {}, the recurrent kernel {}; {} needs [features, {} units] and "
                    "[units, {} units]",
                    weft::to_string(x), weft::to_string(kernel), weft::to_string(recurrent), node.op, blocks, blocks));
  const Recurrence r = recurrence_of(graph, node);
  if (projected && projection->second.values.shape != Shape{r.units, r.hidden})
    return mismatch(fmt::format("the projection has shape {}, it needs [{}, {}]",
                                weft::to_string(projection->second.values.shape), r.units, r.hidden));
  const auto vector = [&](const char* role, std::int64_t extent) {
    const auto it = node.parameters.find(role);
    return it == node.parameters.end() || it->second.values.shape == Shape{extent};
  };
  for (const auto& [role, extent] :
       {std::pair{"bias", kernel[1]}, std::pair{"recurrent_bias", kernel[1]}, std::pair{"initial_h", r.hidden},
        std::pair{"initial_c", r.units}, std::pair{"peephole", 3 * r.units}})
    if (!vector(role, extent)) return mismatch(fmt::format("`{}` needs {} elements", role, extent));
  if (r.masked && (node.inputs.size() < 2 || graph.at(node.inputs.back()).shape != Shape{r.steps}))
    return mismatch(
        fmt::format("the mask of {} steps has shape {}", r.steps, weft::to_string(graph.at(node.inputs.back()).shape)));
  for (std::size_t i = 1; i < r.given; ++i) {
    const Shape state{i == 1 ? r.hidden : r.units};
    if (graph.at(node.inputs[i]).shape != state)
      return mismatch(fmt::format("initial state {} has shape {}, the layer needs {}", i - 1,
                                  weft::to_string(graph.at(node.inputs[i]).shape), weft::to_string(state)));
  }
  const std::uint64_t most = ctx.limits.tensor_elements / 8;
  if (static_cast<std::uint64_t>(r.steps) > most ||
      static_cast<std::uint64_t>(kernel[0] + r.units + r.hidden) > most / static_cast<std::uint64_t>(r.steps) ||
      unrolled_elements(r, blocks) > most)
    return ctx.fail(
        Kind::LimitExceeded, node.origin,
        fmt::format("{} time steps of {} x {} weights are more than {} when unrolled; use shorter sequences", r.steps,
                    kernel[0] + r.hidden, kernel[1], most));
  const Shape last{r.hidden};
  const Shape first = r.sequences ? Shape{r.steps, r.hidden} : last;
  return std::vector<Shape>{first, last, {r.units}};
}

Result<Shape> first_shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  WEFT_TRY(auto all, shapes(graph, node, ctx));
  return std::move(all[0]);
}

std::int64_t macs(const nn::Graph& graph, const nn::Node& node) {
  const Recurrence r = recurrence_of(graph, node);
  return static_cast<std::int64_t>(unrolled_elements(r, gate_blocks(node.op)));
}

Layer row(std::string_view op, std::string_view summary) {
  return {.op = op,
          .summary = summary,
          .attributes = {kGoBackwards, kRealign, kReturnSequences, kMasked, kZeroOutput, kClip, kNote},
          .required_parameters = {"kernel", "recurrent_kernel"},
          .optional_parameters = {"bias", "initial_h"},
          .functions = {"activation", "state"},
          .min_inputs = 1,
          .max_inputs = 3,
          .infer_shape = first_shape,
          .evaluate = evaluate_recurrent,
          .lower = lower_recurrent,
          .macs = macs,
          .max_outputs = 2,
          .infer_shapes = shapes};
}

}  // namespace

std::int64_t gate_blocks(const std::string& op) { return op == "LSTM" ? 4 : op == "GRU" ? 3 : 1; }

Recurrence recurrence_of(const nn::Graph& graph, const nn::Node& node) {
  const Shape& x = graph.at(node.inputs[0]).shape;
  Recurrence r;
  r.steps = x[0];
  r.inputs = x[1];
  r.units = node.parameters.at("kernel").values.shape[1] / gate_blocks(node.op);
  r.hidden = node.parameters.at("recurrent_kernel").values.shape[0];
  r.backwards = get_bool(node.attributes, std::string(kGoBackwards), false);
  r.realign = get_bool(node.attributes, std::string(kRealign), false);
  r.sequences = get_bool(node.attributes, std::string(kReturnSequences), false);
  r.masked = get_bool(node.attributes, std::string(kMasked), false);
  r.zero_output = r.masked && get_bool(node.attributes, std::string(kZeroOutput), false);
  r.given = node.inputs.size() - (r.masked ? 1 : 0);
  return r;
}

Layer gru_layer() {
  Layer out = row("GRU", "gated recurrent unit over a sequence; reset in front of or behind the recurrent product");
  out.attributes.push_back(kResetAfter);
  out.functions.emplace_back("recurrent_activation");
  out.optional_parameters.emplace_back("recurrent_bias");
  return out;
}

Layer lstm_layer() {
  Layer out = row("LSTM", "long short-term memory over a sequence; with peepholes, a clip, a projection of h");
  out.functions.emplace_back("recurrent_activation");
  out.functions.emplace_back("output_activation");
  out.optional_parameters.emplace_back("initial_c");
  out.optional_parameters.emplace_back("peephole");
  out.optional_parameters.emplace_back("projection");
  out.max_inputs = 4;
  out.max_outputs = 3;
  return out;
}

Layer simple_rnn_layer() { return row("SimpleRNN", "h = activation(x W + b + h U) over a sequence"); }

}  // namespace weft::layers
