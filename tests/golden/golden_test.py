# SPDX-License-Identifier: Apache-2.0
"""What the command line writes for small models, against kept files; and the same bytes for the same input.

    python3 tests/golden/golden_test.py build/release/bin/weft          (WEFT_UPDATE_GOLDEN=1 rewrites the kept files)

A difference is either a bug or a change that its author wants; then `./dev golden --update` makes it part of the review.
"""

import difflib
import json
import os
import pathlib
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parent.parent
KEPT = HERE / "kept"
# Two inputs, three outputs, a merge and per-channel scales; and one-bit arithmetic.
# Of these also VHDL, and the files for the vendors' tools in both languages.
PROJECTS = {"bipolar"}
MODELS = {"branches": "examples/fixtures/keras2/branches.h5", "bipolar": "examples/fixtures/onnx/bipolar.onnx"}


def run(weft, *words):
    done = subprocess.run([weft, *words], cwd=ROOT, capture_output=True, text=True, check=True)
    return done.stdout


def without_run(text):
    """A JSON answer without what differs from machine to machine: where it ran and how long it took."""
    answer = json.loads(text)
    for key in ("version", "directory", "seconds", "command"):
        answer.pop(key, None)
    return json.dumps(answer, indent=1, sort_keys=True) + "\n"


def written(weft, name, model, folder):
    """Every text to keep, by file name below kept/<name>."""
    yield "inspect.json", without_run(run(weft, "inspect", model, "--json"))
    yield "config.yaml", run(weft, "config", model)
    yield "convert.json", without_run(run(weft, "convert", model, "-o", str(folder / "a"), "--json"))
    run(weft, "convert", model, "-o", str(folder / "b"), "--json")
    first, second = ({p.relative_to(d): p.read_bytes() for p in sorted(d.rglob("*")) if p.is_file()} for d in (folder / "a", folder / "b"))
    # The folder's own name stands in the command that weft.json keeps.
    different = [str(p) for p in first if first[p].replace(b"/a", b"/b") != second.get(p, b"").replace(b"/a", b"/b")]
    if different or sorted(first) != sorted(second):
        raise SystemExit(f"{name}: two conversions differ in {', '.join(different) or 'their lists of files'}")
    for path in sorted((folder / "a/rtl").iterdir()):
        yield f"rtl/{path.name}", path.read_text()
    if name not in PROJECTS:
        return
    run(weft, "convert", model, "-o", str(folder / "vhdl"), "--target", "vhdl", "--json")
    for language in ("a", "vhdl"):
        for path in sorted((folder / language).rglob("*")):
            file = path.relative_to(folder / language)
            if not path.is_file() or file.name in ("model.weft", "weft.json", "interface.json"):
                continue
            if language == "vhdl" or file.parts[0] not in ("rtl", "tb"):
                yield f"{'vhdl' if language == 'vhdl' else 'project'}/{file}", path.read_text()


def main():
    weft = os.path.abspath(sys.argv[1])
    update = os.environ.get("WEFT_UPDATE_GOLDEN") == "1"
    bad = 0
    for name, model in MODELS.items():
        with tempfile.TemporaryDirectory() as folder:
            texts = dict(written(weft, name, model, pathlib.Path(folder)))
        kept = {str(p.relative_to(KEPT / name)): p for p in (KEPT / name).rglob("*") if p.is_file()}
        for file in sorted(set(texts) | set(kept)):
            path = KEPT / name / file
            old, new = (path.read_text() if path.exists() else None), texts.get(file)
            if old == new:
                continue
            if update:
                if new is None:
                    path.unlink()
                else:
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_text(new)
                print(f"rewritten: {path.relative_to(ROOT)}")
                continue
            bad += 1
            lines = difflib.unified_diff((old or "").splitlines(), (new or "").splitlines(), f"kept/{name}/{file}", "now", lineterm="")
            print("\n".join(list(lines)[:40]))
    print(f"{bad} files differ" + ("; `./dev golden --update` takes them as they are" if bad else ""))
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
