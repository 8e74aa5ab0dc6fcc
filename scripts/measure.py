# SPDX-License-Identifier: Apache-2.0
"""Runs the whole journey on models with the `weft` command and prints one row each: what the README's table shows.

    python3 scripts/measure.py --weft build/release/bin/weft --work DIR --table MODEL [--data X.npy] [--labels Y.npy]
                               [--family xcup] [--convert-option ...]

Needs numpy only when the speed of the emulator is asked for (--speed).
"""

import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import time

COLUMNS = ["model", "certificate", "samples/s", "latency", "LUT", "FF", "DSP", "predicted LUT", "vectors", "mismatches", "to verified Verilog"]


class WeftError(Exception):
    """The command failed; the text is what it said."""


class Weft:
    """The command line, its JSON answers and a log of everything that was run."""

    def __init__(self, binary, work, echo=False):
        self.binary, self.work, self.echo = str(binary), pathlib.Path(work), echo
        self.work.mkdir(parents=True, exist_ok=True)
        self.log = (self.work / "commands.log").open("a")

    def run(self, *words, timeout=3600, check=True, env=None):
        """(answer, seconds, exit code) of `weft WORDS --json`."""
        command = [self.binary, *map(str, words), "--json"]
        if self.echo:
            print("$ weft " + " ".join(map(str, words)), flush=True)
        started = time.monotonic()
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=env and {**os.environ, **env})
        seconds = time.monotonic() - started
        self.log.write(f"$ {' '.join(command)}\n{done.stdout}{done.stderr}exit {done.returncode}, {seconds:.2f} s\n\n")
        self.log.flush()
        try:
            answer = json.loads(done.stdout) if done.stdout.strip() else {}
        except json.JSONDecodeError as error:
            raise WeftError(f"{words[0]}: stdout is not one JSON object ({error}):\n{done.stdout[:500]}") from None
        if check and done.returncode != 0:
            said = [f"{d['severity']}: {d['message']} [{d['kind']}]" for d in answer.get("diagnostics", [])]
            raise WeftError(f"{words[0]} ended with {done.returncode}: " + ("; ".join(said) or done.stderr.strip()[-500:]))
        return answer, seconds, done.returncode


def speed(weft, project, inputs, seconds=1.0):
    """Samples per second of one core on random inputs, with a batch that takes about a second."""
    import numpy as np

    rng = np.random.default_rng(0)

    def once(count):
        arrays = {i["name"]: rng.normal(0, 1, (count, *i["shape"])).astype(np.float32) for i in inputs}
        path = weft.work / "speed.npz"
        np.savez(path, **arrays)
        answer, _, _ = weft.run("predict", project, path, "--threads", 1)
        return answer["samples_per_second"], answer["seconds"]

    count = 1000
    rate, took = once(count)
    elements = sum(int(np.prod(i["shape"])) for i in inputs)
    count = int(min(max(rate * seconds, count), 2e8 / max(elements, 1)))
    return max(once(count)[0] for _ in range(2)) if count > 1000 else rate


def journey(weft, model, name=None, convert=(), data=None, labels=None, samples=1000, family="xcup", per_module=False,
            simulator="verilator", synth=True, measure_speed=True, synth_timeout=900):
    """Converts, verifies, synthesizes. Returns a dict with the figures of a row and the raw answers."""
    name = name or pathlib.Path(model).stem
    project = weft.work / re.sub(r"[^\w.-]", "_", name)
    row = {"model": name, "project": project}
    started = time.monotonic()
    row["convert"], _, _ = weft.run("convert", model, "-o", project, *convert)
    row["verify"], _, _ = weft.run("verify", project, *([data] if data else []), "--samples", samples, "--simulator", simulator, check=False)
    row["seconds"] = time.monotonic() - started
    row["certificate"] = row["convert"]["network_certificate"]
    if synth:
        options = ["--family", family, *(["--per-module"] if per_module else [])]
        row["synth"], row["synth_seconds"], _ = weft.run("synth", project, *options, timeout=synth_timeout)
    if measure_speed:
        row["speed"] = speed(weft, project, row["convert"]["inputs"]) if "inputs" in row["convert"] else None
    if data and labels:
        row["compare"], _, _ = weft.run("compare", project, data, "--labels", labels)
    return row


def figures(row):
    """The texts of COLUMNS."""
    verify, synth, predicted = row["verify"], row.get("synth", {}), row["convert"].get("predicted", {})
    number = lambda value: "-" if value is None else f"{value:,.0f}"
    return [
        row["model"],
        row["certificate"],
        number(row.get("speed")),
        number(verify.get("latency_cycles")),
        number(synth.get("lut")),
        number(synth.get("ff")),
        number(synth.get("dsp")),
        number(predicted.get("lut")),
        number(verify.get("samples")),
        number(verify.get("mismatches")),
        f"{row['seconds']:.1f} s",
    ]


def print_table(rows, columns=COLUMNS):
    """Prints the rows below the columns; columns that no row fills are left out."""
    filled = [i for i in range(len(columns)) if not rows or any(row[i] != "-" for row in rows)]
    texts = [[row[i] for i in filled] for row in (columns, *rows)]
    widths = [max(len(str(t[i])) for t in texts) for i in range(len(filled))]
    for index, text in enumerate(texts):
        print("| " + " | ".join(str(c).ljust(w) if i == 0 else str(c).rjust(w) for i, (c, w) in enumerate(zip(text, widths))) + " |")
        if index == 0:
            print("|" + "|".join("-" * (w + 2) for w in widths) + "|")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weft", required=True)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--table", action="store_true", help="print the table")
    parser.add_argument("--speed", action="store_true", help="measure the emulator too (needs numpy)")
    parser.add_argument("--family", default="xcup")
    parser.add_argument("--samples", type=int, default=1000)
    parser.add_argument("--data")
    parser.add_argument("--labels")
    parser.add_argument("models", nargs="+")
    options = parser.parse_args()
    weft = Weft(options.weft, options.work, echo=True)
    rows, bad = [], False
    for model in options.models:
        try:
            row = journey(weft, model, data=options.data, labels=options.labels, samples=options.samples, family=options.family,
                          measure_speed=options.speed)
        except WeftError as error:
            print(f"{model}: {error}", file=sys.stderr)
            return 1
        rows.append(row)
        verify = row["verify"]
        bad |= verify.get("mismatches") != 0 or verify.get("latency_cycles") != verify.get("predicted_latency_cycles")
    if options.table:
        print()
        print_table([figures(r) for r in rows])
        for row in rows:
            if "compare" in row:
                c = row["compare"]
                print(f"\n{row['model']}: accuracy {c['accuracy_float']:.4f} as trained, {c['accuracy_exact']:.4f} as hardware; "
                      f"synthesis took {row['synth_seconds']:.1f} s")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
