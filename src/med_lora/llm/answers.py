"""What every language model of this package takes and gives: requests, completions, failures."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol, TypedDict, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

Kind = Literal[
    "bad_request",
    "content_filter",
    "empty",
    "finish_reason",
    "hang_up",
    "length",
    "malformed_answer",
    "not_json",
    "other_model",
    "prompt_too_long",
    "rate_limited",
    "redirect",
    "server_error",
    "timeout",
    "too_large",
    "unknown_encoding",
    "wrong_schema",
]

# A hosted model answers under the name of its dated snapshot (NAME-2024-08-06, NAME-20240806 or NAME-0613), and
# `transformers serve` under NAME@REVISION.
_SNAPSHOT = re.compile(r"-\d{4}(?:-?\d{2}-?\d{2})?|@[\w.-]+")
_FENCE = re.compile(r"\s*```(?:json)?[ \t]*\n(.*)\n[ \t]*```\s*", re.DOTALL)


class Message(TypedDict):
    """One turn of a conversation; ``prompt`` is no turn but a text that a model goes on with, and stands alone."""

    role: Literal["system", "user", "assistant", "prompt"]
    content: str


class AnswerSchema(BaseModel):
    """JSON that an answer must be; a subclass changes ``version`` whenever its fields or their meaning change."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    name: ClassVar[str]
    version: ClassVar[int]


Schema = TypeVar("Schema", bound=AnswerSchema)


@dataclass(frozen=True)
class Request:
    """What a model is asked.

    Attributes:
        messages: the conversation, ending with the turn to be answered.
        schema: JSON that the answer must be; None leaves it free.
        repeat: number of the repetition, from 0; it is added to the seed.
        tokens: of a lone ``prompt``, the token ids that it must be read as.
        options: all answers that ``schema`` allows, of which a local model takes the likeliest; a server writes, and
            is held to the schema.
    """

    messages: tuple[Message, ...]
    schema: type[AnswerSchema] | None = None
    repeat: int = 0
    tokens: tuple[int, ...] = ()
    options: tuple[str, ...] = ()


@dataclass(frozen=True)
class Completion:
    """What a model answered, as it came; ``usable`` or ``written`` tells whether it may be used.

    Attributes:
        content: the text.
        model: name under which the model answered.
        finish_reason: why it stopped, in OpenAI's words; ``"stop"`` alone is a whole answer.
        prompt_tokens: tokens read, 0 where the server does not say.
        completion_tokens: tokens written, 0 where the server does not say.
        seconds: from the request to its last byte, 0 where nobody measured; of the clock, so it makes no difference.
    """

    content: str
    model: str
    finish_reason: str
    prompt_tokens: int
    completion_tokens: int
    seconds: float = field(default=0.0, compare=False)


@dataclass(frozen=True)
class Failure:
    """Why there is no answer; it holds no text of the request or the response."""

    kind: Kind


class Answerer(Protocol):
    """A language model; ``answer`` may be called from several threads.

    Attributes:
        model: name that marks the model in the cache.
        settings: whatever else decides an answer to given messages (temperature, seed, ...).
        origin: where it runs, for the record.
        concurrency: calls it takes at the same time.
    """

    model: str
    settings: dict[str, float | int | str]
    origin: str
    concurrency: int

    def answer(self, request: Request) -> Completion | Failure:
        """Ask once.

        Raises:
            InputError: for a fault that every further call would meet too.
        """

    def close(self) -> None:
        """End the calls under way."""


def usable(completion: Completion, model: str) -> Completion | Failure:
    """The completion itself, if ``model`` wrote it to its end and it is not empty."""
    checked = written(completion, model)
    if isinstance(checked, Failure):
        return checked
    if completion.finish_reason == "length":
        return Failure("length")
    return completion if completion.content.strip() else Failure("empty")


def written(completion: Completion, model: str) -> Completion | Failure:
    """The completion itself, if ``model`` wrote it, to its end or to the length limit; it may be empty."""
    suffix = completion.model.removeprefix(model)
    if not completion.model.startswith(model) or (suffix and not _SNAPSHOT.fullmatch(suffix)):
        return Failure("other_model")
    if completion.finish_reason == "content_filter":
        return Failure("content_filter")
    return completion if completion.finish_reason in ("stop", "length") else Failure("finish_reason")


def parse_answer(completion: Completion, schema: type[Schema]) -> Schema | Failure:
    """The answer as ``schema``; one code fence around the whole is taken off, nothing else is mended."""
    fenced = _FENCE.fullmatch(completion.content)
    try:
        return schema.model_validate_json(fenced[1] if fenced else completion.content)
    except ValidationError:
        return Failure("malformed_answer")
