# SPDX-License-Identifier: Apache-2.0
"""Random recurrent models over the grid of their options, saved as Keras saves them, with what the framework answers.

    python recurrent_models.py FOLDER [--seed N] [--first N] [--count N]

Works with QKeras 0.9.0 on Keras 2 and with qkeras-v3 on Keras 3. Model i of a seed is the same whatever the number of models. Every
<model>.npz has the inputs as "x:NAME" and the outputs, in the order of the model, as "y:0", "y:1" ...; <model>.meta.json says what the
model is made of and how Weft is to read it.
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import json
import logging
import pathlib
import warnings

warnings.filterwarnings("ignore")
logging.getLogger("tensorflow").setLevel(logging.ERROR)

import keras
import numpy as np
import qkeras
import tensorflow as tf
from qkeras import quantizers as q
from tensorflow.python.ops import array_ops
from tensorflow.python.util import nest

# QKeras 0.9.0 calls two functions by names that TensorFlow 2.14 does not have; without them no QSimpleRNN and no QGRU runs.
if not hasattr(nest, "is_sequence"):
    nest.is_sequence = nest.is_nested
if not hasattr(array_ops, "unstack"):
    array_ops.unstack = tf.unstack

NEW = keras.__version__.startswith("3")
layers = keras.layers if NEW else tf.keras.layers
Model = keras.Model if NEW else tf.keras.Model
ROWS = 24
INPUT_FRACTION = 5  # inputs are numbers of fixed<8,3>


class Maker:
    def __init__(self, seed, index):
        self.rng = np.random.default_rng([seed, index, int(NEW), 77])
        self.index = index
        self.said = {}
        self.masked = None  # the number whose steps are masked

    def chance(self, probability):
        return bool(self.rng.random() < probability)

    def pick(self, *values):
        return values[self.rng.integers(len(values))]

    def note(self, key, value):
        self.said.setdefault(key, []).append(str(value))
        return value

    # --- layers

    def activation(self):
        return self.note("activation", self.pick("tanh", "tanh", "relu", "linear", "sigmoid", "softsign", "hard_sigmoid", "elu"))

    def options(self, kind, sequences, states):
        own = {
            "units": int(self.rng.integers(1, 6)),
            "use_bias": self.note("use_bias", self.chance(0.75)),
            "return_sequences": self.note("return_sequences", sequences),
            "return_state": self.note("return_state", states),
            "go_backwards": self.note("go_backwards", self.chance(0.3)),
            "unroll": self.chance(0.2),
        }
        if kind == "GRU":
            own["reset_after"] = self.note("reset_after", self.chance(0.5))
        return own

    def recurrent(self, kind, sequences, states=False):
        own = self.options(kind, sequences, states)
        own["activation"] = self.activation()
        if kind != "SimpleRNN":
            own["recurrent_activation"] = self.note("recurrent_activation", self.pick("sigmoid", "sigmoid", "hard_sigmoid"))
        return getattr(layers, kind)(**own)

    def weights_quantizer(self):
        alpha = self.pick(1.0, 1.0, 1.0, None, "auto_po2", "auto")
        bits, integer = int(self.rng.integers(2, 7)), int(self.pick(0, 0, 1))
        self.note("alpha", alpha)
        return self.note("kernel_quantizer", q.quantized_bits(bits, integer, alpha=alpha))

    def quantized(self, kind, sequences, states=False):
        own = self.options(kind, sequences, states)
        bits = int(self.rng.integers(3, 7))
        own["activation"] = self.pick(q.quantized_tanh(bits), q.quantized_bits(bits, 1, alpha=1.0), q.quantized_tanh(bits, use_real_tanh=True))
        if kind != "SimpleRNN":
            bits = int(self.rng.integers(3, 7))
            own["recurrent_activation"] = self.pick(q.quantized_sigmoid(bits), q.quantized_relu(bits, 0), q.quantized_sigmoid(bits, use_real_sigmoid=True))
            own["implementation"] = 1
        if self.note("state_quantizer", self.chance(0.75)):
            own["state_quantizer"] = q.quantized_bits(int(self.rng.integers(4, 9)), int(self.pick(0, 1, 2)), alpha=1.0)
        own["kernel_quantizer"] = self.weights_quantizer()
        if self.chance(0.9):
            own["recurrent_quantizer"] = self.weights_quantizer()
        if self.chance(0.9):
            own["bias_quantizer"] = q.quantized_bits(int(self.rng.integers(4, 9)), 1, alpha=1.0)
        return getattr(qkeras, "Q" + kind)(**own)

    def cell(self, kind):
        own = {"units": int(self.rng.integers(1, 5)), "use_bias": self.chance(0.75), "activation": self.activation()}
        if kind == "GRU":
            own["reset_after"] = self.chance(0.5)
        return getattr(layers, kind + "Cell")(**own)

    # --- one model

    def model(self):
        kind = self.note("kind", self.pick("SimpleRNN", "LSTM", "GRU"))
        form = self.note("form", self.pick("plain", "plain", "plain", "quantized", "quantized", "quantized", "bidirectional", "states", "cells", "two",
                                           "quantized_bidirectional", "distributed"))
        steps, features = int(self.rng.integers(1, 7)), int(self.rng.integers(1, 5))
        x = layers.Input((steps, features), name="x")
        inputs, outputs = [x], None
        if form in ("plain", "quantized", "bidirectional", "two", "distributed") and self.chance(0.3):
            self.masked = self.note("mask_value", self.pick(0.0, 0.5))
            x = layers.Masking(self.masked)(x)
        sequences = self.chance(0.5)
        if form == "plain":
            outputs = self.recurrent(kind, sequences, self.chance(0.2))(x)
        elif form == "quantized":
            outputs = self.quantized(kind, sequences, self.chance(0.2))(x)
        elif form in ("bidirectional", "quantized_bidirectional"):
            mode = self.note("merge_mode", self.pick("concat", "sum", "ave", "mul", None))
            inner = self.quantized(kind, sequences) if form[0] == "q" else self.recurrent(kind, sequences)
            wrapper = qkeras.QBidirectional if form[0] == "q" and hasattr(qkeras, "QBidirectional") else layers.Bidirectional
            outputs = wrapper(inner, merge_mode=mode)(x)
        elif form == "states":
            layer = self.recurrent(kind, sequences, self.chance(0.5))
            states = [layers.Input((layer.units,), name=n) for n in (["h", "c"] if kind == "LSTM" else ["h"])]
            inputs += states
            outputs = layer(x, initial_state=states if len(states) > 1 else states[0])
        elif form == "cells":
            cells = [self.cell(self.pick("SimpleRNN", "LSTM", "GRU")) for _ in range(int(self.rng.integers(1, 4)))]
            outputs = layers.RNN(cells if len(cells) > 1 else cells[0], return_sequences=sequences, go_backwards=self.chance(0.3))(x)
        elif form == "two":
            first = self.recurrent(kind, True)(x)
            outputs = self.recurrent(self.pick("SimpleRNN", "LSTM", "GRU"), sequences)(first)
        else:
            first = self.recurrent(kind, True)(x)
            outputs = layers.TimeDistributed(layers.Dense(3, activation=self.pick("relu", "linear")))(first)
        outputs = list(outputs) if isinstance(outputs, (list, tuple)) else [outputs]
        return Model(inputs, outputs, name=f"recurrent_{self.index}")

    def randomize(self, model):
        values = []
        for w in model.get_weights():
            values.append(self.rng.normal(0.0, 0.6, w.shape).astype(np.float32))
        model.set_weights(values)


def make(folder, seed, index):
    maker = Maker(seed, index)
    model = maker.model()
    maker.randomize(model)
    name = f"{'k3' if NEW else 'k2'}_{index}"
    suffix = (".keras" if maker.chance(0.8) else ".h5") if NEW else ".h5"
    path = folder / (name + suffix)
    data = {}
    for tensor in model.inputs:
        port = tensor.name.split(":")[0]
        data[port] = (maker.rng.integers(-4 << INPUT_FRACTION, 4 << INPUT_FRACTION, (ROWS, *tensor.shape[1:])) / (1 << INPUT_FRACTION)).astype(np.float32)
    if maker.masked is not None:
        data["x"][maker.rng.random(data["x"].shape[:2]) < 0.4] = maker.masked
    feeds = [data[t.name.split(":")[0]] for t in model.inputs]
    got = model(feeds if len(feeds) > 1 else feeds[0], training=False)
    got = list(got) if isinstance(got, (list, tuple)) else [got]
    model.save(str(path))
    np.savez(folder / (name + ".npz"), **{f"x:{k}": v for k, v in data.items()}, **{f"y:{i}": np.asarray(v) for i, v in enumerate(got)})
    (folder / (name + ".meta.json")).write_text(json.dumps({"said": maker.said, "options": ["--input-type", "fixed<8,3>"]}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=100)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    made, failed = 0, {}
    for index in range(options.first, options.first + options.count):
        try:
            make(options.folder, options.seed, index)
            made += 1
        except Exception as error:  # what the framework itself cannot build or save
            failed[index] = f"{type(error).__name__}: {str(error)[:160]}"
        if NEW:
            keras.backend.clear_session()
        else:
            tf.keras.backend.clear_session()
    print(f"{made} recurrent models")
    for index, why in failed.items():
        print(f"model {index} is not one that the framework builds and saves: {why}")
    if len(failed) > max(3, options.count // 5):
        raise SystemExit("too many models are not built; something is wrong with the maker")


if __name__ == "__main__":
    main()
