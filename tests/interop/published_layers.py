# SPDX-License-Identifier: Apache-2.0
"""What a framework must know beside its own layers to open published model files: `custom_objects()` for Keras 2 and 3.

Layers of the packages that this environment has register themselves; those that were published as code beside a model are written
here after their description: BinaryDense and its functions, NodeEdgeProjection, GarNet.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import contextlib
import io
import zipfile

import keras
import tensorflow as tf

# Keras 3 with its own saving, or what TensorFlow calls Keras.
api = keras if keras.__version__.startswith("3") else tf.keras


class NodeEdgeProjection(api.layers.Layer):
    """A constant adjacency matrix times the nodes or edges."""

    def __init__(self, receiving=True, node_to_edge=True, **kwargs):
        super().__init__(**kwargs)
        self.receiving, self.node_to_edge = receiving, node_to_edge

    def build(self, shape):
        n = shape[-2] if self.node_to_edge else int(0.5 * (1 + (1 + 4 * shape[-2]) ** 0.5))
        edges = n * (n - 1)
        sizes = (1, edges, n) if self.node_to_edge else (1, n, edges)
        self.adjacency_matrix = self.add_weight(name="adjacency_matrix", shape=sizes, trainable=False)

    def call(self, x):
        return tf.matmul(self.adjacency_matrix, x)


class BinaryDense(api.layers.Dense):
    def __init__(self, units, H=1.0, kernel_lr_multiplier=None, bias_lr_multiplier=None, **kwargs):
        super().__init__(units, **kwargs)
        self.H = H

    def call(self, x):
        up = tf.clip_by_value(0.5 * (self.kernel / self.H) + 0.5, 0.0, 1.0)
        y = tf.matmul(x, self.H * (2 * tf.round(up) - 1))
        return self.activation(y + self.bias if self.use_bias else y)


class GarNet(api.layers.Layer):
    """Vertices send features to aggregators, weighted by exp(-distance^2), and get back what is gathered there; simplified form,
    inputs [vertices, features] and the number of vertices."""

    def __init__(self, n_aggregators, n_filters, n_propagate, simplified=True, collapse="mean", input_format="xn",
                 output_activation=None, quantize_transforms=False, mean_by_nvert=False, **kwargs):
        super().__init__(**kwargs)
        if not simplified or collapse != "mean" or input_format != "xn" or output_activation or quantize_transforms or mean_by_nvert:
            raise ValueError("another form of GarNet")
        self.sizes = {"FLR": n_propagate, "S": n_aggregators, "Fout": n_filters}

    def build(self, shapes):
        into = {"FLR": shapes[0][-1], "S": shapes[0][-1], "Fout": self.sizes["S"] * self.sizes["FLR"]}
        # In the order in which they lie in the file.
        self.parts = {name: (self.add_weight(name=f"{name}_kernel", shape=(into[name], size)),
                             self.add_weight(name=f"{name}_bias", shape=(size,))) for name, size in self.sizes.items()}

    def dense(self, name, x):
        kernel, bias = self.parts[name]
        return tf.tensordot(x, kernel, 1) + bias

    def call(self, inputs):
        x, n = inputs
        vertices = x.shape[1]
        present = tf.cast(tf.range(vertices)[None, :, None] < tf.cast(n, tf.int32)[:, :, None], tf.float32)
        weights = tf.exp(-(self.dense("S", x) ** 2)) * present
        gathered = tf.einsum("bva,bvf->baf", weights, self.dense("FLR", x)) / vertices
        back = tf.einsum("bva,baf->bvaf", weights, gathered)
        flat = tf.reshape(back, (-1, vertices, back.shape[2] * back.shape[3]))
        return tf.reduce_mean(self.dense("Fout", flat) * present, axis=1)


def custom_objects():
    objects = {"NodeEdgeProjection": NodeEdgeProjection, "BinaryDense": BinaryDense, "GarNet": GarNet}
    try:
        import hgq.layers  # registers itself
    except ImportError:
        try:
            from qkeras.utils import _add_supported_quantized_objects

            _add_supported_quantized_objects(objects)
        except ImportError:
            pass
        try:
            from tensorflow_model_optimization.python.core.sparsity.keras import pruning_wrapper

            objects["PruneLowMagnitude"] = pruning_wrapper.PruneLowMagnitude
        except ImportError:
            pass
    objects["binary_tanh"] = lambda x: 2 * tf.round(tf.clip_by_value(0.5 * x + 0.5, 0.0, 1.0)) - 1
    objects["relu1"] = lambda x: tf.clip_by_value(x, 0.0, 1.0)
    if "Clip" not in objects:
        objects["Clip"] = type("Clip", (api.constraints.Constraint,), {"__init__": lambda self, **k: None})
    return objects


@contextlib.contextmanager
def saved_softmax_quantizers(path):
    """HGQ2 up to 0.1.6 quantizes what enters the softmax of attention, and trains and saves that quantizer. From 0.1.7 on it opens
    such a file without it, and says nothing. Within this context a file that holds one gets it; says whether it does."""
    if not holds_softmax_quantizers(path):
        yield False
        return
    from hgq.layers import QSoftmax

    plain = QSoftmax.__init__

    def with_quantizer(self, *args, enable_iq=None, **kwargs):
        plain(self, *args, enable_iq=True if enable_iq is None else enable_iq, **kwargs)

    QSoftmax.__init__ = with_quantizer
    try:
        yield True
    finally:
        QSoftmax.__init__ = plain


def holds_softmax_quantizers(path):
    if path.suffix != ".keras":
        return False
    import h5py

    with zipfile.ZipFile(path) as archive:
        file = h5py.File(io.BytesIO(archive.read("model.weights.h5")))
    saved = []
    file.visit(lambda name: saved.append(name) if name.endswith("_softmax/iq/quantizer/vars/0") else None)
    return bool(saved)
