"""Intervals against closed forms and a plain implementation."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from med_lora.statistics import resampling
from med_lora.statistics.resampling import Estimate, Resamples


def make_items(rows: int, seed: int = 0) -> pd.DataFrame:
    values = np.random.default_rng(seed).normal(size=(rows, 3))
    columns = pd.MultiIndex.from_tuples([("base", "x"), ("tuned", "x"), ("base", "weight")])
    return pd.DataFrame(values, columns=columns, index=[f"i{n:04d}" for n in range(rows)])


def resample(items: pd.DataFrame, samples: int, seed: int) -> Resamples:
    """Every row a group of its own."""
    return resampling.resample(items, pd.Series(range(len(items)), index=items.index), samples, seed)


def test_resamples_are_whole_rows_drawn_with_replacement() -> None:
    items = make_items(20)
    drawn = np.random.Generator(np.random.PCG64(7)).integers(0, 20, size=(300, 20))
    by_hand = items.to_numpy()[drawn].sum(axis=1)
    assert resample(items, 300, 7).draws == pytest.approx(by_hand, abs=1e-12)


@pytest.mark.parametrize("cells", [1, 20, 450])
def test_blocks_do_not_change_the_resamples(cells: int, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = resample(make_items(20), 300, 7)
    monkeypatch.setattr(resampling, "CELLS", cells)
    assert resample(make_items(20), 300, 7).draws == pytest.approx(whole.draws, abs=1e-12)


def test_draws_of_a_column_do_not_depend_on_the_order_of_summation() -> None:
    items = make_items(700).abs()
    together = resample(items, 500, 1)
    for column in items:
        alone = resample(items[[column]], 500, 1)  # a product with a vector sums in another order than with a matrix
        assert (alone.draws[:, 0] == together.draws[:, together.columns.index(column)]).all()


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


def test_whole_groups_are_drawn_with_replacement() -> None:
    items = make_items(20).sort_index()
    groups = pd.Series([place % 3 if place < 15 else place for place in range(20)], index=items.index)
    over = resampling.resample(items, groups, 300, 7)
    labels = list(dict.fromkeys(groups))
    drawn = np.random.Generator(np.random.PCG64(7)).integers(0, 8, size=(300, 8))
    by_hand = [pd.concat([items[groups == labels[place]] for place in places]) for places in drawn]
    assert (over.n, over.groups) == (20, 8)
    assert over.draws == pytest.approx(np.array([rows.sum() for rows in by_hand]), abs=1e-12)
    mean = over.mean(("base", "x"))
    assert mean.value == pytest.approx(items["base", "x"].mean())
    assert mean.draws == pytest.approx(np.array([rows["base", "x"].mean() for rows in by_hand]))


def test_labels_and_order_of_groups_do_not_matter() -> None:
    items = make_items(30)
    groups = pd.Series([place // 4 for place in range(30)], index=items.index)
    draws = resampling.resample(items, groups, 100, 1).draws
    turned = groups.map(lambda label: f"g{99 - label}").sample(frac=1, random_state=2)
    assert (resampling.resample(items.sample(frac=1, random_state=3), turned, 100, 1).draws == draws).all()


def test_copies_of_a_row_do_not_narrow_the_interval() -> None:
    items = make_items(40)
    copied = pd.concat([items.set_axis([f"{name}-{copy}" for name in items.index]) for copy in range(5)])
    groups = pd.Series([name.split("-")[0] for name in copied.index], index=copied.index)
    once = resample(items, 500, 0).mean(("base", "x"))
    often = resampling.resample(copied, groups, 500, 0).mean(("base", "x"))
    assert often.draws == pytest.approx(once.draws)
    low, high = resample(copied, 500, 0).mean(("base", "x")).interval(0.95)
    assert high - low < 0.6 * (often.interval(0.95)[1] - often.interval(0.95)[0])


def test_intervals_over_groups_cover_where_those_over_items_do_not() -> None:
    covered = {"groups": 0, "items": 0}
    for seed in range(300):
        generator = np.random.default_rng(seed)
        sizes = generator.integers(1, 6, size=40)
        groups = pd.Series(np.repeat(np.arange(40), sizes), index=[f"i{n:04d}" for n in range(sizes.sum())])
        values = np.repeat(generator.normal(size=40), sizes) + 0.3 * generator.normal(size=sizes.sum())
        items = pd.DataFrame({("base", "x"): values}, index=groups.index)
        for name, over in (
            ("groups", resampling.resample(items, groups, 400, seed)),
            ("items", resample(items, 400, seed)),
        ):
            low, high = over.mean(("base", "x")).interval(0.9)
            covered[name] += low <= 0 <= high
    assert 0.84 < covered["groups"] / 300 < 0.95
    assert covered["items"] / 300 < 0.75


@pytest.mark.parametrize("rows", [0, 1, 5])
def test_fewer_than_two_groups_have_no_estimate(rows: int) -> None:
    items = make_items(5).head(rows)
    over = resampling.resample(items, pd.Series(0, index=items.index), 10, 0)
    assert (over.n, over.groups) == (rows, min(rows, 1))
    for estimate in (over.mean(("base", "x")), over.ratio(("base", "x"), ("base", "weight"))):
        assert math.isnan(estimate.value)
        assert all(math.isnan(end) for end in estimate.interval(0.95))


@pytest.mark.parametrize("rows", [0, 1])
def test_fewer_than_two_items_have_no_estimate(rows: int) -> None:
    estimate = resample(make_items(5).head(rows), 10, 0).mean(("base", "x"))
    assert math.isnan(estimate.value)
    assert all(math.isnan(end) for end in estimate.interval(0.95))


def test_a_resample_without_a_correlation_could_have_shown_any() -> None:
    draws = np.array([math.nan] * 5 + [0.5] * 95)
    assert Estimate(0.5, draws).coefficient_interval(0.95) == (-1, 1)
    assert Estimate(0.5, draws).coefficient_interval(0.8) == (0.5, 0.5)
    assert all(math.isnan(bound) for bound in Estimate(math.nan, draws).coefficient_interval(0.95))
