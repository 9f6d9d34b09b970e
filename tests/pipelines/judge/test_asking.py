"""The questions asked: values in their rows, what they cost, and a kill that costs nothing twice."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.errors import InputError
from med_lora.llm.cache import CallCache
from med_lora.pipelines.judge.asking import Usage, ask_judge_remotely
from med_lora.pipelines.judge.candidates import PLEA
from med_lora.pipelines.judge.requests import PROMPT_VERSION, hash_rubric
from tests import recipes
from tests.llm.server import MODEL, ChatHandler, ChatServer, answer, chat_completion, endpoint
from tests.pipelines.evaluation.conftest import QUESTIONS, Table
from tests.pipelines.judge.conftest import IDS, planned

PRICE = {"currency": "USD", "prompt": 100.0, "completion": 1000.0}


def rate(handler: ChatHandler) -> None:
    """A judge of plain habits: pleas are worth 5, empty answers 1, base 2, tuned 3, others 4; tuned is the better."""
    text = handler.asked["messages"][1]["content"]
    named = handler.asked["response_format"]["json_schema"]["name"]
    if named == "preferred_answer":
        first, second = (f"<{place}-answer-[0-9a-f]+>\n(.*?)\n?</" for place in ("first", "second"))
        wins = [bool(re.search(part, text, re.DOTALL)[1].startswith("Tuned")) for part in (first, second)]
        value: Any = {"better": 1 if wins[0] else 2 if wins[1] else 0}
    elif named == "criterion_met":
        value = {"met": "Tuned says" in text}
    else:
        score = 5 if PLEA in text else 2 if "Base says" in text else 3 if "Tuned says" in text else 4
        value = {"score": 1 if ">\n\n</answer" in text else score}
    handler.reply(chat_completion(json.dumps(value), model=f"{MODEL}-2026-01-31"))


def ask(
    base_url: str, test: Table, texts: pd.DataFrame, path: Path, concurrency: int = 4, **changes: Any
) -> tuple[pd.DataFrame, Usage]:
    given = planned(test, texts, endpoint=endpoint(base_url, concurrency=concurrency, retries=0), **changes)
    return ask_judge_remotely(given.plan, test, texts, given.judge, CallCache(path), given.forecast)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "judge_calls.jsonl"


def test_values_stand_in_the_rows_they_belong_to(test_split: Table, arm_texts: pd.DataFrame, path: Path) -> None:
    criteria = [{"text": "Is tuned.", "points": 5}]
    with ChatServer(rate) as server:
        values, _ = ask(server.base_url, test_split, arm_texts, path, items=3, criteria=criteria, repeats=2)
    assert list(values.columns[-3:]) == ["value", "missing", "model"]
    axes = values[values["task"] == "axis"].groupby("arm")["value"].agg(set).to_dict()
    assert axes == {
        "base": {2.0},
        "tuned": {3.0},
        "padded": {3.0},
        "asks_for_5": {5.0},
        "gold": {4.0},
        "shuffled_reference": {4.0},
        "empty_answer": {1.0},
    }
    met = values[values["task"] == "criterion"].groupby("arm")["value"].agg(set)
    assert {arm for arm, found in met.items() if found == {1.0}} == {"tuned", "padded"}
    preferred = values[values["task"] == "preference"].groupby(["arm", "rival"])["value"].agg(set).to_dict()
    assert preferred == {
        ("base", "tuned"): {2.0},
        ("tuned", "base"): {1.0},
        ("gold", "shuffled_reference"): {0.0},
        ("shuffled_reference", "gold"): {0.0},
    }
    assert set(values["missing"]) == {""}
    assert set(values["model"]) == {f"{MODEL}-2026-01-31"}


def test_the_usage_says_who_judged_by_what_and_for_how_much(
    test_split: Table, arm_texts: pd.DataFrame, path: Path
) -> None:
    with ChatServer(rate) as server:
        values, first = ask(server.base_url, test_split, arm_texts, path, items=3, price=PRICE, repeats=2)
        _, second = ask(server.base_url, test_split, arm_texts, path, items=3, price=PRICE, repeats=2)
        distinct = len({json.dumps([asked["messages"], asked["seed"]]) for asked in server.requests})
        assert distinct == len(server.requests) <= len(values)
    forecast = first.pop("forecast")
    cost = (100 * 7 + 1000 * 3) * distinct / 1e6
    assert first == {
        "judge": MODEL,
        "version": f"{MODEL}-2026-01-31",
        "kind": "remote",
        "origin": "127.0.0.1",
        "answers_by": "json",
        "settings": {"temperature": 0.0, "seed": 1, "max_tokens": 32},
        "repeats": 2,
        "items": 3,
        "groups": 3,
        "prompt_version": PROMPT_VERSION,
        "reference_shown": False,
        "rubric_sha256": hash_rubric(recipes.judge()),
        "calls": len(values),
        "cached": 0,
        "asked": distinct,
        "answered": len(values),
        "failed": {},
        "prompt_tokens": 7 * distinct,
        "completion_tokens": 3 * distinct,
        "cost": pytest.approx(cost),
        "currency": "USD",
        "this_run": {"prompt_tokens": 7 * distinct, "completion_tokens": 3 * distinct, "cost": pytest.approx(cost)},
    }
    assert forecast["completion_tokens"] == 32 * len(values)
    assert forecast["cost"] > cost
    assert second["this_run"] == {"prompt_tokens": 0, "completion_tokens": 0, "cost": 0.0}
    assert (second["cached"], second["asked"], second["cost"]) == (distinct, 0, pytest.approx(cost))


def test_tokens_that_a_server_does_not_count_have_no_known_price(
    test_split: Table, arm_texts: pd.DataFrame, path: Path
) -> None:
    with ChatServer(answer('{"better": 1}', usage=None)) as server:
        _, usage = ask(server.base_url, test_split, arm_texts, path, items=2, axes=[], price=PRICE)
        _, again = ask(server.base_url, test_split, arm_texts, path, items=2, axes=[], price=PRICE)
    assert (usage["cost"], usage["this_run"]["cost"]) == (None, None)
    assert (again["cost"], again["this_run"]["cost"]) == (None, 0.0)


def test_each_repeat_has_a_seed_of_its_own(test_split: Table, arm_texts: pd.DataFrame, path: Path) -> None:
    with ChatServer(rate) as server:
        ask(server.base_url, test_split, arm_texts, path, items=2, axes=[], repeats=3)
        seeds = Counter(asked["seed"] for asked in server.requests)
    assert seeds == {1: 8, 2: 8, 3: 8}


def test_a_change_of_the_rubric_asks_again_and_more_items_ask_the_new_ones_alone(
    test_split: Table, arm_texts: pd.DataFrame, path: Path
) -> None:
    with ChatServer(rate) as server:
        sizes = []
        for changes in (
            {"items": 3},
            {"items": 3, "seed": 2},
            {"items": 4},
            {"items": 4, "axes": [recipes.axis("tone")]},
        ):
            ask(server.base_url, test_split, arm_texts, path, preference=False, **{"axes": [recipes.axis()]} | changes)
            sizes.append(len(server.requests))
    assert sizes == [21, 21, 28, 56]


SCRIPT = """
import sys
from pathlib import Path
sys.path.insert(0, {root!r})
from tests.pipelines.judge.test_asking import ask
from tests.pipelines.judge import conftest
test, texts = conftest.make_test(), conftest.make_texts()
ask(sys.argv[1], test, texts, Path(sys.argv[2]), concurrency=2)
"""


def test_a_killed_judge_is_paid_for_nothing_twice(
    test_split: Table, arm_texts: pd.DataFrame, path: Path, root: Path
) -> None:
    all_busy, killed = threading.Event(), threading.Event()

    def stall(handler: ChatHandler) -> None:
        if len(handler.server.requests) > 10:
            if len(handler.server.requests) == 12:
                all_busy.set()
            killed.wait(60)
        rate(handler)

    with ChatServer(stall) as server:
        program = [sys.executable, "-c", SCRIPT.format(root=str(root)), server.base_url, str(path)]
        run = subprocess.Popen(program, stderr=subprocess.DEVNULL)
        assert all_busy.wait(60)
        run.kill()
        assert run.wait(60) == -signal.SIGKILL
        killed.set()
        kept = len(path.read_bytes().splitlines())
        assert kept == 10
        values, usage = ask(server.base_url, test_split, arm_texts, path)
        asked = Counter(json.dumps(request["messages"]) for request in server.requests)
    assert values["value"].notna().all()
    assert usage["cached"] == kept
    assert asked.total() == len(asked) + 2  # the calls that were under way, no others


def test_without_an_endpoint_there_is_no_server_to_ask(test_split: Table, arm_texts: pd.DataFrame, path: Path) -> None:
    given = planned(test_split, arm_texts)
    with pytest.raises(InputError, match=r"judge\.endpoint is null"):
        ask_judge_remotely(given.plan, test_split, arm_texts, given.judge, CallCache(path), given.forecast)


def test_questions_stand_in_the_plan_by_their_ids(test_split: Table, arm_texts: pd.DataFrame, path: Path) -> None:
    with ChatServer(answer('{"better": 1}')) as server:
        values, _ = ask(server.base_url, test_split, arm_texts, path, axes=[], items=7)
        asked = Counter(
            question
            for request in server.requests
            for question in QUESTIONS
            if f">\n{question}\n</question" in request["messages"][1]["content"]
        )
    assert asked == dict.fromkeys(QUESTIONS, 4)
    assert Counter(values["id"]) == dict.fromkeys(IDS, 4)


def test_a_judge_that_costs_more_than_forecast_is_stopped_and_what_it_said_is_kept(
    test_split: Table, arm_texts: pd.DataFrame, path: Path
) -> None:
    def rate_dearly(handler: ChatHandler) -> None:
        usage = {"prompt_tokens": 600_000, "completion_tokens": 1, "total_tokens": 600_001}
        handler.reply(chat_completion('{"score": 3}', usage=usage))

    dear = {"price": PRICE, "max_cost": 100.0, "preference": False}
    with ChatServer(rate_dearly) as server:
        with pytest.raises(
            InputError, match=r"have cost 120\.00 USD in this run, more than judge\.max_cost \(100\.00\)"
        ):
            ask(server.base_url, test_split, arm_texts, path, concurrency=1, **dear)
        assert len(server.requests) == 2
    with CallCache(path).opened() as kept:
        assert len(kept) == 2
