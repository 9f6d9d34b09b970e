"""How far the raters agree."""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import combinations
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from med_lora.arms import ARMS
from med_lora.parameters import EvaluationParams
from med_lora.statistics.agreement import Sums, alpha_sums, icc_sums, kappa_sums, resample_agreement

COLUMNS = ["axis", "measure", "raters", "n", "value", "low", "high", "note"]
PREFERENCE = "preference"
CHOICES = {"reference": 0.0, "tie": 0.5, "arm": 1.0}


def measure_agreement(
    ratings: pd.DataFrame, rating_preferences: pd.DataFrame, evaluation: EvaluationParams
) -> pd.DataFrame:
    """Agreement of the raters on every axis and on the preference, of all raters and of every two of them.

    The units are the models' answers, of all arms together, and for the preference pairs of answers (one preferred, a
    tie, the other: in this order). Controls are left out: everybody tells an empty answer from another, so that they
    would raise the agreement on the answers that matter.

    Of all raters it is Krippendorff's ordinal alpha, over units with two ratings, and of axes Shrout and Fleiss's
    ICC(2,1) of a single rater and ICC(2,k) of the raters' mean, over units that all rated; of two raters it is the
    quadratic kappa. Intervals are of a cluster bootstrap over the groups of test pairs.

    Args:
        ratings: columns id, group, arm, rater, axis, score.
        rating_preferences: columns id, group, rater, reference, arm, choice ("reference", "arm" or "tie").
        evaluation: confidence, resamples and seed.

    Returns:
        axis (by name, then "preference"), measure, raters (by name), n (units), value (NaN where it does not exist),
        low, high, note (why there is no value or no interval). Empty where nothing was rated.
    """
    rows: list[dict[str, Any]] = []
    answers = ratings[ratings["arm"].isin(ARMS)]
    for axis, rated in answers.groupby("axis", sort=True):
        rows += _measure_axis(str(axis), _spread(rated, "score"), evaluation)
    if len(rating_preferences):
        chosen = rating_preferences.assign(score=rating_preferences["choice"].map(CHOICES))
        rows += _measure_axis(PREFERENCE, _spread(chosen, "score"), evaluation)
    return pd.DataFrame(rows, columns=COLUMNS)


def _spread(rated: pd.DataFrame, value: str) -> pd.DataFrame:
    """One row a unit, by group, id and arms, and one column a rater."""
    unit = ["group", "id", *(name for name in ("reference", "arm") if name in rated)]
    return rated.pivot(index=unit, columns="rater", values=value).sort_index().sort_index(axis=1)


def _measure_axis(axis: str, table: pd.DataFrame, evaluation: EvaluationParams) -> Iterator[dict[str, Any]]:
    """All measures of one axis."""
    groups = table.index.get_level_values("group").to_numpy()
    values = table.to_numpy(dtype=np.float64)
    names = [str(name) for name in table.columns]
    rated = (~np.isnan(values)).sum(axis=1)
    everybody = ", ".join(names)
    measures: list[tuple[str, str, Sums, npt.NDArray[np.bool_]]] = [
        ("krippendorff_alpha", everybody, alpha_sums(values, "ordinal"), rated >= 2)
    ]
    if axis != PREFERENCE:
        for name, average in (("ICC(2,1)", False), ("ICC(2,k)", True)):
            measures.append((name, everybody, icc_sums(values, "2", average), rated == max(2, len(names))))
    for first, second in combinations(range(len(names)), 2):
        both = ~np.isnan(values[:, [first, second]]).any(axis=1)
        sums = kappa_sums(values[:, first], values[:, second], "quadratic")
        measures.append(("quadratic_kappa", f"{names[first]}, {names[second]}", sums, both))
    for measure, raters, sums, counted in measures:
        row = {"axis": axis, "measure": measure, "raters": raters, "n": int(counted.sum())}
        yield row | _state(sums, groups, counted, len(names), evaluation)


def _state(
    sums: Sums, groups: npt.NDArray[Any], counted: npt.NDArray[np.bool_], raters: int, evaluation: EvaluationParams
) -> dict[str, Any]:
    """Value, interval and note; only the groups of the units that count are resampled."""
    part = Sums(sums.units[counted], sums.coefficient)
    estimate = resample_agreement(part, groups[counted], evaluation.bootstrap_samples, evaluation.seed)
    low, high = estimate.coefficient_interval(evaluation.confidence)
    value = part.value if counted.any() else math.nan
    return {"value": value, "low": low, "high": high, "note": _remark(value, low, groups[counted], raters)}


def _remark(value: float, low: float, groups: npt.NDArray[Any], raters: int) -> str:
    """Why there is no agreement, or none with an interval."""
    if raters < 2:
        return "there is one rater, and agreement needs two"
    if len(groups) == 0:
        return "no answer was rated by as many raters"
    if math.isnan(value):
        few = "only one answer was rated by as many raters, or " if len(groups) == 1 else ""
        return f"{few}the ratings do not vary, so agreement cannot be told from a habit"
    return "all these answers are of one group, and an interval needs two" if math.isnan(low) else ""
