// SPDX-License-Identifier: Apache-2.0
#include "weft/driver/synthesize.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
#include <charconv>
#include <chrono>
#include <functional>
#include <set>
#include <string_view>

#include "weft/driver/ghdl.h"
#include "weft/support/files.h"
#include "weft/support/json.h"
#include "weft/support/threads.h"

namespace weft::driver {
namespace {

namespace fs = std::filesystem;

/// Name of the module under synthesis in a run of its own, so that equal modules share a cache entry.
constexpr const char* kUnit = "weft_unit";

bool is_digit(char c) { return c >= '0' && c <= '9'; }

bool starts_with_any(std::string_view text, std::initializer_list<std::string_view> prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(), [&](std::string_view p) { return text.starts_with(p); });
}

/// The decimal number at the start of `text`.
std::optional<double> number_at(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  double value = 0.0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{}) return std::nullopt;
  return value;
}

bool is_xilinx(const std::string& family) { return family == "xcup" || family == "xcu" || family == "xc7"; }

/// The commands that turn the design in memory into cells. `top` is a plain name.
std::string family_commands(const SynthesisRequest& request, const std::string& top, const std::string& liberty,
                            bool flatten) {
  const std::string& family = request.family;
  if (is_xilinx(family)) {
    return fmt::format("synth_xilinx -family {} -top {}{} -noiopad -noclkbuf{}\n", family, top,
                       flatten ? " -flatten" : "", request.use_dsp ? "" : " -nodsp");
  }
  if (family == "ecp5")
    return fmt::format("synth_ecp5 -top {}{}{}\n", top, flatten ? "" : " -noflatten", request.use_dsp ? "" : " -nodsp");
  if (family == "ice40")
    return fmt::format("synth_ice40 -top {}{}{}\n", top, flatten ? "" : " -noflatten", request.use_dsp ? " -dsp" : "");
  // ABC's own script for a library, with buffering and a timing report at its end.
  return fmt::format(
      "synth -top {0}{1}\n"
      "tee -q -o {2} stat -json -top {0}\n"
      "dfflibmap -liberty {3}\n"
      "abc -liberty {3} -script "
      "\"+strash;&get,-n;&fraig,-x;&put;scorr;dc2;strash;&get,-n;&dch,-f;&nf;&put;buffer,-c;topo;stime,-p\"\n"
      "opt_clean -purge\n"
      "stat -liberty {3}\n",
      top, flatten ? " -flatten" : "", "@GENERIC@", liberty);
}

std::string replace_all(std::string text, std::string_view from, std::string_view to) {
  for (std::size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

/// Result of one Yosys run.
struct Unit {
  Usage usage;
  std::optional<double> area_um2;
  std::optional<double> critical_path_ps;
  double seconds = 0.0;
  double peak_mb = 0.0;
  bool cached = false;
};

std::string unit_to_json(const Unit& unit) {
  support::Json json;
  json["cells"] = unit.usage.cells;
  json["ff"] = unit.usage.ff;
  json["gates"] = unit.usage.gates;
  if (unit.area_um2) json["area_um2"] = *unit.area_um2;
  if (unit.critical_path_ps) json["critical_path_ps"] = *unit.critical_path_ps;
  json["seconds"] = unit.seconds;
  json["peak_mb"] = unit.peak_mb;
  return support::dump_json(json) + "\n";
}

/// Nothing when the entry is damaged: it is then made again.
std::optional<Unit> unit_from_json(const std::string& text) {
  diag::Engine quiet;
  Context reader{quiet};
  const auto json = support::parse_json(text, "cache", reader);
  if (!json) return std::nullopt;
  Unit unit;
  try {
    for (const auto& [type, count] : json->at("cells").items()) unit.usage.add_cell(type, count.get<std::int64_t>());
    unit.usage.ff = json->at("ff").get<std::int64_t>();
    unit.usage.gates = json->at("gates").get<std::int64_t>();
    if (json->contains("area_um2")) unit.area_um2 = json->at("area_um2").get<double>();
    if (json->contains("critical_path_ps")) unit.critical_path_ps = json->at("critical_path_ps").get<double>();
    unit.seconds = json->at("seconds").get<double>();
    unit.peak_mb = json->at("peak_mb").get<double>();
  } catch (const nlohmann::json::exception&) {
    return std::nullopt;
  }
  unit.cached = true;
  return unit;
}

class Synthesis {
 public:
  Synthesis(const SynthesisRequest& request, Context& ctx) : request_(request), ctx_(ctx) {
    std::error_code error;
    project_ = fs::absolute(request.project, error);
    scratch_ = project_ / "build" / "yosys";
  }
  Synthesis(const Synthesis&) = delete;
  Synthesis& operator=(const Synthesis&) = delete;
  ~Synthesis() {
    std::error_code error;
    fs::remove_all(scratch_, error);
    fs::remove(scratch_.parent_path(), error);  // only when empty
  }

  Result<SynthesisReport> run() {
    const auto start = std::chrono::steady_clock::now();
    WEFT_TRY_VOID(check_request());
    std::error_code error;
    fs::remove_all(scratch_, error);
    fs::create_directories(scratch_, error);
    WEFT_TRY_VOID(find_sources());
    WEFT_TRY_VOID(read_version());
    WEFT_TRY_VOID(prepare_liberty());
    SynthesisReport report;
    if (request_.per_module) {
      WEFT_TRY_VOID(run_modules(report));
    } else {
      WEFT_TRY_VOID(run_flat(report));
    }
    report.seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    return report;
  }

 private:
  Result<void> check_request() const {
    static constexpr std::string_view kFamilies[] = {"xcup", "xcu", "xc7", "ecp5", "ice40", "gates"};
    if (std::find(std::begin(kFamilies), std::end(kFamilies), request_.family) == std::end(kFamilies)) {
      return ctx_.fail(
          Kind::TargetUnknown, {},
          fmt::format("family `{}` is not known; take xcup, xcu, xc7, ecp5, ice40 or gates", request_.family));
    }
    if (request_.family == "gates" && request_.liberty.empty()) {
      return ctx_.fail(Kind::UsageInvalid, {}, "family `gates` needs a cell library; give a liberty file");
    }
    const bool plain = !request_.top.empty() && !is_digit(request_.top.front()) &&
                       request_.top.find_first_not_of(
                           "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_") == std::string::npos;
    if (!plain) return ctx_.fail(Kind::UsageInvalid, {}, fmt::format("`{}` is no name of a top module", request_.top));
    return {};
  }

  Result<void> find_sources() {
    if (request_.vhdl) {
      sources_ = {"build/yosys/ghdl.v"};
      WEFT_TRY(request_.top,
               vhdl_to_verilog(project_, request_.top, project_ / sources_[0], request_.timeout_seconds, ctx_));
      return {};
    }
    std::error_code error;
    for (fs::directory_iterator it(project_ / "rtl", error), end; !error && it != end; it.increment(error)) {
      const std::string name = it->path().filename().string();
      if (!name.ends_with(".v") || !it->is_regular_file(error)) continue;
      if (name.find_first_of("\"\n\r;\\") != std::string::npos) {
        return ctx_.fail(Kind::FileUnreadable, {.file = it->path().string()}, "Yosys cannot read a file of this name");
      }
      sources_.push_back("rtl/" + name);
    }
    if (sources_.empty())
      return ctx_.fail(Kind::FileUnreadable, {.file = (project_ / "rtl").string()}, "the project has no `rtl/*.v`");
    std::sort(sources_.begin(), sources_.end());
    return {};
  }

  Result<void> read_version() {
    ProcessRequest process = yosys("version");
    process.arguments = {"-V"};
    WEFT_TRY_VOID(run_tool(process, ctx_));
    WEFT_TRY(version_, support::read_file(process.log, ctx_));
    return {};
  }

  /// A plain file below the scratch folder, as Yosys and ABC split their arguments at blanks.
  Result<void> prepare_liberty() {
    if (request_.family != "gates") return {};
    const fs::path target = scratch_ / "cells.lib";
    std::error_code error;
    const fs::path source = fs::absolute(request_.liberty, error);
    if (!fs::is_regular_file(source, error)) {
      return ctx_.fail(Kind::FileUnreadable, {.file = request_.liberty.string()}, "the cell library does not exist");
    }
    if (source.extension() == ".gz") {
      ProcessRequest process;
      process.program = "gzip";
      process.package = "gzip";
      process.arguments = {"-dc", source.string()};
      process.log = target;
      process.timeout_seconds = 600;
      WEFT_TRY_VOID(run_tool(process, ctx_));
    } else {
      fs::create_symlink(source, target, error);
      if (error) return ctx_.fail(Kind::FileUnwritable, {.file = target.string()}, error.message());
    }
    WEFT_TRY(const std::string content, support::read_file(target, ctx_));
    liberty_hash_ = support::sha256_hex(content);
    return {};
  }

  [[nodiscard]] ProcessRequest yosys(const std::string& log) const {
    ProcessRequest process;
    process.program = request_.yosys;
    process.package = "yosys";
    process.directory = project_;
    process.log = project_ / "logs" / ("yosys_" + log + ".log");
    process.timeout_seconds = request_.timeout_seconds;
    return process;
  }

  /// Runs one script, which must leave `@STAT@` (and for gates `@GENERIC@`) behind, or takes the result from the cache.
  Result<Unit> run_script(const std::string& script, const std::string& content, const std::string& name) const {
    const std::string key = support::sha256_hex(version_ + '\0' + liberty_hash_ + '\0' + script + '\0' + content);
    const fs::path entry = request_.cache / (key + ".json");
    std::error_code error;
    if (!request_.cache.empty() && fs::is_regular_file(entry, error)) {
      WEFT_TRY(const std::string text, support::read_file(entry, ctx_));
      if (auto unit = unit_from_json(text)) return std::move(*unit);
    }
    const std::string folder = "build/yosys/";
    std::string text = replace_all(script, "@STAT@", folder + name + ".json");
    text = replace_all(text, "@GENERIC@", folder + name + "_generic.json");
    text = replace_all(text, "@UNIT@", folder + name + ".il");
    WEFT_TRY_VOID(support::write_file(scratch_ / (name + ".ys"), text, ctx_));
    ProcessRequest process = yosys(name);
    process.arguments = {"-s", folder + name + ".ys"};
    WEFT_TRY(const ProcessResult ran, run_tool(process, ctx_));
    Unit unit;
    unit.seconds = ran.seconds;
    unit.peak_mb = ran.peak_mb;
    WEFT_TRY(const auto cells, read_stat(name + ".json"));
    for (const auto& [type, count] : cells) unit.usage.add_cell(type, count);
    if (request_.family == "gates") {
      for (const auto& [type, count] : cells) unit.usage.gates += children_.count(type) != 0 ? 0 : count;
      WEFT_TRY(const auto generic, read_stat(name + "_generic.json"));
      for (const auto& [type, count] : generic) {
        if (starts_with_any(type, {"$_DFF", "$_SDFF", "$_ALDFF", "$_FF"})) unit.usage.ff += count;
      }
      WEFT_TRY(const std::string log, support::read_file(process.log, ctx_));
      unit.area_um2 = parse_area(log);
      unit.critical_path_ps = parse_delay(log);
    }
    if (!request_.cache.empty()) {
      fs::create_directories(request_.cache, error);
      WEFT_TRY_VOID(support::write_file(entry, unit_to_json(unit), ctx_));
    }
    return unit;
  }

  Result<std::map<std::string, std::int64_t>> read_stat(const std::string& name) const {
    WEFT_TRY(const std::string text, support::read_file(scratch_ / name, ctx_));
    WEFT_TRY(auto modules, parse_stat(text, name, ctx_));
    return std::move(modules[""]);
  }

  [[nodiscard]] std::string read_sources() const {
    std::string script;
    for (const std::string& source : sources_) script += fmt::format("read_verilog \"{}\"\n", source);
    return script;
  }

  Result<void> run_flat(SynthesisReport& report) {
    std::string content;
    for (const std::string& source : sources_) {
      WEFT_TRY(const std::string text, support::read_file(project_ / source, ctx_));
      content += text;
    }
    const std::string script = read_sources() + family_commands(request_, request_.top, "build/yosys/cells.lib", true) +
                               fmt::format("tee -q -o @STAT@ stat -json -top {}\n", request_.top);
    WEFT_TRY(const Unit unit, run_script(script, content, request_.top));
    report.usage = unit.usage;
    report.area_um2 = unit.area_um2;
    report.critical_path_ps = unit.critical_path_ps;
    report.peak_mb = unit.peak_mb;
    report.modules.push_back(
        {request_.top, 1, unit.usage, unit.area_um2, unit.critical_path_ps, unit.seconds, unit.cached});
    return {};
  }

  /// Elaborates once, so that parametrized modules are modules of their own, then runs every module with black boxes
  /// below it.
  Result<void> run_modules(SynthesisReport& report) {
    const std::string elaborate =
        read_sources() + fmt::format(
                             "hierarchy -top {}\nproc\nopt_clean\nsetattr -unset src\n"
                             "rename -enumerate -pattern _%_\nwrite_rtlil build/yosys/design.il\n",
                             request_.top);
    WEFT_TRY_VOID(support::write_file(scratch_ / "elaborate.ys", elaborate, ctx_));
    ProcessRequest process = yosys("elaborate");
    process.arguments = {"-s", "build/yosys/elaborate.ys"};
    WEFT_TRY_VOID(run_tool(process, ctx_));
    WEFT_TRY(const std::string text, support::read_file(scratch_ / "design.il", ctx_));
    const std::vector<RtlilModule> modules = split_rtlil(text);
    std::map<std::string, std::size_t> index;
    for (std::size_t m = 0; m < modules.size(); ++m) index[modules[m].name] = m;
    if (index.count(request_.top) == 0) {
      return ctx_.fail(Kind::ToolFailed, {.file = process.log.string()},
                       fmt::format("Yosys found no module `{}`", request_.top));
    }
    for (const RtlilModule& module : modules) children_.insert(module.name);

    const std::vector<std::size_t> order = reachable(modules, index);
    std::map<std::string, std::int64_t> instances{{request_.top, 1}};
    for (const std::size_t m : order) {  // parents before children
      for (const auto& [child, count] : modules[m].instances) instances[child] += instances[modules[m].name] * count;
    }
    std::vector<std::optional<Unit>> units(order.size());
    std::vector<std::size_t> by_size(order.size());
    for (std::size_t k = 0; k < by_size.size(); ++k) by_size[k] = k;
    std::stable_sort(by_size.begin(), by_size.end(), [&](std::size_t a, std::size_t b) {
      return modules[order[a]].text.size() > modules[order[b]].text.size();
    });
    std::atomic<std::size_t> next{0};
    std::atomic<bool> failed{false};
    const auto workers = static_cast<std::size_t>(std::max(1, request_.threads));
    support::parallel_blocks(workers, static_cast<int>(workers), [&](std::size_t, std::size_t) {
      for (std::size_t k = next++; k < by_size.size() && !failed; k = next++) {
        const RtlilModule& module = modules[order[by_size[k]]];
        auto unit = run_module(module, modules, index, fmt::format("module_{}", by_size[k]));
        if (!unit) {
          failed = true;
          return;
        }
        units[by_size[k]] = std::move(*unit);
      }
    });
    if (failed) return diag::failure;
    for (std::size_t k = 0; k < order.size(); ++k)
      collect(report, modules[order[k]].name, instances[modules[order[k]].name], *units[k]);
    return {};
  }

  /// Modules below the top, every parent before its children.
  [[nodiscard]] std::vector<std::size_t> reachable(const std::vector<RtlilModule>& modules,
                                                   const std::map<std::string, std::size_t>& index) const {
    std::vector<std::size_t> finished;
    std::set<std::size_t> seen;
    const std::function<void(std::size_t)> visit = [&](std::size_t m) {
      if (!seen.insert(m).second) return;
      for (const auto& [child, count] : modules[m].instances) visit(index.at(child));
      finished.push_back(m);
    };
    visit(index.at(request_.top));
    std::reverse(finished.begin(), finished.end());
    return finished;
  }

  Result<Unit> run_module(const RtlilModule& module, const std::vector<RtlilModule>& modules,
                          const std::map<std::string, std::size_t>& index, const std::string& name) const {
    std::string content = fmt::format("attribute \\top 1\nmodule \\{}\n{}", kUnit, module.text);
    for (const auto& [child, count] : module.instances) content += modules[index.at(child)].stub;
    WEFT_TRY_VOID(support::write_file(scratch_ / (name + ".il"), content, ctx_));
    const std::string script = "read_rtlil @UNIT@\n" +
                               family_commands(request_, kUnit, "build/yosys/cells.lib", false) +
                               fmt::format("tee -q -o @STAT@ stat -json -top {}\n", kUnit);
    return run_script(script, content, name);
  }

  void collect(SynthesisReport& report, const std::string& name, std::int64_t instances, const Unit& unit) const {
    ModuleReport module{name, instances, unit.usage, unit.area_um2, unit.critical_path_ps, unit.seconds, unit.cached};
    for (const std::string& child : children_) module.usage.cells.erase(child);
    report.usage.add(module.usage, instances);
    if (unit.area_um2)
      report.area_um2 = report.area_um2.value_or(0.0) + *unit.area_um2 * static_cast<double>(instances);
    if (unit.critical_path_ps)
      report.critical_path_ps = std::max(report.critical_path_ps.value_or(0.0), *unit.critical_path_ps);
    report.peak_mb = std::max(report.peak_mb, unit.peak_mb);
    report.modules.push_back(std::move(module));
  }

  SynthesisRequest request_;
  Context& ctx_;
  fs::path project_;
  fs::path scratch_;
  std::vector<std::string> sources_;
  std::string version_;
  std::string liberty_hash_;
  std::set<std::string> children_;  ///< names of the design's own modules, which are no cells
};

}  // namespace

void Usage::add_cell(const std::string& type, std::int64_t count) {
  cells[type] += count;
  const auto any = [&](std::initializer_list<std::string_view> names) {
    return std::find(names.begin(), names.end(), type) != names.end();
  };
  if (type == "LUT6_2") {
    lut += count;
    lut_by_size[6] += count;
  } else if (type.size() == 4 && type.starts_with("LUT") && is_digit(type[3])) {
    lut += count;
    lut_by_size[type[3] - '0'] += count;
  } else if (type == "SB_LUT4") {
    lut += count;
    lut_by_size[4] += count;
  } else if (type == "INV") {
    inverters += count;
  } else if (any({"CARRY4", "CARRY8", "CCU2C", "SB_CARRY"})) {
    carry += count;
  } else if (any({"MUXF7", "MUXF8", "MUXF9", "PFUMX", "L6MUX21"})) {
    muxf += count;
  } else if (starts_with_any(type, {"SRL16", "SRLC16", "SRLC32"})) {
    srl += count;
  } else if (starts_with_any(type, {"RAMB36"})) {
    bram18 += 2 * count;
  } else if (starts_with_any(type, {"RAMB18", "SB_RAM40", "DP16KD", "PDPW16KD"})) {
    bram18 += count;
  } else if (starts_with_any(type, {"URAM288", "SB_SPRAM256"})) {
    uram += count;
  } else if (starts_with_any(type, {"RAM16X", "RAM32", "RAM64", "RAM128", "RAM256", "RAM512", "TRELLIS_DPR16"})) {
    lutram += count;
  } else if (starts_with_any(type, {"FDRE", "FDSE", "FDCE", "FDPE", "TRELLIS_FF", "SB_DFF"})) {
    ff += count;
  } else if (starts_with_any(type, {"LDCE", "LDPE"})) {
    latch += count;
  } else if (starts_with_any(type, {"DSP48", "DSP58", "MULT18X18", "ALU54", "SB_MAC16"})) {
    dsp += count;
  }
}

void Usage::add(const Usage& other, std::int64_t count) {
  lut += other.lut * count;
  for (const auto& [size, n] : other.lut_by_size) lut_by_size[size] += n * count;
  inverters += other.inverters * count;
  carry += other.carry * count;
  muxf += other.muxf * count;
  srl += other.srl * count;
  lutram += other.lutram * count;
  ff += other.ff * count;
  latch += other.latch * count;
  dsp += other.dsp * count;
  bram18 += other.bram18 * count;
  uram += other.uram * count;
  gates += other.gates * count;
  for (const auto& [type, n] : other.cells) cells[type] += n * count;
}

Result<std::map<std::string, std::map<std::string, std::int64_t>>> parse_stat(const std::string& json,
                                                                              const std::string& name, Context& ctx) {
  WEFT_TRY(const support::Json root, support::parse_json(json, name, ctx));
  std::map<std::string, std::map<std::string, std::int64_t>> modules;
  const auto cells_of = [](const support::Json& module) {
    std::map<std::string, std::int64_t> cells;
    for (const auto& [type, count] : module.at("num_cells_by_type").items()) {
      cells[type.starts_with('\\') ? type.substr(1) : type] = count.get<std::int64_t>();
    }
    return cells;
  };
  try {
    for (const auto& [module, content] : root.at("modules").items()) {
      modules[module.starts_with('\\') ? module.substr(1) : module] = cells_of(content);
    }
    modules[""] = cells_of(root.at("design"));
  } catch (const nlohmann::json::exception& error) {
    return ctx.fail(Kind::ToolFailed, {.file = name},
                    fmt::format("the statistics of Yosys cannot be read: {}", error.what()));
  }
  return modules;
}

std::optional<double> parse_area(const std::string& log) {
  const std::size_t at = log.rfind("Chip area for ");
  if (at == std::string::npos) return std::nullopt;
  const std::string_view line = std::string_view(log).substr(at, log.find('\n', at) - at);
  const std::size_t colon = line.rfind(": ");
  return colon == std::string_view::npos ? std::nullopt : number_at(line.substr(colon + 2));
}

std::optional<double> parse_delay(const std::string& log) {
  std::optional<double> longest;
  constexpr std::string_view kKey = "Delay =";
  for (std::size_t at = log.find(kKey); at != std::string::npos; at = log.find(kKey, at + 1)) {
    const std::string_view rest = std::string_view(log).substr(at + kKey.size());
    const auto value = number_at(rest);
    if (value && rest.substr(0, rest.find('\n')).find(" ps") != std::string_view::npos)
      longest = std::max(longest.value_or(0.0), *value);
  }
  return longest;
}

std::vector<RtlilModule> split_rtlil(const std::string& text) {
  std::vector<RtlilModule> modules;
  std::vector<std::vector<std::string>> cell_types;
  bool inside = false;
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = text.find('\n', at);
    if (end == std::string::npos) end = text.size();
    const std::string_view line = std::string_view(text).substr(at, end - at);
    at = end + 1;
    const auto plain = [](std::string_view id) { return std::string(id.starts_with('\\') ? id.substr(1) : id); };
    if (!inside) {
      if (!line.starts_with("module ")) continue;
      const std::string id(line.substr(7));
      modules.push_back({plain(id), "", fmt::format("attribute \\blackbox 1\nmodule {}\n", id), {}});
      cell_types.emplace_back();
      inside = true;
      continue;
    }
    RtlilModule& module = modules.back();
    if (line == "end") {
      module.text += "end\n";
      module.stub += "end\n";
      inside = false;
      continue;
    }
    const std::string_view body = line.substr(std::min(line.find_first_not_of(' '), line.size()));
    if (starts_with_any(body, {"attribute \\src ", "attribute \\module_not_derived ", "attribute \\hdlname "}))
      continue;
    module.text += line;
    module.text += '\n';
    if (line.starts_with("  wire ") &&
        (line.find(" input ") != std::string_view::npos || line.find(" output ") != std::string_view::npos ||
         line.find(" inout ") != std::string_view::npos)) {
      module.stub += line;
      module.stub += '\n';
    }
    if (line.starts_with("  cell ")) {
      const std::string_view rest = line.substr(7);
      cell_types.back().push_back(plain(rest.substr(0, rest.find(' '))));
    }
  }
  if (inside) {  // cut off: the last module is not whole
    modules.pop_back();
    cell_types.pop_back();
  }
  std::set<std::string> names;
  for (const RtlilModule& module : modules) names.insert(module.name);
  for (std::size_t m = 0; m < modules.size(); ++m) {
    for (const std::string& type : cell_types[m]) {
      if (names.count(type) != 0) ++modules[m].instances[type];
    }
  }
  return modules;
}

Result<SynthesisReport> synthesize(const SynthesisRequest& request, Context& ctx) {
  return Synthesis(request, ctx).run();
}

}  // namespace weft::driver
