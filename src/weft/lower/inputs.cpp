// SPDX-License-Identifier: Apache-2.0
#include "weft/lower/inputs.h"

#include <fmt/format.h>

#include <algorithm>

#include "weft/lower/policy.h"

namespace weft::lower {
namespace {

/// Quantizer nodes that every path from the input reaches through data movement only; empty when some path does not.
std::vector<const nn::Node*> quantizers_behind(const nn::Graph& graph, nn::TensorId input) {
  std::vector<const nn::Node*> found;
  std::vector<nn::TensorId> open{input};
  while (!open.empty()) {
    const auto id = open.back();
    open.pop_back();
    for (const auto& port : graph.outputs)
      if (port.tensor == id) return {};
    const auto consumers = graph.consumers(id);
    if (consumers.empty()) return {};
    for (const auto* node : consumers) {
      if (node->op == "Identity" || node->op == "Reshape" || node->op == "Permute") {
        open.push_back(node->outputs[0]);
        continue;
      }
      const auto function = node->functions.find("activation");
      if (node->op != "Activation" || function == node->functions.end()) return {};
      const auto* family = quantizers::find_family(function->second.family);
      if (family == nullptr || !family->is_quantizer) return {};
      found.push_back(node);
    }
  }
  for (const auto* node : found)
    if (node->functions.at("activation") != found[0]->functions.at("activation")) return {};
  return found;
}

/// The rows of the tables that alone read this tensor as indices.
std::optional<std::int64_t> table_rows_behind(const nn::Graph& graph, nn::TensorId tensor) {
  std::optional<std::int64_t> rows;
  std::vector<nn::TensorId> open{tensor};
  while (!open.empty()) {
    const auto id = open.back();
    open.pop_back();
    for (const auto& port : graph.outputs)
      if (port.tensor == id) return std::nullopt;
    for (const auto* node : graph.consumers(id)) {
      if (node->op == "Identity" || node->op == "Reshape" || node->op == "Permute" || node->op == "Slice" ||
          node->op == "Take") {
        open.push_back(node->outputs[0]);
        continue;
      }
      const auto table = node->parameters.find("table");
      if (node->op != "Embedding" || table == node->parameters.end() || table->second.values.shape.empty())
        return std::nullopt;
      rows = std::max(rows.value_or(0), table->second.values.shape[0]);
    }
  }
  return rows;
}

fixed::Rounding qonnx_rounding(std::string mode) {
  std::transform(mode.begin(), mode.end(), mode.begin(),
                 [](unsigned char c) { return static_cast<char>(std::toupper(c)); });
  if (mode == "CEIL") return fixed::Rounding::Ceil;
  if (mode == "FLOOR") return fixed::Rounding::Trn;
  if (mode == "UP") return fixed::Rounding::Up;
  if (mode == "DOWN") return fixed::Rounding::TrnZero;
  if (mode == "HALF_UP") return fixed::Rounding::RndInf;
  if (mode == "HALF_DOWN") return fixed::Rounding::RndZero;
  return fixed::Rounding::RndConv;
}

/// The conversion that is this quantizer's own function, when there is one.
Result<std::optional<InputType>> from_quantizer(const quantizers::Spec& spec, const Origin& origin, Context& ctx) {
  WEFT_TRY(const auto function, quantizers::make(spec, origin, ctx));
  const auto set = function->outputs();
  if (!set || function->channels() != 1 || !set->scale.per_tensor()) return std::optional<InputType>{};
  InputType out;
  out.rule = "model";
  out.scale = set->scale;
  out.range = set->range;
  if (set->type) {
    out.conversion = {
        .form = exact::InputConversion::Form::Fixed, .type = *set->type, .lo = set->range.lo, .hi = set->range.hi};
    return std::optional(out);
  }
  if (spec.family == "qonnx_quant") {
    const auto scales = get_doubles(spec.parameters, "scale");
    const auto zeros = get_doubles(spec.parameters, "zero_point");
    const double bits = get_double(spec.parameters, "bits", 8);
    const bool is_signed = get_bool(spec.parameters, "signed", true);
    if (bits == 1 && is_signed) return std::optional<InputType>{};
    const float zero = zeros.empty() ? 0.0F : static_cast<float>(zeros[0]);
    const Int shift = static_cast<Int>(zero);
    out.conversion = {.form = exact::InputConversion::Form::Affine,
                      .type = {},
                      .scale = static_cast<float>(scales.at(0)),
                      .zero_point = zero,
                      .lo = set->range.lo + shift,
                      .hi = set->range.hi + shift,
                      .rounding = qonnx_rounding(get_string(spec.parameters, "rounding", "ROUND"))};
    if (static_cast<float>(shift) != zero) return std::optional<InputType>{};
    return std::optional(out);
  }
  if (spec.family == "tflite_quantize") {
    out.conversion = {.form = exact::InputConversion::Form::Affine,
                      .type = {},
                      .scale = static_cast<float>(get_double(spec.parameters, "scale", 1.0)),
                      .zero_point = 0.0F,
                      .lo = set->range.lo,
                      .hi = set->range.hi,
                      .rounding = fixed::Rounding::RndInf,
                      .round_first = true};
    return std::optional(out);
  }
  if (spec.family == "bipolar_quant") {
    out.conversion = {.form = exact::InputConversion::Form::Bipolar};
    return std::optional(out);
  }
  return std::optional<InputType>{};
}

InputType from_spec(const fixed::TypeSpec& spec, std::string rule) {
  InputType out;
  out.rule = std::move(rule);
  if (spec.form == fixed::TypeSpec::Form::Bipolar) {
    out.conversion = {.form = exact::InputConversion::Form::Bipolar, .lo = -1, .hi = 1};
    out.range = {-1, 1, 0};
    return out;
  }
  out.scale = Scale(fixed::pow2(-spec.fixed.frac_bits()));
  out.range = {fixed::min_code(spec.fixed), fixed::max_code(spec.fixed), 0};
  if (spec.form == fixed::TypeSpec::Form::Ternary) out.range = {-1, 1, 0};
  out.conversion = {
      .form = exact::InputConversion::Form::Fixed, .type = spec.fixed, .lo = out.range.lo, .hi = out.range.hi};
  return out;
}

}  // namespace

Result<InputType> input_type(const nn::Graph& graph, const nn::GraphPort& port, std::size_t index,
                             const Options& options, Context& ctx) {
  const Origin origin{.file = graph.file, .tensor = port.name};
  for (const auto& key : {port.name, std::string()})
    if (const auto it = options.input_types.find(key);
        it != options.input_types.end() && it->second.form != fixed::TypeSpec::Form::Auto)
      return from_spec(it->second, "option");
  if (const auto rows = table_rows_behind(graph, port.tensor)) {
    fixed::FixedType type{1, 1, false};
    while ((std::int64_t{1} << type.width_bits) < *rows) ++type.width_bits;
    type.integer_bits = type.width_bits;
    return from_spec({fixed::TypeSpec::Form::Fixed, type, true}, "model");
  }
  const auto nodes = quantizers_behind(graph, port.tensor);
  if (!nodes.empty()) {
    WEFT_TRY(auto own, from_quantizer(nodes[0]->functions.at("activation"), nodes[0]->origin, ctx));
    if (own) {
      for (const auto* node : nodes) own->nodes.push_back(node->name);
      return std::move(*own);
    }
  }
  if (const auto it = options.config.layer_name.find(port.name); it != options.config.layer_name.end())
    for (const auto* role : {"result", "default"})
      if (const auto p = it->second.precision.find(role);
          p != it->second.precision.end() && p->second.form != fixed::TypeSpec::Form::Auto)
        return from_spec(p->second, "configuration");
  if (const auto p = options.config.model.precision.find("default"); p != options.config.model.precision.end())
    return from_spec(p->second, "configuration");
  if (options.calibration) {
    const auto& data = options.calibration->inputs.at(index);
    const auto [lo, hi] = std::minmax_element(data.begin(), data.end());
    if (lo != data.end())
      return from_spec(
          {fixed::TypeSpec::Form::Fixed, type_for_range(*lo, *hi, options.default_type.width_bits, true), true},
          "calibration");
  }
  ctx.report(Kind::InputTypeAssumed, origin,
             fmt::format("no type is known for input `{}`: {} is taken; give --input-type or --calibrate", port.name,
                         fixed::to_string(options.default_type)));
  return from_spec({fixed::TypeSpec::Form::Fixed, options.default_type, true}, "default");
}

}  // namespace weft::lower
