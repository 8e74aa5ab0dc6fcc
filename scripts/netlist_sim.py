# SPDX-License-Identifier: Apache-2.0
"""Runs a mapped netlist in Icarus with the models of bench/cells and compares its outputs with codes.

One input port and one output port that hold the elements side by side, a clock, a new vector every clock.
"""

import pathlib
import subprocess
import tempfile

MODELS = pathlib.Path(__file__).resolve().parent.parent / "bench/cells/xilinx_models.v"


def packed(rows, widths):
    """One hexadecimal number per row: element 0 in the low bits, each in its own width."""
    lines = []
    for row in rows:
        word, at = 0, 0
        for code, width in zip(row, widths):
            word |= (int(code) & ((1 << width) - 1)) << at
            at += width
        lines.append(f"{word:x}")
    return "\n".join(lines) + "\n"


def stored(codes, types):
    """Codes as a peer's ports hold them: (sign, integer bits, fraction bits) of each column leave out low zeros of the codes."""
    return [[(int(c) << f if f >= 0 else int(c) >> -f) for c, (_, _, f) in zip(row, types)] for row in codes]


def mismatches(netlist, top, inputs, in_widths, outputs, out_widths, cycles, in_port="model_inp", out_port="model_out",
               clock="clk", timeout=1800):
    """Number of rows whose outputs differ `cycles` clocks after their inputs. Rows are whole numbers."""
    n_in, n_out, rows = sum(in_widths), sum(out_widths), len(inputs)
    bench = f"""
module bench;
  reg [{n_in - 1}:0] vectors [0:{rows - 1}];
  reg [{n_out - 1}:0] expected [0:{rows - 1}];
  reg clk = 0;
  reg [{n_in - 1}:0] x;
  wire [{n_out - 1}:0] y;
  integer t, bad = 0;
  {top} dut ({f'.{clock}(clk), ' if cycles else ''}.{in_port}(x), .{out_port}(y));
  initial begin
    $readmemh("in.hex", vectors);
    $readmemh("out.hex", expected);
    for (t = 0; t < {rows + cycles}; t = t + 1) begin
      x = t < {rows} ? vectors[t] : 0;
      #1;
      if (t >= {cycles} && y !== expected[t - {cycles}]) bad = bad + 1;
      #4 clk = 1;
      #5 clk = 0;
    end
    $display("BENCH %0d", bad);
    $finish;
  end
endmodule
"""
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        (scratch / "bench.v").write_text(bench)
        (scratch / "in.hex").write_text(packed(inputs, in_widths))
        (scratch / "out.hex").write_text(packed(outputs, out_widths))
        files = [scratch / "bench.v", pathlib.Path(netlist).resolve(), MODELS]
        # Icarus: compiling C++ of netlists takes far longer than a few hundred vectors.
        subprocess.run(["iverilog", "-g2005-sv", "-s", "bench", "-o", "simulator", *map(str, files)], cwd=scratch,
                       check=True, capture_output=True, timeout=timeout)
        said = subprocess.run(["vvp", "-n", "simulator"], cwd=scratch, check=True, capture_output=True, text=True,
                              timeout=timeout)
    line = [l for l in said.stdout.splitlines() if l.startswith("BENCH ")]
    if not line:
        raise RuntimeError(f"the simulation of {top} ended without a result: {said.stdout[-300:]}{said.stderr[-300:]}")
    return int(line[0].split()[1])
