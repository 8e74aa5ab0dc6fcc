# SPDX-License-Identifier: Apache-2.0
"""A peer of scripts/bench.py: a network of the same shape in float by ONNX Runtime on one thread, timed; one JSON object on stdout.

    PYTHON_OF_VENV bench/onnxruntime_float.py NAME

Weights are random: the rate depends on the shape alone.
"""

import json
import sys
import time

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

BATCHES = (1, 16, 64, 256, 1024)
SECONDS = 0.5


class Graph:
    def __init__(self, shape):
        self.rng, self.nodes, self.constants, self.last, self.shape = np.random.default_rng(1), [], [], "x", shape

    def constant(self, value):
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def weight(self, *shape):
        return self.constant(self.rng.uniform(-0.3, 0.3, shape).astype(np.float32))

    def add(self, op, *constants, outputs=1, **attributes):
        outs = [f"n{len(self.nodes)}_{i}" for i in range(outputs)]
        self.nodes.append(helper.make_node(op, [self.last, *constants], outs, **attributes))
        self.last = outs[-1]

    def conv(self, inputs, outputs, kernel, stride=1, pad=(0, 0), relu=True):
        self.add("Conv", self.weight(outputs, inputs, kernel, kernel), self.weight(outputs), strides=[stride] * 2,
                 pads=[pad[0], pad[0], pad[1], pad[1]])
        if relu:
            self.add("Relu")

    def dense(self, *sizes):
        for inputs, outputs in zip(sizes, sizes[1:]):
            self.add("Gemm", self.weight(inputs, outputs), self.weight(outputs))
            if outputs != sizes[-1]:
                self.add("Relu")


def network(name):
    if name in ("jet", "digits"):
        sizes = (16, 64, 32, 32, 5) if name == "jet" else (64, 24, 16, 10)
        g = Graph(sizes[:1])
        g.dense(*sizes)
    elif name == "svhn":
        g = Graph((3, 32, 32))
        for inputs, outputs in ((3, 16), (16, 16), (16, 24)):
            g.conv(inputs, outputs, 3)
            g.add("MaxPool", kernel_shape=[2, 2], strides=[2, 2])
        g.add("Flatten")
        g.dense(96, 42, 64, 10)
    elif name == "rn07":
        g = Graph((3, 32, 32))
        g.conv(3, 32, 1)
        g.conv(32, 4, 4, pad=(1, 2))
        g.conv(4, 32, 4, pad=(1, 2))
        g.conv(32, 32, 4, stride=4)
        g.conv(32, 32, 4, pad=(1, 2))
        g.add("Flatten")
        g.dense(2048, 10)
    elif name in ("lstm", "gru"):
        g, gates = Graph((20, 6)), 4 if name == "lstm" else 3
        g.add("Transpose", perm=[1, 0, 2])
        g.add(name.upper(), g.weight(1, gates * 20, 6), g.weight(1, gates * 20, 20), g.weight(1, gates * 40), outputs=2, hidden_size=20)
        g.add("Squeeze", g.constant(np.array([0], np.int64)))
        g.dense(20, 64, 32, 5)
    else:
        sys.exit(f"no network `{name}`")
    graph = helper.make_graph(g.nodes, name, [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", *g.shape])],
                              [helper.make_tensor_value_info(g.last, TensorProto.FLOAT, ["n", 10 if name in ("digits", "svhn", "rn07") else 5])],
                              g.constants)
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=8), g.shape


def main():
    model, shape = network(sys.argv[1])
    onnx.checker.check_model(model)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, providers=["CPUExecutionProvider"])
    rates = {}
    for batch in BATCHES:
        x = np.random.default_rng(2).normal(size=(batch, *shape)).astype(np.float32)
        session.run(None, {"x": x})
        # CPU time: other work on the machine shall not make the peer look slow. The best run counts.
        begin, best = time.monotonic(), 0.0
        while time.monotonic() - begin < SECONDS:
            before = time.process_time()
            session.run(None, {"x": x})
            best = max(best, batch / max(time.process_time() - before, 1e-9))
        rates[batch] = best
    print(json.dumps({"version": onnxruntime.__version__, "samples_per_second": max(rates.values()), "by_batch": rates}))


if __name__ == "__main__":
    main()
