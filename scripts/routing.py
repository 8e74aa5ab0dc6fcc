# SPDX-License-Identifier: Apache-2.0
"""Synthesizes Verilog with Yosys, places and routes it with nextpnr for several seeds, and keeps the results by content.

    result = routed(sources, top, "lfe5u-45f", clock_ns, seeds=(1, 2, 3, 4, 5))

`result` has "lut", "ff", "carry", "dsp" and "bram" of the circuit, and "fmax_mhz" and "path" by seed. Commands and options are
those of nextpnr/build.sh in a project of `weft convert`.

A circuit is routed inside a wrapper that registers its inputs, so that every path of it lies between registers; these
registers are not counted. ECP5 is routed out of context, as a network has more ports than a package has pins. nextpnr for
iCE40 has no such mode: there the wrapper shifts the inputs in and the outputs out, and LUTs and flip-flops are those of a
synthesis of the circuit alone.
"""

import functools
import hashlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import tempfile

import mapping

WRAPPER = "routed_wrapper"


class RoutingError(Exception):
    """A tool failed or took too long; the text is the end of what it said."""


def cache_folder():
    return pathlib.Path(os.environ.get("WEFT_CACHE") or pathlib.Path.home() / ".cache/weft") / "routed"


class Device:
    """What nextpnr is to be told of a part, as src/weft/backends/project/devices.cpp has it."""

    def __init__(self, part):
        self.part = part.lower()
        lattice = re.match(r"lfe5(u|um|um5g)-(\d+)f", self.part)
        ice = re.match(r"ice40(\w+)-(\w+)", self.part)
        if lattice:
            kind = "" if lattice[1] == "u" else lattice[1] + "-"
            self.family, self.options = "ecp5", [f"--{kind}{lattice[2]}k", "--package", "CABGA381"]
            self.extra = ["--lpf-allow-unconstrained", "--out-of-context"]
        elif ice:
            self.family, self.options = "ice40", [f"--{ice[1]}", "--package", ice[2]]
            self.extra = ["--pcf-allow-unconstrained"]
        else:
            raise RoutingError(f"nextpnr does not know the part {part}")

    def program(self, folder=None):
        name = f"nextpnr-{self.family}"
        found = shutil.which(name, path=folder) or shutil.which("yowasp-" + name, path=folder)
        if not found:
            raise RoutingError(f"neither {name} nor yowasp-{name} is installed")
        return found


@functools.cache
def version_of(program):
    done = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    return re.search(r"Version (\S+?)\)", done.stdout + done.stderr)[1]


def run(command, folder, timeout, what):
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=timeout)
    except subprocess.TimeoutExpired:
        raise RoutingError(f"{what} took more than {timeout:.0f} s") from None
    if done.returncode != 0:
        raise RoutingError(f"{what} ended with {done.returncode}: {(done.stderr or done.stdout)[-800:]}")


def store(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(path.suffix + f".{os.getpid()}")
    partial.write_text(content)
    partial.replace(path)


def ports_of(dump):
    """(direction, name, width) of the ports in what Yosys' `dump` says."""
    ports = []
    for line in dump.splitlines():
        found = re.match(r"\s*wire ((?:\w+ -?\d+ |signed |upto )*)(input|output) \d+ (?:signed )?\\(\S+)", line)
        if found:
            width = re.search(r"width (\d+)", found[1])
            ports.append((found[2], found[3], int(width[1]) if width else 1))
    return ports


def wrapper(top, ports, serial):
    """Verilog of a module around `top` with registers at its inputs; `serial`: of few ports."""
    inputs = [(name, width) for direction, name, width in ports if direction == "input" and name != "clk"]
    outputs = [(name, width) for direction, name, width in ports if direction == "output"]
    bus = lambda width: f"[{width - 1}:0] "
    n, m = sum(w for _, w in inputs), sum(w for _, w in outputs)
    pins, at = [".clk(clk)"], 0
    for name, width in inputs:
        pins.append(f".{name}(given[{at + width - 1}:{at}])")
        at += width
    at = 0
    for name, width in outputs:
        pins.append(f".{name}(found[{at + width - 1}:{at}])")
        at += width
    if serial:
        head = "input clk, input shift, input si, output reg so"
        body = (f"  reg {bus(m)}taken;\n  always @(posedge clk) begin\n    given <= {{given, si}};\n"
                f"    taken <= shift ? {{taken, taken[{m - 1}]}} : found;\n    so <= taken[{m - 1}];\n  end\n")
    else:
        head = f"input clk, input {bus(n)}in, output {bus(m)}found"
        body = "  always @(posedge clk) given <= in;\n"
    found = f"  wire {bus(m)}found;\n" if serial else ""
    return f"module {WRAPPER}({head});\n  reg {bus(n)}given;\n{found}{body}  {top} circuit({', '.join(pins)});\nendmodule\n"


def counts(module, wrapped):
    """Cells of one module of Yosys' JSON by kind; `wrapped`: without the flip-flops that take an input directly."""
    ports = {b for p in module["ports"].values() if p["direction"] == "input" for b in p["bits"]}
    out = {"lut": 0, "ff": 0, "carry": 0, "dsp": 0, "bram": 0}
    for cell in module["cells"].values():
        kind, pins = cell["type"], cell["connections"]
        data = pins.get("DI", pins.get("D", [])) + pins.get("M", [])
        if kind == "TRELLIS_FF" or kind.startswith("SB_DFF"):
            out["ff"] += not (wrapped and any(b in ports for b in data))
        elif kind in ("LUT4", "SB_LUT4"):
            out["lut"] += 1
        elif kind in ("CCU2C", "SB_CARRY"):
            out["carry"] += 1
            out["lut"] += 2 if kind == "CCU2C" else 0  # both halves take a LUT
        elif kind in ("MULT18X18D", "SB_MAC16"):
            out["dsp"] += 1
        elif kind in ("DP16KD", "SB_RAM40_4K"):
            out["bram"] += 1
    return out


def synthesized(sources, top, device, extra=(), timeout=None, cache=None):
    """(digest, path of the netlist for nextpnr, counts of the circuit), kept by content."""
    serial = device.family == "ice40"
    script = f"synth_{device.family} -top {{}} -json {{}}.json"
    digest = hashlib.sha256(f"{mapping.yosys_version()}\0{script}\0wrapper 1\0{top}\0".encode())
    for path in [*sources, *extra]:
        digest.update(pathlib.Path(path).read_bytes() + b"\0")
    folder = pathlib.Path(cache) if cache else cache_folder()
    entry = folder / (digest.hexdigest() + ".json")
    netlist = folder / (digest.hexdigest() + ".netlist.json")
    if not entry.is_file() or not netlist.is_file():
        with tempfile.TemporaryDirectory() as scratch:
            scratch = pathlib.Path(scratch)
            reads = mapping.staged(sources, extra, scratch)
            yosys = lambda *lines: (
                (scratch / "run.ys").write_text("\n".join([*reads, *lines]) + "\n"),
                run(["yosys", "-q", "-s", "run.ys"], scratch, timeout, f"{top}: Yosys"))
            yosys(f"hierarchy -check -top {top}", f"dump -o ports.txt {top}/x:*")
            ports = ports_of((scratch / "ports.txt").read_text())
            (scratch / "wrapper.v").write_text(wrapper(top, ports, serial))
            yosys("read_verilog wrapper.v", script.format(WRAPPER, "wrapped"))
            text = (scratch / "wrapped.json").read_text()
            found = counts(json.loads(text)["modules"][WRAPPER], wrapped=True)
            if serial:
                yosys(script.format(top, "alone"))
                found = counts(json.loads((scratch / "alone.json").read_text())["modules"][top], wrapped=False)
        store(netlist, text)
        store(entry, json.dumps(found))
    return digest.hexdigest(), netlist, json.loads(entry.read_text())


def step_kind(step):
    """What one step of a critical path is."""
    if step["type"] != "logic":
        return step["type"]
    first, last = step["from"]["port"], step["to"]["port"]
    into, out = first in ("FCI", "CIN", "I3c"), last in ("FCO", "COUT")
    if into or out:
        return "carry" if into and out else "carry exit" if into else "carry entry"
    return "lut" if last in ("F", "O", "LO") else f"{first}-{last}"


def path_of(report):
    """[kind, delay in ns] of the steps of the longest path between registers."""
    for path in report.get("critical_paths", []):
        if path["from"].startswith("posedge") and path["to"].startswith("posedge"):
            return [[step_kind(step), round(step["delay"], 4)] for step in path["path"]]
    return []


def routed(sources, top, part, clock_ns, seeds, extra=(), timeout=None, cache=None, tools=None):
    """Figures of the circuit; "fmax_mhz" and "path" per seed. `extra` are files that the sources read by name."""
    device = Device(part)
    program = device.program(tools)
    digest, netlist, found = synthesized(sources, top, device, extra, timeout, cache)
    folder = pathlib.Path(cache) if cache else cache_folder()
    result = {**found, "part": device.part, "nextpnr": version_of(program), "fmax_mhz": {}, "path": {}, "seconds": {}}
    for seed in seeds:
        options = [*device.options, "--freq", f"{1000 / clock_ns:.3f}", *device.extra, "--timing-allow-fail", "--seed", str(seed)]
        key = hashlib.sha256("\0".join([digest, version_of(program), "report 1", *options]).encode()).hexdigest()
        entry = folder / f"{key}.route.json"
        if not entry.is_file():
            with tempfile.TemporaryDirectory() as scratch:
                shutil.copyfile(netlist, pathlib.Path(scratch, "netlist.json"))
                before = os.times()
                run([program, *options, "--json", "netlist.json", "--report", "report.json", "-q"], scratch, timeout, f"{top}: nextpnr")
                after = os.times()
                report = json.loads(pathlib.Path(scratch, "report.json").read_text())
            fmax = [clock["achieved"] for clock in report["fmax"].values()]
            if len(fmax) != 1:
                raise RoutingError(f"{top}: nextpnr reports {len(fmax)} clocks")
            # CPU seconds: other work on the machine does not count.
            store(entry, json.dumps({"fmax_mhz": fmax[0], "path": path_of(report), "utilization": report["utilization"],
                                     "seconds": round(after.children_user - before.children_user, 1)}))
        kept = json.loads(entry.read_text())
        for name in ("fmax_mhz", "path", "seconds"):
            result[name][seed] = kept[name]
        result["utilization"] = {k: v["used"] for k, v in kept["utilization"].items()}
    return result
