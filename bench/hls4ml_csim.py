# SPDX-License-Identifier: Apache-2.0
"""The peer of scripts/bench.py: hls4ml's compiled C simulation of one model, timed; prints one JSON object on stdout.

    PYTHON_OF_VENV bench/hls4ml_csim.py MODEL [--weights W.h5] --input-type T --x X.npy --y LOGITS.npy --work DIR

A final softmax is cut off, as Weft leaves it to the host: both sides answer logits. Types come from the QKeras quantizers
(granularity `name`); accumulators are inferred as well, because the default fixed<16,6> drops bits of the sums and the logits
would not be the model's. Everything else is hls4ml's default: Vivado back end, latency strategy; io_parallel unless asked otherwise.
"""

import argparse
import contextlib
import json
import os
import pathlib
import resource
import sys
import time

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


def load(path, weights):
    import tensorflow as tf
    from qkeras.utils import _add_supported_quantized_objects

    objects = {}
    _add_supported_quantized_objects(objects)
    if path.suffix == ".json":
        model = tf.keras.models.model_from_json(path.read_text(), custom_objects=objects)
        model.load_weights(weights)
    else:
        model = tf.keras.models.load_model(path, custom_objects=objects, compile=False)
    last = model.layers[-1]
    if isinstance(last, tf.keras.layers.Softmax) or last.get_config().get("activation") == "softmax":
        model = tf.keras.Model(model.input, model.layers[-2].output)
    return model


def csim(options):
    import numpy as np

    def now():
        used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
        return time.monotonic(), sum(u.ru_utime + u.ru_stime for u in used)

    seconds, wall, last = {}, {}, now()

    def lap(name):
        """Time since the last lap, as the clock says and the smaller of that and the CPU time, for a busy machine."""
        nonlocal last
        here = now()
        wall[name] = here[0] - last[0]
        seconds[name], last = min(wall[name], here[1] - last[1]), here

    import hls4ml
    import qkeras  # noqa: F401 (its import is part of what a user waits for)

    lap("import")
    model = load(options.model, options.weights)
    lap("load")
    config = hls4ml.utils.config_from_keras_model(model, granularity="name")
    config["LayerName"][model.input_names[0]]["Precision"] = {"result": options.input_type}
    for layer in config["LayerName"].values():
        if "weight" in layer["Precision"]:
            layer["Precision"]["accum"] = "auto"
    project = hls4ml.converters.convert_from_keras_model(model, hls_config=config, output_dir=str(options.work), io_type=options.io_type)
    lap("convert")
    project.compile()
    lap("compile")
    x = np.ascontiguousarray(np.load(options.x))
    project.predict(x[:1])
    lap("first")

    # CPU time of this one thread in short runs: other work on the machine shall not make the peer look slow.
    rates = []
    for _ in range(options.repeats):
        for first in range(0, len(x), options.chunk):
            part = x[first : first + options.chunk]
            begin = time.thread_time()
            project.predict(part)
            rates.append(len(part) / (time.thread_time() - begin))
    y = project.predict(x)
    np.save(options.y, y)
    return {
        "version": hls4ml.__version__,
        "backend": project.config.get_config_value("Backend"),
        "seconds": seconds,
        "wall_seconds": wall,
        "samples": len(x),
        "samples_per_second": max(rates),
        "samples_per_second_median": sorted(rates)[len(rates) // 2],
    }


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--weights")
    parser.add_argument("--input-type")
    parser.add_argument("--x")
    parser.add_argument("--y")
    parser.add_argument("--work", type=pathlib.Path)
    parser.add_argument("--repeats", type=int, default=8)
    parser.add_argument("--chunk", type=int, default=250, help="samples per timed call")
    parser.add_argument("--io-type", default="io_parallel")
    options = parser.parse_args()
    with contextlib.redirect_stdout(sys.stderr):  # hls4ml reports on stdout
        answer = csim(options)
    print(json.dumps(answer))


if __name__ == "__main__":
    main()
