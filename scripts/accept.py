# SPDX-License-Identifier: Apache-2.0
"""The acceptance rows on the data that is not part of the repository: real models, real golden outputs.

    python3 scripts/accept.py --weft build/release/bin/weft --data ../shared/data --work build/accept [--slow] [--jobs N] [ROW...]

Every row prints what it checked. --slow adds the large designs (synthesis per module, minutes and gigabytes); without it they
are imported, run and compared, but not synthesized. Rows run side by side, each in a folder of its own; the slow ones one by
one. Exit 1 when a row fails. Needs numpy.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import resource
import subprocess
import sys
import time
import traceback

import numpy as np

from broken_inputs import broken_files
from measure import COLUMNS, Weft, WeftError, figures, journey, print_table


class Failed(Exception):
    pass


def need(condition, text):
    if not condition:
        raise Failed(text)


class Rows:
    def __init__(self, weft, data, slow, sanitized):
        self.weft, self.data, self.slow, self.sanitized, self.measured = weft, data, slow, sanitized, []
        self.keras = data / "models/example_models/keras"
        self.onnx = data / "models/example_models/onnx"
        self.zoo = data / "models/qonnx_zoo"

    # --- helpers
    def array(self, name, value):
        path = self.weft.work / f"{name}.npy"
        np.save(path, value)
        return path

    def predict(self, model, x, *options):
        """Outputs in order of their names, as float64."""
        path = self.weft.work / "prediction.npy"
        path.unlink(missing_ok=True)
        answer, _, _ = self.weft.run("predict", model, x, "-o", path, *options)
        out = np.load(path)
        return (out if isinstance(out, np.ndarray) else out[answer["outputs"][0]["name"]]).astype(np.float64), answer

    def hardware(self, model, name, *options, synth=True, **more):
        """The whole journey; fails on a mismatch or a wrong latency; warns when the LUT prediction is off."""
        row = journey(self.weft, model, name, convert=options, synth=synth, measure_speed=False, **more)
        self.measured.append(row)
        verify = row["verify"]
        need(verify["mismatches"] == 0, f"{verify['mismatches']} mismatches")
        need(verify["samples"] >= 1000, f"only {verify['samples']} vectors")
        need(verify["latency_cycles"] == verify["predicted_latency_cycles"], f"latency {verify['latency_cycles']}, predicted {verify['predicted_latency_cycles']}")
        text = f"{verify['samples']} vectors, 0 mismatches, latency {verify['latency_cycles']} as predicted"
        if synth:
            lut, guess = row["synth"]["lut"], row["convert"]["predicted"]["lut"]
            need(abs(guess / lut - 1) <= 0.2, f"predicted {guess:.0f} LUT, Yosys {lut}")
            text += f", {lut} LUT (predicted {guess:.0f})"
        return row, text

    @staticmethod
    def all_exact(row, but=()):
        words = {c["layer"]: c["word"] for c in row["convert"]["certificate"]}
        other = {k: v for k, v in words.items() if v != "exact" and not any(b in k.lower() for b in but)}
        need(words and not other, f"not exact: {other or 'no certificate'}")
        return f"{len(words)} layers exact"

    # --- rows
    def qkeras_3layer(self):
        row, text = self.hardware(self.keras / "qkeras_3layer.json", "qkeras_3layer", "--weights", self.keras / "qkeras_3layer_weights.h5")
        return f"{self.all_exact(row, ('softmax',))}; {text}"

    def qkeras_v3_3layer(self):
        row, text = self.hardware(self.keras / "qkeras-v3_3layer.keras", "qkeras-v3_3layer")
        return f"{self.all_exact(row, ('softmax',))}; {text}"

    def qkeras_mnist_dense(self):
        row, text = self.hardware(self.keras / "qkeras_mnist_dense.json", "qkeras_mnist_dense", "--weights", self.keras / "qkeras_mnist_dense_weights.h5",
                                  synth=self.slow, per_module=True, synth_timeout=14400)
        return f"{self.all_exact(row, ('softmax',))}; {text}"

    def jets(self):
        data = np.load(self.data / "datasets/lhc_jets_hlf_75.npz")
        x, golden = self.array("jets", data["x"]), data["qkeras_q6_softmax"].astype(np.float64)
        model = [self.keras / "qkeras_3layer.json", x, "--weights", self.keras / "qkeras_3layer_weights.h5"]
        wide, _ = self.predict(*model, "--input-type", "fixed<32,6>")
        e = np.exp(wide - wide.max(axis=1, keepdims=True))
        error = np.abs(e / e.sum(axis=1, keepdims=True) - golden).max()
        need(error <= 1e-6, f"softmax differs by {error:.2e}")
        default, _ = self.predict(*model)
        same = int((default.argmax(1) == golden.argmax(1)).sum())
        text = f"softmax within {error:.1e} with fixed<32,6>; default type: same class {same} of {len(golden)}"
        if same < len(golden):
            # A difference must come from the input's grid: the float model on the quantized input must agree with us.
            grid = np.clip(np.rint(data["x"].astype(np.float64) * 2**10), -(2**15), 2**15 - 1) / 2**10
            on_grid, _ = self.predict(self.keras / "qkeras_3layer.json", self.array("jets_grid", grid.astype(np.float32)), "--weights",
                                      self.keras / "qkeras_3layer_weights.h5", "--float")
            need((on_grid.argmax(1) == default.argmax(1)).all(), text + "; not explained by the input's grid")
            text += ", the rest explained by input quantization"
        return text

    def ad08(self):
        model, kind = self.data / "models/mlperf_tiny/AD08/model.h5", ("--input-type", "fixed<16,8>")
        golden = np.load(self.data / "golden/mlperf_tiny_AD08.npz")
        ours, _ = self.predict(model, self.array("ad08", golden["x"]), *kind)
        need(np.array_equal(ours.astype(np.float32), golden["keras"]), f"differs by {np.abs(ours - golden['keras']).max()}")
        row, text = self.hardware(model, "AD08", *kind, synth=self.slow, per_module=True, synth_timeout=14400)
        return f"equal to Keras to the last bit; {self.all_exact(row)}; {text}"

    def rn07(self):
        golden = np.load(self.data / "golden/mlperf_tiny_RN07.npz")
        x = self.array("rn07", (golden["x"] / 256).astype(np.float32))
        ours, _ = self.predict(self.data / "models/mlperf_tiny/RN07/model_best.h5", x, "--input-type", "ufixed<8,0>")
        want, other = golden["keras_logits"], golden["hls4ml_csim"]
        need(np.array_equal(ours.astype(np.float32), want), f"differs by {np.abs(ours - want).max()}")
        return f"{want.size} logits equal to Keras to the last bit (hls4ml's C simulation is off by up to {np.abs(other - want).max():.2f})"

    def svhn_gray(self):
        data, model = np.load(self.data / "datasets/svhn_gray_8.npz"), self.data / "models/keras_float/svhn_grayscale_mlp.json"
        x = self.array("svhn_gray", data["x"].reshape(len(data["x"]), -1))
        ours, _ = self.predict(model, x, "--weights", model.with_name("svhn_grayscale_mlp_weights.h5"), "--float")
        error = float(np.abs(ours - data["keras_softmax"]).max())
        need(error <= 1e-5, f"the float run is {error:.1e} away from Keras")
        return f"float run within {error:.1e} of Keras"

    def kws_w3a3(self):
        data = np.load(self.data / "datasets/kws01_mfcc750.npz")
        x = (data["x"].astype(np.float32) * np.float32(0.33674246)).reshape(-1, 1, 10, 49)
        found = list((self.data / "models/mlperf_tiny/kws_w3a3").glob("*.onnx"))
        need(found, "the model is absent")
        ours, _ = self.predict(found[0], self.array("kws", x))
        need(np.array_equal(data["out_finn_w3a3_pynqz2"], data["out_finn_w3a3_arty"]), "the boards disagree")
        same = int((ours.argmax(1) == data["out_finn_w3a3_pynqz2"].argmax(1)).sum())
        need(same == len(x), f"same class as the FPGA {same} of {len(x)}")
        return f"same class as the real FPGA {same} of {len(x)}"

    def kwsmlp_w3a3(self):
        answer, _, _ = self.weft.run("inspect", self.zoo / "kwsmlp_w3a3.onnx")
        need(answer["params"] > 200000, f"{answer['params']} parameters")
        return f"imported, {len(answer['layers'])} layers, {answer['params']} parameters"

    def unsw(self):
        model = self.zoo / "unsw_nb15-mlp-w2a2.onnx"
        x = np.where(np.random.default_rng(3).random((200, 600)) < 0.5, -1.0, 1.0).astype(np.float32)
        path = self.array("unsw", x)
        ours, _ = self.predict(model, path, "--input-type", "bipolar")
        source, _ = self.predict(model, path, "--float")
        need(set(np.unique(ours)) <= {-1.0, 1.0}, "the output is not bipolar")
        same = int((ours == source).sum())
        need(same == ours.size, f"equal to the float model {same} of {ours.size}")
        return f"imported with bipolar input, equal to the float model {same} of {ours.size}"

    def qkeras_jettagging(self):
        _, text = self.hardware(self.zoo / "qkeras_jettagging.onnx", "qkeras_jettagging")
        return text

    def tfc(self):
        texts = []
        data = np.load(self.data / "datasets/mnist_test2250.npz")
        images = data["x"][:500].reshape(-1, 1, 28, 28).astype(np.float32) / np.float32(256)
        labels = data["y"][:500]
        path = self.array("mnist", images)
        for name in ("TFC_1W1A", "TFC_2W2A"):
            model = self.zoo / f"{name}.onnx"
            ours, _ = self.predict(model, path, "--input-type", "ufixed<8,0>")
            source, _ = self.predict(model, path, "--float")
            need((ours.argmax(1) == source.argmax(1)).all(), f"{name}: another class than the float model")
            text = f"{name}: class of the float model on {len(images)} digits (accuracy {np.mean(ours.argmax(1) == labels):.3f})"
            if self.slow:
                before = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
                started = time.monotonic()
                _, more = self.hardware(model, name, "--input-type", "ufixed<8,0>", synth=False)
                peak = max(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss, before) / 1e6
                text += f"; {more}, {time.monotonic() - started:.0f} s, at most {peak:.1f} GB"
            texts.append(text)
        return "; ".join(texts)

    def float_models(self):
        texts = []
        x = self.array("normal", np.random.default_rng(1).normal(size=(10000, 16)).astype(np.float32))
        calibration = self.array("calibration", np.random.default_rng(2).normal(size=(1000, 16)).astype(np.float32))
        model = self.keras / "KERAS_3layer.json"
        cases = [(f"KERAS_3layer{p}", model, ["--weights", self.keras / f"KERAS_3layer{p}_weights.h5"]) for p in ("", "_70pruned_retrained", "_95pruned_retrained")]
        cases += [(p.stem, p, []) for p in sorted(self.onnx.glob("three_layer_*.onnx"))]
        for name, path, options in cases:
            source, _ = self.predict(path, x, *options, "--float")
            for how, more in (("default", []), ("calibrated", ["--calibrate", calibration])):
                ours, _ = self.predict(path, x, *options, *more)
                agreement = float((ours.argmax(1) == source.argmax(1)).mean())
                texts.append(f"{name} {how} {agreement:.4f}")
                need(agreement >= 0.995, f"{name} {how}: agreement {agreement:.4f}")
        luts = []
        for name, path, options in cases[:3]:
            answer, _, _ = self.weft.run("convert", path, "-o", self.weft.work / name, *options, "--calibrate", calibration)
            luts.append(answer["predicted"]["lut"])
        need(luts[0] > luts[1] > luts[2], f"pruned weights must cost less: {luts}")
        return "argmax agreement: " + ", ".join(texts) + "; LUT without, 70 %, 95 % pruned: " + ", ".join(f"{v:.0f}" for v in luts)

    def broken(self):
        """Damaged and hostile files end with a diagnostic and exit 1, within 4 GB of address space and 60 s; and under the address
        sanitizer, whose shadow needs another kind of limit."""
        count = 0
        sources = [self.data / "models/mlperf_tiny/AD08/model.h5", self.keras / "qkeras-v3_3layer.keras", self.zoo / "qkeras_jettagging.onnx",
                   self.keras / "qkeras_3layer.json"]
        limit = lambda: resource.setrlimit(resource.RLIMIT_AS, (4 << 30, 4 << 30))
        sanitizer = {**os.environ, "ASAN_OPTIONS": "hard_rss_limit_mb=4096:exitcode=99", "UBSAN_OPTIONS": "exitcode=99"}
        accepted = 0
        run = lambda binary, path, **more: subprocess.run([binary, "inspect", str(path), "--json"], capture_output=True, text=True,
                                                          errors="replace", timeout=60, **more)
        for path, sure in broken_files(sources, self.weft.work / "broken"):
            done = run(self.weft.binary, path, preexec_fn=limit)
            need(done.returncode in (0, 1), f"{path.name}: exit {done.returncode}: {done.stderr[-300:]}")
            if self.sanitized:
                again = run(self.sanitized, path, env=sanitizer)
                need(again.returncode == done.returncode, f"{path.name}: under the sanitizer exit {again.returncode}: {again.stderr[-600:]}")
            if done.returncode == 1:
                errors = [d for d in json.loads(done.stdout)["diagnostics"] if d["severity"] == "error"]
                need(errors, f"{path.name}: exit 1 without a diagnostic")
            else:
                need(not sure, f"{path.name}: was accepted")
                accepted += 1
            count += 1
        how = "with and without the address sanitizer" if self.sanitized else "without a sanitizer"
        return f"{count} files, {how}: {count - accepted} refused with a diagnostic, {accepted} flipped bits that change only numbers or names"


ROWS = ["qkeras_3layer", "qkeras_v3_3layer", "qkeras_mnist_dense", "qkeras_jettagging", "ad08", "jets", "rn07", "svhn_gray", "kws_w3a3",
        "kwsmlp_w3a3", "unsw", "tfc", "float_models", "broken"]


def run_row(name, weft, work, data, slow, sanitized):
    """(result, figures of what was measured) of one row."""
    started = time.monotonic()
    rows = Rows(Weft(weft, work / name), data, slow, sanitized)
    try:
        word, text = "pass", getattr(rows, name)()
    except (Failed, WeftError, subprocess.TimeoutExpired) as problem:
        word, text = "FAIL", str(problem)
    except Exception:  # a bug of this script or an answer without a promised key: the row fails, the others still run
        word, text = "FAIL", traceback.format_exc(limit=3)
    return {"result": word, "text": text, "seconds": round(time.monotonic() - started, 1)}, [figures(r) for r in rows.measured]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weft", required=True)
    parser.add_argument("--data", required=True, type=pathlib.Path)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--sanitized", help="the same command built with the address sanitizer, for the broken files")
    parser.add_argument("--slow", action="store_true")
    parser.add_argument("--jobs", type=int, help="rows at a time (default: one for each core; with --slow 1)")
    parser.add_argument("rows", nargs="*")
    options = parser.parse_args()
    unknown = set(options.rows) - set(ROWS)
    if unknown:
        parser.error(f"no such row: {', '.join(sorted(unknown))}; there are {', '.join(ROWS)}")
    names = options.rows or ROWS
    results, measured = {}, {}
    with concurrent.futures.ProcessPoolExecutor(options.jobs or (1 if options.slow else os.cpu_count())) as pool:
        running = {pool.submit(run_row, n, options.weft, options.work, options.data, options.slow, options.sanitized): n for n in names}
        for done in concurrent.futures.as_completed(running):
            name = running[done]
            results[name], measured[name] = done.result()
            print(f"{results[name]['result']}  {name} ({results[name]['seconds']} s): {results[name]['text']}", flush=True)
    (options.work / "results.json").write_text(json.dumps({n: results[n] for n in names}, indent=1) + "\n")
    table = [figures_of_row for n in names for figures_of_row in measured[n]]
    if table:
        print()
        print_table(table, COLUMNS)
    failed = sum(r["result"] != "pass" for r in results.values())
    print(f"\naccept: {len(results) - failed} of {len(results)} rows pass")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
