"""The margins that docs/judge.md publishes: the verdict on intervals just inside and just outside of each."""

from __future__ import annotations

import math

import pytest

from med_lora.pipelines.judge import checks, orders, repeats
from med_lora.pipelines.judge.verdicts import Expectation

STEP = 1e-6
AXIS, CRITERIA = "judge_accuracy", "judge_criteria"
FLOOR, GAIN = checks.expect_floor(AXIS), checks.expect_gain(AXIS)
SHARE_FLOOR, SHARE_GAIN = checks.expect_floor(CRITERIA), checks.expect_gain(CRITERIA)


@pytest.mark.parametrize(
    ("expected", "low", "high", "inside", "outside"),
    [
        # the lower end of an interval at a margin that it must lie above
        pytest.param(FLOOR, 0.0, 2.0, "passed", "unclear", id="floor"),
        pytest.param(SHARE_FLOOR, 0.0, 0.5, "passed", "unclear", id="floor of criteria"),
        pytest.param(orders.KNOWN_RIGHT, 0.5, 1.0, "passed", "unclear", id="known pair"),
        pytest.param(orders.ORDER_BIAS, 0.4, 0.5, "passed", "unclear", id="first shown wins 0.4"),
        pytest.param(repeats.EXPECTED, 2 / 3, 0.9, "passed", "unclear", id="self-consistency"),
        pytest.param(checks.AGREEMENT, 0.0, 0.6, "passed", "unclear", id="agreement with people"),
    ],
)
def test_an_interval_passes_just_above_the_margin(
    expected: Expectation, low: float, high: float, inside: str, outside: str
) -> None:
    assert expected.decide(low + STEP, high) == inside
    assert expected.decide(low - STEP, high) == outside


@pytest.mark.parametrize(
    ("expected", "low", "high", "inside", "outside"),
    [
        # the upper end at a margin that it must lie below to pass, or that it must reach so as not to fail
        pytest.param(GAIN, -0.2, 0.5, "passed", "unclear", id="gain"),
        pytest.param(SHARE_GAIN, -0.2, 0.125, "passed", "unclear", id="gain of criteria"),
        pytest.param(GAIN, 0.1, 0.5, "passed", "failed", id="sure gain"),
        pytest.param(orders.ORDER_BIAS, 0.45, 0.6, "passed", "unclear", id="first shown wins 0.6"),
        pytest.param(orders.CONTRADICTIONS, 0.2, 0.5, "passed", "unclear", id="contradictions"),
        pytest.param(checks.LENGTH, -0.2, 0.3, "passed", "unclear", id="length"),
        pytest.param(checks.ANSWERED, 0.02, 0.1, "passed", "unclear", id="missing answers"),
        pytest.param(FLOOR, -0.5, 1.0, "failed", "unclear", id="low floor"),
        pytest.param(SHARE_FLOOR, -0.5, 0.25, "failed", "unclear", id="low floor of criteria"),
        pytest.param(orders.KNOWN_RIGHT, 0.3, 0.8, "failed", "unclear", id="wrong about a known pair"),
        pytest.param(orders.ORDER_BIAS, 0.3, 0.5, "failed", "unclear", id="second shown wins"),
        pytest.param(repeats.EXPECTED, 0.1, 2 / 3, "failed", "unclear", id="inconsistent"),
        pytest.param(checks.AGREEMENT, -0.2, 0.4, "failed", "unclear", id="disagreement with people"),
    ],
)
def test_an_interval_crosses_the_margin_with_its_upper_end(
    expected: Expectation, low: float, high: float, inside: str, outside: str
) -> None:
    assert expected.decide(low, high - STEP) == inside
    assert expected.decide(low, high + STEP) == outside


@pytest.mark.parametrize(
    ("expected", "low", "high"),
    [
        pytest.param(GAIN, 0.0, 0.8, id="gain"),
        pytest.param(orders.ORDER_BIAS, 0.5, 0.8, id="first shown wins"),
        pytest.param(orders.CONTRADICTIONS, 0.5, 0.8, id="contradictions"),
        pytest.param(checks.ANSWERED, 0.1, 0.3, id="missing answers"),
    ],
)
def test_an_interval_fails_just_above_what_could_be_tolerated(expected: Expectation, low: float, high: float) -> None:
    assert expected.decide(low - STEP, high) == "unclear"
    assert expected.decide(low + STEP, high) == "failed"


def test_a_correlation_with_length_fails_no_judge() -> None:
    assert checks.LENGTH.decide(0.9, 1.0) == "unclear"
    assert checks.LENGTH.tolerable == (-math.inf, math.inf)
