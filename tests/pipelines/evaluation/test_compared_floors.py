"""What the arms are held against: null controls, and the references scored as answers."""

from __future__ import annotations

import math
from dataclasses import replace

import pandas as pd
import pytest

from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.comparison.arms import compare_arms
from med_lora.pipelines.evaluation.controls.nearest import copy_nearest

from .tables import OVERLAP, TESTED, Tables, make_answers


def test_an_arm_that_only_copies_is_told_so(tables: Tables, evaluation: EvaluationParams) -> None:
    pairs = tables.test.frame
    copied = [texts[0] for texts in copy_nearest(list(pairs["question"]), tables.train.frame, 1)]
    comparison, controls = replace(tables, tuned_answers=make_answers(pairs["id"], copied)).compare(evaluation)
    for metric in OVERLAP:
        assert "nearest_training_answer" in comparison.loc[metric, "unbeaten_controls"].split(", ")
        assert controls.loc[("nearest_training_answer", metric), "tuned_difference_low"] == pytest.approx(0, abs=1e-9)
    assert pd.isna(comparison.loc["perplexity", "unbeaten_controls"])


def test_an_arm_that_beats_every_control_is_not_told_otherwise(tables: Tables, evaluation: EvaluationParams) -> None:
    comparison, controls = tables.compare(evaluation)
    rivals = controls.xs("rouge1", level="metric")
    row = comparison.loc["rouge1"]
    best = rivals.loc[row["best_control"]]
    assert best["mean"] == rivals["mean"].max() == row["best_control_mean"]
    assert (best["low"], best["high"]) == (row["best_control_low"], row["best_control_high"])
    assert row["unbeaten_controls"] == ""
    assert (rivals["tuned_difference_low"] > 0).all()
    assert comparison.loc["exact_match", "unbeaten_controls"]  # its first word is always wrong


def test_references_scored_as_answers_are_the_floor(tables: Tables, evaluation: EvaluationParams) -> None:
    comparison, controls = tables.compare(evaluation)
    assert comparison.loc["length_ratio", ["gold", "gold_low", "gold_high"]].to_list() == pytest.approx([1, 1, 1])
    assert comparison.loc[TESTED, ["gold", "gold_low", "gold_high"]].isna().all(axis=None)
    assert "gold" not in set(controls.index.unique(0))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("scored", [0, 4])
def test_the_floor_is_that_of_the_references_that_have_a_score(
    scored: int, tables: Tables, evaluation: EvaluationParams
) -> None:
    scores, metrics = tables.score(evaluation)
    ids = sorted(tables.test.frame["id"])
    gold = (scores["arm"] == "gold") & (scores["metric"] == "length_ratio")
    values = scores["id"].map({pair: place if place < scored else math.nan for place, pair in enumerate(ids)})
    scores = scores.assign(score=scores["score"].where(~gold, values))
    found, _ = compare_arms(scores, metrics, tables.base_losses, tables.tuned_losses, evaluation)
    row = found.set_index("metric").loc["length_ratio"]
    assert row["n"] == 7
    assert row["gold"] == pytest.approx(1.5 if scored else math.nan, nan_ok=True)
    assert row["note"] == ("4 of 7 references have a score of their own" if scored else "")
    expected = tables.compare(evaluation)[0].loc["length_ratio"]
    assert (row["tuned"], row["tuned_low"]) == (expected["tuned"], expected["tuned_low"])
