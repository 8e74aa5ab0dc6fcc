# SPDX-License-Identifier: Apache-2.0
"""Weft on the models of recurrent_models.py and recurrent_onnx.py: the float run against the framework, and the exact graph against it
as far as its certificate goes.

    python3 compare_recurrent.py --weft WEFT --work DIR FOLDER...

float      every output of `weft predict --float` within TOLERANCE of the framework
exact      certificate `exact` without a bound or a note: every output equal
order      `exact` or `float-order` with one: at most FLIPS of the samples differ
chosen     `quantized`: within CHOSEN of the framework, for models whose activations are bounded and that have no quantizers

Where the certificate says `quantized`, two kinds of models have no bound that a comparison could hold them to, so that their exact graph
is not compared: `unbounded` activations, whose chosen types saturate at values that depend on the weights, and models with `quantizers`
of their own, which turn a difference below CHOSEN into a whole step that the recurrence carries on. They count as compared in float only.
"""

import argparse
import json
import pathlib
import sys

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

from measure import Weft, WeftError, print_table

TOLERANCE = 1e-5
CHOSEN = 0.03
FLIPS = 0.1
UNBOUNDED = {"relu", "linear", "elu", "Relu"}
# The refusal that is meant: a second direction of Bidirectional that is not reversed.
INTENDED = ("runs forwards", "gives zeros at the wrong steps")
COLUMNS = ("models", "float", "exact", "order", "chosen", "unbounded", "quantizers", "refused", "FAIL")


def outputs_of(path, answer):
    """In the order of the model; the file has them by name."""
    with np.load(path) as data:
        return [np.asarray(data[port["name"]]) for port in answer["outputs"]]


def flat(values):
    return [v.reshape(len(v), -1).astype(np.float64) for v in values]


def check(weft, path, counts, worst, judge):
    """What is wrong with one model; nothing when all is as its certificate says, and then `judge` is told the verdict and its kind."""
    meta = json.loads(path.with_suffix(".meta.json").read_text())
    with np.load(path.with_suffix(".npz")) as data:
        inputs = {k[2:]: data[k] for k in data.files if k.startswith("x:")}
        wanted = flat([data[f"y:{i}"] for i in range(sum(k.startswith("y:") for k in data.files))])
    rows, out, project = weft.work / "inputs.npz", weft.work / "out.npz", weft.work / "project"
    np.savez(rows, **inputs)
    try:
        answer, _, _ = weft.run("predict", path, rows, "-o", out, "--float", *meta["options"])
    except WeftError as error:
        counts["refused"] += 1
        if not any(text in str(error) for text in INTENDED):
            return f"refused: {error}"
        judge("refused")
        return None
    got = flat(outputs_of(out, answer))
    if [g.shape for g in got] != [w.shape for w in wanted]:
        return f"outputs {[g.shape for g in got]}, the framework has {[w.shape for w in wanted]}"
    scale = [max(1.0, float(np.abs(w).max(initial=0.0))) for w in wanted]
    away = max(float(np.abs(g - w).max(initial=0.0)) / s for g, w, s in zip(got, wanted, scale))
    worst["float"] = max(worst["float"], away)
    if not away <= TOLERANCE:
        return f"the float run is {away:.3g} away"
    counts["float"] += 1
    answer, _, code = weft.run("convert", path, "-o", project, "--effort", "fast", *meta["options"], check=False)
    if code != 0:
        counts["refused"] += 1
        return "not converted: " + "; ".join(d["message"] for d in answer.get("diagnostics", []) if d["severity"] == "error")
    word = answer["network_certificate"]
    notes = any(c["bound"] > 0 or c["notes"] for c in answer["certificate"])
    said, _, _ = weft.run("predict", project, rows, "-o", out)
    exact = flat(outputs_of(out, said))
    differ = max(float((g != w).any(axis=1).mean()) for g, w in zip(exact, wanted))
    away = max(float(np.abs(g - w).max(initial=0.0)) / s for g, w, s in zip(exact, wanted, scale))
    if word == "exact" and not notes:
        counts["exact"] += 1
        if differ:
            return f"certified exact, {differ:.0%} of the samples differ by up to {away:.3g}"
        judge("equal")
        return None
    if word != "quantized":
        counts["order"] += 1
        if differ > FLIPS:
            return f"certified {word}, {differ:.0%} of the samples differ by up to {away:.3g}"
        judge(*(("explained", "bound or note of the certificate") if differ else ("equal",)))
        return None
    if any(name in UNBOUNDED for names in meta["said"].values() for name in names) or "Relu" in str(meta["said"].get("activations")):
        counts["unbounded"] += 1
        judge("float only", "unbounded activations")
        return None
    if "quantizer" in str(meta["said"]):
        counts["quantizers"] += 1
        judge("float only", "chosen types before quantizers")
        return None
    counts["chosen"] += 1
    worst["chosen"] = max(worst["chosen"], away)
    if away > CHOSEN:
        return f"types by default are {away:.3g} away"
    judge("explained", "chosen")
    return None


def compare(weft, folder, say=print, judge=lambda *verdict: None):
    """(counts, failures) of all models in a folder; `judge` is told every model's verdict."""
    counts, worst, failures = dict.fromkeys(COLUMNS, 0), {"float": 0.0, "chosen": 0.0}, []
    for meta in sorted(folder.glob("*.meta.json"), key=lambda p: int(p.name.split("_")[1].split(".")[0])):
        stem = meta.name.removesuffix(".meta.json")
        path = next(folder / (stem + s) for s in (".keras", ".h5", ".onnx") if (folder / (stem + s)).exists())
        counts["models"] += 1
        try:
            problem = check(weft, path, counts, worst, judge)
        except WeftError as error:
            problem = str(error)
        if problem:
            counts["FAIL"] += 1
            judge("unexplained")
            failures.append(f"{path}: {problem}")
            say("FAIL  " + failures[-1])
    say(f"{folder}: float within {worst['float']:.2g}, types by default within {worst['chosen']:.2g}")
    return counts, failures


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weft", required=True)
    parser.add_argument("--work", required=True)
    parser.add_argument("folders", nargs="+", type=pathlib.Path)
    options = parser.parse_args()
    weft = Weft(options.weft, options.work)
    rows, failed = [], 0
    for folder in options.folders:
        counts, failures = compare(weft, folder)
        rows.append([folder.name, *(counts[c] for c in COLUMNS)])
        failed += len(failures)
    print_table(rows, ["folder", *COLUMNS])
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
