# SPDX-License-Identifier: Apache-2.0
"""Layers and options that hls4ml 1.3 computes wrongly without a word, or breaks on: here a right answer or a precise refusal.

    python3 tests/golden/pitfalls_test.py build/release/bin/weft [--update]

The table that it makes is the end of docs/compat_hls4ml.md; the test fails when another one stands there (`--update` rewrites it).

Models and answers: examples/fixtures/pitfalls (Keras) and examples/fixtures/pitfalls_torch (PyTorch, as ONNX and as .pt2). A model is right
when the integers, read as numbers, equal the framework's float32 answer (sums of multiples of 1/16 and 1/8 are exact there), or,
where a transcendental function takes part, lie within the stated distance of it.
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
# What stands in front of the table in docs/compat_hls4ml.md.
MARK = "<!-- made by tests/golden/pitfalls_test.py --update -->\n\n"
KERAS = ROOT / "examples/fixtures/pitfalls"
TORCH = ROOT / "examples/fixtures/pitfalls_torch"

# Fine enough for every exact row; functions get 16 fraction bits.
EXACT = ["--input-type", "fixed<20,10>", "--default-type", "fixed<28,12>"]
FINE = ["--input-type", "fixed<20,10>", "--default-type", "fixed<28,10>"]


class Case:
    """One model of a row: `distance` 0 asks for equality, `options` are added, `refusal` lists words an error must have, and the
    answer must have numbers beyond `beyond`."""

    def __init__(self, model, distance=0.0, options=(), refusal=None, beyond=0.0):
        self.model, self.distance, self.options, self.refusal, self.beyond = model, distance, list(options), refusal, beyond


ROWS = {
    1: ("ReLU(max_value=6)", [Case("row01_relu6")]),
    2: ("ReLU with negative_slope and threshold", [Case("row02_relu_slope_threshold")]),
    3: ("Conv2D, dilation 2, valid", [Case("row03_conv2d_dilation_valid")]),
    4: ("Conv2D, dilation 2, same", [Case("row04_conv2d_dilation_same")]),
    5: ("Conv2D, groups 2", [Case("row05_conv2d_groups")]),
    6: ("Conv1D, dilation 3", [Case("row06_conv1d_dilation")]),
    7: ("SimpleRNN", [Case("row07_simple_rnn", 2e-3)]),
    8: ("LSTM, go_backwards", [Case("row08_lstm_go_backwards", 2e-3)]),
    9: ("LSTM without bias", [Case("row09_lstm_no_bias", 2e-3)]),
    10: ("GRU, reset_after=False", [Case("row10_gru_reset_before", 2e-3)]),
    11: ("Bidirectional, merge_mode sum, ave, mul", [Case(f"row11_bidirectional_{m}", 4e-3) for m in ("sum", "ave", "mul")]),
    12: ("Softmax as a layer", [Case("row12_softmax_layer", 2e-3, ["--set", "p.softmax=table"])]),
    14: ("softmax over the last axis of two", [Case("row14_softmax_last_axis", 2e-3, ["--set", "p.softmax=table"])]),
    15: ("softmax of a wide type", [Case("row15_softmax_wide", 2e-3, ["--input-type", "fixed<32,12>", "--set", "p.softmax=table"])]),
    16: ("gelu, swish, exponential", [Case(f"row16_{f}", 2e-4) for f in ("gelu", "swish", "exponential")]),
    17: ("PyTorch Conv1d, padding='same', even kernel", [Case("row17_conv1d_same"), Case("row17_conv1d_same.pt2")]),
    18: ("PyTorch Conv2d, padding='same'", [Case("row18_conv2d_same"), Case("row18_conv2d_same.pt2")]),
    19: ("PyTorch Conv2d, dilation 2", [Case("row19_conv2d_dilation"), Case("row19_conv2d_dilation.pt2")]),
    20: ("LayerNormalization, any variance", [Case("row20_layernorm", 2e-3), Case("row20_layernorm_times_4", 2e-3)]),
    21: ("batch normalization with negative gamma, then binary", [Case("row21_batchnorm_binary")]),
    22: ("Add of (H, W, C) and (H, W, 1)", [Case("row22_add_broadcast_channel")]),
    23: ("Add of (H, W, C) and (1, 1, C)", [Case("row23_add_broadcast_pixel")]),
    24: ("ternary activation without batch normalization", [Case("row24_ternary")]),
    25: ("Cropping2D, DepthwiseConv2D", [Case("row25_crop_depthwise")]),
    26: ("pools with stride other than the pool, with padding",
         [Case(f"row26_{p}", d) for p, d in (("pool_stride", 0.0), ("pool_padding", 0.0), ("average_pool_padding", 0.0))]),
    27: ("outputs beyond fixed<16,6>", [Case("row27_large_outputs", beyond=32.0)]),
    29: ("quantized_bits(keep_negative=False) kernel", [Case("row29_unsigned_kernel")]),
    30: ("alpha of a depthwise kernel", [Case("row30_depthwise_alpha")]),
    31: ("ZeroPadding2D of tuples; Unsqueeze, MatMul with a vector, 1-D pool in ONNX",
         [Case("row31_zero_padding"), Case("row31_unsqueeze"), Case("row31_matmul_vector"), Case("row31_pool1d")]),
    32: ("max pool with padding of an unsigned type", [Case("row32_unsigned_max_pool")]),
}


def run(weft, *words):
    done = subprocess.run([weft, *map(str, words), "--json"], capture_output=True, text=True, timeout=600)
    answer = json.loads(done.stdout) if done.stdout.strip() else {}
    return done.returncode, answer, [d for d in answer.get("diagnostics", []) if d.get("severity") == "error"]


def model_file(name):
    if name.endswith(".pt2"):
        return TORCH / name, (TORCH / name).with_suffix(".npz")
    for folder, suffix in ((KERAS, ".keras"), (TORCH, ".onnx")):
        if (folder / (name + suffix)).exists():
            return folder / (name + suffix), folder / (name + ".npz")
    return None, None


def check_model(weft, case, folder):
    """What happened, and whether that is right: ("right answer" | "refusal" | what is wrong)."""
    model, data = model_file(case.model)
    if model is None:
        return f"no fixture {case.model}"
    arrays = dict(np.load(data))
    want = arrays.pop("y")
    if np.abs(want).max() <= case.beyond:
        return f"the fixture stays within {case.beyond}"
    np.savez(folder / "x.npz", **arrays)
    options = case.options if any(o == "--input-type" for o in case.options) else \
        [*case.options, *(FINE if case.distance else EXACT)]
    code, answer, errors = run(weft, "predict", model, folder / "x.npz", "-o", folder / "y.npz", *options)
    if case.refusal is not None:
        text = " ".join(json.dumps(e) for e in errors)
        missing = [word for word in case.refusal if word not in text]
        return "refusal" if code == 1 and errors and not missing else f"expected a refusal with {case.refusal}: {text}"
    if code != 0:
        return "refused: " + "; ".join(e["message"] for e in errors)
    got = list(np.load(folder / "y.npz").values())[0].reshape(want.shape)
    distance = float(np.abs(got.astype(np.float64) - want).max())
    return "right answer" if distance <= case.distance else f"{distance:.3g} away"


def config_rows(weft, folder):
    """Rows about configuration files: 13, 28, 33."""
    model, data = model_file("row12_softmax_layer")
    answers = {}

    def with_config(text):
        (folder / "c.yml").write_text(text)
        return run(weft, "predict", model, data, "--config", folder / "c.yml", *EXACT)

    # 13: a strategy that a softmax does not have is an error that says where; Implementation is obeyed.
    code, _, errors = with_config("LayerName:\n  p: {Strategy: argmax}\n")
    says = any("LayerName.p.Strategy" in e["message"] and "argmax" in e["message"] for e in errors)
    (folder / "c.yml").write_text("LayerName:\n  p: {Implementation: argmax}\n")
    code2, answer, _ = run(weft, "predict", model, data, "--config", folder / "c.yml", "-o", folder / "y.npz", *EXACT)
    want = np.load(data)["y"].argmax(-1)
    right = code2 == 0 and (list(np.load(folder / "y.npz").values())[0].reshape(-1) == want).all()
    answers[13] = ("`Strategy: argmax` of a softmax; `Implementation: argmax`",
                   "right answer" if code == 1 and says and right else f"exit {code}, {errors}, argmax {right}")
    # 28: convert with an hls4ml project file writes the project, and its types are in it.
    (folder / "c.yml").write_text(
        "KerasH5: model.h5\nOutputDir: ignored\nProjectName: theirs\nIOType: io_parallel\nClockPeriod: 5\n"
        "HLSConfig:\n  Model: {Precision: 'ap_fixed<24,10>', ReuseFactor: 1, Strategy: Latency}\n")
    relu, _ = model_file("row01_relu6")
    code, answer, errors = run(weft, "convert", relu, "-o", folder / "out", "--config", folder / "c.yml")
    written = (folder / "out/weft.json").exists()
    typed = written and "fixed<24,10" in (folder / "out/weft.json").read_text()
    answers[28] = ("convert with an hls4ml project file", "right answer" if code == 0 and typed else f"exit {code}, {errors}, typed {typed}")
    # 33: a misspelt key names itself and its neighbour.
    code, _, errors = with_config("LayerName:\n  p: {Precison: 'fixed<8,2>'}\n")
    says = any(e["kind"] == "config-unknown-key" and "Precision" in e["message"] for e in errors)
    code2, _, errors2 = with_config("LayerName:\n  pp: {Precision: 'fixed<8,2>'}\n")
    says2 = any(e["kind"] == "config-unknown-key" and "`p`" in e["message"] for e in errors2)
    answers[33] = ("misspelt keys and layer names", "refusal" if code == code2 == 1 and says and says2 else f"{errors} {errors2}")
    return answers


def main():
    weft = str(pathlib.Path(sys.argv[1]).resolve())
    answers = {}
    with tempfile.TemporaryDirectory(prefix="weft-pitfalls-") as temporary:
        folder = pathlib.Path(temporary)
        for number, (what, cases) in ROWS.items():
            results = {case.model: check_model(weft, case, folder) for case in cases}
            kinds = set(results.values())
            answers[number] = (what, kinds.pop() if len(kinds) == 1 else "; ".join(f"{m}: {r}" for m, r in results.items()
                                                                                 if r != "right answer"))
        answers.update(config_rows(weft, folder))
    right = sum(answer == "right answer" for _, answer in answers.values())
    refused = sum(answer == "refusal" for _, answer in answers.values())
    table = "| row | case | here |\n|---|---|---|\n"
    for number, (what, answer) in sorted(answers.items()):
        print(f"{number:3} {what:60} {answer}")
        table += f"| {number} | {what} | {answer} |\n"
    print(f"{right} right answers, {refused} refusals, of {len(answers)} rows")
    page = ROOT / "docs/compat_hls4ml.md"
    before, mark, kept = page.read_text().partition(MARK)
    if "--update" in sys.argv:
        page.write_text(before + mark + table)
        kept = table
    if kept != table:
        print("docs/compat_hls4ml.md holds another table; run with --update")
    wrong = [n for n, (_, answer) in answers.items() if answer not in ("right answer", "refusal")]
    sys.exit(1 if wrong or len(answers) != 33 or kept != table else 0)


if __name__ == "__main__":
    main()
