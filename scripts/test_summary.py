# SPDX-License-Identifier: Apache-2.0
"""Counts and skip reasons of ctest's JUnit files, one line each, as the last lines of a run.

    python3 scripts/test_summary.py build/release/junit.xml ...

Fails when a test was skipped because a tool or package is missing: what is promised must run.
"""

import collections
import pathlib
import re
import sys
import xml.etree.ElementTree as xml

MISSING = re.compile(r"\bnot (installed|found)\b|\bmissing (tool|package)\b", re.I)


def main():
    bad = False
    for name in sys.argv[1:]:
        path = pathlib.Path(name)
        if not path.exists():
            print(f"{path}: no results")
            bad = True
            continue
        states, skips = collections.Counter(), collections.Counter()
        for case in xml.parse(path).getroot().iter("testcase"):
            state = case.get("status", "run")
            states[state] += 1
            if state in ("notrun", "disabled", "skipped"):
                output = case.findtext("system-out") or ""
                # GoogleTest prints "file:line: Skipped" and the reason on the next line.
                reason = re.search(r"Skipped\s*\n(.+)", output)
                skips[reason.group(1).strip() if reason else (case.find("skipped").get("message", "") if case.find("skipped") is not None else "no reason given")] += 1
        total = sum(states.values())
        failed = states["fail"]
        skipped = sum(skips.values())
        for reason, count in sorted(skips.items()):
            print(f"  skipped {count}: {reason}")
            bad |= bool(MISSING.search(reason))
        print(f"{path.parent.name}: {total - failed - skipped} tests passed, {failed} failed, {skipped} skipped, of {total}")
        bad |= failed > 0 or total == 0
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
