# SPDX-License-Identifier: Apache-2.0
"""Says of which layers a model file consists and what feeds each: read from the file's own configuration.

    python model_layers.py FILE...      (needs h5py for .h5, onnx for .onnx)

Prints one JSON object, file -> {layer: {"class": ..., "inputs": [layers or graph inputs], "activation": bool}}, in file order;
activation: a function or quantizer stands behind the layer's own sums.
"""

import json
import pathlib
import sys
import zipfile


def histories(value):
    """Names of the layers that a call's arguments come from: Keras 3's keras_history or Keras 2's [name, 0, 0, {}]."""
    if isinstance(value, dict):
        if "keras_history" in value:
            return [value["keras_history"][0]]
        return [name for v in value.values() for name in histories(v)]
    if isinstance(value, list):
        if len(value) in (3, 4) and isinstance(value[0], str) and isinstance(value[1], int):
            return [value[0]]
        return [name for v in value for name in histories(v)]
    return []


def of_keras(model):
    layers, before = {}, []
    for layer in model["config"]["layers"]:
        name = layer["config"]["name"]
        inputs = before if model["class_name"] == "Sequential" else histories(layer["inbound_nodes"])
        kind = "Softmax" if layer["config"].get("activation") == "softmax" else layer["class_name"].split(">")[-1]
        if kind != "InputLayer":
            activation = layer["config"].get("activation") not in (None, "linear")
            layers[name] = {"class": kind, "inputs": inputs, "activation": activation}
        before = [name]
    return layers


def of_onnx(path):
    import onnx

    graph = onnx.load(path).graph
    constants = {i.name for i in graph.initializer}
    makers = {}
    layers = {}
    for node in graph.node:
        name = node.name or node.output[0]
        inputs = [makers.get(i, i) for i in node.input if i and i not in constants]
        layers[name] = {"class": node.op_type, "inputs": inputs, "activation": False}
        makers.update(dict.fromkeys(node.output, name))
        if not inputs:
            constants.update(node.output)
    return layers


def layers_of(path):
    if path.suffix == ".onnx":
        return of_onnx(path)
    if path.suffix == ".json":
        return of_keras(json.loads(path.read_text()))
    if path.suffix == ".keras":
        with zipfile.ZipFile(path) as archive:
            return of_keras(json.loads(archive.read("config.json")))
    import h5py

    with h5py.File(path) as file:
        text = file.attrs["model_config"]
        return of_keras(json.loads(text.decode() if isinstance(text, bytes) else text))


def main():
    print(json.dumps({name: layers_of(pathlib.Path(name)) for name in sys.argv[1:]}))


if __name__ == "__main__":
    main()
