"""What a judge will be asked, what it would cost and what it could find, before any question is asked."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterator, Sequence
from typing import Any

import pandas as pd

from med_lora.errors import InputError
from med_lora.llm.answers import Request
from med_lora.parameters import EvaluationParams, JudgeParams
from med_lora.parameters.judge import PriceParams
from med_lora.pipelines.evaluation.splits import Split, read_pairs
from med_lora.pipelines.judge.candidates import GOLD, SHUFFLED, candidate_texts, judged_arms
from med_lora.pipelines.judge.requests import build_requests, criteria_of
from med_lora.sampling import draw_pairs
from med_lora.statistics.power import detectable

logger = logging.getLogger(__name__)

PLAN_COLUMNS = ["call", "id", "group", "task", "subject", "arm", "rival", "repeat", "points"]
CHARACTERS_A_TOKEN = 4  # of English, by the tokenizers of large models; a judge behind a server has none here
Question = tuple[str, str, str, str, int]  # task, subject, arm, rival, points


def plan_judging(
    test: Split, arm_texts: pd.DataFrame, judge: JudgeParams, evaluation: EvaluationParams
) -> tuple[pd.DataFrame, dict[str, Any]]:
    """Every question to the judge, a row each, and the forecast; nothing is asked.

    Each drawn pair is asked about for every judged arm: on each axis and each criterion in a call of its own. Compared
    in both orders are base and tuned, and the reference with the reference of another pair, which any judge must tell
    apart. Each question is asked ``judge.repeats`` times.

    Args:
        test: pairs of the test part.
        arm_texts: columns id, arm, kind, answer.
        judge: rubric, draw, repeats and limits.
        evaluation: confidence and power of what could be found.

    Returns:
        judge_plan: columns ``PLAN_COLUMNS``; call is a number from 0; subject the axis, the number of the criterion
            from 1 (those of all pairs first), or "" for a preference; arm is the answer rated, or the one shown first,
            and rival the one shown second, or ""; points those of a criterion, else 0.
        judge_forecast: JSON values; its ``sentences`` are logged first.

    Raises:
        InputError: if a pair of ``judge.item_criteria`` is not in the test part or can earn no point, there is nothing
            to ask, or the forecast is above ``judge.max_cost``.
    """
    pairs = read_pairs(test, "test")
    _check_item_criteria(judge, pairs)
    drawn = draw_pairs(pairs, judge.items, judge.seed)
    groups = dict(zip(pairs["id"], pairs["group"], strict=True))
    arms = judged_arms(arm_texts)
    rows = [
        (pair, int(groups[pair]), *question[:4], repeat, question[4])
        for pair in drawn
        for question in _questions(judge, pair, arms)
        for repeat in range(judge.repeats)
    ]
    if not rows:
        raise InputError(
            f"The judge has nothing to ask about the {len(drawn)} pairs drawn; name judge.axes or judge.criteria, or "
            "raise judge.items until a pair of judge.item_criteria is drawn."
        )
    plan = pd.DataFrame([(call, *row) for call, row in enumerate(rows)], columns=PLAN_COLUMNS)
    questions = dict(zip(pairs["id"], pairs["question"], strict=True))
    requests = build_requests(plan, questions, candidate_texts(arm_texts, drawn), judge)
    forecast = _forecast(judge, evaluation, drawn, {groups[pair] for pair in drawn}, requests)
    for sentence in forecast["sentences"]:
        logger.info("%s", sentence)
    _check_cost(forecast, judge)
    return plan, forecast


def price_tokens(price: PriceParams | None, prompt_tokens: int, completion_tokens: int) -> float:
    """What the tokens cost; 0 where they have no price."""
    if price is None:
        return 0.0
    return (price.prompt * prompt_tokens + price.completion * completion_tokens) / 1e6


def _questions(judge: JudgeParams, pair: str, arms: Sequence[str]) -> Iterator[Question]:
    for axis in judge.axes:
        yield from (("axis", axis.name, arm, "", 0) for arm in arms)
    for number, criterion in enumerate(criteria_of(judge, pair), start=1):
        yield from (("criterion", str(number), arm, "", criterion.points) for arm in arms)
    if judge.preference:
        for one, other in (("base", "tuned"), (GOLD, SHUFFLED)):
            if one in arms and other in arms:
                yield "preference", "", one, other, 0
                yield "preference", "", other, one, 0


def _check_item_criteria(judge: JudgeParams, pairs: pd.DataFrame) -> None:
    unknown = sorted(set(judge.item_criteria) - set(pairs["id"]))
    if unknown:
        raise InputError(
            f"judge.item_criteria names {unknown[0]!r}, which is no pair of the test part; take it out, or correct it "
            "to the id of a test pair."
        )
    for pair in judge.item_criteria:
        criteria = criteria_of(judge, pair)
        if criteria and not any(criterion.points > 0 for criterion in criteria):
            raise InputError(
                f"judge.item_criteria of {pair!r} has no criterion with points above 0, so no score exists; add one."
            )


def _forecast(
    judge: JudgeParams, evaluation: EvaluationParams, drawn: list[str], groups: set[Any], requests: list[Request]
) -> dict[str, Any]:
    characters = sum(len(message["content"]) for request in requests for message in request.messages)
    prompt_tokens = math.ceil(characters / CHARACTERS_A_TOKEN)
    completion_tokens = len(requests) * judge.sampling.max_tokens
    found = detectable(len(groups), evaluation.power, evaluation.significance_level)
    forecast = {
        "items": len(drawn),
        "groups": len(groups),
        "calls": len(requests),
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "counted_by": f"{CHARACTERS_A_TOKEN} characters a token read; at most judge.sampling.max_tokens written",
        "cost": price_tokens(judge.price, prompt_tokens, completion_tokens),
        "currency": judge.price.currency if judge.price else None,
        "detectable_sd": found if math.isfinite(found) else None,
        "power": evaluation.power,
        "significance_level": evaluation.significance_level,
    }
    return forecast | {"sentences": [_state_power(forecast), _state_cost(forecast)]}


def _state_power(forecast: dict[str, Any]) -> str:
    drawn = f"{forecast['items']} pairs in {forecast['groups']} groups"
    level = f"at level {forecast['significance_level']:g}, before any correction for several axes"
    if forecast["detectable_sd"] is None:
        return f"Judge: {drawn} can find no difference, however large ({level})."
    return (
        f"Judge: {drawn} find differences of {forecast['detectable_sd']:.2f} SD with chance {forecast['power']:g} "
        f"({level})."
    )


def _state_cost(forecast: dict[str, Any]) -> str:
    cost = "" if forecast["currency"] is None else f"; at most about {forecast['cost']:.2f} {forecast['currency']}"
    return (
        f"Judge: {forecast['calls']} calls, about {forecast['prompt_tokens']} tokens read ({CHARACTERS_A_TOKEN} "
        f"characters each) and at most {forecast['completion_tokens']} written{cost}; calls kept from earlier runs "
        "cost nothing."
    )


def _check_cost(forecast: dict[str, Any], judge: JudgeParams) -> None:
    if judge.max_cost is not None and forecast["cost"] > judge.max_cost:
        raise InputError(
            f"The judge's {forecast['calls']} calls would cost about {forecast['cost']:.2f} {forecast['currency']}, "
            f"more than judge.max_cost ({judge.max_cost:.2f}); lower judge.items, judge.repeats or "
            "judge.sampling.max_tokens, or raise judge.max_cost."
        )
