"""The questions of the plan, asked: a rating or a reason why there is none for every one of them."""

from __future__ import annotations

import logging
import math
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pandas as pd

from med_lora.datasets.base_model import BaseModel
from med_lora.errors import InputError
from med_lora.llm.answers import Answerer, Completion, Failure, Request
from med_lora.llm.cache import CallCache
from med_lora.llm.calls import Answers, answer_all
from med_lora.llm.client import ChatClient
from med_lora.llm.local import LocalModel
from med_lora.parameters import HardwareParams, JudgeParams
from med_lora.pipelines.evaluation.splits import Split, read_pairs
from med_lora.pipelines.judge.budget import BudgetedJudge
from med_lora.pipelines.judge.candidates import candidate_texts
from med_lora.pipelines.judge.plan import price_tokens
from med_lora.pipelines.judge.requests import PROMPT_VERSION, build_requests, hash_rubric, read_value

logger = logging.getLogger(__name__)

Usage = dict[str, Any]


def ask_judge_remotely(
    judge_plan: pd.DataFrame,
    test: Split,
    arm_texts: pd.DataFrame,
    judge: JudgeParams,
    judge_calls: CallCache,
    judge_forecast: dict[str, Any],
) -> tuple[pd.DataFrame, Usage]:
    """Ask the model behind ``judge.endpoint``; see :func:`ask_judge`.

    Raises:
        InputError: if there is no endpoint, its key is not set, no call has a usable answer, one fails in a way that
            all would, or the calls have cost more than ``judge.max_cost``.
    """
    if judge.endpoint is None:
        raise InputError("Parameter judge.endpoint is null, so there is no server to ask; set it.")
    requests = _requests(judge_plan, test, arm_texts, judge)
    client = ChatClient(judge.endpoint, judge.sampling)
    answerer, name = BudgetedJudge(client, judge), f"{client.model} at {client.origin}"
    values, answers = ask_judge(judge_plan, requests, judge_calls, answerer, name)
    version = ", ".join(sorted(set(values["model"]) - {""}))
    named = {
        "judge": judge.endpoint.model,
        "version": version,
        "kind": "remote",
        "origin": urlsplit(judge.endpoint.base_url).hostname,
        "answers_by": "json",
    }
    return values, _report(named, values, answers, judge, client.settings, judge_forecast)


def ask_judge_locally(
    judge_plan: pd.DataFrame,
    test: Split,
    arm_texts: pd.DataFrame,
    judge: JudgeParams,
    judge_calls: CallCache,
    judge_model: BaseModel,
    hardware: HardwareParams,
    judge_forecast: dict[str, Any],
) -> tuple[pd.DataFrame, Usage]:
    """Ask a causal model of this machine, which takes the likeliest of the allowed answers; see :func:`ask_judge`.

    At temperature 0 a repeat would be the same computation again, so it is not made: repeats are equal, and their
    agreement says nothing about the judge.

    Raises:
        InputError: if the model cannot be loaded, or none of the prompts fits its context.
    """
    requests = _requests(judge_plan, test, arm_texts, judge)
    if judge.sampling.temperature == 0:
        requests = [replace(request, repeat=0) for request in requests]
    name = Path(judge_model.source).name if judge_model.revision is None else judge_model.source
    version = (judge_model.sha256 or judge_model.revision or "")[:12]
    answerer = LocalModel(judge_model, judge.sampling, hardware)
    values, answers = ask_judge(judge_plan, requests, judge_calls, answerer, f"{name} {version}")
    values["model"] = values["model"].where(values["model"] == "", f"{name} {version}")
    named = {
        "judge": name,
        "version": version,
        "kind": "local",
        "origin": "this process",
        "answers_by": "likeliest option",
    }
    return values, _report(named, values, answers, judge, answerer.settings, judge_forecast)


def ask_judge(
    judge_plan: pd.DataFrame, requests: list[Request], judge_calls: CallCache, answerer: Answerer, name: str
) -> tuple[pd.DataFrame, Answers]:
    """Ask every request, and keep each answer as it comes.

    Args:
        judge_plan: as :func:`med_lora.pipelines.judge.plan.plan_judging` gives it.
        requests: one a row of the plan.
        judge_calls: calls made before, which are not made again; it grows while this runs.
        answerer: the judge; closed at the end.
        name: what errors call it.

    Returns:
        The columns of the plan, and value (axis 1 to 5; criterion 1 or 0; preference 1 for the first shown, 2 for the
        second, 0 for neither; NaN where missing), missing (why, as a kind of ``med_lora.llm.answers``; "" where there
        is a value), model (the name under which it answered, "" where nothing came).

    Raises:
        InputError: if no request has a usable answer, or one fails in a way that all would.
    """
    try:
        answers = answer_all(answerer, requests, judge_calls)
    finally:
        answerer.close()
    read = [read_value(outcome, task) for outcome, task in zip(answers.outcomes, judge_plan["task"], strict=True)]
    values = judge_plan.assign(
        value=[math.nan if isinstance(value, Failure) else value for value in read],
        missing=[value.kind if isinstance(value, Failure) else "" for value in read],
        model=[outcome.model if isinstance(outcome, Completion) else "" for outcome in answers.outcomes],
    )
    _tell_missing(values, name)
    return values, answers


def _requests(judge_plan: pd.DataFrame, test: Split, arm_texts: pd.DataFrame, judge: JudgeParams) -> list[Request]:
    pairs = read_pairs(test, "test")
    questions = dict(zip(pairs["id"], pairs["question"], strict=True))
    return build_requests(judge_plan, questions, candidate_texts(arm_texts, set(judge_plan["id"])), judge)


def _count_missing(values: pd.DataFrame) -> dict[str, int]:
    return dict(sorted(Counter(values["missing"][values["missing"] != ""]).items()))


def _tell_missing(values: pd.DataFrame, name: str) -> None:
    missing = _count_missing(values)
    if not missing:
        return
    reasons = ", ".join(f"{kind}: {count}" for kind, count in missing.items())
    if sum(missing.values()) == len(values):
        raise InputError(
            f"None of the {len(values)} questions to the judge {name} has a usable answer ({reasons}); mend "
            "judge.endpoint, judge.local or judge.sampling, and run again."
        )
    logger.warning(
        "Judge: %d of %d questions have no usable answer (%s); they are missing from its scores.",
        sum(missing.values()),
        len(values),
        reasons,
    )


def _report(
    named: Usage,
    values: pd.DataFrame,
    answers: Answers,
    judge: JudgeParams,
    settings: dict[str, float | int | str],
    forecast: dict[str, Any],
) -> Usage:
    """What the scores rest on, as JSON values; the tokens are those of all distinct calls, kept ones too."""
    return named | {
        "settings": dict(settings),
        "repeats": judge.repeats,
        "items": int(values["id"].nunique()),
        "groups": int(values["group"].nunique()),
        "prompt_version": PROMPT_VERSION,
        "reference_shown": False,
        "rubric_sha256": hash_rubric(judge),
        "calls": len(values),
        "cached": answers.cached,
        "asked": answers.asked,
        "answered": int((values["missing"] == "").sum()),
        "failed": _count_missing(values),
        **_bill(judge, answers.cached + answers.asked, answers.prompt_tokens, answers.completion_tokens),
        "currency": judge.price.currency if judge.price else None,
        "this_run": _bill(judge, answers.asked, answers.paid_prompt_tokens, answers.paid_completion_tokens),
        "forecast": {key: forecast[key] for key in ("prompt_tokens", "completion_tokens", "cost")},
    }


def _bill(judge: JudgeParams, calls: int, prompt_tokens: int, completion_tokens: int) -> dict[str, float | None]:
    """Tokens and their price, which is None where a server that has a price did not count them."""
    unknown = judge.price is not None and calls > 0 and prompt_tokens == 0
    return {
        "prompt_tokens": prompt_tokens,
        "completion_tokens": completion_tokens,
        "cost": None if unknown else price_tokens(judge.price, prompt_tokens, completion_tokens),
    }
