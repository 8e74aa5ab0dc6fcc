# SPDX-License-Identifier: Apache-2.0
"""Compares what `weft predict` answers for a model with what its framework answered.

The float run has to lie within TOLERANCE of the framework: float32 carries 24 bits, and the frameworks add in orders of their own.
Where the network is certified `exact` the integers have to equal the framework's numbers, with no tolerance; functions at the end
that are left to the host are float32 kernels of the host and stay within TOLERANCE. A final softmax is left out there: such models
are counted under `logits`. In between, a quantizer may round to the other side in samples that the maker of the model marked as
`near` a tie; nothing else may differ.
"""

import numpy as np

from measure import WeftError

COLUMNS = ("models", "float refused", "float equal", "near a tie", "exact refused", "exact equal", "logits", "certified exact")
TOLERANCE = 2e-5  # of the largest number of the output where that is above 1: sums of some hundred rounded products


def new_row():
    return dict.fromkeys(COLUMNS, 0)


def compare(weft, model, row, say):
    """Adds to the counts in `row`; raises WeftError for a difference that nothing explains. Returns the verdict on the model and the kind
    of what explains it, in the words of VERDICTS in scripts/interop.py."""
    with np.load(model.with_suffix(".npz")) as data:
        golden = {k: data[k] for k in data}
    rows, answers = weft.work / "rows.npz", weft.work / "answers.npz"
    np.savez(rows, **{k[2:]: v for k, v in golden.items() if k.startswith("x:")})
    wanted = {k[2:]: v for k, v in golden.items() if k.startswith("y:")}
    row["models"] += 1
    verdict, excused = ("refused",), False
    for mode in ("float", "exact"):
        answer, _, code = weft.run("predict", model, rows, "-o", answers, *(["--float"] if mode == "float" else []), check=False)
        if code != 0:
            errors = "; ".join(f"{d['origin'].get('op') or ''}: {d['message']}" for d in answer.get("diagnostics", []) if d["severity"] == "error")
            if code != 1 or not errors:
                raise WeftError(f"predict ended with {code}")
            row[f"{mode} refused"] += 1
            say(f"note  {model.name} {mode} is refused: {errors}")
            if mode == "exact" and verdict != ("refused",):
                verdict = ("float only", "refused")
            continue
        if mode == "exact" and any(d["kind"] == "softmax-removed" for d in answer["diagnostics"]):
            row["logits"] += 1
            verdict = ("float only", "softmax left to the host")
            continue
        got = outputs(answers, wanted, mode)
        equal = all(np.array_equal(got[k], v) for k, v in wanted.items())
        row[f"{mode} equal"] += equal
        if mode == "float":
            away = np.logical_or.reduce([beyond(got[k], v).reshape(-1) for k, v in wanted.items()])
            near = golden.get("near", np.zeros(len(away), bool))
            excused = bool((away & near).any())
            row["near a tie"] += excused
            verdict = ("explained", "near a tie") if excused else ("equal",) if equal else ("within tolerance",)
            if (away & ~near).any():
                largest = max(np.abs(got[k].astype(np.float64) - v).max() for k, v in wanted.items())
                raise WeftError(f"float: {(away & ~near).sum()} of {len(away)} samples differ, by up to {largest:.3g}")
        else:
            said = weft.run("inspect", model)[0]
            on_host = any(port.get("host_steps") for port in said["outputs"])
            exact = said["network_certificate"] == "exact"
            row["certified exact"] += exact
            if exact and not equal and not (on_host and all(not beyond(got[k], v).any() for k, v in wanted.items())):
                differ = {k: int((got[k] != v).sum()) for k, v in wanted.items() if not np.array_equal(got[k], v)}
                raise WeftError(f"certified exact, but these numbers of elements differ: {differ}")
            if not exact and not equal:
                verdict = ("float only", "certificate has no bound here")
            elif not excused:
                verdict = ("equal",) if equal else ("within tolerance",)
    return verdict


def outputs(answers, wanted, mode):
    """By name, in the framework's shapes."""
    with np.load(answers) as data:
        got = {k: data[k] for k in data}
    if len(wanted) == 1 and len(got) == 1:  # names of a single output may change on the way
        got = {k: v for k, v in zip(wanted, got.values())}
    for name, value in wanted.items():
        if name not in got or got[name].size != value.size:
            raise WeftError(f"{mode}: {({k: v.shape for k, v in got.items()})} for {({k: v.shape for k, v in wanted.items()})}")
        got[name] = got[name].reshape(value.shape)
    return got


def beyond(got, wanted):
    """Which samples have an element outside of the tolerance."""
    got, wanted = got.astype(np.float64), wanted.astype(np.float64)
    bad = ~(np.abs(got - wanted) <= TOLERANCE * max(1.0, np.abs(wanted).max()))
    return bad.reshape(len(bad), -1).any(1) if bad.ndim else bad.reshape(1)
