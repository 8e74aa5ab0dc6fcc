# SPDX-License-Identifier: Apache-2.0
"""Small model files, data files and stand-ins for tools, made in one temporary folder; and runs of `weft` in it."""

import io
import json
import os
import pathlib
import signal
import subprocess
import time
import zipfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
DIGITS = ROOT / "examples/digits"
KERAS2 = ROOT / "examples/fixtures/keras2"


def npy(array):
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


def attribute(value):
    kinds = {bool: "bool", int: "int", float: "real", str: "text"}
    return {kinds[type(value)]: value}


def quantizer(family, **parameters):
    return {"family": family, "parameters": {key: attribute(value) for key, value in parameters.items()}}


def dense(name, kernel, kernel_quantizer=None, bias=None, activation=None, bias_quantizer=None):
    """One Dense node for weft_file(). The bias has the kernel's quantizer unless it has its own."""
    parameters = {"kernel": (np.asarray(kernel, np.float32), kernel_quantizer)}
    if bias is not None:
        parameters["bias"] = (np.asarray(bias, np.float32), bias_quantizer or kernel_quantizer)
    return {"name": name, "op": "Dense", "parameters": parameters, "functions": {"activation": activation} if activation else {}}


def weft_file(file, inputs, nodes):
    """A `.weft` file of a chain of nodes: graph.json and one .npy per parameter. `file` is what origins name."""
    members = {}
    graph = {"weft": 1, "name": pathlib.Path(file).stem, "file": file, "framework": "keras",
             "tensors": [{"name": "x", "shape": list(inputs)}], "inputs": [{"name": "x", "tensor": 0}], "nodes": []}
    for i, node in enumerate(nodes):
        graph["tensors"].append({"name": node["name"], "shape": []})
        row = {"name": node["name"], "op": node["op"], "attributes": node.get("attributes", {}), "inputs": [i], "outputs": [i + 1],
               "parameters": {}, "functions": node.get("functions", {}),
               "origin": {"file": file, "node": node["name"], "op": node["op"], "tensor": ""}}
        for role, (values, spec) in node.get("parameters", {}).items():
            member = f"tensors/{len(members):05}.npy"
            members[member] = npy(values)
            row["parameters"][role] = {"values": member, **({"quantizer": spec} if spec else {})}
        graph["nodes"].append(row)
    graph["outputs"] = [{"name": "y", "tensor": len(nodes)}]
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        archive.writestr("graph.json", json.dumps(graph))
        for member, content in members.items():
            archive.writestr(member, content)
    return out.getvalue()


def keras_file(change):
    """The two-layer QKeras architecture of the fixtures after change(config of the input, of `first`, whole json)."""
    model = json.loads((KERAS2 / "split.json").read_text())
    layers = model["config"]["layers"]
    change(layers[0]["config"], layers[1]["config"], layers)
    return json.dumps(model).encode()


def tool(text):
    """A stand-in for an external program."""
    return ("#!/bin/sh\n" + text + "\n").encode()


class Finished:
    """What one run of weft left: exit code, parsed stdout, stderr, diagnostics."""

    def __init__(self, code, out, err):
        self.code, self.out, self.err = code, out, err
        self.json = json.loads(out) if out.strip() else None
        self.diagnostics = self.json["diagnostics"] if isinstance(self.json, dict) and "diagnostics" in self.json else []

    def kinds(self):
        return [d["kind"] for d in self.diagnostics]


class Workshop:
    """A temporary folder and the binary. Commands run in the folder, so files have short names."""

    def __init__(self, binary, folder):
        self.binary, self.folder = str(pathlib.Path(binary).resolve()), pathlib.Path(folder)

    def write(self, name, content):
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        if content.startswith(b"#!"):
            path.chmod(0o755)

    def start(self, arguments, path=None):
        environment = dict(os.environ)
        environment.pop("WEFT_AP_TYPES", None)
        if path is not None:
            environment["PATH"] = str(self.folder / path)
        # A session of its own: a Ctrl-C at the test's terminal is not passed on twice.
        return subprocess.Popen([self.binary, *arguments, "--json", "-v"], cwd=self.folder, env=environment, start_new_session=True,
                                stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def finish(self, process, seconds=300):
        try:
            out, err = process.communicate(timeout=seconds)
        except subprocess.TimeoutExpired:
            process.kill()
            process.communicate()
            raise
        return Finished(process.returncode, out, err)

    def run(self, arguments, path=None):
        return self.finish(self.start(arguments, path))

    def run_interrupted(self, arguments, path=None, when=None, seconds=0.0):
        """Ctrl-C once the file `when` is there (if named) and `seconds` later."""
        marker = None if when is None else self.folder / when
        if marker is not None:
            marker.unlink(missing_ok=True)
        process = self.start(arguments, path)
        deadline = time.monotonic() + 120
        while marker is not None and not marker.exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(seconds)
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        return self.finish(process)
