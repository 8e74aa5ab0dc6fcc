# SPDX-License-Identifier: Apache-2.0
"""Writes the circuit of a whole network with alkaid or da4ml, from the exact graph that Weft made of the model.

    python bench/network_peers.py JOB.json

Runs in an environment with bench/requirements-adders.txt, one job per process. JOB: {"weft": a .weft file, "tool":
"alkaid" or "da4ml", "hard_dc": the solver's bound, "cutoff": delay per stage in the tool's own unit, "ties": "even" or "up",
"inputs": codes.npy or null, "folder": where the project goes}. The answer lies in FOLDER/answer.json.

The layers go in as matrices, and functions as the tool's own quantizers, through its numpy-like interface: `x @ w + bias`,
`quantize(k, i, f, overflow, rounding)`. So the circuit computes what Weft's does, bit for bit. Ties to even are an offset of
half a step less one unit and the lowest kept bit as a carry, which is less logic than alkaid's own way; with "up" they round
up as the tools do by default, another function. Neither tool registers its inputs here, as Weft does not.
"""

import json
import math
import pathlib
import re
import sys
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import exact_graph


class Unsupported(Exception):
    """A primitive or function that this script has no form of for the tool."""


class Tool:
    """What differs between the tools."""

    def __init__(self, name, hard_dc):
        self.name = name
        self.options = {"hard_dc": hard_dc}
        if name == "alkaid":
            from alkaid.trace import FVArray, HWConfig, trace
            self.array, self.trace, self.hardware = FVArray, trace, HWConfig(1, 1, -1)
        else:
            from da4ml.trace import FixedVariableArray, HWConfig, comb_trace
            self.array, self.trace, self.hardware = FixedVariableArray, comb_trace, HWConfig(1, -1, -1)

    def inputs(self, ranges):
        low, high, step = (np.array(v, dtype=np.float64) for v in zip(*[(a, b, 2.0**s) for a, b, s in ranges]))
        return self.array.from_lhs(low, high, step, hwconf=self.hardware, solver_options=self.options)

    def wrap(self, values, shape):
        flat = np.empty(len(values), dtype=object)
        for index, value in enumerate(values):
            flat[index] = value
        return self.array(flat.reshape(shape), self.options, hwconf=self.hardware)

    def write(self, comb, folder, cutoff):
        """(Verilog files, top, cycles, bits of registers)."""
        if self.name == "alkaid":
            from alkaid.codegen import RTLModel
            from alkaid.trace.passes import add_surrogate, dead_code_elimin, fuse_ternary_adders
            from alkaid.trace.pipeline import to_pipeline
            fused = add_surrogate(dead_code_elimin(fuse_ternary_adders(comb)), _skip_op8_cost=True)
            machine = to_pipeline(fused, latency_cutoff=cutoff, reg_inp=False, verbose=False)
            model = RTLModel(machine, folder, "model", ternary_fuse=False)
            model.write()
            cycles, bits = int(model.latency) + 1, model.reg_bits
        else:
            from da4ml.codegen import RTLModel
            model = RTLModel(comb, "model", folder, latency_cutoff=cutoff)
            model.write()
            cycles, bits = len(model._pipe.solutions), model._pipe.reg_bits
            top = folder / "src/model.v"
            text, changed = re.subn(r"reg (\[\d+:0\] stage0_inp);", r"wire \1 = model_inp;", top.read_text())
            text, removed = re.subn(r"\n\s*stage0_inp <= model_inp;", "", text)
            assert changed == removed == 1, "da4ml's top module is not of the known form"
            top.write_text(text)
        sources = [p for p in sorted((folder / "src").glob("*.v")) if not p.name.endswith("_wrapper.v")]
        return sources, sorted((folder / "src/static").glob("*.v")), cycles, bits


def rounded(function, x):
    """The function without its overflow on a whole number: for bounds only."""
    shift, mode = function["shift"], function["rounding"]
    if shift <= 0:
        return x << -shift
    floor, rest, half = x >> shift, x & ((1 << shift) - 1), 1 << (shift - 1)
    if mode == "TRN":
        return floor
    if mode == "RND":
        return floor + (rest >= half)
    if mode == "RND_CONV":
        return floor + (rest > half or (rest == half and floor & 1))
    raise Unsupported(f"rounding {mode}")


def applied(function, x):
    """The whole function on a whole number."""
    if function["kind"] != "shift":
        return function["values"][int(np.searchsorted(function["breakpoints"], x, side="right"))]
    y, lo, hi, mode = rounded(function, x), function["lo"], function["hi"], function["overflow"]
    if mode == "WRAP":
        signed, width = function.get("signed", lo < 0), function["width_bits"]
        offset = 1 << (width - 1) if signed else 0
        return ((y + offset) & ((1 << width) - 1)) - offset
    if mode == "SAT_ZERO":
        return y if lo <= y <= hi else 0
    if mode in ("SAT", "SAT_SYM"):
        return min(max(y, lo), hi)
    raise Unsupported(f"overflow {mode}")


def bits_for(value):
    """Integer bits without sign that hold the value."""
    return int(value).bit_length() if value >= 0 else (-int(value) - 1).bit_length()


class Tracer:
    def __init__(self, tool, graph, ties):
        self.tool, self.graph, self.ties = tool, graph, ties
        self.values, self.tied = {}, False

    def run(self):
        inputs = []
        for value in self.graph.values.values():
            x = [self.values[name] for name in value.operands]
            handler = getattr(self, "op_" + value.op, None)
            if handler is None:
                raise Unsupported(f"primitive {value.op}")
            if value.op == "input":
                self.values[value.name] = self.tool.inputs(value.ranges).reshape(value.shape)
                inputs += list(np.asarray(self.values[value.name]).ravel())
            else:
                self.values[value.name] = handler(value, *x)
        outputs = [v for _, name in self.graph.outputs for v in np.asarray(self.values[name]).ravel()]
        return inputs, outputs

    # Each handler returns an array of the value's shape.
    def op_input(self, value):
        raise AssertionError

    def op_matvec(self, value, x):
        if value.fields.get("accumulator"):
            raise Unsupported("a forced accumulator")
        n_in, n_out = value.number("n_in"), value.number("n_out")
        weights = np.array(value.ints("weights"), dtype=np.float64).reshape(n_in, n_out)
        assert np.abs(weights).max(initial=0) < 2**24, "beyond float32"
        bias = np.array(value.ints("bias") or [0] * n_out, dtype=np.float64)
        rows = np.asarray(x).reshape(-1, n_in)
        out = []
        for row in rows:
            y = self.tool.wrap(list(row), (n_in,)) @ weights.astype(np.float32)
            out += [v + float(b) if b else v for v, b in zip(np.asarray(y).ravel(), bias)]
        return self.tool.wrap(out, value.shape)

    def _binary(self, value, a, b, sign):
        fa, fb = 2.0 ** value.number("shift_a"), sign * 2.0 ** value.number("shift_b")
        a, b = np.broadcast_arrays(np.asarray(a), np.asarray(b))
        return self.tool.wrap([p * fa + q * fb for p, q in zip(a.ravel(), b.ravel())], value.shape)

    def op_add(self, value, a, b):
        return self._binary(value, a, b, 1.0)

    def op_sub(self, value, a, b):
        return self._binary(value, a, b, -1.0)

    def op_mul(self, value, a, b):
        a, b = np.broadcast_arrays(np.asarray(a), np.asarray(b))
        return self.tool.wrap([p * q for p, q in zip(a.ravel(), b.ravel())], value.shape)

    def op_constant(self, value):
        return self.tool.wrap([float(c) for c in value.ints("codes")], value.shape)

    def op_reshape(self, value, x):
        return np.asarray(x).reshape(value.shape)

    def op_permute(self, value, x):
        return np.transpose(np.asarray(x), value.ints("permutation"))

    def op_concat(self, value, *xs):
        return np.concatenate([np.asarray(x) for x in xs], axis=value.number("axis"))

    def op_gather(self, value, x):
        flat, pad = np.asarray(x).ravel(), float(value.number("pad"))
        return self.tool.wrap([flat[i] if i >= 0 else pad for i in value.ints("indices")], value.shape)

    def op_reduce(self, value, x):
        x = self.tool.wrap(list(np.asarray(x).ravel()), np.asarray(x).shape)
        return (np.sum if "sum" in value.flags else np.max)(x, axis=-1, keepdims=True)

    def op_requant(self, value, x):
        functions, flat = value.functions(), np.asarray(x).ravel()
        ranges = self.graph.values[value.operands[0]].ranges
        of = (lambda i: functions[0]) if len(functions) == 1 else (lambda i: functions[i % len(functions)])
        return self.tool.wrap([self.quantized(of(i), v, ranges[i]) for i, v in enumerate(flat)], value.shape)

    def quantized(self, function, x, reach):
        if reach[0] == reach[1]:
            return float(applied(function, reach[0]))
        if function["kind"] != "shift":
            return self.pieces(function, x, reach)
        first, last = rounded(function, reach[0]), rounded(function, reach[1])
        lo, hi, mode = function["lo"], function["hi"], function["rounding"]
        x = x * 2.0 ** -function["shift"]
        step = 2.0 ** (reach[2] - function["shift"])
        if step >= 1:
            mode = "TRN"  # nothing to round; da4ml knows no ties to even
        elif mode == "RND_CONV":
            if self.ties == "even":
                lowest = x.quantize(0, 1, 0, "WRAP", "TRN")
                offset = 0.5 - step
                x = (x + offset if offset else x) + lowest * step
                mode = "TRN"
            else:
                mode = "RND"
                self.tied = True
                last = rounded(function | {"rounding": "RND"}, reach[1])
                first = rounded(function | {"rounding": "RND"}, reach[0])
        wide = max(bits_for(first), bits_for(last))
        if function["overflow"] == "WRAP":
            signed = function.get("signed", lo < 0)
            return x.quantize(int(signed), function["width_bits"] - int(signed), 0, "WRAP", mode)
        if function["overflow"] not in ("SAT", "SAT_SYM", "SAT_ZERO") or function["overflow"] == "SAT_ZERO" and (first < lo or last > hi):
            raise Unsupported(f"overflow {function['overflow']}")
        below, above = first < lo, last > hi
        if not below and not above:
            return x.quantize(int(first < 0), wide, 0, "WRAP", mode)
        bits = bits_for(hi if above else lo)
        if not above:
            bits = max(bits, bits_for(last))
        whole = not above or hi == 2**bits - 1
        if whole and (lo == 0 if below else first >= 0):
            return x.quantize(0, bits, 0, "SAT", mode)
        if whole and (lo == -(2**bits) if below else first >= -(2**bits)):
            return x.quantize(1, bits, 0, "SAT", mode)
        if whole and lo == 1 - 2**bits:
            return x.quantize(1, bits, 0, "SAT_SYM", mode)
        x = x.quantize(int(first < 0), wide, 0, "WRAP", mode)
        x = x.max_of(float(lo)) if below else x
        return x.min_of(float(hi)) if above else x

    def pieces(self, function, x, reach):
        """A table of all codes that the operand can have."""
        low, high, step = reach[0], reach[1], 2 ** reach[2]
        if not function["breakpoints"]:
            return float(function["values"][0])
        if (high - low) // step >= 2**14:
            raise Unsupported(f"a table of {(high - low) // step + 1} entries")
        points, results = np.array(function["breakpoints"]), np.array(function["values"], dtype=np.float64)
        k, i = int(results.min() < 0), max(bits_for(results.min()), bits_for(results.max()))
        one = self.tool.wrap([x], (1,)).apply(lambda c: results[np.searchsorted(points, np.round(c).astype(np.int64), side="right")])
        return np.asarray(one.quantize(k, i, 0))[0]


def main():
    job = json.loads(pathlib.Path(sys.argv[1]).read_text())
    folder = pathlib.Path(job["folder"])
    folder.mkdir(parents=True, exist_ok=True)
    answer = {"tool": job["tool"]}
    try:
        tool = Tool(job["tool"], job["hard_dc"])
        graph = exact_graph.read(job["weft"])
        start = time.process_time()
        tracer = Tracer(tool, graph, job["ties"])
        inputs, outputs = tracer.run()
        comb = tool.trace(inputs, outputs)
        answer["seconds"] = time.process_time() - start
        sources, static, cycles, bits = tool.write(comb, folder, job["cutoff"])
        answer |= {"sources": [str(s) for s in sources], "static": [str(s) for s in static], "top": "model", "cycles": cycles,
                   "register_bits": int(bits), "ties_up": tracer.tied, "cost": float(comb.cost),
                   "extra": [str(p) for p in sorted((folder / "src/memfiles").glob("*"))],
                   "inputs": np.asarray(comb.inp_kifs).T.tolist(), "outputs": np.asarray(comb.out_kifs).T.tolist()}
        if job.get("inputs"):
            codes = np.load(job["inputs"]).astype(np.float64)
            found = comb.predict(codes, n_threads=1)
            whole = np.round(found)
            assert np.array_equal(whole, found), "outputs that are no codes"
            np.save(folder / "outputs.npy", whole.astype(np.int64))
    except Unsupported as error:
        answer["unsupported"] = str(error)
    (folder / "answer.json").write_text(json.dumps(answer, indent=1))


if __name__ == "__main__":
    main()
