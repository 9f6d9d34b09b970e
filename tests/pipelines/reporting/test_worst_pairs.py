"""The pairs that turned out worst: the right ones, in a fixed order, with the texts of their own questions."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from med_lora.parameters import EvaluationParams, ReportingParams
from med_lora.pipelines.reporting.answers import list_errors
from med_lora.pipelines.reporting.worst_pairs import find_errors
from tests import recipes

from .conftest import Table, make_answers

IDS = ["a", "b", "c", "d", "e", "f"]
BASE = [0.5, 0.4, 0.3, 0.2, 0.1, 0.6]
TUNED = [0.4, 0.1, 0.3, 0.2, 0.0, 0.5]


@pytest.fixture
def comparison() -> pd.DataFrame:
    rows = [("perplexity", "loss", "lower"), ("chrf", "overlap", "higher"), ("rougeL", "overlap", "higher")]
    table = pd.DataFrame(rows, columns=["metric", "family", "better"])
    return table.assign(base_all=0.3, tuned_all=0.2)


@pytest.fixture
def scores() -> pd.DataFrame:
    arms = (("base", BASE), ("tuned", TUNED), ("gold", [1.0] * 6))
    rows = [(pair, arm, "rougeL", value) for arm, values in arms for pair, value in zip(IDS, values, strict=True)]
    rows += [(pair, arm, "answer_cut", 0.0) for arm in ("base", "tuned") for pair in IDS]
    rows += [(pair, arm, "chrf", 7.0) for arm in ("base", "tuned") for pair in IDS]
    table = pd.DataFrame(rows, columns=["id", "arm", "metric", "score"])
    return table.assign(group=table["id"])


@pytest.fixture
def find(comparison: pd.DataFrame, scores: pd.DataFrame) -> Any:
    test = Table(pd.DataFrame({"id": IDS, "question": [f"ask {i}" for i in IDS], "answer": [f"true {i}" for i in IDS]}))

    def run(
        changed: pd.DataFrame = scores, metrics: pd.DataFrame = comparison, count: int = 2, **evaluation: Any
    ) -> Any:
        settings: EvaluationParams = recipes.evaluation(**evaluation)
        answers = {}
        for arm in ("base", "tuned"):
            table = make_answers("", "eos").head(len(IDS)).assign(id=IDS[::-1])
            answers[arm] = table.assign(answer=[f"{arm} {pair}" for pair in table["id"]])
        return find_errors(test, changed, metrics, ReportingParams(examples=count), settings, **answers)

    return run


def test_greatest_losses_come_first_and_then_the_lowest_of_the_others(find: Any) -> None:
    found = find()
    assert list(zip(found["kind"], found["id"], strict=True)) == [
        ("lost", "b"),
        ("lost", "a"),  # as e and f, but first by id
        ("lowest", "e"),
        ("lowest", "d"),
    ]
    assert list(found["metric"].unique()) == ["rougeL"]
    assert found.loc[0, ["base_score", "tuned_score"]].tolist() == [0.4, 0.1]


def test_each_pair_has_its_own_texts(find: Any) -> None:
    for row in find().to_dict("records"):
        assert (row["question"], row["reference"]) == (f"ask {row['id']}", f"true {row['id']}")
        assert (row["base"], row["tuned"]) == (f"base {row['id']}", f"tuned {row['id']}")


def test_the_choice_does_not_depend_on_the_order_of_the_rows(find: Any, scores: pd.DataFrame) -> None:
    pd.testing.assert_frame_equal(find(scores.sample(frac=1, random_state=3)), find())


def test_pairs_that_the_comparison_leaves_out_are_left_out(find: Any, scores: pd.DataFrame) -> None:
    flagged = scores.copy()
    flagged.loc[(flagged["metric"] == "answer_cut") & (flagged["id"] == "b"), "score"] = 1.0
    assert "b" not in set(find(flagged, exclude=["answer_cut"])["id"])
    assert "b" in set(find(flagged, exclude=[])["id"])
    every = scores.assign(score=scores["score"].where(scores["metric"] != "answer_cut", 1.0))
    assert list(find(every, exclude=["answer_cut"])["id"]) == list(find()["id"])


def test_a_pair_without_a_score_is_not_among_them(find: Any, scores: pd.DataFrame) -> None:
    lost = scores.copy()
    lost.loc[(lost["id"] == "b") & (lost["arm"] == "tuned") & (lost["metric"] == "rougeL"), "score"] = math.nan
    assert "b" not in set(find(lost)["id"])


def test_no_pair_is_called_lost_where_the_tuned_model_scored_no_lower(find: Any, scores: pd.DataFrame) -> None:
    better = scores.assign(score=scores["score"].where(scores["arm"] != "tuned", scores["score"] + 1))
    assert set(find(better)["kind"]) == {"lowest"}


def test_another_text_metric_stands_in_for_rouge(find: Any, comparison: pd.DataFrame) -> None:
    other = find(metrics=comparison[comparison["metric"] != "rougeL"])
    assert list(other["metric"].unique()) == ["chrf"]
    none = find(metrics=comparison[comparison["metric"] == "perplexity"])
    assert none.empty
    assert list_errors(none) == {
        "metric": "score",
        "kinds": [
            {"title": "Lost most against the base model", "pairs": []},
            {"title": "Lowest scores among the others", "pairs": []},
        ],
    }


def test_none_are_found_where_none_are_asked_for(find: Any) -> None:
    assert find(count=0).empty


def test_scores_stand_beside_the_answers_they_are_of(find: Any) -> None:
    shown = list_errors(find())
    first = shown["kinds"][0]["pairs"][0]
    assert {answer["arm"]: answer["score"] for answer in first["answers"]} == {
        "Base model": "ROUGE-L F 0.400",
        "Tuned model": "ROUGE-L F 0.100",
    }
    assert [answer["pieces"] for answer in first["answers"]] == [
        [("base", True), (" b", False)],
        [("tuned", True), (" b", False)],
    ]
