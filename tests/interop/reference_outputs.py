# SPDX-License-Identifier: Apache-2.0
"""A model run by the framework that it comes from: PYTHON_OF_VENV reference_outputs.py MODEL INPUTS.npz OUTPUTS.npz [--weights W.h5]

INPUTS.npz holds one array per input in order, batch first, channels as in the file; OUTPUTS.npz gets one per output. Prints the
name and version of what ran it.
"""

import argparse
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np


def onnx(path, inputs, _):
    import onnx as package

    model = package.load(path)
    constants = {t.name for t in model.graph.initializer}
    ports = [p for p in model.graph.input if p.name not in constants]
    feeds = {}
    for port, value in zip(ports, inputs):
        kind = package.helper.tensor_dtype_to_np_dtype(port.type.tensor_type.elem_type)
        feeds[port.name] = value.astype(kind)
    shape = [d.dim_value for d in ports[0].type.tensor_type.shape.dim]
    fixed = shape and shape[0] > 0 and shape[0] != len(inputs[0])
    rows = [{k: v[i : i + 1] for k, v in feeds.items()} for i in range(len(inputs[0]))] if fixed else [feeds]
    names = [p.name for p in model.graph.output]
    own = {"", "ai.onnx", "ai.onnx.ml", "com.microsoft"}
    if all(node.domain in own for node in model.graph.node):
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        results = [session.run(names, row) for row in rows]
        by = f"ONNX Runtime {onnxruntime.__version__}"
    else:
        from importlib.metadata import version

        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.core.onnx_exec import execute_onnx
        from qonnx.transformation.infer_shapes import InferShapes

        wrapper = ModelWrapper(str(path)).transform(InferShapes())
        rows = [{k: v[i : i + 1] for k, v in feeds.items()} for i in range(len(inputs[0]))]
        found = [execute_onnx(wrapper, row) for row in rows]
        results = [[row[name] for name in names] for row in found]
        by = f"qonnx {version('qonnx')}"
    joined = [np.concatenate([np.atleast_1d(np.asarray(r[i])) for r in results]) for i in range(len(names))]
    return by, joined


def keras(path, inputs, weights):
    import keras as package
    from published_layers import custom_objects, saved_softmax_quantizers

    objects = custom_objects()
    as_saved = False
    if path.suffix == ".json":
        model = package.models.model_from_json(path.read_text(), custom_objects=objects)
        if weights:
            model.load_weights(weights)
    else:
        with saved_softmax_quantizers(path) as as_saved:
            model = package.models.load_model(path, custom_objects=objects, compile=False)
    outputs = model.predict(list(inputs) if len(inputs) > 1 else inputs[0], verbose=0, batch_size=len(inputs[0]))
    if isinstance(outputs, dict):
        outputs = list(outputs.values())
    by = f"Keras {package.__version__}" + (", HGQ2 with the softmax's input quantizers as before 0.1.7" if as_saved else "")
    return by, outputs if isinstance(outputs, (list, tuple)) else [outputs]


def tflite(path, inputs, _):
    try:
        from ai_edge_litert import interpreter as package

        by = "LiteRT"
    except ImportError:
        from tensorflow import lite as package

        by = "TFLite"
    interpreter = package.Interpreter(model_path=str(path))
    interpreter.allocate_tensors()
    ins, outs = interpreter.get_input_details(), interpreter.get_output_details()
    results = []
    for row in range(len(inputs[0])):
        interpreter.reset_all_variables()
        for port, value in zip(ins, inputs):
            x = value[row].reshape(port["shape"])
            scale, zero = port["quantization"]
            if port["dtype"] != np.float32:
                limits = np.iinfo(port["dtype"])
                x = np.clip(np.rint(x / scale + zero), limits.min, limits.max) if scale else x
            interpreter.set_tensor(port["index"], x.astype(port["dtype"]))
        interpreter.invoke()
        found = []
        for port in outs:
            y, (scale, zero) = interpreter.get_tensor(port["index"]), port["quantization"]
            found.append((y.astype(np.float32) - zero) * np.float32(scale) if scale and port["dtype"] != np.float32 else y)
        results.append(found)
    return by, [np.stack([r[i][0] if r[i].ndim and r[i].shape[0] == 1 else r[i] for r in results]) for i in range(len(outs))]


def saved_model(path, inputs, _):
    import tensorflow as tf

    run = tf.saved_model.load(str(path)).signatures["serving_default"]
    names = sorted(run.structured_input_signature[1])
    out = run(**{name: tf.constant(value) for name, value in zip(names, inputs)})
    return f"TensorFlow {tf.__version__}", [out[name].numpy() for name in sorted(out)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("inputs")
    parser.add_argument("outputs")
    parser.add_argument("--weights")
    options = parser.parse_args()
    with np.load(options.inputs) as data:
        inputs = [data[str(i)] for i in range(len(data.files))]
    reader = {".onnx": onnx, ".h5": keras, ".json": keras, ".keras": keras, ".tflite": tflite, "": saved_model}.get(options.model.suffix)
    if reader is None:
        sys.exit(f"no framework for {options.model.suffix}")
    by, outputs = reader(options.model, inputs, options.weights)
    np.savez(options.outputs, **{str(i): np.asarray(y) for i, y in enumerate(outputs)})
    print(by)


if __name__ == "__main__":
    main()
