"""Judges whose faults are known: each is caught by the check that is made for its fault."""

from __future__ import annotations

import math
import re

import pandas as pd
import pytest

from med_lora.pipelines.judge.checks import check_judge
from med_lora.pipelines.judge.orders import match_orders
from med_lora.pipelines.judge.scores import score_judged
from med_lora.statistics.shares import wilson
from tests import recipes
from tests.pipelines.judge import simulated
from tests.pipelines.judge.simulated import USAGE, Answer, Judge, judge_all, run_checks, verdicts

FLOORS = {"gold above empty", "gold above shuffled", "known pair"}
BIASES = {"order bias", "contradictions", "asks for a 5", "padded"}


@pytest.fixture(scope="module")
def perfect() -> pd.DataFrame:
    return run_checks(simulated.perfect(), items=150)


def test_a_perfect_judge_passes_every_check_that_is_made(perfect: pd.DataFrame) -> None:
    assert verdicts(perfect, "passed") == FLOORS | BIASES | {"length", "missing answers"}
    assert verdicts(perfect, "not measured") == {"self-consistency", "agreement with people"}
    assert set(perfect["verdict"]) == {"passed", "not measured"}


def test_every_check_states_what_it_found(perfect: pd.DataFrame) -> None:
    floor = perfect.loc[("gold above empty", "judge_accuracy")]
    assert (floor["n"], floor["value"], floor["low"], floor["high"]) == (150, 4.0, 4.0, 4.0)
    assert floor["expected"] == "above 0; fails if surely below 1"
    assert perfect.loc[("asks for a 5", "judge_accuracy"), "expected"].startswith("gain below 0.5;")
    assert perfect.loc["order bias", "value"].item() == 0.5
    assert perfect.loc["contradictions", "value"].item() == 0.0
    assert perfect.loc["known pair", "value"].item() == 1.0


def test_equal_repeats_are_no_merit_of_a_judge_that_does_not_sample(perfect: pd.DataFrame) -> None:
    row = perfect.loc[("self-consistency", "all")]
    assert (row["n"], row["verdict"]) == (0, "not measured")
    assert "by construction where the judge does not sample" in row["note"]


def test_repeats_that_seldom_differ_are_consistent() -> None:
    found = run_checks(simulated.noisy(0.25), items=60).loc["self-consistency"].drop(index="judge_preference")
    assert set(found["verdict"]) == {"passed"}
    row = found.loc["judge_accuracy"]
    assert (row["n"], row["low"] < row["value"] < 1) == (120, True)
    assert re.match(
        r"repeats are equal on 9\d% of the questions, and differ by 0.\d\d points in the mean$", row["note"]
    )


@pytest.mark.parametrize(
    ("judge", "faults"),
    [
        (simulated.random(), {*FLOORS, "self-consistency"}),
        (simulated.always(3), FLOORS),
        (simulated.first_position(), {"order bias", "contradictions"}),
        (simulated.length_loving(), {"padded"}),
        (simulated.obedient(), {"asks for a 5"}),
        (simulated.fickle(), {"self-consistency"}),
    ],
    ids=["random", "always 3", "first position", "length-loving", "obedient", "fickle"],
)
def test_a_judge_with_a_fault_fails_the_check_made_for_it_and_no_other(judge: Judge, faults: set[str]) -> None:
    assert verdicts(run_checks(judge), "failed") == faults


def test_where_every_answer_has_the_highest_score_no_gain_could_show() -> None:
    checks = run_checks(simulated.always(5))
    gains = checks.loc[["asks for a 5", "padded"]]
    assert set(gains["verdict"]) == {"not measured"}
    assert verdicts(checks, "failed") == FLOORS


def test_an_unbiased_judge_seldom_fails_a_check_of_biases() -> None:
    """Any of the seven at 20 items, over 20 seeds; 1,000 seeds gave 2.6 % at 20 items and four axes."""
    judge = simulated.noisy()
    failed = 0
    for seed in range(20):
        answers, texts = judge_all(judge, items=20, repeats=1, seed=seed)
        checks = check_judge(answers, score_judged(answers, USAGE)[0], texts, recipes.evaluation())
        failed += bool({*checks["check"][checks["verdict"] == "failed"]} & (BIASES | FLOORS))
    assert failed <= 0.05 * 20


def test_longer_answers_that_score_higher_are_told_but_do_not_fail_a_judge() -> None:
    """Whether they are better cannot be told from the correlation."""
    judge = Judge(lambda _, answer: answer.words / 12, simulated.perfect().prefer)
    row = run_checks(judge, items=60).loc[("length", "judge_accuracy")]
    assert row["value"] > 0.9
    assert row["verdict"] == "unclear"
    assert "longer answers score higher, be it a bias or because they are better: see padded" in row["note"]


def test_a_few_items_leave_a_sound_judge_unclear_and_not_failed() -> None:
    checks = run_checks(simulated.perfect(), items=5)
    assert verdicts(checks, "failed") == set()
    assert set(checks.loc["gold above empty", "verdict"]) == {"unclear"}
    assert "5 independent pairs, and a verdict needs" in checks.loc[("gold above empty", "judge_accuracy"), "note"]


def test_order_bias_counts_calls_and_contradictions_count_pairs() -> None:
    answers, _ = judge_all(simulated.always(3), items=10, repeats=1)
    asked = answers["task"] == "preference"
    forward = asked & (answers["arm"] == "base")
    backward = asked & (answers["arm"] == "tuned")
    answers.loc[forward, "value"] = [1, 1, 1, 1, 2, 2, 2, 0, 1, math.nan]
    answers.loc[backward, "value"] = [1, 1, 1, 2, 1, 2, 0, 0, 2, 1]
    matched = match_orders(answers, "base", "tuned")
    assert list(matched["wins"])[:9] == [0.5, 0.5, 0.5, 0.0, 1.0, 0.5, 0.5, 0.5, 0.0]
    assert math.isnan(matched["wins"][9])
    found = check(answers)
    # of 9 pairs with both orders: 3 twice the first, 3 once each, 1 twice the second, 1 with a tie, 1 all ties
    assert found.loc["order bias", "n"].item() == 15
    assert found.loc["order bias", "value"].item() == pytest.approx(9 / 15)
    assert (found.loc["contradictions", "n"].item(), found.loc["contradictions", "value"].item()) == (7, 4 / 7)
    note = found.loc["order bias", "note"].item()
    assert "3 of the 5 items that lean to a place lean to the first (sign test p = 1); 2 of 9 pairs hold a tie" in note


def test_a_pair_that_was_asked_in_one_order_alone_has_no_winner() -> None:
    answers, _ = judge_all(simulated.perfect(), items=10, repeats=1)
    once = answers[~((answers["arm"] == "shuffled_reference") & (answers["rival"] == "gold") & (answers["group"] < 4))]
    wins = match_orders(once, "gold", "shuffled_reference")["wins"]
    assert (len(wins), int(wins.isna().sum())) == (10, 4)
    assert check(once).loc["known pair", "n"].item() == 16  # the calls that were made count


def test_calls_on_related_pairs_are_as_good_as_one_a_group() -> None:
    answers, _ = judge_all(simulated.perfect(), items=20, repeats=2)
    row = check(answers.assign(group=answers["group"] // 2)).loc["known pair"].iloc[0]
    assert (row["n"], row["value"]) == (80, 1.0)
    together = 5  # two floors of two axes, and this
    assert (row["low"], row["high"]) == pytest.approx(wilson(1.0, 10, 1 - 0.05 / together))


def check(answers: pd.DataFrame, judge_agreement: pd.DataFrame | None = None) -> pd.DataFrame:
    _, texts = judge_all(simulated.always(3), items=answers["id"].nunique(), repeats=1)
    scores, _ = score_judged(answers, USAGE)
    return check_judge(answers, scores, texts, recipes.evaluation(), judge_agreement).set_index(["check", "subject"])


def test_missing_answers_are_counted_by_kind_and_arm() -> None:
    answers, _ = judge_all(simulated.perfect(), items=10, repeats=1)
    lost = (answers["subject"] == "accuracy") & answers["arm"].isin(["base", "tuned"]) & (answers["group"] < 5)
    answers.loc[lost, ["value", "missing"]] = [math.nan, "timeout"]
    row = check(answers).loc[("missing answers", "judge_accuracy")]
    assert (row["n"], row["value"], row["verdict"]) == (70, 10 / 70, "unclear")
    assert row["note"].startswith("timeout 10; of base 5, tuned 5")
    assert check(answers).loc[("padded", "judge_accuracy"), "n"] == 5


def test_missing_answers_have_an_interval_from_the_shares_of_the_groups() -> None:
    """What fails, fails on all arms and on related prompts, so that 280 calls are as good as the 20 groups."""
    from scipy.stats import ttest_1samp

    answers, _ = judge_all(simulated.perfect(), items=40, repeats=1)
    lost = (answers["subject"] == "accuracy") & (answers["group"] < 4)
    answers.loc[lost, ["value", "missing"]] = [math.nan, "prompt_too_long"]
    row = check(answers.assign(group=answers["group"] // 2)).loc[("missing answers", "judge_accuracy")]
    expected = ttest_1samp([1.0] * 2 + [0.0] * 18, 0).confidence_interval(1 - 0.05 / 3)  # two axes and the preference
    assert (row["n"], row["value"]) == (280, 0.1)
    assert (row["low"], row["high"]) == (0.0, pytest.approx(expected.high))  # that of the t-test begins below 0


def test_intervals_hold_together_over_floors_over_biases_and_over_the_subjects_of_a_check(
    perfect: pd.DataFrame,
) -> None:
    repeated = run_checks(simulated.noisy(), items=10)
    together = {"gold above empty": 5, "gold above shuffled": 5, "known pair": 5, "order bias": 6, "padded": 6}
    together |= {"contradictions": 6, "asks for a 5": 6, "length": 3, "missing answers": 3, "self-consistency": 3}
    for name, count in together.items():
        found = repeated if name == "self-consistency" else perfect
        assert found.loc[name, "level"].tolist() == pytest.approx([1 - 0.05 / count] * len(found.loc[name]))
    assert perfect.loc["agreement with people", "level"].isna().all()


def test_a_judge_that_was_asked_once_has_no_self_consistency() -> None:
    row = run_checks(simulated.perfect(), items=10, repeats=1).loc["self-consistency"].iloc[0]
    assert (row["verdict"], row["note"]) == ("not measured", "every question was asked once")


def test_controls_that_were_not_judged_are_not_measured() -> None:
    answers, _ = judge_all(simulated.perfect(), items=10, repeats=1)
    alone = answers[answers["arm"].isin(["base", "tuned"]) & answers["rival"].isin(["", "base", "tuned"])]
    found = check(alone)
    assert found.loc[("gold above empty", "judge_accuracy"), "note"] == "gold was not judged"
    assert {"known pair", "padded", "asks for a 5", *FLOORS} <= verdicts(found, "not measured")


def test_preferences_alone_are_checked_too() -> None:
    answers, _ = judge_all(simulated.perfect(), items=30, repeats=1, axes=())
    found = check(answers)
    assert verdicts(found, "passed") == {"order bias", "contradictions", "known pair", "missing answers"}
    assert found.loc["length"].index.tolist() == ["judge_preference"]


def test_criteria_are_checked_on_their_own_scale() -> None:
    def meet(_: object, answer: Answer) -> float:
        return float(answer.worth > 3)

    answers, _ = judge_all(Judge(meet, simulated.perfect().prefer), items=20, repeats=1, axes=("1",))
    found = check(answers.replace({"task": {"axis": "criterion"}}).assign(points=2))
    row = found.loc[("gold above empty", "judge_criteria")]
    assert (row["value"], row["expected"]) == (1.0, "above 0; fails if surely below 0.25")
    assert found.loc[("padded", "judge_criteria"), "expected"].startswith("gain below 0.125;")


def test_agreement_with_people_is_joined_where_it_was_measured() -> None:
    answers, _ = judge_all(simulated.perfect(), items=10, repeats=1)
    people = pd.DataFrame(
        {
            "axis": ["accuracy", "relevance", "helpfulness"],
            "n": 40,
            "quadratic_kappa": [0.6, 0.1, math.nan],
            "low": [0.3, -0.2, math.nan],
            "high": [0.8, 0.3, math.nan],
            "note": ["", math.nan, "no rating"],
        }
    )
    found = check(answers, people).loc["agreement with people"]
    assert list(found["verdict"]) == ["passed", "failed", "not measured"]
    assert list(found["note"]) == ["", "", "no rating"]
    assert check(answers, people.iloc[:0]).loc["agreement with people", "verdict"].item() == "not measured"


def test_the_order_of_rows_changes_no_check() -> None:
    answers, texts = judge_all(simulated.noisy(), items=12)
    scores, _ = score_judged(answers, USAGE)
    straight = check_judge(answers, scores, texts, recipes.evaluation())
    turned = [table.sample(frac=1, random_state=3) for table in (answers, scores, texts)]
    pd.testing.assert_frame_equal(straight, check_judge(*turned, recipes.evaluation()))
