"""One trial of a search: its training watched, pruned if it falls behind, and its outcome told to the study."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.parameters import SearchParams
from med_lora.parameters.trials import Setting
from med_lora.pipelines.evaluation.splits import Split
from med_lora.pipelines.search.space import longest_rows
from med_lora.pipelines.search.workers import FAULT
from med_lora.trials import trial as trials
from med_lora.trials.objective import direction_of, score_validation
from med_lora.trials.result import TrialResult
from med_lora.trials.settings import TrialParams, apply_settings

logger = logging.getLogger(__name__)

# what is noted beside a trial in the database
RESULT, STEPS = "result", "validation_steps"
GIVEN_AWAY = "A trial was given to another worker, since this one gave no sign of life; its end is dropped."


@dataclass(frozen=True)
class Ground:
    """What all trials of a search share.

    Attributes:
        search: the space and the objective.
        parameters: of the experiment.
        base_model: that trials start from.
        train: pairs to train on.
        validation: pairs to measure on.
        work: folder of the study's trials.
        start: adapter that trials go on with; None for fresh ones.
    """

    search: SearchParams
    parameters: TrialParams
    base_model: BaseModel
    train: Split
    validation: Split
    work: Path
    start: PretrainedFolder | None = None


class Watch:
    """Reports validation losses to the study, and ends a trial that the pruner gives up.

    Losses are reported by the number of the validation and not of the step: steps of trials with other batch sizes are
    worth other numbers of rows. It can be pickled, for the ranks of a training.
    """

    def __init__(self, trial: Any, search: SearchParams, validations: int, steps: list[int]) -> None:
        """Watch ``trial``, whose validations after ``steps`` are reported already, out of ``validations`` in all."""
        self._trial = trial
        self._prune = search.prune
        # the pruner takes larger values for better ones where the objective is of that kind
        self._sign = 1.0 if direction_of(search.objective) == "lower" else -1.0
        self._validations = validations
        self._steps = steps

    def __call__(self, step: int, loss: float) -> None:
        if step not in self._steps:
            self._steps.append(step)
            self._trial.set_user_attr(STEPS, self._steps)
            self._trial.report(self._sign * loss, len(self._steps) - 1)
        number = self._steps.index(step)
        is_new = number == len(self._steps) - 1
        # after the last one nothing is left to be saved
        if self._prune and is_new and number < self._validations and self._trial.should_prune():
            raise trials.PrunedError


def attempt(ground: Ground, study: Any, trial: Any) -> TrialResult | None:
    """Run one trial of optuna, and tell the study what came of it.

    An exception that is no InputError makes the trial failed too, or its settings would be tried again first by every
    later run, and is raised.

    Returns:
        What came of it; None if the trial was given to another worker meanwhile.
    """
    from optuna.exceptions import UpdateFinishedTrialError

    settings: dict[str, Setting] = dict(trial.params)
    try:
        result = _run(ground, study, trial, apply_settings(ground.parameters, settings))
    except InputError as error:  # settings that do not go together
        result = _refused(ground, settings, str(error))
    except Exception as error:
        # of a rank of several it arrives as the cause
        if isinstance(error, UpdateFinishedTrialError) or isinstance(error.__cause__, UpdateFinishedTrialError):
            logger.warning(GIVEN_AWAY)
            return None
        _tell(study, trial, _refused(ground, settings, f"It ended in {type(error).__name__}."))
        raise
    _tell(study, trial, result)
    return result


def _run(ground: Ground, study: Any, trial: Any, parameters: TrialParams) -> TrialResult:
    """Train, unless a trial with the same training did, and measure."""
    from filelock import FileLock

    settings: dict[str, Setting] = dict(trial.params)
    objective = ground.search.objective
    # trials that differ in their answers alone share a training, which is then kept to be scored again
    is_shared = any(key.startswith("evaluation.") for key in ground.search.space) and objective != "validation_loss"
    planned = trials.Trial(
        # by what decides the weights, and not by number: tried again, it goes on from its own checkpoints
        name=f"training-{_hash(_of_training(settings))}",
        settings=settings,
        parameters=parameters,
        objective="validation_loss" if is_shared else objective,
        measured_length=longest_rows(ground.search, ground.parameters),
    )
    trials.check_trial(planned, ground.base_model)
    # another worker's trial may train the same weights
    with FileLock(ground.work / f"{planned.name}.lock"):
        result = trials.run_trial(
            planned,
            ground.base_model,
            ground.train,
            ground.validation,
            ground.work,
            start=ground.start,
            watch=Watch(trial, ground.search, parameters.training.optimisation.validations, _recall(study, trial)),
            keep_weights=is_shared,
        )
    result = replace(result, settings=settings, objective=objective, direction=direction_of(objective))
    if not is_shared or result.state != "finished":
        return result
    weights = ground.work / planned.name / trials.WEIGHTS
    scores = score_validation(parameters, ground.base_model, weights, ground.validation)
    return replace(result, value=scores[objective], figures=result.figures | scores)


def _recall(study: Any, trial: Any) -> list[int]:
    """Report what an earlier trial with the same training saw, since a training that goes on does not repeat it.

    Returns:
        The steps of the validations reported.
    """
    training = _of_training(trial.params)
    same = [
        other
        for other in study.get_trials(deepcopy=False)
        if other.number != trial.number and _of_training(other.params) == training
    ]
    longest = max(same, key=lambda other: len(other.intermediate_values), default=None)
    if longest is None:
        return []
    for number, value in sorted(longest.intermediate_values.items()):
        trial.report(value, number)
    steps = list(longest.user_attrs.get(STEPS, []))[: len(longest.intermediate_values)]
    trial.set_user_attr(STEPS, steps)
    return steps


def _refused(ground: Ground, settings: dict[str, Setting], reason: str) -> TrialResult:
    return TrialResult(
        name=f"training-{_hash(_of_training(settings))}",
        settings=settings,
        state="failed",
        objective=ground.search.objective,
        direction=direction_of(ground.search.objective),
        value=None,
        figures={},
        pairs=len(ground.validation.to_pandas()),
        reason=reason,
    )


def _tell(study: Any, trial: Any, result: TrialResult) -> None:
    from optuna.exceptions import UpdateFinishedTrialError
    from optuna.trial import TrialState

    try:
        trial.set_user_attr(RESULT, result.to_json())
        if result.state == "finished":
            study.tell(trial, result.value)
        elif result.state == "pruned":
            study.tell(trial, state=TrialState.PRUNED)
        else:
            trial.set_user_attr(FAULT, result.reason)
            study.tell(trial, state=TrialState.FAIL)
    except UpdateFinishedTrialError:
        logger.warning(GIVEN_AWAY)


def _of_training(settings: Mapping[str, Setting]) -> dict[str, Setting]:
    """The settings that decide the weights; those of the evaluation do not."""
    return {key: value for key, value in settings.items() if not key.startswith("evaluation.")}


def _hash(settings: Mapping[str, Setting]) -> str:
    return hashlib.sha256(json.dumps(settings, sort_keys=True).encode("utf-8")).hexdigest()[:12]
