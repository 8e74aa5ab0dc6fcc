# SPDX-License-Identifier: Apache-2.0
"""Write JSON lines of quantizer cases evaluated by the real QKeras, for `weft_quantizer_cases`.

Needs either Python 3.9 to 3.11 with tensorflow-cpu==2.14.1, qkeras==0.9.0 and numpy<2, or Keras 3 with tensorflow-cpu and
qkeras-v3, which adds quantized_linear and frozen scales. Usage:

    python qkeras_quantizers.py cases.jsonl && weft_quantizer_cases cases.jsonl
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from qkeras import quantizers as q
from quantizer_cases import POINTS, RANDOM, Writer, grid

# quantized_linear came after QKeras 0.9.0 on PyPI.
NEW = hasattr(q, "quantized_linear")


class QKerasWriter(Writer):
    def apply(self, family, function, parameters, x=POINTS):
        super().apply(family, lambda v: function(tf.constant(v)), parameters, x)

    def cls(self, family, parameters, x=POINTS):
        self.apply(family, getattr(q, family)(**parameters), parameters, x)

    def tensor(self, family, parameters, x):
        x = np.asarray(x, dtype=np.float32)
        y = np.asarray(getattr(q, family)(**parameters)(tf.constant(x)))
        self.write(family, parameters, "quantize", x, y)


def fixed_point(w):
    for p in grid(bits=[1, 2, 3, 6, 8, 16, 24], integer=[0, 2, 5], symmetric=[0, 1], keep_negative=[True, False]):
        w.cls("quantized_bits", p)
    for p in grid(bits=[1, 4, 8], integer=[0, 1], alpha=[1, 0.3, 2.5, -0.75, 0.0]):
        w.cls("quantized_bits", p)
    w.cls("quantized_bits", {"bits": 4, "use_ste": False})
    w.cls("quantized_bits", {"bits": 4, "qnoise_factor": 0.25})
    w.cls("quantized_bits", {"bits": 4, "qnoise_factor": 0.3, "use_ste": False})
    for p in grid(bits=[4, 8], integer=[1, 3], symmetric=[0, 1], relu_shift=[3, 2], relu_upper_bound=[6, 5]):
        w.cls("quantized_hswish", p)
    for p in grid(bits=[1, 2, 4, 8, 16], integer=[0, 2, 5], use_sigmoid=[0, 1], negative_slope=[0.0, 0.25, 1.0, 2.0]):
        w.cls("quantized_relu", p)
    for p in grid(bits=[4, 8], integer=[2], relu_upper_bound=[None, 0.0, 1.1, 3.0], is_quantized_clip=[False, True],
                  negative_slope=[0.0, 0.5], qnoise_factor=[1.0, 0.5], use_ste=[True, False]):
        w.cls("quantized_relu", p)


def saturating(w):
    for mode in ["hard", "smooth", "real"]:
        q.set_internal_sigmoid(mode)
        own = {"internal_sigmoid": mode}
        for p in grid(bits=[2, 4, 8, 16], symmetric=[False, True]):
            for family in ["quantized_tanh", "quantized_sigmoid"]:
                function = getattr(q, family)(**p)
                w.apply(family, function, {**p, **own})
        for p in grid(bits=[3, 4, 8], integer=[0, 2], symmetric=[0, 1], u=[255.0, 10.0]):
            w.apply("quantized_ulaw", q.quantized_ulaw(**p), {**p, **own})
        w.apply("quantized_relu", q.quantized_relu(6, 1, use_sigmoid=1), {"bits": 6, "integer": 1, "use_sigmoid": 1, **own})
    q.set_internal_sigmoid("hard")
    for bits in [2, 4, 8, 16]:
        w.cls("quantized_tanh", {"bits": bits, "use_real_tanh": True})
        w.cls("quantized_sigmoid", {"bits": bits, "use_real_sigmoid": True})


def powers_of_two(w):
    for p in grid(bits=[2, 3, 4, 5, 8], max_value=[None, 0.5, 1, 3.0, 2048], quadratic_approximation=[False, True],
                  log2_rounding=["rnd", "floor"]):
        w.cls("quantized_po2", p)
        w.cls("quantized_relu_po2", p)
        w.cls("quantized_relu_po2", {**p, "negative_slope": 0.25})


def binary_ternary(w):
    for alpha in [None, 1.0, 0.37, 2]:
        for use_01 in [False, True]:
            w.cls("binary", {"alpha": alpha, "use_01": use_01})
        w.cls("stochastic_binary", {"alpha": alpha})
        for threshold in [None, 0.5]:
            w.cls("ternary", {"alpha": alpha, "threshold": threshold})
            w.cls("stochastic_ternary", {"alpha": alpha, "threshold": threshold})


    tiny = np.array([1e-40, -1e-40, 0.0, -0.0], dtype=np.float32)
    w.cls("binary", {}, tiny)
    w.cls("quantized_bits", {"bits": 1}, tiny)
    w.cls("quantized_po2", {"bits": 4}, tiny)


def tensors():
    yield RANDOM.normal(size=(16, 8)) * 0.3
    yield RANDOM.normal(size=(64, 5)) * np.array([0.01, 0.3, 2.0, 100.0, 0.0])
    yield RANDOM.normal(size=(3, 3, 4, 6))
    yield RANDOM.uniform(-1, 1, size=(1000, 3))
    yield RANDOM.normal(size=(32,)) * 0.5
    yield np.zeros((4, 3))
    yield np.arange(-12, 12).reshape(6, 4) / 8.0


def automatic(w):
    for x in tensors():
        for alpha in ["auto", "auto_po2"]:
            for p in grid(bits=[2, 4, 8], integer=[0, 2], keep_negative=[True, False]):
                w.tensor("quantized_bits", {**p, "alpha": alpha}, x)
            for use_01 in [False, True]:
                w.tensor("binary", {"alpha": alpha, "use_01": use_01}, x)
            w.tensor("stochastic_binary", {"alpha": alpha}, x)
            w.tensor("ternary", {"alpha": alpha}, x)
            w.tensor("ternary", {"alpha": alpha, "number_of_unrolls": 1}, x)
            w.tensor("stochastic_ternary", {"alpha": alpha}, x)


def later_versions(w):
    for p in grid(bits=[1, 2, 4, 8, 16], integer=[0, 2, 5], symmetric=[0, 1], keep_negative=[True, False],
                  alpha=[None, 1.0, 0.3]):
        w.cls("quantized_linear", p)
    w.cls("quantized_linear", {"bits": 4, "qnoise_factor": 0.25})
    for p in grid(bits=[2, 4, 8], integer=[0, 2], alpha=["auto", "auto_po2"], post_training_scale=[0.5, 0.3]):
        w.cls("quantized_bits", p)
    for x in tensors():
        for p in grid(bits=[1, 2, 4, 8], integer=[0, 2], keep_negative=[True, False], alpha=["auto", "auto_po2"]):
            if p["bits"] > 1 or p["keep_negative"]:
                w.tensor("quantized_linear", p, x)
        w.tensor("quantized_bits", {"bits": 4, "alpha": "auto_po2", "min_po2_exponent": -3, "max_po2_exponent": -2}, x)


def short_tensors(w):
    """TensorFlow computes the last elements of a tensor, fewer than a vector register holds, with other kernels."""
    ties = np.array([2.0**e * f for e in range(-6, 4) for f in (1.0, np.sqrt(2.0), 1.5)], dtype=np.float32)
    for x in np.split(np.concatenate([ties, -ties]), 12):
        for p in grid(bits=[4, 6], quadratic_approximation=[False, True], log2_rounding=["rnd", "floor"]):
            w.cls("quantized_po2", p, x)
            w.cls("quantized_relu_po2", p, x)
        w.cls("quantized_tanh", {"bits": 6, "use_real_tanh": True}, x)
        w.cls("quantized_sigmoid", {"bits": 6, "use_real_sigmoid": True}, x)
        w.cls("quantized_ulaw", {"bits": 6}, x)
        for name in ["tanh", "sigmoid", "softplus", "exponential"]:
            w.apply(name, getattr(tf.keras.activations, name), {}, x)


def functions(w):
    keras = tf.keras.activations
    x = POINTS[np.abs(POINTS) < 80]
    for name in ["hard_sigmoid", "smooth_sigmoid", "binary_sigmoid", "hard_tanh", "smooth_tanh", "binary_tanh"]:
        w.apply(name, getattr(q, name), {})
    w.apply("keras_hard_sigmoid", keras.hard_sigmoid, {"slope": 1.0 / 6.0 if NEW else 0.2})
    w.apply("linear", keras.linear, {})
    w.apply("relu", keras.relu, {})
    for p in grid(max_value=[None, 6.0, 2.5], negative_slope=[0.0, 0.1], threshold=[0.0, 1.0, -0.5]):
        layer = tf.keras.layers.ReLU(**{**p, "threshold": max(p["threshold"], 0.0)})
        if p["threshold"] >= 0.0:
            w.apply("relu", layer, p)
    for alpha in [0.3, 0.01]:
        layer = tf.keras.layers.LeakyReLU(negative_slope=alpha) if NEW else tf.keras.layers.LeakyReLU(alpha)
        w.apply("leaky_relu", layer, {"alpha": alpha})
    for name in ["tanh", "sigmoid", "softplus", "softsign", "elu", "selu", "exponential", "swish", "gelu"] + ["silu"] * NEW:
        w.apply(name, getattr(keras, name), {}, x)
    w.apply("gelu", lambda v: keras.gelu(v, approximate=True), {"approximate": True}, x)


def write_all(path):
    writer = QKerasWriter(path)
    for part in [fixed_point, saturating, powers_of_two, binary_ternary, automatic, short_tensors, functions] + [later_versions] * NEW:
        part(writer)
    writer.file.close()
    return writer.count


def main():
    print(write_all(sys.argv[1]), "cases")


if __name__ == "__main__":
    main()
