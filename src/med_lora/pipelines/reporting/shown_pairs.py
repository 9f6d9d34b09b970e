"""Which test pairs figures and examples show: those that the comparison is over."""

from __future__ import annotations

from typing import NamedTuple

import pandas as pd

from med_lora.arms import BARE_ARMS
from med_lora.parameters import EvaluationParams

CROSS_ENTROPY = "cross_entropy"
FEWEST = 2  # groups that the comparison needs: below, all pairs are shown, those that the exclusions name included


class Shown(NamedTuple):
    """Scores of both arms, one row a pair, columns (arm, metric).

    Attributes:
        kept: the pairs that the comparison is over; all, where the exclusions leave too few.
        every: all pairs.
        too_few: whether they do.
    """

    kept: pd.DataFrame
    every: pd.DataFrame
    too_few: bool

    def of(self, metric: str) -> pd.DataFrame:
        """Columns base and tuned of the pairs that count and have a score of both arms; losses leave out no pair."""
        pairs = self.every if metric == CROSS_ENTROPY else self.kept
        columns = [(arm, metric) for arm in BARE_ARMS]
        if not set(columns) <= set(pairs.columns):
            return pd.DataFrame({arm: pd.Series(dtype="float64") for arm in BARE_ARMS})
        return pairs[columns].set_axis(list(BARE_ARMS), axis=1).dropna()


def gather_shown(scores: pd.DataFrame, evaluation: EvaluationParams) -> Shown:
    """The scores of both arms by pair, in order of id, and those of them that ``evaluation.exclude`` keeps.

    Args:
        scores: columns id, group, arm, metric, score; those of other arms are left out.
        evaluation: its ``exclude``.
    """
    rows = scores[scores["arm"].isin(BARE_ARMS)]
    every = rows.pivot(index="id", columns=["arm", "metric"], values="score").sort_index()
    flags = [(arm, flag) for arm in BARE_ARMS for flag in evaluation.exclude if (arm, flag) in every.columns]
    kept = every[(every[flags] == 0).all(axis=1)] if flags else every
    too_few = rows.loc[rows["id"].isin(kept.index), "group"].nunique() < FEWEST <= rows["group"].nunique()
    return Shown(every if too_few else kept, every, too_few)
