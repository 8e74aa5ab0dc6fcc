# SPDX-License-Identifier: Apache-2.0
"""Random RNN, LSTM and GRU nodes of ONNX over the grid of their attributes, with what ONNX Runtime answers.

    python recurrent_onnx.py FOLDER [--seed N] [--first N] [--count N]

Laid out as recurrent_models.py says. Samples are in front in the .npz, whatever axis the file has for its batch.
"""

import argparse
import json
import pathlib

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, helper, numpy_helper

ROWS = 16
GATES = {"RNN": 1, "GRU": 3, "LSTM": 4}
FUNCTIONS = {"RNN": 1, "GRU": 2, "LSTM": 3}


def make(folder, seed, index):
    rng = np.random.default_rng([seed, index, 99])
    pick = lambda *values: values[rng.integers(len(values))]
    chance = lambda p: bool(rng.random() < p)
    op = pick("RNN", "GRU", "LSTM")
    direction = pick("forward", "reverse", "bidirectional")
    directions = 2 if direction == "bidirectional" else 1
    steps, features, units = int(rng.integers(1, 7)), int(rng.integers(1, 5)), int(rng.integers(1, 6))
    said = {"op": op, "direction": direction}
    numbers = lambda *shape: rng.normal(0, 0.6, shape).astype(np.float32)
    attributes = {"hidden_size": units, "direction": direction}
    if op == "GRU":
        attributes["linear_before_reset"] = int(chance(0.5))
    if chance(0.5):
        names = {"RNN": ("Tanh", "Relu", "Sigmoid"), "GRU": ("Tanh", "Relu", "Softsign"), "LSTM": ("Tanh", "Relu", "Softsign")}[op]
        gates = ("Sigmoid", "HardSigmoid")
        one = {"RNN": lambda: [pick(*names)], "GRU": lambda: [pick(*gates), pick(*names)], "LSTM": lambda: [pick(*gates), pick(*names), pick(*names)]}[op]
        attributes["activations"] = [f for _ in range(directions) for f in one()]
        said["activations"] = attributes["activations"]
        alphas = [float(np.float32(0.2)) for f in attributes["activations"] if f == "HardSigmoid"]
        if alphas:
            attributes["activation_alpha"], attributes["activation_beta"] = alphas, [0.5] * len(alphas)
    if chance(0.25):
        attributes["clip"] = 1.5
        said["clip"] = True
    constants = {"W": numbers(directions, GATES[op] * units, features), "R": numbers(directions, GATES[op] * units, units)}
    inputs = ["X", "W", "R"]
    bias, start, peephole = chance(0.7), pick("none", "constant", "data"), op == "LSTM" and chance(0.3)
    if bias:
        constants["B"] = numbers(directions, 2 * GATES[op] * units)
    if peephole:
        constants["P"] = numbers(directions, 3 * units)
    said.update(bias=bias, start=start, peephole=peephole)
    inputs += ["B" if bias else "", ""]
    data = {"X": numbers(steps, ROWS, features)}
    ports = [("X", [steps, "N", features])]
    if start != "none" or peephole:
        for name in ("H", "C")[: 2 if op == "LSTM" else 1]:
            if start == "data":
                data[name] = numbers(directions, ROWS, units)
                ports.append((name, [directions, "N", units]))
            elif start == "constant":
                constants[name] = np.repeat(numbers(directions, 1, units), ROWS, axis=1)
            inputs.append(name if start != "none" else "")
        if peephole:
            inputs.append("P")
    batch = ROWS if start == "constant" else "N"
    if start == "constant":
        ports = [(n, [ROWS if d == "N" else d for d in s]) for n, s in ports]
    while not inputs[-1]:
        inputs.pop()
    names = ["Y", "Y_h", "Y_c"][: 3 if op == "LSTM" else 2]
    used = [n for n in names if chance(0.6)] or ["Y"]
    shapes = {"Y": [steps, directions, batch, units], "Y_h": [directions, batch, units], "Y_c": [directions, batch, units]}
    node = helper.make_node(op, inputs, [n if n in used else "" for n in names], name="cell", **attributes)
    value = lambda name, shape: helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
    graph = helper.make_graph([node], f"recurrent_{index}", [value(n, s) for n, s in ports], [value(n, shapes[n]) for n in used],
                              [numpy_helper.from_array(v, k) for k, v in constants.items()])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 14)], ir_version=8)
    onnx.checker.check_model(model)
    name = f"onnx_{index}"
    onnx.save(model, folder / f"{name}.onnx")
    got = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run(used, data)
    front = lambda v: np.moveaxis(v, -2, 0)
    np.savez(folder / f"{name}.npz", **{f"x:{k}": front(v) for k, v in data.items()}, **{f"y:{i}": front(v) for i, v in enumerate(got)})
    (folder / f"{name}.meta.json").write_text(json.dumps({"said": {k: [str(v)] for k, v in said.items()}, "options": []}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    for index in range(options.first, options.first + options.count):
        make(options.folder, options.seed, index)
    print(f"{options.count} recurrent nodes")


if __name__ == "__main__":
    main()
