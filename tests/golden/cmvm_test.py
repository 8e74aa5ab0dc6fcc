# SPDX-License-Identifier: Apache-2.0
"""weft cmvm: the written graph computes the matrix, the totals are those of its nodes, and bad calls leave nothing.

    python cmvm_test.py WEFT
"""

import json
import pathlib
import random
import re
import subprocess
import sys
import tempfile


def run(weft, folder, *words):
    return subprocess.run([weft, "cmvm", *words], cwd=folder, capture_output=True, text=True)


def evaluate(graph, x):
    values = []

    def value(term):
        shifted = values[term["node"]] << term["shift"]
        return -shifted if term["negate"] else shifted

    for node in graph["nodes"]:
        result = x[node["input"]] if "input" in node else node.get("constant", 0)
        result += sum(value(t) for t in node.get("sum", ()))
        low, high = map(int, node["range"])
        assert low <= result <= high, (node, result)
        values.append(result)
    return [value(t) if t else 0 for t in graph["outputs"]]


def check_graph(graph, matrix, bias, ranges, draw):
    sums = [n["sum"] for n in graph["nodes"] if "sum" in n]
    assert graph["adders"] == len(sums)
    assert graph["three_input_adders"] == sum(len(s) == 3 for s in sums)
    assert graph["two_input_adders"] == sum(len(s) == 2 for s in sums)
    assert graph["delay"] == max((graph["nodes"][t["node"]]["delay"] for t in graph["outputs"] if t), default=0)
    for _ in range(20):
        x = [draw.choice([low, high, draw.randint(low, high)]) for low, high in ranges]
        want = [b + sum(m * v for m, v in zip(column, x)) for column, b in zip(zip(*matrix), bias)]
        assert evaluate(graph, x) == want


def check_verilog(folder, text, matrix, bias, ranges, draw):
    """The circuit in Icarus Verilog on extremes and drawn codes."""
    ports = {name: int(high) + 1 for high, name in re.findall(r"put\s+(?:wire\s+)?\[(\d+):0\]\s+(in_x|out_y)", text)}
    width_x, width_y = ports["in_x"] // len(matrix), ports["out_y"] // len(bias)
    top = re.search(r"^module (\w+)", text, re.M).group(1)

    def pack(values, width):
        return sum((v & (1 << width) - 1) << i * width for i, v in enumerate(values))

    lines = []
    for k in range(60):
        x = [r[k % 2] if k < 2 else draw.choice([r[0], r[1], draw.randint(*r)]) for r in ranges]
        y = [b + sum(m * v for m, v in zip(column, x)) for column, b in zip(zip(*matrix), bias)]
        lines.append(f"    x = {ports['in_x']}'h{pack(x, width_x):x}; #1 if (y !== {ports['out_y']}'h{pack(y, width_y):x}) wrong = wrong + 1;")
    bench = "\n".join([f"module bench; reg [{ports['in_x'] - 1}:0] x; wire [{ports['out_y'] - 1}:0] y; integer wrong = 0;",
                       f"  {top} dut(.clk(1'b0), .rst(1'b0), .in_x(x), .out_y(y));", "  initial begin", *lines,
                       '    $display("wrong %0d", wrong); $finish;', "  end", "endmodule"])
    (folder / "bench.v").write_text(bench)
    models = pathlib.Path(__file__).resolve().parents[2] / "bench/cells/xilinx_models.v"
    subprocess.run(["iverilog", "-g2005", "-s", "bench", "-o", "bench", "bench.v", "g.v", models], cwd=folder, check=True)
    said = subprocess.run(["vvp", "bench"], cwd=folder, check=True, capture_output=True, text=True).stdout
    assert said.strip().splitlines()[-1] == "wrong 0", said


def main():
    weft = str(pathlib.Path(sys.argv[1]).resolve())
    draw = random.Random(3)
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        matrix = [[draw.randint(-40, 40) for _ in range(5)] for _ in range(7)]
        bias = [draw.randint(-500, 500) for _ in range(5)]
        ranges = [[-8, 7], [0, 3], [-1, 1], [0, 255], [-128, 127], [0, 1], [5, 6]]
        (folder / "m.json").write_text(json.dumps(matrix))
        (folder / "m.csv").write_text("\n".join(",".join(map(str, row)) for row in matrix))
        (folder / "bias.json").write_text(json.dumps([bias]))
        (folder / "ranges.json").write_text(json.dumps(ranges))
        (folder / "cost.json").write_text(json.dumps({"two": {}, "three": {"delay": 1.5, "lut_per_eight_bits": 1}}))
        for words, three in (([], False), (["--cost", "cost.json"], True), (["--part", "xcvu9p", "--ternary-lut", "1"], True),
                             (["--max-delay", "9"], False), (["--mode", "area"], False), (["--seconds", "0.2"], False), (["--recipes", "40"], False)):
            for source in ("m.json", "m.csv"):
                done = run(weft, folder, source, "--bias", "bias.json", "--ranges", "ranges.json", "-o", "g.json", "--json", *words)
                assert done.returncode == 0, done.stderr
                graph = json.loads((folder / "g.json").read_text())
                check_graph(graph, matrix, bias, ranges, draw)
                assert (graph["three_input_adders"] > 0) == three, words
                said = json.loads(done.stdout)
                assert said["nodes"] == graph["nodes"] and said["checked"] is True
                assert {"adders", "lut", "depth", "delay", "seconds"} <= said.keys()
        for words in ([], ["--cost", "cost.json"], ["--mode", "area"], ["--part", "ecp5"], ["--part", "xcvu9p", "--ternary-lut", "1"],
                      ["--primitives", "xilinx"], ["--primitives", "xilinx", "--part", "xc7", "--mode", "area"],
                      ["--primitives", "xilinx", "--cost", "cost.json"], ["--primitives", "xilinx", "--part", "xcu", "--ternary-lut", "0"]):
            done = run(weft, folder, "m.json", "--bias", "bias.json", "--ranges", "ranges.json", "-o", "g.v", *words)
            assert done.returncode == 0, done.stderr
            text = (folder / "g.v").read_text()
            assert ("LUT6_2" in text) == ("xilinx" in words and "0" not in words), words
            check_verilog(folder, text, matrix, bias, ranges, draw)
        for words in ([], ["--recipes", "40"]):
            run(weft, folder, "m.json", "-o", "a.json", "--threads", "1", *words)
            run(weft, folder, "m.json", "-o", "b.json", "--threads", "3", *words)
            assert (folder / "a.json").read_bytes() == (folder / "b.json").read_bytes()

        for words, code, says in ((["none.npy"], 1, "none.npy"), (["m.json", "--ranges", "bias.json"], 1, "bias.json"),
                                  (["m.json", "--bias", "m.json"], 1, "m.json"), (["m.json", "--max-delay", "2"], 1, "cannot be met"),
                                  (["m.json", "--part", "nothing"], 1, "nothing"), (["m.json", "--range", "3", "-3"], 2, "--range"),
                                  (["m.json", "--cost", "m.json"], 1, "m.json"), (["m.json", "--part", "ecp5", "--ternary-lut", "1"], 2, "ECP5"),
                                  (["m.json", "--ternary-lut", "1"], 2, "--part"), (["m.json", "--recipes", "-1"], 2, "--recipes"),
                                  (["m.json", "--primitives", "xilinx", "--part", "ecp5"], 1, "ECP5"),
                                  (["m.json", "--range", "0", "3", "--ranges", "ranges.json"], 2, "--range")):
            done = run(weft, folder, *words, "-o", "bad.json")
            assert done.returncode == code and says in done.stderr + done.stdout, (words, done)
            assert not (folder / "bad.json").exists()
        # The extension says what is written.
        done = run(weft, folder, "m.json", "-o", "g.txt")
        assert done.returncode == 2 and not (folder / "g.txt").exists(), done
    print("weft cmvm: graphs, totals and diagnostics as expected")


if __name__ == "__main__":
    main()
