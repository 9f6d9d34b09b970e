"""What may speak to the page's server: this machine's own page, and no other site that a browser has open."""

from __future__ import annotations

from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send


class Gate:
    """Refuse requests under another name or from another site, and tell the browser what the page may do.

    A site whose name suddenly stands for 127.0.0.1 (DNS rebinding) still asks under its own name, which ``Host``
    shows. A page of another site that posts here shows in ``Origin``, which scripts cannot set.
    """

    def __init__(self, app: ASGIApp, port: int, headers: Mapping[str, str]) -> None:
        """Guard ``app``, which listens on ``port``; ``headers`` go with every response."""
        self._app = app
        self._hosts = {f"{name}:{port}" for name in ("127.0.0.1", "localhost")}
        if port == 80:
            self._hosts |= {"127.0.0.1", "localhost"}
        self._headers = dict(headers)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on, or answer it with 421 (another name) or 403 (another site)."""
        if scope["type"] != "http":  # no websockets, nothing at start or end
            return
        refusal = self._refuse(scope)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                MutableHeaders(scope=message).update(self._headers)
            await send(message)

        await (refusal or self._app)(scope, receive, send_guarded)

    def _refuse(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or hosts[0].lower() not in self._hosts:
            return PlainTextResponse("This server answers at 127.0.0.1 and localhost alone.", 421)
        if scope["method"] in ("GET", "HEAD"):
            return None
        if headers.getlist("origin") != [f"http://{hosts[0].lower()}"]:
            return PlainTextResponse("Only the page of this server may ask.", 403)
        return None
