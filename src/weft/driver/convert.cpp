// SPDX-License-Identifier: Apache-2.0
#include "weft/driver/convert.h"

#include <fmt/format.h>

#include <algorithm>
#include <limits>

#include "weft/backends/hls/emit.h"
#include "weft/backends/project/emit.h"
#include "weft/backends/verilog/emit.h"
#include "weft/backends/vhdl/emit.h"
#include "weft/driver/run.h"

namespace weft::driver {
namespace {

namespace fs = std::filesystem;
using support::Json;

Json scale_json(const Scale& scale) {
  if (scale.per_tensor()) return fixed::to_double(scale.at(0));
  Json out = Json::array();
  for (const auto& f : scale.factors) out.push_back(fixed::to_double(f));
  return out;
}

/// Beyond 63 bits as decimal text.
Json int_json(Int value) {
  if (value > std::numeric_limits<std::int64_t>::max() || value < std::numeric_limits<std::int64_t>::min())
    return fixed::to_string(value);
  return static_cast<std::int64_t>(value);
}

Json range_json(const exact::Value& value) {
  fixed::Range all = value.ranges.empty() ? fixed::Range{} : value.ranges[0];
  for (const auto& r : value.ranges) all = fixed::unite(all, r);
  return Json::array({int_json(all.lo), int_json(all.hi)});
}

const nn::Node* find_node(const nn::Graph& graph, const std::string& name) {
  for (const auto& node : graph.nodes)
    if (node.name == name) return &node;
  return nullptr;
}

Result<void> check_options(const Session& session, const ConvertOptions& options, Context& ctx) {
  const auto fail = [&](Kind kind, const std::string& what) {
    return ctx.fail(kind, {.file = session.model.path}, what);
  };
  if (options.io != "parallel" && options.io != "stream")
    return fail(Kind::UsageInvalid, fmt::format("--io {} is neither parallel nor stream", options.io));
  if (options.io == "stream")
    return fail(Kind::DoesNotFit, "--io stream is not written yet; dense networks go with --io parallel");
  if (options.target != "verilog" && options.target != "vhdl" && options.target != "vitis")
    return fail(Kind::TargetUnknown,
                fmt::format("--target {} is not written yet; there are verilog, vhdl and vitis", options.target));
  if (!hw::primitives_of(options.primitives))
    return fail(Kind::UsageInvalid, fmt::format("--primitives {} is neither portable nor xilinx", options.primitives));
  if (options.primitives != "portable" && options.target != "verilog")
    return fail(
        Kind::DoesNotFit,
        fmt::format("--primitives {} goes with --target verilog only; leave it out, portable {} runs on every part",
                    options.primitives, options.target == "vhdl" ? "VHDL" : "C++"));
  if (!hw::effort_of(options.effort))
    return fail(Kind::UsageInvalid, fmt::format("--effort {} is neither fast, normal nor high", options.effort));
  if (options.reuse_factor && *options.reuse_factor < 1)
    return fail(Kind::UsageInvalid, fmt::format("--reuse-factor {} is not 1 or more", *options.reuse_factor));
  return {};
}

}  // namespace

Json certificate_json(const Session& session) {
  Json rows = Json::array();
  for (const auto& c : session.certificate) {
    Json stats = Json::object();
    if (c.bound > 0.0 || c.codes_at_risk > 0) stats["codes_at_risk"] = c.codes_at_risk;
    rows.push_back({{"layer", c.layer},
                    {"op", c.op},
                    {"word", layers::to_string(c.word)},
                    {"bound", c.bound},
                    {"stats", std::move(stats)},
                    {"notes", c.notes}});
  }
  return rows;
}

Json layers_json(const Session& session) {
  Json rows = Json::array();
  for (const auto& probe : session.exact.probes) {
    const nn::Node* node = find_node(session.model.graph, probe.layer);
    Json row = {{"name", probe.layer}, {"op", node == nullptr ? "" : node->op}};
    if (probe.value) {
      const auto& value = session.exact.at(*probe.value);
      row["type"] = type_text(value);
      row["scale"] = scale_json(value.scale);
      row["range"] = range_json(value);
      row["value"] = value.name;
    } else {
      row["type"] = nullptr;
      row["scale"] = nullptr;
      row["range"] = nullptr;
    }
    row["folded_into"] = probe.folded_into.empty() ? Json(nullptr) : Json(probe.folded_into);
    rows.push_back(std::move(row));
  }
  return rows;
}

Json inputs_json(const Session& session) {
  Json rows = Json::array();
  for (const auto& input : session.exact.inputs) {
    const auto& value = session.exact.at(input.value);
    const std::string type = input.conversion.form == exact::InputConversion::Form::Fixed
                                 ? fixed::to_string(input.conversion.type)
                             : input.conversion.form == exact::InputConversion::Form::Bipolar ? std::string("bipolar")
                                                                                              : type_text(value);
    rows.push_back({{"name", input.name},
                    {"shape", value.shape},
                    {"type", type},
                    {"scale", scale_json(value.scale)},
                    {"range", range_json(value)},
                    {"rule", input.rule}});
  }
  return rows;
}

Json outputs_json(const Session& session) {
  Json rows = Json::array();
  for (const auto& output : session.exact.outputs) {
    const auto& value = session.exact.at(output.value);
    rows.push_back({{"name", output.name},
                    {"shape", value.shape},
                    {"type", type_text(value)},
                    {"scale", scale_json(value.scale)},
                    {"range", range_json(value)},
                    {"host_steps", output.steps.size()}});
  }
  return rows;
}

Result<hw::Design> plan_session(const Session& session, const ConvertOptions& options, Context& ctx) {
  hw::PlanOptions plan;
  plan.clock_ns = options.clock_ns.value_or(session.config.clock_ns.value_or(plan.clock_ns));
  if (options.clock_uncertainty_percent) plan.clock_uncertainty = *options.clock_uncertainty_percent / 100.0;
  plan.part = options.part.value_or(session.config.part.value_or(plan.part));
  plan.max_latency_cycles = options.max_latency_cycles;
  plan.top = !options.top.empty() ? options.top : session.config.project_name.value_or(session.model.graph.name);
  plan.prefix = options.prefix;
  plan.register_inputs = options.register_inputs;
  plan.register_outputs = options.register_outputs;
  plan.clock_enable = options.clock_enable;
  plan.valid = options.valid;
  plan.primitives = hw::primitives_of(options.primitives).value_or(plan.primitives);
  plan.ternary_lut = options.ternary_lut;
  plan.effort = hw::effort_of(options.effort).value_or(plan.effort);
  // What the configuration says of a layer or a type of layers wins over what the command line says of all.
  lower::Config config = session.config;
  if (options.reuse_factor) config.model.reuse_factor = options.reuse_factor;
  const lower::LayerSettings settings{&config};
  constexpr std::int64_t kMost = std::numeric_limits<int>::max();
  for (const auto& node : session.model.graph.nodes)
    plan.layer_reuse_factor[node.origin.node] = static_cast<int>(std::min(settings.reuse_factor(node), kMost));
  return hw::plan(session.exact, plan, ctx);
}

namespace {

std::vector<std::string> paths_below(std::string_view folder, const support::FileSet& files) {
  std::vector<std::string> paths;
  for (const auto& [path, text] : files)
    if (path.starts_with(folder)) paths.push_back(path);
  return paths;
}

}  // namespace

Result<Json> convert(const fs::path& model, const fs::path& directory, const ConvertOptions& options, Context& ctx) {
  WEFT_TRY(const Session session, lower_model(model, options.lowering, ctx));
  WEFT_TRY_VOID(check_options(session, options, ctx));
  WEFT_TRY(const hw::Design design, plan_session(session, options, ctx));
  support::FileSet files;
  if (options.target == "vitis") {
    WEFT_TRY(files, backends::hls::emit(design, {}, ctx));
  } else if (options.target == "vhdl") {
    WEFT_TRY(auto emitted, backends::vhdl::emit(design, ctx));
    files = std::move(emitted.files);
    files.merge(
        backends::project::emit(design, backends::project::Language::Vhdl, emitted.order, paths_below("tb/", files)));
  } else {
    WEFT_TRY(files, backends::verilog::emit(design, {}, ctx));
    files.merge(backends::project::emit(design, backends::project::Language::Verilog, paths_below("rtl/", files),
                                        paths_below("tb/", files)));
  }
  WEFT_TRY(files["model.weft"], save_session(session, ctx));

  Json json = {
      {"weft", kVersion},
      {"command", options.command},
      {"model", {{"path", session.model.path}, {"format", session.model.format}, {"sha256", session.model.sha256}}},
      {"calibration_sha256", session.calibration_sha256.empty() ? Json(nullptr) : Json(session.calibration_sha256)},
      {"options",
       {{"io", options.io},
        {"target", options.target},
        {"part", design.options.part},
        {"family", std::string(design.family.name)},
        {"clock_ns", design.options.clock_ns},
        {"clock_uncertainty_percent", 100.0 * design.family.uncertainty},
        {"reuse_factor", options.reuse_factor ? Json(*options.reuse_factor) : Json(nullptr)},
        {"max_latency_cycles", options.max_latency_cycles ? Json(*options.max_latency_cycles) : Json(nullptr)},
        {"prefix", options.prefix},
        {"primitives", options.primitives},
        {"effort", options.effort},
        {"ternary_lut", options.ternary_lut ? Json(*options.ternary_lut) : Json(nullptr)},
        {"register_inputs", options.register_inputs},
        {"register_outputs", options.register_outputs},
        {"clock_enable", options.clock_enable},
        {"valid", options.valid}}},
      {"top", design.top},
      {"inputs", inputs_json(session)},
      {"outputs", outputs_json(session)},
      {"network_certificate", layers::to_string(session.network)},
      {"certificate", certificate_json(session)},
      {"layers", layers_json(session)},
      {"predicted",
       {{"latency_cycles", design.latency_cycles},
        {"interval_cycles", design.interval_cycles},
        {"lut", static_cast<std::int64_t>(design.predicted.lut + 0.5)},
        {"ff", static_cast<std::int64_t>(design.predicted.ff + 0.5)},
        {"dsp", static_cast<std::int64_t>(design.predicted.dsp + 0.5)},
        {"bram18", static_cast<std::int64_t>(design.predicted.bram18 + 0.5)},
        {"period_ns", design.period_ns}}}};
  Json diagnostics = Json::array();
  for (const auto& d : ctx.diag.all()) diagnostics.push_back(Json::parse(diag::to_json(d)));
  json["diagnostics"] = std::move(diagnostics);
  files["weft.json"] = support::dump_json(json) + "\n";
  WEFT_TRY_VOID(support::write_directory(directory, files, ctx));
  return json;
}

}  // namespace weft::driver
