"""Rank correlations against scipy, plain implementations and simulations."""

from __future__ import annotations

import math

import numpy as np
import pytest

from med_lora.statistics import correlation, resampling
from med_lora.statistics.correlation import (
    detectable_correlation,
    rank_correlations,
    spearman,
    unrelated_p,
)

SETTINGS = {"samples": 200, "seed": 5, "confidence": 0.95}


def draw_pairs(count: int, strength: float, seed: int, rounded: bool = False) -> np.ndarray:
    """Two normal measures with Spearman's correlation ``strength``; with ``rounded``, in few steps."""
    inner = 2 * math.sin(math.pi * strength / 6)
    generator = np.random.default_rng(seed)
    first, noise = generator.normal(size=(2, count))
    values = np.stack([first, inner * first + math.sqrt(1 - inner**2) * noise], axis=1)
    return values.round() if rounded else values


@pytest.mark.parametrize("rounded", [False, True])
@pytest.mark.parametrize("count", [20, 84])
def test_correlations_equal_those_of_scipy(count: int, rounded: bool) -> None:
    from scipy.stats import spearmanr  # 1.17.1

    first, second = draw_pairs(count, 0.5, 3, rounded).T
    assert spearman(first, second, **SETTINGS).value == pytest.approx(spearmanr(first, second)[0])


def test_large_samples_have_the_p_value_of_scipy() -> None:
    from scipy.stats import spearmanr

    first, second = draw_pairs(84, 0.25, 1).T
    assert spearman(first, second, **SETTINGS).p_value == pytest.approx(spearmanr(first, second)[1])
    assert spearman(first, first, **SETTINGS).p_value == 0


def test_small_samples_count_all_orders() -> None:
    from scipy.stats import permutation_test, spearmanr

    first, second = np.array([1.0, 2, 3, 3, 5, 6]), np.array([2.0, 1, 3, 4, 4, 6])
    exact = permutation_test(
        (second,), lambda drawn: spearmanr(first, drawn)[0], permutation_type="pairings", n_resamples=10_000
    )
    assert spearman(first, second, **SETTINGS).p_value == pytest.approx(exact.pvalue)
    assert spearman([1, 2, 3, 4], [1, 2, 3, 4], **SETTINGS).p_value == pytest.approx(2 / 24)


def test_samples_between_draw_orders_by_the_seed() -> None:
    from scipy.stats import spearmanr

    first, second = draw_pairs(20, 0.5, 2).T
    p = spearman(first, second, **SETTINGS).p_value
    assert p == pytest.approx(spearmanr(first, second)[1], abs=0.01)
    assert p == spearman(first, second, **SETTINGS).p_value
    assert spearman(first, first, **SETTINGS).p_value == 1 / 10_000  # never 0 of orders drawn


def test_draws_rank_resampled_groups_anew() -> None:
    from scipy.stats import spearmanr

    values = draw_pairs(18, 0.4, 6, rounded=True)
    groups = np.repeat(np.arange(9), 2)
    draws = rank_correlations(values, groups, 40, 8).draws[:, 0, 1]
    drawn = np.random.Generator(np.random.PCG64(8)).integers(0, 9, size=(40, 9))
    again = [np.vstack([values[groups == group] for group in chosen]) for chosen in drawn]
    assert draws == pytest.approx([spearmanr(*rows.T)[0] for rows in again], nan_ok=True)


@pytest.mark.parametrize("cells", [1, 20, 450])
def test_blocks_and_other_columns_do_not_change_the_draws(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    values, groups = np.random.default_rng(0).normal(size=(20, 3)), np.arange(20) // 2
    whole = rank_correlations(values, groups, 100, 7).draws
    monkeypatch.setattr(correlation, "CELLS", cells)
    monkeypatch.setattr(resampling, "CELLS", cells)
    assert (rank_correlations(values, groups, 100, 7).draws == whole).all()
    assert (rank_correlations(values[:, [2, 0]], groups, 100, 7).draws[:, 0, 1] == whole[:, 0, 2]).all()


def test_items_without_both_values_are_left_out() -> None:
    first, second = draw_pairs(12, 0.5, 1).T
    gapped = [*first, math.nan, 1.0], [*second, 1.0, math.nan]
    assert spearman(*gapped, **SETTINGS) == spearman(first, second, **SETTINGS)


@pytest.mark.filterwarnings("error")
def test_too_few_groups_or_no_variation_have_no_correlation() -> None:
    for first, second, groups in (
        ([], [], None),
        ([1, 2, 3], [1, 2, 3], None),
        ([1, 2, 3, 4, 5, 6], [1, 2, 3, 4, 6, 5], [0, 0, 1, 1, 2, 2]),
        ([1, 2, 3, 4, 5], [2, 2, 2, 2, 2], None),
    ):
        found = spearman(first, second, groups, **SETTINGS)
        assert all(math.isnan(number) for number in (found.value, found.low, found.high, found.p_value))
        assert (found.n, found.groups) == (len(first), len(set(groups or range(len(first)))))


def test_copies_of_an_item_add_no_evidence() -> None:
    first, second = draw_pairs(20, 0.4, 4).T
    once = spearman(first, second, **SETTINGS)
    often = spearman(np.tile(first, 5), np.tile(second, 5), np.tile(np.arange(20), 5), **SETTINGS)
    assert (often.value, often.low, often.high, often.p_value) == pytest.approx(
        (once.value, once.low, once.high, once.p_value)
    )
    assert (often.n, often.groups) == (100, 20)


@pytest.mark.parametrize("count", [6, 20, 84])
def test_what_all_groups_share_is_no_relation(count: int) -> None:
    # the second arm scores higher in both measures, which are otherwise unrelated
    generator = np.random.default_rng(2)
    p = []
    for seed in range(200):
        first, second = generator.normal(size=(2, count, 2)) + np.array([0.0, 3.0])
        p.append(unrelated_p(first, second, seed))
    assert np.mean(np.array(p) < 0.1) == pytest.approx(0.1, abs=0.06)


def test_groups_that_score_high_in_both_arms_of_both_measures_are_related() -> None:
    worth = np.random.default_rng(3).normal(size=20)
    arms = worth[:, None] + np.array([0.0, 0.5])
    assert unrelated_p(arms, arms, 1) == 1 / 10_000
    assert unrelated_p(arms, -arms, 1) == 1 / 10_000


@pytest.mark.parametrize("count", [20, 84])
def test_intervals_cover_the_true_correlation_as_often_as_they_say(count: int) -> None:
    covered = 0
    for seed in range(150):
        values = draw_pairs(count, 0.5, seed)
        matrix = rank_correlations(values, np.arange(count), 300, seed)
        low, high = matrix.pair(0, 1).coefficient_interval(0.9)
        covered += low <= 0.5 <= high
    assert 0.82 < covered / 150 < 0.97


def test_detectable_correlations() -> None:
    # (arctanh r) sqrt(n - 3) = 1.959964 + 0.841621 sqrt(1 + r^2 / 2), solved by bisection apart from this code
    expected = {10: 0.8029, 20: 0.6026, 84: 0.3035, 500: 0.1252}
    for count, found in expected.items():
        assert detectable_correlation(count, 0.8, 0.05) == pytest.approx(found, abs=0.00005)
    assert detectable_correlation(20, 0.9, 0.05) > detectable_correlation(20, 0.8, 0.05)
    assert detectable_correlation(20, 0.8, 0.005) > detectable_correlation(20, 0.8, 0.05)


def test_too_few_items_find_no_correlation_whatever_it_is() -> None:
    assert detectable_correlation(4, 0.8, 0.05) == math.inf  # equal orders have p 2 / 24
    assert spearman([1, 2, 3, 4, 5], [1, 2, 3, 4, 5], **SETTINGS).p_value < 0.05
    assert detectable_correlation(5, 0.8, 0.05) < 1


@pytest.mark.parametrize("count", [20, 84])
def test_simulated_tests_find_the_detectable_correlation_as_often_as_said(count: int) -> None:
    strength = detectable_correlation(count, 0.8, 0.05)
    found = 0
    for seed in range(400):
        first, second = draw_pairs(count, strength, seed).T
        found += unrelated_p(first[:, None], second[:, None], 1) < 0.05
    assert found / 400 == pytest.approx(0.8, abs=0.06)
