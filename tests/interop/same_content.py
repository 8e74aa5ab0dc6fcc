# SPDX-License-Identifier: Apache-2.0
"""Compares two folders of model and array files by what they hold: datasets, configurations, tensors; not by bytes.

    python same_content.py MADE KEPT      (needs h5py for .h5 and .keras, onnx for .onnx)

Prints one JSON object, file name -> [verdict, first difference]. Verdicts: "bytes" (the same bytes), "content" (the same
content: dates and addresses of Python objects are no content), "last places" (but for the last places of answers), "different",
"missing" (in KEPT).
"""

import io
import json
import pathlib
import sys
import zipfile

import numpy as np


class Different(Exception):
    pass


class LastPlaces(Different):
    """Only answers of the framework differ, by units in the last place that a kernel may be off (quantizers::kKernelUlps)."""


ULPS = 16


def check(same, text):
    if not same:
        raise Different(text)


def same_array(a, b, where):
    a, b = np.asarray(a), np.asarray(b)
    check(a.dtype == b.dtype and a.shape == b.shape, f"{where}: {a.dtype} {list(a.shape)} against {b.dtype} {list(b.shape)}")
    floats = a.dtype.kind == "f"
    unequal = ~((a == b) | (np.isnan(a) & np.isnan(b))) if floats else np.asarray(a != b)
    if unequal.any():
        first = tuple(int(i[0]) for i in np.nonzero(np.atleast_1d(unequal)))
        raise Different(f"{where}: {int(unequal.sum())} of {a.size} elements, first at {list(first)}: "
                        f"{np.atleast_1d(a)[first]!r} against {np.atleast_1d(b)[first]!r}")


def numbered(value, ids):
    """A configuration with the addresses of Python objects replaced by numbers in the order in which they appear."""
    if isinstance(value, dict):
        return {k: ids.setdefault(v, len(ids)) if k == "shared_object_id" else numbered(v, ids) for k, v in value.items()}
    return [numbered(v, ids) for v in value] if isinstance(value, list) else value


def same_tree(a, b, where):
    if isinstance(a, dict) and isinstance(b, dict):
        check(a.keys() == b.keys(), f"{where}: keys {sorted(a.keys() ^ b.keys())} on one side only")
        for k in a:
            same_tree(a[k], b[k], f"{where}.{k}")
    elif isinstance(a, list) and isinstance(b, list):
        check(len(a) == len(b), f"{where}: {len(a)} against {len(b)} entries")
        for i, (x, y) in enumerate(zip(a, b)):
            same_tree(x, y, f"{where}[{i}]")
    else:
        check(type(a) is type(b) and a == b, f"{where}: {a!r} against {b!r}")


def same_json(a, b, where):
    same_tree(numbered(json.loads(a), {}), numbered(json.loads(b), {}), where)


def same_attributes(a, b, where):
    check(sorted(a) == sorted(b), f"{where}: attributes {sorted(a)} against {sorted(b)}")
    for k in a:
        x, y = a[k], b[k]
        text = [v.decode() if isinstance(v, bytes) else v for v in (x, y)]
        if all(isinstance(v, str) and v.startswith(("{", "[")) for v in text):
            same_json(*text, f"{where}@{k}")
        else:
            same_array(x, y, f"{where}@{k}")


def same_h5(a, b, where=""):
    import h5py

    with h5py.File(io.BytesIO(a)) as x, h5py.File(io.BytesIO(b)) as y:
        names = []
        for file in (x, y):
            found = ["/"]
            file.visit(found.append)
            names.append(sorted(found))
        check(names[0] == names[1], f"{where}: objects {sorted(set(names[0]) ^ set(names[1]))} on one side only")
        for name in names[0]:
            check(type(x[name]) is type(y[name]), f"{where}{name}: group against dataset")
            same_attributes(x[name].attrs, y[name].attrs, where + name)
            if isinstance(x[name], h5py.Dataset):
                same_array(x[name][()], y[name][()], where + name)


def same_keras(a, b):
    with zipfile.ZipFile(io.BytesIO(a)) as x, zipfile.ZipFile(io.BytesIO(b)) as y:
        check(sorted(x.namelist()) == sorted(y.namelist()), f"members {sorted(x.namelist())} against {sorted(y.namelist())}")
        for name in x.namelist():
            one, two = x.read(name), y.read(name)
            if name.endswith(".h5"):
                same_h5(one, two, name + ":")
            elif name.endswith(".json"):
                one, two = json.loads(one), json.loads(two)
                for tree in (one, two):
                    tree.pop("date_saved", None)
                same_tree(numbered(one, {}), numbered(two, {}), name)
            else:
                check(one == two, name)


def same_onnx(a, b):
    import onnx
    from onnx import numpy_helper

    one, two = (onnx.load_model_from_string(v) for v in (a, b))
    for x, y in ((i, j) for i in one.graph.initializer for j in two.graph.initializer if i.name == j.name):
        same_array(numpy_helper.to_array(x), numpy_helper.to_array(y), f"initializer {x.name}")
    check(one == two, "nodes, attributes or names of the graph")


def same_npz(a, b):
    with np.load(io.BytesIO(a)) as x, np.load(io.BytesIO(b)) as y:
        check(sorted(x) == sorted(y), f"arrays {sorted(set(x) ^ set(y))} on one side only")
        moved = []
        for k in x:
            try:
                same_array(x[k], y[k], k)
            except Different as difference:
                if not (k.startswith("y") and within_last_places(x[k], y[k])):
                    raise
                moved.append(str(difference))
        if moved:
            raise LastPlaces("; ".join(moved))


def within_last_places(a, b):
    """Answers of a framework on another processor, whose exp or rsqrt is another kernel."""
    if a.shape != b.shape or a.dtype != np.float32 or b.dtype != np.float32:
        return False
    return bool((np.abs(a.astype(np.float64) - b) <= ULPS * np.spacing(np.maximum(np.maximum(np.abs(a), np.abs(b)), np.float32(1)))).all())


COMPARE = {
    ".h5": same_h5,
    ".keras": same_keras,
    ".onnx": same_onnx,
    ".npz": same_npz,
    ".npy": lambda a, b: same_array(np.load(io.BytesIO(a)), np.load(io.BytesIO(b)), "array"),
    ".json": lambda a, b: same_json(a, b, ""),
}


def verdict(made, kept):
    if not kept.exists():
        return ["missing", "no such file is kept"]
    a, b = made.read_bytes(), kept.read_bytes()
    if a == b:
        return ["bytes", ""]
    try:
        COMPARE[made.suffix](a, b)
    except LastPlaces as difference:
        return ["last places", str(difference)]
    except Different as difference:
        return ["different", str(difference)]
    return ["content", ""]


def main():
    made, kept = map(pathlib.Path, sys.argv[1:3])
    names = {p.name for p in made.iterdir() if p.suffix in COMPARE} | {p.name for p in kept.iterdir() if p.suffix in COMPARE}
    absent = ["different", "the script does not make this file any more"]
    print(json.dumps({n: verdict(made / n, kept / n) if (made / n).exists() else absent for n in sorted(names)}))


if __name__ == "__main__":
    main()
