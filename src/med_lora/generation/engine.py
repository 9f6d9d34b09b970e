"""What a model of this process goes on a prompt with, batch by batch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import Any

from med_lora.generation.batches import batch_by_length
from med_lora.generation.kept_batches import Batch, KeptBatches
from med_lora.generation.progress import AnswerBar
from med_lora.generation.steps import NOT_FINITE, TokenSteps, not_finite
from med_lora.parameters.evaluation import DecodingParams


@dataclass(frozen=True)
class Completion:
    """Tokens that a model appended to a prompt.

    Attributes:
        tokens: without the one that ended them.
        ended: whether such a token came before the limit.
        batch: number of the batch they were computed in, from 0.
    """

    tokens: list[int]
    ended: bool
    batch: int


def complete(
    model: Any,
    prompts: Sequence[list[int]],
    ends: set[int],
    pad_token: int,
    decoding: DecodingParams,
    batch_size: int,
    *,
    names: Sequence[str] = (),
    kept: KeptBatches | None = None,
) -> list[Completion]:
    """Continuation of each prompt up to a token of ``ends``, in the order of ``prompts``.

    In fp32 the batch does not change an answer; in 16 bits it does, and equal prompts in an equal batch size make
    equal batches. The model's own generation settings (sampling, penalties, end tokens) are not looked at.

    Args:
        model: a causal language model of transformers.
        prompts: token ids, none of them empty.
        ends: tokens that end an answer.
        pad_token: stands left of shorter prompts, behind the attention mask.
        decoding: how tokens are chosen, and how many at most.
        batch_size: prompts at a time.
        names: what errors call the prompts, such as ``test pair ID``; their numbers if empty.
        kept: where finished batches are kept and taken from.

    Raises:
        InputError: if the logits of a prompt are not finite, or for what ``kept`` cannot read or write.
    """
    import torch

    batches = list(batch_by_length(prompts, batch_size))
    completions: list[Any] = [None] * len(prompts)
    sizes = [len(batch) for batch in batches]
    widths = [size * len(prompts[batch[0]]) for size, batch in zip(sizes, batches, strict=True)]
    opened: AbstractContextManager[dict[int, Batch]] = nullcontext({}) if kept is None else kept.opened(sizes)
    with opened as finished, torch.inference_mode(), AnswerBar(sizes, widths) as bar:
        for number, indices in enumerate(batches):
            if number in finished:
                batch = finished[number]
                bar.skip(number)
            else:
                writer = _BatchWriter(model, [prompts[index] for index in indices], pad_token, decoding)
                batch = writer.write(number, ends, [names[index] if names else f"prompt {index}" for index in indices])
                if kept is not None:
                    kept.append(batch)
                new_tokens = sum(map(len, batch.tokens)) + sum(batch.ended)
                bar.add(number, new_tokens, writer.reading, batch.seconds - writer.reading)
            for index, tokens, ended in zip(indices, batch.tokens, batch.ended, strict=True):
                completions[index] = Completion(tokens, ended, number)
    return completions


class _BatchWriter:
    """One batch. A row that ended leaves it, so that the others do not wait for the longest answer's sake.

    ``generate`` of transformers goes on computing rows that ended; on a CPU it takes 1.2 times as long where no answer
    ends and 1.6 times where they do (``benchmarks/answer_speed.py``).

    Attributes:
        reading: seconds until every row had its first token.
    """

    def __init__(self, model: Any, prompts: Sequence[list[int]], pad_token: int, decoding: DecodingParams) -> None:
        self.reading = 0.0
        self._limit = decoding.max_new_tokens
        self._steps = TokenSteps(model, prompts, pad_token, decoding)

    def write(self, number: int, ends: set[int], names: Sequence[str]) -> Batch:
        """All answers of the batch; ``names`` are those of its rows."""
        started = time.perf_counter()
        tokens: list[list[int]] = [[] for _ in names]
        ended = [False] * len(names)
        rows = list(range(len(names)))  # those that go on, in the order of the steps
        for step in range(self._limit):
            found = self._steps.advance()
            if step == 0:
                self.reading = time.perf_counter() - started
            for row, token in zip(rows, found, strict=True):
                if token == NOT_FINITE:
                    raise not_finite(names[row])
                if token in ends:
                    ended[row] = True
                else:
                    tokens[row].append(token)
            going = [place for place, row in enumerate(rows) if not ended[row]]
            if not going:
                break
            if len(going) < len(rows):
                self._steps.keep(going)
                rows = [rows[place] for place in going]
        return Batch(number=number, tokens=tokens, ended=ended, seconds=time.perf_counter() - started)
