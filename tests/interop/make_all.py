# SPDX-License-Identifier: Apache-2.0
"""Everything that `./dev interop` wants of one Keras environment, in one process because TensorFlow starts slowly: fixtures,
quantizer cases, models of corner cases, random models and networks.

    python make_all.py FOLDER [--seed N] [--first N] [--count N] [--only-random]
"""

import os

os.environ["KERAS_BACKEND"] = "tensorflow"
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "0")  # as the fixtures' scripts
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import argparse
import logging
import pathlib
import sys
import time
import warnings

warnings.filterwarnings("ignore")
logging.getLogger("tensorflow").setLevel(logging.ERROR)
logging.getLogger("absl").setLevel(logging.ERROR)
sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2] / "examples/fixtures"))

import random_models
import random_networks


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--count", type=int, default=40)
    parser.add_argument("--only-random", action="store_true")
    options = parser.parse_args()
    options.folder.mkdir(parents=True, exist_ok=True)
    started = time.monotonic()
    said = lambda text: print(f"{text} ({time.monotonic() - started:.1f} s)", flush=True)
    if not options.only_random:
        if random_models.NEW:
            import make_fixtures_keras3 as fixtures
        else:
            import make_fixtures as fixtures
        sys.argv = [fixtures.__file__, str(options.folder / "fixtures")]
        fixtures.main()
        said("fixtures")
        import qkeras_quantizers

        said(f"{qkeras_quantizers.write_all(options.folder / 'quantizers.jsonl')} quantizer cases")
        random_models.make_corners(options.folder / "corners")
        said("corners")
    made, skipped = random_models.make_all(options.folder / "random", options.seed, options.count, options.first)
    said(f"{len(made)} random models")
    more, others = random_networks.make_all(options.folder / "networks", options.seed, options.count, options.first)
    said(f"{len(more)} random networks")
    for name, why in others.items():
        print(f"{name} is not one that the framework saves and loads: {why}")
    if len(others) > max(5, options.count // 3):
        raise SystemExit("too many networks are skipped; something is wrong with the maker")
    for name, why in skipped.items():
        print(f"{name} is not one that the framework saves and loads: {why}")
    if len(skipped) > max(2, options.count // 10):
        raise SystemExit("too many models are skipped; something is wrong with the maker")


if __name__ == "__main__":
    main()
