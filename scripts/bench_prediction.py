# SPDX-License-Identifier: Apache-2.0
"""Predicted LUT and FF of drawn layers beside what Yosys maps them to.

    python3 scripts/bench_prediction.py --weft build/release/bin/weft [--count 200] [--seed 2] [--work FOLDER] [--fit]

Every layer is a small model (bench/drawn_layers.py) that `weft convert` takes as a user's would be; the Verilog is mapped
by the script of `weft synth`. What
the model of src/weft/hw was fitted with is drawn by the seed of --calibration; a run with another seed is held out from it.

Prints per kind of layer the bias (sum of predictions against sum of cells) and the 95th percentile of the error of single
layers, over layers of at least --least LUTs; smaller ones are counted and their mean distance in LUTs is printed, as one
LUT more or less is no share of anything. FF likewise. LUT are LUT1 to LUT6 and shift registers, one each.
"""

import argparse
import collections
import concurrent.futures
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

import numpy as np

import mapping
from measure import Weft, WeftError

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))
import drawn_layers

CALIBRATION_SEED = 1
# The design goal: percentile of the error and bias, in percent.
GOAL_P95, GOAL_BIAS = 15.0, 3.0


def run_layer(options, index):
    """The row of one layer, or what went wrong."""
    return run_design(options, f"s{options.seed}", *drawn_layers.layer(options.seed, index))


def run_design(options, prefix, name, kind, convert, content):
    folder = options.work / f"{prefix}_{name}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / f"{name}.weft").write_bytes(content)
    weft = Weft(options.weft, folder)
    row = {"name": name, "kind": kind, "options": convert}
    try:
        answer, _, _ = weft.run("convert", folder / f"{name}.weft", "-o", folder / "project", *convert, timeout=300)
    except WeftError as error:
        return row | {"refused": str(error)[:300]}
    row["predicted"] = answer["predicted"]
    row["top"] = json.loads((folder / "project/interface.json").read_text())["top"]
    row["sources"] = [str(p) for p in sorted((folder / "project/rtl").glob("*.v"))]
    return row


def script_of(row, top):
    """Where hard multipliers are predicted Yosys may use them, as `weft synth --dsp` does."""
    script = mapping.SCRIPT.format(family="xcup", top=top)
    return script.replace(" -nodsp", "") if row.get("predicted", {}).get("dsp") else script


def key_of(row):
    """Equal Verilog gives equal cells: a run with another prediction does not map again."""
    digest = hashlib.sha256(f"{mapping.yosys_version()}\0{mapping.SCRIPT}\0{'dsp' if row.get('predicted', {}).get('dsp') else ''}".encode())
    for path in row["sources"]:
        digest.update(pathlib.Path(path).read_bytes() + b"\0")
    return digest.hexdigest()


def map_all(options, rows):
    """Counts of all rows, several designs per process of Yosys: reading its cell library takes longer than a layer."""
    kept = options.work / "mapped"
    kept.mkdir(exist_ok=True)
    missing = {}
    for row in rows:
        row["key"] = key_of(row)
        if not (kept / (row["key"] + ".json")).is_file():
            missing[row["key"]] = row
    todo = list(missing.values())
    batches = [todo[i:i + options.batch] for i in range(0, len(todo), options.batch)]

    def run(batch):
        with tempfile.TemporaryDirectory() as scratch:
            script = ["read_verilog -lib -specify +/xilinx/cells_sim.v", "read_verilog -lib +/xilinx/cells_xtra.v", "design -save cells"]
            for row in batch:
                script += ["design -load cells", *(f"read_verilog -defer {p}" for p in row["sources"]), f"hierarchy -check -top {row['top']}",
                           script_of(row, row["top"]) + " -run prepare:", f"tee -q -o {row['key']}.json stat -json"]
            pathlib.Path(scratch, "run.ys").write_text("\n".join(script) + "\n")
            subprocess.run(["yosys", "-q", "-s", "run.ys"], cwd=scratch, check=True, capture_output=True, timeout=3600)
            for row in batch:
                cells = json.loads(pathlib.Path(scratch, row["key"] + ".json").read_text())["design"]["num_cells_by_type"]
                (kept / (row["key"] + ".json")).write_text(json.dumps(mapping.classify(cells)))

    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        list(pool.map(run, batches))
    for row in rows:
        found = json.loads((kept / (row["key"] + ".json")).read_text())
        row |= {"lut": found["lut"] + found["srl"], "ff": found["ff"], "srl": found["srl"]}


def percent(predicted, found):
    return 100.0 * (predicted - found) / found


def summary(rows, key, least):
    """(bias, 95th percentile, largest error) in percent of the rows with at least `least` of `key`."""
    big = [r for r in rows if r[key] >= least]
    if not big:
        return None
    errors = [abs(percent(r["predicted"][key], r[key])) for r in big]
    bias = percent(sum(r["predicted"][key] for r in big), sum(r[key] for r in big))
    return {"count": len(big), "bias": bias, "p95": float(np.percentile(errors, 95)), "largest": max(errors)}


def line(label, rows, key, least):
    found = summary(rows, key, least)
    small = [r for r in rows if r[key] < least]
    apart = np.mean([abs(r["predicted"][key] - r[key]) for r in small]) if small else 0.0
    figures = f"{found['count']:>5} {found['bias']:>+8.1f} {found['p95']:>8.1f} {found['largest']:>8.1f}" if found else f"{0:>5} {'':>26}"
    print(f"  {label:<12} {figures}   {len(small):>5} {apart:>6.1f}")
    return found


def fit(options):
    """What the factors of the target file have to be multiplied with."""
    rows = [run_design(options, "fit", name, kind, convert, content) for kind, name, convert, content in drawn_layers.fitted_designs()]
    map_all(options, rows)
    for row in rows:
        print(f"  {row['kind']:<20} {row['name']:<16} predicted {row['predicted']['lut']:>5.0f}, mapped {row['lut']:>5}")
    for kind in dict.fromkeys(row["kind"] for row in rows):
        # The mean of the ratios' logarithms: no design counts more for being large.
        ratio = np.exp(np.mean([np.log(row["lut"] / row["predicted"]["lut"]) for row in rows if row["kind"] == kind]))
        print(f"{kind} in src/weft/hw/targets.cpp: times {ratio:.3f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weft", required=True)
    parser.add_argument("--count", type=int, default=200)
    parser.add_argument("--seed", type=int, default=2)
    parser.add_argument("--calibration", type=int, default=CALIBRATION_SEED, help="the seed of the layers of the calibration")
    parser.add_argument("--least", type=int, default=40, help="LUTs from which on a share is counted")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build/bench_prediction")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--batch", type=int, default=10, help="designs per process of Yosys")
    parser.add_argument("--misses", type=int, default=15, help="how many of the largest errors are named")
    parser.add_argument("--fit", action="store_true", help="the factors of src/weft/hw/targets.cpp, by designs of their own")
    options = parser.parse_args()
    options.work = options.work.resolve()
    options.work.mkdir(parents=True, exist_ok=True)
    options.weft = pathlib.Path(options.weft).resolve()
    if options.fit:
        return fit(options)
    held_out = "held out from" if options.seed != options.calibration else "the layers of"
    print(f"{options.count} layers drawn by seed {options.seed}, {held_out} the calibration (seed {options.calibration})", flush=True)
    with concurrent.futures.ThreadPoolExecutor(options.jobs) as pool:
        results = list(pool.map(lambda i: run_layer(options, i), range(options.count)))
    rows = [r for r in results if "predicted" in r]
    map_all(options, rows)
    (options.work / f"rows_{options.seed}.json").write_text(json.dumps(results, indent=1))
    refused = [r for r in results if "refused" in r]
    rows_by_kind = collections.defaultdict(list)
    for row in rows:
        rows_by_kind[row["kind"]].append(row)
    met = True
    for key, least in (("lut", options.least), ("ff", options.least)):
        print(f"\n{key.upper()}: layers of at least {least}; bias, 95th percentile, largest error in %; smaller ones and their mean distance")
        for kind in drawn_layers.SHARES:
            line(kind, rows_by_kind[kind], key, least)
        found = line("all", rows, key, least)
        if found:
            good = found["p95"] <= GOAL_P95 and abs(found["bias"]) <= GOAL_BIAS
            met = met and good
            print(f"  goal: 95th percentile {GOAL_P95:.0f} %, bias {GOAL_BIAS:.0f} %: {'met' if good else 'NOT MET'}")
    print(f"\nlargest errors of LUT among layers of at least {options.least}:")
    big = sorted((r for r in rows if r["lut"] >= options.least), key=lambda r: -abs(percent(r["predicted"]["lut"], r["lut"])))
    for r in big[:options.misses]:
        print(f"  {r['name']:<14} predicted {r['predicted']['lut']:>6.0f}, mapped {r['lut']:>5} ({percent(r['predicted']['lut'], r['lut']):+.1f} %), "
              f"FF {r['predicted']['ff']:.0f} against {r['ff']}")
    if refused:
        print(f"\n{len(refused)} refused by convert:")
        for r in refused:
            print(f"  {r['name']}: {r['refused']}")
    return 0 if met and not refused else 1


if __name__ == "__main__":
    sys.exit(main())
