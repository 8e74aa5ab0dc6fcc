// SPDX-License-Identifier: Apache-2.0
// ArgMax: indices of the k largest (or smallest) elements of the last axis; ties to the lower index, or to the higher.
#include <fmt/format.h>

#include <algorithm>
#include <numeric>

#include "weft/layers/align.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer_rows.h"
#include "weft/layers/movement.h"

namespace weft::layers {
namespace {

Result<Shape> shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  Shape s = graph.at(node.inputs[0]).shape;
  const std::int64_t k = get_int(node.attributes, "k", 1);
  if (s.empty() || k < 1 || k > s.back())
    return ctx.fail(Kind::ShapeMismatch, node.origin,
                    fmt::format("cannot take the {} largest of shape {}", k, weft::to_string(s)));
  if (k == 1 && !get_bool(node.attributes, "keepdims", true))
    s.pop_back();
  else
    s.back() = k;
  return s;
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context&) {
  const auto& x = run.input(node, 0);
  auto& y = run.output(node);
  const auto n = static_cast<std::size_t>(run.graph().at(node.inputs[0]).shape.back());
  const auto k = static_cast<std::size_t>(get_int(node.attributes, "k", 1));
  const bool smallest = get_bool(node.attributes, "smallest", false);
  const bool last = get_bool(node.attributes, "last", false);
  std::vector<std::size_t> order(n);
  for (std::size_t row = 0; row < x.size() / n; ++row) {
    std::iota(order.begin(), order.end(), 0);
    if (last) std::reverse(order.begin(), order.end());
    std::stable_sort(order.begin(), order.end(), [&](auto a, auto b) {
      return smallest ? x[row * n + a] < x[row * n + b] : x[row * n + a] > x[row * n + b];
    });
    for (std::size_t i = 0; i < k; ++i) y[row * k + i] = static_cast<float>(order[i]);
  }
  return {};
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context&) {
  WEFT_TRY(auto codes, recipe.codes(node, Symbol(recipe.input(node)), true));
  WEFT_TRY(codes.value, comparable(node, recipe, codes.value));
  const Scale scale = recipe.value(codes.value).scale;
  const Shape from = recipe.value(codes.value).shape;
  if (get_bool(node.attributes, "smallest", false)) {
    WEFT_TRY(codes.value, negated(node, recipe, codes.value, scale));
  }
  // The last of equal elements is the first one from the end.
  const bool last = get_bool(node.attributes, "last", false);
  const std::int64_t n = from.back();
  if (last) {
    exact::Gather turned{codes.value, {}, 0};
    for (std::int64_t e = 0; e < element_count(from); ++e) turned.indices.push_back(e - e % n + (n - 1 - e % n));
    WEFT_TRY(codes.value, recipe.add(node.name + "_turned", std::move(turned), scale, node.origin, from));
  }
  Symbol out;
  out.layer = node.name;
  WEFT_TRY(out.value,
           recipe.add(node.name, exact::ArgMax{codes.value, get_int(node.attributes, "k", 1)}, Scale(), node.origin));
  if (last) {
    WEFT_TRY(const auto top,
             recipe.add(node.name + "_top", exact::Constant{{Int{n - 1}}}, Scale(), node.origin, Shape{1}));
    WEFT_TRY(out.value, recipe.add(node.name, exact::Sub{top, out.value, 0, 0}, Scale(), node.origin));
  }
  const Shape& shape = recipe.source().at(node.outputs[0]).shape;
  if (recipe.value(out.value).shape != shape) {
    WEFT_TRY(out.value, recipe.add(node.name, exact::Reshape{out.value}, Scale(), node.origin, shape));
  }
  return recipe.set_output(node, std::move(out));
}

}  // namespace

Layer argmax_layer() {
  return {.op = "ArgMax",
          .summary = "indices of the k largest or smallest elements of the last axis; also TopK's indices",
          .attributes = {"k", "keepdims", "last", "smallest"},
          .required_parameters = {},
          .optional_parameters = {},
          .functions = {},
          .infer_shape = shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = no_macs};
}

}  // namespace weft::layers
