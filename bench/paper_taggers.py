# SPDX-License-Identifier: Apache-2.0
"""The jet taggers whose resources the QKeras and hls4ml papers print, with drawn weights, as `.weft` files.

Sources: C. Coelho et al., Nature Machine Intelligence 3 (2021) 675, tables II to IV (BF to QB); B. Hawks et al., hls4ml
codesign overview, arXiv:2103.05579, table 1 (16 bit, 14 bit, 6 bit). 16 features, layers of 64, 32, 32 and 5, softmax; the
shapes, types and sparsity are the papers', the weights are normal and drawn from a seed, as the trained ones are not public.
"""

import pathlib
import sys

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests/diagnostics"))
from workshop import dense, quantizer, weft_file

WIDTHS = ((16, 64), (64, 32), (32, 32), (32, 5))


def bits(n, integer=0):
    return quantizer("quantized_bits", bits=n, integer=integer, alpha=1.0)


def relu(n, integer=0):
    return quantizer("quantized_relu", bits=n, integer=integer)


TERNARY = quantizer("ternary", alpha=1.0, threshold=0.5)
BINARY = quantizer("binary", alpha=1.0)

# Name, what the paper prints, types: of all layers after training, or quantizers (weights, activation) layer by layer.
# Latency in ns at 200 MHz on a VU9P.
PAPERS = [
    ("BF", {"ns": 45, "dsp": 1826, "lut": 48321, "ff": 20132}, {"all": "fixed<14,6>"}),
    ("BP", {"ns": 70, "dsp": 526, "lut": 17577, "ff": 10548}, {"all": "fixed<14,6>", "pruned": 0.7}),
    ("BH", {"ns": 70, "dsp": 88, "lut": 15802, "ff": 8108},
     {"weights": ["fixed<8,3>", "fixed<7,2>", "fixed<5,2>", "fixed<7,3>"], "biases": ["fixed<4,2>", "fixed<7,2>", "fixed<5,2>", "fixed<4,1>"],
      "results": ["fixed<13,7>", "fixed<10,5>", "fixed<8,4>", "fixed<16,6>"]}),
    ("Q6", {"ns": 55, "dsp": 124, "lut": 39782, "ff": 8128}, {"layers": [(bits(6), relu(6))] * 3 + [(bits(6), None)]}),
    ("QE", {"ns": 55, "dsp": 66, "lut": 9149, "ff": 1781},
     {"layers": [(bits(4), relu(4, 2)), (TERNARY, relu(3, 1)), (bits(2, 1), relu(4, 2)), (BINARY, None)]}),
    ("QB", {"ns": 70, "dsp": 69, "lut": 11193, "ff": 1771},
     {"layers": [(bits(4), relu(4, 2)), (BINARY, relu(4, 2)), (TERNARY, relu(3, 1)), (BINARY, None)]}),
    ("16 bit", {"ns": 50, "dsp": 1852, "lut": 89209, "ff": 11266}, {"all": "fixed<16,6>"}),
    ("14 bit", {"ns": 50, "dsp": 1132, "lut": 90019, "ff": 9262}, {"all": "fixed<14,6>"}),
    ("6 bit", {"ns": 45, "dsp": 38, "lut": 63251, "ff": 4394}, {"layers": [(bits(6), relu(6))] * 3 + [(bits(6), None)]}),
]


def tagger(path, types, seed):
    """Writes the model and returns further options of `weft convert`."""
    draw = np.random.default_rng(seed)
    nodes = []
    options = ["--set", "softmax.softmax=table", "--set", "softmax.precision.result=fixed<16,6>"]
    for i, (n, m) in enumerate(WIDTHS):
        name = f"fc{i + 1}"
        kernel = draw.normal(0, 1.2 / np.sqrt(n), (n, m))
        kernel *= draw.random((n, m)) >= types.get("pruned", 0.0)
        bias = draw.normal(0, 0.1, m)
        weights, activation = None, quantizer("relu") if i < 3 else None
        if "layers" in types:
            weights, activation = types["layers"][i]
            if weights in (TERNARY, BINARY):
                kernel *= np.sqrt(n)
        nodes.append(dense(name, kernel, weights, bias, activation, bits(8, 3) if weights else None))
        if "weights" in types:
            options += ["--set", f"{name}.precision.weight={types['weights'][i]}", "--set", f"{name}.precision.bias={types['biases'][i]}",
                        "--set", f"{name}.precision.result={types['results'][i]}"]
    nodes.append({"name": "softmax", "op": "Softmax", "attributes": {}})
    path.write_bytes(weft_file(path.name, (16,), nodes))
    return [*options, *(["--default-type", types["all"]] if "all" in types else []),
            "--input-type", types.get("all", "fixed<16,6>")]
