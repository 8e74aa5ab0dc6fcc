# SPDX-License-Identifier: Apache-2.0
"""Models run by the framework that they come from: PYTHON_OF_VENV reference_outputs.py, which is asked on stdin.

The inputs' .npz holds one array per input in order, batch first, channels as in the file; the outputs' gets one per output. An
answer has the name and version of what ran the model.
"""

import json
import os
import pathlib
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("KERAS_BACKEND", "tensorflow")

import numpy as np


# Of the file format; runtimes lag behind the package.
NEWEST_IR = 10


def in_todays_words(model, package):
    """The same model where the runtimes no longer open it as it is: the operators of before opset 7, Brevitas' first name for its
    operators, a batch of thousands that the export fixed."""
    for node in model.graph.node:
        if node.domain == "onnx.brevitas":
            node.domain = "qonnx.custom_op.general"
    for opset in model.opset_import:
        if opset.domain == "onnx.brevitas":
            opset.domain = "qonnx.custom_op.general"
    if max((o.version for o in model.opset_import if o.domain in ("", "ai.onnx")), default=7) < 7:
        model = package.version_converter.convert_version(model, 9)
    constants = {t.name for t in model.graph.initializer}
    for port in [*model.graph.input, *model.graph.output]:
        batch = port.type.tensor_type.shape.dim
        if port.name not in constants and batch and batch[0].dim_value > 1:
            batch[0].dim_param = "N"
    model.ir_version = min(model.ir_version, NEWEST_IR)
    return model


def numbers(result):
    """An output as one array; tree ensembles give a dictionary of classes for each row."""
    if isinstance(result, list) and result and isinstance(result[0], dict):
        return np.array([[row[key] for key in sorted(row)] for row in result])
    return np.atleast_1d(np.asarray(result))


def onnx(path, inputs, _):
    import onnx as package
    import onnx.version_converter

    model = package.load(path)
    model = in_todays_words(model, package)
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

        session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
        results = [session.run(names, row) for row in rows]
        by = f"ONNX Runtime {onnxruntime.__version__}"
    else:
        from importlib.metadata import version

        # qonnx hands each operator to ONNX Runtime as a model of its own, with the package's newest version of the format.
        make = package.helper.make_model
        package.helper.make_model = lambda *args, **more: in_todays_words(make(*args, **more), package)
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.core.onnx_exec import execute_onnx
        from qonnx.transformation.infer_shapes import InferShapes

        wrapper = ModelWrapper(model).transform(InferShapes())
        rows = [{k: v[i : i + 1] for k, v in feeds.items()} for i in range(len(inputs[0]))]
        found = [execute_onnx(wrapper, row) for row in rows]
        results = [[row[name] for name in names] for row in found]
        by = f"qonnx {version('qonnx')}"
    made_by = {name: node for node in model.graph.node for name in node.output}
    for i, name in enumerate(names):
        node = made_by.get(name)
        while node is not None and node.op_type in ("Cast", "Identity"):
            name = node.input[0]
            node = made_by.get(name)
        if node is None or node.op_type != "TreeEnsembleClassifier" or name != node.output[0]:
            continue
        labels = next((list(a.ints) for a in node.attribute if a.name == "classlabels_int64s"), [])
        for row in results if labels else []:
            # Weft's label is the number of the class in this list, and it says so.
            row[i] = np.array([labels.index(int(v)) for v in np.atleast_1d(row[i])])
    joined = [np.concatenate([numbers(r[i]) for r in results]) for i in range(len(names))]
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

        by, resolver = "LiteRT's reference kernels", package.OpResolverType.BUILTIN_REF
    except ImportError:
        from tensorflow import lite as package

        by, resolver = "TFLite's reference kernels", package.experimental.OpResolverType.BUILTIN_REF
    interpreter = package.Interpreter(model_path=str(path), experimental_op_resolver_type=resolver)
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


READERS = {".onnx": onnx, ".h5": keras, ".json": keras, ".keras": keras, ".tflite": tflite, "": saved_model}


def answer(model, inputs, outputs, weights):
    with np.load(inputs) as data:
        values = [data[str(i)] for i in range(len(data.files))]
    model = pathlib.Path(model)
    if model.suffix not in READERS:
        raise ValueError(f"no framework for {model.suffix}")
    by, made = READERS[model.suffix](model, values, weights)
    arrays = {str(i): np.asarray(y) for i, y in enumerate(made)}
    if any(y.dtype.kind not in "biuf" for y in arrays.values()):
        raise ValueError("an output is no array of numbers")
    np.savez(outputs, **arrays)
    return by


def main():
    """One request per line, {"model", "inputs", "outputs", "weights"}; one answer each, {"by"} or {"error"}."""
    # The frameworks print; the answers go where nothing else does.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        try:
            found = {"by": answer(request["model"], request["inputs"], request["outputs"], request["weights"])}
        except Exception as error:  # whatever a framework throws
            found = {"error": f"{type(error).__name__}: " + (str(error).strip().splitlines() or ["no message"])[-1][:160]}
        print(json.dumps(found), file=answers, flush=True)


if __name__ == "__main__":
    main()
