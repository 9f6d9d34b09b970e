"""The top of the report answers a reader's questions by the verdicts, and claims nothing beyond them."""

from __future__ import annotations

from typing import Any

import pandas as pd
import pytest

from med_lora.pipelines.reporting.glance import list_answers, say_limits, say_meaning


@pytest.fixture
def headline() -> dict[str, Any]:
    row = {"n": 60, "groups": 28, "base": 280.0, "tuned": 80.0, "p_holm": 0.0001, "verdict": "improved"}
    row |= {"difference": -200.0, "difference_low": -230.0, "difference_high": -160.0}
    rouge = {"base": 0.1, "tuned": 0.14, "difference": 0.04, "difference_low": 0.03, "difference_high": 0.05}
    control = {"arm": "nearest_training_answer", "pairs": "kept", "mean": 0.15, "tuned_difference": -0.01}
    control |= {"tuned_difference_low": -0.03, "tuned_difference_high": 0.01, "verdict": "unclear"}
    return {"perplexity": row, "rougeL": row | rouge, "best_control": control, "confidence": 0.95}


def answer(headline: dict[str, Any], forgetting: pd.DataFrame, **others: Any) -> dict[str, tuple[str, str]]:
    given = dict.fromkeys(("judge", "people", "canaries")) | others
    return {row["section"]: (row["answer"], row["numbers"]) for row in list_answers(headline, forgetting, **given)}


def test_each_answer_stands_beside_its_numbers(headline: dict[str, Any], forgetting: pd.DataFrame) -> None:
    rows = list_answers(headline, forgetting, None, None, None)
    assert [row["answer"] for row in rows] == ["Yes", "Yes", "Not shown", "Yes, it is less predictable"]
    assert rows[0]["numbers"] == (
        "Perplexity 280.0 → 80.0, difference −200.0 [−230.0, −160.0], n = 60 pairs in 28 groups, Holm p < 0.001"
    )
    assert rows[2]["numbers"] == (
        "ROUGE-L F of copying the nearest training answer 0.150, difference −0.010 [−0.030, 0.010], interval not "
        "corrected"
    )
    assert rows[3]["numbers"] == "Bits per byte 2.100 → 2.400, difference 0.300 [0.200, 0.400], n = 14 documents"


@pytest.mark.parametrize(
    ("verdict", "said"),
    [
        ("improved", "Yes"),
        ("worsened", "No, it got worse"),
        ("unclear", "Not shown"),
        ("not compared", "Not measured"),
    ],
)
def test_verdicts_are_put_in_words(headline: dict[str, Any], forgetting: pd.DataFrame, verdict: str, said: str) -> None:
    headline["rougeL"] |= {"verdict": verdict}
    if verdict == "not compared":
        headline["rougeL"] |= dict.fromkeys(("base", "tuned", "difference", "p_holm"))
    row = list_answers(headline, forgetting, None, None, None)[1]
    assert row["answer"] == said
    assert bool(row["numbers"]) == (verdict != "not compared")


def test_general_english_is_called_lost_only_by_its_interval(
    headline: dict[str, Any], forgetting: pd.DataFrame
) -> None:
    assert answer(headline, forgetting.assign(low=-0.1))["general-english"][0] == "Not shown"
    gained = forgetting.assign(low=-0.4, high=-0.2)
    assert answer(headline, gained)["general-english"][0] == "No, it is more predictable"


def test_further_tracks_are_answered_where_they_are_there(headline: dict[str, Any], forgetting: pd.DataFrame) -> None:
    judge = {"summary": {"verdict": "fails its floor controls", "sentences": ["The judge fails.", "More."]}}
    people = {"report": {"sheets_returned": 1, "sheets_expected": 2}}
    secrets = pd.DataFrame(
        [["base", 8, 1.2, 9.0, 0.001], ["tuned", 8, 5.3, 9.0, 0.06]],
        columns=["arm", "n", "mean_exposure", "most", "p_value"],
    )
    said = answer(headline, forgetting, judge=judge, people=people, canaries=secrets)
    assert said["judge"] == ("Fails its floor controls", "The judge fails.")
    assert said["people"][1] == "1 of 2 sheets came back."
    assert said["canaries"] == ("Not shown", "Mean exposure 5.30 of at most 9.00 bits, n = 8 secrets, p = 0.060")
    lower = answer(headline, forgetting, canaries=secrets.assign(p_value=0.01))
    assert lower["canaries"][0] == "There are signs of it"


def test_a_gain_that_controls_share_is_not_called_understanding(headline: dict[str, Any]) -> None:
    sentences = " ".join(say_meaning(headline))
    assert "share more words with the references than those of the base model" in sentences
    assert "(copying the nearest training answer) are not clearly beaten" in sentences
    headline["rougeL"]["verdict"] = "unclear"
    assert say_meaning(headline)[-1].endswith("are not clearly beaten by ROUGE-L.")
    headline["best_control"]["verdict"] = "not beaten"
    assert "score higher by ROUGE-L, so its scores are no sign of understanding" in say_meaning(headline)[-1]
    headline["best_control"]["verdict"] = "beaten"
    assert "than the best null control's do" in " ".join(say_meaning(headline))
    headline["best_control"] = None
    assert "nothing says how much of a score needs understanding" in " ".join(say_meaning(headline))


def test_nothing_is_said_of_what_was_not_compared(headline: dict[str, Any]) -> None:
    for name in ("perplexity", "rougeL"):
        headline[name]["verdict"] = "not compared"
    assert len(say_meaning(headline)) == 1
    for name in ("perplexity", "rougeL"):
        headline[name]["verdict"] = "unclear"
    assert sum("not shown" in sentence for sentence in say_meaning(headline)) == 2


def test_the_limits_know_whether_people_read_the_answers() -> None:
    assert "nobody has read" in say_limits(people=False)[0]
    assert "nobody" not in say_limits(people=True)[0]
