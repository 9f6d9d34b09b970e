"""The judge's answers as scores, and the arms compared by them."""

from __future__ import annotations

import math
from typing import Any

import pandas as pd
import pytest

from med_lora.pipelines.judge.comparison import compare_judged
from med_lora.pipelines.judge.scores import score_judged
from tests import recipes
from tests.pipelines.judge.simulated import USAGE, judge_all, noisy

MISSING = math.nan
# Points of 20 answers of two arms to the same questions, and p-values of scipy 1.17.1, both two-sided: mannwhitneyu
# (ties, so by the normal approximation), and wilcoxon of the 8 differences that are not 0 (exact: 18 of 256 signs).
BASE = [3, 2, 4, 3, 1, 2, 5, 3, 2, 4, 3, 3, 2, 4, 1, 3, 2, 4, 3, 2]
TUNED = [2, 2, 4, 2, 1, 3, 4, 3, 1, 4, 2, 3, 2, 3, 1, 3, 2, 3, 3, 2]
MANN_WHITNEY, WILCOXON = 0.39650693394823044, 0.0703125


def answers(*rows: tuple[Any, ...]) -> pd.DataFrame:
    """Rows of id, task, subject, arm, rival, repeat, points, value."""
    columns = ["id", "task", "subject", "arm", "rival", "repeat", "points", "value"]
    table = pd.DataFrame(rows, columns=columns).astype({"value": "float64"})
    failed = ["timeout" if lost else "" for lost in table["value"].isna()]
    return table.assign(call=range(len(table)), group=table["id"], missing=failed, model="judge-4-0613")


def rated(pair: str, arm: str, repeat: int, value: float, axis: str = "accuracy") -> tuple[Any, ...]:
    return (pair, "axis", axis, arm, "", repeat, 0, value)


def met(pair: str, number: str, points: int, value: float, repeat: int = 0) -> tuple[Any, ...]:
    return (pair, "criterion", number, "base", "", repeat, points, value)


def preferred(pair: str, forward: float, backward: float, repeat: int = 0) -> list[tuple[Any, ...]]:
    """Base shown first, then tuned shown first; 1 is a preference for the first shown."""
    return [
        (pair, "preference", "", "base", "tuned", repeat, 0, forward),
        (pair, "preference", "", "tuned", "base", repeat, 0, backward),
    ]


def find(scores: pd.DataFrame, pair: str, arm: str, metric: str) -> float:
    of = scores[(scores["id"] == pair) & (scores["arm"] == arm) & (scores["metric"] == metric)]
    return float(of["score"].item())


def test_a_score_is_the_mean_of_the_repeats_that_were_answered() -> None:
    table = answers(
        *[rated("a", "base", repeat, value) for repeat, value in enumerate((2.0, 5.0))],
        *[rated("b", "base", repeat, value) for repeat, value in enumerate((4.0, MISSING))],
        *[rated("c", "base", repeat, value) for repeat, value in enumerate((MISSING, MISSING))],
    )
    scores, metrics = score_judged(table, USAGE)
    assert [find(scores, pair, "base", "judge_accuracy") for pair in "ab"] == [3.5, 4.0]
    assert math.isnan(find(scores, "c", "base", "judge_accuracy"))
    assert metrics["signature"].item().endswith("mean of 2 repeats; 3 of 6 answers missing")
    assert metrics["missing"].item() == ""


def test_signature_names_the_judge_its_version_and_the_rubric() -> None:
    signature = score_judged(answers(rated("a", "base", 0, 3.0)), USAGE)[1]["signature"].item()
    assert signature == (
        "judge judge-4 (version judge-4-0613); rubric 0123456789ab; prompt 1; temperature 0; asked once; "
        "0 of 1 answers missing"
    )
    local = USAGE | {"answers_by": "likeliest option"}
    assert (
        "; likeliest option; asked once" in score_judged(answers(rated("a", "base", 0, 3.0)), local)[1]["signature"][0]
    )


def test_an_axis_without_any_answer_is_missing_with_its_reason() -> None:
    table = answers(
        rated("a", "base", 0, MISSING), rated("a", "tuned", 0, MISSING), rated("a", "base", 0, 2.0, "relevance")
    )
    scores, metrics = score_judged(table, USAGE)
    assert list(metrics["missing"]) == ["the judge gave no usable answer (timeout 2)", ""]
    assert scores[scores["metric"] == "judge_accuracy"]["score"].isna().all()


def test_criteria_are_points_earned_of_the_points_to_be_had() -> None:
    table = answers(met("a", "1", 5, 1), met("a", "2", 3, 0), met("a", "3", -4, 1))
    assert find(score_judged(table, USAGE)[0], "a", "base", "judge_criteria") == 1 / 8
    harmful = answers(met("a", "1", 5, 0), met("a", "2", -4, 1))
    assert find(score_judged(harmful, USAGE)[0], "a", "base", "judge_criteria") == 0.0
    repeated = answers(
        met("a", "1", 4, 1), met("a", "1", 4, 0, repeat=1), met("a", "2", 4, 1), met("a", "2", 4, 1, repeat=1)
    )
    assert find(score_judged(repeated, USAGE)[0], "a", "base", "judge_criteria") == 0.75


def test_a_criterion_without_an_answer_leaves_no_score() -> None:
    table = answers(met("a", "1", 5, 1), met("a", "2", 3, MISSING), met("b", "1", 5, 1))
    scores, _ = score_judged(table, USAGE)
    assert math.isnan(find(scores, "a", "base", "judge_criteria"))
    assert find(scores, "b", "base", "judge_criteria") == 1.0


@pytest.mark.parametrize(
    ("forward", "backward", "tuned"),
    [(2, 1, 1.0), (1, 2, 0.0), (1, 1, 0.5), (2, 2, 0.5), (0, 0, 0.5), (2, 0, 0.5), (0, 2, 0.5)],
)
def test_a_preference_counts_if_both_orders_agree(forward: float, backward: float, tuned: float) -> None:
    scores, _ = score_judged(answers(*preferred("a", forward, backward)), USAGE)
    assert find(scores, "a", "tuned", "judge_preference") == tuned
    assert find(scores, "a", "base", "judge_preference") == 1 - tuned


def test_a_preference_is_the_mean_of_the_repeats_with_both_orders() -> None:
    table = answers(
        *preferred("a", 2, 1),
        *preferred("a", 1, 1, repeat=1),
        *preferred("a", 1, MISSING, repeat=2),
        *preferred("b", MISSING, 1),
    )
    scores, _ = score_judged(table, USAGE)
    assert find(scores, "a", "tuned", "judge_preference") == 0.75
    assert math.isnan(find(scores, "b", "tuned", "judge_preference"))


def test_the_known_pair_gives_no_score_of_an_arm() -> None:
    judged, _ = judge_all(noisy(), items=3)
    scores, _ = score_judged(judged, USAGE)
    assert set(scores[scores["metric"] == "judge_preference"]["arm"]) == {"base", "tuned"}
    assert {"gold", "shuffled_reference", "asks_for_5"} < set(scores[scores["metric"] == "judge_accuracy"]["arm"])


def test_the_order_of_the_answers_does_not_matter() -> None:
    judged, _ = judge_all(noisy(), items=5)
    shuffled = judged.sample(frac=1, random_state=1)
    for one, two in zip(score_judged(judged, USAGE), score_judged(shuffled, USAGE), strict=True):
        pd.testing.assert_frame_equal(one, two)


def test_scores_as_published_stand_beside_the_paired_test() -> None:
    """The published way: means of 20 items, unpaired test, no correction. Ours: paired, corrected for both axes."""
    pairs = [f"pair:{item:02d}" for item in range(20)]
    rows = [
        rated(pair, arm, 0, float(value), axis)
        for arm, values in (("base", BASE), ("tuned", TUNED))
        for axis in ("accuracy", "relevance")
        for pair, value in zip(pairs, values if axis == "accuracy" else BASE, strict=True)
    ]
    comparison = compare_judged(*score_judged(answers(*rows), USAGE), recipes.evaluation()).set_index("metric")
    row = comparison.loc["judge_accuracy"]
    assert (row["n"], row["reference_mean"], row["arm_mean"]) == (20, 2.8, 2.5)
    assert row["mann_whitney_p"] == pytest.approx(MANN_WHITNEY, abs=1e-9)
    assert row["p_value"] == pytest.approx(WILCOXON, abs=1e-9)
    assert row["p_holm"] == pytest.approx(2 * WILCOXON, abs=1e-9)
    assert (comparison.loc["judge_relevance", ["p_value", "mann_whitney_p"]] == 1.0).all()


def test_a_pair_counts_where_both_arms_have_a_score() -> None:
    rows = [rated(f"p{item}", arm, 0, float(1 + item % 5)) for item in range(10) for arm in ("base", "tuned")]
    rows[3] = (*rows[3][:-1], MISSING)
    row = compare_judged(*score_judged(answers(*rows), USAGE), recipes.evaluation()).iloc[0]
    assert (row["n"], row["excluded"]) == (9, 0)
    assert row["arm_mean"] == row["reference_mean"]
    assert "9 of 10 pairs have a score" in row["note"]


def test_contrasts_with_passages_are_compared_where_they_were_judged() -> None:
    judged, _ = judge_all(noisy(), items=8, repeats=1, axes=("accuracy",))
    comparison = compare_judged(*score_judged(judged, USAGE), recipes.evaluation())
    assert set(zip(comparison["reference"], comparison["arm"], strict=True)) == {("base", "tuned")}
    of_base = judged[(judged["arm"] == "base") & (judged["task"] == "axis")]
    with_passages = pd.concat([judged, of_base.assign(arm="base_rag")])
    compared = compare_judged(*score_judged(with_passages, USAGE), recipes.evaluation())
    assert set(zip(compared["reference"], compared["arm"], strict=True)) == {("base", "tuned"), ("base", "base_rag")}


def test_answers_changed_for_the_checks_are_no_rivals_of_the_arms() -> None:
    judged, _ = judge_all(noisy(), items=8, repeats=1)
    judged.loc[(judged["arm"].isin(["asks_for_5", "padded"])) & (judged["task"] == "axis"), "value"] = 5.0
    comparison = compare_judged(*score_judged(judged, USAGE), recipes.evaluation())
    row = comparison[comparison["metric"] == "judge_accuracy"].iloc[0]
    assert row["best_control"] in ("empty_answer", "shuffled_reference")
    assert row["gold"] > 4
