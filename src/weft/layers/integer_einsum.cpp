// SPDX-License-Identifier: Apache-2.0
// IntegerEinsum: products of the codes of two tensors, summed over the axes that the result lacks, then one multiplier
// and a clamp: batched matrix products.
#include <utility>

#include "weft/layers/einsum_plan.h"
#include "weft/layers/integer_parts.h"
#include "weft/layers/integer_rows.h"
#include "weft/layers/layer_rows.h"

namespace weft::layers {
namespace {

/// Products laid out before they are summed.
constexpr std::int64_t kMaxProducts = std::int64_t{1} << 24;

Result<EinsumPlan> plan_of(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  WEFT_TRY(auto plan, einsum_plan(node, einsum_shapes(graph, node), ctx));
  if (element_count(plan.extents(plan.result + plan.summed)) > kMaxProducts)
    return ctx.fail(Kind::LimitExceeded, node.origin, "the product of two tensors has too many terms to lay out");
  return plan;
}

Result<std::pair<IntegerSpec, Rescale>> rescale_of(const nn::Node& node, Context& ctx) {
  WEFT_TRY(const auto spec, integer_spec(node, 1, 0, ctx));
  return std::pair{spec, Rescale{spec.multipliers, spec.wide, 0, spec.lo, spec.hi, spec.factors}};
}

Result<Shape> shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  WEFT_TRY_VOID(rescale_of(node, ctx));
  WEFT_TRY(const auto plan, plan_of(graph, node, ctx));
  return plan.extents(plan.result);
}

std::int64_t macs(const nn::Graph& graph, const nn::Node& node) {
  diag::Engine engine;
  Context ctx{.diag = engine};
  const auto plan = plan_of(graph, node, ctx);
  return plan ? element_count(plan->extents(plan->result + plan->summed)) : 0;
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  WEFT_TRY(const auto plan, plan_of(run.graph(), node, ctx));
  WEFT_TRY(const auto said, rescale_of(node, ctx));
  std::vector<std::int64_t> codes[2], rows[2], taps[2];
  std::size_t sizes[2];
  for (std::size_t k = 0; k < 2; ++k) {
    codes[k] = integer_codes(run.input(node, k), said.first.scales[k]);
    rows[k] = plan.elements(k, plan.result);
    taps[k] = plan.elements(k, plan.summed);
    sizes[k] = static_cast<std::size_t>(element_count(plan.shapes[k]));
  }
  auto& y = run.output(node);
  std::vector<std::int64_t> out(y.size());
  const std::size_t outputs = rows[0].size();
  for (std::size_t i = 0; i < y.size(); ++i) {
    const std::int64_t* a = codes[0].data() + i / outputs * sizes[0] + rows[0][i % outputs];
    const std::int64_t* b = codes[1].data() + i / outputs * sizes[1] + rows[1][i % outputs];
    Int sum = 0;
    for (std::size_t t = 0; t < taps[0].size(); ++t) sum += Int{a[taps[0][t]]} * b[taps[1][t]];
    out[i] = static_cast<std::int64_t>(rescale(sum, said.second, 0));
  }
  set_codes(y, out, said.first.scale);
  return {};
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  WEFT_TRY(const auto plan, plan_of(recipe.source(), node, ctx));
  WEFT_TRY(const auto said, rescale_of(node, ctx));
  const Shape to = plan.extents(plan.result);
  const Shape rows{element_count(to), element_count(plan.extents(plan.summed))};
  std::vector<exact::ValueId> operands;
  for (std::size_t k = 0; k < 2; ++k) {
    WEFT_TRY(const auto x, integer_input(node, recipe, k, said.first.scales[k], ctx));
    exact::Gather gather{x, plan.elements(k, plan.result + plan.summed), 0};
    WEFT_TRY(const auto laid, recipe.add(node.name + "_operand", std::move(gather), Scale(), node.origin, rows));
    operands.push_back(laid);
  }
  WEFT_TRY(auto y, recipe.add(node.name + "_products", exact::Mul{operands[0], operands[1]}, Scale(), node.origin));
  WEFT_TRY(y, recipe.add(node.name + "_sum", exact::Reduce{exact::Reduce::Kind::Sum, y}, Scale(), node.origin));
  WEFT_TRY(y, recipe.add(node.name + "_shaped", exact::Reshape{y}, Scale(), node.origin, to));
  WEFT_TRY(y, rescaled(recipe, node, node.name, y, said.second, Scale()));
  return set_integer_output(node, recipe, y);
}

}  // namespace

Layer integer_einsum_layer() {
  return {.op = "IntegerEinsum",
          .summary = "sums of products of two tensors of integer codes with TensorFlow Lite's rescaling",
          .attributes = {"equation", kScales, kScale, kLo, kHi, kMultipliers, kShifts, kWide},
          .required_parameters = {},
          .optional_parameters = {},
          .functions = {},
          .min_inputs = 2,
          .max_inputs = 2,
          .infer_shape = shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = macs};
}

}  // namespace weft::layers
