# SPDX-License-Identifier: Apache-2.0
"""Random small QKeras models with random quantizers, saved as Keras saves them, with what the framework answers.

Works in both environments, QKeras 0.9.0 on Keras 2 and qkeras-v3 on Keras 3. Model i of a seed is the same whatever the
number of models. Every <model>.npz is laid out as examples/fixtures/README.md says; <model>.options.json holds the options
with which Weft has to read it.
"""

import json
import pathlib

import keras
import numpy as np
import qkeras
import tensorflow as tf
from qkeras import QActivation, QBatchNormalization, QDense
from qkeras import quantizers as q
from qkeras.utils import _add_supported_quantized_objects

NEW = keras.__version__.startswith("3")
layers = keras.layers if NEW else tf.keras.layers
Model = keras.Model if NEW else tf.keras.Model
ROWS = 64


def custom_objects():
    objects = {}
    _add_supported_quantized_objects(objects)
    return objects


def let_load_again(layer):
    """qkeras-v3 1.2.1 refuses to load keys that it writes itself."""
    original = layer.from_config.__func__

    def from_config(cls, config):
        return original(cls, {k: v for k, v in config.items() if k not in ("synchronized", "quantization_config")})

    layer.from_config = classmethod(from_config)


if NEW:
    let_load_again(qkeras.QDenseBatchnorm)


class Maker:
    """One random model."""

    def __init__(self, seed, index):
        self.rng = np.random.default_rng([seed, index, int(NEW)])
        self.count = 0

    # --- draws

    def chance(self, probability):
        return self.rng.random() < probability

    def pick(self, *values):
        return values[self.rng.integers(len(values))]

    def bits(self, low=2, high=8):
        return int(self.rng.integers(low, high + 1))

    def name(self, prefix):
        self.count += 1
        return f"{prefix}_{self.count}"

    # --- quantizers

    def scaled(self):
        return self.pick(1.0, 1.0, 1.0, 1.0, 1.0, None, "auto", "auto_po2", "auto_po2", 0.375, 0.5, 3.0)

    def kernel_quantizer(self, units):
        kind = self.rng.random()
        if kind < 0.55:
            alpha = self.pick(1.0, 1.0, 1.0, 1.0, 1, None, "auto", "auto_po2", "auto_po2", 0.375, 0.5)
            if not NEW and self.chance(0.05):
                alpha = [float(v) for v in self.rng.choice([0.25, 0.5, 0.75, 1.0], units)]
            symmetric = isinstance(alpha, str) or self.chance(0.3)
            return q.quantized_bits(self.bits(2, 8), self.pick(0, 0, 0, 1, 2), symmetric, alpha=alpha)
        if kind < 0.58:
            return q.quantized_bits(self.bits(8, 16), self.pick(0, 1), 0, alpha=1.0)
        if kind < 0.60:
            return q.quantized_bits(1, 0, alpha=1.0)
        if kind < 0.62:
            return q.quantized_bits(self.bits(2, 5), 0, keep_negative=False, alpha=1.0)
        if kind < 0.70:
            return self.pick(q.binary, q.stochastic_binary)(alpha=self.scaled())
        if kind < 0.80:
            alpha = self.scaled()
            threshold = None if alpha is None or isinstance(alpha, str) else self.pick(None, 0.25, 0.4)
            return self.pick(q.ternary, q.stochastic_ternary)(alpha=alpha, threshold=threshold)
        if kind < 0.88:
            return q.quantized_po2(self.bits(2, 4), max_value=self.pick(None, 1, 2))
        if kind < 0.91:
            return q.quantized_tanh(self.bits(3, 6), symmetric=self.chance(0.5))
        if kind < 0.93:
            return q.quantized_ulaw(self.bits(3, 6))
        if NEW:
            alpha = self.pick(None, 1.0, 0.5, "auto", "auto_po2")
            return q.quantized_linear(self.bits(2, 8), self.pick(0, 1), self.pick(0, 1), alpha=alpha)
        return q.quantized_bits(self.bits(2, 4), 0, alpha=1.0)

    def bias_quantizer(self):
        kind = self.rng.random()
        if kind < 0.8:
            return q.quantized_bits(self.bits(3, 10), self.pick(0, 1, 2), alpha=1.0)
        if kind < 0.85:
            return q.quantized_po2(self.bits(3, 4))
        if kind < 0.9:
            return q.quantized_bits(self.bits(4, 8), 1, 1, alpha=self.pick("auto", "auto_po2"))
        return None

    def activation_text(self):
        b, i = self.bits(2, 8), self.pick(0, 1, 2, 3)
        texts = [
            *[f"quantized_bits({b},{i})"] * 4,
            f"quantized_bits({b},{i},1)",
            f"quantized_bits({b},{i},0,alpha=1)",
            f"quantized_bits({b},{i},keep_negative=False)",
            f"quantized_bits({b},{i},alpha=0.75)",
            *[f"quantized_relu({b},{i})"] * 8,
            f"quantized_relu({max(b, 3)},{i},negative_slope=0.25)",
            f"quantized_relu({b},{i},1)",
            f"quantized_tanh({b})",
            f"quantized_tanh({b},symmetric=True)",
            f"quantized_tanh({b},use_real_tanh=True)",
            f"quantized_sigmoid({b})",
            f"quantized_sigmoid({b},use_real_sigmoid=True)",
            f"quantized_ulaw({max(b, 3)},{min(i, 1)})",
            "binary",
            "binary(alpha=1.0)",
            "binary(use_01=True)",
            "binary(alpha=0.75)",
            "ternary(threshold=0.5)",
            "ternary(alpha=0.5,threshold=1.0)",
            "stochastic_ternary(alpha=1.0,threshold=0.5)",
            f"quantized_po2({min(b, 5)})",
            f"quantized_po2({min(b, 5)},max_value=2)",
            f"quantized_relu_po2({min(b, 5)},max_value=4)",
        ]
        if NEW:
            texts += [f"quantized_linear({b},{i})", f"quantized_linear({b},{i},symmetric=0)"]
        return self.pick(*texts)

    # --- layers

    def dense(self, h):
        units = int(self.rng.integers(1, 13))
        bias = self.chance(0.8)
        options = {"kernel_quantizer": self.kernel_quantizer(units), "use_bias": bias}
        if bias:
            options["bias_quantizer"] = self.bias_quantizer()
        kind = self.rng.random()
        if kind < 0.3:
            # QKeras 0.9.0 does not read a QDense with a plain function again.
            options["activation"] = self.pick("relu", "hard_tanh") if NEW and self.chance(0.1) else self.activation_text()
        if NEW and self.chance(0.25):
            mode = self.pick("ema_stats_folding", "batch_stats_folding")
            return qkeras.QDenseBatchnorm(units, folding_mode=mode, name=self.name("densebn"), **options)(h), kind < 0.3
        return QDense(units, name=self.name("dense"), **options)(h), kind < 0.3

    def normalized(self, h):
        kind = self.rng.random()
        if kind < 0.6:
            options = {"center": self.chance(0.85), "scale": self.chance(0.85), "epsilon": self.pick(1e-3, 1e-5, 0.01)}
            return layers.BatchNormalization(name=self.name("bn"), **options)(h)
        if kind < 0.8:
            return QBatchNormalization(name=self.name("qbn"))(h)
        return QBatchNormalization(
            beta_quantizer=q.quantized_bits(6, 2, alpha=1.0),
            gamma_quantizer=q.quantized_bits(6, 2, alpha=1.0),
            mean_quantizer=q.quantized_bits(8, 4, alpha=1.0),
            variance_quantizer=q.quantized_relu(8, 2),
            name=self.name("qbn"),
        )(h)

    def block(self, h):
        h, finished = self.dense(h)
        if self.chance(0.3):
            h, finished = self.normalized(h), False
        if self.chance(0.1):
            h = layers.Dropout(0.2, name=self.name("dropout"))(h)
        if self.chance(0.08):
            h = layers.Activation(self.pick("relu", "tanh", "sigmoid", "hard_sigmoid", "softplus"), name=self.name("plain"))(h)
            finished = False
        if not finished and self.chance(0.93):
            h = QActivation(self.activation_text(), name=self.name("act"))(h)
        return h

    def head(self, h):
        kind = self.rng.random()
        if kind < 0.7:
            h = self.dense(h)[0]
        if kind < 0.2:
            h = layers.Activation("softmax", name=self.name("softmax"))(h)
        return h

    def start(self, name):
        """One input: its tensor, the branches it feeds, rows of data and an option for its type."""
        width = int(self.rng.integers(2, 17)) if self.chance(0.9) else 48
        x = layers.Input((width,), name=name)
        kind = self.rng.random()
        if kind < 0.7:  # a quantizer right behind the input: any number may come
            h = QActivation(self.activation_text(), name=self.name("input"))(x)
            data = self.rng.normal(0.0, 2.0, (ROWS, width))
            ties = self.rng.random(data.shape) < 0.6
            ties[: ROWS // 2] = True  # half of the samples lie on the grid that Weft takes where it cannot know better
            data = np.where(ties, np.rint(data * 64) / 64, data)
            return x, [h], data, None
        if kind < 0.74:  # an affine map that float32 does without rounding, then a quantizer
            h = layers.Rescaling(self.pick(2.0, 0.25, 0.5), self.pick(0.0, -1.0, 0.5), name=self.name("rescaling"))(x)
            h = QActivation(self.activation_text(), name=self.name("act"))(h)
            return x, [h], self.rng.integers(-(2**6), 2**6, (ROWS, width)) / 16.0, f"{name}=fixed<8,4>"
        if kind < 0.85:  # no quantizer: the type is declared and the data lie on its grid
            bits, integer = self.bits(3, 8), self.pick(1, 2, 3)
            codes = self.rng.integers(-(2 ** (bits - 1)), 2 ** (bits - 1), (ROWS, width))
            return x, [x], codes * 2.0 ** (integer - bits), f"{name}=fixed<{bits},{integer}>"
        # two quantizers that need not agree
        hs = [QActivation(self.activation_text(), name=self.name("input"))(x) for _ in range(2)]
        codes = self.rng.integers(-(2**10), 2**10, (ROWS, width))
        return x, hs, codes / 64.0, f"{name}=fixed<12,6>"

    def model(self, name):
        inputs, outputs, data, options = [], [], [], []
        for i in range(2 if self.chance(0.15) else 1):
            x, hs, rows, option = self.start("x" if i == 0 else f"x{i}")
            inputs.append(x)
            data.append(rows.astype(np.float32))
            options += ["--input-type", option] if option else []
            for h in hs:
                for _ in range(self.pick(1, 1, 2, 2, 3)):
                    inner = h.shape[-1] % 2 == 0 and self.chance(0.08)
                    if inner:
                        h = layers.Reshape((2, h.shape[-1] // 2), name=self.name("reshape"))(h)
                    h = self.block(h)
                    if inner:
                        h = layers.Flatten(name=self.name("flatten"))(h)
                outputs += [self.head(h)] if self.chance(0.85) else [self.head(h), self.dense(h)[0]]
        return Model(inputs, outputs if len(outputs) > 1 else outputs[0], name=name), data, options

    def as_sequential(self, model):
        """The same layers as a Sequential model, when they form a chain."""
        chain = [layer for layer in model.layers if not isinstance(layer, layers.InputLayer)]
        if len(model.inputs) > 1 or len(model.outputs) > 1:
            return model
        kind = keras.Sequential if NEW else tf.keras.Sequential
        return kind([layers.Input(model.inputs[0].shape[1:], name="x"), *chain], name=model.name)


def randomize(model, rng):
    """Weights with ties and zeros; positive variances."""
    for layer in model.layers:
        values = []
        for variable, old in zip(layer.weights, layer.get_weights()):
            if old.dtype != np.float32 or any(word in variable.name for word in ("count", "iteration")):
                values.append(old)
                continue
            new = rng.normal(0.0, rng.choice([0.3, 0.6, 1.5]), old.shape)
            ties = rng.random(old.shape)
            new = np.where(ties < 0.3, np.rint(new * 16) / 16, new)
            new = np.where(ties > 0.9, 0.0, new)
            if "variance" in variable.name:
                new = 0.25 + np.abs(new)
            elif "gamma" in variable.name:
                new = 1.0 + 0.5 * new
            values.append(new.astype(old.dtype))
        layer.set_weights(values)


def save_and_load(maker, model, folder):
    """Saves in one of the ways Keras has. Returns the loaded model, the file and the options that name other files."""
    kind, options = maker.rng.random(), []
    api = keras if NEW else tf.keras
    if kind < 0.8 or NEW:
        # QKeras 0.9.0 writes .keras files too but reads hardly any of them again.
        path = folder / f"{model.name}{'.keras' if NEW and kind < 0.85 else '.h5'}"
        model.save(path, **({} if NEW else {"include_optimizer": False}))
        loaded = api.models.load_model(path, custom_objects=custom_objects(), compile=False)
    else:
        path, weights = folder / f"{model.name}.json", folder / f"{model.name}_weights.h5"
        path.write_text(model.to_json())
        model.save_weights(weights)
        options = ["--weights", weights.name]
        loaded = api.models.model_from_json(path.read_text(), custom_objects=custom_objects())
        loaded.load_weights(weights)
    return loaded, path, options


def write_answers(loaded, data, path, options):
    """What the framework answers, next to the model file. `data` goes by input name."""
    made = [layer for layer in loaded.layers if not isinstance(layer, layers.InputLayer)]
    rows = [data[i.name.split(":")[0]] for i in loaded.inputs]
    traced = Model(loaded.inputs, [layer.output for layer in made])
    answers = traced(rows if len(rows) > 1 else rows[0], training=False)
    golden = {"x": rows[0]} if len(rows) == 1 else {f"x:{k}": v for k, v in data.items()}
    for layer, value in zip(made, answers if isinstance(answers, (list, tuple)) else [answers]):
        golden[f"y:{layer.name}"] = np.asarray(value)
    np.savez(path.with_suffix(".npz"), **golden)
    path.with_suffix(".options.json").write_text(json.dumps(options))
    return path


def make(folder, seed, index):
    maker = Maker(seed, index)
    model, data, options = maker.model(f"m{index:03d}")
    data = {i.name.split(":")[0]: d for i, d in zip(model.inputs, data)}
    if maker.chance(0.5):
        model = maker.as_sequential(model)
    randomize(model, maker.rng)
    loaded, path, more = save_and_load(maker, model, folder)
    return write_answers(loaded, data, path, options + more)


def corner(folder, name, h, weights=None):
    """A chain behind a 3-bit input, with chosen weights by layer name."""
    x = layers.Input((6,), name="x")
    tensor = QActivation("quantized_bits(3, 2)", name="input")(x)
    for layer in h:
        tensor = layer(tensor)
    model = Model(x, tensor, name=name)
    rng = np.random.default_rng(5)
    randomize(model, rng)
    for layer, index, values in weights or []:
        old = model.get_layer(layer).get_weights()
        old[index] = np.resize(np.asarray(values, np.float32), old[index].shape)
        model.get_layer(layer).set_weights(old)
    path = folder / f"{name}{'.keras' if NEW else '.h5'}"
    model.save(path)
    loaded = (keras if NEW else tf.keras).models.load_model(path, custom_objects=custom_objects(), compile=False)
    data = rng.integers(-4, 4, (ROWS, 6)).astype(np.float32)
    return write_answers(loaded, {"x": data}, path, [])


def make_corners(folder):
    """What random numbers hit too rarely: parameters on the borders of their quantizers."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    bits = {"kernel_quantizer": "quantized_bits(4, 0, alpha=1.0)", "bias_quantizer": "quantized_bits(4, 0, alpha=1.0)"}
    last = lambda: QActivation("quantized_bits(6, 3)", name="last")
    borders = np.sqrt(2.0) * 2.0 ** np.arange(-6, 2)
    # 2^rint(log2 sqrt(0.5)): TensorFlow takes another logarithm for the last elements of a tensor, fewer than eight.
    for units in (5, 8, 11):
        layers_ = [QDense(units, name="dense", **bits), QBatchNormalization(name="qbn"), last()]
        corner(folder, f"variances{units}", layers_, [("qbn", 3, [0.5, 0.125, 2.0, 0.25])])
    po2 = {"kernel_quantizer": "quantized_po2(4)", "bias_quantizer": "quantized_po2(4)"}
    signs = np.where(np.arange(16) % 3, 1.0, -1.0)
    corner(folder, "po2_kernel", [QDense(5, name="dense", **po2), last()], [("dense", 0, np.resize(borders, 16) * signs)])
    ties = {"kernel_quantizer": "quantized_bits(4, 0, alpha='auto_po2')", "use_bias": False}
    corner(folder, "auto_po2_kernel", [QDense(5, name="dense", **ties), last()], [("dense", 0, np.resize(borders, 40))])
    if NEW:
        # Folded weights on half steps of the kernel's quantizer.
        layers_ = [qkeras.QDenseBatchnorm(5, name="dense", **bits), last()]
        corner(folder, "folded", layers_, [("dense", 0, np.arange(-15, 15) / 16.0)])


def make_all(folder, seed, count, first=0):
    """Names of the models made, and of those that the framework itself does not save and load, with what it says."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    made, skipped = [], {}
    for index in range(first, first + count):
        try:
            made.append(make(folder, seed, index).name)
        except Exception as error:  # whatever Keras throws
            skipped[f"m{index:03d}"] = f"{type(error).__name__}: {str(error).strip().splitlines()[-1][:200]}"
        (keras if NEW else tf.keras).backend.clear_session()
    return made, skipped
