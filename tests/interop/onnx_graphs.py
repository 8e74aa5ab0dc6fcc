# SPDX-License-Identifier: Apache-2.0
"""Random ONNX graphs around one operator each, with what ONNX Runtime answers.

    python tests/interop/onnx_graphs.py FOLDER [--count N] [--seed N] [--first N]

Writes NUMBER_OPERATOR.onnx and .npz (x:<input>, y:<output>). Every second graph stands between QuantizeLinear and
DequantizeLinear pairs with constants on a coarse grid: float32 is exact there in any order, so integers must be equal.
Without a batch where the operator mixes all axes; else axis 0 is a symbolic batch.
"""

import argparse
import pathlib

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

OPSET = 18


class Graph:
    """One operator under construction."""

    def __init__(self, rng, exact):
        self.rng, self.exact = rng, exact
        self.nodes, self.initializers, self.inputs, self.data = [], [], [], {}
        self.whole = False

    def pick(self, *choices):
        return choices[self.rng.integers(len(choices))]

    def flag(self, chance=0.5):
        return self.rng.random() < chance

    def numbers(self, shape, grid=2):
        """Multiples of 2^-grid up to 2 in magnitude, or any."""
        if self.exact:
            return (self.rng.integers(-2 << grid, (2 << grid) + 1, shape) / (1 << grid)).astype(np.float32)
        return self.rng.normal(size=shape).astype(np.float32)

    def constant(self, value):
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def pair(self, name, scale):
        """QuantizeLinear and DequantizeLinear of int8."""
        s, z = self.constant(np.float32(scale)), self.constant(np.int8(0))
        self.nodes.append(helper.make_node("QuantizeLinear", [name, s, z], [f"{name}_q"]))
        self.nodes.append(helper.make_node("DequantizeLinear", [f"{name}_q", s, z], [f"{name}_d"]))
        return f"{name}_d"

    def input(self, shape, name=None):
        """A graph input; `shape` has the batch in front unless the graph is whole."""
        name = name or f"x{len(self.inputs)}"
        # Magnitudes up to 3 on a grid of 1/8: no saturation in int8. Else numbers of Weft's default type, fixed<16,6>.
        values = self.rng.integers(-24, 25, shape) / 8 if self.exact else np.round(self.rng.normal(size=shape) * 1024) / 1024
        self.data[name] = values.astype(np.float32)
        declared = list(shape) if self.whole else ["N", *shape[1:]]
        self.inputs.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, declared))
        return self.pair(name, 0.125) if self.exact else name

    def add(self, op, inputs, outputs=("y",), **attributes):
        self.nodes.append(helper.make_node(op, inputs, list(outputs), **attributes))
        return outputs[0]

    def model(self, result, kind=TensorProto.FLOAT):
        if kind == TensorProto.FLOAT and self.exact:
            result = self.pair(result, 0.5)
        output = helper.make_tensor_value_info(result, kind, None)
        graph = helper.make_graph(self.nodes, "graph", self.inputs, [output], self.initializers)
        made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
        made.ir_version = 9
        return made, result


def batch(g):
    return 3


def extents(g, axes, low=3, high=7):
    return [int(n) for n in g.rng.integers(low, high + 1, axes)]


def windows(g, axes, kernel_high=3):
    """Kernel, strides, dilations and padding that fit extents of at least 5."""
    kernel = extents(g, axes, 1, kernel_high)
    dilations = [int(g.pick(1, 1, 2)) for _ in range(axes)]
    return kernel, [int(g.pick(1, 2, 3)) for _ in range(axes)], dilations


def conv(g):
    axes = int(g.pick(1, 2, 2, 3))
    groups = int(g.pick(1, 1, 2, 3))
    c_in, c_out = groups * int(g.pick(1, 2)), groups * int(g.pick(1, 2))
    if g.flag(0.2):
        groups = c_in
        c_out = c_in * int(g.pick(1, 2))
    kernel, strides, dilations = windows(g, axes)
    x = g.input([batch(g), c_in, *extents(g, axes, 5, 8)])
    more = {}
    if g.flag():
        more["pads"] = extents(g, 2 * axes, 0, 2)
    elif g.flag():
        more["auto_pad"] = g.pick("SAME_UPPER", "SAME_LOWER", "VALID")
        dilations = [1] * axes
    inputs = [x, g.constant(g.numbers([c_out, c_in // groups, *kernel]))]
    if g.flag():
        inputs.append(g.constant(g.numbers([c_out])))
    return g.model(g.add("Conv", inputs, kernel_shape=kernel, strides=strides, dilations=dilations, group=groups, **more))


def conv_transpose(g):
    axes = int(g.pick(1, 2, 2, 3))
    groups = int(g.pick(1, 1, 2))
    c_in, c_out = groups * int(g.pick(1, 2)), int(g.pick(1, 2, 3))
    kernel, strides, dilations = windows(g, axes)
    kernel = [max(k, 2) for k in kernel]
    x = g.input([batch(g), c_in, *extents(g, axes, 3, 5)])
    more = {}
    if g.flag():
        more["pads"] = [int(g.rng.integers(0, 2)) for _ in range(2 * axes)]
    elif g.flag(0.3):
        more["auto_pad"] = g.pick("SAME_UPPER", "SAME_LOWER")
        # Under shorter kernels ONNX pads the result to the input times the stride, the runtime does not.
        strides = [min(s, (k - 1) * d + 1) for s, k, d in zip(strides, kernel, dilations)]
    if g.flag() and "auto_pad" not in more:
        more["output_padding"] = [int(g.rng.integers(0, max(s, d))) for s, d in zip(strides, dilations)]
    inputs = [x, g.constant(g.numbers([c_in, c_out, *kernel]))]
    if g.flag():
        inputs.append(g.constant(g.numbers([c_out * groups])))
    return g.model(g.add("ConvTranspose", inputs, kernel_shape=kernel, strides=strides, dilations=dilations, group=groups,
                         **more))


def pool(g):
    axes = int(g.pick(1, 2, 2, 3))
    op = g.pick("MaxPool", "AveragePool", "GlobalMaxPool", "GlobalAveragePool")
    x = g.input([batch(g), int(g.pick(1, 3)), *extents(g, axes, 5, 8)])
    if op.startswith("Global"):
        return g.model(g.add(op, [x]))
    kernel = extents(g, axes, 2, 3)
    more = {"kernel_shape": kernel, "strides": [int(g.pick(1, 2)) for _ in kernel], "ceil_mode": int(g.flag(0.3))}
    if g.flag():
        more["pads"] = [int(g.rng.integers(0, 2)) for _ in range(2 * axes)]
    if op == "AveragePool":
        more["count_include_pad"] = int(g.flag())
    return g.model(g.add(op, [x], **more))


def matmul(g):
    g.whole = g.flag(0.3)
    k, m, n = extents(g, 3, 1, 5)
    outer = extents(g, int(g.pick(0, 1, 2)), 2, 3)
    left = [1 if g.flag(0.2) else e for e in outer] + [m, k]
    right = [1 if g.flag(0.2) else e for e in outer] + [k, n]
    front = [] if g.whole else [batch(g)]
    kind = g.pick("both", "both", "left", "right")
    if kind == "both":
        a, b = g.input(front + left), g.input(front + right)
    elif kind == "left":
        a, b = g.input(front + left), g.constant(g.numbers(right if g.flag() else right[-2:]))
    else:
        a, b = g.constant(g.numbers(left if g.flag() else left[-2:])), g.input(front + right)
    return g.model(g.add("MatMul", [a, b]))


def gemm(g):
    g.whole = True
    m, k, n = extents(g, 3, 1, 5)
    trans_a, trans_b = int(g.flag()), int(g.flag())
    a = g.input([k, m] if trans_a else [m, k])
    shape = [n, k] if trans_b else [k, n]
    b = g.input(shape) if g.flag() else g.constant(g.numbers(shape))
    inputs = [a, b]
    if g.flag(0.7):
        c = g.pick([n], [1, n], [m, 1], [m, n], [1])
        inputs.append(g.input(c) if g.flag(0.3) else g.constant(g.numbers(c)))
    factors = {"alpha": 0.5, "beta": 2.0} if g.flag() else {}
    return g.model(g.add("Gemm", inputs, transA=trans_a, transB=trans_b, **factors))


def einsum(g):
    g.whole = g.flag(0.3)
    equation, shapes = g.pick(("bij,bjk->bik", "bij bjk"), ("bij,bkj->bki", "bij bkj"), ("bhid,bhjd->bhij", "bhid bhjd"),
                              ("bi,bj->bij", "bi bj"), ("bijk->bk", "bijk"), ("bij->bji", "bij"), ("bii->bi", "bii"),
                              ("b...d,b...d->b...", "bxd bxd"), ("bi,ij->bj", "bi ij"), ("oi,bi->bo", "oi bi"),
                              ("bij,ijk->bik", "bij ijk"), ("bi,bi->b", "bi bi"))
    sizes = {label: int(g.rng.integers(2, 5)) for label in "bcdhijkox"}
    sizes["b"] = batch(g)
    inputs = []
    for labels in shapes.split():
        shape = [sizes[label] for label in labels]
        inputs.append(g.input(shape) if "b" in labels else g.constant(g.numbers(shape)))
    return g.model(g.add("Einsum", inputs, equation=equation))


def resize(g):
    axes = int(g.pick(1, 2, 2))
    x = g.input([batch(g), 2, *extents(g, axes, 3, 6)])
    mode = g.pick("nearest", "linear", "linear", "cubic" if axes == 2 else "linear")
    factor = [float(g.pick(2.0, 2.0, 3.0, 0.5, 1.5, 4.0)) for _ in range(axes)]
    if g.exact and mode != "nearest":
        factor = [float(g.pick(2.0, 4.0)) for _ in range(axes)]
    mapping = g.pick("half_pixel", "pytorch_half_pixel", "asymmetric", "align_corners")
    if g.exact and mode != "nearest":
        mapping = g.pick("half_pixel", "asymmetric")
    if mapping == "align_corners":
        # Of extents that are cut off the runtime counts whole elements, ONNX's reference (and Weft) the extent times the factor.
        factor = [max(1.0, np.floor(f)) for f in factor]
    more = {}
    if mode == "nearest":
        more["nearest_mode"] = g.pick("round_prefer_floor", "round_prefer_ceil", "floor", "ceil")
    return g.model(g.add("Resize", [x, "", g.constant(np.array([1, 1, *factor], np.float32))], mode=mode,
                         coordinate_transformation_mode=mapping, **more))


def reduce(g):
    g.whole = g.flag(0.3)
    rank = int(g.pick(2, 3, 4))
    shape = [batch(g), *extents(g, rank - 1, 2, 4)]
    x = g.input(shape)
    op = g.pick("ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceSumSquare", "ReduceL1", "ReduceProd")
    first = 0 if g.whole else 1
    axes = [a for a in range(first, rank) if g.flag()] or [rank - 1]
    if g.exact and op == "ReduceMean":
        op = "ReduceSum"
    axes = [a - rank if g.flag() else a for a in axes]
    if op == "ReduceProd":
        axes = axes[:1]
    return g.model(g.add(op, [x, g.constant(np.array(axes, np.int64))], keepdims=int(g.flag())))


def search(g):
    rank = int(g.pick(2, 3, 4))
    shape = [batch(g), *extents(g, rank - 1, 2, 6)]
    x = g.input(shape)
    axis = int(g.rng.integers(1, rank))
    op = g.pick("ArgMax", "ArgMin", "TopK", "TopK")
    if op != "TopK":
        y = g.add(op, [x], axis=axis, keepdims=int(g.flag()), select_last_index=int(g.flag()))
        return g.model(y, TensorProto.INT64)
    k = g.constant(np.array([int(g.rng.integers(1, shape[axis] + 1))], np.int64))
    values = g.flag()
    g.add("TopK", [x, k], ("values", "indices"), axis=axis if g.flag() else axis - rank, largest=int(g.flag()))
    return g.model("values") if values else g.model("indices", TensorProto.INT64)


def elementwise(g):
    op = g.pick("Add", "Sub", "Mul", "Sum", "Max", "Min", "Mean", "Div")
    count = int(g.pick(1, 2, 3, 4)) if op in ("Sum", "Max", "Min", "Mean") else 2
    if g.exact and op in ("Mean", "Div"):
        op = "Add"
        count = 2
    g.whole = g.flag(0.4)
    rank = int(g.pick(1, 2, 3))
    full = extents(g, rank, 2, 4)
    inputs = []
    for i in range(count):
        shape = [1 if g.flag(0.25) else e for e in full]
        if i and g.flag(0.4):
            shape = shape[int(g.rng.integers(0, rank)):]
            inputs.append(g.constant(np.abs(g.numbers(shape)) + np.float32(0.5)))
        else:
            inputs.append(g.input(shape if g.whole else [batch(g), *shape]))
    if g.flag(0.3) and op in ("Add", "Sub", "Mul", "Div") and inputs[1].startswith("c"):
        inputs.reverse()
        if op == "Div":
            op = "Sub"
    return g.model(g.add(op, inputs))


def movement(g):
    rank = int(g.pick(2, 3, 4))
    shape = [batch(g), *extents(g, rank - 1, 2, 5)]
    if rank == 4 and g.flag(0.3):
        shape[1:] = [8, 2, 3] if g.flag() else [2, 4, 6]
    x = g.input(shape)
    ints = lambda *values: g.constant(np.array(values, np.int64))
    axis = int(g.rng.integers(1, rank))
    op = g.pick("Transpose", "Slice", "Split", "Gather", "Pad", "Expand", "Tile", "Concat", "CumSum", "Blocks", "Reshape")
    if op == "Transpose":
        return g.model(g.add("Transpose", [x], perm=[0, *map(int, 1 + g.rng.permutation(rank - 1))]))
    if op == "Slice":
        step = int(g.pick(1, 2, -1))
        start, end = (0, shape[axis]) if step > 0 else (shape[axis] - 1, -shape[axis] - 1)
        if g.flag() and step > 0 and shape[axis] > 2:
            start = 1
        return g.model(g.add("Slice", [x, ints(start), ints(end), ints(axis), ints(step)]))
    if op == "Split":
        first = int(g.rng.integers(1, shape[axis]))
        g.add("Split", [x, ints(first, shape[axis] - first)], ("y", "z"), axis=axis)
        return g.model(g.pick("y", "z"))
    if op == "Gather":
        indices = g.rng.integers(-shape[axis], shape[axis], g.pick((3,), (2, 2), ()))
        return g.model(g.add("Gather", [x, g.constant(np.asarray(indices, np.int64))], axis=axis))
    if op == "Pad":
        mode = g.pick("constant", "reflect", "edge", "wrap")
        low = -1 if mode == "constant" else 0
        pads = np.zeros((2, rank), np.int64)
        pads[:, 1:] = g.rng.integers(low, 2, (2, rank - 1))
        pads[:, 1:][:, np.array(shape[1:]) + pads[:, 1:].sum(0) < 1] = 0
        return g.model(g.add("Pad", [x, g.constant(pads.reshape(-1)), g.constant(np.float32(0.5))], mode=mode))
    if op == "Expand":
        shape[axis] = 1
        g.inputs.clear(), g.data.clear(), g.nodes.clear()
        x = g.input(shape, "x0")
        target = [1] * rank
        target[axis] = 3
        return g.model(g.add("Expand", [x, ints(*target)]))
    if op == "Tile":
        repeats = [1, *map(int, g.rng.integers(1, 3, rank - 1))]
        return g.model(g.add("Tile", [x, ints(*repeats)]))
    if op == "Concat":
        other = g.input(shape)
        return g.model(g.add("Concat", [x, other, x], axis=axis))
    if op == "CumSum":
        return g.model(g.add("CumSum", [x, g.constant(np.int64(axis))], exclusive=int(g.flag()), reverse=int(g.flag())))
    if op == "Blocks" and shape[1:] == [8, 2, 3]:
        return g.model(g.add("DepthToSpace", [x], blocksize=2, mode=g.pick("DCR", "CRD")))
    if op == "Blocks" and shape[1:] == [2, 4, 6]:
        return g.model(g.add("SpaceToDepth", [x], blocksize=2))
    return g.model(g.add("Reshape", [x, ints(0, -1)]))


KINDS = [conv, conv_transpose, pool, matmul, gemm, einsum, resize, reduce, search, elementwise, movement]


def make(number, seed):
    kind = KINDS[number % len(KINDS)]
    # Its optimizer quantizes float weights between QuantizeLinear and DequantizeLinear, which is another network.
    settings = onnxruntime.SessionOptions()
    settings.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    for attempt in range(20):
        rng = np.random.default_rng([seed, number, attempt])
        g = Graph(rng, exact=bool(number // len(KINDS) % 2))
        model, output = kind(g)
        try:
            session = onnxruntime.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
            (y,) = session.run([output], g.data)
        except Exception:  # the runtime refuses some combinations
            continue
        if y.size and np.isfinite(y).all():
            return kind.__name__, model, g.data, {output: np.asarray(y)}
    return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=220)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    onnxruntime.set_default_logger_severity(4)
    made = 0
    for number in range(options.first, options.first + options.count):
        found = make(number, options.seed)
        if found is None:
            continue
        name, model, inputs, outputs = found
        stem = options.folder / f"{number:05}_{name}"
        onnx.save(model, stem.with_suffix(".onnx"))
        arrays = {f"x:{k}": v for k, v in inputs.items()} | {f"y:{k}": v for k, v in outputs.items()}
        np.savez(stem.with_suffix(".npz"), **arrays)
        made += 1
    print(f"{made} graphs, onnxruntime {onnxruntime.__version__}")


if __name__ == "__main__":
    main()
