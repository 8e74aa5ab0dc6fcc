// SPDX-License-Identifier: Apache-2.0
// IntegerAdd and IntegerMul of two tensors, or one and a constant; IntegerRescale to another scale and range;
// IntegerTable: any function of a code.
#include <fmt/format.h>

#include <algorithm>

#include "weft/layers/integer_parts.h"
#include "weft/layers/integer_rows.h"
#include "weft/layers/layer_rows.h"

namespace weft::layers {
namespace {

constexpr std::string_view kPreShift = "pre_shift";
constexpr std::string_view kSubtract = "subtract";
constexpr std::string_view kConstantFirst = "constant_first";
constexpr std::string_view kTable = "table";
constexpr std::string_view kFirst = "first";

bool is_add(const nn::Node& node) { return node.op == "IntegerAdd"; }
bool has_constant(const nn::Node& node) { return node.parameters.count("constant") != 0; }
bool constant_first(const nn::Node& node) {
  return has_constant(node) && get_bool(node.attributes, std::string(kConstantFirst), false);
}

/// IntegerAdd: multipliers of both operands, then of the sum; IntegerMul: of the product.
struct Binary {
  IntegerSpec spec;
  Rescale operand[2];
  Rescale result;
  bool subtract = false;
};

Result<Binary> binary_of(const nn::Node& node, Context& ctx) {
  Binary out;
  WEFT_TRY(out.spec, integer_spec(node, is_add(node) ? 3 : 1, 0, ctx));
  if (node.inputs.size() + (has_constant(node) ? 1 : 0) != 2)
    return ctx.fail(Kind::ModelMalformed, node.origin, "two operands are needed");
  const auto pre_shift = get_int(node.attributes, std::string(kPreShift), 0);
  if (pre_shift < 0 || pre_shift > 24)
    return ctx.fail(Kind::ModelMalformed, node.origin, "`pre_shift` is out of range");
  out.subtract = get_bool(node.attributes, std::string(kSubtract), false);
  constexpr Int kWhole = Int{1} << 31;
  for (std::size_t i = 0; is_add(node) && i < 2; ++i)
    out.operand[i] = {{out.spec.multipliers[i]}, false, static_cast<int>(pre_shift), -kWhole, kWhole - 1};
  out.result = {{out.spec.multipliers.back()}, false, 0, out.spec.lo, out.spec.hi};
  return out;
}

Result<Shape> binary_shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  WEFT_TRY(const auto binary, binary_of(node, ctx));
  if (has_constant(node)) WEFT_TRY_VOID(integer_codes_of(node, "constant", ctx));
  const Shape& a = graph.at(node.inputs[0]).shape;
  const Shape& b = has_constant(node) ? node.parameters.at("constant").values.shape : graph.at(node.inputs[1]).shape;
  const auto joined = tensor::broadcast(a, b);
  if (!joined.ok)
    return ctx.fail(Kind::ShapeMismatch, node.origin,
                    fmt::format("shapes {} and {} do not broadcast", weft::to_string(a), weft::to_string(b)));
  return joined.shape;
}

Result<void> binary_evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  WEFT_TRY(const auto binary, binary_of(node, ctx));
  struct Operand {
    std::vector<std::int64_t> codes;
    Shape shape;
    std::size_t per_sample = 0;
  };
  std::vector<Operand> operands;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    const Shape& s = run.graph().at(node.inputs[i]).shape;
    operands.push_back(
        {integer_codes(run.input(node, i), binary.spec.scales[i]), s, static_cast<std::size_t>(element_count(s))});
  }
  if (has_constant(node)) {
    WEFT_TRY(const IntTensor* codes, integer_codes_of(node, "constant", ctx));
    operands.insert(constant_first(node) ? operands.begin() : operands.end(), {codes->data, codes->shape, 0});
  }
  const Shape& to = run.graph().at(node.outputs[0]).shape;
  auto& y = run.output(node);
  const auto size = static_cast<std::size_t>(element_count(to));
  std::vector<std::int64_t> codes(y.size());
  for (std::size_t i = 0; i < y.size(); ++i) {
    Int value[2];
    for (std::size_t k = 0; k < 2; ++k) {
      const auto& o = operands[k];
      const Int code = o.codes[i / size * o.per_sample + tensor::broadcast_index(o.shape, to, i % size)];
      value[k] = is_add(node) ? rescale(code, binary.operand[k], 0) : code;
    }
    const Int joined = !is_add(node)     ? value[0] * value[1]
                       : binary.subtract ? value[0] - value[1]
                                         : value[0] + value[1];
    codes[i] = static_cast<std::int64_t>(rescale(joined, binary.result, 0));
  }
  set_codes(y, codes, binary.spec.scale);
  return {};
}

Result<void> binary_lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  WEFT_TRY(const auto binary, binary_of(node, ctx));
  std::vector<exact::ValueId> operands;
  for (std::size_t i = 0; i < node.inputs.size(); ++i) {
    WEFT_TRY(const auto x, integer_input(node, recipe, i, binary.spec.scales[i], ctx));
    operands.push_back(x);
  }
  if (has_constant(node)) {
    WEFT_TRY(const IntTensor* codes, integer_codes_of(node, "constant", ctx));
    std::vector<Int> data(codes->data.begin(), codes->data.end());
    const std::size_t k = constant_first(node) ? 0 : 1;
    // What becomes of a constant is known now.
    if (is_add(node))
      for (auto& code : data) code = rescale(code, binary.operand[k], 0);
    WEFT_TRY(const auto value, constant(recipe, node, node.name + "_constant", std::move(data), codes->shape));
    operands.insert(operands.begin() + static_cast<std::ptrdiff_t>(k), value);
  }
  for (std::size_t k = 0; is_add(node) && k < 2; ++k) {
    if (has_constant(node) && k == (constant_first(node) ? 0 : 1)) continue;
    WEFT_TRY(operands[k],
             rescaled(recipe, node, node.name + (k == 0 ? "_a" : "_b"), operands[k], binary.operand[k], Scale()));
  }
  exact::Primitive joined = exact::Mul{operands[0], operands[1]};
  if (is_add(node) && binary.subtract)
    joined = exact::Sub{operands[0], operands[1], 0, 0};
  else if (is_add(node))
    joined = exact::Add{operands[0], operands[1], 0, 0};
  WEFT_TRY(const auto sum, recipe.add(node.name + "_joined", std::move(joined), Scale(), node.origin));
  WEFT_TRY(const auto y, rescaled(recipe, node, node.name, sum, binary.result, Scale()));
  return set_integer_output(node, recipe, y);
}

// --- one operand

Result<Shape> rescale_shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  WEFT_TRY_VOID(integer_spec(node, 1, 0, ctx));
  return same_shape(graph, node, ctx);
}

Result<void> rescale_evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  WEFT_TRY(const auto spec, integer_spec(node, 1, 0, ctx));
  const Rescale r{spec.multipliers, false, 0, spec.lo, spec.hi};
  auto codes = integer_codes(run.input(node, 0), spec.scales[0]);
  for (auto& code : codes) code = static_cast<std::int64_t>(rescale(code, r, 0));
  set_codes(run.output(node), codes, spec.scale);
  return {};
}

Result<void> rescale_lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  WEFT_TRY(const auto spec, integer_spec(node, 1, 0, ctx));
  WEFT_TRY(const auto x, integer_input(node, recipe, 0, spec.scales[0], ctx));
  WEFT_TRY(const auto y, rescaled(recipe, node, node.name, x, {spec.multipliers, false, 0, spec.lo, spec.hi}, Scale()));
  return set_integer_output(node, recipe, y);
}

struct TableSpec {
  IntegerSpec spec;
  std::vector<std::int64_t> table;
  Int first = 0;

  [[nodiscard]] Int operator()(Int code) const {
    const Int last = first + static_cast<Int>(table.size()) - 1;
    return table[static_cast<std::size_t>(std::clamp(code, first, last) - first)];
  }
};

Result<TableSpec> table_of(const nn::Node& node, Context& ctx) {
  TableSpec out;
  WEFT_TRY(out.spec, integer_spec(node, ctx));
  out.table = get_ints(node.attributes, std::string(kTable));
  out.first = get_int(node.attributes, std::string(kFirst), 0);
  if (out.table.empty() || out.table.size() > (std::size_t{1} << 17))
    return ctx.fail(Kind::ModelMalformed, node.origin, "`table` is empty or has more than 17 bits");
  return out;
}

Result<Shape> table_shape(const nn::Graph& graph, const nn::Node& node, Context& ctx) {
  WEFT_TRY_VOID(table_of(node, ctx));
  return same_shape(graph, node, ctx);
}

Result<void> table_evaluate(const nn::Node& node, FloatRun& run, Context& ctx) {
  WEFT_TRY(const auto table, table_of(node, ctx));
  auto codes = integer_codes(run.input(node, 0), table.spec.scales[0]);
  for (auto& code : codes) code = static_cast<std::int64_t>(table(code));
  set_codes(run.output(node), codes, table.spec.scale);
  return {};
}

Result<void> table_lower(const nn::Node& node, Recipe& recipe, Context& ctx) {
  WEFT_TRY(const auto table, table_of(node, ctx));
  WEFT_TRY(const auto x, integer_input(node, recipe, 0, table.spec.scales[0], ctx));
  WEFT_TRY(const auto y, tabulated(recipe, node, node.name, x, [&](Int c) { return table(c); }, Scale(), ctx));
  return set_integer_output(node, recipe, y);
}

}  // namespace

Layer integer_add_layer() {
  return {.op = "IntegerAdd",
          .summary = "sum or difference of integer codes with TensorFlow Lite's rescaling",
          .attributes = {kScales, kScale, kLo, kHi, kMultipliers, kShifts, kPreShift, kSubtract, kConstantFirst},
          .required_parameters = {},
          .optional_parameters = {"constant"},
          .functions = {},
          .min_inputs = 1,
          .max_inputs = 2,
          .infer_shape = binary_shape,
          .evaluate = binary_evaluate,
          .lower = binary_lower,
          .macs = no_macs};
}
Layer integer_mul_layer() {
  return {.op = "IntegerMul",
          .summary = "product of integer codes with TensorFlow Lite's rescaling",
          .attributes = {kScales, kScale, kLo, kHi, kMultipliers, kShifts, kConstantFirst},
          .required_parameters = {},
          .optional_parameters = {"constant"},
          .functions = {},
          .min_inputs = 1,
          .max_inputs = 2,
          .infer_shape = binary_shape,
          .evaluate = binary_evaluate,
          .lower = binary_lower,
          .macs = no_macs};
}
Layer integer_rescale_layer() {
  return {.op = "IntegerRescale",
          .summary = "integer codes at another scale, zero point and range",
          .attributes = {kScales, kScale, kLo, kHi, kMultipliers, kShifts},
          .required_parameters = {},
          .optional_parameters = {},
          .functions = {},
          .infer_shape = rescale_shape,
          .evaluate = rescale_evaluate,
          .lower = rescale_lower,
          .macs = no_macs};
}
Layer integer_table_layer() {
  return {.op = "IntegerTable",
          .summary = "a table of every integer code",
          .attributes = {kScales, kScale, kTable, kFirst},
          .required_parameters = {},
          .optional_parameters = {},
          .functions = {},
          .infer_shape = table_shape,
          .evaluate = table_evaluate,
          .lower = table_lower,
          .macs = no_macs};
}

}  // namespace weft::layers
