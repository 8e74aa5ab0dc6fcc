# Quartus: the whole flow of bipolar at 5 ns (200.0 MHz). Output goes to the current folder.
# quartus_sh -t <project>/quartus/build.tcl [DEVICE FAMILY]
# The design was planned for xcvu9p-flga2104-2L-e, which this tool does not know: choose a device of yours.
package require ::quartus::project
package require ::quartus::flow
set root [file normalize [file join [file dirname [info script]] ..]]
set sources {
  rtl/bipolar.v
  rtl/bipolar_argmax_7.v
  rtl/bipolar_matmul_2.v
  rtl/bipolar_matmul_6.v
  rtl/bipolar_multithreshold_4.v
  rtl/bipolar_topk_8.v
  rtl/bipolar_x.v
}
set device 5CGXFC7C7F23C8
set family Cyclone\ V
if {[llength $quartus(args)] > 0} { set device [lindex $quartus(args) 0] }
if {[llength $quartus(args)] > 1} { set family [lindex $quartus(args) 1] }

project_new -overwrite build
set_global_assignment -name FAMILY $family
set_global_assignment -name DEVICE $device
set_global_assignment -name TOP_LEVEL_ENTITY bipolar
foreach source $sources { set_global_assignment -name VERILOG_FILE [file join $root $source] }
set_global_assignment -name SDC_FILE [file join $root quartus/clocks.sdc]
set_global_assignment -name PROJECT_OUTPUT_DIRECTORY output
set_instance_assignment -name VIRTUAL_PIN ON -to *
set_instance_assignment -name VIRTUAL_PIN OFF -to clk
execute_flow -compile
project_close
