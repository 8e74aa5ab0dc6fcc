// SPDX-License-Identifier: Apache-2.0
#include "weft/emulate/hoist.h"

#include <algorithm>
#include <array>
#include <optional>

namespace weft::emulate {
namespace {

bool rises(const fixed::StepFunction& function) {
  if (const auto* pieces = std::get_if<fixed::Pieces>(&function))
    return std::is_sorted(pieces->values.begin(), pieces->values.end());
  const auto overflow = std::get<fixed::ShiftRound>(function).overflow;
  return overflow == fixed::Overflow::Sat || overflow == fixed::Overflow::SatSym;
}

/// Ids of window, reshape, reduce, reshape and requant, in this order.
using Chain = std::array<exact::ValueId, 5>;

std::optional<Chain> chain_to(const exact::Graph& graph, const std::vector<int>& readers, exact::ValueId last) {
  const auto* requant = std::get_if<exact::Requant>(&graph.at(last).primitive);
  if (requant == nullptr || requant->count_saturation) return std::nullopt;
  const auto private_value = [&](exact::ValueId id) { return readers[id.index] == 1; };
  const auto* outer = std::get_if<exact::Reshape>(&graph.at(requant->x).primitive);
  if (outer == nullptr || !private_value(requant->x)) return std::nullopt;
  const auto* reduce = std::get_if<exact::Reduce>(&graph.at(outer->x).primitive);
  if (reduce == nullptr || reduce->kind != exact::Reduce::Kind::Max || !private_value(outer->x)) return std::nullopt;
  const auto* inner = std::get_if<exact::Reshape>(&graph.at(reduce->x).primitive);
  if (inner == nullptr || !private_value(reduce->x)) return std::nullopt;
  const auto* window = std::get_if<exact::Window>(&graph.at(inner->x).primitive);
  if (window == nullptr || !private_value(inner->x)) return std::nullopt;
  const std::int64_t channels = graph.at(window->x).shape.back();
  const auto none = [](const std::vector<std::int64_t>& widths) {
    return std::all_of(widths.begin(), widths.end(), [](std::int64_t n) { return n == 0; });
  };
  const auto functions = static_cast<std::int64_t>(requant->functions.size());
  if (window->groups != channels || graph.at(last).shape.back() != channels || !none(window->before) ||
      !none(window->after) || (functions != 1 && functions != channels) ||
      !std::all_of(requant->functions.begin(), requant->functions.end(), rises))
    return std::nullopt;
  return Chain{inner->x, reduce->x, outer->x, requant->x, last};
}

}  // namespace

exact::Graph hoist_step_functions(exact::Graph graph, const std::vector<exact::ValueId>& outputs) {
  diag::Engine engine;
  Context ctx{engine};
  std::vector<int> readers(graph.values.size(), 0);
  for (const auto& value : graph.values)
    for (const auto id : exact::operands(value.primitive)) ++readers[id.index];
  for (const auto id : outputs) ++readers[id.index];
  for (std::uint32_t v = 0; v < graph.values.size(); ++v) {
    const auto chain = chain_to(graph, readers, {v});
    if (!chain) continue;
    std::array<exact::Value, 5> old;
    for (std::size_t i = 0; i < old.size(); ++i) old[i] = graph.at((*chain)[i]);
    const auto put = [&](std::size_t slot, exact::Primitive primitive, const Scale& scale, std::optional<Shape> shape) {
      exact::Value& value = graph.values[(*chain)[slot].index];
      value.primitive = std::move(primitive);
      value.scale = scale;
      value.shape = shape ? std::move(*shape) : exact::infer_shape(graph, value, ctx).value();
      value.ranges = exact::infer_ranges(graph, value, ctx).value();
    };
    auto requant = std::get<exact::Requant>(old[4].primitive);
    auto window = std::get<exact::Window>(old[0].primitive);
    requant.x = window.x;
    window.x = (*chain)[0];
    const Scale& scale = old[4].scale;
    put(0, std::move(requant), scale, std::nullopt);
    put(1, std::move(window), scale, std::nullopt);
    put(2, exact::Reshape{(*chain)[1]}, scale, old[1].shape);
    put(3, exact::Reduce{exact::Reduce::Kind::Max, (*chain)[2]}, scale, std::nullopt);
    put(4, exact::Reshape{(*chain)[3]}, scale, old[4].shape);
  }
  return graph;
}

}  // namespace weft::emulate
