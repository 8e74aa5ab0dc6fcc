# SPDX-License-Identifier: Apache-2.0
"""Runs clang-tidy-19 on the given files that the build folder knows, several at once.

    python3 scripts/tidy.py --build build/dev --jobs 2 FILE...
"""

import argparse
import concurrent.futures
import json
import pathlib
import subprocess
import sys


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--jobs", type=int, default=1)
    parser.add_argument("files", nargs="*", type=pathlib.Path)
    options = parser.parse_args()
    known = {pathlib.Path(e["file"]).resolve() for e in json.loads((options.build / "compile_commands.json").read_text())}
    files = [f for f in options.files if f.resolve() in known]

    def tidy(path):
        # g++ flags that clang does not know are no finding.
        command = ["clang-tidy-19", "--quiet", "-p", str(options.build), "--extra-arg=-Wno-unknown-warning-option", str(path)]
        done = subprocess.run(command, capture_output=True, text=True)
        return path, done.returncode, done.stdout + (done.stderr if done.returncode and not done.stdout else "")

    failed = 0
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        for path, code, output in pool.map(tidy, files):
            if code:
                failed += 1
                print(output.rstrip(), flush=True)
    print(f"clang-tidy: {len(files)} files, {failed} with findings")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
