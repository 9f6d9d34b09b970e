"""How an endpoint is reached: its key, the client of the openai package, and why no connection came about."""

from __future__ import annotations

import os
import ssl
from typing import TYPE_CHECKING

from med_lora.errors import InputError
from med_lora.parameters.llm import EndpointParams

if TYPE_CHECKING:
    from openai import AsyncOpenAI


def explain_connection(error: BaseException, origin: str) -> str:
    """One sentence on a connection that failed, and what to do."""
    cause: BaseException | None = error
    while cause is not None and not isinstance(cause, ssl.SSLError):
        cause = cause.__cause__ or cause.__context__
    if cause is not None:
        return (
            f"No secure connection to {origin} ({cause.reason}); check http against https in the base_url, and the "
            "certificates of this machine (answers got so far are kept)."
        )
    return (
        f"No server answers at {origin}; start it, or mend the base_url of the endpoint (answers got so far are kept)."
    )


def make_client(endpoint: EndpointParams, max_bytes: int) -> AsyncOpenAI:
    """A client that contacts no other host, tries each request once and has no time limit of its own.

    Raises:
        InputError: if the variable that should hold the key is not set, or holds no key.
    """
    import httpx2
    from openai import AsyncOpenAI

    from med_lora.llm.transport import BoundedTransport

    key = _read_key(endpoint.api_key_variable)
    http = httpx2.AsyncClient(
        transport=BoundedTransport(max_bytes, sends_key=key is not None),
        trust_env=False,
        follow_redirects=False,
        timeout=None,
    )
    return AsyncOpenAI(
        base_url=endpoint.base_url,
        api_key=key or "none",  # the package insists on one; the transport drops it
        http_client=http,
        max_retries=0,
        timeout=None,
    )


def _read_key(variable: str | None) -> str | None:
    if variable is None:
        return None
    key = os.environ.get(variable, "").strip()
    if not key:
        raise InputError(
            f"The environment variable {variable}, which should hold the key of the endpoint, is not set; set it, or "
            "set api_key_variable to null for a server without keys."
        )
    # The HTTP library would quote such a key in its error.
    if not (key.isascii() and key.isprintable()) or " " in key:
        raise InputError(f"The environment variable {variable} holds characters that no key has; copy the key again.")
    return key
