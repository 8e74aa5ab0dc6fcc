# SPDX-License-Identifier: Apache-2.0
"""Provokes every row of src/weft/diag/kinds.def as a user would, through the command line.

    python kinds_test.py WEFT [slug ...]

A kind without a row of PROVOCATIONS fails, and so do a run without the kind, another severity or exit code, an origin or a
text without the file at fault, and a diagnostic that does not read as diagnostics do.
"""

import re
import shutil
import sys
import tempfile

import numpy as np

from workshop import DIGITS, KERAS2, ROOT, Workshop, dense, keras_file, npy, quantizer, tool, weft_file

# Kinds that nothing in src/ or tools/ reports, so that no user can see them. The test fails as soon as something does.
DEAD = {
    "no-quantizer": "the certificate's word `quantized` and its notes say it instead",
}

# Commands run in the folder of FILES; `split` is a Keras architecture whose input has no type.
SPLIT = "split.json --weights split_weights.h5"
TYPED = SPLIT + " --input-type fixed<6,2>"


class Row:
    def __init__(self, slug, command, code=1, at=None, says=None, path=None, interrupt=None, needs=None):
        self.slug = slug  # of kinds.def
        self.command = command
        self.code = code  # exit code
        self.at = at  # file that the origin must name
        self.says = says  # what the message must match
        self.path = path  # PATH of the run, a folder of FILES
        self.interrupt = interrupt  # Ctrl-C as soon as this file is there
        self.needs = needs  # program without which the row is skipped


PROVOCATIONS = [
    # files and hostile input
    Row("archive-malformed", "inspect damaged.weft", at="damaged.weft"),
    Row("array-malformed", f"predict {TYPED} damaged.npy", at="damaged.npy"),
    Row("array-malformed", f"predict {TYPED} ragged.csv", at="ragged.csv", says="line 2"),
    Row("array-malformed", f"predict {TYPED} pickle.npy", at="pickle.npy"),
    Row("file-unreadable", "inspect missing.h5", at="missing.h5"),
    Row("file-unreadable", f"convert {TYPED} --config missing.yaml -o out", at="missing.yaml"),
    Row("file-unwritable", f"convert {TYPED} -o text.txt", at="text.txt"),
    Row("file-unwritable", f"convert {TYPED} -o not_ours", at="not_ours", says="weft.json"),
    Row("format-unknown", "inspect text.txt", at="text.txt"),
    Row("format-unknown", "inspect empty.h5", at="empty.h5"),
    Row("limit-exceeded", "inspect huge.json --weights split_weights.h5", at="huge.json"),
    Row("limit-exceeded", "verify project --simulator iverilog --samples 9 --timeout 0.3", path="bin/slow", says="0.3 s"),
    Row("model-malformed", "inspect cut.h5", at="cut.h5"),
    Row("model-malformed", "inspect cut.json --weights split_weights.h5", at="cut.json"),
    Row("model-malformed", "inspect cut.onnx", at="cut.onnx"),
    # model content
    Row("attribute-unknown", "inspect attribute_unknown.json --weights split_weights.h5", at="attribute_unknown.json", says="surprise"),
    Row("attribute-unsupported", "inspect half.json --weights split_weights.h5", at="half.json", says="float16"),
    Row("layer-unsupported", "inspect conv_lstm.json --weights split_weights.h5", at="conv_lstm.json", says="ConvLSTM2D"),
    Row("quantizer-unsupported", "inspect refused_bernoulli.json", at="refused_bernoulli.json", says="bernoulli"),
    Row("scale-ambiguous", "inspect boundary.weft", 0, at="boundary.weft"),
    Row("shape-mismatch", f"predict {TYPED} wide.csv", at="wide.csv"),
    Row("weight-missing", "inspect split.json", at="split.json", says="--weights"),
    # configuration and types
    Row("config-invalid", f"convert {TYPED} --config invalid.yaml -o out", at="invalid.yaml", says="fastest"),
    Row("config-invalid", f"convert {TYPED} --set first.reuse_factor=none -o out", at="--set", says="none"),
    Row("config-unknown-key", f"convert {TYPED} --config unknown.yaml -o out", at="unknown.yaml", says="did you mean `LayerName`"),
    Row("config-invalid", f"convert {TYPED} --set first.reuse_factor=5000 -o out", at="split.json", says="4096"),
    Row("config-unknown-key", f"convert {TYPED} --set third.reuse_factor=1 -o out", at="--set", says="third"),
    Row("type-invalid", f"inspect {SPLIT} --input-type banana", at="--input-type", says="banana"),
    Row("type-may-wrap", f"convert {TYPED} --set second.precision.result=ap_fixed<4,2> -o out", 0, at="split.json"),
    Row("type-too-wide", f"convert {SPLIT} --input-type fixed<127,60> -o out", at="split.json"),
    # lowering
    Row("input-type-assumed", f"inspect {SPLIT}", 0, at="split.json", says="--input-type"),
    Row("lowering-unsupported", "convert auto.json --weights split_weights.h5 --input-type fixed<6,2> -o out", at="auto.json",
        says="alpha"),
    Row("softmax-removed", "convert digits.h5 -o out", 0, at="digits.h5", says="logits"),
    # running
    Row("data-not-finite", f"predict {TYPED} nan.csv", at="nan.csv", says="row 1, column 2"),
    Row("input-saturated", f"predict {SPLIT} --input-type fixed<4,2> rows.csv", 0, says="^[1-9][0-9]* values"),
    Row("value-saturated", f"predict {TYPED} --set second.precision.result=fixed<3,1> rows.csv", 0, at="split.json",
        says="^[1-9][0-9]* values"),
    # hardware and tools
    Row("does-not-fit", f"convert {TYPED} --io stream -o out"),
    Row("does-not-fit", f"convert {TYPED} --reuse-factor 4 --no-valid -o out", at="split.json", says="in_valid"),
    Row("does-not-fit", f"convert {TYPED} --reuse-factor 4 --max-latency-cycles 2 -o out", says="reuse"),
    Row("does-not-fit", f"convert {TYPED} --max-latency-cycles 0 -o out"),
    Row("sequential-accumulator", f"convert {TYPED} --set first.precision.accum=fixed<8,4> -o out", 0, at="split.json"),
    Row("target-unknown", f"convert {TYPED} --part xcnothing -o out", says="weft targets"),
    Row("target-unknown", f"convert {TYPED} --target cobol -o out"),
    Row("tool-failed", "verify project --simulator iverilog --samples 9", at="project/logs/iverilog_build.log", says="code 3",
        path="bin/broken"),
    Row("tool-failed", "synth project --family ice40 --no-cache", at=".log", says="code 3", path="bin/broken"),
    Row("tool-missing", "verify project --simulator iverilog --samples 9", says="apt-get install iverilog", path="bin/empty"),
    Row("tool-missing", "synth project --no-cache", says="apt-get install yosys", path="bin/empty"),
    Row("usage-invalid", "explain no-such-kind", 2, says="no-such-kind"),
    Row("usage-invalid", f"convert {TYPED} --io banana -o out", 2, says="banana"),
    Row("verify-mismatch", "verify edited --simulator iverilog --samples 200", at="edited", says="^[1-9][0-9]* of ",
        needs="iverilog"),
    # general
    Row("cancelled", "verify project --simulator iverilog --samples 9", path="bin/slow", interrupt="project/started"),
    Row("info", "inspect renamed.json --weights split_weights.h5", 0, at="split_weights.h5", says="in order"),
    Row("info", "predict matrix.weft rows.csv --input-type fixed<6,2>", 0, at="rows.csv", says=r"\[4\] are read as \[2, ?2\]"),
]


def set_auto_scale(_input, first, _layers):
    first["activation"].update(class_name="quantized_bits", config={"bits": 4, "integer": 0, "alpha": "auto"})


def boundary():
    """All weights sqrt(1/2): log2 of the best scale for the codes -1, 0, 1 lies halfway between two integers."""
    return weft_file("boundary.weft", (4,), [
        dense("first", np.full((4, 2), np.sqrt(0.5)), quantizer("quantized_bits", bits=2, integer=0, symmetric=1, alpha="auto_po2"))
    ])


def write_files(shop):
    split = (KERAS2 / "split.json").read_bytes()
    files = {
        "split.json": split,
        "split_weights.h5": (KERAS2 / "split_weights.h5").read_bytes(),
        "digits.h5": (DIGITS / "digits.h5").read_bytes(),
        "refused_bernoulli.json": (KERAS2 / "refused_bernoulli.json").read_bytes(),
        "damaged.weft": boundary()[:-40],
        "damaged.npy": npy(np.zeros((3, 4), np.float32))[:-5],
        "pickle.npy": npy(np.array([[1, None]], dtype=object)),
        "ragged.csv": b"1,2,3,4\n1,2,3\n",
        "wide.csv": b"1,2,3\n4,5,6\n",
        "nan.csv": b"0,1,0,1\n0,1,nan,0\n",
        "rows.csv": b"3,-3,3,-3\n-3,3,-3,3\n3,3,3,3\n-3,-3,-3,-3\n",
        "text.txt": b"a shopping list\n",
        "empty.h5": b"",
        "not_ours/letter.txt": b"dear reader\n",
        "cut.h5": (DIGITS / "digits.h5").read_bytes()[:5000],
        "cut.json": split[:-20],
        "cut.onnx": (DIGITS / "digits.onnx").read_bytes()[:-100],
        "huge.json": keras_file(lambda x, _f, _l: x.update(batch_input_shape=[None, 1 << 40])),
        "attribute_unknown.json": keras_file(lambda _x, first, _l: first.update(surprise=1)),
        "half.json": keras_file(lambda _x, first, _l: first.update(dtype="float16")),
        "conv_lstm.json": keras_file(lambda _x, _f, layers: layers[1].update(class_name="ConvLSTM2D", module="keras.layers")),
        "auto.json": keras_file(set_auto_scale),
        "renamed.json": keras_file(lambda _x, first, layers: [layer["config"].update(name="z_" + layer["config"]["name"])
                                                              for layer in layers[1:]]),
        "boundary.weft": boundary(),
        "matrix.weft": weft_file("matrix.weft", (2, 2), [dense("first", np.eye(2), quantizer("quantized_bits", bits=2, alpha=1.0))]),
        "invalid.yaml": b"Model: {Strategy: fastest}\n",
        "unknown.yaml": b"LayerNam: {first: {ReuseFactor: 1}}\n",
        "bin/broken/iverilog": tool("echo broken on purpose; exit 3"),
        "bin/broken/yosys": tool("echo broken on purpose; exit 3"),
        "bin/slow/iverilog": tool("echo > started; exec /bin/sleep 600"),
        "bin/empty/readme": b"nothing to run here\n",
    }
    for name, content in files.items():
        shop.write(name, content)
    made = shop.run(f"convert {TYPED} -o project".split())
    assert made.code == 0, made.err
    # A mistake in the hardware: the first sum becomes a difference.
    shutil.copytree(shop.folder / "project", shop.folder / "edited")
    for path in sorted((shop.folder / "edited/rtl").glob("*.v")):
        text = path.read_text()
        if " + " in text:
            path.write_text(text.replace(" + ", " - ", 1))
            return
    raise AssertionError("no sum in the emitted Verilog")


def kinds_of_table():
    """The rows of kinds.def: slug -> (enumerator, severity)."""
    text = re.sub(r"^\s*(//|#).*$", "", (ROOT / "src/weft/diag/kinds.def").read_text(), flags=re.M)
    rows = re.findall(r'WEFT_KIND\(\s*(\w+)\s*,\s*"([^"]+)"\s*,\s*(\w+)', text)
    assert len(rows) == text.count("WEFT_KIND("), "a row of kinds.def does not look like one"
    return {slug: (name, severity.lower()) for name, slug, severity in rows}


def problems_of_style(diagnostic):
    message = diagnostic["message"]
    if not message or re.match("[A-Z][a-z]+ ", message) or message.endswith("."):
        return [f"message is not in lower case without a period: {message!r}"]
    return []


def problems_of_run(row, severity, run):
    found = [d for d in run.diagnostics if d["kind"] == row.slug]
    out = [p for d in run.diagnostics for p in problems_of_style(d)]
    if run.json is None:
        return ["no JSON on stdout"]
    if run.code != row.code:
        out.append(f"exit code {run.code} instead of {row.code}")
    if not found:
        return [*out, f"not among the diagnostics {run.kinds()}"]
    out += [f"severity {d['severity']} instead of {severity}" for d in found if d["severity"] != severity]
    worst = any(d["severity"] == "error" for d in run.diagnostics)
    if worst != (run.code != 0):
        out.append(f"exit code {run.code} does not go with the severities")
    hits = [d for d in found if row.at is None or d["origin"]["file"].endswith(row.at)]
    if not hits:
        out.append(f"no origin names {row.at}: {[d['origin'] for d in found]}")
    elif row.says and not any(re.search(row.says, d["message"]) for d in hits):
        out.append(f"no message matches {row.says!r}: {[d['message'] for d in hits]}")
    lines = [line for line in run.err.splitlines() if f"[{row.slug}]" in line]
    if not any(line.startswith(severity + ": ") and (row.at or "") in line for line in lines):
        out.append(f"no line of stderr has the severity, {row.at or ''} and [{row.slug}]: {run.err!r}")
    return out


def uses_in_source(name):
    return [str(path.relative_to(ROOT)) for folder in ("src", "tools", "python") for path in sorted((ROOT / folder).rglob("*"))
            if path.suffix in (".cpp", ".h") and not path.name.endswith("_test.cpp") and re.search(rf"Kind::{name}\b", path.read_text())]


def check_table(shop, table):
    """The binary knows the same kinds, and each can be explained."""
    out = []
    told = {k["kind"]: k["severity"] for k in shop.run(["explain"]).json["kinds"]}
    if told != {slug: severity for slug, (_, severity) in table.items()}:
        out.append("`weft explain` and kinds.def differ")
    for slug, (_, severity) in table.items():
        run = shop.run(["explain", slug])
        if run.code != 0 or run.json["severity"] != severity or not run.json["summary"] or not run.json["remedy"]:
            out.append(f"`weft explain {slug}` answers {run.out}")
    return out


def main():
    table = kinds_of_table()
    wanted = sys.argv[2:] or list(table)
    failures, skipped, count = [], [], 0
    with tempfile.TemporaryDirectory(prefix="weft_kinds_") as folder:
        shop = Workshop(sys.argv[1], folder)
        failures += check_table(shop, table)
        write_files(shop)
        failures += [f"{row.slug}: no such kind" for row in PROVOCATIONS if row.slug not in table]
        for slug in wanted:
            rows = [row for row in PROVOCATIONS if row.slug == slug]
            name, severity = table[slug]
            if slug in DEAD:
                uses = uses_in_source(name)
                if rows or uses:
                    failures.append(f"{slug}: called dead, but reported by {uses}; write a row that provokes it")
                else:
                    print(f"dead     {slug}: {DEAD[slug]}")
            elif not rows:
                failures.append(f"{slug}: no row provokes it")
            for row in rows:
                if row.needs and not shutil.which(row.needs):
                    skipped.append(f"{slug}: {row.needs} is not installed")
                    continue
                shutil.rmtree(shop.folder / "out", ignore_errors=True)
                if row.interrupt:
                    run = shop.run_interrupted(row.command.split(), row.path, row.interrupt)
                else:
                    run = shop.run(row.command.split(), row.path)
                problems = problems_of_run(row, severity, run)
                if (run.code != 0) and (shop.folder / "out").exists():
                    problems.append("a failed command left its output folder")
                failures += [f"{slug} (weft {row.command}): {p}" for p in problems]
                count += 1
                print(f"{'FAILED' if problems else 'ok':8} {slug}: weft {row.command}")
    for line in skipped:
        print("skipped ", line)
    for line in failures:
        print("FAILED  ", line)
    print(f"{count} provocations of {len(wanted)} kinds, {len(failures)} failures, {len(skipped)} skipped")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
