# SPDX-License-Identifier: Apache-2.0
"""Writing the JSON lines that `weft_quantizer_cases` compares: shared by the generators of this folder.

A line {"points": name, "x": bits} holds points that many cases share. Every other line holds family, parameters, kind
("apply": element by element, "quantize": a tensor whose scale may come from its own data), shape, and the float32 bits of
inputs (or the name of shared points) and outputs. No line carries a tolerance.
"""

import itertools
import json

import numpy as np

RANDOM = np.random.RandomState(11)


def bits_of(array):
    return [int(v) for v in np.asarray(array, dtype=np.float32).ravel().view(np.uint32)]


def points():
    """Ties of common grids and their neighbours, every magnitude, extremes."""
    parts = [np.arange(-96, 97) / 32.0, np.arange(-80, 81) / 512.0, np.arange(-40, 41) / 2.0]
    parts.append(np.array([2.0**e * s * f for e in range(-40, 30) for s in (-1, 1) for f in (1.0, 1.5, np.sqrt(2.0))]))
    parts.append(RANDOM.normal(size=400))
    parts.append(RANDOM.normal(size=200) * 20.0)
    parts.append(np.array([0.0, -0.0, 1e-7, -1e-7, 9.9e-8, 1e8, -1e8, 123456.789, -65535.996]))
    x = np.concatenate(parts).astype(np.float32)
    around = np.concatenate([x, np.nextafter(x, np.float32(np.inf)), np.nextafter(x, np.float32(-np.inf))])
    # TensorFlow flushes denormals to zero, Weft keeps them in float functions.
    around = np.where(np.abs(around) < np.finfo(np.float32).tiny, np.float32(0), around)
    return np.unique(around.astype(np.float32))


POINTS = points()


def plain(value):
    return "none" if value is None else value


class Writer:
    def __init__(self, path):
        self.file = open(path, "w", encoding="utf-8")
        self.count = 0
        self.file.write(json.dumps({"points": "common", "x": bits_of(POINTS)}) + "\n")

    def write(self, family, parameters, kind, x, y):
        record = {
            "family": family,
            "parameters": {k: plain(v) for k, v in parameters.items()},
            "kind": kind,
            "shape": list(x.shape),
            "x": "common" if x is POINTS else bits_of(x),
            "y": bits_of(y),
        }
        self.file.write(json.dumps(record) + "\n")
        self.count += 1

    def apply(self, family, function, parameters, x=POINTS):
        self.write(family, parameters, "apply", x, np.asarray(function(x)))


def grid(**axes):
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes.keys(), values))
