"""What is said of the arms, and first of the judge."""

from __future__ import annotations

import io
import json
import math
from typing import Any

import pandas as pd
import pytest

from med_lora.pipelines.judge.checks import check_judge
from med_lora.pipelines.judge.comparison import compare_judged
from med_lora.pipelines.judge.figures import draw_judge
from med_lora.pipelines.judge.scores import score_judged
from med_lora.pipelines.judge.summary import summarise_judge
from tests import recipes
from tests.pipelines.judge import simulated
from tests.pipelines.judge.conftest import make_test, make_texts, planned
from tests.pipelines.judge.simulated import USAGE, Answer, Judge, judge_all

FORECAST: dict[str, Any] = {"items": 40, "groups": 40, "detectable_sd": 0.4662, "power": 0.8}


def summarise(judge: Judge, forecast: dict[str, Any] | None = None, **options: Any) -> dict[str, Any]:
    return summarise_answers(*judge_all(judge, **options), forecast=forecast)


def summarise_answers(
    answers: pd.DataFrame, texts: pd.DataFrame, forecast: dict[str, Any] | None = None, usage: dict[str, Any] = USAGE
) -> dict[str, Any]:
    """By the tables as CSV files give them back."""
    scores, metrics = score_judged(answers, usage)
    evaluation = recipes.evaluation()
    tables = (compare_judged(scores, metrics, evaluation), check_judge(answers, scores, texts, evaluation))
    read = [pd.read_csv(io.StringIO(table.to_csv(index=False))) for table in tables]
    return summarise_judge(read[0], read[1], usage, forecast or FORECAST, evaluation)


def find(summary: dict[str, Any], start: str) -> str:
    return next(sentence for sentence in summary["sentences"] if sentence.startswith(start))


@pytest.fixture(scope="module")
def perfect() -> dict[str, Any]:
    return summarise(simulated.perfect())


def test_the_verdict_on_the_judge_comes_first_then_its_version_and_the_power(perfect: dict[str, Any]) -> None:
    assert perfect["sentences"][0].startswith("The judge tells true answers from empty and misplaced ones;")
    assert perfect["sentences"][1] == "Judge: judge-4 (version judge-4-0613), on 40 test pairs in 40 groups."
    assert perfect["sentences"][2].startswith(
        "With a chance of 80 %, 40 independent pairs show a difference of 0.47 standard deviations or more, before the"
    )
    assert (perfect["judge"], perfect["version"]) == ("judge-4", "judge-4-0613")


def test_every_axis_has_its_numbers_and_holm_p(perfect: dict[str, Any]) -> None:
    sentence = find(perfect, "Tuned model against base model, accuracy:")
    result = perfect["results"][0]
    assert (result["reference"], result["arm"], result["metric"], result["n"]) == (
        "base",
        "tuned",
        "judge_accuracy",
        40,
    )
    means = f"{result['arm_mean']:.2f} against {result['reference_mean']:.2f}, difference {result['difference']:.2f} ["
    assert means in sentence
    assert f"n = 40 in 40 groups, Holm p = {result['p_holm']:.3f}: no difference shown." in sentence
    assert result["verdict"] == "unclear"


def test_a_judge_whose_other_checks_are_unclear_is_not_said_to_pass(perfect: dict[str, Any]) -> None:
    assert perfect["verdict"] == "passes its floor controls"
    assert find(perfect, "The judge tells true answers from empty and misplaced ones;")
    assert find(perfect, "Unclear: ") == "Unclear: length."
    assert find(perfect, "Not measured: ") == "Not measured: self-consistency, agreement with people."


def test_a_judge_that_passes_everything_is_not_said_to_be_right() -> None:
    summary = summarise(simulated.perfect(), items=150)
    assert summary["verdict"] == "passes"
    assert "which rules out these faults and not others" in find(summary, "The judge passes")


def test_failed_floors_outrank_everything() -> None:
    summary = summarise(simulated.always(3))
    assert summary["sentences"][0] == "The judge fails its floor controls: its scores say nothing."
    assert summary["verdict"] == "fails its floor controls"
    assert summary["nothing_said"] == ["judge_accuracy", "judge_preference", "judge_relevance"]
    assert {result["verdict"] for result in summary["results"]} == {"not believed"}
    assert "no conclusion, because the judge fails a floor of it" in find(
        summary, "Tuned model against base model, acc"
    )


def test_a_floor_that_fails_on_one_axis_voids_that_axis_alone() -> None:
    answers, texts = judge_all(simulated.perfect())
    answers.loc[answers["subject"] == "relevance", "value"] = 3.0
    answers.loc[(answers["subject"] == "accuracy") & (answers["arm"] == "tuned"), "value"] = 5.0
    summary = summarise_answers(answers, texts)
    assert (
        summary["sentences"][0] == "The judge fails its floor controls on relevance: its scores of these say nothing."
    )
    assert [result["verdict"] for result in summary["results"]] == ["improved", "not believed", "unclear"]


def test_a_failed_check_is_named_with_the_axes_it_fails_on() -> None:
    def rate(_: object, answer: Answer) -> float:
        return 5.0 if answer.begs else answer.worth

    answers, texts = judge_all(Judge(rate, simulated.perfect().prefer))
    of_relevance = (answers["subject"] == "relevance") & (answers["arm"] == "asks_for_5")
    answers.loc[of_relevance, "value"] = 2.0
    summary = summarise_answers(answers, texts)
    assert summary["verdict"] == "fails a check"
    assert find(summary, "Failed: ") == "Failed: asks for a 5 (1 of 2)."
    assert summary["checks"]["failed"] == ["asks for a 5: judge_accuracy"]


def test_floors_that_were_not_measured_leave_no_footing() -> None:
    answers, texts = judge_all(simulated.perfect())
    alone = answers[answers["arm"].isin(["base", "tuned"]) & answers["rival"].isin(["", "base", "tuned"])]
    summary = summarise_answers(alone, texts)
    assert summary["verdict"] == "unclear"
    assert summary["sentences"][0] == (
        "Whether the judge tells a true answer from an empty or a misplaced one is not shown, so nothing is concluded "
        "from these scores."
    )
    assert find(summary, "Tuned model against base model, accuracy").endswith(
        "no conclusion, because it was not measured whether the judge tells a reference from nothing or from another "
        "question's."
    )


def test_an_axis_without_an_answer_is_said_to_have_no_score() -> None:
    answers, texts = judge_all(simulated.perfect())
    answers.loc[answers["subject"] == "relevance", ["value", "missing"]] = [math.nan, "refused"]
    summary = summarise_answers(answers, texts)
    sentence = find(summary, "Tuned model against base model, relevance")
    assert sentence.endswith("relevance: no score (the judge gave no usable answer (refused 560)).")
    assert [result["verdict"] for result in summary["results"]][1] == "not compared"
    assert (summary["nothing_said"], summary["floors_unclear"]) == ([], [])
    assert summary["sentences"][0].startswith("The judge fails a check")  # so many answers are missing


def test_too_few_items_are_said_to_show_nothing() -> None:
    forecast = FORECAST | {"items": 4, "groups": 4, "detectable_sd": None}
    summary = summarise(simulated.perfect(), items=4, forecast=forecast)
    assert (
        summary["sentences"][2] == "So few scores cannot show any difference between two arms, whatever the judge says."
    )
    assert {result["verdict"] for result in summary["results"]} == {"floors unclear"}


def test_several_versions_of_the_judge_are_said_to_be_mixed() -> None:
    answers, texts = judge_all(simulated.perfect(), items=8, repeats=1)
    summary = summarise_answers(answers, texts, usage=USAGE | {"version": "judge-4-0613, judge-4-1106"})
    assert "several versions answered, so that their scores are mixed" in find(summary, "Judge: ")


def rate_arm(answers: pd.DataFrame, axis: str, values: list[float], arm: str = "gold") -> None:
    """Replace what the judge gave an arm on an axis, in place; ``values`` are repeated over the items."""
    of_arm = (answers["subject"] == axis) & (answers["arm"] == arm)
    answers.loc[of_arm, "value"] = (values * len(answers))[: int(of_arm.sum())]


def test_a_difference_is_claimed_only_where_every_floor_of_the_metric_passed() -> None:
    answers, texts = judge_all(simulated.perfect())
    for axis in ("accuracy", "relevance"):
        rate_arm(answers, axis, [5.0], arm="tuned")
    rate_arm(answers, "relevance", [5.0, 5.0, 5.0, 5.0, 1.0, 1.0])
    rate_arm(answers, "relevance", [1.0, 1.0, 1.0, 1.0, 5.0, 5.0], arm="shuffled_reference")
    summary = summarise_answers(answers, texts)
    assert [result["verdict"] for result in summary["results"]] == ["improved", "floors unclear", "unclear"]
    assert (summary["nothing_said"], summary["floors_unclear"]) == ([], ["judge_relevance"])
    assert "is not shown on relevance, so nothing is concluded from these scores" in summary["sentences"][0]
    sentence = find(summary, "Tuned model against base model, relevance")
    assert sentence.endswith(
        ": no conclusion, because 40 items do not show that the judge tells a reference from another question's."
    )
    result = summary["results"][1]
    assert (result["arm_mean"], result["p_holm"] < 0.05, result["mann_whitney_p"] < 0.05) == (5.0, True, True)
    assert f"5.00 against {result['reference_mean']:.2f}, difference {result['difference']:.2f} [" in sentence


def test_a_preference_needs_the_known_pair() -> None:
    answers, texts = judge_all(simulated.perfect())
    answers.loc[(answers["task"] == "preference") & (answers["arm"].isin(["base", "tuned"])), "value"] = 2.0
    won = (answers["task"] == "preference") & (answers["arm"] == "tuned")
    answers.loc[won, "value"] = 1.0
    assert summarise_answers(answers, texts)["results"][2]["verdict"] == "improved"
    known = answers["arm"].isin(["gold", "shuffled_reference"]) & (answers["task"] == "preference")
    answers.loc[known, "value"] = ([1.0, 2.0] * 3 + [1.0, 1.0, 2.0, 1.0]) * 16  # 7 of 10 are right
    summary = summarise_answers(answers, texts)
    assert summary["results"][2]["verdict"] == "floors unclear"
    assert "160 verdicts do not show that the judge tells a reference from another question's" in find(
        summary, "Tuned model against base model, preference"
    )


def with_passages(answers: pd.DataFrame) -> pd.DataFrame:
    """The answers of two more arms, rated as base and tuned are, and half a point to a point more."""
    rated = answers[answers["task"] == "axis"]
    added = [rated[rated["arm"] == arm].assign(arm=f"{arm}_rag") for arm in ("base", "tuned")]
    added[0]["value"] += [0.5, 1.0] * (len(added[0]) // 2)
    return pd.concat([answers, *added], ignore_index=True)


def test_all_arms_with_passages_share_one_sentence() -> None:
    answers, texts = judge_all(simulated.perfect())
    alone = summarise_answers(answers, texts)
    summary = summarise_answers(with_passages(answers), texts)
    assert len(summary["sentences"]) == len(alone["sentences"]) + 1
    assert len(summary["results"]) == 3 * 5  # the preference has no score of the other contrasts
    sentence = find(summary, "Arms with passages: ")
    claims = [result for result in summary["results"][3:] if result["verdict"] in ("improved", "worsened")]
    assert sentence.startswith(f"Arms with passages: {len(claims)} of 8 differences are claimed (")
    assert "base model with passages against base model: accuracy higher, relevance higher" in sentence
    place = summary["sentences"].index(sentence)
    assert summary["sentences"][place - 1].startswith("Tuned model against base model, preference")
    assert summary["sentences"][place + 1].startswith("Passed: ")


def test_arms_with_passages_claim_nothing_without_their_floors() -> None:
    answers, texts = judge_all(simulated.perfect())
    rate_arm(answers, "relevance", [3.0])
    rate_arm(answers, "relevance", [3.0], arm="empty_answer")
    sentence = find(summarise_answers(with_passages(answers), texts), "Arms with passages: ")
    assert "relevance" not in sentence
    assert sentence.endswith("and 4 allow no conclusion, since a floor did not pass.")
    answers["value"] = 3.0
    assert find(summarise_answers(with_passages(answers), texts), "Arms with passages: ") == (
        "Arms with passages: none of 8 differences is claimed, and 8 allow no conclusion, since a floor did not pass."
    )


def test_numbers_have_true_minus_signs() -> None:
    answers, texts = judge_all(simulated.perfect())
    rate_arm(answers, "accuracy", [1.0], arm="tuned")
    sentence = find(summarise_answers(answers, texts), "Tuned model against base model, accuracy")
    assert "difference −" in sentence
    assert "-" not in sentence


def test_a_large_share_of_missing_answers_stands_beside_the_judge() -> None:
    answers, texts = judge_all(simulated.perfect())
    asked = answers.index[answers["task"] == "preference"]
    answers.loc[asked[: int(0.85 * len(asked))], ["value", "missing"]] = [math.nan, "prompt_too_long"]
    answers.loc[answers.index[answers["subject"] == "accuracy"][:50], "value"] = math.nan  # 9 %
    assert find(summarise_answers(answers, texts), "Judge: ").endswith(
        "in 40 groups; missing are 85 % of the answers on preference."
    )


@pytest.mark.parametrize("judge", [simulated.perfect(), simulated.always(3)], ids=["perfect", "always 3"])
def test_a_summary_is_json_without_nan(judge: Judge) -> None:
    summary = summarise(judge, items=4, repeats=1)
    assert json.loads(json.dumps(summary, allow_nan=False)) == summary


def test_a_plan_that_is_answered_goes_all_the_way() -> None:
    """The columns of the plan are those that scores, comparison, checks, summary and figure read."""
    texts = make_texts()
    asked = planned(make_test(), texts, repeats=2)
    answers = asked.plan.assign(value=3.0, missing="", model="judge-4-0613")
    answers.loc[answers["task"] == "preference", "value"] = 1.0
    summary = summarise_answers(answers, texts, forecast=asked.forecast)
    assert find(summary, "Judge: ").endswith("on 6 test pairs in 6 groups.")
    assert {"order bias: base against tuned", "gold above empty: judge_accuracy"} <= set(summary["checks"]["unclear"])
    scores, _ = score_judged(answers, USAGE)
    assert len(draw_judge(scores, summary, recipes.evaluation()).data) == 7
