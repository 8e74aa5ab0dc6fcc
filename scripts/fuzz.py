# SPDX-License-Identifier: Apache-2.0
"""Runs fuzz targets longer than ctest does: the same commands, another seed and time.

    python3 scripts/fuzz.py --build build/asan --seconds 60 [--seed N] [TARGET...]
"""

import argparse
import json
import subprocess
import sys
import time


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    parser.add_argument("--seconds", required=True)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("targets", nargs="*")
    options = parser.parse_args()
    listing = subprocess.run(["ctest", "--test-dir", options.build, "-L", "fuzz", "--show-only=json-v1"], capture_output=True, text=True, check=True)
    failed = 0
    for test in json.loads(listing.stdout)["tests"]:
        name = test["name"].removeprefix("fuzz.")
        if options.targets and name not in options.targets:
            continue
        command = test["command"]
        command[command.index("--seconds") + 1] = options.seconds
        failed += subprocess.run([command[0], "--seed", str(options.seed), *command[1:]]).returncode != 0
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
