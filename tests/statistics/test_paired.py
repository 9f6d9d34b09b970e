"""Paired tests against published examples and the reference implementations."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from med_lora.statistics.paired import holm, mann_whitney_p, rank_biserial, wilcoxon_p

BEFORE = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
AFTER = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]


def test_signed_rank_test_on_a_published_example() -> None:
    # Hamilton's depression scale before and after a tranquilliser (Hollander and Wolfe 1973, p. 29): one-sided p .0195
    differences = [new - old for new, old in zip(AFTER, BEFORE, strict=True)]
    assert wilcoxon_p(differences) == pytest.approx(2 * 0.01953125)
    assert wilcoxon_p([-value for value in differences]) == pytest.approx(2 * 0.01953125)
    assert wilcoxon_p([*differences, 0.0]) == pytest.approx(2 * 0.01953125)


@pytest.mark.filterwarnings("error")
def test_signed_rank_test_at_its_limits() -> None:
    assert wilcoxon_p([0.0] * 10) == 1
    assert wilcoxon_p([1.0, 0.0, 0.0]) == 1
    assert math.isnan(wilcoxon_p([1.0]))
    assert math.isnan(wilcoxon_p([]))


def test_rank_biserial_correlation_of_a_published_example() -> None:
    # the depression scale above: R 4, wilcox.test(BEFORE, AFTER, paired = TRUE) gives V = 40 of 45, so 40/45 - 5/45
    differences = [old - new for old, new in zip(BEFORE, AFTER, strict=True)]
    assert rank_biserial(differences) == pytest.approx(35 / 45)
    assert rank_biserial([-value for value in differences]) == pytest.approx(-35 / 45)
    assert rank_biserial([*differences, 0.0, 0.0]) == pytest.approx(35 / 45)


def test_rank_biserial_correlation_by_hand() -> None:
    # Kerby 2014: favourable less unfavourable rank sums; ranks 1.5, 1.5, 3, 4 of 2, -2, 5, -7
    assert rank_biserial([2, -2, 5, -7]) == pytest.approx((1.5 + 3 - 1.5 - 4) / 10)
    assert rank_biserial([3.0]) == 1
    assert math.isnan(rank_biserial([0.0, 0.0]))
    assert math.isnan(rank_biserial([]))


def test_mann_whitney_test_of_a_published_example() -> None:
    # Hollander and Wolfe 1973, p. 69: permeability of the placenta; R documents the one-sided p as 0.1272
    term = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46]
    early = [1.15, 0.88, 0.90, 0.74, 1.21]
    assert mann_whitney_p(term, early) == pytest.approx(0.254412, abs=1e-6)
    assert mann_whitney_p(early, term) == pytest.approx(0.254412, abs=1e-6)


@pytest.mark.filterwarnings("error")
def test_mann_whitney_test_at_its_limits() -> None:
    assert mann_whitney_p([1.0, 1.0], [1.0, 1.0, 1.0]) == 1
    assert math.isnan(mann_whitney_p([], [1.0]))


def test_the_unpaired_test_misses_what_the_paired_one_finds() -> None:
    first = [float(number) for number in range(20)]
    second = [value + 0.5 for value in first]
    assert mann_whitney_p(first, second) > 0.5
    assert wilcoxon_p([new - old for old, new in zip(first, second, strict=True)]) < 0.001


@pytest.mark.parametrize(
    ("p_values", "expected"),
    [
        # R 4: p.adjust(c(0.01, 0.02, 0.03, 0.04, 0.05), "holm")
        ([0.01, 0.02, 0.03, 0.04, 0.05], [0.05, 0.08, 0.09, 0.09, 0.09]),
        # the four hypotheses of Wikipedia's article on the method: at .05 the first and the last are rejected
        ([0.01, 0.04, 0.03, 0.005], [0.03, 0.06, 0.06, 0.02]),
        ([0.6, 0.7], [1.0, 1.0]),
        ([math.nan, 0.03, math.nan, 0.02], [math.nan, 0.04, math.nan, 0.04]),
        ([], []),
    ],
)
def test_holm_on_published_examples(p_values: list[float], expected: list[float]) -> None:
    assert holm(p_values) == pytest.approx(expected, nan_ok=True)


@given(st.lists(st.floats(0, 1), min_size=1, max_size=12))
def test_holm_never_lowers_a_p_value_and_lies_within_bonferroni(p_values: list[float]) -> None:
    adjusted = holm(p_values)
    assert all(p <= new <= min(1, len(p_values) * p) for p, new in zip(p_values, adjusted, strict=True))
    assert min(adjusted) == pytest.approx(min(1, len(p_values) * min(p_values)))
