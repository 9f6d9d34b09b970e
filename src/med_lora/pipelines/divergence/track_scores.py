"""The scores of all tracks side by side: of every test pair, what base and tuned reach by each metric."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
import numpy.typing as npt
import pandas as pd

from med_lora.metrics.definition import Metric, read_metrics
from med_lora.pipelines.evaluation.comparison.contrasts import TUNING, even_out
from med_lora.statistics.resampling import Floats

Track = Literal["lexical", "judge", "people"]
TRACKS: dict[str, Track] = {
    "overlap": "lexical",
    "meaning": "lexical",
    "judge": "judge",
    "people": "people",
}  # by family
PREFERENCE = "preference"  # ends the names of metrics that say which arm is better, and not how good either is
Mask = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class TrackScores:
    """Scores of the same test pairs by the metrics of every track.

    Attributes:
        ids: of the pairs, in order.
        groups: [pairs].
        tracks: the track of every metric.
        values: of every metric [pairs, 2], base and tuned; NaN where missing, and higher is better.
    """

    ids: list[str]
    groups: npt.NDArray[np.int64]
    tracks: dict[str, Track]
    values: dict[str, Floats]

    def pairs(self) -> Iterator[tuple[str, str]]:
        """Every two metrics of different tracks."""
        for first, second in combinations(self.tracks, 2):
            if self.tracks[first] != self.tracks[second]:
                yield first, second

    def metrics_of(self, track: str) -> list[str]:
        return [metric for metric, of in self.tracks.items() if of == track]

    def scored(self, *metrics: str) -> Mask:
        """The test pairs where both arms have a score by all of ``metrics``, [pairs]."""
        both = [~np.isnan(self.values[metric]).any(axis=1) for metric in metrics]
        return np.asarray(np.all(both, axis=0), dtype=bool)

    def differences(self, metric: str) -> Floats:
        """tuned - base of every test pair, [pairs]; differences that are equal on paper tie."""
        return even_out(self.values[metric][:, 1] - self.values[metric][:, 0])


def gather_tracks(
    scores: pd.DataFrame,
    metrics: pd.DataFrame,
    judge_scores: pd.DataFrame | None = None,
    judge_metrics: pd.DataFrame | None = None,
    rating_scores: pd.DataFrame | None = None,
    rating_metrics: pd.DataFrame | None = None,
) -> TrackScores:
    """Tested metrics of answers against references or by meaning, the judge's, and people's, track by track.

    No test pair is left out, whatever its answers: the judge and people rated them as they are.
    """
    tables = ((scores, metrics), (judge_scores, judge_metrics), (rating_scores, rating_metrics))
    tracks: dict[str, Track] = {}
    values: dict[str, Floats] = {}
    ids = sorted(set(scores["id"]))
    for table, described in tables:
        if table is None or described is None:
            continue
        named = {metric.name: metric for metric in read_metrics(described) if _counts(metric)}
        kept = table[table["metric"].isin(list(named)) & table["arm"].isin(TUNING)]
        wide = kept.pivot(index="id", columns=["metric", "arm"], values="score").reindex(ids)
        for name, metric in named.items():
            if all((name, arm) in wide for arm in TUNING):
                sign = -1.0 if metric.better == "lower" else 1.0
                tracks[name] = TRACKS[metric.family]
                values[name] = sign * wide[[(name, arm) for arm in TUNING]].to_numpy(dtype=np.float64)
    groups = scores.groupby("id")["group"].first().loc[ids].to_numpy(dtype=np.int64)
    return TrackScores(ids, groups, tracks, values)


def _counts(metric: Metric) -> bool:
    return metric.family in TRACKS and metric.tested and not metric.missing
