"""How far a judge agrees with itself when it is asked again."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.judge.scores import list_subjects
from med_lora.pipelines.judge.verdicts import Checked, Expectation, Simultaneous, not_measured
from med_lora.statistics.agreement import Level, alpha_sums, resample_agreement

CHECK = "self-consistency"
ENOUGH = 2 / 3  # Krippendorff (2004, Content Analysis, section 11.4.2): below, not even tentative conclusions
EXPECTED = Expectation("Krippendorff's alpha above 0.667", (ENOUGH, math.inf), (ENOUGH, math.inf))
LEVELS: dict[str, Level] = {"axis": "ordinal", "criterion": "nominal", "preference": "nominal"}


def check_repeats(
    judge_answers: pd.DataFrame, models: Sequence[str], evaluation: EvaluationParams
) -> list[dict[str, Any]]:
    """Agreement of the repeats of the same question, by Krippendorff's alpha with its cluster bootstrap over groups.

    Only the answers of models count: what tells an empty answer from the reference is no measure of how the judge
    tells apart what it is asked about. The note has the share of questions with equal repeats and, of axes, the mean
    absolute difference in points. Where no repeat of any question differs, nothing was measured: so it is by
    construction where the judge does not sample.
    """
    if judge_answers["repeat"].nunique() < 2:
        return [not_measured("every question was asked once").row(CHECK, "all", EXPECTED)]
    asked = judge_answers[judge_answers["arm"].isin(models)]
    tables = [(name, str(rows["task"].iloc[0]), _tabulate(rows)) for name, rows in list_subjects(asked)]
    if any(len(table) for *_, table in tables) and all((table.nunique(axis=1) == 1).all() for *_, table in tables):
        reason = "no repeat differs, which is so by construction where the judge does not sample (temperature 0)"
        return [not_measured(reason).row(CHECK, "all", EXPECTED)]
    level = Simultaneous.of(evaluation, len(tables))
    return [_check(table, task, evaluation, level).row(CHECK, name, EXPECTED) for name, task, table in tables]


def _tabulate(rows: pd.DataFrame) -> pd.DataFrame:
    """The answers to every question that has two or more, a column a repeat."""
    keys = ["id", "group", "arm", "rival", "subject"]
    table = rows.pivot(index=keys, columns="repeat", values="value").sort_index()
    return table[table.notna().sum(axis=1) >= 2]


def _check(table: pd.DataFrame, task: str, evaluation: EvaluationParams, level: Simultaneous) -> Checked:
    values = table.to_numpy(dtype=np.float64)
    if not len(values):
        return not_measured("no question was answered twice")
    groups = table.index.get_level_values("group").to_numpy()
    estimate = resample_agreement(
        alpha_sums(values, LEVELS[task]), groups, evaluation.bootstrap_samples, evaluation.seed
    )
    note = _tell_differences(values, task)
    if math.isnan(estimate.value):
        return not_measured(f"the answers do not vary, so that nothing could disagree; {note}")
    low, high = estimate.coefficient_interval(level.confidence)
    return Checked(len(values), len(set(groups)), estimate.value, low, high, level, note)


def _tell_differences(values: npt.NDArray[np.float64], task: str) -> str:
    """The share of questions with equal repeats, and how far repeats lie apart."""
    apart = np.stack([np.abs(values[:, one] - values[:, two]) for one, two in combinations(range(values.shape[1]), 2)])
    equal = float((np.nanmax(apart, axis=0) == 0).mean())
    words = f"repeats are equal on {equal:.0%} of the questions"
    if task == "axis":
        words += f", and differ by {float(np.nanmean(apart, axis=0).mean()):.2f} points in the mean"
    return words
