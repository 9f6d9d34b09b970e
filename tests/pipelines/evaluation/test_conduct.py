"""The node of conduct: what answers and references are held against."""

from __future__ import annotations

import math

import pandas as pd
import pytest

from med_lora.metrics.definition import SCORE_COLUMNS
from med_lora.pipelines.evaluation.scores.conduct import find_others, score_conduct
from tests.pipelines.evaluation.conftest import Table

PAIRS = pd.DataFrame(
    [
        ("a", "What treats gout?", "Take 400 mg of ibuprofen.", "gout", 0),
        ("b", "What treats gout?", "Take 600 mg of ibuprofen.", "gout", 0),
        ("c", "How common is asthma?", "One in 12 children has it.", "asthma", 1),
        ("d", "Is 38 degrees a fever?", "Yes.", "", 2),
    ],
    columns=["id", "question", "answer", "focus", "group"],
)


def texts(kind: str, arm: str, answers: dict[str, str]) -> pd.DataFrame:
    return pd.DataFrame({"id": list(answers), "arm": arm, "kind": kind, "answer": list(answers.values())})


def gold() -> pd.DataFrame:
    return texts("gold", "gold", dict(zip(PAIRS["id"], PAIRS["answer"], strict=True)))


def scored(arm_texts: pd.DataFrame, pairs: pd.DataFrame = PAIRS) -> pd.DataFrame:
    scores, metrics = score_conduct(arm_texts, Table(pairs))
    assert list(scores.columns) == SCORE_COLUMNS
    assert set(scores["metric"]) == set(metrics["name"])
    return scores.pivot(index=["arm", "id"], columns="metric", values="score")


def test_an_answer_is_supported_by_its_own_question_and_reference_alone() -> None:
    answers = {"a": "400mg", "b": "Take 400 mg.", "c": "12 children", "d": "At 38 degrees, not 37."}
    table = scored(texts("model", "base", answers)).loc["base"]
    assert table["unsupported_numbers"].to_dict() == {"a": 0, "b": 1, "c": 0, "d": 1}
    assert table["unsupported_doses"].to_dict() == {"a": 0, "b": 1, "c": 0, "d": 0}
    assert table["length_ratio"].to_dict() == {"a": 1 / 5, "b": 3 / 5, "c": 2 / 6, "d": 5}


def test_references_are_held_against_another_to_the_same_question_or_nothing() -> None:
    table = scored(gold()).loc["gold"]
    assert table.loc[["a", "b"], "unsupported_doses"].tolist() == [1, 1]
    assert table.loc[["c", "d"], ["unsupported_numbers", "unsupported_doses"]].isna().all(axis=None)
    assert table["length_ratio"].isna().all()
    assert table["repeated_4grams"].notna().all()


def test_the_other_reference_is_of_the_question_then_of_the_focus_then_of_the_group() -> None:
    rows = [
        ("a", "Q1", "one", "gout", 0),
        ("b", "q1 ", "two", "asthma", 1),
        ("c", "Q2", "three", "Gout", 0),
        ("d", "Q3", "four", "", 7),
        ("e", "Q4", "five", "", 7),
        ("f", "Q5", "six", "", 8),
    ]
    pairs = pd.DataFrame(rows, columns=["id", "question", "answer", "focus", "group"]).set_index("id")
    assert find_others(pairs) == {"a": "two", "b": "one", "c": "one", "d": "five", "e": "four"}


def test_an_equal_answer_is_no_other_reference() -> None:
    pairs = pd.DataFrame(
        {"question": ["Q"] * 3, "answer": ["rest", "rest", "drink"], "group": 0}, index=["a", "b", "c"]
    )
    assert find_others(pairs) == {"a": "drink", "b": "drink", "c": "rest"}


@pytest.mark.parametrize("missing", ["", None, math.nan])
def test_pairs_without_a_focus_share_none(missing: object) -> None:
    rows = [("a", "Q1", "one", missing, 0), ("b", "Q2", "two", missing, 1), ("c", "Q3", "three", "gout", 1)]
    pairs = pd.DataFrame(rows, columns=["id", "question", "answer", "focus", "group"]).set_index("id")
    assert find_others(pairs) == {"b": "three", "c": "two"}


def test_the_other_reference_is_the_next_that_differs_and_the_first_behind_the_last() -> None:
    answers = list("xxyzzxx")
    pairs = pd.DataFrame({"question": "Q", "answer": answers}, index=list("abcdefg"))
    assert find_others(pairs) == dict(zip("abcdefg", "yyzxxyy", strict=True))
    assert find_others(pairs.assign(answer="x")) == {}


def test_others_of_one_large_group_are_found_in_few_comparisons() -> None:
    class Answer(str):
        compared = 0
        __hash__ = str.__hash__

        def __ne__(self, other: object) -> bool:
            Answer.compared += 1
            return str.__ne__(self, other)

    count = 300
    pairs = pd.DataFrame(
        {"question": "Q", "answer": pd.Series([Answer("x")] * (count - 1) + [Answer("y")], dtype=object)}
    )
    others = find_others(pairs)
    assert [others[place] for place in (0, count - 2, count - 1)] == ["y", "y", "x"]
    assert Answer.compared <= 4 * count


def test_a_split_without_focus_or_group_can_be_judged() -> None:
    table = scored(gold(), PAIRS[["id", "question", "answer"]])
    assert table.loc["gold"].loc[["a", "b"], "unsupported_numbers"].tolist() == [1, 1]


def test_neither_the_order_of_the_rows_nor_of_the_pairs_matters() -> None:
    arms = pd.concat([gold(), texts("control", "echo", dict(zip(PAIRS["id"], PAIRS["question"], strict=True)))])
    pd.testing.assert_frame_equal(scored(arms), scored(arms[::-1], PAIRS[::-1]))


@pytest.mark.parametrize("answer", ["", "  "])
def test_an_empty_answer_shows_no_conduct(answer: str) -> None:
    table = scored(texts("model", "base", {"a": answer})).loc["base"]
    assert (table.loc["a"] == 0).all()
