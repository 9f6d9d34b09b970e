"""Seconds from the command to the first answer of the lineage's page, beside the seconds of CPU that it took.

    python benchmarks/lineage_ready.py

in the folder of the project. The wall seconds are this machine's, of now; compare those of CPU.
"""

from __future__ import annotations

import resource
import socket
import statistics
import subprocess
import sys
import time
import urllib.error
import urllib.request

ROUNDS = 3


def wait_for(address: str) -> None:
    """Until it answers."""
    while True:
        try:
            urllib.request.urlopen(address).read()
            return
        except urllib.error.URLError:
            time.sleep(0.05)


def measure() -> tuple[float, float]:
    """Wall and CPU seconds of one start."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "med_lora", "lineage", "--view", f"--port={port}"]
    before, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    page = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    wait_for(f"http://127.0.0.1:{port}/api/main")
    wall = time.perf_counter() - began
    page.terminate()
    page.wait()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Print median and range of both."""
    walls, cpus = zip(*(measure() for _ in range(ROUNDS)), strict=True)
    for name, seconds in (("wall", walls), ("CPU", cpus)):
        line = f"{name:5} {statistics.median(seconds):5.1f} s [{min(seconds):.1f}, {max(seconds):.1f}], n = {ROUNDS}"
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
