"""A completion server on loopback that plays a script, faults included."""

from __future__ import annotations

import gzip
import json
import threading
import time
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from med_lora.parameters.llm import EndpointParams, SamplingParams

MODEL = "medical-writer"
Handler = Callable[["ChatHandler"], None]


class ChatHandler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: ChatServer
    asked: dict[str, Any]

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.asked = json.loads(body)
        play = self.server.record(self)
        try:
            play(self)
        except OSError:
            self.close_connection = True  # the client has gone, as some scripts want

    def do_GET(self) -> None:
        self.server.looked_up.append(self.path)
        page = self.server.pages.get(self.path)
        if not callable(page):
            page = say(b"{}", 404) if page is None else say(json.dumps(page).encode())
        try:
            page(self)
        except OSError:
            self.close_connection = True

    def reply(self, body: bytes, status: int = 200, **headers: str) -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        for name, value in {"Content_Type": "application/json", **headers}.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


class ChatServer(ThreadingHTTPServer):
    """Plays ``script`` request by request, its last entry for ever; ``requests`` holds what came in.

    What is only looked up (GET) stands in ``pages``, by path, as JSON or as a script's entry; ``looked_up`` holds the
    paths.
    """

    daemon_threads = True
    request_queue_size = 64

    def __init__(self, *script: Handler):
        super().__init__(("127.0.0.1", 0), ChatHandler)
        self.script = script
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.pages: dict[str, Any] = {}
        self.looked_up: list[str] = []
        self.under_way = self.most_under_way = 0
        self._guard = threading.Lock()
        self._thread = threading.Thread(target=self.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)

    def __enter__(self) -> ChatServer:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.shutdown()
        self.server_close()

    def record(self, handler: ChatHandler) -> Handler:
        with self._guard:
            self.requests.append(handler.asked)
            self.headers.append({name.lower(): value for name, value in handler.headers.items()})
            self.paths.append(handler.path)
            return self.script[min(len(self.requests), len(self.script)) - 1]

    def handle_error(self, *_: Any) -> None:
        """Say nothing of a client that hangs up."""

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


def chat_completion(content: str = "fine", **changes: Any) -> bytes:
    response = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "created": 0,
        "model": MODEL,
        "choices": [
            {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": "stop", "extra": 1}
        ],
        "usage": {"prompt_tokens": 7, "completion_tokens": 3, "total_tokens": 10},
    }
    return json.dumps(response | changes).encode()


def text_completion(text: str, prompt_tokens: int, **changes: Any) -> bytes:
    """A completion of a plain prompt; ``finish_reason`` and ``model`` may be changed."""
    choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": changes.pop("finish_reason", "stop")}
    usage = {"prompt_tokens": prompt_tokens, "completion_tokens": 3, "total_tokens": prompt_tokens + 3}
    return chat_completion(object="text_completion", choices=[choice], usage=usage, **changes)


def finished(reason: str, content: str | None = "fine") -> bytes:
    choice = {"index": 0, "message": {"role": "assistant", "content": content}, "finish_reason": reason}
    return chat_completion(choices=[choice])


def say(body: bytes, status: int = 200, **headers: str) -> Handler:
    return lambda handler: handler.reply(body, status, **headers)


def answer(content: str = "fine", **changes: Any) -> Handler:
    return say(chat_completion(content, **changes))


def in_turn(*plays: Handler) -> Handler:
    """Plays each once, and the last for ever."""
    left = list(plays)
    return lambda handler: (left.pop(0) if len(left) > 1 else left[0])(handler)


def hang_up(handler: ChatHandler) -> None:
    handler.close_connection = True


def hang_up_in_the_body(handler: ChatHandler) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"id": ')
    handler.close_connection = True


def drip(handler: ChatHandler) -> None:
    """A byte every 20 ms, so that no single read ever waits long."""
    body = chat_completion("x" * 500)
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    for byte in body:
        handler.wfile.write(bytes([byte]))
        handler.wfile.flush()
        time.sleep(0.02)


def drip_headers(handler: ChatHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
    for number in range(500):
        handler.wfile.write(f"X-Slow-{number}: yes\r\n".encode())
        handler.wfile.flush()
        time.sleep(0.02)


def zipped(body: bytes) -> Handler:
    return say(gzip.compress(body), Content_Encoding="gzip")


def endpoint(base_url: str, **changes: Any) -> EndpointParams:
    values = {
        "base_url": base_url,
        "model": MODEL,
        "api_key_variable": None,
        "deadline_s": 5.0,
        "retries": 2,
        "concurrency": 4,
    }
    return EndpointParams.model_validate(values | changes)


SAMPLING = SamplingParams(temperature=0.0, seed=11, max_tokens=64)
