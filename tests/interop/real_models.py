# SPDX-License-Identifier: Apache-2.0
"""Lets the framework answer for model files that exist already, in the layout of examples/fixtures/README.md.

    python real_models.py OUT FILE...

Runs in the environment of Keras 2 with QKeras, of Keras 3 with QKeras' fork, or of HGQ2; prints one line per file: `ok NAME`, or
`no NAME: what the framework says`. Copies each file beside its OUT/NAME.npz; NAME is the path with its folders.
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import json
import pathlib
import shutil
import sys
import warnings

warnings.filterwarnings("ignore")

import numpy as np
from published_layers import api, custom_objects, saved_softmax_quantizers

objects = custom_objects()


def load(path):
    if path.suffix != ".json":
        with saved_softmax_quantizers(path):
            return api.models.load_model(path, custom_objects=objects, compile=False)
    model = api.models.model_from_json(path.read_text(), custom_objects=objects)
    model.load_weights(path.with_name(path.stem + "_weights.h5"))
    return model


def answer(path, out):
    model = load(path)
    rng = np.random.default_rng(3)
    rows = 16 if model.count_params() > 100_000 else 64
    data = {}
    for tensor in model.inputs:
        x = rng.normal(0.0, 1.0, (rows, *tensor.shape[1:]))
        x[: rows // 2] = np.rint(x[: rows // 2] * 64) / 64
        data[tensor.name.split(":")[0]] = x.astype(np.float32)
    made = [m for m in (getattr(model, "operations", None) or model.layers) if not isinstance(m, api.layers.InputLayer)]
    values = list(data.values())
    traced = api.Model(model.inputs, [m.output for m in made])
    answers = traced(values if len(values) > 1 else values[0], training=False)
    golden = {"x": values[0]} if len(values) == 1 else {f"x:{k}": v for k, v in data.items()}
    for layer, value in zip(made, answers if isinstance(answers, (list, tuple)) else [answers]):
        golden[f"y:{layer.name}"] = np.asarray(value)
    name = "_".join(path.parts[-3:-1]) + "_" + path.stem.replace(".", "_") + path.suffix
    shutil.copy(path, out / name)
    options = []
    if path.suffix == ".json":
        weights = pathlib.Path(name).stem + "_weights.h5"
        shutil.copy(path.with_name(path.stem + "_weights.h5"), out / weights)
        options = ["--weights", weights]
    (out / name).with_suffix(".options.json").write_text(json.dumps(options))
    np.savez((out / name).with_suffix(".npz"), **golden)
    return name


def main():
    out = pathlib.Path(sys.argv[1])
    out.mkdir(parents=True, exist_ok=True)
    for path in map(pathlib.Path, sys.argv[2:]):
        try:
            print(f"ok {answer(path, out)}", flush=True)
        except Exception as error:  # whatever the framework throws
            print(f"no {path}: {type(error).__name__}: {str(error).strip().splitlines()[-1][:160]}", flush=True)
        api.backend.clear_session()


if __name__ == "__main__":
    main()
