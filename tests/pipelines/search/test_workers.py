"""Workers share the trials of a study, and one that is killed costs nothing but its time."""

from __future__ import annotations

import json
import os
import pickle
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from med_lora.pipelines.search import nodes, workers
from med_lora.pipelines.search.attempt import Watch
from med_lora.trials import trial as trials

from ...conftest import ROOT
from .conftest import Searcher, search_params
from .test_search import figures

SETTINGS: dict[str, Any] = {"sampler": "tpe", "prune": True}


def start_worker(folder: Path, number: int, pause: float = 0.0, stuck: int = -1) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "tests.pipelines.search.stubs", str(folder), str(number), str(pause), str(stuck)]
    environment = {**os.environ, "PYTHONPATH": f"{ROOT / 'src'}{os.pathsep}{ROOT}", "OMP_NUM_THREADS": "1"}
    return subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)


def kill_at_work(worker: subprocess.Popen[bytes], folder: Path) -> None:
    """SIGKILL once the worker is in the middle of its trial STUCK."""
    while not (folder / "stuck").exists():
        assert worker.poll() is None, worker.stderr and worker.stderr.read().decode()[-2000:]
        time.sleep(0.05)
    worker.send_signal(signal.SIGKILL)
    worker.wait()


def read_log(folder: Path) -> list[str]:
    """The settings of every trial that any process began, in order."""
    return (folder / "log").read_text().splitlines()


def test_a_search_that_was_killed_ends_like_one_that_was_not(
    search: Searcher, tmp_path: Path, calls: list[trials.Trial]
) -> None:
    (tmp_path / "whole").mkdir()
    whole = Searcher(tmp_path / "whole")(trials=5, **SETTINGS)
    calls.clear()
    kill_at_work(start_worker(tmp_path, 5, stuck=2), tmp_path)
    began = read_log(tmp_path)
    assert len(began) == 3
    resumed = search(trials=5, **SETTINGS)
    assert figures(resumed) == figures(whole)
    assert json.dumps(calls[0].settings, sort_keys=True) == began[-1]
    assert len(calls) == 3
    assert figures(search(trials=5, **SETTINGS)) == figures(whole)
    assert len(calls) == 3


def test_two_workers_share_the_trials(
    search: Searcher, tmp_path: Path, calls: list[trials.Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nodes, "POLL", 0.05)
    other = start_worker(tmp_path, 6, pause=0.1)
    while not (tmp_path / "log").exists():
        assert other.poll() is None, other.stderr and other.stderr.read().decode()[-2000:]
        time.sleep(0.05)
    results = search(trials=6, **SETTINGS)
    assert other.wait() == 0, other.stderr and other.stderr.read().decode()[-2000:]
    assert calls
    began = read_log(tmp_path) + [json.dumps(trial.settings, sort_keys=True) for trial in calls]
    assert len(began) == len(set(began)) == 6
    assert sorted(json.dumps(result.settings, sort_keys=True) for result in results) == sorted(began)
    assert [result.name for result in results] == [f"trial_{number}" for number in range(6)]


@pytest.mark.slow
def test_the_trial_of_a_dead_worker_is_taken_over_while_it_is_waited_for(
    search: Searcher, tmp_path: Path, calls: list[trials.Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    worker = start_worker(tmp_path, 3, stuck=0)
    while not (tmp_path / "stuck").exists():
        assert worker.poll() is None
        time.sleep(0.05)
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        worker.send_signal(signal.SIGKILL)
        worker.wait()

    monkeypatch.setattr(nodes, "sleep", wait)
    results = search(trials=3, **SETTINGS)
    assert waits  # two trials were left to this worker, and it did not end before the other's was done
    assert len(results) == 3
    assert len(calls) == 3
    assert json.dumps(calls[2].settings, sort_keys=True) == read_log(tmp_path)[0]


def test_a_worker_of_another_machine_is_missed_after_a_while(
    search: Searcher, calls: list[trials.Trial], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers.socket, "gethostname", lambda: "elsewhere")
    monkeypatch.setattr(trials, "run_trial", interrupt)
    with pytest.raises(KeyboardInterrupt):
        search(trials=1)
    monkeypatch.undo()
    search_here = Searcher(tmp_path)
    monkeypatch.setattr(trials, "check_trial", lambda *args: None)
    monkeypatch.setattr(trials, "run_trial", lambda trial, *args, **kwargs: calls.append(trial))
    monkeypatch.setattr(nodes, "sleep", interrupt)
    with pytest.raises(KeyboardInterrupt):  # its last sign of life is fresh, so it is waited for
        search_here(trials=1)
    assert not calls
    with sqlite3.connect(tmp_path / "search.db") as database:
        database.execute("UPDATE trial_heartbeats SET heartbeat = datetime('now', '-3 minutes')")
    monkeypatch.setattr(trials, "run_trial", interrupt)
    with pytest.raises(KeyboardInterrupt):
        search_here(trials=1)
    with sqlite3.connect(tmp_path / "search.db") as database:
        settings = [
            row[0]
            for row in database.execute(
                "SELECT group_concat(param_value) FROM trial_params GROUP BY trial_id ORDER BY trial_id"
            )
        ]
    assert len(settings) == 2
    assert settings[0] == settings[1]


def interrupt(*args: object, **kwargs: object) -> None:
    raise KeyboardInterrupt


def test_a_worker_that_comes_too_late_for_the_last_trial_gives_it_back(
    search: Searcher, calls: list[trials.Trial], monkeypatch: pytest.MonkeyPatch
) -> None:
    counts = iter([0])
    count = workers.Worker._count

    def outdated(self: workers.Worker, before: int | None = None) -> int:
        """The first look at an unfinished study is older than another worker's trial."""
        return next(counts, count(self)) if before is None else count(self, before)

    search(trials=2)
    monkeypatch.setattr(workers.Worker, "_count", outdated)
    assert len(search(trials=2)) == 2
    assert len(calls) == 2


def test_a_sign_of_life_that_cannot_be_written_is_no_end_of_the_signs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    enough = threading.Event()
    beats: list[int] = []

    class Storage:
        def record_heartbeat(self, number: int) -> None:
            beats.append(number)
            if len(beats) == 4:
                enough.set()
            if len(beats) > 1:
                raise OSError("password=secret")

    monkeypatch.setattr(workers, "HEARTBEAT", 0.01)
    worker = workers.Worker(None, Storage(), search_params(), tmp_path)
    with worker.beating(SimpleNamespace(_trial_id=3)):
        assert enough.wait(60)
    assert "A sign of life was not written to the database (OSError); it is tried again." in caplog.messages
    assert "secret" not in caplog.text


@pytest.mark.parametrize("processes", [1, 2])
def test_a_trial_that_was_given_away_is_dropped_in_the_midst_of_its_training(
    processes: int,
    search: Searcher,
    calls: list[trials.Trial],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """What a rank of several raises arrives as the cause of the launcher's error."""
    run = trials.run_trial

    def stalled(trial: trials.Trial, *args: Any, **kwargs: Any) -> Any:
        monkeypatch.setattr(trials, "run_trial", run)
        with sqlite3.connect(tmp_path / "search.db") as database:
            database.execute("UPDATE trials SET state = 'FAIL'")
        try:
            return run(trial, *args, **kwargs)
        except Exception as error:
            if processes == 1:
                raise
            raise RuntimeError("Rank 0 of 2 failed") from error

    monkeypatch.setattr(trials, "run_trial", stalled)
    results = search(trials=2)
    assert len(results) == 2
    assert len(calls) == 3
    assert calls[0].settings == calls[1].settings
    assert caplog.text.count("was given to another worker") == 1


def test_a_watch_reaches_the_study_from_another_process(tmp_path: Path) -> None:
    import optuna

    from med_lora.pipelines.search.storage import open_storage

    storage = open_storage(None, tmp_path)
    study = optuna.create_study(storage=storage, study_name="study")
    with workers.Worker(study, storage, search_params(), tmp_path) as worker:
        trial = worker.take()
        watch = pickle.loads(pickle.dumps(Watch(trial, search_params(), 4, [])))
        for step, loss in ((0, 3.0), (10, 2.0), (10, 9.0)):
            watch(step, loss)
    assert study.trials[0].intermediate_values == {0: 3.0, 1: 2.0}
