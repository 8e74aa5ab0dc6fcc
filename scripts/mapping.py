# SPDX-License-Identifier: Apache-2.0
"""Maps Verilog to FPGA cells with Yosys, always by one script, and keeps the results by content.

    result = mapped(sources, top, cache)     # {"lut", "ff", ..., "cells", "seconds", "netlist"}

`path_ps` is the longest path between registers by a simple model of delays. The counts are those of `weft synth`: LUT1 to LUT6
and LUT6_2 one each, inverters, carry cells, wide multiplexers, shift registers and LUT RAM apart.
"""

import functools
import hashlib
import json
import os
import pathlib
import re
import subprocess
import tempfile

SCRIPT = "synth_xilinx -family {family} -top {top} -flatten -noiopad -noclkbuf -nodsp"


def cache_folder():
    return pathlib.Path(os.environ.get("WEFT_CACHE") or pathlib.Path.home() / ".cache/weft") / "mapped"


@functools.cache
def yosys_version():
    return subprocess.run(["yosys", "-V"], capture_output=True, text=True, check=True).stdout.strip()


def classify(cells):
    """Counts of cells by type -> what they take."""
    def total(pattern):
        return sum(count for name, count in cells.items() if re.fullmatch(pattern, name))
    return {
        "lut": total(r"LUT[1-6]|LUT6_2"), "ff": total(r"FD[RSCP]E(_1)?"), "srl": total(r"SRL.*"), "lutram": total(r"RAM\d+[XM].*"),
        "carry": total(r"CARRY[48]"), "inv": total("INV"), "muxf": total(r"MUXF[789]"), "dsp": total(r"DSP.*"),
        "bram": total(r"RAMB.*"),
    }


# Delays of UltraScale+ in ps, those of src/weft/hw/targets.cpp taken apart: a LUT with its net 450; into a carry chain and
# out of it 150 and 11 per bit, so that LUT and chain together are an adder's 600 and 11 per bit; clock to output and setup
# 110. Wide multiplexers 150. Inverters are absorbed. A model: nothing here was placed or routed.
LUT_PS, ENTRY_PS, BIT_PS, REGISTER_PS, MUXF_PS = 450, 150, 11, 110, 150


def _table_inputs(cell, upper):
    """The nets that O6 (with I5 high) or O5 of a LUT6_2 depends on."""
    table = cell["parameters"]["INIT"]
    table = int(table, 2) if isinstance(table, str) else table
    table = table >> 32 if upper else table & 0xFFFFFFFF
    differs = lambda i: any((table >> k ^ table >> (k ^ 1 << i)) & 1 for k in range(32))
    return [b for i in range(5) if differs(i) for b in cell["connections"][f"I{i}"]]


def longest_path_ps(module):
    """Longest path between registers, ports counting as registers, of one module of Yosys' JSON."""
    ready, waiting, readers, order = {}, {}, {}, []
    arrival = lambda bits: max((ready.get(b, 0) for b in bits), default=0)
    worst = 0
    ends = [b for port in module["ports"].values() if port["direction"] == "output" for b in port["bits"]]
    cells = []
    for cell in module["cells"].values():
        kind, pins = cell["type"], cell["connections"]
        if re.fullmatch(r"FD[RSCP]E(_1)?|SRL.*|RAM.*|DSP.*", kind):
            ends += [b for pin, bits in pins.items() for b in bits if pin in ("D", "CE", "R", "S")]
            continue
        if kind == "LUT6_2":  # two functions, each of what its table depends on
            for half, pin in ((1, "O6"), (0, "O5")):
                ins = _table_inputs(cell, half)
                if pins.get(pin):
                    cells.append(("LUT6", pins, pins[pin], {b for b in ins if not isinstance(b, str)}))
            continue
        outputs = [b for pin, bits in pins.items() if cell["port_directions"][pin] == "output" for b in bits]
        inputs = {b for pin, bits in pins.items() if cell["port_directions"][pin] == "input" for b in bits if not isinstance(b, str)}
        cells.append((kind, pins, outputs, inputs))
    driven = {b for _, _, outputs, _ in cells for b in outputs}
    for index, (_, _, _, inputs) in enumerate(cells):
        waiting[index] = sum(b in driven for b in inputs)
        for bit in inputs:
            readers.setdefault(bit, []).append(index)
    todo = [i for i, count in waiting.items() if count == 0]
    while todo:
        index = todo.pop()
        order.append(index)
        kind, pins, outputs, inputs = cells[index]
        if kind.startswith("CARRY"):
            carry = arrival(pins["CI"] + pins.get("CYINIT", []) + pins.get("CI_TOP", []))
            for s, d, o, co in zip(pins["S"], pins["DI"], pins.get("O", []) + [None] * 8, pins.get("CO", []) + [None] * 8):
                ready[o] = max(ready.get(s, 0) + ENTRY_PS, carry) + BIT_PS
                carry = ready[co] = max(max(ready.get(s, 0), ready.get(d, 0)) + ENTRY_PS, carry) + BIT_PS
        else:
            delay = 0 if kind in ("INV", "BUF", "GND", "VCC") else MUXF_PS if kind.startswith("MUXF") else LUT_PS
            time = arrival(inputs) + delay
            for bit in outputs:
                ready[bit] = time
        for bit in outputs:
            for reader in readers.get(bit, ()):
                waiting[reader] -= 1
                if waiting[reader] == 0:
                    todo.append(reader)
    if len(order) != len(cells):
        raise MappingError("a combinational loop in the netlist")
    worst = max((ready.get(b, 0) for b in ends), default=0)
    return worst + REGISTER_PS


CELLS = pathlib.Path(__file__).resolve().parent.parent / "bench/cells"


def instantiated(circuit):
    """The tool's own modules that its circuit, of bench/network_peers.py or cmvm_peers.py, has instances of."""
    instances = "".join(pathlib.Path(s).read_text() for s in circuit["sources"])
    return [pathlib.Path(s) for s in circuit["static"] if pathlib.Path(s).stem + " #" in instances]


def mapped_peer(circuit, tool, with_cells, timeout=None):
    """mapped() of what bench/network_peers.py or cmvm_peers.py wrote, as it is or with the adders of bench/cells."""
    static = instantiated(circuit)
    if with_cells:
        static = [s for s in static if s.stem not in ("shift_adder", "ternary_adder")]
        static += [CELLS / "carry_adders.v", CELLS / f"{tool}.v"]
    return mapped([*circuit["sources"], *static], circuit["top"], extra=circuit["extra"], timeout=timeout)


class MappingError(Exception):
    """Yosys failed or took too long; the text is the end of what it said."""


def staged(sources, extra, scratch):
    """Copies of the files in a folder, those of `extra` under their names; the commands by which Yosys reads the sources."""
    for index, path in enumerate(sources):
        (scratch / f"s{index}.v").write_bytes(pathlib.Path(path).read_bytes())
    for path in extra:
        (scratch / pathlib.Path(path).name).write_bytes(pathlib.Path(path).read_bytes())
    return [f"read_verilog -defer s{index}.v" for index in range(len(sources))]


def mapped(sources, top, family="xcup", timeout=None, extra=(), cache=None, only_cached=False):
    """Maps `sources` (paths of Verilog files) and returns counts. `extra` are files that the sources read by name.

    `netlist` in the answer is the path of the mapped Verilog in the cache. None with only_cached when nothing is kept.
    """
    folder = pathlib.Path(cache) if cache else cache_folder()
    script = SCRIPT.format(family=family, top=top)
    digest = hashlib.sha256(f"{yosys_version()}\0{script}\0path 2, ports\0".encode())
    for path in [*sources, *extra]:
        digest.update(pathlib.Path(path).read_bytes() + b"\0")
    entry = folder / (digest.hexdigest() + ".json")
    netlist = entry.with_suffix(".v")
    if entry.is_file() and netlist.is_file():
        return json.loads(entry.read_text()) | {"netlist": netlist, "cached": True}
    if only_cached:
        return None
    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        reads = staged(sources, extra, scratch)
        (scratch / "run.ys").write_text("\n".join(
            [*reads, script, "tee -q -o stat.json stat -json", "write_verilog -noattr netlist.v", "write_json netlist.json"]) + "\n")
        command = ["yosys", "-q", "-s", "run.ys"]
        before = os.times()
        try:
            done = subprocess.run(command, cwd=scratch, capture_output=True, text=True, timeout=timeout)
        except subprocess.TimeoutExpired:
            raise MappingError(f"{top}: Yosys took more than {timeout:.0f} s") from None
        after = os.times()
        if done.returncode != 0:
            raise MappingError(f"{top}: Yosys ended with {done.returncode}: {(done.stderr or done.stdout)[-800:]}")
        stat = json.loads((scratch / "stat.json").read_text())
        cells = stat["design"]["num_cells_by_type"]
        # CPU seconds: other work on the machine does not count.
        seconds = after.children_user - before.children_user
        module = json.loads((scratch / "netlist.json").read_text())["modules"][top]
        result = {**classify(cells), "path_ps": longest_path_ps(module), "cells": cells, "seconds": round(seconds, 2), "top": top,
                  "family": family,
                  "ports": {name: len(port["bits"]) for name, port in module["ports"].items()}}
        text = (scratch / "netlist.v").read_text()
    for path, content in ((netlist, text), (entry, json.dumps(result, indent=1))):
        partial = path.with_suffix(path.suffix + f".{os.getpid()}")
        partial.write_text(content)
        partial.replace(path)
    return result | {"netlist": netlist, "cached": False}
