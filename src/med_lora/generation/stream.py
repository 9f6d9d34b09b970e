"""An answer token by token, for somebody who reads it while it is written."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from med_lora.generation.steps import NOT_FINITE, TokenSteps, not_finite
from med_lora.parameters.evaluation import DecodingParams

_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


def stream(
    model: Any, prompt_ids: list[int], ends: set[int], pad_token: int, decoding: DecodingParams
) -> Iterator[int]:
    """Tokens of the answer as they are chosen, the one that ends it left out.

    They equal ``complete`` of this one prompt token for token. The answer was cut, and did not end, if and only if
    there are ``decoding.max_new_tokens`` of them. Whoever stops reading stops the model.

    Args:
        model: a causal language model of transformers.
        prompt_ids: token ids, at least one.
        ends: tokens that end an answer.
        pad_token: of the tokenizer; one prompt alone is not padded with it.
        decoding: how tokens are chosen, and how many at most.

    Raises:
        InputError: if the logits are not finite.
    """
    import torch

    steps = TokenSteps(model, [prompt_ids], pad_token, decoding)
    for _ in range(decoding.max_new_tokens):
        with torch.inference_mode():  # left before each token is handed over: the mode is the thread's, not ours
            (token,) = steps.advance()
        if token == NOT_FINITE:
            raise not_finite("the question")
        if token in ends:
            return
        yield token


def decode_answer(tokenizer: Any, tokens: Sequence[int]) -> str:
    """Text of a whole answer, as evaluation writes it down."""
    text: str = tokenizer.decode(tokens, skip_special_tokens=True)
    return text.strip()


def decode_part(tokenizer: Any, tokens: Sequence[int]) -> str:
    """Text of the beginning of an answer, without a character that its last tokens have only begun.

    All tokens are decoded at once: taken one by one they lose the bytes of characters that they share, and some
    tokenizers the spaces between words.
    """
    return decode_answer(tokenizer, tokens).rstrip(_REPLACEMENT).rstrip()
