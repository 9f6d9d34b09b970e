"""Plain prompts: how they go out, which completions of them count, and what a server tells of itself."""

from __future__ import annotations

import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from med_lora.llm.answers import Completion, Failure, Request, usable, written
from med_lora.llm.client import ChatClient
from tests.llm.server import MODEL, SAMPLING, ChatServer, answer, chat_completion, endpoint, say, text_completion

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
    assert client.look_up("models") is None


def test_a_look_up_never_fails() -> None:
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{deaf.getsockname()[1]}/v1"
        closed = ChatClient(endpoint(url), SAMPLING)
        assert closed.look_up("models") is None
        closed.close()
        deaf.listen()  # takes the connection, and never answers
        silent = ChatClient(endpoint(url, deadline_s=0.2), SAMPLING)
        assert silent.look_up("models") is None
        silent.close()
