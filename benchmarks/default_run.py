"""Wall time and peak memory of the default run, as a newcomer sees them after the install.

    python benchmarks/default_run.py [--runs 3] [kedro run arguments]

Prints one line a run and the median with its range. Reads the clock; other work on the machine shows in the result.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[1]


def measure(arguments: list[str]) -> tuple[float, float]:
    """Seconds and GiB (largest resident set of one process) of one ``kedro run``."""
    code = (
        "import resource, subprocess, sys; "
        "result = subprocess.run([sys.executable, '-m', 'kedro', 'run', *sys.argv[1:]], stdout=sys.stderr); "
        "print(resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss); sys.exit(result.returncode)"
    )
    started = time.perf_counter()
    result = subprocess.run(
        [sys.executable, "-c", code, *arguments],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        check=True,
    )
    return time.perf_counter() - started, int(result.stdout) / 2**20


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=3)
    options, arguments = parser.parse_known_args()
    figures = []
    for number in range(options.runs):
        seconds, memory = measure(arguments)
        figures.append((seconds, memory))
        sys.stdout.write(f"run {number + 1}: {seconds:.1f} s, {memory:.2f} GiB\n")
    for name, unit, values in zip(("time", "peak memory"), ("s", "GiB"), zip(*figures, strict=True), strict=True):
        middle = statistics.median(values)
        sys.stdout.write(
            f"{name}: median {middle:.2f} {unit}, range {min(values):.2f} to {max(values):.2f}, n = {len(values)}\n"
        )
    sys.stdout.write(f"{os.cpu_count()} cores\n")


if __name__ == "__main__":
    main()
