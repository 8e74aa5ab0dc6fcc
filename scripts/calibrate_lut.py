#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Compares predicted LUT and FF of converted designs with Yosys and fits one factor per resource.

usage: calibrate_lut.py DIR [DIR ...]     DIR as `weft convert MODEL -o DIR` writes it (Verilog, parallel)

A factor near 1 means that the prediction still describes what synthesis makes of the emitted Verilog: for Xilinx families
the bits of src/weft/netlist/bit_circuit.cpp, for others the cell costs of src/weft/hw/cost.cpp. `./dev bench-prediction`
does the same for drawn layers.
"""
import json
import pathlib
import re
import subprocess
import sys
import tempfile

SCRIPT = "read_verilog {files}; synth_xilinx -flatten -nodsp -noiopad -noclkbuf -family xcup -top {top}; tee -o {stat} stat"


def synthesize(directory, top):
    """Cell counts of the netlist by type."""
    files = " ".join(str(f.resolve()) for f in sorted((directory / "rtl").glob("*.v")))
    with tempfile.TemporaryDirectory() as scratch:
        stat = pathlib.Path(scratch) / "stat"
        subprocess.run(["yosys", "-q", "-p", SCRIPT.format(files=files, top=top, stat=stat)], check=True,
                       stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=scratch)
        text = stat.read_text()
    return {name: int(count) for name, count in re.findall(r"^\s+([A-Z]\w+)\s+(\d+)\s*$", text, re.M)}


def total(cells, *prefixes):
    return sum(count for name, count in cells.items() if name.startswith(prefixes))


def factor(pairs):
    """Least squares of measured = factor * predicted."""
    below = sum(p * p for p, _ in pairs)
    return sum(p * m for p, m in pairs) / below if below else float("nan")


def main(arguments):
    if not arguments:
        sys.exit(__doc__)
    luts, ffs = [], []
    print(f"{'design':30} {'LUT pred':>9} {'LUT':>9} {'err %':>7} {'FF pred':>9} {'FF':>9}")
    for name in arguments:
        directory = pathlib.Path(name)
        predicted = json.loads((directory / "weft.json").read_text())["predicted"]
        top = json.loads((directory / "interface.json").read_text())["top"]
        cells = synthesize(directory, top)
        lut, ff = total(cells, "LUT", "SRL"), total(cells, "FD")
        luts.append((predicted["lut"], lut))
        ffs.append((predicted["ff"], ff))
        error = 100 * (predicted["lut"] - lut) / lut if lut else 0.0
        print(f"{directory.name:30} {predicted['lut']:9.0f} {lut:9} {error:7.1f} {predicted['ff']:9.0f} {ff:9}")
    print(f"factors: LUT {factor(luts):.3f}, FF {factor(ffs):.3f}")


if __name__ == "__main__":
    main(sys.argv[1:])
