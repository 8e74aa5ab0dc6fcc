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


MODELS = {"Sequential", "Functional", "Model"}


def references(value):
    """(layer, call) of every tensor in a call's arguments: Keras 3's keras_history or Keras 2's [name, 0, 0, {}]."""
    if isinstance(value, dict):
        if "keras_history" in value:
            return [tuple(value["keras_history"][:2])]
        return [found for v in value.values() for found in references(v)]
    if isinstance(value, list):
        if len(value) in (3, 4) and isinstance(value[0], str) and isinstance(value[1], int):
            # Keras 2 writes a constant where an operator's first tensor would stand.
            own = [] if value[0] == "_CONSTANT_VALUE" else [(value[0], value[1])]
            return own + [found for v in value[3:] for found in references(v)]
        return [found for v in value for found in references(v)]
    return []


def of_keras(model):
    """Every call of a layer, under the name that Weft gives it; nested models are taken apart."""
    layers, taken = {}, set()

    def unique(name):
        number, wanted = 1, name
        while name in taken:
            name, number = f"{wanted}_{number}", number + 1
        taken.add(name)
        return name

    def place(model, prefix, sources):
        """Adds the layers; `sources` are the names of what feeds the inputs. The names of its outputs."""
        config = model["config"]
        inner = config["layers"] if isinstance(config, dict) else config
        names = [layer["config"]["name"] for layer in inner]
        taken.update(prefix + name for name in names)
        placed = {}  # (layer, call) -> names of its outputs
        waiting = []
        inputs = [layer["config"]["name"] for layer in inner if layer["class_name"].split(">")[-1] == "InputLayer"]
        order = [name for name, _ in references(config.get("input_layers", []))] if isinstance(config, dict) else []
        for i, name in enumerate(order or inputs):
            placed[name, 0] = [sources[i]] if i < len(sources) else [prefix + name]
        before = (inputs[0], 0) if inputs else None
        for layer, name in zip(inner, names):
            kind = layer["class_name"].split(">")[-1]
            if kind == "InputLayer":
                continue
            if model["class_name"] == "Sequential":
                calls = [[before] if before else []]
                before = (name, 0)
            else:
                calls = [references(call) for call in layer["inbound_nodes"]]
            for call, inputs_of in enumerate(calls):
                full = prefix + name if call == 0 else unique(prefix + name)
                waiting.append((layer, kind, name, call, full, inputs_of))
        # Keras 2 counts the making of a nested model as its first call.
        ends = references(config["output_layers"]) if isinstance(config, dict) and "output_layers" in config else []
        last, calls_of = {}, {}
        for name, call in [r for w in waiting for r in w[5]] + ends:
            last[name] = max(last.get(name, 0), call)
        for _, kind, name, call, _, _ in waiting:
            calls_of[name] = call + 1 if kind in MODELS else last.get(name, 0) + 1
        shift = {name: max(0, call + 1 - calls_of.get(name, call + 1)) for name, call in last.items()}
        called = lambda found: [(name, call - shift.get(name, 0)) for name, call in found]
        waiting = [(*w[:5], called(w[5])) for w in waiting]
        while waiting:
            ready = [w for w in waiting if all(r in placed for r in w[5])]
            for w in ready:
                layer, kind, name, call, full, inputs_of = w
                waiting.remove(w)
                feeds = [source for r in inputs_of for source in placed[r]]
                if kind in MODELS:
                    placed[name, call] = place({"class_name": kind, "config": layer["config"]}, full + "/", feeds or sources)
                    continue
                own = layer["config"]["layer"] if kind == "PruneLowMagnitude" else layer
                kind = own["class_name"].split(">")[-1]
                kind = "Softmax" if own["config"].get("activation") == "softmax" else kind
                activation = own["config"].get("activation") not in (None, "linear")
                layers[full] = {"class": kind, "inputs": feeds or list(sources), "activation": activation}
                placed[name, call] = [full]
            if not ready:
                raise ValueError("the layers form a cycle")
        if model["class_name"] == "Sequential":
            return placed[before]
        return [source for r in called(ends) for source in placed[r]]

    place(model, "", [])
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
