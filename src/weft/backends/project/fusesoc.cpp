// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "weft/backends/project/devices.h"
#include "weft/backends/project/scripts.h"
#include "weft/netlist/print_vhdl.h"

namespace weft::backends::project {

namespace {

/// A YAML scalar between single quotes.
std::string yaml_text(std::string_view text) {
  std::string out(1, '\'');
  for (const char c : text) out.append(c == '\'' ? 2 : 1, c);
  return out + "'";
}

}  // namespace

std::string fusesoc_core(const Project& project) {
  const hw::Design& design = project.design;
  const bool vhdl = project.is_vhdl();
  const std::string type = vhdl ? "vhdlSource-2008" : "verilogSource";
  const std::string bench = vhdl ? netlist::vhdl_identifier(design.top + "_tb") : design.top + "_tb";
  const QuartusDevice quartus = quartus_device(design);
  const NextpnrDevice nextpnr = nextpnr_device(design);
  std::string text = fmt::format(
      "CAPI=2:\n"
      "name: 'weft:networks:{}:1.0.0'\n"
      "description: 'a quantized network as a pipeline: latency {} cycles, a new input every {}'\n"
      "\n"
      "filesets:\n"
      "  rtl:\n"
      "    file_type: {}\n"
      "    files:\n",
      design.top, design.latency_cycles, design.interval_cycles == 1 ? "cycle" : "so many cycles", type);
  for (const std::string& source : project.sources) text += fmt::format("      - {}\n", yaml_text(source));
  text += fmt::format(
      "  tb:\n"
      "    file_type: {}\n"
      "    files:\n",
      type);
  for (const std::string& bench_file : project.benches) text += fmt::format("      - {}\n", yaml_text(bench_file));
  text +=
      "  vivado:\n"
      "    file_type: xdc\n"
      "    files:\n"
      "      - vivado/clocks.xdc\n";
  if (!project.is_xilinx_only())
    text +=
        "  quartus:\n"
        "    file_type: SDC\n"
        "    files:\n"
        "      - quartus/clocks.sdc\n";
  // The bench reads its vectors below the folder that this parameter names.
  text += fmt::format(
      "\n"
      "parameters:\n"
      "  {0}:\n"
      "    datatype: str\n"
      "    paramtype: {1}\n"
      "    description: 'folder that holds tb/ with the vectors that `weft verify` writes'\n"
      "  {7}:\n"
      "    datatype: int\n"
      "    default: 1000\n"
      "    paramtype: {1}\n"
      "    description: 'vectors to run; `weft verify` writes 1000 when it is not told otherwise'\n"
      "\n"
      "targets:\n"
      "  default:\n"
      "    filesets: [rtl]\n"
      "    toplevel: {2}\n"
      "  sim:\n"
      "    default_tool: {3}\n"
      "    filesets: [rtl, tb]\n"
      "    parameters: [{0}, {7}]\n"
      "    toplevel: {4}\n"
      "{5}"
      "  vivado:\n"
      "    default_tool: vivado\n"
      "    filesets: [rtl, vivado]\n"
      "    toplevel: {2}\n"
      "    tools:\n"
      "      vivado:\n"
      "        part: {6}\n",
      vhdl ? "DIR" : "dir", vhdl ? "generic" : "plusarg", yaml_text(project.top()), vhdl ? "ghdl" : "icarus",
      yaml_text(bench),
      vhdl ? "    tools:\n      ghdl:\n        analyze_options: ['--std=08']\n        run_options: "
             "['--ieee-asserts=disable']\n"
           : "",
      yaml_text(vivado_part(design).name), vhdl ? "SAMPLES" : "samples");
  if (project.is_xilinx_only()) return text;
  text += fmt::format(
      "  quartus:\n"
      "    default_tool: quartus\n"
      "    filesets: [rtl, quartus]\n"
      "    toplevel: {}\n"
      "    tools:\n"
      "      quartus:\n"
      "        family: {}\n"
      "        device: {}\n",
      yaml_text(project.top()), yaml_text(quartus.family), yaml_text(quartus.device.name));
  // Yosys reads Verilog only.
  if (!vhdl) {
    std::string options;
    for (const std::string& option : nextpnr.options)
      options.append(options.empty() ? "" : ", ").append(yaml_text(option));
    text += fmt::format(
        "  nextpnr:\n"
        "    default_tool: {0}\n"
        "    filesets: [rtl]\n"
        "    toplevel: {1}\n"
        "    tools:\n"
        "      {0}:\n"
        "        nextpnr_options: [{2}]\n",
        nextpnr.architecture == "ice40" ? "icestorm" : "trellis", yaml_text(project.top()), options);
  }
  return text;
}

}  // namespace weft::backends::project
