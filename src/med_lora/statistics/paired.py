"""Tests of paired differences, the size of the effect, and the correction for several tests."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt


def wilcoxon_p(differences: npt.ArrayLike) -> float:
    """Two-sided p-value of the signed-rank test (Wilcoxon 1945) that paired differences lie symmetrically about 0.

    The differences must be independent: one a group. Those that are 0 say nothing and are left out; if all are, p is
    1. NaN for fewer than two.
    """
    from scipy.stats import wilcoxon

    values = np.asarray(differences, dtype=np.float64)
    if len(values) < 2:
        return math.nan
    values = values[values != 0]
    return float(wilcoxon(values).pvalue) if len(values) else 1.0


def rank_biserial(differences: npt.ArrayLike) -> float:
    """Matched-pairs rank-biserial correlation (Kerby 2014, doi:10.2466/11.IT.3.1), the effect size of that test.

    The share of the rank sum with positive differences less the share with negative ones: -1 to 1. Differences of 0
    are left out; NaN if no other is there.
    """
    from scipy.stats import rankdata

    values = np.asarray(differences, dtype=np.float64)
    values = values[values != 0]
    if not len(values):
        return math.nan
    ranks = rankdata(np.abs(values))
    return float((ranks * np.sign(values)).sum() / ranks.sum())


def mann_whitney_p(first: npt.ArrayLike, second: npt.ArrayLike) -> float:
    """Two-sided p-value of the rank-sum test (Mann and Whitney 1947) for two independent samples.

    Published beside scores of the same items, for which it is the wrong test: it does not know which two belong
    together. NaN if a sample is empty; 1 if all values of both are equal.
    """
    from scipy.stats import mannwhitneyu

    left, right = np.asarray(first, dtype=np.float64), np.asarray(second, dtype=np.float64)
    if not len(left) or not len(right):
        return math.nan
    if len(np.unique(np.concatenate([left, right]))) == 1:
        return 1.0
    return float(mannwhitneyu(left, right, alternative="two-sided").pvalue)


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
