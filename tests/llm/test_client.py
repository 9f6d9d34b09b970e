"""Every way in which a server can fail, injected by a real one on loopback."""

from __future__ import annotations

import asyncio
import gzip
import logging
import random
import socket
import threading
import time
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, ClassVar

import pytest

from med_lora.errors import InputError
from med_lora.llm.answers import AnswerSchema, Completion, Failure, Request, usable
from med_lora.llm.client import LONGEST_WAIT_S, ChatClient
from tests.llm.server import (
    MODEL,
    SAMPLING,
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
    say,
    zipped,
)

REQUEST = Request(({"role": "user", "content": "What is gout?"},))
FINE = Completion("fine", MODEL, "stop", prompt_tokens=7, completion_tokens=3)
KEY = "sk-very-secret-0123456789"


class Verdict(AnswerSchema):
    name: ClassVar[str] = "verdict"
    version: ClassVar[int] = 1

    score: int


class Waits(list[float]):
    """Takes the place of the pauses between requests."""

    async def __call__(self, seconds: float) -> None:
        self.append(seconds)
        await asyncio.sleep(0)


@contextmanager
def asking(server: ChatServer, waits: Waits | None = None, **changes: Any) -> Iterator[ChatClient]:
    max_bytes = changes.pop("max_bytes", 20_000)
    client = ChatClient(
        endpoint(server.base_url, **changes), SAMPLING, max_bytes=max_bytes, sleep=Waits() if waits is None else waits
    )
    try:
        yield client
    finally:
        client.close()


def outcome(*script: Handler, **changes: Any) -> tuple[Completion | Failure, int]:
    """What a call came to, checked as every user of the client does, and how many requests it took."""
    with ChatServer(*script) as server, asking(server, **changes) as client:
        result = client.answer(REQUEST)
        checked = usable(result, MODEL) if isinstance(result, Completion) else result
        return checked, len(server.requests)


def test_a_completion_with_its_tokens() -> None:
    assert outcome(answer()) == (FINE, 1)


def test_a_server_that_does_not_count_tokens() -> None:
    assert outcome(say(chat_completion(usage=None)))[0] == Completion("fine", MODEL, "stop", 0, 0)


@pytest.mark.parametrize("status", [429, 500, 502, 503])
def test_a_busy_server_is_asked_again(status: int) -> None:
    assert outcome(say(b"{}", status), say(b"busy", status), answer()) == (FINE, 3)


@pytest.mark.parametrize(
    ("script", "kind", "requests"),
    [
        (say(b"{}", 429), "rate_limited", 3),
        (say(b"<html>", 500), "server_error", 3),
        (hang_up, "hang_up", 1),
        (hang_up_in_the_body, "hang_up", 1),
        (say(b"<html><body>Sign in</body></html>", Content_Type="text/html"), "not_json", 1),
        (say(b""), "not_json", 1),
        (say(chat_completion()[:-20]), "not_json", 1),
        (say(chat_completion("caf\xe9").replace(b"\\u00e9", b"\xe9")), "not_json", 1),
        (say(b'{"answer": "fine"}'), "wrong_schema", 1),
        (say(b"[" * 15_000), "not_json", 1),
        (answer(choices=[]), "wrong_schema", 1),
        (answer(choices="none"), "wrong_schema", 1),
        (answer(choices=[{"message": {"content": "fine"}, "finish_reason": "stop"}] * 2), "wrong_schema", 1),
        (answer(usage={"prompt_tokens": -4}), "wrong_schema", 1),
        (answer(model="another-writer"), "other_model", 1),
        (answer(model=f"{MODEL}-mini"), "other_model", 1),
        (say(finished("length")), "length", 1),
        (say(finished("content_filter")), "content_filter", 1),
        (say(finished("tool_calls")), "finish_reason", 1),
        (say(finished("stop", " \n")), "empty", 1),
        (say(finished("stop", None)), "empty", 1),
        (say(b'{"error": "context"}', 400), "bad_request", 1),
        (say(b"", 302, Location="http://127.0.0.1:1/v1"), "redirect", 1),
        (say(b"", 304), "redirect", 1),
        (answer("x" * 30_000), "too_large", 1),
        (say(b"x" * 30_000, 500), "too_large", 1),
        (zipped(random.Random(1).randbytes(30_000)), "too_large", 1),
        (say(gzip.compress(chat_completion())[:-12], Content_Encoding="gzip"), "hang_up", 1),
        (say(b"no gzip at all", Content_Encoding="gzip"), "unknown_encoding", 1),
        (say(b"x", Content_Encoding="br"), "unknown_encoding", 1),
    ],
)
def test_a_faulty_response_is_a_failure_of_a_known_kind(script: Handler, kind: str, requests: int) -> None:
    result, asked = outcome(script)
    assert (result, asked) == (Failure(kind), requests)  # type: ignore[arg-type]


@pytest.mark.parametrize("script", [drip, drip_headers, lambda _: time.sleep(1)])
def test_a_deadline_ends_the_whole_request(script: Handler) -> None:
    started = time.perf_counter()
    assert outcome(script, deadline_s=0.15, retries=1) == (Failure("timeout"), 2)
    assert time.perf_counter() - started < 5  # each response would take 10 s


def test_a_timeout_is_asked_again() -> None:
    assert outcome(drip, answer(), deadline_s=0.5) == (FINE, 2)


def test_compressed_responses_are_read() -> None:
    assert outcome(zipped(chat_completion())) == (FINE, 1)


@pytest.mark.parametrize("suffix", ["-2024-08-06", "-20240806", "-0613", "@main"])
def test_a_snapshot_is_the_same_model(suffix: str) -> None:
    assert isinstance(outcome(answer(model=MODEL + suffix))[0], Completion)


def test_a_bomb_is_not_unpacked() -> None:
    bomb = zipped(b"\0" * 16_000_000)  # 16 KB on the wire, less than the bound
    outcome(bomb)  # imports, TLS
    tracemalloc.start()
    try:
        assert outcome(bomb) == (Failure("too_large"), 1)
        assert tracemalloc.get_traced_memory()[1] < 4_000_000
    finally:
        tracemalloc.stop()


def test_redirects_are_not_followed() -> None:
    with ChatServer(answer()) as other:
        assert outcome(say(b"", 307, Location=f"{other.base_url}/chat/completions"))[0] == Failure("redirect")
        assert other.requests == []


def test_waits_grow_and_repeat_exactly() -> None:
    runs = []
    for _ in range(2):
        waits = Waits()
        assert outcome(say(b"", 503), waits=waits, retries=9)[0] == Failure("server_error")
        runs.append(waits)
    assert runs[0] == runs[1]
    assert len(set(runs[0])) > 6
    for attempt, wait in enumerate(runs[0]):
        assert min(0.5 * 2**attempt, LONGEST_WAIT_S) <= wait <= min(1.5 * 2**attempt, LONGEST_WAIT_S)


@pytest.mark.parametrize(("asked", "waited"), [("7", 7.0), (" 0 ", 0.0), ("86400", LONGEST_WAIT_S)])
def test_retry_after_is_honoured_up_to_a_bound(asked: str, waited: float) -> None:
    waits = Waits()
    assert outcome(say(b"", 429, Retry_After=asked), answer(), waits=waits) == (FINE, 2)
    assert waits == [waited]


def test_retry_after_may_be_a_date() -> None:
    waits = Waits()
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=30), usegmt=True)
    assert outcome(say(b"", 503, Retry_After=date), answer(), waits=waits) == (FINE, 2)
    assert 20 < waits[0] <= 30


def test_nonsense_in_retry_after_is_ignored() -> None:
    waits = Waits()
    assert outcome(say(b"", 429, Retry_After="soon"), answer(), waits=waits) == (FINE, 2)
    assert 0.5 <= waits[0] <= 1.5


@pytest.mark.parametrize(
    ("status", "words"), [(401, "refuses the key"), (403, "refuses the key"), (404, "no such address or model")]
)
def test_what_every_call_would_meet_stops_the_run(status: int, words: str) -> None:
    with (
        ChatServer(say(KEY.encode(), status)) as server,
        asking(server) as client,
        pytest.raises(InputError, match=words) as caught,
    ):
        client.answer(REQUEST)
    assert str(caught.value).count("\n") == 0
    assert server.base_url in str(caught.value)
    assert KEY not in str(caught.value)
    assert len(server.requests) == 1


def test_no_server_is_one_sentence() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    client = ChatClient(endpoint(url), SAMPLING)
    with pytest.raises(InputError, match=rf"^No server answers at {url}; start it"):
        client.answer(REQUEST)
    client.close()


def test_a_server_without_tls_is_one_sentence() -> None:
    with ChatServer(answer()) as server:
        client = ChatClient(endpoint(server.base_url.replace("http:", "https:")), SAMPLING)
        with pytest.raises(InputError, match=r"^No secure connection to https://127"):
            client.answer(REQUEST)
        client.close()
        assert server.requests == []


def test_the_request_says_what_it_must_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_ORG_ID", "hospital")
    monkeypatch.setenv("OPENAI_PROJECT_ID", "secret-project")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-of-somebody-else")
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:1/v1")
    monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    request = Request(REQUEST.messages, Verdict, repeat=2)
    with ChatServer(answer()) as server, asking(server) as client:
        assert client.answer(request) == FINE
    assert server.paths == ["/v1/chat/completions"]
    asked = server.requests[0]
    assert asked["messages"] == [{"role": "user", "content": "What is gout?"}]
    assert (asked["model"], asked["temperature"], asked["seed"], asked["max_tokens"]) == (MODEL, 0.0, 13, 64)
    assert asked["response_format"]["json_schema"]["name"] == "verdict"
    assert asked["response_format"]["json_schema"]["schema"]["additionalProperties"] is False
    assert set(server.headers[0]) == {"accept", "accept-encoding", "content-length", "content-type", "host"}


def test_the_key_goes_to_the_server_and_nowhere_else(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("WRITER_KEY", f"{KEY}\n")
    caplog.set_level(logging.DEBUG)
    with ChatServer(answer()) as server, asking(server, api_key_variable="WRITER_KEY") as client:
        assert client.answer(REQUEST) == FINE
        assert KEY not in repr(client) + repr(vars(client))
    assert server.headers[0]["authorization"] == f"Bearer {KEY}"
    assert KEY not in caplog.text
    assert "gout" not in caplog.text


@pytest.mark.parametrize(("value", "words"), [("", "is not set"), ("sk-a\r\nb", "characters"), ("sk-ü", "characters")])
def test_a_key_that_cannot_be_one(monkeypatch: pytest.MonkeyPatch, value: str, words: str) -> None:
    monkeypatch.setenv("WRITER_KEY", value)
    with pytest.raises(InputError, match=words) as caught:
        ChatClient(endpoint("http://127.0.0.1:1/v1", api_key_variable="WRITER_KEY"), SAMPLING)
    assert "sk-" not in str(caught.value)
    assert "WRITER_KEY" in str(caught.value)


def test_closing_ends_the_calls_under_way() -> None:
    arrived = threading.Event()

    def never(_: Any) -> None:
        arrived.set()
        time.sleep(5)

    with ChatServer(never) as server, asking(server, deadline_s=30.0) as client, ThreadPoolExecutor(1) as pool:
        call = pool.submit(client.answer, REQUEST)
        assert arrived.wait(5)
        started = time.perf_counter()
        client.close()
        assert isinstance(call.result(), Failure)
        assert time.perf_counter() - started < 2
        assert isinstance(client.answer(REQUEST), Failure)
        client.close()
