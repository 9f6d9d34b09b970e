"""A judge behind a server that fails in every way it can: what cannot be had is missing, and nothing else changes."""

from __future__ import annotations

import gzip
import json
import logging
import random
import time
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from med_lora.errors import InputError
from med_lora.llm.cache import CallCache
from med_lora.llm.client import MAX_RESPONSE_BYTES
from med_lora.pipelines.judge.asking import ask_judge_remotely
from med_lora.pipelines.judge.plan import plan_judging
from tests import recipes
from tests.llm.server import (
    ChatHandler,
    ChatServer,
    Handler,
    answer,
    chat_completion,
    drip,
    drip_headers,
    endpoint,
    finished,
    hang_up,
    hang_up_in_the_body,
    in_turn,
    say,
    zipped,
)
from tests.pipelines.evaluation.conftest import ANSWERS, QUESTIONS, Table
from tests.pipelines.judge.conftest import IDS

KEY = "sk-judge-0123456789abcdef"
VICTIM = QUESTIONS[3]
SHORT_S = 1.0  # deadline where a fault is to run into it
SCORE = '{"score": 4}'
CHOICE = {"index": 0, "message": {"role": "assistant", "content": SCORE}, "finish_reason": "stop"}


def silence(_: ChatHandler) -> None:
    time.sleep(2 * SHORT_S)


FAULTS: dict[str, tuple[Handler, str]] = {
    "status 400": (say(b'{"error": "context"}', 400), "bad_request"),
    "status 429": (say(b"{}", 429), "rate_limited"),
    "status 500": (say(b"<html>", 500), "server_error"),
    "status 502": (say(b"", 502), "server_error"),
    "status 503": (say(b"busy", 503), "server_error"),
    "redirect": (say(b"", 307, Location="http://127.0.0.2:9/v1/chat/completions"), "redirect"),
    "slow bytes": (drip, "timeout"),
    "slow headers": (drip_headers, "timeout"),
    "silence": (silence, "timeout"),
    "hang-up before the headers": (hang_up, "hang_up"),
    "hang-up in the body": (hang_up_in_the_body, "hang_up"),
    "compressed body cut": (say(gzip.compress(chat_completion(SCORE))[:-12], Content_Encoding="gzip"), "hang_up"),
    "no gzip at all": (say(b"no gzip", Content_Encoding="gzip"), "unknown_encoding"),
    "unknown encoding": (say(chat_completion(SCORE), Content_Encoding="br"), "unknown_encoding"),
    "gzip bomb": (zipped(b"\0" * 2 * MAX_RESPONSE_BYTES), "too_large"),
    "over-long body": (say(b"x" * (MAX_RESPONSE_BYTES + 1)), "too_large"),
    "HTML": (say(b"<html>Sign in</html>", Content_Type="text/html"), "not_json"),
    "empty body": (say(b""), "not_json"),
    "truncated JSON": (say(chat_completion(SCORE)[:-20]), "not_json"),
    "deep JSON": (say(b"[" * 20_000), "not_json"),
    "no UTF-8": (say(random.Random(1).randbytes(500)), "not_json"),
    "other envelope": (say(b'{"answer": {"score": 4}}'), "wrong_schema"),
    "no choice": (answer(SCORE, choices=[]), "wrong_schema"),
    "two choices": (answer(SCORE, choices=[CHOICE, CHOICE]), "wrong_schema"),
    "other model": (answer(SCORE, model="another-judge"), "other_model"),
    "cut at the length limit": (say(finished("length", SCORE)), "length"),
    "content filter": (say(finished("content_filter", SCORE)), "content_filter"),
    "tool call": (say(finished("tool_calls", SCORE)), "finish_reason"),
    "blank content": (say(finished("stop", " \n")), "empty"),
    "no content": (say(finished("stop", None)), "empty"),
    "prose": (answer("I would say four of five."), "malformed_answer"),
    "text around JSON": (answer(f"Here it is: {SCORE}"), "malformed_answer"),
    "two objects": (answer(f"{SCORE}\n{SCORE}"), "malformed_answer"),
    "half an object": (answer('{"score": 4'), "malformed_answer"),
    "score out of range": (answer('{"score": 7}'), "malformed_answer"),
    "score as a string": (answer('{"score": "4"}'), "malformed_answer"),
    "score as a fraction": (answer('{"score": 4.5}'), "malformed_answer"),
    "score as a truth value": (answer('{"score": true}'), "malformed_answer"),
    "answer to another task": (answer('{"met": true}'), "malformed_answer"),
    "field beside the score": (answer('{"score": 4, "reason": "good"}'), "malformed_answer"),
}


class Asked:
    """What a judge of one axis, of one arm and its plea, and of two pairs, one of them the victim, came to."""

    def __init__(self, folder: Path, *script: Handler, **changes: Any) -> None:
        victim = IDS[QUESTIONS.index(VICTIM)]
        kept = [victim, IDS[0]]
        test = Table(pd.DataFrame({"id": IDS, "question": QUESTIONS, "answer": ANSWERS}).query("id in @kept"))
        rows = [(pair, "base", "model", f"I say: {ANSWERS[IDS.index(pair)]}") for pair in kept]
        texts = pd.DataFrame(rows, columns=["id", "arm", "kind", "answer"])
        with ChatServer(*script) as self.server:
            given = {"concurrency": 4, "retries": 0, **changes}
            judge = recipes.judge(
                endpoint=endpoint(self.server.base_url, **given), axes=[recipes.axis()], preference=False
            )
            plan, forecast = plan_judging(test, texts, judge, recipes.evaluation())
            calls = CallCache(folder / "calls.jsonl")
            self.values, self.usage = ask_judge_remotely(plan, test, texts, judge, calls, forecast)
        self.struck = self.values[self.values["id"] == victim]
        self.others = self.values[self.values["id"] != victim]


def strike(fault: Handler) -> Handler:
    """Plays ``fault`` to questions about the victim; rates the others 4."""
    fine = answer(SCORE)

    def play(handler: ChatHandler) -> None:
        (fault if VICTIM in handler.asked["messages"][1]["content"] else fine)(handler)

    return play


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_a_missing_value_and_no_more(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fault, kind = FAULTS[name]
    monkeypatch.setenv("JUDGE_KEY", KEY)
    caplog.set_level(logging.DEBUG)
    short = {"deadline_s": SHORT_S} if kind == "timeout" else {}
    asked = Asked(tmp_path, strike(fault), api_key_variable="JUDGE_KEY", **short)
    assert asked.struck["value"].isna().all()
    assert set(asked.struck["missing"]) == {kind}
    assert set(asked.others["value"]) == {4.0}
    assert set(asked.others["missing"]) == {""}
    assert asked.usage["failed"] == {kind: 2}
    assert (asked.usage["calls"], asked.usage["answered"]) == (4, 2)
    assert f"2 of 4 questions have no usable answer ({kind}: 2)" in caplog.text
    # the cache alone may hold what the server wrote
    told = caplog.text + asked.values.to_csv() + json.dumps(asked.usage, allow_nan=False)
    for text in (KEY, *ANSWERS, *QUESTIONS, "Sign in", "four of five"):
        assert text not in told
    assert KEY not in (tmp_path / "calls.jsonl").read_text()


def test_the_faults_are_many() -> None:
    assert len(FAULTS) >= 20
    assert len({kind for _, kind in FAULTS.values()}) >= 14


def test_a_fence_around_the_answer_is_read(tmp_path: Path) -> None:
    asked = Asked(tmp_path, answer(f"```json\n{SCORE}\n```"))
    assert set(asked.values["value"]) == {4.0}


def test_a_redirect_takes_no_text_elsewhere(tmp_path: Path) -> None:
    with ChatServer(answer(SCORE)) as other:
        asked = Asked(tmp_path, strike(say(b"", 308, Location=f"{other.base_url}/chat/completions")))
        assert (other.requests, other.looked_up) == ([], [])
    assert set(asked.struck["missing"]) == {"redirect"}


def test_a_busy_server_is_asked_again(tmp_path: Path) -> None:
    busy = [say(b"", status, Retry_After="0") for status in (429, 503)]
    asked = Asked(tmp_path, in_turn(*busy, answer(SCORE)), concurrency=1, retries=2)
    assert set(asked.values["value"]) == {4.0}
    assert len(asked.server.requests) == 4 + 2
    assert asked.usage["failed"] == {}


def test_failed_calls_are_asked_again_by_the_next_run_and_no_others(tmp_path: Path) -> None:
    first = Asked(tmp_path, strike(say(b"", 500)))
    second = Asked(tmp_path, answer(SCORE))
    assert set(second.values["value"]) == {4.0}
    assert (first.usage["cached"], second.usage["cached"], second.usage["asked"]) == (0, 2, 2)
    assert len(second.server.requests) == 2


@pytest.mark.parametrize("kind", ["server_error", "timeout", "malformed_answer", "other_model", "redirect", "empty"])
def test_a_judge_without_one_usable_answer_is_one_sentence(kind: str, tmp_path: Path) -> None:
    fault = next(fault for fault, known in FAULTS.values() if known == kind)
    words = (
        rf"^None of the 4 questions to the judge medical-writer at http://127[^ ]* has a usable answer \({kind}: 4\); m"
    )
    with pytest.raises(InputError, match=words) as caught:
        Asked(tmp_path, fault, deadline_s=SHORT_S if kind == "timeout" else 5.0)
    assert str(caught.value).count("\n") == 0
    assert not any(text in str(caught.value) for text in (*ANSWERS, *QUESTIONS))


@pytest.mark.parametrize(("status", "words"), [(401, "refuses the key"), (404, "knows no such address or model")])
def test_what_every_call_would_meet_stops_at_once(
    status: int, words: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JUDGE_KEY", KEY)
    with pytest.raises(InputError, match=words) as caught:
        Asked(tmp_path, say(KEY.encode(), status), api_key_variable="JUDGE_KEY", concurrency=1)
    assert KEY not in str(caught.value)
    assert "JUDGE_KEY" in str(caught.value)


def test_a_key_that_is_not_set_is_named_before_anything_is_sent(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="The environment variable NO_SUCH_KEY, which should hold the key"):
        Asked(tmp_path, answer(SCORE), api_key_variable="NO_SUCH_KEY")
