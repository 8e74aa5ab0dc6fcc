#!/bin/sh
# Yosys and nextpnr: synthesis, placement and routing of bipolar at 5 ns (200.0 MHz). Output goes to the current folder.
# sh <project>/nextpnr/build.sh
# The design was planned for xcvu9p-flga2104-2L-e, which this tool does not know: choose a device of yours.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
tool() {
  command -v "$1" || command -v "yowasp-$1" || {
    echo "neither $1 nor yowasp-$1 is installed" >&2
    exit 1
  }
}
yosys=$(tool yosys)
nextpnr=$(tool nextpnr-ecp5)

set --
set -- "$@" "$root"/'rtl/bipolar.v'
set -- "$@" "$root"/'rtl/bipolar_argmax_7.v'
set -- "$@" "$root"/'rtl/bipolar_matmul_2.v'
set -- "$@" "$root"/'rtl/bipolar_matmul_6.v'
set -- "$@" "$root"/'rtl/bipolar_multithreshold_4.v'
set -- "$@" "$root"/'rtl/bipolar_topk_8.v'
set -- "$@" "$root"/'rtl/bipolar_x.v'
cat "$@" >sources.v
cp "$root"/nextpnr/synth.ys "$root"/nextpnr/clocks.lpf .
"$yosys" -q -l yosys.log -s synth.ys
# Out of context: a network has more ports than a package has pins.
"$nextpnr" '--85k' '--package' 'CABGA381' --json netlist.json --lpf clocks.lpf --freq 200.000 --lpf-allow-unconstrained --out-of-context \
  --timing-allow-fail --seed 1 --report report.json --log nextpnr.log -q
