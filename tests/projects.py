"""Copies of the project to run commands in, cut off from every other machine."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

from tests.conftest import ROOT

# Libraries swallow the errors of a failed call home, so each attempt is also written down beside the guard.
NO_NETWORK = """
import pathlib, socket
_attempts = pathlib.Path(__file__).with_name("attempts.txt")
_local = (None, "", "localhost", "127.0.0.1", "::1", b"localhost", b"127.0.0.1")
def _refuse(target):
    with _attempts.open("a") as file:
        file.write(f"{target!r}\\n")
    raise OSError(f"network call to {target!r}")
def _guarded(call):
    def guarded(self, address, *rest):
        if self.family in (socket.AF_INET, socket.AF_INET6) and address[0] not in _local:
            _refuse(address)
        return call(self, address, *rest)
    return guarded
socket.socket.connect = _guarded(socket.socket.connect)
socket.socket.connect_ex = _guarded(socket.socket.connect_ex)
_getaddrinfo = socket.getaddrinfo
def getaddrinfo(host, *rest, **options):
    if host not in _local:
        _refuse(host)
    return _getaddrinfo(host, *rest, **options)
socket.getaddrinfo = getaddrinfo
"""
SMALL = (
    "training.optimisation.epochs=1,training.optimisation.evaluations=2,training.optimisation.checkpoints=2,"
    "training.lora.r=4,"
    "evaluation.decoding.max_new_tokens=12,evaluation.bootstrap_samples=500,"
    "data_engineering.split.train=40,data_engineering.split.validation=6,data_engineering.split.test=12"
)


def copy_project(target: Path) -> Path:
    target.mkdir(exist_ok=True)
    for part in ("conf", "src", "data/01_raw/embedded", "data/06_models/embedded-base"):
        shutil.copytree(ROOT / part, target / part, ignore=shutil.ignore_patterns("__pycache__"))
    for part in ("pyproject.toml", ".telemetry"):
        shutil.copy(ROOT / part, target / part)
    (target / "guard").mkdir()
    (target / "guard" / "sitecustomize.py").write_text(NO_NETWORK)
    return target


def run_environment(project: Path, **variables: str) -> dict[str, str]:
    """This process's variables less those that steer a run, with the network guarded."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MED_LORA", "KEDRO"))}
    # HF_HUB_OFFLINE would hide a call home, so the run gets none
    environment.pop("HF_HUB_OFFLINE", None)
    guarded = f"{project / 'guard'}{os.pathsep}{project / 'src'}"
    return environment | {"PYTHONPATH": guarded, "COLUMNS": "200", **variables}


def kedro(project: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run ``kedro ARGUMENTS`` in the project."""
    command = [sys.executable, "-m", "kedro", *arguments]
    environment = run_environment(project, **variables)
    return subprocess.run(command, cwd=project, env=environment, capture_output=True, text=True, check=False)


class DefaultRun(NamedTuple):
    """The default pipeline after one ``kedro run`` of size SMALL in a copied project.

    Attributes:
        project: the copy; not to be written to, since other tests read it too.
        result: of the command.
        id: of the run, the only one in ``runs/``.
    """

    project: Path
    result: subprocess.CompletedProcess[str]
    id: str


def make_default_run(folder: Path) -> DefaultRun:
    """Run the default pipeline in ``folder``, or wait for the process that does, or read what it left."""
    folder.mkdir(exist_ok=True)
    project, output = folder / "project", folder / "output.json"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not output.exists():
            copy_project(project)
            made = kedro(project, "run", f"--params={SMALL}", PYTHONHASHSEED="1", TZ="UTC")
            output.write_text(json.dumps([made.args, made.returncode, made.stdout, made.stderr]))
    result = subprocess.CompletedProcess(*json.loads(output.read_text()))
    assert result.returncode == 0, result.stderr[-3000:]
    (id,) = (path.name for path in (project / "runs").iterdir())
    return DefaultRun(project, result, id)


def copy_run(run: DefaultRun, target: Path) -> Path:
    """A project of one's own in which the default pipeline has run; ``target`` must not exist."""
    return shutil.copytree(run.project, target)


def artifacts(project: Path) -> set[Path]:
    """Every file that a run could have written."""
    kept = ("01_raw", "embedded-base")
    return {
        path
        for path in (project / "data").rglob("*")
        if path.is_file() and not any(part in path.parts for part in kept)
    }


def newest(project: Path, pattern: str) -> Path:
    (found,) = (project / "data").glob(pattern)
    return max(found.iterdir())


def network_attempts(project: Path) -> str:
    """What the runs in the project tried to reach, a line an attempt."""
    file = project / "guard" / "attempts.txt"
    return file.read_text() if file.exists() else ""
