# SPDX-License-Identifier: Apache-2.0
"""The files that a project carries for FPGA tools, checked without those tools: Tcl runs in tclsh with every command of a
vendor recorded, the FuseSoC core is read as YAML, shell scripts are parsed, and every file that one names exists.

    python3 tests/golden/project_test.py build/release/bin/weft
"""

import json
import pathlib
import shutil
import subprocess
import sys
import tempfile

import yaml

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
MODEL = "examples/fixtures/keras2/branches.h5"
# Part, clock in ns, and how each tool has to name the part; None is a device of its own choice.
PARTS = {
    "xcvu9p": (5, {"vivado": "xcvu9p-flga2104-2L-e", "nextpnr": "--85k"}),
    "xc7a35t": (10, {"vivado": "xc7a35ticsg324-1L", "nextpnr": "--85k"}),
    "lfe5um5g-85f": (10, {"vivado": "xcvu9p-flga2104-2L-e", "nextpnr": "--um5g-85k"}),
    "ice40up5k": (50, {"vivado": "xcvu9p-flga2104-2L-e", "nextpnr": "--up5k", "radiant": "iCE40UP5K-SG48I"}),
}
# Records what Tcl does not know, instead of failing; the words of each command go out as one line of a Tcl list.
RECORDER = """
proc unknown {args} { puts [list CALL {*}$args] }
rename package tcl_package
proc package {args} {}
set quartus(args) {}
set argc 0
set argv {}
source SCRIPT
puts DONE
"""
problems = []


def expect(condition, what):
    if not condition:
        problems.append(what)


def tcl_calls(script):
    """The commands that a script gives to its tool, as lists of words."""
    text = RECORDER.replace("SCRIPT", "{%s}" % script)
    done = subprocess.run(["tclsh"], input=text, capture_output=True, text=True, cwd=script.parent)
    expect(done.stdout.rstrip().endswith("DONE") and not done.stderr, f"{script}: {done.stderr.strip() or 'did not end'}")
    calls = []
    for line in done.stdout.splitlines():
        if line.startswith("CALL "):
            # Names here need no quotes of Tcl but the braces of words with blanks.
            split = subprocess.run(["tclsh"], input="foreach word {%s} { puts $word }" % line[5:], capture_output=True, text=True)
            calls.append(split.stdout.splitlines())
    return calls


def at(call, option):
    return call[call.index(option) + 1] if option in call else None


def clock_of(folder, file, clock_ns, label):
    """Constraints: one clock of the planned period."""
    text = (folder / file).read_text().splitlines()[0].split()
    expect(text[0] == "create_clock" and float(text[text.index("-period") + 1]) == clock_ns, f"{label}: {file}")


def check_other_vendors(folder, label, part, language, clock_ns, names, sources, top):
    calls = tcl_calls(folder / "quartus/build.tcl")
    given = {}
    for c in calls:
        if c[0] == "set_global_assignment":
            given.setdefault(at(c, "-name"), []).append(c[-1])
    read = given.get("VHDL_FILE" if language == "vhdl" else "VERILOG_FILE", [])
    expect([pathlib.Path(f) for f in read] == sources, f"{label}: Quartus reads {read}")
    expect(given.get("TOP_LEVEL_ENTITY") == [top] and len(given.get("DEVICE", [])) == 1, f"{label}: {given}")
    expect(all(pathlib.Path(f).exists() for f in given.get("SDC_FILE", ["nothing"])), f"{label}: SDC_FILE")
    expect(["execute_flow", "-compile"] in calls, f"{label}: Quartus does not run")

    calls = tcl_calls(folder / "radiant/build.tcl")
    read = [pathlib.Path(c[-1]) for c in calls if c[0] == "prj_add_source"]
    expect(read[:-1] == sources and read[-1].exists(), f"{label}: Radiant reads {read}")
    device = [at(c, "-dev") for c in calls if c[0] == "prj_create"]
    expect(len(device) == 1 and names.get("radiant", device[0]) == device[0], f"{label}: Radiant takes {device}")

    for file in ("quartus/clocks.sdc", "radiant/clocks.pdc"):
        clock_of(folder, file, clock_ns, label)
    family = "ice40" if part.startswith("ice40") else "ecp5"
    constraints = folder / ("nextpnr/clocks.pcf" if family == "ice40" else "nextpnr/clocks.lpf")
    expect(f"{1000 / clock_ns:.3f}" in constraints.read_text(), f"{label}: {constraints}")
    script = (folder / "nextpnr/build.sh").read_text()
    expect(names["nextpnr"] in script and constraints.name in script, f"{label}: nextpnr/build.sh")
    expect(all(f"'{source.relative_to(folder)}'" in script for source in sources), f"{label}: sources of nextpnr/build.sh")
    syntax = subprocess.run(["sh", "-n", folder / "nextpnr/build.sh"], capture_output=True, text=True)
    expect(syntax.returncode == 0, f"{label}: {syntax.stderr}")
    expect(f"synth_{family}" in (folder / "nextpnr/synth.ys").read_text(), f"{label}: synth.ys")


def check(folder, part, language, clock_ns, names, primitives):
    label = f"{part} {language} {primitives}"
    sources = [folder / line for line in (folder / "filelist.f").read_text().splitlines()]
    expect(sources and sorted(sources) == sorted((folder / "rtl").iterdir()), f"{label}: filelist.f is not rtl/")
    top = json.loads((folder / "weft.json").read_text())["top"]

    calls = tcl_calls(folder / "vivado/build.tcl")
    read = [pathlib.Path(c[-1]) for c in calls if c[0] == ("read_vhdl" if language == "vhdl" else "read_verilog")]
    expect(read == sources, f"{label}: Vivado reads {read}")
    synth = [c for c in calls if c[0] == "synth_design"]
    expect(len(synth) == 1 and at(synth[0], "-top") == top and at(synth[0], "-part") == names["vivado"], f"{label}: {synth}")
    xdc = [pathlib.Path(c[-1]) for c in calls if c[0] == "read_xdc"]
    expect(len(xdc) == 1 and xdc[0].exists(), f"{label}: {xdc}")
    order = [c[0] for c in calls]
    flow = [order.index(step) for step in ("synth_design", "opt_design", "place_design", "route_design", "report_timing_summary")]
    expect(flow == sorted(flow) and "report_utilization" in order, f"{label}: {order}")

    clock_of(folder, "vivado/clocks.xdc", clock_ns, label)
    if primitives == "xilinx":
        expect(not any((folder / tool).exists() for tool in ("quartus", "radiant", "nextpnr")), f"{label}: scripts of other vendors")
    else:
        check_other_vendors(folder, label, part, language, clock_ns, names, sources, top)

    cores = list(folder.glob("*.core"))
    expect(len(cores) == 1, f"{label}: {cores}")
    text = cores[0].read_text()
    expect(text.startswith("CAPI=2:\n"), f"{label}: the core's first line")
    core = yaml.safe_load(text)
    sets = core["filesets"]
    expect([folder / f for f in sets["rtl"]["files"]] == sources, f"{label}: files of the core")
    expect(sorted(folder / f for f in sets["tb"]["files"]) == sorted((folder / "tb").iterdir()), f"{label}: benches of the core")
    for name, files in sets.items():
        expect(all((folder / f).is_file() for f in files["files"]), f"{label}: fileset {name}")
        expect("file_type" in files, f"{label}: fileset {name} has no type")
    for name, target in core["targets"].items():
        expect(all(f in sets for f in target["filesets"]) and target["toplevel"], f"{label}: target {name}")
        expect(all(p in core["parameters"] for p in target.get("parameters", [])), f"{label}: target {name}")
    expect(core["targets"]["vivado"]["tools"]["vivado"]["part"] == names["vivado"], f"{label}: part of the core")


def main():
    weft = sys.argv[1]
    for tool in ("tclsh", "sh"):
        if shutil.which(tool) is None:
            raise SystemExit(f"{tool} is not installed")
    with tempfile.TemporaryDirectory() as scratch:
        kinds = [(part, language, "portable") for part in PARTS for language in ("verilog", "vhdl")]
        kinds += [(part, "verilog", "xilinx") for part in PARTS if part.startswith("xc")]
        for part, language, primitives in kinds:
            clock_ns, names = PARTS[part]
            folder = pathlib.Path(scratch) / f"{part} {language} {primitives}"  # blanks in the path
            command = [weft, "convert", MODEL, "-o", folder, "--target", language, "--part", part, "--clock-ns", str(clock_ns),
                       "--primitives", primitives, "-q"]
            done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
            expect(done.returncode == 0, f"{folder.name}: {done.stderr}")
            if done.returncode == 0:
                check(folder, part, language, clock_ns, names, primitives)
                if primitives == "xilinx":
                    refused = subprocess.run([weft, "build", folder, "--tool", "nextpnr"], capture_output=True, text=True)
                    expect(refused.returncode == 1 and refused.stderr.startswith("error:"), f"{folder.name}: {refused.stderr}")
    print("\n".join(problems) or f"{len(kinds)} projects: every script can be read and names what is there")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
