# SPDX-License-Identifier: Apache-2.0
"""Prints Weft's speed as ratios against a peer or a bound of the same run; nothing here passes or fails.

How it is measured: a rate is the best of many short runs on one core, by the clock (`weft predict --threads 1`) or in CPU time (the
yardsticks of bench/emulator_bench.cpp, bench/hls4ml_csim.py); a wait is the wall time of a process whose files are in the page cache
(of hls4ml: the smaller of wall and CPU time, as other work may run beside).

    python3 scripts/bench.py --weft BIN --emulator-bench BIN --work DIR [--hls4ml PYTHON_OF_VENV] [--onnxruntime PYTHON_OF_VENV]
                             [--data DIR] [--json FILE] [--only NAME,...]
"""

import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import numpy as np

from measure import Weft, WeftError, print_table

ROOT = pathlib.Path(__file__).resolve().parent.parent
FIRST_RESULT_BOUND_MS = 50.0


class Network:
    """One network as every tool of the run gets it. `bench` is its name in the emulator bench and of the peers' shapes."""

    def __init__(self, title, bench, model, options, hls4ml_options, grid, shape, products, samples=1 << 15, large=200_000,
                 hls4ml_samples=2_000):
        self.title, self.bench, self.model, self.options = title, bench, model, options
        self.hls4ml_options, self.grid, self.shape, self.products = hls4ml_options, grid, shape, products
        # As many as in the emulator bench, so that both sides of a ratio find as much in the caches; a large batch; what the slow
        # peer gets.
        self.samples, self.large, self.hls4ml_samples = samples, large, hls4ml_samples

    def inputs(self, count):
        """Values on the grid of the input type: every tool reads the same numbers, whatever its rounding."""
        low, high, step = self.grid
        codes = np.random.default_rng(7).normal((low + high) / 2, (high - low) / 8, (count, *self.shape))
        return (np.clip(np.rint(codes), low, high) * step).astype(np.float32)


class Table:
    """Rows of the answer: what was measured, what it is held against, the ratio."""

    COLUMNS = ["measured", "Weft", "held against", "there", "ratio"]

    def __init__(self):
        self.rows, self.printed = [], 0

    def against_bound(self, network, what, value, unit, name, bound, missing="", minimum=None):
        """The share of a bound that was reached or used up."""
        share = value / bound if bound else None
        self.add(network, what, value, unit, name, bound, share, f"{share:.1%} of it" if bound else missing, minimum)

    def against_peer(self, network, what, value, unit, name, peer, missing=""):
        """The multiple: of the peer's rate, or of the own time that the peer takes."""
        multiple = None if not peer else value / peer if unit == "samples/s" else peer / value
        shown = missing if not peer else f"{multiple:,.0f} x" if multiple >= 100 else f"{multiple:.3g} x"
        self.add(network, what, value, unit, name, peer, multiple, shown)

    def add(self, network, what, value, unit, name, other, ratio, shown, minimum=None):
        texts = [what, quantity(value, unit) + (f" (min {minimum:.1f})" if minimum else ""), name,
                 quantity(other, unit) if other else "-", shown]
        self.rows.append({"network": network, "measured": what, "unit": unit, "weft": value, "weft_minimum": minimum, "against": name,
                          "there": other, "ratio": ratio, "shown": shown, "texts": texts})

    def print_new(self, title):
        """Prints the rows that were added since the last call."""
        print(f"== {title}")
        print_table([row["texts"] for row in self.rows[self.printed :]], self.COLUMNS)
        print(flush=True)
        self.printed = len(self.rows)


def quantity(value, unit):
    if unit == "samples/s":
        return f"{value / 1e6:,.2f} M/s" if value >= 1e6 else f"{value / 1e3:,.1f} k/s"
    return f"{value:,.1f} {unit}" if value < 1000 else f"{value:,.0f} {unit}"


def emulator_bench(binary, work):
    """({bench: best samples per second}, {bench: ms}, kernels of the BLAS): the yardsticks of the core."""
    out = work / "emulator_bench.json"
    command = [binary, "--benchmark_filter=^(jet_8bit|jet_bound|jet_float_blas|jet_compile|digits)", f"--benchmark_out={out}",
               "--benchmark_out_format=json", "--benchmark_color=false"]
    done = subprocess.run(command, capture_output=True, text=True)
    (work / "emulator_bench.log").write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        raise WeftError(f"{binary} ended with {done.returncode}; see {work / 'emulator_bench.log'}")
    rates, times = {}, {}
    for run in json.loads(out.read_text())["benchmarks"]:
        if run["run_type"] != "iteration":
            continue
        name = run["run_name"].split("/min_time")[0]
        times[name] = min(times.get(name, 1e30), run["cpu_time"])
        rates[name] = max(rates.get(name, 0.0), run.get("items_per_second", 0.0))
    blas = next((line for line in done.stdout.splitlines() if line.startswith("float BLAS: ")), "")
    return rates, times, blas.removeprefix("float BLAS: ").removesuffix(", one thread")


def process_ms(command, runs):
    """Wall times of whole processes in ms, after one that fills the page cache."""
    took = []
    for _ in range(runs + 1):
        begin = time.perf_counter()
        done = subprocess.run([str(c) for c in command], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, close_fds=False)
        took.append((time.perf_counter() - begin) * 1e3)
        if done.returncode != 0:
            raise WeftError(f"{' '.join(map(str, command))} ended with {done.returncode}")
    return took[1:]


def run_hls4ml(python, network, work):
    """(figures of bench/hls4ml_csim.py, why there are none)."""
    if python is None:
        return None, "no virtual environment with hls4ml (./dev bench makes one; see its messages)"
    folder = work / f"hls4ml_{network.bench}"
    x, y = work / f"{network.bench}_hls4ml_x.npy", work / f"{network.bench}_hls4ml_y.npy"
    np.save(x, network.inputs(network.hls4ml_samples))
    command = [python, ROOT / "bench" / "hls4ml_csim.py", network.model, *network.hls4ml_options, "--x", x, "--y", y, "--work", folder]
    return child(command, work / f"hls4ml_{network.bench}.log")


def child(command, log, timeout=600):
    """(the JSON that a command prints last, why there is none)."""
    try:
        done = subprocess.run([str(c) for c in command], capture_output=True, text=True, timeout=timeout)
    except (OSError, subprocess.TimeoutExpired) as error:
        return None, str(error)
    log.write_text(done.stdout + done.stderr)
    if done.returncode != 0:
        last = (done.stderr.strip().splitlines() or ["nothing on stderr"])[-1]
        return None, f"{pathlib.Path(command[1]).name} failed: {last[:100]} (see {log})"
    return json.loads(done.stdout.strip().splitlines()[-1]), None


def made(name, python, work, notes):
    """A model of bench/models.py, or None with a note."""
    if python is None:
        notes.append(f"{name}: no virtual environment to make the model")
        return None
    path = work / f"{name}.h5"
    path.unlink(missing_ok=True)
    _, why = child([python, ROOT / "bench" / "models.py", name, path], work / f"make_{name}.log")
    if why is not None:
        notes.append(f"{name}: {why}")
        return None
    return path


def networks(data, hls4ml, work, notes):
    """The jet tagger and RN07 from the data folder, the shipped example, and models with random weights."""
    jet_type = "fixed<8,4>"
    model, weights, title = data / "models/example_models/keras/qkeras_3layer.json", [], "jet tagger 16-64-32-32-5"
    if model.exists():
        weights = ["--weights", model.with_name("qkeras_3layer_weights.h5")]
    else:
        notes.append(f"no data in {data} (WEFT_DATA_DIR): the jet tagger has the shape of the public one and random weights")
        title += " (random weights)"
        model = made("jet", hls4ml, work, notes)
    if model is not None:
        options = [*weights, "--input-type", jet_type]
        yield Network(title, "jet", model, options, options, (-128, 127, 1 / 16), (16,), 16 * 64 + 64 * 32 + 32 * 32 + 32 * 5)
    yield Network("digits 64-24-16-10 (shipped)", "digits", ROOT / "examples/digits/digits.h5", [],
                  ["--input-type", "ufixed<4,0>"], (0, 15, 1 / 16), (64,), 64 * 24 + 24 * 16 + 16 * 10)
    image = {"grid": (0, 255, 1 / 256), "shape": (32, 32, 3), "samples": 1024, "large": 0}
    stream = ["--input-type", "ufixed<8,0>", "--io-type", "io_stream", "--chunk", "10", "--repeats", "1"]
    model = made("svhn", hls4ml, work, notes)
    if model is not None:
        yield Network("SVHN CNN (random weights)", "svhn", model, ["--input-type", "ufixed<8,0>"], stream, products=SVHN_PRODUCTS,
                      hls4ml_samples=50, **image)
    model = data / "models/mlperf_tiny/RN07/model_best.h5"
    if model.exists():
        yield Network("RN07 (MLPerf Tiny)", "rn07", model, ["--input-type", "ufixed<8,0>"], stream, products=RN07_PRODUCTS,
                      hls4ml_samples=20, **image)
    for name, gates in (("lstm", 4), ("gru", 3)):
        model = made(name, hls4ml, work, notes)
        if model is not None:
            types = ["--default-type", "fixed<16,6>", "--input-type", "fixed<16,6>"]
            yield Network(f"{name.upper()} tagger 20 x 6, 20 units, 64-32-5 (random weights)", name, model, types,
                          ["--input-type", "fixed<16,6>"], (-2048, 2047, 1 / 1024), (20, 6),
                          20 * gates * 20 * (6 + 20) + 20 * 64 + 64 * 32 + 32 * 5, samples=4096, large=0, hls4ml_samples=500)


SVHN_PRODUCTS = 30 * 30 * 16 * 27 + 13 * 13 * 16 * 144 + 4 * 4 * 24 * 144 + 96 * 42 + 42 * 64 + 64 * 10
RN07_PRODUCTS = 6_410_240


def yardsticks(table, network, products, bench, rate, rates, blas):
    """The rows that hold a rate against the core's bound and the BLAS. The bound was measured as samples of the jet tagger."""
    bound = rates.get("jet_bound") and rates["jet_bound"] * JET_PRODUCTS / products
    table.against_bound(network, "emulator, one core", rate, "samples/s", "integer multiplications of the core at best", bound,
                        "needs AVX-512 VNNI")
    if f"{bench}_float_blas" in rates:
        table.against_peer(network, "emulator, one core", rate, "samples/s", f"the shape in float, {blas or 'BLAS'}",
                           rates[f"{bench}_float_blas"], "built without OpenBLAS")


JET_PRODUCTS = 16 * 64 + 64 * 32 + 32 * 32 + 32 * 5


def run_onnxruntime(python, network, work):
    """(figures of bench/onnxruntime_float.py, why there are none)."""
    if python is None:
        return None, "no virtual environment with ONNX Runtime"
    return child([python, ROOT / "bench" / "onnxruntime_float.py", network.bench], work / f"onnxruntime_{network.bench}.log")


def measure(weft, network, options, rates, blas, table, notes):
    work, title = options.work, network.title
    x, large, one, y = (work / f"{network.bench}_{name}.npy" for name in ("x", "large", "one", "y"))
    rows = network.inputs(max(network.large, network.samples))
    np.save(large, rows)
    np.save(x, rows[: network.samples])
    np.save(one, rows[:1])
    project = work / f"{network.bench}.weft"  # the emulator needs no circuit, and RN07 as a parallel one takes minutes
    weft.run("export", network.model, "-o", project, *network.options)

    def rate_of(data, runs):
        answers = [weft.run("predict", project, data, "--threads", 1)[0] for _ in range(runs)]
        return max(a["samples_per_second"] for a in answers), answers[0]["executor"]

    rate, executor = rate_of(x, options.runs)
    yardsticks(table, title, network.products, network.bench, rate, rates, blas)
    ort, ort_why = run_onnxruntime(options.onnxruntime, network, work)
    table.against_peer(title, "emulator, one core", rate, "samples/s", f"the shape in float, ONNX Runtime {ort['version'] if ort else ''}",
                       ort and ort["samples_per_second"], ort_why)

    peer, why = run_hls4ml(options.hls4ml, network, work)
    name = f"hls4ml {peer['version']}" if peer else "hls4ml"
    peer_rate = peer and peer["samples_per_second"]
    table.against_peer(title, "emulator, one core", rate, "samples/s", f"{name}, compiled C simulation", peer_rate,
                       "missing, see below")
    file_to_file = []
    if network.large and peer:
        file_to_file = process_ms([weft.binary, "predict", project, large, "-o", y, "--threads", "1", "-q"], 7)
        table.against_peer(title, f"file to file, {network.large:,} samples", network.large / min(file_to_file) * 1e3, "samples/s",
                           f"{name}, array to array", peer_rate)

    waits = {}
    for what, command in {
        ".weft file": [weft.binary, "predict", project, one, "-q"],
        "model file": [weft.binary, "predict", network.model, one, *network.options, "-q"],
    }.items():
        took = process_ms(command, options.runs)
        waits[what] = {"min": min(took), "median": statistics.median(took), "all": took}
        table.against_bound(title, f"{what} to first result, median", waits[what]["median"], "ms", "bound", FIRST_RESULT_BOUND_MS,
                            minimum=waits[what]["min"])
    if peer:
        wait, seconds = waits["model file"]["median"], peer["seconds"]
        table.against_peer(title, "model file to first result, median", wait, "ms", f"{name}: load, convert, g++, first result",
                           1e3 * sum(v for k, v in seconds.items() if k != "import"))
        table.against_peer(title, "model file to first result, median", wait, "ms", f"{name}: write and g++", 1e3 * seconds["compile"])
        equal, of = peer["equal_logits"] = equal_logits(weft, network, project, work)
        notes.append(f"{network.bench}: {equal:,} of {of:,} logits of hls4ml's C simulation equal Weft's; importing hls4ml and TensorFlow "
                     f"took {seconds['import']:.1f} s more, not counted")
    else:
        notes.append(f"{network.bench}: hls4ml is missing: {why}")
    rate_large = None
    if network.large:
        rate_large, _ = rate_of(large, 7)
        notes.append(f"{network.bench}: in a batch of {network.large:,} ({rows.nbytes / 1e6:.0f} MB of inputs) the emulator reaches "
                     f"{quantity(rate_large, 'samples/s')}, in one of {network.samples:,} {quantity(rate, 'samples/s')}")
    return {"samples_per_second": rate, "samples_per_second_large": rate_large, "executor": executor, "file_to_file_ms": file_to_file,
            "first_result_ms": waits, "hls4ml": peer, "hls4ml_missing": why, "onnxruntime": ort}


def equal_logits(weft, network, project, work):
    """Of the samples that hls4ml ran: how many logits equal Weft's, of how many."""
    mine = work / f"{network.bench}_weft_y.npy"
    weft.run("predict", project, work / f"{network.bench}_hls4ml_x.npy", "-o", mine)
    a, b = np.load(mine), np.load(work / f"{network.bench}_hls4ml_y.npy")
    return int((a.reshape(b.shape) == b).sum()), int(b.size)


def processor():
    try:
        lines = pathlib.Path("/proc/cpuinfo").read_text().splitlines()
        return next(line.split(":", 1)[1].strip() for line in lines if line.startswith("model name"))
    except (OSError, StopIteration):
        return "unknown processor"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weft", required=True)
    parser.add_argument("--emulator-bench", required=True)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--hls4ml", help="python of an environment with bench/requirements-hls4ml.txt")
    parser.add_argument("--onnxruntime", help="python of an environment with bench/requirements-onnxruntime.txt")
    parser.add_argument("--only", type=lambda text: set(text.split(",")), help="networks by their short names: jet, svhn, ...")
    parser.add_argument("--data", type=pathlib.Path, default=os.environ.get("WEFT_DATA_DIR") or ROOT.parent / "shared" / "data")
    parser.add_argument("--runs", type=int, default=21, help="runs of every figure of Weft")
    parser.add_argument("--json", type=pathlib.Path, help="file for all figures")
    options = parser.parse_args()
    options.work = options.work.resolve()
    options.work.mkdir(parents=True, exist_ok=True)
    started, load = time.monotonic(), os.getloadavg()[0]
    weft, table, notes, answer = Weft(options.weft, options.work), Table(), [], {}
    try:
        rates, times, blas = emulator_bench(options.emulator_bench, options.work)
        jet = max((name for name in rates if name.startswith("jet_8bit/")), key=rates.get)
        yardsticks(table, "jet tagger's shape, in process", JET_PRODUCTS, "jet", rates[jet], rates, blas)
        table.print_new("jet tagger's shape, in process")
        for network in networks(pathlib.Path(options.data), options.hls4ml, options.work, notes):
            if options.only and network.bench not in options.only:
                continue
            answer[network.bench] = measure(weft, network, options, rates, blas, table, notes)
            table.print_new(network.title)
        start = process_ms([weft.binary, "--version"], options.runs)
    except WeftError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    notes.append(f"of the load to first result, starting a process that only prints its version takes {statistics.median(start):.1f} ms "
                 f"(median); making the jet tagger's executor takes {times['jet_compile']:.2f} ms")
    load_after = os.getloadavg()[0]
    notes.append(f"{processor()}, {os.cpu_count()} processors, executor {jet.split('/')[1]}; load {load:.1f} at the start, "
                 f"{load_after:.1f} at the end" + ("" if load < 1 else ": other work ran beside, so waits are too long"))
    notes.append(f"the bench took {time.monotonic() - started:.0f} s")
    print("\n".join(f"- {note}" for note in notes))
    if options.json:
        figures = {
            "rows": [{k: v for k, v in row.items() if k != "texts"} for row in table.rows],
            "networks": answer,
            "emulator_bench": {"samples_per_second": rates, "ms": times, "blas": blas},
            "process_start_ms": start,
            "load": [load, load_after],
            "notes": notes,
        }
        options.json.write_text(json.dumps(figures, indent=2) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
