"""Intervals and tests against closed forms, published examples and a plain implementation."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from med_lora.pipelines.evaluation import statistics
from med_lora.pipelines.evaluation.statistics import holm, resample, wilcoxon_p


def make_items(rows: int, seed: int = 0) -> pd.DataFrame:
    values = np.random.default_rng(seed).normal(size=(rows, 3))
    columns = pd.MultiIndex.from_tuples([("base", "x"), ("tuned", "x"), ("base", "weight")])
    return pd.DataFrame(values, columns=columns, index=[f"i{n:04d}" for n in range(rows)])


def test_resamples_are_whole_rows_drawn_with_replacement() -> None:
    items = make_items(20)
    drawn = np.random.Generator(np.random.PCG64(7)).integers(0, 20, size=(300, 20))
    by_hand = items.to_numpy()[drawn].sum(axis=1)
    assert resample(items, 300, 7).draws == pytest.approx(by_hand, abs=1e-12)


@pytest.mark.parametrize("cells", [1, 20, 450])
def test_blocks_do_not_change_the_resamples(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = resample(make_items(20), 300, 7)
    monkeypatch.setattr(statistics, "CELLS", cells)
    assert resample(make_items(20), 300, 7).draws == pytest.approx(whole.draws, abs=1e-12)


def test_the_order_of_rows_does_not_matter_and_the_seed_does() -> None:
    items = make_items(50)
    draws = resample(items, 200, 1).draws
    assert (resample(items.sample(frac=1, random_state=3), 200, 1).draws == draws).all()
    assert (resample(items, 200, 2).draws != draws).any()


def test_interval_of_a_mean_agrees_with_its_standard_error() -> None:
    items = make_items(400)
    estimate = resample(items, 20_000, 0).mean(("base", "x"))
    low, high = estimate.interval(0.95)
    error = items["base", "x"].std(ddof=0) / math.sqrt(400)
    assert estimate.value == pytest.approx(items["base", "x"].mean())
    assert high - low == pytest.approx(2 * 1.959964 * error, rel=0.03)
    wide_low, wide_high = estimate.interval(0.99)
    assert wide_low < low < high < wide_high


def test_intervals_cover_the_true_mean_as_often_as_they_say() -> None:
    covered = 0
    for seed in range(400):
        low, high = resample(make_items(60, seed), 400, seed).mean(("base", "x")).interval(0.9)
        covered += low <= 0 <= high
    assert 0.85 < covered / 400 < 0.94


def test_differences_are_paired() -> None:
    items = make_items(100)
    items["tuned", "x"] = items["base", "x"] + 0.5
    over = resample(items, 500, 0)
    difference = over.mean(("tuned", "x")) - over.mean(("base", "x"))
    assert difference.interval(0.95) == pytest.approx((0.5, 0.5))


def test_ratio_weighs_by_the_denominator() -> None:
    items = pd.DataFrame({("base", "nll"): [2.0, 30.0], ("base", "tokens"): [1.0, 10.0]}, index=["a", "b"])
    estimate = resample(items, 100, 0).ratio(("base", "nll"), ("base", "tokens"))
    assert estimate.value == 32 / 11
    assert set(estimate.draws) == {2.0, 32 / 11, 3.0}  # the rows: both the first, one each, both the second


@pytest.mark.parametrize("rows", [0, 1])
def test_fewer_than_two_items_have_no_estimate(rows: int) -> None:
    estimate = resample(make_items(5).head(rows), 10, 0).mean(("base", "x"))
    assert math.isnan(estimate.value)
    assert all(math.isnan(end) for end in estimate.interval(0.95))


def test_signed_rank_test_on_a_published_example() -> None:
    # Hamilton's depression scale before and after a tranquilliser (Hollander and Wolfe 1973, p. 29): one-sided p .0195
    before = [1.83, 0.50, 1.62, 2.48, 1.68, 1.88, 1.55, 3.06, 1.30]
    after = [0.878, 0.647, 0.598, 2.05, 1.06, 1.29, 1.06, 3.14, 1.29]
    differences = [new - old for new, old in zip(after, before, strict=True)]
    assert wilcoxon_p(differences) == pytest.approx(2 * 0.01953125)
    assert wilcoxon_p([-value for value in differences]) == pytest.approx(2 * 0.01953125)
    assert wilcoxon_p([*differences, 0.0]) == pytest.approx(2 * 0.01953125)


@pytest.mark.filterwarnings("error")
def test_signed_rank_test_at_its_limits() -> None:
    assert wilcoxon_p([0.0] * 10) == 1
    assert wilcoxon_p([1.0, 0.0, 0.0]) == 1
    assert math.isnan(wilcoxon_p([1.0]))
    assert math.isnan(wilcoxon_p([]))


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
