// SPDX-License-Identifier: Apache-2.0
// Embedding: rows of a constant table by integer data; in integers one step function of the index per column.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/layers/float_run.h"
#include "weft/layers/layer_rows.h"
#include "weft/layers/recipe.h"

namespace weft::layers {
namespace {

constexpr std::int64_t kMaxElements = std::int64_t{1} << 27;

Result<Shape> shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  const Shape& table = node.parameters.at("table").values.shape;
  Shape out = graph.at(node.inputs[0]).shape;
  if (table.size() != 2 || element_count(table) < 1 || table[1] > kMaxElements / element_count(out))
    return ctx.fail(Kind::ShapeMismatch, node.origin,
                    fmt::format("a table of shape {}; rows of numbers are expected", weft::to_string(table)));
  out.push_back(table[1]);
  return out;
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  WEFT_TRY(const FloatTensor table, parameter_values(node, "table", ctx));
  const auto rows = static_cast<float>(table.shape[0]);
  const auto columns = static_cast<std::size_t>(table.shape[1]);
  const auto& x = run.input(node, 0);
  auto& y = run.output(node);
  for (std::size_t i = 0; i < x.size(); ++i) {
    if (!(x[i] >= -rows && x[i] < rows) || x[i] != std::floor(x[i]))
      return ctx.fail(Kind::ArrayMalformed, node.origin,
                      fmt::format("index {} is none of the table's {} rows", x[i], table.shape[0]));
    const float row = x[i] < 0 ? x[i] + rows : x[i];
    std::copy_n(table.data.begin() + static_cast<std::ptrdiff_t>(static_cast<std::size_t>(row) * columns), columns,
                y.begin() + static_cast<std::ptrdiff_t>(i * columns));
  }
  return {};
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  const Shape to = recipe.source().at(node.outputs[0]).shape;
  WEFT_TRY(const IntegerParameter table, recipe.integer_parameter(node, "table"));
  WEFT_TRY(const auto codes, recipe.codes(node, Symbol(recipe.input(node)), false));
  const exact::Value& x = recipe.value(codes.value);
  const auto log2 = x.scale.per_tensor() ? fixed::log2_exact(x.scale.at(0)) : std::nullopt;
  if (!log2)
    return ctx.fail(Kind::LoweringUnsupported, node.origin,
                    "indices must lie on a grid of a power of two; declare the input as an integer");
  const std::int64_t rows = table.codes.shape[0];
  const std::int64_t columns = table.codes.shape[1];
  const fixed::Range range = channel_range(x, 0, 1);
  const Int unit = *log2 < 0 && *log2 > -60 ? Int{1} << -*log2 : Int{1};
  if (*log2 > 0 || range.lo < -Int{rows} * unit || range.hi >= Int{rows} * unit)
    recipe.weaken(
        node, Word::Exact,
        fmt::format("indices outside of the {} rows take the nearest row; the source has no result there", rows));
  if (unit > 1 && fixed::pow2(range.step_log2) < fixed::rational_from_int(unit))
    recipe.weaken(node, Word::Exact, "indices between integers take the row below; the source has no result there");
  std::vector<fixed::StepFunction> functions;
  for (std::int64_t c = 0; c < columns; ++c) {
    const auto at = [&](std::int64_t row) {
      return Int{table.codes.data[static_cast<std::size_t>(row * columns + c)]};
    };
    fixed::Pieces pieces;
    const auto piece = [&](std::int64_t index, std::int64_t row) {
      // Indices count in units of 2^log2.
      const Int place = Int{index} * unit;
      if (pieces.values.empty()) {
        pieces.values.push_back(at(row));
      } else if (pieces.values.back() != at(row)) {
        pieces.breakpoints.push_back(place);
        pieces.values.push_back(at(row));
      }
    };
    // Negative indices count from the end.
    if (range.lo < 0)
      for (std::int64_t i = -rows; i < 0; ++i) piece(i, i + rows);
    for (std::int64_t i = 0; i < rows; ++i) piece(i, i);
    functions.emplace_back(std::move(pieces));
  }
  exact::Gather repeated{codes.value, {}, 0};
  for (std::int64_t e = 0; e < element_count(to); ++e) repeated.indices.push_back(e / columns);
  const Scale scale = x.scale;
  WEFT_TRY(const auto spread, recipe.add(node.name + "_index", std::move(repeated), scale, node.origin, to));
  Symbol out;
  out.layer = node.name;
  out.typed = !table.chosen;
  WEFT_TRY(out.value, recipe.add(node.name, exact::Requant{spread, std::move(functions)}, table.scale, node.origin));
  return recipe.set_output(node, std::move(out));
}

}  // namespace

Layer embedding_layer() {
  return {.op = "Embedding",
          .summary = "rows of a constant table by integer data",
          .attributes = {},
          .required_parameters = {"table"},
          .optional_parameters = {},
          .functions = {},
          .infer_shape = shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = no_macs};
}

}  // namespace weft::layers
