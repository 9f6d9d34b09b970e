"""How the next token of an answer is chosen: greedily, or sampled so that batches do not matter."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

import numpy as np

from med_lora.parameters.evaluation import DecodingParams


def make_processors(decoding: DecodingParams, prompts: Sequence[Sequence[int]], width: int) -> Any:
    """A list of what changes the logits of a batch before the most probable token is taken; empty for plain greedy
    decoding.

    ``transformers`` would draw a batch from one stream of random numbers, so that an answer depended on its
    neighbours. Here the last processor draws, each row from a stream of its own, and leaves one token to take.

    Args:
        decoding: the settings.
        prompts: token ids of each row, without padding.
        width: columns of the padded prompts.
    """
    from transformers.generation import logits_process as warpers

    processors = warpers.LogitsProcessorList()
    if decoding.repetition_penalty > 1:
        # the prompt is left out: in a batch it holds padding, which is often the token that ends an answer
        processors.append(warpers.RepetitionPenaltyLogitsProcessor(decoding.repetition_penalty, width))
    if decoding.temperature > 0:
        processors.append(warpers.TemperatureLogitsWarper(decoding.temperature))
        if decoding.top_k is not None:
            processors.append(warpers.TopKLogitsWarper(decoding.top_k))
        if decoding.top_p < 1:
            processors.append(warpers.TopPLogitsWarper(decoding.top_p))
        draws = np.stack([_draws(prompt, decoding.seed, decoding.max_new_tokens) for prompt in prompts])
        processors.append(_Sampler(draws, width))
    return processors


class _Sampler:
    """The last processor of a batch: of each row's logits, one is left.

    The token is the inverse of the row's distribution function at a draw of [0, 1) (Devroye 1986, section II.2).

    Args:
        draws: of each row, one a token of the answer.
        width: columns of the padded prompts.
    """

    def __init__(self, draws: np.ndarray, width: int) -> None:
        self._draws = draws
        self._width = width

    def __call__(self, input_ids: Any, scores: Any) -> Any:
        import torch

        cumulative = scores.double().softmax(dim=-1).cumsum(dim=-1)
        draws = torch.as_tensor(self._draws[:, input_ids.shape[1] - self._width], device=scores.device)
        # the first token whose sum exceeds the draw, so that a token of probability 0 is never taken
        drawn = torch.searchsorted(cumulative, draws[:, None] * cumulative[:, -1:], right=True)
        return torch.full_like(scores, -torch.inf).scatter(1, drawn, 0.0)


def _draws(prompt: Sequence[int], seed: int, steps: int) -> np.ndarray:
    """Numbers of [0, 1), one a token of the answer, that follow from the seed and the prompt's tokens alone.

    Philox (Salmon et al. 2011) is keyed with the first half of a SHA-256.
    """
    digest = hashlib.sha256(f"{seed}:{','.join(map(str, prompt))}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big"))).random(steps)
