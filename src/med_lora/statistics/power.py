"""What the signed-rank test can find: the smallest difference at a number of groups, and the groups that one needs.

All differences are in standard deviations of the paired differences (Cohen's d_z). The power is that of the paired
t-test, from the noncentral t distribution, at 3/pi times the groups: the signed-rank test's asymptotic relative
efficiency where differences are normal (Hodges and Lehmann 1956; the method of G*Power 3, Faul et al. 2007)::

    m = 3 n / pi,   power = P(|T| > t),   T noncentral t with m - 1 degrees of freedom and centre d sqrt(m),
    t the 1 - alpha / 2 quantile of the central t with as many degrees of freedom
"""

from __future__ import annotations

import math
from functools import lru_cache

EFFICIENCY = 3 / math.pi
MOST_GROUPS = 10**12  # beyond any corpus: a smaller difference needs "infinitely" many groups


def power(difference: float, groups: float, alpha: float) -> float:
    """Chance that the two-sided test at level ``alpha`` finds ``difference`` (standard deviations) in ``groups``.

    0 where even differences of one sign do not reach ``alpha``.
    """
    from scipy.stats import nct, norm, t

    if groups < fewest_groups(alpha):
        return 0.0
    effective = EFFICIENCY * groups
    centre, freedom = abs(difference) * math.sqrt(effective), effective - 1
    if freedom > 1e5 or centre > 37:  # scipy's noncentral t is slow or fails there, and the normal is as good
        limit = norm.isf(alpha / 2)
        return float(norm.sf(limit - centre) + norm.cdf(-limit - centre))
    limit = t.isf(alpha / 2, freedom)
    # the far tail is below 1e-9 from a centre of 4 on, where scipy gives NaN for some
    far = nct.cdf(-limit, freedom, centre) if centre < 4 else 0.0
    return float(nct.sf(limit, freedom, centre) + far)


def fewest_groups(alpha: float) -> int:
    """The smallest number of groups with which the two-sided test can fall below ``alpha``: 2 / 2^n < alpha."""
    return max(2, math.floor(1 - math.log2(alpha)) + 1)


@lru_cache(maxsize=1024)  # the metrics of a comparison share their number of groups
def detectable(groups: int, chance: float, alpha: float) -> float:
    """The smallest difference in standard deviations that ``groups`` find with ``chance`` at level ``alpha``.

    Infinite where no difference can be found.
    """
    from scipy.optimize import brentq

    if groups < fewest_groups(alpha):
        return math.inf
    if power(0.0, groups, alpha) >= chance:
        return 0.0
    high = 1.0
    while power(high, groups, alpha) < chance:
        high *= 2
    return float(brentq(lambda difference: power(difference, groups, alpha) - chance, 0.0, high, xtol=1e-9))


def pairs_needed(difference: float, chance: float, alpha: float) -> float:
    """The smallest number of groups (independent pairs) that find ``difference`` with ``chance`` at level ``alpha``.

    NaN for no difference; infinite beyond ``MOST_GROUPS``.
    """
    if math.isnan(difference) or difference == 0:
        return math.nan
    low, high = 1, fewest_groups(alpha)
    while power(difference, high, alpha) < chance:
        low, high = high, 2 * high
        if high > MOST_GROUPS:
            return math.inf
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(difference, middle, alpha) >= chance else (middle, high)
    return float(high)
