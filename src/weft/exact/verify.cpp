// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <unordered_set>

#include "weft/exact/graph.h"
#include "weft/exact/infer.h"

namespace weft::exact {
namespace {

using fixed::Range;

bool is_legal_name(const std::string& name) {
  const auto letter = [](char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); };
  if (name.empty() || !letter(name.front())) return false;
  for (const char c : name) {
    if (!letter(c) && !(c >= '0' && c <= '9') && c != '_') return false;
  }
  return true;
}

/// At least one code lies in the range and on its grid.
bool is_sound(const Range& range) {
  if (range.lo > range.hi || range.step_log2 < 0 || range.step_log2 > 126) return false;
  return (fixed::floor_shift(range.hi, range.step_log2) << range.step_log2) >= range.lo;
}

int known_zeros(const Range& range) { return range.lo == range.hi ? fixed::trailing_zeros(range.lo) : range.step_log2; }

bool contains(const Range& outer, const Range& inner) {
  return outer.lo <= inner.lo && inner.hi <= outer.hi && known_zeros(inner) >= outer.step_log2;
}

std::string to_string(const Range& range) {
  return fmt::format("[{}, {}] step 2^{}", fixed::to_string(range.lo), fixed::to_string(range.hi), range.step_log2);
}

/// One for all, one per index of the last axis, or one per element.
bool fits(std::size_t count, const Shape& shape) {
  return count == 1 || (!shape.empty() && count == static_cast<std::size_t>(shape.back())) ||
         count == static_cast<std::size_t>(element_count(shape));
}

std::string verify_value(const Graph& graph, std::size_t index) {
  const Value& value = graph.values[index];
  if (!is_legal_name(value.name)) return "the name is not legal";
  for (const ValueId id : operands(value.primitive)) {
    if (id.index >= index) return "an operand does not stand before it";
  }
  const auto shape = shape_rule(graph, value);
  if (!shape.error.empty()) return shape.error;
  if (shape.shape != value.shape) {
    return fmt::format("shape {} is stored, {} follows", weft::to_string(value.shape), weft::to_string(shape.shape));
  }
  if (value.ranges.size() != static_cast<std::size_t>(element_count(value.shape))) {
    return fmt::format("{} ranges for shape {}", value.ranges.size(), weft::to_string(value.shape));
  }
  if (!fits(value.scale.factors.size(), value.shape)) {
    return fmt::format("{} scale factors for shape {}", value.scale.factors.size(), weft::to_string(value.shape));
  }
  for (const auto& factor : value.scale.factors) {
    if (factor <= 0) return "a scale factor is not positive";
  }
  for (const auto& range : value.ranges) {
    if (!is_sound(range)) return fmt::format("range {} holds no code", to_string(range));
  }
  diag::Engine engine;
  Context ctx{engine};
  const auto inferred = infer_ranges(graph, value, ctx);
  if (!inferred) return engine.all().back().message;
  for (std::size_t i = 0; i < value.ranges.size(); ++i) {
    if (!contains(value.ranges[i], (*inferred)[i])) {
      return fmt::format("element {}: stored range {} does not contain {}", i, to_string(value.ranges[i]),
                         to_string((*inferred)[i]));
    }
  }
  return {};
}

std::string verify_steps(const std::vector<ReadoutStep>& steps, const Shape& shape) {
  for (const auto& step : steps) {
    if (!fits(step.operands.size(), shape)) {
      return fmt::format("{} readout operands for shape {}", step.operands.size(), weft::to_string(shape));
    }
  }
  return {};
}

std::string verify_inputs(const Graph& graph) {
  std::vector<bool> bound(graph.values.size(), false);
  for (const auto& input : graph.inputs) {
    if (input.value.index >= graph.values.size())
      return fmt::format("input `{}`: the value does not exist", input.name);
    const Value& value = graph.at(input.value);
    if (!std::holds_alternative<Input>(value.primitive) || bound[input.value.index]) {
      return fmt::format("input `{}`: `{}` is not an input of its own", input.name, value.name);
    }
    bound[input.value.index] = true;
    const auto codes = conversion_range(input.conversion);
    if (!codes) return fmt::format("input `{}`: the conversion is out of bounds", input.name);
    for (std::size_t i = 0; i < value.ranges.size(); ++i) {
      if (!contains(value.ranges[i], *codes)) {
        return fmt::format("input `{}`: element {}: stored range {} does not contain {}", input.name, i,
                           to_string(value.ranges[i]), to_string(*codes));
      }
    }
  }
  for (std::size_t i = 0; i < graph.values.size(); ++i) {
    if (std::holds_alternative<Input>(graph.values[i].primitive) && !bound[i]) {
      return fmt::format("value `{}` is an input that the graph does not list", graph.values[i].name);
    }
  }
  return {};
}

}  // namespace

std::string verify(const Graph& graph) {
  std::unordered_set<std::string> names;
  for (std::size_t i = 0; i < graph.values.size(); ++i) {
    const Value& value = graph.values[i];
    std::string error = verify_value(graph, i);
    if (error.empty() && !names.insert(value.name).second) error = "the name is taken";
    if (!error.empty()) return fmt::format("value `{}` ({}): {}", value.name, name_of(value.primitive), error);
  }
  if (auto error = verify_inputs(graph); !error.empty()) return error;
  for (const auto& output : graph.outputs) {
    if (output.value.index >= graph.values.size())
      return fmt::format("output `{}`: the value does not exist", output.name);
    const auto error = verify_steps(output.steps, graph.at(output.value).shape);
    if (!error.empty()) return fmt::format("output `{}`: {}", output.name, error);
  }
  for (const auto& probe : graph.probes) {
    if (!probe.value) continue;
    if (probe.value->index >= graph.values.size())
      return fmt::format("probe `{}`: the value does not exist", probe.layer);
    const auto error = verify_steps(probe.steps, graph.at(*probe.value).shape);
    if (!error.empty()) return fmt::format("probe `{}`: {}", probe.layer, error);
  }
  return {};
}

}  // namespace weft::exact
