"""The part of a model's context that a prompt may fill."""

from __future__ import annotations

import sys

from med_lora.errors import InputError


def prompt_room(context: int | None, new_tokens: int, setting: str) -> int:
    """Prompt tokens that leave ``new_tokens`` of the context free.

    Args:
        context: positions of the model; None where it sets no limit.
        new_tokens: longest answer.
        setting: parameter that gives ``new_tokens``.

    Raises:
        InputError: if no token is left for the prompt.
    """
    if context is None:
        return sys.maxsize
    if context <= new_tokens:
        raise InputError(
            f"{setting} ({new_tokens}) leaves no room for the question in the model's context of {context} tokens; "
            "lower it."
        )
    return context - new_tokens
