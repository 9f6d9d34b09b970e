"""How surprising the reference answers are to a model."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from med_lora.datasets.pretrained import PretrainedFolder
from med_lora.errors import InputError
from med_lora.generation.batches import batch_by_length, pad
from med_lora.models.session import ModelSession
from med_lora.parameters import PromptParams, TrainingParams
from med_lora.pipelines.evaluation.losses.batches import published_padding, tabulate_batches
from med_lora.pipelines.evaluation.splits import Split, read_pairs
from med_lora.prompts import PairTokeniser, Tokenised, context_length

logger = logging.getLogger(__name__)


def measure_losses(
    session: ModelSession,
    test: Split,
    prompt: PromptParams,
    training: TrainingParams,
    adapter: PretrainedFolder | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Cross-entropy of every reference answer given its question, and the sums that other ways to a perplexity need.

    A pair longer than ``training.max_length``, or than the model's context, is cut as ``training.overlong: truncate``
    does, whatever the setting is; the columns then speak of the part that was scored. With an adapter the tuned model
    is measured, without one the base model.

    Returns:
        losses: in the order of ``test``, columns id, tokens (answer tokens, EOS included), nll (sum over these tokens,
            nats), answer_bytes (UTF-8 bytes of the answer; exact to a character where it was cut).
        batch_losses: columns variant, batch, tokens, nll, as :func:`tabulate_batches` describes them.

    Raises:
        InputError: for an empty split, or a loss that is not finite.
    """
    pairs = read_pairs(test, "test")
    tokenizer = session.tokenizer()
    tokeniser = PairTokeniser(prompt, tokenizer)
    with session.arm(adapter) as model:
        limit = min(training.max_length, context_length(model) or training.max_length)
        rows = tokeniser.pairs(pairs["question"].tolist(), pairs["answer"].tolist(), limit)
        cut = sum(1 for row in rows if row.answer_cut)
        if cut:
            logger.warning("%d of %d answers exceed %d tokens; only their beginning is scored.", cut, len(rows), limit)
        # behind its row the padding changes nothing that stands before it, so one pass serves both tables
        padding = published_padding([len(row.input_ids) for row in rows], list(pairs["id"]))
        padded = [row.input_ids + [tokeniser.end_id or 0] * count for row, count in zip(rows, padding, strict=True)]
        real = [len(row.input_ids) for row in rows]
        losses = token_losses(model, padded, session.hardware.inference_batch_size, real)
    answers = [_of_answer(row, values) for row, values in zip(rows, losses, strict=True)]
    table = pd.DataFrame(
        {
            "id": list(pairs["id"]),
            "tokens": [len(row.answer_ids) for row in rows],
            "nll": answers,
            "answer_bytes": [
                _count_bytes(row, text, tokenizer) for row, text in zip(rows, pairs["answer"], strict=True)
            ],
        }
    )
    check_finite(table["nll"], [f"test pair {pair}" for pair in pairs["id"]])
    return table, tabulate_batches(table, [values.sum() for values in losses], [len(values) for values in losses])


def token_losses(
    model: Any, rows: Sequence[Sequence[int]], batch_size: int, real: Sequence[int] | None = None
) -> list[npt.NDArray[np.float64]]:
    """Cross-entropy in nats of every token of a row but its first, given those before it, in the order of ``rows``.

    Rows are padded on the right: a causal model does not look there.

    Args:
        model: a causal language model.
        rows: token ids.
        batch_size: rows of a forward pass.
        real: how many tokens at the beginning of each row attention may see; None for all. The others are padding that
            is scored as if it were text.

    Returns:
        For each row an array [tokens - 1], computed from logits in fp32.
    """
    import torch
    from torch.nn.functional import cross_entropy
    from tqdm import tqdm

    seen = [len(row) for row in rows] if real is None else real
    losses = [np.empty(0)] * len(rows)
    with torch.inference_mode(), tqdm(total=len(rows), desc="losses", unit="text", disable=None) as bar:
        for batch in batch_by_length(rows, batch_size):
            input_ids = pad([rows[index] for index in batch], 0, "right").to(model.device)
            mask = pad([[1] * seen[index] for index in batch], 0, "right")
            mask = torch.nn.functional.pad(mask, (0, input_ids.shape[1] - mask.shape[1])).to(model.device)
            logits = model(input_ids=input_ids, attention_mask=mask, use_cache=False).logits
            for place, index in enumerate(batch):
                last = len(rows[index]) - 1
                # fp32 for one row at a time: a whole batch of logits would be the largest tensor of all
                values = cross_entropy(logits[place, :last].float(), input_ids[place, 1 : last + 1], reduction="none")
                losses[index] = values.double().cpu().numpy()
            bar.update(len(batch))
    return losses


def check_finite(nll: Sequence[float] | pd.Series, names: Sequence[str]) -> None:
    """Raise an InputError that names the first text whose loss is no number."""
    faults = [name for name, value in zip(names, nll, strict=True) if not np.isfinite(value)]
    if faults:
        raise InputError(
            f"The loss of {faults[0]} is not finite ({len(faults)} of {len(names)} are not); check the model's "
            "weights, lower training.optimisation.learning_rate, or take an environment of another precision."
        )


def _of_answer(row: Tokenised, losses: npt.NDArray[np.float64]) -> float:
    """Of the losses of a row without its first token, the sum over the answer."""
    first = len(row.prompt_ids) - 1
    return float(losses[first : first + len(row.answer_ids)].sum())


def _count_bytes(row: Tokenised, answer: str, tokenizer: Any) -> int:
    scored = tokenizer.decode(row.answer_ids, skip_special_tokens=True).strip() if row.answer_cut else answer
    return len(scored.encode("utf-8"))
