"""The arms on each kind of test pair: what is counted, tested, corrected and said."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
import pytest
from scipy.stats import wilcoxon

from med_lora.metrics.definition import Metric, tabulate_metrics
from med_lora.pipelines.evaluation.comparison.subgroups import compare_subgroups
from tests.recipes import evaluation

METRICS = tabulate_metrics(
    [
        Metric("perplexity", "loss", "lower", True, "of sums"),
        Metric("cross_entropy", "loss", "lower", False, "nats a token"),
        Metric("rouge1", "overlap", "higher", True, "rouge"),
        Metric("choice_accuracy", "choice", "higher", True, "choices"),
        Metric("length_ratio", "overlap", "neither", False, "words"),
        Metric("bert_f1", "meaning", "higher", True, "encoder", "its package is missing"),
        Metric("answer_empty", "flag", "lower", False, "empty ones"),
    ]
)
COLUMNS = [
    "dimension",
    "level",
    "metric",
    "n",
    "groups",
    "excluded",
    "base",
    "tuned",
    "difference",
    "difference_low",
    "difference_high",
    "best_control",
    "best_control_mean",
    "p_value",
    "p_holm",
    "note",
]
COUNT = 24


def tables(**changes: Any) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Scores of 24 pairs in groups of two, and their traits: 16 clean and 8 near, all of one source."""
    generator = np.random.default_rng(0)
    ids = [f"t:{number:02d}" for number in range(COUNT)]
    rows = []
    for arm, shift in (("base", 0.0), ("tuned", 0.3)):
        values = {
            "cross_entropy": 3 + generator.random(COUNT) - shift,
            "rouge1": generator.random(COUNT) + shift,
            "length_ratio": generator.random(COUNT),
            "answer_empty": np.zeros(COUNT),
        } | changes.get(arm, {})
        for metric, scores in values.items():
            rows.append(pd.DataFrame({"id": ids, "arm": arm, "metric": metric, "score": scores}))
    scores = pd.concat(rows, ignore_index=True).dropna()
    scores.insert(1, "group", scores["id"].str[2:].astype(int) // 2)
    overlap = pd.DataFrame({"id": ids, "dimension": "overlap", "level": ["clean"] * 16 + ["near"] * 8})
    source = pd.DataFrame({"id": ids, "dimension": "source", "level": "medquad"})
    return scores, pd.concat([source, overlap], ignore_index=True)


def compare(scores: pd.DataFrame, traits: pd.DataFrame, **changes: Any) -> pd.DataFrame:
    table = compare_subgroups(scores, METRICS, traits, evaluation(**changes))
    assert list(table.columns) == COLUMNS
    return table.set_index(["dimension", "level", "metric"])


def test_tested_metrics_with_scores_have_a_row_in_every_level() -> None:
    subgroups = compare(*tables())
    assert list(subgroups.index) == [
        (dimension, level, metric)
        for dimension, level in (("source", "medquad"), ("overlap", "near"), ("overlap", "clean"))
        for metric in ("cross_entropy", "rouge1")
    ]
    assert list(subgroups["n"]) == [24, 24, 8, 8, 16, 16]
    assert list(subgroups["groups"]) == [12, 12, 4, 4, 8, 8]
    assert not subgroups["note"].any()


def test_a_level_is_compared_over_its_own_pairs_and_groups() -> None:
    scores, traits = tables()
    row = compare(scores, traits).loc[("overlap", "near", "rouge1")]
    near = scores[(scores["metric"] == "rouge1") & (scores["id"] >= "t:16")]
    wide = near.pivot(index="id", columns="arm", values="score")
    assert row["base"] == pytest.approx(wide["base"].mean())
    assert row["tuned"] == pytest.approx(wide["tuned"].mean())
    assert row["difference"] == pytest.approx(row["tuned"] - row["base"])
    assert row["difference_low"] < row["difference"] < row["difference_high"]
    of_groups = (wide["tuned"] - wide["base"]).to_numpy().reshape(4, 2).mean(axis=1)
    assert row["p_value"] == pytest.approx(wilcoxon(of_groups).pvalue)


def test_the_correction_is_over_the_whole_table() -> None:
    subgroups = compare(*tables())
    smallest = subgroups["p_value"].min()
    assert subgroups["p_holm"].min() == pytest.approx(6 * smallest)
    assert (subgroups["p_holm"] >= subgroups["p_value"]).all()


def test_excluded_pairs_leave_the_text_metrics_and_stay_in_the_losses() -> None:
    empty = np.zeros(COUNT)
    empty[[0, 1, 16]] = 1
    scores, traits = tables(tuned={"answer_empty": empty})
    subgroups = compare(scores, traits)
    assert subgroups.loc[("overlap", "clean", "rouge1"), ["n", "groups"]].tolist() == [14, 7]
    assert subgroups.loc[("overlap", "near", "rouge1"), ["n", "groups"]].tolist() == [7, 4]
    assert subgroups.loc[("overlap", "clean", "cross_entropy"), ["n", "groups"]].tolist() == [16, 8]
    kept = compare(scores, traits, exclude=[])
    assert kept.loc[("overlap", "clean", "rouge1"), "n"] == 16


def test_a_metric_counts_where_both_arms_have_it() -> None:
    choices = {"base": np.full(COUNT, math.nan), "tuned": np.full(COUNT, math.nan)}
    choices["base"][:6], choices["tuned"][:5] = 0.0, 1.0
    subgroups = compare(*tables(**{arm: {"choice_accuracy": values} for arm, values in choices.items()}))
    row = subgroups.loc[("overlap", "clean", "choice_accuracy")]
    assert row[["n", "groups", "base", "tuned", "difference"]].tolist() == [5, 3, 0.0, 1.0, 1.0]
    absent = subgroups.loc[("overlap", "near", "choice_accuracy")]
    assert absent["n"] == absent["groups"] == 0
    assert absent[["base", "tuned", "difference", "difference_low", "p_value", "p_holm"]].isna().all()
    assert "no pair has this score" in absent["note"]
    assert subgroups["p_holm"].min() == pytest.approx(8 * subgroups["p_value"].min())


@pytest.mark.parametrize(("pairs", "note"), [(2, "all 2 pairs are of one group"), (1, "only one pair")])
def test_a_level_of_one_group_has_values_and_no_interval(pairs: int, note: str) -> None:
    scores, traits = tables()
    traits.loc[(traits["dimension"] == "overlap") & traits["id"].isin(["t:00", "t:01"][:pairs]), "level"] = "exact"
    row = compare(scores, traits).loc[("overlap", "exact", "rouge1")]
    assert row["n"] == pairs
    assert row["groups"] == 1
    assert math.isfinite(row["difference"])
    assert row[["difference_low", "difference_high", "p_value", "p_holm"]].isna().all()
    assert note in row["note"]


def test_the_order_of_rows_changes_nothing() -> None:
    scores, traits = tables()
    table = compare(scores, traits)
    shuffled = compare(scores.sample(frac=1, random_state=2), traits.sample(frac=1, random_state=3))
    pd.testing.assert_frame_equal(shuffled, table, check_exact=True)


def test_equal_arms_differ_nowhere() -> None:
    same = {"cross_entropy": np.full(COUNT, 2.0), "rouge1": np.linspace(0, 1, COUNT)}
    subgroups = compare(*tables(base=same, tuned=same))
    assert (subgroups[["difference", "difference_low", "difference_high"]] == 0).all(axis=None)
    assert (subgroups["p_value"] == 1).all()


def test_the_best_control_of_each_part_stands_beside_the_arms() -> None:
    scores, traits = tables()
    base = scores[(scores["arm"] == "base") & (scores["metric"] == "rouge1")]
    low, high = base.assign(arm="echoed_question", score=0.1), base.assign(arm="empty_answer", score=0.9)
    high.loc[high["id"] >= "t:16", "score"] = 0.0  # the near ones
    subgroups = compare(pd.concat([scores, low, high]), traits)
    assert tuple(subgroups.loc[("overlap", "clean", "rouge1"), ["best_control", "best_control_mean"]]) == (
        "empty_answer",
        pytest.approx(0.9),
    )
    assert subgroups.loc[("overlap", "near", "rouge1"), "best_control"] == "echoed_question"
    assert subgroups.xs("cross_entropy", level="metric")["best_control"].isna().all()


def test_pairs_that_do_not_count_are_counted() -> None:
    empty = np.zeros(COUNT)
    empty[:3] = 1.0
    subgroups = compare(*tables(tuned={"answer_empty": empty}))
    assert list(subgroups.xs("rouge1", level="metric")["excluded"]) == [3, 0, 3]
    assert list(subgroups.xs("cross_entropy", level="metric")["excluded"]) == [0, 0, 0]
