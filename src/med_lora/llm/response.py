"""The body of a completion, as far as it is used."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from med_lora.llm.answers import Completion, Failure


class _Message(BaseModel):
    model_config = ConfigDict(strict=True)
    content: str | None = None


class _Choice(BaseModel):
    model_config = ConfigDict(strict=True)
    message: _Message | None = None
    text: str | None = None
    finish_reason: str

    @model_validator(mode="after")
    def _is_chat_or_text(self) -> Self:
        if self.message is None and self.text is None:
            raise ValueError("there is neither a message nor a text")
        return self

    @property
    def content(self) -> str:
        return (self.text if self.message is None else self.message.content) or ""


class _Usage(BaseModel):
    model_config = ConfigDict(strict=True)
    prompt_tokens: int = Field(default=0, ge=0)
    completion_tokens: int = Field(default=0, ge=0)


class _Response(BaseModel):
    """The part of a chat or text completion that is used; servers add fields of their own."""

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
        content=choice.content,
        model=response.model,
        finish_reason=choice.finish_reason,
        prompt_tokens=usage.prompt_tokens,
        completion_tokens=usage.completion_tokens,
    )
