# SPDX-License-Identifier: Apache-2.0
"""Opens every model file of the data folder, predicts, compares with the real framework, and writes docs/generated/model-support.md.

    python3 scripts/model_support.py --weft BIN [--sanitized BIN] --data DIR --work DIR [--environment KIND=PYTHON ...] [--write FILE]

A model counts as read when `weft inspect`, `weft predict --float` and `weft predict` answer. The comparison is between the float run
and the framework's outputs on the same inputs, standard normal ones on a grid of 2^-6. Answers 1 when a file crashes, hangs or is
refused without a diagnostic, when an output differs, or when 5 % of the files or more are refused.
"""

import argparse
import json
import os
import pathlib
import subprocess
import sys

import numpy as np

from measure import Weft, WeftError, print_table

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOTE = "<!-- Written by `./dev support`; do not edit. -->\n"
ROWS, SECONDS = 4, 300
# What the issue of a file says about its inputs and a user would have to know.
OPTIONS = {"unsw_nb15-mlp-w2a2.onnx": ["--input-type", "bipolar"], "TFC_1W1A.onnx": ["--input-type", "ufixed<8,0>"],
           "TFC_2W2A.onnx": ["--input-type", "ufixed<8,0>"], "bnn_model_fc_1layer.onnx": ["--input-type", "bipolar"]}
SUFFIXES = {".h5", ".keras", ".json", ".onnx", ".tflite", ".pt2", ".ubj", ".model", ".txt"}
# Relative and absolute: float32 sums in another order.
TOLERANCE = 1e-4


def models(folder):
    """(path, weights or None) of every model; a weight file belongs to the architecture with the longest common name."""
    files = [p for p in sorted(folder.rglob("*")) if p.is_file() and p.suffix in SUFFIXES and "test_data" not in str(p.parent)]
    weights = [p for p in files if p.stem.endswith("_weights")]
    for path in files:
        if path in weights:
            continue
        beside = [p for p in files if p.suffix == ".json" and p.parent == path.parent and p not in weights]
        own = [w for w in weights if w.parent == path.parent and path.suffix == ".json"
               and path == max((p for p in beside if w.stem.startswith(p.stem + "_")), key=lambda p: len(p.stem), default=None)]
        if path.suffix == ".json" and "trees" not in path.parts and not own:
            continue  # the architecture of models that hold it themselves
        for w in own or [None]:
            yield path, w
    for path in sorted(folder.rglob("saved_model.pb")):
        yield path.parent, None


class Support:
    def __init__(self, options):
        self.options, self.weft = options, Weft(options.weft, pathlib.Path(options.work))
        self.work, self.rows, self.failures = self.weft.work, [], []
        self.environments = dict(text.split("=", 1) for text in options.environment)

    def inputs_of(self, name, answer):
        rng = np.random.default_rng(len(name))
        out = {}
        for port in answer["inputs"]:
            x = np.rint(rng.normal(size=(ROWS, *port["shape"])) * 64) / 64
            if "ufixed" in port["type"] or port["type"].startswith("uint"):
                x = np.abs(x) % 1.0
            if port["type"] == "bipolar":
                x = np.where(x >= 0, 1.0, -1.0)
            out[port["name"]] = x.astype(np.float32)
        return out

    def reference(self, path, weights, inputs):
        """(outputs, who made them) or (None, why not)."""
        why = "no framework of this format in an environment"
        np.savez(self.work / "reference_in.npz", **{str(i): x for i, x in enumerate(inputs.values())})
        kinds = {".onnx": ("onnxruntime", "qonnx-quant"), ".h5": ("qkeras", "hgq2"), ".json": ("qkeras",), ".keras": ("hgq2", "keras3"),
                 ".tflite": ("keras3",), "": ("keras3",)}.get(path.suffix, ())
        for kind in kinds:
            if kind not in self.environments:
                continue
            command = [self.environments[kind], ROOT / "tests/interop/reference_outputs.py", path, self.work / "reference_in.npz",
                       self.work / "reference_out.npz", *(["--weights", weights] if weights else [])]
            try:
                done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=SECONDS)
            except subprocess.TimeoutExpired:
                why = f"{kind}: longer than {SECONDS} s"
                continue
            if done.returncode == 0:
                with np.load(self.work / "reference_out.npz", allow_pickle=False) as data:
                    return [data[str(i)] for i in range(len(data.files))], done.stdout.strip().splitlines()[-1]
            why = f"{kind}: " + (done.stderr.strip().splitlines() or ["no message"])[-1][:160]
        return None, why

    def run(self, path, weights):
        name = str(path.relative_to(self.options.data / "models")) + (f" + {weights.name}" if weights else "")
        row = {"name": name, "state": "read", "word": "", "compared": "", "note": ""}
        self.rows.append(row)
        more = [*(["--weights", weights] if weights else []), *OPTIONS.get(path.name, [])]
        try:
            answer, _, code = self.weft.run("inspect", path, *more, check=False, timeout=SECONDS)
        except subprocess.TimeoutExpired:
            return self.fail(row, f"inspect took longer than {SECONDS} s")
        if self.options.sanitized:
            env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
            try:
                done = subprocess.run([self.options.sanitized, "inspect", str(path), *map(str, more), "-q"], capture_output=True,
                                      text=True, timeout=4 * SECONDS, env=env)
                if done.returncode not in (0, 1):
                    self.fail(row, f"the sanitized build ended with {done.returncode}")
            except subprocess.TimeoutExpired:
                row["note"] = "the sanitized build needs longer than we waited"
        errors = [d for d in answer.get("diagnostics", []) if d["severity"] == "error"]
        if code != 0:
            if code != 1 or not errors:
                return self.fail(row, f"inspect ended with {code} and {len(errors)} errors")
            first = errors[0]
            row.update(state="refused", note=f"{first['origin'].get('node', '')} {first['origin'].get('op', '')}: {first['message']}"
                       + (f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""))
            return
        row["word"] = answer.get("network_certificate", "")
        inputs = self.inputs_of(name, answer)
        np.savez(self.work / "x.npz", **inputs)
        try:
            for how in (["--float"], []):
                out = self.work / ("float.npz" if how else "exact.npz")
                self.weft.run("predict", path, self.work / "x.npz", "-o", out, *more, *how, timeout=SECONDS)
        except (WeftError, subprocess.TimeoutExpired) as error:
            return self.fail(row, str(error)[:300])
        with np.load(self.work / "float.npz") as data:
            mine = [data[k] for k in data.files]
        theirs, by = self.reference(path, weights, inputs)
        if theirs is None:
            row["compared"] = f"not compared ({by})"
            return
        if len(mine) != len(theirs):
            return self.fail(row, f"{len(mine)} outputs, {by} has {len(theirs)}")
        worst = 0.0
        for a, b in zip(mine, theirs):
            a, b = a.astype(np.float64).reshape(ROWS, -1), np.asarray(b, np.float64).reshape(ROWS, -1)
            if a.shape != b.shape:
                return self.fail(row, f"{a.shape[1]} output elements, {by} has {b.shape[1]}")
            worst = max(worst, float(np.max(np.abs(a - b), initial=0) / max(1.0, float(np.max(np.abs(b), initial=0)))))
        row["compared"] = f"{by}: " + ("equal" if worst == 0 else f"within {10.0 ** np.ceil(np.log10(worst)):.0e}")
        if worst > TOLERANCE:
            self.fail(row, f"differs from {by} by {worst:.3g}")

    def fail(self, row, text):
        row["state"] = "FAILS" if row["state"] != "refused" else row["state"]
        row["note"] = text
        self.failures.append(f"{row['name']}: {text}")

    def page(self):
        read, refused = (sum(r["state"] == s for r in self.rows) for s in ("read", "refused"))
        equal = sum("equal" in r["compared"] for r in self.rows)
        within = sum("within" in r["compared"] for r in self.rows)
        text = f"{NOTE}# Public model files\n\nEvery model file of the data folder: {len(self.rows)} files, {read} read, {refused} refused by "
        text += f"name. Float run and framework on the same inputs: {equal} equal to the last bit, {within} within the stated difference "
        text += "(relative to the largest output).\n\n| file | | certificate | compared with | |\n|---|---|---|---|---|\n"
        for r in self.rows:
            text += "| " + " | ".join(str(r[k]).replace("|", "\\|").replace("\n", " ") for k in ("name", "state", "word", "compared", "note")) + " |\n"
        return text


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weft", required=True)
    parser.add_argument("--sanitized")
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--work", required=True)
    parser.add_argument("--environment", action="append", default=[], metavar="KIND=PYTHON")
    parser.add_argument("--write", type=pathlib.Path)
    parser.add_argument("--only", default="", help="part of a file's path")
    options = parser.parse_args()
    support = Support(options)
    for path, weights in models(options.data / "models"):
        if options.only in str(path):
            support.run(path, weights)
            r = support.rows[-1]
            print(f"{r['state']:8} {r['name']}  {r['word']}  {r['compared']}  {r['note']}", flush=True)
    if options.write:
        options.write.write_text(support.page())
    refused = sum(r["state"] == "refused" for r in support.rows)
    print_table([[str(len(support.rows)), str(refused), str(len(support.failures))]], ["files", "refused", "failures"])
    for text in support.failures:
        print("  " + text)
    return 1 if support.failures or refused * 20 >= len(support.rows) else 0


if __name__ == "__main__":
    sys.exit(main())
