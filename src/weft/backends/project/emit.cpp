// SPDX-License-Identifier: Apache-2.0
#include "weft/backends/project/emit.h"

#include <fmt/format.h>

#include "weft/backends/project/devices.h"
#include "weft/backends/project/scripts.h"
#include "weft/netlist/print_vhdl.h"

namespace weft::backends::project {

std::string Project::top() const { return is_vhdl() ? netlist::vhdl_identifier(design.top) : design.top; }

std::string Project::header(std::string_view what, std::string_view start, bool is_planned) const {
  std::string text = fmt::format("# {} of {} at {:g} ns ({:.1f} MHz). Output goes to the current folder.\n# {}\n", what,
                                 design.top, design.options.clock_ns, frequency_mhz(), start);
  if (!is_planned)
    text += fmt::format("# The design was planned for {}, which this tool does not know: choose a device of yours.\n",
                        design.part.name);
  return text;
}

std::string tcl_word(std::string_view text) {
  std::string word;
  for (const char c : text) {
    const bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' ||
                       c == '-' || c == '/' || c == '.';
    if (!plain) word.push_back('\\');
    word.push_back(c);
  }
  return word;
}

std::string shell_word(std::string_view text) {
  std::string word(1, '\'');
  for (const char c : text) {
    if (c == '\'')
      word.append("'\\''");
    else
      word.push_back(c);
  }
  return word + "'";
}

support::FileSet emit(const hw::Design& design, Language language, const std::vector<std::string>& sources,
                      const std::vector<std::string>& benches) {
  const Project project{design, language, sources, benches};
  support::FileSet files;
  std::string& list = files["filelist.f"];
  for (const std::string& source : sources) list.append(source).append("\n");
  files[design.top + ".core"] = fusesoc_core(project);
  files["vivado/build.tcl"] = vivado_build(project);
  files["vivado/clocks.xdc"] = sdc_clock(project);
  if (project.is_xilinx_only()) return files;
  files["quartus/build.tcl"] = quartus_build(project);
  files["quartus/clocks.sdc"] = sdc_clock(project) + "derive_clock_uncertainty\n";
  files["radiant/build.tcl"] = radiant_build(project);
  files["radiant/clocks.pdc"] = sdc_clock(project);
  files["nextpnr/synth.ys"] = nextpnr_synthesis(project);
  files["nextpnr/build.sh"] = nextpnr_build(project);
  files[nextpnr_device(design).architecture == "ice40" ? "nextpnr/clocks.pcf" : "nextpnr/clocks.lpf"] =
      nextpnr_clock(project);
  return files;
}

}  // namespace weft::backends::project
