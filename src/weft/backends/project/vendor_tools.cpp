// SPDX-License-Identifier: Apache-2.0
#include <fmt/format.h>

#include "weft/backends/project/devices.h"
#include "weft/backends/project/scripts.h"

namespace weft::backends::project {

namespace {

/// Tcl: the folder of the project, and the sources in it.
std::string preamble(const Project& project) {
  std::string text =
      "set root [file normalize [file join [file dirname [info script]] ..]]\n"
      "set sources {\n";
  for (const std::string& source : project.sources) text += fmt::format("  {}\n", tcl_word(source));
  return text + "}\n";
}

}  // namespace

std::string sdc_clock(const Project& project) {
  return fmt::format("create_clock -name clk -period {:.3f} [get_ports clk]\n", project.design.options.clock_ns);
}

// Out of context: a network has more ports than a package has pins.
std::string vivado_build(const Project& project) {
  const Device part = vivado_part(project.design);
  return project.header("Vivado: synthesis, placement and routing",
                        "vivado -mode batch -source <project>/vivado/build.tcl [-tclargs PART]", part.is_planned) +
         preamble(project) +
         fmt::format(
             "set part {}\n"
             "if {{[info exists argc] && $argc > 0}} {{ set part [lindex $argv 0] }}\n"
             "\n"
             "create_project -in_memory -part $part\n"
             "foreach source $sources {{ {} [file join $root $source] }}\n"
             "read_xdc [file join $root vivado/clocks.xdc]\n"
             "synth_design -top {} -part $part -mode out_of_context -flatten_hierarchy rebuilt\n"
             "opt_design\n"
             "place_design\n"
             "route_design\n"
             "report_utilization -file utilization.rpt\n"
             "report_utilization -hierarchical -file utilization_hierarchical.rpt\n"
             "report_timing_summary -file timing_summary.rpt\n"
             "write_checkpoint -force routed.dcp\n",
             tcl_word(part.name), project.is_vhdl() ? "read_vhdl -vhdl2008" : "read_verilog", tcl_word(project.top()));
}

// Virtual pins take the place of the ports, for the same reason.
std::string quartus_build(const Project& project) {
  const QuartusDevice quartus = quartus_device(project.design);
  return project.header("Quartus: the whole flow", "quartus_sh -t <project>/quartus/build.tcl [DEVICE FAMILY]",
                        quartus.device.is_planned) +
         "package require ::quartus::project\npackage require ::quartus::flow\n" + preamble(project) +
         fmt::format(
             "set device {}\n"
             "set family {}\n"
             "if {{[llength $quartus(args)] > 0}} {{ set device [lindex $quartus(args) 0] }}\n"
             "if {{[llength $quartus(args)] > 1}} {{ set family [lindex $quartus(args) 1] }}\n"
             "\n"
             "project_new -overwrite build\n"
             "set_global_assignment -name FAMILY $family\n"
             "set_global_assignment -name DEVICE $device\n"
             "set_global_assignment -name TOP_LEVEL_ENTITY {}\n"
             "{}"
             "foreach source $sources {{ set_global_assignment -name {} [file join $root $source] }}\n"
             "set_global_assignment -name SDC_FILE [file join $root quartus/clocks.sdc]\n"
             "set_global_assignment -name PROJECT_OUTPUT_DIRECTORY output\n"
             "set_instance_assignment -name VIRTUAL_PIN ON -to *\n"
             "set_instance_assignment -name VIRTUAL_PIN OFF -to clk\n"
             "execute_flow -compile\n"
             "project_close\n",
             tcl_word(quartus.device.name), tcl_word(quartus.family), tcl_word(project.top()),
             project.is_vhdl() ? "set_global_assignment -name VHDL_INPUT_VERSION VHDL_2008\n" : "",
             project.is_vhdl() ? "VHDL_FILE" : "VERILOG_FILE");
}

std::string radiant_build(const Project& project) {
  const RadiantDevice radiant = radiant_device(project.design);
  return project.header("Radiant: synthesis, mapping, placement and routing", "radiantc <project>/radiant/build.tcl",
                        radiant.device.is_planned) +
         preamble(project) +
         fmt::format(
             "set device {}\n"
             "set performance {}\n"
             "\n"
             "prj_create -name build -impl impl_1 -dev $device -performance $performance -synthesis synplify\n"
             "foreach source $sources {{ prj_add_source [file join $root $source] }}\n"
             "prj_add_source [file join $root radiant/clocks.pdc]\n"
             "{}"
             "prj_set_impl_opt -impl impl_1 top {}\n"
             "prj_save\n"
             "prj_run Synthesis -impl impl_1\n"
             "prj_run Map -impl impl_1\n"
             "prj_run PAR -impl impl_1\n"
             "prj_close\n",
             tcl_word(radiant.device.name), tcl_word(radiant.performance),
             project.is_vhdl() ? "prj_set_impl_opt -impl impl_1 HDL_type VHDL\n" : "", tcl_word(project.top()));
}

}  // namespace weft::backends::project
