"""How workers share the trials of a study: each is taken by one of them, and given back if that one dies.

A trial is void if its worker died or was one too many: it is marked as failed without a fault, counts nowhere, and is
left out of the tables. The number of trials that are not void never exceeds ``search.trials``: of the trials before it,
in the database's order, a worker counts those that are not void, and gives its own up if they are enough; void ones
only become more, so the count can only fall after that.
"""

from __future__ import annotations

import logging
import socket
import threading
import warnings
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from med_lora.parameters import SearchParams
from med_lora.pipelines.search.space import make_distributions, make_sampler
from med_lora.pipelines.search.storage import HEARTBEAT

logger = logging.getLogger(__name__)

WORKER, FAULT = "worker", "fault"


def is_void(trial: Any) -> bool:
    """Whether a trial of optuna counts for nothing."""
    return trial.state.name == "FAIL" and FAULT not in trial.user_attrs


class Worker:
    """One process that takes trials of a study; a context manager, inside of which it counts as alive.

    Args:
        study: of optuna.
        storage: that holds it.
        search: of the experiment.
        folder: of the search, where workers of one machine see by a file lock whether another is alive. Workers of
            other machines are known by their heartbeats alone.
    """

    def __init__(self, study: Any, storage: Any, search: SearchParams, folder: Path) -> None:
        self._study = study
        self._storage = storage
        self._search = search
        self._folder = folder / "workers"
        self._host, self._id = socket.gethostname(), uuid4().hex
        self._retries: list[Any] = []
        self._alive = ExitStack()

    def __enter__(self) -> Worker:
        from filelock import FileLock

        self._folder.mkdir(exist_ok=True)
        self._alive.enter_context(FileLock(self._lock_file(self._id)))
        return self

    def __exit__(self, kind: type[BaseException] | None, *rest: object) -> None:
        self._alive.close()
        if kind is None:  # no trial of its own is left open, so nobody will look for it
            self._lock_file(self._id).unlink(missing_ok=True)

    def take(self) -> Any:
        """The next trial with its settings drawn, an ``optuna.Trial``; None if none is to be had now.

        The settings of a worker that died come first.
        """
        import optuna

        self._void_abandoned()
        if self._count() >= self._search.trials:
            return None
        retried = self._retries.pop(0) if self._retries else None
        distributions = make_distributions(self._search.space)
        # all or none: a worker may have died while it drew them
        known = retried.params if retried and retried.params.keys() == distributions.keys() else {}
        # in one transaction with its worker's name, or a kill between the two would leave a trial that nobody misses
        template = optuna.trial.create_trial(
            state=optuna.trial.TrialState.RUNNING,
            user_attrs={WORKER: f"{self._host}:{self._id}"},
            params=known,
            distributions=distributions if known else {},
        )
        study_id = self._storage.get_study_id_from_name(self._study.study_name)
        trial_id = self._storage.create_new_trial(study_id, template)
        slot = self._count(before=self._storage.get_trial(trial_id).number)
        self._study.sampler = make_sampler(self._search, slot)
        trial = optuna.trial.Trial(self._study, trial_id)
        if slot >= self._search.trials:
            self._study.tell(trial, state=optuna.trial.TrialState.FAIL)
            return None
        for key, distribution in distributions.items():
            _suggest(trial, key, distribution)
        return trial

    @contextmanager
    def beating(self, trial: Any) -> Iterator[None]:
        """Show the other workers that ``trial`` is being worked at."""
        ended = threading.Event()

        def beat() -> None:
            while not ended.wait(HEARTBEAT):
                try:
                    self._storage.record_heartbeat(trial._trial_id)
                # whatever the driver raises; its text may hold credentials
                except Exception as error:
                    kind = type(error).__name__
                    logger.warning("A sign of life was not written to the database (%s); it is tried again.", kind)

        self._storage.record_heartbeat(trial._trial_id)
        thread = threading.Thread(target=beat, daemon=True)
        thread.start()
        try:
            yield
        finally:
            ended.set()
            thread.join()

    def others_are_busy(self) -> bool:
        """Whether a trial of the study is still running."""
        return any(trial.state.name == "RUNNING" for trial in self._study.get_trials(deepcopy=False))

    def _count(self, before: int | None = None) -> int:
        trials = self._study.get_trials(deepcopy=False)
        return sum(1 for trial in trials if not is_void(trial) and (before is None or trial.number < before))

    def _void_abandoned(self) -> None:
        """Void the trials of workers that died, and keep their settings to try them first."""
        import optuna

        with warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            # only for this call: a storage goes to the ranks of a training, and a bound method would not
            self._storage.heartbeat_stale_trial_callback = lambda study, trial: self._retry(trial)
            optuna.storages.fail_stale_trials(self._study)
            self._storage.heartbeat_stale_trial_callback = None
        for trial in self._study.get_trials(deepcopy=False, states=(optuna.trial.TrialState.RUNNING,)):
            if not self._is_abandoned(trial):
                continue
            try:
                self._storage.set_trial_state_values(trial._trial_id, optuna.trial.TrialState.FAIL)
            except optuna.exceptions.UpdateFinishedTrialError:
                continue  # another worker was faster, and has the settings
            self._retry(trial)

    def _retry(self, trial: Any) -> None:
        if FAULT in trial.user_attrs:  # it had failed, and its worker died before it could say so
            return
        logger.info("The worker of a trial ended before it did; its settings are tried again.")
        self._retries.append(trial)

    def _is_abandoned(self, trial: Any) -> bool:
        """Whether the trial's worker ran on this machine, in this folder, and no longer does."""
        from filelock import FileLock, Timeout

        host, _, name = trial.user_attrs.get(WORKER, "").rpartition(":")
        if host != self._host or name == self._id or not self._lock_file(name).exists():
            return False
        try:
            with FileLock(self._lock_file(name), timeout=0):
                return True
        except Timeout:
            return False

    def _lock_file(self, name: str) -> Path:
        return self._folder / f"{name}.lock"


def _suggest(trial: Any, key: str, distribution: Any) -> None:
    from optuna.distributions import CategoricalDistribution, IntDistribution

    if isinstance(distribution, CategoricalDistribution):
        trial.suggest_categorical(key, distribution.choices)
    elif isinstance(distribution, IntDistribution):
        trial.suggest_int(key, distribution.low, distribution.high, log=distribution.log)
    else:
        trial.suggest_float(key, distribution.low, distribution.high, log=distribution.log)
