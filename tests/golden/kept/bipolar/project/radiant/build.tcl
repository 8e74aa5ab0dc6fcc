# Radiant: synthesis, mapping, placement and routing of bipolar at 5 ns (200.0 MHz). Output goes to the current folder.
# radiantc <project>/radiant/build.tcl
# The design was planned for xcvu9p-flga2104-2L-e, which this tool does not know: choose a device of yours.
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
set device LIFCL-40-7BG400I
set performance 7_High-Performance_1.0V

prj_create -name build -impl impl_1 -dev $device -performance $performance -synthesis synplify
foreach source $sources { prj_add_source [file join $root $source] }
prj_add_source [file join $root radiant/clocks.pdc]
prj_set_impl_opt -impl impl_1 top bipolar
prj_save
prj_run Synthesis -impl impl_1
prj_run Map -impl impl_1
prj_run PAR -impl impl_1
prj_close
