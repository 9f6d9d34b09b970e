"""The nodes of a search: its trials, their table and the best of them as an experiment."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace
from time import sleep
from typing import Any

import pandas as pd

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.datasets.work_folder import WorkFolder
from med_lora.errors import InputError
from med_lora.parameters import (
    EvaluationParams,
    HardwareParams,
    ModelParams,
    PromptParams,
    SearchParams,
    TrainingParams,
)
from med_lora.pipelines.evaluation.splits import Split
from med_lora.pipelines.search.attempt import RESULT, Ground, attempt
from med_lora.pipelines.search.space import check_space
from med_lora.pipelines.search.storage import open_storage
from med_lora.pipelines.search.study import describe_study, open_study
from med_lora.pipelines.search.workers import Worker, is_void
from med_lora.trials.artifacts import rank_results, tabulate, write_experiment
from med_lora.trials.figures import draw_slices
from med_lora.trials.objective import direction_of
from med_lora.trials.result import TrialResult
from med_lora.trials.settings import TrialParams
from med_lora.trials.trial import remove_weights

logger = logging.getLogger(__name__)

POLL = 2.0  # seconds between two looks at the trials of other workers


def run_search(
    base_model: BaseModel,
    train: Split,
    validation: Split,
    experiment: str,
    model: ModelParams,
    prompt: PromptParams,
    training: TrainingParams,
    evaluation: EvaluationParams,
    search: SearchParams,
    hardware: HardwareParams,
    folder: WorkFolder,
    start: PretrainedFolder | None = None,
) -> list[TrialResult]:
    """Try settings until the study holds ``search.trials``, together with every other worker that runs this.

    What a killed run finished is not repeated, and what it began goes on. A run that finds nothing left to try waits
    for the trials of the others, and takes them over where their worker dies.

    Args:
        folder: of this experiment's searches: the database, unless another is named, and what trials leave on the disk.
        start: adapter of continued pre-training that every trial goes on with; None for fresh ones.

    Returns:
        All trials in the order in which they began, named ``trial_0`` and so on.

    Raises:
        InputError: for several machines, a space that the settings do not allow, a database that cannot be opened, or
            if the first ``search.startup_trials`` of this run all fail.
    """
    if hardware.machines > 1:
        raise InputError(
            f"hardware.machines is {hardware.machines} and a trial of a search trains on one machine; set it to 1, "
            "start one worker on each machine, and name a database that they share in search.storage."
        )
    parameters = TrialParams(model=model, prompt=prompt, training=training, evaluation=evaluation, hardware=hardware)
    check_space(search, parameters, has_start=start is not None)
    ground = Ground(search, parameters, base_model, train, validation, folder.path, start)
    storage = open_storage(search.storage, folder.path)
    study = open_study(storage, experiment, search, describe_study(ground))
    work = folder.path / study.study_name
    work.mkdir(exist_ok=True)
    with Worker(study, storage, search, folder.path) as worker:
        _take_all(worker, study, replace(ground, work=work))
    for trained in work.glob("training-*/"):
        remove_weights(trained)
    return read_results(study, search)


def read_results(study: Any, search: SearchParams) -> list[TrialResult]:
    """The ended trials of a study in the order in which they began.

    A pruned one has its ``last_validation_loss`` as a figure, in nats an answer token.
    """
    sign = 1.0 if direction_of(search.objective) == "lower" else -1.0
    results = []
    for number, trial in enumerate(trial for trial in study.get_trials(deepcopy=False) if not is_void(trial)):
        if RESULT not in trial.user_attrs or not trial.state.is_finished():
            continue
        result = replace(TrialResult.from_json(trial.user_attrs[RESULT]), name=f"trial_{number}")
        losses = trial.intermediate_values
        if result.state == "pruned" and losses:
            result = replace(result, figures={"last_validation_loss": sign * losses[max(losses)]})
        results.append(result)
    return results


def rank_trials(search_results: list[TrialResult]) -> list[TrialResult]:
    """The trials, best first.

    Raises:
        InputError: if no trial finished.
    """
    return rank_results(search_results)


def tabulate_trials(search_results: list[TrialResult], search_ranking: list[TrialResult]) -> pd.DataFrame:
    """One row a trial, best first; columns as :func:`med_lora.trials.artifacts.tabulate` names them.

    ``number`` counts the trials in the order in which they began.
    """
    numbers = {result.name: number for number, result in enumerate(search_results)}
    table = tabulate(search_ranking)
    table.insert(1, "number", table["name"].map(numbers))
    return table


def write_best(search_ranking: list[TrialResult], experiment_settings: dict[str, Any], experiment: str) -> str:
    """The experiment's file with the best trial's settings, ready for ``conf/experiments``."""
    return write_experiment(experiment_settings, search_ranking, experiment)


def draw_search(search_ranking: list[TrialResult]) -> Any:
    """The objective of every trial by each setting, as a ``plotly`` figure."""
    return draw_slices(search_ranking, "trial")


def _take_all(worker: Worker, study: Any, ground: Ground) -> None:
    from tqdm import tqdm

    search = ground.search
    failed = 0
    results = read_results(study, search)
    if results:
        logger.info("%d of %d trials are done.", len(results), search.trials)
    is_waiting = False
    with tqdm(total=search.trials, initial=len(results), desc="search", unit="trial", disable=None) as bar:
        while True:
            trial = worker.take()
            if trial is not None:
                with worker.beating(trial):
                    result = attempt(ground, study, trial)
                if result is None:
                    continue
                failed += result.state == "failed"
                results = read_results(study, search)
                _report(result, results, search, bar)
                if failed >= max(1, search.startup_trials) and all(other.state == "failed" for other in results):
                    raise InputError(
                        f"The first {failed} trials of the search all failed, the last since: {result.reason}"
                    )
            elif worker.others_are_busy():
                if not is_waiting:
                    logger.info("No trial is left; waiting for those of other workers.")
                is_waiting = True
                sleep(POLL)
            else:
                return


def _report(result: TrialResult, results: Sequence[TrialResult], search: SearchParams, bar: Any) -> None:
    """One log line, and the bar with the best value so far."""
    settings = ", ".join(
        f"{key}={f'{value:.4g}' if isinstance(value, float) else value}" for key, value in result.settings.items()
    )
    values = [other.value for other in results if other.value is not None]
    best = (min if result.direction == "lower" else max)(values) if values else None
    so_far = "none yet" if best is None else f"{best:.4g}"
    outcome = {"failed": result.reason, "pruned": "pruned"}.get(result.state) or f"{result.value:.4g}"
    bar.n = len(results)
    bar.set_postfix_str(f"best {search.objective} {so_far}")
    logger.info(
        "Search, %d of %d: %s with %s: %s (best so far: %s).",
        *(len(results), search.trials, search.objective, settings, outcome, so_far),
    )
