"""Power against simulated tests, textbook values and its own inverse."""

from __future__ import annotations

import math

import numpy as np
import pytest

from med_lora.statistics.power import detectable, fewest_groups, pairs_needed, power


@pytest.mark.parametrize(
    ("groups", "chance", "alpha"), [(12, 0.8, 0.05), (20, 0.8, 0.05), (84, 0.9, 0.05), (20, 0.8, 0.005)]
)
def test_simulated_signed_rank_tests_find_the_detectable_difference_as_often_as_said(
    groups: int, chance: float, alpha: float
) -> None:
    from scipy.stats import wilcoxon

    difference = detectable(groups, chance, alpha)
    draws = np.random.default_rng(1).normal(difference, 1, size=(3000, groups))
    assert (wilcoxon(draws, axis=1).pvalue < alpha).mean() == pytest.approx(chance, abs=0.035)


def test_power_is_that_of_the_t_test_at_fewer_groups() -> None:
    # R 4: power.t.test(n = 20, delta = 0.5, sd = 1, type = "paired", strict = TRUE) gives 0.5645044
    assert power(0.5, 20 / (3 / math.pi), 0.05) == pytest.approx(0.5645044, abs=1e-6)
    assert power(-0.5, 20 / (3 / math.pi), 0.05) == pytest.approx(0.5645044, abs=1e-6)


def test_without_a_difference_the_power_is_the_level() -> None:
    for groups in (6, 30, 10**7):
        assert power(0, groups, 0.05) == pytest.approx(0.05, abs=1e-9)


def test_study_c_could_find_only_large_differences() -> None:
    assert detectable(20, 0.8, 0.05) == pytest.approx(0.678, abs=0.001)
    assert detectable(84, 0.8, 0.05) == pytest.approx(0.317, abs=0.001)
    assert detectable(20, 0.9, 0.05) == pytest.approx(0.784, abs=0.001)
    assert detectable(84, 0.9, 0.05) == pytest.approx(0.366, abs=0.001)


@pytest.mark.parametrize(("alpha", "fewest"), [(0.05, 6), (0.01, 8), (0.005, 9), (0.25, 4), (0.5, 3)])
def test_too_few_groups_find_nothing(alpha: float, fewest: int) -> None:
    from scipy.stats import wilcoxon

    assert fewest_groups(alpha) == fewest
    assert wilcoxon(np.arange(1.0, fewest + 1)).pvalue < alpha
    assert not wilcoxon(np.arange(1.0, fewest)).pvalue < alpha
    assert detectable(fewest - 1, 0.8, alpha) == math.inf
    assert power(100, fewest - 1, alpha) == 0
    assert pairs_needed(100, 0.8, alpha) == fewest


@pytest.mark.parametrize("difference", [0.02, 0.1, 0.35, -0.35, 0.8, 2.0])
def test_the_pairs_needed_are_the_fewest_that_suffice(difference: float) -> None:
    needed = int(pairs_needed(difference, 0.8, 0.05))
    assert power(difference, needed, 0.05) >= 0.8
    assert needed == fewest_groups(0.05) or power(difference, needed - 1, 0.05) < 0.8
    assert detectable(needed, 0.8, 0.05) <= abs(difference)


def test_no_difference_needs_no_number_of_pairs() -> None:
    assert math.isnan(pairs_needed(0, 0.8, 0.05))
    assert math.isnan(pairs_needed(math.nan, 0.8, 0.05))
    assert pairs_needed(1e-9, 0.8, 0.05) == math.inf


def test_more_groups_show_smaller_differences() -> None:
    found = [detectable(groups, 0.8, 0.05) for groups in (6, 7, 10, 100, 10_000, 10**5, 10**6, 10**8)]
    assert found == sorted(found, reverse=True)
    assert found[-1] == pytest.approx((1.959964 + 0.841621) / math.sqrt(10**8 * 3 / math.pi), rel=1e-4)
