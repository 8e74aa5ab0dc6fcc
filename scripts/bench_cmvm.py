# SPDX-License-Identifier: Apache-2.0
"""Adder graphs of constant matrices: Weft beside alkaid and da4ml, under one model of cost and delay.

    python3 scripts/bench_cmvm.py --weft build/release/bin/weft --peers PYTHON [--data FOLDER] [--random 50] [--effort 1] [--mapped]

PYTHON has bench/requirements-adders.txt. Every graph, Weft's too, is checked against its matrix and priced here, by the same
formulas over the same kind of nodes. The peers' graphs have gone through alkaid's fusion into three-input adders. Weft is given
the delay of each peer graph as its limit, so the costs compare at no more delay.

Prices: a two-input adder takes a LUT per bit that both operands reach, a three-input adder one per bit of the sum and one more
per begun eight; low bits that are copies of one operand are free. Delays are alkaid's: 1.09375 and 0.0254 per further bit,
1.3125 and 0.041 per further bit. They are a model; nothing here was placed or routed.

--mapped also counts what Yosys makes of the circuits, always by the script of mapping.py. The peers' Verilog counts as they emit
it and with the adders of bench/cells, the better of both; Weft's with the primitives of Xilinx at the delay of the peer's graph,
and portable (two-input adders only), where such a graph is fast enough. Three ratios come of it: `whole`, Weft with primitives
over the peer's better circuit; `solver`, the same over the peer with our cells, where both have the same adders; `emission`, Weft
with primitives over Weft portable. Netlists of up to --simulate LUTs run in Icarus.
"""

import argparse
import json
import math
import pathlib
import random
import subprocess
import sys
import tempfile

import numpy as np

import mapping
import netlist_sim

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODEL = {
    "two": {"delay": 1.09375, "delay_per_bit": 0.025390625, "growth_is_free": True},
    "three": {"delay": 1.3125, "delay_per_bit": 0.041015625, "lut_per_eight_bits": 1},
}
# alkaid takes more than a minute of a core here and da4ml half a minute.
SETTINGS = ["alkaid fastest", "alkaid default", "da4ml fastest", "da4ml default"]
SLOW = {"ad08_l6": ["alkaid default", "da4ml default"]}


def exponent(x):
    """The power of two in a multiple of a power of two."""
    mantissa, power = math.frexp(x)
    mantissa = int(mantissa * 2**53)
    return power - 53 + (mantissa & -mantissa).bit_length() - 1


class Span:
    """The bits of a node: [lsb, msb), the sign included."""

    def __init__(self, low, high, lsb):
        self.lsb = lsb
        self.signed = low < 0
        units_low, units_high = low / 2.0**lsb, high / 2.0**lsb
        bits = max(int(units_high).bit_length(), (-int(units_low) - 1).bit_length() if low < 0 else 0)
        self.msb = lsb + max(1, bits + self.signed)


def spans(graph):
    for node in graph["nodes"]:
        if "interval" in node:
            low, high, step = node["interval"]
            yield Span(low, high, exponent(step))
        else:
            low, high = map(int, node["range"])
            yield Span(low, high, node["step_log2"])


def price(graph):
    """LUTs and delay of a graph."""
    total, ready = 0.0, []
    all_spans = list(spans(graph))
    for node, result in zip(graph["nodes"], all_spans):
        if "sum" not in node:
            ready.append(0.0)
            continue
        terms = node["sum"]
        bits = [(all_spans[t["node"]].lsb + t["shift"], all_spans[t["node"]].msb + t["shift"]) for t in terms]
        lowest = min(range(len(terms)), key=lambda i: bits[i][0])
        low = bits[lowest][0]
        others = [i for i in range(len(terms)) if i != lowest]
        width = max(1, result.msb - low)
        next_low = min([result.msb] + [bits[i][0] for i in others])
        free = 0 if terms[lowest]["negate"] else min(next_low - low, width)
        beside = (len(terms) == 2 and not all_spans[terms[lowest]["node"]].signed and bits[lowest][1] <= next_low
                  and not any(t["negate"] for t in terms))
        if beside:
            free = width
        model = MODEL["two" if len(terms) == 2 else "three"]
        growth = min(max(0, result.msb - max(b[1] for b in bits)), width - 1) if model.get("growth_is_free") else 0
        chain = max(0, width - free - growth)
        total += chain + model.get("lut_per_eight_bits", 0) * math.ceil(chain / 8)
        time = model["delay"] + model["delay_per_bit"] * (chain - 1) if chain else 0.0
        ready.append(max(ready[t["node"]] for t in terms) + time)
    return total, max((ready[t["node"]] for t in graph["outputs"] if t), default=0.0)


def wrong(graph, matrix, ranges):
    """Whether the graph computes anything but the matrix, by exact coefficients of the inputs that are not always 0."""
    from fractions import Fraction
    forms = []
    two = lambda n: Fraction(2) ** n
    for node in graph["nodes"]:
        if "input" in node:
            forms.append({node["input"]: Fraction(1)})
            continue
        form = {}
        for term in node.get("sum", ()):
            factor = two(term["shift"]) * (-1 if term["negate"] else 1)
            for index, value in forms[term["node"]].items():
                form[index] = form.get(index, 0) + factor * value
        forms.append({k: v for k, v in form.items() if v})
    for column, term in enumerate(graph["outputs"]):
        have = {}
        if term:
            factor = two(term["shift"]) * (-1 if term["negate"] else 1)
            have = {k: factor * v for k, v in forms[term["node"]].items() if any(ranges[k][:2])}
        want = {row: int(v) for row, v in enumerate(matrix[:, column]) if v and any(ranges[row][:2])}
        if have != want:
            return True
    return False


def stored_cases(data, names):
    for case in json.load(open(data / "cmvm/cases.json")):
        if names and case["name"] not in names:
            continue
        matrix = np.load(data / "cmvm" / (case["name"] + ".npy")).astype(np.int64)
        yield case["name"], matrix, case.get("inputs") or [[case["lo"], case["hi"], 1]] * matrix.shape[0]


def random_cases(count, seed):
    """Sizes, widths and sparsity of trigger networks."""
    draw = random.Random(seed)
    for index in range(count):
        rows, columns = draw.choice([8, 12, 16, 24, 32, 48]), draw.choice([5, 8, 16, 32])
        bits, density = draw.choice([2, 3, 4, 6, 8]), draw.choice([0.2, 0.5, 1.0])
        values = np.random.default_rng(draw.getrandbits(32))
        half = 2 ** (bits - 1)
        matrix = values.integers(-half, half, (rows, columns)) * (values.random((rows, columns)) < density)
        width = draw.choice([6, 8, 10])
        ranges = [[-2 ** (width - 1), 2 ** (width - 1) - 1, 1]] if draw.random() < 0.5 else [[0, 2**width - 1, 1]]
        yield f"random{index}_{rows}x{columns}_{bits}b", matrix.astype(np.int64), ranges * rows


def run_weft(weft, folder, name, limit, effort, output, model="model.json", primitives="portable"):
    command = [weft, "cmvm", folder / f"{name}.npy", "--ranges", folder / f"{name}_ranges.npy", "--cost", folder / model,
               "--seconds", str(effort), "--threads", "1", "--primitives", primitives, "--json", "-o", output]
    command += ["--max-delay", repr(limit * (1 + 1e-9))] if limit else []
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        return None, done.stderr.strip()
    return json.loads(done.stdout), ""


class Mapped:
    """LUTs of circuits by Yosys."""

    def __init__(self, options, folder, failures):
        self.options, self.folder, self.failures = options, folder, failures
        json.dump({"two": MODEL["two"]}, open(folder / "two.json", "w"))

    def vectors(self, matrix, ranges):
        draw = np.random.default_rng(2)
        columns = [draw.integers(low // step, high // step + 1, 60) * step for low, high, step in ranges]
        x = np.stack(columns, axis=1)
        for row, end in ((0, 0), (1, 1)):
            x[row] = [r[end] for r in ranges]
        return x, x @ matrix

    def of_weft(self, name, matrix, ranges, limit, primitives):
        """None where no graph of these adders is fast enough."""
        target = self.folder / f"{primitives}.v"
        model = "model.json" if primitives == "xilinx" else "two.json"
        _, why = run_weft(self.options.weft, self.folder, name, limit, self.options.effort, target, model, primitives)
        if why:
            if primitives == "xilinx" or "no graph" not in why and "delay" not in why:
                self.failures.append(f"{name}: {primitives}: {why}")
            return None
        result = mapping.mapped([target], primitives, timeout=self.options.timeout)
        if result["lut"] <= self.options.simulate:
            x, y = self.vectors(matrix, ranges)
            ports = result["ports"]
            self.simulate(name, primitives, netlist_sim.mismatches(
                result["netlist"], primitives, x, [ports["in_x"] // x.shape[1]] * x.shape[1], y, [ports["out_y"] // y.shape[1]] * y.shape[1],
                0, "in_x", "out_y"))
        return result["lut"]

    def of_peer(self, name, matrix, ranges, setting, circuit, with_cells):
        result = mapping.mapped_peer(circuit, setting.split()[0], with_cells, self.options.timeout)
        if result["lut"] <= self.options.simulate:
            x, y = self.vectors(matrix, ranges)
            self.simulate(name, setting, netlist_sim.mismatches(
                result["netlist"], circuit["top"], netlist_sim.stored(x, circuit["inputs"]), [sum(k) for k in circuit["inputs"]],
                netlist_sim.stored(y, circuit["outputs"]), [sum(k) for k in circuit["outputs"]], circuit["cycles"]))
        return result["lut"]

    def simulate(self, name, who, bad):
        if bad:
            self.failures.append(f"{name}: {who}: {bad} vectors of the netlist differ")

    def row(self, name, matrix, ranges, setting, graph, limit):
        """Mapped LUTs of all four circuits of one comparison."""
        try:
            out = {"peer_cells": self.of_peer(name, matrix, ranges, setting, graph["circuit"], True),
                   "peer_emitted": self.of_peer(name, matrix, ranges, setting, graph["circuit"], False),
                   "xilinx": self.of_weft(name, matrix, ranges, limit, "xilinx"),
                   "portable": self.of_weft(name, matrix, ranges, limit, "portable")}
        except (mapping.MappingError, subprocess.SubprocessError, RuntimeError) as error:
            self.failures.append(f"{name}: {setting}: {error}")
            return None
        ratio = lambda a, b: a / b if a is not None and b else None
        return out | {"whole": ratio(out["xilinx"], min(out["peer_cells"], out["peer_emitted"])),
                      "solver": ratio(out["xilinx"], out["peer_cells"]), "emission": ratio(out["xilinx"], out["portable"])}


def geometric_mean(values):
    return math.exp(sum(map(math.log, values)) / len(values)) if values else float("nan")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weft", required=True, type=pathlib.Path)
    parser.add_argument("--peers", required=True, help="python with bench/requirements-adders.txt")
    parser.add_argument("--data", type=pathlib.Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--random", type=int, default=50, help="matrices drawn besides the stored ones")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--effort", type=float, default=0.0, help="seconds of Weft's search per graph")
    parser.add_argument("--mapped", action="store_true", help="map the circuits with Yosys too")
    parser.add_argument("--settings", default=",".join(SETTINGS), help="of the peers, with commas between (default: all)")
    parser.add_argument("--simulate", type=int, default=3000, help="netlists of up to so many LUTs are simulated")
    parser.add_argument("--timeout", type=float, default=1800, help="seconds for one run of Yosys")
    parser.add_argument("--json", type=pathlib.Path, help="file for all figures")
    parser.add_argument("cases", nargs="*", help="stored matrices (default: all)")
    options = parser.parse_args()
    settings = options.settings.split(",")
    if set(settings) - set(SETTINGS):
        parser.error(f"--settings are of {', '.join(SETTINGS)}")

    stored = list(stored_cases(options.data, options.cases)) if (options.data / "cmvm/cases.json").exists() else []
    cases = stored + list(random_cases(options.random, options.seed))
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        json.dump(MODEL, open(folder / "model.json", "w"))
        jobs = []
        for name, matrix, ranges in cases:
            np.save(folder / f"{name}.npy", matrix)
            np.save(folder / f"{name}_ranges.npy", np.array(ranges, dtype=np.int64))
            jobs.append({"name": name, "matrix": matrix.tolist(), "ranges": ranges, "skip": SLOW.get(name, []) + [s for s in SETTINGS if s not in settings]})
        json.dump(jobs, open(folder / "jobs.json", "w"))
        circuits = [folder / "circuits"] if options.mapped else []
        subprocess.run([options.peers, ROOT / "bench/cmvm_peers.py", folder / "jobs.json", folder / "peers.json", *circuits], check=True,
                       env={"OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}, stderr=subprocess.DEVNULL)
        peers = json.load(open(folder / "peers.json"))

        rows, failures = [], []
        mapper = Mapped(options, folder, failures) if options.mapped else None
        print(f"{'case':24} {'peer':15} {'2-in':>5} {'3-in':>5} {'LUT':>7} {'delay':>6} {'s':>7} | "
              f"{'2-in':>5} {'3-in':>5} {'LUT':>7} {'delay':>6} {'s':>7} {'LUT ratio':>9}")
        for name, matrix, ranges in cases:
            for setting, graph in peers[name].items():
                if wrong(graph, matrix, ranges):
                    failures.append(f"{name}: the graph of {setting} is not the matrix")
                    continue
                lut, delay = price(graph)
                kinds = [sum(len(n.get("sum", ())) == k for n in graph["nodes"]) for k in (2, 3)]
                mine, why = run_weft(options.weft, folder, name, delay, options.effort, folder / "graph.json")
                line = f"{name:24} {setting:15} {kinds[0]:5} {kinds[1]:5} {lut:7.0f} {delay:6.2f} {graph['seconds']:7.3f} |"
                if mine is None:
                    print(f"{line} {why}", flush=True)
                    failures.append(f"{name} at {delay:.2f} ({setting}): {why}")
                    continue
                if wrong(mine, matrix, ranges):
                    failures.append(f"{name}: Weft's graph is not the matrix")
                my_lut, my_delay = price(mine)
                if abs(my_lut - mine["lut"]) > 1e-6 * my_lut or abs(my_delay - mine["delay"]) > 1e-6:
                    failures.append(f"{name}: Weft prices its graph {mine['lut']} LUT, {mine['delay']}; here {my_lut}, {my_delay}")
                ratio = my_lut / lut if lut else 1.0
                rows.append({"case": name, "peer": setting, "peer_lut": lut, "peer_delay": delay, "peer_seconds": graph["seconds"],
                             "lut": my_lut, "delay": my_delay, "seconds": mine["seconds"], "ratio": ratio,
                             "stored": any(name == s[0] for s in stored)})
                print(f"{line} {mine['two_input_adders']:5} {mine['three_input_adders']:5} {my_lut:7.0f} {my_delay:6.2f} "
                      f"{mine['seconds']:7.3f} {ratio:9.3f}", flush=True)
                found = mapper and mapper.row(name, matrix, ranges, setting, graph, delay)
                if found:
                    rows[-1]["mapped"] = found
                    figure = lambda key: f"{found[key]:,}" if found[key] is not None else "none is as fast"
                    print(f"{'':24} mapped: peer {figure('peer_emitted')} as emitted, {figure('peer_cells')} with cells; Weft "
                          f"{figure('portable')} portable, {figure('xilinx')} with primitives" +
                          (f"; whole {found['whole']:.3f}" if found["whole"] else ""), flush=True)

    print("\ngeometric means of Weft's LUTs and delay over the peer's, the worst case, cases above 1, total seconds")
    for group, title in ((True, "stored"), (False, "random")):
        for setting in ("alkaid fastest", "da4ml fastest", "alkaid default", "da4ml default"):
            some = [r for r in rows if r["peer"] == setting and r["stored"] == group]
            if some:
                print(f"{title:7} {setting:15} LUT {geometric_mean([r['ratio'] for r in some]):.4f}  delay "
                      f"{geometric_mean([r['delay'] / r['peer_delay'] for r in some if r['peer_delay']]):.4f}  worst "
                      f"{max(r['ratio'] for r in some):.3f}  above 1: {sum(r['ratio'] > 1 for r in some)} of {len(some)}  "
                      f"s {sum(r['seconds'] for r in some):.1f} against {sum(r['peer_seconds'] for r in some):.1f}")
    if options.mapped:
        print("\nmapped: geometric means of the ratios of LUTs, the worst case, cases above 1")
        for group, title in ((True, "stored"), (False, "random")):
            for setting in settings:
                for kind in ("whole", "solver", "emission"):
                    some = [r["mapped"][kind] for r in rows if r["peer"] == setting and r["stored"] == group and r.get("mapped")]
                    known = [r for r in some if r]
                    if known:
                        print(f"{title:7} {setting:15} {kind:8} {geometric_mean(known):.4f}  worst {max(known):.3f}  above 1: "
                              f"{sum(r > 1 for r in known)} of {len(known)}, {len(some) - len(known)} without a circuit")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    if failures:
        print("\n" + "\n".join(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
