"""Plain prompts: how they go out, which completions of them count, and what a server tells of itself."""

from __future__ import annotations

import asyncio
import re
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from med_lora.errors import InputError
from med_lora.llm.answers import Completion, Failure, Request, usable, written
from med_lora.llm.client import MAX_RESPONSE_BYTES, ChatClient
from tests.llm.server import (
    MODEL,
    SAMPLING,
    ChatServer,
    answer,
    chat_completion,
    endpoint,
    hang_up,
    hang_up_in_the_body,
    in_turn,
    say,
    text_completion,
)

SILENT = r"^The server at http://127\.0\.0\.1:\d+/v1 does not say what it is; run again when it answers\.$"
PROMPT = Request(({"role": "prompt", "content": "Question: What is gout?\nAnswer:"},), tokens=(5, 6, 7))


@contextmanager
def asking(server: ChatServer, **changes: Any) -> Iterator[ChatClient]:
    given = {key: changes.pop(key) for key in ("extra", "sends_tokens") if key in changes}
    client = ChatClient(endpoint(server.base_url, **changes), SAMPLING, **given)
    try:
        yield client
    finally:
        client.close()


@pytest.mark.parametrize(("sends_tokens", "prompt"), [(False, PROMPT.messages[0]["content"]), (True, [5, 6, 7])])
def test_a_prompt_goes_out_as_text_or_as_tokens(sends_tokens: bool, prompt: str | list[int]) -> None:
    with (
        ChatServer(say(text_completion(" A painful toe.", 3))) as server,
        asking(server, sends_tokens=sends_tokens, extra={"top_k": 5}) as client,
    ):
        assert client.answer(PROMPT) == Completion(" A painful toe.", MODEL, "stop", 3, 3)
    assert server.paths == ["/v1/completions"]
    fixed = {"model": MODEL, "temperature": 0.0, "seed": 11, "max_tokens": 64}
    assert server.requests == [{"prompt": prompt, "top_k": 5, **fixed}]


def test_a_chat_stays_a_chat_where_prompts_are_tokens() -> None:
    with ChatServer(answer()) as server, asking(server, sends_tokens=True) as client:
        client.answer(Request(({"role": "user", "content": "What is gout?"},)))
    assert server.paths == ["/v1/chat/completions"]
    assert server.requests[0]["messages"] == [{"role": "user", "content": "What is gout?"}]


def test_a_completion_without_any_text_is_no_answer() -> None:
    body = chat_completion(choices=[{"index": 0, "finish_reason": "stop"}])
    with ChatServer(say(body)) as server, asking(server) as client:
        assert client.answer(PROMPT) == Failure("wrong_schema")


def test_the_seconds_are_those_of_the_request_that_was_answered() -> None:
    def late(handler: Any) -> None:
        time.sleep(0.2)
        handler.reply(text_completion("late", 3))

    with ChatServer(say(b"", 503), late) as server, asking(server) as client:
        started = time.perf_counter()
        result = client.answer(PROMPT)  # asked again after half a second or more
        elapsed = time.perf_counter() - started
    assert isinstance(result, Completion)
    assert 0.2 <= result.seconds <= elapsed - 0.5


@pytest.mark.parametrize(
    ("model", "reason", "content", "as_written", "as_usable"),
    [
        (MODEL, "stop", "fine", None, None),
        (MODEL, "length", "fine", None, "length"),
        (MODEL, "stop", " \n", None, "empty"),
        (MODEL, "length", "", None, "length"),
        (MODEL, "content_filter", "fine", "content_filter", "content_filter"),
        (MODEL, "abort", "fine", "finish_reason", "finish_reason"),
        ("another", "length", "fine", "other_model", "other_model"),
    ],
)
def test_a_cut_or_empty_completion_is_written_but_not_usable(
    model: str, reason: str, content: str, as_written: str | None, as_usable: str | None
) -> None:
    completion = Completion(content, model, reason, 7, 3)
    for check, kind in ((written, as_written), (usable, as_usable)):
        assert check(completion, MODEL) == (completion if kind is None else Failure(kind))  # type: ignore[arg-type]


def test_what_a_server_tells_of_itself_is_looked_up() -> None:
    with ChatServer(answer()) as server, asking(server) as client:
        server.pages = {"/v1/models": {"data": []}, "/version": {"version": "1"}}
        assert client.look_up("models") == {"data": []}
        assert client.look_up(server.base_url.replace("/v1", "/version")) == {"version": "1"}
        assert client.look_up("absent") is None
        assert server.requests == []
    with pytest.raises(InputError, match=SILENT):
        client.look_up("models")  # closed


def look_up(page: Any, **changes: Any) -> tuple[Any, int]:
    """What a look-up of ``page`` gives, or its error says, and after how many requests; no time passes between."""
    with ChatServer(answer()) as server:
        server.pages = {"/v1/models": page}
        client = ChatClient(endpoint(server.base_url, **changes), SAMPLING, sleep=lambda _: asyncio.sleep(0))
        try:
            return client.look_up("models"), server.looked_up.count("/v1/models")
        except InputError as error:
            return str(error), server.looked_up.count("/v1/models")
        finally:
            client.close()


def test_a_page_that_is_not_there_or_no_json_is_none() -> None:
    for status in (302, 400, 401, 403, 404, 405, 410):
        assert look_up(say(b'{"data": []}', status)) == (None, 1)
    for body in (b"", b"<html>", b"\xff", b"[" * 100_000):
        assert look_up(say(body)) == (None, 1)


def test_a_broken_page_is_none_once_it_stays_broken() -> None:
    """As of `transformers serve` without a hub cache: its list of models is an internal server error."""
    broken = say(b"Internal Server Error", 500, Content_Type="text/plain; charset=utf-8")
    assert look_up(broken) == (None, 3)
    assert look_up(in_turn(broken, say(b'{"data": [5]}'))) == ({"data": [5]}, 2)


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_busy_server_is_asked_again_and_never_taken_for_one_without_the_page(status: int) -> None:
    busy = say(b"{}", status)
    assert look_up(in_turn(busy, busy, say(b'{"data": [5]}'))) == ({"data": [5]}, 3)
    error, asked = look_up(busy)
    assert (re.search(SILENT, error) is not None, asked) == (True, 3)


def test_a_look_up_that_is_not_read_to_its_end_is_an_error() -> None:
    unread = say(b"x" * (MAX_RESPONSE_BYTES + 1)), say(b"x", 503, Content_Encoding="br")  # a gateway's page, say
    for cut in (hang_up, hang_up_in_the_body, *unread):
        assert re.search(SILENT, look_up(cut)[0])
    error, asked = look_up(lambda _: time.sleep(0.3), deadline_s=0.1, retries=1)
    assert (re.search(SILENT, error) is not None, asked) == (True, 2)


def test_a_look_up_where_nobody_listens_is_an_error() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        client = ChatClient(endpoint(f"http://127.0.0.1:{deaf.getsockname()[1]}/v1"), SAMPLING)
        with pytest.raises(InputError, match="No server answers at"):
            client.look_up("models")
        client.close()
