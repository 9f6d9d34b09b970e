"""Agreement against published examples, scikit-learn, and what must not count as agreement."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest

from med_lora.statistics.agreement import (
    Form,
    Level,
    Sums,
    Weights,
    alpha_sums,
    icc_sums,
    kappa_sums,
    resample_agreement,
)

GAP = math.nan
# Krippendorff (2011, section E; Hayes and Krippendorff 2007): four observers, twelve units
FOUR_OBSERVERS = np.array(
    [
        [1, 2, 3, 3, 2, 1, 4, 1, 2, GAP, GAP, GAP],
        [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, GAP, 3],
        [GAP, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, GAP],
        [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, GAP],
    ]
).T
# the worked example of Wikipedia's article on the coefficient: three coders, fifteen units
THREE_CODERS = np.array(
    [
        [GAP, GAP, GAP, GAP, GAP, 3, 4, 1, 2, 1, 1, 3, 3, GAP, 3],
        [1, GAP, 2, 1, 3, 3, 4, 3, GAP, GAP, GAP, GAP, GAP, GAP, GAP],
        [GAP, GAP, 2, 1, 3, 4, 4, GAP, 2, 1, 1, 3, 3, GAP, 4],
    ]
).T
# Shrout and Fleiss (1979), table 2: six targets, four judges
TARGETS = np.array([[9, 2, 5, 8], [6, 1, 3, 2], [8, 4, 6, 8], [7, 1, 2, 6], [10, 5, 6, 9], [6, 2, 4, 7]])
# Boyd et al. (1982): two radiologists, 85 xeromammograms, four categories
RADIOLOGISTS = np.repeat(
    np.indices((4, 4)).reshape(2, -1), [21, 12, 0, 0, 4, 17, 1, 0, 3, 9, 15, 2, 0, 0, 0, 1], axis=1
)


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)])
def test_alpha_of_krippendorffs_four_observers(level: Level, alpha: float) -> None:
    assert alpha_sums(FOUR_OBSERVERS, level).value == pytest.approx(alpha, abs=0.0005)


@pytest.mark.parametrize(("level", "alpha"), [("nominal", 0.691), ("interval", 0.811)])
def test_alpha_of_three_coders_with_gaps(level: Level, alpha: float) -> None:
    assert alpha_sums(THREE_CODERS, level).value == pytest.approx(alpha, abs=0.0005)


def test_alpha_by_hand() -> None:
    # two raters, units (1, 2) and (1, 1): coincidences 11: 2, 12: 1, 21: 1; 1 - (2 / 4) / (6 / 12)
    assert alpha_sums([[1, 2], [1, 1]], "nominal").value == pytest.approx(0)
    assert alpha_sums([[1, 2], [2, 1]], "interval").value == pytest.approx(-0.5)  # 1 - (4 / 4) / (8 / 12)


def test_ordinal_alpha_depends_on_the_order_of_ratings_alone() -> None:
    stretched = np.select([value == FOUR_OBSERVERS for value in range(1, 6)], [0, 1, 10, 100, 1000], GAP)
    assert alpha_sums(stretched).value == pytest.approx(alpha_sums(FOUR_OBSERVERS).value)
    assert alpha_sums(stretched, "interval").value != pytest.approx(alpha_sums(FOUR_OBSERVERS, "interval").value)


@pytest.mark.parametrize(("weights", "kappa"), [("linear", 0.5684), ("quadratic", 0.6714)])
def test_kappa_of_two_radiologists(weights: Weights, kappa: float) -> None:
    # Stata's manual, entry kappa: 0.5684 with its weights w, 0.6714 with w2
    assert kappa_sums(*RADIOLOGISTS, weights).value == pytest.approx(kappa, abs=0.00005)


@pytest.mark.parametrize("weights", ["linear", "quadratic"])
def test_kappa_equals_that_of_scikit_learn(weights: Weights) -> None:
    from sklearn.metrics import cohen_kappa_score  # 1.9.1

    generator = np.random.default_rng(1)
    for _ in range(20):
        first = generator.integers(1, 6, 30)
        second = np.clip(first + generator.integers(-2, 3, 30), 1, 5)
        expected = cohen_kappa_score(first, second, labels=[1, 2, 3, 4, 5], weights=weights)
        assert kappa_sums(first, second, weights).value == pytest.approx(expected)


def test_kappa_goes_by_distances_on_the_scale_also_where_ratings_are_not_whole() -> None:
    first, second = np.array([1, 2, 5, 5, 1.0]), np.array([1, 5, 5, 2, 2.5])
    distance = ((first - second) ** 2).mean()
    chance = ((first[:, None] - second[None, :]) ** 2).mean()
    assert kappa_sums(first, second).value == pytest.approx(1 - distance / chance)
    # Lin's concordance, with moments divided by n
    concordance = 2 * np.cov(first, second, ddof=0)[0, 1] / (first.var() + second.var() + 0.3**2)
    assert kappa_sums(first, second).value == pytest.approx(concordance)


def test_kappa_leaves_out_units_with_one_rating() -> None:
    assert kappa_sums([1, 2, 3, GAP, 5], [1, 3, 3, 4, GAP]).value == kappa_sums([1, 2, 3], [1, 3, 3]).value


@pytest.mark.parametrize(
    ("form", "average", "expected"),
    [
        *(("1", False, 0.17), ("2", False, 0.29), ("3", False, 0.71)),
        *(("1", True, 0.44), ("2", True, 0.62), ("3", True, 0.91)),
    ],
)
def test_intraclass_correlations_of_shrout_and_fleiss(form: Form, average: bool, expected: float) -> None:
    assert icc_sums(TARGETS, form, average).value == pytest.approx(expected, abs=0.005)
    with_gaps = np.vstack([TARGETS, [[1, 2, GAP, 4]]])
    assert icc_sums(with_gaps, form, average).value == pytest.approx(icc_sums(TARGETS, form, average).value)
    assert icc_sums(TARGETS + 1e6, form, average).value == pytest.approx(icc_sums(TARGETS, form, average).value)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    "ratings",
    [
        np.zeros((0, 2)),
        np.full((3, 2), GAP),
        np.array([[1.0], [2.0], [3.0]]),  # one rater
        np.array([[1, GAP], [GAP, 2], [3, GAP]]),  # no unit with two ratings
        np.full((5, 3), 3.3),  # nobody ever differs
    ],
)
def test_agreement_that_nothing_could_show_is_missing(ratings: np.ndarray) -> None:
    found = [alpha_sums(ratings, level).value for level in ("nominal", "ordinal", "interval")]
    found += [icc_sums(ratings, form, average).value for form in ("1", "2", "3") for average in (False, True)]
    if ratings.shape[1] > 1:
        found += [kappa_sums(ratings[:, 0], ratings[:, 1], weights).value for weights in ("linear", "quadratic")]
    assert all(math.isnan(value) for value in found)


@pytest.mark.filterwarnings("error")
def test_one_unit_is_no_sample_for_an_intraclass_correlation() -> None:
    assert math.isnan(icc_sums([[1, 2]]).value)
    assert math.isnan(icc_sums([[1, 2], [2, 1]], "3", average=True).value)  # the units' means are equal


@pytest.mark.parametrize(
    "sums",
    [
        alpha_sums,
        icc_sums,
        lambda ratings: kappa_sums(*ratings.T),
    ],
)
def test_draws_are_the_coefficients_of_resampled_groups(
    sums: Callable[..., Sums],
) -> None:
    generator = np.random.default_rng(4)
    ratings = generator.integers(1, 6, size=(12, 2)).astype(float)
    groups = np.repeat(np.arange(6), 2)
    draws = resample_agreement(sums(ratings), groups, 50, 9).draws
    drawn = np.random.Generator(np.random.PCG64(9)).integers(0, 6, size=(50, 6))
    for place, chosen in enumerate(drawn):
        again = np.vstack([ratings[groups == group] for group in chosen])
        assert draws[place] == pytest.approx(sums(again).value, nan_ok=True)


@pytest.mark.filterwarnings("error")
def test_an_interval_is_wide_where_ratings_hardly_vary_and_missing_where_they_never_do() -> None:
    first, second = np.full(20, 3.0), np.full(20, 3.0)
    first[0] = second[0] = 4
    sums = kappa_sums(first, second)
    assert sums.value == 1
    assert resample_agreement(sums, np.arange(20), 500, 1).coefficient_interval(0.95) == (-1, 1)
    constant = kappa_sums(second[1:], second[1:])
    assert all(
        math.isnan(bound) for bound in resample_agreement(constant, np.arange(19), 500, 1).coefficient_interval(0.95)
    )


@pytest.mark.filterwarnings("error")
def test_one_group_has_no_interval() -> None:
    estimate = resample_agreement(alpha_sums(FOUR_OBSERVERS), np.zeros(12), 100, 1)
    assert all(math.isnan(bound) for bound in estimate.coefficient_interval(0.95))
    nothing = resample_agreement(alpha_sums(np.zeros((0, 2))), [], 100, 1)
    assert math.isnan(nothing.value)


def test_the_order_of_units_and_raters_does_not_matter() -> None:
    groups = np.arange(12)
    once = resample_agreement(alpha_sums(FOUR_OBSERVERS), groups, 200, 3)
    other = resample_agreement(alpha_sums(FOUR_OBSERVERS[:, ::-1]), groups, 200, 3)
    assert (once.draws == other.draws)[~np.isnan(once.draws)].all()


def test_intervals_of_an_intraclass_correlation_cover_as_often_as_they_say() -> None:
    # two raters with a true correlation of .8 each to the unit's worth: the correlation of the population is .64
    covered = 0
    for seed in range(150):
        generator = np.random.default_rng(seed)
        worth = generator.normal(size=40)
        ratings = np.stack([0.8 * worth + 0.6 * generator.normal(size=40) for _ in range(2)], axis=1)
        estimate = resample_agreement(icc_sums(ratings, "1"), np.arange(40), 200, seed)
        low, high = estimate.coefficient_interval(0.9)
        covered += low <= 0.64 <= high
    assert 0.80 < covered / 150 < 0.96
