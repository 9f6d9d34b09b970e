"""How the next token of an answer is chosen: greedily, or sampled so that batches do not matter."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from med_lora.parameters.evaluation import DecodingParams

if TYPE_CHECKING:
    import torch


class TokenChooser:
    """The next token of each row of a batch, as ``evaluation.decoding`` says.

    ``transformers`` would draw a batch from one stream of random numbers, so that an answer depended on its
    neighbours. Here each row draws from a stream of its own, which follows from the seed and the prompt alone.
    """

    def __init__(self, decoding: DecodingParams, prompts: Sequence[Sequence[int]]) -> None:
        """Set up a batch; ``prompts`` are the token ids of each row, without padding."""
        from transformers.generation import logits_process as warpers

        self._draws: np.ndarray | None = None
        self._processors: list[Any] = []
        if decoding.repetition_penalty > 1:
            self._processors.append(warpers.RepetitionPenaltyLogitsProcessor(decoding.repetition_penalty))
        if decoding.temperature > 0:
            self._draws = np.stack([_draws(prompt, decoding.seed, decoding.max_new_tokens) for prompt in prompts])
            self._processors.append(warpers.TemperatureLogitsWarper(decoding.temperature))
            if decoding.top_k is not None:
                self._processors.append(warpers.TopKLogitsWarper(decoding.top_k))
            if decoding.top_p < 1:
                self._processors.append(warpers.TopPLogitsWarper(decoding.top_p))

    def __call__(self, logits: torch.Tensor, answers: torch.Tensor) -> torch.Tensor:
        """Tokens [rows]: the most probable, or the inverse of the distribution function at the row's draw.

        Args:
            logits: [rows, vocabulary], fp32.
            answers: [rows, steps], what was chosen so far; the prompt is left out, since a repetition penalty would
                meet padding there, which is often the token that ends an answer.

        Sampling by inversion is Devroye 1986, section II.2.
        """
        import torch

        for process in self._processors:
            logits = process(answers, logits)
        if self._draws is None:
            return logits.argmax(dim=-1)
        cumulative = logits.double().softmax(dim=-1).cumsum(dim=-1)
        draws = torch.as_tensor(self._draws[:, answers.shape[1]], device=logits.device)
        # the first token whose sum exceeds the draw, so that a token of probability 0 is never taken
        return torch.searchsorted(cumulative, draws[:, None] * cumulative[:, -1:], right=True)[:, 0]

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with some of the rows."""
        if self._draws is not None:
            self._draws = self._draws[list(rows)]


def _draws(prompt: Sequence[int], seed: int, steps: int) -> np.ndarray:
    """Numbers of [0, 1), one a token of the answer, that follow from the seed and the prompt's tokens alone.

    Philox (Salmon et al. 2011) is keyed with the first half of a SHA-256.
    """
    digest = hashlib.sha256(f"{seed}:{','.join(map(str, prompt))}".encode()).digest()
    return np.random.Generator(np.random.Philox(key=int.from_bytes(digest[:16], "big"))).random(steps)
