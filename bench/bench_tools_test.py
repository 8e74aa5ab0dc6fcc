# SPDX-License-Identifier: Apache-2.0
"""Tests of what the benchmarks measure with: the reader of exact graphs, the longest path, counts, packed vectors."""

import contextlib
import io
import pathlib
import sys
import unittest

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / "bench"), str(ROOT / "scripts")]
import bench_networks
import bench_routed
import exact_graph
import mapping
import measure
import netlist_sim
import network_peers
import routing


class Tables(unittest.TestCase):
    def test_columns_that_no_row_fills_are_left_out(self):
        for rows, want in (([["a", "-", 3], ["b", "-", "-"]], ["x", "z"]), ([["a", 1, "-"]], ["x", "y"]), ([], ["x", "y", "z"])):
            text = io.StringIO()
            with contextlib.redirect_stdout(text):
                measure.print_table(rows, ["x", "y", "z"])
            lines = text.getvalue().splitlines()
            self.assertEqual([c.strip() for c in lines[0].strip("|").split("|")], want)
            self.assertEqual(len(lines), 2 + len(rows))


class ExactGraph(unittest.TestCase):
    def setUp(self):
        self.graph = exact_graph.Graph((ROOT / "tests/fuzz/corpus/exact_text/all.txt").read_text())

    def test_values(self):
        self.assertEqual(list(self.graph.values), list("xcwfsamrkjpbt"))
        w = self.graph.values["w"]
        self.assertEqual((w.op, w.operands, w.shape), ("matvec", ["x"], [2, 2]))
        self.assertEqual((w.number("n_in"), w.ints("weights"), w.ints("bias")), (3, [1, -2, 3, 0, 5, 7], [4, -9]))
        self.assertEqual(w.ranges, [(-2000, 2000, 0)] * 4)
        self.assertEqual(self.graph.values["c"].ranges[:2], [(1, 1, 0), (-2, -2, 1)])
        self.assertEqual(self.graph.values["t"].operands, ["p"])
        self.assertEqual(self.graph.inputs, [("x", "x")])
        self.assertEqual(self.graph.outputs, [("y", "t")])

    def test_functions(self):
        self.assertEqual(self.graph.values["f"].functions(),
                         [{"kind": "shift", "shift": 4, "rounding": "RND_CONV", "overflow": "SAT", "lo": 0, "hi": 15}])
        pieces, wrapped = self.graph.values["s"].functions()
        self.assertEqual(pieces, {"kind": "pieces", "breakpoints": [-3, 4], "values": [-1, 0, 1]})
        self.assertEqual((wrapped["overflow"], wrapped["width_bits"], wrapped["signed"]), ("WRAP", 4, True))


class Compared(unittest.TestCase):
    def row(self, who, lut, cycles, **more):
        tool = None if who == "Weft" else who
        return {"who": who, "kind": "peer" if tool else "weft", "tool": tool, "same": True, "lut": lut, "ff": 1, "cycles": cycles,
                "path_ps": 1000, **more}

    def picked(self, *rows):
        return [(tool, peer["lut"], mine and mine["lut"]) for (tool, peer, mine), _ in bench_networks.compared(list(rows))]

    def test_never_more_cycles(self):
        rows = [self.row("Weft", 50, 6), self.row("Weft", 90, 5), self.row("Weft", 95, 4), self.row("alkaid", 80, 5)]
        self.assertEqual(self.picked(*rows), [("alkaid", 80, 90)])
        self.assertEqual(self.picked(rows[0], rows[3]), [("alkaid", 80, None)])

    def test_smaller_emission_of_each_peer(self):
        rows = [self.row("Weft", 50, 3), self.row("alkaid", 80, 5), self.row("alkaid", 60, 5), self.row("da4ml", 70, 4)]
        self.assertEqual(self.picked(*rows), [("alkaid", 60, 50), ("da4ml", 70, 50)])

    def test_other_functions_and_failures_do_not_count(self):
        rows = [self.row("Weft", None, 3), self.row("Weft", 50, 3), self.row("alkaid", 40, 3, same=False), self.row("alkaid", None, 3),
                self.row("alkaid", 60, 3)]
        self.assertEqual(self.picked(*rows), [("alkaid", 60, 50)])


class MissingEmission(unittest.TestCase):
    def converted(self, message):
        class Bench(bench_networks.Bench):
            def __init__(self):
                self.problems = []

            def project(self, folder, model, *convert):
                if "xilinx" in convert:
                    raise bench_networks.WeftError(message)
                return folder

        bench = Bench()
        with contextlib.redirect_stdout(io.StringIO()) as said:
            projects = bench.convert("case", "model", [])
        return projects, len(bench.problems), said.getvalue().split(maxsplit=2)[2].strip()

    def test_not_written_yet_is_no_problem(self):
        self.assertEqual(self.converted("--primitives xilinx is not written yet; ..."), ({"portable": "case_portable"}, 0, "not written yet"))

    def test_other_refusals_are(self):
        self.assertEqual(self.converted("out of memory"), ({"portable": "case_portable"}, 1, "refused"))


class FunctionsOfConstants(unittest.TestCase):
    def shift(self, mode, x, rounding="TRN", **more):
        return network_peers.applied({"kind": "shift", "shift": 2, "rounding": rounding, "overflow": mode, "lo": -8, "hi": 7, **more}, x)

    def test_rounding(self):
        self.assertEqual([self.shift("SAT", x, "RND_CONV") for x in (-10, -6, -2, 2, 6, 7)], [-2, -2, 0, 0, 2, 2])
        self.assertEqual([self.shift("SAT", x, "RND") for x in (-6, -2, 2, 6)], [-1, 0, 1, 2])

    def test_overflow(self):
        self.assertEqual([self.shift("SAT", x) for x in (-40, 27, 40)], [-8, 6, 7])
        self.assertEqual([self.shift("SAT_ZERO", x) for x in (-40, 27, 40)], [0, 6, 0])
        self.assertEqual([self.shift("WRAP", x, width_bits=4, signed=True) for x in (-40, 27, 40)], [6, 6, -6])
        self.assertEqual([self.shift("WRAP", x, width_bits=4, signed=False, lo=0, hi=15) for x in (-4, 64)], [15, 0])

    def test_nothing_to_round(self):
        class Recorder:
            def __mul__(self, _):
                return self

            def quantize(self, *arguments):
                return arguments

        tracer = network_peers.Tracer(None, None, "even")
        function = {"kind": "shift", "shift": 2, "rounding": "RND_CONV", "overflow": "SAT", "lo": 0, "hi": 7}
        self.assertEqual(tracer.quantized(function, Recorder(), (-8, 60, 2)), (0, 3, 0, "SAT", "TRN"))
        self.assertEqual(tracer.quantized(function | {"rounding": "RND"}, Recorder(), (-8, 60, 1)), (0, 3, 0, "SAT", "RND"))

    def test_pieces(self):
        pieces = {"kind": "pieces", "breakpoints": [-3, 4], "values": [-1, 0, 1]}
        self.assertEqual([network_peers.applied(pieces, x) for x in (-4, -3, 3, 4)], [-1, 0, 0, 1])


def cell(kind, inputs, outputs, **parameters):
    pins = {**inputs, **outputs}
    return {"type": kind, "parameters": parameters, "connections": pins,
            "port_directions": {p: "output" if p in outputs else "input" for p in pins}}


class LongestPath(unittest.TestCase):
    def path(self, *cells):
        ports = {"a": {"direction": "input", "bits": [1, 2, 3, 4, 5, 6]}, "y": {"direction": "output", "bits": [99]}}
        return mapping.longest_path_ps({"ports": ports, "cells": {str(i): c for i, c in enumerate(cells)}})

    def test_luts_in_a_row(self):
        self.assertEqual(self.path(cell("LUT2", {"I0": [1], "I1": [10]}, {"O": [99]}), cell("LUT1", {"I0": [2]}, {"O": [10]})), 2 * 450 + 110)

    def test_register_cuts(self):
        self.assertEqual(self.path(cell("LUT1", {"I0": [11]}, {"O": [99]}), cell("FDRE", {"D": [10], "C": [3]}, {"Q": [11]}),
                                   cell("LUT1", {"I0": [2]}, {"O": [10]})), 450 + 110)

    def test_carry_chain(self):
        chain = cell("CARRY4", {"CI": ["0"], "CYINIT": ["0"], "S": [10, 2, 3, 4], "DI": [1, 2, 3, 4]},
                     {"O": [20, 21, 22, 99], "CO": [30, 31, 32, 33]})
        self.assertEqual(self.path(chain, cell("LUT2", {"I0": [1], "I1": [2]}, {"O": [10]})), 450 + 150 + 4 * 11 + 110)

    def test_second_output_does_not_wait_for_inputs_it_ignores(self):
        # O5 = I0 only, O6 = I3 only.
        o6, o5 = 0xFF00FF00, 0xAAAAAAAA
        table = format(o6 << 32 | o5, "064b")
        two = lambda late, out: cell("LUT6_2", {"I0": [1], "I1": [2], "I2": [3], "I3": [late], "I4": ["0"], "I5": ["1"]}, out, INIT=table)
        slow = cell("LUT1", {"I0": [2]}, {"O": [10]})
        self.assertEqual(self.path(slow, two(10, {"O6": [50], "O5": [99]})), 450 + 110)
        self.assertEqual(self.path(slow, two(10, {"O6": [99], "O5": [50]})), 2 * 450 + 110)

    def test_loop(self):
        with self.assertRaises(mapping.MappingError):
            self.path(cell("LUT1", {"I0": [10]}, {"O": [10]}))


class Routing(unittest.TestCase):
    def test_devices(self):
        self.assertEqual(routing.Device("lfe5u-45f").options, ["--45k", "--package", "CABGA381"])
        self.assertEqual(routing.Device("LFE5UM5G-85F").options[0], "--um5g-85k")
        self.assertEqual(routing.Device("ice40hx8k-ct256").options, ["--hx8k", "--package", "ct256"])
        with self.assertRaises(routing.RoutingError):
            routing.Device("xcvu9p")

    def test_ports(self):
        dump = "module \\m\n  wire width 5 input 2 signed \\in_x\n  wire input 1 \\clk\n  wire width 3 output 3 \\y\n  wire width 9 \\z\nend\n"
        self.assertEqual(routing.ports_of(dump), [("input", "in_x", 5), ("input", "clk", 1), ("output", "y", 3)])

    def test_wrapper(self):
        ports = [("input", "clk", 1), ("input", "a", 2), ("input", "b", 3), ("output", "y", 4)]
        text = routing.wrapper("m", ports, serial=False)
        self.assertIn("reg [4:0] given;", text)
        self.assertIn("m circuit(.clk(clk), .a(given[1:0]), .b(given[4:2]), .y(found[3:0]));", text)
        self.assertNotIn("shift", text)
        self.assertIn("given <= {given, si};", routing.wrapper("m", ports, serial=True))

    def test_registers_of_the_wrapper_do_not_count(self):
        module = {"ports": {"in": {"direction": "input", "bits": [1, 2]}},
                  "cells": {str(i): c for i, c in enumerate([cell("TRELLIS_FF", {"DI": [1]}, {"Q": [5]}), cell("TRELLIS_FF", {"DI": [5]}, {"Q": [6]}),
                                                             cell("LUT4", {"A": [5]}, {"Z": [7]}), cell("CCU2C", {"A0": [5]}, {"S0": [8]})])}}
        self.assertEqual(routing.counts(module, True), {"lut": 3, "ff": 1, "carry": 1, "dsp": 0, "bram": 0})
        self.assertEqual(routing.counts(module, False)["ff"], 2)

    def test_steps(self):
        step = lambda kind, a, b, delay: {"type": kind, "delay": delay, "from": {"port": a}, "to": {"port": b}}
        path = [step("clk-to-q", "CLK", "Q", 0.5), step("routing", "Q", "A", 1.0), step("logic", "A", "F", 0.2), step("routing", "F", "B", 1.0),
                step("logic", "B", "FCO", 0.4), step("logic", "FCI", "FCO", 0.1), step("logic", "FCI", "F", 0.4), step("setup", "DI", "CLK", 0)]
        report = {"critical_paths": [{"from": "<async>", "to": "posedge clk", "path": []}, {"from": "posedge clk", "to": "posedge clk", "path": path}]}
        kinds = [kind for kind, _ in routing.path_of(report)]
        self.assertEqual(kinds, ["clk-to-q", "routing", "lut", "routing", "carry entry", "carry", "carry exit", "setup"])

    def test_closest_circuit(self):
        row = lambda kind, lut, ns, **more: {"case": "c", "kind": kind, "lut": lut, "latency_ns": ns, **more}
        rows = [row("weft", 90, 50), row("weft", 95, 39), row("weft", 60, 60), row("peer", 100, 40, tool="alkaid")]
        self.assertEqual([mine["lut"] for _, mine in bench_routed.compared(rows, "alkaid")], [95])
        self.assertEqual(bench_routed.met({"fmax_mhz": {1: 99.0, 2: 100.0, 3: 120.0}}, 10.0), 2)


class Small(unittest.TestCase):
    def test_counts(self):
        cells = {"LUT1": 1, "LUT6": 2, "LUT6_2": 4, "INV": 8, "FDRE": 16, "FDSE_1": 32, "SRL16E": 64, "CARRY4": 128, "MUXF7": 256, "RAM32M": 512}
        counts = mapping.classify(cells)
        self.assertEqual([counts[k] for k in ("lut", "inv", "ff", "srl", "carry", "muxf", "lutram", "dsp")], [7, 8, 48, 64, 128, 256, 512, 0])

    def test_stored(self):
        self.assertEqual(netlist_sim.stored([[-6, 3, 5]], [(1, 3, -1), (0, 2, 0), (0, 3, 2)]), [[-3, 3, 20]])

    def test_packed(self):
        self.assertEqual(netlist_sim.packed([[1, -1], [3, 0]], [4, 3]), "71\n3\n")


if __name__ == "__main__":
    unittest.main()
