"""Language models behind a server: an endpoint, and how it answers."""

from __future__ import annotations

import ipaddress
import re
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import Field, model_validator

from med_lora.parameters.base import Parameters, PositiveInt

_VARIABLE = re.compile(r"[A-Z_][A-Z0-9_]*")


class EndpointParams(Parameters):
    """A server that speaks OpenAI's protocol."""

    base_url: str = Field(
        description="address up to and without `/chat/completions` or `/completions`; no other host is ever contacted"
    )
    model: str = Field(min_length=1, description="name of the model; a response in another model's name is refused")
    api_key_variable: str | None = Field(
        description="environment variable that holds the key, never the key itself; null for a server without keys"
    )
    send_text_to_remote_endpoint: bool = Field(
        default=False,
        description="passages, test questions, reference answers and what models answered may leave this machine; the "
        "first three are screened, not de-identified, and answers of models are neither",
    )
    deadline_s: Annotated[float, Field(gt=0)] = Field(
        description="longest time of one request, in seconds, from the first connection to the last byte"
    )
    retries: Annotated[int, Field(ge=0)] = Field(
        description="further requests after status 429, status 5xx or a timeout"
    )
    concurrency: PositiveInt = Field(description="requests under way at the same time")

    # A check of the model and not of the field: a field's error quotes the value, which may be a misplaced secret.
    @model_validator(mode="after")
    def _holds_no_secret(self) -> EndpointParams:
        if self.api_key_variable is not None and not _VARIABLE.fullmatch(self.api_key_variable):
            raise ValueError(
                "api_key_variable must be the name of an environment variable, in capitals, and never the key itself"
            )
        try:
            parts = urlsplit(self.base_url)
            complete = parts.scheme in ("http", "https") and bool(parts.hostname) and parts.port != 0
        except ValueError:
            complete = False
        if not complete:
            raise ValueError("base_url is no address such as http://127.0.0.1:8000/v1")
        if "@" in parts.netloc or parts.query or parts.fragment:
            raise ValueError("base_url must hold neither a name, a password, a query nor a fragment")
        return self

    @model_validator(mode="after")
    def _text_stays_unless_allowed(self) -> EndpointParams:
        if not self.is_local and not self.send_text_to_remote_endpoint:
            raise ValueError(
                "base_url is another machine, and the text is screened, not de-identified; choose a server on this "
                "machine, or set send_text_to_remote_endpoint to true"
            )
        return self

    @property
    def is_local(self) -> bool:
        """Whether the server is this machine (a loopback address)."""
        host = urlsplit(self.base_url).hostname or ""
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return host == "localhost"


class SamplingParams(Parameters):
    """How a language model writes its answer."""

    temperature: Annotated[float, Field(ge=0.0, le=2.0)] = Field(description="0 takes the likeliest token each time")
    seed: int = Field(description="seed of the sampling; a repeat of the same question adds its number")
    max_tokens: PositiveInt = Field(description="longest answer, in tokens of the model")
