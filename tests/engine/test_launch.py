"""Ranks: several processes that work as one, and end as one."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from med_lora.engine.launch import _leave, _raise_failure, run_on_ranks
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
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
    found = run_on_ranks(describe, {"rows": [1, 2]}, TWO)
    assert (found["rank"], found["sum"], found["job"]) == (0, 3.0, {"rows": [1, 2]})
    assert found["folder"] == str(tmp_path)
    assert found["files"]
    assert "job" not in found["files"]  # which all have read: a kill of the whole run leaves it to nobody
    assert found["pid"] != os.getpid()
    assert not is_alive(found["pid"])
    assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
    printed = "".join(capfd.readouterr())
    for line in ("a line", "an error", "print"):
        assert f"{line} of rank 0" in printed
    assert "rank 1" not in printed


def test_a_rank_that_raises_ends_the_run_with_its_own_traceback(capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(RuntimeError) as raised:
        run_on_ranks(fail, {"rank": 1}, TWO)
    text = str(raised.value)
    assert text.startswith("Rank 1 of 2 failed")
    assert "tests/engine/ranks.py" in text
    assert "raise OwnError" in text
    assert "gloo" not in text  # which the rank that waited for it complains of
    assert "Traceback" not in "".join(capfd.readouterr())


def fail_second(exitcode: int) -> Any:
    """What the agent raises where the second rank ended so."""
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError, ProcessFailure

    return ChildFailedError("rank", {1: ProcessFailure(local_rank=1, pid=1, exitcode=exitcode, error_file="")})


def test_the_sentence_of_an_input_error_comes_back_alone(tmp_path: Path) -> None:
    _leave(InputError("The training set is empty: choose another corpus."), tmp_path / "rank-1")
    with pytest.raises(InputError) as raised:
        _raise_failure(fail_second(1), tmp_path, TWO)
    assert str(raised.value) == "The training set is empty: choose another corpus."


def test_a_killed_rank_is_told_by_its_signal_and_what_it_printed(tmp_path: Path) -> None:
    for rank in (0, 1):
        (tmp_path / "attempt" / str(rank)).mkdir(parents=True)
        (tmp_path / "attempt" / str(rank) / "stderr.log").write_text(f"last words of {rank}")
    with pytest.raises(RuntimeError, match=r"Rank 1 of 2 failed.*\n.*SIGKILL.*\nlast words of 1$"):
        _raise_failure(fail_second(-signal.SIGKILL), tmp_path, TWO)


def test_a_terminated_run_leaves_nothing_of_its_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torch.distributed.elastic.multiprocessing import SignalException

    def be_terminated(*given: Any) -> Any:
        assert list(tmp_path.glob("med_lora-ranks-*/job"))
        raise SignalException("", signal.SIGTERM)

    left: list[list[Path]] = []
    before = signal.signal(signal.SIGTERM, lambda *given: left.append(list(tmp_path.iterdir())))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    monkeypatch.setattr("torch.distributed.launcher.api.elastic_launch", lambda *given: be_terminated)
    try:
        with pytest.raises(SignalException):
            run_on_ranks(describe, {"rows": [1]}, TWO)
    finally:
        signal.signal(signal.SIGTERM, before)
    assert left == [[]]


@pytest.mark.parametrize("processes", [1, 2])
def test_a_launcher_around_the_command_is_refused(processes: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    with pytest.raises(InputError, match=r"WORLD_SIZE is 2.*hardware\.processes"):
        run_on_ranks(describe, {}, hardware(processes=processes))
