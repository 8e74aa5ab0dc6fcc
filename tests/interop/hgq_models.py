# SPDX-License-Identifier: Apache-2.0
"""Random small HGQ2 models with random widths, traced as HGQ2 wants it, saved, with what the framework answers.

    python hgq_models.py FOLDER [--seed N] [--first N] [--count N]

Layout as in examples/fixtures/README.md.
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import json
import pathlib
import warnings

warnings.filterwarnings("ignore")

import hgq.layers as h
import keras
import numpy as np
from hgq.config import QuantizerConfig, QuantizerConfigScope
from hgq.utils import trace_minmax

ROWS = 64


class Maker:
    def __init__(self, seed, index):
        self.rng = np.random.default_rng([seed, index, 5])
        self.count = 0

    def chance(self, p):
        return self.rng.random() < p

    def pick(self, *values):
        return values[self.rng.integers(len(values))]

    def bits(self, low, high):
        return int(self.rng.integers(low, high + 1))

    def name(self, prefix):
        self.count += 1
        return f"{prefix}_{self.count}"

    def scope(self):
        """Defaults of all quantizers of one layer."""
        data = {"place": "datalane", "overflow_mode": self.pick("WRAP", "SAT", "SAT"), "round_mode": self.pick("RND", "TRN", "RND_CONV")}
        if self.chance(0.5):
            data |= {"default_q_type": "kif", "i0": self.bits(1, 4), "f0": self.bits(1, 5)}
        else:
            i = self.bits(1, 3)
            data |= {"default_q_type": "kbi", "b0": i + self.bits(1, 5), "i0": i}
        weight = {"place": "weight", "default_q_type": "kbi", "b0": self.bits(2, 5), "i0": self.pick(0, 1), "overflow_mode": "SAT_SYM"}
        bias = {"place": "bias", "default_q_type": "kbi", "b0": self.bits(3, 6), "i0": self.pick(1, 2)}
        return QuantizerConfigScope(**data), QuantizerConfigScope(**weight), QuantizerConfigScope(**bias)

    def layer(self, x):
        rank = len(x.shape) - 1
        kinds = ["dense", "einsum", "norm", "lut", "batchnorm"]
        kinds += ["conv", "pool", "sum", "attention", "softmax"] if rank == 2 else []
        kinds += ["conv", "pool", "sum"] if rank == 3 else []
        kind = self.pick(*kinds)
        act = self.pick(None, "relu")
        name = self.name(kind)
        oq = {"enable_oq": self.chance(0.3)}
        if kind == "dense":
            return h.QDense(self.bits(1, 6), activation=act, use_bias=self.chance(0.8), name=name, **oq)(x)
        if kind == "batchnorm":
            return h.QBatchNormDense(self.bits(1, 6), activation=act, name=name)(x)
        if kind == "norm":
            return h.QBatchNormalization(center=self.chance(0.8), scale=self.chance(0.8), name=name, **oq)(x)
        if kind == "lut":
            return h.QUnaryFunctionLUT(self.pick("tanh", "sigmoid", "relu"), name=name)(x)
        if kind == "einsum":
            steps = [int(n) for n in x.shape[1:]]
            if rank == 1:
                equation, shape, bias = "ab,bc->ac", (self.bits(1, 5),), self.pick(None, "c")
            elif rank == 2:
                equation, shape, bias = self.pick(("abc,cd->abd", (steps[0], 3), "d"), ("abc,bd->adc", (3, steps[1]), "d"),
                                                  ("abc,bcd->ad", (4,), "d"), ("abc,bcd->abd", (steps[0], 2), "bd"),
                                                  ("abc,cde->abde", (steps[0], 2, 2), None))
            else:
                equation, shape, bias = self.pick(("abcd,de->abce", (*steps[:2], 3), "e"), ("abcd,bcde->abe", (steps[0], 2), None),
                                                  ("abcd,bcde->abce", (*steps[:2], 2), "ce"))
            if rank == 3 and equation == "abcd,bcde->abe":
                equation = "abcd,cde->abe"
            if bias and self.chance(0.3) and set(bias) <= set(equation.split(",")[1].split("->")[0]):
                return h.QEinsumDenseBatchnorm(equation, shape, bias_axes=bias, activation=act, name=name)(x)
            return h.QEinsumDense(equation, shape, bias_axes=bias, activation=act, name=name, **oq)(x)
        if kind == "conv":
            make = h.QConv1D if rank == 2 else h.QConv2D
            k = min(self.bits(1, 3), *[int(n) for n in x.shape[1:-1]])
            return make(self.bits(1, 4), k, strides=self.pick(1, 1, 2), padding=self.pick("valid", "same"), activation=act,
                        use_bias=self.chance(0.8), name=name, **oq)(x)
        if kind == "pool":
            make = getattr(h, f"Q{self.pick('Max', 'Average')}Pooling{rank - 1}D")
            return make(2, padding="same", name=name, **oq)(x)
        if kind == "sum":
            make = self.pick(h.QSum, h.QMeanPow2)
            return make(axes=self.pick(1, -1), keepdims=self.chance(0.3), name=name, **oq)(x)
        if kind == "softmax":
            return h.QSoftmax(axis=-1, stable=self.chance(0.7), name=name)(x)
        return h.QMultiHeadAttention(self.pick(1, 2), 4, use_bias=self.chance(0.7), stable_softmax=self.chance(0.8), name=name)(x, x)

    def scoped(self, make):
        a, b, c = self.scope()
        with a, b, c:
            return make()

    def model(self, name):
        shape = self.pick((6,), (4, 3), (5, 4), (4, 4, 2))
        x = keras.layers.Input(shape, name="x")
        y = x
        for _ in range(self.bits(1, 4)):
            before = y
            y = self.scoped(lambda: self.layer(y))
            if before.shape == y.shape and self.chance(0.4):
                kind = self.pick("QAdd", "QSubtract", "QMultiply", "QMaximum", "QMinimum", "QAveragePow2")
                y = self.scoped(lambda: getattr(h, kind)(name=self.name("merge"))([before, y]))
            if len(y.shape) > 3 and y.shape[-1] * y.shape[-2] > 200 or len(y.shape) == 2 and self.chance(0.1):
                break
        if len(y.shape) > 2:
            y = keras.layers.Flatten(name=self.name("flatten"))(y)
        y = self.scoped(lambda: h.QDense(3, name=self.name("dense"))(y))
        return keras.Model(x, y, name=name)


def randomize(model, rng):
    for variable in model.weights:
        if variable.dtype != "float32" or len(variable.shape) == 0:
            continue
        name = variable.path.rsplit("/", 1)[-1]
        value = np.asarray(variable)
        if name in ("kernel", "bias", "beta", "bn_beta", "moving_mean"):
            new = rng.normal(0.0, 0.5, value.shape)
        elif name in ("gamma", "bn_gamma"):
            new = 1.0 + 0.3 * rng.normal(0.0, 1.0, value.shape)
        elif name == "moving_variance":
            new = 0.3 + np.abs(rng.normal(0.0, 1.0, value.shape))
        elif name in ("b", "f") and rng.random() < 0.5:
            new = value + rng.normal(0.0, 0.8, value.shape)  # trained widths: fractional, pruned elements among them
        else:
            continue
        variable.assign(new.astype(np.float32))


def make(folder, seed, index):
    maker = Maker(seed, index)
    model = maker.model(f"h{index:04d}")
    randomize(model, maker.rng)
    data = maker.rng.normal(0.0, 1.5, (ROWS, *model.inputs[0].shape[1:])).astype(np.float32)
    data[: ROWS // 2] = np.rint(data[: ROWS // 2] * 64) / 64
    trace_minmax(model, data[: ROWS // 2], batch_size=ROWS, verbose=False)
    path = folder / f"{model.name}.keras"
    model.save(path)
    loaded = keras.models.load_model(path, compile=False)
    made = [m for m in loaded.operations if not isinstance(m, keras.layers.InputLayer)]
    answers = keras.Model(loaded.inputs, [m.output for m in made])(data, training=False)
    golden = {"x": data}
    for layer, value in zip(made, answers if isinstance(answers, (list, tuple)) else [answers]):
        golden[f"y:{layer.name}"] = np.asarray(value)
    np.savez(path.with_suffix(".npz"), **golden)
    path.with_suffix(".options.json").write_text(json.dumps([]))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=40)
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    skipped = {}
    for index in range(options.first, options.first + options.count):
        try:
            make(options.folder, options.seed, index)
        except Exception as error:  # whatever the framework throws
            skipped[f"h{index:04d}"] = f"{type(error).__name__}: {str(error).strip().splitlines()[-1][:200]}"
            for path in options.folder.glob(f"h{index:04d}*"):
                path.unlink()
        keras.backend.clear_session()
    print(f"{options.count - len(skipped)} random models")
    for name, why in skipped.items():
        print(f"{name} is not one that the framework saves and loads: {why}")
    if len(skipped) > max(2, options.count // 5):
        raise SystemExit("too many models are skipped; something is wrong with the maker")


if __name__ == "__main__":
    main()
