# SPDX-License-Identifier: Apache-2.0
"""Reuse factors from the command line and from configuration files: interval, latency and results as said, fewer LUTs.

    python3 tests/golden/reuse_test.py build/release/bin/weft
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples/digits"
MODEL = DIGITS / "digits.h5"

# Options of convert, configuration, interval.
CASES = {
    "none": ([], None, 1),
    "command line": (["--reuse-factor", "3"], None, 3),
    "model": ([], "Model: {ReuseFactor: 2}\n", 2),
    "type": ([], "Model: {ReuseFactor: 2}\nLayerType:\n  Dense: {ReuseFactor: 5}\n", 5),
    # The layers that are named keep theirs.
    "name": (["--reuse-factor", "2"], "LayerName:\n  dense_1: {ReuseFactor: 7}\n  output: {ReuseFactor: 1}\n", 7),
    "name below": (["--reuse-factor", "1"], "LayerName:\n  dense_2: {ReuseFactor: 4}\n", 4),
    "vhdl": (["--reuse-factor", "4", "--target", "vhdl"], None, 4),
    "cells": (["--reuse-factor", "6", "--primitives", "xilinx"], None, 6),
}

problems = []


def expect(condition, what):
    if not condition:
        problems.append(what)


def run(weft, *arguments):
    done = subprocess.run([weft, *map(str, arguments), "--json"], capture_output=True, text=True)
    if done.returncode != 0:
        problems.append(f"weft {' '.join(map(str, arguments))}: {done.stderr.strip()}")
        return {}
    return json.loads(done.stdout)


def check(weft, folder, label, options, config, interval):
    if config is not None:
        (folder / "config.yaml").write_text(config)
        options = [*options, "--config", folder / "config.yaml"]
    project = folder / "project"
    predicted = run(weft, "convert", MODEL, "-o", project, *options).get("predicted")
    if predicted is None:
        return None
    expect(predicted["interval_cycles"] == interval, f"{label}: interval {predicted['interval_cycles']} instead of {interval}")
    simulator = "ghdl" if "vhdl" in options else "iverilog"
    if shutil.which(simulator):
        seen = run(weft, "verify", project, DIGITS / "x_test.npy", "--samples", "60", "--simulator", simulator)
        expect(seen.get("mismatches") == 0 and seen.get("samples", 0) > 60, f"{label}: {seen}")
        for key in ("latency_cycles", "interval_cycles"):
            expect(seen.get(key) == predicted[key], f"{label}: {key} {seen.get(key)}, {predicted[key]} predicted")
    return predicted


def main():
    weft = pathlib.Path(sys.argv[1]).resolve()
    lut = {}
    for label, (options, config, interval) in CASES.items():
        with tempfile.TemporaryDirectory(prefix="weft-reuse-") as folder:
            predicted = check(weft, pathlib.Path(folder), label, options, config, interval)
            if predicted:
                lut[label] = predicted["lut"]
    if not problems:
        expect(lut["command line"] < 0.8 * lut["none"], f"LUTs: {lut}")
        expect(lut["model"] < lut["none"], f"LUTs: {lut}")
    # C++ for synthesis has the interval in its pragma.
    with tempfile.TemporaryDirectory(prefix="weft-reuse-") as folder:
        project = pathlib.Path(folder) / "project"
        run(weft, "convert", MODEL, "-o", project, "--target", "vitis", "--reuse-factor", "3")
        sources = [path.read_text() for path in project.glob("hls/*.cpp")]
        expect(any("#pragma HLS PIPELINE II=3\n" in text for text in sources), "vitis: no pipeline of interval 3")
    for problem in problems:
        print(problem)
    sys.exit(1 if problems else 0)


main()
