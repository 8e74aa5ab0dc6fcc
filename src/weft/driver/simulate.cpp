// SPDX-License-Identifier: Apache-2.0
#include "weft/driver/simulate.h"

#include <fmt/format.h>

#include <algorithm>
#include <cctype>
#include <charconv>
#include <map>
#include <string_view>

#include "weft/netlist/print_vhdl.h"
#include "weft/support/json.h"

namespace weft::driver {
namespace {

namespace fs = std::filesystem;

/// Models of vendors' cells, where rtl/ uses some.
constexpr const char* kCellModels = "tb/weft_cells.v";

std::optional<std::int64_t> field(std::string_view line, std::string_view name) {
  const std::string key = fmt::format(" {}=", name);
  const std::size_t at = line.find(key);
  if (at == std::string_view::npos) return std::nullopt;
  const std::string_view rest = line.substr(at + key.size());
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(rest.data(), rest.data() + rest.size(), value);
  if (error != std::errc{} || (end != rest.data() + rest.size() && *end != ' ' && *end != '\r')) return std::nullopt;
  return value;
}

/// Regular files with this ending, relative to `base`, in name order.
std::vector<std::string> files_in(const fs::path& base, const std::string& folder, const std::string& ending) {
  std::vector<std::string> names;
  std::error_code error;
  for (fs::directory_iterator it(base / folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (it->is_regular_file(error) && name.ends_with(ending)) names.push_back(folder + "/" + name);
  }
  std::sort(names.begin(), names.end());
  return names;
}

/// The bench `top` + "_tb", found when the request does not name the top.
Result<std::string> find_bench(const SimulationRequest& request, const std::string& ending, Context& ctx) {
  if (!request.top.empty()) {
    std::error_code error;
    const fs::path bench = request.project / "tb" / (request.top + "_tb" + ending);
    if (fs::is_regular_file(bench, error)) return request.top + "_tb";
    return ctx.fail(Kind::FileUnreadable, {.file = bench.string()}, "the project has no such test bench");
  }
  const std::vector<std::string> benches = files_in(request.project, "tb", "_tb" + ending);
  if (benches.size() != 1) {
    return ctx.fail(
        Kind::FileUnreadable, {.file = (request.project / "tb").string()},
        fmt::format("{} test benches `*_tb{}` instead of one; name the top module", benches.size(), ending));
  }
  return fs::path(benches.front()).stem().string();
}

/// The vector files and their number of lines, which must agree.
struct Vectors {
  std::map<std::string, std::string> files;
  std::int64_t lines = 0;
};

Result<Vectors> read_vectors(const fs::path& project, Context& ctx) {
  Vectors vectors;
  const std::string folder = (project / "tb").string();
  for (const std::string& name : files_in(project, "tb", ".hex")) {
    WEFT_TRY(std::string text, support::read_file(project / name, ctx));
    std::int64_t lines = std::count(text.begin(), text.end(), '\n');
    if (!text.empty() && text.back() != '\n') ++lines;
    if (!vectors.files.empty() && lines != vectors.lines) {
      return ctx.fail(Kind::ShapeMismatch, {.file = (project / name).string()},
                      fmt::format("{} vectors, but {} in the other files", lines, vectors.lines));
    }
    vectors.lines = lines;
    vectors.files.emplace(name, std::move(text));
  }
  if (vectors.lines == 0)
    return ctx.fail(Kind::FileUnreadable, {.file = folder}, "there are no test vectors `tb/*.hex`");
  return vectors;
}

/// The first `samples` lines.
std::string head(const std::string& text, std::int64_t samples) {
  std::size_t at = 0;
  for (std::int64_t line = 0; line < samples && at != std::string::npos; ++line) {
    at = text.find('\n', at);
    if (at != std::string::npos) ++at;
  }
  return text.substr(0, at);
}

/// Removes the build folder at the end of its scope.
class BuildFolder {
 public:
  BuildFolder(fs::path path, bool keep) : path_(std::move(path)), keep_(keep) {
    std::error_code error;
    fs::remove_all(path_, error);
    fs::create_directories(path_, error);
  }
  BuildFolder(const BuildFolder&) = delete;
  BuildFolder& operator=(const BuildFolder&) = delete;
  ~BuildFolder() {
    std::error_code error;
    if (!keep_) {
      fs::remove_all(path_, error);
      fs::remove(path_.parent_path(), error);  // only when empty
    }
  }
  [[nodiscard]] const fs::path& path() const { return path_; }

 private:
  fs::path path_;
  bool keep_;
};

struct Commands {
  std::vector<ProcessRequest> build;
  ProcessRequest run;
};

Commands verilator_commands(const SimulationRequest& request, const std::string& bench, std::int64_t samples,
                            const std::vector<std::string>& sources, const fs::path& folder) {
  Commands commands;
  ProcessRequest build;
  build.program = "verilator";
  build.package = "verilator";
  // Registers start with random bits, so that a design that depends on their start is caught. -O1 compiles several
  // times faster than -O3 and the benches are short.
  build.arguments = {"--binary", "--timing", "-O3",
                     // Verilator 5.006 loses bits in exclusive ors over repeated bits of one word.
                     "-fno-const-bit-op-tree", "-Wno-fatal", "-Wno-lint", "-Wno-style", "--x-assign", "unique",
                     "--x-initial", "unique", "--output-split", "20000", "-MAKEFLAGS",
                     "OPT_FAST=-O1 OPT_SLOW=-O0 OPT_GLOBAL=-O0", "-j", std::to_string(std::max(1, request.threads)),
                     "--top-module", bench, fmt::format("-GSAMPLES={}", samples), "--Mdir", folder.string(), "-o",
                     "simulator"};
  build.arguments.insert(build.arguments.end(), sources.begin(), sources.end());
  commands.build.push_back(std::move(build));
  commands.run.program = (folder / "simulator").string();
  commands.run.arguments = {"+verilator+rand+reset+2",
                            fmt::format("+verilator+seed+{}", request.seed % 2147483646 + 1)};
  return commands;
}

Commands icarus_commands(const std::string& bench, std::int64_t samples, const std::vector<std::string>& sources,
                         const fs::path& folder) {
  const std::string program = (folder / "simulator.vvp").string();
  Commands commands;
  ProcessRequest build;
  build.program = "iverilog";
  build.package = "iverilog";
  build.arguments = {"-g2001", "-o", program, "-s", bench, fmt::format("-P{}.SAMPLES={}", bench, samples)};
  build.arguments.insert(build.arguments.end(), sources.begin(), sources.end());
  commands.build.push_back(std::move(build));
  commands.run.program = "vvp";
  commands.run.package = "iverilog";
  commands.run.arguments = {"-n", program};
  return commands;
}

/// GHDL finds the order of analysis itself: units are imported, then made.
Commands ghdl_commands(const SimulationRequest& request, const std::string& bench, std::int64_t samples,
                       const std::vector<std::string>& sources, const fs::path& folder) {
  const std::string unit = netlist::vhdl_identifier(bench);
  const std::vector<std::string> options{"--std=08", "--workdir=" + folder.string()};
  const auto command = [&](const char* name, const std::vector<std::string>& arguments) {
    ProcessRequest process;
    process.program = "ghdl";
    process.package = "ghdl";
    process.arguments = {name};
    process.arguments.insert(process.arguments.end(), options.begin(), options.end());
    process.arguments.insert(process.arguments.end(), arguments.begin(), arguments.end());
    return process;
  };
  Commands commands;
  commands.build.push_back(command("-i", sources));
  commands.build.push_back(command("-m", {"-Wno-hide", unit}));
  // Registers hold no number before their first value, which numeric_std reports for every sum.
  commands.run = command("-r", {unit, "--ieee-asserts=disable", fmt::format("-gSAMPLES={}", samples),
                                "-gDIR=" + fs::absolute(request.project).string()});
  return commands;
}

}  // namespace

namespace {

/// One port of interface.json.
struct Port {
  std::string port;
  std::string name;
  std::int64_t elements = 0;
  int width_bits = 0;
  bool is_signed = false;
};

Result<std::vector<Port>> read_ports(const support::Json& json, const char* key, const std::string& file,
                                     Context& ctx) {
  std::vector<Port> ports;
  try {
    for (const auto& entry : json.at(key)) {
      Port port{entry.at("port").get<std::string>(), entry.at("name").get<std::string>(),
                entry.at("elements").get<std::int64_t>(), entry.at("element_width_bits").get<int>(),
                entry.at("signed").get<bool>()};
      // The name becomes a file name, so it has to be the Verilog identifier it claims to be.
      const bool plain = !port.port.empty() && std::all_of(port.port.begin(), port.port.end(), [](unsigned char c) {
        return std::isalnum(c) != 0 || c == '_' || c == '$';
      });
      if (!plain || port.elements < 1 || port.width_bits < 1 || port.width_bits > 128) {
        return ctx.fail(Kind::ModelMalformed, {.file = file},
                        "a port of the interface is malformed; convert the model again");
      }
      ports.push_back(std::move(port));
    }
  } catch (const nlohmann::json::exception& error) {
    return ctx.fail(Kind::ModelMalformed, {.file = file}, fmt::format("{}; convert the model again", error.what()));
  }
  return ports;
}

/// Hexadecimal digits of the fields, element 0 lowest.
void append_line(std::string& text, const Int* codes, const Port& port) {
  std::string digits;
  unsigned pending = 0;
  int bits = 0;
  for (std::int64_t e = 0; e < port.elements; ++e) {
    auto code = static_cast<UInt>(codes[e]);
    for (int b = 0; b < port.width_bits; ++b, code >>= 1) {
      pending |= static_cast<unsigned>(code & 1) << bits;
      if (++bits == 4) {
        digits.push_back("0123456789abcdef"[pending]);
        pending = 0;
        bits = 0;
      }
    }
  }
  if (bits > 0) digits.push_back("0123456789abcdef"[pending]);
  text.append(digits.rbegin(), digits.rend());
  text.push_back('\n');
}

bool fits(Int code, const Port& port) {
  if (port.width_bits == 128) return port.is_signed || code >= 0;
  if (!port.is_signed) return code >= 0 && (code >> port.width_bits) == 0;
  const Int rest = code >> (port.width_bits - 1);
  return rest == 0 || rest == -1;
}

Result<void> pack_port(support::FileSet& files, const Port& port, const std::vector<Int>& codes, std::int64_t& samples,
                       Context& ctx) {
  const auto count = static_cast<std::int64_t>(codes.size());
  if (count % port.elements != 0 || (samples >= 0 && count / port.elements != samples)) {
    return ctx.fail(Kind::ShapeMismatch, {.tensor = port.name},
                    fmt::format("{} codes do not fill whole vectors of {} elements", count, port.elements));
  }
  samples = count / port.elements;
  std::string text;
  for (std::int64_t s = 0; s < samples; ++s) {
    const Int* row = codes.data() + s * port.elements;
    for (std::int64_t e = 0; e < port.elements; ++e) {
      if (!fits(row[e], port)) {
        return ctx.fail(
            Kind::TypeTooWide, {.tensor = port.name},
            fmt::format("code {} of sample {} does not fit {} bits", fixed::to_string(row[e]), s, port.width_bits));
      }
    }
    append_line(text, row, port);
  }
  files.emplace("tb/" + port.port + ".hex", std::move(text));
  return {};
}

}  // namespace

Result<support::FileSet> pack_vectors(const fs::path& project, const std::vector<std::vector<Int>>& inputs,
                                      const std::vector<std::vector<Int>>& outputs, Context& ctx) {
  const fs::path path = project / "interface.json";
  WEFT_TRY(const std::string text, support::read_file(path, ctx));
  WEFT_TRY(const support::Json json, support::parse_json(text, path.string(), ctx));
  WEFT_TRY(const std::vector<Port> in, read_ports(json, "inputs", path.string(), ctx));
  WEFT_TRY(const std::vector<Port> out, read_ports(json, "outputs", path.string(), ctx));
  if (in.size() != inputs.size() || out.size() != outputs.size()) {
    return ctx.fail(
        Kind::ModelMalformed, {.file = path.string()},
        fmt::format("the interface has {} inputs and {} outputs, the model {} and {}; convert the model again",
                    in.size(), out.size(), inputs.size(), outputs.size()));
  }
  support::FileSet files;
  std::int64_t samples = -1;
  for (std::size_t p = 0; p < in.size(); ++p) WEFT_TRY_VOID(pack_port(files, in[p], inputs[p], samples, ctx));
  for (std::size_t p = 0; p < out.size(); ++p) WEFT_TRY_VOID(pack_port(files, out[p], outputs[p], samples, ctx));
  return files;
}

Result<SimulationResult> simulate(SimulationRequest request, const exact::Graph& graph,
                                  const std::vector<std::vector<Int>>& inputs,
                                  const std::vector<std::vector<Int>>& outputs, Context& ctx) {
  if (graph.inputs.size() != inputs.size() || graph.outputs.size() != outputs.size()) {
    return ctx.fail(Kind::ShapeMismatch, {}, "the vectors are not those of the model's inputs and outputs");
  }
  WEFT_TRY(request.vectors, pack_vectors(request.project, inputs, outputs, ctx));
  return simulate(request, ctx);
}

std::optional<SimulationResult> parse_test_bench_line(const std::string& log) {
  const std::size_t at = log.rfind("WEFT_TB ");
  if (at == std::string::npos) return std::nullopt;
  const std::string_view line = std::string_view(log).substr(at, log.find('\n', at) - at);
  const auto samples = field(line, "samples");
  const auto mismatches = field(line, "mismatches");
  const auto latency = field(line, "latency");
  const auto interval = field(line, "interval");
  if (!samples || !mismatches || !latency || !interval) return std::nullopt;
  SimulationResult result;
  result.samples = *samples;
  result.mismatches = *mismatches;
  result.latency_cycles = *latency;
  result.interval_cycles = *interval;
  return result;
}

Result<SimulationResult> simulate(const SimulationRequest& request, Context& ctx) {
  const bool vhdl = request.simulator == "ghdl";
  if (request.simulator != "verilator" && request.simulator != "iverilog" && !vhdl) {
    return ctx.fail(
        Kind::TargetUnknown, {},
        fmt::format("simulator `{}` is not known; take `verilator`, `iverilog` or `ghdl`", request.simulator));
  }
  const std::string ending = vhdl ? ".vhd" : ".v";
  std::error_code error;
  const fs::path project = fs::absolute(request.project, error);
  for (const auto& [name, content] : request.vectors) {
    fs::create_directories((project / name).parent_path(), error);
    WEFT_TRY_VOID(support::write_file(project / name, content, ctx));
  }
  WEFT_TRY(const std::string bench, find_bench(request, ending, ctx));
  WEFT_TRY(const Vectors vectors, read_vectors(project, ctx));
  const std::int64_t samples = request.samples > 0 ? std::min(request.samples, vectors.lines) : vectors.lines;
  std::vector<std::string> sources = files_in(project, "rtl", ending);
  if (sources.empty())
    return ctx.fail(Kind::FileUnreadable, {.file = (project / "rtl").string()},
                    fmt::format("the project has no `rtl/*{}`", ending));
  sources.push_back("tb/" + bench + ending);
  if (fs::is_regular_file(project / kCellModels, error)) sources.emplace_back(kCellModels);

  // Verilator's makefiles do not take paths with blanks.
  const bool blank = project.string().find_first_of(" \t") != std::string::npos;
  const fs::path build =
      blank ? fs::temp_directory_path() / ("weft_" + support::sha256_hex(project.string()).substr(0, 16))
            : project / "build";
  const BuildFolder folder(build / request.simulator, request.keep_build);
  Commands commands = vhdl ? ghdl_commands(request, bench, samples, sources, folder.path())
                      : request.simulator == "verilator"
                          ? verilator_commands(request, bench, samples, sources, folder.path())
                          : icarus_commands(bench, samples, sources, folder.path());
  commands.run.directory = project;
  commands.run.timeout_seconds = request.timeout_seconds;
  commands.run.log = project / "logs" / (request.simulator + "_run.log");
  if (!vhdl) commands.run.arguments.push_back(fmt::format("+samples={}", samples));

  if (samples < vectors.lines && !vhdl) {
    // Verilator stops at a file with more lines than the memory has words, so a part of the vectors is a set of files
    // of its own.
    fs::create_directories(folder.path() / "tb", error);
    for (const auto& [name, text] : vectors.files)
      WEFT_TRY_VOID(support::write_file(folder.path() / name, head(text, samples), ctx));
    commands.run.arguments.push_back("+dir=build/" + request.simulator);
  }

  double build_seconds = 0.0;
  double peak_mb = 0.0;
  for (ProcessRequest& command : commands.build) {
    command.directory = project;
    command.timeout_seconds = request.timeout_seconds;
    command.log = project / "logs" / (request.simulator + "_build.log");
    WEFT_TRY(const ProcessResult built, run_tool(command, ctx));
    build_seconds += built.seconds;
    peak_mb = std::max(peak_mb, built.peak_mb);
  }
  WEFT_TRY(const ProcessResult ran, run_tool(commands.run, ctx));
  WEFT_TRY(const std::string log, support::read_file(commands.run.log, ctx));
  std::optional<SimulationResult> result = parse_test_bench_line(log);
  if (!result) {
    ctx.report(Kind::ToolFailed, {.file = commands.run.log.string()},
               fmt::format("`{}` ended without the test bench's result line", request.simulator), last_lines(log, 12));
    return diag::failure;
  }
  result->build_seconds = build_seconds;
  result->seconds = build_seconds + ran.seconds;
  result->peak_mb = std::max(peak_mb, ran.peak_mb);
  result->log = commands.run.log;
  return std::move(*result);
}

}  // namespace weft::driver
