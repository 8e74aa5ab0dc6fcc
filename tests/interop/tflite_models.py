# SPDX-License-Identifier: Apache-2.0
"""Random models converted by TensorFlow Lite's converter, and what its interpreter answers (reference kernels).

    python tflite_models.py FOLDER --count N --seed S [--files MODEL.tflite ... [--codes]]

Writes NAME.tflite and NAME.npz: the inputs as real numbers under their names ("x:NAME") and the outputs ("y:NAME") as
real numbers scale * (q - zero point). `--files` runs existing models on random inputs instead of making some.
A model the converter or the interpreter refuses is counted and left out.
"""

import argparse
import os
import pathlib

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np

KINDS = ("int8", "int8", "int8", "int16", "float")


def interpreter_of(model):
    try:
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
    except ImportError:
        import tensorflow as tf

        Interpreter, OpResolverType = tf.lite.Interpreter, tf.lite.experimental.OpResolverType
    return Interpreter(model_content=model, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)



def golden(model, rng, samples):
    """Inputs on the grid of the input types and the outputs, one call of a fresh state per sample."""
    run = interpreter_of(model)
    run.allocate_tensors()
    for detail in run.get_tensor_details():
        if any(0 < scale < 1e-30 for scale in detail["quantization_parameters"]["scales"]):
            raise ValueError(f"a tensor that is always zero got a scale of {detail['quantization'][0]}")
    out = {}
    inputs = {}
    for detail in run.get_input_details():
        scale, zero = detail["quantization"]
        shape = (samples, *detail["shape"][1:]) if detail["shape"][0] == 1 else (samples, *detail["shape"])
        if scale:
            info = np.iinfo(detail["dtype"])
            codes = rng.integers(info.min, info.max + 1, shape)
            # Ends of the range in some of the samples.
            codes[0], codes[min(1, samples - 1)] = info.min, info.max
            inputs[detail["name"]] = codes
            out["x:" + detail["name"]] = (np.float64(np.float32(scale)) * (codes - zero)).astype(np.float32)
        else:
            inputs[detail["name"]] = rng.normal(0, 1, shape).astype(np.float32)
            out["x:" + detail["name"]] = inputs[detail["name"]]
    results = {detail["name"]: [] for detail in run.get_output_details()}
    for s in range(samples):
        run.reset_all_variables()
        for detail in run.get_input_details():
            run.set_tensor(detail["index"], inputs[detail["name"]][s].astype(detail["dtype"]).reshape(detail["shape"]))
        run.invoke()
        for detail in run.get_output_details():
            y = run.get_tensor(detail["index"])
            scale, zero = detail["quantization"]
            if scale:
                y = (np.float64(np.float32(scale)) * (y.astype(np.int64) - zero)).astype(np.float32)
            results[detail["name"]].append(np.asarray(y, np.float32).reshape(-1))
    for name, rows in results.items():
        out["y:" + name] = np.stack(rows)
    return out


def answer_codes(model):
    """Zero point and integers of the output for inputs of every integer in turn, with steps of 37; as lines of text."""
    run = interpreter_of(model)
    run.allocate_tensors()
    run.reset_all_variables()
    for detail in run.get_input_details():
        info = np.iinfo(detail["dtype"])
        count = int(np.prod(detail["shape"]))
        codes = (np.arange(count) * 37 + 11) % (info.max - info.min + 1) + info.min
        run.set_tensor(detail["index"], codes.astype(detail["dtype"]).reshape(detail["shape"]))
    run.invoke()
    (detail,) = run.get_output_details()
    return "".join(f"{int(q)}\n" for q in (detail["quantization"][1], *run.get_tensor(detail["index"]).reshape(-1)))


def random_model(rng):
    import keras

    layers = keras.layers
    image = rng.random() < 0.75

    def activation():
        return rng.choice(["linear", "relu", "relu6"])

    def pad():
        return str(rng.choice(["valid", "same"]))

    if image:
        shape = (int(rng.integers(5, 10)), int(rng.integers(5, 10)), int(rng.integers(1, 5)))
    else:
        shape = (int(rng.integers(3, 20)),)
    x = inputs = keras.Input(shape, batch_size=1, name="input")
    for _ in range(int(rng.integers(1, 5))):
        if len(x.shape) == 2:
            kind = rng.choice(["dense", "dense", "tanh", "sigmoid", "leaky", "add", "mul", "softmax", "concat", "hard_swish"])
        else:
            kind = rng.choice(["conv", "conv", "conv", "depthwise", "depthwise", "max", "average", "add", "mul", "sub", "leaky",
                               "mean", "pad", "concat", "transposed", "products", "tanh", "sigmoid", "flatten", "upsample", "permute",
                               "hard_swish", "maximum", "crop"])
        if kind == "dense":
            x = layers.Dense(int(rng.integers(1, 12)), activation=activation(), use_bias=bool(rng.random() < 0.8))(x)
        elif kind == "conv":
            strides, dilation = int(rng.integers(1, 4)), 1
            if rng.random() < 0.25:
                strides, dilation = 1, int(rng.integers(2, 4))
            size = (int(rng.integers(1, 4)), int(rng.integers(1, 4)))
            same = "same" if min(x.shape[1:3]) < 3 * dilation + 1 else pad()
            x = layers.Conv2D(int(rng.integers(1, 9)), size, strides=strides, dilation_rate=dilation, padding=same,
                              activation=activation(), use_bias=bool(rng.random() < 0.8))(x)
        elif kind == "depthwise":
            same = "same" if min(x.shape[1:3]) < 4 else pad()
            x = layers.DepthwiseConv2D(int(rng.integers(1, 4)), strides=int(rng.integers(1, 3)), padding=same,
                                       depth_multiplier=int(rng.integers(1, 4)), activation=activation())(x)
        elif kind == "transposed":
            x = layers.Conv2DTranspose(int(rng.integers(1, 5)), int(rng.integers(1, 4)), strides=int(rng.integers(1, 3)),
                                       padding=pad(), use_bias=bool(rng.random() < 0.7))(x)
        elif kind in ("max", "average"):
            same = "same" if min(x.shape[1:3]) < 3 else pad()
            op = layers.MaxPooling2D if kind == "max" else layers.AveragePooling2D
            x = op(int(rng.integers(1, 4)), strides=int(rng.integers(1, 3)), padding=same)(x)
        elif kind == "mean":
            x = layers.GlobalAveragePooling2D(keepdims=bool(rng.random() < 0.5))(x)
        elif kind == "flatten":
            x = layers.Flatten()(x)
        elif kind == "pad":
            x = layers.ZeroPadding2D(((1, 2), (0, 1)))(x)
        elif kind == "crop":
            if min(x.shape[1:3]) > 3:
                x = layers.Cropping2D(((1, 0), (0, 2)))(x)
        elif kind == "upsample":
            if max(x.shape[1:3]) < 12:
                x = layers.UpSampling2D(2, interpolation=str(rng.choice(["nearest", "bilinear"])))(x)
        elif kind == "permute":
            x = layers.Permute((2, 1, 3))(x)
        elif kind in ("tanh", "sigmoid", "softmax", "hard_swish"):
            x = layers.Activation(str(kind))(x)
        elif kind == "products":
            # The inner products of all pairs of pixels.
            if x.shape[1] * x.shape[2] < 40:
                x = layers.Reshape((x.shape[1] * x.shape[2], x.shape[3]))(x)
                x = layers.Dot(axes=2)([x, x])
                x = layers.Reshape((*x.shape[1:], 1))(x)
        elif kind == "leaky":
            x = layers.LeakyReLU(float(rng.uniform(0.01, 0.9)))(x)
        else:  # two branches that meet
            last = x.shape[-1]
            def branch():
                if len(x.shape) == 2:
                    return layers.Dense(last, activation=activation())(x)
                return layers.Conv2D(last, 1, activation=activation())(x)
            a, b = branch(), (x if rng.random() < 0.4 else branch())
            op = {"add": layers.Add, "mul": layers.Multiply, "sub": layers.Subtract, "maximum": layers.Maximum,
                  "concat": lambda: layers.Concatenate(axis=-1)}[str(kind)]()
            x = op([a, b])
    if rng.random() < 0.3 and len(x.shape) == 2:
        x = layers.Softmax()(x)
    model = keras.Model(inputs, x)
    for w in model.weights:
        w.assign(rng.normal(0, 0.4, w.shape))
    return model


def converted(model, kind, rng):
    import tensorflow as tf

    converter = tf.lite.TFLiteConverter.from_keras_model(model)
    if kind != "float":
        shape = model.inputs[0].shape
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.representative_dataset = lambda: ([rng.normal(0, 1, shape).astype(np.float32)] for _ in range(16))
        ops = tf.lite.OpsSet
        if kind == "int8":
            converter.target_spec.supported_ops = [ops.TFLITE_BUILTINS_INT8]
        else:
            converter.target_spec.supported_ops = [ops.EXPERIMENTAL_TFLITE_BUILTINS_ACTIVATIONS_INT16_WEIGHTS_INT8]
        if rng.random() < 0.7:
            converter.inference_input_type = converter.inference_output_type = tf.int8 if kind == "int8" else tf.int16
    return converter.convert()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--files", nargs="*", type=pathlib.Path)
    parser.add_argument("--codes", action="store_true", help="of --files, write NAME.txt as tests/golden/kept/tflite has it")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    if options.files:
        for path in options.files:
            rng = np.random.default_rng(options.seed)
            if options.codes:
                (options.folder / (path.stem + ".txt")).write_text(answer_codes(path.read_bytes()))
                continue
            try:
                numbers = golden(path.read_bytes(), rng, options.samples)
            except Exception as error:
                print(f"{path.name}: {type(error).__name__}: {str(error).splitlines()[0][:160]}")
                continue
            (options.folder / path.name).write_bytes(path.read_bytes())
            np.savez(options.folder / (path.stem + ".npz"), **numbers)
        return
    made, refused = 0, 0
    for number in range(options.first, options.first + options.count):
        rng = np.random.default_rng([options.seed, number])
        kind = KINDS[number % len(KINDS)]
        name = f"{kind}_{number}"
        (options.folder / "number.txt").write_text(f"{number}\n")  # should TensorFlow abort
        try:
            content = converted(random_model(rng), kind, rng)
            numbers = golden(content, rng, options.samples)
        except Exception as error:
            refused += 1
            print(f"{name}: {type(error).__name__}: {str(error).splitlines()[0][:160]}")
            continue
        (options.folder / f"{name}.tflite").write_bytes(content)
        np.savez(options.folder / f"{name}.npz", **numbers)
        made += 1
    print(f"{made} models, {refused} not converted")


if __name__ == "__main__":
    main()
