"""Completions of an OpenAI-compatible server, of a chat or of a plain text, with every way of failing named."""

from __future__ import annotations

import asyncio
import hashlib
import json
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import CancelledError
from dataclasses import replace
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Any, TypeVar

from med_lora.errors import InputError
from med_lora.llm.answers import Completion, Failure, Kind, Request
from med_lora.llm.connection import explain_connection, make_client
from med_lora.llm.response import parse_response
from med_lora.parameters.llm import EndpointParams, SamplingParams

if TYPE_CHECKING:
    from openai import APIStatusError

Result = TypeVar("Result")

MAX_RESPONSE_BYTES = 4 * 2**20
LONGEST_LOOK_UP_S = 10.0
LONGEST_WAIT_S = 60.0  # between two requests of a call, whatever Retry-After says
# With these every further call would fail too: key, right, address or model, method.
_FATAL = {
    401: "refuses the key",
    403: "refuses the key",
    404: "knows no such address or model",
    405: "takes no completions",
}


class _FailedRequestError(Exception):
    def __init__(
        self, kind: Kind, *, retry: bool = False, retry_after_s: float | None = None, status: int | None = None
    ):
        super().__init__(kind)
        self.failure = Failure(kind)
        self.retry = retry
        self.retry_after_s = retry_after_s
        self.status = status


class ChatClient:
    """An ``Answerer`` at an endpoint.

    Each request has ``deadline_s`` from connecting to its last byte, and a response of at most ``max_bytes``, also
    after decompression. Status 429, 5xx and timeouts are asked again up to ``retries`` times, after 1, 2, 4, ...
    seconds (times 0.5 to 1.5, drawn from a hash of the messages), or after Retry-After; never more than 60 s. So a
    call ends within (retries + 1) x deadline_s + retries x 60 s. No redirect is followed, no proxy used, and nothing
    sent to any host but that of ``base_url``.

    The requests run on an event loop in a thread of their own: a deadline there ends a request wherever it hangs,
    and ``close`` ends all of them.
    """

    def __init__(
        self,
        endpoint: EndpointParams,
        sampling: SamplingParams,
        *,
        extra: Mapping[str, Any] | None = None,
        sends_tokens: bool = False,
        max_bytes: int = MAX_RESPONSE_BYTES,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ):
        """Read the key and get ready; nothing is sent yet.

        Args:
            endpoint: the server.
            sampling: how it answers.
            extra: further fields of every request's body.
            sends_tokens: a lone prompt goes out as its token ids, which some servers take.
            max_bytes: longest response.
            sleep: waits between two requests of a call.

        Raises:
            InputError: if the variable that should hold the key is not set, or holds no key.
        """
        self.model = endpoint.model
        self.settings: dict[str, float | int | str] = dict(sampling.model_dump())
        self.origin = endpoint.base_url
        self.concurrency = endpoint.concurrency
        self._endpoint = endpoint
        self._sampling = sampling
        self._extra = extra
        self._sends_tokens = sends_tokens
        self._sleep = sleep
        self._closed = False
        self._lock = threading.Lock()
        self._client = make_client(endpoint, max_bytes)
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="chat-client", daemon=True)
        self._thread.start()

    def answer(self, request: Request) -> Completion | Failure:
        """Ask, and ask again where that may help; safe from several threads.

        Returns:
            The completion as it came, or why there is none.

        Raises:
            InputError: if nothing answers at the address, or the server refuses the key, the address or the model.
        """
        with self._lock:
            if self._closed:
                return Failure("hang_up")
            future = asyncio.run_coroutine_threadsafe(self._answer(request), self._loop)
        try:
            return future.result()
        except CancelledError:
            return Failure("hang_up")  # `close` was called; nobody reads this

    def look_up(self, address: str) -> Any:
        """The JSON at an address of the endpoint's host; asked again as ``answer`` does, for at most 10 s each time.

        Returns:
            None where there is no such page (a 3xx or 4xx) or no JSON. A status of 500 that stays counts as no page:
            `transformers serve` gives it where it has no hub cache to list; a busy server gives 429 or another 5xx.

        Raises:
            InputError: if no whole answer comes, or none but 429 or a 5xx other than 500.
        """
        silent = InputError(f"The server at {self.origin} does not say what it is; run again when it answers.")
        with self._lock:
            if self._closed:
                raise silent
            future = asyncio.run_coroutine_threadsafe(self._look_up(address), self._loop)
        try:
            body = future.result()
        except (CancelledError, _FailedRequestError):
            raise silent from None
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            return None

    def close(self) -> None:
        """End the requests under way and the thread."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        asyncio.run_coroutine_threadsafe(self._shut_down(), self._loop).result()
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    async def _shut_down(self) -> None:
        tasks = asyncio.all_tasks() - {asyncio.current_task()}
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._client.close()

    async def _answer(self, request: Request) -> Completion | Failure:
        async def ask() -> Completion | Failure:
            started = time.perf_counter()
            response = await self._receive(self._send(request))
            result = parse_response(response.http_response.content)
            seconds = time.perf_counter() - started
            return replace(result, seconds=seconds) if isinstance(result, Completion) else result

        try:
            return await self._persist(ask, request, self._endpoint.deadline_s)
        except _FailedRequestError as error:
            if error.status in _FATAL:
                raise self._explain_fatal(error.status) from None
            return error.failure

    async def _persist(self, ask: Callable[[], Awaitable[Result]], request: Request, deadline_s: float) -> Result:
        """What ``ask`` returns, tried again where that may help; the wait between is that of ``request``."""
        attempt = 0
        while True:
            try:
                async with asyncio.timeout(deadline_s):
                    return await ask()
            except TimeoutError:
                error = _FailedRequestError("timeout", retry=True)
            except _FailedRequestError as failed:
                error = failed
            if not error.retry or attempt == self._endpoint.retries:
                raise error
            await self._sleep(_wait_s(request, attempt, error.retry_after_s))
            attempt += 1

    async def _receive(self, response: Awaitable[Any]) -> Any:
        """A response with status 200."""
        import httpx2
        import openai

        from med_lora.llm.transport import BadResponseError

        try:
            return await response
        # The errors of the package hold request and response: none of them is chained to what leaves here.
        except BadResponseError as error:
            raise _FailedRequestError(error.kind) from None
        except openai.APITimeoutError:
            raise _FailedRequestError("timeout", retry=True) from None
        except openai.APIStatusError as error:
            raise _explain_status(error) from None
        except openai.APIConnectionError as error:
            if isinstance(error.__cause__, httpx2.ConnectError):
                raise InputError(explain_connection(error.__cause__, self.origin)) from None
            raise _FailedRequestError("hang_up") from None

    async def _send(self, request: Request) -> Any:
        """The raw response to a chat, or to a lone prompt."""
        options: dict[str, Any] = {
            "model": self.model,
            "temperature": self._sampling.temperature,
            "seed": self._sampling.seed + request.repeat,
            "max_tokens": self._sampling.max_tokens,
            "extra_body": self._extra,
        }
        first = request.messages[0]
        if first["role"] == "prompt":
            prompt = list(request.tokens) if self._sends_tokens else first["content"]
            return await self._client.completions.with_raw_response.create(prompt=prompt, **options)
        if request.schema:
            options["response_format"] = _response_format(request)
        return await self._client.chat.completions.with_raw_response.create(
            messages=list(request.messages),  # type: ignore[arg-type]
            **options,
        )

    async def _look_up(self, address: str) -> bytes:
        """The body at ``address``; empty where there is no such page."""
        import httpx2

        async def ask() -> bytes:
            body: bytes = (await self._receive(self._client.get(address, cast_to=httpx2.Response))).content
            return body

        try:
            return await self._persist(
                ask,
                Request(({"role": "prompt", "content": address},)),
                min(self._endpoint.deadline_s, LONGEST_LOOK_UP_S),
            )
        except _FailedRequestError as error:
            if error.failure.kind in ("bad_request", "redirect") or error.status == 500:
                return b""
            raise

    def _explain_fatal(self, status: int) -> InputError:
        key = self._endpoint.api_key_variable
        return InputError(
            f"The server at {self.origin} {_FATAL[status]} (status {status}, model {self.model!r}, "
            f"{f'key from the environment variable {key}' if key else 'no key sent'}); mend these settings of the "
            "endpoint (answers got so far are kept)."
        )


def _explain_status(error: APIStatusError) -> _FailedRequestError:
    status = error.status_code
    if status == 429 or status >= 500:
        after = _retry_after_s(error.response.headers.get("retry-after"))
        kind: Kind = "rate_limited" if status == 429 else "server_error"
        return _FailedRequestError(kind, retry=True, retry_after_s=after, status=status)
    return _FailedRequestError("redirect" if status < 400 else "bad_request", status=status)


def _response_format(request: Request) -> dict[str, Any]:
    assert request.schema is not None
    schema = {"name": request.schema.name, "schema": request.schema.model_json_schema(), "strict": True}
    return {"type": "json_schema", "json_schema": schema}


def _wait_s(request: Request, attempt: int, retry_after_s: float | None) -> float:
    """Seconds until the next attempt; the jitter keeps calls that failed together from returning together."""
    if retry_after_s is not None:
        return min(retry_after_s, LONGEST_WAIT_S)
    content = json.dumps([request.messages, request.repeat, attempt])
    draw = int.from_bytes(hashlib.sha256(content.encode()).digest()[:8]) / 2**64
    return float(min(2.0**attempt * (0.5 + draw), LONGEST_WAIT_S))


def _retry_after_s(header: str | None) -> float | None:
    """Seconds that a Retry-After header asks for (RFC 9110, section 10.2.3: a number, or a date)."""
    if header is None:
        return None
    if header.strip().isascii() and header.strip().isdigit():
        return float(header)
    try:
        moment = parsedate_to_datetime(header)
    except ValueError:
        return None
    return max(0.0, (moment - datetime.now(UTC)).total_seconds()) if moment.tzinfo else None
