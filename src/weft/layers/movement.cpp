// SPDX-License-Identifier: Apache-2.0
// Reshape and Permute: data movement.
#include <fmt/format.h>

#include <algorithm>

#include "weft/layers/float_run.h"
#include "weft/layers/layer_rows.h"
#include "weft/layers/movement.h"

namespace weft::layers {
namespace {

bool per_channel(const Recipe& recipe, const Symbol& symbol) {
  return !recipe.value(symbol.value).scale.per_tensor() || symbol.order_bound.size() > 1 ||
         std::any_of(symbol.pending.begin(), symbol.pending.end(), [](const Step& s) {
           const auto* a = std::get_if<exact::ReadoutStep>(&s);
           const auto* f = std::get_if<std::shared_ptr<const quantizers::Function>>(&s);
           return (a != nullptr && a->operands.size() > 1) || (f != nullptr && (*f)->channels() > 1);
         });
}

}  // namespace

Result<Symbol> fixed_symbol(const nn::Node& node, Recipe& recipe, Symbol symbol) {
  if (!per_channel(recipe, symbol)) return symbol;
  WEFT_TRY(const auto codes, recipe.codes(node, symbol, false));
  if (!recipe.value(codes.value).scale.per_tensor())
    return recipe.context().fail(
        Kind::LoweringUnsupported, node.origin,
        "a tensor with one scale per channel is reshaped across its channels; give the layer in front a result type");
  symbol.value = codes.value;
  symbol.pending.clear();
  symbol.moved.reset();
  symbol.order_bound.clear();
  return symbol;
}

Result<Symbol> movable(const nn::Node& node, Recipe& recipe, std::size_t i, bool keeps_last_axis) {
  Symbol symbol = recipe.input(node, i);
  if (keeps_last_axis) return symbol;
  return fixed_symbol(node, recipe, std::move(symbol));
}

namespace {

Result<Shape> reshape_shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  const Shape& from = graph.at(node.inputs[0]).shape;
  const Shape to = get_ints(node.attributes, "shape");
  for (auto d : to)
    if (d < 1)
      return ctx.fail(Kind::ShapeMismatch, node.origin, fmt::format("cannot reshape to {}", weft::to_string(to)));
  if (element_count(from) != element_count(to))
    return ctx.fail(Kind::ShapeMismatch, node.origin,
                    fmt::format("cannot reshape {} to {}", weft::to_string(from), weft::to_string(to)));
  return to;
}

Result<void> reshape_evaluate(const nn::Node& node, FloatRun& run, Context&) {
  run.output(node) = run.input(node, 0);
  return {};
}

Result<void> reshape_lower(const nn::Node& node, Recipe& recipe, Context&) {
  const Shape& from = recipe.source().at(node.inputs[0]).shape;
  const Shape& to = recipe.source().at(node.outputs[0]).shape;
  if (from == to) return recipe.set_output(node, recipe.input(node));
  WEFT_TRY(Symbol symbol, movable(node, recipe, 0, !from.empty() && !to.empty() && from.back() == to.back()));
  const Scale scale = recipe.value(symbol.value).scale;
  WEFT_TRY(symbol.value, recipe.add(node.name, exact::Reshape{symbol.value}, scale, node.origin, to));
  return recipe.set_output(node, std::move(symbol));
}

bool is_permutation(const std::vector<std::int64_t>& p, std::size_t rank) {
  std::vector<std::int64_t> sorted = p;
  std::sort(sorted.begin(), sorted.end());
  for (std::size_t i = 0; i < sorted.size(); ++i)
    if (sorted[i] != static_cast<std::int64_t>(i)) return false;
  return p.size() == rank;
}

Result<Shape> permute_shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  const Shape& from = graph.at(node.inputs[0]).shape;
  const auto permutation = get_ints(node.attributes, "permutation");
  if (!is_permutation(permutation, from.size()))
    return ctx.fail(
        Kind::ShapeMismatch, node.origin,
        fmt::format("{} does not permute the axes of {}", weft::to_string(permutation), weft::to_string(from)));
  Shape out;
  for (auto p : permutation) out.push_back(from[static_cast<std::size_t>(p)]);
  return out;
}

Result<void> permute_evaluate(const nn::Node& node, FloatRun& run, Context&) {
  const auto& in = run.input(node, 0);
  Shape shape = run.graph().at(node.inputs[0]).shape;
  shape.insert(shape.begin(), run.batch());
  std::vector<std::int64_t> permutation{0};
  for (auto p : get_ints(node.attributes, "permutation")) permutation.push_back(p + 1);
  run.output(node) = tensor::permute(FloatTensor(shape, in), permutation).data;
  return {};
}

Result<void> permute_lower(const nn::Node& node, Recipe& recipe, Context&) {
  const auto permutation = get_ints(node.attributes, "permutation");
  const auto rank = static_cast<std::int64_t>(permutation.size());
  WEFT_TRY(Symbol symbol, movable(node, recipe, 0, rank > 0 && permutation.back() == rank - 1));
  const Scale scale = recipe.value(symbol.value).scale;
  WEFT_TRY(symbol.value, recipe.add(node.name, exact::Permute{symbol.value, permutation}, scale, node.origin));
  return recipe.set_output(node, std::move(symbol));
}

}  // namespace

Layer reshape_layer() {
  return {.op = "Reshape",
          .summary = "other shape, same row-major order; also Flatten, Squeeze and Unsqueeze",
          .attributes = {"shape"},
          .required_parameters = {},
          .optional_parameters = {},
          .functions = {},
          .infer_shape = reshape_shape,
          .evaluate = reshape_evaluate,
          .lower = reshape_lower,
          .macs = no_macs};
}

Layer permute_layer() {
  return {.op = "Permute",
          .summary = "transposed axes",
          .attributes = {"permutation"},
          .required_parameters = {},
          .optional_parameters = {},
          .functions = {},
          .infer_shape = permute_shape,
          .evaluate = permute_evaluate,
          .lower = permute_lower,
          .macs = no_macs};
}

}  // namespace weft::layers
