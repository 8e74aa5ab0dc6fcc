# SPDX-License-Identifier: Apache-2.0
"""Write JSON lines of QONNX quantizer cases evaluated by the qonnx package (1.0, and by numpy for `sign` and `clip`), for
`weft_quantizer_cases`.

    python qonnx_quantizers.py cases.jsonl && weft_quantizer_cases cases.jsonl
"""

import sys

import numpy as np
from qonnx.custom_op.general.bipolar_quant import binary_quant
from qonnx.custom_op.general.intquant import int_quant
from qonnx.custom_op.general.multithreshold import multithreshold
from quantizer_cases import POINTS, RANDOM, Writer, grid

MODES = ["ROUND", "half_even", "CEIL", "FLOOR", "UP", "DOWN", "HALF_UP", "HALF_DOWN"]


def quant(w):
    for p in grid(
        bits=[1.0, 2.0, 4.0, 4.5, 8.0, 16.0],
        signed=[False, True],
        narrow=[False, True],
        rounding=MODES,
        scale=[1.0, 0.125, 0.1, 3.0],
        zero_point=[0.0, 1.0, 0.3],
    ):
        f32 = {k: np.float32(p[k]) for k in ("scale", "zero_point", "bits")}
        parameters = {**p, "scale": [float(f32["scale"])], "zero_point": [float(f32["zero_point"])]}
        w.apply(
            "qonnx_quant",
            lambda x: int_quant(x, f32["scale"], f32["zero_point"], f32["bits"], p["signed"], p["narrow"], p["rounding"]),
            parameters,
        )


def others(w):
    for scale in [1.0, 0.37]:
        w.apply("bipolar_quant", lambda x: binary_quant(x, np.float32(scale)), {"scale": [float(np.float32(scale))]})
    w.apply("sign", np.sign, {})
    for low, high in [(-0.75, 1.5), (None, 0.1), (0.0, None)]:
        clip = lambda x: np.clip(x, None if low is None else np.float32(low), None if high is None else np.float32(high))
        w.apply("clip", clip, {"min": low, "max": high})
    for scale, bias in [(1.0, 0.0), (2.0, -1.0), (0.1, 0.7)]:
        thresholds = np.sort(RANDOM.normal(size=(4, 7)), axis=1).astype(np.float32)
        x = RANDOM.normal(size=(500, 4)).astype(np.float32)
        x[:7] = thresholds.T
        y = multithreshold(x, thresholds, np.float32(scale), np.float32(bias)).astype(np.float32)
        parameters = {
            "thresholds": [float(v) for v in thresholds.ravel()],
            "channels": 4,
            "out_scale": float(np.float32(scale)),
            "out_bias": float(np.float32(bias)),
        }
        w.write("multithreshold", parameters, "apply", x, y)


def main():
    writer = Writer(sys.argv[1])
    for part in [quant, others]:
        part(writer)
    print(writer.count, "cases")


if __name__ == "__main__":
    main()
