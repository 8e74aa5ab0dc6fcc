// SPDX-License-Identifier: Apache-2.0
#include "weft/driver/csim.h"

#include <fmt/format.h>

#include "weft/driver/process.h"
#include "weft/support/files.h"

namespace weft::driver {

namespace fs = std::filesystem;

Result<CsimResult> run_csim(const CsimRequest& request, const exact::Graph& graph,
                            const std::vector<std::vector<Int>>& inputs, const std::vector<std::vector<Int>>& outputs,
                            Context& ctx) {
  const std::string project = request.project.string();
  if (request.ap_types.empty() || !fs::exists(request.ap_types / "ap_int.h"))
    return ctx.fail(Kind::ToolMissing, {.file = project},
                    "C simulation needs the open ap_types headers: give their folder with --ap-types or WEFT_AP_TYPES; "
                    "they lie inside the hls4ml wheel "
                    "(pip download --no-deps hls4ml)");
  std::size_t samples = 0;
  std::string text;
  if (!graph.inputs.empty()) samples = inputs[0].size() / graph.at(graph.inputs[0].value).ranges.size();
  for (std::size_t s = 0; s < samples; ++s) {
    for (std::size_t i = 0; i < inputs.size(); ++i) {
      const std::size_t n = graph.at(graph.inputs[i].value).ranges.size();
      for (std::size_t k = 0; k < n; ++k) text += fixed::to_string(inputs[i][s * n + k]) + " ";
    }
    text += "\n";
  }
  const fs::path hls = fs::absolute(request.project) / "hls";
  const fs::path build = fs::absolute(request.project) / "build";
  const fs::path logs = fs::absolute(request.project) / "logs";
  std::error_code error;
  fs::create_directories(build, error);
  WEFT_TRY_VOID(support::write_file(build / "csim_in.txt", text, ctx));
  const fs::path program = build / (request.top + "_csim");
  WEFT_TRY_VOID(run_tool({.program = "g++",
                          .arguments = {"-std=c++17", "-O1", "-w", "-I", fs::absolute(request.ap_types).string(), "-I",
                                        hls.string(), (hls / (request.top + ".cpp")).string(),
                                        (hls / (request.top + "_csim.cpp")).string(), "-o", program.string()},
                          .log = logs / "csim_build.log",
                          .timeout_seconds = request.timeout_seconds,
                          .package = "g++"},
                         ctx));
  WEFT_TRY_VOID(run_tool({.program = program.string(),
                          .arguments = {(build / "csim_in.txt").string(), (build / "csim_out.txt").string()},
                          .log = logs / "csim.log",
                          .timeout_seconds = request.timeout_seconds},
                         ctx));
  WEFT_TRY(const std::string result, support::read_file(build / "csim_out.txt", ctx));
  CsimResult out;
  std::size_t at = 0;
  const auto next = [&]() -> std::optional<Int> {
    while (at < result.size() && (result[at] == ' ' || result[at] == '\n')) ++at;
    const std::size_t begin = at;
    while (at < result.size() && result[at] != ' ' && result[at] != '\n') ++at;
    return fixed::parse_int(std::string_view(result).substr(begin, at - begin));
  };
  for (std::size_t s = 0; s < samples; ++s) {
    bool same = true;
    for (std::size_t o = 0; o < outputs.size(); ++o) {
      const std::size_t n = graph.at(graph.outputs[o].value).ranges.size();
      for (std::size_t k = 0; k < n; ++k) {
        const auto code = next();
        if (!code) return out;  // fewer samples came back than went in: the caller reports it
        same = same && *code == outputs[o][s * n + k];
      }
    }
    ++out.samples;
    out.mismatches += same ? 0 : 1;
  }
  return out;
}

}  // namespace weft::driver
