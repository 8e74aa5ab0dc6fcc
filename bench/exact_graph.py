# SPDX-License-Identifier: Apache-2.0
"""Reads the text form of an exact graph (src/weft/exact/text.h), as a `.weft` file holds it. Standard library only."""

import re
import zipfile

TOKEN = re.compile(r'"(?:[^"\\]|\\.)*"|\[|\]|shift\([^)]*\)|pieces\([^)]*\)|[^\s\[\]]+')


def _nested(tokens):
    """Lists in brackets as Python lists."""
    stack = [[]]
    for token in tokens:
        if token == "[":
            stack.append([])
        elif token == "]":
            done = stack.pop()
            stack[-1].append(done)
        else:
            stack[-1].append(token)
    return stack[0]


def _runs(items):
    """item*count -> item, count times."""
    for item in items:
        text, _, count = item.partition("*")
        yield from [text] * int(count or 1)


def _range(text):
    body, _, step = text.partition("~")
    low, _, high = body.partition("..")
    return int(low), int(high), int(step or 0)


def _function(text):
    if text.startswith("shift("):
        parts = text[6:-1].split(",")
        out = {"kind": "shift", "shift": int(parts[0]), "rounding": parts[1], "overflow": parts[2], "lo": int(parts[3]), "hi": int(parts[4])}
        if len(parts) > 5:
            out |= {"width_bits": int(parts[5]), "signed": parts[6] == "s", "saturation_bits": int(parts[7])}
        return out
    lists = re.findall(r"\[([^\]]*)\]", text)
    numbers = [[int(v) for v in re.split(r"[,\s]+", part.strip()) if v] for part in lists]
    return {"kind": "pieces", "breakpoints": numbers[0], "values": numbers[1]}


class Value:
    def __init__(self, words):
        self.name = words[1]
        self.shape = [int(n) for n in words[words.index("shape") + 1]]
        self.scale = list(_runs(words[words.index("scale") + 1]))
        self.ranges = [_range(r) for r in _runs(words[words.index("ranges") + 1])]
        at = words.index("=")
        self.op = words[at + 1]
        rest = words[at + 2:]
        if "origin" in rest:
            rest = rest[:rest.index("origin")]
        self.operands = [w[1:] for w in rest if isinstance(w, str) and w.startswith("%")]
        self.fields = {}
        words = [w for w in rest if not (isinstance(w, str) and w.startswith("%"))]
        self.flags = []
        while words:
            key = words.pop(0)
            if key in ("count_saturation", "sum", "max"):
                self.flags.append(key)
            else:
                self.fields[key] = words.pop(0)

    def ints(self, key):
        return [int(v) for v in self.fields.get(key, [])]

    def number(self, key, default=0):
        return int(self.fields.get(key, default))

    def functions(self):
        return [_function(f) for f in self.fields["functions"]]


class Graph:
    """values by name in order, and the names of the values that are inputs and outputs."""

    def __init__(self, text):
        self.values, self.inputs, self.outputs = {}, [], []
        for line in text.splitlines()[1:]:
            if not line.strip() or line.startswith("#"):
                continue
            words = _nested(TOKEN.findall(line))
            if words[0] == "value":
                value = Value(words)
                self.values[value.name] = value
            elif words[0] in ("input", "output"):
                (self.inputs if words[0] == "input" else self.outputs).append((words[1].strip('"'), words[2][1:]))


def read(path):
    """The graph in a `.weft` file."""
    with zipfile.ZipFile(path) as archive:
        return Graph(archive.read("exact.txt").decode())
