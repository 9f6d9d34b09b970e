"""The judge's agreement with people, and the test pairs on which tracks are furthest apart."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest

from med_lora.pipelines.divergence.agreement import (
    AGREEMENT_COLUMNS,
    DISAGREEMENT_COLUMNS,
    find_disagreements,
    judge_people_agreement,
)
from med_lora.pipelines.divergence.track_scores import gather_tracks
from med_lora.statistics.agreement import kappa_sums
from tests.pipelines.divergence.tracks import draw_tracks, make_track
from tests.recipes import evaluation


def test_agreement_on_the_axes_that_both_rated() -> None:
    generator = np.random.default_rng(1)
    judged = generator.integers(2, 11, size=(20, 2)) / 2  # means of two repeats, not rounded
    people = np.clip(judged + generator.integers(-1, 2, size=(20, 2)) / 2, 1, 5)
    wins = np.array([0.0, 0.5, 1.0, 1.0] * 5)
    preferences = np.stack([1 - wins, wins], axis=1)
    judge = make_track("judge", {"judge_accuracy": judged, "judge_criteria": judged, "judge_preference": preferences})
    rated = make_track("people", {"people_accuracy": people, "people_trust": people, "people_preference": preferences})
    found = judge_people_agreement(judge.scores, rated.scores, evaluation())
    assert list(found.columns) == AGREEMENT_COLUMNS
    assert list(found["axis"]) == ["accuracy", "preference"]
    assert list(found["n"]) == [40, 20]
    from scipy.stats import spearmanr

    accuracy, preference = found.to_dict("records")
    assert accuracy["quadratic_kappa"] == pytest.approx(kappa_sums(judged.ravel(), people.ravel()).value)
    assert accuracy["spearman"] == pytest.approx(spearmanr(judged.ravel(), people.ravel())[0])
    assert accuracy["low"] < accuracy["quadratic_kappa"] < accuracy["high"]
    assert accuracy["spearman_low"] < accuracy["spearman"] < accuracy["spearman_high"]
    assert (preference["quadratic_kappa"], preference["spearman"]) == pytest.approx((1, 1))


def test_a_judge_who_orders_as_people_do_but_scores_higher_has_the_lower_kappa() -> None:
    values = np.random.default_rng(2).integers(1, 4, size=(20, 2)).astype(float)
    judge = make_track("judge", {"judge_accuracy": values + 2})
    rated = make_track("people", {"people_accuracy": values})
    found = judge_people_agreement(judge.scores, rated.scores, evaluation()).iloc[0]
    assert found["spearman"] == pytest.approx(1)
    assert found["quadratic_kappa"] < 0.5


def test_controls_do_not_raise_the_agreement() -> None:
    generator = np.random.default_rng(3)
    judge = make_track("judge", {"judge_accuracy": generator.integers(1, 6, size=(20, 2)).astype(float)}).scores
    rated = make_track("people", {"people_accuracy": generator.integers(1, 6, size=(20, 2)).astype(float)}).scores
    once = judge_people_agreement(judge, rated, evaluation())
    with_floor = [
        pd.concat([scores, scores[scores["arm"] == "base"].assign(arm="empty_answer", score=1.0)])
        for scores in (judge, rated)
    ]
    pd.testing.assert_frame_equal(judge_people_agreement(*with_floor, evaluation()), once)


@pytest.mark.filterwarnings("error")
def test_a_constant_judge_and_few_groups_are_remarked_on() -> None:
    rated = make_track("people", {"people_accuracy": np.array([[1.0, 2], [3, 4], [5, 1]])})
    judge = make_track("judge", {"judge_accuracy": np.full((3, 2), 3.0)})
    found = judge_people_agreement(judge.scores, rated.scores, evaluation()).iloc[0]
    assert found["quadratic_kappa"] == pytest.approx(0)
    assert np.isnan(found["spearman"])
    assert found["note"] == "3 groups, and a rank correlation needs 4; the same score throughout by the judge"


def test_nobody_rated_is_an_empty_table() -> None:
    _, judged = draw_tracks(5, 1)
    found = judge_people_agreement(judged.scores, make_track("people", {}).scores, evaluation())
    assert found.empty
    assert list(found.columns) == AGREEMENT_COLUMNS


def test_the_largest_gap_of_ranks_comes_first() -> None:
    gains = np.array([0.1, 0.2, 0.3, 0.4])
    opinions = np.array([2.0, 1.0, 3.0, -1.0])
    texts = make_track("overlap", {"rougeL": np.stack([gains * 0, gains], axis=1)})
    judged = make_track("judge", {"judge_accuracy": np.stack([opinions * 0, opinions], axis=1)})
    found = find_disagreements(gather_tracks(*texts, *judged))
    assert list(found.columns) == DISAGREEMENT_COLUMNS
    assert found.to_numpy().tolist() == [
        ["test:003", "lexical", "judge", 1, 4, 3],  # the text metric says that tuning helped most, the judge least
        ["test:000", "lexical", "judge", 4, 2, 2],
        ["test:002", "lexical", "judge", 2, 1, 1],
        ["test:001", "lexical", "judge", 3, 3, 0],
    ]


def test_metrics_of_a_track_count_alike_whatever_their_scale() -> None:
    generator = np.random.default_rng(3)
    small, large, opinions = generator.normal(size=(3, 8, 2))
    judged = make_track("judge", {"judge_accuracy": opinions})
    once = find_disagreements(gather_tracks(*make_track("overlap", {"rougeL": small, "bleu": large}), *judged))
    scaled = find_disagreements(gather_tracks(*make_track("overlap", {"rougeL": small, "bleu": 100 * large}), *judged))
    pd.testing.assert_frame_equal(once, scaled)


def test_metrics_whose_floor_the_judge_fails_are_not_ranked() -> None:
    texts, judged = draw_tracks(12, 4)
    metrics = judged.metrics
    alone = find_disagreements(gather_tracks(*texts, judged.scores, metrics[metrics["name"] == "judge_accuracy"]))
    summary = {"nothing_said": ["judge_relevance"], "floors_unclear": ["judge_accuracy"]}
    pd.testing.assert_frame_equal(find_disagreements(gather_tracks(*texts, *judged), summary), alone)
    assert not find_disagreements(gather_tracks(*texts, *judged)).equals(alone)
    none = find_disagreements(gather_tracks(*texts, *judged), {"nothing_said": list(metrics["name"])})
    assert none.empty
    assert list(none.columns) == DISAGREEMENT_COLUMNS


def test_ties_are_ordered_by_id_and_rows_may_come_in_any_order() -> None:
    texts, judged = draw_tracks(12, 4)
    found = find_disagreements(gather_tracks(*texts, *judged))
    ties = found.groupby("gap")["id"].apply(list)
    assert any(len(ids) > 1 for ids in ties)
    assert all(ids == sorted(ids) for ids in ties)
    turned = texts._replace(scores=texts.scores.sample(frac=1, random_state=1))
    pd.testing.assert_frame_equal(find_disagreements(gather_tracks(*turned, *judged)), found)


def test_only_pairs_of_both_tracks_are_ranked() -> None:
    texts, judged = draw_tracks(12, 5)
    drawn = judged.scores[judged.scores["id"] < "test:004"]
    found = find_disagreements(gather_tracks(*texts, drawn, judged.metrics))
    assert set(found["id"]) == {"test:000", "test:001", "test:002", "test:003"}
    assert found["first_rank"].max() <= 4
    nobody = make_track("people", {})
    assert find_disagreements(gather_tracks(*texts, None, None, *nobody)).empty
