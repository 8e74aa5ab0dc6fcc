# SPDX-License-Identifier: Apache-2.0
"""Single layers with drawn shapes, types, sparsity and functions, as `.weft` files."""

import io
import json
import pathlib
import sys
import zipfile

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/diagnostics"))
from workshop import npy


def attribute(value):
    if isinstance(value, (list, tuple)):
        whole = all(isinstance(v, int) for v in value)
        return {"ints" if whole else "reals": list(value)}
    kinds = {bool: "bool", int: "int", float: "real", str: "text"}
    return {kinds[type(value)]: value}


def spec(family, **parameters):
    return {"family": family, "parameters": {key: attribute(value) for key, value in parameters.items()}}


class Network:
    """A graph of nodes as `graph.json` has it."""

    def __init__(self, name):
        self.name, self.tensors, self.inputs, self.nodes, self.members = name, [], [], [], {}
        self.options = []

    def input(self, shape, kind=None):
        """`kind` as --input-type takes it."""
        name = f"x{len(self.inputs)}"
        self.tensors.append({"name": name, "shape": list(shape)})
        self.inputs.append({"name": name, "tensor": len(self.tensors) - 1})
        if kind:
            self.options += ["--input-type", f"{name}={kind}"]
        return len(self.tensors) - 1

    def node(self, op, inputs, attributes=None, parameters=None, functions=None):
        name = f"{op.lower()}_{len(self.nodes)}"
        self.tensors.append({"name": name, "shape": []})
        row = {"name": name, "op": op, "attributes": {k: attribute(v) for k, v in (attributes or {}).items()},
               "inputs": list(inputs), "outputs": [len(self.tensors) - 1], "parameters": {}, "functions": functions or {},
               "origin": {"file": self.name, "node": name, "op": op, "tensor": ""}}
        for role, (values, quantizer) in (parameters or {}).items():
            member = f"tensors/{len(self.members):05}.npy"
            self.members[member] = npy(np.asarray(values, np.float32))
            row["parameters"][role] = {"values": member, **({"quantizer": quantizer} if quantizer else {})}
        self.nodes.append(row)
        return len(self.tensors) - 1

    def content(self, *outputs):
        graph = {"weft": 1, "name": self.name, "file": self.name, "framework": "keras", "tensors": self.tensors,
                 "inputs": self.inputs, "nodes": self.nodes,
                 "outputs": [{"name": f"y{i}", "tensor": t} for i, t in enumerate(outputs)]}
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w") as archive:
            for member, content in [("graph.json", json.dumps(graph)), *self.members.items()]:
                archive.writestr(zipfile.ZipInfo(member), content)
        return out.getvalue()


class Drawn:
    """One layer, drawn by its seed."""

    def __init__(self, name, kind, seed):
        self.draw = np.random.default_rng(seed)
        self.net = Network(name)
        self.kind = kind

    # --- numbers
    def between(self, low, high):
        return int(self.draw.integers(low, high + 1))

    def chance(self, percent):
        return self.draw.random() * 100 < percent

    def pick(self, *choices):
        return choices[self.between(0, len(choices) - 1)]

    def weights(self, shape, reach=1.0):
        """Normal or uniform, some of them zero."""
        values = self.draw.normal(0, reach / 2, shape) if self.chance(60) else self.draw.uniform(-reach, reach, shape)
        return values * (self.draw.random(shape) >= self.pick(0.0, 0.0, 0.3, 0.5, 0.8))

    # --- types
    def input_type(self, low=1, high=16):
        width = self.between(low, high)
        sign = self.pick("", "u")
        return f"{sign}fixed<{width},{self.between(0, min(width, 6))}>"

    def bits(self, low=2, high=8):
        width = self.between(low, high)
        return spec("quantized_bits", bits=width, integer=self.between(0, min(3, width - 1)), alpha=1.0)

    def activation(self):
        """A quantizer of results, or none."""
        which = self.between(0, 5)
        if which <= 1:
            return None
        if which == 2:
            return self.bits(2, 10)
        if which == 3:
            return spec("qonnx_quant", scale=[float(2.0 ** -self.between(0, 5)) if self.chance(70) else 0.1 + 0.3 * float(self.draw.random())],
                        zero_point=[0.0], bits=float(self.between(2, 8)), signed=self.chance(60), narrow=self.chance(30), rounding="ROUND")
        return spec("quantized_relu", bits=self.between(2, 10), integer=self.between(0, 4))

    def act(self, x, function):
        return x if function is None else self.net.node("Activation", [x], functions={"activation": function})

    # --- layers
    def matrix(self, kernel_quantizer, input_kind, n_in, n_out, reach=1.0):
        x = self.net.input([n_in], input_kind)
        parameters = {"kernel": (self.weights((n_in, n_out), reach), kernel_quantizer)}
        if self.chance(60):
            parameters["bias"] = (self.draw.normal(0, 0.3, n_out), spec("quantized_bits", bits=8, integer=2, alpha=1.0))
        return self.act(self.net.node("Dense", [x], parameters=parameters), self.activation())

    def dense(self):
        return self.matrix(self.bits(2, 8), self.input_type(1, 16), self.between(2, 24), self.between(1, 16))

    def ternary(self):
        quantizer = spec("ternary", alpha=1.0, threshold=0.4)
        return self.matrix(quantizer, self.pick("bipolar", "ternary", self.input_type(1, 6)), self.between(8, 48), self.between(2, 16), 2.0)

    def bipolar(self):
        x = self.net.input([self.between(8, 64)], "bipolar")
        n_out = self.between(2, 16)
        kernel = self.draw.normal(0, 1, (self.net.tensors[0]["shape"][0], n_out))
        y = self.net.node("Dense", [x], parameters={"kernel": (kernel, spec("binary", alpha=1.0))})
        return self.act(y, spec("binary", alpha=1.0) if self.chance(50) else self.activation())

    def hgq(self):
        n_in, n_out = self.between(4, 24), self.between(2, 16)
        x = self.net.input([n_in], "fixed<12,4>")

        def grid(count, reach, signed):
            k = [1.0] * count if signed else [0.0] * count
            i = [float(v) for v in self.draw.integers(-2, 3, count)]
            f = [float(v) for v in self.draw.integers(-1, reach, count)]
            return spec("hgq_fixed", k=k, i=i, f=f, rounding=self.pick("TRN", "RND", "RND_CONV"), overflow=self.pick("WRAP", "WRAP", "SAT"))

        x = self.act(x, grid(n_in, 5, True))
        kernel = spec("hgq_fixed", k=[1.0], i=[1.0] * (n_in * n_out), f=[float(v) for v in self.draw.integers(-1, 5, n_in * n_out)],
                      rounding="RND", overflow="SAT")
        parameters = {"kernel": (self.weights((n_in, n_out)), kernel)}
        if self.chance(70):
            parameters["bias"] = (self.draw.normal(0, 0.3, n_out), spec("quantized_bits", bits=7, integer=1, alpha=1.0))
        y = self.net.node("Dense", [x], parameters=parameters)
        if self.chance(60):
            y = self.act(y, spec("relu"))
        return self.act(y, grid(n_out, 5, self.chance(30)))

    def conv(self):
        parameters = {}
        if self.chance(50):
            shape, kernel = [self.between(3, 6), self.between(1, 3)], [self.between(2, 3)]
        else:
            shape, kernel = [self.between(3, 4), self.between(3, 4), self.between(1, 2)], [2, 2]
        x = self.net.input(shape, self.input_type(1, 8))
        parameters["kernel"] = (self.weights((*kernel, shape[-1], self.between(1, 4))), self.bits(2, 6))
        valid = self.pick(True, False)
        spatial = [n - k + 1 if valid else n for n, k in zip(shape, kernel)]
        self.conv_size = int(np.prod(spatial)) * parameters["kernel"][0].shape[-1]
        y = self.net.node("Conv", [x], {"strides": [1] * len(kernel), "dilations": [1] * len(kernel), "padding": "valid" if valid else "same",
                                        "groups": 1}, parameters)
        return self.act(y, self.activation())

    def function(self):
        x = self.net.input([self.between(1, 8)], self.input_type(3, 10))
        function = spec(self.pick("sigmoid", "tanh", "softplus", "elu", "exponential", "swish", "hard_sigmoid", "gelu"))
        return self.act(self.act(x, function), self.pick(self.bits(2, 10), spec("quantized_relu", bits=self.between(2, 8), integer=self.between(0, 2))))

    def requant(self):
        x = self.net.input([self.between(3, 24)], self.input_type(4, 16))
        function = self.activation() or self.pick(
            spec("quantized_tanh", bits=self.between(2, 8), use_real_tanh=False), spec("ternary", alpha=1.0, threshold=0.3),
            spec("quantized_bits", bits=self.between(2, 8), integer=0, symmetric=True, alpha=1.0))
        return self.act(x, function)

    def pool(self):
        shape = [self.between(2, 6), self.between(2, 4), self.between(1, 3)]
        x = self.net.input(shape, self.input_type(1, 10))
        y = self.net.node(self.pick("MaxPool", "MaxPool", "AveragePool"), [x], {"pool": [2, 2], "strides": self.pick([2, 2], [1, 1]), "padding": "valid"})
        return self.act(y, self.activation())

    def merge(self):
        width = self.between(3, 16)
        a = self.net.input([width], self.input_type(1, 12))
        b = self.net.input([width], self.input_type(1, 12))
        return self.act(self.net.node(self.pick("Add", "Sub", "Maximum", "Minimum"), [a, b]), self.activation())

    def product(self):
        width = self.between(1, 6)
        a = self.net.input([width], self.input_type(1, 8))
        b = self.net.input([width], self.input_type(1, 8))
        return self.act(self.net.node("Mul", [a, b]), self.activation())

    def choice(self):
        x = self.net.input([self.between(2, 8)], self.input_type(2, 8))
        if self.chance(70):
            return self.net.node("ArgMax", [x], {"k": 1, "keepdims": True})
        return self.act(self.net.node("Softmax", [x], {"axis": -1}), self.bits(4, 8))


    def network(self):
        """Two to five layers in a chain, perhaps with a convolution in front, a merge within, a choice at the end."""
        width = self.between(2, 12)
        if self.chance(25):
            x = self.conv()
            x, width = self.net.node("Reshape", [x], {"shape": [self.conv_size]}), self.conv_size
        else:
            x = self.net.input([width], self.input_type(1, 9))
        for _ in range(self.between(1, 3)):
            n_out = self.between(1, 12)
            quantizer = self.pick(self.bits(2, 6), self.bits(2, 6), spec("ternary", alpha=1.0, threshold=0.4), spec("binary", alpha=1.0))
            parameters = {"kernel": (self.weights((width, n_out)), quantizer)}
            if self.chance(60):
                parameters["bias"] = (self.draw.normal(0, 0.3, n_out), spec("quantized_bits", bits=6, integer=1, alpha=1.0))
            x, width = self.net.node("Dense", [x], parameters=parameters), n_out
            if self.chance(15):
                x = self.act(x, spec(self.pick("sigmoid", "tanh", "softplus", "relu")))
            x = self.act(x, self.small_activation())
            if self.chance(15):
                x = self.net.node(self.pick("Add", "Maximum", "Sub"), [x, self.net.input([width], self.input_type(1, 6))])
        if width > 1 and self.chance(10):
            x = self.net.node("ArgMax", [x], {"k": 1, "keepdims": True})
        return x

    def small_activation(self):
        return self.pick(self.bits(2, 6), spec("quantized_relu", bits=self.between(2, 6), integer=self.between(0, 3)),
                         spec("ternary", alpha=1.0, threshold=0.3), spec("binary", alpha=1.0))


# What is drawn, and how often in a hundred.
SHARES = {"dense": 20, "hgq": 16, "ternary": 8, "bipolar": 6, "conv": 10, "function": 8, "requant": 10, "pool": 6, "merge": 7,
          "product": 4, "choice": 5}


def layer(seed, index):
    """(name, kind, options of convert, content) of the layer `index` of a run with this seed."""
    draw = np.random.default_rng([seed, index])
    kind = draw.choice(list(SHARES), p=np.array(list(SHARES.values())) / sum(SHARES.values()))
    name = f"{kind}_{index}"
    drawn = Drawn(name, kind, [seed, index, 1])
    output = getattr(drawn, kind)()
    options = [*drawn.net.options, "--clock-ns", drawn.pick("2", "5", "5", "20")]
    return name, str(kind), options, drawn.net.content(output)


def network(seed, index):
    """(name, options of convert, content): a layer of its own or a network of some layers."""
    draw = np.random.default_rng([seed, index, 2])
    if draw.random() < 0.5:
        name, _, options, content = layer(seed, index)
        return name, options, content
    name = f"network_{index}"
    drawn = Drawn(name, "network", [seed, index, 3])
    output = drawn.network()
    options = [*drawn.net.options, "--clock-ns", drawn.pick("1.5", "2.5", "5", "5", "40")]
    for flag, percent in (("--register-inputs", 25), ("--no-register-outputs", 15), ("--clock-enable", 10), ("--no-valid", 10)):
        if drawn.chance(percent):
            options.append(flag)
    return name, options, drawn.net.content(output)


def fitted_designs():
    """(class, name, options, content) of the designs that the factors of the target file are fitted with."""
    for left, right in ((5, 5), (6, 6), (6, 8), (8, 8)):
        net = Network(f"product_{left}_{right}")
        a, b = net.input([2], f"fixed<{left},1>"), net.input([2], f"fixed<{right},1>")
        output = net.node("Mul", [a, b])
        yield "signed_product_lut", net.name, net.options, net.content(output)
    for function, integer in (("sigmoid", 4), ("tanh", 3), ("softplus", 3), ("elu", 2), ("exponential", 1)):
        for width in (9, 10):
            net = Network(f"{function}_{width}")
            x = net.node("Activation", [net.input([2], f"fixed<{width},{integer}>")], functions={"activation": spec(function)})
            quantizer = spec("quantized_bits", bits=7, integer=0 if function in ("sigmoid", "tanh") else 2, alpha=1.0)
            output = net.node("Activation", [x], functions={"activation": quantizer})
            yield "wide_table_lut", net.name, net.options, net.content(output)
