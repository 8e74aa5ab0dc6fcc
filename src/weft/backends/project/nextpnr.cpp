// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>
#include <fmt/ranges.h>

#include "weft/backends/project/devices.h"
#include "weft/backends/project/scripts.h"
#include "weft/netlist/print_vhdl.h"

namespace weft::backends::project {

std::string nextpnr_synthesis(const Project& project) {
  const NextpnrDevice device = nextpnr_device(project.design);
  return fmt::format(
      "# Yosys, started by build.sh in the folder that it has brought the sources to.\n"
      "read_verilog sources.v\n"
      "synth_{} -top {} -json netlist.json\n"
      "tee -q -o utilization.json stat -json\n",
      device.architecture, project.is_vhdl() ? netlist::ghdl_verilog_name(project.design.top) : project.design.top);
}

// The open tools also come from PyPI under names with yowasp- in front. Those see the current folder, but not all of
// the file system, so everything is brought there first.
std::string nextpnr_build(const Project& project) {
  const NextpnrDevice device = nextpnr_device(project.design);
  const bool ecp5 = device.architecture == "ecp5";
  std::string text = "#!/bin/sh\n" + project.header("Yosys and nextpnr: synthesis, placement and routing",
                                                    "sh <project>/nextpnr/build.sh", device.is_planned);
  text +=
      "set -eu\n"
      "root=$(cd \"$(dirname \"$0\")/..\" && pwd)\n"
      "tool() {\n"
      "  command -v \"$1\" || command -v \"yowasp-$1\" || {\n"
      "    echo \"neither $1 nor yowasp-$1 is installed\" >&2\n"
      "    exit 1\n"
      "  }\n"
      "}\n"
      "yosys=$(tool yosys)\n";
  text += fmt::format("nextpnr=$(tool nextpnr-{})\n\nset --\n", device.architecture);
  for (const std::string& source : project.sources)
    text += fmt::format("set -- \"$@\" \"$root\"/{}\n", shell_word(source));
  if (project.is_vhdl()) {
    // GHDL leaves the backslashes of VHDL's identifiers in its Verilog.
    text += fmt::format("ghdl --synth --std=08 --out=verilog \"$@\" -e {} >ghdl.v\ntr -d '\\\\' <ghdl.v >sources.v\n",
                        shell_word(project.top()));
  } else {
    text += "cat \"$@\" >sources.v\n";
  }
  text += fmt::format("cp \"$root\"/nextpnr/synth.ys \"$root\"/nextpnr/clocks.{} .\n", ecp5 ? "lpf" : "pcf");
  std::vector<std::string> words;
  for (const std::string& option : device.options) words.push_back(shell_word(option));
  text += fmt::format(
      "\"$yosys\" -q -l yosys.log -s synth.ys\n"
      "{}"
      "\"$nextpnr\" {} --json netlist.json {} --freq {:.3f} {} \\\n"
      "  --timing-allow-fail --seed 1 --report report.json --log nextpnr.log -q\n",
      ecp5 ? "# Out of context: a network has more ports than a package has pins.\n" : "", fmt::join(words, " "),
      ecp5 ? "--lpf clocks.lpf" : "--pcf clocks.pcf", project.frequency_mhz(),
      ecp5 ? "--lpf-allow-unconstrained --out-of-context" : "--pcf-allow-unconstrained");
  return text;
}

std::string nextpnr_clock(const Project& project) {
  if (nextpnr_device(project.design).architecture == "ice40")
    return fmt::format("set_frequency clk {:.3f}\n", project.frequency_mhz());
  return fmt::format("FREQUENCY PORT \"clk\" {:.3f} MHZ;\n", project.frequency_mhz());
}

}  // namespace weft::backends::project
