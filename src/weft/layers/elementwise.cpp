// SPDX-License-Identifier: Apache-2.0
// Add, Sub, Mul, Div, Pow: with a constant (a float32 step) or of two tensors (Add, Sub, Mul).
#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "weft/layers/layer_rows.h"
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
  if (!op) return ctx.fail(Kind::LayerUnsupported, node.origin, "a constant to the power of a tensor is not supported");
  WEFT_TRY(const FloatTensor constant, parameter_values(node, "constant", ctx));
  WEFT_TRY(auto operands, channel_operands(node, constant, ctx));
  return exact::ReadoutStep{*op, std::move(operands)};
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
    WEFT_TRY(const auto step, step_of(node, ctx));
    y = run.input(node, 0);
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

/// Two tensors: their codes meet on one grid when the scales differ by powers of two.
Result<void> lower_two(const nn::Node& node, Recipe& recipe, Context& ctx) {
  if (node.op == "Div" || node.op == "Pow")
    return ctx.fail(Kind::LayerUnsupported, node.origin,
                    fmt::format("{} of two tensors is not supported; only by a constant", node.op));
  WEFT_TRY(const auto a, recipe.codes(node, Symbol(recipe.input(node, 0)), false));
  WEFT_TRY(const auto b, recipe.codes(node, Symbol(recipe.input(node, 1)), false));
  const Scale sa = recipe.value(a.value).scale;
  const Scale sb = recipe.value(b.value).scale;
  Symbol out;
  out.layer = node.name;
  if (node.op == "Mul") {
    if (!sa.per_tensor() || !sb.per_tensor())
      return ctx.fail(Kind::LoweringUnsupported, node.origin,
                      "a product of tensors with one scale per channel; give the layers in front result types");
    WEFT_TRY(out.value, recipe.add(node.name, exact::Mul{a.value, b.value}, Scale(sa.at(0) * sb.at(0)), node.origin));
  } else {
    const auto ratio = sa.per_tensor() && sb.per_tensor() ? fixed::log2_exact(sa.at(0) / sb.at(0)) : std::nullopt;
    if (!ratio)
      return ctx.fail(Kind::LoweringUnsupported, node.origin,
                      "the scales of the two tensors differ by something else than a power of two; give the layers in "
                      "front result types");
    const int shift_a = std::max(*ratio, 0);
    const int shift_b = std::max(-*ratio, 0);
    const Scale scale = *ratio >= 0 ? sb : sa;
    if (node.op == "Add") {
      WEFT_TRY(out.value, recipe.add(node.name, exact::Add{a.value, b.value, shift_a, shift_b}, scale, node.origin));
    } else {
      WEFT_TRY(out.value, recipe.add(node.name, exact::Sub{a.value, b.value, shift_a, shift_b}, scale, node.origin));
    }
  }
  // One float32 operation rounds when its result needs more than 24 bits.
  const auto& v = recipe.value(out.value);
  double bound = 0.0;
  for (std::size_t i = 0; i < v.ranges.size(); ++i) {
    const auto& r = v.ranges[i];
    const Int largest = std::max(r.hi, -r.lo);
    const Rational& unit = v.scale.at(v.shape.empty() ? 0 : i % static_cast<std::size_t>(v.shape.back()));
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
Layer div_layer() { return row("Div", "quotient with a constant"); }
Layer pow_layer() { return row("Pow", "constant power"); }

}  // namespace weft::layers
