# SPDX-License-Identifier: Apache-2.0
"""Bit exactness at large: drawn networks in Verilator, mapped netlists, and netlists with a fault put in.

    python3 scripts/campaign.py --weft build/release/bin/weft [--networks 500] [--netlists 20] [--mutants 200 --mutated 5]
                                [--seed 1] [--seconds LIMIT] [--batch 12] [--work FOLDER]

1. Networks (bench/drawn_layers.py): shapes, types, sparsity and functions are drawn. Each is converted; `weft verify` draws
   vectors and runs them in Icarus, then the same benches run in Verilator, several networks in one program. Zero
   mismatches, latency and interval as predicted. A network that fails leaves one file: a `.weft` with its options.
2. The netlists that Yosys maps the first networks of at least --least LUTs to, with the same vectors and bench.
3. Mutants of mapped netlists (netlist_mutants.py): caught by the vectors, proven equivalent, undecided, or alive.

The seconds bound the run: what there was no time for is said, and not counted as right.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import time
import zipfile

import mapping
import netlist_mutants
import netlist_sim
from measure import Weft, WeftError

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "bench"))
import drawn_layers
import exact_graph


class Campaign:
    def __init__(self, options):
        self.options = options
        self.work = options.work.resolve()
        shutil.rmtree(self.work, ignore_errors=True)
        self.work.mkdir(parents=True)
        self.started = time.monotonic()
        self.failures = []
        self.refused = []
        self.counts = {}

    def left(self):
        return self.options.seconds - (time.monotonic() - self.started) if self.options.seconds else 1e9

    def say(self, text):
        print(text, flush=True)

    # --- networks
    def prepare(self, index):
        """Converts one network and verifies it in Icarus; its row, or None when it is refused."""
        name, convert, content = drawn_layers.network(self.options.seed, index)
        top = f"t{index}"
        folder = self.work / top
        folder.mkdir()
        file = folder / f"{name}.weft"
        file.write_bytes(content)
        row = {"index": index, "name": name, "top": top, "project": folder / "p", "convert": convert, "file": file}
        weft = Weft(self.options.weft, folder)
        try:
            answer, _, _ = weft.run("convert", file, "-o", row["project"], "--top", top, *convert, timeout=300)
        except WeftError as error:
            self.refused.append(f"{name}: {str(error)[:200]}")
            return None
        row["predicted"] = answer["predicted"]
        check, _, code = weft.run("verify", row["project"], "--samples", self.options.samples, "--simulator", "iverilog", check=False)
        row["samples"] = check.get("samples", 0)
        if code != 0 or check.get("mismatches") != 0:
            self.fail(row, "verify", json.dumps({k: v for k, v in check.items() if k != "diagnostics"}))
        return row

    def fail(self, row, stage, text):
        """Leaves one file that holds the network, its options and what went wrong."""
        file = self.work / f"failed_{row['top']}_{stage}.weft"
        shutil.copy(row["file"], file)
        with zipfile.ZipFile(file, "a") as archive:
            archive.writestr("campaign.json", json.dumps({"seed": self.options.seed, "index": row["index"], "stage": stage, "text": text,
                                                          "convert": row["convert"]}, indent=1))
        self.failures.append(f"{row['name']} (seed {self.options.seed}, index {row['index']}) in {stage}: {text}; {file}")
        self.say("FAILED " + self.failures[-1])

    def verilate(self, rows, number):
        """The benches of several projects in one program."""
        folder = self.work / f"batch{number}"
        folder.mkdir()
        longest = max(r["predicted"]["latency_cycles"] for r in rows)
        samples = max(r["samples"] for r in rows)
        runner = ["`timescale 1ns / 1ps", "module runner;"]
        sources = ["runner.v"]
        for r in rows:
            runner.append(f'  {r["top"]}_tb #(.SAMPLES({r["samples"]}), .FINISH(0)) b_{r["top"]} ();')
            # The folder as a literal: with random values at the start Verilator leaves some in a string that is a parameter.
            bench = (r["project"] / "tb" / f"{r['top']}_tb.v").read_text()
            (folder / f"{r['top']}_tb.v").write_text(re.sub(r'"%0s(/tb/\w+\.hex)", dir\)', rf'"{r["project"]}\1")', bench))
            sources += [*map(str, sorted((r["project"] / "rtl").glob("*.v"))), f"{r['top']}_tb.v"]
        # A held-back clock takes half as long again.
        runner += [f"  initial #{20 * (2 * longest + 2 * samples + 60)} $finish;", "endmodule"]
        (folder / "runner.v").write_text("\n".join(runner) + "\n")
        command = ["verilator", "--binary", "--timing", "-O1", "-Wno-fatal", "-Wno-lint", "-Wno-style", "--x-assign", "unique", "--x-initial", "unique",
                   "-MAKEFLAGS", "OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0", "-j", "1", "--top-module", "runner", "--Mdir", "obj", *sources]
        environment = dict(os.environ)
        if shutil.which("ccache"):
            environment["OBJCACHE"] = "ccache"
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, env=environment)
        if done.returncode != 0:
            for r in rows:
                self.fail(r, "verilator", "not compiled: " + (done.stderr or done.stdout)[-300:])
            return 0
        said = subprocess.run(["obj/Vrunner", "+verilator+rand+reset+2", f"+verilator+seed+{number + 1}"], cwd=folder, capture_output=True, text=True,
                              errors="replace").stdout
        right = 0
        for r in rows:
            line = re.search(rf"\bb_{r['top']}: WEFT_TB samples=(\d+) mismatches=(\d+) latency=(-?\d+) interval=(\d+)", said)
            if not line:
                self.fail(r, "verilator", "no result")
                continue
            found = [int(v) for v in line.groups()]
            wanted = [r["samples"], 0, r["predicted"]["latency_cycles"], r["predicted"]["interval_cycles"]]
            if found != wanted:
                self.fail(r, "verilator", f"samples, mismatches, latency, interval {found}, wanted {wanted}")
            else:
                right += 1
        shutil.rmtree(folder)
        return right

    def networks(self):
        rows, right, done = [], 0, 0
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            index = 0
            while done < self.options.networks and self.left() > 0:
                # A refused network is replaced by the next one.
                wanted = min(self.options.batch * self.options.jobs, self.options.networks - done)
                batch = [r for r in pool.map(self.prepare, range(index, index + wanted)) if r]
                index += wanted
                chunks = [batch[i:i + self.options.batch] for i in range(0, len(batch), self.options.batch)]
                right += sum(pool.map(self.verilate, chunks, range(index, index + len(chunks))))
                done += len(batch)
                rows += batch
                self.say(f"  {done} networks after {time.monotonic() - self.started:.0f} s: {right} right, {len(self.failures)} failures")
        vectors = sum(r["samples"] for r in rows)
        self.say(f"networks: {done} of {self.options.networks} simulated in Verilator and Icarus, {right} without a mismatch and with latency and "
                 f"interval as predicted; {vectors} vectors; {len(self.refused)} refused by convert")
        self.counts["networks"] = {"wanted": self.options.networks, "done": done, "right": right, "refused": len(self.refused)}
        return rows

    # --- mapped netlists
    def chosen(self, rows):
        """Networks with enough logic, in the order drawn."""
        return [r for r in rows if r["predicted"]["lut"] >= self.options.least and r["predicted"]["lut"] <= self.options.most
                and not r["predicted"]["bram18"] and not r["predicted"]["dsp"]]

    def map(self, row):
        return mapping.mapped(sorted((row["project"] / "rtl").glob("*.v")), row["top"], cache=self.work / "mapped", timeout=1800)

    def netlist(self, row):
        """Mismatches of the mapped netlist under the project's own bench, None when it gives no result."""
        result = self.map(row)
        folder = self.work / f"netlist_{row['top']}"
        folder.mkdir()
        bench = f"{row['top']}_tb"
        subprocess.run(["iverilog", "-g2005-sv", f"-P{bench}.SAMPLES={row['samples']}", "-s", bench, "-o", "simulator",
                        str(row["project"] / "tb" / f"{bench}.v"), str(result["netlist"]), str(netlist_sim.MODELS)], cwd=folder, check=True, capture_output=True)
        said = subprocess.run(["vvp", "-n", "simulator", f"+dir={row['project']}"], cwd=folder, capture_output=True, text=True).stdout
        line = re.search(r"WEFT_TB samples=(\d+) mismatches=(\d+) latency=(-?\d+)", said)
        found = [int(v) for v in line.groups()] if line else None
        wanted = [row["samples"], 0, row["predicted"]["latency_cycles"]]
        if found != wanted:
            self.fail(row, "netlist", f"samples, mismatches, latency {found}, wanted {wanted}")
        return found == wanted

    def netlists(self, rows):
        picked = self.chosen(rows)[:self.options.netlists]
        right = done = 0
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            for good in pool.map(lambda r: self.netlist(r) if self.left() > 0 else None, picked):
                done += good is not None
                right += good is True
        self.say(f"netlists: {done} of {self.options.netlists} mapped by Yosys and simulated with the same vectors, {right} without a mismatch")
        self.counts["netlists"] = {"wanted": self.options.netlists, "done": done, "right": right}

    # --- mutants
    def ranges(self, row):
        graph = exact_graph.read(row["project"] / "model.weft")
        return {name: graph.values[value].ranges for name, value in graph.inputs}

    def mutate(self, row):
        """Counts of one design."""
        result = self.map(row)
        folder = self.work / f"mutants_{row['top']}"
        folder.mkdir()
        netlist = netlist_mutants.Netlist(result["netlist"], row["top"], folder)
        mutants = netlist.draw(random.Random(f"{self.options.seed} {row['index']}"), self.options.mutants)
        log = []
        log.append(f"  {row['name']}: {result['lut']} LUT, {result['ff']} FF, latency {row['predicted']['latency_cycles']}, {len(mutants)} mutants")
        found = netlist_mutants.caught(netlist, mutants, row["project"], folder, row["predicted"]["latency_cycles"], log.append)
        legal = netlist_mutants.legal_inputs(netlist, json.loads((row["project"] / "interface.json").read_text()), self.ranges(row))
        counts = {"mutants": len(mutants), "caught": len(found), "equivalent": 0, "undecided": 0, "alive": 0}
        for m in mutants:
            if m.number in found:
                continue
            verdict = netlist_mutants.equivalent(netlist, m, legal, folder, self.options.proof_seconds) if self.left() > 0 else None
            what = {True: "equivalent", False: "alive", None: "undecided"}[verdict]
            counts[what] += 1
            if what != "equivalent":
                log.append(f"    {what}: {m}")
        log.append("    " + ", ".join(f"{v} {k}" for k, v in counts.items()))
        self.say("\n".join(log))
        return counts

    def mutations(self, rows):
        # Without a clock enable: a register left out is proven for registers that always run.
        picked = [r for r in self.chosen(rows) if "--clock-enable" not in r["convert"]][:self.options.mutated]
        total = {"mutants": 0, "caught": 0, "equivalent": 0, "undecided": 0, "alive": 0}
        with concurrent.futures.ThreadPoolExecutor(self.options.jobs) as pool:
            for counts in pool.map(lambda r: self.mutate(r) if self.left() > 0 else {}, picked):
                for key, value in counts.items():
                    total[key] += value
        share = 100.0 * (total["caught"] + total["equivalent"]) / total["mutants"] if total["mutants"] else 0.0
        self.say(f"mutants: {total['mutants']} of {len(picked)} designs: {total['caught']} caught, {total['equivalent']} proven equivalent, "
                 f"{total['undecided']} undecided, {total['alive']} alive; {share:.2f} % caught or equivalent")
        self.counts["mutants"] = total | {"designs": len(picked), "percent": share}
        return share

    def run(self):
        self.say(f"seed {self.options.seed}")
        rows = self.networks()
        good = not self.failures and self.counts["networks"]["done"] == self.options.networks
        if self.options.netlists:
            self.netlists(rows)
            good = good and self.counts["netlists"]["right"] == self.options.netlists
        if self.options.mutated:
            good = self.mutations(rows) >= 99.0 and self.counts["mutants"]["designs"] == self.options.mutated and good
        for text in self.refused:
            self.say("refused " + text)
        (self.work / "results.json").write_text(json.dumps(self.counts | {"failures": self.failures, "refused": self.refused}, indent=1))
        self.say(f"{time.monotonic() - self.started:.0f} s; {'all as wanted' if good and not self.failures else 'NOT as wanted'}")
        return 0 if good and not self.failures else 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--weft", required=True, type=pathlib.Path)
    parser.add_argument("--networks", type=int, default=500)
    parser.add_argument("--samples", type=int, default=1000, help="vectors per network")
    parser.add_argument("--netlists", type=int, default=20)
    parser.add_argument("--mutants", type=int, default=200, help="per mutated design")
    parser.add_argument("--mutated", type=int, default=5)
    parser.add_argument("--least", type=int, default=60, help="predicted LUTs of a design whose netlist is simulated")
    parser.add_argument("--most", type=int, default=2000)
    parser.add_argument("--proof-seconds", type=int, default=60, help="for each proof of equivalence")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--seconds", type=float, default=0, help="begin nothing new after so many seconds (0: no limit)")
    parser.add_argument("--batch", type=int, default=12, help="networks in one Verilator program")
    parser.add_argument("--jobs", type=int, default=os.cpu_count())
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "build/campaign")
    options = parser.parse_args()
    options.weft = options.weft.resolve()
    return Campaign(options).run()


if __name__ == "__main__":
    sys.exit(main())
