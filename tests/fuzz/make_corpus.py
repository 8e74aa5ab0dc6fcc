# SPDX-License-Identifier: Apache-2.0
"""Writes the seed files of the fuzz targets that are not already in examples/: tiny, one idea each.

    python3 make_corpus.py [folder]      (needs numpy)

Files of other formats (.h5, .keras, .onnx) come from examples/; `.weft` and exact graphs are written by weft itself.
"""

import io
import pathlib
import sys
import zipfile

import numpy as np

DATE = (2000, 1, 1, 0, 0, 0)


def npy(array, version=None):
    buffer = io.BytesIO()
    np.lib.format.write_array(buffer, np.asarray(array), version)
    return buffer.getvalue()


def claim(shape):
    """A .npy header with this shape and 24 bytes of data."""
    header = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}\n".encode()
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + bytes(24)


def archive(members, method=zipfile.ZIP_DEFLATED):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", method) as packed:
        for name, content in members:
            packed.writestr(zipfile.ZipInfo(name, DATE), content, method)
    return buffer.getvalue()


def corpus():
    grid = np.arange(6).reshape(2, 3)
    yield from {
        "npy/f4.npy": npy(grid.astype("<f4")),
        "npy/f8_big.npy": npy(grid.astype(">f8")),
        "npy/f2.npy": npy(grid.astype("<f2")),
        "npy/i1_fortran.npy": npy(np.asfortranarray(grid.astype("i1"))),
        "npy/u8_v2.npy": npy(grid.astype("<u8"), (2, 0)),
        "npy/bool_v3.npy": npy(grid > 2, (3, 0)),
        "npy/text.npy": npy(np.array(["ab", "c"])),
        "npy/bytes.npy": npy(np.array([b"ab", b"c"])),
        "npy/scalar.npy": npy(np.float32(1.5)),
        "npy/empty.npy": npy(np.zeros((0, 3), "f4")),
        # Hostile: headers that promise 2^60 elements, and a product that overflows to a small number.
        "npy/huge.npy": claim("(1152921504606846976,)"),
        "npy/overflow.npy": claim("(4294967296, 4294967296, 2)"),
        "npz/two.npz": archive([("x.npy", npy(grid.astype("<f4"))), ("y.npy", npy(grid[0]))]),
        "npz/stored.npz": archive([("x.npy", npy(grid.astype("i2")))], zipfile.ZIP_STORED),
        "zip/names.zip": archive([("a/b.txt", b"b"), ("config.json", b"{}"), ("empty", b"")]),
        "zip/parent.zip": archive([("../x", b"x")]),
        # 4 MB of zeros in 4 KB: fine; the bomb test of the unit tests is larger.
        "zip/zeros.zip": archive([("zeros", bytes(1 << 22))]),
        "csv/plain.csv": b"1,2,3\n4,5,6\n",
        "csv/header.csv": b"a;b\r\n1.5;-2e-3\r\n",
        "csv/blank.csv": b"1 2\n3 4",
        "json/values.json": b'{"a": [1, -2.5e3, true, null, "\\u00e9\\n"], "b": {"c": NaN, "d": -Infinity}}',
        "json/deep.json": b"[" * 100 + b"]" * 100,
        "json/too_deep.json": b"[" * 5000,
        "type/fixed.txt": b"fixed<16,6>",
        "type/ufixed.txt": b"ufixed<8,0,RND,SAT>",
        "type/ap.txt": b"ap_fixed<16,6,AP_RND_CONV,AP_SAT_SYM,2>",
        "type/ac.txt": b"ac_fixed<16, 6, true, AC_RND, AC_SAT>",
        "type/int.txt": b"int<8>",
        "type/wide.txt": b"fixed<128,-4,TRN,WRAP_SM>",
        "type/auto.txt": b"auto",
        "type/bipolar.txt": b"bipolar",
        "config/model.yaml": b"Model:\n  Precision: ap_fixed<16,6>\n  ReuseFactor: 1\n  Strategy: Latency\n",
        "config/layers.yaml": b"HLSConfig:\n  Model:\n    Precision:\n      default: fixed<16,6,RND_CONV,SAT>\n"
        b"  LayerName:\n    dense_1:\n      Precision:\n        weight: fixed<4,1>\n        result: auto\n  LayerType:\n    Dense:\n      ReuseFactor: 4\n",
        "config/project.yaml": b"OutputDir: out\nProjectName: p\nPart: xcvu9p\nClockPeriod: 5\nIOType: io_parallel\n",
        "config/alias.yaml": b"Model: &m {Precision: 'int<8>'}\nLayerName:\n  a: *m\n",
    }.items()


def main():
    folder = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parent / "corpus")
    for name, content in corpus():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)


if __name__ == "__main__":
    main()
