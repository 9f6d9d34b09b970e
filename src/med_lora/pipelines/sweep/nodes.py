"""From a grid to its points, one point's training, and the tables and files of all of them."""

from __future__ import annotations

import logging
from typing import Any

import pandas as pd
from tqdm import tqdm

from med_lora.datasets.base_model import BaseModel
from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.datasets.work_folder import WorkFolder
from med_lora.errors import InputError
from med_lora.parameters import (
    EvaluationParams,
    HardwareParams,
    ModelParams,
    PromptParams,
    SweepParams,
    TrainingParams,
)
from med_lora.pipelines.evaluation.splits import Split
from med_lora.pipelines.sweep.points import make_points
from med_lora.trials.artifacts import rank_results, tabulate, write_experiment
from med_lora.trials.figures import draw_losses, draw_slices
from med_lora.trials.result import TrialResult
from med_lora.trials.settings import TrialParams, apply_settings
from med_lora.trials.trial import Trial, check_trial, run_trial

logger = logging.getLogger(__name__)

Plan = dict[str, Trial]


def plan_sweep(
    sweep: SweepParams,
    model: ModelParams,
    prompt: PromptParams,
    training: TrainingParams,
    evaluation: EvaluationParams,
    hardware: HardwareParams,
    base_model: BaseModel,
) -> Plan:
    """The trials of a sweep by name, all of them checked before the first one trains.

    Validation pairs are cut to the longest ``training.max_length`` of all points, so that every point is measured on
    the same tokens.

    Raises:
        InputError: for an empty grid, several machines, or a point that its parameters or the base model rule out.
    """
    if hardware.machines > 1:
        raise InputError(
            f"hardware.machines is {hardware.machines} and a point of a sweep trains on one machine; set it to 1, or "
            "run the points as experiments of their own."
        )
    given = TrialParams(model=model, prompt=prompt, training=training, evaluation=evaluation, hardware=hardware)
    points = make_points(sweep, given)
    if not points:
        raise InputError(
            "sweep.grid is empty, so there is nothing to sweep; name settings and values, such as "
            "training.lora.r: [16, 32, 64], in the experiment's file."
        )
    settled = {point.name: apply_settings(given, point.settings) for point in points}
    length = max(parameters.training.max_length for parameters in settled.values())
    plan = {
        point.name: Trial(point.name, point.settings, settled[point.name], sweep.objective, length) for point in points
    }
    for trial in plan.values():
        check_trial(trial, base_model)
    logger.info("The sweep has %d points, ranked by %s on the validation pairs.", len(plan), sweep.objective)
    return plan


def run_point(
    trial: Trial,
    sweep_plan: Plan,
    base_model: BaseModel,
    train: Split,
    validation: Split,
    work: WorkFolder,
    start: PretrainedFolder | None = None,
) -> tuple[dict[str, Any], pd.DataFrame]:
    """Train and measure one point, unless it was done before.

    Returns:
        The result as ``TrialResult.to_json`` gives it, and the history: columns name (of the point), step, epoch,
        metric, value.
    """
    order = sorted(sweep_plan)  # that in which Kedro runs nodes which do not wait for one another
    place, count = order.index(trial.name) + 1, len(order)
    logger.info("Point %d of %d: %s.", place, count, trial.name)
    with tqdm(total=count, initial=place - 1, desc=f"point {place} of {count}", unit="point", disable=None) as bar:
        result = run_trial(trial, base_model, train, validation, work.path, start=start)
        bar.update()
    if result.value is not None:
        logger.info("Point %d of %d: %s %.4g.", place, count, result.objective, result.value)
    history = result.history.copy()
    history.insert(0, "name", trial.name)
    return result.to_json(), history


def rank_points(*results: dict[str, Any]) -> list[TrialResult]:
    """The results of all points, best first.

    Raises:
        InputError: if no point finished.
    """
    return rank_results([TrialResult.from_json(result) for result in results])


def tabulate_points(sweep_ranking: list[TrialResult]) -> pd.DataFrame:
    """One row a point, best first; columns as :func:`med_lora.trials.artifacts.tabulate` names them."""
    return tabulate(sweep_ranking)


def write_best(sweep_ranking: list[TrialResult], experiment_settings: dict[str, Any], experiment: str) -> str:
    """The experiment's file with the best point's settings, ready for ``conf/experiments``."""
    return write_experiment(experiment_settings, sweep_ranking, experiment)


def collect_histories(*histories: pd.DataFrame) -> pd.DataFrame:
    """The histories of all points, one below the other; columns name, step, epoch, metric, value."""
    measured = [history for history in histories if len(history)]  # an empty one has no types of its own
    return pd.concat(measured, ignore_index=True) if measured else histories[0]


def draw_sweep(sweep_ranking: list[TrialResult]) -> Any:
    """The objective of every point by each setting, as a ``plotly`` figure."""
    return draw_slices(sweep_ranking, "point")


def draw_sweep_losses(sweep_histories: pd.DataFrame) -> Any:
    """The validation losses of every point by step, as a ``plotly`` figure."""
    return draw_losses(sweep_histories)
