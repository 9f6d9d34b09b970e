"""Scores of three tracks with a known relation between them."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
import pandas as pd

from med_lora.metrics.definition import Family, Metric, tabulate_metrics


class Track(NamedTuple):
    """Scores and metrics of a track."""

    scores: pd.DataFrame
    metrics: pd.DataFrame


def make_track(family: Family, values: dict[str, np.ndarray], groups: np.ndarray | None = None) -> Track:
    """A track from [pairs, 2] values of base and tuned by metric; NaN has no row."""
    rows = [
        {"id": f"test:{pair:03d}", "group": pair if groups is None else int(groups[pair]), "arm": arm, "metric": name}
        | {"score": float(table[pair, place])}
        for name, table in values.items()
        for pair in range(len(table))
        for place, arm in enumerate(("base", "tuned"))
        if not math.isnan(table[pair, place])
    ]
    metrics = [Metric(name, family, "higher", True, "made up") for name in values]
    columns = ["id", "group", "arm", "metric", "score"]
    return Track(pd.DataFrame(rows, columns=columns), tabulate_metrics(metrics))


def draw_tracks(
    pairs: int, seed: int, *, shared: float = 0.0, lexical_gain: float = 0.0, judged_gain: float = 0.0
) -> tuple[Track, Track]:
    """ROUGE-L and BLEU, and two axes of a judge from 1 to 5.

    Args:
        pairs: of the test split.
        seed: of the draw.
        shared: weight from 0 to 1 of what both tracks have in common in every answer.
        lexical_gain: of tuning, in standard deviations.
        judged_gain: likewise.
    """
    generator = np.random.default_rng(seed)
    worth = generator.normal(size=(pairs, 2))

    def measure(gain: float) -> np.ndarray:
        own = generator.normal(size=(pairs, 2))
        return math.sqrt(shared) * worth + math.sqrt(1 - shared) * own + np.array([0.0, gain])

    texts = {name: 0.2 + 0.05 * measure(lexical_gain) for name in ("rougeL", "bleu")}
    axes = ("judge_accuracy", "judge_relevance")
    judged = {name: np.clip(np.round(3 + measure(judged_gain)), 1, 5) for name in axes}
    return make_track("overlap", texts), make_track("judge", judged)
