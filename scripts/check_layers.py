# SPDX-License-Identifier: Apache-2.0
"""Checks what the compiler does not: layers, sizes, and things that must not stand in src/.

    python3 scripts/check_layers.py [root]

* `#include "weft/<module>/..."` only of lower floors (the FLOOR of weft_module calls) and only of declared DEPS, theirs
  included; modules of one floor do not see each other.
* First line SPDX; headers up to 300 lines, sources up to 600 (exceptions with reasons in scripts/long_files.txt).
* No printing, exiting, environment, clock or unseeded randomness in src/.
"""

import pathlib
import re
import sys

HEADER_LINES, SOURCE_LINES = 300, 600
INCLUDE = re.compile(r'^\s*#\s*include\s+"weft/(\S+)"')
MODULE = re.compile(r"weft_module\(\s*(\w+)(.*?)\)", re.S)
KEYWORDS = {"FLOOR", "SOURCES", "HEADERS", "DEPS", "LIBS", "TESTS"}
# (pattern, what to say); looked for outside of comments and string literals.
FORBIDDEN = [
    (r"\bstd\s*::\s*(cout|cerr|clog)\b", "the library never prints"),
    (r"(?<![\w.>:])(std\s*::\s*)?(printf|fprintf|puts|putchar|perror)\s*\(", "the library never prints"),
    (r"\bfmt\s*::\s*print\s*\(", "the library never prints"),
    (r"(?<![\w.>:])(std\s*::\s*)?(exit|_Exit|quick_exit|abort|terminate)\s*\(", "the library never exits"),
    (r"(?<![\w.>:])(std\s*::\s*)?(secure_)?getenv\s*\(|\benviron\b", "the library never reads the environment"),
    (r"\brandom_device\b|(?<![\w.>:])(std\s*::\s*)?s?rand\s*\(", "randomness comes from Context::seed"),
    (r"\b(system_clock|high_resolution_clock)\b|(?<![\w.>:])(std\s*::\s*)?time\s*\(\s*(nullptr|NULL|0|&)", "the library reads no clock"),
    (r"\busing\s+namespace\s+std\b", "no `using namespace std`"),
]
# Files that may do what the rule forbids, with the reason.
ALLOWED = {
    "src/weft/driver/process.cpp": "starts external tools: its child process ends with _exit",
}


def strip_comments(text):
    """Comments and the insides of string literals blanked, line breaks kept."""
    token = re.compile(r'//[^\n]*|/\*.*?\*/|R"(\w*)\(.*?\)\1"|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)
    # 1'000'000: digit separators are no characters.
    text = re.sub(r"(?<=[0-9a-fA-F])'(?=[0-9a-fA-F])", "_", text)
    return token.sub(lambda m: re.sub(r"[^\n]", " ", m.group(0)), text)


def read_modules(root):
    """name -> (folder, floor, direct dependencies)"""
    modules = {}
    for path in sorted((root / "src/weft").rglob("CMakeLists.txt")):
        for name, body in MODULE.findall(re.sub(r"#[^\n]*", "", path.read_text())):
            arguments, key = {}, None
            for word in body.split():
                if word in KEYWORDS:
                    key = word
                elif key:
                    arguments.setdefault(key, []).append(word)
            folder = str(path.parent.relative_to(root / "src/weft"))
            modules[name] = (folder, int(arguments["FLOOR"][0]), arguments.get("DEPS", []))
    return modules


def reachable(modules, name):
    seen, todo = set(), [name]
    while todo:
        for dep in modules[todo.pop()][2]:
            if dep in modules and dep not in seen:
                seen.add(dep)
                todo.append(dep)
    return seen


def check(root):
    problems = []
    modules = read_modules(root)
    by_folder = {folder: name for name, (folder, _, _) in modules.items()}

    def owner(inside):
        """The module of a path below src/weft: the longest folder that fits."""
        fits = [f for f in by_folder if inside.startswith(f + "/")]
        return by_folder[max(fits, key=len)] if fits else None

    long_files = {}
    listing = root / "scripts/long_files.txt"
    for line in listing.read_text().splitlines() if listing.exists() else []:
        if line.strip() and not line.startswith("#"):
            path, _, reason = line.partition(" ")
            long_files[path] = reason.strip()
            if not reason.strip():
                problems.append(f"scripts/long_files.txt: {path} has no reason")

    for name, (_, floor, deps) in sorted(modules.items()):
        for dep in deps:
            if dep not in modules:
                problems.append(f"{name}: dependency {dep} does not exist")
            elif modules[dep][1] >= floor:
                problems.append(f"{name} (floor {floor}) depends on {dep} (floor {modules[dep][1]})")

    sources = [p for d in ("src", "tools", "tests", "bench", "python") for p in (root / d).rglob("*") if p.is_file()]
    for path in sorted(sources):
        if path.suffix not in (".h", ".cpp", ".def", ".py", ".inc", ".proto") and path.name != "CMakeLists.txt":
            continue
        shown = path.relative_to(root).as_posix()
        text = path.read_text(encoding="utf-8")
        lines = text.splitlines()
        spdx = any("SPDX-License-Identifier: Apache-2.0" in line for line in lines[:2])
        if not spdx:
            problems.append(f"{shown}:1: the first line must be the SPDX line")
        if path.suffix == ".h" and lines and "#pragma once" not in text:
            problems.append(f"{shown}:1: `#pragma once` is missing")
        limit = {".h": HEADER_LINES, ".cpp": SOURCE_LINES}.get(path.suffix)
        if limit and len(lines) > limit and shown not in long_files:
            problems.append(f"{shown}: {len(lines)} lines, the limit is {limit}; split it or give a reason in scripts/long_files.txt")
        if not shown.startswith("src/weft/") or path.suffix not in (".h", ".cpp", ".def", ".inc"):
            continue

        inside = shown[len("src/weft/") :]
        module = owner(inside)
        if module is None:
            problems.append(f"{shown}: belongs to no weft_module")
            continue
        allowed = reachable(modules, module) | {module}
        for number, line in enumerate(lines, 1):
            match = INCLUDE.match(line)
            if not match:
                continue
            target = owner(match.group(1))
            if target is None:
                problems.append(f"{shown}:{number}: {match.group(1)} belongs to no module")
            elif target != module and modules[target][1] >= modules[module][1]:
                problems.append(
                    f"{shown}:{number}: {module} (floor {modules[module][1]}) includes {target} (floor {modules[target][1]})"
                )
            elif target not in allowed:
                problems.append(f"{shown}:{number}: {target} is not among the DEPS of {module}")
        if path.name.endswith("_test.cpp") or shown in ALLOWED:
            continue
        code = strip_comments(text)
        for pattern, say in FORBIDDEN:
            for match in re.finditer(pattern, code):
                problems.append(f"{shown}:{code.count(chr(10), 0, match.start()) + 1}: `{match.group(0).strip()}`: {say}")

    for path in long_files:
        if not (root / path).exists():
            problems.append(f"scripts/long_files.txt: {path} does not exist")
    return problems


def main():
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).resolve().parent.parent)
    problems = check(root)
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
