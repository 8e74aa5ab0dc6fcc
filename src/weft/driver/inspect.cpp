// SPDX-License-Identifier: Apache-2.0
#include "weft/driver/inspect.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>

#include "weft/driver/convert.h"
#include "weft/driver/run.h"
#include "weft/layers/layer.h"

namespace weft::driver {
namespace {

using support::Json;

std::string text_of(const Attribute& attribute) {
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::string>)
          return v;
        else if constexpr (std::is_arithmetic_v<T>)
          return fmt::format("{}", v);
        else
          return v.size() == 1 ? fmt::format("{}", v[0]) : fmt::format("[{} numbers]", v.size());
      },
      attribute);
}

/// "quantized_bits(alpha=1, bits=6)": only what differs from the family's defaults says something.
std::string spec_text(const quantizers::Spec& spec) {
  const auto* family = quantizers::find_family(spec.family);
  std::vector<std::string> parts;
  for (const auto& [key, value] : spec.parameters) {
    if (family != nullptr) {
      const auto it = family->defaults.find(key);
      if (it != family->defaults.end() && it->second == value) continue;
    }
    parts.push_back(fmt::format("{}={}", key, text_of(value)));
  }
  return fmt::format("{}({})", spec.family, fmt::join(parts, ", "));
}

/// With its modes: in a file, modes that are not written mean TRN,WRAP.
std::string full_text(const fixed::TypeSpec& spec) {
  return spec.form == fixed::TypeSpec::Form::Fixed ? fixed::to_string(spec.fixed) : fixed::to_string(spec);
}

/// Bits of a code as hardware would store it: 1 for {-1, +1}.
int code_bits(const std::vector<std::int64_t>& codes) {
  if (codes.empty()) return 0;
  if (std::all_of(codes.begin(), codes.end(), [](auto c) { return c == 1 || c == -1; })) return 1;
  const auto [lo, hi] = std::minmax_element(codes.begin(), codes.end());
  return fixed::width_bits(fixed::Range{*lo, *hi, 0});
}

/// {-1, +1} without 0 appears as what a two-valued step function gives.
int value_bits(const exact::Graph& graph, const exact::Value& value) {
  fixed::Range all = value.ranges.at(0);
  for (const auto& r : value.ranges) all = fixed::unite(all, r);
  if (all.lo == -1 && all.hi == 1) {
    if (const auto* requant = std::get_if<exact::Requant>(&value.primitive)) {
      const bool two = std::all_of(requant->functions.begin(), requant->functions.end(), [](const auto& f) {
        const auto* p = std::get_if<fixed::Pieces>(&f);
        return p != nullptr && std::all_of(p->values.begin(), p->values.end(), [](Int v) { return v != 0; });
      });
      if (two) return 1;
    }
    for (const auto& input : graph.inputs)
      if (&graph.at(input.value) == &value && input.conversion.form == exact::InputConversion::Form::Bipolar) return 1;
    const auto m = exact::movement(graph, value);
    if (m && std::all_of(m->from.begin(), m->from.end(), [](auto i) { return i >= 0; }))
      return value_bits(graph, graph.at(m->x));
  }
  return fixed::width_bits(all);
}

}  // namespace

Result<Json> inspect(const std::filesystem::path& path, const LoweringOptions& options, Context& ctx) {
  WEFT_TRY(const Session session, open_session(path, options, ctx));
  const nn::Graph& graph = session.model.graph;
  std::int64_t params = 0;
  std::int64_t macs = 0;
  std::int64_t bops = 0;
  Json rows = Json::array();
  for (const auto& node : graph.nodes) {
    const auto* layer = layers::find_layer(node.op);
    Json row = {{"name", node.name}, {"op", node.op}, {"source_op", node.origin.op}};
    Json ins = Json::array();
    for (auto id : node.inputs) ins.push_back(graph.at(id).shape);
    Json outs = Json::array();
    for (auto id : node.outputs) outs.push_back(graph.at(id).shape);
    row["input_shapes"] = std::move(ins);
    row["output_shapes"] = std::move(outs);
    std::int64_t here = 0;
    Json quantizers = Json::object();
    for (const auto& [role, p] : node.parameters) {
      here += p.values.size();
      if (p.quantizer)
        quantizers[role] = spec_text(*p.quantizer);
      else if (p.quantized)
        quantizers[role] = fmt::format("{} bits, {}", code_bits(p.quantized->codes.data),
                                       p.quantized->scale.per_tensor() ? "one scale" : "scale per channel");
    }
    for (const auto& [role, spec] : node.functions) quantizers[role] = spec_text(spec);
    const std::int64_t node_macs = layer->macs(graph, node);
    row["params"] = here;
    row["macs"] = node_macs;
    row["quantizers"] = std::move(quantizers);
    row["type"] = nullptr;
    for (const auto& probe : session.exact.probes)
      if (probe.layer == node.name && probe.value) row["type"] = type_text(session.exact.at(*probe.value));
    row["certificate"] = nullptr;
    for (const auto& c : session.certificate)
      if (c.layer == node.name) row["certificate"] = layers::to_string(c.word);
    rows.push_back(std::move(row));
    params += here;
    macs += node_macs;
  }
  for (const auto& value : session.exact.values)
    if (const auto* matvec = std::get_if<exact::MatVec>(&value.primitive)) {
      const auto& x = session.exact.at(matvec->x);
      const std::int64_t positions = element_count(x.shape) / std::max<std::int64_t>(matvec->n_in, 1);
      // Refinement for the bias shifts all weights alike; the shared trailing zeros are no bits of the weight.
      int shift = 62;
      for (auto w : matvec->weights)
        if (w != 0) shift = std::min(shift, fixed::trailing_zeros(w));
      std::vector<std::int64_t> codes = matvec->weights;
      for (auto& w : codes) w = shift >= 62 ? w : w >> shift;
      bops += positions * matvec->n_in * matvec->n_out * code_bits(codes) * value_bits(session.exact, x);
    }
  return Json{{"file", session.model.path},
              {"format", session.model.format},
              {"layers", std::move(rows)},
              {"inputs", inputs_json(session)},
              {"outputs", outputs_json(session)},
              {"params", params},
              {"macs", macs},
              {"bops", bops},
              {"network_certificate", layers::to_string(session.network)}};
}

Result<Json> configuration(const std::filesystem::path& path, const LoweringOptions& options, Context& ctx) {
  WEFT_TRY(const Session session, lower_model(path, options, ctx));
  const lower::LayerSettings settings{&session.config};
  fixed::FixedType fallback{16, 6, true};
  if (options.default_type) {
    std::string error;
    if (const auto spec = fixed::parse_type(*options.default_type, true, error)) fallback = spec->fixed;
  }
  Json names = Json::object();
  for (const auto& input : session.exact.inputs) {
    if (input.conversion.form == exact::InputConversion::Form::Fixed)
      names[input.name] = {{"Precision", {{"result", fixed::to_string(input.conversion.type)}}}};
    else if (input.conversion.form == exact::InputConversion::Form::Bipolar)
      names[input.name] = {{"Precision", {{"result", "bipolar"}}}};
  }
  for (const auto& node : session.model.graph.nodes) {
    Json precision = Json::object();
    for (const char* role : {"weight", "bias", "result", "accum"}) {
      const auto it = session.config.layer_name.find(node.name);
      const bool named = it != session.config.layer_name.end() && it->second.precision.count(role) != 0;
      const auto said = settings.type(node, role);
      if (node.parameters.count("kernel") == 0 &&
          (std::string_view(role) == "weight" || std::string_view(role) == "bias" || std::string_view(role) == "accum"))
        continue;
      precision[role] = said && (named || std::string_view(role) != "result") ? full_text(*said) : std::string("auto");
    }
    Json block = {{"Precision", std::move(precision)}};
    if (node.parameters.count("kernel") != 0) block["ReuseFactor"] = settings.reuse_factor(node);
    if (node.op == "Softmax") {
      bool is_final = false;
      for (const auto& port : session.model.graph.outputs) is_final = is_final || port.tensor == node.outputs[0];
      block["Softmax"] = settings.softmax(node).value_or(is_final ? "remove" : "table");
    }
    names[node.name] = std::move(block);
  }
  // The model-wide block stays empty of types unless the user gave one: "auto" means each layer's own rule.
  Json model = Json::object();
  const auto it = session.config.model.precision.find("default");
  model["Precision"] = it == session.config.model.precision.end() ? std::string("auto") : full_text(it->second);
  model["ReuseFactor"] = session.config.model.reuse_factor.value_or(1);
  model["Strategy"] = "Latency";
  return Json{{"Model", std::move(model)}, {"LayerName", std::move(names)}};
}

std::string to_yaml(const Json& json) {
  const std::function<void(const Json&, int, std::string&)> write = [&](const Json& node, int depth, std::string& out) {
    for (const auto& [key, value] : node.items()) {
      out += fmt::format("{:{}}{}:", "", depth * 2, Json(key).dump());
      if (value.is_object()) {
        out += value.empty() ? " {}\n" : "\n";
        write(value, depth + 1, out);
      } else {
        out += fmt::format(" {}\n", value.dump());
      }
    }
  };
  std::string out;
  write(json, 0, out);
  return out;
}

}  // namespace weft::driver
