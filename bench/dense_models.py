# SPDX-License-Identifier: Apache-2.0
"""Dense networks with drawn weights as `.weft` files (docs/weft-file.md): taggers of the benchmark, random layers. Numpy only."""

import io
import json
import zipfile

import numpy as np


def attribute(value):
    for kind, word in ((bool, "bool"), (int, "int"), (float, "real"), (str, "text")):
        if isinstance(value, kind):
            return {word: value}
    raise TypeError(value)


def quantizer(family, **parameters):
    return {"family": family, "parameters": {key: attribute(value) for key, value in parameters.items()}}


def write(path, name, n_in, layers):
    """layers: dicts with "name", "kernel" [n, m], "bias" or None, "kernel_quantizer", "bias_quantizer", "activation" or None."""
    graph = {"weft": 1, "name": name, "file": name, "framework": "keras", "tensors": [{"name": "x", "shape": [n_in]}],
             "inputs": [{"name": "x", "tensor": 0}], "nodes": []}
    members = {}

    def parameter(values, spec):
        member = f"tensors/{len(members):05}.npy"
        out = io.BytesIO()
        np.save(out, np.ascontiguousarray(values, dtype=np.float32))
        members[member] = out.getvalue()
        return {"values": member, **({"quantizer": spec} if spec else {})}

    for i, layer in enumerate(layers):
        graph["tensors"].append({"name": layer["name"], "shape": [layer["kernel"].shape[1]]})
        parameters = {"kernel": parameter(layer["kernel"], layer["kernel_quantizer"])}
        if layer.get("bias") is not None:
            parameters["bias"] = parameter(layer["bias"], layer.get("bias_quantizer"))
        graph["nodes"].append({"name": layer["name"], "op": "Dense", "attributes": {}, "inputs": [i], "outputs": [i + 1],
                               "parameters": parameters,
                               "functions": {"activation": layer["activation"]} if layer.get("activation") else {},
                               "origin": {"file": name, "node": layer["name"], "op": "Dense", "tensor": ""}})
    graph["outputs"] = [{"name": "y", "tensor": len(layers)}]
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        def put(member, content):  # equal bytes for equal models
            archive.writestr(zipfile.ZipInfo(member, (1980, 1, 1, 0, 0, 0)), content)
        put("graph.json", json.dumps(graph))
        for member, content in members.items():
            put(member, content)


def tagger(path, kind, seed=1):
    """16-64-32-32-5, quantized ReLU of 6 bits ("6bit") or 3 bits ("ternary"), weights drawn: normal, one third pruned."""
    draw = np.random.default_rng(seed)
    layers = []
    for i, (n, m) in enumerate(((16, 64), (64, 32), (32, 32), (32, 5))):
        kernel = draw.normal(0, 1, (n, m)) * (draw.random((n, m)) > 1 / 3)
        if kind == "6bit":
            kernel = kernel * 0.6 / np.sqrt(n) * 2
            weights, relu = quantizer("quantized_bits", bits=6, integer=0, alpha=1.0), quantizer("quantized_relu", bits=6, integer=0)
        else:
            weights, relu = quantizer("ternary", alpha=1.0, threshold=0.5), quantizer("quantized_relu", bits=3, integer=2)
        layers.append({"name": f"fc{i + 1}", "kernel": kernel, "kernel_quantizer": weights, "bias": draw.normal(0, 0.1, m),
                       "bias_quantizer": quantizer("quantized_bits", bits=6, integer=0, alpha=1.0), "activation": relu if i < 3 else None})
    write(path, "tagger_" + kind, 16, layers)


def random_layer(path, seed):
    """One dense layer of random shape, widths, sparsity and activation. Returns the type of its input."""
    draw = np.random.default_rng([seed, 77])
    n, m = int(draw.integers(4, 49)), int(draw.integers(2, 33))
    bits, density = int(draw.integers(2, 9)), float(draw.choice([0.2, 0.4, 0.7, 1.0]))
    kernel = draw.uniform(-1, 1, (n, m)) * (draw.random((n, m)) < density)
    activation = None
    if draw.random() < 0.75:
        width = int(draw.integers(2, 9))
        activation = quantizer("quantized_relu", bits=width, integer=int(draw.integers(0, 4))) if draw.random() < 0.7 else \
            quantizer("quantized_bits", bits=width, integer=int(draw.integers(0, 3)), alpha=1.0)
    write(path, f"layer{seed}", n, [{
        "name": "fc", "kernel": kernel, "kernel_quantizer": quantizer("quantized_bits", bits=bits, integer=0, alpha=1.0),
        "bias": draw.uniform(-1, 1, m) if draw.random() < 0.7 else None,
        "bias_quantizer": quantizer("quantized_bits", bits=bits, integer=0, alpha=1.0), "activation": activation}])
    width = int(draw.integers(2, 13))
    return f"ufixed<{width},{int(draw.integers(0, 3))}>" if draw.random() < 0.5 else f"fixed<{width},{int(draw.integers(1, 4))}>"
