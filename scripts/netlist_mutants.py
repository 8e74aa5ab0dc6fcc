# SPDX-License-Identifier: Apache-2.0
"""Mapped netlists with one fault put in: which of them do vectors catch, and are the others equivalent?

A mutant changes one cell: one bit of a table, two inputs of a table exchanged, an output stuck, a register left out. All
mutants of a design stand in one netlist, and `+mutant=N` chooses. What no vector shows goes to Yosys: registers become
wires (nothing feeds back, so that two pipelines of equal latency are equal when their logic is), both netlists get the
same input, of which only codes that the model can meet are allowed, and SAT looks for an output that differs. In place of a
register that is left out stands a free bit there: what the next vector puts there.
"""

import json
import pathlib
import re
import shutil
import subprocess

MODELS = pathlib.Path(__file__).resolve().parent.parent / "bench/cells/xilinx_models.v"
KINDS = ("table bit", "swapped inputs", "stuck output", "dropped register")
REGISTERS = ("FDRE", "FDSE")


class Mutant:
    def __init__(self, number, kind, cell, pin, what):
        self.number, self.kind, self.cell, self.pin, self.what = number, kind, cell, pin, what

    def __str__(self):
        return f"mutant {self.number}: {self.kind}, {self.cell}.{self.pin} ({self.what})"


class Netlist:
    """One flat module of Yosys' JSON."""

    def __init__(self, verilog, top, scratch):
        self.top = top
        script = f"read_verilog -lib -sv {MODELS}; read_verilog {verilog}; hierarchy -top {top}; write_json {scratch}/netlist.json"
        subprocess.run(["yosys", "-q", "-p", script], check=True, capture_output=True)
        module = json.loads((scratch / "netlist.json").read_text())["modules"][top]
        self.ports, self.cells = module["ports"], module["cells"]

    def tables(self):
        return [n for n, c in self.cells.items() if re.fullmatch("LUT[1-6]", c["type"])]

    def draw(self, random, count):
        """`count` different mutants, of each kind as many as there can be."""
        registers = [n for n, c in self.cells.items() if c["type"] in REGISTERS]
        outputs = [(n, pin, i) for n, c in self.cells.items() for pin, bits in c["connections"].items()
                   if c["port_directions"][pin] == "output" for i, b in enumerate(bits) if not isinstance(b, str) and self.is_read(b)]
        tables = self.tables()
        seen, mutants = set(), []
        for _ in range(100 * count):
            if len(mutants) == count:
                break
            kind = random.choice(KINDS)
            if kind == "dropped register" and registers:
                name, pin, what = random.choice(registers), "Q", ""
            elif kind == "stuck output":
                name, pin, index = random.choice(outputs)
                what = (index, random.randint(0, 1))
            elif kind == "table bit" and tables:
                name, pin = random.choice(tables), "O"
                what = random.randrange(1 << self.inputs(name))
            elif kind == "swapped inputs" and tables:
                name, pin = random.choice(tables), "O"
                if self.inputs(name) < 2:
                    continue
                what = tuple(sorted(random.sample(range(self.inputs(name)), 2)))
                if self.symmetric(name, *what):
                    continue
            else:
                continue
            if (kind, name, pin, what) not in seen:
                seen.add((kind, name, pin, what))
                mutants.append(Mutant(len(mutants) + 1, kind, name, pin, what))
        return mutants

    def is_read(self, bit):
        if not hasattr(self, "read_bits"):
            self.read_bits = {b for c in self.cells.values() for pin, bits in c["connections"].items()
                              if c["port_directions"][pin] == "input" for b in bits}
            self.read_bits |= {b for p in self.ports.values() if p["direction"] == "output" for b in p["bits"]}
        return bit in self.read_bits

    def inputs(self, name):
        return int(self.cells[name]["type"][3:])

    def init(self, name):
        value = self.cells[name]["parameters"]["INIT"]
        return int(value.replace("x", "0"), 2) if isinstance(value, str) else value

    def symmetric(self, name, i, j):
        table = self.init(name)
        swap = lambda k: (k & ~(1 << i | 1 << j)) | (k >> i & 1) << j | (k >> j & 1) << i
        return all((table >> k & 1) == (table >> swap(k) & 1) for k in range(1 << self.inputs(name)))

    def net(self, bit):
        return f"1'b{bit.replace('z', 'x')}" if isinstance(bit, str) else f"n{bit}"

    def verilog(self, module, mutants, chosen=None):
        """The netlist with `mutants` to choose from: by plusarg, or `chosen` for good (0: none)."""
        by_output = {}
        for m in mutants:
            index = m.what[0] if m.kind == "stuck output" else 0
            by_output.setdefault((m.cell, m.pin, index), []).append(m)
        free = chosen is not None
        names = list(self.ports) + (["free_bit"] if free else [])
        lines = [f"module {module} ({', '.join(names)});", "  input free_bit;" if free else "  integer mutant = 0;"]
        if free:
            lines.append(f"  localparam mutant = {chosen};")
        else:
            lines.append('  initial if ($value$plusargs("mutant=%d", mutant)) ;')
        bits = {b for c in self.cells.values() for x in c["connections"].values() for b in x if not isinstance(b, str)}
        bits |= {b for p in self.ports.values() for b in p["bits"] if not isinstance(b, str)}
        lines += [f"  wire n{b};" for b in sorted(bits)]
        for name, port in self.ports.items():
            width = len(port["bits"])
            lines.append(f"  {port['direction']} {f'[{width - 1}:0] ' if width > 1 else ''}{name};")
            for i, bit in enumerate(port["bits"]):
                part = f"{name}[{i}]" if width > 1 else name
                lines.append(f"  assign n{bit} = {part};" if port["direction"] == "input" else f"  assign {part} = {self.net(bit)};")
        for number, (name, cell) in enumerate(self.cells.items()):
            pins = []
            for pin, bits in cell["connections"].items():
                if cell["port_directions"][pin] == "output":
                    wires = []
                    for i, bit in enumerate(bits):
                        changes = by_output.get((name, pin, i))
                        if not changes:
                            wires.append(self.net(bit))
                            continue
                        wire = f"c{number}_{pin}_{i}"
                        wires.append(wire)
                        value = wire
                        for m in changes:
                            value = f"mutant == {m.number} ? {self.instead(m, wire, number, lines, free)} : ({value})"
                        lines.append(f"  wire {wire};")
                        lines.append(f"  assign {self.net(bit)} = {value};")
                else:
                    wires = [self.net(bit) for bit in bits]
                pins.append(f".{pin}({{{', '.join(reversed(wires))}}})")
            if free and cell["type"].startswith("LUT") and cell["type"] != "LUT6_2":
                lines.append(self.table_cell(f"u{number}", self.init(name), self.inputs(name), pins))
                continue
            parameters = ", ".join(f".{k}({len(v)}'b{v.replace('x', '0')})" if re.fullmatch("[01x]+", v) else f'.{k}("{v}")'
                                   for k, v in cell["parameters"].items())
            lines.append(f"  {cell['type']} {f'#({parameters}) ' if parameters else ''}u{number} ({', '.join(pins)});")
        return "\n".join(lines) + "\nendmodule\n"

    @staticmethod
    def table_cell(instance, init, inputs, pins):
        """A table as Yosys' own cell, which merges and goes to SAT as it is. `pins` are texts `.I0(x)`, `.O(y)`."""
        by_pin = dict(re.fullmatch(r"\.(\w+)\((.*)\)", p).groups() for p in pins)
        ports = ", ".join(by_pin[f"I{i}"] for i in reversed(range(inputs)))
        return f"  \\$lut #(.WIDTH({inputs}), .LUT({1 << inputs}'h{init:x})) {instance} (.A({{{ports}}}), .Y({by_pin['O']}));"

    def instead(self, m, wire, number, lines, free):
        """The expression that a mutant puts in the place of `wire`."""
        connections = self.cells[m.cell]["connections"]
        if m.kind == "stuck output":
            return f"1'b{m.what[1]}"
        if m.kind == "dropped register":
            return "free_bit" if free else self.net(connections["D"][0])
        pins = [self.net(connections[f"I{i}"][0]) for i in range(self.inputs(m.cell))]
        if m.kind == "table bit":
            return f"({wire} ^ ({{{', '.join(reversed(pins))}}} == {m.what}))"
        i, j = m.what
        pins[i], pins[j] = pins[j], pins[i]
        other = f"m{m.number}"
        size = 1 << self.inputs(m.cell)
        ports = [f".O({other})", *(f".I{k}({p})" for k, p in enumerate(pins))]
        if free:
            lines += [f"  wire {other};", self.table_cell(f"{other}_u", self.init(m.cell), self.inputs(m.cell), ports)]
        else:
            lines += [f"  wire {other};", f"  {self.cells[m.cell]['type']} #(.INIT({size}'h{self.init(m.cell):x})) {other}_u ({', '.join(ports)});"]
        return other


def loop_bench(netlist, interface, latency, samples, count):
    """A bench that streams the vectors through one mutant after the other and leaves each at the first difference."""
    ins, outs = ([(p["port"], len(netlist.ports[p["port"]]["bits"])) for p in interface[d]] for d in ("inputs", "outputs"))
    held = {n: v for n, v in {"rst": "1'b0", "ce": "1'b1", "in_valid": "1'b1"}.items() if n in netlist.ports}
    lines = ["module loop;", "  reg clk = 0;", "  integer m, t;", "  reg found;"]
    for name, width in ins + outs:
        kind = "reg" if (name, width) in ins else "wire"
        lines += [f"  {kind} [{width - 1}:0] {name};", f"  reg [{width - 1}:0] {name}_mem [0:{samples - 1}];"]
    pins = [f".{n}({n})" for n, _ in ins + outs] + [f".{n}({v})" for n, v in held.items()] + ([".clk(clk)"] if "clk" in netlist.ports else [])
    lines += [f"  {netlist.top} dut ({', '.join(pins)});", "  initial begin"]
    lines += [f'    $readmemh("{n}.hex", {n}_mem);' for n, _ in ins + outs]
    lines += [f"    for (m = 0; m <= {count}; m = m + 1) begin", "      dut.mutant = m;", "      found = 0;",
              f"      for (t = 0; t < {samples + latency} && !found; t = t + 1) begin"]
    lines += [f"        {n} = {n}_mem[t < {samples} ? t : {samples - 1}];" for n, _ in ins]
    differs = " || ".join(f"{n} !== {n}_mem[t - {latency}]" for n, _ in outs)
    lines += ["        #1;", f"        if (t >= {latency}) found = {differs};", "        #4 clk = 1;", "        #5 clk = 0;", "      end",
              '      $display("MUTANT %0d %0d", m, found);', "    end", "    $finish;", "  end", "endmodule"]
    return "\n".join(lines) + "\n"


def caught(netlist, mutants, project, scratch, latency, log):
    """Numbers of the mutants that the vectors in project/tb show: streamed, and what is left by the project's own bench."""
    interface = json.loads((project / "interface.json").read_text())
    samples = sum(1 for _ in next((project / "tb").glob("*.hex")).open())
    for path in (project / "tb").glob("*.hex"):
        shutil.copy(path, scratch)
    (scratch / "mutants.v").write_text(netlist.verilog(netlist.top, mutants))
    (scratch / "loop.v").write_text(loop_bench(netlist, interface, latency, samples, len(mutants)))
    subprocess.run(["iverilog", "-g2005-sv", "-s", "loop", "-o", "loop", "loop.v", "mutants.v", str(MODELS)], cwd=scratch, check=True, capture_output=True)
    said = subprocess.run(["vvp", "-n", "loop"], cwd=scratch, capture_output=True, text=True, timeout=3600).stdout
    results = {int(m): found == "1" for m, found in re.findall(r"MUTANT (\d+) ([01])", said)}
    if len(results) != len(mutants) + 1 or results[0]:
        raise RuntimeError(f"{netlist.top}: the netlist without a mutant fails, or there is no result: {said[-300:]}")
    found = {m for m, yes in results.items() if yes}
    # Idle cycles and valid bits are the bench's own.
    bench = f"{netlist.top}_tb"
    subprocess.run(["iverilog", "-g2005-sv", f"-P{bench}.SAMPLES={samples}", "-s", bench, "-o", "simulator",
                    str(project / "tb" / f"{bench}.v"), "mutants.v", str(MODELS)], cwd=scratch, check=True, capture_output=True)
    for m in [0, *(m.number for m in mutants if m.number not in found)]:
        said = subprocess.run(["vvp", "-n", "simulator", f"+mutant={m}", f"+dir={project}"], cwd=scratch, capture_output=True, text=True,
                              timeout=600).stdout
        line = re.search(r"WEFT_TB samples=\d+ mismatches=(\d+)", said)
        if not line or m == 0 and int(line.group(1)):
            raise RuntimeError(f"{netlist.top}: mutant {m}: no result, or a fault where there is none: {said[-300:]}")
        if int(line.group(1)) > 0:
            found.add(m)
    log(f"    {len(found)} of {len(mutants)} caught by {samples} vectors")
    return found


def wires_for_registers(text):
    """The cell models with their registers taken out."""
    kept = re.sub(r"module (FDRE|FDSE|SRL16E|SRLC32E)\b.*?endmodule\n", "", text, flags=re.S)
    return kept + """
module FDRE #(parameter INIT = 0, parameter IS_C_INVERTED = 0, parameter IS_D_INVERTED = 0, parameter IS_R_INVERTED = 0)
            (output Q, input C, CE, D, R);
  assign Q = (D ^ IS_D_INVERTED[0]) & ~(R ^ IS_R_INVERTED[0]);
endmodule
module FDSE #(parameter INIT = 0, parameter IS_C_INVERTED = 0, parameter IS_D_INVERTED = 0, parameter IS_S_INVERTED = 0)
            (output Q, input C, CE, D, S);
  assign Q = (D ^ IS_D_INVERTED[0]) | (S ^ IS_S_INVERTED[0]);
endmodule
module SRL16E #(parameter [15:0] INIT = 0, parameter IS_CLK_INVERTED = 0) (output Q, input A0, A1, A2, A3, CE, CLK, D);
  assign Q = D;
endmodule
module SRLC32E #(parameter [31:0] INIT = 0, parameter IS_CLK_INVERTED = 0) (output Q, output Q31, input [4:0] A, input CE, CLK, D);
  assign Q = D;
  assign Q31 = D;
endmodule
"""


def legal_inputs(netlist, interface, ranges):
    """A condition on the input ports: only codes that the model can meet. `ranges`: of all elements by port."""
    terms = ["1'b1"]
    for port in interface["inputs"]:
        width = port["element_width_bits"]
        for e, (low, high, step) in enumerate(ranges[port["name"]]):
            total = len(netlist.ports[port["port"]]["bits"])
            part = f"{port['port']}[{e * width + width - 1}:{e * width}]" if total > 1 else port["port"]
            full = (-(1 << width - 1), (1 << width - 1) - 1) if port["signed"] else (0, (1 << width) - 1)
            value = f"$signed({part})" if port["signed"] else part
            literal = lambda v: f"{'-' if v < 0 else ''}{width}'{'s' if port['signed'] else ''}d{abs(v)}"
            if low > full[0]:
                terms.append(f"({value} >= {literal(low)})")
            if high < full[1]:
                terms.append(f"({value} <= {literal(high)})")
            if step > 0:
                terms.append(f"({port['port']}[{e * width + step - 1}:{e * width}] == 0)")
    return " && ".join(terms)


def equivalent(netlist, mutant, legal, scratch, seconds):
    """True: proven; False: an input shows it; None: undecided after `seconds`."""
    gold = netlist.verilog("gold", [], 0)
    gate = netlist.verilog("gate", [mutant], mutant.number)
    inputs = {n: len(p["bits"]) for n, p in netlist.ports.items() if p["direction"] == "input"}
    outputs = {n: len(p["bits"]) for n, p in netlist.ports.items() if p["direction"] == "output"}
    fixed = {"clk": "1'b0", "rst": "1'b0", "ce": "1'b1", "in_valid": "1'b1"}
    data = {n: w for n, w in inputs.items() if n not in fixed}
    lines = [f"module miter ({', '.join([*data, 'free_bit'])}, bad);", "  input free_bit;", "  output bad;"]
    lines += [f"  input [{w - 1}:0] {n};" for n, w in data.items()]
    for who in ("gold", "gate"):
        lines += [f"  wire [{w - 1}:0] {who}_{n};" for n, w in outputs.items()]
        pins = [f".{n}({fixed.get(n, n)})" for n in inputs] + [f".{n}({who}_{n})" for n in outputs] + [".free_bit(free_bit)"]
        lines.append(f"  {who} u_{who} ({', '.join(pins)});")
    differ = " || ".join(f"gold_{n} != gate_{n}" for n in outputs)
    lines += [f"  wire legal = {legal};", f"  assign bad = legal && ({differ});", "endmodule"]
    (scratch / "miter.v").write_text(wires_for_registers(MODELS.read_text()) + gold + gate + "\n".join(lines) + "\n")
    script = ("read_verilog -sv -icells miter.v; hierarchy -top miter; proc; flatten; opt; opt_clean -purge; "
              f"sat -prove bad 0 -timeout {seconds} -show-inputs miter")
    try:
        done = subprocess.run(["yosys", "-p", script], cwd=scratch, capture_output=True, text=True, timeout=4 * seconds + 120)
    except subprocess.TimeoutExpired:
        return None
    if "no model found: SUCCESS" in done.stdout:
        return True
    if "model found: FAIL" in done.stdout:
        return False
    if "TIMEOUT" in done.stdout or "timeout" in done.stdout.lower():
        return None
    raise RuntimeError(f"{mutant}: Yosys says {done.stdout[-500:]}{done.stderr[-500:]}")
