# Vivado: synthesis, placement and routing of bipolar at 5 ns (200.0 MHz). Output goes to the current folder.
# vivado -mode batch -source <project>/vivado/build.tcl [-tclargs PART]
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
set part xcvu9p-flga2104-2L-e
if {[info exists argc] && $argc > 0} { set part [lindex $argv 0] }

create_project -in_memory -part $part
foreach source $sources { read_verilog [file join $root $source] }
read_xdc [file join $root vivado/clocks.xdc]
synth_design -top bipolar -part $part -mode out_of_context -flatten_hierarchy rebuilt
opt_design
place_design
route_design
report_utilization -file utilization.rpt
report_utilization -hierarchical -file utilization_hierarchical.rpt
report_timing_summary -file timing_summary.rpt
write_checkpoint -force routed.dcp
