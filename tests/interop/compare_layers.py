# SPDX-License-Identifier: Apache-2.0
"""Compares a trace of Weft with a framework's layer outputs and holds every difference against the certificates.

A certificate speaks of one layer whose inputs are equal to the source's. So every element is put into one class:

    equal     the same number (either zero is zero)
    bound     inputs equal; the difference lies within the layer's own certified bound
    flip      inputs equal; the layer is certified `float-order` and ends in a quantizer, so a rounding may fall to the other
              side: at no more codes than the certificate counts (or, where it has a note but no count, at FLIPS of the elements)
    kernel    inputs equal; a note of the certificate says that it hangs on the last places of a kernel of the framework, and the
              difference is within TOLERANCE (or of any size where the note comes with the word `float-order`)
    noise     float arithmetic in front of a quantizer: within TOLERANCE
    behind    the inputs differ already, because of a layer in front that its certificate excuses
    chosen    the user or a default chose a type that the model does not have (certificate `quantized`): within CHOSEN, or
              clipped to that type
    FAIL      nothing explains it

The exact trace gives `noise` only behind inputs that differ or in a batch normalization (rsqrt), the float trace wherever
float numbers are added or functions computed.
"""

import re

import numpy as np

CLASSES = ("equal", "bound", "flip", "kernel", "noise", "behind", "chosen", "FAIL")
TOLERANCE = 1e-5  # relative to the largest output of the layer, at least 1
CHOSEN = 0.01  # likewise
FLIPS = 0.02
ULPS = 8 * 2.0**-23  # of a batch normalization whose rsqrt is a kernel of the framework
ELEMENTWISE = {
    "QActivation", "Activation", "ReLU", "LeakyReLU", "BatchNormalization", "QBatchNormalization", "Dropout", "Rescaling",
    "Relu", "Clip", "Sign", "Identity", "Quant", "BipolarQuant", "MultiThreshold",
}  # fmt: skip
NORMALIZATIONS = {"BatchNormalization", "QBatchNormalization"}
# What only computes shapes in an ONNX graph makes no layer.
SHAPES = {"Shape", "Gather", "Unsqueeze", "Squeeze", "Concat", "Slice", "Cast", "Constant"}
KERNEL_NOTE = re.compile(r"framework's (own )?kernel|kernel of the framework")


def at_risk(row):
    """How many results the certificate counts that may differ."""
    said = [int(n) for note in row["notes"] for n in re.findall(r"(\d+) reachable results could differ", note)]
    return max([row["stats"].get("codes_at_risk", 0), *said])


class Layers:
    """What feeds what, and what the certificates of layers say."""

    def __init__(self, layers, answer):
        self.layers = layers
        self.types = {row["name"]: row for row in answer.get("layers", [])}
        self.certificates = {}
        for row in answer.get("certificate", []):
            # An operator of ONNX may need several layers; those in front of its result are called NAME_product and the like.
            owner = row["layer"] if row["layer"] in layers else row["layer"].rpartition("_")[0]
            self.certificates.setdefault(owner, []).append(row)

    def rows(self, names):
        return [row for n in names for row in self.certificates.get(n, [])]

    def ends(self, name):
        """Smallest and largest number of the layer's type; nothing when its scale has one number per channel."""
        row = self.types.get(name, {})
        if not row.get("range") or not isinstance(row.get("scale"), float):
            return []
        return [np.float32(end * row["scale"]) for end in row["range"]]

    def group(self, name, visible):
        """The layer with the invisible ones right in front of it, and what feeds them: layers or None for a graph input."""
        group, sources, open_ = [name], [], list(self.layers[name]["inputs"])
        while open_:
            source = open_.pop()
            if source not in self.layers:
                sources.append(None)
            elif source in visible:
                sources.append(source)
            else:
                group.append(source)
                open_ += self.layers[source]["inputs"]
        return group, sources

    def in_front(self, name):
        found, open_ = set(), list(self.layers[name]["inputs"])
        while open_:
            source = open_.pop()
            if source in self.layers and source not in found:
                found.add(source)
                open_ += self.layers[source]["inputs"]
        return found

    def excuses(self, names):
        """True when a certificate among them lets a result differ."""
        return any(
            c["word"] != "exact" or at_risk(c) > 0 or any(KERNEL_NOTE.search(n) for n in c["notes"])
            for c in self.rows(names)
        )


def classify(model, name, golden, ours, wanted, visible, exact):
    """Boolean masks by class for one layer."""
    group, sources = model.group(name, visible)
    kinds = {model.layers[n]["class"] for n in group}
    want, have = wanted.astype(np.float64), ours.astype(np.float64)
    difference = np.abs(want - have)
    difference[np.isnan(difference)] = np.inf
    same_inputs = np.ones(want.shape, bool)
    for source in sources:
        if source is None:
            continue
        same = golden[source].astype(np.float64) == visible[source]
        if kinds <= ELEMENTWISE and same.shape == want.shape:
            same_inputs &= same
        else:
            same_inputs &= same.reshape(len(same), -1).all(axis=1).reshape(-1, *[1] * (want.ndim - 1))
    rows = model.rows(group)
    bound = max((c["bound"] for c in rows), default=0.0) * (1 if exact else 2) + (np.spacing(np.abs(wanted).astype(np.float32)))
    has_bound = any(c["bound"] > 0 for c in rows)
    words = {c["word"] for c in rows}
    scale = max(1.0, float(np.abs(want).max(initial=0.0)))
    noise = difference <= TOLERANCE * scale
    ulps = difference <= ULPS * np.maximum(np.abs(want), 1.0) if kinds & NORMALIZATIONS else np.zeros(want.shape, bool)
    risky = "float-order" in words or any(at_risk(c) > 0 for c in rows)
    risky = risky and any(model.layers[n]["activation"] or model.layers[n]["class"] in ELEMENTWISE for n in group)
    kernel = any(KERNEL_NOTE.search(n) for c in rows for n in c["notes"])
    # A note without a count speaks of constants that a kernel decides: no number of flips bounds what they change.
    risky = risky and (not kernel or any(at_risk(c) > 0 for c in rows))
    chosen = exact and "quantized" in words
    clipped = np.isin(ours, model.ends(name))
    excused_behind = model.excuses(model.in_front(name)) or model.excuses(group)
    rules = [
        ("equal", difference == 0),
        ("bound", same_inputs & has_bound & (difference <= bound)),
        ("noise", noise & ~same_inputs if exact else noise),
        ("noise", ulps),
        ("chosen", chosen & ((difference <= CHOSEN * scale) | clipped)),
        ("flip", same_inputs & risky),
        ("kernel", same_inputs & kernel & (noise | ("float-order" in words))),
        ("behind", ~same_inputs & excused_behind),
        ("FAIL", np.ones(want.shape, bool)),
    ]
    left = np.ones(want.shape, bool)
    masks = {c: np.zeros(want.shape, bool) for c in CLASSES}
    for kind, mask in rules:
        masks[kind] |= left & mask
        left &= ~mask
    counted = sum(at_risk(c) for c in rows)
    channel = np.broadcast_to(np.arange(want.shape[-1] if want.ndim else 1), want.shape)
    flip = masks["flip"]
    codes = len({*zip(channel[flip].tolist(), have[flip].tolist())})
    if codes > counted if counted else flip.sum() > max(1.0, FLIPS * want.size):
        masks["FAIL"] |= flip
        masks["flip"] = np.zeros(want.shape, bool)
    return masks, difference, difference / np.maximum(bound, 1e-300)


def on_grid(answer, golden):
    """Samples whose inputs are numbers of the declared types. Any number will do where the model's own quantizer makes them."""
    rows = None
    for port in answer["inputs"]:
        x = golden["x" if "x" in golden else f"x:{port['name']}"].astype(np.float64)
        codes = x / np.asarray(port["scale"])
        low, high = port["range"]
        good = (codes == np.rint(codes)) & (codes >= low) & (codes <= high) | (port["rule"] == "model")
        good = good.reshape(len(x), -1).all(axis=1)
        rows = good if rows is None else rows & good
    return rows


def without_ones(shape):
    return [n for n in shape[1:] if n != 1]


def in_layout_of(ours, want, channels_second):
    """The framework's tensor with its axes as Weft's trace has them; None when the shapes do not agree. Axes of extent one come
    and go. Weft's tensors have their channels last; in ONNX they are the second axis (`channels_second`)."""
    layouts = [want] + ([np.moveaxis(want, 1, -1)] if channels_second and want.ndim > 2 else [])
    fitting = [v.reshape(ours.shape) for v in layouts if without_ones(v.shape) == without_ones(ours.shape)]
    # Where both orders have the same shape, the one that is nearer is meant.
    return min(fitting, key=lambda v: np.count_nonzero(np.abs(v - ours) > TOLERANCE), default=None)


def compare(layers, answer, golden, trace, exact, samples=None, channels_second=False):
    """`answer` is the JSON of `weft convert`, {} when it refused. Gives one row per layer: {"layer", "class", counts by class,
    "largest" difference by class, "of_bound", "first"}; the names of layers that the trace does not show; and what is wrong with
    the trace itself. `samples` says which of them count."""
    model = Layers(layers, answer)
    wanted = {k[2:]: np.asarray(v) for k, v in golden.items() if k.startswith("y:")}
    if samples is not None:
        batch = len(samples)
        wanted = {n: v[samples] for n, v in wanted.items() if v.ndim > 0 and len(v) == batch}
        trace = {n: v[samples] for n, v in trace.items() if v.ndim > 0 and len(v) == batch}
    # A softmax within a layer is a layer of its own behind it.
    trace = trace | {n: trace[f"{n}_softmax"] for n in wanted if layers[n]["class"] == "Softmax" and f"{n}_softmax" in trace}
    rows, hidden, problems, visible = [], [], [], {}
    for name in [n for n in wanted if n in trace]:
        layout = in_layout_of(trace[name], wanted[name], channels_second)
        if layout is None:
            problems.append(f"layer {name} has shape {trace[name].shape}, the framework's {wanted[name].shape}")
        else:
            wanted[name], visible[name] = layout, trace[name]
    for name, want in wanted.items():
        if name not in visible:
            if not layers[name]["inputs"] or (want.dtype.kind in "iu" and layers[name]["class"] in SHAPES):
                continue  # makes a constant or a shape
            hidden.append(name)
            continue
        masks, difference, of_bound = classify(model, name, wanted, visible[name], want, visible, exact)
        row = {"layer": name, "class": layers[name]["class"], "elements": want.size}
        row.update({c: int(m.sum()) for c, m in masks.items()})
        row["largest"] = {c: float(difference[m].max()) for c, m in masks.items() if c != "equal" and m.any()}
        row["of_bound"] = float(of_bound[masks["bound"]].max(initial=0.0))
        if masks["FAIL"].any():
            first = tuple(int(i[0]) for i in np.nonzero(masks["FAIL"]))
            row["first"] = {"at": list(first), "framework": float(want[first]), "weft": float(visible[name][first])}
        rows.append(row)
    return rows, hidden, problems
