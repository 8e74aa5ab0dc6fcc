# SPDX-License-Identifier: Apache-2.0
"""Weft against the real frameworks, live:

files       the example and the fixtures, made again in their environments, hold what the kept files hold
layers      `weft predict --trace`, with and without --float, against the framework's layer outputs, every difference held
            against the layer's certificate (tests/interop/compare_layers.py says how); fixtures and corner cases
quantizers  millions of numbers through QKeras', qkeras-v3's and qonnx' quantizers and through ours
random      random small QKeras models, networks of convolutions, merges, attention, nested models, and HGQ2 models, saved,
            opened and compared as under "layers"
data        with --data: the model files there, where a framework reads them; what `convert` refuses, or does not finish within
            --limit seconds, is named and compared in the float run only
tflite      random models through TensorFlow Lite's converter, against its interpreter's reference kernels: integer models equal,
            in the exact graph and in the float run, float models within float32's rounding
trees       random trees of XGBoost, LightGBM and scikit-learn: equal margins (tests/interop/compare_trees.py)
graphs      ONNX graphs of one operator over the grid of its options, against ONNX Runtime
torch       random PyTorch modules through torch.export, against eager PyTorch
brevitas    random quantized modules of Brevitas through its QONNX and QCDQ exports, against Brevitas in PyTorch
            (graphs, torch, brevitas: tests/interop/compare_outputs.py)
recurrent   random recurrent models of Keras, QKeras and ONNX (tests/interop/compare_recurrent.py says how they are compared)

    ./dev interop [--count N] [--seed N] [--only files,quantizers,random,tflite,trees,graphs,torch,brevitas,recurrent] ...

Ends with tables of counts, the last of them one verdict for every model (VERDICTS), and answers 1 when anything is
unexplained; such models stay in WORK/failed.
"""

import argparse
import concurrent.futures
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parent.parent
EXAMPLES = ROOT / "examples"
TOOLS = ROOT / "tests/interop"
sys.path.insert(0, str(TOOLS))

import compare_outputs
import compare_recurrent
import compare_trees
from compare_layers import CLASSES, compare, on_grid
from measure import Weft, WeftError, print_table

SUFFIXES = (".h5", ".keras", ".onnx", ".json")
# Float numbers between integer sums and the next quantizer, which no hardware sees.
BETWEEN_SUMS = {"BatchNormalization", "QBatchNormalization", "Dropout", "Reshape", "Flatten"}
# One verdict for every model, on the strictest run that compares it:
#   equal             every number of the exact graph (of the float run, where that is all there is) is the framework's
#   within tolerance  float arithmetic alone differs, within the tolerance of its section
#   explained         the certificate or the maker of the model names why numbers differ; the kinds are counted
#   float only        the float run is within tolerance; the exact graph is refused, too slow or has no bound to be held to
#   refused           Weft refuses the model in both runs
#   unexplained       anything else; a failure of the run
VERDICTS = ("equal", "within tolerance", "explained", "float only", "refused", "unexplained")
# Classes of compare_layers.py that explain a difference, the strongest first; `noise` is float arithmetic within tolerance.
EXPLANATIONS = ("chosen", "behind", "flip", "kernel", "bound")


class ScriptDied(RuntimeError):
    """A framework crashed and took the script with it."""


class Run:
    def __init__(self, options):
        self.options = options
        self.work = pathlib.Path(options.work)
        self.weft = Weft(options.weft, self.work)
        self.started = time.monotonic()
        self.failures = []
        self.files, self.layers, self.quantizers, self.trees_of, self.tflite_rows = {}, {}, [], {}, {}
        self.outputs, self.recurrent, self.verdicts = {}, {}, {}

    def say(self, text):
        print(f"[{time.monotonic() - self.started:5.1f} s] {text}", flush=True)

    def fail(self, text):
        self.failures.append(text)
        self.say("FAIL  " + text)

    def judge(self, section, verdict, kind=None):
        """Counts the verdict on one model, and the kind of what explains it."""
        row = self.verdicts.setdefault(section, {**dict.fromkeys(VERDICTS, 0), "kinds": {}})
        row[verdict] += 1
        if kind:
            row["kinds"][kind] = row["kinds"].get(kind, 0) + 1

    def python(self, interpreter, script, *words):
        """stdout of a script in a virtual environment; what it said on stderr when it fails."""
        env = {**os.environ, "TF_CPP_MIN_LOG_LEVEL": "3", "PYTHONDONTWRITEBYTECODE": "1"}
        done = subprocess.run([interpreter, script, *map(str, words)], env=env, capture_output=True, text=True)
        if done.returncode < 0:
            raise ScriptDied(f"{script.name} died of signal {-done.returncode}\n{done.stderr[-3000:]}")
        if done.returncode != 0:
            raise RuntimeError(f"{script.name} ended with {done.returncode}:\n{done.stderr[-3000:]}")
        return done.stdout

    # --- files

    def compare_files(self, interpreter, made, kept, required=True):
        """Kept files against those just made. Training rounds differently on other processors: not `required` then."""
        counts = self.files[str(kept.relative_to(ROOT))] = {"bytes": 0, "content": 0, "last places": 0, "different": 0}
        verdicts = json.loads(self.python(interpreter, TOOLS / "same_content.py", made, kept))
        for name, (verdict, why) in verdicts.items():
            counts[verdict if verdict in counts else "different"] += 1
            if verdict in ("bytes", "content"):
                continue
            text = f"{kept.relative_to(ROOT)}/{name} is not what its script makes: {why}"
            if required and verdict != "last places":
                self.fail(text)
            else:
                self.say("note  " + text)

    # --- layers

    def models_in(self, folder):
        found = [p for p in sorted(folder.iterdir()) if p.suffix in SUFFIXES and p.with_suffix(".npz").exists()]
        return [p for p in found if not p.name.endswith(".options.json")]

    def compare_models(self, group, interpreter, folder, allow_refusal=False):
        models = self.models_in(folder)
        topology = json.loads(self.python(interpreter, TOOLS / "model_layers.py", *models))
        table = self.layers[group] = {
            mode: {"models": 0, "layers": 0, "hidden": 0, "refused": 0, "slow": 0, "off_grid": 0, **dict.fromkeys(CLASSES, 0), "of_bound": 0.0}
            for mode in ("float", "exact")
        }
        table["words"] = {}
        for model in models:
            try:
                verdict = self.compare_model(group, table, model, topology[str(model)], allow_refusal)
            except (WeftError, RuntimeError) as error:
                self.fail(f"{group}/{model.name}: {error}")
                self.keep(group, model)
                verdict = ("unexplained",)
            self.judge(group, *verdict)

    def options_of(self, model):
        path = model.with_suffix(".options.json")
        options = json.loads(path.read_text()) if path.exists() else []
        if model.suffix == ".json" and not options:
            options = ["--weights", f"{model.stem}_weights.h5"]
        return [model.parent / o if o.endswith("_weights.h5") else o for o in options]

    def compare_model(self, group, table, model, layers, allow_refusal):
        """The verdict on one model, with the kind of what explains it."""
        options = self.options_of(model)
        with np.load(model.with_suffix(".npz")) as data:
            golden = {k: data[k] for k in data}
        inputs = {k[2:] or "x": v for k, v in golden.items() if k == "x" or k.startswith("x:")}
        rows = self.work / "inputs.npz"
        if "x" in golden:
            rows = self.work / "inputs.npy"
            np.save(rows, golden["x"])
        else:
            np.savez(rows, **inputs)
        project = self.work / "project"
        slow = False
        try:
            limit = self.options.limit if group.endswith("/data") else 3600
            answer, _, code = self.weft.run("convert", model, "-o", project, "--effort", "fast", *options, check=False, timeout=limit)
        except subprocess.TimeoutExpired:
            if not group.endswith("/data"):
                raise WeftError(f"convert takes longer than {limit} s") from None
            slow, answer, code = True, {}, None
        words = answer.get("network_certificate") if code == 0 else None
        if words:
            table["words"][words] = table["words"].get(words, 0) + 1
            samples = on_grid(answer, golden)
            table["exact"]["off_grid"] += int((~samples).sum())
        elif slow:
            table["exact"]["slow"] += 1
            self.say(f"note  {group}/{model.name}: convert takes longer than {limit} s")
            project = model
        else:
            errors = [d for d in answer.get("diagnostics", []) if d["severity"] == "error"]
            said = "; ".join(f"{d['origin'].get('node')}: {d['message']} [{d['kind']}]" for d in errors)
            if code != 1 or not errors or not allow_refusal:
                raise WeftError(f"convert ended with {code}: {said}")
            table["exact"]["refused"] += 1
            self.say(f"note  {group}/{model.name} is refused: {said}")
            answer, project = {}, model  # in the float run nothing is excused then
        seen, failed = {}, False
        for mode in ("float", "exact") if words else ("float",):
            trace_path = self.work / f"trace_{mode}.npz"
            how = [*(["--float"] if mode == "float" else []), *(options if project == model else [])]
            self.weft.run("predict", project, rows, "--trace", trace_path, *how)
            with np.load(trace_path) as data:
                trace = {k: data[k] for k in data}
            only = samples if mode == "exact" else None
            found, hidden, problems = compare(layers, answer, golden, trace, mode == "exact", only, model.suffix == ".onnx")
            if mode == "float":
                problems += [f"the trace lacks layer {n}" for n in hidden]
            if mode == "exact" and words == "exact" and not any(c["bound"] > 0 or c["notes"] for c in answer["certificate"]):
                outputs = {port["name"] for port in answer["outputs"]}
                problems += [
                    f"layer {r['layer']} ({r['class']}) differs in a network certified `exact` without any note"
                    for r in found
                    if r["equal"] != r["elements"] and not r["FAIL"] and (r["layer"] in outputs or r["class"] not in BETWEEN_SUMS)
                ]
            row = table[mode]
            row["models"] += 1
            row["layers"] += len(found)
            row["hidden"] += len(hidden)
            for layer in found:
                for kind in CLASSES:
                    row[kind] += layer[kind]
                row["of_bound"] = max(row["of_bound"], layer["of_bound"])
                if layer["FAIL"]:
                    problems.append(f"layer {layer['layer']} ({layer['class']}): {layer['FAIL']} of {layer['elements']} elements, "
                                    f"difference up to {layer['largest']['FAIL']:.3g}, first {layer['first']}")
            seen[mode] = {kind for layer in found for kind in CLASSES if layer[kind]}
            failed |= bool(problems)
            if self.options.verbose:
                most = {k: v for layer in found for k, v in layer["largest"].items()}
                self.say(f"      {group}/{model.name} {mode}: {words}, {len(found)} layers, " +
                         ", ".join(f"{sum(layer[k] for layer in found)} {k}" + (f" ({most[k]:.2g})" if k in most else "")
                                   for k in CLASSES if any(layer[k] for layer in found)))
            for problem in problems:
                self.fail(f"{group}/{model.name} {mode} (seed {self.options.seed}): {problem}")
            if problems:
                self.keep(group, model)
        if failed:
            return ("unexplained",)
        if not words:
            return "float only", "slow" if slow else "refused"
        for kind in EXPLANATIONS:
            if kind in seen["exact"]:
                return "explained", kind
        return ("within tolerance",) if "noise" in seen["exact"] else ("equal",)

    def keep(self, group, model):
        folder = self.work / "failed" / group.replace("/", "_")
        folder.mkdir(parents=True, exist_ok=True)
        for path in model.parent.glob(f"{model.stem}[._]*"):
            shutil.copy(path, folder)
        self.say(f"      kept in {folder}")

    # --- quantizers

    def compare_quantizers(self, source, cases):
        done = subprocess.run([self.options.quantizer_cases, "--json", cases], capture_output=True, text=True)
        try:
            families = json.loads(done.stdout)
        except json.JSONDecodeError:
            self.fail(f"quantizers of {source}: the checker ended with {done.returncode}: {done.stderr[-1000:]}")
            return
        for line in done.stderr.splitlines():
            self.fail(f"quantizers of {source}: {line[:400]}")
        if done.returncode != 0 and not done.stderr.strip():
            self.fail(f"quantizers of {source}: the checker ended with {done.returncode}")
        self.quantizers += [(source, family, row) for family, row in families.items()]

    # --- trees

    def trees(self):
        folder = self.work / "trees"
        said = self.python(self.options.trees, TOOLS / "tree_models.py", folder, "--seed", self.options.seed, "--count",
                           self.options.tree_count)
        self.say("trees: " + said.strip())
        return lambda: self.after_trees(folder)

    def after_trees(self, folder):
        for model in sorted(p for p in folder.iterdir() if p.with_suffix(".npz").exists()):
            if model.suffix == ".npz" or model.name.endswith(".options.json"):
                continue
            library = model.stem.rsplit("_model", 1)[0]
            counts = self.trees_of.setdefault(library, dict.fromkeys(compare_trees.COUNTS, 0))
            before = dict(counts)
            try:
                problems = compare_trees.compare(self.weft, model, self.work, counts)
            except WeftError as error:
                problems = [str(error)]
            self.judge(f"trees/{library}", *(("unexplained",) if problems else compare_trees.verdict(counts, before)))
            for problem in problems:
                self.fail(f"trees/{model.name} (seed {self.options.seed}): {problem}")
            if problems:
                self.keep("trees", model)

    # --- TensorFlow Lite

    def tflite(self):
        folder = self.work / "tflite"
        first, end = self.options.first, self.options.first + self.options.count
        while first < end:
            words = ["--seed", self.options.seed, "--first", first, "--count", end - first]
            try:
                said = self.python(self.options.keras3, TOOLS / "tflite_models.py", folder, *words).strip().splitlines()
                self.say("tflite: " + said[-1])
                break
            except ScriptDied as error:
                # The converter or its interpreter aborts now and then and takes the maker with it.
                number = int((folder / "number.txt").read_text())
                self.say(f"tflite: model {number} is not one that TensorFlow survives: {str(error).splitlines()[0]}")
                first = number + 1
        return lambda: self.after_tflite(folder)

    def after_tflite(self, folder):
        for model in sorted(folder.glob("*.tflite")):
            kind = model.stem.split("_")[0]
            row = self.tflite_rows.setdefault(kind, {"models": 0, "values": 0, "equal": 0, "refused": 0})
            values, equal = row["values"], row["equal"]
            try:
                self.compare_tflite(model, kind, row)
                self.judge(f"tflite/{kind}", "equal" if row["values"] - values == row["equal"] - equal else "within tolerance")
            except (WeftError, RuntimeError) as error:
                self.judge(f"tflite/{kind}", "unexplained")
                row["refused"] += 1
                self.fail(f"tflite/{model.name}: {error}")
                self.keep("tflite", model)

    def compare_tflite(self, model, kind, row):
        with np.load(model.with_suffix(".npz")) as data:
            golden = {k: data[k] for k in data}
        rows, out = self.work / "inputs.npz", self.work / "outputs.npz"
        np.savez(rows, **{k[2:]: v for k, v in golden.items() if k.startswith("x:")})
        for how in ([["--float"]] if kind == "float" else [["--float"], []]):
            self.weft.run("predict", model, rows, "-o", out, *how)
            with np.load(out) as data:
                for name, wanted in ((k[2:], v) for k, v in golden.items() if k.startswith("y:")):
                    got = data[name].reshape(wanted.shape)
                    same = np.isclose(got, wanted, rtol=1e-4, atol=1e-5 * np.abs(wanted).max()) if kind == "float" else got == wanted
                    row["values"] += wanted.size
                    row["equal"] += int((got == wanted).sum())
                    if not same.all():
                        raise RuntimeError(f"{how or 'exact'}: {(~same).sum()} of {same.size} values of {name} differ")
        row["models"] += 1

    # --- recurrent

    def make_recurrent(self, name, interpreter, script):
        folder = self.work / "recurrent" / name
        options = self.options
        said = self.python(interpreter, TOOLS / script, folder, "--seed", options.seed, "--first", options.first, "--count", 2 * options.count)
        for line in said.splitlines():
            self.say(f"{name}: {line}")
        return lambda: self.after_recurrent(name, folder)

    def after_recurrent(self, name, folder):
        self.recurrent[name], failures = compare_recurrent.compare(
            self.weft, folder, lambda text: None, lambda *verdict: self.judge(f"recurrent/{name}", *verdict)
        )
        for text in failures:
            self.fail(f"{text} (seed {self.options.seed})")

    # --- all

    def keras(self, name, interpreter, kept):
        only = self.options.only
        folder = self.work / name
        words = ["--seed", self.options.seed, "--first", self.options.first, "--count", self.options.count if "random" in only else 0]
        if not only & {"files", "quantizers"}:
            words.append("--only-random")
        for line in self.python(interpreter, TOOLS / "make_all.py", folder, *words).splitlines():
            self.say(f"{name}: {line}")
        return lambda: self.after_keras(name, interpreter, folder, kept)

    def after_keras(self, name, interpreter, folder, kept):
        only = self.options.only
        if "files" in only:
            self.compare_files(interpreter, folder / "fixtures", kept)
            self.compare_models(f"{name}/fixtures", interpreter, folder / "fixtures")
            self.compare_models(f"{name}/corners", interpreter, folder / "corners")
        if "quantizers" in only:
            self.compare_quantizers(name, folder / "quantizers.jsonl")
        if "random" in only and self.options.count:
            self.compare_models(f"{name}/random", interpreter, folder / "random", allow_refusal=True)
            self.compare_models(f"{name}/networks", interpreter, folder / "networks", allow_refusal=True)

    def hgq(self):
        """Random models of HGQ2 beside Keras 3."""
        folder = self.work / "hgq2"
        words = ["--seed", self.options.seed, "--first", self.options.first, "--count", self.options.count]
        for line in self.python(self.options.hgq2, TOOLS / "hgq_models.py", folder, *words).splitlines():
            self.say(f"hgq2: {line}")
        return lambda: self.compare_models("hgq2/random", self.options.hgq2, folder, allow_refusal=True)

    def data(self, name, interpreter, files):
        """Model files that exist already, where the framework reads them."""
        folder = self.work / f"data_{name}"
        for line in self.python(interpreter, TOOLS / "real_models.py", folder, *files).splitlines():
            self.say(f"{name} data: {line}")
        return lambda: self.compare_models(f"{name}/data", interpreter, folder, allow_refusal=True)

    def digits(self):
        made = self.work / "digits"
        said = self.python(self.options.qkeras, EXAMPLES / "digits/train.py", made).splitlines()
        self.say(f"digits: {said[-1]}")
        return lambda: self.after_digits(made)

    def after_digits(self, made):
        self.compare_files(self.options.qkeras, made, EXAMPLES / "digits", required=False)
        x, logits = np.load(made / "x_test.npy"), np.load(made / "keras_logits.npy")
        with np.load(made / "keras_layers.npz") as data:
            layers = {f"y:{k}": v for k, v in data.items()}
        count = len(next(iter(layers.values())))
        # The QONNX file says the same network operator by operator; Keras gave the logits of all images.
        for name, golden in (("digits.h5", {"x": x[:count], **layers}), ("digits.onnx", {"x": x, "y:output": logits})):
            folder = made / name.split(".")[1]
            folder.mkdir(exist_ok=True)
            shutil.copy(made / name, folder)
            np.savez(folder / "digits.npz", **golden)
            self.compare_models(f"digits.{folder.name}", self.options.qkeras, folder)

    def onnx(self):
        folder = self.work / "onnx"
        self.python(self.options.onnx, EXAMPLES / "fixtures/make_fixtures_onnx.py", folder)
        self.say("onnx: fixtures")
        return lambda: self.after_onnx(folder)

    def after_onnx(self, folder):
        self.compare_files(self.options.onnx, folder, EXAMPLES / "fixtures/onnx")
        self.compare_models("onnx/fixtures", self.options.onnx, folder)

    # --- models whose outputs alone are compared

    def made(self, name, interpreter, script, count):
        """Random models of `script`, and their comparison."""
        folder = self.work / name
        words = ["--seed", self.options.seed, "--first", self.options.first, "--count", count]
        for line in self.python(interpreter, TOOLS / script, folder, *words).splitlines():
            self.say(f"{name}: {line}")
        return lambda: self.compare_made(name, folder)

    def compare_made(self, name, folder):
        for model in sorted(p for p in folder.iterdir() if p.suffix in (".onnx", ".pt2")):
            kind = f"{name}: {model.stem.split('_', 1)[1]}"
            row = self.outputs.setdefault(kind, compare_outputs.new_row())
            try:
                self.judge(name, *compare_outputs.compare(self.weft, model, row, self.say))
            except (WeftError, RuntimeError) as error:
                self.judge(name, "unexplained")
                self.fail(f"{name}/{model.name} (seed {self.options.seed}): {error}")
                self.keep(name, model)

    def qonnx(self):
        cases = self.work / "qonnx.jsonl"
        self.say("qonnx: " + self.python(self.options.qonnx, TOOLS / "qonnx_quantizers.py", cases).strip())
        return lambda: self.compare_quantizers("qonnx", cases)

    def all(self):
        only = self.options.only
        jobs = []
        with_keras = bool(only & {"files", "quantizers", "random"})
        if with_keras:
            jobs.append(lambda: self.keras("qkeras", self.options.qkeras, EXAMPLES / "fixtures/keras2"))
        if "files" in only:
            jobs.append(self.digits)
        if with_keras:
            jobs.append(lambda: self.keras("qkeras-v3", self.options.keras3, EXAMPLES / "fixtures/keras3"))
        if "quantizers" in only:
            jobs.append(self.qonnx)
        if "tflite" in only:
            jobs.append(self.tflite)
        if "graphs" in only:
            jobs.append(lambda: self.made("graphs", self.options.onnx, "onnx_graphs.py", 11 * self.options.count))
        if "torch" in only:
            jobs.append(lambda: self.made("torch", self.options.torch, "torch_models.py", 8 * self.options.count))
        if "brevitas" in only:
            jobs.append(lambda: self.made("brevitas", self.options.torch, "brevitas_models.py", 5 * self.options.count))
        if "files" in only:
            jobs.append(self.onnx)
        if "trees" in only:
            jobs.append(self.trees)
        if "random" in only and self.options.count:
            jobs.append(self.hgq)
        if "data" in only and self.options.data:
            root = pathlib.Path(self.options.data) / "models"
            found = lambda *globs: [p for g in globs for p in sorted(root.glob(g)) if not p.name.endswith("_weights.h5")]
            of_hgq = found("hgq1/**/*.h5", "hgq1/**/*.keras", "hgq2/**/*.keras", "hgq2_attention/**/*.keras")
            of_v3 = found("example_models/keras/*.keras")
            of_v2 = [p for p in found("**/*.h5", "**/keras*/*.json", "**/qkeras*/*.json") if "hgq1" not in p.parts]
            jobs.append(lambda: self.data("hgq2", self.options.hgq2, of_hgq))
            jobs.append(lambda: self.data("qkeras-v3", self.options.keras3, of_v3))
            jobs.append(lambda: self.data("qkeras", self.options.qkeras, sorted(set(of_v2))))
        if "recurrent" in only:
            jobs.append(lambda: self.make_recurrent("keras 2", self.options.qkeras, "recurrent_models.py"))
            jobs.append(lambda: self.make_recurrent("keras 3", self.options.keras3, "recurrent_models.py"))
            jobs.append(lambda: self.make_recurrent("onnx", self.options.onnx, "recurrent_onnx.py"))
        # The frameworks run two at a time; what they made is compared here, one after the other.
        with concurrent.futures.ThreadPoolExecutor(2) as pool:
            running = [pool.submit(job) for job in jobs]
            for job in concurrent.futures.as_completed(running):
                try:
                    job.result()()
                except Exception as error:  # the other environments still have their say
                    self.fail(f"{type(error).__name__}: {error}")

    def summary(self):
        number = lambda value: f"{value:,}"
        if self.files:
            print("\nKept files against what their scripts make now")
            columns = ("bytes", "content", "last places", "different")
            print_table([[name, *(number(row[c]) for c in columns)] for name, row in sorted(self.files.items())],
                        ["folder", "same bytes", "same content", "same but for a kernel's last places", "different"])
        if self.tflite_rows:
            print("\nModels of TensorFlow Lite against its interpreter")
            columns = ("models", "refused", "values", "equal")
            print_table([[kind, *(number(row[c]) for c in columns)] for kind, row in sorted(self.tflite_rows.items())],
                        ["kind", "models", "failed", "values", "equal"])
        if self.layers:
            print("\nElements of layer outputs, by how they compare (tests/interop/compare_layers.py)")
            rows = []
            for group, table in sorted(self.layers.items()):
                for mode in ("float", "exact"):
                    row = table[mode]
                    columns = ("models", "refused", "slow", "off_grid", "layers", "hidden", *CLASSES)
                    rows.append([f"{group} {mode}", *(number(row[c]) for c in columns), f"{row['of_bound']:.2f}"])
            print_table(rows, ["models", "opened", "refused", "slow", "off grid", "layers", "unseen", *CLASSES, "of bound"])
            print("\nCertificates of the networks")
            words = ("exact", "float-order", "quantized")
            print_table([[group, *(number(table["words"].get(w, 0)) for w in words)] for group, table in sorted(self.layers.items())],
                        ["models", *words])
        if self.outputs:
            print("\nOutputs of models (tests/interop/compare_outputs.py)")
            columns = compare_outputs.COLUMNS
            rows = [[name, *(number(row[c]) for c in columns)] for name, row in sorted(self.outputs.items())]
            for source in sorted({name.split(":")[0] for name in self.outputs}):
                of_it = [row for name, row in self.outputs.items() if name.split(":")[0] == source]
                rows.append([f"{source}: all", *(number(sum(row[c] for row in of_it)) for c in columns)])
            print_table(rows, ["models of", *columns])
        if self.recurrent:
            print("\nRecurrent models (tests/interop/compare_recurrent.py)")
            columns = compare_recurrent.COLUMNS
            print_table([[name, *(number(row[c]) for c in columns)] for name, row in sorted(self.recurrent.items())], ["models", *columns])
        if self.quantizers:
            print("\nValues of quantizers and functions")
            rows = [[f"{family} ({source})", *(number(row[c]) for c in
                     ("cases", "values", "equal", "moved", "worst_move_ulps", "flips", "wrong"))]
                    for source, family, row in sorted(self.quantizers, key=lambda r: (r[1], r[0]))]
            print_table(rows, ["family", "cases", "values", "equal", "within a kernel's ulps", "ulps", "of them flips", "wrong"])
            families, _, _ = self.weft.run("ops")
            absent = {f["name"] for f in families["functions"]} - {family for _, family, _ in self.quantizers}
            print("without a case: " + (", ".join(sorted(absent)) or "none"))
        if self.trees_of:
            print("\nTrees: margins and answers of the libraries, integers against their float sums")
            rows = [[name, *(number(row[c]) for c in compare_trees.COUNTS)] for name, row in sorted(self.trees_of.items())]
            print_table(rows, ["library", *compare_trees.COUNTS])
        if self.verdicts:
            print("\nOne verdict for every model (VERDICTS in scripts/interop.py)")
            rows, total = [], {**dict.fromkeys(VERDICTS, 0), "kinds": {}}
            for row in self.verdicts.values():
                for verdict in VERDICTS:
                    total[verdict] += row[verdict]
                for kind, count in row["kinds"].items():
                    total["kinds"][kind] = total["kinds"].get(kind, 0) + count
            for name, row in [*sorted(self.verdicts.items()), ("all", total)]:
                kinds = ", ".join(f"{kind} {count}" for kind, count in sorted(row["kinds"].items()))
                rows.append([name, number(sum(row[v] for v in VERDICTS)), *(number(row[v]) for v in VERDICTS), kinds or "-"])
            print_table(rows, ["section/framework", "models", *VERDICTS, "explained, or float only, because"])
        print(f"\n{len(self.failures)} failures, {time.monotonic() - self.started:.0f} s")
        for text in self.failures:
            print("  " + text)


def main():
    parser = argparse.ArgumentParser()
    for name in ("weft", "quantizer-cases", "qkeras", "keras3", "hgq2", "onnx", "qonnx", "torch", "trees", "work"):
        parser.add_argument(f"--{name}", required=True)
    parser.add_argument("--count", type=int, default=40, help="random models per environment")
    parser.add_argument("--tree-count", type=int, default=150, help="random trees")
    parser.add_argument("--seed", type=int, default=1, help="seed of the random models")
    parser.add_argument("--first", type=int, default=0, help="number of the first random model")
    parser.add_argument("--data", help="folder of the acceptance data, for --only data")
    parser.add_argument("--only", default="files,quantizers,random,tflite,trees,graphs,torch,brevitas,recurrent", type=lambda text: set(text.split(",")))
    parser.add_argument("--limit", type=int, default=120, help="seconds that `convert` may take in the section data")
    parser.add_argument("--verbose", action="store_true", help="a line for every model")
    options = parser.parse_args()
    shutil.rmtree(options.work, ignore_errors=True)
    run = Run(options)
    run.all()
    run.summary()
    return 1 if run.failures else 0


if __name__ == "__main__":
    sys.exit(main())
