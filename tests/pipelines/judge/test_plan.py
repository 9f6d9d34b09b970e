"""What is asked, how often and of which answers; what it would cost; what it could find."""

from __future__ import annotations

import json
import logging
from typing import Any

import pandas as pd
import pytest
from pydantic import ValidationError

from med_lora.errors import InputError
from med_lora.pipelines.judge.plan import PLAN_COLUMNS
from med_lora.sampling import draw_pairs
from tests import recipes
from tests.llm.server import endpoint
from tests.pipelines.evaluation.conftest import ANSWERS, Table
from tests.pipelines.judge.conftest import IDS, TEXTS, planned

ARMS = ["base", "tuned", "gold", "empty_answer", "shuffled_reference", "asks_for_5", "padded"]
POINTS = [{"text": "Names rest.", "points": 4}, {"text": "Gives a dose of its own making.", "points": -3}]


def test_every_judged_arm_is_asked_about_on_every_axis(test_split: Table, arm_texts: pd.DataFrame) -> None:
    plan, _, _ = planned(test_split, arm_texts, items=3, repeats=2, preference=False)
    assert list(plan.columns) == PLAN_COLUMNS
    assert list(plan["call"]) == list(range(3 * 2 * len(ARMS) * 2))
    for (_, subject), rows in plan.groupby(["id", "subject"]):
        assert list(rows["arm"]) == [arm for arm in ARMS for _ in range(2)], subject
        assert list(rows["repeat"]) == [0, 1] * len(ARMS)
    assert set(plan["subject"]) == {"accuracy", "relevance"}
    assert (plan[["rival", "points"]] == ["", 0]).all(axis=None)


def test_the_pairs_are_those_of_the_one_draw(test_split: Table, arm_texts: pd.DataFrame) -> None:
    plan, _, _ = planned(test_split, arm_texts, items=4, seed=9)
    pairs = test_split.to_pandas()
    assert list(plan["id"].unique()) == draw_pairs(pairs, 4, 9)
    assert (
        dict(zip(plan["id"], plan["group"], strict=True)).items() <= dict(zip(IDS, pairs["group"], strict=True)).items()
    )


def test_the_order_of_the_rows_changes_nothing(test_split: Table, arm_texts: pd.DataFrame) -> None:
    shuffled = Table(test_split.to_pandas().sample(frac=1, random_state=1))
    first, again = planned(test_split, arm_texts), planned(shuffled, arm_texts)
    pd.testing.assert_frame_equal(first.plan, again.plan)
    assert first.forecast == again.forecast


def test_preferences_are_asked_in_both_orders(test_split: Table, arm_texts: pd.DataFrame) -> None:
    plan, _, _ = planned(test_split, arm_texts, items=2, axes=[])
    one = plan[plan["id"] == plan["id"].iloc[0]]
    orders = [("base", "tuned"), ("tuned", "base"), ("gold", "shuffled_reference"), ("shuffled_reference", "gold")]
    assert list(zip(one["arm"], one["rival"], strict=True)) == orders
    assert set(plan["task"]) == {"preference"}


def test_arms_with_passages_are_judged_too_and_missing_controls_are_left_out(
    test_split: Table, arm_texts: pd.DataFrame
) -> None:
    grounded = arm_texts[arm_texts["arm"] == "base"].assign(arm="base_rag")
    texts = pd.concat([arm_texts[arm_texts["arm"] != "shuffled_reference"], grounded])
    plan, _, _ = planned(test_split, texts, items=2)
    axes = plan[plan["task"] == "axis"]
    assert list(axes["arm"].unique()) == ["base", "tuned", "base_rag", "gold", "empty_answer", "asks_for_5", "padded"]
    assert set(plan["rival"]) == {"", "base", "tuned"}


def test_criteria_carry_their_number_and_points(test_split: Table, arm_texts: pd.DataFrame) -> None:
    own = {IDS[0]: [{"text": "Names the toe.", "points": 2}]}
    plan, _, _ = planned(test_split, arm_texts, items=7, axes=[], preference=False, criteria=POINTS, item_criteria=own)
    points = plan[plan["arm"] == "gold"].groupby("id")[["subject", "points"]].agg(list)
    assert points.loc[IDS[0]].tolist() == [["1", "2", "3"], [4, -3, 2]]
    assert points.loc[IDS[1]].tolist() == [["1", "2"], [4, -3]]


def test_criteria_of_a_pair_that_is_not_drawn_are_not_asked(test_split: Table, arm_texts: pd.DataFrame) -> None:
    drawn = draw_pairs(test_split.to_pandas(), 2, 2)
    left_out = next(pair for pair in IDS if pair not in drawn)
    plan, _, _ = planned(test_split, arm_texts, items=2, item_criteria={left_out: POINTS})
    assert set(plan["task"]) == {"axis", "preference"}
    with pytest.raises(InputError, match=r"nothing to ask about the 2 pairs drawn; name judge\.axes"):
        planned(test_split, arm_texts, items=2, axes=[], preference=False, item_criteria={left_out: POINTS})


def test_criteria_of_an_unknown_pair_are_named(test_split: Table, arm_texts: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"judge\.item_criteria names 'corpus:99', which is no pair of the test part"):
        planned(test_split, arm_texts, item_criteria={"corpus:99": POINTS, IDS[0]: POINTS})


def test_criteria_that_can_earn_nothing_are_named(test_split: Table, arm_texts: pd.DataFrame) -> None:
    own = {IDS[0]: POINTS[1:]}
    with pytest.raises(InputError, match=r"of 'corpus:03' has no criterion with points above 0"):
        planned(test_split, arm_texts, item_criteria=own)
    planned(test_split, arm_texts, criteria=POINTS, item_criteria=own)


def test_answers_of_other_pairs_are_refused(test_split: Table, arm_texts: pd.DataFrame) -> None:
    with pytest.raises(InputError, match=r"arm_texts of tuned is not about the 6 pairs"):
        planned(test_split, arm_texts[(arm_texts["arm"] != "tuned") | (arm_texts["id"] != IDS[0])], seed=0)


def test_what_could_be_found_is_said_before_what_it_costs(
    arm_texts: pd.DataFrame, caplog: pytest.LogCaptureFixture
) -> None:
    ids = [f"p{number}" for number in range(20)]
    test = Table(pd.DataFrame({"id": ids, "question": "Why?", "answer": "So."}))
    rows = [(pair, arm, kind, f"{arm} {pair}") for arm, kind in TEXTS for pair in ids]
    texts = pd.DataFrame(rows, columns=["id", "arm", "kind", "answer"])
    caplog.set_level(logging.INFO)
    price = {"currency": "USD", "prompt": 2.0, "completion": 8.0}
    _, forecast, judge = planned(test, texts, items=20, price=price)
    said = [record.getMessage() for record in caplog.records]
    assert said == forecast["sentences"]
    assert said[0].startswith("Judge: 20 pairs in 20 groups find differences of 0.68 SD with chance 0.8 (at level 0.05")
    assert said[1].startswith(f"Judge: {forecast['calls']} calls, about {forecast['prompt_tokens']} tokens read (4 cha")
    assert forecast["calls"] == 20 * (2 * len(ARMS) + 4)
    assert forecast["completion_tokens"] == forecast["calls"] * judge.sampling.max_tokens
    assert forecast["cost"] == pytest.approx(
        (2 * forecast["prompt_tokens"] + 8 * forecast["completion_tokens"]) / 1e6, abs=1e-12
    )
    assert not any(answer in line for line in said for answer in ANSWERS)


def test_too_few_groups_are_said_to_find_nothing(test_split: Table, arm_texts: pd.DataFrame) -> None:
    _, forecast, _ = planned(test_split, arm_texts, items=3)
    assert forecast["detectable_sd"] is None
    assert forecast["sentences"][0].startswith("Judge: 3 pairs in 3 groups can find no difference, however large")
    json.dumps(forecast, allow_nan=False)


def test_a_forecast_above_the_limit_stops_the_run(test_split: Table, arm_texts: pd.DataFrame) -> None:
    price = {"currency": "EUR", "prompt": 10.0, "completion": 30.0}
    forecast = planned(test_split, arm_texts, price=price).forecast
    planned(test_split, arm_texts, price=price, max_cost=forecast["cost"])
    with pytest.raises(InputError, match=r"more than judge\.max_cost"):
        planned(test_split, arm_texts, price=price, max_cost=0.999 * forecast["cost"])
    with pytest.raises(InputError, match=r"cost about 0\.\d\d EUR, more than judge\.max_cost \(0\.01\); lower judge\."):
        planned(test_split, arm_texts, price=price, max_cost=0.01)


def test_text_leaves_this_machine_only_where_the_judge_says_so() -> None:
    remote: dict[str, Any] = endpoint("http://127.0.0.1:1/v1").model_dump() | {"base_url": "https://judge.example/v1"}
    with pytest.raises(ValidationError) as caught:
        recipes.judge(endpoint=remote)
    assert "base_url is another machine" in str(caught.value)
    assert "or set send_text_to_remote_endpoint to true" in str(caught.value)
    allowed = recipes.judge(endpoint=remote | {"send_text_to_remote_endpoint": True})
    assert allowed.endpoint is not None
    told = type(endpoint("http://127.0.0.1:1/v1")).model_fields["send_text_to_remote_endpoint"].description
    assert told is not None
    assert "what models answered may leave this machine" in told
