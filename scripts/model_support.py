# SPDX-License-Identifier: Apache-2.0
"""Opens every model file of the data folder, predicts, compares with the real framework, and writes docs/generated/model-support.md.

    python3 scripts/model_support.py --weft BIN [--sanitized BIN] --data DIR --work DIR [--environment KIND=PYTHON ...] [--write FILE]

A model counts as read when `weft inspect`, `weft predict --float` and `weft predict` answer. The comparison is between the float run
and the framework's outputs on the same inputs, standard normal ones on a grid of 2^-6. Answers 1 when a file crashes, hangs or is
refused without a diagnostic, when an output differs, or when 5 % of the files or more are refused. A run that was interrupted goes
on with --resume.
"""

import argparse
import json
import os
import pathlib
import select
import subprocess
import sys

import numpy as np

from measure import Weft, WeftError, print_table

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOTE = "<!-- Written by `./dev support`; do not edit. -->\n"
ROWS = 4
# What the issue of a file says about its inputs and a user would have to know.
OPTIONS = {"unsw_nb15-mlp-w2a2.onnx": ["--input-type", "bipolar"], "TFC_1W1A.onnx": ["--input-type", "ufixed<8,0>"],
           "TFC_2W2A.onnx": ["--input-type", "ufixed<8,0>"], "garnet_1layer.json": ["--input-type", "input_2=uint<8>"],
           "bnn_model_fc_1layer.onnx": ["--input-type", "bipolar"]}
SUFFIXES = {".h5", ".keras", ".json", ".onnx", ".tflite", ".pt2", ".ubj", ".model", ".txt"}
# Relative and absolute: float32 sums in another order.
TOLERANCE = 1e-4
# Results of a network certified `float-order` that may be rounded otherwise.
FLIPS = 0.02


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
        self.running = {}
        self.kept = self.work / "rows.jsonl"
        self.done = {}
        if options.resume and self.kept.exists():
            self.done = {row["name"]: row for row in map(json.loads, self.kept.read_text().splitlines())}
        elif self.kept.exists():
            self.kept.unlink()

    def inputs_of(self, name, answer):
        rng = np.random.default_rng(len(name))
        out = {}
        for port in answer["inputs"]:
            x = np.rint(rng.normal(size=(ROWS, *port["shape"])) * 64) / 64
            if "ufixed" in port["type"]:
                x = np.floor(np.abs(x) * 64) % (port["range"][1] + 1) if port["scale"] == 1 else np.abs(x) % 1.0
            if port["type"] == "bipolar":
                x = np.where(x >= 0, 1.0, -1.0)
            out[port["name"]] = x.astype(np.float32)
        return out

    def reference(self, path, weights, inputs):
        """(outputs, who made them) or (None, why not)."""
        whys = []
        np.savez(self.work / "reference_in.npz", **{str(i): x for i, x in enumerate(inputs.values())})
        kinds = {".onnx": ("onnxruntime", "qonnx-quant"), ".h5": ("qkeras", "hgq2"), ".json": ("qkeras",), ".keras": ("hgq2", "keras3"),
                 ".tflite": ("keras3",), "": ("keras3",)}.get(path.suffix, ())
        for kind in () if "trees" in path.parts and path.suffix == ".json" else kinds:
            if kind not in self.environments:
                continue
            found = self.ask(kind, {"model": str(path), "inputs": str(self.work / "reference_in.npz"),
                                    "outputs": str(self.work / "reference_out.npz"), "weights": weights and str(weights)})
            if "by" in found:
                with np.load(self.work / "reference_out.npz", allow_pickle=False) as data:
                    return [data[str(i)] for i in range(len(data.files))], found["by"]
            whys.append(f"{kind}: {found['error']}")
        return None, "; ".join(whys) or "no framework of this format in an environment"

    def ask(self, kind, request):
        """The answer of an environment's process, which lives for many models: frameworks take long to start."""
        if kind not in self.running or self.running[kind].poll() is not None:
            command = [self.environments[kind], str(ROOT / "tests/interop/reference_outputs.py")]
            self.running[kind] = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                                  stderr=subprocess.DEVNULL, text=True)
        process = self.running[kind]
        process.stdin.write(json.dumps(request) + "\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], self.options.seconds)
        line = process.stdout.readline() if ready else ""
        if line:
            return json.loads(line)
        process.kill()
        code = process.wait()
        return {"error": f"ended with {code}" if ready else f"longer than {self.options.seconds} s"}

    def run(self, path, weights):
        name = str(path.relative_to(self.options.data / "models")) + (f" + {weights.name}" if weights else "")
        row = self.done.get(name)
        if row is None:
            row = {"name": name, "state": "read", "word": "", "compared": "", "note": ""}
            self.look_at(path, weights, row)
            with self.kept.open("a") as file:
                file.write(json.dumps(row) + "\n")
        self.rows.append(row)
        if row["state"] == "FAILS":
            self.failures.append(f"{name}: {row['note']}")

    def look_at(self, path, weights, row):
        name, seconds = row["name"], self.options.seconds
        more = [*(["--weights", weights] if weights else []), *OPTIONS.get(path.name, [])]
        try:
            answer, _, code = self.weft.run("inspect", path, *more, check=False, timeout=seconds)
        except subprocess.TimeoutExpired:
            return self.fail(row, f"inspect took longer than {seconds} s")
        if self.options.sanitized:
            env = {**os.environ, "ASAN_OPTIONS": "detect_leaks=0"}
            try:
                done = subprocess.run([self.options.sanitized, "inspect", str(path), *map(str, more), "-q"], capture_output=True,
                                      text=True, timeout=4 * seconds, env=env)
                if done.returncode not in (0, 1):
                    self.fail(row, f"the sanitized build ended with {done.returncode}")
            except subprocess.TimeoutExpired:
                row["note"] = f"the sanitized build needs longer than {4 * seconds} s"
        errors = [d for d in answer.get("diagnostics", []) if d["severity"] == "error"]
        if code != 0:
            if code != 1 or not errors:
                return self.fail(row, f"inspect ended with {code} and {len(errors)} errors")
            if row["state"] == "FAILS":
                return
            first = errors[0]
            row.update(state="refused", note=f"{first['origin'].get('node', '')} {first['origin'].get('op', '')}: {first['message']}"
                       + (f" (and {len(errors) - 1} more)" if len(errors) > 1 else ""))
            return
        row["word"] = answer.get("network_certificate", "")
        inputs = self.inputs_of(name, answer)
        np.savez(self.work / "x.npz", **inputs)
        for how in ("float", "exact"):
            options = ["--float"] if how == "float" else []
            try:
                self.weft.run("predict", path, self.work / "x.npz", "-o", self.work / f"{how}.npz", *more, *options, timeout=seconds)
            except WeftError as error:
                return self.fail(row, str(error)[:300])
            except subprocess.TimeoutExpired:
                if how == "float":
                    return self.fail(row, f"the float run took longer than {seconds} s")
                row.update(state="float", note=f"the run in integers takes longer than {seconds} s")
        with np.load(self.work / "float.npz") as data:
            mine = [data[k] for k in data.files]
        theirs, by = self.reference(path, weights, inputs)
        if theirs is None:
            row["compared"] = f"not compared ({by})"
            return
        if len(mine) != len(theirs):
            return self.fail(row, f"{len(mine)} outputs, {by} has {len(theirs)}")
        worst, near, beyond, total = 0.0, 0.0, 0, 0
        for a, b in zip(mine, theirs):
            a, b = a.astype(np.float64).reshape(ROWS, -1), np.asarray(b, np.float64).reshape(ROWS, -1)
            if a.shape != b.shape:
                return self.fail(row, f"{a.shape[1]} output elements, {by} has {b.shape[1]}")
            difference = np.abs(a - b) / max(1.0, float(np.max(np.abs(b), initial=0)))
            worst = max(worst, float(np.max(difference, initial=0)))
            near = max(near, float(np.max(difference[difference <= TOLERANCE], initial=0)))
            beyond, total = beyond + int((difference > TOLERANCE).sum()), total + a.size
        within = lambda value: "equal" if value == 0 else f"within {10.0 ** np.ceil(np.log10(value)):.0e}"
        row["compared"] = f"{by}: {within(worst)}"
        if beyond and row["word"] == "float-order" and beyond <= FLIPS * total:
            # What the certificate says: an addition in another order may change a rounding in front of a quantizer.
            row["compared"] = f"{by}: {beyond} of {total} results have another rounding, the others are {within(near)}"
        elif beyond:
            self.fail(row, f"differs from {by} by {worst:.3g}")

    def fail(self, row, text):
        row["state"] = "FAILS"
        row["note"] = text

    def page(self):
        read, slow, refused = (sum(r["state"] == s for r in self.rows) for s in ("read", "float", "refused"))
        equal = sum(r["compared"].endswith(": equal") for r in self.rows)
        rounded = sum("another rounding" in r["compared"] for r in self.rows)
        within = sum("within" in r["compared"] for r in self.rows) - rounded
        text = f"{NOTE}# Public model files\n\nEvery model file of the data folder: {len(self.rows)} files, {read} read and run, "
        text += f"{slow} run in float only because integers took longer than {self.options.seconds} s, {refused} refused by name. Float run and framework on the same inputs: {equal} equal to the last bit, {within} within the stated difference "
        text += f"(relative to the largest output), {rounded} with roundings that the certificate `float-order` announces.\n\n| file | | certificate | compared with | |\n|---|---|---|---|---|\n"
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
    parser.add_argument("--seconds", type=int, default=300, help="for one run of a model, here or in its framework")
    parser.add_argument("--resume", action="store_true", help="keep the rows of an earlier run in WORK (of the same build)")
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
