"""Correlations of tracks: against scipy, on scores with a known relation, and where there are too few."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
import pytest

from med_lora.metrics.definition import Metric, tabulate_metrics
from med_lora.pipelines.divergence.correlations import COLUMNS, correlate_tracks
from med_lora.pipelines.divergence.track_scores import gather_tracks
from med_lora.statistics.correlation import detectable_correlation
from med_lora.statistics.paired import holm
from tests.pipelines.divergence.tracks import Track, draw_tracks, make_track
from tests.recipes import evaluation

PAIRS = [("rougeL", "judge_accuracy"), ("rougeL", "judge_relevance")]
PAIRS += [("bleu", "judge_accuracy"), ("bleu", "judge_relevance")]


def wide(track: Track) -> pd.DataFrame:
    return track.scores.pivot(index="id", columns=["metric", "arm"], values="score")


def difference(track: Track, metric: str) -> np.ndarray:
    table = wide(track)
    return (table[metric, "tuned"] - table[metric, "base"]).round(9).to_numpy()


def test_every_two_metrics_of_different_tracks_are_correlated_on_both_bases() -> None:
    from scipy.stats import kendalltau, spearmanr

    texts, judged = draw_tracks(30, 1, shared=0.5)
    found = correlate_tracks(gather_tracks(*texts, *judged), evaluation())
    assert list(found.columns) == COLUMNS
    assert list(zip(found["first"], found["second"], strict=True)) == PAIRS * 2
    assert list(found["basis"]) == ["difference"] * 4 + ["score"] * 4
    assert list(found["n"]) == [30] * 4 + [60] * 4
    assert set(found["groups"]) == {30}
    rows = found.set_index(["basis", "first", "second"])
    for first, second in PAIRS:
        row = rows.loc[("difference", first, second)]
        values = difference(texts, first), difference(judged, second)
        assert row["spearman"] == pytest.approx(spearmanr(*values)[0])
        assert row["kendall"] == pytest.approx(kendalltau(*values)[0])
        of_answers = [wide(track)[name].to_numpy().ravel() for track, name in ((texts, first), (judged, second))]
        assert rows.loc[("score", first, second), "spearman"] == pytest.approx(spearmanr(*of_answers)[0])
    assert list(found["p_holm"]) == pytest.approx(holm(list(found["p_value"])))
    assert set(found["detectable"]) == {detectable_correlation(30, 0.8, 0.05)}
    assert (found["low"] < found["spearman"]).all()
    assert (found["spearman"] < found["high"]).all()


def test_a_strong_relation_is_shown_and_none_is_not() -> None:
    related = correlate_tracks(
        gather_tracks(*draw_tracks(60, 2, shared=0.9)[0], *draw_tracks(60, 2, shared=0.9)[1]), evaluation()
    )
    assert (related["p_holm"] < 0.05).all()
    assert (related["low"] > 0).all()
    texts, judged = draw_tracks(60, 3)
    assert (correlate_tracks(gather_tracks(*texts, *judged), evaluation())["p_holm"] > 0.05).all()


def test_an_arm_that_scores_higher_in_both_tracks_is_no_relation_of_answers() -> None:
    texts, judged = draw_tracks(40, 4, lexical_gain=2.0, judged_gain=1.5)
    found = correlate_tracks(gather_tracks(*texts, *judged), evaluation())
    answers = found[found["basis"] == "score"]
    assert (answers["low"] > 0).all()  # the pooled answers are correlated, by their arms alone
    assert (answers["p_holm"] > 0.05).all()


def test_people_are_a_track_of_their_own_and_preferences_have_no_score_of_an_answer() -> None:
    texts, judged = draw_tracks(12, 5)
    wins = np.random.default_rng(1).choice([0.0, 0.5, 1.0], size=12)
    rated = make_track("people", {"people_preference": np.stack([1 - wins, wins], axis=1)})
    found = correlate_tracks(gather_tracks(*texts, *judged, *rated), evaluation())
    of_preference = found[found["second"] == "people_preference"]
    assert list(of_preference["first"]) == ["rougeL", "bleu", "judge_accuracy", "judge_relevance"]
    assert set(of_preference["basis"]) == {"difference"}
    without_judge = correlate_tracks(gather_tracks(*texts, None, None, *rated), evaluation())
    assert list(without_judge["first"]) == ["rougeL", "bleu"]


def test_only_pairs_that_both_tracks_scored_count() -> None:
    texts, judged = draw_tracks(30, 6)
    drawn = judged.scores[judged.scores["id"] < "test:020"]
    lost = (drawn["id"] == "test:000") & (drawn["arm"] == "tuned") & (drawn["metric"] == "judge_accuracy")
    found = correlate_tracks(
        gather_tracks(*texts, drawn.assign(score=drawn["score"].mask(lost)), judged.metrics), evaluation()
    )
    counts = dict(zip(zip(found["basis"], found["second"], strict=True), found["n"], strict=True))
    assert counts == {
        ("difference", "judge_accuracy"): 19,
        ("difference", "judge_relevance"): 20,
        ("score", "judge_accuracy"): 38,
        ("score", "judge_relevance"): 40,
    }
    some = correlate_tracks(gather_tracks(*texts, drawn[~lost], judged.metrics), evaluation())
    pd.testing.assert_frame_equal(some, found)  # no row and NaN are both missing, and never 0


def test_relevant_metrics_alone_enter_and_lower_is_turned_over() -> None:
    texts, judged = draw_tracks(12, 7)
    metrics = tabulate_metrics(
        [
            Metric("rougeL", "overlap", "lower", True, ""),
            Metric("bleu", "overlap", "higher", False, ""),
            Metric("meteor", "overlap", "higher", True, "", missing="there is no WordNet"),
            Metric("perplexity", "loss", "lower", True, ""),
        ]
    )
    turned = correlate_tracks(gather_tracks(texts.scores, metrics, *judged), evaluation())
    assert set(turned["first"]) == {"rougeL"}
    straight = correlate_tracks(gather_tracks(*texts, *judged), evaluation())
    straight = straight[straight["first"] == "rougeL"]
    assert list(turned["spearman"]) == pytest.approx([-value for value in straight["spearman"]])


@pytest.mark.filterwarnings("error")
def test_too_few_groups_have_no_correlation_and_say_so() -> None:
    texts, judged = draw_tracks(3, 8)
    found = correlate_tracks(gather_tracks(*texts, *judged), evaluation())
    assert found[["spearman", "low", "high", "kendall", "p_value", "p_holm"]].isna().all(axis=None)
    assert (found["note"] == "3 groups, and a rank correlation needs 4").all()
    four = correlate_tracks(gather_tracks(*draw_tracks(4, 8)[0], *draw_tracks(4, 9)[1]), evaluation())
    assert np.isinf(four["detectable"]).all()
    assert four["note"].str.contains("cannot give p < 0.05|is the same on all").all()


@pytest.mark.filterwarnings("error")
def test_a_judge_who_never_varies_has_no_correlation() -> None:
    texts, _ = draw_tracks(10, 9)
    found = correlate_tracks(
        gather_tracks(*texts, *make_track("judge", {"judge_accuracy": np.full((10, 2), 3.0)})), evaluation()
    )
    assert found["spearman"].isna().all()
    assert (found["note"] == "judge_accuracy is the same on all of them").all()


def test_pairs_of_one_group_count_as_one() -> None:
    groups = np.arange(24) // 2
    generator = np.random.default_rng(10)
    texts = make_track("overlap", {"rougeL": generator.normal(size=(24, 2))}, groups)
    judged = make_track("judge", {"judge_accuracy": generator.normal(size=(24, 2))}, groups)
    found = correlate_tracks(gather_tracks(*texts, *judged), evaluation())
    assert list(found["n"]) == [24, 48]
    assert list(found["groups"]) == [12, 12]
    assert set(found["detectable"]) == {detectable_correlation(12, 0.8, 0.05)}


def test_nothing_rated_is_an_empty_table() -> None:
    texts, _ = draw_tracks(10, 11)
    nobody = make_track("people", {})
    found = correlate_tracks(gather_tracks(*texts, None, None, *nobody), evaluation())
    assert found.empty
    assert list(found.columns) == COLUMNS


def test_the_order_of_rows_does_not_matter() -> None:
    texts, judged = draw_tracks(15, 12, shared=0.5)
    turned = [track._replace(scores=track.scores.sample(frac=1, random_state=1)) for track in (texts, judged)]
    once = correlate_tracks(gather_tracks(*texts, *judged), evaluation())
    pd.testing.assert_frame_equal(correlate_tracks(gather_tracks(*turned[0], *turned[1]), evaluation()), once)


def test_unrelated_tracks_seldom_give_a_false_alarm() -> None:
    alarms = 0
    for seed in range(25):
        texts, judged = draw_tracks(20, 100 + seed, lexical_gain=1.0)
        found = correlate_tracks(gather_tracks(*texts, *judged), evaluation(bootstrap_samples=20))
        alarms += bool((found["p_holm"] < 0.05).any())
    assert alarms / 25 < 0.2  # .05 by Holm, of which more than 4 in 25 have a chance of .007
    assert not math.isnan(found["p_holm"].iloc[0])
