"""Whether the tracks order the test pairs alike."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.divergence.track_scores import PREFERENCE, Mask, TrackScores
from med_lora.statistics.correlation import (
    FEWEST,
    average_groups,
    detectable_correlation,
    rank_correlations,
    unrelated_p,
)
from med_lora.statistics.paired import holm
from med_lora.statistics.resampling import Floats

COLUMNS = [
    *("first", "second", "basis", "n", "groups", "spearman", "low", "high", "kendall", "p_value", "p_holm"),
    *("detectable", "note"),
]
Pair = tuple[str, str]


def correlate_tracks(track_scores: TrackScores, evaluation: EvaluationParams) -> pd.DataFrame:
    """Rank correlations of every two metrics of different tracks.

    By the basis "difference" the items are test pairs and the values tuned - base: do the metrics agree on where tuning
    helped? By "score" they are the answers of both arms: do they agree on which answers are good? Preferences have no
    score of a single answer. The test pairs are those where both metrics have a score of both arms. Intervals are of a
    cluster bootstrap over groups; p-values are of permutations of the groups, with an item's two answers kept together,
    so that an arm that scores higher in both tracks alone is no relation (``unrelated_p``). A relation is shown only
    where interval and ``p_holm`` agree.

    Returns:
        first, second (metrics), basis, n (test pairs or answers), groups, spearman with low and high, kendall (tau-b),
        p_value, p_holm (over the table), detectable (the smallest true correlation that so many groups find with the
        chance ``evaluation.power``, before Holm's correction; infinite where they find none), note.
    """
    rows: list[dict[str, Any]] = []
    for basis in ("difference", "score"):
        pairs = [pair for pair in track_scores.pairs() if basis == "difference" or not any(map(_is_preference, pair))]
        rows += _correlate(track_scores, pairs, basis, evaluation)
    table = pd.DataFrame(rows, columns=COLUMNS)
    table["p_holm"] = holm(list(table["p_value"]))
    return table


def _is_preference(metric: str) -> bool:
    return metric.endswith(f"_{PREFERENCE}")


def _correlate(
    tracks: TrackScores, pairs: list[Pair], basis: str, evaluation: EvaluationParams
) -> list[dict[str, Any]]:
    """One row a pair of metrics, in their order; those on the same test pairs share their resamples."""
    parts: dict[bytes, list[Pair]] = {}
    for pair in pairs:
        parts.setdefault(tracks.scored(*pair).tobytes(), []).append(pair)
    found: dict[Pair, dict[str, Any]] = {}
    for key, chosen in parts.items():
        found |= _correlate_part(tracks, chosen, np.frombuffer(key, bool), basis, evaluation)
    return [{"first": pair[0], "second": pair[1], "basis": basis} | found[pair] for pair in pairs]


def _correlate_part(
    tracks: TrackScores, pairs: list[Pair], mask: Mask, basis: str, evaluation: EvaluationParams
) -> dict[Pair, dict[str, Any]]:
    """Pairs of metrics that score the same test pairs."""
    names = list(dict.fromkeys(name for pair in pairs for name in pair))
    slots = {name: _slots(tracks, name, basis)[mask] for name in names}
    groups = tracks.groups[mask]
    width = 1 if basis == "difference" else 2
    columns = {name: values.ravel() for name, values in slots.items()}
    stacked = np.stack(list(columns.values()), axis=1)
    matrix = rank_correlations(stacked, np.repeat(groups, width), evaluation.bootstrap_samples, evaluation.seed)
    members = np.asarray(pd.factorize(groups)[0], dtype=np.int64)
    means = {name: _group_means(values, members) for name, values in slots.items()}
    found: dict[Pair, dict[str, Any]] = {}
    for first, second in pairs:
        estimate = matrix.pair(names.index(first), names.index(second))
        low, high = estimate.coefficient_interval(evaluation.confidence)
        row = {"n": len(stacked), "groups": len(set(members)), "spearman": estimate.value, "low": low, "high": high}
        row["kendall"] = math.nan if math.isnan(estimate.value) else _kendall(columns[first], columns[second])
        row["p_value"] = unrelated_p(means[first], means[second], evaluation.seed)
        alpha = evaluation.significance_level
        row["detectable"] = detectable_correlation(int(row["groups"]), evaluation.power, alpha)
        still = [name for name in (first, second) if len(columns[name]) and np.ptp(columns[name]) == 0]
        found[first, second] = row | {"note": _remark(row, still, alpha)}
    return found


def _slots(tracks: TrackScores, metric: str, basis: str) -> Floats:
    """What is correlated of every test pair: the difference, [pairs, 1], or the scores of both arms, [pairs, 2]."""
    return tracks.differences(metric)[:, None] if basis == "difference" else tracks.values[metric]


def _group_means(values: Floats, members: npt.NDArray[np.int64]) -> Floats:
    return np.stack([average_groups(column, members) for column in values.T], axis=1)


def _kendall(first: Floats, second: Floats) -> float:
    from scipy.stats import kendalltau

    return float(kendalltau(first, second).statistic)


def _remark(row: dict[str, Any], still: list[str], alpha: float) -> str:
    """Why there is no correlation, or why none could be shown."""
    if row["groups"] < FEWEST:
        return f"{row['groups']} groups, and a rank correlation needs {FEWEST}"
    if still:
        return f"{' and '.join(still)} {'is' if len(still) == 1 else 'are'} the same on all of them"
    if math.isinf(row["detectable"]):
        return f"{row['groups']} groups cannot give p < {alpha:g} whatever the correlation"
    return ""
