# SPDX-License-Identifier: Apache-2.0
"""Damaged and hostile variants of model files, made from sound ones with a fixed seed."""

import pathlib
import random
import struct
import zlib


def zip_bomb(path):
    """8 MB that unpack to 8 GB of zeros, from a member whose header claims 1000 bytes."""
    deflate = zlib.compressobj(9, zlib.DEFLATED, -15)
    start = deflate.compress(bytes(1 << 24)) + deflate.flush(zlib.Z_FULL_FLUSH)
    data = start * 512 + deflate.flush(zlib.Z_FINISH)
    name = b"model.weights.h5"
    sizes = struct.pack("<III", 0x12345678, len(data), 1000)
    local = struct.pack("<4sHHHHH", b"PK\x03\x04", 20, 0, 8, 0, 33) + sizes + struct.pack("<HH", len(name), 0) + name + data
    central = struct.pack("<4sHHHHHH", b"PK\x01\x02", 20, 20, 0, 8, 0, 33) + sizes + struct.pack("<HHHHHII", len(name), 0, 0, 0, 0, 0, 0) + name
    path.write_bytes(local + central + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 1, 1, len(central), len(local), 0))


def lying_zip(path):
    """The central directory promises 4 GB for a member of five bytes, and points outside of the file."""
    name, data = b"config.json", b"hello"
    local = struct.pack("<4sHHHHHIIIHH", b"PK\x03\x04", 20, 0, 0, 0, 0, 0x3610A686, 5, 5, len(name), 0) + name + data
    central = struct.pack("<4sHHHHHHIIIHHHHHII", b"PK\x01\x02", 20, 20, 0, 0, 0, 0, 0x3610A686, 0xFFFFFFFE, 0xFFFFFFFE, len(name), 0, 0, 0, 0, 0, 0x7FFFFFFF) + name
    end = struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 1, 1, len(central), len(local), 0)
    path.write_bytes(local + central + end)


def protobuf_length(path):
    """An ONNX model whose graph field claims 2^63 bytes."""
    path.write_bytes(b"\x08\x07\x3a\xff\xff\xff\xff\xff\xff\xff\xff\x7f" + b"x" * 64)


def varint(n):
    out = b""
    while True:
        out += bytes([n & 127 | (128 if n > 127 else 0)])
        n >>= 7
        if not n:
            return out


def nested_protobuf(path):
    """Graphs in attributes of nodes of graphs, 2,000 deep."""
    data = b""
    for _ in range(2000):
        for tag in (b"\x32", b"\x2a", b"\x0a"):  # attribute.g, node.attribute, graph.node
            data = tag + varint(len(data)) + data
    path.write_bytes(b"\x08\x07\x3a" + varint(len(data)) + data)


def hdf5_offsets(source, path):
    """Every 8-byte little-endian number of the first kilobytes that looks like a file offset points to the end or beyond."""
    data = bytearray(source.read_bytes())
    for at in range(8, min(len(data) - 8, 4096), 8):
        value = struct.unpack_from("<Q", data, at)[0]
        if 0 < value < len(data):
            struct.pack_into("<Q", data, at, (1 << 62) + value)
    path.write_bytes(data)


def broken_files(sources, folder):
    """Yields (path, sure): sure files must be refused; a flipped bit may by chance only change a number."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    for source in sources:
        data = source.read_bytes()
        rng = random.Random(source.name)
        for index, cut in enumerate([0, 1, 7, len(data) // 100, len(data) // 3, len(data) // 2, len(data) - len(data) // 10]):
            path = folder / f"{source.stem}_cut{index}{source.suffix}"
            path.write_bytes(data[:cut])
            # A protobuf cut between two fields is a shorter message, and JSON files here need weights for more than a look.
            yield path, source.suffix != ".onnx" or cut < len(data) // 3
        for index in range(60):
            changed = bytearray(data)
            for _ in range(1 if index % 2 else 20):
                # Headers are where structure is: half of the flips go there.
                at = rng.randrange(min(len(data), 4096) if index % 4 < 2 else len(data))
                changed[at] ^= 1 << rng.randrange(8)
            path = folder / f"{source.stem}_flip{index}{source.suffix}"
            path.write_bytes(changed)
            yield path, False
        if source.suffix == ".h5":
            path = folder / "offsets.h5"
            hdf5_offsets(source, path)
            yield path, True
    for make, name in ((zip_bomb, "bomb.keras"), (lying_zip, "lying.keras"), (protobuf_length, "length.onnx"), (nested_protobuf, "nested.onnx")):
        make(folder / name)
        yield folder / name, True
    for name, data in (("deep.json", b"[" * 1000000), ("empty.h5", b""), ("text.keras", b"not a zip"), ("huge_number.json", b'{"class_name": 1e999999999}')):
        (folder / name).write_bytes(data)
        yield folder / name, True
