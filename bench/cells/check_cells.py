# SPDX-License-Identifier: Apache-2.0
"""Runs the adders of bench/cells with random parameters in Icarus and compares with sums of Python integers.

    python3 bench/cells/check_cells.py [--count 120] [--seed 1]

Operands up to four bits are tried exhaustively when that is at most 512 rows, others at random and at their ends. With
--break the expectation of one row is wrong, and the run must fail.
"""

import argparse
import itertools
import pathlib
import random
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent


def signed(code, bits, is_signed):
    return code - (1 << bits) if is_signed and code >> (bits - 1) else code


def rows_of(draw, widths):
    if sum(widths) <= 9:
        return list(itertools.product(*[range(1 << w) for w in widths]))
    ends = list(itertools.product(*[(0, 1, (1 << w - 1) - 1, 1 << w - 1, (1 << w) - 1) for w in widths]))
    rows = [tuple(e % (1 << w) for e, w in zip(row, widths)) for row in ends]
    return rows + [tuple(draw.getrandbits(w) for w in widths) for _ in range(200)]


def two(draw, name):
    """(instance, widths, out width, function)."""
    b0, b1, s0, s1, sub = draw.randint(1, 9), draw.randint(1, 9), draw.randint(0, 1), draw.randint(0, 1), draw.randint(0, 1)
    shift = draw.choice([0, 0, 0, 1, -1, 2, -2, 3, -4, 7, -8, 11, -11])
    pad0, pad1 = max(0, -shift), max(0, shift)
    full = max(b0 + pad0, b1 + pad1) + 2
    drop = draw.choice([0, 0, 0, 1, 2]) if name == "alkaid" else 0
    out = draw.randint(1, max(1, full - drop))
    parameters = [b0, b1, s0, s1, out] + ([drop] if name == "alkaid" else []) + [shift, sub]
    def value(row):
        a, b = signed(row[0], b0, s0) << pad0, signed(row[1], b1, s1) << pad1
        return ((a - b if sub else a + b) >> drop) & ((1 << out) - 1)
    return "shift_adder", parameters, [b0, b1], out, value


def three(draw, _):
    bits = [draw.randint(1, 6) for _ in range(3)]
    signs = [draw.randint(0, 1) for _ in range(3)]
    negate = [draw.randint(0, 1) for _ in range(3)]
    pads = [draw.choice([0, 0, 0, 1, 2, 4, 7]) for _ in range(3)]
    full = max(b + p for b, p in zip(bits, pads)) + 3
    drop = draw.choice([0, 0, 0, 1, 2])
    out = draw.randint(1, max(1, full - drop))
    parameters = [v for i in range(3) for v in (bits[i], signs[i], negate[i], pads[i])] + [out, drop]
    def value(row):
        terms = [signed(x, b, s) << p for x, b, s, p in zip(row, bits, signs, pads)]
        return (sum(-t if n else t for t, n in zip(terms, negate)) >> drop) & ((1 << out) - 1)
    return "ternary_adder", parameters, bits, out, value


def bench(draw, tool, count, wrong):
    lines, checks = [], 0
    for index in range(count):
        module, parameters, widths, out, value = (three if tool == "alkaid" and index % 2 else two)(draw, tool)
        ports = [f"x{index}_{i}" for i in range(len(widths))]
        lines += [f"reg [{w - 1}:0] {p};" for p, w in zip(ports, widths)]
        lines += [f"wire [{out - 1}:0] y{index};", f"{module} #({','.join(map(str, parameters))}) u{index} ({', '.join(ports)}, y{index});",
                  "initial begin"]
        for row in rows_of(draw, widths):
            expected = value(row)
            if wrong and checks == 17:
                expected ^= 1
            checks += 1
            lines.append("".join(f"{p}={x};" for p, x in zip(ports, row)) + f" #1 if (y{index} !== {expected}) begin bad = bad + 1; "
                         f"$display(\"{module} {parameters} {row}: %0d, not {expected}\", y{index}); end")
        lines.append("done = done + 1; end")
    text = ["module check;", "integer bad = 0, done = 0;", *lines, "initial begin wait (done == %d); " % count,
            "$display(\"%0d wrong\", bad); $finish; end", "endmodule"]
    return "\n".join(text), checks


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--count", type=int, default=120)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--break", dest="wrong", action="store_true")
    options = parser.parse_args()
    failed = False
    for tool in ("alkaid", "da4ml"):
        text, checks = bench(random.Random(options.seed), tool, options.count, options.wrong)
        with tempfile.TemporaryDirectory() as scratch:
            scratch = pathlib.Path(scratch)
            (scratch / "check.v").write_text(text)
            sources = [scratch / "check.v", HERE / "carry_adders.v", HERE / f"{tool}.v", HERE / "xilinx_models.v"]
            subprocess.run(["iverilog", "-g2005-sv", "-o", scratch / "check", "-s", "check", *sources], check=True)
            said = subprocess.run(["vvp", "-n", scratch / "check"], check=True, capture_output=True, text=True).stdout.splitlines()
        print(f"{tool}: {options.count} adders, {checks} rows, {said[-1]}")
        print("\n".join(said[:-1][:10]))
        failed |= said[-1] != "0 wrong"
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
