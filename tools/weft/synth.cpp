// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include <cstdlib>

#include "app.h"
#include "weft/driver/convert.h"
#include "weft/driver/synthesize.h"

namespace weft::cli {
namespace {

/// ~/.cache/weft/synth, or below XDG_CACHE_HOME.
std::filesystem::path cache_folder() {
  if (const char* xdg = std::getenv("XDG_CACHE_HOME"); xdg != nullptr && *xdg != '\0')
    return std::filesystem::path(xdg) / "weft" / "synth";
  if (const char* home = std::getenv("HOME"); home != nullptr && *home != '\0')
    return std::filesystem::path(home) / ".cache" / "weft" / "synth";
  return {};
}

Json usage_json(const driver::Usage& usage) {
  Json sizes = Json::object();
  for (const auto& [inputs, count] : usage.lut_by_size) sizes[fmt::format("lut{}", inputs)] = count;
  return {{"lut", usage.lut},       {"lut_by_size", std::move(sizes)},
          {"inv", usage.inverters}, {"ff", usage.ff},
          {"carry", usage.carry},   {"muxf", usage.muxf},
          {"srl", usage.srl},       {"lutram", usage.lutram},
          {"latch", usage.latch},   {"dsp", usage.dsp},
          {"bram18", usage.bram18}, {"uram", usage.uram},
          {"gates", usage.gates}};
}

Json optional_json(const std::optional<double>& value) { return value ? Json(*value) : Json(nullptr); }

}  // namespace

void add_synth(CLI::App& root, App& app) {
  struct Options {
    std::string project;
    std::string tool = "yosys";
    std::string family;
    driver::SynthesisRequest request;
    bool no_cache = false;
  };
  auto options = std::make_shared<Options>();
  auto* command = root.add_subcommand("synth", "synthesize what convert wrote and read the report");
  command->add_option("DIR", options->project, "converted folder")->required();
  command->add_option("--tool", options->tool, "yosys")->capture_default_str()->check(CLI::IsMember({"yosys"}));
  command->add_option("--family", options->family,
                      "xcup, xcu, xc7, ecp5, ice40, or gates with --liberty (default: the part's)");
  command->add_option("--liberty", options->request.liberty, "cell library (.lib, .lib.gz): gates, area and delay");
  command->add_flag("--per-module", options->request.per_module, "one run per module, side by side, cached");
  command->add_flag("--dsp", options->request.use_dsp, "let Yosys use DSP blocks for multiplications");
  command->add_option("--timeout", options->request.timeout_seconds, "seconds for each run (0: no limit)")
      ->capture_default_str();
  command->add_flag("--no-cache", options->no_cache, "neither read nor write earlier results");
  add_common(*command, app);
  command->callback([&app, options] {
    app.run = [options](App& a, Context& ctx) {
      const auto run = [&]() -> Result<driver::SynthesisReport> {
        if (!driver::is_project(options->project))
          return ctx.fail(Kind::UsageInvalid, {.file = options->project},
                          "this is no folder that `weft convert` wrote");
        WEFT_TRY(const std::string text,
                 support::read_file(std::filesystem::path(options->project) / "weft.json", ctx));
        WEFT_TRY(const Json project, support::parse_json(text, options->project + "/weft.json", ctx));
        auto request = options->request;
        request.project = options->project;
        request.top = project.value("top", std::string());
        const Json choices = project.value("options", Json::object());
        const std::string target = choices.value("target", std::string("verilog"));
        if (target != "verilog" && target != "vhdl")
          return ctx.fail(
              Kind::UsageInvalid, {.file = options->project},
              "only Verilog and VHDL projects can be synthesized with Yosys; convert with --target verilog");
        request.vhdl = target == "vhdl";
        if (!options->family.empty())
          request.family = options->family;
        else if (!request.liberty.empty())
          request.family = "gates";
        else
          request.family = choices.value("family", std::string("xcup"));
        request.threads = ctx.threads;
        if (!options->no_cache && request.per_module) request.cache = cache_folder();
        return driver::synthesize(request, ctx);
      };
      const auto report = run();
      if (!report) {
        a.print(ctx, Json::object(), "");
        return kFailed;
      }
      const auto& u = report->usage;
      Json json = usage_json(u);
      json["area_um2"] = optional_json(report->area_um2);
      json["critical_path_ps"] = optional_json(report->critical_path_ps);
      json["seconds"] = report->seconds;
      json["peak_mb"] = report->peak_mb;
      Json modules = Json::array();
      std::vector<std::vector<std::string>> rows{
          {"module", "instances", "LUT", "carry", "FF", "DSP", "BRAM18", "seconds"}};
      for (const auto& m : report->modules) {
        Json row = usage_json(m.usage);
        row["name"] = m.name;
        row["instances"] = m.instances;
        row["seconds"] = m.seconds;
        row["cached"] = m.cached;
        modules.push_back(std::move(row));
        rows.push_back({m.name, std::to_string(m.instances), std::to_string(m.usage.lut), std::to_string(m.usage.carry),
                        std::to_string(m.usage.ff), std::to_string(m.usage.dsp), std::to_string(m.usage.bram18),
                        m.cached ? "cached" : fmt::format("{:.1f}", m.seconds)});
      }
      json["modules"] = std::move(modules);
      std::string sizes;
      for (const auto& [inputs, count] : u.lut_by_size)
        sizes += fmt::format("{}LUT{} {}", sizes.empty() ? "" : ", ", inputs, count);
      std::string text = report->modules.size() > 1 ? table(rows) : "";
      if (u.gates > 0)
        text += fmt::format("{} gates", u.gates);
      else
        text += fmt::format("{} LUT ({}), {} carry, {} FF, {} SRL, {} LUTRAM, {} DSP, {} BRAM18", u.lut, sizes, u.carry,
                            u.ff, u.srl, u.lutram, u.dsp, u.bram18);
      if (report->area_um2) text += fmt::format(", {:.0f} um2", *report->area_um2);
      if (report->critical_path_ps) text += fmt::format(", {:.0f} ps", *report->critical_path_ps);
      text += fmt::format("; {:.1f} s, {:.0f} MB\n", report->seconds, report->peak_mb);
      a.print(ctx, std::move(json), text);
      return kOk;
    };
  });
}

}  // namespace weft::cli
