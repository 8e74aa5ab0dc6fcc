# SPDX-License-Identifier: Apache-2.0
"""Writes the seed files of the fuzz targets that are not already in examples/: tiny, one idea each.

    python3 make_corpus.py [folder]      (needs numpy)

Files of other formats (.h5, .keras, .onnx) come from examples/; those in corpus/tflite were written by
tests/interop/tflite_models.py (seed 1).
"""

import io
import json
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


EXACT = """\
weft-exact 1 "g"
value x shape [2 3] scale [1/16] ranges [-128..127*6] = input
value c shape [3] scale [1/16] ranges [1..1 -2..-2~1 170141183460469231731687303715884105727..170141183460469231731687303715884105727] = constant codes [1 -2 170141183460469231731687303715884105727]
value w shape [2 2] scale [1/128 3/128] ranges [-2000..2000*4] = matvec %x n_in 3 n_out 2 weights [1 -2 3 0 5 7] bias [4 -9]
value f shape [2 2] scale [1/8] ranges [0..15*4] = requant %w count_saturation functions [shift(4,RND_CONV,SAT,0,15)]
value s shape [2 2] scale [1/8] ranges [-1..1 -8..7 -1..1 -8..7] = requant %w functions [pieces([-3,4],[-1,0,1]) shift(0,TRN,WRAP,-8,7,4,s,0)]
value a shape [2 2] scale [1/8] ranges [-100..100*4] = add %f %s shift_a 0 shift_b 2
value m shape [2 2] scale [1/64] ranges [-1000..1000*4] = mul %f %s
value r shape [2 1] scale [1/8] ranges [0..15*2] = reduce %f max
value k shape [2 1] scale [1] ranges [0..1*2] = argmax %f k 1
value j shape [2 3] scale [1/8] ranges [0..15*6] = concat %f %r axis 1
value p shape [3 2] scale [1/8] ranges [0..15*6] = permute %j permutation [1 0]
value b shape [2 2] scale [1/8] ranges [-7..20*4] = forest %j n_in 3 n_out 2 nodes [0 3 1 -1 2 7 -2 -3] trees [0 0 1 -4 1 1] leaves [1 5 -7 3] bias [0 15]
value t shape [6] scale [1/8] ranges [0..15*6] = reshape %p origin "m.h5" "layer" "Reshape" ""
input "x" %x fixed type fixed<8,4> rule "model"
output "y" %t mul [0.5] add [1 2 3 4 5 6]
probe "layer" %t
probe "norm" folded_into "layer"
"""


def weft_file():
    node = {
        "name": "fc",
        "op": "Dense",
        "attributes": {"a": {"bool": True}, "b": {"int": -4}, "c": {"real": 0.5}, "d": {"ints": [1, 2]}},
        "inputs": [0],
        "outputs": [1],
        "parameters": {
            "kernel": {
                "values": "tensors/00000.npy",
                "quantized": {"values": "tensors/00000.npy", "codes": "tensors/00001.npy", "scale": ["1/3", "5"]},
            },
            "bias": {"values": "tensors/00002.npy", "quantizer": {"family": "quantized_bits", "parameters": {"bits": {"int": 6}}}},
        },
        "functions": {"activation": {"family": "relu", "parameters": {}}},
        "origin": {"file": "m.h5", "node": "fc", "op": "Dense", "tensor": ""},
    }
    graph = {
        "weft": 1,
        "name": "net",
        "file": "m.h5",
        "framework": "keras",
        "tensors": [{"name": "x", "shape": [3]}, {"name": "y", "shape": [2]}],
        "inputs": [{"name": "x", "tensor": 0}],
        "outputs": [{"name": "y", "tensor": 1}],
        "nodes": [node],
    }
    return archive(
        [
            ("graph.json", json.dumps(graph, indent=1)),
            ("tensors/00000.npy", npy(np.arange(6, dtype="f4").reshape(3, 2))),
            ("tensors/00001.npy", npy(np.arange(6, dtype="i8").reshape(3, 2))),
            ("tensors/00002.npy", npy(np.zeros(2, "f4"))),
            ("exact.txt", EXACT),
        ]
    )


def pickled(tensors):
    """A dictionary of float32 tensors as torch.save pickles it, protocol 2: {name: (offset, sizes, strides)}."""
    word = lambda text: b"X" + len(text).to_bytes(4, "little") + text.encode()
    out = b"\x80\x02ccollections\nOrderedDict\nq\x00)Rq\x01("
    for name, (offset, sizes, strides) in tensors.items():
        out += word(name) + b"ctorch._utils\n_rebuild_tensor_v2\n((" + word("storage") + b"ctorch\nFloatStorage\n"
        out += word("0") + word("cpu") + b"K\x10tQK" + bytes([offset])
        for numbers in (sizes, strides):
            out += b"(" + b"".join(b"K" + bytes([n]) for n in numbers) + b"t"
        out += b"\x89h\x00)RtR"
    return out + b"u."


XGBOOST = {
    "learner": {
        "gradient_booster": {
            "model": {
                "trees": [
                    {
                        "left_children": [1, 3, -1, -1, -1],
                        "right_children": [2, 4, -1, -1, -1],
                        "split_indices": [0, 1, 0, 0, 0],
                        "split_conditions": [0.5, 0.0, 8.0, 1.0, 2.0],
                        "default_left": [1, 0, 0, 0, 0],
                        "split_type": [0, 1, 0, 0, 0],
                        "categories_nodes": [1],
                        "categories_segments": [0],
                        "categories_sizes": [2],
                        "categories": [1, 3],
                        "tree_param": {"num_nodes": "5", "size_leaf_vector": "0"},
                    }
                ],
                "tree_info": [0],
            },
            "name": "gbtree",
        },
        "learner_model_param": {"base_score": "5E-1", "num_class": "0", "num_feature": "2"},
        "objective": {"name": "binary:logistic"},
    },
    "version": [2, 1, 0],
}


def ubjson(value):
    text = lambda s: b"L" + len(s).to_bytes(8, "big") + s.encode()
    if isinstance(value, dict):
        return b"{" + b"".join(text(k) + ubjson(v) for k, v in value.items()) + b"}"
    if isinstance(value, list) and value and all(isinstance(v, int) for v in value):
        return b"[$l#L" + len(value).to_bytes(8, "big") + np.array(value, ">i4").tobytes()
    if isinstance(value, list) and value and all(isinstance(v, float) for v in value):
        return b"[$d#L" + len(value).to_bytes(8, "big") + np.array(value, ">f4").tobytes()
    if isinstance(value, list):
        return b"[" + b"".join(map(ubjson, value)) + b"]"
    return b"S" + text(value)


LIGHTGBM = b"""tree
version=v4
num_class=1
num_tree_per_iteration=1
max_feature_idx=1
objective=binary sigmoid:1

Tree=0
num_leaves=3
num_cat=1
split_feature=0 1
threshold=0.5 0
decision_type=10 1
left_child=1 -1
right_child=-2 -3
leaf_value=1.5 -2 0.25
cat_boundaries=0 2
cat_threshold=2 1
shrinkage=1

end of trees
"""


def binary_trees():
    """XGBoost's old format: one tree, a test and two leaves."""
    learner = np.array([0.0], "<f4").tobytes() + np.array([2, 0] + [0] * 31, "<i4").tobytes()
    words = b"".join(len(w).to_bytes(8, "little") + w for w in (b"binary:logistic", b"gbtree"))
    model = np.array([1] + [0] * 39, "<i4").tobytes()
    tree = np.array([1, 3, 0, 0, 2, 0] + [0] * 31, "<i4").tobytes()
    node = lambda left, right, split, value: np.array([0, left, right], "<i4").tobytes() + np.array([split], "<u4").tobytes() + np.array([value], "<f4").tobytes()
    nodes = node(1, 2, 0x80000001, 0.5) + node(-1, -1, 0, 1.0) + node(-1, -1, 0, 2.0)
    return learner + words + model + tree + nodes + bytes(3 * 16) + bytes(4)


def varint(value):
    out = b""
    while value > 127:
        out += bytes([value & 127 | 128])
        value >>= 7
    return out + bytes([value])


def message(*fields):
    """A protobuf message of (number, value): an integer, text, or bytes."""
    out = b""
    for number, value in fields:
        if isinstance(value, int):
            out += varint(number << 3) + varint(value & (1 << 64) - 1)
        else:
            value = value.encode() if isinstance(value, str) else value
            out += varint(number << 3 | 2) + varint(len(value)) + value
    return out


def tensorflow_graph():
    """y = relu(x @ w + b), frozen."""
    kind = (5, message((1, "dtype"), (2, message((6, 1)))))
    shape = message(*[(2, message((1, d))) for d in (-1, 4)])

    def constant(name, values):
        dims = message(*[(2, message((1, d))) for d in values.shape])
        tensor = message((1, 1), (2, dims), (4, values.astype("<f4").tobytes()))
        return (1, message((1, name), (2, "Const"), kind, (5, message((1, "value"), (2, message((8, tensor)))))))

    return message(
        (1, message((1, "x"), (2, "Placeholder"), kind, (5, message((1, "shape"), (2, message((7, shape))))))),
        constant("w", np.arange(8).reshape(4, 2) / 8),
        constant("b", np.array([0.5, -0.5])),
        (1, message((1, "product"), (2, "MatMul"), (3, "x"), (3, "w"))),
        (1, message((1, "sum"), (2, "BiasAdd"), (3, "product"), (3, "b"))),
        (1, message((1, "y"), (2, "Relu"), (3, "sum"))),
    )


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def tensorflow_index():
    """The index of one variable: two blocks and a footer."""

    def block(entries):
        content = b"".join(b"\0" + varint(len(k)) + varint(len(v)) + k + v for k, v in entries)
        content += (0).to_bytes(4, "little") + (1).to_bytes(4, "little")
        crc = crc32c(content + b"\0")
        masked = (crc >> 15 | crc << 17) + 0xA282EAD8 & 0xFFFFFFFF
        return content + b"\0" + masked.to_bytes(4, "little"), len(content)

    entry = message((1, 1), (2, message((2, message((1, 2))))), (5, 8))
    data, size = block([(b"", message((1, 1))), (b"v", entry)])
    index, index_size = block([(b"w", varint(0) + varint(size))])
    footer = varint(0) + varint(0) + varint(len(data)) + varint(index_size)
    return data + index + footer.ljust(40, b"\0") + 0xDB4775248B80FB57.to_bytes(8, "little")


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
        "weft/net.weft": weft_file(),
        "exact_text/all.txt": EXACT.encode(),
        "trees/xgboost.json": json.dumps(XGBOOST).encode(),
        "trees/xgboost.ubj": ubjson(XGBOOST),
        "trees/xgboost.model": binary_trees(),
        "trees/xgboost.dump.txt": b"booster[0]:\n0:[f0<0.5] yes=1,no=2,missing=1\n\t1:leaf=1.5\n\t2:leaf=-2\n",
        "trees/lightgbm.txt": LIGHTGBM,
        "csv/plain.csv": b"1,2,3\n4,5,6\n",
        "csv/header.csv": b"a;b\r\n1.5;-2e-3\r\n",
        "csv/blank.csv": b"1 2\n3 4",
        "json/values.json": b'{"a": [1, -2.5e3, true, null, "\\u00e9\\n"], "b": {"c": NaN, "d": -Infinity}}',
        "json/deep.json": b"[" * 100 + b"]" * 100,
        "json/too_deep.json": b"[" * 5000,
        "tensorflow/graph.pb": tensorflow_graph(),
        "tensorflow/variables.index": tensorflow_index(),
        "type/fixed.txt": b"fixed<16,6>",
        "type/ufixed.txt": b"ufixed<8,0,RND,SAT>",
        "type/ap.txt": b"ap_fixed<16,6,AP_RND_CONV,AP_SAT_SYM,2>",
        "type/ac.txt": b"ac_fixed<16, 6, true, AC_RND, AC_SAT>",
        "type/int.txt": b"int<8>",
        "type/wide.txt": b"fixed<128,-4,TRN,WRAP_SM>",
        "type/auto.txt": b"auto",
        "type/bipolar.txt": b"bipolar",
        "keras_layers/gate.yaml": b"Own:\n  config: {n: required, axes: [0], activation: sigmoid}\n  ignore: [seed]\n"
        b"  nodes:\n    - {name: g, op: Activation, inputs: [x], functions: {activation: $activation}}\n"
        b"    - {name: p, op: Mul, inputs: [x, g]}\n    - {op: ReduceSum, inputs: [p], attributes: {axes: $axes}}\n",
        "keras_layers/constant.yaml": b"Own: {config: {n: 1, axes: [1], activation: relu}, nodes: [{name: a, op: Add, "
        b"inputs: [x], parameters: {constant: {value: [1, 2], reshape: [2]}}}, {op: Activation, inputs: [a], "
        b"functions: {activation: 'quantized_relu(4,1)'}}], outputs: [a]}\n",
        "torch_pickle/two.pkl": pickled({"fc.weight": (0, (3, 2), (2, 1)), "fc.bias": (6, (3,), (1,))}),
        "torch_pickle/scalar.pkl": pickled({"s": (0, (), ())}),
        "torch_pickle/expanded.pkl": pickled({"e": (1, (4, 4), (0, 1))}),
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
