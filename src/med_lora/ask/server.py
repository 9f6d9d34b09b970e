"""The page: served to this machine alone, its answers streamed, and nothing of them kept or logged."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import threading
import traceback
from collections.abc import AsyncIterator, Callable
from contextlib import closing
from dataclasses import asdict
from typing import Any, Protocol

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from med_lora.ask.arms import Reply, Sources, check_question
from med_lora.ask.gate import Gate
from med_lora.ask.page import render_ask_page
from med_lora.errors import InputError

logger = logging.getLogger(__name__)

HOST = "127.0.0.1"
MAX_BODY = 64 * 1024  # bytes; a question of 4,000 characters has 48,000 at most, escaped as JSON
_DONE = None  # the last item of a queue
_HEADERS = {
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


class Answers(Protocol):
    """What the server needs of an :class:`~med_lora.ask.arms.Asker`."""

    arms: tuple[str, ...]
    experiment: str

    def ask(self, question: str) -> Any:
        """A generator of sources and replies."""


class Turn:
    """One question under way; a second one is refused until the model has stopped."""

    def __init__(self, asker: Answers) -> None:
        """Nothing is asked yet."""
        self._asker = asker
        self._busy = threading.Lock()

    def start(self, question: str) -> _Answering | None:
        """A response of lines of JSON as the answers grow, or None while another question is answered.

        The models work in a thread of their own, so that a reader who leaves is noticed between two tokens.
        """
        if not self._busy.acquire(blocking=False):
            return None
        lines: asyncio.Queue[bytes | None] = asyncio.Queue()
        loop, gone = asyncio.get_running_loop(), threading.Event()

        def put(line: bytes | None) -> None:
            try:
                loop.call_soon_threadsafe(lines.put_nowait, line)
            except RuntimeError:  # the server has ended meanwhile
                gone.set()

        threading.Thread(target=self._run, args=(question, put, gone), daemon=True).start()
        return _Answering(_read(lines), gone)

    def _run(self, question: str, put: Callable[[bytes | None], None], gone: threading.Event) -> None:
        try:
            with closing(self._asker.ask(question)) as events:
                for event in events:
                    if gone.is_set():
                        break
                    put(_line(event))
        except InputError as error:
            put(_encode({"error": str(error)}))
        except Exception as error:
            # its message may hold what was asked or answered, so it is not logged
            where = "".join(traceback.format_tb(error.__traceback__))
            logger.error("An answer failed with %s:\n%s", type(error).__name__, where)
            put(_encode({"error": "The answer failed; the terminal says where."}))
        finally:
            self._busy.release()
            put(_DONE)


class _Answering(StreamingResponse):
    """Lines of JSON; ``gone`` is set however the response ends, so that the model stops with its reader."""

    def __init__(self, lines: AsyncIterator[bytes], gone: threading.Event) -> None:
        super().__init__(lines, media_type="application/x-ndjson")
        self._gone = gone

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await super().__call__(scope, receive, send)
        finally:
            self._gone.set()


async def _read(lines: asyncio.Queue[bytes | None]) -> AsyncIterator[bytes]:
    while (line := await lines.get()) is not _DONE:
        yield line


def _line(event: Sources | Reply) -> bytes:
    if isinstance(event, Sources):
        return _encode({"sources": [asdict(passage) for passage in event.passages]})
    return _encode({"reply": asdict(event)})


def _encode(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode("ascii") + b"\n"


def make_app(asker: Answers, port: int) -> ASGIApp:
    """The page at ``/`` and its questions at ``/ask``, for a server that listens on ``port``."""
    page, policy = render_ask_page(asker.experiment, asker.arms)
    turn = Turn(asker)

    async def show_page(_: Request) -> Response:
        return HTMLResponse(page)

    async def answer(request: Request) -> Response:
        try:
            question = check_question(await _read_question(request))
        except InputError as error:
            return PlainTextResponse(str(error), 422)
        waiting = PlainTextResponse("Another question is being answered; ask again when it is done.", 409)
        return turn.start(question) or waiting

    app = Starlette(routes=[Route("/", show_page, methods=["GET"]), Route("/ask", answer, methods=["POST"])])
    return Gate(app, port, {"Content-Security-Policy": policy, **_HEADERS})


async def _read_question(request: Request) -> str:
    """The text of ``{"question": TEXT}``.

    Raises:
        HTTPException: if the body is too large, or not that.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != "application/json":
        raise HTTPException(415, "A question comes as application/json.")
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY:
            raise HTTPException(413, f"A request has at most {MAX_BODY} bytes.")
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise HTTPException(422, "The body is no JSON.") from error
    if not isinstance(given, dict) or set(given) != {"question"} or not isinstance(given["question"], str):
        raise HTTPException(422, 'The body is not {"question": TEXT}.')
    return given["question"]


def listen(port: int) -> socket.socket:
    """A socket bound to this machine's own address, which no other machine reaches; port 0 takes a free one.

    Raises:
        InputError: if the port is taken or not allowed.
    """
    bound = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((HOST, port))
        bound.listen(16)
    except OSError as error:
        bound.close()
        raise InputError(
            f"Port {port} of {HOST} cannot be used ({error.strerror}); choose another with --port, or 0 for any."
        ) from error
    return bound


def make_server(asker: Answers, port: int) -> Any:
    """A uvicorn server of the page that logs no request."""
    import uvicorn

    return uvicorn.Server(
        uvicorn.Config(
            make_app(asker, port),
            access_log=False,
            log_config=None,
            lifespan="off",
            ws="none",
            proxy_headers=False,
            server_header=False,
            timeout_graceful_shutdown=1,
        )
    )


def serve(asker: Answers, port: int, say: Callable[[str], None]) -> None:
    """Serve the page until Ctrl-C.

    Raises:
        InputError: if the port cannot be used.
    """
    with listen(port) as bound:
        taken = bound.getsockname()[1]
        say(f"Open http://{HOST}:{taken}/ in a browser of this machine; Ctrl-C ends.")
        make_server(asker, taken).run(sockets=[bound])
