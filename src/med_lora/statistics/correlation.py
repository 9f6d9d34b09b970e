"""Rank correlations of items that come in groups: intervals, tests, and what a number of groups could find."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from itertools import permutations

import numpy as np
import numpy.typing as npt
import pandas as pd

from med_lora.statistics.resampling import CELLS, ROUNDING, Estimate, Floats, draw_groups, index_groups

FEWEST = 4  # groups
EXACT = 7  # groups whose orders are all counted: 5,040
APPROXIMATE = 50  # groups from which the distribution over orders is taken as that of the t approximation
ORDERS = 9_999  # drawn at random between the two


@dataclass(frozen=True)
class Correlation:
    """A rank correlation of two measures of the same items.

    Attributes:
        value: -1 to 1; NaN for fewer than four groups, or where a measure does not vary.
        low: lower bound of its interval.
        high: upper bound.
        p_value: two-sided, of the hypothesis that the measures are unrelated.
        n: items.
        groups: that these come in.
    """

    value: float
    low: float
    high: float
    p_value: float
    n: int
    groups: int


def spearman(
    first: npt.ArrayLike,
    second: npt.ArrayLike,
    groups: npt.ArrayLike | None = None,
    *,
    samples: int,
    seed: int,
    confidence: float,
) -> Correlation:
    """Spearman's rank correlation (ties get their mean rank), its interval and its test.

    The interval is that of a cluster bootstrap over groups (:func:`rank_correlations`), the p-value that of the groups'
    means (:func:`unrelated_p`).

    Args:
        first: [items]; items where either is NaN are left out.
        second: [items].
        groups: [items], of which items are related; None where every item stands alone.
        samples: resamples.
        seed: of the resamples and of random orders.
        confidence: level of the interval.
    """
    values, members = _complete(first, second, groups)
    matrix = rank_correlations(values, members, samples, seed)
    low, high = matrix.pair(0, 1).coefficient_interval(confidence)
    means = [average_groups(column, members)[:, None] for column in values.T]
    p = unrelated_p(means[0], means[1], seed)
    return Correlation(float(matrix.value[0, 1]), low, high, p, len(values), len(set(members)))


@dataclass(frozen=True)
class RankCorrelations:
    """Spearman's correlations of every pair of columns, and those of every resample of the groups.

    Attributes:
        value: [columns, columns].
        draws: [resamples, columns, columns].
    """

    value: Floats
    draws: Floats

    def pair(self, first: int, second: int) -> Estimate:
        """The correlation of two columns."""
        return Estimate(float(self.value[first, second]), self.draws[:, first, second])


def rank_correlations(values: Floats, groups: npt.ArrayLike, samples: int, seed: int) -> RankCorrelations:
    """Spearman's correlations of all columns at once, with the same resamples for each.

    A resample draws as many groups as there are with replacement (Field and Welsh 2007) and ranks their items anew. NaN
    for fewer than four groups, and where a column does not vary.

    Args:
        values: [items, columns], without NaN.
        groups: [items].
        samples: resamples.
        seed: of the draws.
    """
    members, width = index_groups(pd.Series(np.asarray(groups))), values.shape[1]
    count = len(set(members))
    draws = np.full((samples, width, width), math.nan)
    if count < FEWEST:
        return RankCorrelations(np.full((width, width), math.nan), draws)
    columns = [_Ties.of(column) for column in values.T]
    step = max(1, CELLS // (len(values) * max(width, 1)))
    for start, drawn in draw_groups(count, samples, seed):
        for place in range(0, len(drawn), step):
            part = drawn[place : place + step]
            draws[start + place : start + place + len(part)] = _correlate(columns, part[:, members])
    return RankCorrelations(_correlate(columns, np.ones((1, len(values))))[0], draws)


@dataclass(frozen=True)
class _Ties:
    """A column as places of its distinct values: of each item, the items in order, and where each value starts."""

    places: npt.NDArray[np.int64]
    order: npt.NDArray[np.int64]
    starts: npt.NDArray[np.int64]

    @classmethod
    def of(cls, column: Floats) -> _Ties:
        places = np.unique(column, return_inverse=True)[1]
        order = np.argsort(places, kind="stable")
        return cls(places, order, np.searchsorted(places[order], np.arange(places.max() + 1)))

    def rank(self, times: Floats) -> Floats:
        """Mean ranks about their mean, [samples, items], where items occur ``times`` [samples, items]."""
        sizes = np.add.reduceat(times[:, self.order], self.starts, axis=1)
        middles = np.cumsum(sizes, axis=1) - sizes / 2 - times.sum(axis=1, keepdims=True) / 2
        return np.asarray(middles[:, self.places], dtype=np.float64)


def _correlate(columns: list[_Ties], times: Floats) -> Floats:
    """Correlations [samples, columns, columns]. Sums of halves of whole numbers: exact in any order."""
    ranks = np.stack([column.rank(times) for column in columns], axis=1)
    products = (ranks * times[:, None, :]) @ ranks.transpose(0, 2, 1)
    spreads = np.diagonal(products, axis1=1, axis2=2)
    return _ratio(products, spreads[:, :, None], spreads[:, None, :])


def _ratio(product: Floats, first: Floats, second: Floats) -> Floats:
    """product / sqrt(first second), NaN where that is 0."""
    scale = np.sqrt(first) * np.sqrt(second)
    usable = scale > 0
    ratio = np.where(usable, product / np.where(usable, scale, 1.0), math.nan)
    return np.asarray(np.clip(ratio, -1.0, 1.0), dtype=np.float64)


def _complete(
    first: npt.ArrayLike, second: npt.ArrayLike, groups: npt.ArrayLike | None
) -> tuple[Floats, npt.NDArray[np.int64]]:
    """Items with both values, [items, 2], and the numbers of their groups."""
    values = np.stack([np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)], axis=1)
    kept = ~np.isnan(values).any(axis=1)
    labels = np.arange(len(values)) if groups is None else np.asarray(groups)
    return values[kept], index_groups(pd.Series(labels[kept]))


def average_groups(values: npt.ArrayLike, members: npt.NDArray[np.int64]) -> Floats:
    """The mean of every group, [groups], rounded so that means that are equal on paper tie."""
    sums = np.bincount(members, np.asarray(values, dtype=np.float64))
    return np.asarray((sums / np.bincount(members)).round(-round(math.log10(ROUNDING))), dtype=np.float64)


def unrelated_p(first: Floats, second: Floats, seed: int) -> float:
    """Two-sided p-value of the hypothesis that it does not matter which group's ``second`` goes with which ``first``.

    With one value a group this is the permutation test of Spearman's correlation. With more (say one of every arm) a
    group's values stay together, so that what all groups share, such as an arm that scores higher in both, does not
    count as a relation: what is compared is how far the correlation of the pooled ranks lies from its mean over all
    orders of the groups. All orders are counted up to 7 groups and 9,999 random ones below 50; from there on it is
    scipy's t approximation, or with more values a group the normal one with the variance of Hoeffding (1951,
    doi:10.1214/aoms/1177729545).

    Args:
        first: [groups, values].
        second: [groups, values].
        seed: of the random orders.

    Returns:
        NaN for fewer than four groups, and where the groups do not differ in one of the two.
    """
    from scipy.stats import norm, rankdata, t

    count = len(first)
    if count < FEWEST:
        return math.nan
    left, right = (rankdata(values).reshape(values.shape) for values in (first, second))
    left, right = left - left.mean(axis=0), right - right.mean(axis=0)
    spread = float(((left.T @ left) * (right.T @ right)).sum())  # the variance over all orders, times groups - 1
    if spread <= ROUNDING:
        return math.nan
    found = float((left * right).sum())
    if count < APPROXIMATE:
        others = right[_orders(count, seed)].reshape(-1, left.size) @ left.ravel()
        extreme = int((np.abs(others) >= abs(found) - ROUNDING).sum())
        return extreme / len(others) if count <= EXACT else (extreme + 1) / (len(others) + 1)
    if left.shape[1] > 1:
        return float(2 * norm.sf(abs(found) * math.sqrt((count - 1) / spread)))
    correlation = min(1.0, abs(found) / math.sqrt(spread))
    if correlation == 1:
        return 0.0
    return float(2 * t.sf(correlation * math.sqrt((count - 2) / (1 - correlation**2)), count - 2))


@lru_cache(maxsize=8)  # the pairs of metrics of a table share their number of groups
def _orders(count: int, seed: int) -> npt.NDArray[np.int64]:
    """Orders of ``count`` groups, [orders, groups]: all of them, or as many random ones."""
    if count <= EXACT:
        return np.array(list(permutations(range(count))), dtype=np.int64)
    generator = np.random.Generator(np.random.PCG64(seed))
    return generator.permuted(np.tile(np.arange(count), (ORDERS, 1)), axis=1)


@lru_cache(maxsize=1024)
def detectable_correlation(n: int, power: float, alpha: float) -> float:
    """The smallest rank correlation that ``n`` independent items find with the chance ``power`` at level ``alpha``.

    By Fisher's z, whose variance is 1 / (n - 3) without a correlation and (1 + r^2 / 2) / (n - 3) with Spearman's r
    (Bonett and Wright 2000, doi:10.1007/BF02294183). Infinite where even equal orders do not reach ``alpha``.
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    if n < FEWEST or 2 / math.factorial(min(n, 20)) >= alpha:
        return math.inf
    limit = norm.isf(alpha / 2)

    def shortfall(correlation: float) -> float:
        centre = math.atanh(correlation) * math.sqrt(n - 3)
        return float(norm.sf((limit - centre) / math.sqrt(1 + correlation**2 / 2))) - power

    return float(brentq(shortfall, 0.0, 1 - 1e-12)) if shortfall(0.0) < 0 else 0.0
