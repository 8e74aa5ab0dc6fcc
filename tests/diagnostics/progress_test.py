# SPDX-License-Identifier: Apache-2.0
"""The line on the terminal: it moves while one long step says nothing, and is gone before anything else is printed.

    python progress_test.py WEFT
"""

import os
import pty
import re
import select
import subprocess
import sys
import tempfile
import time

import numpy as np

SECONDS = 3


def run_on_terminal(arguments, folder):
    """(exit code, what stdout got, what the terminal behind stderr got)"""
    leader, follower = pty.openpty()
    process = subprocess.Popen(arguments, cwd=folder, stdout=subprocess.PIPE, stderr=follower)
    os.close(follower)
    shown = b""
    while True:
        ready, _, _ = select.select([leader], [], [], 120)
        try:
            part = os.read(leader, 4096) if ready else b""
        except OSError:  # the other side is closed
            part = b""
        if not part:
            break
        shown += part
    out = process.stdout.read().decode()
    os.close(leader)
    return process.wait(timeout=60), out, shown.decode()


def main():
    weft = os.path.abspath(sys.argv[1])
    with tempfile.TemporaryDirectory(prefix="weft_progress_") as folder:
        matrix = np.random.default_rng(1).integers(-128, 128, (12, 12))
        np.savetxt(os.path.join(folder, "m.csv"), matrix, fmt="%d", delimiter=",")
        # Many seconds, of which the solver speaks only between its attempts.
        code, out, shown = run_on_terminal([weft, *COMMAND, "m.csv"], folder)
        assert code == 0, shown
        lines = [line for line in shown.split("\r") if re.match(r" *\d+ s  ", line)]
        assert len(lines) >= SECONDS, shown
        assert len({line.split()[0] for line in lines}) >= SECONDS - 1, f"the seconds stand still: {lines}"
        assert shown.rstrip().endswith("\x1b[K") and not shown.rstrip().endswith(lines[-1].rstrip()), "the line stays on the terminal"
        assert "\r" not in out and "\x1b" not in out, out
        # Nothing is drawn for what is over at once, and nothing on a terminal that asked for quiet.
        for words in (["targets"], [*COMMAND, "m.csv", "-q"]):
            code, _, shown = run_on_terminal([weft, *words], folder)
            assert code == 0 and shown == "", (words, shown)


COMMAND = ["cmvm", "--threads", "1", "--seconds", str(SECONDS + 1)]

if __name__ == "__main__":
    started = time.monotonic()
    main()
    assert time.monotonic() - started > SECONDS  # it was a long run
