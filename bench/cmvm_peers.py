# SPDX-License-Identifier: Apache-2.0
"""Solves constant matrices with alkaid and da4ml and writes their adder graphs in the form of `weft cmvm -o`.

    python bench/cmvm_peers.py JOBS.json OUT.json [FOLDER]

With FOLDER also the Verilog that each tool writes of each graph, in one stage with registers behind it: "circuit" of a graph then
has the files and the types of the ports, as in bench/network_peers.py. Runs in an environment with bench/requirements-adders.txt. JOBS is a list of {"name", "matrix", "ranges"}: rows of whole
numbers, and [least, greatest, step] of each input. Every job is solved by each tool at its fastest setting and at the default
of its command line; both graphs then go through alkaid's fusion into three-input adders. OUT maps name -> setting -> graph.
"""

import json
import math
import pathlib
import sys
import time

import numpy as np
from alkaid.cmvm import cmvm_solve
from alkaid.trace.passes import fuse_ternary_adders
from alkaid.types import CombLogic, Op, QInterval
from da4ml.cmvm import solve

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import network_peers

ONE_STAGE = 1e9  # delay per stage

SETTINGS = {
    "alkaid fastest": (cmvm_solve, 0),
    "alkaid default": (cmvm_solve, 5),
    "da4ml fastest": (solve, 0),
    "da4ml default": (solve, 2),
}


def operands(op):
    """Both operands of an adder, of either tool."""
    if hasattr(op, "addr"):
        return op.addr[0], op.addr[1], op.data[0]
    return op.id0, op.id1, op.data


class Joined:
    """The stages of a solution as one list of operations; a term is (operation, shift, negated)."""

    def __init__(self, stages, ranges):
        self.ops = [Op((), -1, (i,), QInterval(*map(float, r)), 0.0, 0.0) for i, r in enumerate(ranges)]
        terms = [(i, 0, False) for i in range(len(ranges))]
        for stage in stages:
            terms = self.append(stage, terms)
        self.outputs = terms

    def append(self, stage, inputs):
        buffer = []
        taken = 0
        for op in stage.ops:
            if op.opcode == -1:
                index = op.data[0] if hasattr(op, "addr") else op.id0
                taken += 1
                term = inputs[index]
                buffer.append(term and (term[0], term[1] + int(stage.inp_shifts[index]), term[2]))
                continue
            assert op.opcode in (0, 1), f"operation {op.opcode} in an adder graph"
            first, second, shift = operands(op)
            a, b = buffer[first], buffer[second]
            # a 2^s +- b 2^t = 2^s (a +- b 2^(t - s)), and the sign of a goes outside.
            minus = (op.opcode == 1) != (a[2] != b[2])
            low, high, step = (v / 2.0 ** a[1] for v in op.qint)
            if a[2]:
                low, high = -high, -low
            self.ops.append(Op((a[0], b[0]), int(minus), (b[1] + shift - a[1],), QInterval(low, high, step), 0.0, 0.0))
            buffer.append((len(self.ops) - 1, a[1], a[2]))
        out = []
        for index, shift, negated in zip(stage.out_idxs, stage.out_shifts, stage.out_negs):
            term = buffer[index] if index >= 0 else None
            out.append(term and (term[0], term[1] + int(shift), term[2] != bool(negated)))
        return out

    def fused(self):
        used = [t for t in self.outputs if t]
        logic = CombLogic(
            (sum(op.opcode == -1 for op in self.ops), len(used)), [0] * sum(op.opcode == -1 for op in self.ops),
            [t[0] for t in used], [t[1] for t in used], [t[2] for t in used], self.ops, -1, -1)
        return fuse_ternary_adders(logic).ops


def graph(ops, outputs):
    """Live operations as nodes. Values are multiples of powers of two that may be negative; `scale` says which."""
    live = [op.opcode == -1 for op in ops]
    for term in outputs:
        if term:
            live[term[0]] = True
    for index in range(len(ops) - 1, -1, -1):
        if live[index]:
            for address in ops[index].addr:
                live[address] = True
    number, nodes = {}, []
    for index, op in enumerate(ops):
        if not live[index]:
            continue
        number[index] = len(nodes)
        if op.opcode == -1:
            node = {"input": op.data[0]}
        elif op.opcode == 11:
            terms = [(op.addr[i], op.data[2 * i + 1], not op.data[2 * i]) for i in range(len(op.addr))]
            node = {"sum": [{"node": number[a], "shift": s, "negate": n} for a, s, n in terms]}
        else:
            node = {"sum": [{"node": number[op.addr[0]], "shift": 0, "negate": False},
                            {"node": number[op.addr[1]], "shift": op.data[0], "negate": op.opcode == 1}]}
        node["interval"] = [op.qint.min, op.qint.max, op.qint.step]
        nodes.append(node)
    terms = [t and {"node": number[t[0]], "shift": t[1], "negate": bool(t[2])} for t in outputs]
    return {"nodes": nodes, "outputs": terms}


def circuit(tool, bound, job, folder):
    """The matrix written by the tool, checked on random codes by its own interpreter."""
    tool = network_peers.Tool(tool, bound)
    matrix = np.array(job["matrix"], dtype=np.float32)
    x = tool.inputs([(low, high, step.bit_length() - 1) for low, high, step in job["ranges"]])
    comb = tool.trace(list(np.asarray(x).ravel()), list(np.asarray(x @ matrix).ravel()))
    draw = np.random.default_rng(1)
    codes = np.stack([draw.integers(low // step, high // step + 1, 100) * step for low, high, step in job["ranges"]], axis=1)
    assert np.array_equal(comb.predict(codes.astype(np.float64), n_threads=1), codes @ matrix.astype(np.int64))
    sources, static, cycles, _ = tool.write(comb, folder, ONE_STAGE)
    return {"sources": list(map(str, sources)), "static": list(map(str, static)), "extra": [], "top": "model", "cycles": cycles,
            "inputs": np.asarray(comb.inp_kifs).T.tolist(), "outputs": np.asarray(comb.out_kifs).T.tolist()}


def main():
    jobs = json.load(open(sys.argv[1]))
    verilog = pathlib.Path(sys.argv[3]) if len(sys.argv) > 3 else None
    out = {}
    for job in jobs:
        matrix = np.array(job["matrix"], dtype=np.float32)
        assert np.abs(matrix).max(initial=0) < 2**24, "beyond float32"
        intervals = [tuple(map(float, r)) for r in job["ranges"]]
        out[job["name"]] = {}
        for setting, (solver, bound) in SETTINGS.items():
            if setting in job.get("skip", ()):
                continue
            start = time.process_time()
            solved = solver(matrix, hard_dc=bound, qintervals=intervals)
            seconds = time.process_time() - start
            joined = Joined(getattr(solved, "stages", None) or getattr(solved, "solutions", None) or solved, intervals)
            found = graph(joined.fused(), joined.outputs)
            before = graph(joined.ops, joined.outputs)
            found["seconds"] = seconds
            found["adders_before_fusion"] = sum("sum" in node for node in before["nodes"])
            assert all(math.isfinite(v) for node in found["nodes"] for v in node["interval"])
            if verilog:
                folder = verilog / f"{job['name']} {setting}".replace(" ", "_")
                folder.mkdir(parents=True)
                found["circuit"] = circuit(setting.split()[0], bound, job, folder)
            out[job["name"]][setting] = found
        print(job["name"], file=sys.stderr, flush=True)
    json.dump(out, open(sys.argv[2], "w"))


if __name__ == "__main__":
    main()
