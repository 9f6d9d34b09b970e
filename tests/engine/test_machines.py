"""Several machines: the same job on all, and the result on all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from med_lora.errors import InputError
from tests.recipes import hardware

from .machines import free_place, run_on_machines
from .ranks import exchange

pytestmark = pytest.mark.slow


def test_every_machine_gets_what_the_first_rank_saved(tmp_path: Path) -> None:
    given = hardware(machines=2, processes=2, rendezvous=free_place(), threads=1)
    jobs: list[dict[str, Any]] = [{"settings": {"seed": 1}, "folder": str(tmp_path / name)} for name in "ab"]
    assert run_on_machines(exchange, [(job, given) for job in jobs], tmp_path) == [["4", "2"]] * 2
    for job in jobs:
        folder = Path(job["folder"])
        found = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
        assert sorted(found) == ["deep/weights", "empty"]
        assert found["deep/weights"].read_bytes() == bytes(range(256)) * 1000
        assert found["empty"].stat().st_size == 0


def test_machines_with_different_jobs_are_refused(tmp_path: Path) -> None:
    given = hardware(machines=2, processes=1, rendezvous=free_place(), threads=1)
    jobs: list[dict[str, Any]] = [{"settings": {"seed": seed}, "folder": str(tmp_path / str(seed))} for seed in (1, 2)]
    for found in run_on_machines(exchange, [(job, given) for job in jobs], tmp_path):
        assert isinstance(found, InputError)
        assert "was given another job than the first (seed: " in str(found)
