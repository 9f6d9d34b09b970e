"""The body of a chat completion, as far as it is used."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from med_lora.llm.answers import Completion, Failure


class _Message(BaseModel):
    model_config = ConfigDict(strict=True)
    content: str | None = None


class _Choice(BaseModel):
    model_config = ConfigDict(strict=True)
    message: _Message
    finish_reason: str


class _Usage(BaseModel):
    model_config = ConfigDict(strict=True)
    prompt_tokens: int = Field(default=0, ge=0)
    completion_tokens: int = Field(default=0, ge=0)


class _Response(BaseModel):
    """The part of a chat completion that is used; servers add fields of their own."""

    model_config = ConfigDict(strict=True)
    model: str
    choices: list[_Choice] = Field(min_length=1, max_length=1)
    usage: _Usage | None = None


def parse_response(body: bytes) -> Completion | Failure:
    """The completion in the body of a response, or ``not_json`` or ``wrong_schema``."""
    try:
        response = _Response.model_validate_json(body)
    except ValidationError as error:
        return Failure("not_json" if error.errors()[0]["type"] == "json_invalid" else "wrong_schema")
    choice, usage = response.choices[0], response.usage or _Usage()
    return Completion(
        content=choice.message.content or "",
        model=response.model,
        finish_reason=choice.finish_reason,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
    )
