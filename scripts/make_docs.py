# SPDX-License-Identifier: Apache-2.0
"""Writes docs/generated from what the command line says about itself; --check only compares.

    python3 scripts/make_docs.py --weft build/release/bin/weft [--check]
"""

import argparse
import pathlib
import re
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parent.parent
OUT = ROOT / "docs/generated"
NOTE = "<!-- Written by `./dev docs`; do not edit. -->\n"


def said(weft, *words):
    return subprocess.run([weft, *words], capture_output=True, text=True, check=True).stdout


def pages(weft):
    block = lambda text: "```text\n" + "\n".join(line.rstrip() for line in text.strip().splitlines()) + "\n```\n"
    top = said(weft, "--help")
    commands = re.findall(r"^  (\w+) {2,}", top.split("Subcommands:")[-1], re.M)
    text = f"{NOTE}# The command line\n\n{block(top)}"
    for command in commands:
        text += f"\n## weft {command}\n\n{block(said(weft, command, '--help'))}"
    yield "cli.md", text
    yield "operators.md", f"{NOTE}# Formats, layers, quantizers and operators\n\n{block(said(weft, 'ops'))}"
    yield "targets.md", f"{NOTE}# Targets\n\n{block(said(weft, 'targets'))}"
    yield "diagnostics.md", f"{NOTE}# Diagnostics\n\n{block(said(weft, 'explain'))}"


def broken_links():
    """Relative links of our pages that lead nowhere."""
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md"), *(ROOT / "examples").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text()):
            if "://" not in target and not (page.parent / target).exists():
                yield f"{page.relative_to(ROOT)}: {target} does not exist"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--weft", required=True)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    problems = list(broken_links())
    for name, text in pages(options.weft):
        path = OUT / name
        if options.check:
            if not path.exists() or path.read_text() != text:
                problems.append(f"{path.relative_to(ROOT)} is out of date; run ./dev docs")
        else:
            OUT.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
    print("\n".join(problems) if problems else "docs are up to date")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
