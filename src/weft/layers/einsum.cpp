// SPDX-License-Identifier: Apache-2.0
// Einsum: products of two tensors, or of one with a constant, summed over the axes that the result lacks; also MatMul,
// bilinear interpolation along an axis and running sums. With a constant it is a matrix-vector product per row; two
// tensors are multiplied element by element and reduced.
#include <fmt/format.h>

#include <algorithm>

#include "weft/layers/align.h"
#include "weft/layers/dense_recipe.h"
#include "weft/layers/einsum_plan.h"
#include "weft/layers/float_run.h"
#include "weft/layers/layer_rows.h"
#include "weft/layers/movement.h"

namespace weft::layers {
namespace {

constexpr std::int64_t kMaxLowered = std::int64_t{1} << 27;

bool has_kernel(const nn::Node& node) { return node.parameters.count("kernel") != 0; }
/// Operand number of the constant and of the data beside it.
std::size_t kernel_operand(const nn::Node& node) {
  return node.inputs.size() == 1 && get_bool(node.attributes, "constant_first", false) ? 0 : node.inputs.size();
}

bool contains(const std::string& labels, char label) { return labels.find(label) != std::string::npos; }

Result<EinsumPlan> plan_of(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  if (has_kernel(node) && node.inputs.size() != 1)
    return ctx.fail(Kind::ModelMalformed, node.origin, "the operator needs two tensors, or one and a constant at most");
  return einsum_plan(node, einsum_shapes(graph, node), ctx);
}

Result<Shape> shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  WEFT_TRY(const auto plan, plan_of(graph, node, ctx));
  Shape out = plan.extents(plan.result);
  if (node.parameters.count("bias") != 0) {
    const auto both = tensor::broadcast(out, node.parameters.at("bias").values.shape);
    if (!both.ok || both.shape != out)
      return ctx.fail(Kind::ShapeMismatch, node.origin,
                      fmt::format("a bias of shape {} does not broadcast to {}",
                                  weft::to_string(node.parameters.at("bias").values.shape), weft::to_string(out)));
  }
  return out;
}

std::int64_t macs(const nn::Graph& graph, const nn::Node& node) {
  diag::Engine engine;
  Context ctx{.diag = engine};
  const auto plan = plan_of(graph, node, ctx);
  return plan ? element_count(plan->extents(plan->result + plan->summed)) : 0;
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  WEFT_TRY(const auto plan, plan_of(run.graph(), node, ctx));
  FloatTensor kernel;
  if (has_kernel(node)) {
    WEFT_TRY(kernel, parameter_values(node, "kernel", ctx));
  }
  auto& y = run.output(node);
  const auto batch = static_cast<std::size_t>(run.batch());
  const std::size_t outputs = batch == 0 ? 0 : y.size() / batch;
  std::vector<std::vector<std::int64_t>> rows, taps;
  for (std::size_t k = 0; k < plan.operands.size(); ++k) {
    rows.push_back(plan.elements(k, plan.result));
    taps.push_back(plan.elements(k, plan.summed));
  }
  const bool two = plan.operands.size() == 2;
  for (std::size_t b = 0; b < batch; ++b) {
    const float* data[2] = {nullptr, nullptr};
    for (std::size_t k = 0, i = 0; k < plan.operands.size(); ++k) {
      if (has_kernel(node) && k == kernel_operand(node))
        data[k] = kernel.data.data();
      else
        data[k] = run.input(node, i++).data() + b * static_cast<std::size_t>(element_count(plan.shapes[k]));
    }
    for (std::size_t o = 0; o < outputs; ++o) {
      const float* u = data[0] + rows[0][o];
      const float* v = two ? data[1] + rows[1][o] : nullptr;
      float sum = 0.0F;
      if (two)
        for (std::size_t t = 0; t < taps[0].size(); ++t) sum += u[taps[0][t]] * v[taps[1][t]];
      else
        for (const auto t : taps[0]) sum += u[t];
      y[b * outputs + o] = sum;
    }
  }
  const Shape& out = run.graph().at(node.outputs[0]).shape;
  if (node.parameters.count("bias") != 0) {
    WEFT_TRY(const FloatTensor bias, parameter_values(node, "bias", ctx));
    const auto at = tensor::broadcast_index;
    for (std::size_t i = 0; i < y.size(); ++i)
      y[i] += bias.data[static_cast<std::size_t>(at(bias.shape, out, i % outputs))];
  }
  return apply_function(node, "activation", y, out.empty() ? 1 : out.back(), ctx);
}

/// The result lies as [labels...]; brings it to the node's output, with its activation.
Result<void> finish(const nn::Node& node, Recipe& recipe, const EinsumPlan& plan, const std::string& labels,
                    Symbol symbol) {
  std::vector<std::int64_t> permutation;
  for (const char label : plan.result) permutation.push_back(static_cast<std::int64_t>(labels.find(label)));
  const Shape apart = plan.extents(labels);
  if (recipe.value(symbol.value).shape != apart) {
    const exact::Reshape view{symbol.value};
    WEFT_TRY(symbol, moved(node, recipe, std::move(symbol), view, apart));
  }
  if (!std::is_sorted(permutation.begin(), permutation.end())) {
    const exact::Permute permute{symbol.value, permutation};
    WEFT_TRY(symbol, moved(node, recipe, std::move(symbol), permute));
  }
  const auto activation = node.functions.find("activation");
  if (activation != node.functions.end()) {
    WEFT_TRY(symbol, recipe.apply(node, std::move(symbol), activation->second));
  }
  return recipe.set_output(node, std::move(symbol));
}

/// Operand k as [labels..., 1 where it does not vary, products], its own extents kept.
Result<exact::ValueId> laid_out(const nn::Node& node, Recipe& recipe, const EinsumPlan& plan, std::size_t k,
                                exact::ValueId x, const std::string& labels) {
  exact::Gather gather{x, {0}, 0};
  Shape shape;
  const auto spread = [&](char label, std::int64_t n) {
    const std::int64_t step = plan.stride(k, label);
    std::vector<std::int64_t> next;
    for (const auto base : gather.indices)
      for (std::int64_t i = 0; i < n; ++i) next.push_back(base + i * step);
    gather.indices = std::move(next);
  };
  for (const char label : labels) {
    const std::int64_t n = plan.varies(k, label) ? plan.extent(label) : 1;
    spread(label, n);
    shape.push_back(n);
  }
  std::int64_t taps = 1;
  for (const char label : plan.summed) {
    spread(label, plan.extent(label));
    taps *= plan.extent(label);
  }
  shape.push_back(taps);
  const Scale scale = recipe.value(x).scale;
  bool same = static_cast<std::int64_t>(gather.indices.size()) == element_count(recipe.value(x).shape);
  for (std::size_t i = 0; same && i < gather.indices.size(); ++i)
    same = gather.indices[i] == static_cast<std::int64_t>(i);
  if (same) return recipe.add(node.name + "_operand", exact::Reshape{x}, scale, node.origin, shape);
  return recipe.add(node.name + "_operand", std::move(gather), scale, node.origin, shape);
}

fixed::Range all_of(const exact::Value& value) { return channel_range(value, 0, 1); }

/// Of two tensors, or of one that is only summed.
Result<void> lower_tensors(const nn::Node& node, Recipe& recipe, const EinsumPlan& plan, Context& ctx) {
  if (element_count(plan.extents(plan.result + plan.summed)) > kMaxLowered)
    return ctx.fail(Kind::LimitExceeded, node.origin, "the product of two tensors has too many terms to lay out");
  // Labels of both first, then those of one: operands stay small, the product stretches them.
  std::string labels;
  for (const int both : {2, 1, 0})
    for (const char label : plan.result) {
      const bool a = plan.varies(0, label);
      const bool b = plan.operands.size() == 2 && plan.varies(1, label);
      const int kind = a && b ? 2 : a ? 1 : 0;
      if (kind == both) labels += label;
    }
  std::vector<exact::ValueId> xs;
  Rational unit(1);
  Int worst = 1;
  int grid = 0;
  for (std::size_t k = 0; k < node.inputs.size(); ++k) {
    WEFT_TRY(auto codes, recipe.codes(node, Symbol(recipe.input(node, k)), false));
    WEFT_TRY(codes.value, on_one_scale(node, recipe, codes.value));
    const exact::Value& value = recipe.value(codes.value);
    unit *= value.scale.at(0);
    const auto range = all_of(value);
    const auto product = fixed::checked_mul(worst, std::max(range.hi, -range.lo));
    worst = product ? *product : Int{1} << 120;
    grid += range.step_log2;
    WEFT_TRY(const auto x, laid_out(node, recipe, plan, k, codes.value, labels));
    xs.push_back(x);
  }
  const Scale scale(unit);
  exact::ValueId y = xs[0];
  if (xs.size() == 2) {
    WEFT_TRY(y, recipe.add(node.name + "_products", exact::Mul{xs[0], xs[1]}, scale, node.origin));
  }
  const std::int64_t taps = element_count(plan.extents(plan.summed));
  Symbol out;
  out.layer = node.name;
  if (taps > 1) {
    WEFT_TRY(y, recipe.add(node.name + "_sums", exact::Reduce{exact::Reduce::Kind::Sum, y}, scale, node.origin));
  }
  const auto total = fixed::checked_mul(worst, Int{taps});
  if (!total || !fixed::log2_exact(unit) || fixed::floor_shift(*total, std::min(grid, 100)) >= (Int{1} << 24)) {
    out.order_bound = {order_bound(fixed::to_double(unit) * static_cast<double>(total ? *total : worst), taps)};
    out.sum_layer = node.name;
  }
  WEFT_TRY(out.value, recipe.add(node.name, exact::Reshape{y}, scale, node.origin, plan.extents(labels)));
  return finish(node, recipe, plan, labels, std::move(out));
}

/// Which label a matrix' column or row stands for, and the constant's entries.
struct Sides {
  std::string rows;    ///< labels of the data alone
  std::string shared;  ///< in data, constant and result
  std::string own;     ///< of the constant alone
};

/// One matrix with zeros between the blocks of the shared labels.
Result<IntegerParameter> as_matrix(const nn::Node& node, const EinsumPlan& plan, const IntegerParameter& kernel,
                                   std::size_t k, const Sides& sides, const std::string& summed, Context& ctx) {
  const std::int64_t blocks = element_count(plan.extents(sides.shared));
  const std::int64_t taps = element_count(plan.extents(summed));
  const std::int64_t outs = element_count(plan.extents(sides.own));
  const std::int64_t n_in = blocks * taps;
  const std::int64_t n_out = blocks * outs;
  if (n_in > kMaxLowered / n_out)
    return ctx.fail(Kind::LimitExceeded, node.origin, "the constant gives a matrix of too many elements");
  IntegerParameter out{FloatTensor({n_in, n_out}), IntTensor({n_in, n_out}), kernel.scale, kernel.chosen, {}};
  if (!kernel.uncertainty.empty()) out.uncertainty.assign(out.values.data.size(), 0.0F);
  // Labels of the constant that neither the data nor the result have are summed here.
  std::string gone;
  for (const char label : plan.summed)
    if (!contains(summed, label)) gone += label;
  const auto at_block = plan.elements(k, sides.shared);
  const auto at_tap = plan.elements(k, summed);
  const auto at_out = plan.elements(k, sides.own);
  const auto at_gone = plan.elements(k, gone);
  const std::int64_t channels = kernel.codes.shape.empty() ? 1 : kernel.codes.shape.back();
  const char last = plan.operands[k].empty() ? ' ' : plan.operands[k].back();
  const bool scaled = !kernel.scale.per_tensor();
  if (scaled && !contains(sides.own, last) && !contains(sides.shared, last))
    return ctx.fail(Kind::LoweringUnsupported, node.origin,
                    "the constant has one scale per element of an axis that is summed; use one scale");
  std::vector<Rational> factors;
  for (std::int64_t g = 0; g < blocks; ++g)
    for (std::int64_t o = 0; o < outs; ++o) {
      const std::int64_t column = at_block[static_cast<std::size_t>(g)] + at_out[static_cast<std::size_t>(o)];
      if (scaled) factors.push_back(kernel.scale.at(static_cast<std::size_t>(column % channels)));
      for (std::int64_t t = 0; t < taps; ++t) {
        const auto to = static_cast<std::size_t>((g * taps + t) * n_out + g * outs + o);
        for (const auto extra : at_gone) {
          const auto from = static_cast<std::size_t>(column + at_tap[static_cast<std::size_t>(t)] + extra);
          out.values.data[to] += kernel.values.data[from];
          out.codes.data[to] += kernel.codes.data[from];
          if (!kernel.uncertainty.empty()) out.uncertainty[to] += kernel.uncertainty[from];
        }
      }
    }
  if (scaled) out.scale = Scale(std::move(factors));
  return out;
}

/// The bias along the matrix' columns; it must not vary along other axes of the result.
Result<std::optional<IntegerParameter>> column_bias(const nn::Node& node, Recipe& recipe, const EinsumPlan& plan,
                                                    const IntegerParameter& kernel, const std::string& columns,
                                                    Context& ctx) {
  WEFT_TRY(auto bias, bias_parameter(node, recipe, kernel));
  if (!bias) return bias;
  const Shape to = plan.extents(plan.result);
  const Shape from = bias->values.shape;
  const auto pad = to.size() - from.size();
  std::int64_t step = 1;
  std::vector<std::int64_t> strides(to.size(), 0);
  for (std::size_t d = from.size(); d-- > 0; step *= from[d])
    if (from[d] != 1) strides[pad + d] = step;
  for (std::size_t d = 0; d < to.size(); ++d)
    if (strides[d] != 0 && !contains(columns, plan.result[d]))
      return ctx.fail(Kind::LoweringUnsupported, node.origin,
                      "the bias varies along an axis that the constant lacks; add it in a layer of its own");
  std::vector<std::int64_t> order{0};
  for (const char label : columns) {
    std::vector<std::int64_t> next;
    for (const auto base : order)
      for (std::int64_t i = 0; i < plan.extent(label); ++i) next.push_back(base + i * strides[plan.result.find(label)]);
    order = std::move(next);
  }
  const auto n = static_cast<std::int64_t>(order.size());
  IntegerParameter out{FloatTensor({n}), IntTensor({n}), bias->scale, bias->chosen, {}};
  std::vector<Rational> factors;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const auto e = static_cast<std::size_t>(order[i]);
    out.values.data[i] = bias->values.data[e];
    if (e < bias->codes.data.size()) out.codes.data[i] = bias->codes.data[e];
    if (e < bias->uncertainty.size()) out.uncertainty.push_back(bias->uncertainty[e]);
    if (!bias->scale.per_tensor())
      factors.push_back(bias->scale.at(e % static_cast<std::size_t>(std::max<std::int64_t>(from.back(), 1))));
  }
  if (!factors.empty()) out.scale = Scale(std::move(factors));
  return std::optional(std::move(out));
}

Result<void> lower_constant(const nn::Node& node, Recipe& recipe, const EinsumPlan& plan, Context& ctx) {
  const std::size_t k = kernel_operand(node);
  const std::size_t data = 1 - k;
  Sides sides;
  for (const char label : plan.result) {
    if (!plan.varies(k, label))
      sides.rows += label;
    else
      (plan.varies(data, label) ? sides.shared : sides.own) += label;
  }
  std::string summed;
  for (const char label : plan.summed)
    if (contains(plan.operands[data], label)) summed += label;
  WEFT_TRY(const IntegerParameter kernel, recipe.integer_parameter(node, "kernel"));
  WEFT_TRY(const IntegerParameter matrix, as_matrix(node, plan, kernel, k, sides, summed, ctx));
  WEFT_TRY(const auto bias, column_bias(node, recipe, plan, kernel, sides.shared + sides.own, ctx));
  WEFT_TRY(Recipe::Codes x, recipe.codes(node, Symbol(recipe.input(node)), true));
  // The data as [rows..., shared * summed].
  const std::string inner = sides.shared + summed;
  // Scales per channel go into the kernel only where the channels are summed.
  if (plan.operands[data].empty() || !contains(inner, plan.operands[data].back())) {
    WEFT_TRY(x.value, on_one_scale(node, recipe, x.value));
  }
  const Scale scale = recipe.value(x.value).scale;
  exact::Gather gather{x.value, plan.elements(data, sides.rows + inner), 0};
  Shape shape = plan.extents(sides.rows);
  shape.push_back(matrix.codes.shape[0]);
  if (element_count(shape) > kMaxLowered)
    return ctx.fail(Kind::LimitExceeded, node.origin, "the operand has too many elements to lay out");
  Scale inner_scale = scale;
  if (!scale.per_tensor()) {
    const auto channels = recipe.value(x.value).shape.back();
    std::vector<Rational> factors;
    for (const auto e : plan.elements(data, inner)) factors.push_back(scale.at(static_cast<std::size_t>(e % channels)));
    inner_scale = Scale(std::move(factors));
  }
  bool same = static_cast<std::int64_t>(gather.indices.size()) == element_count(recipe.value(x.value).shape);
  for (std::size_t i = 0; same && i < gather.indices.size(); ++i)
    same = gather.indices[i] == static_cast<std::int64_t>(i);
  if (!same) {
    WEFT_TRY(x.value,
             recipe.add(node.name + "_operand", std::move(gather), std::move(inner_scale), node.origin, shape));
  } else if (recipe.value(x.value).shape != shape) {
    WEFT_TRY(x.value,
             recipe.add(node.name + "_operand", exact::Reshape{x.value}, std::move(inner_scale), node.origin, shape));
  }
  WEFT_TRY(Symbol out, product(node, node.name, recipe, x, matrix, bias, ctx));
  return finish(node, recipe, plan, sides.rows + sides.shared + sides.own, std::move(out));
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  WEFT_TRY(const auto plan, plan_of(recipe.source(), node, ctx));
  if (has_kernel(node)) return lower_constant(node, recipe, plan, ctx);
  if (node.parameters.count("bias") != 0)
    return ctx.fail(Kind::LoweringUnsupported, node.origin,
                    "a bias behind a product of two tensors; add it in a layer of its own");
  return lower_tensors(node, recipe, plan, ctx);
}

}  // namespace

Layer einsum_layer() {
  return {.op = "Einsum",
          .summary =
              "products of two tensors or of one with a constant, summed over axes: matmul, attention, "
              "interpolation",
          .attributes = {"equation", "constant_first"},
          .required_parameters = {},
          .optional_parameters = {"kernel", "bias"},
          .functions = {"activation"},
          .min_inputs = 1,
          .max_inputs = 2,
          .infer_shape = shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = macs};
}

}  // namespace weft::layers
