# SPDX-License-Identifier: Apache-2.0
"""Delays of a family in src/weft/hw/targets.cpp beside what place and route makes of drawn designs.

    python3 scripts/calibrate_delays.py --weft build/release/bin/weft --nextpnr FOLDER [--part lfe5u-25f] [--seed 1]

Drawn layers (bench/drawn_layers.py) and small drawn networks (bench/dense_models.py) are planned for several periods and
routed for several seeds by routing.py. Prints for every design the predicted period beside the routed one; the mean of every
kind of step on the longest paths, from which LUT, adder and register figures follow; the share of runs that meet the asked
period, over designs whose prediction does; and the `uncertainty` with which nine of ten would, all other figures as they are.
Figures first, then a build, then the uncertainty. A run with another --seed is held out from the calibration.
"""

import argparse
import collections
import json
import pathlib
import shutil
import statistics
import sys

import numpy as np

import routing
from measure import Weft, WeftError

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))
import dense_models
import drawn_layers

GOAL = 0.9
# Nets shorter than this stay within a logic block.
HOP_NS = 0.25


def designs(options):
    """(name, kind, options of convert, writes the model to a path)."""
    for index in range(options.layers):
        name, kind, convert, content = drawn_layers.layer(options.seed, index)
        at = convert.index("--clock-ns")
        yield name, kind, convert[:at] + convert[at + 2:], lambda path, c=content: path.write_bytes(c)
    for index in range(options.networks):
        seed = 1000 * options.seed + index
        path = options.work / f"small_{seed}.weft"
        convert = dense_models.small(path, seed)
        yield path.stem, "network", convert, lambda path, s=seed: dense_models.small(path, s)


def run(options, name, kind, convert, write, clock_ns):
    """The row of one design, or what went wrong."""
    folder = options.work / f"{name}_{clock_ns:g}"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    write(folder / f"{name}.weft")
    weft = Weft(options.weft, folder)
    row = {"name": name, "kind": kind, "clock_ns": clock_ns}
    try:
        answer, _, _ = weft.run("convert", folder / f"{name}.weft", "-o", folder / "project", *convert, "--part", options.part, "--clock-ns",
                                clock_ns, "--effort", "fast", timeout=300)
        top = json.loads((folder / "project/interface.json").read_text())["top"]
        planned = json.loads((folder / "project/weft.json").read_text())["options"]
        sources = sorted((folder / "project/rtl").glob("*.v"))
        found = routing.routed(sources, top, options.part, clock_ns, range(1, options.seeds + 1), timeout=options.timeout, tools=options.nextpnr)
    except (WeftError, routing.RoutingError) as error:
        return row | {"refused": str(error)[:300]}
    return row | {"predicted": answer["predicted"], "uncertainty": planned["clock_uncertainty_percent"] / 100, **found}


def steps_of(rows):
    """Means over the longest paths of all runs: of every kind of step, of nets to each kind of cell, and of path ends."""
    found = collections.defaultdict(list)
    for row in rows:
        for path in row["path"].values():
            for (kind, delay), (then, _) in zip(path, path[1:]):
                if kind != "routing":
                    found[kind].append(delay)
                elif delay > HOP_NS:
                    found[f"net to {then}"].append(delay)
            if path:
                last = path[-2][1] if path[-2][0] == "routing" and path[-2][1] <= HOP_NS else 0.0
                found["end"].append(last + path[-1][1])
    return {kind: (statistics.mean(v), len(v)) for kind, v in found.items()}


def ratios(row):
    """Routed period of every seed by the predicted one without what is kept free of it."""
    return [1000 / f / (row["predicted"]["period_ns"] * (1 - row["uncertainty"])) for f in row["fmax_mhz"].values()]


def summary(options, rows):
    planned = [r for r in rows if r["predicted"]["period_ns"] <= r["clock_ns"] * 1.0001]
    print("\nmean of the steps on the longest paths, ns (how many)")
    for kind, (mean, count) in sorted(steps_of(rows).items()):
        print(f"  {kind:<20} {mean:6.3f} ({count})")
    print("\nruns that meet the asked period, and routed by asked period")
    for label, mine in [(f"{c:g} ns", [r for r in planned if r["clock_ns"] == c]) for c in options.clock_ns] + [("all", planned)]:
        used = [1000 / f / r["clock_ns"] for r in mine for f in r["fmax_mhz"].values()]
        if used:
            print(f"  {label:<8} {sum(u <= 1 for u in used):>4} of {len(used):>4} ({sum(u <= 1 for u in used) / len(used):.1%}); median {np.median(used):.2f}, "
                  f"{GOAL:.0%} below {np.quantile(used, GOAL):.2f}, largest {max(used):.2f}")
    print("\nrouted by predicted period, nothing kept free: median, nine of ten below, by kind of design")
    kinds = sorted({r["kind"] for r in rows})
    for label, mine in [(k, [r for r in rows if r["kind"] == k]) for k in kinds] + [("all", rows)]:
        found = [x for r in mine for x in ratios(r)]
        print(f"  {label:<10} {len(mine):>3} designs  {np.median(found):.2f}  {np.quantile(found, GOAL):.2f}")
    if not planned:
        return
    found = np.quantile([x for r in planned for x in ratios(r)], GOAL)
    print(f"\nuncertainty with which {GOAL:.0%} meet their predicted period: {1 - 1 / found:.3f} (now {rows[0]['uncertainty']:.3f})")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weft", required=True, type=pathlib.Path)
    parser.add_argument("--nextpnr", help="folder with nextpnr-<family> or yowasp-nextpnr-<family> (default: PATH)")
    parser.add_argument("--part", default="lfe5u-25f")
    parser.add_argument("--clock-ns", type=float, nargs="+", default=[7.0, 10.0, 15.0])
    parser.add_argument("--layers", type=int, default=16)
    parser.add_argument("--networks", type=int, default=6)
    parser.add_argument("--seed", type=int, default=1, help="of the designs")
    parser.add_argument("--seeds", type=int, default=5, help="runs of nextpnr for each")
    parser.add_argument("--timeout", type=float, default=1800)
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build/calibrate-delays")
    options = parser.parse_args()
    options.weft, options.work = options.weft.resolve(), options.work.resolve()
    options.work.mkdir(parents=True, exist_ok=True)
    rows, refused = [], []
    for name, kind, convert, write in designs(options):
        for clock_ns in options.clock_ns:
            row = run(options, name, kind, convert, write, clock_ns)
            if "refused" in row:
                refused.append(row)
                print(f"  {name:<14} {clock_ns:4g} ns  refused: {row['refused']}", flush=True)
                continue
            rows.append(row)
            periods = [1000 / f for f in row["fmax_mhz"].values()]
            print(f"  {name:<14} {clock_ns:4g} ns  predicted {row['predicted']['period_ns']:6.2f}  routed {np.median(periods):6.2f} "
                  f"({min(periods):.2f} to {max(periods):.2f})  LUT {row['lut']:>5} (predicted {row['predicted']['lut']:.0f})", flush=True)
    (options.work / "rows.json").write_text(json.dumps(rows, indent=1))
    if rows:
        summary(options, rows)
    return 1 if refused or not rows else 0


if __name__ == "__main__":
    sys.exit(main())
