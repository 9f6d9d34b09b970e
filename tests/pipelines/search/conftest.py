"""Searches whose trials are functions of their settings, so that only the search itself is tested."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.work_folder import WorkFolder
from med_lora.parameters import PromptParams, SearchParams
from med_lora.pipelines.search import attempt
from med_lora.pipelines.search.nodes import run_search
from med_lora.trials import trial as trials
from med_lora.trials.result import TrialResult
from tests.pipelines.search.stubs import Pairs, do_not_wait_for_the_disk, stub_scores, stub_trial
from tests.recipes import evaluation, hardware, model_params, training

SPACE: dict[str, Any] = {
    "training.optimisation.learning_rate": {"low": 1e-4, "high": 1e-2, "log": True},
    "training.lora.r": {"choices": [4, 8, 16]},
    "training.lora.dropout": {"low": 0.0, "high": 0.5},
}


def search_params(**changes: Any) -> SearchParams:
    given = {
        "space": SPACE,
        "objective": "validation_loss",
        "trials": 6,
        "sampler": "random",
        "startup_trials": 2,
        "prune": False,
        "storage": None,
        "seed": 1,
    }
    return SearchParams(**(given | changes))


class Searcher:
    """Runs searches of one experiment in one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def __call__(self, pairs: Pairs | None = None, **changes: Any) -> list[TrialResult]:
        pairs = pairs or Pairs(pd.DataFrame({"id": ["a"], "question": ["Why?"], "answer": ["So."]}))
        return run_search(
            BaseModel(source="nowhere", revision=None, sha256="0" * 64),
            pairs,
            pairs,
            "trial",
            model_params(),
            PromptParams(template="plain", system=None),
            training(),
            evaluation(exclude=[]),
            search_params(**changes),
            hardware(),
            WorkFolder(self.folder),
        )


@pytest.fixture(autouse=True, scope="package")
def databases_without_waiting_for_the_disk() -> None:
    do_not_wait_for_the_disk()


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[trials.Trial]:
    """The trials that were run, of searches in this process."""
    made: list[trials.Trial] = []

    def run(trial: trials.Trial, *args: Any, **kwargs: Any) -> TrialResult:
        made.append(trial)
        return stub_trial(trial, *args, **kwargs)

    monkeypatch.setattr(trials, "run_trial", run)
    monkeypatch.setattr(attempt, "score_validation", stub_scores)
    monkeypatch.setattr(trials, "check_trial", lambda *args: None)
    return made


@pytest.fixture
def search(tmp_path: Path, calls: list[trials.Trial]) -> Searcher:
    return Searcher(tmp_path)
