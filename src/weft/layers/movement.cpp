// SPDX-License-Identifier: Apache-2.0
// Reshape and Permute: data movement.
#include <fmt/format.h>

#include <algorithm>

#include "weft/layers/float_run.h"
#include "weft/layers/layer_rows.h"
#include "weft/layers/movement.h"

namespace weft::layers {
namespace {

/// `old`, one number for all, per channel or per element, for the elements of a result that come from `from`.
template <typename T>
std::vector<T> moved_numbers(const std::vector<T>& old, const std::vector<std::int64_t>& from, std::size_t last) {
  if (old.size() <= 1) return old;
  std::vector<T> out;
  out.reserve(from.size());
  for (std::size_t e = 0; e < from.size(); ++e)
    // What is padded has no number of its own; the channel's keeps them one per channel.
    out.push_back(old[(from[e] < 0 ? e % last : static_cast<std::size_t>(from[e])) % old.size()]);
  for (const std::size_t period : {std::size_t{1}, last}) {
    bool repeats = period < out.size();
    for (std::size_t e = period; repeats && e < out.size(); ++e) repeats = out[e] == out[e - period];
    if (repeats) out.resize(period);
  }
  return out;
}

void move_steps(std::vector<Step>& steps, const std::vector<std::int64_t>& from, std::size_t last) {
  for (auto& step : steps)
    if (auto* s = std::get_if<exact::ReadoutStep>(&step)) s->operands = moved_numbers(s->operands, from, last);
}

}  // namespace

Result<Symbol> movable(const nn::Node& node, Recipe& recipe, Symbol symbol) {
  const bool per_channel = std::any_of(symbol.pending.begin(), symbol.pending.end(), [](const Step& s) {
    const auto* f = std::get_if<std::shared_ptr<const quantizers::Function>>(&s);
    return f != nullptr && (*f)->channels() > 1;
  });
  if (!per_channel) return symbol;
  WEFT_TRY(const auto codes, recipe.codes(node, symbol, false));
  symbol.value = codes.value;
  symbol.pending.clear();
  symbol.moved.reset();
  symbol.order_bound.clear();
  return symbol;
}

Result<Symbol> moved(const nn::Node& node, Recipe& recipe, Symbol symbol, exact::Primitive primitive,
                     std::optional<Shape> shape) {
  const Scale scale = recipe.value(symbol.value).scale;
  WEFT_TRY(symbol.value, recipe.add(node.name, std::move(primitive), Scale(scale.factors[0]), node.origin, shape));
  const auto several = [](const Step& s) {
    const auto* a = std::get_if<exact::ReadoutStep>(&s);
    return a != nullptr && a->operands.size() > 1;
  };
  if (scale.per_tensor() && symbol.order_bound.size() <= 1 &&
      std::none_of(symbol.pending.begin(), symbol.pending.end(), several))
    return symbol;
  exact::Value& value = recipe.graph().values[symbol.value.index];
  const auto movement = exact::movement(recipe.graph(), value);
  WEFT_CHECK(movement.has_value(), "a primitive that only moves elements");
  const std::size_t last = value.shape.empty() ? 1 : static_cast<std::size_t>(value.shape.back());
  value.scale.factors = moved_numbers(scale.factors, movement->from, last);
  symbol.order_bound = moved_numbers(symbol.order_bound, movement->from, last);
  move_steps(symbol.pending, movement->from, last);
  if (symbol.moved)
    for (auto& steps : symbol.moved->steps) move_steps(steps, movement->from, last);
  return symbol;
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
  WEFT_TRY(Symbol symbol, movable(node, recipe, recipe.input(node)));
  const exact::Reshape reshape{symbol.value};
  WEFT_TRY(symbol, moved(node, recipe, std::move(symbol), reshape, to));
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
  WEFT_TRY(Symbol symbol, movable(node, recipe, recipe.input(node)));
  const exact::Permute permute{symbol.value, permutation};
  WEFT_TRY(symbol, moved(node, recipe, std::move(symbol), permute));
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
          .takes_any_scale = true,
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
          .takes_any_scale = true,
          .macs = no_macs};
}

}  // namespace weft::layers
