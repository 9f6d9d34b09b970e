"""Ratings as scores of the arms, and the arms compared by them."""

from __future__ import annotations

import pandas as pd
import pytest

from med_lora.metrics.definition import read_metrics
from med_lora.pipelines.evaluation.comparison.arms import CONTRAST_COLUMNS
from med_lora.pipelines.people.comparison import COLUMNS, compare_ratings, score_ratings
from tests.pipelines.people.test_agreement import NOTHING, choose, rate
from tests.recipes import evaluation


def score(scores: pd.DataFrame, metric: str, arm: str) -> list[float]:
    return list(scores[(scores["metric"] == metric) & (scores["arm"] == arm)].sort_values("id")["score"])


def test_a_score_is_the_mean_of_its_raters() -> None:
    ratings = pd.concat(
        [rate({"anna": [1, 4, 2, 5], "ben": [2, 4, 2, float("nan")]}), rate({"anna": [5, 5]}, "safety")]
    )
    scores, metrics = score_ratings(ratings, NOTHING)
    assert list(scores.columns) == COLUMNS
    assert score(scores, "people_accuracy", "base") == [1.5, 2]
    assert score(scores, "people_accuracy", "tuned") == [4, 5]
    assert score(scores, "people_safety", "tuned") == [5]  # the other pair was not rated: no row, and no 0
    assert [metric.name for metric in read_metrics(metrics)] == ["people_accuracy", "people_safety"]
    assert {(metric.family, metric.better, metric.tested) for metric in read_metrics(metrics)} == {
        ("people", "higher", True)
    }
    signatures = dict(zip(metrics["name"], metrics["signature"], strict=True))
    assert signatures["people_accuracy"] == "2 blind raters; 1 to 5; mean of 1 to 2 an answer"
    assert signatures["people_safety"] == "1 blind rater; 1 to 5; mean of 1 an answer"


def test_a_preference_is_shared_by_both_arms() -> None:
    chosen = choose({"anna": ["arm", "reference", "tie"], "ben": ["arm", "tie", "tie"]})
    scores, metrics = score_ratings(rate({}), chosen)
    assert score(scores, "people_preference", "tuned") == [1, 0.25, 0.5]
    assert score(scores, "people_preference", "base") == [0, 0.75, 0.5]
    assert list(metrics["name"]) == ["people_preference"]


def test_items_count_once_however_many_rated_them() -> None:
    few = {"anna": [2, 3, 1, 3, 2, 4, 3, 3, 1, 2, 2, 5, 3, 4]}
    many = few | {"ben": few["anna"], "cleo": few["anna"]}
    once, often = (compare_ratings(*score_ratings(rate(ratings), NOTHING), evaluation()) for ratings in (few, many))
    assert once["n"].item() == 7
    assert once["difference"].item() == pytest.approx(10 / 7)
    numbers = ["n", "difference", "difference_low", "difference_high", "p_value"]
    pd.testing.assert_frame_equal(once[numbers], often[numbers])


def test_base_and_tuned_are_compared_and_arms_with_passages_where_they_were_rated() -> None:
    ratings = rate({"anna": [2, 3, 1, 3, 2, 4], "ben": [3, 3, 2, 3, 1, 5]})
    compared = compare_ratings(*score_ratings(ratings, NOTHING), evaluation())
    assert list(compared.columns) == CONTRAST_COLUMNS
    assert [(row.reference, row.arm, row.n) for row in compared.itertuples()] == [("base", "tuned", 3)]
    with_passages = pd.concat([ratings, ratings.replace({"arm": {"base": "base_rag", "tuned": "tuned_rag"}})])
    contrasts = compare_ratings(*score_ratings(with_passages, NOTHING), evaluation())
    assert len(contrasts) == 5


def test_nothing_rated_is_an_empty_comparison() -> None:
    scores, metrics = score_ratings(rate({}), NOTHING)
    assert list(scores.columns) == COLUMNS
    assert scores["group"].dtype == "int64"
    assert metrics.empty
    compared = compare_ratings(scores, metrics, evaluation())
    assert compared.empty
    assert list(compared.columns) == CONTRAST_COLUMNS


def test_the_order_of_rows_does_not_matter() -> None:
    ratings = pd.concat([rate({"anna": [1, 4, 2, 5], "ben": [2, 4, 2, 3]}), rate({"anna": [5, 5]}, "safety")])
    chosen = choose({"anna": ["arm", "reference", "tie"], "ben": ["arm", "tie", "tie"]})
    once = score_ratings(ratings, chosen)
    turned = score_ratings(ratings.sample(frac=1, random_state=2), chosen.sample(frac=1, random_state=2))
    for expected, found in zip(once, turned, strict=True):
        pd.testing.assert_frame_equal(found, expected)
