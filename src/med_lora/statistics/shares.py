"""Intervals of shares, and of ratios of sums over items that come in groups, at any level."""

from __future__ import annotations

import math

import pandas as pd

Interval = tuple[float, float]


def wilson(share: float, n: int, confidence: float) -> Interval:
    """Wilson's (1927, doi:10.1080/01621459.1927.10502953) interval of a share of ``n`` independent observations."""
    from scipy.stats import norm

    if n == 0:
        return math.nan, math.nan
    z = float(norm.isf((1 - confidence) / 2))
    centre = (share + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(share * (1 - share) / n + z * z / (4 * n * n))
    # rounding would leave the ends of the scale by 1e-18
    return 0.0 if share == 0 else centre - half, 1.0 if share == 1 else centre + half


def ratio_interval(above: pd.Series, below: pd.Series, groups: pd.Series, confidence: float) -> tuple[float, Interval]:
    """Ratio of two sums over items, with an interval from the spread of groups about it.

    Its variance is that of the groups' residuals (Liang and Zeger 1986, doi:10.1093/biomet/73.1.13) times
    groups / (groups - 1), its quantile Student's t with groups - 1 degrees of freedom. At levels far above 95 %,
    percentiles of a bootstrap of 20 items lie too close together.

    Args:
        above: one an item.
        below: one an item.
        groups: of the items, by the same index.
        confidence: level of the interval, which is NaN for fewer than two groups.
    """
    from scipy.stats import t

    total = float(below.sum())
    value = float(above.sum()) / total
    count = int(groups.nunique())
    if count < 2:
        return value, (math.nan, math.nan)
    residuals = (above - value * below).groupby(groups).sum()
    spread = math.sqrt(count / (count - 1) * float((residuals**2).sum())) / total
    half = float(t.isf((1 - confidence) / 2, count - 1)) * spread
    return value, (value - half, value + half)
