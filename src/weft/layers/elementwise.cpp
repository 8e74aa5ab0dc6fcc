// SPDX-License-Identifier: Apache-2.0
// Add, Sub, Mul, Div, Pow: with a constant (a float32 step) or of two tensors.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/layers/align.h"
#include "weft/layers/layer_rows.h"
#include "weft/layers/quotient.h"
#include "weft/layers/steps.h"

namespace weft::layers {
namespace {

using Op = exact::ReadoutStep::Op;

std::optional<Op> step_op(const std::string& op, bool constant_first) {
  if (op == "Add") return Op::Add;
  if (op == "Mul") return Op::Mul;
  if (op == "Sub") return constant_first ? Op::ReverseSub : Op::Sub;
  if (op == "Div") return constant_first ? Op::ReverseDiv : Op::Div;
  if (op == "Pow" && !constant_first) return Op::Pow;
  return std::nullopt;
}

Result<exact::ReadoutStep> step_of(const nn::Node& node, Context& ctx) {
  const bool first = get_bool(node.attributes, "constant_first", false);
  const auto op = step_op(node.op, first);
  if (!op)
    return ctx.fail(Kind::LayerUnsupported, node.origin,
                    "constants that differ to the power of a tensor; one is supported");
  WEFT_TRY(const FloatTensor constant, parameter_values(node, "constant", ctx));
  WEFT_TRY(auto operands, channel_operands(node, constant, ctx));
  return exact::ReadoutStep{*op, std::move(operands)};
}

/// c^x of one constant c is a function of x.
std::optional<quantizers::Spec> power_of(const nn::Node& node) {
  if (node.op != "Pow" || node.inputs.size() != 1 || !get_bool(node.attributes, "constant_first", false))
    return std::nullopt;
  const auto& values = node.parameters.at("constant").values;
  if (values.size() != 1) return std::nullopt;
  return quantizers::Spec{"power", {{"base", static_cast<double>(values.data[0])}}};
}

Result<Shape> shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  const Shape& a = graph.at(node.inputs[0]).shape;
  const bool constant = node.parameters.count("constant") != 0;
  if (constant == (node.inputs.size() == 2))
    return ctx.fail(Kind::ModelMalformed, node.origin,
                    "the operator needs either two tensors or one tensor and a constant");
  const Shape& b = constant ? node.parameters.at("constant").values.shape : graph.at(node.inputs[1]).shape;
  const auto out = tensor::broadcast(a, b);
  if (!out.ok || (constant && out.shape != a))
    return ctx.fail(Kind::ShapeMismatch, node.origin,
                    fmt::format("shapes {} and {} do not broadcast", weft::to_string(a), weft::to_string(b)));
  return out.shape;
}

Result<void> evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  auto& y = run.output(node);
  const Shape& out = run.graph().at(node.outputs[0]).shape;
  if (node.inputs.size() == 1) {
    y = run.input(node, 0);
    if (const auto power = power_of(node)) {
      WEFT_TRY(const auto function, quantizers::make(*power, node.origin, ctx));
      for (auto& v : y) v = function->apply(v, 0);
      return {};
    }
    WEFT_TRY(const auto step, step_of(node, ctx));
    evaluate_steps({step}, y, out.empty() ? 1 : static_cast<std::size_t>(out.back()));
    return {};
  }
  const Shape& a = run.graph().at(node.inputs[0]).shape;
  const Shape& b = run.graph().at(node.inputs[1]).shape;
  const auto n = static_cast<std::size_t>(element_count(out));
  const auto na = static_cast<std::size_t>(element_count(a));
  const auto nb = static_cast<std::size_t>(element_count(b));
  for (std::size_t i = 0; i < y.size(); ++i) {
    const float u = run.input(node, 0)[i / n * na + tensor::broadcast_index(a, out, i % n)];
    const float v = run.input(node, 1)[i / n * nb + tensor::broadcast_index(b, out, i % n)];
    if (node.op == "Add")
      y[i] = u + v;
    else if (node.op == "Sub")
      y[i] = u - v;
    else if (node.op == "Mul")
      y[i] = u * v;
    else if (node.op == "Div")
      y[i] = u / v;
    else
      y[i] = std::pow(u, v);
  }
  return {};
}

/// Range of a quotient or power in real numbers, for a type by default.
std::pair<double, double> reach_of(const nn::Node& node, const exact::Value& a, const exact::Value& b) {
  const fixed::Range x = channel_range(a, 0, 1);
  const fixed::Range y = channel_range(b, 0, 1);
  const double u = fixed::to_double(a.scale.at(0));
  const double v = fixed::to_double(b.scale.at(0));
  const double most = u * static_cast<double>(std::max(x.hi, -x.lo));
  if (node.op == "Pow") return {0.0, std::pow(std::max(most, 1.0), std::max(v * static_cast<double>(y.hi), 1.0))};
  const Int least = y.lo > 0 ? y.lo : y.hi < 0 ? -y.hi : Int{1};
  const double end = most / (v * static_cast<double>(least));
  return {x.lo < 0 || y.lo < 0 ? -end : 0.0, end};
}

/// Quotients and powers need a result type: the user's, or the default one.
Result<void> lower_composed(const nn::Node& node, Recipe& recipe, exact::ValueId a, exact::ValueId b, Context& ctx) {
  WEFT_TRY(a, on_one_scale(node, recipe, a));
  WEFT_TRY(b, on_one_scale(node, recipe, b));
  const auto [lo, hi] = reach_of(node, recipe.value(a), recipe.value(b));
  const auto type = recipe.policy().result(node).value_or(recipe.policy().default_result(node, lo, hi));
  WEFT_TRY(const Composed made,
           node.op == "Div" ? add_quotient(node, recipe, a, b, type, ctx) : add_power(node, recipe, a, b, type, ctx));
  recipe.weaken(node, Word::Quantized, made.note);
  Symbol out;
  out.layer = node.name;
  out.value = made.value;
  return recipe.set_output(node, std::move(out));
}

/// Two tensors: their codes meet on one grid.
Result<void> lower_two(const nn::Node& node, Recipe& recipe, Context& ctx) {
  WEFT_TRY(const auto a, recipe.codes(node, Symbol(recipe.input(node, 0)), false));
  WEFT_TRY(const auto b, recipe.codes(node, Symbol(recipe.input(node, 1)), false));
  if (node.op == "Div" || node.op == "Pow") return lower_composed(node, recipe, a.value, b.value, ctx);
  const Scale sa = recipe.value(a.value).scale;
  const Scale sb = recipe.value(b.value).scale;
  Symbol out;
  out.layer = node.name;
  if (node.op == "Mul") {
    Scale product = sa.per_tensor() ? sb : sa;
    for (std::size_t c = 0; c < product.factors.size(); ++c) product.factors[c] = sa.at(c) * sb.at(c);
    WEFT_TRY(out.value, recipe.add(node.name, exact::Mul{a.value, b.value}, std::move(product), node.origin));
  } else {
    const auto ratio = sa.per_tensor() && sb.per_tensor() ? fixed::log2_exact(sa.at(0) / sb.at(0)) : std::nullopt;
    exact::ValueId x = a.value;
    exact::ValueId y = b.value;
    Scale scale = ratio.value_or(0) >= 0 ? sb : sa;
    if (!ratio) {
      WEFT_TRY(Aligned both, align(node, recipe, {x, y}, ctx));
      x = both.values[0];
      y = both.values[1];
      scale = std::move(both.scale);
    }
    const int shift_a = std::max(ratio.value_or(0), 0);
    const int shift_b = std::max(-ratio.value_or(0), 0);
    if (node.op == "Add") {
      WEFT_TRY(out.value, recipe.add(node.name, exact::Add{x, y, shift_a, shift_b}, scale, node.origin));
    } else {
      WEFT_TRY(out.value, recipe.add(node.name, exact::Sub{x, y, shift_a, shift_b}, scale, node.origin));
    }
  }
  // One float32 operation rounds when its result needs more than 24 bits.
  const auto& v = recipe.value(out.value);
  double bound = 0.0;
  for (std::size_t i = 0; i < v.ranges.size(); ++i) {
    const auto& r = v.ranges[i];
    const Int largest = std::max(r.hi, -r.lo);
    const Rational& unit = v.scale.of(i);
    if (!fixed::log2_exact(unit) || fixed::floor_shift(largest, r.step_log2) >= (Int{1} << 24))
      bound = std::max(bound, fixed::to_double(unit) * static_cast<double>(largest) * 0x1p-22);
  }
  if (bound > 0.0) {
    out.order_bound = {bound};
    out.sum_layer = node.name;
  }
  return recipe.set_output(node, std::move(out));
}

Result<void> lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  if (node.inputs.size() == 2) return lower_two(node, recipe, ctx);
  if (const auto power = power_of(node)) {
    WEFT_TRY(Symbol out, recipe.apply(node, recipe.input(node), *power));
    return recipe.set_output(node, std::move(out));
  }
  WEFT_TRY(const auto step, step_of(node, ctx));
  return lower_steps(node, recipe, {step});
}

Layer row(std::string_view op, std::string_view summary) {
  return {.op = op,
          .summary = summary,
          .attributes = {"constant_first"},
          .required_parameters = {},
          .optional_parameters = {"constant"},
          .functions = {},
          .min_inputs = 1,
          .max_inputs = 2,
          .infer_shape = shape,
          .evaluate = evaluate,
          .lower = lower,
          .macs = no_macs};
}

}  // namespace

Layer add_layer() { return row("Add", "sum of two tensors or with a constant"); }
Layer sub_layer() { return row("Sub", "difference of two tensors or with a constant"); }
Layer mul_layer() { return row("Mul", "product of two tensors or with a constant"); }
Layer div_layer() { return row("Div", "quotient of two tensors or with a constant"); }
Layer pow_layer() { return row("Pow", "power of two tensors or with a constant"); }

}  // namespace weft::layers
