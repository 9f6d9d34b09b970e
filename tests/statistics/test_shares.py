"""Intervals of shares and ratios against scipy."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from med_lora.statistics.shares import ratio_interval, wilson


@pytest.mark.parametrize(("right", "n"), [(0, 20), (3, 20), (20, 20)])
def test_wilson_interval_is_that_of_scipy(right: int, n: int) -> None:
    from scipy.stats import binomtest

    expected = binomtest(right, n).proportion_ci(0.95, method="wilson")
    assert wilson(right / n, n, 0.95) == pytest.approx((expected.low, expected.high), abs=1e-12)


def test_a_share_of_nothing_has_no_interval() -> None:
    assert all(math.isnan(bound) for bound in wilson(math.nan, 0, 0.95))


def test_ratio_of_equal_groups_has_the_interval_of_a_t_test_over_groups() -> None:
    from scipy.stats import ttest_1samp

    above = pd.Series([3.0, 1.0, 0.0, 2.0, 4.0, 1.0, 2.0, 2.0])
    groups = pd.Series(np.repeat(range(4), 2))
    value, bounds = ratio_interval(above, pd.Series(4.0, index=above.index), groups, 0.9)
    expected = ttest_1samp(above.groupby(groups).sum() / 8, 0).confidence_interval(0.9)
    assert value == pytest.approx(15 / 32)
    assert bounds == pytest.approx((expected.low, expected.high))


def test_one_group_has_a_ratio_and_no_interval() -> None:
    value, bounds = ratio_interval(pd.Series([1.0, 2.0]), pd.Series([2.0, 4.0]), pd.Series([7, 7]), 0.95)
    assert value == 0.5
    assert all(math.isnan(bound) for bound in bounds)
