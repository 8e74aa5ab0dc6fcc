# SPDX-License-Identifier: Apache-2.0
"""The jet taggers of the QKeras and hls4ml papers: latency and share of the part beside what the papers print.

    python3 scripts/bench_papers.py --weft build/release/bin/weft [--seed 1] [--work FOLDER] [NAME...]

Shapes, types and sparsity are the papers', weights are drawn (bench/paper_taggers.py). Everything runs at 200 MHz on the
papers' part, softmax included on both sides. The papers' figures are of Vivado's synthesis, ours of Yosys' by the script of
mapping.py; resources are compared as the papers do, by the share of the part's most used one. Each circuit is verified first.
"""

import argparse
import json
import pathlib
import sys
import tempfile

import mapping
from measure import Weft, WeftError

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))
import paper_taggers

PART = {"lut": 1182240, "ff": 2364480, "dsp": 6840}  # VU9P
CLOCK_NS = 5.0


def share(counts):
    """(percent, name) of the most used resource."""
    return max((100.0 * counts.get(name, 0) / available, name) for name, available in PART.items())


def run(weft, name, types, options):
    folder = weft.work / name.replace(" ", "_")
    folder.mkdir(parents=True, exist_ok=True)
    model = folder / "tagger.weft"
    convert = paper_taggers.tagger(model, types, options.seed)
    project = folder / "project"
    weft.run("convert", model, "-o", project, "--part", "xcvu9p", "--clock-ns", CLOCK_NS, "--primitives", options.primitives,
             "--top", "tagger", *convert)
    verified, _, _ = weft.run("verify", project, "--samples", options.samples)
    if verified["mismatches"] or verified["latency_cycles"] != verified["predicted_latency_cycles"]:
        raise WeftError(f"{name}: {verified['mismatches']} mismatches, {verified['latency_cycles']} cycles")
    top = json.loads((project / "interface.json").read_text())["top"]
    found = mapping.mapped(sorted((project / "rtl").glob("*.v")), top)
    return {"ns": verified["latency_cycles"] * CLOCK_NS, "lut": found["lut"] + found["srl"], "ff": found["ff"], "dsp": found["dsp"]}


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--weft", required=True)
    parser.add_argument("--work", type=pathlib.Path)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--primitives", default="xilinx")
    options = parser.parse_args()
    names = [row[0] for row in paper_taggers.PAPERS]
    if unknown := set(options.names) - set(names):
        parser.error(f"no tagger {', '.join(sorted(unknown))}; there are {', '.join(names)}")
    scratch = None if options.work else tempfile.TemporaryDirectory()
    weft = Weft(options.weft, options.work or pathlib.Path(scratch.name))
    print(f"VU9P at {1000 / CLOCK_NS:.0f} MHz, weights drawn by seed {options.seed}, {options.samples} vectors verified each\n")
    print("| tagger | printed: ns / LUT / FF / DSP | share | Weft: ns / LUT / FF / DSP | share |")
    print("|---|---|---|---|---|")
    worse = 0
    for name, printed, types in paper_taggers.PAPERS:
        if options.names and name not in options.names:
            continue
        try:
            ours = run(weft, name, types, options)
        except WeftError as error:
            print(f"| {name} | {error} |")
            worse += 1
            continue
        row = lambda r: f"{r['ns']:.0f} / {r['lut']:,} / {r['ff']:,} / {r['dsp']:,}"
        there, here = share(printed), share(ours)
        better = here[0] < there[0] and ours["ns"] <= printed["ns"]
        worse += not better
        print(f"| {name} | {row(printed)} | {there[0]:.2f} % {there[1]} | {row(ours)} | {here[0]:.2f} % {here[1]}{'' if better else ' (!)'} |",
              flush=True)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
