# SPDX-License-Identifier: Apache-2.0
"""Whole networks mapped to LUTs: Weft beside alkaid and da4ml in one run, at one clock period and part.

    python3 scripts/bench_networks.py --weft build/release/bin/weft --peers PYTHON [--data FOLDER] [CASE...]

PYTHON has bench/requirements-adders.txt. Weft converts and verifies the model; the peers get the exact graph of that
conversion (bench/network_peers.py), so that all circuits compute the same function of the same input codes, and the outputs
of each are compared with Weft's for every vector of `weft verify`. All Verilog goes through the Yosys script of mapping.py.
The peers are mapped as they emit and with the one-LUT-per-bit adders of bench/cells in place of their adder modules; the
row with fewer LUTs counts, as both have the same cycles. Where a model rounds ties to even, a second row of each peer has
ties up, as the tools do by themselves: another function, marked `*`.

The peers fill the period to its end, so Weft keeps nothing of it free either (`--clock-uncertainty 0`).

The comparison is for each peer with Weft's smallest circuit that takes as many cycles as the peer's or fewer. Where Weft by
itself takes another number, it converts once more with `--max-latency-cycles` of the peer: where these are fewer, with a
longer path, which is printed beside.

Cycles are registers on the way from input to output; nobody registers inputs, all register outputs. `path` is the longest
path between registers by the model of delays in mapping.py: nothing here was placed or routed. Figures are kept by content.
"""

import argparse
import hashlib
import json
import math
import os
import pathlib
import subprocess
import sys
import zipfile

import numpy as np

import mapping
import netlist_sim
from measure import Weft, WeftError

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))
import dense_models

# The defaults of the tools' command lines at their default period of 5 ns: bound of the solver, delay per stage.
SETTINGS = {"alkaid": (5, 5.0), "da4ml": (2, 5.0)}

# name, file below models/ (or a drawn tagger), options of convert, whose weights
CASES = [
    ("hgq2_openml_530", "hgq2/jsc_openml/epoch-199491-*.keras", [], "trained, HGQ2"),
    ("hgq2_cernbox_1043", "hgq2/jsc_cernbox/epoch-148462-*.keras", [], "trained, HGQ2"),
    ("hgq_jet_classifier", "example_models/keras/hgq_jet_classifier.h5", [], "trained, HGQ"),
    ("hgq2_openml_2571", "hgq2/jsc_openml/epoch-116234-*.keras", [], "trained, HGQ2"),
    ("hgq1_openml_75.99", "hgq1/jsc_openml/epoch-87478-*.h5", [], "trained, HGQ"),
    ("hgq2_cernbox_3398", "hgq2/jsc_cernbox/epoch-91912-*.keras", [], "trained, HGQ2"),
    ("hgq1_openml_76.27", "hgq1/jsc_openml/epoch-71874-*.h5", [], "trained, HGQ"),
    ("hgq1_cernbox_75.16", "hgq1/jsc_cernbox/epoch-24246-*.keras", [], "trained, HGQ"),
    ("hgq2_cernbox_6773", "hgq2/jsc_cernbox/epoch-62054-*.keras", [], "trained, HGQ2"),
    ("hgq2_openml_7229", "hgq2/jsc_openml/epoch-60648-*.keras", [], "trained, HGQ2"),
    ("hgq1_openml_76.47", "hgq1/jsc_openml/epoch-61005-*.h5", [], "trained, HGQ"),
    ("hgq1_openml_76.86", "hgq1/jsc_openml/epoch-20849-*.h5", [], "trained, HGQ"),
    ("hgq2_openml_13285", "hgq2/jsc_openml/epoch-27883-*.keras", [], "trained, HGQ2"),
    ("hgq2_cernbox_13308", "hgq2/jsc_cernbox/epoch-25957-*.keras", [], "trained, HGQ2"),
    ("tagger_ternary", "ternary", ["--input-type", "fixed<8,3>"], "drawn, seed 1"),
    ("tagger_6bit", "6bit", ["--input-type", "fixed<16,6>"], "drawn, seed 1"),
    ("qkeras_3layer", "example_models/keras/qkeras_3layer.json", ["--input-type", "fixed<16,6>"], "trained, QKeras"),
    ("AD08", "mlperf_tiny/AD08/model.h5", ["--input-type", "fixed<8,1>"], "trained, QKeras"),
]


def model_of(name, where, data, work):
    """(path of the model, further options)."""
    path = work / f"{name}.weft"
    if where in ("6bit", "ternary"):
        dense_models.tagger(path, where)
        return path, []
    if where.startswith("small "):
        return path, dense_models.small(path, int(where.split()[1]))
    found = sorted((data / "models").glob(where))
    if len(found) != 1:
        raise FileNotFoundError(f"{where}: {len(found)} files")
    weights = found[0].with_name(found[0].stem + "_weights.h5")
    return found[0], ["--weights", weights] if weights.is_file() else []


def codes_of(project, direction):
    """Rows of codes of all ports, from the vector files that `weft verify` leaves."""
    ports = json.loads((project / "interface.json").read_text())[direction]
    rows = None
    for port in ports:
        width, mask = port["element_width_bits"], (1 << port["element_width_bits"]) - 1
        mine = []
        for line in (project / "tb" / (port["port"] + ".hex")).read_text().split():
            word = int(line, 16)
            codes = [(word >> (i * width)) & mask for i in range(port["elements"])]
            mine.append([c - (mask + 1) if port["signed"] and c >> (width - 1) else c for c in codes])
        rows = mine if rows is None else [a + b for a, b in zip(rows, mine)]
    return rows


class Bench:
    def __init__(self, options):
        self.options = options
        self.work = options.work.resolve()
        self.work.mkdir(parents=True, exist_ok=True)
        self.weft = Weft(options.weft, self.work)
        self.problems, self.rows = [], []

    def row(self, case, who, result, cycles, seconds, **more):
        row = {"case": case, "who": who, "cycles": cycles, "solve_seconds": seconds, **more}
        if result:
            row |= {k: result[k] for k in ("lut", "ff", "srl", "lutram", "carry", "inv", "muxf", "path_ps", "seconds")}
        self.rows.append(row)
        number = lambda key: f"{row[key]:>7,}" if row.get(key) is not None else f"{'-':>7}"
        print(f"  {who:34} {cycles:>3} cycles  LUT {number('lut')} (predicted {number('predicted_lut')})  FF {number('ff')} "
              f"({number('predicted_ff')})  SRL {row.get('srl', 0)}  path {(row.get('path_ps') or 0) / 1000:5.2f} ns  "
              f"{row.get('note', '')}", flush=True)
        return row

    def convert(self, name, model, convert):
        """Projects of Weft by emission."""
        projects = {}
        for emission in ("portable", "xilinx"):
            try:
                projects[emission] = self.project(f"{name}_{emission}", model, "--primitives", emission, *convert)
            except WeftError as error:
                if emission == "portable":
                    raise
                missing = "not written yet" in str(error)
                print(f"  {'Weft ' + emission:34} {'not written yet' if missing else 'refused'}", flush=True)
                if not missing:
                    self.problems.append(f"{name}: --primitives {emission}: {error}")
        return projects

    def project(self, folder, model, *convert):
        """(folder, predicted figures, seconds) of one conversion that `weft verify` has checked."""
        project = self.work / folder
        answer, seconds, _ = self.weft.run("convert", model, "-o", project, "--part", self.options.part, "--clock-ns",
                                           self.options.clock_ns, "--clock-uncertainty", 0, *convert)
        check, _, code = self.weft.run("verify", project, "--samples", self.options.samples, check=False)
        right = code == 0 and check.get("mismatches") == 0 and check.get("latency_cycles") == check.get("predicted_latency_cycles")
        if not right:
            self.problems.append(f"{folder}: verify says {check}")
        return project, answer["predicted"], seconds

    def map_weft(self, name, who, project, predicted, seconds):
        top = json.loads((project / "interface.json").read_text())["top"]
        result = self.mapped(name, who, lambda: mapping.mapped(sorted((project / "rtl").glob("*.v")), top, timeout=self.options.timeout))
        self.row(name, who, result, predicted["latency_cycles"], seconds, kind="weft", predicted_lut=predicted["lut"],
                 predicted_ff=predicted["ff"], note=f"predicted {predicted['period_ns']:.2f} ns")

    def peer(self, name, tool, ties, project, inputs, outputs):
        source = project / "model.weft"
        setting = SETTINGS[tool]
        folder = self.work / f"{name}_{tool}_{ties}"
        stamp = hashlib.sha256(source.read_bytes() + json.dumps([setting, ties]).encode() + (ROOT / "bench/network_peers.py").read_bytes()
                               + inputs.read_bytes()).hexdigest()
        if not (folder / "stamp").is_file() or (folder / "stamp").read_text() != stamp:
            folder.mkdir(parents=True, exist_ok=True)
            job = {"weft": str(source), "tool": tool, "hard_dc": setting[0], "cutoff": setting[1], "ties": ties,
                   "inputs": str(inputs), "folder": str(folder)}
            (folder / "job.json").write_text(json.dumps(job))
            done = subprocess.run([self.options.peers, str(ROOT / "bench/network_peers.py"), str(folder / "job.json")],
                                  capture_output=True, text=True, env={"OMP_NUM_THREADS": "1", "PATH": "/usr/bin:/bin"})
            if done.returncode != 0:
                self.problems.append(f"{name}: {tool}: {done.stderr.strip()[-400:]}")
                return None
            (folder / "stamp").write_text(stamp)
        answer = json.loads((folder / "answer.json").read_text())
        if "unsupported" in answer:
            print(f"  {tool}: not built: {answer['unsupported']}", flush=True)
            return None
        differing = int((np.load(folder / "outputs.npy") != outputs).any(axis=1).sum())
        if differing and not answer["ties_up"]:
            self.problems.append(f"{name}: {differing} of {len(outputs)} outputs of {tool} differ from Weft's")
        return answer | {"differing": differing}

    def run(self, name, where, convert, weights):
        print(f"{name}: {where}; weights {weights}", flush=True)
        model, further = model_of(name, where, self.options.data, self.work)
        projects = self.convert(name, model, [*further, *convert])
        project = projects["portable"][0]
        inputs = np.array(codes_of(project, "inputs"), dtype=np.int64)
        outputs = np.array(codes_of(project, "outputs"), dtype=np.int64)
        np.save(self.work / f"{name}_inputs.npy", inputs)
        first = len(self.rows)
        for emission, made in projects.items():
            self.map_weft(name, f"Weft {emission}", *made)
        text = exact_text(project)
        for tool in SETTINGS:
            for ties in ("even", "up") if "RND_CONV" in text else ("even",):
                answer = self.peer(name, tool, ties, project, self.work / f"{name}_inputs.npy", outputs)
                if answer is None or ties == "up" and not answer["ties_up"]:
                    continue
                for with_cells in (True, False):
                    who = f"{tool}{'*' if answer['ties_up'] else ''} {'with cells' if with_cells else 'as emitted'}"
                    result = self.mapped(name, who, lambda: mapping.mapped_peer(answer, tool, with_cells, self.options.timeout))
                    row = self.row(name, who, result, answer["cycles"], answer["seconds"], kind="peer", tool=tool,
                                   same=not answer["ties_up"], note=f"{answer['differing']} of {len(outputs)} vectors differ")
                    if result and row["same"] and result["lut"] <= self.options.simulate:
                        self.simulate(row, answer, result, inputs, outputs)
        self.shorten(name, first, model, [*further, *convert], list(projects))
        for _, line in compared(self.rows[first:]):
            print(f"  {name}: {line}", flush=True)
        print(flush=True)
        (self.work / "results.json").write_text(json.dumps(self.rows, indent=1))

    def shorten(self, name, first, model, convert, emissions):
        """Weft within the cycles of each peer, where it was not built with just as many."""
        for _, peer in best_of_peers(self.rows[first:]):
            if not any(r["kind"] == "weft" and r["cycles"] == peer["cycles"] for r in self.rows[first:]):
                for emission in emissions:
                    try:
                        made = self.project(f"{name}_{emission}_{peer['cycles']}", model, "--primitives", emission,
                                            "--max-latency-cycles", peer["cycles"], *convert)
                    except WeftError as error:
                        print(f"  Weft {emission} within {peer['cycles']} cycles: {error}", flush=True)
                        continue
                    self.map_weft(name, f"Weft {emission} within {peer['cycles']} cycles", *made)

    def mapped(self, name, who, run):
        try:
            return run()
        except mapping.MappingError as error:
            self.problems.append(f"{name}: {who}: {error}")
            return None

    def simulate(self, row, answer, result, inputs, outputs):
        """The mapped netlist of a peer against Weft's outputs."""
        rows = min(len(inputs), 100)
        try:
            bad = netlist_sim.mismatches(result["netlist"], answer["top"], netlist_sim.stored(inputs[:rows], answer["inputs"]),
                                         [sum(k) for k in answer["inputs"]], netlist_sim.stored(outputs[:rows], answer["outputs"]),
                                         [sum(k) for k in answer["outputs"]], answer["cycles"])
        except (subprocess.SubprocessError, RuntimeError) as error:
            self.problems.append(f"{row['case']}: {row['who']}: the netlist was not simulated: {error}")
            return
        row["netlist_mismatches"] = bad
        print(f"    netlist: {bad} of {rows} vectors differ", flush=True)
        if bad:
            self.problems.append(f"{row['case']}: {row['who']}: {bad} of {rows} vectors of the netlist differ")

    def table(self):
        print("\nWeft's smallest circuit with at most the cycles of the peer's. Same function. Path by the model of mapping.py.\n\n"
              "| case | peer | LUT | FF | cycles | path ns | Weft LUT | FF | cycles | path ns | LUT ratio |\n"
              "|---|---|---|---|---|---|---|---|---|---|---|")
        ratios = {}
        for name in dict.fromkeys(r["case"] for r in self.rows):
            for (tool, peer, mine), _ in compared([r for r in self.rows if r["case"] == name]):
                figures = lambda r: f"{r['lut']:,} | {r['ff']:,} | {r['cycles']} | {r['path_ps'] / 1000:.2f}" if r else "none | | |"
                ratio = f"{mine['lut'] / peer['lut']:.3f}" if mine else ""
                print(f"| {name} | {peer['who']} | {figures(peer)} | {figures(mine)} | {ratio} |")
                ratios.setdefault(tool, []).append(mine and mine["lut"] / peer["lut"])
        for tool, found in ratios.items():
            known = [r for r in found if r]
            if known:
                mean = math.exp(sum(map(math.log, known)) / len(known))
                print(f"\n{tool}: geometric mean of the LUT ratio {mean:.3f}, worst {max(known):.3f}, over {len(known)} of {len(found)} cases")


def best_of_peers(rows):
    """(tool, row with the fewest LUTs) of each peer that computes the same function."""
    for tool in SETTINGS:
        found = [r for r in rows if r["kind"] == "peer" and r["tool"] == tool and r["same"] and r.get("lut")]
        if found:
            yield tool, min(found, key=lambda r: r["lut"])


def weft_within(rows, cycles):
    """The row of Weft with the fewest LUTs that takes at most so many cycles, or None."""
    return min((r for r in rows if r["kind"] == "weft" and r.get("lut") and r["cycles"] <= cycles), key=lambda r: r["lut"], default=None)


def compared(rows):
    """((tool, its row, Weft's row within its cycles or None), a sentence) of each peer of one case."""
    for tool, peer in best_of_peers(rows):
        mine = weft_within(rows, peer["cycles"])
        sentence = f"Weft has no circuit with the {peer['cycles']} cycles of {peer['who']} or fewer"
        if mine:
            sentence = (f"with at most the cycles of {peer['who']} ({mine['cycles']} and {peer['cycles']}): {mine['who']} has LUT "
                        f"{mine['lut'] / peer['lut'] - 1:+.1%}, FF {mine['ff'] / max(peer['ff'], 1) - 1:+.1%}, path "
                        f"{mine['path_ps'] / 1000:.2f} and {peer['path_ps'] / 1000:.2f} ns")
        yield (tool, peer, mine), sentence


def exact_text(project):
    """The exact graph of a project, as text."""
    with zipfile.ZipFile(project / "model.weft") as archive:
        return archive.read("exact.txt").decode()


def run_all(bench, cases):
    """All cases, the table and what went wrong; the exit code."""
    os.nice(max(10 - os.nice(0), 0))
    for case in cases:
        try:
            bench.run(*case)
        except (WeftError, FileNotFoundError) as error:
            bench.problems.append(f"{case[0]}: {error}")
    bench.table()
    if bench.problems:
        print("\n" + "\n".join(bench.problems))
    return 1 if bench.problems else 0


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weft", required=True, type=pathlib.Path)
    parser.add_argument("--peers", required=True, help="python with bench/requirements-adders.txt")
    parser.add_argument("--data", type=pathlib.Path, default=ROOT.parent / "shared/data")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build/bench-networks")
    parser.add_argument("--part", default="xcvu9p")
    parser.add_argument("--clock-ns", type=float, default=5.0)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--simulate", type=int, default=3000, help="netlists of peers up to so many LUTs are simulated")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for one run of Yosys")
    parser.add_argument("cases", nargs="*", help="default: all, smallest first")
    options = parser.parse_args()
    unknown = set(options.cases) - {c[0] for c in CASES}
    if unknown:
        parser.error(f"no case {', '.join(sorted(unknown))}; there are {', '.join(c[0] for c in CASES)}")
    bench = Bench(options)
    return run_all(bench, [case for case in CASES if not options.cases or case[0] in options.cases])


if __name__ == "__main__":
    sys.exit(main())
