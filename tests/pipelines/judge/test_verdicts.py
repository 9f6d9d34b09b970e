"""Verdicts that follow from intervals, and the intervals themselves."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from med_lora.pipelines.judge.verdicts import Checked, Expectation, Simultaneous, mean_of, not_measured
from tests import recipes

FLOOR = Expectation("above 0; fails if surely below 1", (0.0, math.inf), (1.0, math.inf))
GAIN = Expectation("gain below 0.5", (-math.inf, 0.5), (-math.inf, 0.0))
LEVEL = Simultaneous(0.95, 1)


@pytest.mark.parametrize(
    ("expected", "low", "high", "verdict"),
    [
        (FLOOR, 0.1, 3.0, "passed"),
        (FLOOR, 0.1, 0.9, "passed"),
        (FLOOR, -0.5, 0.9, "failed"),
        (FLOOR, -0.5, 1.2, "unclear"),
        (FLOOR, 0.0, 2.0, "unclear"),
        (GAIN, -0.4, 0.4, "passed"),
        (GAIN, 0.1, 0.4, "passed"),
        (GAIN, 0.1, 0.6, "failed"),
        (GAIN, -0.1, 0.6, "unclear"),
        (GAIN, math.nan, math.nan, "unclear"),
    ],
)
def test_a_verdict_follows_from_the_interval(expected: Expectation, low: float, high: float, verdict: str) -> None:
    assert (
        Checked(20, 20, (low + high) / 2 if low == low else 0.0, low, high, LEVEL).row("", "", expected)["verdict"]
        == verdict
    )


def test_too_few_independent_pairs_give_no_verdict() -> None:
    row = Checked(40, 5, 4.0, 4.0, 4.0, LEVEL).row("floor", "accuracy", FLOOR)
    assert (row["verdict"], row["note"]) == ("unclear", "5 independent pairs, and a verdict needs 6")
    assert Checked(6, 6, 4.0, 4.0, 4.0, LEVEL).row("floor", "accuracy", FLOOR)["verdict"] == "passed"


def test_what_was_not_measured_says_why() -> None:
    row = not_measured("padded was not judged").row("padded", "accuracy", GAIN)
    assert (row["n"], row["verdict"], row["note"]) == (0, "not measured", "padded was not judged")
    assert math.isnan(row["value"])


def test_intervals_that_hold_together_are_wider_and_say_so() -> None:
    level = Simultaneous.of(recipes.evaluation(), 4)
    assert level.confidence == pytest.approx(0.9875)
    row = Checked(20, 20, 0.0, -0.1, 0.1, level).row("padded", "accuracy", GAIN)
    assert (row["level"], row["note"]) == (level.confidence, "")
    assert math.isnan(Checked(20, 20, 0.0, math.nan, math.nan, level).row("padded", "accuracy", GAIN)["level"])
    assert math.isnan(not_measured("no pair has both scores").row("padded", "accuracy", GAIN)["level"])


def test_interval_of_independent_items_is_that_of_the_t_test() -> None:
    from scipy.stats import ttest_1samp

    values = pd.Series([1.0, 0.0, 2.0, 0.5, -1.0, 3.0, math.nan], index=list("abcdefg"))
    groups = pd.Series(range(7), index=list("abcdefg"))
    checked = mean_of(values, groups, LEVEL)
    expected = ttest_1samp(values.dropna(), 0).confidence_interval(0.95)
    assert (checked.low, checked.high) == pytest.approx((expected.low, expected.high))
    assert (checked.n, checked.value) == (6, pytest.approx(values.mean()))


def test_items_of_one_group_count_once() -> None:
    values = pd.Series([1.0, 0.0, 2.0, 0.5], index=list("abcd"))
    twice = pd.Series(np.repeat(values.to_numpy(), 2), index=list("abcdefgh"))
    once = mean_of(values, pd.Series(range(4), index=list("abcd")), LEVEL)
    paired = mean_of(twice, pd.Series(np.repeat(range(4), 2), index=list("abcdefgh")), LEVEL)
    assert (paired.low, paired.high) == pytest.approx((once.low, once.high))
    assert (paired.n, paired.groups) == (8, 4)


def test_one_group_has_no_interval() -> None:
    checked = mean_of(pd.Series([1.0, 2.0]), pd.Series([0, 0]), LEVEL)
    assert checked.value == 1.5
    assert math.isnan(checked.low)
    assert checked.row("", "", FLOOR)["verdict"] == "unclear"
