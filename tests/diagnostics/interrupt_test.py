# SPDX-License-Identifier: Apache-2.0
"""Ctrl-C at many moments of a long command: outputs are absent, as before, or whole; nothing half-written stays.

    python interrupt_test.py WEFT
"""

import os
import signal
import sys
import tempfile
import time

import numpy as np

from workshop import Workshop, dense, npy, quantizer, tool, weft_file

MOMENTS = 10
ANSWER_SECONDS = 20  # how long after Ctrl-C weft may take; generous, as the machine may be busy


def network(n):
    rng = np.random.default_rng(1)
    bits = quantizer("quantized_bits", bits=8, integer=0, alpha=1.0)
    relu = quantizer("quantized_relu", bits=6, integer=2)
    layers = [dense(name, rng.uniform(-1, 1, (n, n)), bits, rng.uniform(-1, 1, n), relu) for name in ("first", "second")]
    return weft_file("network.weft", (n,), layers)


def content(path):
    """Every file below a path with its bytes; None when there is nothing."""
    if not path.exists():
        return None
    if path.is_file():
        return path.read_bytes()
    return {str(p.relative_to(path)): p.read_bytes() for p in sorted(path.rglob("*")) if p.is_file()}


class Outcomes:
    def __init__(self):
        self.failures = []
        self.cancelled = self.finished = 0
        self.slowest = 0.0

    def check(self, what, run, have, before, after):
        """`have` is what is there now; `before` what was there without the command, `after` what a whole run leaves."""
        if run.code == 0 and "cancelled" not in run.kinds():
            self.finished += 1
            wanted = [after]
        elif run.code == 1 and "cancelled" in run.kinds():
            self.cancelled += 1
            wanted = [before]
        elif run.code == -signal.SIGINT:  # before weft listens to it
            wanted = [before]
        else:
            self.failures.append(f"{what}: exit code {run.code}, {run.kinds()}, {run.err!r}")
            return
        if have not in wanted:
            state = "absent" if have is None else "another"
            self.failures.append(f"{what}: exit code {run.code} and the output is {state}")


def interrupt_often(shop, outcomes, what, arguments, output, before):
    """Runs once to the end, then with Ctrl-C at moments spread over that time. before() sets the scene."""
    before()
    old = content(shop.folder / output)
    started = time.monotonic()
    whole = shop.run(arguments)
    seconds = time.monotonic() - started
    assert whole.code == 0, whole.err
    new = content(shop.folder / output)
    assert new is not None and new != old
    for k in range(MOMENTS):
        before()
        names = set(os.listdir(shop.folder)) - {output}
        begin = time.monotonic()
        delay = seconds * (k + 1) / MOMENTS
        run = shop.run_interrupted(arguments, seconds=delay)
        outcomes.slowest = max(outcomes.slowest, time.monotonic() - begin - delay)
        outcomes.check(f"{what} after {delay:.2f} s", run, content(shop.folder / output), old, new)
        left = set(os.listdir(shop.folder)) - {output} - names
        if left:
            outcomes.failures.append(f"{what} after {delay:.2f} s leaves {sorted(left)}")


def remove(path):
    if path.is_file():
        path.unlink()
    elif path.exists():
        for p in sorted(path.rglob("*"), reverse=True):
            p.rmdir() if p.is_dir() else p.unlink()
        path.rmdir()


def is_running(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # A zombie that nobody has collected is not running.
    with open(f"/proc/{pid}/stat") as file:
        return file.read().rpartition(")")[2].split()[0] != "Z"


def simulator_is_ended(shop, outcomes):
    """Ctrl-C while a simulator runs ends the simulator too."""
    shop.write("bin/iverilog", tool("echo $$ > started.partial; /bin/mv started.partial started; exec /bin/sleep 600"))
    run = shop.run_interrupted("verify out --simulator iverilog --samples 9".split(), "bin", "out/started")
    if run.code != 1 or "cancelled" not in run.kinds():
        outcomes.failures.append(f"verify: exit code {run.code}, {run.kinds()}")
    pid = int((shop.folder / "out/started").read_text())
    for _ in range(100):
        if not is_running(pid):
            return
        time.sleep(0.05)
    os.kill(pid, signal.SIGKILL)
    outcomes.failures.append("verify leaves its simulator running")


def main():
    outcomes = Outcomes()
    with tempfile.TemporaryDirectory(prefix="weft_interrupt_") as folder:
        shop = Workshop(sys.argv[1], folder)
        shop.write("network.weft", network(64))
        shop.write("small.weft", network(4))
        shop.write("x.npy", npy(np.random.default_rng(2).uniform(-2, 2, (60000, 64)).astype(np.float32)))
        common = "--input-type fixed<8,2> --threads 1".split()
        # The fast search: ten moments of a whole one are minutes under a sanitizer, and it is interrupted at the same places.
        fast = ["--effort", "fast"]
        out = shop.folder / "out"

        def old_project():
            remove(out)
            assert shop.run(["convert", "small.weft", "-o", "out", *fast, *common]).code == 0

        convert = ["convert", "network.weft", "-o", "out", *fast, *common]
        interrupt_often(shop, outcomes, "convert", convert, "out", lambda: remove(out))
        converted = outcomes.cancelled
        interrupt_often(shop, outcomes, "convert over an old result", convert, "out", old_project)
        predict = ["predict", "network.weft", "x.npy", "-o", "y.npy", *common]
        interrupt_often(shop, outcomes, "predict", predict, "y.npy", lambda: remove(shop.folder / "y.npy"))
        simulator_is_ended(shop, outcomes)
        if converted == 0:
            outcomes.failures.append("no run of convert was cancelled: the moments are wrong")
        if outcomes.slowest > ANSWER_SECONDS:
            outcomes.failures.append(f"{outcomes.slowest:.1f} s from Ctrl-C to the end")
    for line in outcomes.failures:
        print("FAILED  ", line)
    print(f"{outcomes.cancelled} runs cancelled, {outcomes.finished} finished, at most {outcomes.slowest:.2f} s after Ctrl-C, "
          f"{len(outcomes.failures)} failures")
    return 1 if outcomes.failures else 0


if __name__ == "__main__":
    sys.exit(main())
