# SPDX-License-Identifier: Apache-2.0
"""Trees of tests/interop/tree_models.py through weft: margins of the float run are equal to the library's to the last bit; the
integers are the exact sums, within what float additions can lose, and equal where the certificate says `exact`."""

import json

import numpy as np

MOST_TREES = 8 * 3  # tree_models.py draws up to 8 of them per class
COUNTS = ("models", "margins", "equal", "answers", "integers", "of them equal")


def bits(x):
    return np.asarray(x, np.float32).ravel().view(np.int32)


def near(a, b, tolerance=1e-5):
    a, b = np.asarray(a, np.float64).ravel(), np.asarray(b, np.float64).ravel()
    return a.shape == b.shape and bool(np.all(np.abs(a - b) <= tolerance + tolerance * np.abs(b)))


def verdict(after, before):
    """On one model without problems, in the words of VERDICTS in scripts/interop.py."""
    grown = {name: after[name] - before[name] for name in COUNTS}
    equal = grown["integers"] == grown["of them equal"] and grown["margins"] == grown["equal"]
    return ("equal",) if equal else ("explained", "float additions of the library")


def compare(weft, model, work, counts):
    """Problems of one model, as texts; counts is added to."""
    problems = []
    with np.load(model.with_suffix(".npz"), allow_pickle=False) as data:
        golden = {k: data[k] for k in data}
    options = json.loads(model.with_suffix(".options.json").read_text())
    rows = work / "x.npy"
    np.save(rows, golden["x"])
    outputs, trace = {}, {}
    for mode in ("float", "exact"):
        out, layers = work / f"{mode}.npz", work / f"{mode}_trace.npz"
        weft.run("predict", model, rows, "-o", out, "--trace", layers, *options, *(["--float"] if mode == "float" else []))
        with np.load(out) as data:
            outputs[mode] = {k: data[k] for k in data}
        with np.load(layers) as data:
            trace[mode] = {k: data[k] for k in data}
    counts["models"] += 1
    report, _, _ = weft.run("convert", model, "-o", work / "project", "--effort", "fast", *options)
    certificate = {c["layer"]: c for c in report["certificate"]}

    def margins(name, expected):
        got = trace["float"][name] if name in trace["float"] else outputs["float"][name]
        same = bits(got) == bits(expected)
        # -0 and 0 are the same number.
        same |= (np.ravel(got) == 0) & (np.ravel(expected) == 0)
        counts["margins"] += same.size
        counts["equal"] += int(same.sum())
        if not same.all():
            problems.append(f"{int((~same).sum())} of {same.size} margins of `{name}` differ, "
                            f"first {np.ravel(got)[~same][0]} for {np.ravel(expected)[~same][0]}")

    if golden["layer"] != "":
        name = str(golden["layer"])
        margins(name, golden["margin"])
        answer = np.ravel(golden["answer"])
        got = np.ravel(next(iter(outputs["float"].values())))
        counts["answers"] += answer.size
        if not near(got, answer):
            problems.append(f"answers differ: {got[:3]} for {answer[:3]}")
    else:
        for key, expected in golden.items():
            if not key.startswith("y:"):
                continue
            got = outputs["float"][key[2:]]
            counts["answers"] += expected.size
            if expected.dtype.kind in "iu":
                if not np.array_equal(np.ravel(got), np.ravel(expected)):
                    problems.append(f"{key} differs: {np.ravel(got)[:5]} for {np.ravel(expected)[:5]}")
            elif not near(got, expected):
                problems.append(f"{key} differs: {np.ravel(got)[:3]} for {np.ravel(expected)[:3]}")
            elif len(trace["float"]) == 1:
                margins(key[2:], expected)
    for name, c in certificate.items():
        if c["op"] != "Forest" or name not in trace["exact"]:
            continue
        a, b = trace["exact"][name].astype(np.float64).ravel(), trace["float"][name].astype(np.float64).ravel()
        counts["integers"] += a.size
        counts["of them equal"] += int((a == b).sum())
        # The exact sum is rounded once when it is read out.
        bound = c["bound"] + np.abs(b) * 2.0**-23 if c["word"] != "exact" else 0.0
        if c["word"] == "quantized":
            # The certificate's bound is that of the float additions; each leaf of up to MOST_TREES is rounded besides.
            scale = next(layer["scale"] for layer in report["layers"] if layer["name"] == name)
            bound += MOST_TREES / 2 * np.max(scale)
        if not np.all(np.abs(a - b) <= bound):
            problems.append(f"integers of `{name}` ({c['word']}) are off by {np.abs(a - b).max():.3g}, bound {np.max(bound):.3g}")
    return problems
