# SPDX-License-Identifier: Apache-2.0
"""Models of the benchmarks with random weights, for where speed depends on the shape alone: PYTHON_OF_VENV bench/models.py NAME OUT.h5

jet    16-64-32-32-5, 6-bit weights and activations, as the public QKeras jet tagger has them
svhn   32x32x3, 3x3 convolutions to 16, 16, 24 channels, each with a pool, dense 42, 64, 10; 7 bits
lstm   20 steps of 6 features, 20 units, dense 64, 32, 5; float
gru    the same with a GRU
"""

import os
import sys

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import numpy as np
import tensorflow as tf
from qkeras import QActivation, QConv2D, QDense

layers = tf.keras.layers


def jet():
    x = y = tf.keras.Input((16,), name="fc1_input")
    weights = {"kernel_quantizer": "quantized_bits(6,0,alpha=1)", "bias_quantizer": "quantized_bits(6,0,alpha=1)"}
    start = tf.keras.initializers.RandomUniform(-0.5, 0.5)
    for index, units in enumerate((64, 32, 32, 5), 1):
        y = QDense(units, name="output" if units == 5 else f"fc{index}", kernel_initializer=start, bias_initializer=start, **weights)(y)
        if units != 5:
            y = QActivation("quantized_relu(6)", name=f"relu{index}")(y)
    return tf.keras.Model(x, y)


def svhn():
    x = y = tf.keras.Input((32, 32, 3), name="image")
    weights = {"kernel_quantizer": "quantized_bits(7,0,alpha=1)", "use_bias": False}
    for index, filters in enumerate((16, 16, 24), 1):
        y = QConv2D(filters, 3, name=f"conv{index}", **weights)(y)
        y = layers.MaxPooling2D(2, name=f"pool{index}")(y)
        y = layers.BatchNormalization(name=f"bn{index}")(y)
        y = QActivation("quantized_relu(7)", name=f"relu{index}")(y)
    y = layers.Flatten(name="flatten")(y)
    for index, units in enumerate((42, 64), 4):
        y = QDense(units, name=f"fc{index}", **weights)(y)
        y = layers.BatchNormalization(name=f"bn{index}")(y)
        y = QActivation("quantized_relu(7)", name=f"relu{index}")(y)
    y = QDense(10, name="output", kernel_quantizer="quantized_bits(7,0,alpha=1)", bias_quantizer="quantized_bits(7,0,alpha=1)")(y)
    return tf.keras.Model(x, y)


def recurrent(cell):
    x = y = tf.keras.Input((20, 6), name="tracks")
    y = cell(20, name="cell")(y)
    for index, units in enumerate((64, 32), 1):
        y = layers.Dense(units, activation="relu", name=f"fc{index}")(y)
    return tf.keras.Model(x, layers.Dense(5, name="output")(y))


def main():
    name, path = sys.argv[1:]
    tf.keras.utils.set_random_seed(7)
    model = {"jet": jet, "svhn": svhn, "lstm": lambda: recurrent(layers.LSTM), "gru": lambda: recurrent(layers.GRU)}[name]()
    rng = np.random.default_rng(7)
    for layer in model.layers:
        if isinstance(layer, layers.BatchNormalization):
            ranges = ((0.5, 1.5), (-0.3, 0.3), (-0.3, 0.3), (0.3, 1.5))
            layer.set_weights([rng.uniform(*r, w.shape) for r, w in zip(ranges, layer.get_weights())])
    model.save(path, save_format="h5")
    print("{}")


if __name__ == "__main__":
    main()
