"""Intervals and tests for paired scores."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Column = tuple[str, str]  # arm, quantity
Floats = npt.NDArray[np.float64]
CELLS = 1 << 21  # resampled items held at once: 16 MiB an array


@dataclass(frozen=True)
class Estimate:
    """A statistic on the items, and on every resample of them.

    Differences of two estimates from the same ``Resamples`` are paired.
    """

    value: float
    draws: Floats

    def __sub__(self, other: Estimate) -> Estimate:
        return Estimate(self.value - other.value, self.draws - other.draws)

    def interval(self, confidence: float) -> tuple[float, float]:
        """Percentile interval (Efron and Tibshirani 1993, section 13.3); NaN where the statistic is."""
        low, high = np.quantile(self.draws, [(1 - confidence) / 2, (1 + confidence) / 2])
        return float(low), float(high)


@dataclass(frozen=True)
class Resamples:
    """Column totals over the items and over every resample of the items, the same resamples for every column.

    Attributes:
        n: items.
        columns: names of the columns of ``totals`` and ``draws``.
        totals: [columns].
        draws: [resamples, columns].
    """

    n: int
    columns: list[Column]
    totals: Floats
    draws: Floats

    def mean(self, column: Column) -> Estimate:
        """Mean over items."""
        place = self.columns.index(column)
        n = self.n or math.nan
        return Estimate(float(self.totals[place]) / n, self.draws[:, place] / n)

    def ratio(self, numerator: Column, denominator: Column) -> Estimate:
        """Ratio of two totals: a mean weighted by the denominator."""
        above, below = self.columns.index(numerator), self.columns.index(denominator)
        return Estimate(float(self.totals[above] / self.totals[below]), self.draws[:, above] / self.draws[:, below])


def resample(items: pd.DataFrame, samples: int, seed: int) -> Resamples:
    """Paired bootstrap: draw whole rows of ``items`` with replacement, ``samples`` times.

    Rows count by their index, not their order. Fewer than two rows have no spread: their totals and draws are NaN.
    """
    values = items.sort_index().to_numpy(dtype=np.float64)
    n, width = values.shape
    columns: list[Column] = [(str(name[0]), str(name[1])) for name in items.columns]
    if n < 2:
        return Resamples(n, columns, np.full(width, math.nan), np.full((samples, width), math.nan))
    generator = np.random.Generator(np.random.PCG64(seed))
    draws = np.empty((samples, width))
    block = max(1, CELLS // n)
    for start in range(0, samples, block):
        size = min(block, samples - start)
        drawn = generator.integers(0, n, size=(size, n))
        drawn += np.arange(size)[:, None] * n
        counts = np.bincount(drawn.ravel(), minlength=size * n).reshape(size, n)
        draws[start : start + size] = counts.astype(np.float64) @ values
    return Resamples(n, columns, values.sum(axis=0), draws)


def wilcoxon_p(differences: Sequence[float] | pd.Series) -> float:
    """Two-sided p-value of the signed-rank test (Wilcoxon 1945) that paired differences lie symmetrically about 0.

    Pairs that do not differ say nothing and are left out; if none differs, p is 1. NaN for fewer than two pairs.
    """
    from scipy.stats import wilcoxon

    values = np.asarray(differences, dtype=np.float64)
    if len(values) < 2:
        return math.nan
    values = values[values != 0]
    return float(wilcoxon(values).pvalue) if len(values) else 1.0


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's (1979) adjusted p-values, which control the chance of any false alarm in the family.

    NaN stays NaN and does not count as a test.
    """
    adjusted = [math.nan] * len(p_values)
    tests = sorted((p, place) for place, p in enumerate(p_values) if not math.isnan(p))
    highest = 0.0
    for rank, (p, place) in enumerate(tests):
        highest = max(highest, min(1.0, (len(tests) - rank) * p))
        adjusted[place] = highest
    return adjusted
