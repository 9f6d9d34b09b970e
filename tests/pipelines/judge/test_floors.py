"""What the floor checks of a metric come to."""

from __future__ import annotations

from typing import Any

import pytest

from med_lora.pipelines.judge.floors import read_floors

ACCURACY, PREFERENCE = "judge_accuracy", "judge_preference"


def check(name: str, verdict: str, subject: str = ACCURACY) -> dict[str, Any]:
    return {"check": name, "subject": subject, "verdict": verdict}


@pytest.mark.parametrize(
    ("empty", "shuffled", "expected", "left_open"),
    [
        ("passed", "passed", "passed", 0),
        ("passed", "unclear", "unclear", 1),
        ("passed", "not measured", "unclear", 1),
        ("not measured", "not measured", "unclear", 2),
        ("failed", "passed", "failed", 1),
        ("unclear", "failed", "failed", 2),
    ],
)
def test_a_floor_passes_only_where_all_its_checks_do(empty: str, shuffled: str, expected: str, left_open: int) -> None:
    checks = [
        check("gold above empty", empty),
        check("gold above shuffled", shuffled),
        check("padded", "failed"),
        check("gold above empty", "failed", "judge_relevance"),
    ]
    found = read_floors(checks, [ACCURACY])
    assert found[ACCURACY].verdict == expected
    assert len(found[ACCURACY].open) == left_open


def test_the_known_pair_is_the_floor_of_the_preference() -> None:
    checks = [check("known pair", "failed", "reference against another's"), check("gold above empty", "passed")]
    floors = read_floors(checks, [ACCURACY, PREFERENCE])
    assert [floors[name].verdict for name in (ACCURACY, PREFERENCE)] == ["passed", "failed"]


def test_a_scored_metric_without_any_floor_is_unclear_and_one_that_was_not_asked_is_left_out() -> None:
    floors = read_floors([check("known pair", "not measured", "reference against another's")], [ACCURACY])
    assert {name: floor.verdict for name, floor in floors.items()} == {ACCURACY: "unclear"}
