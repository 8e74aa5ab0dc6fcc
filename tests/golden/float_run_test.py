# SPDX-License-Identifier: Apache-2.0
"""predict --float runs the source model alone: nothing of the integers is said or made, from a file as from a folder. A .weft
file keeps the integers that it was exported with.

    python float_run_test.py WEFT
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "diagnostics"))
from workshop import dense, npy, weft_file


def run(weft, folder, *words):
    done = subprocess.run([weft, *words, "--json", "-v"], cwd=folder, capture_output=True, text=True)
    assert done.returncode == 0, (words, done.stdout, done.stderr)
    result = json.loads(done.stdout)
    return result, {d["kind"] for d in result["diagnostics"]}


def main():
    weft = str(pathlib.Path(sys.argv[1]).resolve())
    rng = np.random.default_rng(3)
    kernel, bias = rng.uniform(-1, 1, (5, 3)).astype(np.float32), rng.uniform(-1, 1, 3).astype(np.float32)
    x = rng.uniform(-2, 2, (20, 5)).astype(np.float32)
    with tempfile.TemporaryDirectory(prefix="weft_float_") as name:
        folder = pathlib.Path(name)
        (folder / "m.weft").write_bytes(weft_file("m.weft", (5,), [dense("first", kernel, None, bias)]))
        (folder / "x.npy").write_bytes(npy(x))
        _, said = run(weft, folder, "predict", "m.weft", "x.npy", "-o", "exact.npy")
        assert "input-type-assumed" in said, said
        result, said = run(weft, folder, "predict", "m.weft", "x.npy", "--float", "-o", "float.npy", "--trace", "t.npz")
        assert said == set(), said
        assert result["executor"] == "float32" and result["samples"] == 20
        y = np.load(folder / "float.npy")
        np.testing.assert_allclose(y, x @ kernel + bias, rtol=1e-6, atol=1e-6)
        assert np.array_equal(np.load(folder / "t.npz")["first"], y)
        assert not np.array_equal(y, np.load(folder / "exact.npy")), "the default types leave no rounding to see"

        run(weft, folder, "convert", "m.weft", "-o", "out")
        run(weft, folder, "predict", "out", "x.npy", "--float", "-o", "folder.npy")
        assert np.array_equal(np.load(folder / "folder.npy"), y)

        # An exported file keeps its integers, in every command; options make others of its layers.
        run(weft, folder, "predict", "m.weft", "x.npy", "--input-type", "fixed<7,3>", "-o", "narrow.npy")
        narrow = np.load(folder / "narrow.npy")
        assert not np.array_equal(narrow, np.load(folder / "exact.npy"))
        run(weft, folder, "export", "m.weft", "-o", "n.weft", "--input-type", "fixed<7,3>")
        result, said = run(weft, folder, "predict", "n.weft", "x.npy", "-o", "kept.npy")
        assert np.array_equal(np.load(folder / "kept.npy"), narrow) and "input-type-assumed" not in said, said
        run(weft, folder, "convert", "n.weft", "-o", "kept")
        run(weft, folder, "predict", "kept", "x.npy", "-o", "kept.npy")
        assert np.array_equal(np.load(folder / "kept.npy"), narrow)
        run(weft, folder, "predict", "n.weft", "x.npy", "--float", "-o", "float.npy")
        assert np.array_equal(np.load(folder / "float.npy"), y)
        run(weft, folder, "predict", "n.weft", "x.npy", "--input-type", "fixed<16,6>", "-o", "again.npy")
        assert np.array_equal(np.load(folder / "again.npy"), np.load(folder / "exact.npy"))

        # Options of the integers are still checked, and a folder still takes none.
        for words in (["m.weft", "--input-type", "nonsense"], ["m.weft", "--set", "nobody.precision=fixed<8,2>"],
                      ["out", "--default-type", "fixed<8,2>"]):
            done = subprocess.run([weft, "predict", words[0], "x.npy", "--float", *words[1:]], cwd=folder, capture_output=True)
            assert done.returncode in (1, 2), words


if __name__ == "__main__":
    main()
