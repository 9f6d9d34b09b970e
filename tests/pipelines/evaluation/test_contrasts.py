"""Any contrasts by any metrics: which pairs each counts, what it is held against, and tables that lack much."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest

from med_lora.errors import InputError
from med_lora.metrics.definition import Family, Metric, tabulate_metrics
from med_lora.parameters import EvaluationParams
from med_lora.pipelines.evaluation.comparison.arms import compare, compare_arms
from med_lora.pipelines.evaluation.comparison.contrasts import RETRIEVAL, TUNING, Contrast
from med_lora.statistics.paired import holm
from tests import recipes

from .tables import Tables, flag

COLUMNS = [
    *("reference", "arm", "metric", "family", "n", "groups", "excluded", "reference_mean", "reference_low"),
    *("reference_high", "arm_mean", "arm_low", "arm_high", "difference", "difference_low", "difference_high"),
    *("p_value", "p_holm", "better", "rank_biserial", "ratio", "ratio_low", "ratio_high", "detectable"),
    *("pairs_needed", "mann_whitney_p", "mean_of_ratios", "gold", "gold_low", "gold_high", "best_control"),
    *(
        "best_control_mean",
        "best_control_low",
        "best_control_high",
        "unbeaten_controls",
        "missing",
        "signature",
        "note",
    ),
]
FORTH, BACK = Contrast("base", "tuned"), Contrast("tuned", "base")


def rate(arms: dict[str, list[float]], groups: list[int] | None = None, metric: str = "accuracy") -> pd.DataFrame:
    """Scores of pairs p0, p1, ... by arm."""
    parts = [
        pd.DataFrame(
            {
                "id": [f"p{place}" for place in range(len(values))],
                "group": groups or range(len(values)),
                "arm": arm,
                "metric": metric,
                "score": values,
            }
        )
        for arm, values in arms.items()
    ]
    return pd.concat(parts, ignore_index=True)


def describe(family: Family = "judge", name: str = "accuracy") -> pd.DataFrame:
    return tabulate_metrics([Metric(name, family, "higher", True, "made for a test")])


def test_the_only_contrast_has_the_numbers_of_the_comparison(tables: Tables, evaluation: EvaluationParams) -> None:
    scores, metrics = tables.score(evaluation)
    found = compare(scores, metrics, [TUNING], evaluation, tables.losses())
    expected, _ = compare_arms(scores, metrics, tables.base_losses, tables.tuned_losses, evaluation)
    assert list(found.columns) == COLUMNS
    assert set(found["reference"]) == {"base"}
    assert set(found["arm"]) == {"tuned"}
    names = {"base": "reference_mean", "tuned": "arm_mean"}
    names |= {f"base_{end}": f"reference_{end}" for end in ("low", "high")}
    names |= {f"tuned_{end}": f"arm_{end}" for end in ("low", "high")}
    shared = expected.drop(columns=[name for name in expected if "_all" in name]).rename(columns=names)
    pd.testing.assert_frame_equal(found[list(shared.columns)], shared, check_exact=True)


def test_contrasts_come_one_after_the_other_and_are_corrected_together(
    tables: Tables, evaluation: EvaluationParams
) -> None:
    scores, metrics = tables.score(evaluation)
    found = compare(scores, metrics, [FORTH, BACK], evaluation, tables.losses())
    assert list(zip(found["reference"], found["metric"], strict=True)) == [
        (reference, metric) for reference in ("base", "tuned") for metric in metrics["name"]
    ]
    np.testing.assert_array_equal(found["p_holm"], holm(list(found["p_value"])))
    tested = found["p_value"].notna().sum()
    assert found["p_holm"].min() == pytest.approx(min(1, tested * found["p_value"].min()))
    forth, back = (found[found["reference"] == name].reset_index() for name in ("base", "tuned"))
    np.testing.assert_array_equal(forth["difference"], -back["difference"])
    np.testing.assert_allclose(forth["difference_low"], -back["difference_high"])
    np.testing.assert_array_equal(forth["p_value"], back["p_value"])
    assert list(forth["reference_mean"]) == list(back["arm_mean"])


def test_the_numbers_of_a_contrast_are_the_same_beside_others(tables: Tables, evaluation: EvaluationParams) -> None:
    scores, metrics = tables.score(evaluation)
    alone = compare(scores, metrics, [BACK], evaluation, tables.losses()).drop(columns="p_holm")
    beside = compare(scores, metrics, [FORTH, BACK], evaluation, tables.losses()).drop(columns="p_holm")
    pd.testing.assert_frame_equal(beside.tail(len(alone)).reset_index(drop=True), alone, check_exact=True)


def test_controls_are_held_against_the_arm_of_each_contrast() -> None:
    low, high, between = [1.0, 2, 1, 2, 1, 2], [5.0, 4, 5, 5, 4, 5], [3.0, 3, 3, 2.5, 3, 3]
    scores = rate({"base": low, "tuned": high, "some_text": between})
    forth, back = compare(scores, describe(), [FORTH, BACK], recipes.evaluation()).to_dict("records")
    assert forth["best_control"] == back["best_control"] == "some_text"
    assert (forth["unbeaten_controls"], back["unbeaten_controls"]) == ("", "some_text")


def test_other_models_are_no_controls() -> None:
    scores = rate({"base": [1, 2, 3, 4], "tuned": [2, 3, 4, 5], "base_rag": [9, 9, 9, 9], "empty_answer": [1, 1, 1, 1]})
    (row,) = compare(scores, describe(), [TUNING], recipes.evaluation()).to_dict("records")
    assert row["best_control"] == "empty_answer"
    scores["arm"] = scores["arm"].replace("base_rag", "some_text")
    (row,) = compare(scores, describe(), [TUNING], recipes.evaluation()).to_dict("records")
    assert row["best_control"] == row["unbeaten_controls"] == "some_text"


def test_a_control_that_was_not_scored_everywhere_is_named_and_not_held_against_the_arm() -> None:
    arms = {"base": [1.0, 2, 3, 4], "tuned": [2.0, 3, 4, 5], "some_text": [9.0, 9, math.nan, 9]}
    scores = rate(arms | {"empty_answer": [1.0, 1, 1, 1]})
    (row,) = compare(scores, describe(), [TUNING], recipes.evaluation()).to_dict("records")
    assert row["best_control"] == "empty_answer"
    assert row["note"].endswith("; without a score on some of these pairs: some_text")


def test_an_arm_leaves_pairs_out_of_its_own_contrasts_only(tables: Tables, evaluation: EvaluationParams) -> None:
    cut = replace(tables, tuned_answers=flag(tables.tuned_answers, "corpus:03", finish_reason="length"))
    scores, metrics = cut.score(evaluation)
    third = scores[scores["arm"] == "base"].assign(arm="base_rag")
    contrasts = [FORTH, Contrast("base", "base_rag")]
    found = compare(pd.concat([scores, third]), metrics, contrasts, evaluation, tables.losses())
    rows = found.set_index(["arm", "metric"])
    assert (rows.loc[("tuned", "rouge1"), "n"], rows.loc[("tuned", "rouge1"), "excluded"]) == (6, 1)
    assert (rows.loc[("base_rag", "rouge1"), "n"], rows.loc[("base_rag", "rouge1"), "excluded"]) == (7, 0)
    assert rows.loc[("tuned", "rouge1"), "reference_mean"] != rows.loc[("base_rag", "rouge1"), "reference_mean"]
    assert rows.loc[("base_rag", "perplexity"), "note"] == "no pair has a score of both arms"  # no losses of it


@pytest.mark.parametrize(("family", "left"), [("judge", 5), ("people", 5), ("grounding", 3), ("overlap", 3)])
def test_ratings_count_answers_as_they_are_and_metrics_of_text_do_not(family: Family, left: int) -> None:
    scores = rate({"base": [1, 2, 3, 4, 5], "tuned": [2, 3, 4, 5, 5]})
    cut = rate({"base": [0, 1, 0, 0, 0], "tuned": [0, 0, 0, 1, 0]}, metric="answer_cut")
    evaluation = recipes.evaluation(exclude=["answer_cut"])
    (row,) = compare(pd.concat([scores, cut]), describe(family), [TUNING], evaluation).to_dict("records")
    assert (row["n"], row["excluded"]) == (left, 5 - left)


@pytest.mark.filterwarnings("error")
def test_only_pairs_with_a_rating_of_both_arms_count() -> None:
    from scipy.stats import wilcoxon

    base, tuned = [1.0, 5, 2, 2, math.nan, 1, 3, 2], [2.0, 3, 5, 2.5, 4, math.nan, 3.5, 4]
    scores = rate({"base": base, "tuned": tuned, "gold": [5.0] * 7 + [math.nan]})
    evaluation = recipes.evaluation(exclude=["answer_cut", "answer_empty"])  # which no row of scores is about
    found = compare(scores, describe(), [TUNING], evaluation)
    (row,) = found.to_dict("records")
    differences = np.array([1, -2, 3, 0.5, 0.5, 2])
    assert (row["n"], row["groups"], row["excluded"]) == (6, 6, 0)
    assert row["difference"] == pytest.approx(differences.mean())
    assert row["p_value"] == wilcoxon(differences).pvalue
    assert row["gold"] == 5
    assert row["note"].startswith("6 of 8 pairs have a score; ")
    pd.testing.assert_frame_equal(compare(scores.dropna(), describe(), [TUNING], evaluation), found, check_exact=True)


@pytest.mark.filterwarnings("error")
def test_what_nothing_varies_in_is_said_to_be_alike() -> None:
    scores = rate({"base": [3.0] * 6, "tuned": [3.0] * 6, "gold": [3.0] * 6, "empty_answer": [3.0] * 6})
    (row,) = compare(scores, describe(), [TUNING], recipes.evaluation()).to_dict("records")
    assert (row["difference"], row["difference_low"], row["difference_high"]) == (0, 0, 0)
    assert (row["p_value"], row["mann_whitney_p"]) == (1, 1)
    assert math.isnan(row["detectable"])
    assert "the arms score alike in every group" in row["note"]
    assert row["unbeaten_controls"] == "empty_answer"


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("groups", [[0, 0, 0, 1], [0, 0, 0, 0]])
def test_few_groups_give_what_they_can(groups: list[int]) -> None:
    scores = rate({"base": [1.0, 2, 3, 4], "tuned": [2.0, 4, 3, 5]}, groups)
    (row,) = compare(scores, describe(), [TUNING], recipes.evaluation()).to_dict("records")
    two = len(set(groups)) == 2
    assert math.isnan(row["p_value"]) != two
    assert row["arm_mean"] == pytest.approx(3.5 if two else math.nan, nan_ok=True)
    reason = "2 groups cannot give p < 0.05" if two else "all 4 pairs are of one group"
    assert row["note"].startswith(reason)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("metrics", [tabulate_metrics([]), describe()])
def test_no_score_at_all_gives_a_table_without_numbers(metrics: pd.DataFrame) -> None:
    nothing = rate({"base": [], "tuned": []})
    found = compare(nothing, metrics, [TUNING], recipes.evaluation())
    assert list(found.columns) == COLUMNS
    assert list(found["metric"]) == list(metrics["name"])
    assert list(found["note"]) == ["no pair has a score of both arms"] * len(metrics)


def test_arms_that_are_not_there_keep_their_rows() -> None:
    scores = rate({"base": [1, 2, 3, 4], "tuned": [2, 3, 4, 5]})
    found = compare(scores, describe(), [TUNING, *RETRIEVAL], recipes.evaluation())
    assert list(found["n"]) == [4, 0, 0, 0, 0]
    assert found["p_holm"][0] == found["p_value"][0]  # what is not tested costs nothing
    assert found["arm_mean"].iloc[1:].isna().all()


def test_losses_of_other_pairs_are_refused(tables: Tables, evaluation: EvaluationParams) -> None:
    scores, metrics = tables.score(evaluation)
    losses = tables.losses() | {"base_rag": tables.base_losses.iloc[1:]}
    with pytest.raises(InputError, match=r"base_rag_losses is not about the 7 pairs"):
        compare(scores, metrics, [TUNING], evaluation, losses)
