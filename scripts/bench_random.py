# SPDX-License-Identifier: Apache-2.0
"""Mean two-input adders of drawn 16x16 matrices with entries 129 to 255, at 6 and at 8 levels, beside da4ml on the same matrices.

    python3 scripts/bench_random.py --weft build/release/bin/weft [--peers PYTHON] [--count 1000] [--recipes 600] [--seed 1]

Every graph of Weft is checked against its matrix by `weft cmvm` itself. PYTHON has bench/requirements-adders.txt. Weft looks at
so many graphs per matrix and depth; da4ml has no such option. The CPU time of both is printed.
"""

import argparse
import json
import math
import os
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

LEVELS = (6, 8)
COST = {"two": {"lut_per_adder": 1, "lut_per_bit": 0}}  # what is counted here
PEER = """
import json, sys, time
import numpy as np
from da4ml.cmvm import solve
found = {}
for levels in map(int, sys.argv[2].split(",")):
    # The bound is above the least depth, which is 6 for nearly all of these matrices.
    begin = time.process_time()
    adders, deepest = [], 0
    for matrix in np.load(sys.argv[1]):
        solution = solve(matrix.astype(np.float32), hard_dc=levels - 6)
        adders.append(sum(op.opcode in (0, 1) for stage in solution.solutions for op in stage.ops))
        deepest = max(deepest, max(solution.out_latencies))
    found[levels] = {"adders": adders, "deepest": float(deepest), "seconds": time.process_time() - begin}
print(json.dumps(found))
"""


def drawn(count, seed):
    return np.random.default_rng(seed).integers(129, 256, (count, 16, 16))


def weft_adders(options, matrices, levels, folder):
    """(adders of every matrix, seconds, how many need a level more: a column of more than 2^levels digits)."""
    adders, seconds, deeper = [], 0.0, 0
    for index, matrix in enumerate(matrices):
        np.save(folder / "matrix.npy", matrix)
        for allowed in (levels, levels + 1):
            command = [options.weft, "cmvm", folder / "matrix.npy", "--range", "-128", "127", "--cost", folder / "cost.json",
                       "--max-delay", allowed, "--recipes", options.recipes, "--seed", index, "--json"]
            before = os.times()
            done = subprocess.run([str(c) for c in command], capture_output=True, text=True)
            after = os.times()
            seconds += after.children_user - before.children_user + after.children_system - before.children_system
            if done.returncode == 0:
                break
            if "cannot be met" not in done.stderr or allowed > levels:
                raise SystemExit(f"weft cmvm ended with {done.returncode}: {done.stderr[-400:]}")
            deeper += 1
        answer = json.loads(done.stdout)
        if answer["three_input_adders"] != 0 or answer["depth"] > allowed:
            raise SystemExit(f"matrix {index}: {answer['three_input_adders']} adders of three inputs, depth {answer['depth']}")
        adders.append(answer["two_input_adders"])
    return adders, seconds, deeper


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weft", required=True, type=pathlib.Path)
    parser.add_argument("--peers", help="python with bench/requirements-adders.txt")
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--recipes", type=int, default=600, help="graphs to look at, per matrix and depth")
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    matrices = drawn(options.count, options.seed)
    with tempfile.TemporaryDirectory() as folder:
        folder = pathlib.Path(folder)
        (folder / "cost.json").write_text(json.dumps(COST))
        peer = {}
        if options.peers:
            np.save(folder / "all.npy", matrices)
            done = subprocess.run([options.peers, "-c", PEER, folder / "all.npy", ",".join(map(str, LEVELS))], capture_output=True, text=True)
            if done.returncode != 0:
                print(f"da4ml: {done.stderr[-400:]}")
            else:
                peer = {int(k): v for k, v in json.loads(done.stdout).items()}
        print(f"{options.count} matrices 16x16, entries 129 to 255, seed {options.seed}; {options.recipes} graphs per matrix and depth")
        for levels in LEVELS:
            adders, seconds, deeper = weft_adders(options, matrices, levels, folder)
            error = np.std(adders) / math.sqrt(len(adders))
            print(f"  {levels} levels: Weft {np.mean(adders):.1f} +- {error:.1f} adders, {seconds / len(adders):.2f} s each, {deeper} of them a level deeper",
                  end="")
            if levels in peer:
                p = peer[levels]
                print(f"; da4ml {np.mean(p['adders']):.1f} adders, depth at most {p['deepest']:g}, {p['seconds'] / len(adders):.2f} s each",
                      end="")
            print(flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
