"""How far the judge agrees with people, and the test pairs on which the tracks are furthest apart."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
import pandas as pd

from med_lora.arms import ARMS
from med_lora.parameters import EvaluationParams
from med_lora.pipelines.divergence.track_scores import PREFERENCE, TrackScores
from med_lora.pipelines.evaluation.comparison.contrasts import TUNING
from med_lora.statistics.agreement import kappa_sums, resample_agreement
from med_lora.statistics.correlation import FEWEST, spearman
from med_lora.statistics.resampling import Floats

AGREEMENT_COLUMNS = [
    *("axis", "n", "quadratic_kappa", "low", "high", "spearman", "spearman_low", "spearman_high", "note"),
]
DISAGREEMENT_COLUMNS = ["id", "first", "second", "first_rank", "second_rank", "gap"]
JUDGE, PEOPLE = "judge_", "people_"


def judge_people_agreement(
    judge_scores: pd.DataFrame, rating_scores: pd.DataFrame, evaluation: EvaluationParams
) -> pd.DataFrame:
    """Agreement of the judge's scores with the mean of the raters on every axis that both have.

    The units are the models' answers that both rated, of all arms together and without controls, which anybody tells
    apart, and for the preference the test pairs. Scores are means over repeats or raters and are not rounded: the
    quadratic kappa goes by distances on the scale, and is 1 only for equal scores, while Spearman's correlation goes by
    the order alone. Intervals are of a cluster bootstrap over groups.

    Returns:
        axis (by name, then "preference"), n (units), quadratic_kappa with low and high, spearman with its bounds, note.
        No row where nothing was rated by both.
    """
    shared = _shared_axes(judge_scores, rating_scores)
    key = ["id", "group", "arm"]
    rows: list[dict[str, Any]] = []
    for axis in shared:
        judged, rated = (
            table[(table["metric"] == prefix + axis) & table["arm"].isin(ARMS)].set_index(key)["score"].dropna()
            for table, prefix in ((judge_scores, JUDGE), (rating_scores, PEOPLE))
        )
        both = pd.concat({"judge": judged, "people": rated}, axis=1, join="inner").sort_index()
        if axis == PREFERENCE:  # of the other arm it is the same, turned over
            both = both[both.index.get_level_values("arm") == TUNING.arm]
        rows.append({"axis": axis} | _state_agreement(both, evaluation))
    return pd.DataFrame(rows, columns=AGREEMENT_COLUMNS)


def _shared_axes(judge_scores: pd.DataFrame, rating_scores: pd.DataFrame) -> list[str]:
    axes = [
        {str(name).removeprefix(prefix) for name in table["metric"].unique()}
        for table, prefix in ((judge_scores, JUDGE), (rating_scores, PEOPLE))
    ]
    return sorted(axes[0] & axes[1], key=lambda axis: (axis == PREFERENCE, axis))


def _state_agreement(both: pd.DataFrame, evaluation: EvaluationParams) -> dict[str, Any]:
    judged, rated = (both[name].to_numpy(dtype=np.float64) for name in ("judge", "people"))
    groups = both.index.get_level_values("group").to_numpy()
    samples, seed, confidence = evaluation.bootstrap_samples, evaluation.seed, evaluation.confidence
    sums = kappa_sums(judged, rated, "quadratic")
    low, high = resample_agreement(sums, groups, samples, seed).coefficient_interval(confidence)
    order = spearman(judged, rated, groups, samples=samples, seed=seed, confidence=confidence)
    remarks = []
    if order.groups < FEWEST:
        remarks.append(f"{order.groups} groups, and a rank correlation needs {FEWEST}")
    still = [name for name, values in (("the judge", judged), ("people", rated)) if len(values) and np.ptp(values) == 0]
    if still:
        remarks.append(f"the same score throughout by {' and '.join(still)}")
    return {
        "n": len(both),
        **{"quadratic_kappa": sums.value, "low": low, "high": high},
        **{"spearman": order.value, "spearman_low": order.low, "spearman_high": order.high},
        "note": "; ".join(remarks),
    }


def find_disagreements(track_scores: TrackScores, judge_summary: dict[str, Any] | None = None) -> pd.DataFrame:
    """Test pairs by how far apart two tracks place them in the order of where tuning helped.

    A track's order is that of the mean of its metrics' ranks of tuned - base, among the test pairs that both tracks
    scored by at least one metric; a metric's rank is taken as a share of the pairs that it scores. Rank 1 is where
    tuning helped most, ties have their mean rank. The judge's metrics whose floor it fails (``nothing_said`` of
    ``judge_summary``) are left out: their order is none of good and bad answers. Those whose floors are unclear count,
    since the list claims nothing: it is there to be read.

    Returns:
        id, first, second (tracks), first_rank, second_rank, gap (between them); the largest gap first, then by tracks
        and id. Which pairs come first is mostly chance unless the tracks' correlation is shown.
    """
    from scipy.stats import rankdata

    failed = judge_summary["nothing_said"] if judge_summary else []
    ranked = [name for name in track_scores.tracks if name not in failed]
    parts = [pd.DataFrame(columns=DISAGREEMENT_COLUMNS)]
    for first, second in combinations(dict.fromkeys(track_scores.tracks[name] for name in ranked), 2):
        of_each = [
            np.stack([track_scores.differences(name) for name in ranked if track_scores.tracks[name] == track])
            for track in (first, second)
        ]
        both = np.all([~np.isnan(values).all(axis=0) for values in of_each], axis=0)
        if not both.any():
            continue
        ranks = [rankdata(-_mean_shares(values[:, both])) for values in of_each]
        found = {"id": np.array(track_scores.ids, dtype=object)[both], "first": first, "second": second}
        found |= {"first_rank": ranks[0], "second_rank": ranks[1], "gap": np.abs(ranks[0] - ranks[1])}
        parts.append(pd.DataFrame(found))
    table = pd.concat(parts[1:] or parts, ignore_index=True)
    order = ["gap", "first", "second", "id"]
    return table.sort_values(order, ascending=[False, True, True, True], ignore_index=True)


def _mean_shares(differences: Floats) -> Floats:
    """The mean over metrics of the share of pairs at or below each, [metrics, pairs] to [pairs]; NaN is left out."""
    from scipy.stats import rankdata

    ranks = np.asarray(rankdata(differences, axis=1, nan_policy="omit"), dtype=np.float64)
    counts = (~np.isnan(differences)).sum(axis=1, keepdims=True)
    shares = (ranks - 0.5) / np.maximum(counts, 1)
    return np.asarray(np.nanmean(shares, axis=0).round(9), dtype=np.float64)
