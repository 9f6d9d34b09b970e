"""Machines of a test: commands of their own on this one, which meet by rendezvous."""

from __future__ import annotations

import os
import pickle
import socket
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from tests.conftest import ROOT

COMMAND = """
import pickle, sys
from med_lora.engine.launch import run_on_ranks
from med_lora.errors import InputError

with open(sys.argv[1], "rb") as stream:
    function, job, hardware = pickle.load(stream)
try:
    found = run_on_ranks(function, job, hardware)
except InputError as error:
    found = error
with open(sys.argv[1], "wb") as stream:
    pickle.dump(found, stream)
"""


def free_place() -> str:
    """A rendezvous on this machine."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return f"localhost:{free.getsockname()[1]}"


def run_on_machines(function: Callable[[Any], Any], calls: Sequence[tuple[Any, Any]], folder: Path) -> list[Any]:
    """What ``run_on_ranks`` returned, or which InputError it raised, for each machine's job and hardware."""
    started = []
    for number, (job, hardware) in enumerate(calls):
        file = folder / f"machine-{number}"
        file.write_bytes(pickle.dumps((function, job, hardware)))
        environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}:{ROOT}"}
        process = subprocess.Popen([sys.executable, "-c", COMMAND, str(file)], cwd=ROOT, env=environment)
        started.append((process, file))
    assert [process.wait() for process, _ in started] == [0] * len(started)
    return [pickle.loads(file.read_bytes()) for _, file in started]
