// SPDX-License-Identifier: Apache-2.0
#include "weft/layers/recipe.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <cmath>

#include "weft/fixed/quantize.h"
#include "weft/layers/float_run.h"
#include "weft/layers/steps.h"

namespace weft::layers {
namespace {

bool only_arithmetic(const std::vector<Step>& steps) {
  return std::all_of(steps.begin(), steps.end(),
                     [](const Step& s) { return std::holds_alternative<exact::ReadoutStep>(s); });
}

std::vector<exact::ReadoutStep> arithmetic(const std::vector<Step>& steps) {
  std::vector<exact::ReadoutStep> out;
  for (const auto& s : steps) out.push_back(std::get<exact::ReadoutStep>(s));
  return out;
}

}  // namespace

std::string_view to_string(Word word) {
  switch (word) {
    case Word::Exact:
      return "exact";
    case Word::FloatOrder:
      return "float-order";
    case Word::Quantized:
      return "quantized";
  }
  return "quantized";
}

Recipe::Recipe(const nn::Graph& source, const TypePolicy& policy, Context& ctx)
    : source_(source), policy_(policy), ctx_(ctx), symbols_(source.tensors.size()) {
  graph_.name = source.name;
}

const Symbol& Recipe::symbol(nn::TensorId id) const {
  WEFT_CHECK(symbols_[id.index].has_value(), "a tensor is used before it is lowered");
  return *symbols_[id.index];
}

void Recipe::set(nn::TensorId id, Symbol symbol) { symbols_[id.index] = std::move(symbol); }

bool Recipe::is_graph_output(nn::TensorId id) const {
  return std::any_of(source_.outputs.begin(), source_.outputs.end(),
                     [&](const auto& port) { return port.tensor == id; });
}

Result<void> Recipe::set_output(const nn::Node& node, Symbol symbol) {
  certificate(node.name, node.op);
  if (const auto type = policy_.result(node)) {
    auto typed = cast(node, symbol, *type);
    if (!typed) return diag::failure;
    symbol = std::move(*typed);
  }
  symbol.layer = node.name;
  exact::Probe probe{.layer = node.name, .value = std::nullopt, .steps = {}, .folded_into = {}};
  if (only_arithmetic(symbol.pending)) {
    probe.value = symbol.value;
    probe.steps = arithmetic(symbol.pending);
  }
  graph_.probes.push_back(std::move(probe));
  set(node.outputs[0], std::move(symbol));
  return {};
}

void Recipe::fold(const std::string& layer, const std::string& into) {
  for (auto& probe : graph_.probes)
    if (probe.layer == layer && !probe.value) probe.folded_into = into;
}

void Recipe::note_moved(const Symbol& symbol) {
  if (!symbol.moved) return;
  auto& c = certificate(symbol.moved->layer, "");
  c.notes.emplace_back(
      "its constants come from a kernel of the framework (rsqrt) that differs in the last places between processors");
}

Result<exact::ValueId> Recipe::add(const std::string& hint, exact::Primitive primitive, Scale scale,
                                   const Origin& origin, std::optional<Shape> shape) {
  std::string base;
  for (char c : hint) base += std::isalnum(static_cast<unsigned char>(c)) != 0 ? c : '_';
  if (base.empty() || std::isalpha(static_cast<unsigned char>(base[0])) == 0) base = "n" + base;
  std::string name = base;
  for (int i = 1; !names_.insert(name).second; ++i) name = fmt::format("{}_{}", base, i);
  exact::Value value{name, shape.value_or(Shape{}), std::move(scale), {}, std::move(primitive), origin};
  WEFT_TRY(value.shape, exact::infer_shape(graph_, value, ctx_));
  if (!std::holds_alternative<exact::Input>(value.primitive)) {
    WEFT_TRY(value.ranges, exact::infer_ranges(graph_, value, ctx_));
  }
  graph_.values.push_back(std::move(value));
  return exact::ValueId{static_cast<std::uint32_t>(graph_.values.size() - 1)};
}

LayerCertificate& Recipe::certificate(const std::string& layer, const std::string& op) {
  for (auto& c : certificates_)
    if (c.layer == layer) return c;
  certificates_.push_back({layer, op, Word::Exact, 0.0, 0, {}});
  return certificates_.back();
}

void Recipe::weaken(const nn::Node& node, Word word, const std::string& note) {
  auto& c = certificate(node.name, node.op);
  c.word = std::max(c.word, word);
  if (!note.empty() && std::find(c.notes.begin(), c.notes.end(), note) == c.notes.end()) c.notes.push_back(note);
}

const nn::Node& Recipe::node_of(const Symbol& symbol, const nn::Node& fallback) const {
  for (const auto& node : source_.nodes)
    if (node.name == symbol.layer) return node;
  return fallback;
}

Result<IntegerParameter> Recipe::integer_parameter(const nn::Node& node, const std::string& role) {
  const nn::Parameter& parameter = node.parameters.at(role);
  if (parameter.quantizer) {
    WEFT_TRY(const auto function, quantizers::make(*parameter.quantizer, node.origin, ctx_));
    WEFT_TRY(auto q, function->quantize(parameter.values, node.origin, ctx_));
    IntegerParameter out{std::move(q.values), std::move(q.codes), std::move(q.scale), false, {}};
    auto uncertainty = kernel_uncertainty(*function, parameter.values, out.values, node.origin);
    const auto uncertain = std::count_if(uncertainty.begin(), uncertainty.end(), [](float u) { return u > 0.0F; });
    if (uncertain > 0) {
      weaken(node, Word::Exact,
             fmt::format("{} of {} values of `{}` depend on the last places of the framework's own kernels", uncertain,
                         uncertainty.size(), role));
      out.uncertainty = std::move(uncertainty);
    }
    return out;
  }
  if (parameter.quantized)
    return IntegerParameter{parameter.values, parameter.quantized->codes, parameter.quantized->scale, false, {}};
  double lo = 0.0;
  double hi = 0.0;
  for (float v : parameter.values.data) {
    if (!std::isfinite(v))
      return ctx_.fail(Kind::ModelMalformed, node.origin,
                       fmt::format("parameter `{}` holds {}; train or save the model again", role, v));
    lo = std::min(lo, static_cast<double>(v));
    hi = std::max(hi, static_cast<double>(v));
  }
  const auto type = policy_.parameter(node, role, lo, hi);
  if (type.width_bits > 62)
    return ctx_.fail(Kind::TypeTooWide, node.origin,
                     fmt::format("parameter `{}` as {} is wider than 62 bits", role, fixed::to_string(type)));
  IntegerParameter out{FloatTensor(parameter.values.shape),
                       IntTensor(parameter.values.shape),
                       Scale(fixed::pow2(-type.frac_bits())),
                       true,
                       {}};
  bool exact = true;
  for (std::size_t i = 0; i < parameter.values.data.size(); ++i) {
    const Int code = fixed::from_double(parameter.values.data[i], type);
    out.codes.data[i] = static_cast<std::int64_t>(code);
    out.values.data[i] = fixed::to_float(code, type.frac_bits());
    exact = exact && out.values.data[i] == parameter.values.data[i];
  }
  out.chosen = !exact;
  if (!exact) weaken(node, Word::Quantized, fmt::format("{} as {}", role, fixed::to_string(type)));
  return out;
}

Result<Symbol> Recipe::push(const nn::Node& node, Symbol symbol, exact::ReadoutStep step,
                            const std::optional<MovedOperands>& moved) {
  const auto& shape = value(symbol.value).shape;
  const std::size_t channels = shape.empty() ? 1 : static_cast<std::size_t>(shape.back());
  if (step.operands.size() != 1 && step.operands.size() != channels)
    return ctx_.fail(Kind::LoweringUnsupported, node.origin,
                     fmt::format("a constant of {} elements meets a tensor whose last axis has {}; it must be a scalar "
                                 "or lie along the last axis",
                                 step.operands.size(), channels));
  for (float v : step.operands)
    if (!std::isfinite(v)) return ctx_.fail(Kind::ModelMalformed, node.origin, fmt::format("a constant is {}", v));
  if (moved && !symbol.moved) symbol.moved = MovedSteps{{symbol.pending, symbol.pending}, node.name, true};
  if (symbol.moved)
    for (std::size_t side = 0; side < 2; ++side) {
      exact::ReadoutStep other = step;
      if (moved) other.operands = (*moved)[side];
      symbol.moved->steps[side].emplace_back(std::move(other));
    }
  symbol.pending.emplace_back(std::move(step));
  return symbol;
}

std::size_t channels_of(const exact::Value& value, const std::vector<Step>& steps) {
  std::size_t out = value.shape.empty() ? 1 : static_cast<std::size_t>(value.shape.back());
  out = std::max(out, value.scale.factors.size());
  for (const auto& step : steps) {
    if (const auto* s = std::get_if<exact::ReadoutStep>(&step)) out = std::max(out, s->operands.size());
    if (const auto* f = std::get_if<std::shared_ptr<const quantizers::Function>>(&step))
      out = std::max(out, (*f)->channels());
  }
  return out;
}

fixed::Range channel_range(const exact::Value& value, std::size_t c, std::size_t channels) {
  fixed::Range out = value.ranges[channels == 1 ? 0 : c];
  for (std::size_t i = channels == 1 ? 0 : c; i < value.ranges.size(); i += channels)
    out = fixed::unite(out, value.ranges[i]);
  return out;
}

float run_steps(const std::vector<Step>& steps, float x, std::size_t channel) {
  for (const auto& step : steps) {
    if (const auto* function = std::get_if<std::shared_ptr<const quantizers::Function>>(&step)) {
      x = (*function)->apply(x, channel % (*function)->channels());
      continue;
    }
    const auto& s = std::get<exact::ReadoutStep>(step);
    const float c = s.operands[channel % s.operands.size()];
    switch (s.op) {
      case exact::ReadoutStep::Op::Add:
        x = x + c;
        break;
      case exact::ReadoutStep::Op::Sub:
        x = x - c;
        break;
      case exact::ReadoutStep::Op::Mul:
        x = x * c;
        break;
      case exact::ReadoutStep::Op::Div:
        x = x / c;
        break;
      case exact::ReadoutStep::Op::Pow:
        x = std::pow(x, c);
        break;
      case exact::ReadoutStep::Op::ReverseSub:
        x = c - x;
        break;
      case exact::ReadoutStep::Op::ReverseDiv:
        x = c / x;
        break;
    }
  }
  return x;
}

}  // namespace weft::layers
