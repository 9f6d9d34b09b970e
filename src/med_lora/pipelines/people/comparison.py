"""People's ratings as scores of the arms, and the arms compared by them."""

from __future__ import annotations

import pandas as pd

from med_lora.metrics.definition import Metric, tabulate_metrics
from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.comparison.arms import CONTRAST_COLUMNS, compare
from med_lora.pipelines.evaluation.comparison.contrasts import RETRIEVAL, TUNING
from med_lora.pipelines.people.agreement import CHOICES, PREFERENCE

PREFIX = "people_"
COLUMNS = ["id", "group", "arm", "metric", "score"]


def score_ratings(ratings: pd.DataFrame, rating_preferences: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """One score an answer and metric: the mean of its raters.

    ``people_<axis>`` is from 1 to 5. ``people_preference`` of an arm is the share of the raters of an item who prefer
    it, a tie counting half, as the judge's.

    Args:
        ratings: columns id, group, arm, rater, axis, score.
        rating_preferences: columns id, group, rater, reference, arm, choice ("reference", "arm" or "tie").

    Returns:
        scores: columns id, group, arm, metric, score, sorted by id, arm and metric; what nobody rated has no row.
        metrics: one row a metric, axes by name and the preference last, whose signature counts the raters. Both are
            empty where nothing was rated.
    """
    axes = ratings.assign(metric=PREFIX + ratings["axis"].astype("str"))
    wins = rating_preferences.assign(
        metric=f"{PREFIX}{PREFERENCE}", score=rating_preferences["choice"].map(CHOICES).astype("float64")
    )
    losses = wins.assign(arm=wins["reference"], score=1 - wins["score"])
    rated = [table[[*COLUMNS, "rater"]] for table in (axes, wins, losses) if len(table)]
    if not rated:
        return _no_scores(), tabulate_metrics([])
    given = pd.concat(rated).dropna(subset="score")
    scores = given.groupby(["id", "group", "arm", "metric"], sort=True)["score"].mean().reset_index()
    names = sorted(set(given["metric"]), key=lambda name: (name == f"{PREFIX}{PREFERENCE}", name))
    metrics = [_describe(name, given[given["metric"] == name]) for name in names]
    return scores.sort_values(["id", "arm", "metric"], ignore_index=True)[COLUMNS], tabulate_metrics(metrics)


def _no_scores() -> pd.DataFrame:
    types = {"id": "str", "group": "int64", "arm": "str", "metric": "str", "score": "float64"}
    return pd.DataFrame(columns=COLUMNS).astype(types)


def _describe(name: str, given: pd.DataFrame) -> Metric:
    counts = given.groupby(["id", "arm"])["rater"].nunique()
    each = f"{counts.min()}" if counts.min() == counts.max() else f"{counts.min()} to {counts.max()}"
    scale = "share that prefers the arm, ties half" if name == f"{PREFIX}{PREFERENCE}" else "1 to 5"
    raters = given["rater"].nunique()
    signature = f"{raters} blind rater{'s' if raters > 1 else ''}; {scale}; mean of {each} an answer"
    return Metric(name, "people", "higher", True, signature)


def compare_ratings(
    rating_scores: pd.DataFrame, rating_metrics: pd.DataFrame, evaluation: EvaluationParams
) -> pd.DataFrame:
    """Base against tuned, and the arms with passages where they were rated, by every metric of the raters.

    Intervals, tests and Holm's correction are those of the judge's scores; raters enter by their mean, so that an item
    counts once, however many rated it.

    Returns:
        The columns of :func:`~med_lora.pipelines.evaluation.comparison.arms.compare`; no row where nothing was rated.
    """
    if rating_scores.empty:
        return pd.DataFrame(columns=CONTRAST_COLUMNS)
    rated = set(rating_scores["arm"])
    contrasts = [TUNING, *(contrast for contrast in RETRIEVAL if set(contrast) <= rated)]
    return compare(rating_scores, rating_metrics, contrasts, evaluation)
