"""Ranks: several processes that work as one, and end as one."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from med_lora.engine.launch import run_on_ranks
from med_lora.errors import InputError
from tests.recipes import hardware

from .ranks import describe, fail

TWO = hardware(processes=2, threads=1)


def is_alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


def test_one_process_is_a_plain_call() -> None:
    found = run_on_ranks(lambda job: describe(job), {"rows": [1]}, hardware())
    assert (found["pid"], found["job"]) == (os.getpid(), {"rows": [1]})


def test_two_ranks_work_together_and_the_first_speaks_for_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    found = run_on_ranks(describe, {"rows": [1, 2]}, TWO)
    assert (found["rank"], found["sum"], found["job"]) == (0, 3.0, {"rows": [1, 2]})
    assert found["folder"] == str(tmp_path)
    assert found["pid"] != os.getpid()
    assert not is_alive(found["pid"])
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    printed = "".join(capfd.readouterr())
    for line in ("a line", "an error", "print"):
        assert f"{line} of rank 0" in printed
    assert "rank 1" not in printed


def test_a_rank_that_raises_ends_the_run_with_its_own_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError) as raised:
        run_on_ranks(fail, {"how": "raise", "rank": 1}, TWO)
    text = str(raised.value)
    assert text.startswith("Rank 1 of 2 failed")
    assert "tests/engine/ranks.py" in text
    assert "raise OwnError" in text
    assert "gloo" not in text  # which the rank that waited for it complains of
    assert "Traceback" not in "".join(capfd.readouterr())


def test_the_sentence_of_an_input_error_comes_back_alone() -> None:
    with pytest.raises(InputError) as raised:
        run_on_ranks(fail, {"how": "refuse", "rank": 1}, TWO)
    assert str(raised.value) == "The training set is empty: choose another corpus."


def test_a_killed_rank_ends_the_run() -> None:
    with pytest.raises(RuntimeError, match=r"Rank 1 of 2 failed.*\n.*SIGKILL"):
        run_on_ranks(fail, {"how": "kill", "rank": 1}, TWO)


@pytest.mark.parametrize("processes", [1, 2])
def test_a_launcher_around_the_command_is_refused(processes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match=r"WORLD_SIZE is 2.*hardware\.processes"):
        run_on_ranks(describe, {}, hardware(processes=processes))
