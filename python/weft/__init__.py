# SPDX-License-Identifier: Apache-2.0
"""Trained quantized networks to verified hardware, with exact integer semantics.

    import numpy as np, weft

    model = weft.load("digits.h5")
    y = model.predict(np.load("x_test.npy"))     # bit-exact emulation
    design = model.convert("out")                # Verilog, test bench, weft.json
    assert design.verify().ok                    # Verilator against the emulator
    print(design.synth().lut)                    # Yosys

What a user can cause raises `CompileError`, whose `diagnostics` say where and what to do; warnings are `WeftWarning`.
"""

from __future__ import annotations

import os
import pathlib
import tempfile
from typing import Any, Callable, Iterable, Mapping, Sequence, Union

import numpy as np

from . import _core
from ._core import Comparison, Diagnostic, InternalError, LayerComparison, Origin, SynthesisReport, VerifyResult

__version__ = _core.version
__all__ = [
    "Comparison",
    "CompileError",
    "Design",
    "Diagnostic",
    "InternalError",
    "LayerComparison",
    "Model",
    "Origin",
    "SynthesisReport",
    "VerifyResult",
    "WeftWarning",
    "from_torch",
    "load",
]

PathLike = Union[str, "os.PathLike[str]"]
#: One array for a model with one input, else arrays by input name. Batch first.
Arrays = Union[np.ndarray, Mapping[str, np.ndarray]]
Progress = Callable[[str, int, int], None]


class CompileError(Exception):
    """The library refused; `diagnostics` holds every message, errors, warnings and notes."""

    def __init__(self, message: str, diagnostics: Sequence[Diagnostic] = ()):
        super().__init__(message)
        self.diagnostics: list[Diagnostic] = list(diagnostics)


class WeftWarning(UserWarning):
    """A diagnostic of severity warning."""


def _call(threads: int | None = None, seed: int = 1, progress: Progress | None = None) -> _core.CallOptions:
    options = _core.CallOptions()
    options.threads = threads or os.cpu_count() or 1
    options.seed = seed
    options.progress = progress
    return options


class _Runner:
    """What a model and a design have in common: they can be run."""

    _session: _core.Session

    @property
    def name(self) -> str:
        """The model's name in its file."""
        return self._session.name

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the inputs without batch, by name."""
        return self._session.inputs

    @property
    def outputs(self) -> dict[str, tuple[int, ...]]:
        """Shapes of the outputs without batch, by name."""
        return self._session.outputs

    @property
    def certificate(self) -> list[dict[str, Any]]:
        """One entry per layer: layer, word (exact, float-order, quantized), bound, stats, notes."""
        return self._session.certificate

    @property
    def layers(self) -> list[dict[str, Any]]:
        """One entry per layer: name, op, type, scale, range, folded_into."""
        return self._session.layers

    @property
    def exact_text(self) -> str:
        """The exact integer graph in its text form."""
        return self._session.exact_text

    def _arrays(self, x: Arrays) -> dict[str, np.ndarray]:
        if not isinstance(x, Mapping):
            names = list(self.inputs)
            if len(names) != 1:
                raise ValueError(f"the model has the inputs {', '.join(names)}; give a mapping from names to arrays")
            x = {names[0]: x}
        return {name: np.asarray(array) for name, array in x.items()}

    def _one(self, outputs: dict[str, np.ndarray]) -> Any:
        return next(iter(outputs.values())) if len(outputs) == 1 else outputs

    def predict(self, x: Arrays, *, codes: bool = False, use_float: bool = False, threads: int | None = None) -> Any:
        """Runs the exact integer network on real numbers; an array, or arrays by output name when there are several.

        `codes`: inputs and outputs are integer codes. `use_float`: the source model in its own float32 arithmetic.
        """
        if codes:
            if use_float:
                raise ValueError("codes and use_float exclude each other")
            return self._one(_core.predict_codes(self._session, self._arrays(x), _call(threads)))
        return self._one(_core.predict(self._session, self._arrays(x), use_float, _call(threads)))

    def trace(self, x: Arrays, *, use_float: bool = False, threads: int | None = None) -> dict[str, np.ndarray]:
        """Every layer's output by its name in the source model."""
        return _core.trace(self._session, self._arrays(x), use_float, _call(threads))

    def compare(self, x: Arrays, labels: Iterable[int] | None = None) -> Comparison:
        """The float model against the exact one, layer by layer; accuracies when labels are given."""
        wanted = None if labels is None else [int(v) for v in np.asarray(labels).ravel()]
        return _core.compare(self._session, self._arrays(x), wanted, _call())


class Design(_Runner):
    """A folder that `Model.convert` wrote."""

    def __init__(self, path: PathLike, keep: Any = None):
        self.path = pathlib.Path(path)
        self._keep = keep  # a temporary folder lives as long as its design
        self._session = _core.open_session(self.path, _core.LoweringOptions(), _call())

    @property
    def info(self) -> dict[str, Any]:
        """The content of weft.json."""
        return self._session.project

    @property
    def predicted(self) -> dict[str, Any]:
        """latency_cycles, interval_cycles, lut, ff, dsp, bram18 as planned."""
        return self.info["predicted"]

    def verify(
        self,
        x: Arrays | None = None,
        *,
        samples: int = 1000,
        simulator: str = "",
        seed: int = 1,
        timeout_seconds: float = 3600.0,
        ap_types: PathLike = "",
        progress: Progress | None = None,
    ) -> VerifyResult:
        """Simulates what was written against the emulator: the rows of x, extremes and random vectors."""
        options = _core.VerifyOptions()
        options.samples = samples
        options.simulator = simulator
        options.timeout_seconds = timeout_seconds
        options.ap_types = os.fspath(ap_types)
        if x is None:
            return _core.verify(self.path, options, _call(None, seed, progress))
        with _data_file(self._arrays(x)) as file:
            options.data = file
            return _core.verify(self.path, options, _call(None, seed, progress))

    def synth(
        self,
        *,
        family: str | None = None,
        liberty: PathLike | None = None,
        per_module: bool = False,
        dsp: bool = False,
        timeout_seconds: float = 0.0,
        threads: int | None = None,
    ) -> SynthesisReport:
        """Synthesizes the Verilog with Yosys; the family is the part's unless given."""
        request = _core.SynthesisRequest()
        request.project = self.path
        request.top = self.info["top"]
        request.family = family or ("gates" if liberty else self.info.get("options", {}).get("family", "xcup"))
        if liberty:
            request.liberty = os.fspath(liberty)
        request.per_module = per_module
        request.use_dsp = dsp
        request.timeout_seconds = timeout_seconds
        options = _call(threads)
        request.threads = options.threads
        return _core.synthesize(request, options)


class Model(_Runner):
    """A model file with its exact integer network."""

    def __init__(self, path: PathLike, lowering: _core.LoweringOptions, keep: Any = None):
        self.path = pathlib.Path(path)
        self._lowering = lowering
        self._keep = keep
        self._design: Design | None = None
        self._session = _core.open_session(self.path, lowering, _call())

    @property
    def format(self) -> str:
        """"keras", "onnx", "torch" or "weft"."""
        return self._session.format

    def inspect(self) -> dict[str, Any]:
        """Layers, shapes, parameters, operations, types in force: the JSON of `weft inspect`."""
        return _core.inspect(self.path, self._lowering, _call())

    def configuration(self) -> dict[str, Any]:
        """The full configuration with the values in force, in the form that `config=` takes as YAML."""
        return _core.configuration(self.path, self._lowering, _call())

    def convert(
        self,
        directory: PathLike | None = None,
        *,
        target: str = "verilog",
        io: str = "parallel",
        part: str | None = None,
        clock_ns: float | None = None,
        max_latency_cycles: int | None = None,
        reuse_factor: int | None = None,
        top: str = "",
        prefix: str = "",
        register_inputs: bool = False,
        register_outputs: bool = True,
        clock_enable: bool = False,
        valid: bool = True,
        progress: Progress | None = None,
    ) -> Design:
        """Writes a project folder (whole or not at all); without `directory` a temporary one that lives as long as the design."""
        options = _core.ConvertOptions()
        options.lowering = self._lowering
        options.target, options.io, options.part, options.clock_ns = target, io, part, clock_ns
        options.max_latency_cycles, options.reuse_factor = max_latency_cycles, reuse_factor
        options.top, options.prefix = top, prefix
        options.register_inputs, options.register_outputs = register_inputs, register_outputs
        options.clock_enable, options.valid = clock_enable, valid
        options.command = "weft.Model.convert"
        keep = None
        if directory is None:
            keep = tempfile.TemporaryDirectory(prefix="weft-")
            directory = pathlib.Path(keep.name) / "design"
        _core.convert(self.path, os.fspath(directory), options, _call(progress=progress))
        self._design = Design(directory, keep)
        return self._design

    def _converted(self) -> Design:
        return self._design if self._design is not None else self.convert()

    def verify(self, x: Arrays | None = None, **options: Any) -> VerifyResult:
        """`Design.verify` of the last conversion; converts with default options when there was none."""
        return self._converted().verify(x, **options)

    def synth(self, **options: Any) -> SynthesisReport:
        """`Design.synth` of the last conversion; converts with default options when there was none."""
        return self._converted().synth(**options)


class _data_file:
    """Arrays in a temporary .npz."""

    def __init__(self, arrays: Mapping[str, np.ndarray]):
        self._folder = tempfile.TemporaryDirectory(prefix="weft-")
        self.path = pathlib.Path(self._folder.name) / "data.npz"
        np.savez(self.path, **arrays)

    def __enter__(self) -> str:
        return str(self.path)

    def __exit__(self, *_: object) -> None:
        self._folder.cleanup()


def load(
    path: Any,
    example_inputs: Any = None,
    *,
    weights: PathLike | None = None,
    layers: PathLike | None = None,
    config: PathLike | None = None,
    settings: Mapping[str, str] | Iterable[str] = (),
    calibrate: PathLike | Arrays | None = None,
    default_type: str | None = None,
    input_type: str | Mapping[str, str] | None = None,
    compat: str | None = None,
) -> Any:
    """Opens a model file as `Model`, or a folder that `convert` wrote as `Design`. A PyTorch module with example inputs
    goes to `from_torch`.

    weights       weights (.h5) of a Keras architecture (.json)
    layers        recipes (YAML) of layer classes of your own in a Keras file
    config        configuration file (YAML, hls4ml's keys are accepted)
    settings      single settings, {"layer.key": "value"} or ["layer.key=value"]
    calibrate     data that gives float layers and inputs their ranges: a file or arrays
    default_type  type where nothing else is known
    input_type    type of the input, or types by input name
    compat        "hls4ml": its integers (accumulators, casts, tables) instead of exact sums
    """
    if example_inputs is not None or (hasattr(path, "named_parameters") and hasattr(path, "forward")):
        if weights is not None:
            raise ValueError("weights go with a Keras architecture")
        return from_torch(
            path, example_inputs, config=config, settings=settings, calibrate=calibrate, default_type=default_type, input_type=input_type
        )
    if _core.is_project(path):
        if any((weights, layers, config, settings, default_type, input_type, compat)) or calibrate is not None:
            raise ValueError("a converted folder has its options already")
        return Design(path)
    lowering = _core.LoweringOptions()
    keep = None
    if weights is not None:
        lowering.weights = os.fspath(weights)
    if layers is not None:
        lowering.layers = os.fspath(layers)
    if config is not None:
        lowering.config = os.fspath(config)
    lowering.settings = [f"{k}={v}" for k, v in settings.items()] if isinstance(settings, Mapping) else list(settings)
    if isinstance(calibrate, (str, os.PathLike)):
        lowering.calibrate = os.fspath(calibrate)
    elif calibrate is not None:
        keep = _data_file(calibrate if isinstance(calibrate, Mapping) else {"x": np.asarray(calibrate)})
        lowering.calibrate = str(keep.path)
    lowering.default_type = default_type
    lowering.compat = compat or ""
    if isinstance(input_type, Mapping):
        lowering.input_types = [f"{k}={v}" for k, v in input_type.items()]
    elif input_type is not None:
        lowering.input_types = [input_type]
    return Model(path, lowering, keep)


def from_torch(module: Any, example_inputs: Any, **options: Any) -> Model:
    """A PyTorch module as `Model`: exported in evaluation mode with `torch.export`, or, when it has layers of Brevitas, as
    QONNX with `brevitas.export.export_qonnx`, and read from that file.

    example_inputs  a tensor, or a tuple of tensors, batch first
    options         as for `load`
    """
    import torch

    if example_inputs is None:
        raise ValueError("give example_inputs: a tensor, or a tuple of them, with the batch as first axis")
    if isinstance(example_inputs, torch.Tensor):
        example_inputs = (example_inputs,)
    example_inputs = tuple(example_inputs)
    parts = list(module.modules())
    modes = [part.training for part in parts]
    folder = tempfile.TemporaryDirectory(prefix="weft-")
    try:
        module.eval()
        with torch.no_grad():
            if any(type(part).__module__.split(".")[0] == "brevitas" for part in parts):
                from brevitas.export import export_qonnx

                path = pathlib.Path(folder.name) / "module.onnx"
                export_qonnx(module, args=example_inputs, export_path=str(path))
            else:
                path = pathlib.Path(folder.name) / "module.pt2"
                torch.export.save(torch.export.export(module, example_inputs, strict=False), path)
    except Exception as error:
        folder.cleanup()
        raise CompileError(f"PyTorch cannot export the module: {error}") from error
    finally:
        for part, training in zip(parts, modes):
            part.training = training
    model = load(path, **options)
    model._keep = (model._keep, folder)  # the file is read again for conversions
    return model
