# SPDX-License-Identifier: Apache-2.0
"""Weft against the real frameworks, live: makes the example and the fixtures again in their environments, checks that the files
in the repository are what the scripts write, and compares `weft predict --float --trace` with the frameworks' layer outputs.

    python3 scripts/interop.py --weft BIN --qkeras PYTHON --keras3 PYTHON --cache DIR --work DIR
"""

import argparse
import os
import pathlib
import subprocess
import sys

import numpy as np

from measure import Weft, WeftError

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"


def same_arrays(a, b):
    with np.load(a) as x, np.load(b) as y:
        return sorted(x) == sorted(y) and all(np.array_equal(x[k], y[k], equal_nan=True) for k in x)


def regenerate(python, script, folder, kept):
    """Runs a script and says which kept files differ from what it writes now."""
    folder.mkdir(parents=True, exist_ok=True)
    subprocess.run([python, EXAMPLES / script, folder], check=True, env={**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3"}, capture_output=True)
    for path in sorted(folder.iterdir()):
        old = kept / path.name
        equal = old.exists() and (same_arrays(path, old) if path.suffix == ".npz" else path.read_bytes() == old.read_bytes())
        print(f"{'same' if equal else 'DIFFERENT'}  {old.relative_to(ROOT)}", flush=True)
        yield equal


def compare(weft, model, golden, *options):
    """The source model in its own arithmetic, every layer. Returns (layers, largest error)."""
    with np.load(golden) as data:
        inputs = {k: data[k] for k in data if k == "x" or k.startswith("x:")}
        path = weft.work / f"{model.stem}_x.npz"
        np.savez(path, **{(k[2:] or "x"): v for k, v in inputs.items()})
        if list(inputs) == ["x"]:
            path = weft.work / f"{model.stem}_x.npy"
            np.save(path, inputs["x"])
        trace = weft.work / f"{model.stem}_trace.npz"
        weft.run("predict", model, path, "--float", "--trace", trace, *options)
        worst, count = 0.0, 0
        with np.load(trace) as ours:
            for key in data:
                if not key.startswith("y:"):
                    continue
                if key[2:] not in ours and model.suffix == ".onnx":
                    continue  # folded: what only makes a constant or a shape is no layer
                if key[2:] not in ours:
                    raise WeftError(f"{model.name}: the trace lacks {key[2:]}")
                count += 1
                scale = max(1.0, float(np.abs(data[key]).max()))
                worst = max(worst, float(np.abs(ours[key[2:]].reshape(data[key].shape) - data[key]).max()) / scale)
    return count, worst


def main():
    parser = argparse.ArgumentParser()
    for name in ("weft", "qkeras", "keras3", "onnx", "cache", "work"):
        parser.add_argument(f"--{name}", required=True)
    options = parser.parse_args()
    weft = Weft(options.weft, options.work)
    good = True
    for python, script, folder, kept in (
        (options.qkeras, "digits/train.py", "digits", EXAMPLES / "digits"),
        (options.qkeras, "fixtures/make_fixtures.py", "keras2", EXAMPLES / "fixtures/keras2"),
        (options.keras3, "fixtures/make_fixtures_keras3.py", "keras3", EXAMPLES / "fixtures/keras3"),
        (options.onnx, "fixtures/make_fixtures_onnx.py", "onnx", EXAMPLES / "fixtures/onnx"),
    ):
        # Training rounds differently on other processors: those files are reported, not required to be equal.
        equal = all(list(regenerate(python, script, weft.work / folder, kept)))
        good &= equal or folder == "digits"
        for model in sorted([*(weft.work / folder).glob("*.h5"), *(weft.work / folder).glob("*.keras"), *(weft.work / folder).glob("*.onnx")]):
            golden = model.with_suffix(".npz")
            if not golden.exists():
                continue
            try:
                count, worst = compare(weft, model, golden)
                print(f"{'ok' if worst < 1e-5 else 'FAIL'}  {folder}/{model.name}: {count} layers, largest relative error {worst:.1e}")
                good &= worst < 1e-5
            except WeftError as error:
                print(f"FAIL  {folder}/{model.name}: {error}")
                good = False
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
