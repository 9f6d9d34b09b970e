"""Many calls: order, concurrency, and a cache that pays for nothing twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

import pytest

from med_lora.errors import InputError
from med_lora.llm.answers import AnswerSchema, Completion, Failure, Request, parse_answer
from med_lora.llm.cache import CallCache, call_key
from med_lora.llm.calls import Answers, answer_all
from med_lora.llm.client import ChatClient
from med_lora.parameters.llm import SamplingParams
from tests.llm.server import (
    MODEL,
    SAMPLING,
    ChatHandler,
    ChatServer,
    answer,
    chat_completion,
    endpoint,
    finished,
    say,
)


class Verdict(AnswerSchema):
    name: ClassVar[str] = "verdict"
    version: ClassVar[int] = 1

    score: int


class LaterVerdict(Verdict):
    version: ClassVar[int] = 2


def question(number: int, repeat: int = 0) -> Request:
    return Request(({"role": "user", "content": f"question {number}"},), repeat=repeat)


def number_of(handler: ChatHandler) -> int:
    return int(handler.asked["messages"][0]["content"].split()[1])


def echo(handler: ChatHandler) -> None:
    handler.reply(chat_completion(f"answer {number_of(handler)}"))


def ask(server: ChatServer, requests: Sequence[Request], path: Path, concurrency: int = 4) -> Answers:
    client = ChatClient(endpoint(server.base_url, concurrency=concurrency, retries=0), SAMPLING)
    try:
        return answer_all(client, requests, CallCache(path))
    finally:
        client.close()


def without_seconds(line: bytes) -> dict[str, Any]:
    entry: dict[str, Any] = json.loads(line)
    assert entry["completion"].pop("seconds") > 0
    return entry


def contents(answers: Answers) -> list[str]:
    return [outcome.content if isinstance(outcome, Completion) else outcome.kind for outcome in answers.outcomes]


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "calls" / "calls.jsonl"


def test_answers_stand_in_the_order_asked(path: Path) -> None:
    def slow_first(handler: ChatHandler) -> None:
        time.sleep(0.2 if number_of(handler) == 0 else 0)
        echo(handler)

    with ChatServer(slow_first) as server:
        answers = ask(server, [question(number) for number in range(12)], path)
    assert contents(answers) == [f"answer {number}" for number in range(12)]
    assert (answers.cached, answers.asked, answers.failed) == (0, 12, {})
    assert (answers.prompt_tokens, answers.completion_tokens, answers.paid_tokens) == (84, 36, 120)


def test_no_more_calls_at_once_than_asked_for(path: Path) -> None:
    guard, together = threading.Lock(), [0, 0]

    def count(handler: ChatHandler) -> None:
        with guard:
            together[0] += 1
            together[1] = max(together)
        time.sleep(0.03)
        with guard:
            together[0] -= 1
        echo(handler)

    with ChatServer(count) as server:
        ask(server, [question(number) for number in range(12)], path, concurrency=3)
    assert 2 <= together[1] <= 3


def test_a_second_run_pays_for_nothing(path: Path) -> None:
    with ChatServer(echo) as server:
        first = ask(server, [question(0), question(1)], path)
        second = ask(server, [question(1), question(0), question(2), question(1)], path)
        assert len(server.requests) == 3
    assert contents(second) == ["answer 1", "answer 0", "answer 2", "answer 1"]
    assert (first.paid_tokens, second.paid_tokens, second.cached, second.asked) == (20, 10, 2, 1)


def test_useless_answers_are_kept_too_and_failed_calls_are_not(path: Path) -> None:
    with ChatServer(say(finished("length")), say(b"", 500), answer()) as server:
        first = ask(server, [question(0), question(1)], path, concurrency=1)
        second = ask(server, [question(0), question(1)], path)
        assert len(server.requests) == 3
    assert contents(first) == ["length", "server_error"]
    assert first.failed == {"length": 1, "server_error": 1}
    assert contents(second) == ["length", "fine"]


def test_everything_that_matters_enters_the_key() -> None:
    def key(request: Request, **changes: float) -> str:
        model = changes.pop("model", MODEL)
        sampling = SamplingParams.model_validate(SAMPLING.model_dump() | changes)
        client = ChatClient(endpoint("http://127.0.0.1:1/v1", model=model), sampling)
        client.close()
        return call_key(client, request)

    messages = question(0).messages
    keys = [
        key(question(0)),
        key(question(1)),
        key(question(0, repeat=1)),
        key(Request(({"role": "system", "content": "question 0"},))),
        key(Request(messages, Verdict)),
        key(Request(messages, LaterVerdict)),
        key(question(0), temperature=0.5),
        key(question(0), seed=12),
        key(question(0), max_tokens=65),
        key(question(0), model="another"),  # type: ignore[arg-type]
    ]
    assert len(set(keys)) == len(keys)
    # Written down: a change of the key would pay for every cache again.
    assert keys[0] == "f4e6c38c95808c0381040257c513908fc6fc3f08b71588091e82e3e300fa1416"


def test_where_the_server_stands_does_not_enter_the_key(path: Path) -> None:
    for requests in (1, 0):
        with ChatServer(echo) as server:
            assert contents(ask(server, [question(0)], path)) == ["answer 0"]
            assert len(server.requests) == requests


@pytest.mark.parametrize("left", [0, 1, 40, -2, -1])
def test_an_unfinished_last_line_is_cut_off(path: Path, left: int) -> None:
    with ChatServer(echo) as server:
        ask(server, [question(0), question(1)], path, concurrency=1)
        first, second = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(first + second[:left])
        assert contents(ask(server, [question(0), question(1)], path)) == ["answer 0", "answer 1"]
        assert len(server.requests) == 3
    again = path.read_bytes().splitlines(keepends=True)
    assert again[0] == first
    assert [without_seconds(line) for line in again[1:]] == [without_seconds(second)]


@pytest.mark.parametrize("damage", [b"\0" * 30, b"{}", b'{"key": 1, "origin": "", "completion": {}}', b"\xff"])
def test_a_damaged_line_is_named(path: Path, damage: bytes) -> None:
    with ChatServer(echo) as server:
        ask(server, [question(0), question(1)], path, concurrency=1)
        first, second = path.read_bytes().splitlines(keepends=True)
        path.write_bytes(first + damage + b"\n" + second)
        with pytest.raises(InputError, match=r"calls\.jsonl, line 2 is damaged; delete that line") as caught:
            ask(server, [question(2)], path)
        assert "answer" not in str(caught.value)
        assert len(server.requests) == 2


def test_two_runs_do_not_share_a_cache(path: Path) -> None:
    with ChatServer(echo) as server, CallCache(path).opened():
        with pytest.raises(InputError, match=r"calls\.jsonl is in use by another run"):
            ask(server, [question(0)], path)
        assert server.requests == []


def test_a_fault_of_every_call_stops_and_keeps_what_was_answered(path: Path) -> None:
    with ChatServer(echo, echo, say(b"", 401)) as server:
        with pytest.raises(InputError, match="refuses the key"):
            ask(server, [question(number) for number in range(50)], path, concurrency=1)
        assert len(server.requests) == 3
    assert len(path.read_bytes().splitlines()) == 2


def test_only_the_owner_may_read_the_cache(path: Path) -> None:
    with ChatServer(echo) as server:
        ask(server, [question(0)], path)
    assert path.stat().st_mode & 0o077 == 0


def test_a_full_disk_is_one_sentence(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write = os.write

    def half(descriptor: int, data: bytes) -> int:
        if data.startswith(b'{"key"'):
            return write(descriptor, data[:10])
        raise OSError(28, "No space left on device")

    cache = CallCache(path)
    with cache.opened(), monkeypatch.context() as patch:
        patch.setattr(os, "write", half)
        with pytest.raises(InputError, match=r"calls\.jsonl cannot be written \(No space left"):
            cache.append("k", "here", Completion("a", MODEL, "stop", 0, 0))
    assert path.read_bytes() == b""


# A shell starts what runs in the background with SIGINT ignored, and Python leaves it so.
SCRIPT = """
import signal, sys
from pathlib import Path
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.path.insert(0, {root!r})
from tests.llm.test_calls import ask, question
class Server:
    base_url = sys.argv[1]
ask(Server, [question(number) for number in range(30)], Path(sys.argv[2]), concurrency=3)
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_a_killed_run_pays_for_nothing_twice(path: Path, root: Path, ending: signal.Signals) -> None:
    all_busy, killed = threading.Event(), threading.Event()

    def stall(handler: ChatHandler) -> None:
        if len(handler.server.requests) > 12:
            if len(handler.server.requests) == 15:
                all_busy.set()
            killed.wait(60)
        echo(handler)

    with ChatServer(stall) as server:
        program = [sys.executable, "-c", SCRIPT.format(root=str(root)), server.base_url, str(path)]
        run = subprocess.Popen(program, stderr=subprocess.DEVNULL)
        assert all_busy.wait(60)
        run.send_signal(ending)
        assert run.wait(60) != 0
        killed.set()
        kept = [json.loads(line)["completion"]["content"] for line in path.read_bytes().splitlines()]
        assert len(kept) == 12
        answers = ask(server, [question(number) for number in range(30)], path)
        asked = Counter(request["messages"][0]["content"] for request in server.requests)
    assert contents(answers) == [f"answer {number}" for number in range(30)]
    assert (answers.cached, answers.asked) == (12, 18)
    assert {asked[content.replace("answer", "question")] for content in kept} == {1}
    assert asked.total() == 30 + 3  # the calls that were under way, no others


@pytest.mark.parametrize(
    ("content", "parsed"),
    [
        ('{"score": 4}', Verdict(score=4)),
        ('```json\n{"score": 4}\n```', Verdict(score=4)),
        ('{"score": "4"}', None),
        ('{"score": 4, "why": ""}', None),
        ('{"score": 4', None),
        ('Here it is: {"score": 4}', None),
        ("[]", None),
    ],
)
def test_answers_are_taken_by_a_strict_schema(content: str, parsed: Verdict | None) -> None:
    result = parse_answer(Completion(content, MODEL, "stop", 0, 0), Verdict)
    assert result == (parsed or Failure("malformed_answer"))
