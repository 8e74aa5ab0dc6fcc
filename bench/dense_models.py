# SPDX-License-Identifier: Apache-2.0
"""Dense networks with drawn weights, as `.weft` files."""

import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/diagnostics"))
from workshop import dense, quantizer, weft_file


def tagger(path, kind, seed=1):
    """16-64-32-32-5, quantized ReLU of 6 bits ("6bit") or 3 bits ("ternary"), weights drawn: normal, one third pruned."""
    draw = np.random.default_rng(seed)
    bits = quantizer("quantized_bits", bits=6, integer=0, alpha=1.0)
    nodes = []
    for i, (n, m) in enumerate(((16, 64), (64, 32), (32, 32), (32, 5))):
        kernel = draw.normal(0, 1, (n, m)) * (draw.random((n, m)) > 1 / 3)
        if kind == "6bit":
            kernel = kernel * 0.6 / np.sqrt(n) * 2
            weights, relu = bits, quantizer("quantized_relu", bits=6, integer=0)
        else:
            weights, relu = quantizer("ternary", alpha=1.0, threshold=0.5), quantizer("quantized_relu", bits=3, integer=2)
        nodes.append(dense(f"fc{i + 1}", kernel, weights, draw.normal(0, 0.1, m), relu if i < 3 else None, bits))
    path.write_bytes(weft_file(path.name, (16,), nodes))


def small(path, seed):
    """Two or three layers of 4 to 12 outputs, weights of 2 to 4 bits, drawn by the seed; returns options of convert."""
    draw = np.random.default_rng([seed, 4])
    n = int(draw.integers(4, 13))
    shape, nodes, layers = (n,), [], int(draw.integers(2, 4))
    for i in range(layers):
        m, width, kept = int(draw.integers(4, 13)), int(draw.integers(2, 5)), draw.choice([0.3, 0.6, 1.0])
        kernel = draw.normal(0, 1, (n, m)) * (draw.random((n, m)) < kept)
        weights = quantizer("ternary", alpha=1.0, threshold=0.5)
        if width > 2:
            weights, kernel = quantizer("quantized_bits", bits=width, integer=0, alpha=1.0), kernel * 1.5 / np.sqrt(n)
        relu = quantizer("quantized_relu", bits=int(draw.integers(3, 6)), integer=2 if width == 2 else 0)
        nodes.append(dense(f"fc{i + 1}", kernel, weights, draw.normal(0, 0.1, m), relu if i < layers - 1 else None,
                           quantizer("quantized_bits", bits=6, integer=0, alpha=1.0)))
        n = m
    path.write_bytes(weft_file(path.name, shape, nodes))
    width = int(draw.integers(4, 9))
    return ["--input-type", f"fixed<{width},{int(draw.integers(1, 4))}>"]
