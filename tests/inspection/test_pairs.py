"""Single pairs: what a gain is, where it stands, what is compared with what, and what is refused."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from med_lora.errors import InputError
from med_lora.inspection.figures import draw_answer_flags
from med_lora.inspection.pairs import compare_pairs, count_answers, describe_copying, list_losses, rank_parts
from med_lora.inspection.pairs import summarise_gains as summarise
from med_lora.inspection.texts import show_answers, show_pairs
from tests import recipes
from tests.pipelines.reporting.conftest import Table

IDS = ["a", "b", "c", "d"]
SCORES = {
    ("base", "rougeL"): [0.5, 0.4, 0.2, 0.3],
    ("tuned", "rougeL"): [0.1, 0.4, 0.3, 0.6],
    ("echoed_question", "rougeL"): [0.3, 0.3, 0.3, 0.3],
    ("base", "cross_entropy"): [3.0, 3.0, 3.0, 3.0],
    ("tuned", "cross_entropy"): [2.0, 3.5, 1.0, 2.0],
    ("base", "answer_cut"): [0.0, 0.0, 0.0, 1.0],
    ("tuned", "answer_cut"): [0.0, 1.0, 0.0, 1.0],
    ("base", "unsupported_numbers"): [0.0, 0.0, 0.0, 0.0],
    ("tuned", "unsupported_numbers"): [1.0, 1.0, 0.0, 1.0],
    ("gold", "unsupported_numbers"): [1.0, math.nan, 0.0, math.nan],
    ("tuned", "copied_words"): [2.0, 3.0, 4.0, 40.0],
    ("gold", "copied_words"): [2.0, 2.0, 2.0, 5.0],
}


@pytest.fixture
def scores() -> pd.DataFrame:
    rows = [
        (pair, place, arm, metric, values[place])
        for (arm, metric), values in SCORES.items()
        for place, pair in enumerate(IDS)
    ]
    return pd.DataFrame(rows, columns=["id", "group", "arm", "metric", "score"])


@pytest.fixture
def comparison() -> pd.DataFrame:
    rows = [
        ("perplexity", "loss", "lower", None),
        ("cross_entropy", "loss", "lower", None),
        ("rougeL", "overlap", "higher", "echoed_question"),
        ("length_ratio", "conduct", "neither", None),
    ]
    return pd.DataFrame(rows, columns=["metric", "family", "better", "best_control"])


@pytest.fixture
def traits() -> pd.DataFrame:
    return pd.DataFrame({"id": IDS, "dimension": "source", "level": ["x", "x", "y", "y"]})


def compare(scores: pd.DataFrame, comparison: pd.DataFrame, traits: pd.DataFrame, *exclude: Any) -> pd.DataFrame:
    return compare_pairs(scores, comparison, traits, recipes.evaluation(exclude=list(exclude)))


def column(table: pd.DataFrame, metric: str, name: str) -> dict[str, float]:
    of_metric = table[table["metric"] == metric]
    return dict(zip(of_metric["id"], of_metric[name], strict=True))


def test_more_is_better_whichever_way_the_metric_runs(
    scores: pd.DataFrame, comparison: pd.DataFrame, traits: pd.DataFrame
) -> None:
    table = compare(scores, comparison, traits)
    assert column(table, "rougeL", "gain") == {"a": -0.4, "b": 0.0, "c": 0.1, "d": 0.3}
    assert column(table, "cross_entropy", "gain") == {"a": 1.0, "b": -0.5, "c": 2.0, "d": 1.0}
    assert [*dict.fromkeys(table["metric"])] == ["cross_entropy", "rougeL"]


def test_place_is_the_share_of_pairs_that_gained_less(
    scores: pd.DataFrame, comparison: pd.DataFrame, traits: pd.DataFrame
) -> None:
    table = compare(scores, comparison, traits)
    assert column(table, "rougeL", "place") == {"a": 12.5, "b": 37.5, "c": 62.5, "d": 87.5}
    assert column(table, "cross_entropy", "place") == {"b": 12.5, "a": 50.0, "d": 50.0, "c": 87.5}


def test_the_best_control_is_compared_where_there_is_one(
    scores: pd.DataFrame, comparison: pd.DataFrame, traits: pd.DataFrame
) -> None:
    table = compare(scores, comparison, traits)
    assert column(table, "rougeL", "over_control") == pytest.approx({"a": -0.2, "b": 0.1, "c": 0.0, "d": 0.3})
    assert table.loc[table["metric"] == "cross_entropy", "over_control"].isna().all()


def test_pairs_keep_number_traits_and_flags_and_excluded_ones_go(
    scores: pd.DataFrame, comparison: pd.DataFrame, traits: pd.DataFrame
) -> None:
    table = compare(scores, comparison, traits, "answer_cut")
    assert column(table, "rougeL", "pair") == {"a": 1, "c": 3}
    assert column(table, "cross_entropy", "pair") == {"a": 1, "b": 2, "c": 3, "d": 4}
    assert column(table, "rougeL", "source") == {"a": "x", "c": "y"}
    assert column(table, "rougeL", "unsupported_numbers") == {"a": 1.0, "c": 0.0}
    assert column(table, "rougeL", "group") == {"a": 0, "c": 2}


def test_the_order_of_rows_changes_nothing(
    scores: pd.DataFrame, comparison: pd.DataFrame, traits: pd.DataFrame
) -> None:
    mixed = compare(scores.sample(frac=1, random_state=1), comparison, traits.sample(frac=1, random_state=2))
    pd.testing.assert_frame_equal(mixed, compare(scores, comparison, traits))


def test_scores_of_another_run_than_the_traits_are_refused(
    scores: pd.DataFrame, comparison: pd.DataFrame, traits: pd.DataFrame
) -> None:
    with pytest.raises(InputError, match=r"different test pairs.*run `kedro run` to its end"):
        compare(scores, comparison, traits[:3])


def test_spread_of_the_gains(scores: pd.DataFrame, comparison: pd.DataFrame, traits: pd.DataFrame) -> None:
    loss, rouge = summarise(compare(scores, comparison, traits)).to_dict("records")
    assert rouge == pytest.approx(
        {"metric": "rougeL", "pairs": 4, "mean": 0.0, "worst": -0.4, "p5": -0.4, "median": 0.0}
        | {"worse_than_base": 0.25, "not_over_control": 0.5}
    )
    assert loss["worse_than_base"] == 0.25
    assert math.isnan(loss["not_over_control"])


@pytest.mark.parametrize(
    ("metric", "order", "bounds"),
    [("rougeL", ["x", "y"], [(-0.3, 0.1), (0.1, 0.3)]), ("cross_entropy", ["y", "x"], [(-0.3, -0.1), (-0.1, 0.3)])],
)
def test_parts_with_the_least_gain_come_first(
    comparison: pd.DataFrame, metric: str, order: list[str], bounds: list[tuple[float, float]]
) -> None:
    rows = [("source", "y", metric, 9, 5, 0.2, 0.1, 0.3, 0.5), ("source", "x", metric, 9, 5, -0.1, -0.3, 0.1, 1.0)]
    names = ["dimension", "level", "metric", "n", "groups", "difference", "difference_low", "difference_high", "p_holm"]
    ranked = rank_parts(pd.DataFrame(rows, columns=names), comparison, metric)
    assert list(ranked["level"]) == order
    assert list(zip(ranked["low"], ranked["high"], strict=True)) == bounds


def test_a_metric_that_no_part_has_is_refused_with_those_there_are(comparison: pd.DataFrame) -> None:
    with pytest.raises(InputError, match="set `metric` to one of rougeL, chrf"):
        rank_parts(pd.DataFrame({"metric": ["rougeL", "chrf", "rougeL"]}), comparison, "bleu")


def test_parts_of_another_run_than_the_comparison_are_refused(comparison: pd.DataFrame) -> None:
    """Which way a metric runs is not guessed."""
    with pytest.raises(InputError, match=r"subgroups hold 'chrf' and the comparison does not"):
        rank_parts(pd.DataFrame({"metric": ["chrf"]}), comparison, "chrf")


def test_a_comparison_without_a_metric_of_pairs_is_refused(
    scores: pd.DataFrame, comparison: pd.DataFrame, traits: pd.DataFrame
) -> None:
    with pytest.raises(InputError, match="no metric of single pairs; run `kedro run`"):
        compare(scores, comparison[comparison["family"] == "conduct"], traits)


def test_no_flag_is_no_row_and_an_empty_figure(scores: pd.DataFrame) -> None:
    counts = count_answers(scores[scores["metric"] == "rougeL"])
    assert list(counts.columns) == ["flag", "pairs", "base", "tuned", "new"]
    assert counts.empty
    assert draw_answer_flags(counts).layout.meta["caption"].startswith("No answer was checked")


def test_flags_are_counted_by_arm_and_those_that_came_with_tuning(scores: pd.DataFrame) -> None:
    counts = count_answers(scores).set_index("flag")
    assert list(counts.index) == ["answer_cut", "unsupported_numbers"]
    assert counts.loc["answer_cut", ["pairs", "base", "tuned", "new", "gold", "gold_pairs"]].tolist() == [
        4,
        1,
        2,
        1,
        0,
        0,
    ]
    assert counts.loc["unsupported_numbers", ["tuned", "new", "gold", "gold_pairs"]].tolist() == [3, 3, 1, 2]


def test_copied_runs_stand_beside_those_of_references(scores: pd.DataFrame) -> None:
    assert describe_copying(scores).to_dict("records") == [
        {"arm": "tuned", "answers": 4, "median": 3, "p95": 40, "longest": 40},
        {"arm": "gold", "answers": 4, "median": 2, "p95": 5, "longest": 5},
    ]


def test_losses_are_listed_by_pair(scores: pd.DataFrame) -> None:
    assert list_losses(scores).to_dict("list") == {
        "id": IDS,
        "base": [3.0, 3.0, 3.0, 3.0],
        "tuned": [2.0, 3.5, 1.0, 2.0],
    }


def test_numbers_from_nowhere_stand_beside_the_answers() -> None:
    test = Table(pd.DataFrame({"id": ["a", "b"], "question": ["How much?", "Why 12?"], "answer": ["5 mg.", "So."]}))
    answers = {"tuned": pd.DataFrame({"id": ["b", "a"], "answer": ["12 or 7.5 times", "5 mg"]})}
    shown = show_answers(["b", "a"], test, answers)
    assert shown["tuned"].tolist() == ["12 or 7.5 times", "5 mg"]
    assert shown["unsupported"].tolist() == ["7.5", ""]
    with pytest.raises(InputError, match="other pairs than tuned"):
        show_answers(["a"], test, {"tuned": answers["tuned"][:1]})


def test_the_first_pairs_of_each_corpus_are_shown() -> None:
    rows = {"id": ["m:2", "m:1", "w:1"], "corpus": ["m", "m", "w"], "question": list("qqq"), "answer": list("xyz")}
    shown = show_pairs({"train": Table(pd.DataFrame(rows)), "test": Table(pd.DataFrame(rows)[:1])}, 1)
    assert shown[["split", "id"]].to_numpy().tolist() == [["train", "m:1"], ["train", "w:1"], ["test", "m:2"]]
