// SPDX-License-Identifier: Apache-2.0
#include "reproducer.h"

#include <fmt/format.h>

#include "weft/support/arrays.h"
#include "weft/support/files.h"
#include "weft/support/json.h"

namespace weft::random_networks {
namespace {

using support::Json;

std::string all_of(const diag::Engine& engine) {
  std::string out;
  for (const auto& d : engine.all()) out += diag::to_text(d) + "\n";
  return out;
}

Json to_json(const hw::PlanOptions& plan) {
  return {{"clock_ns", plan.clock_ns},
          {"max_latency_cycles", plan.max_latency_cycles ? Json(*plan.max_latency_cycles) : Json(nullptr)},
          {"register_inputs", plan.register_inputs},
          {"register_outputs", plan.register_outputs},
          {"clock_enable", plan.clock_enable},
          {"valid", plan.valid},
          {"part", plan.part},
          {"primitives", plan.primitives == hw::Primitives::Xilinx ? "xilinx" : "portable"},
          {"reuse_factor", plan.reuse_factor}};
}

hw::PlanOptions plan_from(const Json& json) {
  hw::PlanOptions out;
  out.clock_ns = json.at("clock_ns").get<double>();
  if (!json.at("max_latency_cycles").is_null()) out.max_latency_cycles = json.at("max_latency_cycles").get<int>();
  out.register_inputs = json.at("register_inputs").get<bool>();
  out.register_outputs = json.at("register_outputs").get<bool>();
  out.clock_enable = json.at("clock_enable").get<bool>();
  out.valid = json.at("valid").get<bool>();
  if (json.contains("part")) out.part = json.at("part").get<std::string>();
  out.reuse_factor = json.value("reuse_factor", 1);
  if (json.value("primitives", "") == "xilinx") out.primitives = hw::Primitives::Xilinx;
  return out;
}

std::string input_member(std::size_t i) { return fmt::format("vectors/{}.npy", i); }

}  // namespace

std::string write_reproducer(const Reproducer& r, const std::filesystem::path& path) {
  diag::Engine engine;
  Context ctx{engine};
  const Json json = {{"seed", r.network.seed},
                     {"input_types", r.network.input_types},
                     {"settings", r.network.settings},
                     {"plan", to_json(r.network.plan)},
                     {"samples", r.vectors.samples},
                     {"inputs", r.vectors.inputs.size()},
                     {"corrupt", r.corrupt},
                     {"stage", r.stage},
                     {"text", r.text}};
  std::map<std::string, std::string> extra{{"reproducer.json", support::dump_json(json, 1)}};
  for (std::size_t i = 0; i < r.vectors.inputs.size(); ++i) {
    std::vector<std::int64_t> codes;
    for (const Int code : r.vectors.inputs[i]) codes.push_back(static_cast<std::int64_t>(code));
    const std::int64_t samples = std::max<std::int64_t>(r.vectors.samples, 1);
    const Shape shape{samples, static_cast<std::int64_t>(codes.size()) / samples};
    extra[input_member(i)] = support::format_npy({shape, std::move(codes), "i8"});
  }
  std::error_code ignored;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), ignored);
  const auto bytes = nn::save(r.network.graph, extra, ctx);
  if (!bytes || !support::write_file(path, *bytes, ctx)) return all_of(engine);
  return "";
}

std::optional<Reproducer> read_reproducer(const std::filesystem::path& path, std::string& problem) {
  diag::Engine engine;
  Context ctx{engine};
  const auto give_up = [&](const std::string& what) {
    problem = what.empty() ? all_of(engine) : fmt::format("{}: {}", path.string(), what);
    return std::nullopt;
  };
  const auto bytes = support::read_file(path, ctx);
  if (!bytes) return give_up("");
  auto loaded = nn::load(*bytes, path.string(), ctx);
  if (!loaded) return give_up("");
  if (loaded->extra.count("reproducer.json") == 0) return give_up("no reproducer");
  const auto json = support::parse_json(loaded->extra.at("reproducer.json"), path.string(), ctx);
  if (!json) return give_up("");
  Reproducer out;
  out.network.graph = std::move(loaded->graph);
  try {
    out.network.seed = json->at("seed").get<std::uint64_t>();
    out.network.input_types = json->at("input_types").get<std::map<std::string, std::string>>();
    out.network.settings = json->at("settings").get<std::vector<std::string>>();
    out.network.plan = plan_from(json->at("plan"));
    out.vectors.samples = json->at("samples").get<std::int64_t>();
    out.corrupt = json->at("corrupt").get<std::string>();
    out.stage = json->at("stage").get<std::string>();
    out.text = json->at("text").get<std::string>();
    for (std::size_t i = 0; i < json->at("inputs").get<std::size_t>(); ++i) {
      const auto member = loaded->extra.find(input_member(i));
      if (member == loaded->extra.end()) return give_up(input_member(i) + " is missing");
      const auto array = support::parse_npy(member->second, input_member(i), ctx);
      if (!array || !array->is_integer()) return give_up(input_member(i) + " holds no integers");
      const auto& codes = std::get<std::vector<std::int64_t>>(array->data);
      out.vectors.inputs.emplace_back(codes.begin(), codes.end());
    }
  } catch (const nlohmann::json::exception& e) {
    return give_up(e.what());
  }
  return out;
}

}  // namespace weft::random_networks
