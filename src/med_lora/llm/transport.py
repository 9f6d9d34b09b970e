"""The HTTP underneath the client: bounded bytes, only the headers that are needed, one host."""

from __future__ import annotations

import ssl
import zlib
from functools import cache
from typing import Any

import httpx2

from med_lora.llm.answers import Kind

# The openai package adds what it knows of this machine, and what OPENAI_* variables say of organisation and project.
SENT_HEADERS = frozenset({"accept", "content-length", "content-type", "host"})


@cache
def _tls_context() -> ssl.SSLContext:
    """Certificates of this machine's store, which takes 40 ms to read."""
    return httpx2.create_ssl_context(trust_env=False)


class BadResponseError(Exception):
    """A response that was not read to its end, and why."""

    def __init__(self, kind: Kind):
        super().__init__(kind)
        self.kind = kind


class BoundedTransport(httpx2.AsyncBaseTransport):
    """Reads every response whole, error pages too, and none beyond ``max_bytes``, compressed or not."""

    def __init__(self, max_bytes: int, *, sends_key: bool):
        self._max_bytes = max_bytes
        self._sent_headers = SENT_HEADERS | ({"authorization"} if sends_key else set())
        # A connection is used once: a kept one that the server closes in between reads as a failed call.
        self._inner = httpx2.AsyncHTTPTransport(
            verify=_tls_context(), trust_env=False, limits=httpx2.Limits(max_keepalive_connections=0)
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        headers = {name: value for name, value in request.headers.items() if name.lower() in self._sent_headers}
        headers["Accept-Encoding"] = "identity"
        # A request of its own: the package reads the headers of the one it made.
        sent = httpx2.Request(request.method, request.url, headers=headers, stream=request.stream)
        sent.extensions = request.extensions
        response = await self._inner.handle_async_request(sent)
        try:
            body = await self._read(response)
        finally:
            await response.aclose()
        kept = {name: response.headers[name] for name in ("content-type", "retry-after") if name in response.headers}
        return httpx2.Response(response.status_code, headers=kept, content=body, request=request)

    async def _read(self, response: httpx2.Response) -> bytes:
        encoding = response.headers.get("content-encoding", "identity").strip().lower()
        if encoding not in ("identity", "gzip"):
            raise BadResponseError("unknown_encoding")
        # A server may compress what it was asked to send plain.
        gunzip: Any = zlib.decompressobj(wbits=31) if encoding == "gzip" else None
        body = bytearray()
        received = 0
        async for part in response.aiter_raw():
            received += len(part)
            try:
                body += gunzip.decompress(part, self._max_bytes + 1 - len(body)) if gunzip else part
            except zlib.error as error:
                raise BadResponseError("unknown_encoding") from error
            if max(received, len(body)) > self._max_bytes:
                raise BadResponseError("too_large")
        if gunzip and not gunzip.eof:
            raise BadResponseError("hang_up")
        return bytes(body)

    async def aclose(self) -> None:
        await self._inner.aclose()
