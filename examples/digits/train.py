# SPDX-License-Identifier: Apache-2.0
"""Trains the shipped example: a sparse 4-bit QKeras network, 64-24-16-10, on scikit-learn's handwritten digits.

    python train.py [folder]     (environment: ../requirements-qkeras.txt)

Writes digits.h5 (Keras 2), digits.onnx (QONNX), x_test.npy, y_test.npy, keras_logits.npy, keras_layers.npz. With the pinned
environment on one machine two runs give the same weights; another CPU may round a sum in training differently.
"""

import pathlib
import sys

import numpy as np
import onnx
import tensorflow as tf
from onnx import TensorProto, helper, numpy_helper
from qkeras import QActivation, QDense, quantized_bits
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split

SEED = 20
EPOCHS = 240
PRUNE_FROM, PRUNE_TO = 40, 150  # epochs between which the sparsity grows
SPARSITY = {"dense_1": 0.8, "dense_2": 0.5, "output": 0.4}


def features():
    """8x8 images of 0..16, row by row. 1/17 keeps the largest value, 16/17, inside of the 4-bit input quantizer."""
    images, labels = load_digits(return_X_y=True)
    return (images / 17.0).astype(np.float32), labels.astype(np.int64)


def build():
    layers = tf.keras.layers
    l1 = tf.keras.regularizers.l1(3e-4)

    def dense(units, name):
        return QDense(
            units,
            kernel_quantizer=quantized_bits(4, 0, alpha=1.0),
            bias_quantizer=quantized_bits(6, 0, alpha=1.0),
            kernel_regularizer=l1,
            name=name,
        )

    return tf.keras.Sequential(
        [
            layers.Input((64,), name="pixels"),
            QActivation("quantized_relu(4, 0)", name="input_quantizer"),
            dense(24, "dense_1"),
            QActivation("quantized_relu(4, 2)", name="relu_1"),
            dense(16, "dense_2"),
            QActivation("quantized_relu(4, 2)", name="relu_2"),
            dense(10, "output"),
            layers.Activation("softmax", name="softmax"),
        ],
        name="digits",
    )


class Prune(tf.keras.callbacks.Callback):
    """Magnitude pruning with a cubic schedule; pruned weights are held at zero after every step."""

    def __init__(self):
        super().__init__()
        self.masks = {}

    def on_epoch_begin(self, epoch, logs=None):
        t = np.clip((epoch - PRUNE_FROM) / (PRUNE_TO - PRUNE_FROM), 0.0, 1.0)
        for name, final in SPARSITY.items():
            kernel = self.model.get_layer(name).kernel
            magnitude = np.abs(kernel.numpy())
            threshold = np.quantile(magnitude, final * (1.0 - (1.0 - t) ** 3))
            self.masks[name] = tf.constant((magnitude > threshold).astype(np.float32))

    def on_train_batch_end(self, batch, logs=None):
        for name, mask in self.masks.items():
            kernel = self.model.get_layer(name).kernel
            kernel.assign(kernel * mask)


def accuracy(model, x, y):
    return float((model.predict(x, verbose=0).argmax(axis=1) == y).mean())


def quant(nodes, initializers, source, bits, scale, signed, name):
    """Adds a QONNX Quant node of zero point 0 that rounds half to even; returns the name of its output."""
    for suffix, value in (("scale", scale), ("zeropt", 0.0), ("bits", float(bits))):
        initializers.append(numpy_helper.from_array(np.array(value, np.float32), f"{name}_{suffix}"))
    nodes.append(
        helper.make_node(
            "Quant",
            [source, f"{name}_scale", f"{name}_zeropt", f"{name}_bits"],
            [f"{name}_out"],
            name=name,
            domain="qonnx.custom_op.general",
            signed=int(signed),
            narrow=0,
            rounding_mode="ROUND",
        )
    )
    return f"{name}_out"


def export_qonnx(model):
    """The same network operator by operator. Every scale is a power of two, so each float32 step is exact."""
    nodes, initializers = [], []
    tensor = "pixels"
    for layer in model.layers:
        if isinstance(layer, QActivation):
            q = layer.quantizer
            if layer.name != "input_quantizer":
                nodes.append(helper.make_node("Relu", [tensor], [f"{layer.name}_relu_out"], name=f"{layer.name}_relu"))
                tensor = f"{layer.name}_relu_out"
            tensor = quant(nodes, initializers, tensor, q.bits, 2.0 ** (q.integer - q.bits), False, layer.name)
        elif isinstance(layer, QDense):
            kernel, bias = layer.get_weights()
            operands = {}
            for role, values, q in (
                ("kernel", kernel, layer.kernel_quantizer_internal),
                ("bias", bias, layer.bias_quantizer_internal),
            ):
                initializers.append(numpy_helper.from_array(values, f"{layer.name}_{role}"))
                scale = 2.0 ** (q.integer - q.bits + 1)
                operands[role] = quant(
                    nodes, initializers, f"{layer.name}_{role}", q.bits, scale, True, f"{layer.name}_{role}_quant"
                )
            nodes.append(
                helper.make_node("MatMul", [tensor, operands["kernel"]], [f"{layer.name}_sum"], name=f"{layer.name}_matmul")
            )
            nodes.append(
                helper.make_node("Add", [f"{layer.name}_sum", operands["bias"]], [f"{layer.name}_out"], name=layer.name)
            )
            tensor = f"{layer.name}_out"
        else:
            nodes.append(helper.make_node("Softmax", [tensor], ["probabilities"], name=layer.name, axis=-1))
    graph = helper.make_graph(
        nodes,
        "digits",
        [helper.make_tensor_value_info("pixels", TensorProto.FLOAT, ["batch", 64])],
        [helper.make_tensor_value_info("probabilities", TensorProto.FLOAT, ["batch", 10])],
        initializers,
    )
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("qonnx.custom_op.general", 1)]
    exported = helper.make_model(graph, opset_imports=opsets, producer_name="examples/digits/train.py")
    exported.ir_version = 8
    return exported


def run_qonnx(exported, x):
    """An independent reading of the exported file in numpy: the logits."""
    values = {i.name: numpy_helper.to_array(i) for i in exported.graph.initializer}
    values["pixels"] = x
    for node in exported.graph.node:
        a = [values[i] for i in node.input]
        if node.op_type == "Quant":
            signed = {t.name: t.i for t in node.attribute}["signed"]
            low = -(2.0 ** (a[3] - 1)) if signed else 0.0
            high = 2.0 ** (a[3] - signed) - 1
            values[node.output[0]] = np.rint(np.clip(a[0] / a[1], low, high)) * a[1]
        elif node.op_type == "Softmax":
            return a[0]
        else:
            step = {"Relu": lambda v: np.maximum(v, 0), "MatMul": np.matmul, "Add": np.add}[node.op_type]
            values[node.output[0]] = step(*a).astype(np.float32)
    raise RuntimeError("no Softmax at the end")


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent)
    folder.mkdir(parents=True, exist_ok=True)
    tf.keras.utils.set_random_seed(SEED)
    tf.config.experimental.enable_op_determinism()

    x, y = features()
    x_rest, x_test, y_rest, y_test = train_test_split(x, y, test_size=500, stratify=y, random_state=SEED)
    x_train, x_valid, y_train, y_valid = train_test_split(x_rest, y_rest, test_size=200, stratify=y_rest, random_state=SEED)

    model = build()
    rate = tf.keras.optimizers.schedules.CosineDecay(4e-3, EPOCHS * -(-len(x_train) // 32), alpha=0.01)
    model.compile(tf.keras.optimizers.Adam(rate), "sparse_categorical_crossentropy", metrics=["accuracy"])
    model.fit(x_train, y_train, batch_size=32, epochs=EPOCHS, verbose=0, callbacks=[Prune()])

    for name in SPARSITY:
        layer = model.get_layer(name)
        values = layer.kernel_quantizer_internal(layer.kernel).numpy()
        print(f"{name}: {np.count_nonzero(values)} of {values.size} weights are not zero")
    print(f"validation accuracy {accuracy(model, x_valid, y_valid):.4f}, test accuracy {accuracy(model, x_test, y_test):.4f}")

    outputs = tf.keras.Model(model.input, [layer.output for layer in model.layers])
    traced = {layer.name: v.astype(np.float32) for layer, v in zip(model.layers, outputs.predict(x_test, verbose=0))}
    logits = traced["output"]
    exported = export_qonnx(model)
    if not np.array_equal(run_qonnx(exported, x_test), logits):
        raise RuntimeError("the QONNX export differs from Keras")

    # The optimizer's state is of no use to a reader of the example.
    model.save(folder / "digits.h5", include_optimizer=False)
    onnx.save(exported, folder / "digits.onnx")
    np.save(folder / "x_test.npy", x_test)
    np.save(folder / "y_test.npy", y_test)
    np.save(folder / "keras_logits.npy", logits)
    np.savez_compressed(folder / "keras_layers.npz", **{name: v[:50] for name, v in traced.items()})


if __name__ == "__main__":
    main()
