# SPDX-License-Identifier: Apache-2.0
"""Adder graphs of constant matrices: Weft beside alkaid and da4ml, under one model of cost and delay.

    python3 scripts/bench_cmvm.py --weft build/release/bin/weft --peers PYTHON [--data FOLDER] [--random 50] [--effort 1]

PYTHON has bench/requirements-adders.txt. Every graph, Weft's too, is checked against its matrix and priced here, by the same
formulas over the same kind of nodes. The peers' graphs have gone through alkaid's fusion into three-input adders. Weft is given
the delay of each peer graph as its limit, so the costs compare at no more delay.

Prices: a two-input adder takes a LUT per bit that both operands reach, a three-input adder one per bit of the sum and one more
per begun eight; low bits that are copies of one operand are free. Delays are alkaid's: 1.09375 and 0.0254 per further bit,
1.3125 and 0.041 per further bit. They are a model; nothing here was placed or routed.
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

ROOT = pathlib.Path(__file__).resolve().parent.parent
MODEL = {
    "two": {"delay": 1.09375, "delay_per_bit": 0.025390625, "growth_is_free": True},
    "three": {"delay": 1.3125, "delay_per_bit": 0.041015625, "lut_per_eight_bits": 1},
}
# alkaid takes more than a minute of a core here and da4ml half a minute.
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


def run_weft(weft, folder, name, limit, effort):
    command = [weft, "cmvm", folder / f"{name}.npy", "--ranges", folder / f"{name}_ranges.npy", "--cost", folder / "model.json",
               "--seconds", str(effort), "--threads", "1", "--json", "-o", folder / "graph.json"]
    command += ["--max-delay", repr(limit * (1 + 1e-9))] if limit else []
    done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
    if done.returncode != 0:
        return None, done.stderr.strip()
    return json.loads(done.stdout), ""


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
    parser.add_argument("--json", type=pathlib.Path, help="file for all figures")
    parser.add_argument("cases", nargs="*", help="stored matrices (default: all)")
    options = parser.parse_args()

    stored = list(stored_cases(options.data, options.cases)) if (options.data / "cmvm/cases.json").exists() else []
    cases = stored + list(random_cases(options.random, options.seed))
    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch)
        json.dump(MODEL, open(folder / "model.json", "w"))
        jobs = []
        for name, matrix, ranges in cases:
            np.save(folder / f"{name}.npy", matrix)
            np.save(folder / f"{name}_ranges.npy", np.array(ranges, dtype=np.int64))
            jobs.append({"name": name, "matrix": matrix.tolist(), "ranges": ranges, "skip": SLOW.get(name, [])})
        json.dump(jobs, open(folder / "jobs.json", "w"))
        subprocess.run([options.peers, ROOT / "bench/cmvm_peers.py", folder / "jobs.json", folder / "peers.json"], check=True,
                       env={"OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"}, stderr=subprocess.DEVNULL)
        peers = json.load(open(folder / "peers.json"))

        rows, failures = [], []
        print(f"{'case':24} {'peer':15} {'2-in':>5} {'3-in':>5} {'LUT':>7} {'delay':>6} {'s':>7} | "
              f"{'2-in':>5} {'3-in':>5} {'LUT':>7} {'delay':>6} {'s':>7} {'LUT ratio':>9}")
        for name, matrix, ranges in cases:
            for setting, graph in peers[name].items():
                if wrong(graph, matrix, ranges):
                    failures.append(f"{name}: the graph of {setting} is not the matrix")
                    continue
                lut, delay = price(graph)
                kinds = [sum(len(n.get("sum", ())) == k for n in graph["nodes"]) for k in (2, 3)]
                mine, why = run_weft(options.weft, folder, name, delay, options.effort)
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

    print("\ngeometric means of Weft's LUTs and delay over the peer's, the worst case, cases above 1, total seconds")
    for group, title in ((True, "stored"), (False, "random")):
        for setting in ("alkaid fastest", "da4ml fastest", "alkaid default", "da4ml default"):
            some = [r for r in rows if r["peer"] == setting and r["stored"] == group]
            if some:
                print(f"{title:7} {setting:15} LUT {geometric_mean([r['ratio'] for r in some]):.4f}  delay "
                      f"{geometric_mean([r['delay'] / r['peer_delay'] for r in some if r['peer_delay']]):.4f}  worst "
                      f"{max(r['ratio'] for r in some):.3f}  above 1: {sum(r['ratio'] > 1 for r in some)} of {len(some)}  "
                      f"s {sum(r['seconds'] for r in some):.1f} against {sum(r['peer_seconds'] for r in some):.1f}")
    if options.json:
        options.json.write_text(json.dumps(rows, indent=1))
    if failures:
        print("\n" + "\n".join(failures))
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
