# SPDX-License-Identifier: Apache-2.0
"""The Python package on the shipped example and on models that must be refused."""

import inspect
import pathlib
import shutil
import threading
import time

import numpy as np
import pytest

import weft

ROOT = pathlib.Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples/digits"
FIXTURES = ROOT / "examples/fixtures/keras2"


@pytest.fixture(scope="module")
def model():
    return weft.load(DIGITS / "digits.h5")


@pytest.fixture(scope="module")
def x():
    return np.load(DIGITS / "x_test.npy")


@pytest.fixture(scope="module")
def design(model, tmp_path_factory):
    return model.convert(tmp_path_factory.mktemp("digits") / "out", top="digits")


def test_predict_equals_keras(model, x):
    logits = model.predict(x)
    assert logits.dtype == np.float32
    np.testing.assert_array_equal(logits, np.load(DIGITS / "keras_logits.npy"))


def test_both_formats_agree(model, x):
    np.testing.assert_array_equal(weft.load(DIGITS / "digits.onnx").predict(x), model.predict(x))


def test_rows_may_be_flat_and_of_other_types(model, x):
    np.testing.assert_array_equal(model.predict(x.astype(np.float64)), model.predict(x))
    np.testing.assert_array_equal(model.predict(x[:1]), model.predict(x)[:1])


def test_trace_speaks_the_names_of_the_source(model, x):
    golden = np.load(DIGITS / "keras_layers.npz")
    trace = model.trace(x[:50])
    checked = 0
    for name in golden:
        if name == "softmax" or name not in trace:
            continue
        np.testing.assert_array_equal(trace[name], golden[name])
        checked += 1
    assert checked >= 6


def test_float_run_is_the_source(model, x):
    golden = np.load(DIGITS / "keras_layers.npz")
    for name, value in model.trace(x[:50], use_float=True).items():
        if name in golden:
            np.testing.assert_allclose(value, golden[name], rtol=1e-6, atol=1e-6)


def test_codes(model, x):
    codes = np.clip(np.rint(x.astype(np.float64) * 16), 0, 15).astype(np.int64)
    logits = model.predict(codes, codes=True)
    assert logits.dtype == np.int64
    real = model.predict(x).astype(np.float64)
    scale = np.abs(real[real != 0]).min() / np.abs(logits[logits != 0]).min()
    np.testing.assert_array_equal(logits * scale, real)


def test_compare(model, x):
    result = model.compare(x, np.load(DIGITS / "y_test.npy"))
    assert result.samples == len(x)
    assert result.argmax_agreement == 1.0
    assert result.accuracy_exact == result.accuracy_float > 0.95


def test_certificate_and_inspect(model):
    words = {c["layer"]: c["word"] for c in model.certificate}
    assert {k: v for k, v in words.items() if k != "softmax" and v != "exact"} == {}
    answer = model.inspect()
    assert answer["params"] == 64 * 24 + 24 + 24 * 16 + 16 + 16 * 10 + 10
    assert model.format == "keras"
    assert list(model.inputs.values()) == [(64,)]
    assert "Model" in model.configuration()


def test_convert_writes_a_folder(design, x):
    assert (design.path / "weft.json").exists()
    assert list((design.path / "rtl").glob("*.v"))
    assert design.predicted["lut"] > 0
    again = weft.load(design.path)
    assert isinstance(again, weft.Design)
    np.testing.assert_array_equal(again.predict(x), np.load(DIGITS / "keras_logits.npy"))


def test_same_input_same_bytes(model, design, tmp_path):
    again = model.convert(tmp_path / "again", top="digits")
    for file in sorted((design.path / "rtl").iterdir()):
        assert file.read_bytes() == (again.path / "rtl" / file.name).read_bytes()


@pytest.mark.skipif(shutil.which("iverilog") is None, reason="iverilog is not installed")
def test_verify(design, x):
    result = design.verify(x[:20], samples=60, simulator="iverilog")
    assert result.ok and result.mismatches == 0
    assert result.samples >= 60
    assert result.latency_cycles == result.predicted_latency_cycles == design.predicted["latency_cycles"]


@pytest.mark.skipif(shutil.which("yosys") is None, reason="yosys is not installed")
def test_synth(design):
    report = design.synth()
    assert report.lut > 500
    assert abs(design.predicted["lut"] / report.lut - 1) < 0.2


def test_temporary_design_disappears(model):
    design = model.convert()
    path = design.path
    assert path.exists()
    del design
    model._design = None
    assert not path.exists()


def test_errors_carry_diagnostics():
    with pytest.raises(weft.CompileError) as caught:
        weft.load(FIXTURES / "refused_bernoulli.json")
    errors = [d for d in caught.value.diagnostics if d.severity == "error"]
    assert errors[0].kind == "quantizer-unsupported"
    assert errors[0].origin.node == "random"
    assert "bernoulli" in str(caught.value)


def test_missing_file_is_an_error():
    with pytest.raises(weft.CompileError) as caught:
        weft.load("no/such/file.h5")
    assert caught.value.diagnostics[0].kind == "file-unreadable"


def test_warnings_are_python_warnings():
    with pytest.warns(weft.WeftWarning, match="input-type-assumed"):
        weft.load(FIXTURES / "split.json", weights=FIXTURES / "split_weights.h5")


def test_options_reach_the_compiler():
    plain = weft.load(FIXTURES / "split.json", weights=FIXTURES / "split_weights.h5", input_type="fixed<6,3>")
    golden = np.load(FIXTURES / "split.npz")
    np.testing.assert_array_equal(plain.predict(golden["x"]), golden["y:second"])
    with pytest.raises(weft.CompileError) as caught:
        weft.load(FIXTURES / "split.json", weights=FIXTURES / "split_weights.h5", input_type="fixed<6")
    assert caught.value.diagnostics[0].kind == "type-invalid"
    with pytest.raises(weft.CompileError):
        weft.load(FIXTURES / "split.json", weights=FIXTURES / "split_weights.h5", settings={"nolayer.precision": "int<4>"})


def test_several_inputs_go_by_name():
    model = weft.load(FIXTURES / "branches.h5")
    golden = np.load(FIXTURES / "branches.npz")
    outputs = model.predict({"a": golden["x:a"], "b": golden["x:b"]})
    assert len(outputs) == 3
    with pytest.raises(ValueError):
        model.predict(golden["x:a"])
    with pytest.raises(weft.CompileError) as caught:
        model.predict({"a": golden["x:a"], "c": golden["x:b"]})
    assert caught.value.diagnostics[0].origin.tensor == "b"


def test_bad_arrays_are_refused(model, x):
    with pytest.raises(weft.CompileError) as caught:
        model.predict(x[:, :60])
    assert caught.value.diagnostics[0].kind == "shape-mismatch"
    bad = x.copy()
    bad[3, 5] = np.nan
    with pytest.raises(weft.CompileError, match="row 3, column 5 is nan"):
        model.predict(bad)
    with pytest.raises(weft.CompileError, match="codes are integers"):
        model.predict(x, codes=True)
    with pytest.raises(TypeError):
        model.predict(np.array([["a"] * 64]))


def test_calls_release_the_lock(model, x):
    ticks, stop = [], threading.Event()

    def tick():
        while not stop.is_set():
            ticks.append(time.monotonic())
            time.sleep(0.001)

    thread = threading.Thread(target=tick)
    thread.start()
    big = np.tile(x, (400, 1))
    started = time.monotonic()
    model.predict(big, threads=1)
    ended = time.monotonic()
    stop.set()
    thread.join()
    assert sum(started < t < ended for t in ticks) >= 2


def test_every_public_name_is_documented():
    for name in weft.__all__:
        thing = getattr(weft, name)
        assert inspect.getdoc(thing), name
        for member, value in vars(thing).items() if inspect.isclass(thing) and thing.__module__ == "weft" else ():
            if not member.startswith("_") and (callable(value) or isinstance(value, property)):
                assert inspect.getdoc(value), f"{name}.{member}"


def test_stubs_name_everything():
    stub = (ROOT / "python/weft/_core.pyi").read_text()
    for name, thing in vars(weft._core).items():
        if name.startswith("__"):
            continue
        assert f"class {name}" in stub or f"def {name}(" in stub or f"{name}:" in stub, name
        if inspect.isclass(thing):
            for member in vars(thing):
                if not member.startswith("_"):
                    assert f"{member}" in stub, f"{name}.{member}"
