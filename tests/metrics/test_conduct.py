"""Repetition, length and support of hand-made answers."""

from __future__ import annotations

import pytest

from med_lora.metrics.conduct import conduct_metrics, length_ratio, own_conduct, repeated_grams, unsupported
from med_lora.metrics.quantities import stated_quantities


@pytest.mark.parametrize(
    ("answer", "share"),
    [
        ("rest the joint and drink water", 0),
        # 4-grams: abab, baba, abab, baba, abab: two of five are distinct
        ("A b, a B; a b a b.", 1 - 2 / 5),
        ("rest " * 104, 1 - 1 / 101),
        ("rest rest rest", 0),
        ("", 0),
    ],
)
def test_the_share_of_repeated_4_grams(answer: str, share: float) -> None:
    assert repeated_grams(answer) == pytest.approx(share)


def test_an_answer_that_repeats_itself_half_the_time_is_degenerate() -> None:
    assert own_conduct("a b a b a b a b")["degenerate"] == 1
    assert own_conduct("a b a b a c a b")["degenerate"] == 0


def test_conduct_of_a_refusal_that_refers() -> None:
    conduct = own_conduct("I cannot diagnose this; as an AI I am no doctor. Please see your physician.")
    assert (conduct["refusal"], conduct["disclaimer"], conduct["referral"]) == (1, 1, 1)


def test_length_is_in_words_between_white_space() -> None:
    assert length_ratio("rest, and drink", "rest well\nand drink much water") == 3 / 6
    assert length_ratio("", "rest") == 0


@pytest.mark.parametrize(
    ("answer", "given", "numbers", "doses"),
    [
        ("Take 400 mg.", "Take 400mg twice a day.", 0, 0),
        ("Take 0.4 g every 12 hours.", "Take 400mg twice a day.", 1, 0),
        ("Take 400 mg.", "Take 200 mg for 400 days.", 0, 1),
        ("Take 800 mg.", "Take 400 mg.", 1, 1),
        ("Rest.", "Take 400 mg.", 0, 0),
        ("Rest for two days.", "Rest.", 1, 0),
    ],
)
def test_a_number_or_dose_that_nothing_given_states_is_unsupported(
    answer: str, given: str, numbers: int, doses: int
) -> None:
    assert unsupported(stated_quantities(answer), stated_quantities(given)) == {
        "unsupported_numbers": numbers,
        "unsupported_doses": doses,
    }


def test_conduct_describes_and_every_metric_says_how() -> None:
    metrics = conduct_metrics()
    assert not any(metric.tested for metric in metrics)
    assert all(metric.signature and metric.family == "conduct" for metric in metrics)
