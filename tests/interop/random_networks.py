# SPDX-License-Identifier: Apache-2.0
"""Random small networks of other shapes than chains of dense layers: convolutions and pools over one or two axes, branches that
merge, layers applied twice, models inside of models, operators on tensors, attention. Saved and answered as in random_models.py.
"""

import json
import pathlib

import keras
import numpy as np
import qkeras
import tensorflow as tf
from qkeras import QActivation, QDense
from qkeras import quantizers as q

from random_models import NEW, ROWS, Maker, Model, custom_objects, layers, let_load_again, randomize

if NEW:
    for name in ("QConv2DBatchnorm", "QDepthwiseConv2DBatchnorm"):
        if hasattr(qkeras, name):
            let_load_again(getattr(qkeras, name))


class NetworkMaker(Maker):
    def __init__(self, seed, index):
        super().__init__(seed, index)
        self.rng = np.random.default_rng([seed, index, int(NEW), 77])
        self.exact = self.chance(0.85)  # quantized throughout, else float layers among them

    def small(self):
        """A quantizer whose sums stay exact in float32."""
        kind = self.rng.random()
        if kind < 0.6:
            return q.quantized_bits(self.bits(2, 6), self.pick(0, 0, 1), self.chance(0.3), alpha=1.0)
        if kind < 0.75:
            return q.quantized_bits(self.bits(2, 6), 0, 1, alpha=self.pick("auto_po2", None, 0.5))
        if kind < 0.85:
            return self.pick(q.binary, q.ternary)(alpha=self.pick(1.0, 1.0, "auto_po2", 0.5))
        return self.kernel_quantizer(1) if self.chance(0.3) else q.quantized_po2(self.bits(3, 4), max_value=1)

    def act(self, h, low=2):
        b, i = self.bits(low, 7), self.pick(0, 1, 2)
        text = self.pick(f"quantized_relu({b},{i})", f"quantized_relu({b},{i})", f"quantized_bits({b},{i},0,alpha=1)",
                         f"quantized_bits({b},{i})", self.activation_text())
        return QActivation(text, name=self.name("act"))(h)

    # --- one layer each

    def window(self, extent, padding):
        k = int(self.rng.integers(1, 4))
        return k if padding == "same" or k <= extent else extent

    def conv(self, h):
        axes = len(h.shape) - 2
        # QConv1D of QKeras on Keras 3 hands `causal` on to an operator that does not know it.
        padding = self.pick("valid", "same", *(["causal"] if axes == 1 and not NEW else []))
        kernel = tuple(self.window(int(n), padding) for n in h.shape[1:-1])
        strides, dilation = 1, 1
        if self.chance(0.3):
            strides = self.pick(2, 3)
        elif self.chance(0.25) and all(2 * (k - 1) < n for k, n in zip(kernel, h.shape[1:-1])):
            dilation = 2
        filters = int(self.rng.integers(1, 6))
        bias = self.chance(0.7)
        common = {"strides": strides, "padding": padding, "use_bias": bias, "name": self.name("conv")}
        if bias:
            common["bias_quantizer"] = q.quantized_bits(self.bits(3, 8), self.pick(0, 1, 2), alpha=1.0)
        if self.chance(0.25):
            common["activation"] = f"quantized_relu({self.bits(2, 6)},{self.pick(0, 1)})"
        kind = self.rng.random()
        if axes == 2 and kind < 0.2:
            m = self.pick(1, 1, 2)
            return qkeras.QDepthwiseConv2D(kernel, depth_multiplier=m, depthwise_quantizer=self.small(), **common)(h)
        if kind < 0.35 and padding != "causal":
            make = qkeras.QSeparableConv1D if axes == 1 else qkeras.QSeparableConv2D
            one = {"kernel_size": kernel[0] if axes == 1 else kernel}
            return make(filters, depthwise_quantizer=self.small(), pointwise_quantizer=self.small(), **one, **common)(h)
        if axes == 2 and kind < 0.5:
            mode = {"folding_mode": self.pick("ema_stats_folding", "batch_stats_folding")}
            if self.chance(0.6):
                return qkeras.QConv2DBatchnorm(filters, kernel, kernel_quantizer=self.small(), **mode, **common)(h)
            return qkeras.QDepthwiseConv2DBatchnorm(kernel, depthwise_quantizer=self.small(), **mode, **common)(h)
        make = qkeras.QConv1D if axes == 1 else qkeras.QConv2D
        one = {"kernel_size": kernel[0] if axes == 1 else kernel}
        return make(filters, kernel_quantizer=self.small(), dilation_rate=dilation, **one, **common)(h)

    def pool(self, h):
        axes = len(h.shape) - 2
        padding = self.pick("valid", "same")
        sizes = [min(self.pick(2, 2, 3), int(n)) for n in h.shape[1:-1]]
        size = sizes[0] if axes == 1 else tuple(sizes)
        strides = self.pick(None, None, 1, 2)
        name = self.name("pool")
        if axes == 2 and self.chance(0.25):
            quantizer = self.pick(None, q.quantized_bits(8, 0, 1, alpha=1.0))
            return qkeras.QAveragePooling2D(size, strides, padding, average_quantizer=quantizer, name=name)(h)
        make = getattr(layers, f"{self.pick('Max', 'Average')}Pooling{axes}D")
        return make(size, strides, padding, name=name)(h)

    def move(self, h):
        axes = len(h.shape) - 2
        kind = self.pick("pad", "crop", "up", "permute", "reshape")
        if kind == "pad":
            amount = self.pick(1, 2) if axes == 2 else self.pick(1, (1, 2))
            if axes == 2 and self.chance(0.5):
                amount = ((1, 0), (2, 1))
            return getattr(layers, f"ZeroPadding{axes}D")(amount, name=self.name("pad"))(h)
        if kind == "crop" and all(int(n) > 3 for n in h.shape[1:-1]):
            amount = (1, 0) if axes == 1 else ((1, 0), (0, 1))
            return getattr(layers, f"Cropping{axes}D")(amount, name=self.name("crop"))(h)
        if kind == "up" and np.prod(h.shape[1:]) < 200:
            size = 2 if axes == 1 else self.pick((2, 2), (1, 3))
            return getattr(layers, f"UpSampling{axes}D")(size, name=self.name("up"))(h)
        if kind == "reshape":
            return layers.Reshape((-1, *map(int, h.shape[2:])), name=self.name("reshape"))(h)
        dims = (2, 1) if axes == 1 else self.pick((2, 1, 3), (3, 1, 2), (1, 3, 2))
        return layers.Permute(dims, name=self.name("permute"))(h)

    def merge(self, a, b):
        if a.shape != b.shape:
            if a.shape[:-1] != b.shape[:-1]:
                a, b = (layers.Flatten(name=self.name("flatten"))(h) if len(h.shape) > 2 else h for h in (a, b))
            return layers.Concatenate(name=self.name("merge"))([a, b])
        kind = self.pick("Add", "Add", "Subtract", "Multiply", "Maximum", "Minimum", "Average", "Concatenate", "three",
                         "operators")
        if kind == "three":
            return layers.Add(name=self.name("merge"))([a, b, a])
        if kind == "operators":
            return self.pick(lambda: a + b, lambda: a - b, lambda: a * b, lambda: 0.5 * a + b, lambda: 1.0 - a * b,
                             lambda: a[:, 1:] if a.shape[1] > 1 else a + b, lambda: -a)()
        axis = {"axis": self.pick(-1, 1)} if kind == "Concatenate" else {}
        return getattr(layers, kind)(name=self.name("merge"), **axis)([a, b])

    def float_layer(self, h):
        axes = len(h.shape) - 2
        kind = self.pick("conv", "einsum", "attention", "heads", "transpose") if axes == 1 else self.pick("conv", "einsum")
        if kind == "conv":
            make = getattr(layers, f"Conv{axes}D")
            return make(3, 1, activation=self.pick(None, "relu", "tanh"), name=self.name("float"))(h)
        if kind == "einsum":
            steps, features = int(h.shape[1]), int(h.shape[-1])
            equation, shape, bias = self.pick(
                ("abc,cd->abd", (steps, 4), "d"), ("abc,bd->adc", (3, features), None), ("abc,bcd->ad", (4,), "d"),
                ("abc,bcd->abd", (steps, 2), "d"), ("abc,cde->abde", (steps, 2, 3), "de"))
            if axes == 2:
                equation, shape, bias = "abcd,de->abce", (*map(int, h.shape[1:3]), 3), "e"
            make = layers.EinsumDense if hasattr(layers, "EinsumDense") else layers.experimental.EinsumDense
            h = make(equation, shape, bias_axes=bias, name=self.name("einsum"))(h)
            return layers.Reshape((-1, int(h.shape[-1])), name=self.name("reshape"))(h) if len(h.shape) not in (3, 4) else h
        if kind == "attention":
            make = self.pick(layers.Attention, layers.AdditiveAttention)
            return make(use_scale=self.chance(0.5), name=self.name("attention"))([h, h])
        if kind == "heads":
            return layers.MultiHeadAttention(self.pick(1, 2), self.pick(3, 4), use_bias=self.chance(0.7),
                                             name=self.name("heads"))(h, h)
        return layers.Dot(axes=(2, 2), name=self.name("dot"))([h, h])

    # --- models

    def body(self, h):
        for _ in range(self.pick(1, 2, 2, 3)):
            if len(h.shape) > 2:
                kind = self.rng.random()
                if not self.exact and kind < 0.4:
                    h = self.float_layer(h)
                    if len(h.shape) < 3:
                        break
                elif kind < 0.55:
                    h = self.act(self.conv(h))
                elif kind < 0.75:
                    h = self.act(self.pool(h), 3)
                elif kind < 0.85:
                    h = self.move(h)
                else:
                    h = self.act(self.normalized(self.conv(h)))
        return h

    def finish(self, h):
        if len(h.shape) > 2:
            axes = len(h.shape) - 2
            if self.chance(0.4):
                kind = self.pick("Max", "Average", "Q")
                if kind == "Q" and axes == 2:
                    quantizer = self.pick(None, q.quantized_bits(8, 0, 1, alpha=1.0))
                    h = qkeras.QGlobalAveragePooling2D(average_quantizer=quantizer, name=self.name("pool"))(h)
                else:
                    kind = "Max" if kind == "Q" else kind
                    h = getattr(layers, f"Global{kind}Pooling{axes}D")(name=self.name("pool"))(h)
                h = self.act(h, 3)
            else:
                h = layers.Flatten(name=self.name("flatten"))(h)
        return QDense(int(self.rng.integers(1, 6)), kernel_quantizer=self.small(),
                      bias_quantizer=q.quantized_bits(6, 1, alpha=1.0), name=self.name("dense"))(h)

    def nested(self, h):
        """The rest of the network as a model of its own, perhaps applied to two things."""
        inner_x = layers.Input(h.shape[1:], name=self.name("inner_x"))
        y = self.body(self.act(inner_x))
        inner = Model(inner_x, self.act(y) if self.chance(0.5) else y, name=self.name("inner"))
        out = inner(h)
        if self.chance(0.3):
            return self.merge(out, inner(self.act(h)))
        return out

    def model(self, name):
        shape = (int(self.rng.integers(4, 9)), int(self.rng.integers(1, 5)))
        if self.chance(0.6):
            shape = (int(self.rng.integers(4, 8)), *shape)
        inputs, data = [], []
        for i in range(2 if self.chance(0.2) else 1):
            inputs.append(layers.Input(shape, name="x" if i == 0 else f"x{i}"))
            rows = self.rng.normal(0.0, 1.0, (ROWS, *shape))
            data.append((np.rint(rows * 64) / 64).astype(np.float32))
        branches = [QActivation(f"quantized_bits({self.bits(3, 8)},{self.pick(1, 2)},0,alpha=1)", name=self.name("input"))(x)
                    for x in inputs]
        h = self.body(branches[0])
        if len(branches) > 1:
            h = self.merge(branches[1], h)
        kind = self.rng.random()
        if kind < 0.25:
            h = self.merge(self.body(h), h)
        elif kind < 0.4 and len(h.shape) > 2:
            shared = qkeras.QConv1D if len(h.shape) == 3 else qkeras.QConv2D
            layer = shared(int(h.shape[-1]), 1, kernel_quantizer=self.small(),
                           bias_quantizer=q.quantized_bits(5, 1, alpha=1.0), name=self.name("shared"))
            h = self.merge(self.act(layer(h)), layer(self.act(h)))
        elif kind < 0.6:
            h = self.nested(h)
        y = self.finish(h)
        outputs = [self.act(y) if self.chance(0.6) else y]
        if self.chance(0.15):
            outputs.append(self.finish(h))
        return Model(inputs, outputs if len(outputs) > 1 else outputs[0], name=name), data, []


def randomize_all(model, rng):
    """Also inside of nested models, once each."""
    for layer in model.layers:
        if hasattr(layer, "layers"):
            randomize_all(layer, rng)
    plain = [layer for layer in model.layers if not hasattr(layer, "layers")]
    randomize(type("Layers", (), {"layers": plain}), rng)


def calls_of(layer):
    return len(layer._inbound_nodes)


def as_list(values):
    return list(values) if isinstance(values, (list, tuple)) else [values]


def answers_of(model, rows, prefix):
    """Name in Weft's trace -> numbers, for every layer with one call and one output, nested ones too."""
    made = [m for m in (getattr(model, "operations", None) or model.layers) if not isinstance(m, layers.InputLayer)]
    plain = [m for m in made if not hasattr(m, "layers") and calls_of(m) == 1 and not isinstance(m.output, (list, tuple))]
    inner = [m for m in made if hasattr(m, "layers") and outer_calls(m, model) == 1]
    inputs_of_inner = [as_list(outer_node(m, model).input_tensors if NEW else outer_node(m, model).keras_inputs) for m in inner]
    traced = Model(model.inputs, [m.output for m in plain] + [t for ts in inputs_of_inner for t in ts])
    values = as_list(traced(rows if len(rows) > 1 else rows[0], training=False))
    out = {f"{prefix}{m.name}": np.asarray(v) for m, v in zip(plain, values)}
    rest = values[len(plain):]
    for m, tensors in zip(inner, inputs_of_inner):
        out |= answers_of(m, [np.asarray(v) for v in rest[:len(tensors)]], f"{prefix}{m.name}/")
        rest = rest[len(tensors):]
    return out


def nodes_of(layer, model):
    """Calls of the layer that belong to this model."""
    known = {id(n) for ns in (model._nodes_by_depth.values()) for n in ns}
    return [n for n in layer._inbound_nodes if id(n) in known]


def outer_calls(layer, model):
    return len(nodes_of(layer, model))


def outer_node(layer, model):
    return nodes_of(layer, model)[0]


def write_answers(loaded, data, path, options):
    rows = [data[i.name.split(":")[0]] for i in loaded.inputs]
    golden = {"x": rows[0]} if len(rows) == 1 else {f"x:{k}": v for k, v in data.items()}
    golden |= {f"y:{name}": value for name, value in answers_of(loaded, rows, "").items()}
    np.savez(path.with_suffix(".npz"), **golden)
    path.with_suffix(".options.json").write_text(json.dumps(options))
    return path


def make(folder, seed, index):
    maker = NetworkMaker(seed, index)
    model, data, options = maker.model(f"n{index:04d}")
    data = {i.name.split(":")[0]: d for i, d in zip(model.inputs, data)}
    randomize_all(model, maker.rng)
    api = keras if NEW else tf.keras
    path = folder / f"{model.name}{'.keras' if NEW and maker.chance(0.8) else '.h5'}"
    model.save(path, **({} if NEW else {"include_optimizer": False}))
    loaded = api.models.load_model(path, custom_objects=custom_objects(), compile=False)
    return write_answers(loaded, data, path, options)


def make_all(folder, seed, count, first=0):
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    made, skipped = [], {}
    for index in range(first, first + count):
        try:
            made.append(make(folder, seed, index).name)
        except Exception as error:  # whatever Keras throws
            skipped[f"n{index:04d}"] = f"{type(error).__name__}: {str(error).strip().splitlines()[-1][:200]}"
            for path in folder.glob(f"n{index:04d}*"):
                path.unlink()
        (keras if NEW else tf.keras).backend.clear_session()
    return made, skipped
