"""Intervals for paired scores of pairs that come in groups."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd

Column = tuple[str, str]  # arm, quantity
Floats = npt.NDArray[np.float64]
CELLS = 1 << 21  # resampled groups held at once: 16 MiB an array
ROUNDING = 1e-9  # sums taken in another order differ by less; smaller differences are none


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

    def coefficient_interval(self, confidence: float) -> tuple[float, float]:
        """Percentile interval of a coefficient between -1 and 1, such as a correlation or an agreement.

        A resample in which the coefficient does not exist (nothing varies in it) could have shown any: it counts as -1
        for the lower and as 1 for the upper bound, so that an interval is wide where ratings hardly vary. NaN where the
        coefficient of the items is.
        """
        if math.isnan(self.value):
            return math.nan, math.nan
        missing = np.isnan(self.draws)
        low = np.quantile(np.where(missing, -1.0, self.draws), (1 - confidence) / 2)
        high = np.quantile(np.where(missing, 1.0, self.draws), (1 + confidence) / 2)
        return float(low), float(high)


@dataclass(frozen=True)
class Resamples:
    """Column totals over the items and over every resample of their groups, the same resamples for every column.

    Attributes:
        n: items.
        groups: groups that the items come in.
        columns: names of the columns of ``totals`` and ``draws``.
        totals: [columns].
        draws: [resamples, columns].
        sizes: items in every resample, [resamples].
    """

    n: int
    groups: int
    columns: list[Column]
    totals: Floats
    draws: Floats
    sizes: Floats

    def mean(self, column: Column) -> Estimate:
        """Mean over items."""
        place = self.columns.index(column)
        return Estimate(float(self.totals[place]) / (self.n or math.nan), self.draws[:, place] / self.sizes)

    def ratio(self, numerator: Column, denominator: Column) -> Estimate:
        """Ratio of two totals: a mean weighted by the denominator."""
        above, below = self.columns.index(numerator), self.columns.index(denominator)
        return Estimate(float(self.totals[above] / self.totals[below]), self.draws[:, above] / self.draws[:, below])


def resample(items: pd.DataFrame, groups: pd.Series, samples: int, seed: int) -> Resamples:
    """Paired cluster bootstrap (Field and Welsh 2007): draw groups with replacement, all their rows with them.

    Rows count by their index and groups by their rows, not by order or label; with one group a row this is the plain
    bootstrap over rows. Fewer than two groups have no spread: their totals, draws and sizes are NaN.

    Args:
        items: one row an item, a column each (arm, quantity).
        groups: the group of each item, with at least the index of ``items``.
        samples: resamples, each of as many groups as there are.
        seed: of the draws.
    """
    items = items.sort_index()
    columns: list[Column] = [(str(name[0]), str(name[1])) for name in items.columns]
    values, members = items.to_numpy(dtype=np.float64), index_groups(groups.loc[items.index])
    count, width = len(set(members)), values.shape[1]
    if count < 2:
        nothing = np.full((samples, width), math.nan)
        return Resamples(len(items), count, columns, np.full(width, math.nan), nothing, np.full(samples, math.nan))
    sums = np.zeros((count, width))
    np.add.at(sums, members, values)
    sums = _coarsen(sums)
    sizes = np.bincount(members, minlength=count).astype(np.float64)
    draws, drawn_sizes = np.empty((samples, width)), np.empty(samples)
    for start, drawn in draw_groups(count, samples, seed):
        draws[start : start + len(drawn)] = drawn @ sums
        drawn_sizes[start : start + len(drawn)] = drawn @ sizes
    return Resamples(len(items), count, columns, values.sum(axis=0), draws, drawn_sizes)


def index_groups(groups: pd.Series) -> npt.NDArray[np.int64]:
    """Groups numbered by their first row."""
    return np.asarray(pd.factorize(groups.to_numpy())[0], dtype=np.int64)


def _coarsen(sums: Floats) -> Floats:
    """Columns rounded to multiples of a power of two with which a total of as many rows is exact in any order.

    BLAS adds in an order that depends on its threads and on the other columns; the last bits of a draw must not. Rounds
    by at most 2^-52 of the largest possible total.
    """
    largest = len(sums) * np.abs(sums).max(axis=0)
    steps = np.ldexp(1.0, np.frexp(largest)[1] - 52)
    coarse: Floats = np.round(sums / steps) * steps
    return coarse


def draw_groups(count: int, samples: int, seed: int) -> Iterator[tuple[int, Floats]]:
    """How often each of ``count`` groups is drawn, [block of resamples, groups], with the block's first resample."""
    generator = np.random.Generator(np.random.PCG64(seed))
    block = max(1, CELLS // count)
    for start in range(0, samples, block):
        size = min(block, samples - start)
        drawn = generator.integers(0, count, size=(size, count))
        drawn += np.arange(size)[:, None] * count
        yield start, np.bincount(drawn.ravel(), minlength=size * count).reshape(size, count).astype(np.float64)
